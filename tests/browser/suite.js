// The running program and a real browser, for the tests beside this file.

import { execFile, spawn } from 'node:child_process';
import { access, chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { chromium } from 'playwright-core';

const here = fileURLToPath(new URL('.', import.meta.url));
const program = process.env.COUNTERFOIL_BIN ?? fileURLToPath(new URL('../../target/debug/counterfoil', import.meta.url));
const browserProgram = process.env.CHROMIUM_BIN ?? '/usr/bin/chromium';

/** Starting servers, migrating and loading the demo ledger, on a busy machine. */
const READY_WITHIN = 180_000;
const STOPPED_WITHIN = 60_000;
/** A state that a page or the pipeline is about to reach. */
const SOON = 20_000;

export const PASSWORD = 'counterfoil-demo';

/**
 * Starts the whole program with the demo ledger in a directory of its own.
 * `stop` ends it the way an operator does, and says so if it does not end well.
 */
export async function startProgram() {
  await access(program).catch(() => {
    throw new Error(`there is no ${program}: build it with \`cargo build -p counterfoil\``);
  });
  const directory = await mkdtemp(join(tmpdir(), 'counterfoil-browser-'));
  // Postgres runs as a user of its own where the tests run as root.
  await chmod(directory, 0o755);
  const child = spawn(
    program,
    ['--data-dir', directory, '--set', 'admin.listen=127.0.0.1:0', 'up', '--demo', '--http', '127.0.0.1:0'],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const ended = new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? code));
    child.once('error', (error) => resolve(error.message));
  });
  let said = '';
  const listen = (chunk) => {
    said = (said + chunk).slice(-20_000);
  };
  child.stdout.setEncoding('utf8').on('data', listen);
  child.stderr.setEncoding('utf8').on('data', listen);
  const abandon = () => child.kill('SIGTERM');
  process.once('exit', abandon);

  const stop = async () => {
    child.kill('SIGTERM');
    const how = await Promise.race([ended, pause(STOPPED_WITHIN, 'still running', { ref: false })]);
    process.off('exit', abandon);
    if (how !== 0) {
      child.kill('SIGKILL');
      throw new Error(`the program did not stop well (${how}); its data is in ${directory}:\n${said}`);
    }
    await rm(directory, { recursive: true, force: true });
  };

  const ready = new Promise((resolve) => {
    let line = '';
    child.stdout.on('data', (chunk) => {
      line += chunk;
      const found = /^Counterfoil is ready: (http:\/\/\S+?)\/$/m.exec(line);
      if (found) resolve(found[1]);
    });
  });
  const url = await Promise.race([ready, ended.then(() => null), pause(READY_WITHIN, null, { ref: false })]);
  if (!url) {
    await stop().catch(() => {});
    throw new Error(`the program was not ready; it said:\n${said}`);
  }
  /** Runs statements on its database: for what took weeks before the test began. */
  const sql = async (statements) => {
    const { postgres } = JSON.parse(await readFile(join(directory, 'stack.json'), 'utf8'));
    const secrets = await readFile(join(directory, 'secrets.toml'), 'utf8');
    const [, password] = /^\[admin\][^[]*?^postgres = "([^"]*)"/m.exec(secrets);
    const args = ['-v', 'ON_ERROR_STOP=1', '-1', '-h', '127.0.0.1', '-p', String(postgres.port), '-U', 'postgres', '-d', 'counterfoil', '-c', statements];
    await promisify(execFile)('psql', args, { env: { ...process.env, PGPASSWORD: password } });
  };
  return { url, stop, sql };
}

