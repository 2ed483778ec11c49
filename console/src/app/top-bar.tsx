// The top bar: where one is, the search, the palette, and whether what is shown is live.
import { ActionIcon } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useLive } from '~/api/live';
import { Icon } from '~/components/icon';
import { Shape, type Tone } from '~/components/state';
import { Tooltip } from '~/components/tooltip';
import { duration, relative } from '~/lib/time';
import { useClock } from '~/lib/clock';
import { t } from '~/text';
import { useCrumbs } from './crumbs';
import { GlobalSearch } from './global-search';
import { StagedElsewhere } from './staged-elsewhere';
import classes from './shell.module.css';

export function TopBar({ openPalette }: { openPalette: () => void }) {
  const crumbs = useCrumbs();
  return (
    <header className={classes.top}>
      <nav className={classes.crumbs} aria-label={t.frame.breadcrumb}>
        {crumbs.map((crumb, i) => (
          <span key={crumb.label} className="row tight ellipsis">
            {i > 0 ? <Icon name="right" size={11} /> : null}
            {crumb.to ? <Link to={crumb.to}>{crumb.label}</Link> : <span aria-current="page">{crumb.label}</span>}
          </span>
        ))}
      </nav>
      <span className="grow" />
      <StagedElsewhere />
      <GlobalSearch />
      <Tooltip label={<>{t.frame.palette} <kbd>Ctrl K</kbd></>}>
        <ActionIcon aria-label={t.frame.palette} onClick={openPalette}><Icon name="command" /></ActionIcon>
      </Tooltip>
      <LiveDot />
    </header>
  );
}

const tones: Record<string, Tone> = { live: 'ok', connecting: 'waiting', lost: 'bad', refused: 'idle', off: 'idle' };

function LiveDot() {
  const live = useLive();
  const age = useClock((now) => (live.lastEventAt === undefined ? '' : relative(live.lastEventAt, now)));
  const wait = useClock((now) => (live.retryAt === undefined ? '' : duration(Math.max(0, live.retryAt - now))));
  const word = live.phase === 'live' ? t.live.live : live.phase === 'lost' ? t.live.lost : live.phase === 'connecting' ? t.live.connecting : t.live.off;
  const detail =
    live.phase === 'live'
      ? age ? t.live.lastEvent(age) : t.live.noEventYet
      : live.phase === 'lost'
        ? t.live.lostDetail(wait)
        : live.phase === 'refused' ? t.live.refusedDetail : t.live.connectingDetail;
  return (
    <Tooltip label={detail} side="bottom">
      <span className={classes.live} role="status" aria-label={`${word}. ${detail}`} tabIndex={0}>
        <Shape tone={tones[live.phase] ?? 'idle'} />
        <span>{word}</span>
        {live.phase === 'live' && age ? <span className="num">{age.replace(/ ago$/, '')}</span> : null}
      </span>
    </Tooltip>
  );
}
