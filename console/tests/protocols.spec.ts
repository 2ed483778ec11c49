// Nobody notices which protocol a device speaks: the same steps, word by word, on a USP device, on a TR-069 device with
// the data model of today (TR-181), and on one with that of old gateways (TR-098).
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { gatewaySerial, startCpes, startGateway, type Program } from './programs';
import { devices, launch, signedIn, until } from './support';

// Another number each time, so that a second run against the same server finds new devices.
const number = 300_000 + (Date.now() % 190_000);
const digits = String(number).padStart(6, '0');
const kinds = [
  ['a USP device', gatewaySerial(number)],
  ['a TR-069 device with TR-181', `HG24${digits}`],
  ['a TR-069 device with TR-098', `WR30${digits}`],
] as const;

let browser: Browser;
let context: BrowserContext;
let page: Page;
const programs: Program[] = [];

beforeAll(async () => {
  browser = await launch();
  context = await signedIn(browser);
  page = await context.newPage();
  const system = (await (await context.request.get('/api/v1/system')).json()) as { endpoint_id: string };
  programs.push(startGateway(system.endpoint_id, number), startCpes(number));
}, 60_000);
afterAll(async () => {
  await Promise.all(programs.map((program) => program.kill()));
  await browser.close();
});

const section = (label: string) => page.getByRole('region', { name: label, exact: true });

describe.each(kinds)('%s', (_, serial) => {
  it('is found, read, changed and started again by the same steps', async () => {
    const device = await until(`${serial} is known`, async () => {
      const found = (await devices(context, `&q=${serial}&presence=online`))[0];
      return found?.model ? found : undefined;
    }, 60_000);

    // Found, and looked at.
    await page.goto(`/devices?q=${serial}`);
    const row = page.getByRole('grid', { name: 'Devices' }).getByRole('row').filter({ hasText: serial });
    await row.getByText('online', { exact: true }).waitFor();
    await page.getByRole('link', { name: device.name, exact: true }).click();
    await page.getByRole('heading', { level: 1, name: device.name }).waitFor();
    await section('Device').getByText(serial, { exact: true }).first().waitFor();
    const wifi = section('Wi-Fi networks');
    await wifi.getByRole('row').nth(1).getByRole('button', { name: 'Edit Name' }).waitFor();

    // Browsed, and read now.
    await page.getByRole('tab', { name: 'Data model' }).click();
    await page.getByRole('tree', { name: 'Objects' }).getByRole('treeitem', { name: 'DeviceInfo' }).click();
    await page.getByRole('button', { name: 'Read now: Device.DeviceInfo.' }).click();
    await page.getByRole('row').filter({ hasText: 'UpTime' }).getByText('just now').waitFor({ timeout: 30_000 });

    // Changed: staged, previewed, applied, verified.
    await page.getByRole('tab', { name: 'Overview' }).click();
    await wifi.getByRole('button', { name: 'Edit Name' }).first().click();
    const ssid = `Same ${Date.now() % 100_000}`;
    await page.getByRole('textbox', { name: 'New value of Name' }).fill(ssid);
    await page.getByRole('button', { name: 'Stage', exact: true }).click();
    await page.getByRole('button', { name: 'Preview' }).click();
    await page.getByRole('button', { name: 'Apply', exact: true }).click();
    const tray = page.getByRole('region', { name: 'Applying' });
    await tray.getByText('verified', { exact: true }).waitFor({ timeout: 30_000 });
    await tray.getByText('succeeded').waitFor();
    await wifi.getByText(ssid).waitFor();

    // Searched for in the data model, under the path of today.
    await page.getByRole('tab', { name: 'Data model' }).click();
    await page.getByRole('textbox', { name: 'Search paths and values' }).fill('SSID.1.SSID');
    await page.getByRole('button', { name: 'Device.WiFi.SSID.1.SSID', exact: true }).click();
    await page.getByRole('row').filter({ hasText: ssid }).waitFor();

    // Started again, which its own word proves.
    await page.getByRole('tab', { name: 'Commands' }).click();
    await page.getByRole('navigation', { name: 'Commands' }).getByRole('button', { name: 'Device.Reboot()', exact: true }).click();
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.getByRole('dialog', { name: 'Run Reboot()?' }).getByRole('button', { name: 'Run' }).click();
    const result = section('Result');
    await result.getByRole('status').getByText('succeeded').waitFor({ timeout: 60_000 });

    // And everything that was said can be read.
    await result.getByRole('link').click();
    await section('Transcript').getByRole('listitem').first().waitFor();
    await page.goto(`/devices/${device.id}?tab=operations`);
    await page.getByRole('grid', { name: 'Operations' }).getByText('succeeded').nth(2).waitFor();
    await page.getByRole('tab', { name: 'Reach' }).click();
    await section('Ways to this device').getByText('Last sign of life').waitFor();
    expect(await page.getByRole('alert').count()).toBe(0);
  }, 150_000);
});
