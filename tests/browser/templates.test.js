// The words of letters and the rules of chasing, drafted by one person and
// published by another, in a real browser against the whole program.

import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';

import { accountsCsv, documentsCsv } from './files.js';
import { Office, daysAgo, noBarrier } from './office.js';
import { eventually, screenshot, table, toast } from './suite.js';

const DEBTOR = { reference: 'TP-9001', name: 'Medlar Test Supplies Ltd', email: 'accounts@medlar.example' };

const office = new Office();
const { api, bringIn, journey } = office;

async function approve(title, as = 'manager') {
  const second = await office.arrive();
  try {
    await second.signIn(as);
    await second.page.goto('/controls');
    await second.page.getByRole('link', { name: title }).click();
    await screenshot(second.page, 'template-approval');
    await second.page.getByRole('button', { name: 'Approve', exact: true }).click();
    await toast(second.page, 'Approved');
    assert.deepEqual(second.faults, []);
  } finally {
    await second.leave();
  }
}

describe('templates and policies', { timeout: 900_000 }, () => {
  before(
    async () => {
      await office.open();
      await bringIn('accounts.csv', accountsCsv([DEBTOR]));
      await bringIn('documents.csv', documentsCsv([{ reference: 'TP-INV-1', pence: 640_00n, account: DEBTOR.reference, issued: daysAgo(60), due: daysAgo(30) }]));
      await eventually(async () => {
        const { items } = await api(`/api/v1/accounts?search=${DEBTOR.reference}`);
        const standing = await api(`/api/v1/accounts/${items[0].account_id}/standing`);
        assert.equal(standing.items.length, 1);
      }, 90_000);
    },
    { timeout: 300_000 },
  );

  after(office.close);

  journey('drafts a template, is told what is wrong, tries it on an account, and a second person publishes it', { as: 'controller' }, async (visitor) => {
    const { page } = visitor;
    await page.goto('/dunning/templates');
    await screenshot(page, 'templates');
    await page.getByRole('link', { name: 'Reminder', exact: true }).click();
    await page.getByRole('heading', { name: 'Reminder reminder' }).waitFor();

    const body = page.getByLabel('Text', { exact: true });
    const words = await body.inputValue();
    await body.fill(words.replace('{{ total }}', '{{ totl }}'));
    await page.locator('#draft-reason').fill('reads better');
    await page.keyboard.press('Enter');
    await page.locator('#fault-body').getByText('there is no `totl`').waitFor();
    assert.equal(await body.getAttribute('aria-invalid'), 'true');
    visitor.forgive(422);
    // What was typed is not lost.
    assert.ok((await body.inputValue()).includes('totl'));
    await screenshot(page, 'template-refused');

    await body.fill(words.replace('please ignore this', 'please disregard this letter'));
    await page.locator('#draft-reason').fill('reads better');
    await page.keyboard.press('Enter');
    await toast(page, 'Version 2 is drafted');
    assert.ok((await page.locator('ins').allInnerTexts()).join(' ').includes('disregard'));
    assert.ok((await page.locator('del').allInnerTexts()).join(' ').includes('ignore'));
    await page.getByLabel('Account', { exact: true }).fill(DEBTOR.reference);
    await page.keyboard.press('Enter');
    await page.locator('#preview').getByText('please disregard this letter').waitFor();
    await page.locator('#preview').getByText('£640.00').first().waitFor();
    await screenshot(page, 'template-preview');
    const pdf = await page.request.get(await page.getByRole('link', { name: 'Letter (PDF)' }).getAttribute('href'));
    assert.equal(pdf.headers()['content-type'], 'application/pdf');
    assert.equal((await pdf.body()).subarray(0, 5).toString(), '%PDF-');
    const html = await page.request.get(await page.getByRole('link', { name: 'E-mail (HTML)' }).getAttribute('href'));
    assert.ok((await html.text()).includes('TP-INV-1'));

    await page.getByRole('button', { name: 'Ask a second person to publish it' }).click();
    await toast(page, 'a second person decides');
    await screenshot(page, 'template-requested');
    await approve('Publish template `reminder`, version 2');
    await eventually(async () => {
      await page.reload();
      assert.match(await page.locator('#standing').innerText(), /Published\s+In force/);
    }, 60_000);
    const versions = await table(page, '#history table');
    assert.equal(versions.rows.length, 2);
    await screenshot(page, 'template-published');
  });

  journey('an auditor sees templates and policies and changes none', { as: 'auditor' }, async (visitor) => {
    const { page } = visitor;
    await page.goto('/dunning/templates/reminder');
    await page.getByRole('heading', { name: 'Versions' }).waitFor();
    assert.equal(await page.locator('#draft').count(), 0);
    await page.goto('/dunning/policies/trade_credit');
    await page.getByRole('heading', { name: 'Versions' }).waitFor();
    assert.equal(await page.locator('#draft').count(), 0);
  });

  journey('no debtor of the demo is without a policy', { as: 'controller' }, async () => {
    const { run_id: id } = await office.command('/api/v1/dunning/runs', { title: 'Everybody', reason: 'to look at' });
    const run = await eventually(async () => {
      const found = await api(`/api/v1/dunning/runs/${id}`);
      assert.equal(found.state, 'proposed');
      return found;
    }, 60_000);
    assert.ok(run.tally.length > 1);
    assert.equal(run.unclassified, 0);
    assert.deepEqual(run.tally.filter((row) => row.reason === 'no_policy'), []);
  });

  journey('drafts a policy with its manual before and after', { as: 'manager' }, async (visitor) => {
    const { page } = visitor;
    await page.goto('/dunning/policies');
    await screenshot(page, 'process-manual-assignments');
    await page.getByRole('link', { name: 'Trade credit' }).click();
    const text = page.getByLabel('The policy as TOML');
    const policy = await text.inputValue();
    await text.fill(policy.replace('template = "call"', 'template = "cal"'));
    await page.locator('#draft-reason').fill('one day more');
    await page.keyboard.press('Enter');
    await page.locator('#fault-text').getByText('there is no published template `cal`').waitFor();
    visitor.forgive(422);
    await screenshot(page, 'policy-refused');
    await text.fill(policy.replace('days_past_due = 3\n', 'days_past_due = 4\n'));
    await page.locator('#draft-reason').fill('one day more');
    await page.keyboard.press('Enter');
    await toast(page, 'Version 2 is drafted');
    assert.ok((await page.locator('ins').allInnerTexts()).includes('4'));
    await screenshot(page, 'policy-draft');

    await page.goto('/dunning/policies');
    await page.getByLabel('Reference').fill(DEBTOR.reference);
    await page.getByLabel('Policy', { exact: true }).selectOption({ label: 'Legal file' });
    await page.locator('#assign-reason').fill('a court case');
    await page.keyboard.press('Enter');
    await toast(page, 'a second person decides');
    await page.locator('#assigned').getByText('waits').waitFor();
    await screenshot(page, 'policy-assignment-waits');
    const { items } = await api(`/api/v1/accounts?search=${DEBTOR.reference}`);
    const standing = () => api(`/api/v1/accounts/${items[0].account_id}/standing`);
    assert.doesNotMatch((await standing()).policy, /^legal_file/);
    await approve(new RegExp(`^${DEBTOR.reference}: policy`), 'cfo');
    await eventually(async () => assert.match((await standing()).policy, /^legal_file/), 60_000);
  });

  journey('drafts a new template', { as: 'controller' }, async (visitor) => {
    const { page } = visitor;
    await page.goto('/dunning/templates');
    await page.getByText('New template').click();
    await page.getByLabel('Name').fill('thank_you');
    await page.getByLabel('Title').fill('Thank you');
    await page.getByLabel('Subject').fill('Thank you, {{ account.nme }}');
    await page.getByLabel('Text').fill('Dear {{ account.name }},\n\nThank you.');
    await page.getByLabel('Reason').fill('politeness');
    await page.getByRole('button', { name: 'Draft it' }).click();
    await page.getByRole('alert').getByText('there is no `account.nme`').waitFor();
    visitor.forgive(422);
    await noBarrier(page, 'a new template refused');
    await page.getByLabel('Subject').fill('Thank you, {{ account.name }}');
    await page.getByRole('button', { name: 'Draft it' }).click();
    await toast(page, 'Version 1 is drafted');
    await page.getByRole('heading', { name: 'Thank you thank_you' }).waitFor();
  });

  const places = [
    '/dunning/templates',
    '/dunning/templates/reminder',
    `/dunning/templates/reminder?version=1&account=${DEBTOR.reference}`,
    '/dunning/policies',
    '/dunning/policies/trade_credit',
  ];
  for (const colorScheme of ['light', 'dark']) {
    for (const as of ['manager', 'auditor']) {
      journey(`finds no barrier as ${as}, ${colorScheme}`, { as, colorScheme }, async ({ page }) => {
        for (const place of places) {
          await page.goto(place);
          await noBarrier(page, place);
        }
        await screenshot(page, `policy-${as}-${colorScheme}`);
      });
    }
  }

  journey('needs not scroll sideways on a narrow screen', { as: 'manager', viewport: { width: 320, height: 640 } }, async ({ page }) => {
    for (const place of places) {
      await page.goto(place);
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 320, place);
    }
  });

  journey('works without scripts', { as: 'manager', javaScriptEnabled: false }, async ({ page }) => {
    await page.goto('/dunning/templates/call');
    await page.locator('#draft-body').fill(`${await page.locator('#draft-body').inputValue()}\n\nBe kind.`);
    await page.locator('#draft-reason').fill('kindness');
    await page.getByRole('button', { name: 'Draft it' }).click();
    await page.locator('ins').getByText('Be kind.').waitFor();
  });

  journey('uploads an official form, and a second person publishes it', { as: 'controller' }, async (visitor) => {
    const { page } = visitor;
    await page.goto('/dunning/enclosures');
    const form = page.locator('#form-reply_form');
    await form.getByText('none in force').waitFor();
    const file = form.getByLabel('New version');
    const reason = form.getByLabel('Where it is from');
    await file.setInputFiles({ name: 'reply.pdf', mimeType: 'application/pdf', buffer: Buffer.from('no PDF at all') });
    await reason.fill('from the Ministry');
    await form.getByRole('button', { name: 'Upload it' }).click();
    await page.getByText('a PDF, whatever the file is called').waitFor();
    visitor.forgive(422);
    await file.setInputFiles({ name: 'reply.pdf', mimeType: 'application/pdf', buffer: Buffer.from('%PDF-1.7 a reply form') });
    await reason.fill('from the Ministry');
    await form.getByRole('button', { name: 'Upload it' }).click();
    await toast(page, 'is kept as a draft');
    await form.getByLabel('Reason', { exact: true }).fill('compared with the original');
    await form.getByRole('button', { name: 'Ask for it' }).click();
    await toast(page, 'Asked for');
    await noBarrier(page, 'official forms');
    await screenshot(page, 'enclosures');
    await approve(/Publish enclosure `reply_form`/);
    await page.goto('/dunning/enclosures');
    await form.getByText('version 1 in force').waitFor();
    const pdf = await page.request.get(await form.getByRole('link', { name: 'reply.pdf' }).getAttribute('href'));
    assert.equal(await pdf.text(), '%PDF-1.7 a reply form');
  });

  journey('says whose hold it is, where two owe an account together', { as: 'controller' }, async (visitor) => {
    const { page } = visitor;
    const { items } = await api(`/api/v1/accounts?search=${DEBTOR.reference}`);
    const account = items[0].account_id;
    await office.sql(`insert into dunning.debtor (account_id, debtor_ref, place, name, email) values
      ('${account}', 'TEN-ANN', 0, 'Ann Smith', 'ann@tenants.example'), ('${account}', 'TEN-BEN', 1, 'Ben Jones', null)`);
    await page.goto(`/accounts/${account}/hold`);
    await page.getByLabel('Kind').selectOption('breathing_space');
    await page.getByLabel('Whose').selectOption({ label: 'Ann Smith' });
    await page.getByLabel('Why').fill('told by the Insolvency Service');
    await noBarrier(page, 'the form of a hold');
    await screenshot(page, 'hold-whose');
    await page.getByRole('button', { name: 'Place the hold' }).click();
    await page.getByText('TEN-ANN', { exact: true }).first().waitFor();
    await page.goto(`/accounts/${account}/contacts`);
    await page.locator('#debtors').getByText('Ann Smith').waitFor();
    await page.locator('#debtors').getByText('breathing space', { exact: false }).waitFor();
    await page.locator('#held').getByText('of TEN-ANN').waitFor();
    await noBarrier(page, 'contacts with joint debtors');
    await screenshot(page, 'contacts-joint');
  });
});
