//! Contacts: written down, said to be sent or come back, read, looked at.

use chrono::{DateTime, Utc};
use contracts::{
    api::{
        Page, Refusal,
        dunning::{
            ContactStep, ContactView, EraseContactNotes, ErasedNotes, GetReach, ListContacts,
            Reach, RecordContact, StepContact,
        },
    },
    dunning::{
        ContactChanged, ContactId, ContactNotesErased, ContactOutcome, ContactRecorded,
        ContactState, Direction, FollowedContact, ReachState,
    },
};
use kernel::{AccountId, london_date};
use messaging::{Bus, Failure, Outgoing};
use uuid::Uuid;

use super::{
    act::{Act, debtor, wrong},
    text,
};
use crate::{
    consume::{judge::Told, reach},
    domain::{
        contact::{self, Contact, Named, Said, Way},
        hold,
        reach::address,
    },
    store::{self, ways::Addresses},
};

/// Documents of one contact.
const DOCUMENTS_MAX: usize = 500;
/// What is said shortly, in letters.
const STEP_MAX: usize = 500;
/// A contact is written down within so many days.
const LATE_MAX: i64 = 366;

fn no_contact(id: ContactId) -> Failure {
    Failure::not_found("dunning.no_contact", format!("there is no contact {id}"))
}

fn view(contact: Contact, note: Option<String>, roles: &[String]) -> ContactView {
    let restricted = [contact.outcome, contact.proposal]
        .into_iter()
        .flatten()
        .any(contact::is_restricted);
    let readable = !restricted || hold::may_read(contracts::dunning::HoldKind::Vulnerable, roles);
    ContactView {
        contact_id: contact.id,
        version: contact.version,
        direction: contact.direction,
        channel: contact.channel,
        state: contact.state,
        account_id: contact.account,
        account_ref: contact.account_ref,
        run_id: contact.run,
        stage: contact.stage,
        items: contact.items,
        amounts: contact.amounts,
        outcome: contact.outcome,
        proposal: contact.proposal,
        next_step: contact.next_step,
        next_on: contact.next_on,
        none_because: contact.none_because,
        follows: contact.follows.map(Into::into),
        note: note.filter(|_| readable),
        counted_on: contact.counted_on,
        at: contact.at,
        recorded_at: contact.recorded_at,
        actor: contact.actor,
        reason: contact.reason,
    }
}

async fn shown(
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

fn short(text: Option<&str>, pointer: &str) -> Result<Option<String>, Failure> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    if text.is_some_and(|text| text.chars().count() > STEP_MAX) {
        return Err(wrong(pointer, "at most 500 characters"));
    }
    Ok(text.map(str::to_owned))
}

fn refused(error: contact::ContactRefused) -> Failure {
    match &error {
        contact::ContactRefused::Wrong { field, detail } => wrong(field, detail),
        _ => Failure::of(error),
    }
}

