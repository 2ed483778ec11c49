// A file to the device or from it: chosen, looked at first, then asked for as an operation.
import { Button } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState, type ReactNode } from 'react';
import type { DeviceDetail } from '~/api/devices';
import { fetchFromDevice, fileChoiceQuery, sendToDevice, type StoredFile, type UploadCreate } from '~/api/files';
import { freshKey, type Operation, type Preview } from '~/api/operations';
import { useMay } from '~/api/session';
import { announce } from '~/app/announce';
import { ActionButton } from '~/components/action-button';
import { Dialog } from '~/components/dialog';
import { Checkbox } from '~/components/mantine/checkbox';
import { SegmentedControl } from '~/components/mantine/segmented';
import { Select } from '~/components/mantine/select';
import { TextInput } from '~/components/mantine/text-input';
import { Empty, Failure, Note } from '~/components/notice';
import { bytes } from '~/lib/size';
import { t } from '~/text';
import { byFit, forAnother } from './fit';
import { PreviewItems } from './preview-items';
import { Waits } from './waits';

const TYPING_MS = 180;
const x = t.transfer;

interface Answer {
  preview: Preview;
  operation?: Operation | null;
}

/** The common way of both: a form, what would happen, and then it is done. */
function Asked({ title, hint, device, ask, blocked, children, onClose }: { title: string; hint: string; device: DeviceDetail; ask: (mode: 'preview' | 'apply', key?: string) => Promise<Answer>; blocked?: string; children: ReactNode; onClose: () => void }) {
  const navigate = useNavigate();
  const queries = useQueryClient();
  const mayNot = useMay('operation:run');
  const [found, setFound] = useState<Preview>();
  const [key] = useState(freshKey);
  const look = useMutation({ mutationFn: () => ask('preview'), onSuccess: (answer) => setFound(answer.preview) });
  const run = useMutation({
    mutationFn: () => ask('apply', key),
    onSuccess: ({ operation }) => {
      announce(t.device.sent);
      void queries.invalidateQueries({ queryKey: ['device', device.id, 'transfers'] });
      onClose();
      if (operation) void navigate({ to: '/operations/$operationId', params: { operationId: operation.id } });
    },
  });
  return (
    <Dialog onClose={onClose} title={title} size={620}>
      <form
        className="stack loose"
        onSubmit={(event) => {
          event.preventDefault();
          if (found) run.mutate();
          else if (blocked === undefined) look.mutate();
        }}
      >
        <p><strong>{device.name}</strong> <span className="dim">{hint}</span></p>
        <div className="stack" style={found ? { display: 'none' } : undefined}>{children}</div>
        {found ? (
          <section className="stack" aria-label={x.preview}>
            <strong className="wrap">{found.summary}</strong>
            <PreviewItems found={found} isSecret={() => false} />
            <Waits device={device} />
          </section>
        ) : null}
        {look.error ? <Failure error={look.error} /> : null}
        {run.error ? <Failure error={run.error} /> : null}
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          {found ? <Button onClick={() => { setFound(undefined); run.reset(); }}>{x.back}</Button> : <Button onClick={onClose}>{t.common.cancel}</Button>}
          {found ? (
            <ActionButton type="submit" variant="filled" autoFocus loading={run.isPending} disabledReason={mayNot ?? (found.blocked ? x.blocked : undefined)}>{x.apply}</ActionButton>
          ) : (
            <ActionButton type="submit" variant="filled" loading={look.isPending} disabledReason={mayNot ?? blocked}>{x.preview}</ActionButton>
          )}
        </div>
      </form>
    </Dialog>
  );
}

export function SendFile({ device, onClose }: { device: DeviceDetail; onClose: () => void }) {
  const [file, setFile] = useState<StoredFile>();
  const [activate, setActivate] = useState(true);
  const [command, setCommand] = useState('');
  const [type, setType] = useState('');
  const [note, setNote] = useState('');
  const ask = (mode: 'preview' | 'apply', key?: string) =>
    sendToDevice(device.id, { mode, file_id: file?.id ?? '', command: command.trim() || undefined, file_type: type.trim() || undefined, activate: file?.kind === 'firmware' ? activate : undefined, note: note.trim() || undefined }, key);
  return (
    <Asked title={x.sendTitle} hint={x.sendHint} device={device} ask={ask} blocked={file ? undefined : x.noFile} onClose={onClose}>
      <FileChoice device={device} file={file} onChoose={setFile} />
      {file && forAnother(file, device) ? <Note tone="warn">{x.otherModel}</Note> : null}
      {file?.kind === 'firmware' ? <Checkbox label={x.activate} description={x.activateHint} checked={activate} onChange={(e) => setActivate(e.currentTarget.checked)} /> : null}
      <More device={device} command={command} onCommand={setCommand} type={type} onType={setType} />
      <TextInput aria-label={x.note} placeholder={x.note} value={note} maxLength={1000} onChange={(e) => setNote(e.currentTarget.value)} />
    </Asked>
  );
}

