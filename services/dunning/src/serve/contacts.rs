//! Contacts: written down, said to be sent or come back, read, erased.

use contracts::{
    api::{
        Refusal,
        controls::Person,
        dunning::{
            ContactStep, ContactView, EraseContactNotes, ErasedNotes, RecordContact, StepContact,
        },
    },
    dunning::{
        ContactChanged, ContactId, ContactItem, ContactNotesErased, ContactOutcome,
        ContactRecorded, ContactState, Direction, FollowedContact, ReachState,
    },
};
use kernel::{AccountId, DocumentId};
use messaging::{Bus, Failure, Meta, Outgoing};
use uuid::Uuid;

use super::{
    act::{Act, wrong},
    contact_views::{no_contact, shown},
    promises, text,
};
use crate::{
    consume::{
        credit,
        judge::{self, Told},
        reach, referrals,
    },
    domain::{
        contact::{self, Contact, Follows, Named, Said, ToldHold, Way},
        hold::Hold,
        reach::address,
    },
    store::{
        self,
        ways::{Addresses, Whose},
    },
};

/// Documents of one contact.
const DOCUMENTS_MAX: usize = 500;
/// What is said shortly, in letters.
const STEP_MAX: usize = 500;
/// What is said outside instead of words that are not for everybody.
const MASKED: &str = "as the contact says";
/// A contact is written down within so many days.
const LATE_MAX: i64 = 366;

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
    let (account_ref, mut addresses) = lock(&mut act, ask.account_id).await?;
    let debtor = act
        .one_of(ask.account_id, ask.debtor_ref.as_deref())
        .await?;
    let said = Said {
        direction: ask.direction,
        channel: ask.channel,
        outcome: ask.outcome,
        next_step,
        next_on: ask.next_on,
        none_because,
        at: ask.at.unwrap_or(act.now),
        note,
        with_promise: ask.promise.is_some(),
    };
    if act.now - said.at > chrono::TimeDelta::days(LATE_MAX) {
        return Err(wrong("/at", "within the last year").into());
    }
    let follows = contact::follows(&said, act.now).map_err(refused)?;
    let (mut kept, is_new, followed) =
        written(&mut act, &ask, &account_ref, &said, &follows).await?;
    with(&mut act, &mut kept, debtor, follows.way, &mut addresses).await?;
    if is_new {
        kept.items = about(&mut act, &ask).await?;
        kept.address = addresses.of(ask.channel).map(str::to_owned);
    }
    kept.outcome = said.outcome;
    kept.proposal = follows.proposal;
    kept.next_step = follows.next_step;
    kept.next_on = follows.next_on;
    kept.none_because = follows.none_because;
    kept.actor.clone_from(&ask.person.actor);
    kept.recorded_at = act.now;
    kept.reason = words(&kept);
    let holds = told_holds(&mut act, &mut kept, follows.hold).await?;
    kept.promise = ask
        .promise
        .is_some()
        .then(|| Uuid::new_v5(&act.cause.id, b"promise").into());
    store::recorded::put(act.tx.conn(), &kept, follows.void).await?;
    if is_new {
        store::recorded::put_items(act.tx.conn(), &kept).await?;
    }
    if let Some(note) = &said.note {
        store::recorded::put_note(act.tx.conn(), &kept, note).await?;
    }
    settle_way(&mut act, &kept, follows.way, &addresses).await?;
    after(&mut act, &kept, followed, &ask.person).await?;
    place(&mut act, holds, &kept, &ask.person).await?;
    if let (Some(id), Some(terms)) = (kept.promise, &ask.promise) {
        let told = (&ask.person, kept.reason.as_str(), &caused_by(&act, &kept));
        promises::take(&mut act, id, kept.account, terms.clone(), told)
            .await
            .map_err(|failure| failure.below("/promise"))?;
    }
    act.finish(&bus).await?;
    shown(&bus, ask.account_id, kept.id, &ask.person.roles).await
}

