// The filter of the list: set filters as chips, a field to type more, suggestions with counts.
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useId, useRef, useState } from 'react';
import { facetsQuery, type DeviceFilter, type FacetField } from '~/api/devices';
import { Drop } from '~/components/drop';
import { Icon } from '~/components/icon';
import { t } from '~/text';
import { chips, fields, parseTyped, withFilter, withoutFilter, type FilterKey } from './filters';
import classes from './filter-bar.module.css';

const TYPING_MS = 120;
/** Values of all fields together, when no field has been typed. */
const VALUES_MAX = 12;

interface Suggestion {
  id: string;
  label: string;
  value?: string;
  count?: number;
  pick: () => void;
}

export function FilterBar({ filter, onChange }: { filter: DeviceFilter; onChange: (filter: DeviceFilter) => void }) {
  const input = useRef<HTMLInputElement>(null);
  const list = useId();
  const [typed, setTyped] = useState('');
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const { field, text } = parseTyped(typed);
  const [prefix] = useDebouncedValue(text, TYPING_MS);
  const facet = field?.facet ? (field.key as FacetField) : undefined;
  const facets = useQuery({ ...facetsQuery(facet, prefix), enabled: open && (facet !== undefined || (!field && prefix !== '')) });

  function put(key: FilterKey | 'q', value: string): void {
    onChange(withFilter(filter, key, value));
    setTyped('');
    setActive(-1);
    // What is found now is what one wants to see, not the menu over it.
    setOpen(false);
  }

  const suggestions: Suggestion[] = [];
  if (!field) {
    if (text !== '') suggestions.push({ id: 'text', label: t.devices.text, value: text, pick: () => put('q', text) });
    for (const f of fields) {
      if (!f.label.startsWith(text.toLowerCase())) continue;
      suggestions.push({
        id: `field-${f.key}`,
        label: `${f.label}:`,
        pick: () => {
          setTyped(`${f.label}:`);
          setActive(-1);
          input.current?.focus();
        },
      });
    }
  } else if (!field.facet && text !== '') {
    suggestions.push({ id: 'exact', label: field.label, value: text, pick: () => put(field.key, text) });
  }
  if (facet !== undefined || (!field && text !== '')) {
    const values = (facets.data?.facets ?? []).flatMap((f) =>
      facet !== undefined && f.field !== facet
        ? []
        : f.values.map((v) => ({ key: f.field, label: fields.find((one) => one.key === f.field)?.label ?? f.field, ...v })),
    );
    for (const v of values.slice(0, facet === undefined ? VALUES_MAX : undefined)) {
      if (!v.value.toLowerCase().startsWith(text.toLowerCase())) continue;
      suggestions.push({ id: `value-${v.key}-${v.value}`, label: v.label, value: v.value, count: v.count, pick: () => put(v.key, v.value) });
    }
  }

  function enter(): void {
    const chosen = suggestions[active];
    if (chosen) chosen.pick();
    else if (field && text !== '') {
      const exact = suggestions.find((s) => s.value?.toLowerCase() === text.toLowerCase()) ?? suggestions.find((s) => s.value !== undefined);
      if (exact) exact.pick();
      else put(field.key, text);
    } else if (!field && text !== '') put('q', text);
  }

  const set = chips(filter);
  const shown = open && suggestions.length + (field?.facet ? 1 : 0) > 0;
  return (
    <div className={classes.place}>
      <div className={classes.bar} onClick={() => input.current?.focus()}>
        <Icon name="filter" size={14} />
        {set.map((chip) => (
          <span key={`${chip.key}=${chip.value}`} className={classes.chip}>
            <span className="dim">{chip.label}:</span> {words(chip.key, chip.value)}
            <button
              type="button"
              aria-label={t.devices.removeFilter(`${chip.label}: ${words(chip.key, chip.value)}`)}
              onClick={() => onChange(withoutFilter(filter, chip.key, chip.value))}
            >
              <Icon name="close" size={10} />
            </button>
          </span>
        ))}
        <input
          ref={input}
          data-page-filter
          className={classes.input}
          role="combobox"
          aria-label={t.devices.filter}
          aria-expanded={shown}
          aria-controls={list}
          aria-activedescendant={shown && active >= 0 ? `${list}-${active}` : undefined}
          aria-autocomplete="list"
          placeholder={set.length === 0 ? t.devices.filterPlaceholder : ''}
          value={typed}
          spellCheck={false}
          autoComplete="off"
          onFocus={() => setOpen(true)}
          onClick={() => setOpen(true)}
          onBlur={() => setOpen(false)}
          onChange={(event) => {
            setTyped(event.currentTarget.value);
            setActive(-1);
            setOpen(true);
          }}
          onKeyDown={(event) => {
            if (event.key === 'ArrowDown' && !shown) setOpen(true);
            else if (event.key === 'ArrowDown') setActive((active + 1) % Math.max(1, suggestions.length));
            else if (event.key === 'ArrowUp') setActive((active <= 0 ? suggestions.length : active) - 1);
            else if (event.key === 'Enter') enter();
            else if (event.key === 'Escape') {
              if (typed !== '') setTyped('');
              else event.currentTarget.blur();
            } else if (event.key === 'Backspace' && typed === '') {
              const last = set[set.length - 1];
              if (last) onChange(withoutFilter(filter, last.key, last.value));
              return;
            } else return;
            event.preventDefault();
          }}
        />
        {set.length > 1 ? (
          <button type="button" className={classes.clear} onClick={() => onChange({ sort: filter.sort, order: filter.order })}>{t.devices.clearFilters}</button>
        ) : null}
      </div>
      {shown ? (
        <Drop className={classes.drop}>
          <div id={list} role="listbox" aria-label={t.devices.filter} className={classes.list}>
            {suggestions.map((s, i) => (
              <div
                key={s.id}
                id={`${list}-${i}`}
                role="option"
                aria-selected={i === active}
                className={classes.option}
                onMouseMove={() => setActive(i)}
                onMouseDown={(event) => event.preventDefault()}
                onClick={s.pick}
              >
                <span className={s.value === undefined ? undefined : 'dim'}>{s.label}{s.value === undefined ? '' : ':'}</span>
                {s.value !== undefined ? <span className="ellipsis grow">{words(s.label === t.devices.fields.presence ? 'presence' : 'q', s.value)}</span> : null}
                {s.count !== undefined ? <span className="dim num">{s.count.toLocaleString('en')}</span> : null}
              </div>
            ))}
            {field?.facet && suggestions.length === 0 ? <div className={classes.none}>{facets.isFetching ? t.common.loading : t.devices.noValues}</div> : null}
          </div>
        </Drop>
      ) : null}
    </div>
  );
}

function words(key: FilterKey | 'q', value: string): string {
  return key === 'presence' ? (t.presence as unknown as Record<string, string>)[value] ?? value : value;
}
