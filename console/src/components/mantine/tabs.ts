// Tabs, with their styles.
import '@mantine/core/styles/FloatingIndicator.layer.css';
import '@mantine/core/styles/Tabs.layer.css';

export { Tabs } from '@mantine/core';
