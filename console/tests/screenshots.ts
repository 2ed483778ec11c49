// Saves a PNG of every page, light and dark, in two sizes, into test-results/. For people to look at; it asserts
// little. ONLY=name,name keeps it short.
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { Browser, Page } from 'playwright-core';
import { anonymous, devices, launch, resultFile, signedIn } from './support';

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

const only = process.env.ONLY?.split(',');

const views = (['light', 'dark'] as const).flatMap((scheme) => [
  { scheme, width: 1440, height: 900, name: scheme },
  { scheme, width: 1280, height: 720, name: `${scheme}-small` },
]);

describe.each(views)('pages in $scheme at $width x $height', ({ scheme, width, height, name: view }) => {
  it('are saved', async () => {
    const context = await signedIn(browser, { scheme, width, height });
    const page = await context.newPage();
    const problems: string[] = [];
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    page.on('pageerror', (error) => problems.push(String(error)));
    const all = await devices(context);
    const device = all.find((one) => one.presence.word === 'online' && /Hearth|gateway/i.test(one.model ?? '')) ?? all.find((one) => one.presence.word === 'online') ?? all[0];
    const save = async (name: string, path: string, before?: (page: Page) => Promise<unknown>) => {
      if (only && !only.includes(name)) return;
      await page.goto(path, { waitUntil: 'load' });
      await page.getByRole('main').first().waitFor();
      // Skeletons are gone when the page says it is no longer busy.
      await page.locator('[aria-busy="true"]').first().waitFor({ state: 'detached', timeout: 10_000 }).catch(() => {});
      await before?.(page);
      await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
      await page.screenshot({ path: resultFile(`${name}-${view}.png`) });
    };
    const at = device ? `/devices/${device.id}` : '/devices';
    const settle = (p: Page) => p.waitForLoadState('networkidle', { timeout: 1500 }).catch(() => {});
    await save('devices', '/devices', settle);
    await save('devices-filter', '/devices?presence=%5B%22online%22%5D', async (p) => {
      await p.getByRole('combobox', { name: 'Filter devices' }).fill('model:');
      await p.getByRole('option').first().waitFor();
    });
    await save('add-device', '/devices?add=true', (p) => p.getByRole('dialog').waitFor());
    await save('device-overview', at, settle);
    await save('device-staged', at, async (p) => {
      await settle(p);
      await p.getByRole('button', { name: 'Edit Name' }).first().click();
      await p.getByRole('textbox', { name: 'New value of Name' }).fill('Corner bakery');
      await p.getByRole('button', { name: 'Stage', exact: true }).click();
      await p.getByRole('button', { name: 'Preview' }).click();
      await p.getByRole('button', { name: 'Apply' }).waitFor();
    });
    await save('device-model', `${at}?tab=model&path=Device.WiFi.SSID.1.`, settle);
    await save('device-model-search', `${at}?tab=model&find=SSID`, settle);
    await save('device-model-edit', `${at}?tab=model&path=Device.WiFi.SSID.1.`, async (p) => {
      await p.getByRole('button', { name: 'Edit LowerLayers' }).click();
    });
    await save('device-command', `${at}?tab=commands&path=${encodeURIComponent('Device.IP.Diagnostics.IPPing()')}`, settle);
    await save('device-commands', `${at}?tab=commands`, settle);
    await save('device-operations', `${at}?tab=operations`, settle);
    await save('device-sessions', `${at}?tab=sessions`, settle);
    await save('device-matches', '/devices/matches', settle);
    await save('device-reach', `${at}?tab=reach`, settle);
    await save('operations', '/operations', settle);
    const answer = (await (await context.request.get('/api/v1/operations?limit=50')).json()) as { items: { id: string; state: string; ops: { kind: string }[] }[] };
    const operation = answer.items.find((one) => one.ops[0]?.kind === 'set') ?? answer.items[0];
    const failed = answer.items.find((one) => one.state === 'failed');
    if (failed) await save('operation-failed', `/operations/${failed.id}`, settle);
    if (operation) await save('operation', `/operations/${operation.id}`, settle);
    await save('events', '/events', settle);
    await save('doctor', '/doctor', settle);
    for (const section of ['account', 'appearance', 'tokens', 'setup-keys', 'users', 'tenants', 'system']) await save(`settings-${section}`, `/settings/${section}`, settle);
    await save('token', '/settings/tokens', async (p) => {
      await p.getByRole('button', { name: 'New token' }).click();
      await p.getByRole('dialog').waitFor();
      await settle(p);
    });
    await save('nowhere', '/no/such/page');
    await save('palette', '/devices', async (p) => {
      await p.keyboard.press('Control+k');
      await p.getByRole('combobox', { name: 'Command or device' }).waitFor();
    });
    await context.close();
    const out = await anonymous(browser, { scheme, width, height });
    const front = await out.newPage();
    await front.goto('/sign-in');
    await front.getByRole('button', { name: 'Sign in' }).waitFor();
    await front.screenshot({ path: resultFile(`sign-in-${view}.png`) });
    await out.close();
    if (problems.length > 0) console.log([...new Set(problems)].join('\n'));
  }, 180_000);
});
