// The frame: search, addresses that lead nowhere, faults, the live stream that breaks, a sign-in that ends, tenants.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { anonymous, devices, launch, login, password, signedIn, signInWith } from './support';

let browser: Browser;
let context: BrowserContext;
let page: Page;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());
beforeEach(async () => {
  context = await signedIn(browser);
  page = await context.newPage();
});
afterEach(() => context.close());

const main = () => page.getByRole('navigation', { name: 'Main' });

describe('the frame', () => {
  it('turns to the search with one key', async () => {
    await page.goto('/operations');
    await page.getByRole('grid', { name: 'Operations' }).waitFor();
    await page.keyboard.press('/');
    const search = page.getByRole('combobox', { name: 'Search devices' });
    await search.and(page.locator(':focus')).waitFor();
    await page.keyboard.type('nobody');
    expect(await search.inputValue()).toBe('nobody');
  });

  it('stays where there is nothing, so that one can go on', async () => {
    await page.goto('/no/such/page');
    await page.getByRole('heading', { level: 1, name: 'There is nothing at this address' }).waitFor();
    await main().getByRole('link', { name: 'Devices' }).click();
    await page.getByRole('grid', { name: 'Devices' }).waitFor();
  });

  it('says plainly that there is no such device or operation, and looks for what was meant', async () => {
    await page.goto('/operations/whatever');
    await page.getByRole('heading', { level: 1, name: 'There is no such operation' }).waitFor();
    await page.goto('/devices/whatever');
    await page.getByRole('heading', { level: 1, name: 'There is no such device' }).waitFor();
    expect(await page.getByText(/malformed/i).count()).toBe(0);
    await page.getByRole('link', { name: 'Look for "whatever" in the list' }).click();
    await page.getByRole('button', { name: 'Remove filter text: whatever' }).waitFor();
  });

  it('calls a fault of its own by its name and hands out the details', async () => {
    await page.route('**/api/v1/system', (route) => route.fulfill({ json: {} }));
    await page.goto('/settings/system');
    const fault = page.getByRole('alert');
    await fault.getByText('This page failed because of a fault in the console').waitFor();
    expect(await fault.textContent()).not.toMatch(/cannot be reached|between this browser/);
    await main().getByRole('link', { name: 'Devices' }).waitFor();
    await fault.getByRole('button', { name: 'Copy details' }).click();
    await page.getByText('The details are copied.').waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toMatch(/TypeError[\s\S]*\/settings\/system/);
    await page.unroute('**/api/v1/system');
    await fault.getByRole('button', { name: 'Reload' }).click();
    await page.getByRole('region', { name: 'Listeners' }).waitFor();
  });

  it('says since when what is shown may be old, and is live again by itself or at once on request', async () => {
    await page.route('**/api/v1/events/stream', (route) => route.abort());
    await page.goto('/devices');
    const notice = page.getByRole('status', { name: 'Not live', exact: true });
    await notice.getByText(/what is shown may be old/).waitFor({ timeout: 20_000 });
    await page.unroute('**/api/v1/events/stream');
    await notice.getByRole('button', { name: 'Try now' }).click();
    await notice.waitFor({ state: 'detached' });
    await page.getByRole('status', { name: /^Live/ }).waitFor();
  });

  it('lets one sign in again over the page when the sign-in ends, and keeps what was typed', async () => {
    const device = (await devices(context))[0];
    if (!device) throw new Error('there is no device');
    const own = await anonymous(browser);
    const mine = await own.newPage();
    await signInWith(mine, password);
    await mine.goto(`/devices/${device.id}`);
    await mine.getByRole('button', { name: 'More actions' }).click();
    await mine.getByRole('menuitem', { name: 'Edit name and tags' }).click();
    const form = mine.getByRole('dialog', { name: 'What we note about this device' });
    await form.getByLabel('Name for people').fill('Typed before the end');
    expect((await own.request.delete('/api/v1/session')).ok()).toBe(true);
    await form.getByRole('button', { name: 'Save' }).click();
    const again = mine.getByRole('dialog', { name: 'Sign in again' });
    await again.getByLabel(`Password of ${login}`).fill('certainly not this one');
    await again.getByRole('button', { name: 'Sign in' }).click();
    await again.getByRole('alert').waitFor();
    await again.getByLabel(`Password of ${login}`).fill(password);
    await again.getByRole('button', { name: 'Sign in' }).click();
    await again.waitFor({ state: 'detached' });
    expect(await form.getByLabel('Name for people').inputValue()).toBe('Typed before the end');
    await form.getByRole('button', { name: 'Save' }).click();
    await mine.getByRole('heading', { level: 1, name: 'Typed before the end' }).waitFor();
    await mine.getByRole('status', { name: /^Live/ }).waitFor();
    await context.request.patch(`/api/v1/devices/${device.id}`, { data: { label: '' } });
    await own.close();
  });

  it('acts in the tenant one chooses, also after a reload, and comes back', async () => {
    const made = await context.request.post('/api/v1/tenants', { data: { id: 'north', name: 'North' } });
    expect([200, 201, 409]).toContain(made.status());
    const here = (await devices(context)).length;
    await page.goto('/devices');
    await page.getByText(`${here} devices`, { exact: true }).waitFor();
    await page.getByRole('button', { name: /^Tenant Default/ }).click();
    await page.getByRole('menuitem', { name: /North/ }).click();
    await page.getByRole('heading', { name: 'No devices yet' }).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: 'No devices yet' }).waitFor();
    await page.getByRole('button', { name: /^Tenant North/ }).click();
    await page.getByRole('menuitem', { name: /Default/ }).click();
    await page.getByText(`${here} devices`, { exact: true }).waitFor();
  });
});
