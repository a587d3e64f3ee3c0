// The allocation workbench, by keyboard, in a real browser against the whole
// program: a journey for each thing that a person can do there.

import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';

import { accountsCsv, camt053, documentsCsv } from './files.js';
import { Office, daysAgo, noBarrier } from './office.js';
import { Visitor, eventually, pence, screenshot, table, toast } from './suite.js';

// A debtor of our own, whom nobody else pays.
const DEBTOR = { reference: 'WB-7001', name: 'Quince Test Bakery Ltd' };
const PAYER = 'QUINCE TEST BAKERY LTD';
const document = (reference, pence, kind) => ({ reference, pence, kind, account: DEBTOR.reference, issued: daysAgo(75), due: daysAgo(45) });
const DOCUMENTS = [
  document('WB-INV-1', 120_00n),
  document('WB-INV-2', 80_00n),
  document('WB-CN-3', 20_00n, 'credit_note'),
  document('WB-INV-4', 310_40n),
  document('WB-INV-5', 1_000_00n),
  document('WB-INV-6', 444_44n),
];
// Whoever the payer is, a person has to look: there is no such document.
const paid = (reference, pence, payer = PAYER) => ({ reference, pence, payer, text: 'WB-INV-9' });
const RECEIPTS = {
  split: paid('WB-R-SPLIT', 205_55n),
  list: paid('WB-R-LIST', 180_00n),
  first: paid('WB-R-PART1', 400_00n, 'QUINCE HOLDINGS'),
  second: paid('WB-R-PART2', 600_00n, 'QUINCE SISTERS'),
  doubt: paid('WB-R-DOUBT', 13_13n, 'SOMEBODY WITH QUINCES'),
  plain: paid('WB-R-PLAIN', 17_17n, 'ANOTHER WITH QUINCES'),
  number: paid('WB-R-NUMBER', 444_44n),
};
// Paid before they were billed: once put aside and taken up again, they are
// certain, and wait for a person.
const CERTAIN = [1, 2, 3].map((at) => ({
  receipt: { reference: `WB-R-SURE${at}`, pence: BigInt(at) * 50_00n, payer: PAYER, text: `WB-INV-10${at}` },
  document: document(`WB-INV-10${at}`, BigInt(at) * 50_00n),
}));

const office = new Office();
const { api, command, receipts, receipt, bringIn, journey } = office;

const unfold = (page, text) => page.locator('summary', { hasText: text }).click();
const row = (page, { receipt_id: id }) => page.locator(`#row-${id}`);
const current = (page) => page.locator('tr.current').getAttribute('id');
const focused = (locator) => locator.evaluate((element) => element === element.ownerDocument.activeElement);
const left = async (of) => (await receipt(of)).unallocated.amount;
const at = (found, queue = 'all', search = 'WB-R-') => `/cash?queue=${queue}&search=${search}&receipt=${found.receipt_id}`;

async function open(reference) {
  const found = await api(`/api/v1/items?search=${reference}`);
  return found.items.find((item) => item.document_ref === reference)?.open.amount ?? '0.00';
}

/** Money of a bank statement, each day's in a file of its own. */
let accounts = 0;
async function bank(lines, day = 1) {
  accounts += 1;
  const account = `2099119100${String(accounts).padStart(4, '0')}`;
  await bringIn(`receipts-${accounts}.xml`, camt053({ account, opening: 0n, days: [{ date: daysAgo(day), lines }] }));
  await eventually(async () => {
    for (const line of lines) await receipt(line);
  }, 60_000);
}

/** Waits for the live connection, then says whether the page was ever loaded anew. */
async function stays(page) {
  await Visitor.live(page);
  await page.evaluate(() => {
    window.neverReloaded = true;
  });
  return () => page.evaluate(() => window.neverReloaded === true);
}

