// What is agreed with a debtor: a promise, a plan, a hold, each from the account, in
// a real browser against the whole program.

import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';

import { accountsCsv, documentsCsv } from './files.js';
import { Office, daysAgo, noBarrier } from './office.js';
import { eventually, screenshot, table, toast } from './suite.js';

const DEBTOR = { reference: 'PR-9001', name: 'Medlar Test Trading Ltd', email: 'accounts@medlar.example' };
const document = (reference, pence) => ({ reference, pence, account: DEBTOR.reference, issued: daysAgo(60), due: daysAgo(30) });

const office = new Office();
const { api, bringIn, journey } = office;

const ahead = (days) => daysAgo(-days);

describe('promises, plans and holds', { timeout: 900_000 }, () => {
  let account;

  /** What dunning says of a document comes to be `reason`. */
  const reason = (reference, wanted) =>
    eventually(async () => {
      const { items } = await api(`/api/v1/accounts/${account}/standing`);
      assert.equal(items.find((item) => item.document_ref === reference)?.reason, wanted);
    }, 60_000);

  before(
    async () => {
      await office.open();
      await bringIn('accounts.csv', accountsCsv([DEBTOR]));
      await bringIn(
        'documents.csv',
        documentsCsv([document('PR-INV-1', 100_00n), document('PR-INV-2', 240_00n), document('PR-INV-3', 75_00n)]),
      );
      await eventually(async () => {
        const { items } = await api(`/api/v1/accounts?search=${DEBTOR.reference}`);
        account = items[0].account_id;
        const standing = await api(`/api/v1/accounts/${account}/standing`);
        assert.equal(standing.items.length, 3);
      }, 90_000);
    },
    { timeout: 300_000 },
  );

  after(office.close);

  journey('takes a promise from the account, and takes it back', { as: 'controller' }, async (visitor) => {
    const { page } = visitor;
    await page.goto(`/accounts/${account}`);
    await page.getByRole('link', { name: 'Take a promise…' }).press('Enter');
    await page.getByRole('heading', { name: /^Promise of/ }).waitFor();
    // All that is overdue is ticked: this promise is about one of them.
    await page.getByRole('checkbox', { name: 'About PR-INV-2' }).uncheck();
    await page.getByRole('checkbox', { name: 'About PR-INV-3' }).uncheck();
    await page.getByLabel('Day of payment 1').fill(ahead(5));
    await page.getByLabel('Amount of payment 1').fill('£60.00');
    await page.getByLabel('What they said').fill('half now, half at the end of the week');
    await screenshot(page, 'promise-new');
    await page.getByRole('button', { name: 'Take the promise' }).press('Enter');
    // Sixty of a hundred is not what the document comes to: the form is back as it was typed.
    await page.getByRole('alert').getByText(/but the documents come to/).waitFor();
    visitor.forgive(422);
    assert.equal(await page.getByLabel('Amount of payment 1').inputValue(), '£60.00');
    assert.equal(await page.getByRole('checkbox', { name: 'About PR-INV-2' }).isChecked(), false);
    await page.getByLabel('Day of payment 2').fill(ahead(9));
    await page.getByRole('button', { name: 'Take the promise' }).press('Enter');
    await toast(page, /£100.00 is promised for .*, and is not chased until then/);
    await page.locator('#agreed').getByText('£100.00 by').waitFor();
    await reason('PR-INV-1', 'promised');
    await screenshot(page, 'account-agreed');

    await page.goto('/promises?tab=upcoming');
    const { rows } = await table(page, '#agreed table');
    assert.equal(rows.length, 1);
    await noBarrier(page, 'promises');
    await screenshot(page, 'promises');
    await page.getByLabel(`Why the promise of ${DEBTOR.reference} is withdrawn`).fill('another person had promised');
    await page.keyboard.press('Enter');
    await toast(page, 'is withdrawn');
    await page.getByText('There is no such promise.').waitFor();
    await page.goto('/promises?tab=all');
    await page.locator('#agreed').getByText('Withdrawn').waitFor();
  });

  journey('works a plan out, changes a payment, agrees it and cancels it', { as: 'controller' }, async (visitor) => {
    const { page } = visitor;
    await page.goto(`/accounts/${account}/plan`);
    await page.getByRole('checkbox', { name: 'About PR-INV-1' }).uncheck();
    await page.getByRole('checkbox', { name: 'About PR-INV-3' }).uncheck();
    await page.getByLabel('First payment on').fill(ahead(7));
    await page.getByLabel('Then every').selectOption('month');
    await page.getByLabel('Payments').fill('3');
    await page.getByLabel('Why, and what their means are').fill('a slow season');
    await page.getByRole('button', { name: 'Work the payments out' }).press('Enter');
    await page.getByLabel('Amount of payment 3').waitFor();
    assert.equal(await page.getByLabel('Amount of payment 1').inputValue(), '80.00');
    await page.getByLabel('Amount of payment 1').fill('100.00');
    await page.getByLabel('Amount of payment 2').fill('70.00');
    await page.getByLabel('Amount of payment 3').fill('');
    await noBarrier(page, 'a new plan');
    await screenshot(page, 'plan-new');
    await page.getByRole('button', { name: 'Agree the plan' }).press('Enter');
    await toast(page, '£240.00 is on a plan of 3 payments');
    const { rows } = await table(page, '#plan table');
    assert.deepEqual(rows.map((row) => row.Amount), ['£100.00', '£70.00', '£70.00']);
    await screenshot(page, 'plan');
    await reason('PR-INV-2', 'on_plan');
    await page.getByLabel('Do', { exact: true }).selectOption('respread');
    await page.getByLabel('Reason').fill('nothing was missed');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText(/nothing was missed/).waitFor();
    visitor.forgive(409);
    await page.getByLabel('Do', { exact: true }).selectOption('cancel');
    await page.getByLabel('Reason').fill('they pay at once');
    await page.keyboard.press('Enter');
    await toast(page, 'The plan is cancelled.');
    await page.goto('/promises?tab=plans');
    await page.locator('#agreed').getByText('Cancelled').waitFor();
  });

  journey('places a hold that stops the chasing, and ends it', { as: 'controller' }, async (visitor) => {
    const { page } = visitor;
    await page.goto(`/accounts/${account}/hold`);
    await page.getByLabel('Kind').selectOption('breathing_space');
    await page.getByLabel('Their reference').fill('BSS-1');
    await page.getByLabel('Why', { exact: true }).fill('told by the Insolvency Service');
    await page.getByRole('button', { name: 'Place the hold' }).press('Enter');
    await toast(page, `The hold on ${DEBTOR.reference} is placed.`);
    // It covers all: said, not refused.
    await page.getByText('covers the whole account').waitFor();
    await noBarrier(page, 'a hold');
    await screenshot(page, 'hold');
    await reason('PR-INV-3', 'on_hold');
    await page.getByLabel('Reason to end it').fill('it was over');
    await page.keyboard.press('Enter');
    await toast(page, 'The hold is over.');
    await page.locator('#hold').getByText('Ended').waitFor();
  });

  journey('shows an auditor what was agreed, and lets them change nothing', { as: 'auditor' }, async (visitor) => {
    const { page } = visitor;
    await page.goto('/promises?tab=all');
    await page.locator('#agreed').getByText('Withdrawn').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Withdraw' }).count(), 0);
    await page.goto(`/accounts/${account}`);
    assert.equal(await page.getByRole('link', { name: 'Take a promise…' }).count(), 0);
    await page.goto(`/accounts/${account}/promise`);
    await page.getByRole('heading', { name: 'Forbidden' }).or(page.getByText(/role/)).first().waitFor();
    visitor.forgive(403);
  });
});
