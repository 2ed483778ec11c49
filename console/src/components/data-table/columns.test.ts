import { describe, expect, it } from 'vitest';
import { clampWidth, parseColumnState, visibleColumns, WIDTH_MAX, WIDTH_MIN, type Column } from './columns';

const columns: Column<unknown>[] = [
  { id: 'name', header: 'Name', width: 200, fixed: true, cell: () => null },
  { id: 'model', header: 'Model', width: 120, cell: () => null },
  { id: 'mac', header: 'MAC', width: 140, hidden: true, cell: () => null },
];

describe('columns of a table', () => {
  it('shows the defaults when nothing was chosen', () => {
    expect(visibleColumns(columns, parseColumnState(null)).map((c) => c.id)).toEqual(['name', 'model']);
  });

  it('never hides the column that names the row', () => {
    const state = parseColumnState('{"shown":{"name":false,"mac":true}}');
    expect(visibleColumns(columns, state).map((c) => c.id)).toEqual(['name', 'model', 'mac']);
  });

  it('survives stored nonsense', () => {
    for (const text of ['', 'null', '[]', '{"widths":{"name":"wide"}}', '{', '7']) {
      expect(visibleColumns(columns, parseColumnState(text))[0]?.width).toBe(200);
    }
  });

  it('keeps widths within reason', () => {
    expect(clampWidth(1)).toBe(WIDTH_MIN);
    expect(clampWidth(99_999)).toBe(WIDTH_MAX);
  });
});