/// The account and its addresses: nobody else contacts it meanwhile.
async fn lock(act: &mut Act, account: AccountId) -> Result<(String, Addresses), Failure> {
    store::ways::lock(act.tx.conn(), account)
        .await?
        .ok_or_else(|| {
            Failure::not_found(
                "dunning.no_account",
                format!("there is no account {account}"),
            )
        })
}

/// The contact that is written down, whether it is new, and the one whose next
/// step it was.
async fn written(
    act: &mut Act,
    ask: &RecordContact,
    account_ref: &str,
    said: &Said,
    follows: &Follows,
) -> Result<(Contact, bool, Option<FollowedContact>), Failure> {
    let mut new = fresh(ask, account_ref, said);
    new.state = follows.state;
    new.counted_on = follows.counted_on;
    let Some(id) = ask.contact_id else {
        return Ok((new, true, None));
    };
    let mut known = store::recorded::lock(act.tx.conn(), id)
        .await?
        .filter(|known| known.account == ask.account_id)
        .ok_or_else(|| no_contact(id))?;
    match contact::named(&known, said, follows).map_err(refused)? {
        Named::NextStep => {
            let version = store::recorded::next_is_done(act.tx.conn(), known.id).await?;
            new.follows = Some(known.id.as_uuid());
            let followed = FollowedContact {
                contact_id: known.id,
                version,
            };
            Ok((new, true, Some(followed)))
        }
        Named::Done => {
            known.version += 1;
            known.state = follows.state;
            known.at = said.at;
            known.counted_on = follows.counted_on;
            Ok((known, false, None))
        }
        Named::CameBack(state) => {
            known.version += 1;
            known.state = state;
            Ok((known, false, None))
        }
    }
}

/// What a new contact was about: what was ticked, else what was promised in it.
async fn about(act: &mut Act, ask: &RecordContact) -> Result<Vec<ContactItem>, Failure> {
    let promised = ask.promise.iter().flat_map(|promise| &promise.lines);
    let mut wanted: Vec<DocumentId> = match ask.documents.as_slice() {
        [] => promised.map(|line| line.document_id).collect(),
        ticked => ticked.to_vec(),
    };
    wanted.sort_unstable();
    wanted.dedup();
    // What is promised is told below `/promise` when it is wrong.
    let items = store::recorded::items(act.tx.conn(), ask.account_id, &wanted).await?;
    if items.len() != wanted.len() && !ask.documents.is_empty() {
        return Err(wrong("/documents", "documents of the account"));
    }
    Ok(items)
}

/// With which of the joint debtors it was: where the way to one of them is said to be
/// shut or open, somebody must have said so.
async fn with(
    act: &mut Act,
    contact: &mut Contact,
    debtor: Option<String>,
    way: Option<Way>,
    addresses: &mut Addresses,
) -> Result<(), Failure> {
    if debtor.is_some() && contact.debtor.is_some() && contact.debtor != debtor {
        return Err(wrong("/debtor_ref", "the one that it was sent to"));
    }
    contact.debtor = contact.debtor.take().or(debtor);
    let (conn, account) = (act.tx.conn(), contact.account);
    if let Some(debtor) = contact.debtor.as_deref() {
        // Who does not owe it any more has no address here.
        let found = store::debtors::addresses(conn, account, debtor).await?;
        *addresses = found.unwrap_or_default();
    } else if way.is_some() && !store::debtors::refs(conn, account).await?.is_empty() {
        return Err(wrong("/debtor_ref", "say which of those who owe it"));
    }
    Ok(())
}

