// A dialog that asks for a new name.
import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { Dialog } from '~/components/dialog';
import { TextInput } from '~/components/mantine/text-input';
import { Failure } from '~/components/notice';
import { t } from '~/text';

export function Rename({ title, name, save, onSaved, onClose }: { title: string; name: string; save: (name: string) => Promise<unknown>; onSaved: () => void; onClose: () => void }) {
  const [next, setNext] = useState(name);
  const submit = useMutation({
    mutationFn: () => save(next.trim()),
    onSuccess: () => {
      onSaved();
      onClose();
    },
  });
  return (
    <Dialog onClose={onClose} title={title} size="sm">
      <form
        className="stack loose"
        onSubmit={(event) => {
          event.preventDefault();
          submit.mutate();
        }}
      >
        <TextInput label={t.common.name} value={next} maxLength={100} onChange={(e) => setNext(e.currentTarget.value)} data-autofocus />
        {submit.error ? <Failure error={submit.error} /> : null}
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Button onClick={onClose}>{t.common.cancel}</Button>
          <Button type="submit" variant="filled" loading={submit.isPending} disabled={next.trim() === ''}>{t.common.save}</Button>
        </div>
      </form>
    </Dialog>
  );
}
