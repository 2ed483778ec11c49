// A file on its way to or from a device, as the server sees it: how far, from where, what came of it.
import { Link } from '@tanstack/react-router';
import type { Transfer, TransferState } from '~/api/files';
import { bytes } from '~/lib/size';
import { t } from '~/text';
import { Progress } from './progress';
import { State, type Tone } from './state';
import { Ago } from './time';

const tones: Record<TransferState, Tone> = { waiting: 'waiting', running: 'busy', interrupted: 'warn', done: 'ok', failed: 'bad', expired: 'bad' };

/** `operation` leads to the operation because of which it goes. */
export function TransferView({ transfer, operation = false }: { transfer: Transfer; operation?: boolean }) {
  const x = t.transfer;
  const over = transfer.finished_at != null;
  return (
    <div className="stack tight">
      <div className="row wrapped">
        <strong className="ellipsis" title={transfer.name}>{transfer.name}</strong>
        <span className="dim">{x.directions[transfer.direction]}</span>
        <State tone={tones[transfer.state]}>{x.states[transfer.state]}</State>
        {transfer.peer ? <span className="dim small">{x.from} <span className="mono">{transfer.peer}</span></span> : null}
        {transfer.direction === 'upload' && transfer.file_id ? <Link to="/files" search={{ open: transfer.file_id }} className="small">{x.kept}</Link> : null}
        {operation ? <Link to="/operations/$operationId" params={{ operationId: transfer.operation_id }} className="small" aria-label={x.operationOf(transfer.name)}>{x.operation}</Link> : null}
        <span className="dim small"><Ago at={transfer.finished_at ?? transfer.started_at ?? transfer.created_at} /></span>
      </div>
      <div className="row">
        <Progress label={x.progress(transfer.name)} done={transfer.bytes} all={transfer.size ?? (over ? transfer.bytes : undefined)} />
        <span className="dim small num nowrap">{x.bytes(bytes(transfer.bytes) ?? '', bytes(transfer.size ?? undefined))}</span>
      </div>
      {transfer.words || transfer.error ? <span className="dim small wrap">{transfer.error ?? transfer.words}</span> : null}
      {over ? null : <span className="dim small">{x.until} <Ago at={transfer.expires_at} /></span>}
    </div>
  );
}
