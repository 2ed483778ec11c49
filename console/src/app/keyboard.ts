// The keys that work everywhere. In a field, keys belong to the field.
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';

/** After `g` the second key has to come within this time. */
const CHORD_MS = 1200;

const goKeys: Record<string, string> = { d: '/devices', o: '/operations', f: '/files', e: '/events', c: '/doctor', s: '/settings' };

export function isEditable(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches('input, textarea, select, [role="textbox"]'));
}

function dialogIsOpen(): boolean {
  return document.querySelector('[role="dialog"]') !== null;
}

const focusSearch = (text?: string) => dispatchEvent(new CustomEvent('headend:search', { detail: text }));

export function useGlobalKeys(open: { palette: () => void; shortcuts: () => void }): void {
  const navigate = useNavigate();
  const latest = useRef(open);
  latest.current = open;

  useEffect(() => {
    let goUntil = 0;
    function onKey(event: KeyboardEvent): void {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k' && !event.shiftKey && !event.altKey) {
        event.preventDefault();
        latest.current.palette();
        return;
      }
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isEditable(event.target) || dialogIsOpen()) return;
      if (Date.now() < goUntil) {
        goUntil = 0;
        const to = goKeys[event.key];
        if (to) {
          event.preventDefault();
          void navigate({ to });
          return;
        }
      }
      if (event.key === 'g') goUntil = Date.now() + CHORD_MS;
      else if (event.key === '/') {
        event.preventDefault();
        focusSearch();
      } else if (event.key === '?') {
        event.preventDefault();
        latest.current.shortcuts();
      } else if (event.key === 'f') {
        const filter = document.querySelector<HTMLInputElement>('[data-page-filter]');
        if (filter) {
          event.preventDefault();
          filter.focus();
        }
      } else if (event.key === 'j' || event.key === 'k' || event.key === 'ArrowDown' || event.key === 'ArrowUp') {
        const table = document.querySelector<HTMLElement>('[data-page-table]');
        if (table && (document.activeElement === document.body || document.activeElement?.id === 'content')) {
          event.preventDefault();
          table.focus();
          table.dispatchEvent(new KeyboardEvent('keydown', { key: event.key, bubbles: true }));
        }
      }
    }
    /** Pasting where no field is: a serial, MAC, phone number or endpoint id goes into the search. */
    function onPaste(event: ClipboardEvent): void {
      if (isEditable(event.target) || dialogIsOpen()) return;
      const text = event.clipboardData?.getData('text/plain').trim();
      if (text && text.length <= 200 && !text.includes('\n')) {
        event.preventDefault();
        focusSearch(text);
      }
    }
    addEventListener('keydown', onKey);
    addEventListener('paste', onPaste);
    return () => {
      removeEventListener('keydown', onKey);
      removeEventListener('paste', onPaste);
    };
  }, [navigate]);
}
