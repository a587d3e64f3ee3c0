// From a letter before action to a solicitor and back, in a real browser against the
// whole program: reply, notice, a second person's approval, the pack as the firm gets
// it, recall.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe } from 'node:test';
import { inflateRawSync } from 'node:zlib';

import { accountsCsv, documentsCsv } from './files.js';
import { Office, daysAgo, noBarrier } from './office.js';
import { eventually, screenshot, table, toast } from './suite.js';

const DEBTOR = { reference: 'LG-9001', name: 'Rowan Test Holdings Ltd', email: 'accounts@rowan.example' };
const LETTER = '%PDF-1.7 a letter before action';

const office = new Office();
const { api, bringIn, journey } = office;

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** The files of a ZIP, by its central directory. */
function unzip(bytes) {
  const end = bytes.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'));
  assert.ok(end >= 0, 'a ZIP has an end');
  const files = new Map();
  let at = bytes.readUInt32LE(end + 16);
  for (let n = bytes.readUInt16LE(end + 10); n > 0; n -= 1) {
    assert.equal(bytes.readUInt32LE(at), 0x02014b50);
    const [method, packed, name, extra, comment] = [10, 20, 28, 30, 32].map((place) => (place === 20 ? bytes.readUInt32LE(at + place) : bytes.readUInt16LE(at + place)));
    const local = bytes.readUInt32LE(at + 42);
    const from = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
    const data = bytes.subarray(from, from + packed);
    files.set(bytes.toString('utf8', at + 46, at + 46 + name), method === 0 ? data : inflateRawSync(data));
    at += 46 + name + extra + comment;
  }
  return files;
}

