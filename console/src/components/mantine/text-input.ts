// Fields for text and files, with their styles.
import '@mantine/core/styles/CloseButton.layer.css';
import '@mantine/core/styles/Input.layer.css';

export { FileInput, Textarea, TextInput } from '@mantine/core';
