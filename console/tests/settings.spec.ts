// Keys, tokens and people are made and unmade; what is shown once is shown once; the doctor sees a refused device.
import { request as httpRequest } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { anonymous, launch, signedIn, url } from './support';

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

const unique = (what: string) => `${what} ${Date.now() % 1_000_000}`;

describe('settings', () => {
  it('makes a token that works, and revokes it', async () => {
    const name = unique('Script');
    await page.goto('/settings/tokens');
    await page.getByRole('button', { name: 'New token' }).click();
    const dialog = page.getByRole('dialog', { name: 'New API token' });
    await dialog.getByLabel('What is it for?').fill(name);
    await dialog.getByRole('checkbox', { name: /^device:read/ }).check();
    const bottom = await dialog.getByRole('button', { name: 'Create' }).boundingBox();
    expect((bottom?.y ?? 9999) + (bottom?.height ?? 0)).toBeLessThan(900);
    await dialog.getByRole('button', { name: 'Create' }).click();
    const secret = (await dialog.getByLabel('Token', { exact: true }).textContent()) ?? '';
    expect(secret).toMatch(/^het_/);
    const ask = () => fetch(`${url}/api/v1/devices?limit=1`, { headers: { authorization: `Bearer ${secret}` } });
    expect((await ask()).status).toBe(200);
    await dialog.getByRole('button', { name: 'Done' }).click();
    const row = page.getByRole('row').filter({ hasText: name });
    await row.getByRole('button', { name: 'Revoke' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect((await ask()).status).toBe(401);
    expect(await page.getByText(secret).count()).toBe(0);
  });

  it('gives the URL for a new device with a fresh setup key', async () => {
    await page.goto('/devices');
    await page.getByRole('button', { name: 'Add device' }).click();
    const dialog = page.getByRole('dialog', { name: 'Add a device' });
    await dialog.getByRole('button', { name: 'Make a setup key' }).click();
    const text = (await dialog.getByLabel('WebSocket URL').first().textContent()) ?? '';
    expect(text).toMatch(/^wss?:\/\/.+\/hes_[0-9A-Za-z]{32}$/);
    await dialog.getByText('Waiting for a device to come with this key.', { exact: false }).waitFor();
    await dialog.getByRole('button', { name: 'Done' }).click();
    expect(page.url()).not.toContain('add=');
  });

  it('makes a user whose one-time password works once, and what they may not do says why', async () => {
    const login = unique('viewer').replace(' ', '-');
    await page.goto('/settings/users');
    await page.getByRole('button', { name: 'New user' }).click();
    const dialog = page.getByRole('dialog', { name: 'New user' });
    await dialog.getByLabel('Login (usually an e-mail address)').fill(login);
    await dialog.getByRole('combobox', { name: 'Role' }).or(dialog.getByRole('textbox', { name: 'Role' })).click();
    await page.getByRole('option', { name: /view|read/i }).first().click();
    await dialog.getByRole('button', { name: 'Create' }).click();
    const once = (await page.getByRole('dialog', { name: 'One-time password' }).getByLabel('One-time password').first().textContent()) ?? '';
    const other = await anonymous(browser);
    const theirs = await other.newPage();
    await theirs.goto('/sign-in');
    await theirs.getByLabel('Login').fill(login);
    await theirs.getByLabel('Password', { exact: true }).fill(once);
    await theirs.getByRole('button', { name: 'Sign in' }).click();
    await theirs.getByRole('heading', { name: 'Choose your own password' }).waitFor();
    await theirs.getByLabel('New password', { exact: true }).fill('four quiet words here');
    await theirs.getByLabel('New password, once more').fill('four quiet words here');
    await theirs.getByRole('button', { name: 'Change the password' }).click();
    await theirs.getByRole('grid', { name: 'Devices' }).waitFor();
    const add = theirs.getByRole('button', { name: /^Add device/ });
    await add.hover();
    await theirs.getByRole('tooltip').getByText(/does not include the permission device:write/).waitFor();
    await add.click({ force: true });
    expect(await theirs.getByRole('dialog').count()).toBe(0);
    await other.close();
  });

  it('gives a new one-time password, and its owner chooses another twice', async () => {
    const login = unique('support').replace(' ', '-');
    const made = await context.request.post('/api/v1/users', { data: { login, display_name: 'Ada Support', role: 'support' } });
    expect(made.ok()).toBe(true);
    await page.goto('/settings/users');
    await page.getByRole('row').filter({ hasText: login }).getByRole('button', { name: 'Actions for Ada Support' }).click();
    await page.getByRole('menuitem', { name: 'New one-time password' }).click();
    await page.getByRole('dialog', { name: 'Give a new one-time password?' }).getByRole('button', { name: 'New one-time password' }).click();
    const once = (await page.getByRole('dialog', { name: 'One-time password' }).getByLabel('One-time password').first().textContent()) ?? '';
    const other = await anonymous(browser);
    const theirs = await other.newPage();
    const signIn = async (secret: string) => {
      await theirs.goto('/sign-in');
      await theirs.getByLabel('Login').fill(login);
      await theirs.getByLabel('Password', { exact: true }).fill(secret);
      await theirs.getByRole('button', { name: 'Sign in' }).click();
    };
    const choose = async (next: string) => {
      await theirs.getByLabel('New password', { exact: true }).fill(next);
      await theirs.getByLabel('New password, once more').fill(next);
      await theirs.getByRole('button', { name: 'Change the password' }).click();
    };
    await signIn(once);
    await choose('four quiet words here');
    await theirs.getByRole('grid', { name: 'Devices' }).waitFor();
    await theirs.goto('/settings/account');
    await theirs.getByLabel('Your present password').fill('four quiet words here');
    await choose('four louder words there');
    await theirs.getByText('The password is changed.', { exact: false }).waitFor();
    await theirs.getByRole('button', { name: /^Ada Support.*account$/ }).click();
    await theirs.getByRole('menuitem', { name: 'Sign out' }).click();
    await signIn('four quiet words here');
    await theirs.getByRole('alert').waitFor();
    await signIn('four louder words there');
    await theirs.getByRole('grid', { name: 'Devices' }).waitFor();
    await other.close();
  });

  it('disables a tenant after its name was typed, and enables it again', async () => {
    const id = `shut-${Date.now() % 1_000_000}`;
    await context.request.post('/api/v1/tenants', { data: { id, name: `Shut ${id}` } });
    const state = async () => ((await (await context.request.get(`/api/v1/tenants/${id}`)).json()) as { disabled_at: string | null }).disabled_at;
    await page.goto('/settings/tenants');
    const row = page.getByRole('row').filter({ hasText: id });
    await row.getByRole('button', { name: `Disable Shut ${id}` }).click();
    const dialog = page.getByRole('dialog', { name: 'Disable this tenant?' });
    expect(await dialog.getByRole('button', { name: 'Disable' }).isDisabled()).toBe(true);
    await dialog.getByLabel(`Type ${id} to confirm`).fill(id);
    await dialog.getByRole('button', { name: 'Disable' }).click();
    await row.getByText('disabled', { exact: true }).waitFor();
    expect(await state()).not.toBeNull();
    await row.getByRole('button', { name: `Enable Shut ${id}` }).click();
    await page.getByRole('dialog', { name: 'Enable this tenant again?' }).getByRole('button', { name: 'Enable' }).click();
    await row.getByText('active', { exact: true }).waitFor();
    expect(await state()).toBeNull();
  });

  it('shows a refused connection with its reason in the doctor', async () => {
    const system = (await (await context.request.get('/api/v1/system')).json()) as { listeners: { purpose: string; protocol: string; address: string }[] };
    const listener = system.listeners.find((one) => one.protocol === 'ws');
    if (!listener) throw new Error('the server has no plain WebSocket listener');
    const [, port] = /:(\d+)$/.exec(listener.address) ?? [];
    const endpoint = `os::00D09E-MISSED${Date.now() % 100_000}`;
    await new Promise<void>((resolve) => {
      const ask = httpRequest({
        host: '127.0.0.1',
        port,
        path: `/usp/hes_${'x'.repeat(32)}?eid=${encodeURIComponent(endpoint)}`,
        headers: { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'MDEyMzQ1Njc4OWFiY2RlZg==', 'sec-websocket-protocol': 'v1.usp' },
      });
      ask.on('response', (answer) => {
        expect(answer.statusCode).toBe(401);
        answer.resume();
        resolve();
      });
      ask.on('error', () => resolve());
      ask.end();
    });
    await page.goto('/doctor');
    await page.getByRole('region', { name: 'Connections turned away' }).getByText(endpoint).waitFor();
    await page.getByLabel('Endpoint id, serial or address of the device').fill(endpoint);
    await page.getByRole('button', { name: 'Look into it' }).click();
    await page.getByRole('region', { name: 'Findings' }).getByText(/key/i).first().waitFor();
  });
});
