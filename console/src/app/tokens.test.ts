import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const css = readFileSync(new URL('./tokens.css', import.meta.url), 'utf8');

function tokens(scheme: 'light' | 'dark'): Record<string, string> {
  const block = new RegExp(`data-mantine-color-scheme='${scheme}'\\] \\{([^}]*)\\}`).exec(css)?.[1] ?? '';
  return Object.fromEntries([...block.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6});/g)].map((m) => [m[1], m[2]]));
}

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const c = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a: string, b: string): number {
  const [light = 0, dark = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light + 0.05) / (dark + 0.05);
}

const grounds = ['bg', 'bg-side', 'bg-sunken', 'bg-raised', 'bg-hover', 'bg-selected'];
const texts = ['text', 'text-dim', 'accent', 'ok', 'warn', 'bad', 'busy', 'idle'];
const fills = ['ok-fill', 'warn-fill', 'bad-fill', 'busy-fill', 'idle-fill'];

describe.each(['light', 'dark'] as const)('contrast in %s', (scheme) => {
  const t = tokens(scheme);

  it.each(texts.flatMap((text) => grounds.map((ground) => [text, ground] as const)))('%s on %s is at least 4.5 to 1', (text, ground) => {
    expect(contrast(t[text] ?? '#000000', t[ground] ?? '#000000')).toBeGreaterThanOrEqual(4.5);
  });

  it.each(['ok', 'warn', 'bad'])('%s is readable on its own soft ground', (name) => {
    expect(contrast(t.text ?? '', t[`${name}-soft`] ?? '')).toBeGreaterThanOrEqual(4.5);
  });

  it.each(fills)('the shape %s stands out from the page by 3 to 1', (name) => {
    expect(contrast(t[name] ?? '', t.bg ?? '')).toBeGreaterThanOrEqual(3);
  });
});
