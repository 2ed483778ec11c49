// Short messages at the foot of the page, read out by assistive technology.
// For results of an action; problems that belong to a form or a page are shown there.
import { useSyncExternalStore } from 'react';
import { ActionIcon } from '@mantine/core';
import { Icon } from '~/components/icon';
import { Shape, type Tone } from '~/components/state';
import { t } from '~/text';
import classes from './announce.module.css';

interface Message {
  id: number;
  text: string;
  tone: Tone;
}

const SHOWN_MS = 5000;
/** A failure stays until it has been read. */
const SHOWN_BAD_MS = 15_000;
const MESSAGES_MAX = 4;

let messages: Message[] = [];
let next = 1;
const listeners = new Set<() => void>();

function change(to: Message[]): void {
  messages = to;
  for (const listener of listeners) listener();
}

export function announce(text: string, tone: Tone = 'ok'): void {
  const id = next++;
  change([...messages, { id, text, tone }].slice(-MESSAGES_MAX));
  setTimeout(() => dismiss(id), tone === 'bad' ? SHOWN_BAD_MS : SHOWN_MS);
}

function dismiss(id: number): void {
  change(messages.filter((message) => message.id !== id));
}

export function Announcements() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => messages,
  );
  return (
    <div className={classes.place} role="status" aria-live="polite">
      {shown.map((message) => (
        <div key={message.id} className={classes.message}>
          <Shape tone={message.tone} />
          <span className="grow wrap">{message.text}</span>
          <ActionIcon size={20} aria-label={t.common.dismiss} onClick={() => dismiss(message.id)}>
            <Icon name="close" size={12} />
          </ActionIcon>
        </div>
      ))}
    </div>
  );
}
