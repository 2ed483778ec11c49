// The list of keys, on `?`.
import { Modal } from '~/components/mantine/modal';
import { t } from '~/text';
import classes from './shortcuts.module.css';

export function Shortcuts({ onClose }: { onClose: () => void }) {
  return (
    <Modal opened onClose={onClose} title={t.shortcuts.title} size="md" closeButtonProps={{ 'aria-label': t.common.close }}>
      <table className={classes.keys}>
        <tbody>
          {t.shortcuts.keys.map(([keys, words]) => (
            <tr key={keys}>
              <td>{keys.split(' ').map((key, i) => <kbd key={i}>{key}</kbd>)}</td>
              <td>{words}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Modal>
  );
}
