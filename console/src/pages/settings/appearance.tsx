// How the console looks in this browser.
import { Button, useMantineColorScheme, type MantineColorScheme } from '@mantine/core';
import { announce } from '~/app/announce';
import { SegmentedControl } from '~/components/mantine/segmented';
import { t } from '~/text';
import { SettingsFrame } from './frame';

export function AppearancePage() {
  const a = t.settings.appearancePage;
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  return (
    <SettingsFrame title={t.settings.appearance}>
      <section className="stack" aria-label={a.colours}>
        <h2>{a.colours}</h2>
        <div>
          <SegmentedControl
            aria-label={a.colours}
            value={colorScheme}
            onChange={(value) => setColorScheme(value as MantineColorScheme)}
            data={[{ value: 'auto', label: a.auto }, { value: 'light', label: a.light }, { value: 'dark', label: a.dark }]}
          />
        </div>
      </section>
      <section className="stack" aria-label={a.columns}>
        <h2>{a.columns}</h2>
        <p className="dim">{a.columnsHint}</p>
        <div>
          <Button
            onClick={() => {
              for (const key of Object.keys(localStorage)) if (key.startsWith('headend.columns.')) localStorage.removeItem(key);
              announce(a.resetDone);
            }}
          >
            {a.reset}
          </Button>
        </div>
      </section>
      <section className="stack" aria-label={a.keys}><h2>{a.keys}</h2><p className="dim">{a.keysHint}</p></section>
    </SettingsFrame>
  );
}
