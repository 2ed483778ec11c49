// What went over the wire for an operation.
import { Button, Skeleton } from '@mantine/core';
import { useInfiniteQuery } from '@tanstack/react-query';
import { isFinal, transcriptQuery, type Operation } from '~/api/operations';
import { t } from '~/text';
import { Conversation } from './conversation';
import { Failure } from './notice';

export function Transcript({ operation }: { operation: Operation }) {
  const o = t.operations;
  const list = useInfiniteQuery(transcriptQuery(operation.id));
  const entries = list.data?.pages.flatMap((page) => page.items);
  return (
    <>
      <Conversation entries={entries}>
        {list.error ? <Failure error={list.error} retry={() => void list.refetch()} /> : null}
        {!entries && !list.error ? <div className="stack" aria-busy="true"><Skeleton height={26} /><Skeleton height={26} /></div> : null}
        {entries?.length === 0 ? <p className="dim">{!isFinal(operation.state) ? o.transcriptEmpty : operation.attempts === 0 ? o.transcriptNone : o.transcriptLost}</p> : null}
      </Conversation>
      {list.hasNextPage ? <div><Button size="compact-sm" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>{t.common.more}</Button></div> : null}
    </>
  );
}
