// The question before something that cannot be taken back lightly: what will happen, to what, and a plain verb.
import { Button } from '@mantine/core';
import { useState, type ReactNode } from 'react';
import { TextInput } from '~/components/mantine/text-input';
import { t } from '~/text';
import { Dialog } from './dialog';
import { Failure } from './notice';

interface Props {
  title: string;
  children: ReactNode;
  /** The verb on the button: "Reboot", "Delete". */
  verb: string;
  danger?: boolean;
  /** Must be typed before the button works. */
  typed?: string;
  /** Something has to be chosen first. */
  incomplete?: boolean;
  busy?: boolean;
  error?: unknown;
  onConfirm: () => void;
  onClose: () => void;
}

export function Confirm({ title, children, verb, danger, typed, incomplete, busy, error, onConfirm, onClose }: Props) {
  const [entered, setEntered] = useState('');
  const ready = !incomplete && (typed === undefined || entered.trim() === typed);
  return (
    <Dialog onClose={onClose} title={title} size="md">
      <form
        className="stack loose"
        onSubmit={(event) => {
          event.preventDefault();
          if (ready && !busy) onConfirm();
        }}
      >
        <div className="stack">{children}</div>
        {typed !== undefined ? (
          <TextInput
            data-autofocus
            label={t.common.typeToConfirm(typed)}
            value={entered}
            onChange={(event) => setEntered(event.currentTarget.value)}
            autoComplete="off"
          />
        ) : null}
        {error ? <Failure error={error} /> : null}
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Button onClick={onClose}>{t.common.cancel}</Button>
          <Button type="submit" variant="filled" color={danger ? 'red.8' : undefined} loading={busy} disabled={!ready} data-autofocus={typed === undefined || undefined}>
            {verb}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
