// Certificates of devices, brokers of others, and a device with two links, on a server of their own: the authority is
// there, a certificate is issued, rotated and revoked, and each page tells of it.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { startCertifiedAgent, startSite, type Program, type Site } from './programs';
import { launch, signedIn, until } from './support';

const endpoint = 'os::00256D-TWO1';

let browser: Browser;
let site: Site;
let context: BrowserContext;
let page: Page;
let agent: Program | undefined;

beforeAll(async () => {
  browser = await launch();
  site = await startSite();
  context = await browser.newContext({ baseURL: site.url, viewport: { width: 1440, height: 900 }, acceptDownloads: true });
  const mine = `${site.password}-and-my-own`;
  expect((await context.request.post('/api/v1/session', { data: { login: 'admin', password: site.password } })).ok()).toBe(true);
  expect((await context.request.put('/api/v1/session/password', { data: { current: site.password, new: mine } })).ok()).toBe(true);
  page = await context.newPage();
}, 90_000);
afterAll(async () => {
  await agent?.kill();
  await browser.close();
  await site.kill();
});

const main = () => page.getByRole('main');

it('says how an authority for devices is made, and issues nothing where there is none', async () => {
  const without = await signedIn(browser);
  const page = await without.newPage();
  await page.goto('/settings/certificates');
  const main = page.getByRole('main');
  await main.getByText(/There is no authority for devices.*headend pki init/).first().waitFor();
  await main.getByRole('button', { name: /^Issue a certificate/, disabled: true }).waitFor();
  await without.close();
}, 60_000);

it('shows the authority for devices', async () => {
  await page.goto('/settings/certificates');
  const authority = main().getByRole('region', { name: 'Authority for devices' });
  await authority.getByText(/Headend device CA/).waitFor();
  await authority.getByText(/certificates are issued here/).waitFor();
}, 60_000);

it('issues a certificate whose key is shown once', async () => {
  await main().getByRole('button', { name: 'Issue a certificate' }).click();
  const dialog = page.getByRole('dialog', { name: 'Issue a certificate' });
  await dialog.getByLabel('Endpoint id of the device').fill('no endpoint');
  await dialog.getByRole('button', { name: 'Issue a certificate' }).click();
  await dialog.getByRole('alert').waitFor();
  await dialog.getByLabel('Endpoint id of the device').fill(endpoint);
  await dialog.getByRole('button', { name: 'Issue a certificate' }).click();
  const saved = async (name: string) => {
    const [download] = await Promise.all([page.waitForEvent('download'), dialog.getByRole('link', { name }).click()]);
    expect(download.suggestedFilename()).toBe(name);
    return readFileSync(await download.path(), 'utf8');
  };
  const issued = { pem: await saved('certificate.pem'), key: await saved('key.pem') };
  expect(issued.key).toContain('PRIVATE KEY');
  expect(await saved('authority.pem')).toContain('BEGIN CERTIFICATE');
  await dialog.getByRole('button', { name: 'Close' }).last().click();
  await dialog.waitFor({ state: 'detached' });
  expect(await page.content()).not.toContain('PRIVATE');
  const row = page.getByRole('row').filter({ hasText: endpoint });
  await row.getByText('valid', { exact: true }).waitFor();
  await row.getByText('not yet', { exact: true }).waitFor();
  agent = startCertifiedAgent(site, endpoint, issued);
}, 60_000);

it('shows both links of a device, which of them is used, and by what it came', async () => {
  await page.getByRole('link', { name: endpoint }).click();
  expect(page.url()).toContain('tab=reach');
  const ways = page.getByRole('region', { name: 'Ways to this device', exact: true });
  const shown = async (words: string) => ways.getByText(words, { exact: true }).count();
  await until('both links are there', async () => {
    await page.reload();
    await ways.getByText(/^USP over/).first().waitFor();
    return (await shown('client certificate')) === 2 && (await shown('in use')) === 1 && (await shown('stands by')) === 1;
  }, 60_000);
  // What is asked first comes first.
  expect(await ways.getByText(/^USP over/).allTextContents()).toEqual(['USP over WebSocket', 'USP over MQTT']);
}, 90_000);

it('rotates the certificate of a device on its page, and leads to the operation', async () => {
  const certificates = page.getByRole('region', { name: 'Certificates', exact: true });
  await until('the device is onboarded', async () => {
    const id = page.url().split('/devices/')[1]?.split('?')[0] ?? '';
    const device = (await (await context.request.get(`/api/v1/devices/${id}`)).json()) as { onboarding: string };
    return device.onboarding === 'complete';
  }, 60_000);
  await certificates.getByRole('button', { name: 'Rotate' }).click();
  await certificates.getByText(/on its way/).waitFor();
  const operation = certificates.getByRole('link', { name: 'See the operation' });
  expect(await operation.getAttribute('href')).toMatch(/^\/operations\/[0-9a-f-]{36}$/);
  await until('the new one was shown, and the old one is over', async () => {
    await page.reload();
    await certificates.waitFor();
    return (await certificates.getByText('revoked', { exact: true }).count()) === 1 && (await certificates.getByText(/took its place/).count()) === 1;
  }, 60_000);
  expect(await certificates.getByText('valid', { exact: true }).count()).toBe(1);
}, 150_000);

it('revokes with a reason, shuts the device out, and finds what was revoked', async () => {
  await page.goto('/settings/certificates');
  const table = page.getByRole('table', { name: 'Certificates' });
  await table.getByRole('row').filter({ hasText: 'valid' }).getByRole('button', { name: 'Revoke' }).click();
  const dialog = page.getByRole('dialog', { name: 'Revoke this certificate?' });
  await dialog.getByLabel('Why (optional)').fill('stolen');
  await dialog.getByRole('button', { name: 'Revoke' }).click();
  await dialog.waitFor({ state: 'detached' });
  await table.getByText('stolen').waitFor();
  await main().getByText('Revoked', { exact: true }).click();
  await until('the address says it', async () => page.url().includes('show=revoked'));
  await until('both are shown', async () => (await table.getByRole('row').filter({ hasText: 'revoked' }).count()) === 2);
  await main().getByLabel('Endpoint id').fill('os::00256D-NOBODY');
  await main().getByRole('button', { name: 'Find' }).click();
  await main().getByText('No such certificates').waitFor();
  await main().getByRole('button', { name: 'Show all' }).click();
  await page.getByRole('link', { name: endpoint }).first().click();
  const refusals = page.getByRole('region', { name: 'Connections turned away', exact: true });
  await until('its connections are refused, and that is shown', async () => {
    await page.reload();
    await page.getByRole('region', { name: 'Reach', exact: true }).waitFor();
    return (await refusals.getByText(/certificate/i).count()) > 0;
  }, 60_000);
}, 120_000);

it('shows a broker of somebody else that cannot be reached, and why', async () => {
  await page.goto('/settings/system');
  const broker = page.getByRole('region', { name: 'Brokers of others' }).getByRole('row').filter({ hasText: 'north' });
  await broker.getByText('not connected', { exact: true }).waitFor();
  await broker.getByText(/refused/i).waitFor();
}, 60_000);
