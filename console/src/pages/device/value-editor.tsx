// A field for one value, fitting its type: a choice where there is one, checked while it is typed.
import type { ValueType } from '~/api/devices';
import { PasswordInput } from '~/components/mantine/password-input';
import { Select } from '~/components/mantine/select';
import { TextInput } from '~/components/mantine/text-input';
import { t } from '~/text';
import { checkValue } from './value-check';

interface Props {
  type: ValueType | null | undefined;
  label: string;
  /** The label is shown, not only read out. */
  labelled?: boolean;
  value: string;
  onChange: (value: string) => void;
  secret?: boolean;
  autoFocus?: boolean;
  /** An empty value means that nothing is given. */
  optional?: boolean;
  description?: string;
}

export function ValueEditor({ type, label, labelled, value, onChange, secret, autoFocus, optional, description }: Props) {
  const wrong = optional && value === '' ? undefined : checkValue(type, value);
  const common = {
    label: labelled ? label : undefined,
    'aria-label': labelled ? undefined : label,
    description,
    autoFocus,
    error: wrong ? t.model.wants(wrong) : undefined,
  };
  if (secret) {
    return <PasswordInput {...common} value={value} onChange={(e) => onChange(e.currentTarget.value)} autoComplete="new-password" />;
  }
  const choices = type?.base === 'boolean' && type.enumeration.length === 0 ? ['true', 'false'] : (type?.enumeration ?? []);
  if (choices.length > 0 && !type?.list) {
    const data = value !== '' && !choices.includes(value) ? [value, ...choices] : choices;
    return (
      <Select
        {...common}
        value={value === '' ? null : value}
        data={data}
        onChange={(next) => onChange(next ?? '')}
        searchable={choices.length > 8}
        clearable={optional}
        comboboxProps={{ withinPortal: true }}
      />
    );
  }
  const numeric = ['int', 'unsignedInt', 'long', 'unsignedLong', 'decimal'].includes(type?.base ?? '');
  return (
    <TextInput
      {...common}
      value={value}
      onChange={(e) => onChange(e.currentTarget.value)}
      inputMode={numeric && !type?.list ? 'numeric' : undefined}
      placeholder={type?.list && choices.length > 0 ? choices.join(',') : undefined}
      spellCheck={false}
      autoComplete="off"
      rightSection={type?.unit ? <span className="dim small">{type.unit}</span> : undefined}
      rightSectionWidth={type?.unit ? type.unit.length * 8 + 14 : undefined}
    />
  );
}
