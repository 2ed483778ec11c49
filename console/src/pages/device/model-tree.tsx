// The objects of a device as a tree: opened level by level, moved through with the arrow keys.
import { Skeleton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, useState, type KeyboardEvent } from 'react';
import { GATEWAY_ROOT, modelQuery, modelSearchQuery } from '~/api/devices';
import { Icon } from '~/components/icon';
import { Failure } from '~/components/notice';
import { t } from '~/text';
import { chain, lastName } from './paths';
import classes from './model.module.css';

export function ModelTree({ device, mayBeOld, chosen, onChoose }: { device: string; mayBeOld: boolean; chosen: string; onChoose: (path: string) => void }) {
  const [open, setOpen] = useState<Set<string>>(() => new Set(chain(chosen)));
  const tree = useRef<HTMLUListElement>(null);
  // Whether it has anything under that root: a search is answered also where there is nothing.
  const gateway = useQuery({ ...modelSearchQuery(device, GATEWAY_ROOT, 1), enabled: mayBeOld, staleTime: 60_000 });
  const old = gateway.data?.items.some((hit) => hit.path.startsWith(GATEWAY_ROOT));

  useEffect(() => {
    // Whatever is chosen elsewhere (a search hit, a link) is visible here.
    setOpen((old) => (chain(chosen).every((path) => old.has(path)) ? old : new Set([...old, ...chain(chosen)])));
  }, [chosen]);

  const toggle = (path: string, to: boolean) =>
    setOpen((old) => {
      const next = new Set(old);
      if (to) next.add(path);
      else next.delete(path);
      return next;
    });

  function onKeyDown(event: KeyboardEvent): void {
    const items = [...(tree.current?.querySelectorAll<HTMLElement>('[data-tree-row]') ?? [])];
    const at = items.findIndex((item) => item === document.activeElement);
    const path = items[at]?.dataset.treeRow;
    if (path === undefined) return;
    if (event.key === 'ArrowDown') items[at + 1]?.focus();
    else if (event.key === 'ArrowUp') items[at - 1]?.focus();
    else if (event.key === 'Home') items[0]?.focus();
    else if (event.key === 'End') items[items.length - 1]?.focus();
    else if (event.key === 'ArrowRight') {
      if (!open.has(path)) toggle(path, true);
      else items[at + 1]?.focus();
    } else if (event.key === 'ArrowLeft') {
      if (open.has(path)) toggle(path, false);
      else items.slice(0, at).reverse().find((item) => path.startsWith(item.dataset.treeRow ?? '-'))?.focus();
    } else if (event.key === 'Enter' || event.key === ' ') onChoose(path);
    else return;
    event.preventDefault();
  }

  return (
    <ul ref={tree} role="tree" aria-label={t.model.tree} className={classes.tree} onKeyDown={onKeyDown}>
      <Branch device={device} path="Device." name="Device" level={1} expandable open={open} chosen={chosen} onChoose={onChoose} toggle={toggle} />
      {old ? <Branch device={device} path={GATEWAY_ROOT} name={lastName(GATEWAY_ROOT)} hint={t.model.gatewayRoot} level={1} expandable open={open} chosen={chosen} onChoose={onChoose} toggle={toggle} /> : null}
    </ul>
  );
}

interface BranchProps {
  device: string;
  path: string;
  name: string;
  hint?: string;
  count?: number;
  level: number;
  expandable: boolean;
  open: Set<string>;
  chosen: string;
  onChoose: (path: string) => void;
  toggle: (path: string, to: boolean) => void;
}

function Branch(props: BranchProps) {
  const { device, path, name, hint, count, level, expandable, open, chosen, onChoose, toggle } = props;
  const isOpen = expandable && open.has(path);
  const node = useQuery({ ...modelQuery(device, path), enabled: isOpen, staleTime: 60_000 });
  const down = { device, open, chosen, onChoose, toggle, level: level + 1 };
  const leaf = node.data !== undefined && node.data.objects.length === 0 && node.data.instances.length === 0;
  const row = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (chosen === path) row.current?.scrollIntoView({ block: 'nearest' });
  }, [chosen, path]);
  return (
    <li role="treeitem" aria-expanded={expandable && !leaf ? isOpen : undefined} aria-selected={chosen === path} aria-level={level} aria-label={hint ? `${name} ${hint}` : name}>
      <div
        ref={row}
        className={classes.treeRow}
        data-tree-row={path}
        data-chosen={chosen === path || undefined}
        tabIndex={chosen === path || (path === 'Device.' && !chosen.startsWith('Device.') && !chosen.startsWith(GATEWAY_ROOT)) ? 0 : -1}
        style={{ paddingLeft: 6 + (level - 1) * 14 }}
        onClick={() => onChoose(path)}
        onDoubleClick={() => toggle(path, !isOpen)}
      >
        <span
          className={classes.twist}
          aria-hidden="true"
          onClick={(event) => {
            event.stopPropagation();
            toggle(path, !isOpen);
          }}
        >
          {expandable && !leaf ? <Icon name={isOpen ? 'down' : 'right'} size={11} /> : null}
        </span>
        <span className="mono nowrap">{name}</span>
        {hint ? <span className="dim small ellipsis">{hint}</span> : null}
        {count !== undefined ? <span className="dim small num">{count}</span> : null}
      </div>
      {isOpen && !leaf ? (
        <ul role="group">
          {node.error ? <li role="none" style={{ padding: 8 }}><Failure error={node.error} retry={() => void node.refetch()} /></li> : null}
          {!node.data && !node.error ? <li role="none" style={{ padding: `6px 0 6px ${level * 14 + 26}px` }}><Skeleton height={9} width={110} /></li> : null}
          {node.data?.instances.map((row) => (
            <Branch key={row.path} {...down} path={row.path} name={lastName(row.path)} hint={row.hint ?? undefined} expandable />
          ))}
          {node.data?.objects.map((object) => (
            <Branch key={object.path} {...down} path={object.path} name={object.name} count={object.table ? (object.instances ?? undefined) : undefined} expandable />
          ))}
        </ul>
      ) : null}
    </li>
  );
}
