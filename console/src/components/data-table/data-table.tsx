// The table everything is listed in: sticky header, chosen and resized columns, only the visible rows in the
// document, more pages fetched before the end is reached, keys to move and open, a flash where a row changed.
import { useVirtualizer } from '@tanstack/react-virtual';
import { memo, useEffect, useId, useRef, useState, type CSSProperties, type KeyboardEvent, type ReactNode } from 'react';
import { Skeleton } from '@mantine/core';
import { t } from '~/text';
import { Icon } from '../icon';
import type { Column, Columns } from './columns';
import classes from './data-table.module.css';

const ROW_HEIGHT = 32;
const OVERSCAN_ROWS = 12;
/** How many rows before the end the next page is asked for: about two screens. */
const FETCH_AHEAD_ROWS = 60;
const SKELETON_ROWS = 14;

export interface Sort {
  by: string;
  descending: boolean;
}

interface Props<Row> {
  label: string;
  columns: Columns<Row>;
  rows: Row[] | undefined;
  rowId: (row: Row) => string;
  onOpen?: (row: Row) => void;
  /** Changes when something in the row changed that deserves a flash. */
  flashKey?: (row: Row) => string;
  total?: number;
  hasMore?: boolean;
  loadMore?: () => void;
  loadingMore?: boolean;
  sort?: Sort;
  onSort?: (sort: Sort) => void;
  empty: ReactNode;
  failed?: ReactNode;
  /** Takes the keyboard when the page opens. */
  autoFocus?: boolean;
}

export function DataTable<Row>(props: Props<Row>) {
  const { label, columns, rows, rowId, onOpen, hasMore, loadMore, loadingMore, sort, onSort } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const base = useId();
  const [active, setActive] = useState(-1);
  const count = rows?.length ?? 0;
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: OVERSCAN_ROWS,
    paddingStart: ROW_HEIGHT,
    scrollPaddingStart: ROW_HEIGHT,
  });
  const items = virtual.getVirtualItems();
  const last = items[items.length - 1]?.index ?? 0;

  useEffect(() => {
    if (hasMore && !loadingMore && loadMore && count > 0 && last >= count - FETCH_AHEAD_ROWS) loadMore();
  }, [hasMore, loadingMore, loadMore, count, last]);

  useEffect(() => {
    if (props.autoFocus && document.activeElement === document.body) scroller.current?.focus({ preventScroll: true });
  }, [props.autoFocus]);

  const visible = columns.visible;
  const width = visible.reduce((sum, column) => sum + column.width, 0);
  const template = visible.map((column, i) => (i === visible.length - 1 ? `minmax(${column.width}px, 1fr)` : `${column.width}px`)).join(' ');

  function move(to: number): void {
    if (count === 0) return;
    const next = Math.max(0, Math.min(count - 1, to));
    setActive(next);
    virtual.scrollToIndex(next);
  }

  function onKeyDown(event: KeyboardEvent<HTMLDivElement>): void {
    if (event.target !== scroller.current || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor((scroller.current.clientHeight - ROW_HEIGHT) / ROW_HEIGHT) - 1);
    const row = rows?.[active];
    if (event.key === 'ArrowDown' || event.key === 'j') move(active + 1);
    else if (event.key === 'ArrowUp' || event.key === 'k') move(active - 1);
    else if (event.key === 'PageDown') move(active + page);
    else if (event.key === 'PageUp') move(active - page);
    else if (event.key === 'Home') move(0);
    else if (event.key === 'End') move(count - 1);
    else if (event.key === 'Enter' && row && onOpen) onOpen(row);
    else return;
    event.preventDefault();
  }

  const vars = { '--table-columns': template, '--table-width': `${width}px` } as CSSProperties;
  return (
    <div
      ref={scroller}
      className={classes.scroller}
      role="grid"
      aria-label={label}
      aria-rowcount={props.total ?? (hasMore ? -1 : count + 1)}
      aria-colcount={visible.length}
      aria-busy={rows === undefined || undefined}
      aria-activedescendant={active >= 0 && active < count ? `${base}-${active}` : undefined}
      tabIndex={0}
      onKeyDown={onKeyDown}
      onScroll={(event) => event.currentTarget.toggleAttribute('data-scrolled', event.currentTarget.scrollLeft > 0)}
      style={vars}
      data-page-table
    >
      <div className={classes.body} style={{ height: rows === undefined ? ROW_HEIGHT * (SKELETON_ROWS + 1) : Math.max(virtual.getTotalSize(), ROW_HEIGHT) }}>
        <div className={classes.header} role="row" aria-rowindex={1}>
          {visible.map((column) => (
            <HeaderCell key={column.id} column={column} columns={columns} sort={sort} onSort={onSort} />
          ))}
        </div>
        {rows === undefined && !props.failed && Array.from({ length: SKELETON_ROWS }, (_, i) => (
          <div key={i} className={classes.row} style={{ transform: `translateY(${(i + 1) * ROW_HEIGHT}px)` }} aria-hidden="true">
            {visible.map((column) => (
              <div key={column.id} className={classes.cell}><Skeleton height={9} width={`${45 + ((i * 17 + column.width) % 45)}%`} radius={3} /></div>
            ))}
          </div>
        ))}
        {items.map((item) => {
          const row = rows?.[item.index];
          if (row === undefined) return null;
          return (
            <TableRow
              key={rowId(row)}
              id={`${base}-${item.index}`}
              row={row as unknown}
              index={item.index}
              start={item.start}
              columns={visible as Column<unknown>[]}
              active={item.index === active}
              flash={props.flashKey?.(row)}
              open={onOpen as ((row: unknown) => void) | undefined}
              onActive={setActive}
            />
          );
        })}
      </div>
      {/* What is said in the place of rows is in a row too: a grid has nothing else. */}
      {rows === undefined && props.failed ? <div role="row"><div role="gridcell" className={classes.notice}>{props.failed}</div></div> : null}
      {rows !== undefined && count === 0 ? <div role="row"><div role="gridcell" className={classes.notice}>{props.empty}</div></div> : null}
      {loadingMore && count > 0 ? <div role="row" className={classes.more}><div role="gridcell" aria-live="polite">{t.common.loadingMore}</div></div> : null}
    </div>
  );
}