export function FetchFile({ device, onClose }: { device: DeviceDetail; onClose: () => void }) {
  const [what, setWhat] = useState<NonNullable<UploadCreate['type']>>('config');
  const [name, setName] = useState('');
  const [command, setCommand] = useState('');
  const [type, setType] = useState('');
  const [note, setNote] = useState('');
  const ask = (mode: 'preview' | 'apply', key?: string) =>
    fetchFromDevice(device.id, { mode, type: what, name: name.trim() || undefined, command: command.trim() || undefined, file_type: type.trim() || undefined, note: note.trim() || undefined }, key);
  return (
    <Asked title={x.fetchTitle} hint={x.fetchHint} device={device} ask={ask} onClose={onClose}>
      <SegmentedControl aria-label={x.what} value={what} onChange={(value) => setWhat(value as typeof what)} data={[{ value: 'config', label: x.whats.config }, { value: 'log', label: x.whats.log }]} />
      <TextInput label={x.name} description={x.nameHint} inputWrapperOrder={['label', 'input', 'description']} value={name} maxLength={100} onChange={(e) => setName(e.currentTarget.value)} />
      <More device={device} command={command} onCommand={setCommand} type={type} onType={setType} />
      <TextInput aria-label={x.note} placeholder={x.note} value={note} maxLength={1000} onChange={(e) => setNote(e.currentTarget.value)} />
    </Asked>
  );
}

/** Those that fit the device first; typing looks through all. */
function FileChoice({ device, file, onChoose }: { device: DeviceDetail; file: StoredFile | undefined; onChoose: (file: StoredFile | undefined) => void }) {
  const [typed, setTyped] = useState('');
  const shownName = file ? label(file) : '';
  const [q] = useDebouncedValue(typed === shownName ? '' : typed.trim(), TYPING_MS);
  const list = useQuery(fileChoiceQuery(q));
  if (list.error) return <Failure error={list.error} retry={() => void list.refetch()} />;
  if (list.data && list.data.items.length === 0 && q === '') return <Empty title={x.noFiles} action={<Link to="/files" search={{ upload: true }}>{x.toFiles}</Link>} />;
  const items = byFit(list.data?.items ?? [], device);
  const known = file && !items.some((one) => one.id === file.id) ? [file, ...items] : items;
  return (
    <Select
      label={x.file}
      placeholder={x.noFile}
      data-autofocus
      searchable
      searchValue={typed}
      onSearchChange={setTyped}
      // The server has looked already.
      filter={({ options }) => options}
      value={file?.id ?? null}
      data={known.map((one) => ({ value: one.id, label: label(one) }))}
      onChange={(id) => onChoose(known.find((one) => one.id === id))}
      nothingFoundMessage={t.files.noMatch}
      comboboxProps={{ withinPortal: true }}
    />
  );
}

const label = (file: StoredFile) => [file.name, t.files.kinds[file.kind], file.version, file.model, bytes(file.size)].filter(Boolean).join(', ');

/** What is rarely needed: another command, a word of TR-069 for what the file is. */
function More({ device, command, onCommand, type, onType }: { device: DeviceDetail; command: string; onCommand: (to: string) => void; type: string; onType: (to: string) => void }) {
  return (
    <details>
      <summary className="dim small">{x.more}</summary>
      <div className="stack" style={{ paddingTop: 8 }}>
        <TextInput label={x.command} description={x.commandHint} inputWrapperOrder={['label', 'input', 'description']} value={command} spellCheck={false} classNames={{ input: 'mono' }} onChange={(e) => onCommand(e.currentTarget.value)} />
        {device.protocols.includes('cwmp') ? <TextInput label={x.fileType} description={x.fileTypeHint} inputWrapperOrder={['label', 'input', 'description']} value={type} maxLength={64} onChange={(e) => onType(e.currentTarget.value)} /> : null}
      </div>
    </details>
  );
}
