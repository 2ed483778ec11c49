// Reading from the device now: a get operation, followed until it ends; what it read then shows by itself.
import { ActionIcon } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';
import { apply, freshKey, isFinal, operationQuery } from '~/api/operations';
import { asProblem } from '~/api/problem';
import { useMay } from '~/api/session';
import { announce } from '~/app/announce';
import { Icon } from '~/components/icon';
import { Tooltip } from '~/components/tooltip';
import { t } from '~/text';

/** A reading nobody waits for any longer than this is not worth waiting for on the device either. */
const READ_EXPIRY_SECONDS = 3600;

export function useReadNow(device: string, paths: string[]) {
  const queries = useQueryClient();
  const start = useMutation({
    mutationFn: () => apply(device, { kind: 'get', paths }, freshKey(), undefined, READ_EXPIRY_SECONDS),
    onError: (error) => announce(`${t.model.readFailed}: ${asProblem(error).message}`, 'bad'),
  });
  const id = start.data?.id ?? '';
  const operation = useQuery({ ...operationQuery(id), enabled: id !== '' });
  const state = operation.data?.state ?? start.data?.state;
  const told = useRef('');
  useEffect(() => {
    const op = operation.data;
    if (!op || !isFinal(op.state) || told.current === op.id) return;
    told.current = op.id;
    for (const part of ['values', 'model', 'detail']) void queries.invalidateQueries({ queryKey: ['device', device, part] });
    if (op.state !== 'succeeded') announce(`${t.model.readFailed}: ${op.state_words}`, op.state === 'partly' ? 'warn' : 'bad');
  }, [operation.data, queries, device]);
  const busy = start.isPending || (state !== undefined && !isFinal(state));
  return { busy, waits: state === 'queued', start: () => !busy && start.mutate() };
}

/** The button beside values: read them now. */
export function ReadNow({ device, paths, name }: { device: string; paths: string[]; name: string }) {
  const mayNot = useMay('operation:run');
  const read = useReadNow(device, paths);
  const words = mayNot ?? (read.busy ? (read.waits ? t.model.readWaits : t.model.reading) : t.model.readNow);
  return (
    <Tooltip label={words}>
      <ActionIcon
        size={22}
        aria-label={`${t.model.readNow}: ${name}`}
        aria-disabled={mayNot !== undefined || undefined}
        data-disabled={mayNot !== undefined || undefined}
        loading={read.busy}
        loaderProps={{ size: 12 }}
        onClick={() => mayNot === undefined && read.start()}
      >
        <Icon name="refresh" size={13} />
      </ActionIcon>
    </Tooltip>
  );
}