interface RowProps {
  id: string;
  row: unknown;
  index: number;
  start: number;
  columns: Column<unknown>[];
  active: boolean;
  flash: string | undefined;
  open: ((row: unknown) => void) | undefined;
  onActive: (index: number) => void;
}

const TableRow = memo(function TableRow({ id, row, index, start, columns, active, flash, open, onActive }: RowProps) {
  const element = useRef<HTMLDivElement>(null);
  const before = useRef(flash);
  useEffect(() => {
    if (before.current === flash) return;
    before.current = flash;
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) return;
    element.current?.animate([{ backgroundColor: 'var(--flash)' }, { backgroundColor: 'var(--flash)', offset: 0.25 }, {}], { duration: 1400, easing: 'ease-out' });
  }, [flash]);
  return (
    <div
      ref={element}
      id={id}
      className={classes.row}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={active || undefined}
      data-clickable={open ? true : undefined}
      style={{ transform: `translateY(${start}px)` }}
      onClick={(event) => {
        onActive(index);
        if (!open || (event.target as HTMLElement).closest('a, button, input') || getSelection()?.type === 'Range') return;
        open(row);
      }}
    >
      {columns.map((column) => (
        <div key={column.id} className={classes.cell} role="gridcell" data-align={column.align}>
          {column.cell(row)}
        </div>
      ))}
    </div>
  );
});

function HeaderCell<Row>({ column, columns, sort, onSort }: { column: Column<Row>; columns: Columns<Row>; sort?: Sort; onSort?: (sort: Sort) => void }) {
  const sorted = column.sort !== undefined && sort?.by === column.sort ? sort : undefined;
  const direction = sorted ? (sorted.descending ? 'descending' : 'ascending') : undefined;
  return (
    <div className={classes.head} role="columnheader" aria-sort={direction} data-align={column.align}>
      {column.sort !== undefined && onSort ? (
        <button
          type="button"
          className={classes.sort}
          title={t.table.sortBy(column.header)}
          onClick={() => onSort({ by: column.sort ?? '', descending: sorted ? !sorted.descending : false })}
        >
          <span className="ellipsis">{column.header}</span>
          {sorted && <Icon name={sorted.descending ? 'down' : 'up'} size={11} />}
        </button>
      ) : (
        <span className="ellipsis" title={column.header}>{column.header}</span>
      )}
      <Grip column={column} columns={columns} />
    </div>
  );
}

const KEY_STEP_PX = 16;

function Grip<Row>({ column, columns }: { column: Column<Row>; columns: Columns<Row> }) {
  return (
    <div
      className={classes.grip}
      role="separator"
      aria-orientation="vertical"
      aria-label={t.table.resize(column.header)}
      aria-valuenow={column.width}
      tabIndex={0}
      onDoubleClick={() => columns.resetWidth(column.id)}
      onKeyDown={(event) => {
        if (event.key === 'ArrowLeft') columns.resize(column.id, column.width - KEY_STEP_PX);
        else if (event.key === 'ArrowRight') columns.resize(column.id, column.width + KEY_STEP_PX);
        else return;
        event.preventDefault();
      }}
      onPointerDown={(event) => {
        event.preventDefault();
        const from = event.clientX;
        const grip = event.currentTarget;
        grip.setPointerCapture(event.pointerId);
        const move = (e: PointerEvent) => columns.resize(column.id, column.width + e.clientX - from);
        grip.addEventListener('pointermove', move);
        grip.addEventListener('lostpointercapture', () => grip.removeEventListener('pointermove', move), { once: true });
      }}
    />
  );
}
