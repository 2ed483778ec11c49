// What the server says would happen, line by line: what changes, what would be refused and why.
import type { Preview } from '~/api/operations';
import { Icon } from '~/components/icon';
import { Note } from '~/components/notice';
import { Shape } from '~/components/state';
import { Ago } from '~/components/time';
import { t } from '~/text';
import classes from './tray.module.css';

export function PreviewItems({ found, isSecret }: { found: Preview; isSecret: (path: string) => boolean }) {
  const d = t.device.tray;
  return (
    <>
      {found.warnings.map((warning) => <Note key={warning} tone="warn">{warning}</Note>)}
      {found.blocked ? <Note tone="bad">{d.blocked}</Note> : null}
      {found.items.map((item) => (
        <div key={`${item.op} ${item.path}`} className={classes.line}>
          <span className={classes.change}>
            <Shape tone={item.severity === 'blocks' ? 'bad' : item.severity === 'doubtful' ? 'warn' : item.changes ? 'busy' : 'idle'} />
            <span className="mono ellipsis" title={item.path}>{item.path}</span>
            {item.action === 'set' ? <FromTo from={item.from ?? undefined} to={item.to ?? undefined} secret={isSecret(item.path)} /> : <span className="dim">{item.action}</span>}
            {item.from_at ? <span className="dim small nowrap">{d.read} <Ago at={item.from_at} /></span> : null}
            {item.action === 'set' && !item.changes && !item.problem ? <span className="dim small">{d.same}</span> : null}
          </span>
          {item.problem ? <span className={classes.problem} data-tone={item.severity === 'blocks' ? 'bad' : 'warn'}>{item.severity === 'blocks' ? d.problemBlocks : d.problemDoubtful}: {item.problem}</span> : null}
        </div>
      ))}
    </>
  );
}

export function FromTo({ from, to, secret }: { from: string | undefined; to: string | undefined; secret: boolean }) {
  const show = (value: string | undefined) => (secret ? t.model.hidden : value === undefined ? t.model.notRead : value === '' ? t.model.emptyValue : value);
  return (
    <span className={classes.fromTo}>
      <span className="dim ellipsis" title={secret ? undefined : from}>{show(from)}</span>
      <Icon name="right" size={11} />
      <strong className="ellipsis" title={secret ? undefined : to}>{show(to)}</strong>
    </span>
  );
}
