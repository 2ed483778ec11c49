// Where a tooltip stands: beside its control, on the other side where there is no room, and always in the window. Pure.

export type Side = 'top' | 'right' | 'bottom';

interface Size {
  width: number;
  height: number;
}

export interface Box extends Size {
  left: number;
  top: number;
}

/** Between control and tooltip, and between tooltip and the edge of the window, in pixels. */
const GAP = 5;

export function place(anchor: Box, own: Size, view: Size, side: Side): { x: number; y: number } {
  const within = (at: number, size: number, room: number) => Math.max(GAP, Math.min(at, room - size - GAP));
  if (side === 'right') {
    const right = anchor.left + anchor.width + GAP;
    const x = right + own.width + GAP <= view.width ? right : anchor.left - own.width - GAP;
    return { x: within(x, own.width, view.width), y: within(anchor.top + (anchor.height - own.height) / 2, own.height, view.height) };
  }
  const above = anchor.top - own.height - GAP;
  const below = anchor.top + anchor.height + GAP;
  const fitsAbove = above >= GAP;
  const fitsBelow = below + own.height + GAP <= view.height;
  const y = side === 'top' ? (fitsAbove || !fitsBelow ? above : below) : fitsBelow || !fitsAbove ? below : above;
  return { x: within(anchor.left + (anchor.width - own.width) / 2, own.width, view.width), y: within(y, own.height, view.height) };
}
