// A button that is never silently dead: when it cannot be used it stays focusable and says why.
import { Button, type ButtonProps } from '@mantine/core';
import { useId, type ReactNode } from 'react';
import { Tooltip } from './tooltip';

interface Props extends Omit<ButtonProps, 'disabled'> {
  /** Why this cannot be done now; undefined when it can. */
  disabledReason?: string;
  /** A hint shown when it can be used. */
  hint?: string;
  onClick?: () => void;
  type?: 'button' | 'submit';
  form?: string;
  children: ReactNode;
  'aria-label'?: string;
  autoFocus?: boolean;
}

export function ActionButton({ disabledReason, hint, onClick, children, type = 'button', ...rest }: Props) {
  const id = useId();
  const disabled = disabledReason !== undefined;
  const button = (
    <Button
      {...rest}
      type={disabled ? 'button' : type}
      data-disabled={disabled || undefined}
      aria-disabled={disabled || undefined}
      aria-describedby={disabled ? id : undefined}
      onClick={(event) => {
        if (disabled) event.preventDefault();
        else onClick?.();
      }}
    >
      {children}
      {disabled ? <span id={id} className="sr-only">{disabledReason}</span> : null}
    </Button>
  );
  const label = disabledReason ?? hint;
  return label ? <Tooltip label={label}>{button}</Tooltip> : button;
}