pub(crate) async fn record_contact(ask: RecordContact, bus: Bus) -> Result<ContactView, Refusal> {
    let own: ContactId = ask.command_id.as_uuid().into();
    let roles = &ask.person.roles;
    let note = match ask.note.as_deref().map(str::trim).unwrap_or_default() {
        "" => None,
        note => Some(text(note, "/note")?),
    };
    if ask.documents.len() > DOCUMENTS_MAX {
        return Err(wrong("/documents", "at most 500").into());
    }
    let next_step = short(ask.next_step.as_deref(), "/next_step")?;
    let none_because = short(ask.none_because.as_deref(), "/none_because")?;
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        return repeated(&bus, &ask, own).await;
    };
    let (account_ref, addresses) = store::ways::lock(act.tx.conn(), ask.account_id)
        .await?
        .ok_or_else(|| {
            Failure::not_found(
                "dunning.no_account",
                format!("there is no account {}", ask.account_id),
            )
        })?;
    let said = Said {
        direction: ask.direction,
        channel: ask.channel,
        outcome: ask.outcome,
        next_step,
        next_on: ask.next_on,
        none_because,
        at: ask.at.unwrap_or(act.now),
        note: note.clone(),
    };
    if act.now - said.at > chrono::TimeDelta::days(LATE_MAX) {
        return Err(wrong("/at", "within the last year").into());
    }
    let follows = contact::follows(&said, act.now).map_err(refused)?;
    let named = match ask.contact_id {
        Some(id) => {
            let known = store::recorded::lock(act.tx.conn(), id)
                .await?
                .filter(|known| known.account == ask.account_id)
                .ok_or_else(|| no_contact(id))?;
            let named = contact::named(&known, &said, &follows).map_err(refused)?;
            Some((known, named))
        }
        None => None,
    };
    let mut followed = None;
    let (mut kept, is_new) = match named {
        Some((known, Named::NextStep)) => {
            let version = store::recorded::next_is_done(act.tx.conn(), known.id).await?;
            followed = Some(FollowedContact {
                contact_id: known.id,
                version,
            });
            (fresh(own, &ask, &account_ref, &said), true)
        }
        None => (fresh(own, &ask, &account_ref, &said), true),
        Some((mut known, Named::Done)) => {
            known.version += 1;
            known.state = follows.state;
            known.at = said.at;
            known.counted_on = follows.counted_on;
            (known, false)
        }
        Some((mut known, Named::CameBack(state))) => {
            known.version += 1;
            known.state = state;
            (known, false)
        }
    };
    if is_new {
        let items = store::recorded::items(act.tx.conn(), ask.account_id, &ask.documents).await?;
        let mut wanted = ask.documents.clone();
        wanted.sort_unstable();
        wanted.dedup();
        if items.len() != wanted.len() {
            return Err(wrong("/documents", "documents of the account").into());
        }
        kept.items = items;
        kept.state = follows.state;
        kept.counted_on = follows.counted_on;
        kept.follows = followed.map(|followed| followed.contact_id.as_uuid());
        kept.address = addresses.of(ask.channel).map(str::to_owned);
    }
    kept.outcome = said.outcome;
    kept.proposal = follows.proposal;
    kept.next_step = said.next_step;
    kept.next_on = said.next_on;
    kept.none_because = said.none_because;
    kept.actor.clone_from(&ask.person.actor);
    kept.recorded_at = act.now;
    kept.reason = words(&kept);
    store::recorded::put(act.tx.conn(), &kept, follows.void).await?;
    if is_new {
        store::recorded::put_items(act.tx.conn(), &kept).await?;
    }
    if let Some(note) = &note {
        store::recorded::put_note(act.tx.conn(), &kept, note).await?;
    }
    settle_way(&mut act, &kept, follows.way, &addresses).await?;
    after(&mut act, &kept, followed, &ask.person).await?;
    act.finish(&bus).await?;
    shown(&bus, ask.account_id, kept.id, roles).await
}

/// The answer of a command that was carried out before: of the contact that it
/// wrote, or of the one that it named.
async fn repeated(bus: &Bus, ask: &RecordContact, own: ContactId) -> Result<ContactView, Refusal> {
    let roles = &ask.person.roles;
    match (shown(bus, ask.account_id, own, roles).await, ask.contact_id) {
        (Err(_), Some(named)) => shown(bus, ask.account_id, named, roles).await,
        (answer, _) => answer,
    }
}

fn fresh(id: ContactId, ask: &RecordContact, account_ref: &str, said: &Said) -> Contact {
    Contact {
        id,
        version: 1,
        direction: ask.direction,
        channel: ask.channel,
        state: ContactState::Done,
        account: ask.account_id,
        account_ref: account_ref.to_owned(),
        run: None,
        stage: None,
        items: Vec::new(),
        amounts: Vec::new(),
        address: None,
        content_sha256: None,
        outcome: None,
        proposal: None,
        next_step: None,
        next_on: None,
        none_because: None,
        follows: None,
        at: said.at,
        counted_on: None,
        actor: String::new(),
        reason: String::new(),
        recorded_at: said.at,
    }
}

/// A contact in a few words.
fn words(contact: &Contact) -> String {
    match (contact.outcome, contact.direction) {
        (Some(outcome), _) => contact::title(outcome).to_owned(),
        (None, Direction::In) => "received, and not read yet".to_owned(),
        (None, Direction::Out) => "sent by a person".to_owned(),
    }
}

