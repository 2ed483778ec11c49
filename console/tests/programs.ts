// Programs a test starts for itself: simulated CPEs that can be killed, an agent that listens to be dialled; and the
// first word of a CPE that is nowhere but in the test.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { BrowserContext } from 'playwright-core';
import { need, until } from './support';

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

/** Where devices that speak TR-069 come, and as whom. */
export interface Acs {
  url: string;
  username: string;
  password: string;
}

/** The ACS with a fresh setup key. */
export async function acs(context: BrowserContext): Promise<Acs> {
  const answer = await context.request.post('/api/v1/setup-keys', { data: { name: 'Browser test' } });
  const made = (await answer.json()) as { secret: string; acs: { urls: string[]; username: string } };
  return { url: made.acs.urls[0] ?? '', username: made.acs.username, password: made.secret };
}

/** The serial number of the TR-069 gateway with this number, as the simulator makes it. */
export const cpeSerial = (number: number) => `HG24${String(number).padStart(6, '0')}`;

/** One simulated gateway that speaks TR-069, with these flags of the simulator. Its flash is in memory, as of `startGateway`. */
export function startCpe({ url, username, password }: Acs, number: number, flags: string[] = []): Program {
  return start(bin(), ['sim', '--count', '0', '--cwmp-devices', '1', ...flags, '--first-serial', String(number), '--cwmp-url', url, '--cwmp-username', username, '--setup-key', password]);
}

/** A CPE says who it is, from an address of this machine that is not 127.0.0.1, and hangs up. The status of the answer. */
export function inform({ url, username, password }: Acs, { oui, productClass, serial }: { oui: string; productClass: string; serial: string }): Promise<number> {
  const body = `<?xml version="1.0"?><soap-env:Envelope xmlns:soap-env="http://schemas.xmlsoap.org/soap/envelope/" xmlns:soap-enc="http://schemas.xmlsoap.org/soap/encoding/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:cwmp="urn:dslforum-org:cwmp-1-2"><soap-env:Header><cwmp:ID soap-env:mustUnderstand="1">1</cwmp:ID></soap-env:Header><soap-env:Body><cwmp:Inform><DeviceId><Manufacturer>Maker</Manufacturer><OUI>${oui}</OUI><ProductClass>${productClass}</ProductClass><SerialNumber>${serial}</SerialNumber></DeviceId><Event soap-enc:arrayType="cwmp:EventStruct[1]"><EventStruct><EventCode>2 PERIODIC</EventCode><CommandKey></CommandKey></EventStruct></Event><MaxEnvelopes>1</MaxEnvelopes><CurrentTime>2026-01-01T00:00:00Z</CurrentTime><RetryCount>0</RetryCount><ParameterList soap-enc:arrayType="cwmp:ParameterValueStruct[1]"><ParameterValueStruct><Name>Device.DeviceInfo.SoftwareVersion</Name><Value xsi:type="xsd:string">1.0</Value></ParameterValueStruct></ParameterList></cwmp:Inform></soap-env:Body></soap-env:Envelope>`;
  const headers = { 'content-type': 'text/xml; charset=utf-8', authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
  return new Promise((resolve, reject) => {
    const asked = request(url, { method: 'POST', localAddress: '127.0.0.2', headers }, (answer) => {
      resolve(answer.statusCode ?? 0);
      answer.destroy();
    });
    asked.on('error', reject);
    asked.end(body);
  });
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

/** A server of its own. */
export interface Site extends Program {
  url: string;
  /** Where agents come over WebSocket and MQTT, with TLS: authorities. */
  usp: string;
  mqtt: string;
  endpoint: string;
  /** One-time. */
  password: string;
  /** Its files: `data` and whatever else a test puts there. */
  folder: string;
}

/** A server with TLS and an authority for devices, and with a broker of somebody else that is not there. */
export async function startSite(): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), 'headend-site-'));
  const file = join(folder, 'config.toml');
  const password = join(folder, 'broker-password');
  writeFileSync(password, 'x');
  const listen = (section: string, key: string) => `[${section}]\n${key} = "127.0.0.1:0"\n`;
  const listeners = [listen('http', 'listen'), listen('usp', 'tls_listen'), 'listen = "127.0.0.1:0"\n', listen('mqtt', 'tls_listen'), listen('cwmp', 'listen'), listen('files', 'listen')].join('');
  const broker = `[[usp.brokers]]\nname = "north"\nurl = "mqtt://127.0.0.1:1"\ntenants = ["default"]\nusername = "headend"\npassword_file = "${password}"\n`;
  writeFileSync(file, `data_dir = "${join(folder, 'data')}"\n${listeners}${broker}`);
  // Before it starts: one that is made later is believed within a minute.
  await ended(spawn(bin(), ['pki', 'init', '--config', file], { stdio: 'ignore' }));
  const child = spawn(bin(), ['serve', '--config', file], { stdio: ['ignore', 'pipe', 'ignore'] });
  const over = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let told = '';
  child.stdout.on('data', (bytes: Buffer) => {
    told += bytes.toString();
  });
  await until('the server is there', async () => told.includes('is not shown after that'), 60_000);
  const said = (pattern: RegExp) => pattern.exec(told)?.[1] ?? '';
  return {
    url: said(/console and API +(\S+)/),
    usp: said(/wss:\/\/([^/\s]+)/),
    mqtt: said(/mqtts:\/\/([^/\s]+)/),
    endpoint: said(/endpoint id +(\S+)/),
    password: said(/one-time password\s+(\S+)/),
    folder,
    kill: async () => {
      child.kill('SIGKILL');
      await over;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`it ended with ${code}`)))));
}

/** An agent with a certificate, over WebSocket and MQTT at once. */
export function startCertifiedAgent(site: Site, endpoint: string, issued: { pem: string; key: string }): Program {
  const at = (name: string) => join(site.folder, name);
  writeFileSync(at('agent.pem'), issued.pem);
  writeFileSync(at('agent.key'), issued.key);
  const controller = `[[controller]]\nendpoint_id = "${site.endpoint}"\nurl = "wss://${site.usp}/usp/default"\nretry_min_wait = 1\n[controller.mqtt]\nurl = "mqtts://${site.mqtt}"\nusername = "default/x"\n`;
  const tls = `[tls]\nca_file = "${at('data/development-ca/ca.pem')}"\ncertificate = "${at('agent.pem')}"\nkey = "${at('agent.key')}"\n`;
  writeFileSync(at('agent.toml'), `endpoint_id = "${endpoint}"\nstate_dir = "${at('state')}"\n\n${controller}\n${tls}`);
  return start(join(dirname(bin()), 'headend-agent'), ['--config', at('agent.toml')]);
}
