// What every file of journeys begins with: the program with its demo ledger, a
// browser, and the ways in.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { PASSWORD, Visitor, eventually, screenshot, startBrowser, startProgram } from './suite.js';

const DAY = 86_400_000;
/** Much longer than the longest takes on a busy machine: one that hangs is named, and the others still go. */
const JOURNEY_WITHIN = 240_000;
export const today = () => new Intl.DateTimeFormat('en-CA', { timeZone: 'Europe/London' }).format(Date.now());
// Days of the calendar: so many hours ago may be another day when the clocks have changed since.
export const daysAgo = (days) => new Date(Date.parse(today()) - days * DAY).toISOString().slice(0, 10);

export class Office {
  #program;
  #browser;

  open = async () => {
    this.#program = await startProgram();
    this.#browser = await startBrowser();
  };

  close = async () => {
    await this.#browser?.close();
    await this.#program?.stop();
  };

  get url() {
    return this.#program.url;
  }

  /** Statements on the program's own database. */
  sql = (statements) => this.#program.sql(statements);

  api = async (path, { as = 'controller', ...init } = {}) => {
    const authorization = `Basic ${Buffer.from(`${as}:${PASSWORD}`).toString('base64')}`;
    const answer = await fetch(this.url + path, { ...init, headers: { authorization, ...init.headers } });
    assert.ok(answer.ok, `${path}: ${answer.status} ${answer.ok ? '' : await answer.text()}`);
    return answer.json();
  };

  /** A command that counts once. */
  command = (path, body, options = {}) =>
    this.api(path, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', 'idempotency-key': crypto.randomUUID() },
      ...options,
    });

  receipts = async (search, queue = 'all') => {
    const found = await this.api(`/api/v1/receipts?queue=${queue}&search=${encodeURIComponent(search)}`);
    return found.items;
  };

  receipt = async ({ reference }) => {
    const [found, ...more] = await this.receipts(reference);
    assert.ok(found && more.length === 0, `one receipt ${reference}`);
    return found;
  };

  bringIn = async (name, text) => {
    const form = new FormData();
    form.append('file', new Blob([text]), name);
    const { import_id: id } = await this.api('/api/v1/imports', { method: 'POST', body: form });
    return eventually(async () => {
      const found = await this.api(`/api/v1/imports/${id}`);
      assert.equal(found.state, 'recorded', JSON.stringify(found.problems));
      return found;
    });
  };

  /** Another person, beside the one whose journey it is. */
  arrive = (options) => Visitor.arrive(this.#browser, this.url, options);

  /** A person's way through the pages; at its end no page may have complained. */
  journey = (name, { as, ...options }, body) => {
    test(name, { timeout: JOURNEY_WITHIN }, async () => {
      const visitor = await this.arrive(options);
      try {
        if (as) await visitor.signIn(as);
        await body(visitor);
        assert.deepEqual(visitor.faults, []);
      } catch (error) {
        for (const [at, page] of visitor.context.pages().entries()) {
          await screenshot(page, `failed-${name.replaceAll(/\W+/g, '-')}-${at}`).catch(() => {});
        }
        throw error;
      } finally {
        await visitor.leave();
      }
    });
  };
}

let axe;

/** Nothing on the page keeps anybody out, as far as a program can tell. */
export async function noBarrier(page, where) {
  axe ??= await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  // The page's own policy forbids foreign scripts, but not the debugger's.
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    window.axe.run(document, {
      runOnly: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22a', 'wcag22aa'] },
      rules: { 'target-size': { enabled: true } },
      resultTypes: ['violations'],
    }),
  );
  const told = violations.map(({ id, help, nodes }) => `${id}: ${help}\n  ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join('\n  ')}`);
  assert.deepEqual(told, [], where);
}
