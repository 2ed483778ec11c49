// Three ways in for a device: it connects with a setup key, we dial it, or it is registered by name beforehand.
import { useState } from 'react';
import { useMay } from '~/api/session';
import { Dialog } from '~/components/dialog';
import { SegmentedControl } from '~/components/mantine/segmented';
import { t } from '~/text';
import { DialDevice } from './dial-device';
import { SetupKeyUrl } from './setup-key-url';

type Way = 'key' | 'dial' | 'register';

export function AddDevice({ onClose }: { onClose: () => void }) {
  const noKeys = useMay('setup-key:write');
  const [way, setWay] = useState<Way>(noKeys ? 'register' : 'key');
  const d = t.addDevice;
  return (
    <Dialog onClose={onClose} title={d.title} size={680}>
      <div className="stack loose">
        <SegmentedControl
          value={way}
          onChange={(value) => setWay(value as Way)}
          aria-label={d.title}
          data={[
            { value: 'key', label: d.agentDials },
            { value: 'dial', label: d.weDial },
            { value: 'register', label: d.register },
          ]}
        />
        {way === 'key' ? <SetupKeyUrl disabledReason={noKeys} onClose={onClose} /> : <DialDevice key={way} dial={way === 'dial'} onClose={onClose} />}
      </div>
    </Dialog>
  );
}
