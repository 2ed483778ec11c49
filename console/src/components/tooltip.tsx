// A word of explanation beside a control, while it is pointed at or has the focus. Escape puts it away.
// Our own, because the first load would otherwise carry a whole engine for placing things.
import { cloneElement, useEffect, useId, useLayoutEffect, useRef, useState, type FocusEvent, type PointerEvent, type ReactElement, type ReactNode, type Ref } from 'react';
import { createPortal } from 'react-dom';
import { place, type Side } from './tooltip-place';
import classes from './tooltip.module.css';

const OPEN_AFTER_MS = 250;

interface ChildProps {
  ref?: Ref<HTMLElement>;
  'aria-describedby'?: string;
  onPointerEnter?: (event: PointerEvent) => void;
  onPointerLeave?: (event: PointerEvent) => void;
  onFocus?: (event: FocusEvent) => void;
  onBlur?: (event: FocusEvent) => void;
}

export interface TooltipProps {
  label: ReactNode;
  side?: Side;
  disabled?: boolean;
  children: ReactElement<ChildProps>;
}

/** Whatever else it is given (a menu gives its target handlers and a ref) goes to the control. */
export function Tooltip({ label, side = 'top', disabled = false, children, ...others }: TooltipProps & ChildProps) {
  const id = useId();
  const [anchor, setAnchor] = useState<Element>();
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const given: ChildProps = { ...children.props, ...others };
  const shown = anchor !== undefined && !disabled;

  function open(element: Element): void {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setAnchor(element), OPEN_AFTER_MS);
  }
  function close(): void {
    clearTimeout(timer.current);
    setAnchor(undefined);
  }
  useEffect(() => () => clearTimeout(timer.current), []);
  useEffect(() => {
    if (!shown) return;
    const onKey = (event: KeyboardEvent) => event.key === 'Escape' && close();
    addEventListener('keydown', onKey);
    addEventListener('scroll', close, true);
    return () => {
      removeEventListener('keydown', onKey);
      removeEventListener('scroll', close, true);
    };
  }, [shown]);

  return (
    <>
      {cloneElement(children, {
        ...others,
        ...(shown ? { 'aria-describedby': id } : {}),
        onPointerEnter: (event: PointerEvent) => {
          given.onPointerEnter?.(event);
          open(event.currentTarget);
        },
        onPointerLeave: (event: PointerEvent) => {
          given.onPointerLeave?.(event);
          close();
        },
        onFocus: (event: FocusEvent) => {
          given.onFocus?.(event);
          // A click gives the focus too, and needs no explanation.
          if (event.currentTarget.matches(':focus-visible')) open(event.currentTarget);
        },
        onBlur: (event: FocusEvent) => {
          given.onBlur?.(event);
          close();
        },
      })}
      {shown ? createPortal(<Bubble id={id} anchor={anchor} side={side}>{label}</Bubble>, document.body) : null}
    </>
  );
}

function Bubble({ id, anchor, side, children }: { id: string; anchor: Element; side: Side; children: ReactNode }) {
  const bubble = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = bubble.current;
    if (!element) return;
    const { x, y } = place(anchor.getBoundingClientRect(), element.getBoundingClientRect(), { width: innerWidth, height: innerHeight }, side);
    element.style.transform = `translate(${x}px, ${y}px)`;
  });
  return <div ref={bubble} id={id} role="tooltip" className={classes.bubble}>{children}</div>;
}
