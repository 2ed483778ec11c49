// What opens below a field or button and lies over the page; its parent has `position: relative`.
import type { ReactNode } from 'react';
import classes from './drop.module.css';

export function Drop({ end = false, className = '', children }: { end?: boolean; className?: string; children: ReactNode }) {
  return <div className={`${classes.drop} ${className}`} data-end={end || undefined}>{children}</div>;
}
