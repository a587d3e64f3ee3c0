//! Contacts, outcomes and ways to a debtor, as people see them.

use chrono::{DateTime, Utc};
use contracts::{
    api::{
        Page, Refusal,
        dunning::{
            ContactEnclosure, ContactView, DebtorReach, GetReach, ListContacts, ListOutcomes,
            Outcomes, Reach,
        },
    },
    dunning::{ContactId, HoldKind},
};
use kernel::{AccountId, london_date};
use messaging::{Bus, Failure};
use uuid::Uuid;

use super::act::debtor;
use crate::{
    domain::{
        contact::{self, Contact},
        hold,
    },
    store::{self, accounts::Among},
};

pub(super) fn no_contact(id: ContactId) -> Failure {
    Failure::not_found("dunning.no_contact", format!("there is no contact {id}"))
}

fn view(contact: Contact, note: Option<String>, roles: &[String]) -> ContactView {
    let restricted = [contact.outcome, contact.proposal]
        .into_iter()
        .flatten()
        .any(contact::is_restricted);
    let readable = !restricted || hold::may_read(HoldKind::Vulnerable, roles);
    ContactView {
        contact_id: contact.id,
        version: contact.version,
        direction: contact.direction,
        channel: contact.channel,
        state: contact.state,
        account_id: contact.account,
        account_ref: contact.account_ref,
        debtor_ref: contact.debtor,
        run_id: contact.run,
        stage: contact.stage,
        items: contact.items,
        amounts: contact.amounts,
        outcome: contact.outcome,
        proposal: contact.proposal,
        next_step: contact.next_step.filter(|step| {
            let own = contact
                .outcome
                .and_then(|outcome| contact::own_step(outcome, contact.at));
            readable || own == Some(step.as_str())
        }),
        next_on: contact.next_on,
        none_because: contact.none_because.filter(|_| readable),
        follows: contact.follows.map(Into::into),
        hold_id: contact.hold,
        promise_id: contact.promise,
        note: note.filter(|_| readable),
        counted_on: contact.counted_on,
        enclosures: Vec::new(),
        at: contact.at,
        recorded_at: contact.recorded_at,
        actor: contact.actor,
        reason: contact.reason,
    }
}

pub(super) async fn shown(
    bus: &Bus,
    account: AccountId,
    id: ContactId,
    roles: &[String],
) -> Result<ContactView, Refusal> {
    let mut tx = bus.begin().await?;
    let (found, note) = store::recorded::list(tx.conn(), account, Some(id), None, 1)
        .await?
        .pop()
        .ok_or_else(|| no_contact(id))?;
    Ok(view(found, note, roles))
}

/// What can come of a contact today.
pub(crate) async fn list_outcomes(ask: ListOutcomes, bus: Bus) -> Result<Outcomes, Refusal> {
    let today = london_date(bus.now());
    let outcomes = contact::outcomes(ask.channel, ask.direction, today);
    Ok(Outcomes { outcomes })
}

/// Where a page begins: a time and an id.
fn cursor(text: Option<&str>) -> Result<Option<(DateTime<Utc>, Uuid)>, Failure> {
    let Some(text) = text else { return Ok(None) };
    text.split_once('~')
        .and_then(|(micros, id)| {
            let at = DateTime::from_timestamp_micros(micros.parse().ok()?)?;
            Some((at, id.parse().ok()?))
        })
        .map(Some)
        .ok_or_else(|| {
            Failure::permanent("dunning.bad_cursor", "the cursor is not one of ours")
                .at("/cursor", "as it was given")
        })
}

pub(crate) async fn list_contacts(
    ask: ListContacts,
    bus: Bus,
) -> Result<Page<ContactView>, Refusal> {
    let rows = ask.page.rows();
    let after = cursor(ask.page.cursor.as_deref())?;
    let mut tx = bus.begin().await?;
    let conn = tx.conn();
    let mut found =
        store::recorded::list(conn, ask.account_id, ask.contact_id, after, rows + 1).await?;
    let more = found.len() as i64 > rows;
    found.truncate(usize::try_from(rows).unwrap_or(usize::MAX));
    let next_cursor = found
        .last()
        .filter(|_| more)
        .map(|(last, _)| format!("{}~{}", last.at.timestamp_micros(), last.id));
    let roles = &ask.person.roles;
    let ids: Vec<Uuid> = found.iter().map(|(one, _)| one.id.as_uuid()).collect();
    let with = store::enclosures::of_contacts(conn, &ids).await?;
    let enclosures = |contact: ContactId| {
        with.iter()
            .filter(|one| one.contact_id == contact.as_uuid())
            .map(|one| ContactEnclosure {
                name: one.name.clone(),
                title: one.title.clone(),
                version: one.version,
                sha256: one.sha256.clone(),
            })
            .collect()
    };
    Ok(Page {
        items: found
            .into_iter()
            .map(|(contact, note)| ContactView {
                enclosures: enclosures(contact.id),
                ..view(contact, note, roles)
            })
            .collect(),
        next_cursor,
    })
}

pub(crate) async fn get_reach(ask: GetReach, bus: Bus) -> Result<Reach, Refusal> {
    let account = ask.account_id.as_uuid();
    let today = london_date(bus.now());
    let mut tx = bus.begin().await?;
    let conn = tx.conn();
    let (_, policy) = debtor(conn, ask.account_id, today).await?;
    let ways = store::ways::of(conn, &[account], false)
        .await?
        .pop()
        .map(|ways| ways.now)
        .unwrap_or_default();
    let days = store::ways::contacts_of_kin(conn, Among::one(ask.account_id))
        .await?
        .remove(&account);
    let days = match days {
        Some(days) => days,
        None => store::contacts::days(conn, account).await?,
    };
    let budget = policy.map(|policy| policy.budget);
    let recent = |days: &[chrono::NaiveDate], window: u32| {
        let first = today - chrono::Days::new(window.into());
        let in_it = days.iter().filter(|day| **day > first && **day <= today);
        u32::try_from(in_it.count()).unwrap_or(u32::MAX)
    };
    let contacts = recent(&days, budget.map_or(7, |budget| budget.days));
    let same_debtor = store::ways::kin(conn, account).await?;
    let joint = store::debtors::among(conn, Among::one(ask.account_id))
        .await?
        .remove(&account)
        .unwrap_or_default();
    let mut held = store::holds::of_debtors(conn, ask.account_id, today).await?;
    let seen = store::debtors::seen(conn, &[account])
        .await?
        .remove(&account);
    let mut debtors = Vec::new();
    for one in seen.unwrap_or_default() {
        let others = store::debtors::others(conn, ask.account_id, &one.debtor_ref).await?;
        let contacted = joint
            .iter()
            .find(|joint| joint.debtor_ref == one.debtor_ref)
            .map_or(&[][..], |joint| &joint.contacts);
        debtors.push(DebtorReach {
            name: one.name,
            ways: one.ways,
            contacts: recent(contacted, budget.map_or(7, |budget| budget.days)),
            holds: held
                .extract_if(.., |(debtor, _)| *debtor == one.debtor_ref)
                .map(|(_, kind)| kind)
                .collect(),
            other_accounts: others
                .into_iter()
                .map(|(_, account_ref)| account_ref)
                .collect(),
            erased: one.erased,
            debtor_ref: one.debtor_ref,
        });
    }
    Ok(Reach {
        account_id: ask.account_id,
        ways,
        same_debtor,
        contacts,
        budget: budget.map(|budget| budget.contacts),
        days: budget.map(|budget| budget.days),
        debtors,
    })
}
