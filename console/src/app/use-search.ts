// The checked search parameters of a page. The router keeps what `validateSearch` drops in the match of a page,
// so a page reads them through the same parser again.
import { useMemo } from 'react';

export function useChecked<T>(raw: object, parse: (raw: Record<string, unknown>) => T): T {
  return useMemo(() => parse(raw as Record<string, unknown>), [raw, parse]);
}
