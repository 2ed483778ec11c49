// A small word that groups things.
import type { ReactNode } from 'react';
import classes from './tag.module.css';

export function Tag({ children, title }: { children: ReactNode; title?: string }) {
  return <span className={classes.tag} title={title}>{children}</span>;
}
