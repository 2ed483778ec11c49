import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const source = new URL('../', import.meta.url).pathname;
const folder = join(source, 'components/mantine');

/** What the first load has the styles of, or what needs none. */
const first = ['ActionIcon', 'Button', 'Skeleton', 'MantineProvider', 'createTheme', 'localStorageColorSchemeManager', 'useComputedColorScheme', 'useMantineColorScheme'];

function files(below: string): string[] {
  return readdirSync(below, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? files(join(below, entry.name)) : /\.tsx?$/.test(entry.name) ? [join(below, entry.name)] : []));
}

describe('a component of Mantine', () => {
  it('is taken from where its styles come with it', () => {
    const wrong = files(source)
      .filter((file) => !file.startsWith(folder))
      .flatMap((file) => {
        const names = [...readFileSync(file, 'utf8').matchAll(/import \{([^}]*)\} from '@mantine\/core'/g)].flatMap((found) => (found[1] ?? '').split(','));
        return names.map((name) => name.trim()).filter((name) => name !== '' && !name.startsWith('type ') && !first.includes(name)).map((name) => `${file.slice(source.length)}: ${name}`);
      });
    expect(wrong).toEqual([]);
  });

  it('brings its styles, wherever it has some of its own', () => {
    const without = readdirSync(folder).filter((name) => !/styles\/\w+\.layer\.css/.test(readFileSync(join(folder, name), 'utf8')));
    expect(without).toEqual([]);
  });
});
