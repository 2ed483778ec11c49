// A value people want elsewhere: shown in full, copied with one click.
import { ActionIcon } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import { announce } from '~/app/announce';
import { t } from '~/text';
import { Icon } from './icon';
import { Tooltip } from './tooltip';

const SHOWN_MS = 1500;

/** Puts text on the clipboard, also where the page is served without TLS from another machine. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement('textarea');
    area.value = text;
    area.style.position = 'fixed';
    area.style.opacity = '0';
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    return done;
  }
}

export function CopyButton({ value, label }: { value: string; label: string }) {
  const [copied, setCopied] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const name = copied ? t.common.copied : t.common.copy(label);
  return (
    <Tooltip label={name}>
      <ActionIcon
        size={20}
        aria-label={name}
        onClick={async (event) => {
          event.stopPropagation();
          event.preventDefault();
          if (!(await copyText(value))) {
            announce(t.common.copyFailed, 'bad');
            return;
          }
          setCopied(true);
          clearTimeout(timer.current);
          timer.current = setTimeout(() => setCopied(false), SHOWN_MS);
        }}
      >
        <Icon name={copied ? 'check' : 'copy'} size={13} />
      </ActionIcon>
    </Tooltip>
  );
}

export function Copyable({ value, label, mono = true }: { value: string; label: string; mono?: boolean }) {
  return (
    <span className="row tight" style={{ display: 'inline-flex', maxWidth: '100%' }}>
      <span className={mono ? 'mono ellipsis' : 'ellipsis'} title={value}>{value}</span>
      <CopyButton value={value} label={label} />
    </span>
  );
}
