// A new row of a table: the writable parameters of the model, each with its type; staged, not sent.
import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { modelQuery, type ModelNode } from '~/api/devices';
import { Dialog } from '~/components/dialog';
import { t } from '~/text';
import type { Staging } from './staging';
import { checkValue } from './value-check';
import { ValueEditor } from './value-editor';

export function AddRow({ device, node, staging, onClose }: { device: string; node: ModelNode; staging: Staging; onClose: () => void }) {
  const [values, setValues] = useState<Record<string, string>>({});
  // The parameters of a table are those of any of its rows.
  const row = useQuery({ ...modelQuery(device, `${node.path}{i}.`), enabled: node.parameters.length === 0, retry: false });
  const parameters = (node.parameters.length > 0 ? node.parameters : (row.data?.parameters ?? [])).filter((p) => p.access !== 'read_only');
  const given = parameters.filter((p) => (values[p.name] ?? '') !== '');
  const wrong = given.some((p) => checkValue(p.type, values[p.name] ?? '') !== undefined);
  return (
    <Dialog onClose={onClose} title={t.model.addRowTitle(node.path)} size="lg">
      <form
        className="stack loose"
        onSubmit={(event) => {
          event.preventDefault();
          if (wrong) return;
          staging.stage({
            kind: 'add',
            id: staging.newId(),
            object: node.path,
            parameters: given.map((p) => ({ name: p.name, value: values[p.name] ?? '', secret: p.secret })),
          });
          onClose();
        }}
      >
        <p className="dim">{t.model.addRowHint}</p>
        <div className="stack">
          {parameters.map((p, i) => (
            <ValueEditor
              key={p.name}
              label={p.name}
              labelled
              optional
              autoFocus={i === 0}
              type={p.type}
              secret={p.secret}
              description={p.default != null ? t.model.default(p.default) : undefined}
              value={values[p.name] ?? ''}
              onChange={(value) => setValues({ ...values, [p.name]: value })}
            />
          ))}
        </div>
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Button onClick={onClose}>{t.common.cancel}</Button>
          <Button type="submit" variant="filled" disabled={wrong}>{t.model.stageRow}</Button>
        </div>
      </form>
    </Dialog>
  );
}
