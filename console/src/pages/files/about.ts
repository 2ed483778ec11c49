// What a file is, as far as its name tells, and whether what is said of it will do. Pure.
import type { FileAbout, FileKind } from '~/api/files';

const NAME_CHARS_MAX = 100;
const SHA256 = /^[0-9a-fA-F]{64}$/;

/** By how the name ends; people correct it. */
const endings: [RegExp, FileKind][] = [
  [/\.(bin|img|fw|swu|trx|chk|itb|ubi|pkgtb|w)$/i, 'firmware'],
  [/\.(cfg|conf|config|xml|backup|bak)$/i, 'configuration'],
];

export const kindOf = (name: string): FileKind => endings.find(([ending]) => ending.test(name))?.[1] ?? 'other';

/** A version in a name: "hg26-2.4.1.bin" is 2.4.1. */
export const versionOf = (name: string): string => /(?:^|[-_ v])(\d+(?:\.\d+)+)/i.exec(name)?.[1] ?? '';

export const nameWrong = (name: string): boolean => name.trim() === '' || name.includes('/') || name.length > NAME_CHARS_MAX;

export const checksumWrong = (sum: string): boolean => sum.trim() !== '' && !SHA256.test(sum.trim());

/** What to say of a file one has just chosen; what was typed before stays. */
export function aboutChosen(name: string, before: FileAbout): FileAbout {
  const kind = before.kind === 'other' ? kindOf(name) : before.kind;
  return { ...before, name: before.name || name.slice(0, NAME_CHARS_MAX), kind, version: before.version || (kind === 'firmware' ? versionOf(name) : '') };
}
