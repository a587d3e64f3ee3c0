// Direct Debits: a mandate comes in, what it may collect is offered, and a report of
// Bacs ends it, in a real browser against the whole program.

import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';

import { accountsCsv, documentsCsv } from './files.js';
import { Office, daysAgo, noBarrier } from './office.js';
import { Visitor, eventually, screenshot, table } from './suite.js';

const OWES = { reference: 'DD-9001', name: 'Kettle Test Supplies Ltd', email: 'accounts@kettle.example' };
const MANDATE = 'KETTLE-DD-1';
const mandates = [
  'mandate_reference,account_ref,payer_name,sort_code,account_number,signed_on,status',
  `${MANDATE},${OWES.reference},KETTLE TEST SUPPLIES,107999,88837491,${daysAgo(200)},active`,
  '',
].join('\n');
const cancelled = `<?xml version="1.0" encoding="ISO-8859-1"?>
<BACSDocument><Data><MessagingAdvices>
<MessagingHeader report-type="ADDACS" user-name="OURS" user-number="246810" report-generation-date="${daysAgo(0)}"/>
<MessagingAdvice user-number="246810" record-type="A" effective-date="${daysAgo(0)}" reference="${MANDATE}" reason-code="1" payer-name="KETTLE"/>
</MessagingAdvices></Data></BACSDocument>
`;

const office = new Office();
const { bringIn, journey } = office;

describe('direct debits', { timeout: 900_000 }, () => {
  before(
    async () => {
      await office.open();
      await bringIn('accounts.csv', accountsCsv([OWES]));
      await bringIn('documents.csv', documentsCsv([{ reference: 'DD-INV-1', pence: 120_00n, account: OWES.reference, issued: daysAgo(40), due: daysAgo(5) }]));
      await bringIn('mandates.csv', mandates);
    },
    { timeout: 300_000 },
  );

  after(office.close);

  journey('shows a mandate with what it may collect, and what a report of Bacs says of it', { as: 'payments' }, async (visitor) => {
    const { page } = visitor;
    const mandate = async () => (await table(page, '#mandates table')).rows.find((row) => row.Reference === MANDATE);
    await page.goto('/controls');
    await page.getByRole('link', { name: 'Direct Debits', exact: true }).click();
    await page.getByRole('heading', { name: 'Direct Debits', exact: true }).waitFor();
    await eventually(async () => {
      await page.reload();
      assert.match((await mandate()).State, /^Active/);
      await page.getByLabel('DD-INV-1').waitFor({ timeout: 1000 });
    }, 60_000);
    await noBarrier(page, 'Direct Debits');
    await screenshot(page, 'direct-debits');

    // Nobody has said who we are for Bacs: it is refused, with the setting by name.
    visitor.forgive(422);
    await page.getByLabel('DD-INV-1').check();
    await page.getByLabel('Entry day', { exact: true }).fill(daysAgo(-30));
    await page.getByLabel('Reason', { exact: true }).fill('monthly');
    await page.getByRole('button', { name: 'Ask for approval' }).click();
    await page.getByText('bacs.user_number').first().waitFor();

    await bringIn('addacs.xml', cancelled);
    await eventually(async () => {
      await page.goto('/direct-debits');
      await Visitor.live(page);
      assert.match((await mandate()).State, /^Cancelled/);
      assert.equal(await page.getByLabel('DD-INV-1').count(), 0);
    }, 60_000);
    await screenshot(page, 'direct-debits-cancelled');
  });
});
