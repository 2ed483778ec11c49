// Filters as words: what a typed line means, and which filters are set. Pure.
import type { DeviceFilter, FacetField } from '~/api/devices';
import { t } from '~/text';

export type FilterKey = FacetField | 'serial' | 'ip';

export interface Field {
  key: FilterKey;
  label: string;
  /** Values can be suggested. */
  facet: boolean;
}

export const fields: Field[] = [
  { key: 'presence', label: t.devices.fields.presence, facet: true },
  { key: 'model', label: t.devices.fields.model, facet: true },
  { key: 'manufacturer', label: t.devices.fields.manufacturer, facet: true },
  { key: 'software_version', label: t.devices.fields.software_version, facet: true },
  { key: 'product_class', label: t.devices.fields.product_class, facet: true },
  { key: 'tag', label: t.devices.fields.tag, facet: true },
  { key: 'protocol', label: t.devices.fields.protocol, facet: true },
  { key: 'serial', label: t.devices.fields.serial, facet: false },
  { key: 'ip', label: t.devices.fields.ip, facet: false },
];

/** A typed line: "model:hg" is a field and the beginning of a value, anything else is free text. */
export function parseTyped(line: string): { field?: Field; text: string } {
  const match = /^\s*([a-z_]+)\s*:\s*(.*)$/i.exec(line);
  const name = match?.[1]?.toLowerCase();
  const field = fields.find((f) => f.label === name || f.key === name);
  return field ? { field, text: (match?.[2] ?? '').trim() } : { text: line.trim() };
}

export interface Chip {
  key: FilterKey | 'q';
  label: string;
  value: string;
}

/** The filters that are set, one chip a value. */
export function chips(filter: DeviceFilter): Chip[] {
  const out: Chip[] = [];
  if (filter.q) out.push({ key: 'q', label: t.devices.text, value: filter.q });
  for (const field of fields) {
    for (const one of filter[field.key] ?? []) out.push({ key: field.key, label: field.label, value: one });
  }
  return out;
}

export function withFilter(filter: DeviceFilter, key: FilterKey | 'q', value: string): DeviceFilter {
  if (key === 'q') return { ...filter, q: value };
  const old = (filter[key] ?? []) as string[];
  return old.includes(value) ? filter : { ...filter, [key]: [...old, value] };
}

export function withoutFilter(filter: DeviceFilter, key: FilterKey | 'q', value: string): DeviceFilter {
  const { [key]: old, ...rest } = filter;
  if (!Array.isArray(old)) return rest;
  const left = (old as string[]).filter((one) => one !== value);
  return left.length > 0 ? ({ ...rest, [key]: left } as DeviceFilter) : rest;
}
