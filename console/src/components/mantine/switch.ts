// Switches, with their styles.
import '@mantine/core/styles/InlineInput.layer.css';
import '@mantine/core/styles/Switch.layer.css';

export { Switch } from '@mantine/core';
