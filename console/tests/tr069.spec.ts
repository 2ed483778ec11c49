// A device that speaks TR-069, from its first line in the dialog to its factory reset: brought in, its sessions and
// faults, the ways to it, who was turned away in its name.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { acs, cpeSerial, startCpe, type Acs, type Program } from './programs';
import { devices, launch, signedIn, until } from './support';

// Another number each time, so that a second run against the same server finds a new device.
const number = 500_000 + (Date.now() % 400_000);
const serial = cpeSerial(number);

let browser: Browser;
let context: BrowserContext;
let page: Page;
let way: Acs;
let cpe: Program;
let id = '';

const words = async () => ((await (await context.request.get(`/api/v1/devices/${id}`)).json()) as { admission: { words: string } }).admission.words;
const section = (label: string) => page.getByRole('region', { name: label, exact: true });

beforeAll(async () => {
  browser = await launch();
  context = await signedIn(browser);
  page = await context.newPage();
  way = await acs(context);
  cpe = startCpe(way, number);
  id = (await until('the device is ready', async () => {
    const found = (await devices(context, `&q=${serial}&presence=online`))[0];
    return found?.model ? found : undefined;
  }, 40_000)).id;
  await until('it was given its own credential', async () => (await words()).startsWith('Its own credential was written to it'));
  // It shows that when it comes again.
  await context.request.post(`/api/v1/devices/${id}/wake`);
  await until('it has come with its own credential', async () => (await words()) === 'It comes with its own credential.', 40_000);
}, 90_000);
afterAll(async () => {
  await cpe.kill();
  await browser.close();
});