describe('the legal stage', { timeout: 900_000 }, () => {
  let account;

  before(
    async () => {
      await office.open();
      await bringIn('accounts.csv', accountsCsv([DEBTOR]));
      await bringIn(
        'documents.csv',
        documentsCsv([
          { reference: 'LG-INV-1', pence: 1_200_00n, account: DEBTOR.reference, issued: daysAgo(150), due: daysAgo(120) },
          { reference: 'LG-INV-2', pence: 300_00n, account: DEBTOR.reference, issued: daysAgo(150), due: daysAgo(120) },
        ]),
      );
      await eventually(async () => {
        const { items } = await api(`/api/v1/accounts?search=${DEBTOR.reference}`);
        account = items[0].account_id;
        const standing = await api(`/api/v1/accounts/${account}/standing`);
        assert.equal(standing.items.length, 2);
      }, 90_000);
      // A letter before action of sixty days ago, as the send ledger has it when it was printed: clocks that run for
      // weeks cannot be waited for.
      await office.sql(`
        insert into dunning.archive (sha256, media_type, bytes, recorded_at)
          values ('${sha256(LETTER)}', 'application/pdf', convert_to('${LETTER}', 'UTF8'), now() - interval '60 days');
        with letter as (
          insert into dunning.contact (contact_id, version, direction, channel, state, account_id, account_ref, stage, rank,
            policy, policy_version, template, template_version, content_sha256, at, counted_on, actor, reason, recorded_at)
          select gen_random_uuid(), 1, 'out', 'letter', 'printed', account_id, account_ref, 'letter_before_action', 60,
            'trade_credit', 1, 'letter_before_action', 1, '${sha256(LETTER)}', now() - interval '60 days',
            current_date - 60, 'system:dunning', 'run', now() - interval '60 days'
          from dunning.account where account_ref = '${DEBTOR.reference}' returning contact_id, account_id)
        insert into dunning.contact_item (contact_id, document_id, account_id, document_ref, stage, rank, amount, currency)
          select contact_id, document_id, account_id, document_ref, 'letter_before_action', 60, open, currency
          from letter join dunning.item using (account_id);`);
    },
    { timeout: 300_000 },
  );

  after(office.close);

  journey('goes from the letter to the solicitor and is recalled', { as: 'controller' }, async (visitor) => {
    const { page } = visitor;
    const tag = (text) => page.locator('h2 .tag').getByText(text, { exact: true }).waitFor();
    await page.goto(`/accounts/${account}/referral`);
    await page.getByRole('heading', { name: `Legal: ${DEBTOR.name}` }).waitFor();
    await page.getByText('the Practice Direction on Pre-Action Conduct counts').waitFor();
    await noBarrier(page, 'before a referral');
    await screenshot(page, 'legal-begin');
    // E66: printed is not posted.
    await page.locator('#why-open').fill('no answer to anything');
    await page.locator('#why-open').press('Enter');
    await page.getByRole('alert').getByText(/posted/).first().waitFor();
    visitor.forgive(422);
    visitor.forgive(409);
    await page.getByLabel('Letter posted on').fill(daysAgo(59));
    await page.locator('#why-open').fill('no answer to anything');
    await page.locator('#why-open').press('Enter');
    await toast(page, 'the clock of the letter runs');
    // They did not answer in their fourteen days.
    await tag('Ready to refer');
    const clocks = await table(page, 'table.clocks');
    assert.equal(clocks.rows[0].Left, 'over');
    await noBarrier(page, 'a referral');
    await screenshot(page, 'legal-begun');

    const form = (button) => page.locator('form.bar').filter({ has: page.getByRole('button', { name: button, exact: true }) });
    const reply = form('Record the reply');
    await reply.getByLabel('Reply').selectOption('admits');
    await reply.getByLabel('Received').fill(daysAgo(40));
    await reply.getByLabel('Reason').fill('they owe it, and cannot say when they will pay');
    await page.keyboard.press('Enter');
    await toast(page, 'The reply is recorded');
    // Late, and it counts: its own clock, and notice of the claim after it.
    await tag('Reply received');
    const notice = form('Notice was given');
    await notice.getByLabel('Notice of the claim').fill(daysAgo(15));
    await notice.getByLabel('Reason').fill('by letter');
    await page.keyboard.press('Enter');
    await toast(page, 'Notice of the claim is recorded.');
    await eventually(async () => {
      await page.reload();
      assert.equal(await page.locator('h2 .tag').first().innerText(), 'Ready to refer');
    }, 60_000);
    await screenshot(page, 'legal-ready');

    const request = form('Ask a second person');
    await request.getByLabel('Hand over to').selectOption('solicitor');
    await request.getByLabel('Firm').fill('Wills and Co');
    await request.getByLabel('Reason').fill('they do not pay');
    await page.keyboard.press('Enter');
    await toast(page, 'a second person decides');
    await tag('Requested');
    await noBarrier(page, 'a referral that is asked for');
    await screenshot(page, 'legal-requested');

    // What the second person is asked to approve is what the firm gets: by the page's own link.
    const link = page.getByRole('link', { name: 'Download' }).first();
    const href = await link.getAttribute('href');
    const [shown] = href.split('/').slice(-1);
    const answer = await page.request.get(href);
    assert.equal(answer.status(), 200);
    assert.match(answer.headers()['content-type'], /zip/);
    const pack = await answer.body();
    assert.equal(sha256(pack), shown);
    assert.ok((await page.locator('details summary').first().innerText()).includes(shown.slice(0, 16)));
    const files = unzip(pack);
    const listed = await table(page, 'table.pack');
    assert.equal(files.size, listed.rows.length);
    const manifest = files.get('manifest.json');
    assert.ok(listed.rows.some((row) => row.File === 'manifest.json' && row['SHA-256'] === sha256(manifest).slice(0, 16)));
    for (const file of JSON.parse(manifest).files) {
      assert.equal(sha256(files.get(file.name)), file.sha256, file.name);
    }
    assert.ok([...files.values()].some((content) => content.equals(Buffer.from(LETTER))), 'the letter itself is in it');

    const manager = await office.arrive();
    try {
      await manager.signIn('manager');
      await manager.page.goto('/controls');
      await manager.page.getByRole('link', { name: new RegExp(DEBTOR.reference) }).first().click();
      await screenshot(manager.page, 'legal-approval');
      await noBarrier(manager.page, 'the approval of a referral');
      // What is frozen names the pack that was downloaded.
      await manager.page.getByText(shown).waitFor();
      await manager.page.getByRole('button', { name: 'Approve £1,500.00' }).click();
      await toast(manager.page, 'Approved');
      assert.deepEqual(manager.faults, []);
    } finally {
      await manager.leave();
    }
    await eventually(async () => {
      await page.reload();
      assert.equal(await page.locator('h2 .tag').first().innerText(), 'Referred');
    }, 60_000);
    await page.getByText('Wills and Co').first().waitFor();
    await noBarrier(page, 'a referral');
    await screenshot(page, 'legal-referred');
    const { items } = await api(`/api/v1/accounts/${account}/standing`);
    assert.deepEqual([...new Set(items.map((item) => item.reason))], ['with_legal']);

    const recall = form('Recall it');
    await recall.getByLabel('Reason').fill('they came to terms');
    await page.keyboard.press('Enter');
    await toast(page, 'Recalled: tell the firm.');
    await tag('Recalled');
    const told = form('The firm was told');
    await told.getByLabel('Reason').fill('by telephone');
    await page.keyboard.press('Enter');
    await toast(page, 'the firm was told');
    await screenshot(page, 'legal-recalled');
  });

  journey('shows an auditor the clocks, without scripts, and no pack', { as: 'auditor', javaScriptEnabled: false }, async (visitor) => {
    const { page } = visitor;
    await page.goto(`/accounts/${account}/referral`);
    await page.getByRole('heading', { name: `Legal: ${DEBTOR.name}` }).waitFor();
    await page.getByRole('table', { name: 'Clocks before a claim' }).waitFor();
    assert.equal(await page.getByRole('link', { name: 'Download' }).count(), 0);
    assert.equal(await page.getByRole('button', { name: 'Close it' }).count(), 0);
  });
});
