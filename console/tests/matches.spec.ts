// Two devices that may be one: said to be two, made one by hand, split again, and accepted after all.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { acs, gatewaySerial, inform, startGateway, type Program } from './programs';
import { devices, launch, signedIn, until } from './support';

// Another number each time, so that a second run against the same server finds a new device.
const number = 500_000 + (Date.now() % 400_000);
const serial = gatewaySerial(number);

let browser: Browser;
let context: BrowserContext;
let page: Page;
let gateway: Program;
let usp = '';

const both = () => devices(context, `&q=${serial}`);
const pair = () => page.getByRole('region', { name: `${serial}, ${serial}` });

beforeAll(async () => {
  browser = await launch();
  context = await signedIn(browser);
  page = await context.newPage();
  const controller = ((await (await context.request.get('/api/v1/system')).json()) as { endpoint_id: string }).endpoint_id;
  gateway = startGateway(controller, number);
  const known = await until('the gateway is ready', async () => {
    const found = (await devices(context, `&q=${serial}&presence=online`))[0];
    return found?.model ? found : undefined;
  }, 40_000);
  usp = known.id;
  const told = (await (await context.request.get(`/api/v1/devices/${usp}`)).json()) as { oui: string; product_class: string };
  // The same number over TR-069, from another address: nobody but a person can say whether it is the same device.
  expect(await inform(await acs(context), { oui: told.oui, productClass: told.product_class, serial })).toBe(200);
  await until('there are two', async () => (await both()).length === 2);
}, 90_000);
afterAll(async () => {
  for (const one of await both()) await context.request.delete(`/api/v1/devices/${one.id}`);
  await gateway.kill();
  await browser.close();
});

describe('two devices with one name', () => {
  it('are told of on the list, and are two when a person says so', async () => {
    await page.goto('/devices');
    await page.getByRole('link', { name: /may be the same device: decide/ }).click();
    await page.getByRole('heading', { level: 1, name: 'May be the same device' }).waitFor();
    await pair().getByText(/^OUI.* serial$/).or(pair().getByText(/OUI, class and serial/)).first().waitFor();
    await pair().getByText('CWMP', { exact: true }).waitFor();
    await pair().getByRole('button', { name: /^They are two/ }).click();
    await page.getByRole('dialog', { name: 'Are they two devices?' }).getByRole('button', { name: 'They are two' }).click();
    await page.getByText('They stay two devices.').waitFor();
    await pair().waitFor({ state: 'detached' });
    await page.getByLabel('Show those that were decided to be two').check();
    await pair().getByText(/two, said/).waitFor();
    expect((await both()).length).toBe(2);
  });

  it('are made one from the page of one of them, after the name of the other was typed', async () => {
    await page.goto(`/devices/${usp}`);
    await page.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: 'It is the same as another device' }).click();
    const dialog = page.getByRole('dialog', { name: 'Make one device of two' });
    const verb = dialog.getByRole('button', { name: 'Make them one' });
    await dialog.getByRole('combobox', { name: 'The other device' }).or(dialog.getByRole('textbox', { name: 'The other device' })).first().fill(serial);
    await page.getByRole('option', { name: new RegExp(serial) }).click();
    expect(await verb.isDisabled()).toBe(true);
    await dialog.getByLabel(`Type ${serial} to confirm`).fill(serial);
    await verb.click();
    await page.getByText(`They are one now: ${serial}.`).waitFor();
    expect((await both()).map((one) => one.id)).toEqual([usp]);
  });

  it('are two again when a way is split off', async () => {
    await page.goto(`/devices/${usp}?tab=reach`);
    const ways = page.getByRole('region', { name: 'Ways to this device' });
    await ways.getByText('CWMP', { exact: true }).waitFor();
    const split = page.getByRole('button', { name: 'Make it a device of its own' });
    const cwmp = page.getByText('CWMP', { exact: true });
    await ways.locator('div.row').filter({ has: cwmp }).filter({ has: split }).getByRole('button').click();
    const dialog = page.getByRole('dialog', { name: 'Make this way a device of its own?' });
    await dialog.getByText('cwmp', { exact: true }).waitFor();
    await dialog.getByRole('button', { name: 'Make it a device of its own' }).click();
    await page.getByText('is a device of its own now.', { exact: false }).waitFor();
    await page.getByRole('region', { name: 'Ways to this device' }).getByText('CWMP', { exact: true }).waitFor();
    expect(page.url()).not.toContain(usp);
    expect((await both()).length).toBe(2);
  });

  it('are one when a person changes their mind', async () => {
    await page.goto('/devices/matches');
    await page.getByLabel('Show those that were decided to be two').check();
    await pair().getByRole('button', { name: /^They are one/ }).click();
    await page.getByRole('dialog', { name: 'Are they one device?' }).getByRole('button', { name: 'They are one' }).click();
    await page.getByText(`They are one now: ${serial}.`).waitFor();
    await pair().waitFor({ state: 'detached' });
    expect((await both()).length).toBe(1);
  });
});
