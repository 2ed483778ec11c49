// The fields that describe a file, for a new one and for one that is there.
import { fileKinds, type FileAbout, type FileKind } from '~/api/files';
import { Select } from '~/components/mantine/select';
import { Textarea, TextInput } from '~/components/mantine/text-input';
import { t } from '~/text';
import { nameWrong } from './about';

export function Describe({ about, onChange }: { about: FileAbout; onChange: (next: FileAbout) => void }) {
  const f = t.files;
  const text = (name: 'vendor' | 'model' | 'version', label: string) => (
    <TextInput label={`${label} (${t.common.optional})`} value={about[name] ?? ''} maxLength={100} onChange={(e) => onChange({ ...about, [name]: e.currentTarget.value })} style={{ flex: '1 1 160px' }} />
  );
  return (
    <div className="stack">
      <div className="row wrapped" style={{ alignItems: 'flex-start' }}>
        <TextInput label={f.name} description={f.nameHint} inputWrapperOrder={['label', 'input', 'description', 'error']} value={about.name} maxLength={100} error={about.name !== '' && nameWrong(about.name) ? f.nameWrong : undefined} onChange={(e) => onChange({ ...about, name: e.currentTarget.value })} style={{ flex: '2 1 260px' }} />
        <Select label={f.kind} value={about.kind} data={fileKinds.map((kind) => ({ value: kind, label: f.kinds[kind] }))} onChange={(kind) => kind && onChange({ ...about, kind: kind as FileKind })} style={{ flex: '1 1 160px' }} />
      </div>
      <div className="row wrapped" style={{ alignItems: 'flex-start' }}>
        {text('vendor', f.vendor)}
        {text('model', f.model)}
        {text('version', f.version)}
      </div>
      <Textarea label={`${f.note} (${t.common.optional})`} value={about.note ?? ''} maxLength={1000} autosize minRows={1} maxRows={5} onChange={(e) => onChange({ ...about, note: e.currentTarget.value })} />
    </div>
  );
}
