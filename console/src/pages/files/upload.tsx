// A new file: chosen, described, sent with its progress shown; it can be stopped on the way.
import { Button } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useRef, useState } from 'react';
import { uploadFile, type FileAbout, type StoredFile } from '~/api/files';
import { announce } from '~/app/announce';
import { ActionButton } from '~/components/action-button';
import { Dialog } from '~/components/dialog';
import { Icon } from '~/components/icon';
import { FileInput, TextInput } from '~/components/mantine/text-input';
import { Failure } from '~/components/notice';
import { Progress } from '~/components/progress';
import { bytes } from '~/lib/size';
import { t } from '~/text';
import { aboutChosen, checksumWrong, nameWrong } from './about';
import { Describe } from './describe';

export function UploadFile({ onClose, onStored }: { onClose: () => void; onStored: (file: StoredFile) => void }) {
  const f = t.files;
  const queries = useQueryClient();
  const [chosen, setChosen] = useState<File | null>(null);
  const [about, setAbout] = useState<FileAbout>({ name: '', kind: 'other' });
  const [sent, setSent] = useState<number>();
  const [error, setError] = useState<unknown>();
  const sending = useRef<AbortController>(null);
  useEffect(() => () => sending.current?.abort(), []);
  const wrong = nameWrong(about.name) || checksumWrong(about.sha256 ?? '');
  const blocked = chosen === null ? f.chooseFirst : wrong ? f.nameWrong : undefined;

  async function send(file: File): Promise<void> {
    const abort = new AbortController();
    sending.current = abort;
    setError(undefined);
    setSent(0);
    try {
      const stored = await uploadFile(file, about, setSent, abort.signal);
      void queries.invalidateQueries({ queryKey: ['files'] });
      announce(f.stored(stored.name));
      onStored(stored);
    } catch (problem) {
      if (!abort.signal.aborted) setError(problem);
      setSent(undefined);
    }
  }

  return (
    <Dialog onClose={onClose} title={f.upload} size={620}>
      <form
        className="stack loose"
        onSubmit={(event) => {
          event.preventDefault();
          if (chosen && blocked === undefined && sent === undefined) void send(chosen);
        }}
      >
        <FileInput
          label={f.file}
          placeholder={f.choose}
          value={chosen}
          disabled={sent !== undefined}
          leftSection={<Icon name="files" size={14} />}
          styles={{ placeholder: { color: 'var(--text-dim)' } }}
          valueComponent={({ value }) => <>{value instanceof File ? f.chosen(value.name, bytes(value.size) ?? '') : ''}</>}
          onChange={(file) => {
            setChosen(file);
            if (file) setAbout((old) => aboutChosen(file.name, old));
          }}
          data-autofocus
        />
        <Describe about={about} onChange={setAbout} />
        <TextInput label={`${f.checksum} (${t.common.optional})`} description={f.checksumHint} inputWrapperOrder={['label', 'input', 'description', 'error']} value={about.sha256 ?? ''} error={checksumWrong(about.sha256 ?? '') ? f.checksumWrong : undefined} spellCheck={false} classNames={{ input: 'mono' }} onChange={(e) => setAbout({ ...about, sha256: e.currentTarget.value })} />
        {error ? <Failure error={error} /> : null}
        <div className="row" style={{ minHeight: 24 }} role="status">
          {chosen && sent !== undefined ? (
            <>
              <Progress label={f.sending} done={sent} all={chosen.size} />
              <span className="dim small num nowrap">{sent >= chosen.size ? f.storing : f.sent(bytes(sent) ?? '', bytes(chosen.size) ?? '')}</span>
            </>
          ) : null}
        </div>
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          {sent === undefined ? <Button onClick={onClose}>{t.common.cancel}</Button> : <Button onClick={() => sending.current?.abort()}>{f.stop}</Button>}
          <ActionButton type="submit" variant="filled" loading={sent !== undefined} disabledReason={blocked}>{f.upload}</ActionButton>
        </div>
      </form>
    </Dialog>
  );
}
