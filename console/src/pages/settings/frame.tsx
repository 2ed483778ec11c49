// What the pages of the settings have in common.
import { Skeleton } from '@mantine/core';
import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { useTitle } from '~/app/crumbs';
import { Failure } from '~/components/notice';
import table from '~/components/plain-table.module.css';
import classes from './settings.module.css';

export function SettingsFrame({ title, intro, action, children }: { title: string; intro?: string; action?: ReactNode; children: ReactNode }) {
  useTitle(title);
  return (
    <div className={classes.page}>
      <div className={classes.head}>
        <div className="stack tight grow"><h1>{title}</h1>{intro ? <p className="dim">{intro}</p> : null}</div>
        {action}
      </div>
      {children}
    </div>
  );
}

/** A short list from one query as a plain table. */
export function ListTable<T>({ query, head, ends = [], empty, label, children }: { query: UseQueryResult<{ items: T[] }>; head: string[]; ends?: number[]; empty: ReactNode; label: string; children: (item: T) => ReactNode }) {
  if (query.error && !query.data) return <Failure error={query.error} retry={() => void query.refetch()} />;
  if (!query.data) return <div className="stack" aria-busy="true">{Array.from({ length: 4 }, (_, i) => <Skeleton key={i} height={14} />)}</div>;
  if (query.data.items.length === 0) return <div className={classes.box}>{empty}</div>;
  return (
    <div className={classes.box}>
      <table className={table.table} aria-label={label}>
        <thead><tr>{head.map((name, i) => <th key={i} scope="col" className={ends.includes(i) ? table.end : undefined}>{name === '' ? <span className="sr-only">-</span> : name}</th>)}</tr></thead>
        <tbody>{query.data.items.map(children)}</tbody>
      </table>
    </div>
  );
}

export function Facts({ facts }: { facts: [string, ReactNode][] }) {
  return (
    <dl className={classes.facts}>
      {facts.filter(([, value]) => value !== undefined && value !== null).map(([name, value]) => <div key={name}><dt>{name}</dt><dd className="wrap">{value}</dd></div>)}
    </dl>
  );
}
