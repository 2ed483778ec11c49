// The list of devices: filters that live in the URL, the keyboard, the search, live presence.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { devices, launch, signedIn, until } from './support';

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

const grid = () => page.getByRole('grid', { name: 'Devices' });
const rows = () => grid().getByRole('row').filter({ has: page.getByRole('gridcell') });

describe('the list of devices', () => {
  it('shows every device with a state word and the age of its evidence', async () => {
    const all = await devices(context);
    await page.goto('/devices');
    await page.getByText(`${all.length} devices`).waitFor();
    await rows().first().waitFor();
    const first = rows().first();
    await first.getByText(/^(online|silent|offline|never seen)$/).waitFor();
    await first.getByRole('time').or(first.getByText('never')).first().waitFor();
  });

  it('filters by a field through suggestions and keeps the filter in the URL and across a reload', async () => {
    const all = await devices(context);
    const model = all.find((one) => one.model)?.model ?? '';
    const wanted = all.filter((one) => one.model === model).length;
    await page.goto('/devices');
    await page.keyboard.press('f');
    const filter = page.getByRole('combobox', { name: 'Filter devices' });
    await filter.fill('model:');
    await page.getByRole('option', { name: new RegExp(escape(model)) }).click();
    await page.getByText(`${wanted} device${wanted === 1 ? '' : 's'}`, { exact: true }).waitFor();
    expect(decodeURIComponent(page.url())).toContain(model.split(' ')[0]);
    await page.reload();
    await page.getByRole('button', { name: `Remove filter model: ${model}` }).click();
    await page.getByText(`${all.length} devices`, { exact: true }).waitFor();
  });

  it('finds free text, and says what to do when nothing fits', async () => {
    const all = await devices(context);
    const one = all.find((device) => device.serial) ?? all[0];
    await page.goto('/devices');
    const filter = page.getByRole('combobox', { name: 'Filter devices' });
    await filter.fill(one?.serial ?? one?.name ?? '');
    await filter.press('Enter');
    await grid().getByRole('link', { name: one?.name, exact: true }).waitFor();
    await page.goto('/devices?q=nothing-is-called-like-this');
    await page.getByRole('heading', { name: 'No device fits these filters' }).waitFor();
    await filter.fill('nor-like-that');
    await filter.press('Enter');
    // The menu is gone, so that nothing lies over the way out.
    await page.getByRole('listbox', { name: 'Filter devices' }).waitFor({ state: 'hidden' });
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await page.getByText(`${all.length} devices`, { exact: true }).waitFor();
  });

  it('is moved through and opened with the keyboard alone', async () => {
    await page.goto('/devices');
    await rows().first().waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    await grid().getByRole('row', { selected: true }).waitFor();
    const name = await grid().getByRole('row', { selected: true }).getByRole('link').first().textContent();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: name ?? '' }).waitFor();
  });

  it('opens a device from a pasted endpoint id with one key', async () => {
    const one = (await devices(context)).find((device) => device.endpoint_ids.length > 0);
    if (!one) throw new Error('no device has an endpoint id');
    await page.goto('/operations');
    await page.getByRole('grid', { name: 'Operations' }).waitFor();
    await page.evaluate((text) => {
      const data = new DataTransfer();
      data.setData('text/plain', text);
      document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true }));
    }, one.endpoint_ids[0] ?? '');
    await page.getByRole('combobox', { name: 'Search devices' }).press('Enter');
    await page.getByRole('heading', { level: 1, name: one.name }).waitFor();
  });

  it('sorts by a column and says so', async () => {
    await page.goto('/devices');
    await grid().getByRole('button', { name: 'Software' }).click();
    await grid().getByRole('columnheader', { name: 'Software' }).and(page.locator('[aria-sort="ascending"]')).waitFor();
    expect(page.url()).toContain('sort=software_version');
  });

  it('fits a window of 1440 pixels, and keeps the name in sight while a narrower one scrolls', async () => {
    await page.goto('/devices');
    await rows().first().waitFor();
    const overflow = () => grid().evaluate((element) => element.scrollWidth - element.clientWidth);
    expect(await overflow()).toBe(0);
    // This browser lays its scrollbars over the page; most take room for them.
    await page.setViewportSize({ width: 1440 - 17, height: 900 });
    expect(await overflow()).toBe(0);
    await page.setViewportSize({ width: 1000, height: 700 });
    expect(await overflow()).toBeGreaterThan(0);
    await grid().evaluate((element) => element.scrollTo({ left: 300 }));
    const edge = (await grid().boundingBox())?.x ?? 0;
    expect((await rows().first().getByRole('gridcell').first().boundingBox())?.x).toBeCloseTo(edge, 0);
  });

  it('shows and hides columns, and remembers it', async () => {
    await page.goto('/devices');
    await page.getByRole('button', { name: 'Columns' }).click();
    await page.getByRole('checkbox', { name: 'Registered' }).check();
    await grid().getByRole('columnheader', { name: 'Registered' }).waitFor();
    await page.reload();
    await grid().getByRole('columnheader', { name: 'Registered' }).waitFor();
  });

  it('shows a device that restarts as it goes and comes back, without a reload', async () => {
    const one = await until('a simulated device that is online', async () =>
      (await devices(context, '&presence=online')).find((device) => /^(os|proto|ops|oui)?:?:?/.test(device.endpoint_ids[0] ?? '') && device.model && !/linux/i.test(device.model)),
    );
    await page.goto(`/devices?q=${encodeURIComponent(one.serial ?? one.name)}`);
    const row = rows().filter({ hasText: one.name }).first();
    await row.getByText('online', { exact: true }).waitFor();
    const before = await page.evaluate(() => performance.timeOrigin);
    const words: string[] = [];
    await page.exposeFunction('sawState', (word: string) => words.push(word));
    await page.evaluate(() => {
      new MutationObserver(() => {
        const found = /online|silent|offline|coming back/.exec(document.querySelector('[role="gridcell"]:nth-child(2)')?.textContent ?? '')?.[0];
        if (found) (window as unknown as { sawState: (word: string) => void }).sawState(found);
      }).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
    const answer = await context.request.post(`/api/v1/devices/${one.id}/operations`, { data: { ops: [{ kind: 'operate', command: 'Device.Reboot()' }] } });
    expect(answer.status()).toBe(202);
    await until('the row says that it is coming back', async () => words.includes('coming back'), 40_000);
    await row.getByText('online', { exact: true }).waitFor({ timeout: 40_000 });
    // It was sent away: at no moment was that a loss.
    expect(words).not.toContain('offline');
    expect(await page.evaluate(() => performance.timeOrigin)).toBe(before);
  }, 100_000);
});

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
