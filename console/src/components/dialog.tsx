// A dialog with a form or a question. A click beside it does not throw away what was typed.
import { Modal, type ModalProps } from '@mantine/core';
import type { ReactNode } from 'react';
import { t } from '~/text';

interface Props {
  title: string;
  size?: ModalProps['size'];
  onClose: () => void;
  children: ReactNode;
}

export function Dialog({ title, size, onClose, children }: Props) {
  return (
    <Modal opened onClose={onClose} title={title} size={size} closeOnClickOutside={false} closeButtonProps={{ 'aria-label': t.common.close }}>
      {children}
    </Modal>
  );
}
