// What is said with a debtor: a call with a promise, what is told in one and stops
// letters at once, a letter that is read later; in a real browser against the whole
// program.

import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';

import { accountsCsv, documentsCsv } from './files.js';
import { Office, daysAgo, noBarrier } from './office.js';
import { eventually, screenshot, table, toast } from './suite.js';

const SAM = { reference: 'CT-9001', name: 'Quince Test Joinery Ltd', email: 'accounts@quince.example' };
const ADA = { reference: 'CT-9002', name: 'Sorrel Test Services Ltd', email: 'accounts@sorrel.example' };
const document = (reference, account, pence) => ({ reference, pence, account, issued: daysAgo(60), due: daysAgo(30) });

const office = new Office();
const { api, bringIn, journey } = office;

const ahead = (days) => daysAgo(-days);

describe('contacts', { timeout: 900_000 }, () => {
  const ids = {};

  const reason = (account, reference, wanted) =>
    eventually(async () => {
      const { items } = await api(`/api/v1/accounts/${account}/standing`);
      assert.equal(items.find((item) => item.document_ref === reference)?.reason, wanted);
    }, 60_000);

  before(
    async () => {
      await office.open();
      await bringIn('accounts.csv', accountsCsv([SAM, ADA]));
      await bringIn(
        'documents.csv',
        documentsCsv([
          document('CT-INV-1', SAM.reference, 100_00n),
          document('CT-INV-2', SAM.reference, 240_00n),
          document('CT-INV-3', ADA.reference, 75_00n),
        ]),
      );
      for (const { reference } of [SAM, ADA]) {
        await eventually(async () => {
          const { items } = await api(`/api/v1/accounts?search=${reference}`);
          ids[reference] = items[0].account_id;
          const standing = await api(`/api/v1/accounts/${ids[reference]}/standing`);
          assert.ok(standing.items.length > 0);
        }, 90_000);
      }
    },
    { timeout: 300_000 },
  );

  after(office.close);

  journey('records a call with the promise that was made in it, by keyboard', { as: 'controller' }, async (visitor) => {
    const { page } = visitor;
    const account = ids[SAM.reference];
    await page.goto(`/accounts/${account}`);
    await page.getByRole('heading', { name: SAM.name }).waitFor();
    await page.keyboard.press('c');
    await page.getByRole('heading', { name: 'Record a call, a visit or a message' }).waitFor();
    await noBarrier(page, 'the form of a call');
    await screenshot(page, 'contact-new');
    // What is overdue is ticked: this call is about one of them.
    await page.getByRole('checkbox', { name: 'About CT-INV-2' }).press('Space');
    assert.equal(await page.getByRole('checkbox', { name: 'About CT-INV-2' }).isChecked(), false);
    await page.getByLabel('What came of it').selectOption('promised');
    await page.getByLabel('Day of payment 1').fill(ahead(5));
    await page.getByLabel('Amount of payment 1').fill('£60.00');
    await page.getByLabel('Promised by').fill('Sam, accounts');
    await page.getByLabel('What was said').fill('half now, half at the end of the week');
    await page.getByLabel('Promised by').press('Enter');
    // Sixty of a hundred is not what the document comes to: neither the call nor the promise is taken.
    await page.getByRole('alert').getByText(/but the documents come to/).waitFor();
    visitor.forgive(422);
    assert.equal(await page.getByLabel('Amount of payment 1').inputValue(), '£60.00');
    assert.equal(await page.getByRole('checkbox', { name: 'About CT-INV-2' }).isChecked(), false);
    await page.getByText('Nobody has contacted them yet').waitFor();
    await noBarrier(page, 'a call that was refused');
    await screenshot(page, 'contact-refused');
    await page.getByLabel('Day of payment 2').fill(ahead(9));
    await page.getByLabel('Promised by').press('Enter');
    await toast(page, /£100.00 is promised/);
    const { rows } = await table(page, '#history table');
    assert.equal(rows.length, 1);
    assert.match(rows[0]['What came of it'], /^Promised/);
    assert.equal(rows[0].About, 'CT-INV-1');
    await reason(account, 'CT-INV-1', 'promised');
    const promises = await api(`/api/v1/promises?account_id=${account}`);
    assert.deepEqual(
      promises.items.map((one) => [one.amount.amount, one.instalments.length, one.promised_by]),
      [['100.00', 2, 'Sam, accounts']],
    );
    await noBarrier(page, 'contacts');
    await screenshot(page, 'contacts');
    // It cannot be promised in one of our letters.
    await page.getByRole('link', { name: 'Our letter' }).press('Enter');
    await page.locator('#record a[aria-current]').getByText('Our letter').waitFor();
    assert.equal(await page.getByLabel('What came of it').locator('option[value=promised]').count(), 0);
    assert.equal(await page.getByLabel('Day of payment 1').count(), 0);
  });

  journey('is told of a vulnerability, which is held at once, and confirmed', { as: 'controller' }, async (visitor) => {
    const { page } = visitor;
    const account = ids[ADA.reference];
    await page.goto(`/accounts/${account}/contacts`);
    await page.getByRole('link', { name: 'They called' }).press('Enter');
    await page.locator('#record a[aria-current]').getByText('They called').waitFor();
    assert.equal(await page.getByLabel('What came of it').locator('option[value=no_answer]').count(), 0);
    await page.getByLabel('What came of it').selectOption('vulnerability_told');
    await page.getByLabel('What was said').fill('in hospital until March');
    await page.getByRole('button', { name: 'Record it' }).press('Enter');
    await toast(page, 'No letter goes from now on');
    await page.locator('#held').getByText('told of, to be confirmed or cancelled by').waitFor();
    // Who took the call does not read again what is about health.
    assert.equal(await page.getByText('in hospital').count(), 0);
    await noBarrier(page, 'an account on hold');
    await screenshot(page, 'contact-held');
    await page.locator('#held').getByRole('link', { name: 'Vulnerable' }).press('Enter');
    await page.getByText('nobody has confirmed it yet').waitFor();
    await noBarrier(page, 'a hold that was told of');
    await screenshot(page, 'hold-told');
    await page.getByLabel('What confirms it').fill('a letter of the hospital');
    await page.keyboard.press('Enter');
    await toast(page, 'The hold is as you said.');
    assert.equal(await page.getByText('nobody has confirmed it yet').count(), 0);
    await page.getByRole('button', { name: 'Change' }).waitFor();
  });

  journey('writes down a letter of theirs and reads it, without scripts', { as: 'controller', javaScriptEnabled: false }, async (visitor) => {
    const { page } = visitor;
    const account = ids[SAM.reference];
    await page.goto(`/accounts/${account}/contacts`);
    await page.getByRole('link', { name: 'Their letter' }).click();
    await page.getByLabel('What was said').fill('We have appointed administrators.');
    await page.getByRole('button', { name: 'Record it' }).click();
    await page.getByText('seems to say: Insolvency told').waitFor();
    await page.getByRole('link', { name: 'Read it' }).click();
    await page.getByRole('heading', { name: /^What does the letter of/ }).waitFor();
    assert.equal(await page.getByLabel('It means').inputValue(), 'insolvency_told');
    await page.getByLabel('Why', { exact: true }).fill('the letter says so');
    await page.getByRole('button', { name: 'Say so' }).click();
    await page.locator('#held').getByRole('link', { name: 'Insolvency' }).waitFor();
    await page.getByText('look the insolvency up, and find the office holder').waitFor();
    await reason(account, 'CT-INV-2', 'on_hold');
    await screenshot(page, 'contacts-no-scripts');
  });

  journey('shows an auditor what was said to whom, and lets them record nothing', { as: 'auditor' }, async (visitor) => {
    const { page } = visitor;
    await page.goto(`/accounts/${ids[SAM.reference]}/contacts`);
    await page.getByRole('heading', { name: 'History' }).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Record it' }).count(), 0);
  });
});
