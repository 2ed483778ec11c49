// A dialog with a form or a question. A click beside it does not throw away what was typed.
import type { ReactNode } from 'react';
import { Modal, type ModalProps } from '~/components/mantine/modal';
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
