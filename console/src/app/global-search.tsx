// The search of the top bar: `/` from anywhere, or paste anything; Enter opens the first hit as soon as it is known.
import { useEffect, useId, useRef, useState } from 'react';
import { Drop } from '~/components/drop';
import { Icon } from '~/components/icon';
import { t } from '~/text';
import { useFind } from './finder';
import { FoundList, foundKeys } from './found-list';
import classes from './found-list.module.css';

export function GlobalSearch() {
  const input = useRef<HTMLInputElement>(null);
  const list = useId();
  const [text, setText] = useState('');
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(0);
  const [pending, setPending] = useState(false);
  const { found, settled } = useFind(text);

  useEffect(() => {
    function onSearch(event: Event): void {
      const pasted = (event as CustomEvent<string | null>).detail;
      input.current?.focus();
      if (pasted !== null) {
        setText(pasted);
        setActive(0);
        setOpen(true);
      } else input.current?.select();
    }
    addEventListener('headend:search', onSearch);
    return () => removeEventListener('headend:search', onSearch);
  }, []);

  function close(): void {
    setOpen(false);
    setPending(false);
    setText('');
    input.current?.blur();
  }

  const item = found[Math.min(active, found.length - 1)];
  // Enter pressed before the answer was there: it opens as soon as the answer is.
  useEffect(() => {
    if (pending && settled && item) {
      close();
      item.run();
    }
  }, [pending, settled, item]);

  const shown = open && text.trim() !== '';
  return (
    <div className={classes.search}>
      <div className={classes.field} onClick={() => input.current?.focus()}>
        <Icon name="search" size={14} />
        <input
          ref={input}
          role="combobox"
          aria-label={t.search.label}
          aria-expanded={shown}
          aria-controls={list}
          aria-activedescendant={shown && found.length > 0 ? `${list}-${active}` : undefined}
          aria-autocomplete="list"
          placeholder={t.search.placeholder}
          value={text}
          spellCheck={false}
          autoComplete="off"
          onChange={(event) => {
            setText(event.currentTarget.value);
            setActive(0);
            setPending(false);
            setOpen(true);
          }}
          onFocus={() => setOpen(true)}
          onBlur={() => setOpen(false)}
          onKeyDown={(event) => {
            if (event.key === 'Escape') close();
            else {
              foundKeys(event, found.length, active, setActive, () => {
                if (settled && item) {
                  close();
                  item.run();
                } else if (text.trim() !== '') setPending(true);
              });
            }
          }}
        />
        {text === '' ? <kbd>/</kbd> : null}
      </div>
      {shown ? (
        <Drop end className={classes.drop}>
          <FoundList id={list} items={found} active={active} onActive={setActive} onRun={(one) => { close(); one.run(); }} />
          {found.length === 0 ? <div className={classes.none} role="status">{settled ? t.search.nothing : t.search.looking}</div> : null}
        </Drop>
      ) : null}
    </div>
  );
}
