// Fields for passwords, with their styles.
import '@mantine/core/styles/Input.layer.css';
import '@mantine/core/styles/PasswordInput.layer.css';

export { PasswordInput } from '@mantine/core';
