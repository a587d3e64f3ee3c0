// The screen on the wall: `deploy/dashboard/index.html`, served beside the
// gateway as a proxy would.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { after, before, describe } from 'node:test';
import { fileURLToPath } from 'node:url';

import { camt053 } from './files.js';
import { Office, daysAgo, today } from './office.js';
import { screenshot } from './suite.js';

const office = new Office();
const { api, bringIn, command, journey } = office;
const page = fileURLToPath(new URL('../../deploy/dashboard/index.html', import.meta.url));

const stray = (reference, pence) => ({ reference, pence, payer: `WALL STRAY ${reference}`, text: `NOTHING OF OURS ${reference}` });
const statement = (account, ...lines) => camt053({ account, opening: 0n, days: [{ date: daysAgo(1), lines }] });

/** The page at `/`, and everything below `/api/` from the gateway. */
async function proxy(gateway) {
  const server = createServer(async (asked, answer) => {
    if (!asked.url.startsWith('/api/')) {
      answer.writeHead(asked.url === '/' ? 200 : 404, { 'content-type': 'text/html; charset=utf-8' });
      answer.end(asked.url === '/' ? await readFile(page) : '');
      return;
    }
    const onward = request(gateway + asked.url, { method: asked.method, headers: asked.headers }, (got) => {
      answer.writeHead(got.statusCode, got.headers);
      got.pipe(answer);
    });
    onward.on('error', () => answer.destroy());
    answer.on('close', () => onward.destroy());
    asked.pipe(onward);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

describe('a screen on the wall', { timeout: 900_000 }, () => {
  let wall;

  before(
    async () => {
      await office.open();
      wall = await proxy(office.url);
      // Whatever comes in from now on is late at once.
      const { items } = await api('/api/v1/sla-policies', { as: 'manager' });
      const policy = items.find((one) => one.policy === 'receipt_processed');
      await command(
        '/api/v1/sla-policies',
        { policy: { ...policy, valid_from: today(), target: '1s', warning: null, calendar: 'always', ladder: [] }, reason: 'a test' },
        { as: 'manager' },
      );
    },
    { timeout: 300_000 },
  );

  after(async () => {
    wall?.closeAllConnections();
    wall?.close();
    await office.close();
  });

  journey('shows what is late, and what comes to be late while one looks', { watched: false, as: 'manager' }, async (visitor) => {
    const { page: screen } = visitor;
    await bringIn('wall-1.xml', statement('20991190000021', stray('WALL-1', 9_876_54n)));
    await screen.goto(`http://127.0.0.1:${wall.address().port}/`);
    await screen.getByRole('cell', { name: /WALL-1/ }).waitFor();
    await screen.getByText(/^as at/).waitFor();
    await bringIn('wall-2.xml', statement('20991190000022', stray('WALL-2', 5_432_10n)));
    const row = screen.getByRole('row').filter({ hasText: 'WALL-2' });
    await row.waitFor();
    assert.match(await row.textContent(), /5432\.10 GBP/);
    await screenshot(screen, 'dashboard');
  });
});
