// The icons of the console: 16x16 line drawings, always decorative (the control carries the name).
const paths = {
  devices: 'M2 4.5h9v6H2zM5 13h3M6.5 10.5V13M13 6v7h-2.5',
  operations: 'M3 8a5 5 0 0 1 8.6-3.5L13 6M13 8a5 5 0 0 1-8.6 3.5L3 10M13 3v3h-3M3 13v-3h3',
  events: 'M2.5 4h11M2.5 8h11M2.5 12h7',
  files: 'M4 2.500h5l3 3v8H4zM9 2.500v3h3',
  doctor: 'M6.5 2.5h3v4h4v3h-4v4h-3v-4h-4v-3h4z',
  settings: 'M2.5 4.5h6M12 4.5h1.5M2.5 11.5H4M8 11.5h5.5M10.2 2.9v3.2M5.9 9.9v3.2',
  search: 'M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.7 10.7 14 14',
  command: 'M3 4.5 6.5 8 3 11.5M8.5 12H13',
  plus: 'M8 3v10M3 8h10',
  close: 'm4 4 8 8M12 4l-8 8',
  check: 'm3 8.5 3.2 3.2L13 5',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
  right: 'm6 3.5 4.5 4.5L6 12.5',
  down: 'M3.5 6 8 10.5 12.5 6',
  left: 'M10 3.5 5.5 8l4.5 4.5',
  up: 'M3.5 10 8 5.5 12.5 10',
  refresh: 'M13 8a5 5 0 1 1-1.5-3.6L13 6M13 2.8V6H9.8',
  columns: 'M2.5 3h11v10h-11zM6.2 3v10M9.8 3v10',
  more: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
  edit: 'M3 13v-2.5L10.5 3 13 5.5 5.5 13zM9 4.5 11.5 7',
  undo: 'M3 6h6.5a3.5 3.5 0 0 1 0 7H6M3 6l3-3M3 6l3 3',
  trash: 'M3 4.5h10M6 4.5v-2h4v2M4.5 4.5l.5 9h6l.5-9',
  play: 'M5 3.5v9l7.5-4.5z',
  power: 'M8 2v6M4.5 4.2a5 5 0 1 0 7 0',
  key: 'M5.5 13a3 3 0 1 1 2.1-5.1L13 2.5M11 4.5l1.8 1.8M9.2 6.3l1.5 1.5',
  lock: 'M3.500 7.500h9v6h-9zM5.500 7.500V5a2.500 2.500 0 0 1 5 0v2.500',
  upload: 'M8 10.500V2.500M5 5.500l3-3 3 3M3 10.500v3h10v-3',
  download: 'M8 2.500v8M5 7.500l3 3 3-3M3 10.500v3h10v-3',
  user: 'M8 8a2.8 2.8 0 1 0 0-5.6A2.8 2.8 0 0 0 8 8zM2.8 14c.6-2.6 2.6-4 5.2-4s4.600 1.400 5.200 4',
  building: 'M3 13.5v-11h6v11M9 6.500h4v7M1.500 13.500h13M5 5h2M5 8h2M5 11h2',
  sun: 'M8 10.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM8 1.500v1.500M8 13v1.500M1.500 8H3M13 8h1.500M3.400 3.400l1.100 1.100M11.500 11.500l1.100 1.100M12.600 3.400l-1.100 1.100M4.500 11.500l-1.100 1.100',
  moon: 'M13 9.500A5.500 5.500 0 0 1 6.500 3 5.500 5.500 0 1 0 13 9.500z',
  panel: 'M2.500 3h11v10h-11zM10 3v10',
  rail: 'M2.500 3h11v10h-11zM6 3v10',
  signout: 'M9.500 2.500h-6v11h6M7 8h7M11.500 5.500 14 8l-2.500 2.500',
  link: 'M6.500 9.500l3-3M7.500 4.500l1-1a2.800 2.800 0 0 1 4 4l-1 1M8.500 11.500l-1 1a2.800 2.800 0 0 1-4-4l1-1',
  filter: 'M2.500 3.500h11L9.500 8.500v4l-3 1v-5z',
  info: 'M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 7.300V11M8 5h.01',
  warn: 'M8 2.500 14.500 13.500h-13zM8 6.500v3.500M8 11.800h.01',
  table: 'M2.500 3h11v10h-11zM2.500 6.300h11M2.500 9.700h11',
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 16 16" fill="none" stroke="currentColor" strokeWidth="1.4"
      strokeLinecap="round" strokeLinejoin="round" aria-hidden="true" style={{ flex: 'none' }}>
      <path d={paths[name]} />
    </svg>
  );
}
