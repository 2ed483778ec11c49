// The whole way with the keyboard alone: signed in, a device found, a value changed and verified.
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { Browser, Page } from 'playwright-core';
import { anonymous, devices, launch, login, password, signedIn, until } from './support';

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

/** More stops than any page has between two things one wants. */
const TABS_MAX = 60;

/** Tabs on until the focus is on what has this name. */
async function tabTo(page: Page, name: string): Promise<void> {
  for (let i = 0; i < TABS_MAX; i += 1) {
    const at = await page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '');
    if (at === name) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`no way by Tab to "${name}"`);
}

describe('the keyboard alone', () => {
  it('leads from the sign-in to a verified change', async () => {
    const admin = await signedIn(browser);
    const device = await until('a gateway that is online', async () =>
      (await devices(admin, '&presence=online&model=Hearth%202600')).find((one) => /^HG260000/.test(one.serial ?? '')),
    );
    await admin.close();
    const context = await anonymous(browser);
    const page = await context.newPage();
    await page.goto('/sign-in');
    await page.locator('input[name="username"]:focus').waitFor();
    await page.keyboard.type(login);
    await page.keyboard.press('Tab');
    await page.keyboard.type(password);
    await page.keyboard.press('Enter');
    await page.getByRole('grid', { name: 'Devices' }).waitFor();

    await page.keyboard.press('f');
    await page.keyboard.type(device.name);
    await page.keyboard.press('Enter');
    await page.getByText('1 device', { exact: true }).waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('j');
    await page.getByRole('row', { selected: true }).getByRole('link', { name: device.name }).waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: device.name }).waitFor();

    await page.keyboard.press('2');
    await page.getByRole('tree', { name: 'Objects' }).waitFor();
    await page.keyboard.press('f');
    await page.keyboard.type('Device.WiFi.SSID.2.SSID');
    await page.getByRole('button', { name: 'Device.WiFi.SSID.2.SSID', exact: true }).waitFor();
    await tabTo(page, 'Device.WiFi.SSID.2.SSID');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Edit SSID' }).waitFor();
    await tabTo(page, 'Edit SSID');
    await page.keyboard.press('Enter');
    await page.getByRole('textbox', { name: 'New value of SSID' }).and(page.locator(':focus')).waitFor();
    await page.keyboard.press('Control+a');
    await page.keyboard.type(`Typed ${Date.now() % 100_000}`);
    await page.keyboard.press('Enter');
    // The focus is where it was: on the pen.
    await page.getByRole('button', { name: 'Edit SSID' }).and(page.locator(':focus')).waitFor();
    await tabTo(page, 'Preview');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Apply', exact: true }).and(page.locator(':focus')).waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('region', { name: 'Applying' }).getByText('verified', { exact: true }).waitFor({ timeout: 30_000 });
    await context.close();
  }, 90_000);
});
