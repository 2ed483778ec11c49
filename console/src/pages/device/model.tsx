// The data model: the tree of objects at the left, the chosen object at the right, search over both names and values.
import { useDebouncedValue } from '@mantine/hooks';
import { queryOptions, useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { modelQuery, modelSearchQuery, type DeviceDetail } from '~/api/devices';
import { Icon } from '~/components/icon';
import { TextInput } from '~/components/mantine/text-input';
import { Failure } from '~/components/notice';
import { Tag } from '~/components/tag';
import { Ago } from '~/components/time';
import { t } from '~/text';
import { ModelNode } from './model-node';
import { ModelTree } from './model-tree';
import { above, firstRow, isOf, lastName, objectOf, openTable } from './paths';
import type { Staging } from './staging';
import classes from './model.module.css';

const TYPING_MS = 180;

/** The object that is meant by a path with "{i}"; asked again, as the tree is, when something was read. */
const firstRowQuery = (id: string, path: string) =>
  queryOptions({
    queryKey: ['device', id, 'model', path, 'row'],
    queryFn: ({ client }) => firstRow(path, async (table) => (await client.fetchQuery(modelQuery(id, table))).instances.map((row) => row.number)),
    enabled: openTable(path) !== undefined,
  });

export function Model({ device, staging, path = 'Device.', find = '' }: { device: DeviceDetail; staging: Staging; path?: string; find?: string }) {
  const navigate = useNavigate();
  const [typed, setTyped] = useState(find);
  const [q] = useDebouncedValue(typed.trim(), TYPING_MS);
  const go = (next: { path?: string; find?: string }) =>
    void navigate({ to: '/devices/$deviceId', params: { deviceId: device.id }, search: (old: object) => ({ ...old, ...next }), replace: true });

  // The address changed by itself (back, a link): the field follows.
  useEffect(() => {
    if (find !== q) setTyped(find);
  }, [find]);
  useEffect(() => {
    if (q !== find) go({ find: q || undefined });
  }, [q]);

  // What names any row (a search hit, a link) opens the first one there is.
  const row = useQuery(firstRowQuery(device.id, path));
  useEffect(() => {
    if (row.data !== undefined && row.data !== path) go({ path: row.data });
  }, [row.data, path]);
  const looking = row.isLoading || (row.data !== undefined && row.data !== path);

  return (
    <div className={classes.model}>
      <div className={classes.side}>
        <div className={classes.search}>
          <TextInput
            data-page-filter
            aria-label={t.model.search}
            placeholder={t.model.search}
            leftSection={<Icon name="search" size={14} />}
            value={typed}
            onChange={(e) => setTyped(e.currentTarget.value)}
            onKeyDown={(e) => e.key === 'Escape' && setTyped('')}
            spellCheck={false}
          />
        </div>
        {q ? (
          <Hits device={device.id} q={q} chosen={path} onChoose={(next) => go({ path: next })} />
        ) : (
          <ModelTree device={device.id} mayBeOld={device.protocols.includes('cwmp')} chosen={openTable(path) ?? path} onChoose={(next) => go({ path: next })} />
        )}
      </div>
      <div className={classes.node}>
        {looking ? <p className="dim">{t.common.loading}</p> : <ModelNode key={path} device={device} path={path} staging={staging} onGo={(next) => go({ path: next })} />}
      </div>
    </div>
  );
}

function Hits({ device, q, chosen, onChoose }: { device: string; q: string; chosen: string; onChoose: (path: string) => void }) {
  const hits = useQuery(modelSearchQuery(device, q));
  if (hits.error) return <div style={{ padding: 10 }}><Failure error={hits.error} retry={() => void hits.refetch()} /></div>;
  const items = hits.data?.items ?? [];
  return (
    <div className={classes.hits}>
      <div className="dim small" role="status" style={{ padding: '4px 12px' }}>{hits.data ? t.model.hits(items.length, hits.data.total?.value ?? items.length) : t.common.loading}</div>
      {hits.data && items.length === 0 ? <p className="dim" style={{ padding: '6px 12px' }}>{t.model.noHits}</p> : null}
      {items.map((hit) => (
        <button key={hit.path} type="button" className={classes.hit} aria-label={hit.path} aria-current={isOf(objectOf(hit.path), chosen) || undefined} data-absent={!hit.present || undefined} onClick={() => onChoose(objectOf(hit.path))}>
          <span className="row tight"><strong className="mono ellipsis">{lastName(hit.path)}</strong>{hit.path.endsWith('.') ? <Tag>{t.model.object}</Tag> : null}</span>
          <span className="mono dim small ellipsis" title={hit.path}>{above(hit.path) ?? ''}</span>
          {hit.value ? <span className="row small"><span className="ellipsis">{hit.value.value === '' ? t.model.emptyValue : hit.value.value}</span><span className="dim nowrap"><Ago at={hit.value.at} /></span></span> : null}
          {hit.present ? null : <span className="dim small">{t.model.absent}</span>}
        </button>
      ))}
      {items.length < (hits.data?.total?.value ?? 0) ? <p className="dim small" style={{ padding: '6px 12px' }}>{t.model.moreHits}</p> : null}
    </div>
  );
}