/// The holds that were told of in a contact: none when one of its kind stops the
/// whole account already, or what there was up to a cut-off. What is told of one of
/// several who owe it is theirs, and holds on their other accounts too.
async fn told_holds(
    act: &mut Act,
    contact: &mut Contact,
    told: Option<ToldHold>,
) -> Result<Vec<Hold>, Failure> {
    let Some(told) = told else {
        return Ok(Vec::new());
    };
    let today = act.today;
    let conn = act.tx.conn();
    let mut accounts = vec![(contact.account, contact.account_ref.clone())];
    if let Some(debtor) = contact.debtor.as_deref() {
        store::ways::lock_debtors(conn, &[store::debtors::lock_of(debtor)]).await?;
        accounts.extend(store::debtors::others(conn, contact.account, debtor).await?);
    }
    let mut holds = Vec::new();
    for (account, account_ref) in accounts {
        let debtor = contact.debtor.as_deref();
        if store::holds::is_held(conn, account, debtor, told.kind, today).await? {
            continue;
        }
        let own = account == contact.account;
        let id = if own {
            Uuid::new_v5(&act.cause.id, b"hold")
        } else {
            Uuid::new_v5(&act.cause.id, account.as_uuid().as_bytes())
        };
        if own {
            contact.hold = Some(id.into());
        }
        let mut hold = Hold::told(id.into(), told, contact, today);
        hold.account = account;
        hold.account_ref = account_ref;
        holds.push(hold);
    }
    Ok(holds)
}

/// What follows from a contact is caused by it.
fn caused_by(act: &Act, contact: &Contact) -> Meta {
    Meta {
        id: contact.id.as_uuid(),
        ..act.cause.clone()
    }
}

async fn place(
    act: &mut Act,
    holds: Vec<Hold>,
    contact: &Contact,
    person: &Person,
) -> Result<(), Failure> {
    let cause = caused_by(act, contact);
    let (tx, told) = act.told(person, &contact.reason);
    let told = Told {
        cause: &cause,
        ..told
    };
    for hold in holds {
        judge::put_hold(tx, &hold, told).await?;
    }
    Ok(())
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

fn fresh(ask: &RecordContact, account_ref: &str, said: &Said) -> Contact {
    Contact {
        id: ask.command_id.as_uuid().into(),
        version: 1,
        direction: ask.direction,
        channel: ask.channel,
        state: ContactState::Done,
        account: ask.account_id,
        account_ref: account_ref.to_owned(),
        debtor: None,
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
        hold: None,
        promise: None,
        at: said.at,
        counted_on: None,
        actor: String::new(),
        reason: String::new(),
        recorded_at: said.at,
    }
}

/// What is next, as it may leave the service: what a person typed after something was
/// told about health or death stays with the note (E99).
fn said(contact: &Contact, words: Option<&str>) -> Option<String> {
    let words = words?;
    let restricted = contact.outcome.is_some_and(|outcome| {
        contact::is_restricted(outcome) && contact::own_step(outcome, contact.at) != Some(words)
    });
    Some(if restricted { MASKED } else { words }.to_owned())
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
    let whose = Whose {
        account: contact.account,
        debtor: contact.debtor.as_deref(),
    };
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
            store::ways::shut_way(conn, whose, channel, Some(sent_to), today, because, id).await
        }
        Way::OptedOut => {
            let today = act.today;
            store::ways::shut_way(conn, whose, channel, None, today, because, id).await
        }
        Way::OptedIn => store::ways::open_way(conn, whose, channel, ReachState::OptedOut).await,
        Way::Confirmed => {
            let channel = address(channel);
            store::ways::open_way(conn, whose, channel, ReachState::Unusable).await
        }
    }
}

