// A dunning run from its scope to a second person's approval, and what an account
// owes on paper, in a real browser against the whole program.

import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';

import { accountsCsv, documentsCsv } from './files.js';
import { Office, daysAgo } from './office.js';
import { Visitor, eventually, screenshot, table, toast } from './suite.js';

const DEBTOR = { reference: 'DR-8001', name: 'Quince Test Supplies Ltd', email: 'accounts@quince.example' };
const document = (reference, pence) => ({ reference, pence, account: DEBTOR.reference, issued: daysAgo(60), due: daysAgo(30) });

const office = new Office();
const { api, bringIn, journey } = office;

describe('dunning', { timeout: 900_000 }, () => {
  before(
    async () => {
      await office.open();
      await bringIn('accounts.csv', accountsCsv([DEBTOR]));
      await bringIn('documents.csv', documentsCsv([document('DR-INV-1', 1_000_00n), document('DR-INV-2', 250_00n)]));
      await eventually(async () => {
        const { items } = await api(`/api/v1/accounts?search=${DEBTOR.reference}`);
        const standing = await api(`/api/v1/accounts/${items[0].account_id}/standing`);
        assert.equal(standing.items.length, 2);
      }, 90_000);
    },
    { timeout: 300_000 },
  );

  after(office.close);

  journey('shows on the account why each item is chased or not, and what it owes on paper', { as: 'controller' }, async (visitor) => {
    const { page } = visitor;
    const { items } = await api(`/api/v1/accounts?search=${DEBTOR.reference}`);
    const account = `/accounts/${items[0].account_id}`;
    await page.goto(account);
    const why = await table(page, '#chasing table');
    assert.equal(why.rows.length, 2);
    await screenshot(page, 'account-chasing');
    await page.getByRole('link', { name: 'Red statement' }).click();
    await page.getByRole('heading', { name: 'Overdue account' }).waitFor();
    await page.getByText('£1,250.00').first().waitFor();
    await screenshot(page, 'red-statement');
    await page.goto(`${account}/late-payment`);
    await page.getByText('Nothing is claimed').or(page.getByText('Interest, rounded once').first()).first().waitFor();
    await screenshot(page, 'late-payment');
    await page.goto('/dunning/policies');
    await page.getByText('First reminder: 3 days after the due day').waitFor();
    await screenshot(page, 'process-manual');
  });

  journey('works a run out, takes an account out of it, and asks a second person', { as: 'controller' }, async (visitor) => {
    const { page } = visitor;
    await page.goto('/dunning/runs');
    await Visitor.live(page);
    // There has been none: the form is open.
    await page.getByLabel('Title').fill('Browser run');
    await page.getByLabel('Accounts', { exact: true }).fill(DEBTOR.reference);
    await page.locator('#run-reason').fill('weekly');
    await page.getByRole('button', { name: 'Work it out' }).click();
    await page.waitForURL(/\/dunning\/runs\/[0-9a-f-]+/);
    await eventually(async () => {
      await page.reload();
      assert.equal(await page.locator('#run-head .tag').first().innerText(), 'Proposed');
    }, 60_000);
    await screenshot(page, 'run-preview');
    const rows = await table(page, '#accounts table');
    assert.equal(rows.rows.length, 1);
    await page.locator('#run-head').getByText('1 contact about £1,250.00').waitFor();

    await page.locator('#why-remove').fill('spoke to them');
    await page.keyboard.press('Enter');
    await toast(page, 'frozen anew');
    await page.locator('#detail').getByText('removed: spoke to them').waitFor();
    await page.locator('#why-restore').fill('they did not call back');
    await page.keyboard.press('Enter');
    await page.locator('#detail').getByText('restored: they did not call back').waitFor();
    await page.getByRole('button', { name: 'Ask a second person' }).click();
    await toast(page, 'a second person decides');
    await screenshot(page, 'run-requested');

    const manager = await office.arrive();
    try {
      await manager.signIn('manager');
      await manager.page.goto('/controls');
      await manager.page.getByRole('button', { name: 'Approve £1,250.00' }).click();
      await toast(manager.page, 'Approved');
      await screenshot(manager.page, 'run-approved');
      assert.deepEqual(manager.faults, []);
    } finally {
      await manager.leave();
    }
    await eventually(async () => {
      await page.reload();
      assert.match(await page.locator('#run-head .tag').first().innerText(), /^(Sending|Sent)$/);
    }, 60_000);
    await screenshot(page, 'run-sending');
  });
});
