// Chooses which columns a table shows.
import { ActionIcon, Checkbox, Popover, Tooltip, Button } from '@mantine/core';
import { t } from '~/text';
import { Icon } from '../icon';
import type { Columns } from './columns';

export function ColumnMenu<Row>({ columns }: { columns: Columns<Row> }) {
  return (
    <Popover position="bottom-end" trapFocus>
      <Popover.Target>
        <Tooltip label={t.table.columns}>
          <ActionIcon aria-label={t.table.columns}><Icon name="columns" /></ActionIcon>
        </Tooltip>
      </Popover.Target>
      <Popover.Dropdown>
        <div className="stack" role="group" aria-label={t.table.columns}>
          {columns.all.map((column) => (
            <Checkbox
              key={column.id}
              label={column.menuLabel ?? column.header}
              checked={columns.isShown(column)}
              disabled={column.fixed}
              onChange={(event) => columns.show(column.id, event.currentTarget.checked)}
            />
          ))}
          <Button size="compact-xs" onClick={columns.reset}>{t.table.resetColumns}</Button>
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}