/// What becomes of the way that the contact went.
async fn settle_way(
    act: &mut Act,
    contact: &Contact,
    way: Option<Way>,
    addresses: &Addresses,
) -> Result<(), Failure> {
    let Some(way) = way else { return Ok(()) };
    let conn = act.tx.conn();
    let account = contact.account;
    let id = contact.id.as_uuid();
    let because = contact.outcome.unwrap_or(ContactOutcome::NoResult);
    let channel = contact.channel;
    match way {
        Way::Unusable => {
            let sent_to = contact.address.as_deref().or_else(|| addresses.of(channel));
            let Some(sent_to) = sent_to else {
                return Ok(());
            };
            let channel = address(channel);
            let today = act.today;
            store::ways::shut_way(conn, account, channel, Some(sent_to), today, because, id).await
        }
        Way::OptedOut => {
            let today = act.today;
            store::ways::shut_way(conn, account, channel, None, today, because, id).await
        }
        Way::OptedIn => store::ways::open_way(conn, account, channel, ReachState::OptedOut).await,
        Way::Confirmed => {
            let channel = address(channel);
            store::ways::open_way(conn, account, channel, ReachState::Unusable).await
        }
    }
}

/// What every contact that a person writes down is followed by: the fold of the
/// account, the events, the ways.
async fn after(
    act: &mut Act,
    contact: &Contact,
    followed: Option<FollowedContact>,
    person: &contracts::api::controls::Person,
) -> Result<(), Failure> {
    let account = contact.account.as_uuid();
    settle_run(act, contact).await?;
    store::contacts::fold(act.tx.conn(), &[account]).await?;
    let (tx, told) = act.told(person, &contact.reason);
    let event = ContactRecorded {
        contact_id: contact.id,
        version: contact.version,
        direction: contact.direction,
        channel: contact.channel,
        state: contact.state,
        account_id: contact.account,
        account_ref: contact.account_ref.clone(),
        run_id: contact.run,
        stage: contact.stage.clone(),
        items: contact.items.clone(),
        outcome: contact.outcome,
        proposal: contact.proposal,
        next_step: contact.next_step.clone(),
        next_on: contact.next_on,
        none_because: contact.none_because.clone(),
        follows: followed,
        at: contact.at,
        cause: Some(told.cause.id),
        recorded_at: told.now,
        actor: person.actor.clone(),
        reason: contact.reason.clone(),
    };
    let id = contact.id.as_uuid();
    let out = Outgoing::new(
        &event,
        id,
        contact.version,
        told.prefix,
        told.now,
        told.cause,
    )?;
    tx.publish(&[out]).await?;
    reach::look(tx, &[account], false, told).await
}

pub(crate) async fn step_contact(ask: StepContact, bus: Bus) -> Result<ContactView, Refusal> {
    let reason = text(&ask.reason, "/reason")?;
    let id = ask.contact_id;
    let roles = &ask.person.roles;
    let mut tx = bus.begin().await?;
    let account = store::recorded::account_of(tx.conn(), id)
        .await?
        .ok_or_else(|| no_contact(id))?;
    drop(tx);
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        return shown(&bus, account, id, roles).await;
    };
    let (_, addresses) = store::ways::lock(act.tx.conn(), account)
        .await?
        .ok_or_else(|| no_contact(id))?;
    let mut contact = store::recorded::lock(act.tx.conn(), id)
        .await?
        .ok_or_else(|| no_contact(id))?;
    if ask
        .version
        .is_some_and(|version| version != contact.version)
    {
        return Err(Failure::conflict(
            "dunning.changed",
            format!(
                "the contact was changed meanwhile: it is at version {} now",
                contact.version
            ),
        )
        .into());
    }
    let (state, void) = contact::step(&contact, ask.step).map_err(refused)?;
    contact.version += 1;
    contact.state = state;
    contact.actor.clone_from(&ask.person.actor);
    contact.recorded_at = act.now;
    contact.reason = reason;
    if let ContactStep::ReadAs { outcome } = ask.step {
        let said = Said {
            direction: contact.direction,
            channel: contact.channel,
            outcome: Some(outcome),
            next_step: None,
            next_on: None,
            none_because: None,
            at: contact.at,
            note: None,
        };
        let follows = contact::follows(&said, act.now).map_err(refused)?;
        contact.outcome = Some(outcome);
        contact.proposal = None;
        store::recorded::put(act.tx.conn(), &contact, false).await?;
        settle_way(&mut act, &contact, follows.way, &addresses).await?;
        after(&mut act, &contact, None, &ask.person).await?;
    } else {
        contact.outcome = contact::outcome_of(state).or(contact.outcome);
        store::recorded::put(act.tx.conn(), &contact, void).await?;
        let way = contact::outcome_of(state).map(|_| Way::Unusable);
        settle_way(&mut act, &contact, way, &addresses).await?;
        changed(&mut act, &contact, &ask).await?;
    }
    act.finish(&bus).await?;
    shown(&bus, account, id, roles).await
}

