// Chooses which columns a table shows.
import { ActionIcon, Button } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import { t } from '~/text';
import { Drop } from '../drop';
import { Icon } from '../icon';
import { Tooltip } from '../tooltip';
import type { Columns } from './columns';
import classes from './column-menu.module.css';

export function ColumnMenu<Row>({ columns }: { columns: Columns<Row> }) {
  const [open, setOpen] = useState(false);
  const place = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (open) place.current?.querySelector<HTMLInputElement>('input:enabled')?.focus();
  }, [open]);
  return (
    <div
      ref={place}
      className={classes.place}
      onBlur={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget)) setOpen(false);
      }}
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || !open) return;
        event.stopPropagation();
        setOpen(false);
        button.current?.focus();
      }}
    >
      <Tooltip label={t.table.columns} disabled={open}>
        <ActionIcon ref={button} aria-label={t.table.columns} aria-expanded={open} onClick={() => setOpen(!open)}><Icon name="columns" /></ActionIcon>
      </Tooltip>
      {open ? (
        <Drop end className={classes.list}>
          {/* A click beside a box keeps the focus here. */}
          <div className="stack" role="group" aria-label={t.table.columns} tabIndex={-1}>
            {columns.all.map((column) => (
              <label key={column.id} className={classes.choice}>
                <input type="checkbox" checked={columns.isShown(column)} disabled={column.fixed} onChange={(event) => columns.show(column.id, event.currentTarget.checked)} />
                {column.menuLabel ?? column.header}
              </label>
            ))}
            <Button size="compact-xs" onClick={columns.reset}>{t.table.resetColumns}</Button>
          </div>
        </Drop>
      ) : null}
    </div>
  );
}
