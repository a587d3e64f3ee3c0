// A run of red statements from its form to what was sent, in a real browser
// against the whole program.

import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';

import { accountsCsv, documentsCsv } from './files.js';
import { Office, daysAgo, noBarrier } from './office.js';
import { Visitor, eventually, screenshot, table, toast } from './suite.js';

const OWES = { reference: 'ST-9001', name: 'Quayside Test Supplies Ltd', email: 'accounts@quayside.example' };
const PAID = { reference: 'ST-9002', name: 'Paid Up Test Ltd', email: 'accounts@paid.example' };
const document = (reference, pence, due) => ({ reference, pence, account: OWES.reference, issued: daysAgo(70), due: daysAgo(due) });

const office = new Office();
const { api, bringIn, journey } = office;

async function propose(page, kind, accounts) {
  await page.goto('/dunning/statements');
  await Visitor.live(page);
  if (!(await page.locator('#new-run').evaluate((details) => details.open))) await page.locator('#new-run summary').click();
  await page.getByLabel('Kind').selectOption(kind);
  await page.getByLabel('Accounts', { exact: true }).fill(accounts);
  await page.locator('#run-reason').fill('monthly');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/dunning\/statements\/[0-9a-f-]+/);
  await eventually(async () => {
    await page.reload();
    assert.equal(await page.locator('#run-head .tag').first().innerText(), 'Proposed');
  }, 60_000);
}

describe('statements', { timeout: 900_000 }, () => {
  before(
    async () => {
      await office.open();
      await bringIn('accounts.csv', accountsCsv([OWES, PAID]));
      await bringIn('documents.csv', documentsCsv([document('ST-INV-1', 1_000_00n, 40), document('ST-INV-2', 250_00n, 35)]));
      await eventually(async () => {
        const { items } = await api(`/api/v1/accounts?search=${OWES.reference}`);
        const standing = await api(`/api/v1/accounts/${items[0].account_id}/standing`);
        assert.equal(standing.items.length, 2);
      }, 90_000);
    },
    { timeout: 300_000 },
  );

  after(office.close);

  journey('works red statements out, looks at one, has them approved, and sees what was sent', { as: 'controller' }, async (visitor) => {
    const { page } = visitor;
    await page.goto('/dunning/runs');
    await page.getByRole('link', { name: 'Statements', exact: true }).click();
    await page.getByRole('heading', { name: 'Statements', exact: true }).waitFor();
    await noBarrier(page, 'the list of statement runs');
    await screenshot(page, 'statements');
    await propose(page, 'red_statement', `${OWES.reference}, ${PAID.reference}`);
    const rows = await table(page, '#accounts table');
    assert.equal(rows.rows.length, 2);
    await page.locator('#run-head').getByText('1 red statement about £1,250.00').waitFor();
    await page.getByRole('link', { name: /^Nothing owed/ }).waitFor();
    await noBarrier(page, 'a run of statements');
    await screenshot(page, 'statement-run');
    await page.locator('#accounts').getByRole('link', { name: OWES.reference }).click();
    const href = await page.getByRole('link', { name: 'Preview (PDF)' }).getAttribute('href');
    const answer = await page.request.get(href);
    assert.equal(answer.headers()['content-type'], 'application/pdf');
    assert.equal((await answer.body()).subarray(0, 4).toString(), '%PDF');
    await page.getByRole('button', { name: 'Ask a second person' }).click();
    await toast(page, 'a second person decides');

    const manager = await office.arrive();
    try {
      await manager.signIn('manager');
      await manager.page.goto('/controls');
      await manager.page.getByRole('button', { name: 'Approve £1,250.00' }).click();
      await toast(manager.page, 'Approved');
      assert.deepEqual(manager.faults, []);
    } finally {
      await manager.leave();
    }
    await eventually(async () => {
      await page.reload();
      assert.equal(await page.locator('#run-head .tag').first().innerText(), 'Sent');
    }, 90_000);
    await page.locator('#accounts').getByRole('link', { name: OWES.reference }).click();
    await page.getByRole('link', { name: 'What was sent' }).waitFor();
    await noBarrier(page, 'a run that was sent');
    await screenshot(page, 'statement-run-sent');

    // Again in the same month: nobody gets another.
    await propose(page, 'red_statement', OWES.reference);
    await page.locator('#run-head').getByText('0 red statements').waitFor();
    await page.getByRole('link', { name: /^Had one/ }).waitFor();
    await screenshot(page, 'statement-run-again');

    const { items } = await api(`/api/v1/accounts?search=${OWES.reference}`);
    await page.goto(`/accounts/${items[0].account_id}`);
    await page.getByRole('link', { name: 'Reconciliation' }).click();
    await page.getByRole('heading', { name: 'Account reconciliation' }).waitFor();
    await page.getByLabel('From').fill(daysAgo(80));
    await page.keyboard.press('Enter');
    await page.getByText('Closing balance').waitFor();
    await page.getByText('£1,250.00').first().waitFor();
    await noBarrier(page, 'the reconciliation of an account');
    await screenshot(page, 'account-reconciliation');
  });

  journey('needs no scripts', { as: 'controller', javaScriptEnabled: false }, async (visitor) => {
    const { page } = visitor;
    await page.goto('/dunning/statements');
    if (!(await page.getByLabel('Kind').isVisible())) await page.locator('#new-run summary').click();
    await page.getByLabel('Kind').selectOption('statement');
    await page.getByLabel('Accounts', { exact: true }).fill(OWES.reference);
    await page.locator('#run-reason').fill('monthly');
    await page.getByRole('button', { name: 'Work it out' }).click();
    await page.waitForURL(/\/dunning\/statements\/[0-9a-f-]+/);
    await eventually(async () => {
      await page.reload();
      await page.locator('#run-head').getByText('1 statement about £1,250.00').waitFor({ timeout: 2_000 });
    }, 60_000);
  });
});
