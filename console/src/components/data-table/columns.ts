// Which columns a table shows and how wide they are: defaults from the page, changes by the person,
// remembered in this browser per table.
import type { ReactNode } from 'react';
import { useCallback, useMemo, useState } from 'react';

export interface Column<Row> {
  id: string;
  header: string;
  /** The header with its unit etc. for the column menu, when it differs. */
  menuLabel?: string;
  width: number;
  align?: 'end';
  /** The server's name of this column for sorting; absent means it cannot be sorted by. */
  sort?: string;
  /** Always shown: the column that names the row. */
  fixed?: boolean;
  /** Not shown until chosen. */
  hidden?: boolean;
  cell: (row: Row) => ReactNode;
}

export interface ColumnState {
  shown: Record<string, boolean>;
  widths: Record<string, number>;
}

export const WIDTH_MIN = 56;
export const WIDTH_MAX = 900;

const nothing: ColumnState = { shown: {}, widths: {} };

/** What was stored, as far as it makes sense. Pure, so that a bad entry cannot break a page. */
export function parseColumnState(text: string | null): ColumnState {
  if (!text) return nothing;
  try {
    const found = JSON.parse(text) as Partial<ColumnState> | null;
    const shown: Record<string, boolean> = {};
    const widths: Record<string, number> = {};
    for (const [id, value] of Object.entries(found?.shown ?? {})) {
      if (typeof value === 'boolean') shown[id] = value;
    }
    for (const [id, value] of Object.entries(found?.widths ?? {})) {
      if (typeof value === 'number' && Number.isFinite(value)) widths[id] = clampWidth(value);
    }
    return { shown, widths };
  } catch {
    return nothing;
  }
}

export function clampWidth(width: number): number {
  return Math.round(Math.min(WIDTH_MAX, Math.max(WIDTH_MIN, width)));
}

/** The columns to draw, in the page's order, with the person's widths. */
export function visibleColumns<Row>(all: Column<Row>[], state: ColumnState): Column<Row>[] {
  return all
    .filter((column) => column.fixed || (state.shown[column.id] ?? !column.hidden))
    .map((column) => ({ ...column, width: state.widths[column.id] ?? column.width }));
}

export function useColumns<Row>(table: string, all: Column<Row>[]) {
  const key = `headend.columns.${table}`;
  const [state, setState] = useState<ColumnState>(() => parseColumnState(read(key)));
  const change = useCallback(
    (next: (old: ColumnState) => ColumnState) =>
      setState((old) => {
        const to = next(old);
        write(key, to);
        return to;
      }),
    [key],
  );
  const visible = useMemo(() => visibleColumns(all, state), [all, state]);
  return {
    all,
    visible,
    isShown: (column: Column<Row>) => column.fixed === true || (state.shown[column.id] ?? !column.hidden),
    show: (id: string, shown: boolean) => change((old) => ({ ...old, shown: { ...old.shown, [id]: shown } })),
    resize: (id: string, width: number) => change((old) => ({ ...old, widths: { ...old.widths, [id]: clampWidth(width) } })),
    resetWidth: (id: string) =>
      change((old) => {
        const { [id]: _, ...widths } = old.widths;
        return { ...old, widths };
      }),
    reset: () => change(() => nothing),
  };
}

export type Columns<Row> = ReturnType<typeof useColumns<Row>>;

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key: string, state: ColumnState): void {
  try {
    localStorage.setItem(key, JSON.stringify(state));
  } catch {
    // Storage can be full or forbidden; the choice then lasts as long as the page.
  }
}
