// A value that can be changed in its place: shows what is staged beside what is, and stages an edit.
import { ActionIcon, Button } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import type { ValueType } from '~/api/devices';
import { Icon } from '~/components/icon';
import { Tooltip } from '~/components/tooltip';
import { t } from '~/text';
import type { Staging } from './staging';
import { checkValue } from './value-check';
import { ValueEditor } from './value-editor';
import classes from './editable.module.css';

interface Props {
  path: string;
  name: string;
  value: string | undefined;
  /** How the value is shown, when not as it is. */
  shown?: React.ReactNode;
  type?: ValueType | null;
  secret?: boolean;
  staging: Staging;
  /** Why it cannot be changed; undefined when it can. */
  readOnly?: string;
  /** Told when editing begins and ends, so that the place can make room. */
  onEditing?: (editing: boolean) => void;
}

export function Editable({ path, name, value, shown, type, secret, staging, readOnly, onEditing }: Props) {
  const [draft, setDraftOnly] = useState<string>();
  const pen = useRef<HTMLButtonElement>(null);
  const wasEditing = useRef(false);
  useEffect(() => {
    // Whoever works with the keyboard goes on from where editing began.
    if (wasEditing.current && draft === undefined) pen.current?.focus({ preventScroll: true });
    wasEditing.current = draft !== undefined;
  }, [draft]);
  const setDraft = (next: string | undefined) => {
    setDraftOnly(next);
    onEditing?.(next !== undefined);
  };
  const staged = staging.list.find((one) => one.kind === 'set' && one.path === path);
  const to = staged?.kind === 'set' ? staged.to : undefined;

  if (draft !== undefined) {
    const wrong = checkValue(type, draft);
    return (
      <form
        className={classes.form}
        onSubmit={(event) => {
          event.preventDefault();
          if (wrong) return;
          staging.stage({ kind: 'set', path, from: value, to: draft, secret: secret === true });
          setDraft(undefined);
        }}
        onKeyDown={(event) => {
          if (event.key === 'Escape') {
            event.stopPropagation();
            setDraft(undefined);
          }
        }}
      >
        <div className={classes.field}><ValueEditor type={type} label={t.model.newValue(name)} value={draft} onChange={setDraft} secret={secret} autoFocus /></div>
        <Button type="submit" size="compact-sm" variant="filled" disabled={wrong !== undefined}>{t.model.stage}</Button>
        <Button size="compact-sm" onClick={() => setDraft(undefined)}>{t.common.cancel}</Button>
      </form>
    );
  }
  return (
    <span className={classes.value}>
      {to !== undefined ? (
        <>
          <s className="dim ellipsis">{shown ?? text(value, secret)}</s>
          <Icon name="right" size={11} />
          <mark className={classes.staged}>{secret ? t.model.hidden : to === '' ? t.model.emptyValue : to}</mark>
        </>
      ) : (
        <span className="ellipsis" title={[secret ? '' : value, readOnly].filter(Boolean).join('. ') || undefined}>{shown ?? text(value, secret)}</span>
      )}
      {readOnly === undefined ? (
        <span className={classes.tools}>
          <Tooltip label={t.model.edit(name)}>
            <ActionIcon ref={pen} size={22} aria-label={t.model.edit(name)} onClick={() => setDraft(to ?? (secret ? '' : (value ?? '')))}><Icon name="edit" size={13} /></ActionIcon>
          </Tooltip>
          {to !== undefined ? (
            <Tooltip label={t.model.unstage(name)}>
              <ActionIcon size={22} aria-label={t.model.unstage(name)} onClick={() => staging.unstage(`set ${path}`)}><Icon name="undo" size={13} /></ActionIcon>
            </Tooltip>
          ) : null}
        </span>
      ) : null}
    </span>
  );
}

function text(value: string | undefined, secret: boolean | undefined): React.ReactNode {
  if (secret) return <span className="dim" title={t.model.secretHint}>{t.model.hidden}</span>;
  if (value === undefined) return <span className="dim">{t.model.notRead}</span>;
  if (value === '') return <span className="dim">{t.model.emptyValue}</span>;
  return value;
}
