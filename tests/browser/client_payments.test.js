// Payments of client money: asked for out of what a matter holds, approved by a second
// person or taken back, in a real browser against the whole program.

import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';

import { accountsCsv, camt053 } from './files.js';
import { Office, daysAgo, noBarrier } from './office.js';
import { Visitor, eventually, screenshot, table, toast } from './suite.js';

const CLIENT = { reference: 'CP-9001', name: 'Mrs Hazel Tester', email: 'hazel@tester.example' };
const MATTER = 'CP-MAT-1';
const matters = ['matter_ref,account_ref,title,fee_earner,opened_on,status', `${MATTER},${CLIENT.reference},Tester v Example,JB,${daysAgo(90)},opened`, ''].join('\n');
const BANK = { sort_code: '20-99-11', account_number: '90000007' };
const PAID = { reference: 'CP-BANK-1', pence: 500_00n, payer: 'HAZEL TESTER', text: 'DAMAGES CP' };

const office = new Office();
const { api, bringIn, command, journey } = office;

describe('client payments', { timeout: 900_000 }, () => {
  before(
    async () => {
      await office.open();
      await bringIn('accounts.csv', accountsCsv([CLIENT]));
      await bringIn('matters.csv', matters);
      const designation = { bank_account: BANK, designation: 'client', reason: 'the bank’s letter of trust' };
      await command('/api/v1/bank-accounts/designation', designation, { as: 'manager' });
      await bringIn('receipts.xml', camt053({ account: '20991190000007', opening: 0n, days: [{ date: daysAgo(3), lines: [PAID] }] }));
      await eventually(async () => {
        const receipt = await office.receipt({ reference: PAID.text });
        const [matter] = (await api(`/api/v1/matters?search=${MATTER}`)).items;
        const parts = [{ component: 'damages', amount: { amount: '500.00', currency: 'GBP' } }];
        await command(`/api/v1/receipts/${receipt.receipt_id}/split`, { matter_id: matter.matter_id, parts, reason: 'damages' });
      }, 90_000);
    },
    { timeout: 300_000 },
  );

  after(office.close);

  const held = (page) => table(page, '#detail table').then(({ rows }) => rows[0]);
  const state = (page, payee) =>
    page
      .locator('#detail .timeline li')
      .filter({ hasText: payee })
      .locator('.tag')
      .innerText();

  journey('asks at the keys, a second person approves, and it is sent', { as: 'payments' }, async (visitor) => {
    const { page } = visitor;
    await page.goto('/residuals');
    await page.getByRole('link', { name: 'Client payments', exact: true }).press('Enter');
    await page.getByRole('heading', { level: 1, name: 'Client payments' }).waitFor();
    await Visitor.live(page);
    await page.keyboard.press('/');
    await page.keyboard.type(MATTER);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 2, name: MATTER }).waitFor();
    assert.deepEqual(await held(page), { Held: '£500.00', 'Asked for': '£0.00', Free: '£500.00' });
    await page.getByText('£500.00 came onto the client ledger on').waitFor();
    await noBarrier(page, 'client payments before one is asked for');

    const ask = async (amount) => {
      await page.getByLabel('Paid to').selectOption('paid_out');
      await page.getByLabel('Payee').fill('Oak Surveyors Ltd');
      await page.getByLabel('Amount', { exact: true }).fill(amount);
      if (await page.getByLabel('From', { exact: true }).count()) await page.getByLabel('From', { exact: true }).selectOption({ label: 'GB:209911-90000007' });
      await page.getByLabel('Purpose').fill('survey of the roof');
      await page.getByLabel('Purpose').press('Enter');
    };
    await ask('£500.01');
    await page.getByRole('alert').getByText('£500.00').waitFor();
    visitor.forgive(409);
    visitor.forgive(422);
    assert.equal(await page.getByLabel('Payee').inputValue(), 'Oak Surveyors Ltd', 'what was typed is still there');
    await noBarrier(page, 'a client payment that is refused');
    await screenshot(page, 'client-payments-refused');
    await ask('180');
    await toast(page, '£180.00 is asked for: a second person decides.');
    assert.deepEqual(await held(page), { Held: '£500.00', 'Asked for': '£180.00', Free: '£320.00' });
    assert.equal(await state(page, 'Oak Surveyors'), 'Waits for a second person');
    assert.equal(await page.getByLabel('Purpose').inputValue(), '', 'the form is empty again');
    assert.equal(await page.getByRole('link', { name: /^Decide on/ }).count(), 0, 'not by whoever asked');
    await noBarrier(page, 'client payments with one that waits');
    await screenshot(page, 'client-payments-waiting');

    const manager = await office.arrive();
    try {
      await manager.signIn('manager');
      await manager.page.goto('/client-payments');
      await manager.page.getByRole('link', { name: 'Decide on £180.00 to Oak Surveyors Ltd' }).click();
      await manager.page.getByRole('button', { name: 'Approve £180.00' }).click();
      await toast(manager.page, 'Approved');
      assert.deepEqual(manager.faults, []);
    } finally {
      await manager.leave();
    }
    // The page follows by itself.
    await eventually(async () => assert.equal(await state(page, 'Oak Surveyors'), 'Sent'));
    await eventually(async () => assert.deepEqual(await held(page), { Held: '£320.00', 'Asked for': '£0.00', Free: '£320.00' }));
    await page.getByRole('link', { name: 'All', exact: true }).click();
    const all = await table(page, '#payments [aria-labelledby=payments-title] table');
    assert.ok(all.rows.some((row) => row.Payee === 'Oak Surveyors Ltd' && row.State.startsWith('Sent')), JSON.stringify(all.rows));
    await noBarrier(page, 'all client payments');
    await screenshot(page, 'client-payments-sent');
  });

  journey('takes one back, without scripts', { as: 'controller', javaScriptEnabled: false }, async (visitor) => {
    const { page } = visitor;
    await page.goto('/client-payments');
    await page.getByLabel('Find a matter to pay from').fill(MATTER);
    await page.getByRole('button', { name: 'Search' }).click();
    await page.getByRole('heading', { level: 2, name: MATTER }).waitFor();
    await page.getByLabel('Payee').fill('Mrs Hazel Tester');
    await page.getByLabel('Amount', { exact: true }).fill('20.00');
    if (await page.getByLabel('From', { exact: true }).count()) await page.getByLabel('From', { exact: true }).selectOption({ label: 'GB:209911-90000007' });
    await page.getByLabel('Purpose').fill('on account of the settlement');
    await page.getByRole('button', { name: 'Ask for approval' }).click();
    await toast(page, '£20.00 is asked for');
    await page.getByLabel('Why £20.00 is taken back').fill('the client moved bank');
    await page.getByRole('button', { name: 'Take it back' }).click();
    await toast(page, 'Taken back: nobody need decide it.');
    assert.equal(await state(page, 'Mrs Hazel Tester'), 'Taken back');
  });

  journey('shows an auditor what became of each, and no form', { as: 'auditor', javaScriptEnabled: false }, async (visitor) => {
    const { page } = visitor;
    await page.goto('/client-payments?all=true');
    const all = await table(page, '#payments table.rows');
    assert.deepEqual(all.rows.map(({ State }) => State.split(/\s{2,}/)[0]).slice(0, 2), ['Taken back', 'Sent']);
    assert.equal(await page.getByRole('button', { name: 'Ask for approval' }).count(), 0);
    assert.equal(await page.getByRole('button', { name: 'Take it back' }).count(), 0);
    await screenshot(page, 'client-payments-auditor');
  });
});
