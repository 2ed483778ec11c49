// Programs a test starts for itself: a simulated CPE that can be killed, an agent that listens to be dialled.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { need } from './support';

export interface Program {
  /** Ends it without a word, as a power cut does. */
  kill: () => Promise<void>;
}

function start(bin: string, args: string[], clean?: () => void): Program {
  const child: ChildProcess = spawn(bin, args, { stdio: 'ignore' });
  const over = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    kill: async () => {
      child.kill('SIGKILL');
      await over;
      clean?.();
    },
  };
}

const bin = () => need('HEADEND_BIN');

/** The serial number of the gateway with this number, as the simulator makes it. */
export const gatewaySerial = (number: number) => `HG26${String(number).padStart(6, '0')}`;

/** One simulated gateway. Its flash is in memory: started again it is one that was reset to factory settings. */
export function startGateway(controller: string, number: number): Program {
  return start(bin(), [
    'sim', '--count', '1', '--model', 'gateway', '--first-serial', String(number), '--url', need('HEADEND_USP_URL'),
    '--setup-key', need('HEADEND_SETUP_KEY'), '--controller', controller,
  ]);
}

/** One CPE that speaks TR-069 with the data model of today, and one with that of old gateways. */
export function startCpes(number: number): Program {
  return start(bin(), [
    'sim', '--count', '0', '--cwmp-devices', '1', '--tr098', '1', '--first-serial', String(number), '--cwmp-url', need('HEADEND_CWMP_URL'),
    '--setup-key', need('HEADEND_SETUP_KEY'),
  ]);
}

async function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

/** The agent of this machine, listening; `url` is where to dial it. */
export async function startListeningAgent(controller: string, endpoint: string): Promise<Program & { url: string }> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'headend-agent-'));
  const file = join(folder, 'agent.toml');
  writeFileSync(file, `endpoint_id = "${endpoint}"\nstate_dir = "${join(folder, 'state')}"\n\n[[controller]]\nendpoint_id = "${controller}"\n\n[listen]\naddress = "127.0.0.1:${port}"\npath = "/usp"\n`);
  const program = start(join(dirname(bin()), 'headend-agent'), ['--config', file], () => rmSync(folder, { recursive: true, force: true }));
  return { ...program, url: `ws://127.0.0.1:${port}/usp` };
}
