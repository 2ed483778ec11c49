// A device of this test's own: killed, waited for, let in again; and one that is dialled.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { gatewaySerial, startGateway, startListeningAgent, type Program } from './programs';
import { devices, launch, signedIn, until } from './support';

// Another number each time, so that a second run against the same server finds a new device.
const number = 500_000 + (Date.now() % 400_000);
const serial = gatewaySerial(number);

let browser: Browser;
let context: BrowserContext;
let page: Page;
let controller = '';
let gateway: Program;
let id = '';

beforeAll(async () => {
  browser = await launch();
  context = await signedIn(browser);
  page = await context.newPage();
  controller = ((await (await context.request.get('/api/v1/system')).json()) as { endpoint_id: string }).endpoint_id;
  gateway = startGateway(controller, number);
  id = (await until('the gateway is ready', async () => {
    const found = (await devices(context, `&q=${serial}&presence=online`))[0];
    return found?.model ? found : undefined;
  }, 40_000)).id;
  await until('it has its own credential', async () => {
    const answer = await context.request.get(`/api/v1/devices/${id}`);
    return ((await answer.json()) as { admission: { words: string } }).admission.words.includes('own credential');
  });
}, 90_000);
afterAll(async () => {
  await gateway.kill();
  await browser.close();
});

describe('a device that is killed', () => {
  it('turns offline on the list without a reload, and its leaving for a credential before is not called a fault', async () => {
    await page.goto(`/devices?q=${serial}`);
    const row = page.getByRole('grid', { name: 'Devices' }).getByRole('row').filter({ hasText: serial });
    await row.getByText('online', { exact: true }).waitFor();
    const loaded = await page.evaluate(() => performance.timeOrigin);
    await gateway.kill();
    await row.getByText('offline', { exact: true }).waitFor({ timeout: 20_000 });
    expect(await page.evaluate(() => performance.timeOrigin)).toBe(loaded);

    await page.goto(`/devices/${id}`);
    const timeline = page.getByRole('complementary', { name: 'Timeline' });
    const entry = (tone: string) => timeline.locator('[title="device.disconnected"]').filter({ has: page.locator(`svg[data-tone="${tone}"]`) });
    await entry('bad').filter({ hasText: 'Disconnected: ' }).waitFor();
    // The kill is the only fault: it also left for its own credential, unless the new connection overtook the old.
    expect(await entry('bad').count()).toBe(1);
    for (const words of await entry('idle').allTextContents()) expect(words).toContain('as expected');
  });

  it('has operations wait for it, which can be cancelled', async () => {
    const answer = await context.request.post(`/api/v1/devices/${id}/operations`, { data: { ops: [{ kind: 'get', paths: ['Device.DeviceInfo.'] }] } });
    const { operation } = (await answer.json()) as { operation: { id: string } };
    await page.goto(`/operations/${operation.id}`);
    const state = page.locator('h1 + [role="status"]');
    await state.getByText('queued').waitFor();
    await page.getByRole('button', { name: 'Cancel operation' }).click();
    const dialog = page.getByRole('dialog', { name: 'Cancel this operation?' });
    await dialog.getByText('never will be').waitFor();
    await dialog.getByRole('button', { name: 'Cancel operation' }).click();
    await state.getByText('cancelled').waitFor();
    await dialog.waitFor({ state: 'detached' });
    expect(await page.getByRole('button', { name: 'Cancel operation' }).count()).toBe(0);
  });

  it('that lost its credential is let in again', async () => {
    gateway = startGateway(controller, number);
    await page.goto(`/devices/${id}?tab=reach`);
    await page.getByRole('region', { name: 'Connections turned away' }).getByText(/setup-key|setup key|credential/).first().waitFor({ timeout: 20_000 });
    await page.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: 'Let it come with a setup key again' }).click();
    const dialog = page.getByRole('dialog', { name: 'Let it come with a setup key again?' });
    await dialog.getByText(serial).first().waitFor();
    await dialog.getByRole('button', { name: 'Let it come with a setup key again' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('region', { name: 'Reach', exact: true }).getByText('online', { exact: true }).waitFor({ timeout: 60_000 });
  }, 100_000);
});

describe('a device that listens', () => {
  it('is registered with its address, dialled, and shows that it was', async () => {
    const endpoint = `os::00D09E-DIALLED${number}`;
    const agent = await startListeningAgent(controller, endpoint);
    try {
      await page.goto('/devices?add=true');
      const dialog = page.getByRole('dialog', { name: 'Add a device' });
      await dialog.getByText('We dial the device').click();
      await dialog.getByText('discovery.mdns in its configuration, which is off').waitFor();
      await dialog.getByLabel('WebSocket URL of the agent').fill(agent.url);
      await dialog.getByLabel('Endpoint id of the agent').fill(endpoint);
      await dialog.getByLabel('Name for people').fill('Dialled');
      await dialog.getByRole('button', { name: 'Register and dial' }).click();
      await dialog.getByRole('link', { name: 'Open it' }).click();
      await page.getByRole('heading', { level: 1, name: 'Dialled' }).waitFor();
      const ways = page.getByRole('region', { name: 'Ways to this device' });
      await ways.getByText('open', { exact: true }).first().waitFor({ timeout: 30_000 });
      await ways.getByText(agent.url).waitFor();
    } finally {
      await agent.kill();
      const made = (await devices(context, `&q=${encodeURIComponent(endpoint)}`))[0];
      if (made) await context.request.delete(`/api/v1/devices/${made.id}`);
    }
  }, 60_000);
});
