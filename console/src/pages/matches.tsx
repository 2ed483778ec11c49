// Devices that may be the same one, side by side: a person says whether they are one or two.
import { Skeleton } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { acceptMatch, deviceMatchesQuery, rejectMatch, type DeviceMatch, type MatchSide } from '~/api/device-matches';
import { useMay } from '~/api/session';
import { announce } from '~/app/announce';
import { useTitle } from '~/app/crumbs';
import { ActionButton } from '~/components/action-button';
import { Confirm } from '~/components/confirm';
import { Switch } from '~/components/mantine/switch';
import { Empty, Failure } from '~/components/notice';
import { Ago } from '~/components/time';
import { t } from '~/text';
import classes from './matches/matches.module.css';

const m = t.matches;

export function MatchesPage() {
  useTitle(m.title);
  const [rejected, setRejected] = useState(false);
  const list = useQuery(deviceMatchesQuery(rejected));
  const [asking, setAsking] = useState<{ pair: DeviceMatch; one: boolean }>();
  const mayNot = useMay('device:write');
  return (
    <div className={classes.page}>
      <div className={classes.head}>
        <div className="stack tight grow"><h1>{m.title}</h1><p className="dim">{m.intro}</p></div>
        <Switch label={m.showRejected} checked={rejected} onChange={(e) => setRejected(e.currentTarget.checked)} />
      </div>
      {list.error && !list.data ? <Failure error={list.error} retry={() => void list.refetch()} /> : null}
      {!list.data && !list.error ? <div className="stack" aria-busy="true"><Skeleton height={130} /><Skeleton height={130} /></div> : null}
      {list.data?.items.length === 0 ? <Empty title={m.empty}><p>{m.emptyDetail}</p></Empty> : null}
      {list.data?.items.map((pair) => (
        <section key={pair.id} className={classes.pair} aria-label={`${pair.device.name}, ${pair.other.name}`}>
          <div className={classes.why}>
            <span><span className="dim">{m.common}:</span> <Name text={pair.identity} /></span>
            <span className="wrap grow"><span className="dim">{m.why}:</span> {pair.reason}</span>
            <span className="dim small nowrap">{pair.rejected_at ? <>{m.rejected} {pair.rejected_by ?? ''} <Ago at={pair.rejected_at} /></> : <>{m.noticed} <Ago at={pair.created_at} /></>}</span>
          </div>
          <div className={classes.sides}>
            <Side title={m.first} side={pair.device} />
            <Side title={m.other} side={pair.other} />
            <div className={classes.tools}>
              <ActionButton variant="filled" aria-label={`${m.one}: ${pair.device.name}, ${pair.other.name}`} disabledReason={mayNot} onClick={() => setAsking({ pair, one: true })}>{m.one}</ActionButton>
              {pair.rejected_at ? null : <ActionButton aria-label={`${m.two}: ${pair.device.name}, ${pair.other.name}`} disabledReason={mayNot} onClick={() => setAsking({ pair, one: false })}>{m.two}</ActionButton>}
            </div>
          </div>
        </section>
      ))}
      {asking ? <Decide pair={asking.pair} one={asking.one} onClose={() => setAsking(undefined)} /> : null}
    </div>
  );
}

/** A kind of name in words, and the name. */
function Name({ text }: { text: string }) {
  const [kind = '', ...rest] = text.split(' ');
  return <>{t.device.reach.identityKinds[kind] ?? kind} <span className="mono wrap">{rest.join(' ')}</span></>;
}

function Side({ title, side }: { title: string; side: MatchSide }) {
  const f = m.facts;
  const facts: [string, string | null | undefined][] = [
    [f.protocols, side.protocols.map((one) => one.toUpperCase()).join(', ')],
    [f.maker, side.manufacturer],
    [f.model, side.model],
    [f.serial, side.serial],
    [f.ip, side.ip],
  ];
  return (
    <div className={classes.side}>
      <div className="dim small">{title}</div>
      <Link to="/devices/$deviceId" params={{ deviceId: side.id }}><strong>{side.name}</strong></Link>
      <dl className={classes.facts}>
        {facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd className="wrap">{value || <span className="dim">{t.common.unknown}</span>}</dd></div>)}
        <div><dt>{f.since}</dt><dd><Ago at={side.created_at} /></dd></div>
      </dl>
    </div>
  );
}

function Decide({ pair, one, onClose }: { pair: DeviceMatch; one: boolean; onClose: () => void }) {
  const queries = useQueryClient();
  const run = useMutation({
    mutationFn: async () => {
      if (one) announce(m.merged((await acceptMatch(pair.id)).name));
      else {
        await rejectMatch(pair.id);
        announce(m.kept);
      }
    },
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ['device-matches'] });
      if (one) {
        void queries.invalidateQueries({ queryKey: ['devices'] });
        for (const side of [pair.device, pair.other]) queries.removeQueries({ queryKey: ['device', side.id] });
      }
      onClose();
    },
  });
  return (
    <Confirm title={one ? m.oneTitle : m.twoTitle} verb={one ? m.one : m.two} danger={one} busy={run.isPending} error={run.error} onConfirm={() => run.mutate()} onClose={onClose}>
      <p><strong>{pair.device.name}</strong>, <strong>{pair.other.name}</strong></p>
      <p>{one ? m.oneDetail(pair.other.name, pair.device.name) : m.twoDetail}</p>
    </Confirm>
  );
}