export function startBrowser() {
  return chromium.launch({
    executablePath: browserProgram,
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/**
 * One person's browser. Whatever it asks of another origin, and whatever it
 * complains about, is a fault.
 */
export class Visitor {
  #faults = [];

  static async arrive(browser, origin, options = {}) {
    const { watched = true, ...rest } = options;
    const context = await browser.newContext({
      baseURL: origin,
      viewport: { width: 1440, height: 900 },
      locale: 'en-GB',
      timezoneId: 'Europe/London',
      ...rest,
    });
    context.setDefaultTimeout(SOON);
    const visitor = new Visitor();
    visitor.context = context;
    if (watched) await visitor.#watch(origin);
    visitor.page = await context.newPage();
    return visitor;
  }

  async #watch(origin) {
    const note = (text) => this.#faults.push(text);
    this.context.on('request', (request) => {
      if (new URL(request.url()).origin !== origin) note(`asked another origin: ${request.url()}`);
    });
    this.context.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) note(`${message.type()}: ${message.text()} at ${message.page()?.url()}`);
    });
    this.context.on('weberror', (error) => note(`uncaught: ${error.error().stack}`));
    await this.context.addInitScript(() => {
      addEventListener('securitypolicyviolation', (event) => {
        console.error(`content security policy: ${event.violatedDirective} forbids ${event.blockedURI}`);
      });
    });
  }

  /** Chromium writes a line for every answer that is an error. */
  forgive(status) {
    const line = `Failed to load resource: the server responded with a status of ${status} `;
    this.#faults = this.#faults.filter((fault) => !fault.startsWith(`error: ${line}`));
  }

  get faults() {
    return this.#faults;
  }

  async signIn(name, page = this.page) {
    await page.goto('/sign-in');
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
  }

  /** Follows what changes, as told in the top bar. */
  static async live(page) {
    await page.locator('#live[data-state=live]').waitFor();
  }

  /**
   * Chromium may never say that a page is closed whose next document was just
   * arriving, so each page first comes to rest on an empty one; and nobody waits
   * for ever for a window to close, which ends with the browser.
   */
  async leave() {
    await Promise.all(this.context.pages().map((page) => page.goto('about:blank').catch(() => {})));
    await Promise.race([this.context.close(), pause(STOPPED_WITHIN, undefined, { ref: false })]);
  }
}

/** What the page says of what was just done. */
export const toast = (page, text) => page.locator('#toast').getByText(text).waitFor();

/** Asks again until `probe` holds; its last complaint is the reason. */
export async function eventually(probe, within = SOON) {
  const until = Date.now() + within;
  for (;;) {
    try {
      return await probe();
    } catch (error) {
      if (Date.now() > until) throw error;
    }
    await pause(100);
  }
}

const screenshots = join(here, 'screenshots');

export async function forgetScreenshots() {
  await rm(screenshots, { recursive: true, force: true });
  await mkdir(screenshots);
}

export function screenshot(page, name) {
  return page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
}

/** `£1,234.50`, `(£120.00)` or `–`, in pence. */
export function pence(text) {
  const digits = text.replaceAll(/[£,()\s]/g, '');
  if (digits === '–') return 0n;
  if (!/^\d+\.\d\d$/.test(digits)) throw new Error(`not an amount in pounds: ${JSON.stringify(text)}`);
  const minor = BigInt(digits.replace('.', ''));
  return text.trim().startsWith('(') ? -minor : minor;
}

/**
 * A table as its reader sees it: each row by column heading, the first cell's
 * first line under the first heading, and the address of what follows. Read in
 * one go, so that no live update comes between.
 */
export function table(page, selector = 'main table') {
  return page.locator(selector).first().evaluate((shown) => {
    const text = (cell) => cell.innerText.split('\n')[0].trim();
    const headings = [...shown.tHead.rows[0].cells].map(text);
    const rows = (section) =>
      [...(section?.rows ?? [])].map((row) => Object.fromEntries([...row.cells].map((cell, at) => [headings[at], text(cell)])));
    const more = document.querySelector('a[rel=next]')?.href;
    return { headings, rows: rows(shown.tBodies[0]), totals: rows(shown.tFoot), more };
  });
}
