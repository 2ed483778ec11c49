// How a TR-069 device is asked to come: in which ways, with what result, and with which password.
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { acs, cpeSerial, startCpe, type Program } from './programs';
import { devices, launch, signedIn, until } from './support';

const number = 500_000 + (Date.now() % 190_000);
const serial = cpeSerial(number);

let browser: Browser;
let context: BrowserContext;
let page: Page;
let program: Program;

beforeAll(async () => {
  browser = await launch();
  context = await signedIn(browser);
  page = await context.newPage();
  program = startCpe(await acs(context), number, ['--cwmp-interval', '86400', '--cwmp-trouble', 'own-password']);
}, 60_000);
afterAll(async () => {
  await program.kill();
  await browser.close();
});

it('is woken with the password of its label after somebody entered that, and says which was tried', async () => {
  const device = await until(`${serial} is known`, async () => (await devices(context, `&q=${serial}`)).find((one) => one.model), 60_000);
  const ways = page.getByRole('region', { name: 'Ways to this device', exact: true });
  const asked = ways.getByRole('group', { name: 'Asked to come with' });
  await until('it does not take ours', async () => {
    await page.goto(`/devices/${device.id}?tab=reach`);
    await asked.waitFor();
    await page.getByRole('region', { name: 'Reach', exact: true }).getByRole('button', { name: 'Wake' }).click();
    return (await ways.getByText(/none of ours yet/).count()) > 0 ? true : undefined;
  }, 60_000);
  await asked.getByText(/no password/).waitFor();

  // Its address ends with what is its password, too.
  const reach = (await (await context.request.get(`/api/v1/devices/${device.id}/reach`)).json()) as { paths: { identity: string; methods: { address: string }[] }[] };
  const path = reach.paths[0];
  const password = path?.methods[0]?.address.split('/').pop() ?? '';
  const username = `${path?.identity.split('-')[0] ?? ''}-${serial}`;
  await asked.getByRole('button', { name: 'Enter its own' }).click();
  const dialog = page.getByRole('dialog', { name: 'User name and password of the device' });
  const save = dialog.getByRole('button', { name: 'Save and try' });
  expect(await save.isDisabled()).toBe(true);
  await dialog.getByRole('textbox', { name: 'User name' }).fill(username);
  await dialog.getByLabel('Password', { exact: true }).fill(password);
  await save.click();
  await dialog.waitFor({ state: 'detached' });
  await asked.getByText(username, { exact: true }).waitFor();
  await asked.getByText(/entered by admin/).waitFor();
  await until('it came', async () => {
    await page.reload();
    await asked.waitFor();
    return (await ways.getByText(/it came a/).count()) > 0 ? true : undefined;
  }, 60_000);
  expect(await page.content()).not.toContain(`>${password}<`);

  await asked.getByRole('button', { name: 'Take away' }).click();
  await page.getByRole('dialog', { name: /^Take its own user name/ }).getByRole('button', { name: 'Take away' }).click();
  await asked.getByText(/no password/).waitFor();
}, 150_000);