/// Says in its run what came of a contact.
async fn settle_run(act: &mut Act, contact: &Contact) -> Result<(), Failure> {
    let Some(run) = contact.run else {
        return Ok(());
    };
    let row = match contact.state {
        ContactState::Failed | ContactState::Bounced | ContactState::GoneAway => "failed",
        _ => "sent",
    };
    let (run, account) = (run.as_uuid(), contact.account.as_uuid());
    let note = Some(contact.reason.as_str());
    store::dispatch::settle(act.tx.conn(), run, account, row, note, None).await
}

/// Tells of a contact that a person knows more of.
async fn changed(act: &mut Act, contact: &Contact, ask: &StepContact) -> Result<(), Failure> {
    let account = contact.account.as_uuid();
    settle_run(act, contact).await?;
    store::contacts::fold(act.tx.conn(), &[account]).await?;
    let (tx, told) = act.told(&ask.person, &contact.reason);
    let event = ContactChanged {
        contact_id: contact.id,
        version: contact.version,
        direction: contact.direction,
        channel: contact.channel,
        state: contact.state,
        account_id: contact.account,
        account_ref: contact.account_ref.clone(),
        run_id: contact.run,
        stage: contact.stage.clone(),
        items: contact.items.clone(),
        amounts: contact.amounts.clone(),
        content_sha256: contact.content_sha256.clone(),
        outcome: contact.outcome.map(|outcome| outcome.name().to_owned()),
        next_step: contact.next_step.clone(),
        next_on: contact.next_on,
        at: contact.at,
        cause: Some(told.cause.id),
        recorded_at: told.now,
        actor: ask.person.actor.clone(),
        reason: contact.reason.clone(),
    };
    publish(tx, &event, contact, told).await?;
    reach::look(tx, &[account], false, told).await
}

async fn publish(
    tx: &mut messaging::Tx,
    event: &ContactChanged,
    contact: &Contact,
    told: Told<'_>,
) -> Result<(), Failure> {
    let id = contact.id.as_uuid();
    let version = contact.version;
    let out = Outgoing::new(event, id, version, told.prefix, told.now, told.cause)?;
    tx.publish(&[out]).await
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
    Ok(Page {
        items: found
            .into_iter()
            .map(|(contact, note)| view(contact, note, roles))
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
    let days = store::ways::contacts_of_kin(conn, account, account)
        .await?
        .remove(&account);
    let days = match days {
        Some(days) => days,
        None => store::contacts::days(conn, account).await?,
    };
    let budget = policy.map(|policy| policy.budget);
    let recent = |window: u32| {
        let first = today - chrono::Days::new(window.into());
        let in_it = days.iter().filter(|day| **day > first && **day <= today);
        u32::try_from(in_it.count()).unwrap_or(u32::MAX)
    };
    let contacts = recent(budget.map_or(7, |budget| budget.days));
    let same_debtor = store::ways::kin(conn, account).await?;
    Ok(Reach {
        account_id: ask.account_id,
        ways,
        same_debtor,
        contacts,
        budget: budget.map(|budget| budget.contacts),
        days: budget.map(|budget| budget.days),
    })
}

pub(crate) async fn erase_contact_notes(
    ask: EraseContactNotes,
    bus: Bus,
) -> Result<ErasedNotes, Refusal> {
    text(&ask.reason, "/reason")?;
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        return Ok(ErasedNotes { notes: 0 });
    };
    let now = act.now;
    let notes = store::recorded::erase_notes(act.tx.conn(), ask.account_id, now).await?;
    tracing::info!(account = %ask.account_id, actor = %ask.person.actor, notes, "notes of contacts were erased");
    // Others may have copied words out of what was said of them.
    let (account_ref, _) = debtor(act.tx.conn(), ask.account_id, act.today).await?;
    let erased = ContactNotesErased {
        account_id: ask.account_id,
        account_ref,
        recorded_at: now,
        actor: ask.person.actor,
    };
    let id = ask.command_id.as_uuid();
    let event = Outgoing::new(&erased, id, 1, &act.prefix, now, &act.cause)?;
    act.tx.publish(&[event]).await?;
    act.finish(&bus).await?;
    Ok(ErasedNotes { notes })
}
