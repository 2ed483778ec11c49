// Every page: loads without an error, has a name for everything one can use, and works in both colour schemes.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { anonymous, devices, launch, signedIn, until } from './support';

let browser: Browser;
let context: BrowserContext;
let device = '';
beforeAll(async () => {
  browser = await launch();
  context = await signedIn(browser);
  device = (await until('a device', async () => (await devices(context))[0])).id;
});
afterAll(() => browser.close());

const paths = (): string[] => [
  '/devices', '/devices?add=true', `/devices/${device}`, `/devices/${device}?tab=model`, `/devices/${device}?tab=commands`, `/devices/${device}?tab=operations`,
  `/devices/${device}?tab=sessions`, '/devices/matches', '/files', '/files?upload=true', `/devices/${device}?tab=reach`, '/operations', '/events', '/doctor', '/settings/account', '/settings/appearance', '/settings/tokens',
  '/settings/setup-keys', '/settings/users', '/settings/tenants', '/settings/system', `/devices/${device}?tab=model&path=Device.DeviceInfo.`,
  '/no/such/page', '/devices/whatever',
];

/** What can be used and has no name for those who do not see it. */
function unnamed(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const name = (element: Element): string => {
      const by = element.getAttribute('aria-labelledby');
      if (by) return by.split(' ').map((id) => document.getElementById(id)?.textContent ?? '').join('');
      const label = element.getAttribute('aria-label') ?? (element as HTMLInputElement).labels?.[0]?.textContent ?? '';
      return label || element.textContent || element.getAttribute('title') || element.querySelector('img')?.alt || '';
    };
    const usable = 'a[href], button, input:not([type=hidden]):not([hidden]), select, textarea, [role=button], [role=tab], [role=combobox], [role=grid], [role=dialog], [role=menuitem], [role=separator][tabindex]';
    return [...document.querySelectorAll(usable)]
      .filter((element) => element.getClientRects().length > 0 && !element.closest('[aria-hidden=true]') && name(element).trim() === '')
      .map((element) => element.outerHTML.slice(0, 160));
  });
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What keeps people with other eyes, ears or hands out, seriously or altogether. */
async function barriers(page: Page, only?: string[]): Promise<string[]> {
  // Evaluated, not added as a script: the page's security policy stays in force.
  if (!only) await page.evaluate(axeSource);
  // Colours that fade from one scheme to the other are measured when they have arrived.
  await page.evaluate(() => Promise.all(document.getAnimations().map((one) => one.finished.catch(() => undefined))));
  return page.evaluate(async (only) => {
    const { axe } = window as unknown as { axe: { run: (options: object) => Promise<{ violations: { id: string; impact: string; nodes: { html: string }[] }[] }> } };
    // The rule that is off takes the branch below a tree item for its label.
    const rules = { 'label-content-name-mismatch': { enabled: false } };
    const { violations } = await axe.run({ runOnly: only ?? ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'], rules, resultTypes: ['violations'] });
    return violations.filter((one) => one.impact === 'serious' || one.impact === 'critical').map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' | ')}`);
  }, only);
}

describe('every page', () => {
  it('loads without an error, has one heading and one main part, names what can be used, and has no barrier in light and dark', async () => {
    const page = await context.newPage();
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(`${page.url()}: ${error}`));
    page.on('console', (message) => message.type() === 'error' && errors.push(`${page.url()}: ${message.text()}`));
    const found: Record<string, string[]> = {};
    for (const path of paths()) {
      await page.emulateMedia({ colorScheme: 'light' });
      await page.goto(path);
      await page.getByRole('main').waitFor();
      await page.getByRole('heading', { level: 1 }).first().waitFor({ state: 'attached' });
      await until(`${path} is no longer busy`, async () => (await page.locator('[aria-busy="true"]').count()) === 0);
      expect(await unnamed(page), path).toEqual([]);
      expect(await page.getByRole('alert').count(), `${path} shows a failure`).toBe(0);
      expect(await page.locator('main').count(), path).toBe(1);
      expect(await page.locator('h1').count(), path).toBe(1);
      const light = await barriers(page);
      await page.emulateMedia({ colorScheme: 'dark' });
      await page.locator('html[data-mantine-color-scheme="dark"]').waitFor();
      const here = [...light, ...(await barriers(page, ['color-contrast']))];
      if (here.length > 0) found[path] = here;
    }
    expect(found).toEqual({});
    expect(errors).toEqual([]);
    await page.close();
  }, 180_000);

  it('of a stranger has no barrier either', async () => {
    const stranger = await anonymous(browser);
    const front = await stranger.newPage();
    await front.goto('/sign-in');
    await front.getByRole('button', { name: 'Sign in' }).waitFor();
    expect(await barriers(front)).toEqual([]);
    await front.emulateMedia({ colorScheme: 'dark' });
    await front.locator('html[data-mantine-color-scheme="dark"]').waitFor();
    expect(await barriers(front, ['color-contrast'])).toEqual([]);
    await stranger.close();
  });
});

describe('the event log', () => {
  it('opens an event by its link when the list does not show it, and says when there is none', async () => {
    const page = await context.newPage();
    const log = (await (await context.request.get('/api/v1/events?kind=device.&limit=1')).json()) as { items: { cursor: string; kind: string; summary: string }[] };
    const event = log.items[0];
    if (!event) throw new Error('no device has an event');
    // The list is of people's events only.
    await page.goto(`/events?kind=${encodeURIComponent('["user."]')}&open=${event.cursor}`);
    const dialog = page.getByRole('dialog', { name: event.kind });
    await dialog.getByText(event.summary, { exact: true }).waitFor();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    expect(page.url()).not.toContain('open=');
    await page.goto('/events?open=999999999');
    await page.getByRole('dialog', { name: 'There is no such event' }).waitFor();
    await page.close();
  });
});

describe('the frame', () => {
  it('goes places with the keyboard and lists its keys', async () => {
    const page = await context.newPage();
    await page.goto('/devices');
    await page.getByRole('grid', { name: 'Devices' }).waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press('o');
    await page.getByRole('grid', { name: 'Operations' }).waitFor();
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keys' }).waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox', { name: 'Command or device' }).fill('doctor');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Why do I not see my device?' }).waitFor();
    await page.close();
  });

  it('is live', async () => {
    const page = await context.newPage();
    await page.goto('/devices');
    await page.getByRole('status', { name: /^Live/ }).waitFor();
    await page.close();
  });

  it('keeps the colours one chooses', async () => {
    const page = await context.newPage();
    await page.goto('/settings/appearance');
    await page.getByText('Dark', { exact: true }).click();
    await page.locator('html[data-mantine-color-scheme="dark"]').waitFor();
    await page.reload();
    await page.locator('html[data-mantine-color-scheme="dark"]').waitFor();
    await page.getByText('As the system', { exact: true }).click();
    await page.close();
  });
});
