// What people do on the pages, in a real browser against the whole program.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { after, before, describe } from 'node:test';

import { accountsCsv, camt053, documentsCsv, file } from './files.js';
import { Office, daysAgo, noBarrier } from './office.js';
import { PASSWORD, Visitor, eventually, forgetScreenshots, pence, screenshot, table, toast } from './suite.js';

const inWords = (date) =>
  new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' })
    .format(new Date(date))
    .replace('Sept', 'Sep');

// A debtor of our own beside the demo's: the demo's bank goes on paying while
// the tests look at amounts, but never for this one.
const DEBTOR = { reference: 'BRT-7001', name: 'Larkspur Test Works Ltd' };
const PAYER = 'LARKSPUR TEST WORKS LTD';
const DOCUMENTS = [
  { reference: 'BRT-INV-1', pence: 284_56n },
  { reference: 'BRT-INV-2', pence: 1_310_05n },
  { reference: 'BRT-INV-3', pence: 151_20n },
  { reference: 'BRT-INV-4', pence: 77_77n },
  { reference: 'BRT-INV-5', pence: 9_000_00n },
].map((document) => ({ ...document, account: DEBTOR.reference, issued: daysAgo(75), due: daysAgo(45) }));
// The number is of the debtor's series, but there is no such document: with the
// name and the amount alone, a person has to look.
const paid = (reference, pence) => ({ reference, pence, payer: PAYER, text: 'BRT-INV-9' });
// The queue shows the last one first.
const RECEIPTS = {
  untouched: paid('BRT-R4', 77_77n),
  plain: paid('BRT-R3', 151_20n),
  second: paid('BRT-R2', 1_310_05n),
  first: paid('BRT-R1', 284_56n),
};

const office = new Office();
const { api, receipts, receipt, bringIn, journey } = office;

/** Presses Tab until `target` has the focus. */
async function tabTo(page, target) {
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press('Tab');
    if (await target.evaluate((element) => element === document.activeElement)) return;
  }
  assert.fail(`Tab does not lead to ${target}`);
}

const row = (page, { receipt_id: id }) => page.locator(`#row-${id}`);
const figure = (page, title) => page.locator('.tiles div', { hasText: title }).locator('dd');

