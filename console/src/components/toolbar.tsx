// The line above a list: what it is, its filter, its actions.
import type { ReactNode } from 'react';
import classes from './toolbar.module.css';

export function Toolbar({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className={classes.bar}>
      <h1 className="sr-only">{title}</h1>
      {children}
    </div>
  );
}
