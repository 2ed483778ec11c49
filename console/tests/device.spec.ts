// One device: overview, staged changes from edit to verified, data model, commands, operations, reach, timeline.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { devices, launch, signedIn, until } from './support';

let browser: Browser;
let context: BrowserContext;
let page: Page;
let id = '';
let name = '';

/** A device with Wi-Fi that is here now. */
async function wifiDevice(): Promise<{ id: string; name: string }> {
  return until('a device with Wi-Fi that is online', async () => {
    for (const one of await devices(context, '&presence=online')) {
      const answer = await context.request.get(`/api/v1/devices/${one.id}/values?path=Device.WiFi.SSID.1.SSID`);
      if (answer.ok() && ((await answer.json()) as { items: unknown[] }).items.length > 0) return one;
    }
    return undefined;
  }, 60_000);
}

beforeAll(async () => {
  browser = await launch();
  context = await signedIn(browser);
  ({ id, name } = await wifiDevice());
  await context.close();
}, 90_000);
afterAll(() => browser.close());
beforeEach(async () => {
  context = await signedIn(browser);
  page = await context.newPage();
});
afterEach(() => context.close());

const section = (label: string) => page.getByRole('region', { name: label, exact: true });

describe('a device', () => {
  it('says who it is, whether it can be talked to, and when it was last heard', async () => {
    await page.goto(`/devices/${id}`);
    await page.getByRole('heading', { level: 1, name }).waitFor();
    const status = page.getByRole('banner').getByRole('status').filter({ hasText: 'last heard' }).or(page.getByRole('status').filter({ hasText: 'last heard' })).first();
    await status.getByText('online').waitFor();
    await page.getByRole('button', { name: 'Copy endpoint id' }).first().click();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toMatch(/::/);
    await section('Wi-Fi networks').getByText(/from the device/).waitFor();
    await page.getByRole('complementary', { name: 'Timeline' }).getByRole('listitem').first().waitFor();
  });

  it('changes a Wi-Fi name: edited in place, staged, previewed, applied, verified', async () => {
    const ssid = `Test ${Date.now() % 100_000}`;
    await page.goto(`/devices/${id}`);
    const row = section('Wi-Fi networks').getByRole('row').nth(1);
    await row.getByRole('button', { name: 'Edit Name' }).click();
    await page.getByRole('textbox', { name: 'New value of Name' }).fill(ssid);
    await page.getByRole('button', { name: 'Stage', exact: true }).click();
    await page.getByRole('heading', { name: '1 staged change' }).waitFor();
    await page.getByRole('button', { name: 'Preview' }).click();
    await page.getByRole('button', { name: 'Apply', exact: true }).click();
    const tray = page.getByRole('region', { name: 'Applying' });
    await tray.getByText('verified', { exact: true }).waitFor({ timeout: 30_000 });
    await tray.getByText('succeeded').waitFor();
    await row.getByText(ssid).waitFor();
    const answer = await context.request.get(`/api/v1/devices/${id}/values?path=Device.WiFi.SSID.1.SSID`);
    expect(JSON.stringify(await answer.json())).toContain(ssid);
    // The way back is offered.
    await tray.getByRole('button', { name: 'Stage the values from before' }).click();
    await page.getByRole('heading', { name: '1 staged change' }).waitFor();
    await page.getByRole('button', { name: 'Discard all' }).click();
    expect(await page.getByRole('heading', { name: /staged change/ }).count()).toBe(0);
  });

  it('refuses a value of the wrong type before anything is sent', async () => {
    await page.goto(`/devices/${id}`);
    const row = section('Wi-Fi networks').getByRole('row').nth(1);
    await row.getByRole('button', { name: 'Edit Name' }).click();
    await page.getByRole('textbox', { name: 'New value of Name' }).fill('x'.repeat(40));
    await page.getByText('Wanted: at most 32 characters, this has 40').waitFor();
    expect(await page.getByRole('button', { name: 'Stage', exact: true }).isDisabled()).toBe(true);
  });

  it('never shows a Wi-Fi password, and stages a new one hidden', async () => {
    await page.goto(`/devices/${id}`);
    await section('Wi-Fi networks').getByRole('button', { name: /^Edit Password/ }).first().click();
    await page.getByLabel(/^New value of Password/).fill('not to be seen');
    await page.getByRole('button', { name: 'Stage', exact: true }).click();
    await page.getByRole('heading', { name: '1 staged change' }).waitFor();
    expect(await page.getByText('not to be seen').count()).toBe(0);
    expect(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }))).not.toContain('not to be seen');
  });

  it('browses the data model by tree and by search', async () => {
    await page.goto(`/devices/${id}?tab=model`);
    const tree = page.getByRole('tree', { name: 'Objects' });
    await tree.getByRole('treeitem', { name: 'DeviceInfo' }).click();
    await page.getByRole('cell', { name: 'SoftwareVersion', exact: true }).waitFor();
    expect(page.url()).toContain('Device.DeviceInfo.');
    await page.getByRole('textbox', { name: 'Search paths and values' }).fill('SSID.1.SSID');
    await page.getByRole('button', { name: /Device\.WiFi\.SSID\.1\.SSID/ }).first().click();
    await page.getByRole('cell', { name: 'SSID', exact: true }).waitFor();
    await page.getByRole('button', { name: 'Edit SSID' }).waitFor();
    // What names any row opens the first one there is; where there is none, what the model says of it.
    await page.goto(`/devices/${id}?tab=model&path=${encodeURIComponent('Device.WiFi.SSID.{i}.')}`);
    await page.waitForURL(/path=Device\.WiFi\.SSID\.1\.$/);
    await page.getByRole('button', { name: 'Edit SSID' }).waitFor();
    await page.goto(`/devices/${id}?tab=model&path=${encodeURIComponent('Device.LocalAgent.Request.{i}.')}`);
    await page.getByText('No row of Device.LocalAgent.Request. is known', { exact: false }).waitFor();
  });

  it('ranks the object of that name first, counts all hits, and edits within the window with the timeline open', async () => {
    await page.goto(`/devices/${id}?tab=model`);
    const search = page.getByRole('textbox', { name: 'Search paths and values' });
    await search.fill('ssid');
    await page.getByText(/^\d+ hits$/).waitFor();
    const hits = page.getByRole('button', { name: /^Device\./ });
    expect(await hits.first().getAttribute('aria-label')).toBe('Device.WiFi.SSID.');
    await search.fill('e');
    await page.getByText(/^first 200 of [\d,]+ hits$/).waitFor();

    await page.goto(`/devices/${id}?tab=model&path=Device.WiFi.SSID.1.`);
    await page.getByRole('complementary', { name: 'Timeline' }).waitFor();
    await page.getByRole('button', { name: 'Edit LowerLayers' }).click();
    const table = await page.getByRole('region', { name: 'Parameters' }).boundingBox();
    for (const part of [page.getByRole('textbox', { name: 'New value of LowerLayers' }), page.getByRole('button', { name: 'Stage', exact: true }), page.getByRole('button', { name: 'Cancel', exact: true })]) {
      const box = await part.boundingBox();
      if (!box || !table) throw new Error('not shown');
      expect(box.x + box.width).toBeLessThanOrEqual(table.x + table.width);
      expect(await part.evaluate((element) => {
        const { left, right, top, bottom } = element.getBoundingClientRect();
        return [left + 2, right - 2].every((x) => element.contains(document.elementFromPoint(x, (top + bottom) / 2)) || document.elementFromPoint(x, (top + bottom) / 2)?.contains(element));
      })).toBe(true);
    }
  });

  it('keeps a staged change while one is elsewhere, and leads back to it', async () => {
    await page.goto(`/devices/${id}`);
    await section('Wi-Fi networks').getByRole('button', { name: 'Edit Name' }).first().click();
    await page.getByRole('textbox', { name: 'New value of Name' }).fill('Kept');
    await page.getByRole('button', { name: 'Stage', exact: true }).click();
    await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Operations' }).click();
    await page.getByRole('link', { name: `1 staged change for ${name}` }).click();
    await page.getByRole('heading', { name: '1 staged change' }).waitFor();
    const asked = page.waitForEvent('dialog');
    const reload = page.reload().catch(() => {});
    const dialog = await asked;
    expect(dialog.type()).toBe('beforeunload');
    await dialog.accept();
    await reload;
  });

  it('lists the commands of objects that are there, and wants a factory reset typed', async () => {
    await page.goto(`/devices/${id}?tab=commands`);
    const list = page.getByRole('navigation', { name: 'Commands' });
    await list.getByRole('button', { name: 'Device.Reboot()', exact: true }).waitFor();
    const absent = list.getByRole('button', { name: 'Device.LocalAgent.Request.{i}.Cancel()' });
    expect(await absent.isVisible()).toBe(false);
    await list.getByText(/^Supported, but no such object/).click();
    await absent.waitFor();
    await list.getByRole('button', { name: 'Device.FactoryReset()', exact: true }).click();
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    const dialog = page.getByRole('dialog', { name: 'Run FactoryReset()?' });
    expect(await dialog.getByRole('button', { name: 'Run' }).isDisabled()).toBe(true);
    await dialog.getByLabel(`Type ${name} to confirm`).waitFor();
    await dialog.getByRole('button', { name: 'Cancel' }).click();
  });

  it('reads an object again and shows when', async () => {
    await page.goto(`/devices/${id}?tab=model&path=Device.DeviceInfo.`);
    await page.getByRole('button', { name: 'Read now: Device.DeviceInfo.' }).click();
    await page.getByRole('row').filter({ hasText: 'UpTime' }).getByText('just now').waitFor({ timeout: 30_000 });
  });

  it('runs a command with its arguments and shows what came back', async () => {
    await page.goto(`/devices/${id}?tab=commands`);
    const list = page.getByRole('navigation', { name: 'Commands' });
    await list.getByRole('button', { name: /Reboot\(\)/ }).waitFor();
    await list.getByRole('button', { name: /Reboot\(\)/ }).click();
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    // A command that interrupts the customer asks first.
    await page.getByRole('dialog', { name: /Run Reboot\(\)\?/ }).getByRole('button', { name: 'Cancel' }).click();
    expect(await page.getByRole('dialog').count()).toBe(0);
  });

  it('does not run a command while a mandatory argument is missing, and names it', async () => {
    await page.goto(`/devices/${id}?tab=commands&path=${encodeURIComponent('Device.IP.Diagnostics.IPPing()')}`);
    const run = page.getByRole('button', { name: /^Run/ });
    await page.getByLabel('Host (mandatory)').waitFor();
    expect(await run.getAttribute('aria-disabled')).toBe('true');
    await run.hover();
    await page.getByRole('tooltip').getByText('Fill in what is mandatory first: ProtocolVersion, Host, NumberOfRepetitions, Timeout, DataBlockSize.').waitFor();
    let sent = 0;
    page.on('request', (request) => (sent += request.method() === 'POST' ? 1 : 0));
    await page.getByLabel('Host (mandatory)').press('Enter');
    for (const [argument, value] of [['Host', '192.0.2.1'], ['NumberOfRepetitions', '1'], ['Timeout', '1000'], ['DataBlockSize', '64']] as const) {
      await page.getByLabel(`${argument} (mandatory)`).fill(value);
    }
    expect(await run.getAttribute('aria-disabled')).toBe('true');
    await page.getByRole('combobox', { name: 'ProtocolVersion (mandatory)' }).or(page.getByRole('textbox', { name: 'ProtocolVersion (mandatory)' })).click();
    await page.getByRole('option', { name: 'Any' }).click();
    await page.getByRole('button', { name: 'Run', exact: true }).and(page.locator(':not([aria-disabled])')).waitFor();
    expect(sent).toBe(0);
  });

  it('can be required to show a certificate, and says what the server needs for it', async () => {
    await page.goto(`/devices/${id}`);
    await page.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: 'Require a client certificate' }).click();
    const dialog = page.getByRole('dialog', { name: 'Require a client certificate?' });
    await dialog.getByText(name, { exact: true }).waitFor();
    await dialog.getByRole('button', { name: 'Require it' }).click();
    await dialog.getByRole('alert').getByText(/needs a server that asks devices for certificates/).first().waitFor();
    const detail = (await (await context.request.get(`/api/v1/devices/${id}`)).json()) as { admission: { certificate_required: boolean } };
    expect(detail.admission.certificate_required).toBe(false);
  });

  it('keeps the tab in the URL and turns to it with a number key', async () => {
    await page.goto(`/devices/${id}`);
    await page.getByRole('heading', { level: 1, name }).waitFor();
    await page.keyboard.press('6');
    await page.getByRole('tab', { name: 'Reach', selected: true }).waitFor();
    expect(page.url()).toContain('tab=reach');
    await section('Ways to this device').getByText(/websocket/i).first().waitFor();
    await page.reload();
    await page.getByRole('tab', { name: 'Reach', selected: true }).waitFor();
  });

  it('lists its operations with what was sent and what came back', async () => {
    await page.goto(`/devices/${id}?tab=operations`);
    const list = page.getByRole('grid', { name: 'Operations' });
    await list.getByRole('gridcell').getByRole('link').first().click();
    await page.getByRole('region', { name: 'Transcript' }).getByRole('listitem').first().waitFor();
    await page.getByRole('region', { name: 'Steps' }).waitFor();
  });

  it('asks before a reboot and before a removal', async () => {
    await page.goto(`/devices/${id}`);
    await page.getByRole('button', { name: 'Reboot', exact: true }).click();
    const reboot = page.getByRole('dialog', { name: 'Reboot this device?' });
    await reboot.getByText(name).waitFor();
    await reboot.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: 'Remove' }).click();
    const remove = page.getByRole('dialog', { name: 'Remove this device?' });
    expect(await remove.getByRole('button', { name: 'Remove' }).isDisabled()).toBe(true);
    await remove.getByLabel(`Type ${name} to confirm`).fill(name);
    expect(await remove.getByRole('button', { name: 'Remove' }).isDisabled()).toBe(false);
    await page.keyboard.press('Escape');
    expect((await context.request.get(`/api/v1/devices/${id}`)).status()).toBe(200);
  });

  it('keeps a name given by people', async () => {
    await page.goto(`/devices/${id}`);
    await page.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: 'Edit name and tags' }).click();
    const dialog = page.getByRole('dialog', { name: 'What we note about this device' });
    await dialog.getByLabel('Name for people').fill('Corner bakery');
    await dialog.getByLabel('Tags').fill('pilot, shop');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { level: 1, name: 'Corner bakery' }).waitFor();
    await page.goto('/devices?q=Corner+bakery');
    await page.getByRole('grid').getByRole('link', { name: 'Corner bakery' }).waitFor();
    await context.request.patch(`/api/v1/devices/${id}`, { data: { label: '', tags: [] } });
  });

  it('says so when there is no such device', async () => {
    await page.goto('/devices/01900000-0000-7000-8000-000000000000');
    await page.getByRole('heading', { name: 'There is no such device' }).waitFor();
  });
});
