// Fields for numbers, with their styles.
import '@mantine/core/styles/Input.layer.css';
import '@mantine/core/styles/NumberInput.layer.css';

export { NumberInput } from '@mantine/core';
