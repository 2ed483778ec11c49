// How far something is, as a bar; the words beside it are the caller's.
import classes from './progress.module.css';

export function Progress({ label, done, all }: { label: string; done: number; all: number | undefined }) {
  const part = all ? Math.min(1, done / all) : undefined;
  return (
    <div className={classes.bar} role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={part === undefined ? undefined : Math.floor(part * 100)}>
      <div className={classes.done} style={{ width: `${(part ?? 0) * 100}%` }} />
    </div>
  );
}
