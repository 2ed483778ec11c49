// A state is a word, a shape and a colour: readable without the colour, and without the shape.
import type { ReactNode } from 'react';
import classes from './state.module.css';

/** What a state means; the shape and the colour follow from it. */
export type Tone = 'ok' | 'warn' | 'bad' | 'busy' | 'idle' | 'waiting';

export function Shape({ tone }: { tone: Tone }) {
  return (
    <svg className={classes.shape} data-tone={tone} width="10" height="10" viewBox="0 0 10 10" aria-hidden="true">
      {tone === 'ok' && <circle cx="5" cy="5" r="4.5" fill="currentColor" />}
      {tone === 'warn' && <path d="M5 .6 9.800 9.300H.2z" fill="currentColor" />}
      {tone === 'bad' && <rect x=".8" y=".8" width="8.400" height="8.400" rx="1" fill="currentColor" />}
      {tone === 'busy' && (
        <>
          <circle cx="5" cy="5" r="4" fill="none" stroke="currentColor" strokeWidth="1.400" />
          <path d="M5 1a4 4 0 0 1 0 8z" fill="currentColor" />
        </>
      )}
      {tone === 'idle' && <circle cx="5" cy="5" r="3.900" fill="none" stroke="currentColor" strokeWidth="1.600" />}
      {tone === 'waiting' && (
        <circle cx="5" cy="5" r="3.900" fill="none" stroke="currentColor" strokeWidth="1.600" strokeDasharray="2.100 2" />
      )}
    </svg>
  );
}

export function State({ tone, children, strong }: { tone: Tone; children: ReactNode; strong?: boolean }) {
  return (
    <span className={classes.state} data-tone={tone} data-strong={strong || undefined}>
      <Shape tone={tone} />
      <span>{children}</span>
    </span>
  );
}
