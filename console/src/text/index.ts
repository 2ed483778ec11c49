// Every text of the console, in one catalogue, by page. Another language is another set of these files.
import { devices } from './devices';
import { device } from './device';
import { doctor } from './doctor';
import { matches } from './matches';
import { files, transfer } from './files';
import { frame, live, palette, search, shortcuts } from './frame';
import { common, presence, problem, table } from './words';
import { events } from './events';
import { model } from './model';
import { operations } from './operations';
import { settings } from './settings';
import { signIn } from './sign-in';

export const t = { common, problem, presence, table, frame, live, search, palette, shortcuts, signIn, devices, device, model, operations, matches, files, transfer, events, doctor, settings };
