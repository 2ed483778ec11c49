// One file: what it is, its checksum to compare, and what can be done with it.
import { Button, Skeleton } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState, type ReactNode } from 'react';
import { deleteFile, fileContent, fileQuery, saveAs, updateFile, type FileAbout, type StoredFile } from '~/api/files';
import { asProblem } from '~/api/problem';
import { useMay } from '~/api/session';
import { announce } from '~/app/announce';
import { ActionButton } from '~/components/action-button';
import { Confirm } from '~/components/confirm';
import { Copyable } from '~/components/copy';
import { Dialog } from '~/components/dialog';
import { Icon } from '~/components/icon';
import { Failure } from '~/components/notice';
import { Ago } from '~/components/time';
import { t } from '~/text';
import { nameWrong } from './about';
import { Describe } from './describe';
import classes from './files.module.css';

export function FileDetail({ id, listed, onClose }: { id: string; listed: StoredFile | undefined; onClose: () => void }) {
  const f = t.files;
  const asked = useQuery({ ...fileQuery(id), enabled: listed === undefined });
  const file = listed ?? asked.data;
  const [doing, setDoing] = useState<'edit' | 'remove'>();
  if (file && doing === 'edit') return <Edit file={file} onClose={() => setDoing(undefined)} />;
  if (file && doing === 'remove') return <Remove file={file} onClose={() => setDoing(undefined)} onRemoved={onClose} />;
  if (file) return <Shown file={file} onEdit={() => setDoing('edit')} onRemove={() => setDoing('remove')} onClose={onClose} />;
  const gone = asked.error && asProblem(asked.error).status === 404;
  return (
    <Dialog onClose={onClose} title={gone ? f.notFoundTitle : f.file} size="lg">
      {gone ? <p>{f.notFound}</p> : asked.error ? <Failure error={asked.error} retry={() => void asked.refetch()} /> : <div className="stack" aria-busy="true"><Skeleton height={12} /><Skeleton height={12} width="60%" /><Skeleton height={80} /></div>}
    </Dialog>
  );
}

function Shown({ file, onEdit, onRemove, onClose }: { file: StoredFile; onEdit: () => void; onRemove: () => void; onClose: () => void }) {
  const f = t.files.facts;
  const noWrite = useMay('file:write');
  const noSave = useMay('file:download');
  const save = useMutation({ mutationFn: () => fileContent(file.id), onSuccess: (blob) => saveAs(blob, file.name) });
  const facts: [string, ReactNode][] = [
    [f.kind, t.files.kinds[file.kind]],
    [f.vendor, file.vendor ?? undefined],
    [f.model, file.model ?? undefined],
    [f.version, file.version ?? undefined],
    [f.size, <span key="s" className="num">{t.files.exactBytes(file.size)}</span>],
    [f.sha256, <Copyable key="h" value={file.sha256} label={f.sha256} />],
    [f.created, <Ago key="c" at={file.created_at} />],
    [f.by, file.device_id ? <Link key="d" to="/devices/$deviceId" params={{ deviceId: file.device_id }}>{t.files.ofDevice}</Link> : (file.created_by ?? undefined)],
    [f.note, file.note ?? undefined],
    [f.id, <Copyable key="i" value={file.id} label={f.id} />],
  ];
  return (
    <Dialog onClose={onClose} title={file.name} size="lg">
      <div className="stack loose">
        <dl className={classes.facts}>
          {facts.filter(([, value]) => value !== undefined).map(([name, value]) => <div key={name}><dt>{name}</dt><dd className="wrap">{value}</dd></div>)}
        </dl>
        {save.error ? <Failure error={save.error} /> : null}
        <div className="row wrapped">
          <ActionButton leftSection={<Icon name="download" size={13} />} loading={save.isPending} disabledReason={noSave} onClick={() => save.mutate()}>{t.files.save}</ActionButton>
          <ActionButton leftSection={<Icon name="edit" size={13} />} disabledReason={noWrite} onClick={onEdit}>{t.files.edit}</ActionButton>
          <ActionButton leftSection={<Icon name="trash" size={13} />} disabledReason={noWrite} onClick={onRemove}>{t.files.remove}</ActionButton>
        </div>
      </div>
    </Dialog>
  );
}

function Edit({ file, onClose }: { file: StoredFile; onClose: () => void }) {
  const queries = useQueryClient();
  const [about, setAbout] = useState<FileAbout>({ name: file.name, kind: file.kind, vendor: file.vendor ?? '', model: file.model ?? '', version: file.version ?? '', note: file.note ?? '' });
  const save = useMutation({
    mutationFn: () => updateFile(file.id, { name: about.name.trim(), kind: about.kind, vendor: about.vendor?.trim(), model: about.model?.trim(), version: about.version?.trim(), note: about.note?.trim() }),
    onSuccess: (fresh) => {
      queries.setQueryData(['files', 'detail', file.id], fresh);
      void queries.invalidateQueries({ queryKey: ['files'] });
      announce(t.device.saved);
      onClose();
    },
  });
  return (
    <Dialog onClose={onClose} title={t.files.editTitle} size={620}>
      <form
        className="stack loose"
        onSubmit={(event) => {
          event.preventDefault();
          if (!nameWrong(about.name)) save.mutate();
        }}
      >
        <Describe about={about} onChange={setAbout} />
        {save.error ? <Failure error={save.error} /> : null}
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Button onClick={onClose}>{t.common.cancel}</Button>
          <ActionButton type="submit" variant="filled" loading={save.isPending} disabledReason={nameWrong(about.name) ? t.files.nameWrong : undefined}>{t.common.save}</ActionButton>
        </div>
      </form>
    </Dialog>
  );
}

function Remove({ file, onClose, onRemoved }: { file: StoredFile; onClose: () => void; onRemoved: () => void }) {
  const queries = useQueryClient();
  const run = useMutation({
    mutationFn: () => deleteFile(file.id),
    onSuccess: () => {
      announce(t.files.removed(file.name));
      onRemoved();
      void queries.invalidateQueries({ queryKey: ['files'] });
    },
  });
  return (
    <Confirm title={t.files.removeTitle} verb={t.files.remove} danger busy={run.isPending} error={run.error} onConfirm={() => run.mutate()} onClose={onClose}>
      <p><strong>{file.name}</strong> {file.version ?? ''}</p>
      <p>{t.files.removeDetail}</p>
    </Confirm>
  );
}
