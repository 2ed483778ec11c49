// The list below a search field: moved through with the arrows, opened with Enter.
import { type KeyboardEvent } from 'react';
import { Icon } from '~/components/icon';
import { PresenceState } from '~/components/presence';
import type { Found } from './finder';
import classes from './found-list.module.css';

export function FoundList({ id, items, active, onActive, onRun }: { id: string; items: Found[]; active: number; onActive: (i: number) => void; onRun: (item: Found) => void }) {
  return (
    <div id={id} role="listbox" className={classes.list}>
      {items.map((item, i) => (
        <div
          key={item.id}
          id={`${id}-${i}`}
          role="option"
          aria-selected={i === active}
          className={classes.item}
          onMouseMove={() => onActive(i)}
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => onRun(item)}
          ref={i === active ? (element) => element?.scrollIntoView({ block: 'nearest' }) : undefined}
        >
          <Icon name={item.icon} />
          <span className="ellipsis" style={{ flex: 'none', maxWidth: '60%' }}>{item.label}</span>
          {item.detail ? <span className="ellipsis dim small grow">{item.detail}</span> : <span className="grow" />}
          {item.device ? <PresenceState presence={item.device.presence} /> : null}
          {item.keys ? <kbd>{item.keys}</kbd> : null}
        </div>
      ))}
    </div>
  );
}

/** The keys of such a field; returns true when the key was taken. */
export function foundKeys(event: KeyboardEvent, count: number, active: number, onActive: (i: number) => void, onEnter: () => void): boolean {
  if (event.key === 'ArrowDown') onActive(count === 0 ? 0 : (active + 1) % count);
  else if (event.key === 'ArrowUp') onActive(count === 0 ? 0 : (active - 1 + count) % count);
  else if (event.key === 'Enter') onEnter();
  else return false;
  event.preventDefault();
  return true;
}