describe('a person at the workbench', { timeout: 900_000 }, () => {
  before(
    async () => {
      await office.open();
      await bringIn('accounts.csv', accountsCsv([DEBTOR]));
      await bringIn('documents.csv', documentsCsv(DOCUMENTS));
      await eventually(async () => assert.equal(await open('WB-INV-6'), '444.44'), 60_000);
      await bank(Object.values(RECEIPTS));
      await bank(CERTAIN.map((each) => each.receipt), 2);
    },
    { timeout: 300_000 },
  );

  after(office.close);

  journey('walks the queues, which count what they show', { as: 'controller' }, async ({ page }) => {
    await page.goto('/cash?queue=to_review&search=WB-R-');
    const unmoved = await stays(page);
    const { queues } = await api('/api/v1/receipts/counts');
    const pounds = (totals) => totals.reduce((sum, { amount }) => sum + BigInt(amount.replace('.', '')), 0n);
    const tabs = await page.locator('#tabs a').allInnerTexts();
    const title = { to_review: 'To review', suggested: 'Suggested', unidentified: 'Unidentified', unallocated: 'Unallocated', on_account: 'On account', possible_duplicates: 'Possible duplicates', parked: 'To check', allocated_today: 'Allocated today', allocated: 'Allocated' };
    for (const { queue, receipts: count, totals } of queues) {
      // The demo's bank goes on paying: only the queues that it leaves alone are compared.
      const tab = tabs.find((text) => text.startsWith(`${title[queue]} ${count}`) || text.trim() === `${title[queue]} 0`);
      if (queue === 'parked') assert.ok(tab, `${queue} ${count} ${pounds(totals)}: ${tabs}`);
      assert.ok(tabs.some((text) => text.startsWith(title[queue])), `${title[queue]}: ${tabs}`);
    }
    const review = queues.find(({ queue }) => queue === 'to_review');
    const parts = ['unidentified', 'unallocated'].map((name) => queues.find(({ queue }) => queue === name));
    assert.equal(review.receipts, parts[0].receipts + parts[1].receipts, 'whose is known or not');
    assert.equal(pounds(review.totals), pounds(parts[0].totals) + pounds(parts[1].totals));

    // The newest booking first; j and k go down and up, and the detail follows.
    const days = (await table(page, '#receipts table')).rows.map((line) => Date.parse(line.Booked));
    assert.deepEqual(days, [...days].sort((one, other) => other - one));
    const ids = await page.locator('#receipts tbody tr').evaluateAll((rows) => rows.map((each) => each.id));
    assert.equal(await current(page), ids[0]);
    await page.keyboard.press('j');
    await page.locator(`#${ids[1]}.current`).waitFor();
    await page.keyboard.press('j');
    await page.locator(`#${ids[2]}.current`).waitFor();
    await page.keyboard.press('k');
    await page.locator(`#${ids[1]}.current`).waitFor();
    assert.ok(await focused(page.locator(`#${ids[1]} a[data-row]`)), 'the cursor is on the row');
    assert.ok(await unmoved());
    await screenshot(page, 'workbench-queue');
  });

  journey('accepts a suggestion by its number', { as: 'controller' }, async ({ page }) => {
    const found = await receipt(RECEIPTS.number);
    await page.goto(at(found, 'to_review'));
    const unmoved = await stays(page);
    const next = (await page.locator('#receipts tbody tr').evaluateAll((rows) => rows.map((each) => each.id)));
    const card = page.locator('[data-choose="1"]');
    assert.match(await card.innerText(), /WB-INV-6/);
    await page.keyboard.press('1');
    assert.ok(await focused(card.locator('[data-accept]')), 'chosen first');
    assert.equal(await left(RECEIPTS.number), '444.44', 'and nothing moved yet');
    await page.keyboard.press('1');
    await toast(page, 'Allocated £444.44 to 1 document.');
    assert.equal(await left(RECEIPTS.number), '0.00');
    const beside = next[next.indexOf(`row-${found.receipt_id}`) + 1];
    await page.locator(`#${beside}.current`).waitFor();
    await eventually(async () => assert.ok(await focused(page.locator(`#${beside} a[data-row]`)), 'the cursor goes along'));
    assert.ok(await unmoved());
  });

  journey('splits a receipt over documents and a credit note, and undoes all of it', { as: 'controller' }, async (visitor) => {
    const { page } = visitor;
    const found = await receipt(RECEIPTS.split);
    await page.goto(at(found));
    const unmoved = await stays(page);
    await page.keyboard.press('a');
    await page.keyboard.type('WB-7001');
    await page.keyboard.press('Enter');
    await page.waitForURL(/items=WB-7001/);
    const amount = (reference) => page.getByLabel(new RegExp(`^Allocate to ${reference},`));
    await amount('WB-INV-1').focus();
    await page.keyboard.type('120.01');
    const sum = page.locator('.sum').first();
    assert.match(await sum.innerText(), /allocated £120\.01 = remainder £85\.54/);
    assert.match(await page.locator('tr', { has: amount('WB-INV-1') }).locator('[data-left]').innerText(), /\(£0\.01\)/);

    // More than is open is refused before it is sent.
    let sent = 0;
    page.on('request', (request) => {
      if (request.method() === 'POST') sent += 1;
    });
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('WB-INV-1: £120.01 is more than the £120.00 that is open').waitFor();
    assert.ok(await focused(amount('WB-INV-1')), 'the cursor is where the fault is');
    assert.equal(sent, 0);
    await amount('WB-INV-1').fill('120');
    await amount('WB-CN-3').fill('20');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('WB-CN-3 is a credit note: its amount is negative').waitFor();
    assert.equal(sent, 0);
    await amount('WB-CN-3').press('=');
    assert.equal(await amount('WB-CN-3').inputValue(), '-20.00', 'a credit note is used up whole');
    await amount('WB-INV-2').press('=');
    assert.equal(await amount('WB-INV-2').inputValue(), '80.00', 'filled with what is open');
    await amount('WB-INV-4').press('=');
    assert.equal(await amount('WB-INV-4').inputValue(), '25.55', 'or with what is left');
    assert.match(await sum.innerText(), /allocated £205\.55 = remainder £0\.00 ✔ nothing is left/);
    await screenshot(page, 'workbench-split');
    await page.keyboard.press('Enter');
    await toast(page, 'Allocated £205.55 to 4 documents.');
    assert.deepEqual(await Promise.all(['WB-INV-1', 'WB-INV-2', 'WB-CN-3', 'WB-INV-4'].map(open)), ['0.00', '0.00', '0.00', '284.85']);
    assert.ok(await unmoved());

    // What was done together is shown together, and undone with a reason.
    await page.goto(at(found));
    await page.keyboard.press('Shift+U');
    await page.getByRole('heading', { level: 1, name: 'Undo together' }).waitFor();
    const lines = await table(page);
    assert.deepEqual(lines.rows.map((line) => pence(line.Amount)).sort(), [-20_00n, 120_00n, 25_55n, 80_00n].sort());
    assert.match(await page.locator('.sum').innerText(), /4 of 4 lines of 1 receipt, £205\.55/);
    await noBarrier(page, 'undo together');
    await screenshot(page, 'workbench-undo');
    assert.ok(await focused(page.getByLabel('Reason')), 'only the reason is missing');
    await page.keyboard.type('it was for the other bakery');
    await page.keyboard.press('Enter');
    await page.getByText('Undid 4 allocations, £205.55.').waitFor();
    assert.equal(await left(RECEIPTS.split), '205.55');
    assert.deepEqual(await Promise.all(['WB-INV-1', 'WB-INV-2', 'WB-CN-3', 'WB-INV-4'].map(open)), ['120.00', '80.00', '-20.00', '310.40']);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 2, name: '£205.55 from' }).waitFor();
    const history = await table(page, '#detail section:last-of-type table');
    assert.equal(history.rows.length, 8, 'nothing is deleted');
  });

  journey('pastes a list from a spreadsheet', { as: 'controller' }, async ({ page }) => {
    const found = await receipt(RECEIPTS.list);
    await page.goto(at(found));
    const unmoved = await stays(page);
    await page.keyboard.press('v');
    const field = page.getByLabel(/^One line for each document/);
    assert.ok(await focused(field), 'v opens the field');
    await field.fill('Document\tAmount\nWB-INV-1\t£120.00\nwb inv 2\t80.00\n\nWB-CN-3\t(20.00)\nWB-INV-77\t1,234.50\nTotal\t1,414.50');
    // What comes in meanwhile leaves the list alone.
    await bank([paid('WB-R-LATE', 1_11n, 'LATE')]);
    await page.locator('#receipts tbody tr', { hasText: 'LATE' }).first().waitFor();
    assert.match(await field.inputValue(), /WB-INV-77/);
    assert.ok(await focused(field), 'and the cursor');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    const report = page.locator(`#pasted-${found.receipt_id}`);
    await report.getByText('3 documents found, together £180.00.').waitFor();
    const text = await report.innerText();
    assert.match(text, /exactly what the receipt has left/);
    assert.match(text, /Line 6: no document is called “WB-INV-77”/);
    assert.match(text, /No document number in line 1 “Document\s+Amount”; line 7 “Total\s+1,414\.50”/);
    assert.equal(await page.getByLabel(/^Allocate to WB-CN-3,/).inputValue(), '-20.00');
    assert.match(await page.locator('.sum').first().innerText(), /remainder £0\.00 ✔ nothing is left/);
    assert.equal(await left(RECEIPTS.list), '180.00', 'nothing has moved yet');
    assert.equal(new URL(page.url()).pathname, '/cash', 'the address is still the receipt’s');
    await noBarrier(page, 'pasted list');
    await screenshot(page, 'workbench-pasted');
    await page.getByLabel(/^Allocate to WB-INV-1,/).press('Enter');
    await toast(page, 'Allocated £180.00 to 3 documents.');
    assert.equal(await left(RECEIPTS.list), '0.00');
    assert.ok(await unmoved());
  });

  journey('allocates several receipts to one document', { as: 'controller' }, async ({ page }) => {
    const [first, second] = [await receipt(RECEIPTS.first), await receipt(RECEIPTS.second)];
    await page.goto(at(first, 'to_review', 'WB-R-PART'));
    await Visitor.live(page);
    await page.keyboard.press('x');
    await page.locator(`#row-${second.receipt_id} a[data-row]`).click();
    await page.locator(`#row-${second.receipt_id}.current`).waitFor();
    assert.ok(await page.locator(`#pick-${first.receipt_id}`).isChecked(), 'ticks outlast the turn to another receipt');
    await page.keyboard.press('x');
    await page.getByText('2 selected, £1,000.00').waitFor();
    await screenshot(page, 'workbench-ticked');
    await page.keyboard.press('t');
    await page.getByRole('heading', { level: 1, name: 'Allocate together' }).waitFor();
    await noBarrier(page, 'allocate together');
    await page.keyboard.type('WB-INV-5');
    await page.keyboard.press('Enter');
    const choice = page.getByRole('radio', { name: /WB-INV-5/ });
    await choice.waitFor();
    assert.ok(await choice.isChecked(), 'the only one is meant');
    const amount = page.getByLabel(/from QUINCE HOLDINGS/);
    await amount.fill('400.01');
    assert.match(await page.locator('.sum').innerText(), /together £1,000\.01 ✖ more than the £1,000\.00 that is open/);
    await amount.fill('400');
    assert.match(await page.locator('.sum').innerText(), /together £1,000\.00 ✔ pays all of it/);
    await screenshot(page, 'workbench-together');
    await amount.press('Enter');
    await toast(page, 'Allocated 2 receipts, £1,000.00 to WB-INV-5.');
    assert.equal(await open('WB-INV-5'), '0.00');
    assert.deepEqual([await left(RECEIPTS.first), await left(RECEIPTS.second)], ['0.00', '0.00']);
  });

  journey('puts a receipt aside to check, and takes it up again', { as: 'controller' }, async ({ page }) => {
    const found = await receipt(RECEIPTS.doubt);
    await page.goto(at(found, 'to_review'));
    const unmoved = await stays(page);
    await page.keyboard.press('m');
    assert.ok(await focused(page.getByLabel('What is to be checked')), 'm asks why');
    await page.keyboard.type('whose quinces?');
    await page.getByLabel('By whom').fill('Jo');
    const tomorrow = daysAgo(-1);
    await page.getByLabel(/^Back by itself on/).fill(tomorrow);
    await page.getByLabel('What is to be checked').press('Enter');
    await toast(page, /^. Put aside until /);
    assert.equal(await row(page, found).count(), 0, 'it has left the queue');
    const parked = await receipt(RECEIPTS.doubt);
    assert.deepEqual([parked.parked.reason, parked.parked.owner, parked.parked.until], ['whose quinces?', 'Jo', tomorrow]);
    assert.equal(parked.unallocated.amount, '13.13', 'its money is where it was');

    await page.getByRole('link', { name: /^To check/ }).click();
    await row(page, found).waitFor();
    await row(page, found).getByRole('link').click();
    await page.getByRole('heading', { name: 'To check' }).waitFor();
    await noBarrier(page, 'to check');
    await screenshot(page, 'workbench-parked');
    await page.keyboard.press('m');
    await toast(page, 'Taken up again: it is back in review.');
    assert.equal((await receipt(RECEIPTS.doubt)).parked, undefined);
    assert.ok(await unmoved());
  });

  journey('accepts all that is clear, hears what failed, and undoes the batch', { as: 'controller' }, async ({ page }) => {
    for (const { receipt: line, document: billed } of CERTAIN) {
      const { receipt_id: id } = await receipt(line);
      await command(`/api/v1/receipts/${id}/park`, { reason: 'not billed yet' });
      await bringIn(`${billed.reference}.csv`, documentsCsv([billed]));
      await eventually(async () => assert.notEqual(await open(billed.reference), '0.00'));
      await command(`/api/v1/receipts/${id}/unpark`, { reason: 'billed' });
    }
    await page.goto('/cash?queue=suggested&search=WB-R-SURE');
    await Visitor.live(page);
    await page.keyboard.press('h');
    await page.getByRole('heading', { level: 1, name: 'Accept all high' }).waitFor();
    const sum = page.locator('.sum');
    assert.match(await sum.innerText(), /3 of 3 receipts, £300\.00/);
    await noBarrier(page, 'accept all high');
    await page.keyboard.press('Space');
    assert.match(await sum.innerText(), /2 of 3 receipts, £/, 'one is left out');
    await page.keyboard.press('Space');
    assert.match(await sum.innerText(), /3 of 3 receipts, £300\.00/);
    await screenshot(page, 'workbench-accept');

    // Somebody is quicker with one of them.
    const [quicker] = CERTAIN;
    const taken = await receipt(quicker.receipt);
    const detail = await api(`/api/v1/receipts/${taken.receipt_id}`);
    const lines = detail.suggestions[0].lines.map(({ document_id, amount }) => ({ document_id, amount }));
    await command(`/api/v1/receipts/${taken.receipt_id}/allocations`, { lines, reason: 'told by phone' });
    await page.getByLabel('Reason').press('Enter');
    await page.getByText('Accepted 2 of 3 suggestions, £250.00.').waitFor();
    const done = await table(page);
    assert.equal(done.rows.filter(({ Outcome }) => Outcome.startsWith('✔')).length, 2);
    assert.match(done.rows.find(({ Outcome }) => Outcome.startsWith('✖')).Outcome, /moved on/);
    await noBarrier(page, 'accepted');
    await screenshot(page, 'workbench-accepted');
    assert.equal((await receipts('WB-R-SURE', 'suggested')).length, 0);

    await page.keyboard.press('Shift+U');
    await page.getByRole('heading', { level: 1, name: 'Undo together' }).waitFor();
    assert.match(await page.locator('.sum').innerText(), /2 of 2 lines of 2 receipts, £250\.00/);
    await page.keyboard.type('the wrong month');
    await page.keyboard.press('Enter');
    await page.getByText('Undid 2 allocations, £250.00.').waitFor();
    assert.deepEqual(await Promise.all(CERTAIN.map((each) => left(each.receipt))), ['0.00', '100.00', '150.00']);
  });

  journey('does all of it without scripts', { as: 'payments', javaScriptEnabled: false }, async (visitor) => {
    const { page } = visitor;
    const found = await receipt(RECEIPTS.plain);
    await page.goto(at(found, 'to_review'));
    await unfold(page, 'Put aside to check');
    await page.getByLabel('What is to be checked').fill('whose quinces?');
    await page.getByRole('button', { name: 'Put aside' }).click();
    await toast(page, 'Put aside until somebody takes it up again.');
    await page.goto(at(found, 'parked'));
    await page.getByRole('button', { name: 'Take up again' }).click();
    await toast(page, 'Taken up again');

    await page.goto(at(found));
    await unfold(page, 'Paste a list');
    await page.getByLabel(/^One line for each document/).fill('WB-INV-4, 17.00');
    await page.getByRole('button', { name: 'Compare with the ledger' }).click();
    await page.getByText('WB-INV-4: the list says £17.00 of £310.40 open, which leaves £293.40').waitFor();
    await page.getByRole('button', { name: 'Allocate', exact: true }).click();
    await toast(page, 'Allocated £17.00 to 1 document.');
    assert.equal(await left(RECEIPTS.plain), '0.17');

    await page.goto('/cash?queue=to_review&search=WB-R-PLAIN');
    await page.getByRole('checkbox', { name: /^Select £0\.17/ }).check();
    await page.getByRole('button', { name: /^Allocate together/ }).click();
    await page.getByLabel('Find open items').fill('WB-INV-4');
    await page.getByRole('button', { name: 'Find' }).click();
    await page.getByRole('button', { name: 'Allocate together' }).click();
    await toast(page, 'Allocated 1 receipt, £0.17 to WB-INV-4.');
    assert.equal(await open('WB-INV-4'), '293.23');
    await page.goto('/cash/accept?queue=all');
    await page.getByRole('heading', { name: 'Accept all high' }).waitFor();
  });

  for (const colorScheme of ['light', 'dark']) {
    journey(`finds no barrier on the workbench, ${colorScheme}`, { as: 'controller', colorScheme }, async ({ page }) => {
      const found = await receipt(RECEIPTS.split);
      await page.goto(at(found));
      await Visitor.live(page);
      for (const summary of ['Paste a list', 'Put aside to check']) await unfold(page, summary);
      await noBarrier(page, 'workbench');
      await screenshot(page, `workbench-${colorScheme}`);
    });
  }

  journey('needs not scroll sideways on a narrow screen', { as: 'controller', viewport: { width: 320, height: 640 } }, async ({ page }) => {
    const found = await receipt(RECEIPTS.split);
    const { batch_id: batch } = await command('/api/v1/receipts/accept', {
      reason: 'for a look',
      picks: [{ receipt_id: (await receipt(CERTAIN[1].receipt)).receipt_id, expected_version: (await receipt(CERTAIN[1].receipt)).version, rank: 1 }],
    });
    const places = {
      workbench: at(found),
      accept: '/cash/accept?queue=to_review',
      together: `/cash/together?pick=${found.receipt_id}&items=WB-7001`,
      undo: `/cash/undo?batch=${batch}`,
    };
    for (const [name, address] of Object.entries(places)) {
      await page.goto(address);
      await page.getByRole('heading', { level: 1 }).waitFor();
      if (name === 'workbench') for (const summary of ['Paste a list', 'Put aside to check']) await unfold(page, summary);
      const width = await page.evaluate(() => window.document.documentElement.scrollWidth);
      assert.ok(width <= 320, `${name} is ${width} px wide`);
      await screenshot(page, `workbench-${name}-narrow`);
    }
  });
});
