// Files: uploaded with their checksum, found, described, saved byte by byte, removed; and sent to a device.
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
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

const content = randomBytes(300_000);
const sum = createHash('sha256').update(content).digest('hex');
const name = `hearth-${Date.now() % 1_000_000}-4.3.0.bin`;
const grid = () => page.getByRole('grid', { name: 'Files' });

async function upload(file: string, bytes: Buffer, checksum?: string): Promise<void> {
  await page.goto('/files');
  await page.getByRole('button', { name: 'Upload a file' }).click();
  const dialog = page.getByRole('dialog', { name: 'Upload a file' });
  const chooser = page.waitForEvent('filechooser');
  await dialog.getByRole('button', { name: 'File', exact: true }).click();
  await (await chooser).setFiles({ name: file, mimeType: 'application/octet-stream', buffer: bytes });
  if (checksum !== undefined) await dialog.getByLabel(/^SHA-256 as the vendor names it/).fill(checksum);
  await dialog.getByRole('button', { name: 'Upload a file' }).click();
}

describe('files', () => {
  it('are refused when they do not come to their checksum', async () => {
    await upload(name, content, 'ab'.repeat(32));
    await page.getByRole('dialog', { name: 'Upload a file' }).getByRole('alert').waitFor();
    expect(((await (await context.request.get(`/api/v1/files?q=${name}`)).json()) as { items: [] }).items).toEqual([]);
  });

  it('are uploaded, told by their name, and saved as they were', async () => {
    await upload(name, content, sum);
    const detail = page.getByRole('dialog', { name });
    await detail.getByText(sum).waitFor();
    await detail.getByText('Firmware', { exact: true }).waitFor();
    await detail.getByText('4.3.0', { exact: true }).waitFor();
    const download = page.waitForEvent('download');
    await detail.getByRole('button', { name: 'Save to this computer' }).click();
    const saved = await download;
    expect(saved.suggestedFilename()).toBe(name);
    expect(readFileSync(await saved.path()).equals(content)).toBe(true);
  });

  it('are found, and described otherwise', async () => {
    await page.goto('/files');
    await page.getByRole('textbox', { name: /^Find a file/ }).fill(name);
    await grid().getByRole('link', { name }).click();
    await page.getByRole('dialog', { name }).getByRole('button', { name: 'Describe it otherwise' }).click();
    const edit = page.getByRole('dialog', { name: 'Describe this file otherwise' });
    await edit.getByLabel(/^Note/).fill('For the first street only');
    await edit.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('dialog', { name }).getByText('For the first street only').waitFor();
  });

  it('are fetched by a device after a look at what would happen', async () => {
    const device = await until('a gateway that is online', async () => (await devices(context, '&presence=online&model=Hearth%202600'))[0], 60_000);
    await page.goto(`/devices/${device.id}`);
    await page.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: 'Send it a file' }).click();
    const dialog = page.getByRole('dialog', { name: 'Have this device fetch a file' });
    await dialog.getByRole('button', { name: 'Preview' }).and(page.locator('[aria-disabled="true"]')).waitFor();
    await dialog.getByRole('combobox', { name: 'File' }).or(dialog.getByRole('textbox', { name: 'File' })).first().fill(name);
    await page.getByRole('option', { name: new RegExp(name) }).click();
    await dialog.getByRole('button', { name: 'Preview' }).click();
    await dialog.getByRole('region', { name: 'Preview' }).getByText(/Download\(\)/).first().waitFor();
    // What was chosen has made room for what would happen.
    expect(await dialog.getByRole('checkbox').count()).toBe(0);
    await dialog.getByRole('button', { name: 'Do it' }).click();
    await page.getByRole('region', { name: 'Files on their way' }).getByText(name).waitFor();
  });

  it('are removed after a question', async () => {
    const made = await context.request.post(`/api/v1/files?name=gone-${name}&kind=other`, { data: Buffer.from('x'), headers: { 'content-type': 'application/octet-stream' } });
    const { id } = (await made.json()) as { id: string };
    await page.goto(`/files?open=${id}`);
    await page.getByRole('dialog', { name: `gone-${name}` }).getByRole('button', { name: 'Remove' }).click();
    await page.getByRole('dialog', { name: 'Remove this file?' }).getByRole('button', { name: 'Remove' }).click();
    await page.getByText(`gone-${name} is removed.`).waitFor();
    expect((await context.request.get(`/api/v1/files/${id}`)).status()).toBe(404);
  });
});