describe('a person at the pages', { timeout: 900_000 }, () => {
  before(
    async () => {
      await forgetScreenshots();
      await office.open();
      await bringIn('accounts.csv', accountsCsv([DEBTOR]));
      await bringIn('documents.csv', documentsCsv(DOCUMENTS));
      const days = [{ date: daysAgo(1), lines: Object.values(RECEIPTS) }];
      await bringIn('receipts.xml', camt053({ account: '20991190000001', opening: 500_00n, days }));
      await eventually(async () => {
        const suggested = await receipts(PAYER, 'suggested');
        assert.equal(suggested.length, Object.keys(RECEIPTS).length, JSON.stringify(await receipts(PAYER)));
        // The report follows the ledger.
        const aged = await api(`/api/v1/reports/aged-debt?search=${DEBTOR.reference}`);
        assert.equal(aged.totals[0]?.total.amount, '10823.58');
      }, 60_000);
    },
    { timeout: 300_000 },
  );

  after(async () => {
    await office.close();
  });

  journey('signs in with the right password only, and stays out otherwise', {}, async (visitor) => {
    const { page, context } = visitor;
    const wanted = '/aged-debt?as_of=2026-01-31';
    await page.goto(wanted);
    assert.equal(new URL(page.url()).pathname, '/sign-in', 'who is not signed in is sent to sign in');
    assert.equal(await page.getByText('UI assets not built').count(), 0, 'built without `make browser-files`');

    await page.getByLabel('Name', { exact: true }).fill('controller');
    await page.getByLabel('Password').fill('not-the-password');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').getByText('The name or the password is wrong.').waitFor();
    visitor.forgive(422);
    assert.deepEqual(await context.cookies(), [], 'no cookie without the password');
    assert.equal(await page.getByLabel('Password').inputValue(), '', 'a password is never sent back');

    await page.getByLabel('Password').fill(PASSWORD);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Aged debt' }).waitFor();
    assert.equal(page.url(), office.url + wanted, 'to where the person wanted to go');
    const [cookie, ...others] = await context.cookies();
    assert.deepEqual(others, []);
    assert.equal(cookie.name, 'counterfoil_session');
    assert.equal(cookie.httpOnly, true);
    assert.equal(cookie.sameSite, 'Lax');
    assert.equal(await page.evaluate(() => document.cookie), '', 'out of reach of scripts');

    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await context.addCookies([cookie]);
    await page.goto('/cash');
    assert.equal(new URL(page.url()).pathname, '/sign-in', 'a session that was closed is over');
  });

  journey('accepts and undoes with the keyboard while the aged debt follows', { as: 'controller' }, async (visitor) => {
    const { page, context } = visitor;
    const first = await receipt(RECEIPTS.first);
    const second = await receipt(RECEIPTS.second);

    const report = await context.newPage();
    await report.goto(`/aged-debt?search=${DEBTOR.reference}`);
    await Visitor.live(report);
    await report.evaluate(() => {
      window.neverReloaded = true;
    });
    const owed = async () => pence((await table(report)).totals[0].Total);
    const owedBefore = await owed();
    assert.equal(owedBefore, DOCUMENTS.reduce((sum, { pence: each }) => sum + each, 0n));

    await page.bringToFront();
    await page.goto('/accounts');
    await page.keyboard.press('g');
    await page.keyboard.press('c');
    await page.getByRole('heading', { name: 'Cash', exact: true }).waitFor();
    await tabTo(page, page.getByRole('link', { name: /^Suggested/ }));
    await page.keyboard.press('Enter');
    await page.locator('#tabs a[aria-current=page]', { hasText: 'Suggested' }).waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type(PAYER);
    await page.keyboard.press('Enter');
    await page.waitForURL(/search=LARKSPUR/);
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('#receipts tbody tr').count(), 4);
    assert.equal(await page.locator('tr.current').getAttribute('id'), `row-${first.receipt_id}`);

    const card = page.locator('[data-choose="1"]');
    const reasons = await card.locator('.evidence li.for').allInnerTexts();
    assert.ok(reasons.length >= 2, `reasons: ${reasons}`);
    for (const reason of reasons) assert.match(reason, /^✔/);
    assert.ok(reasons.some((reason) => reason.includes('BRT-INV-1 of the payer is open with exactly this amount')), `${reasons}`);
    assert.ok(reasons.some((reason) => reason.includes('name is this account')), `${reasons}`);
    assert.match(await card.locator('.evidence li:not(.for)').innerText(), /looks like a document number, but there is no/);
    assert.match(await card.locator('tbody').innerText(), /BRT-INV-1/);
    assert.match(await card.locator('[data-accept]').innerText(), /Accept £284\.56/);
    await screenshot(page, 'cash-suggestion');

    await page.keyboard.press('Enter');
    await toast(page, 'Allocated £284.56 to 1 document.');
    assert.equal(await row(page, first).count(), 0, 'it has left the queue');
    assert.equal(await page.locator('tr.current').getAttribute('id'), `row-${second.receipt_id}`, 'and the next is open');
    await eventually(async () => assert.equal(await owed(), owedBefore - 284_56n));

    await page.keyboard.press('Enter');
    await toast(page, 'Allocated £1,310.05 to 1 document.');
    assert.equal(await row(page, second).count(), 0);
    await screenshot(page, 'cash-accepted');
    await eventually(async () => assert.equal(await owed(), owedBefore - 284_56n - 1_310_05n));
    await screenshot(report, 'aged-debt-live');
    assert.equal((await receipt(RECEIPTS.second)).unallocated.amount, '0.00');

    await page.keyboard.press('u');
    await toast(page, 'Undid 1 allocation.');
    await row(page, second).waitFor();
    assert.match(await row(page, second).innerText(), /£1,310\.05\s+£1,310\.05/, 'all of it is back');
    assert.match(await page.locator('#detail').innerText(), /£1,310\.05 unallocated/);
    await eventually(async () => assert.equal(await owed(), owedBefore - 284_56n));
    assert.equal((await receipt(RECEIPTS.second)).unallocated.amount, '1310.05');
    assert.equal((await receipt(RECEIPTS.second)).suggestions, 1, 'and what could be done with it again');
    assert.equal(await report.evaluate(() => window.neverReloaded), true, 'followed without a reload');

    // The history keeps both: nothing is deleted.
    const history = await table(page, '#detail section:last-of-type table');
    assert.deepEqual(history.rows.map((line) => line.Amount), ['£1,310.05', '(£1,310.05)']);
    assert.deepEqual(history.rows.map((line) => line.By), ['controller', 'controller']);
  });

  journey('keeps what is being typed while the page updates itself', { as: 'payments' }, async ({ page }) => {
    const { receipt_id: id } = await receipt(RECEIPTS.untouched);
    await page.goto(`/cash?queue=all&search=LARKSPUR&receipt=${id}`);
    await Visitor.live(page);
    const field = page.getByLabel(/^Allocate to BRT-INV-5/);
    await field.fill('12.3');
    await field.press('4');
    const shown = await page.locator('#receipts tbody tr').count();

    const late = { reference: 'BRT-R9', pence: 3_21n, payer: 'LARKSPUR LATE', text: 'LATE' };
    const days = [{ date: daysAgo(1), lines: [late] }];
    await bringIn('late.xml', camt053({ account: '20991190000002', opening: 0n, days }));
    await page.locator('#receipts tbody tr', { hasText: 'LARKSPUR LATE' }).waitFor();
    assert.equal(await page.locator('#receipts tbody tr').count(), shown + 1);
    assert.equal(await field.inputValue(), '12.34');
    assert.ok(await field.evaluate((element) => element === document.activeElement), 'the cursor stays');
    assert.match(await page.locator('.sum').innerText(), /allocated £12\.34 = remainder £65\.43/);

    // More than the receipt is said at once, and refused by the server too.
    await field.fill('9000');
    assert.match(await page.locator('.sum').innerText(), /more than the receipt/);
    await field.press('=');
    assert.equal(await field.inputValue(), '77.77', '= fills in what is left');
  });

  journey('reads the aged debt from the total down to the document', { as: 'manager' }, async ({ page }) => {
    await page.goto('/aged-debt');
    // Every page of accounts; all show the moment of the first.
    const pages = [await table(page)];
    for (let { more } = pages[0]; more; { more } = pages.at(-1)) {
      await page.goto(more);
      pages.push(await table(page));
    }
    assert.ok(pages.length > 1, 'the demo has more debtors than one page shows');
    const { headings } = pages[0];
    const buckets = headings.slice(1, headings.indexOf('Total'));
    assert.equal(buckets.length, 6);
    const sums = Object.fromEntries([...buckets, 'Total', 'Unallocated'].map((title) => [title, 0n]));
    let accounts = 0;
    for (const { rows } of pages) {
      accounts += rows.length;
      for (const line of rows) {
        for (const title of Object.keys(sums)) sums[title] += pence(line[title]);
        const across = buckets.reduce((sum, title) => sum + pence(line[title]), 0n);
        assert.equal(across, pence(line.Total), `${line.Account} across`);
      }
    }
    for (const { totals } of pages) {
      const [total] = totals;
      assert.equal(total.Account, `All ${accounts} accounts`);
      for (const title of Object.keys(sums)) assert.equal(pence(total[title]), sums[title], title);
      assert.equal(buckets.reduce((sum, title) => sum + pence(total[title]), 0n), pence(total.Total), 'the totals across');
    }

    // The as-of filter stays in the address and goes along.
    const asOf = daysAgo(60);
    await page.goto('/aged-debt');
    await page.getByLabel('As at', { exact: true }).fill(asOf);
    await page.getByLabel('Account', { exact: true }).fill(DEBTOR.reference);
    await page.getByRole('button', { name: 'Show' }).click();
    await page.waitForURL((url) => url.searchParams.get('as_of') === asOf && url.searchParams.get('search') === DEBTOR.reference);
    await page.reload();
    assert.equal(await page.getByLabel('As at', { exact: true }).inputValue(), asOf);
    await page.getByText(`As at ${inWords(asOf)} by due date`).waitFor();
    const then = await table(page);
    const [line] = then.rows;
    assert.equal(line['Not due'], '£10,823.58', 'nothing was due or paid then');

    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: 'CSV' }).click();
    const saved = await download;
    assert.equal(saved.suggestedFilename(), `aged-debt-${asOf}.csv`);
    assert.match(saved.url(), new RegExp(`as_of=${asOf}`));
    const csv = await readFile(await saved.path(), 'utf8');
    assert.match(csv, /^\uFEFFaccount_ref,name,/);
    assert.match(csv, /^BRT-7001,Larkspur Test Works Ltd,,GBP,10823\.58,0\.00,/m);
    const answer = await page.request.get(saved.url());
    assert.match(answer.headers()['content-type'], /^text\/csv/);

    // Down into a cell, and back.
    await page.getByRole('link', { name: '£10,823.58' }).first().click();
    await page.getByRole('heading', { level: 1, name: /Not due/ }).waitFor();
    await page.getByText(`Open documents as at ${inWords(asOf)}.`).waitFor();
    const items = await table(page);
    assert.deepEqual(items.rows.map((item) => item.Document).sort(), DOCUMENTS.map(({ reference }) => reference));
    assert.equal(items.rows.reduce((sum, item) => sum + pence(item.Open), 0n), 10_823_58n);
    await page.getByRole('navigation', { name: 'Where you are' }).getByRole('link', { name: 'Aged debt' }).click();
    await page.getByRole('heading', { name: 'Aged debt' }).waitFor();
    assert.equal(new URL(page.url()).searchParams.get('as_of'), asOf, 'back to the same day');
  });

  journey('opens an account from the list by keyboard', { as: 'controller' }, async ({ page }) => {
    await page.goto('/cash');
    await page.keyboard.press('g');
    await page.keyboard.press('l');
    await page.getByRole('heading', { name: 'Accounts' }).waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('j');
    const second = page.locator('#accounts tbody tr').nth(1);
    const reference = await second.locator('a').innerText();
    assert.ok(await second.locator('a').evaluate((link) => link === document.activeElement), 'j goes down the rows');
    await page.keyboard.press('k');
    assert.ok(await page.locator('[data-row]').first().evaluate((link) => link === document.activeElement), 'k goes up');
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: reference }).waitFor();

    // Our own debtor: everything on the page is known.
    await page.keyboard.press('g');
    await page.keyboard.press('l');
    await page.getByRole('heading', { name: 'Accounts' }).waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type(DEBTOR.reference);
    await page.keyboard.press('Enter');
    await page.waitForURL(/search=BRT-7001/);
    await page.waitForLoadState();
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: `${DEBTOR.reference} ${DEBTOR.name}` }).waitFor();
    const ledger = await table(page, '#ledger table');
    const largest = ledger.rows.find((line) => line.Reference.startsWith('BRT-INV-5'));
    assert.equal(largest.Amount, '£9,000.00');
    assert.equal(largest.Open, '£9,000.00');
    assert.equal(largest.Days, '45 late');
    assert.match(await page.locator('#timeline').innerText(), /BRT-INV-5/);
    assert.ok((await page.locator('#timeline li').count()) >= DOCUMENTS.length);
    const open = pence(await figure(page, 'Open documents').innerText());
    const loose = pence(await figure(page, 'Unallocated cash').innerText());
    assert.equal(pence(await figure(page, 'Balance').innerText()), open - loose);
    assert.equal(ledger.rows.reduce((sum, line) => sum + pence(line.Open), 0n), open - loose, 'the ledger ties to the balance');

    await page.getByRole('link', { name: 'All', exact: true }).click();
    await page.waitForURL(/ledger=all/);
    await page.locator('#ledger tbody tr', { hasText: 'BRT-INV-1' }).waitFor();
  });

  journey('imports a bank file once, and a broken one never', { as: 'payments' }, async ({ page }) => {
    const line = (reference, amount) => ({ reference, pence: amount, payer: 'NOBODY IN PARTICULAR', text: `BRT IMPORT ${reference}` });
    const days = [
      { date: daysAgo(2), lines: [line('BRT-S1', 12_34n), line('BRT-S2', 56_78n)] },
      { date: daysAgo(1), lines: [line('BRT-S3', 9_99n)] },
    ];
    const statement = camt053({ account: '20991190000003', opening: 100_00n, days });
    const upload = async (name, text) => {
      await page.goto('/imports');
      await page.getByLabel('Bank or billing files').setInputFiles(file(name, text));
      await page.getByRole('button', { name: 'Import' }).click();
      await page.waitForURL(/\/imports\/[0-9a-f-]{36}$/);
      await page.getByRole('heading', { level: 1, name }).waitFor();
    };
    const state = (text) => page.locator('#import .tag', { hasText: text }).waitFor();

    await upload('two-days.xml', statement);
    await state('Recorded');
    assert.equal(await figure(page, 'Entries').innerText(), '3');
    assert.equal(await figure(page, 'New').innerText(), '3');
    assert.equal(await figure(page, 'Problems').innerText(), '0');
    const proof = await table(page);
    assert.deepEqual(proof.rows.map(({ Opening, Closing, Ties, Continues }) => [Opening, Closing, Ties, Continues]), [
      ['£100.00', '£169.12', '✔ ties', '– the first'],
      ['£169.12', '£179.11', '✔ ties', '✔ continues'],
    ]);
    await screenshot(page, 'import-recorded');
    await eventually(async () => assert.equal((await receipts('BRT IMPORT')).length, 3));

    await upload('two-days-again.xml', statement);
    await state('Already known');
    assert.equal(await figure(page, 'New').innerText(), '0');
    assert.equal((await receipts('BRT IMPORT')).length, 3, 'nothing came twice');

    // A part of it within another file is no new money either.
    await upload('the-first-day.xml', camt053({ account: '20991190000003', opening: 100_00n, days: days.slice(0, 1) }));
    await state('Recorded');
    assert.equal(await figure(page, 'New').innerText(), '0');
    assert.equal(await figure(page, 'Already known').innerText(), '2');
    assert.equal((await receipts('BRT IMPORT')).length, 3);

    const cut = statement.replaceAll('BRT-S', 'BRT-T').slice(0, statement.indexOf('BRT-S3'));
    await upload('cut-short.xml', cut);
    await state('Refused');
    assert.equal(await figure(page, 'New').innerText(), '0');
    const problems = await table(page);
    assert.equal(problems.rows[0].Line, String(cut.split('\n').length), 'the line where it ends');
    assert.match(problems.rows[0].Problem, /ends|not well-formed/);
    await screenshot(page, 'import-refused');
    assert.equal((await receipts('BRT-T1')).length, 0, 'and nothing of it is recorded');

    await page.goto('/imports');
    const list = (await table(page)).rows.slice(0, 4).map((each) => [each.File, each.State]);
    assert.deepEqual(list, [
      ['cut-short.xml', 'Refused'],
      ['the-first-day.xml', 'Recorded'],
      ['two-days-again.xml', 'Already known'],
      ['two-days.xml', 'Recorded'],
    ]);
  });

  journey('may look as an auditor and change nothing', { as: 'auditor' }, async (visitor) => {
    const { page } = visitor;
    const untouched = await receipt(RECEIPTS.untouched);
    const path = `/cash/receipts/${untouched.receipt_id}/allocations`;
    await page.goto(`/cash?queue=suggested&search=LARKSPUR&receipt=${untouched.receipt_id}`);
    await page.locator('[data-choose="1"]').waitFor();
    assert.equal(await page.locator('[data-accept], [data-allocate], #detail form, #toast form').count(), 0);
    await page.keyboard.press('Enter');
    await page.goto('/imports');
    await page.getByRole('heading', { name: 'Imports' }).waitFor();
    assert.equal(await page.locator('main form').count(), 0);

    for (const address of [path, '/cash/undo', '/imports', `/api/v1${path.replace('/cash', '')}`, '/api/v1/imports']) {
      const status = await page.evaluate(async (to) => {
        const body = new URLSearchParams({ key: crypto.randomUUID(), currency: 'GBP', reason: 'never' });
        return (await fetch(to, { method: 'POST', body })).status;
      }, address);
      assert.equal(status, 403, address);
    }
    visitor.forgive(403);
    assert.deepEqual(await receipt(RECEIPTS.untouched), untouched);
  });

  journey('is safe from forms on other sites', { as: 'controller', watched: false }, async ({ page, context }) => {
    const untouched = await receipt(RECEIPTS.untouched);
    const path = `/cash/receipts/${untouched.receipt_id}/allocations`;
    await page.goto(`/cash?queue=suggested&search=LARKSPUR&receipt=${untouched.receipt_id}`);
    const fields = await page.locator('form:has([data-accept])').first().evaluate((form) => Object.fromEntries(new FormData(form)));
    assert.ok(Object.keys(fields).some((name) => name.startsWith('a.')), 'a form that would move money');

    const forged = await context.request.post(path, { form: fields, headers: { origin: 'https://elsewhere.example' }, maxRedirects: 0 });
    assert.equal(forged.status(), 403);

    // Another port of the same host is the same site: the cookie goes along,
    // and still the form is refused.
    const inputs = Object.entries(fields).map(([name, value]) => `<input type="hidden" name="${name}" value="${value}">`);
    const elsewhere = createServer((_, answer) => {
      answer.setHeader('content-type', 'text/html');
      answer.end(`<form method="post" action="${office.url}${path}">${inputs.join('')}<button>Win a prize</button></form>`);
    });
    await new Promise((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    try {
      for (const host of ['127.0.0.1', 'localhost']) {
        await page.goto(`http://${host}:${elsewhere.address().port}/`);
        const [answer] = await Promise.all([
          page.waitForResponse((response) => response.url() === office.url + path),
          page.getByRole('button', { name: 'Win a prize' }).click(),
        ]);
        assert.equal(answer.status(), 403, host);
        const sent = await answer.request().allHeaders();
        if (host === '127.0.0.1') assert.match(sent.cookie, /counterfoil_session=/, 'the cookie went along');
      }
    } finally {
      elsewhere.close();
      elsewhere.closeAllConnections();
    }
    assert.deepEqual(await receipt(RECEIPTS.untouched), untouched);
  });

  journey('works without scripts', { as: 'payments', javaScriptEnabled: false }, async (visitor) => {
    const { page } = visitor;
    const plain = await receipt(RECEIPTS.plain);
    for (const name of ['Accounts', 'Aged debt', 'Imports', 'Cash']) {
      await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name, exact: true }).click();
      await page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
    }
    await page.getByRole('link', { name: /^Suggested/ }).click();
    await page.getByLabel('Search receipts').fill('LARKSPUR');
    await page.getByRole('button', { name: 'Search' }).click();
    await row(page, plain).getByRole('link').click();
    await page.getByRole('heading', { level: 2, name: '£151.20 from' }).waitFor();
    await page.getByRole('button', { name: 'Accept £151.20' }).click();
    await toast(page, 'Allocated £151.20 to 1 document.');
    assert.equal(await row(page, plain).count(), 0);
    assert.equal((await receipt(RECEIPTS.plain)).unallocated.amount, '0.00');

    await page.locator('#toast').getByRole('button', { name: 'Undo' }).click();
    await toast(page, 'Undid 1 allocation.');
    assert.equal((await receipt(RECEIPTS.plain)).unallocated.amount, '151.20');

    // By hand: find the document, enter an amount, be told what is wrong.
    await page.goto(`/cash?queue=all&search=LARKSPUR&receipt=${plain.receipt_id}`);
    await page.getByLabel('Find open items').fill('BRT-INV-3');
    await page.getByRole('button', { name: 'Find' }).click();
    const field = page.getByLabel(/^Allocate to BRT-INV-3/);
    await field.fill('151.21');
    await page.getByRole('button', { name: 'Allocate', exact: true }).click();
    await page.getByRole('alert').getByText('Not allocated').waitFor();
    visitor.forgive(409);
    assert.equal(await field.inputValue(), '151.21', 'what was typed is still there');
    await field.fill('£151.20');
    await page.getByRole('button', { name: 'Allocate', exact: true }).click();
    await toast(page, 'Allocated £151.20 to 1 document.');
    assert.equal((await receipt(RECEIPTS.plain)).unallocated.amount, '0.00');
  });

  journey('sends twelve pence to charity: traced, asked for and approved by another, at the keys', { as: 'payments' }, async (visitor) => {
    const { page } = visitor;
    await eventually(async () => {
      const { items } = await api('/api/v1/residual-balances');
      assert.ok(items.some(({ balance }) => balance.amount === '0.12'), JSON.stringify(items));
    });
    await page.goto('/residuals');
    await Visitor.live(page);
    // Down the list with j until twelve pence are shown beside it.
    const heading = page.getByRole('heading', { level: 2, name: '£0.12 on ' });
    for (let presses = 0; presses < 10 && (await heading.count()) === 0; presses += 1) {
      const before = await page.locator('#detail h2').first().innerText();
      await page.keyboard.press('j');
      await eventually(async () => {
        const now = await page.locator('#detail h2').first().innerText();
        assert.ok(now !== before || (await heading.count()) > 0 || presses === 0);
      });
    }
    await heading.waitFor();
    const id = new URL(await page.getByRole('link', { name: 'Evidence file' }).getAttribute('href'), office.url).pathname.split('/')[2];

    const ask = async () => {
      await page.getByLabel('Route').selectOption('charity');
      await page.getByLabel('Paid to').fill('Access to Justice Foundation');
      await page.getByLabel('Charity number').fill('1126147');
      await page.getByLabel('Reason', { exact: true }).fill('The owner cannot be found');
      await page.getByLabel('Reason', { exact: true }).press('Enter');
    };
    await ask();
    await page.getByRole('alert').getByText('0 of 2 attempts').waitFor();
    visitor.forgive(409);
    assert.equal(await page.getByLabel('Paid to').inputValue(), 'Access to Justice Foundation', 'what was typed is still there');
    for (const [channel, outcome] of [['letter', 'returned, gone away'], ['telephone', 'disconnected']]) {
      await page.goto(`/residuals?residual=${id}`);
      await page.getByLabel('Channel').fill(channel);
      await page.getByLabel('Outcome').fill(outcome);
      await page.getByLabel('Outcome').press('Enter');
      await toast(page, 'The attempt is on file.');
    }
    await ask();
    await toast(page, 'Asked for: a second person decides.');
    assert.equal(await page.getByRole('button', { name: /Approve/ }).count(), 0, 'not by whoever asked');

    const manager = await office.arrive();
    try {
      await manager.signIn('manager');
      await manager.page.goto(`/residuals?residual=${id}`);
      await Visitor.live(manager.page);
      await manager.page.getByRole('button', { name: 'Approve £0.12' }).waitFor();
      await manager.page.keyboard.press('Enter');
      await toast(manager.page, 'Approved: the money leaves the client ledger.');
      await manager.page.goto(`/residuals/${id}/evidence`);
      await manager.page.getByRole('heading', { level: 1, name: 'Evidence file' }).waitFor();
      await manager.page.getByText('Access to Justice Foundation, charity number 1126147').waitFor();
      assert.deepEqual(manager.faults, []);
    } finally {
      await manager.leave();
    }
    const left = async () => {
      const register = await api('/api/v1/residual-balances/register');
      assert.equal(register.items.length, 1);
      return register;
    };
    await eventually(left);
    const register = await left();
    assert.deepEqual(
      register.items.map(({ amount, requested_by: by, approved_by: approved }) => [amount.amount, by, approved]),
      [['0.12', 'user:payments', 'user:manager']],
    );
  });

  // A debtor of its own: what is written off is no other journey's.
  const HAREBELL = { reference: 'BRT-7002', name: 'Harebell Test Works Ltd' };

  journey('asks for a write-off without scripts, and may not approve it', { as: 'payments', javaScriptEnabled: false }, async ({ page }) => {
    await bringIn('harebell-accounts.csv', accountsCsv([HAREBELL]));
    const bill = { reference: 'HAR-INV-1', pence: 60_00n, account: HAREBELL.reference, issued: daysAgo(75), due: daysAgo(45) };
    await bringIn('harebell-documents.csv', documentsCsv([bill]));
    await eventually(async () => assert.equal((await api('/api/v1/items?search=HAR-INV-1')).items.length, 1));
    await page.goto('/controls?tab=write-offs&search=HAR-INV-1');
    await page.getByLabel('Write off of HAR-INV-1, open £60.00').fill('60.00');
    await page.getByLabel('In words').fill('the liquidator sees no dividend');
    await page.getByRole('button', { name: 'Ask for approval' }).click();
    await toast(page, 'Asked to write off £60.00 of BRT-7002.');
    // Worklist hears of it a moment later, and this page has no scripts.
    await eventually(async () => {
      await page.goto('/controls?tab=mine');
      assert.equal(await page.getByText('You may not approve this: you asked for it yourself').count(), 1);
    });
    assert.equal(await page.getByRole('button', { name: /^Approve/ }).count(), 0);
    assert.equal((await api('/api/v1/items?search=HAR-INV-1')).items[0].open.amount, '60.00');
  });

  journey('approves a write-off by keyboard', { as: 'manager' }, async ({ page }) => {
    await page.goto('/controls');
    await page.getByRole('link', { name: /of BRT-7002/ }).press('Enter');
    await page.getByRole('heading', { name: /of BRT-7002/ }).waitFor();
    await page.getByText('no more is given up than is open').waitFor();
    await screenshot(page, 'controls-to-approve');
    const approve = page.getByRole('button', { name: 'Approve £60.00' });
    await tabTo(page, approve);
    await page.keyboard.press('Enter');
    await toast(page, /Approved: Write off £60.00 of BRT-7002/);
    // The page follows what becomes of it by itself.
    await page.getByText(/^✔ Carried out/).waitFor();
    assert.equal((await api('/api/v1/items?search=HAR-INV-1')).items.length, 0);
    await screenshot(page, 'controls-approved');
  });

  journey('asks for a refund with the hash of a file, and drafts it anew', { as: 'payments' }, async ({ page }) => {
    const { items } = await api('/api/v1/receipts?queue=unallocated');
    const money = items.find(({ payer_account: account, unallocated }) => account && Number(unallocated.amount) > 0);
    await page.goto(`/controls/refunds/new?receipt=${money.receipt_id}`);
    await page.getByLabel('Amount', { exact: true }).fill('0.01');
    await page.getByLabel('Why it is paid back').fill('a penny too much');
    const letter = { name: 'letter.txt', mimeType: 'text/plain', buffer: Buffer.from('please') };
    await page.locator('input[type=file]').first().setInputFiles(letter);
    const hash = page.getByLabel('SHA-256 of evidence 1', { exact: true });
    const sha256 = createHash('sha256').update('please').digest('hex');
    await eventually(async () => assert.equal(await hash.inputValue(), sha256));
    assert.equal(await page.getByLabel('Evidence 1', { exact: true }).inputValue(), 'letter.txt');
    await page.getByRole('button', { name: 'Ask for approval' }).press('Enter');
    await toast(page, 'Asked for a refund of £0.01. The money is reserved.');
    await page.getByRole('link', { name: 'Draft it anew' }).press('Enter');
    await page.getByLabel('Reference of evidence 1').fill('MAIL-1');
    await page.getByLabel('Amount', { exact: true }).fill('0.02');
    await page.getByRole('button', { name: 'Ask for approval' }).press('Enter');
    await toast(page, 'Asked for a refund of £0.02. The money is reserved.');
    await screenshot(page, 'controls-refund');
  });

  journey('pays a refund by a payment file', { as: 'manager' }, async ({ page }) => {
    const approve = page.getByRole('button', { name: 'Approve £0.02' });
    await eventually(async () => {
      await page.goto('/controls');
      await page.getByRole('link', { name: /^Refund £0.02/ }).press('Enter');
      assert.equal(await approve.count(), 1);
    });
    await page.getByText('it goes back to the account that paid').waitFor();
    await approve.press('Enter');
    await page.getByText(/^✔ Carried out/).waitFor();
    const { items: [refund] } = await api('/api/v1/refunds?state=approved');
    await page.goto(`/controls?tab=refunds&refund=${refund.refund_id}`);
    await page.getByLabel('How', { exact: true }).fill('called back');
    await page.getByRole('button', { name: 'Bank details verified' }).press('Enter');
    await toast(page, 'The refund is verified.');
    await page.getByLabel('Our name as the bank knows it').first().fill('Harbour Legal LLP');
    await page.getByRole('button', { name: 'Make a payment file' }).first().press('Enter');
    await toast(page, /1 refunds, £0.02 together, are in REFUNDS-/);
    const fetch = page.getByRole('button', { name: 'Fetch' }).first();
    await fetch.waitFor();
    const [download] = await Promise.all([page.waitForEvent('download'), fetch.press('Enter')]);
    assert.match(download.suggestedFilename(), /^REFUNDS-.*\.xml$/);
    await screenshot(page, 'controls-files');
    await page.getByRole('button', { name: 'Sent to the bank' }).press('Enter');
    await toast(page, 'The file is sent.');
  });

  journey('asks for another limit by keyboard', { as: 'manager' }, async ({ page }) => {
    await page.goto('/controls?tab=policies');
    await page.getByLabel('For', { exact: true }).selectOption('write_off');
    await page.getByLabel('Role', { exact: true }).selectOption('team_leader');
    await page.getByLabel('May approve up to').fill('300.00');
    await page.getByLabel('Why', { exact: true }).fill('after the audit');
    await page.getByRole('button', { name: 'Ask for approval' }).press('Enter');
    await toast(page, 'Asked for it: Limit of team leader for write off to £300.00.');
    await screenshot(page, 'controls-policies');
  });

  describe('whoever looks, with whatever eyes', () => {
    /** Every kind of page, in a state that shows as much as it can. */
    const places = async (as) => {
      const [account] = (await api(`/api/v1/accounts?search=${DEBTOR.reference}`)).items;
      const [refused] = (await api('/api/v1/imports')).items.filter(({ state }) => state === 'refused');
      const [recorded] = (await api('/api/v1/imports')).items.filter(({ state, statements }) => state === 'recorded' && statements.length > 0);
      const second = await receipt(RECEIPTS.second);
      const [residual] = (await api('/api/v1/residual-balances')).items;
      return {
        cash: '/cash?queue=suggested',
        'cash-all': '/cash?queue=all',
        'cash-history': `/cash?queue=all&receipt=${second.receipt_id}`,
        'cash-nothing': '/cash?queue=suggested&search=no-such-receipt',
        accounts: '/accounts',
        account: `/accounts/${account.account_id}?ledger=all`,
        'aged-debt': '/aged-debt',
        'aged-debt-then': `/aged-debt?as_of=${daysAgo(30)}&basis=document`,
        'aged-items': `/aged-debt/items?account_id=${account.account_id}`,
        residuals: '/residuals',
        'residuals-closed': '/residuals?closed=true',
        controls: '/controls',
        'controls-refunds': '/controls?tab=refunds&search=a',
        'controls-write-offs': '/controls?tab=write-offs&search=a',
        'controls-small': '/controls?tab=small',
        'controls-policies-all': '/controls?tab=policies',
        'controls-refund-new': `/controls/refunds/new?receipt=${second.receipt_id}`,
        ...(residual && { evidence: `/residuals/${residual.residual_id}/evidence` }),
        today: '/today?view=team',
        team: '/team',
        settings: '/settings',
        disputes: '/disputes',
        imports: '/imports',
        import: `/imports/${recorded.import_id}`,
        ...(refused && { 'import-refused': `/imports/${refused.import_id}` }),
        ...(as === 'controller' && { 'no-such-page': '/no-such-page' }),
      };
    };

    for (const colorScheme of ['light', 'dark']) {
      journey(`finds no barrier before sign-in, ${colorScheme}`, { colorScheme }, async (visitor) => {
        const { page } = visitor;
        await page.goto('/sign-in');
        await noBarrier(page, 'sign-in');
        await screenshot(page, `sign-in-${colorScheme}`);
        await page.getByLabel('Name', { exact: true }).fill('nobody');
        await page.getByLabel('Password').fill('nothing-at-all');
        await page.getByRole('button', { name: 'Sign in' }).click();
        await page.getByRole('alert').waitFor();
        visitor.forgive(422);
        await noBarrier(page, 'sign-in refused');
      });

      for (const as of ['controller', 'auditor']) {
        journey(`finds no barrier as ${as}, ${colorScheme}`, { as, colorScheme }, async (visitor) => {
          const { page } = visitor;
          for (const [name, address] of Object.entries(await places(as))) {
            await page.goto(address);
            await Visitor.live(page);
            await noBarrier(page, name);
            if (as === 'controller') await screenshot(page, `${name}-${colorScheme}`);
          }
          visitor.forgive(404);
          await page.keyboard.press('?');
          await page.getByRole('heading', { name: 'Keys' }).waitFor();
          await noBarrier(page, 'keys');
          await page.getByRole('button', { name: 'Close' }).click();
        });
      }
    }

    journey('needs not scroll sideways on a narrow screen', { as: 'controller', viewport: { width: 320, height: 640 } }, async (visitor) => {
      const { page } = visitor;
      for (const [name, address] of Object.entries(await places('controller'))) {
        await page.goto(address);
        const { width, widest } = await page.evaluate(() => {
          const all = [...document.querySelectorAll('main *')].filter((each) => !each.closest('.scroll'));
          const edge = (each) => each.getBoundingClientRect().right;
          const [first] = all.sort((a, b) => edge(b) - edge(a));
          return { width: document.documentElement.scrollWidth, widest: first?.outerHTML.slice(0, 200) };
        });
        assert.ok(width <= 320, `${name} is ${width} px wide, for ${widest}`);
        if (name === 'cash') await screenshot(page, 'cash-narrow');
      }
      visitor.forgive(404);
    });
  });
});
