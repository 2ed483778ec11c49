// A choice of a few words side by side, with its styles.
import '@mantine/core/styles/FloatingIndicator.layer.css';
import '@mantine/core/styles/SegmentedControl.layer.css';

export { SegmentedControl } from '@mantine/core';
