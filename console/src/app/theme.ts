// The Mantine theme: compact controls, one neutral palette, one accent.
// Colours that mean something (state) live in tokens.css, not here.
import { createTheme, type MantineColorsTuple } from '@mantine/core';

const accent: MantineColorsTuple = [
  '#edf2fd', '#dbe5fa', '#b6c9f4', '#8eaaee', '#6b8fe8', '#4f78e0', '#3b67d8', '#2f5bc8', '#264ba8', '#1d3b86',
];

const gray: MantineColorsTuple = [
  '#f7f8f9', '#f0f2f4', '#e3e6ea', '#d3d8de', '#b9c0c9', '#97a0ac', '#6c7683', '#4f5864', '#343b45', '#1b1f25',
];

const dark: MantineColorsTuple = [
  '#e2e5ea', '#c3c9d1', '#9ba5b2', '#6f7a88', '#3a424c', '#2e353e', '#20252b', '#171b20', '#12151a', '#0d1013',
];

export const theme = createTheme({
  colors: { accent, gray, dark },
  primaryColor: 'accent',
  primaryShade: { light: 7, dark: 6 },
  autoContrast: true,
  defaultRadius: 4,
  cursorType: 'pointer',
  respectReducedMotion: true,
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", "Liberation Mono", monospace',
  fontSizes: { xs: '12px', sm: '13px', md: '14px', lg: '16px', xl: '18px' },
  lineHeights: { xs: '1.35', sm: '1.4', md: '1.45', lg: '1.4', xl: '1.35' },
  spacing: { xs: '6px', sm: '10px', md: '14px', lg: '20px', xl: '28px' },
  headings: { fontWeight: '600', sizes: { h1: { fontSize: '18px' }, h2: { fontSize: '15px' }, h3: { fontSize: '14px' } } },
  components: {
    Button: { defaultProps: { size: 'compact-sm', variant: 'default' } },
    ActionIcon: { defaultProps: { variant: 'subtle', color: 'gray', size: 26 } },
    TextInput: { defaultProps: { size: 'xs' } },
    PasswordInput: { defaultProps: { size: 'xs' } },
    NumberInput: { defaultProps: { size: 'xs' } },
    Select: { defaultProps: { size: 'xs', allowDeselect: false } },
    Textarea: { defaultProps: { size: 'xs' } },
    Checkbox: { defaultProps: { size: 'xs' } },
    Switch: { defaultProps: { size: 'xs' } },
    SegmentedControl: { defaultProps: { size: 'xs' } },
    Modal: { defaultProps: { centered: false, yOffset: '10vh', overlayProps: { backgroundOpacity: 0.35 }, transitionProps: { duration: 80 } } },
    Menu: { defaultProps: { shadow: 'md', transitionProps: { duration: 60 } } },
    Popover: { defaultProps: { shadow: 'md', transitionProps: { duration: 60 } } },
    Tabs: { defaultProps: { keepMounted: false } },
  },
});
