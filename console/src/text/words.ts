export const common = {
  never: 'never',
  unknown: 'not known',
  sinceStart: (length: string) => `${length} after its start`,
  none: 'none',
  copy: (what: string) => `Copy ${what}`,
  copied: 'Copied',
  copyFailed: 'The browser does not let this page write to the clipboard. Select the text and copy it by hand.',
  dismiss: 'Dismiss',
  close: 'Close',
  cancel: 'Cancel',
  save: 'Save',
  remove: 'Remove',
  create: 'Create',
  edit: 'Edit',
  done: 'Done',
  more: 'More',
  retry: 'Retry',
  tryAgain: 'Try again',
  refresh: 'Refresh',
  loading: 'Loading',
  loadingMore: 'Loading more',
  showOlder: 'Show older',
  yes: 'yes',
  no: 'no',
  optional: 'optional',
  name: 'Name',
  typeToConfirm: (text: string) => `Type ${text} to confirm`,
  mayNot: (permission: string, role: string) =>
    `Your role "${role}" does not include the permission ${permission}. An administrator can change that under Settings, Users.`,
  shownOnce: 'This is shown once and cannot be shown again. Copy it now.',
};

export const problem = {
  refuser: {
    network: 'The network between this browser and the server.',
    console: 'The console itself; nothing is wrong with what you did.',
    server: 'The server failed; nothing is wrong with what you did.',
    request: 'The server refused this request.',
    permission: 'The server refused: your permissions do not allow this.',
    session: 'The server refused: sign in again.',
    conflict: 'The server refused: the present state does not allow this.',
    limit: 'The server refused: a limit is reached.',
  },
  retryAfter: (seconds: number) => `Try again in ${seconds} s.`,
  requestId: 'Request',
};

export const presence = {
  online: 'online',
  silent: 'silent',
  offline: 'offline',
  never: 'never seen',
  back: 'coming back',
  backHint: 'It left as it was asked to, as for a restart, and is expected back.',
  expected: 'expected again',
  wasExpected: 'was expected',
  lastHeard: 'last heard',
  noEvidence: 'never heard of',
  source: (source: string) => `Last sign of life: ${source}`,
};

export const table = {
  columns: 'Columns',
  resetColumns: 'Reset columns and widths',
  sortBy: (name: string) => `Sort by ${name}`,
  resize: (name: string) => `Width of ${name}`,
};
