import { describe, expect, it } from 'vitest';
import { uploadQuery } from '~/api/files';
import { aboutChosen, checksumWrong, kindOf, nameWrong, versionOf } from './about';

const nothing = { name: '', kind: 'other' as const };

describe('a file that was chosen', () => {
  it('is told by its name, as far as that goes', () => {
    expect([kindOf('hg26-2.4.1.bin'), kindOf('Attic.CFG'), kindOf('readme.txt')]).toEqual(['firmware', 'configuration', 'other']);
    expect([versionOf('hg26-2.4.1.bin'), versionOf('HG26_v10.3_signed.img'), versionOf('hg26.bin')]).toEqual(['2.4.1', '10.3', '']);
    expect(aboutChosen('hg26-2.4.1.bin', nothing)).toEqual({ name: 'hg26-2.4.1.bin', kind: 'firmware', version: '2.4.1' });
  });

  it('does not undo what was typed', () => {
    const typed = { name: 'Stable', kind: 'configuration' as const, version: '7' };
    expect(aboutChosen('hg26-2.4.1.bin', typed)).toEqual(typed);
  });

  it('has a name that can end a link, and a checksum that can be one', () => {
    expect(['', '  ', 'a/b', 'x'.repeat(101)].every(nameWrong)).toBe(true);
    expect(nameWrong('hg26 2.4.1 (signed).bin')).toBe(false);
    expect([checksumWrong(''), checksumWrong('ab'.repeat(32)), checksumWrong('ab')]).toEqual([false, false, true]);
  });

  it('is sent with what is said of it and nothing else', () => {
    expect(uploadQuery({ name: ' a b.bin ', kind: 'firmware', vendor: '', note: 'x&y', sha256: undefined })).toBe('name=a+b.bin&kind=firmware&note=x%26y');
  });
});
