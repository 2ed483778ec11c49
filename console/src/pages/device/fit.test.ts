import { describe, expect, it } from 'vitest';
import { byFit, forAnother } from './fit';

const device = { manufacturer: 'Northwind', model: 'HG26', product_class: 'Gateway26' };

describe('files for a device', () => {
  it('are for another one when vendor or model say so, and only then', () => {
    expect(forAnother({ vendor: 'northwind ', model: 'hg26' }, device)).toBe(false);
    expect(forAnother({ vendor: null, model: 'Gateway26' }, device)).toBe(false);
    expect(forAnother({ vendor: null, model: null }, device)).toBe(false);
    expect(forAnother({ vendor: 'Southgale', model: null }, device)).toBe(true);
    expect(forAnother({ vendor: null, model: 'HG27' }, device)).toBe(true);
    expect(forAnother({ vendor: 'Southgale', model: 'HG27' }, { manufacturer: null, model: null, product_class: null })).toBe(false);
  });

  it('come in the order in which they fit', () => {
    const files = [{ vendor: null, model: 'HG27', n: 1 }, { vendor: null, model: null, n: 2 }, { vendor: null, model: 'HG26', n: 3 }, { vendor: 'Northwind', model: null, n: 4 }];
    expect(byFit(files, device).map((file) => file.n)).toEqual([3, 4, 2, 1]);
  });
});
