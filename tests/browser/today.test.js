// A day's work, in a real browser against the whole program.

import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';

import { camt053 } from './files.js';
import { Office, daysAgo, noBarrier } from './office.js';
import { Visitor, eventually, screenshot } from './suite.js';

const office = new Office();
const { api, bringIn, journey } = office;

const stray = (reference, pence) => ({ reference, pence, payer: `TODAY STRAY ${reference}`, text: `NOTHING OF OURS ${reference}` });
const statement = (account, ...lines) => camt053({ account, opening: 0n, days: [{ date: daysAgo(1), lines }] });
const ours = async () => (await api('/api/v1/worklist?view=team&kind=unallocated_receipt&search=TODAY-', { as: 'manager' })).items;

describe('a day of work', { timeout: 900_000 }, () => {
  before(
    async () => {
      await office.open();
      await bringIn('strays.xml', statement('20991190000011', stray('TODAY-1', 1_234_56n), stray('TODAY-2', 987_65n), stray('TODAY-3', 76_54n)));
      await eventually(async () => assert.equal((await ours()).length, 3));
    },
    { timeout: 300_000 },
  );

  after(office.close);

  journey('is taken in hand, done with a next step and followed by the next, by keyboard', { as: 'manager' }, async (visitor) => {
    const { page } = visitor;
    await page.goto('/today?view=team&search=TODAY-');
    await Visitor.live(page);
    const rows = page.locator('#work tbody tr');
    assert.equal(await rows.count(), 3);
    await rows.first().locator('a[data-row]').focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: /^Why it is here: \d+ points/ }).waitFor();
    await screenshot(page, 'today-item');

    await page.locator('#detail').getByRole('button', { name: /Take in hand/ }).press('Enter');
    await page.locator('#detail').getByRole('button', { name: /Put down/ }).waitFor();

    // Without a next step it is not done, and nothing typed is lost.
    const outcome = page.getByLabel('Outcome');
    await outcome.selectOption('asked_payer');
    await page.getByLabel('Note', { exact: true }).fill('wrote to the sender');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    visitor.forgive(422);
    assert.equal(await page.getByLabel('Note', { exact: true }).inputValue(), 'wrote to the sender');
    await page.getByLabel('or none, because').fill('they answer by telephone');
    await page.keyboard.press('Enter');
    await eventually(async () => assert.equal((await ours()).length, 2));
    await eventually(async () => assert.equal(await rows.count(), 2));
  });

  journey('keeps what is being typed while work comes in', { as: 'manager' }, async ({ page }) => {
    await page.goto('/today?view=team&search=TODAY-');
    await Visitor.live(page);
    const before = await page.locator('#work tbody tr').count();
    await page.locator('#work tbody tr').first().locator('a[data-row]').click();
    const note = page.getByLabel('Note', { exact: true });
    await note.fill('half a wor');
    await bringIn('stray.xml', statement('20991190000012', stray('TODAY-4', 5_43n)));
    await eventually(async () => assert.equal(await page.locator('#work tbody tr').count(), before + 1));
    await note.press('d');
    assert.equal(await note.inputValue(), 'half a word');
    assert.ok(await note.evaluate((element) => element === document.activeElement), 'the cursor stays');
  });

  journey('is given to somebody else, several at once, by keyboard', { as: 'manager' }, async ({ page }) => {
    const { people } = await api('/api/v1/people', { as: 'manager' });
    const busiest = people.toSorted((a, b) => b.due.count - a.due.count)[0];
    const other = people.find(({ person }) => person.active && person.actor !== busiest.person.actor).person;
    await page.goto('/team');
    await page.locator('#swims').getByRole('link', { name: busiest.person.name, exact: true }).press('Enter');
    await page.locator('#hand-title').waitFor();
    const rows = page.locator('#hand tbody tr');
    const before = await rows.count();
    assert.ok(before >= 2, `${before} items`);
    for (const at of [0, 1]) {
      await rows.nth(at).locator('[data-pick]').press('Space');
    }
    assert.equal(await page.locator('#hand [data-pick]:checked').count(), 2);
    await screenshot(page, 'team-give');
    await page.locator('#give-to').selectOption(other.actor);
    await page.locator('#give-why').fill('knows them');
    await page.keyboard.press('Enter');
    await page.getByText('2 items are with').waitFor();
    const now = (await api('/api/v1/people', { as: 'manager' })).people.find(({ person }) => person.actor === busiest.person.actor);
    assert.equal(now.due.count, busiest.due.count - 2);
  });

  journey('shows how the day stands: every tile leads to what it counts', { as: 'manager' }, async ({ page }) => {
    await page.goto('/today?view=team');
    const tiles = page.locator('#tiles');
    const count = async (title) => Number(await tiles.getByRole('link', { name: title }).locator('b').innerText());
    for (const title of ['Due now', 'Nearly late', 'Late', 'Broken promises', 'Unallocated', 'Replies', 'To collect', 'Credit']) {
      assert.ok((await count(new RegExp(`^${title} \\d`))) >= 0, title);
    }
    for (const [title, kind] of [['Unallocated', 'unallocated_receipt'], ['Broken promises', 'broken_promise']]) {
      const { items } = await api(`/api/v1/worklist?view=team&kind=${kind}&limit=200`, { as: 'manager' });
      await eventually(async () => assert.equal(await count(new RegExp(`^${title} \\d`)), items.length));
    }
    const { items: promised } = await api('/api/v1/promises?tab=due_today&limit=200', { as: 'manager' });
    assert.equal(await count(/^Promised for today/), promised.length);
    await screenshot(page, 'today-tiles');
    await tiles.getByRole('link', { name: /^Promised for today/ }).click();
    await page.waitForURL('**/promises?tab=due_today');
  });

  journey('leads from work to what is done at its account', { as: 'manager' }, async ({ page }) => {
    const item = await eventually(async () => {
      const { items } = await api('/api/v1/worklist?view=team&kind=suspected_query&limit=50', { as: 'manager' });
      const found = items.find(({ account_id }) => account_id);
      assert.ok(found, 'work of an account');
      return found;
    });
    const open = `/today?view=team&open=${item.work_item_id}`;
    await page.goto(open);
    await noBarrier(page, 'work of an account');
    await screenshot(page, 'today-account');
    await page.locator('#detail').getByRole('link', { name: 'Take a promise…' }).click();
    await page.waitForURL(`**/accounts/${item.account_id}/promise`);
    await page.goto(open);
    await Visitor.live(page);
    await page.keyboard.press('c');
    await page.waitForURL(`**/accounts/${item.account_id}/contacts#record`);
  });

  journey('is seen by person, with what will not be done today', { as: 'manager' }, async ({ page }) => {
    await page.goto('/team');
    await page.getByRole('heading', { name: 'Team', level: 1 }).waitFor();
    await screenshot(page, 'team');
    await page.goto('/settings');
    await screenshot(page, 'settings');
  });
});
