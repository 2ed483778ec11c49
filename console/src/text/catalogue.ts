// The parts of the catalogue. Each is a module of its own, so that a page loads the texts it shows and no others.
export { addDevice } from './add-device';
export { device } from './device';
export { devices } from './devices';
export { doctor } from './doctor';
export { events } from './events';
export { files, transfer } from './files';
export { frame, live, palette, search, shortcuts } from './frame';
export { matches } from './matches';
export { model } from './model';
export { operations } from './operations';
export { settings } from './settings';
export { signIn } from './sign-in';
export { common, presence, problem, table } from './words';
