// What to write into a CPE that speaks TR-069 so that it comes with a fresh setup key.
import { useState } from 'react';
import { SegmentedControl } from '~/components/mantine/segmented';
import { Note } from '~/components/notice';
import { Secret, Snippet } from '~/components/secret';
import { t } from '~/text';
import { acsLines, keyUrl, xmppLines, type AcsAccess, type Root } from './acs-lines';

export function HowCwmp({ acs, secret }: { acs: AcsAccess | null | undefined; secret: string }) {
  const d = t.addDevice;
  const [root, setRoot] = useState<Root>('today');
  if (!acs) return <Note tone="warn">{d.noAcs}</Note>;
  return (
    <>
      {acs.urls.map((one) => <Secret key={one} label={d.acsUrl} value={one} once={false} />)}
      <Secret label={d.acsUsername} value={acs.username} once={false} />
      <Secret label={d.acsPassword} value={secret} />
      <p className="dim small">{d.acsHint}</p>
      <SegmentedControl aria-label={d.models} value={root} onChange={(to) => setRoot(to as Root)} data={[{ value: 'today', label: d.modelToday }, { value: 'old', label: d.modelOld }]} />
      <Snippet label={d.howParameters} text={acsLines(acs, secret, root)} />
      <Secret label={d.acsKeyUrl} value={keyUrl(acs, secret)} once={false} />
      {acs.stun ? <p className="small">{d.acsStun(acs.stun)}</p> : <p className="dim small">{d.acsNoStun}</p>}
      {acs.xmpp ? <Snippet label={d.acsXmpp} text={xmppLines(acs.xmpp, root)} /> : null}
    </>
  );
}