/// What every contact that a person writes down is followed by: the fold of the
/// account, the events, the ways.
async fn after(
    act: &mut Act,
    contact: &Contact,
    followed: Option<FollowedContact>,
    person: &Person,
) -> Result<(), Failure> {
    let account = contact.account.as_uuid();
    settle_run(act, contact).await?;
    store::contacts::fold(act.tx.conn(), &[account]).await?;
    let (tx, told) = act.told(person, &contact.reason);
    credit::look(tx, &[account], told).await?;
    let event = ContactRecorded {
        contact_id: contact.id,
        version: contact.version,
        direction: contact.direction,
        channel: contact.channel,
        state: contact.state,
        account_id: contact.account,
        account_ref: contact.account_ref.clone(),
        debtor_ref: contact.debtor.clone(),
        run_id: contact.run,
        stage: contact.stage.clone(),
        items: contact.items.clone(),
        outcome: contact.outcome,
        proposal: contact.proposal,
        next_step: said(contact, contact.next_step.as_deref()),
        next_on: contact.next_on,
        none_because: said(contact, contact.none_because.as_deref()),
        follows: followed,
        hold_id: contact.hold,
        promise_id: contact.promise,
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
    let (_, addresses) = lock(&mut act, account).await?;
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
            with_promise: false,
        };
        let follows = contact::follows(&said, act.now).map_err(refused)?;
        contact.outcome = Some(outcome);
        contact.proposal = None;
        if contact.next_step.is_none() && contact.none_because.is_none() {
            contact.next_step = follows.next_step;
            contact.next_on = follows.next_on;
        }
        let holds = told_holds(&mut act, &mut contact, follows.hold).await?;
        if contact::is_restricted(outcome) {
            // Words about health or death are kept with the hold (E99).
            contact.reason = words(&contact);
        }
        store::recorded::put(act.tx.conn(), &contact, false).await?;
        settle_way(&mut act, &contact, follows.way, &addresses).await?;
        after(&mut act, &contact, None, &ask.person).await?;
        place(&mut act, holds, &contact, &ask.person).await?;
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
    if contact.debtor.is_some() {
        return store::debtors::settle(act.tx.conn(), &[(run, account, None)]).await;
    }
    let settled = store::dispatch::Settled {
        run,
        account,
        state: row,
        note: Some(contact.reason.clone()),
        contact: None,
    };
    store::dispatch::settle(act.tx.conn(), &[settled]).await
}

/// Tells of a contact that a person knows more of.
async fn changed(act: &mut Act, contact: &Contact, ask: &StepContact) -> Result<(), Failure> {
    let account = contact.account.as_uuid();
    settle_run(act, contact).await?;
    store::contacts::fold(act.tx.conn(), &[account]).await?;
    let (tx, told) = act.told(&ask.person, &contact.reason);
    credit::look(tx, &[account], told).await?;
    let event = ContactChanged {
        contact_id: contact.id,
        version: contact.version,
        direction: contact.direction,
        channel: contact.channel,
        state: contact.state,
        account_id: contact.account,
        account_ref: contact.account_ref.clone(),
        debtor_ref: contact.debtor.clone(),
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
    // Whether one of several had the letter that a claim needs, and from when.
    let (accounts, cause) = ([contact.account], told.cause);
    referrals::accounts(tx, told.prefix, &accounts, told.now, cause).await?;
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

pub(crate) async fn erase_contact_notes(
    ask: EraseContactNotes,
    bus: Bus,
) -> Result<ErasedNotes, Refusal> {
    let reason = text(&ask.reason, "/reason")?;
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        return Ok(ErasedNotes {
            notes: 0,
            details: false,
        });
    };
    let (account_ref, _) = lock(&mut act, ask.account_id).await?;
    let now = act.now;
    let debtor = act
        .one_of(ask.account_id, ask.debtor_ref.as_deref())
        .await?;
    let conn = act.tx.conn();
    let (notes, details) = if let Some(debtor) = debtor.as_deref() {
        store::debtors::erase(conn, ask.account_id, debtor, now).await?
    } else {
        let notes = store::recorded::erase_notes(conn, ask.account_id, now).await?;
        (notes, false)
    };
    let (tx, told) = act.told(&ask.person, &reason);
    let event = ContactNotesErased {
        erasure_id: told.cause.id,
        account_id: ask.account_id,
        account_ref,
        debtor_ref: debtor,
        notes,
        cause: Some(told.cause.id),
        recorded_at: told.now,
        actor: told.actor.to_owned(),
        reason: told.reason.to_owned(),
    };
    let about = event.erasure_id;
    let out = Outgoing::new(&event, about, 1, told.prefix, told.now, told.cause)?;
    tx.publish(&[out]).await?;
    act.finish(&bus).await?;
    Ok(ErasedNotes { notes, details })
}
