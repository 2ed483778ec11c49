// Signing in: refused with a reason, led back to where one wanted to go, one-time password changed.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Browser } from 'playwright-core';
import { anonymous, launch, login, signedIn } from './support';

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());

describe('signing in', () => {
  it('leads a stranger from any page to the sign-in and says who refused a wrong password', async () => {
    const context = await anonymous(browser);
    const page = await context.newPage();
    await page.goto('/operations');
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    expect(new URL(page.url()).searchParams.get('to')).toBe('/operations');
    await page.getByLabel('Login').fill(login);
    await page.getByLabel('Password', { exact: true }).fill('certainly not this one');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').getByText('Login or password is wrong').first().waitFor();
    await context.close();
  });

  it('shows the devices after signing in, with a password of one\'s own', async () => {
    const context = await signedIn(browser);
    const page = await context.newPage();
    await page.goto('/');
    await page.getByRole('grid', { name: 'Devices' }).waitFor();
    expect(new URL(page.url()).pathname).toBe('/devices');
    await context.close();
  });

  it('never leads to another site after signing in', async () => {
    const context = await signedIn(browser);
    const page = await context.newPage();
    await page.goto('/sign-in?to=%2F%2Fevil.example%2F');
    await page.getByRole('grid', { name: 'Devices' }).waitFor();
    expect(new URL(page.url()).pathname).toBe('/devices');
    await context.close();
  });
});
