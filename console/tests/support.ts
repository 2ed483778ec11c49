// What the browser tests share: one Chromium, one signed-in state, the server they talk to.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';

export const url = need('HEADEND_URL').replace(/\/$/, '');
const oneTimePassword = need('HEADEND_PASSWORD');
export const login = process.env.HEADEND_LOGIN ?? 'admin';
/** The password the first test run chooses; a second run against the same server finds it. */
export const password = `${oneTimePassword}-and-my-own`;

const results = new URL('../test-results/', import.meta.url);
const stateFile = new URL(`signed-in-${url.replace(/\W+/g, '-')}.json`, results);

export function need(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: the browser tests need a running server (cargo xtask test starts one)`);
  return value;
}

export function resultFile(name: string): string {
  mkdirSync(results, { recursive: true });
  return new URL(name, results).pathname;
}

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
    ],
  });
}

export interface Options {
  scheme?: 'light' | 'dark';
  width?: number;
  height?: number;
}

const view = (options: Options) => ({
  baseURL: url,
  colorScheme: options.scheme ?? ('light' as const),
  viewport: { width: options.width ?? 1440, height: options.height ?? 900 },
  permissions: ['clipboard-read', 'clipboard-write'],
});

/** A context that is signed in, through the page the first time and by its cookie afterwards. */
export async function signedIn(browser: Browser, options: Options = {}): Promise<BrowserContext> {
  const kept = readState();
  if (kept) {
    const context = await browser.newContext({ ...view(options), storageState: kept });
    if ((await context.request.get('/api/v1/session')).ok()) return context;
    await context.close();
  }
  const context = await browser.newContext(view(options));
  const page = await context.newPage();
  await signInWith(page, (await isFresh(page)) ? oneTimePassword : password);
  await page.close();
  mkdirSync(results, { recursive: true });
  writeFileSync(stateFile, JSON.stringify(await context.storageState()));
  return context;
}

export const anonymous = (browser: Browser, options: Options = {}) => browser.newContext(view(options));

/** Whether the one-time password still works; asked once, so that no throttle is hit. */
async function isFresh(page: Page): Promise<boolean> {
  const answer = await page.request.post('/api/v1/session', { data: { login, password: oneTimePassword } });
  if (answer.ok()) await page.request.delete('/api/v1/session');
  return answer.ok();
}

export async function signInWith(page: Page, secret: string): Promise<void> {
  await page.goto('/sign-in');
  await page.getByLabel('Login').fill(login);
  await page.getByLabel('Password', { exact: true }).fill(secret);
  await page.getByRole('button', { name: 'Sign in' }).click();
  const change = page.getByRole('heading', { name: 'Choose your own password' });
  const list = page.getByRole('grid', { name: 'Devices' });
  await change.or(list).first().waitFor();
  if (await change.isVisible()) {
    await page.getByLabel('New password', { exact: true }).fill(password);
    await page.getByLabel('New password, once more').fill(password);
    await page.getByRole('button', { name: 'Change the password' }).click();
    await list.waitFor();
  }
}

function readState() {
  try {
    return JSON.parse(readFileSync(stateFile, 'utf8')) as Awaited<ReturnType<BrowserContext['storageState']>>;
  } catch {
    return undefined;
  }
}

/** Waits until `check` holds; the only way tests wait for something that is not on the page. */
export async function until<T>(what: string, check: () => Promise<T | undefined | false>, deadline_ms = 20_000): Promise<T> {
  const end = Date.now() + deadline_ms;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not within ${deadline_ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** The devices as the API lists them. */
export async function devices(context: BrowserContext, query = ''): Promise<{ id: string; name: string; model: string | null; serial: string | null; endpoint_ids: string[]; presence: { word: string } }[]> {
  const answer = await context.request.get(`/api/v1/devices?limit=500${query}`);
  return ((await answer.json()) as { items: [] }).items;
}
