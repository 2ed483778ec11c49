// Agents that say on the server's own network that they are there.
import { queryOptions } from '@tanstack/react-query';
import { client, need, type Schemas } from './client';

export type LanAgent = Schemas['LanAgent'];

export const lanAgentsQuery = queryOptions({
  queryKey: ['discovery', 'agents'],
  queryFn: ({ signal }) => need(client.GET('/api/v1/discovery/agents', { signal })),
  refetchInterval: 5_000,
});