describe('a device that speaks TR-069', () => {
  it('is brought in with the lines of the dialog', async () => {
    await page.goto('/devices?add=true');
    const dialog = page.getByRole('dialog', { name: 'Add a device' });
    await dialog.getByRole('button', { name: 'Make a setup key' }).click();
    await dialog.getByText('CWMP (TR-069)').click();
    const line = async (label: string) => (await dialog.getByLabel(label, { exact: true }).textContent()) ?? '';
    const shown: Acs = { url: await line('ACS URL'), username: await line('Username'), password: await line('Password: the setup key') };
    expect(shown.password).toMatch(/^hes_[0-9A-Za-z]{32}$/);
    await dialog.getByText(`Device.ManagementServer.URL "${shown.url}"`, { exact: false }).waitFor();
    expect(await line('Where nothing but a URL can be set, as by DHCP option 43')).toBe(`${shown.url}cwmp/${shown.password}`);
    await dialog.getByText('InternetGatewayDevice (TR-098)').click();
    await dialog.getByText(`InternetGatewayDevice.ManagementServer.Password "${shown.password}"`, { exact: false }).waitFor();
    const other = startCpe(shown, number + 1);
    try {
      await dialog.getByText(`${cpeSerial(number + 1)} has arrived.`).waitFor({ timeout: 30_000 });
      await dialog.getByRole('link', { name: 'Open it' }).click();
      await page.getByRole('heading', { level: 1, name: cpeSerial(number + 1) }).waitFor();
    } finally {
      await other.kill();
    }
  }, 60_000);

  it('is shown in the same words as any other, with the name under which it comes', async () => {
    await page.goto(`/devices/${id}`);
    await page.getByRole('button', { name: 'Copy CWMP identity' }).click();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toContain(serial);
    for (const part of ['Device', 'Wi-Fi networks', 'Devices in the home', 'Network', 'Wi-Fi radios']) await section(part).waitFor();
    await section('Device').getByText(/^CWMP 1\.\d$/).waitFor();
    await page.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: 'Edit name and tags' }).click();
    const dialog = page.getByRole('dialog', { name: 'What we note about this device' });
    await dialog.getByLabel('Name for people').waitFor();
    // Only what speaks USP can be dialled.
    expect(await dialog.getByLabel('Dial it at').count()).toBe(0);
    await page.keyboard.press('Escape');
  });

  it('has each of its sessions with everything that was said, and nothing of what is secret', async () => {
    await page.goto(`/devices/${id}?tab=sessions`);
    const list = page.getByRole('grid', { name: 'Sessions' });
    const first = list.getByRole('row').filter({ hasText: 'for the first time here or after a factory reset' });
    await first.getByText(/^127\.0\.0\.1/).waitFor();
    await first.click();
    await page.keyboard.press('Enter');
    const said = section('Transcript');
    await said.getByRole('button', { name: /Inform/ }).first().waitFor();
    await page.getByRole('heading', { level: 2, name: 'for the first time here' }).waitFor();
    await said.getByText('secrets hidden').first().waitFor();
    await said.getByRole('button', { name: 'Open all' }).click();
    await said.getByText('ManagementServer.Password', { exact: false }).first().waitFor();
    const text = (await said.textContent()) ?? '';
    expect(text).not.toContain(way.password);
    expect(text).toMatch(/Password\S* = \*+/);
    expect(page.url()).toContain('session=');
    await page.getByRole('button', { name: 'All sessions' }).click();
    await list.waitFor();
  });

  it('says which parameter a fault blames, which value was tried, and what the device said', async () => {
    const mappings = 'Device.NAT.PortMapping.';
    const values = (await (await context.request.get(`/api/v1/devices/${id}/values?path=${mappings}`)).json()) as { items: { path: string; value: string }[] };
    const taken = values.items.find((one) => one.path.endsWith('.Alias'))?.value;
    if (!taken) throw new Error('the device has no port mapping');
    const parameters = [{ name: 'Alias', value: taken }, { name: 'ExternalPort', value: '3333' }];
    const asked = await context.request.post(`/api/v1/devices/${id}/operations`, { data: { ops: [{ kind: 'add', object: mappings, parameters }] } });
    const { operation } = (await asked.json()) as { operation: { id: string } };
    await until('the device refuses it', async () => ((await (await context.request.get(`/api/v1/operations/${operation.id}`)).json()) as { state: string }).state === 'failed', 30_000);
    await page.goto(`/devices/${id}?tab=sessions`);
    const row = page.getByRole('grid', { name: 'Sessions' }).getByRole('row').filter({ hasText: '1 fault' }).first();
    await row.waitFor({ timeout: 30_000 });
    await row.click();
    await page.keyboard.press('Enter');
    const faults = section('Faults');
    await faults.getByText(/^Device\.NAT\.PortMapping\.\d+\.Alias$/).waitFor();
    await faults.getByText(taken, { exact: true }).waitFor();
    await faults.getByText(/code 90\d\d, SetParameterValues/).waitFor();
    // Those of an earlier run against the same server have.
    await faults.getByText(/^No other device of this model and firmware has shown it\.$|^\d+ other devices? of this model and firmware/).waitFor();
  }, 60_000);

  it('shows the ways to it, which was tried and with what result', async () => {
    await page.goto(`/devices/${id}?tab=reach`);
    const table = page.getByRole('table', { name: 'Can be reached by' });
    const http = table.getByRole('row').filter({ hasText: 'HTTP connection request' });
    await http.getByText(/^http:\/\/127\.0\.0\.1/).waitFor();
    await table.getByRole('row').filter({ hasText: 'XMPP connection request' }).getByText('it has told no address for this').waitFor();
    await section('Reach').getByRole('button', { name: 'Wake now' }).click();
    await http.getByText('reached', { exact: true }).waitFor({ timeout: 30_000 });
    await section('Ways to this device').getByText('Last attempts').waitFor();
  }, 60_000);

  it('that lost its credential is turned away, says so on its page, and is let in again', async () => {
    await cpe.kill();
    cpe = startCpe(way, number);
    await page.goto(`/devices/${id}?tab=reach`);
    await section('Connections turned away').getByText(/re-admit/).first().waitFor({ timeout: 30_000 });
    await section('Reach').getByText(/It was refused at/).waitFor();
    await page.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: 'Let it come with a setup key again' }).click();
    const dialog = page.getByRole('dialog', { name: 'Let it come with a setup key again?' });
    await dialog.getByText(serial).first().waitFor();
    await dialog.getByRole('button', { name: 'Let it come with a setup key again' }).click();
    await dialog.waitFor({ state: 'detached' });
    const timeline = async () => ((await (await context.request.get(`/api/v1/devices/${id}/timeline?limit=200`)).json()) as { items: { kind: string }[] }).items;
    await until('it was brought in again', async () => (await timeline()).filter((one) => one.kind === 'device.onboarded').length === 2, 60_000);
    await page.getByRole('button', { name: 'Wake now' }).first().click();
    await section('Reach').getByText('It comes with its own credential.').waitFor({ timeout: 30_000 });
  }, 100_000);
});
