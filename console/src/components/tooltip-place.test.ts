import { describe, expect, it } from 'vitest';
import { place } from './tooltip-place';

const view = { width: 1000, height: 600 };
const own = { width: 100, height: 30 };
const at = (left: number, top: number) => ({ left, top, width: 40, height: 20 });

describe('where a tooltip stands', () => {
  it('is in the middle above its control, or below where that is wanted', () => {
    expect(place(at(480, 300), own, view, 'top')).toEqual({ x: 450, y: 265 });
    expect(place(at(480, 300), own, view, 'bottom')).toEqual({ x: 450, y: 325 });
    expect(place(at(480, 300), own, view, 'right')).toEqual({ x: 525, y: 295 });
  });

  it('changes sides where there is no room', () => {
    expect(place(at(480, 10), own, view, 'top').y).toBe(35);
    expect(place(at(480, 575), own, view, 'bottom').y).toBe(540);
    expect(place(at(950, 300), own, view, 'right').x).toBe(845);
  });

  it('never leaves the window', () => {
    expect(place(at(0, 300), own, view, 'top').x).toBe(5);
    expect(place(at(980, 300), own, view, 'top').x).toBe(895);
    expect(place(at(10, 5), { width: 2000, height: 700 }, view, 'top')).toEqual({ x: 5, y: 5 });
  });
});
