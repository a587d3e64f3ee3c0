// A dispute from the first word to the credit note, in a real browser against
// the whole program.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, describe } from 'node:test';

import { accountsCsv, documentsCsv } from './files.js';
import { Office, daysAgo, noBarrier } from './office.js';
import { Visitor, eventually, screenshot, table, toast } from './suite.js';

const DEBTOR = { reference: 'DP-7001', name: 'Medlar Test Hire Ltd' };
const document = (reference, pence, kind) => ({ reference, pence, kind, account: DEBTOR.reference, issued: daysAgo(60), due: daysAgo(30) });

const office = new Office();
const { api, bringIn, journey } = office;

const unfold = (page, text) => page.locator('summary', { hasText: text }).click();

/** What of a document may be chased comes to be `amount`. */
async function chased(reference, amount) {
  const found = await api(`/api/v1/items?search=${reference}`);
  const item = found.items.find((each) => each.document_ref === reference);
  await eventually(async () => {
    const { items } = await api(`/api/v1/accounts/${item.account_id}/chaseable`);
    const { chaseable } = items.find((each) => each.document_id === item.document_id);
    assert.equal(chaseable.amount, amount);
  });
}

describe('a dispute', { timeout: 900_000 }, () => {
  before(
    async () => {
      await office.open();
      await bringIn('accounts.csv', accountsCsv([DEBTOR]));
      await bringIn('documents.csv', documentsCsv([document('DP-INV-1', 1_000_00n), document('DP-INV-2', 300_00n), document('DP-INV-3', 80_00n)]));
      // Nothing explains the three: a suspected query is there by itself.
      await eventually(async () => {
        const { items } = await api(`/api/v1/disputes?queue=suspected&search=${DEBTOR.reference}`);
        assert.equal(items[0]?.in_question.amount, '1380.00');
      }, 90_000);
    },
    { timeout: 300_000 },
  );

  after(office.close);

  journey('is confirmed, asked about by a link, proposed, agreed, credited and closed', { as: 'controller' }, async (visitor) => {
    const { page } = visitor;
    await page.goto('/disputes');
    await Visitor.live(page);
    await screenshot(page, 'disputes');
    // The tile is a filter, the search finds the account's.
    await page.locator('#tiles').getByRole('link', { name: /^Suspected/ }).click();
    await page.waitForURL(/queue=suspected/);
    await page.keyboard.press('/');
    await page.keyboard.type(DEBTOR.reference);
    await page.keyboard.press('Enter');
    await page.waitForURL(/search=DP-7001/);
    const shown = await table(page, '#cases table');
    assert.equal(shown.rows.length, 1);
    await page.getByText('Nothing is held back from chasing.').waitFor();
    await screenshot(page, 'disputes-suspected');

    // The first contact: a part of one invoice is questioned.
    const confirm = page.locator('#confirm-form');
    await confirm.getByLabel('What is wrong').selectOption('price');
    await confirm.getByLabel(/Questioned of DP-INV-1/).fill('400');
    await confirm.getByLabel(/Questioned of DP-INV-2/).fill('');
    await confirm.getByLabel(/Questioned of DP-INV-3/).fill('');
    await confirm.getByLabel('What they said').fill('two days too many');
    await page.keyboard.press('Enter');
    await toast(page, 'Confirmed');
    await chased('DP-INV-1', '600.00');
    const [found] = (await api(`/api/v1/disputes?queue=new&search=${DEBTOR.reference}`)).items;
    await page.goto(`/disputes/${found.case_ref}`);
    await page.getByText('£400.00 is not chased').waitFor();

    await page.getByLabel('Why', { exact: true }).first().fill('mine');
    await page.getByRole('button', { name: 'Assign', exact: true }).click();
    await toast(page, 'Assigned');
    await unfold(page, 'Put to somebody');
    await page.getByLabel('What they must answer').fill('Which days was it out?');
    await page.getByRole('button', { name: 'Wait for the department' }).click();
    await toast(page, 'waits for the department');
    await page.locator('#detail').getByText('With department').first().waitFor();

    // The stakeholder has no account, only the link.
    await unfold(page, 'Ask somebody without an account');
    await page.getByLabel('Who', { exact: true }).fill('Sam of Operations');
    await page.getByLabel('Question').fill('Which days was the digger out?');
    await page.getByRole('button', { name: 'Ask', exact: true }).click();
    const link = await page.locator('#link code').innerText();
    await screenshot(page, 'disputes-link');
    const sam = await office.arrive();
    try {
      await sam.page.goto(link);
      await sam.page.getByText('Which days was the digger out?').waitFor();
      await noBarrier(sam.page, 'the stakeholder’s page');
      await screenshot(sam.page, 'disputes-stakeholder');
      await sam.page.getByLabel('Your comment').fill('Monday to Wednesday, not Friday.');
      await sam.page.getByRole('button', { name: 'Send' }).click();
      await sam.page.getByText('Monday to Wednesday').waitFor();
      assert.deepEqual(sam.faults, []);
    } finally {
      await sam.leave();
    }
    // It is on the page without being asked for.
    await page.locator('#detail .timeline').getByText('Monday to Wednesday').waitFor();

    await page.getByLabel('The answer').fill('three days, billed five');
    await page.keyboard.press('Enter');
    await toast(page, 'Answered');
    await unfold(page, 'Settle');
    await page.getByLabel(/Credit of DP-INV-1/).fill('150');
    await page.getByLabel('Why they are right').fill('two days of five');
    await page.getByRole('button', { name: 'Propose it' }).click();
    await toast(page, 'Proposed');
    // Whoever proposes may not give the money away.
    await page.getByRole('button', { name: /^Agree/ }).click();
    await page.getByText('your roles do not let you').waitFor();
    visitor.forgive(409);

    const manager = await office.arrive();
    try {
      await manager.signIn('manager');
      await manager.page.goto(`/disputes/${found.case_ref}`);
      await screenshot(manager.page, 'disputes-proposed');
      await manager.page.keyboard.press('Enter');
      await toast(manager.page, 'Settled as was proposed');
      assert.deepEqual(manager.faults, []);
    } finally {
      await manager.leave();
    }
    await chased('DP-INV-1', '850.00');
    await bringIn('credit.csv', documentsCsv([document('DP-CN-1', 150_00n, 'credit_note')]));
    await page.goto(`/disputes/${found.case_ref}`);
    await page.locator('#detail header').getByText('Closed').waitFor();
    await page.locator('#detail').getByText('DP-CN-1').first().waitFor();
    await screenshot(page, 'disputes-closed');
    const ledger = await table(page, '#detail table');
    assert.equal(ledger.rows[0].Credited, '£150.00');
    assert.equal(ledger.rows[0]['Owed again'], '£250.00');
  });

  journey('is opened from the account’s documents and rejected, without scripts', { as: 'controller', javaScriptEnabled: false }, async (visitor) => {
    const { page } = visitor;
    await page.goto('/disputes');
    await page.getByRole('link', { name: 'New case' }).click();
    await page.getByLabel('Whose documents').fill(DEBTOR.reference);
    await page.getByRole('button', { name: 'Find' }).click();
    await page.getByLabel('About DP-INV-2').check();
    await page.getByLabel('In question of DP-INV-2').fill('301.00');
    await page.getByLabel('What is wrong').selectOption('quality');
    await page.getByLabel('Who works on it').fill('controller');
    await page.getByLabel('What they said').fill('it broke');
    await page.getByRole('button', { name: 'Open the case' }).click();
    await page.getByText('at most £300.00 of DP-INV-2').waitFor();
    assert.equal(await page.getByLabel('What they said').inputValue(), 'it broke', 'what was typed stays');
    visitor.forgive(409);
    await screenshot(page, 'disputes-new');
    await page.getByLabel('In question of DP-INV-2').fill('100.00');
    await page.getByRole('button', { name: 'Open the case' }).click();
    await page.getByText('£100.00 is not chased').first().waitFor();
    await chased('DP-INV-2', '200.00');

    // A file is kept as it is, whatever it is called, and comes back so.
    await page.locator('summary', { hasText: 'Comment, evidence' }).click();
    const form = page.locator('#evidence-form');
    const choose = (name, text) => form.getByLabel('File to keep').setInputFiles({ name, mimeType: 'application/pdf', buffer: Buffer.from(text) });
    await choose('note.pdf', 'MZ\u0000\u0001 a program');
    await form.getByLabel('What it shows').fill('signed by their driver');
    await form.getByRole('button', { name: 'Keep the file' }).click();
    await page.getByText('PDF, PNG, JPEG and text are kept').waitFor();
    visitor.forgive(422);
    assert.equal(await form.getByLabel('What it shows').inputValue(), 'signed by their driver', 'what was typed stays');
    await screenshot(page, 'disputes-evidence-refused');
    const paper = '%PDF-1.7\nsigned delivery note\n%%EOF';
    await choose('note.pdf', paper);
    await form.getByRole('button', { name: 'Keep the file' }).click();
    await page.getByText('The file is kept.').waitFor();
    await screenshot(page, 'disputes-evidence');
    const hash = createHash('sha256').update(paper).digest('hex');
    await page.locator('#detail').getByText(hash).waitFor();
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'note.pdf' }).click()]);
    assert.equal(download.suggestedFilename(), 'note.pdf');
    assert.equal(createHash('sha256').update(await readFile(await download.path())).digest('hex'), hash);

    await page.locator('summary', { hasText: 'Settle' }).click();
    await page.getByLabel('Why they owe it').fill('it was handed back whole');
    await page.getByRole('button', { name: 'Reject, chase on' }).click();
    await page.getByText('Rejected: it is chased again.').waitFor();
    await chased('DP-INV-2', '300.00');
  });

  journey('is read by an auditor, who changes nothing', { as: 'auditor' }, async (visitor) => {
    const { page } = visitor;
    await page.goto('/disputes?queue=all');
    await page.locator('#history-title').waitFor();
    assert.equal(await page.locator('#detail form').count(), 0);
    const answer = await page.request.post('/disputes/019ac0de-0000-7000-8000-000000000001/steps', { form: { step: 'clear' }, headers: { origin: office.url } });
    assert.equal(answer.status(), 403);
  });

  for (const colorScheme of ['light', 'dark']) {
    journey(`finds no barrier, ${colorScheme}`, { as: 'manager', colorScheme }, async ({ page }) => {
      const [found] = (await api(`/api/v1/disputes?queue=all&search=${DEBTOR.reference}`)).items;
      for (const [name, path] of [
        ['list', '/disputes'],
        ['case', `/disputes/${found.case_ref}`],
        ['board', '/disputes?view=board'],
        ['new', `/disputes/new?search=${DEBTOR.reference}`],
        ['departments', '/disputes/departments'],
      ]) {
        await page.goto(path);
        await noBarrier(page, path);
        await screenshot(page, `disputes-${name}-${colorScheme}`);
      }
    });
  }

  journey('needs not scroll sideways on a narrow screen', { as: 'controller', viewport: { width: 320, height: 640 } }, async ({ page }) => {
    for (const path of ['/disputes', '/disputes?view=board', '/disputes/departments']) {
      await page.goto(path);
      const wide = await page.evaluate(() => globalThis.document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${path} is ${wide} pixels too wide`);
    }
  });
});
