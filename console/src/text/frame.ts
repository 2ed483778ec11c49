export const frame = {
  home: 'Headend, list of devices',
  navigation: 'Main',
  breadcrumb: 'You are here',
  skip: 'Skip to the content',
  devices: 'Devices',
  operations: 'Operations',
  events: 'Events',
  doctor: 'Doctor',
  settings: 'Settings',
  railSmall: 'Make the rail small',
  railWide: 'Make the rail wide',
  tenants: 'Act in another tenant',
  tenantNow: (name: string) => `Tenant ${name}: choose another`,
  account: (name: string) => `Account of ${name}`,
  accountSettings: 'Account and password',
  light: 'Light colours',
  dark: 'Dark colours',
  signOut: 'Sign out',
  palette: 'Commands',
  notFound: 'There is nothing at this address',
  notFoundDetail: 'The link may be old, or what it led to was removed.',
  toDevices: 'List of devices',
  pageFailed: 'This page could not be shown',
};

export const live = {
  live: 'Live',
  connecting: 'Connecting',
  lost: 'Not live',
  off: 'Off',
  lastEvent: (age: string) => `Changes are shown as they happen. Last event ${age}.`,
  noEventYet: 'Changes are shown as they happen. No event since this page was opened.',
  lostDetail: (wait: string) => `The live stream is interrupted; what is shown may be old.${wait ? ` Next attempt in ${wait}.` : ''} Nothing is missed: the stream resumes where it ended.`,
  refusedDetail: 'The server does not let this account follow events.',
  connectingDetail: 'Opening the live stream.',
};

export const search = {
  label: 'Search devices',
  placeholder: 'Serial, endpoint id, IP, id',
  nothing: 'Nothing is known by this name.',
  looking: 'Looking',
  listAll: (text: string) => `All devices with "${text}"`,
  listAnyway: (text: string) => `No device found. Filter the list by "${text}"`,
};

export const palette = {
  label: 'Command or device',
  placeholder: 'Type a command, a place or a device',
  goTo: (place: string) => `Go to ${place}`,
  choose: 'choose',
  run: 'run',
};

export const shortcuts = {
  title: 'Keys',
  keys: [
    ['/', 'Search. Pasting anywhere searches too'],
    ['Ctrl K', 'Commands'],
    ['f', 'Filter this list'],
    ['j k', 'Next and previous row (or the arrows)'],
    ['Enter', 'Open the row'],
    ['g d', 'Go to devices'],
    ['g o', 'Go to operations'],
    ['g e', 'Go to events'],
    ['g c', 'Go to the connection doctor'],
    ['g s', 'Go to settings'],
    ['1 2 3 4 5', 'The tabs of a device'],
    ['t', 'Show or hide the timeline of a device'],
    ['?', 'This list'],
    ['Esc', 'Close what is open'],
  ] as [string, string][],
};
