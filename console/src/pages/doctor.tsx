// The connection doctor: what is wrong, in plain words with what to do, and the connections that were turned away.
import { Button, Skeleton } from '@mantine/core';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { getRouteApi, useNavigate } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { doctorQuery, refusalsQuery, type Severity } from '~/api/admin';
import { useTitle } from '~/app/crumbs';
import { parseDoctorSearch } from '~/app/search-params';
import { useChecked } from '~/app/use-search';
import { TextInput } from '~/components/mantine/text-input';
import { Empty, Failure } from '~/components/notice';
import { RefusalTable } from '~/components/refusals';
import { Shape, State, type Tone } from '~/components/state';
import { Ago } from '~/components/time';
import { t } from '~/text';
import classes from './doctor.module.css';

const route = getRouteApi('/inside/doctor');
const tones: Record<Severity, Tone> = { ok: 'ok', info: 'idle', warning: 'warn', problem: 'bad' };

export function DoctorPage() {
  const d = t.doctor;
  const { device = '' } = useChecked(route.useSearch(), parseDoctorSearch);
  const navigate = useNavigate();
  const [typed, setTyped] = useState(device);
  const found = useQuery(doctorQuery(device));
  useTitle(undefined);
  useEffect(() => setTyped(device), [device]);
  const look = (next: string) => void navigate({ to: '/doctor', search: { device: next || undefined } });
  return (
    <div className={classes.page}>
      <div className="stack tight">
        <h1>{d.title}</h1>
        <p className="dim">{d.intro}</p>
      </div>
      <form
        className="row"
        onSubmit={(event) => {
          event.preventDefault();
          if (typed.trim() === device) void found.refetch();
          else look(typed.trim());
        }}
      >
        <TextInput data-page-filter aria-label={d.device} placeholder={d.devicePlaceholder} value={typed} onChange={(e) => setTyped(e.currentTarget.value)} w={420} classNames={{ input: 'mono' }} spellCheck={false} />
        <Button type="submit" variant="filled" loading={found.isFetching}>{d.look}</Button>
        {device ? <Button onClick={() => look('')}>{d.clear}</Button> : null}
      </form>
      {found.error ? <Failure error={found.error} retry={() => void found.refetch()} /> : null}
      {!found.data && !found.error ? <div className="stack" aria-busy="true"><Skeleton height={16} width={340} /><Skeleton height={60} /><Skeleton height={60} /></div> : null}
      {found.data ? (
        <section className="stack" aria-label={d.findings}>
          <div className="row" role="status">
            <State tone={tones[found.data.verdict]} strong>{d.verdicts[found.data.verdict]}</State>
            <span className="dim small">{d.checked} <Ago at={found.data.checked_at} /></span>
          </div>
          <ul className={classes.findings}>
            {found.data.findings.map((finding, i) => (
              <li key={`${finding.code}-${i}`}>
                <span className={classes.shape} title={d.severities[finding.severity]}><Shape tone={tones[finding.severity]} /></span>
                <div className="stack tight grow">
                  <div><strong className="wrap">{finding.title}</strong> <span className="dim small">{d.severities[finding.severity]}</span></div>
                  {finding.detail ? <p className="wrap dim">{finding.detail}</p> : null}
                  {finding.remedy ? <p className="wrap"><span className="dim">{d.remedy}:</span> {finding.remedy}</p> : null}
                </div>
              </li>
            ))}
          </ul>
        </section>
      ) : null}
      <Refusals endpoint={device.includes('::') ? device : ''} />
    </div>
  );
}

function Refusals({ endpoint }: { endpoint: string }) {
  const d = t.doctor;
  const list = useInfiniteQuery(refusalsQuery(endpoint));
  const items = list.data?.pages.flatMap((page) => page.items);
  return (
    <section className="stack" aria-label={d.refusals}>
      <div className="row"><h2>{d.refusals}</h2><span className="dim small">{d.refusalsHint}</span></div>
      {list.error ? <Failure error={list.error} retry={() => void list.refetch()} /> : null}
      {items?.length === 0 ? <div className={classes.box}><Empty title={d.noRefusals}><p>{d.noRefusalsDetail}</p></Empty></div> : null}
      {items && items.length > 0 ? <div className={classes.box}><RefusalTable refusals={items} /></div> : null}
      {list.hasNextPage ? <div><Button loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>{t.common.showOlder}</Button></div> : null}
    </section>
  );
}
