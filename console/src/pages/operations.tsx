// All operations, newest first, by state.
import { Button } from '@mantine/core';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { operationStates, type OperationState } from '~/api/operations';
import { useTitle } from '~/app/crumbs';
import { parseOperationsSearch, type OperationsSearch } from '~/app/search-params';
import { useChecked } from '~/app/use-search';
import { SegmentedControl } from '~/components/mantine/segmented';
import { Select } from '~/components/mantine/select';
import { Empty } from '~/components/notice';
import { Toolbar } from '~/components/toolbar';
import { t } from '~/text';
import { OperationTable, useOperations } from './operations/table';

const route = getRouteApi('/inside/operations');

const groups: Record<string, OperationState[] | undefined> = {
  all: undefined,
  open: ['queued', 'running', 'verifying'],
  problems: ['partly', 'failed', 'expired', 'unconfirmed'],
};

export function OperationsPage() {
  const search = useChecked(route.useSearch(), parseOperationsSearch);
  const navigate = useNavigate();
  const { total } = useOperations(search);
  useTitle(undefined);
  const set = (next: OperationsSearch) => void navigate({ to: '/operations', search: next, replace: true });
  const group = Object.entries(groups).find(([, states]) => JSON.stringify(states) === JSON.stringify(search.state))?.[0] ?? '';
  const o = t.operations;
  return (
    <>
      <Toolbar title={o.title}>
        <SegmentedControl
          aria-label={o.filterState}
          value={group}
          onChange={(value) => set({ ...search, state: groups[value] })}
          data={[
            { value: 'all', label: o.allStates },
            { value: 'open', label: o.openStates },
            { value: 'problems', label: o.problemStates },
          ]}
        />
        <Select
          aria-label={o.filterState}
          placeholder={o.filterState}
          value={search.state?.length === 1 ? (search.state[0] ?? null) : null}
          data={operationStates.map((state) => ({ value: state, label: o.states[state] }))}
          onChange={(state) => set({ ...search, state: state ? [state as OperationState] : undefined })}
          clearable
          w={150}
        />
        {search.device_id ? <Button onClick={() => set({ ...search, device_id: undefined })}>{o.ofDevice}: {o.clear}</Button> : null}
        {search.user_id ? <Button onClick={() => set({ ...search, user_id: undefined })}>{o.ofUser}: {o.clear}</Button> : null}
        <span className="grow" />
        <span className="dim num nowrap" role="status">{total ? o.count(total.value, total.exact) : ''}</span>
      </Toolbar>
      <OperationTable
        id="operations"
        filter={search}
        autoFocus
        empty={
          search.state || search.device_id || search.user_id ? (
            <Empty title={o.noMatch} action={<Button onClick={() => set({})}>{o.clear}</Button>} />
          ) : (
            <Empty title={o.empty}><p>{o.emptyDetail}</p></Empty>
          )
        }
      />
    </>
  );
}
