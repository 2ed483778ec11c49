// Something that is shown once: in full, to be copied now.
import { Button } from '@mantine/core';
import { useState } from 'react';
import { announce } from '~/app/announce';
import { t } from '~/text';
import { copyText } from './copy';
import { Icon } from './icon';
import classes from './secret.module.css';

export function Secret({ label, value, once = true }: { label: string; value: string; once?: boolean }) {
  const [copied, setCopied] = useState(false);
  return (
    <div className="stack tight">
      <span className={classes.label}>{label}</span>
      <div className={classes.box}>
        <code className="mono wrap grow" aria-label={label}>{value}</code>
        <Button
          size="compact-sm"
          leftSection={<Icon name={copied ? 'check' : 'copy'} size={13} />}
          onClick={async () => {
            if (await copyText(value)) setCopied(true);
            else announce(t.common.copyFailed, 'bad');
          }}
        >
          {copied ? t.common.copied : t.common.copy('').trim()}
        </Button>
      </div>
      {once ? <span className="dim small">{t.common.shownOnce}</span> : null}
    </div>
  );
}

/** Several lines to paste into a file. */
export function Snippet({ label, text }: { label: string; text: string }) {
  return (
    <div className="stack tight">
      <span className={classes.label}>{label}</span>
      <div className={classes.box}>
        <pre className={`mono grow ${classes.pre}`}>{text}</pre>
        <Button size="compact-sm" onClick={async () => announce((await copyText(text)) ? t.common.copied : t.common.copyFailed)}>
          {t.common.copy('').trim()}
        </Button>
      </div>
    </div>
  );
}
