//! The dispatch of runs: at the moment of sending every account is judged again,
//! claimed in the send ledger, handed over, and marked. A crash between is
//! picked up by whoever comes next.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use chrono::TimeDelta;
use contracts::{
    Event,
    dunning::{ContactState, RunKind},
};
use kernel::AccountId;
use mail::{Handed, Mailer};
use messaging::{Bus, Failure, Meta, Outgoing};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{
    channel::Options,
    consume::{
        credit,
        judge::{SYSTEM, Told},
        referrals,
    },
    jobs::{
        provider,
        reminders::{self, Made},
        statements::{self, By},
    },
    serve::moment,
    store::{
        self,
        contacts::{Claimed, Marked, Written},
        dispatch::{Queued, Settled},
        templates::File,
    },
};

/// How often.
pub(crate) const EVERY: Duration = Duration::from_secs(1);
/// Accounts of one transaction.
const BATCH: i64 = 250;
/// Where the provider does not know an e-mail again: after a crash a person decides
/// about each that was claimed (E65).
const BATCH_OF_ONCE: i64 = 25;
/// Transactions of one round.
const ROUNDS: usize = 40;

/// What a round of dispatch works with.
#[derive(Clone)]
pub(crate) struct Dispatch {
    pub(crate) options: Options,
    pub(crate) mailer: Option<Mailer>,
}

impl Dispatch {
    pub(crate) fn new(options: Options) -> Result<Self, Failure> {
        let mailer = options.mail.as_ref().map(Mailer::new).transpose()?;
        Ok(Self { options, mailer })
    }

    fn batch(&self) -> i64 {
        match &self.mailer {
            Some(mailer) if !mailer.idempotent => BATCH_OF_ONCE,
            _ => BATCH,
        }
    }

    /// After this long without a word, who claimed a contact is gone.
    fn lease(&self) -> TimeDelta {
        match &self.mailer {
            Some(mailer) if mailer.idempotent => TimeDelta::seconds(30),
            _ => TimeDelta::minutes(30),
        }
    }
}

/// One round: what is left over of a crash, what is queued, and what is done.
pub(crate) async fn round(bus: Bus, dispatch: Dispatch) -> Result<(), Failure> {
    let mut tx = bus.begin().await?;
    let idle = store::dispatch::is_idle(tx.conn()).await?;
    drop(tx);
    if idle {
        return Ok(());
    }
    let answers = provider::answers(&bus, dispatch.mailer.as_ref()).await?;
    for _ in 0..ROUNDS {
        if bus.shutdown().is_cancelled() || !left_over(&bus, &dispatch, answers).await? {
            break;
        }
    }
    // While some are handed over, the next are judged.
    let (mut handing, mut failed) = (Vec::new(), None);
    for _ in 0..ROUNDS {
        if bus.shutdown().is_cancelled() || failed.is_some() {
            break;
        }
        let (sent, next) = tokio::join!(
            send(&bus, &dispatch, std::mem::take(&mut handing)),
            claim(&bus, &dispatch, answers).instrument(tracing::debug_span!("dispatch.claim"))
        );
        failed = sent.err();
        let (taken, claimed) = next?;
        handing = claimed;
        if taken < dispatch.batch() as usize {
            break;
        }
    }
    // What is claimed is handed over, whatever became of those before.
    send(&bus, &dispatch, handing).await?;
    if let Some(failed) = failed {
        return Err(failed);
    }
    let now = bus.now();
    let cause = Uuid::now_v7();
    let mut tx = bus.begin().await?;
    let runs = store::dispatch::finish(tx.conn(), cause, now).await?;
    let told = |run: &contracts::dunning::RunChanged| {
        outgoing(run, run.run_id.as_uuid(), run.version, &bus, cause)
    };
    let events: Result<Vec<Outgoing>, Failure> = runs.iter().map(told).collect();
    tx.publish(&events?).await?;
    tx.commit().await
}

fn outgoing<E: Event>(
    event: &E,
    about: Uuid,
    version: i64,
    bus: &Bus,
    cause: Uuid,
) -> Result<Outgoing, Failure> {
    let now = bus.now();
    let meta = Meta::of_command(cause, now, None);
    Outgoing::new(event, about, version, bus.prefix(), now, &meta)
}

/// What somebody claimed and never finished. Sent again only where the provider
/// drops what it has; else nobody knows, and a person decides (E65).
async fn left_over(bus: &Bus, dispatch: &Dispatch, answers: bool) -> Result<bool, Failure> {
    let now = bus.now();
    let mut tx = bus.begin().await?;
    let claimed = store::contacts::left_over(tx.conn(), now - dispatch.lease(), now, BATCH).await?;
    let again = dispatch.mailer.as_ref().is_some_and(|m| m.idempotent) && answers;
    if claimed.is_empty() || (dispatch.mailer.as_ref().is_some_and(|m| m.idempotent) && !answers) {
        return Ok(false);
    }
    tx.commit().await?;
    let full = claimed.len() == BATCH as usize;
    if again {
        send(bus, dispatch, claimed).await?;
    } else {
        let why = "whoever was sending it stopped; the provider may have it";
        let unknown = |one: Claimed| (one.contact_id, Handed::Unknown(why.to_owned()));
        mark(bus, claimed.into_iter().map(unknown).collect()).await?;
    }
    Ok(full)
}

/// Judges and claims the next accounts: how many there were, and the e-mails
/// that are to be handed over.
async fn claim(
    bus: &Bus,
    dispatch: &Dispatch,
    with_mail: bool,
) -> Result<(usize, Vec<Claimed>), Failure> {
    let mut tx = bus.begin().await?;
    let queued = store::dispatch::take(tx.conn(), with_mail, dispatch.batch()).await?;
    if queued.is_empty() {
        return Ok((0, Vec::new()));
    }
    let policies = store::policies::all(tx.conn()).await?;
    let moment = moment(tx.conn(), bus).await?;
    let mut runs: Vec<Uuid> = queued.iter().map(|one| one.run_id).collect();
    runs.dedup();
    let templates = store::templates::published(tx.conn(), &runs, moment.today).await?;
    let by = By {
        options: &dispatch.options,
        policies: &policies,
        templates: &templates,
        moment,
    };
    // Accounts of one debtor have one contact budget: nobody else uses it up
    // meanwhile (E61).
    let contacted: Vec<Uuid> = queued.iter().map(|one| one.account_id).collect();
    let mut debtors = store::debtors::locks_of(tx.conn(), &contacted).await?;
    for one in &queued {
        let locks = debtors.entry(one.account_id).or_default();
        locks.extend(one.debtor.clone());
    }
    let locks: Vec<String> = debtors.values().flatten().cloned().collect();
    store::ways::lock_debtors(tx.conn(), &locks).await?;
    let mut events = Vec::new();
    let mut claimed = Vec::new();
    let mut joint = Vec::new();
    for some in portions(&queued, &debtors) {
        for (one, written) in portion(tx.conn(), bus, some, by).await? {
            let event = &written.event;
            let contact = event.contact_id.as_uuid();
            joint.extend(event.debtor_ref.as_ref().map(|_| event.account_id));
            events.push(outgoing(event, contact, event.version, bus, one.run_id)?);
            if event.state == ContactState::Claimed {
                claimed.push(Claimed {
                    contact_id: contact,
                    address: written.address.unwrap_or_default(),
                    bytes: written.bytes,
                });
            }
        }
    }
    tx.publish(&events).await?;
    let cause = Meta::of_command(Uuid::now_v7(), bus.now(), None);
    let told = told(bus, &cause, "they were reminded");
    credit::look_by(&mut tx, &contacted, &policies, told).await?;
    referrals::accounts(&mut tx, bus.prefix(), &joint, bus.now(), &cause).await?;
    tx.commit().await?;
    Ok((queued.len(), claimed))
}

/// Accounts of one run that can be judged together: no two of one debtor, as a
/// contact with the first uses up the budget of the second.
fn portions<'q>(queued: &'q [Queued], debtors: &HashMap<Uuid, Vec<String>>) -> Vec<&'q [Queued]> {
    let mut portions = Vec::new();
    let mut rest = queued;
    while let Some(first) = rest.first() {
        let mut seen = HashSet::new();
        let mut together = 0;
        for one in rest {
            let theirs = debtors.get(&one.account_id).map_or(&[][..], Vec::as_slice);
            let again = theirs.iter().any(|debtor| seen.contains(debtor));
            if again || one.run_id != first.run_id {
                break;
            }
            seen.extend(theirs);
            together += 1;
        }
        let (some, more) = rest.split_at(together);
        portions.push(some);
        rest = more;
    }
    portions
}

/// Judges accounts again and claims those that are still to be written to: what was
/// written, each with its account.
async fn portion<'q>(
    conn: &mut sqlx::PgConnection,
    bus: &Bus,
    some: &'q [Queued],
    by: By<'_>,
) -> Result<Vec<(&'q Queued, Written)>, Failure> {
    let now = bus.now();
    let reminders = some
        .first()
        .is_some_and(|one| one.kind == RunKind::Reminders.name());
    let made = if reminders {
        reminders::decide(conn, now, some, by).await?
    } else {
        let of_statement = |(written, sent)| Made {
            written,
            charged: false,
            statement: Some(sent),
        };
        let made = statements::decide(conn, now, some, by).await?;
        made.into_iter()
            .map(|one| one.map(|all| all.into_iter().map(of_statement).collect()))
            .collect()
    };
    let (mut settled, mut sent, mut charged) = (Vec::new(), Vec::new(), Vec::new());
    let (mut whom, mut written) = (Vec::new(), Vec::new());
    for (one, made) in some.iter().zip(made) {
        let row = |state, note, contact| Settled {
            run: one.run_id,
            account: one.account_id,
            state,
            note,
            contact,
        };
        let made: Vec<Made> = match made {
            Ok(made) => made,
            Err(why) => {
                settled.push(row("recalled", Some(why), None));
                continue;
            }
        };
        let is_claimed = |made: &Made| made.written.event.state == ContactState::Claimed;
        let state = if made.iter().any(is_claimed) {
            "claimed"
        } else {
            "sent"
        };
        let contact = |made: &Made| made.written.event.contact_id.as_uuid();
        settled.push(row(state, None, made.first().map(contact)));
        for made in made {
            charged.extend(made.charged.then(|| contact(&made)));
            sent.extend(made.statement);
            whom.push(one);
            written.push(made.written);
        }
    }
    if !written.is_empty() {
        let files: Vec<File<'_>> = written.iter().map(Written::file).collect();
        store::templates::archive(conn, &files, now).await?;
        store::contacts::insert(conn, &written).await?;
        store::enclosures::put(conn, &written).await?;
        store::statements::claim(conn, &sent).await?;
        store::claims::expect(conn, &charged).await?;
        let accounts: Vec<Uuid> = whom.iter().map(|one| one.account_id).collect();
        store::contacts::fold(conn, &accounts).await?;
    }
    store::dispatch::settle(conn, &settled).await?;
    Ok(whom.into_iter().zip(written).collect())
}

/// Hands over e-mails, some at once, and marks what became of them.
async fn send(bus: &Bus, dispatch: &Dispatch, claimed: Vec<Claimed>) -> Result<(), Failure> {
    let Some(mailer) = &dispatch.mailer else {
        return Ok(());
    };
    if claimed.is_empty() {
        return Ok(());
    }
    let mut sending = tokio::task::JoinSet::new();
    for one in claimed {
        let mailer = mailer.clone();
        let from = dispatch.options.sender.email.clone();
        sending.spawn(async move {
            let handed = mailer.send(&from, &one.address, &one.bytes).await;
            (one.contact_id, handed)
        });
    }
    let mut outcomes = Vec::new();
    while let Some(done) = sending.join_next().await {
        let done = done.map_err(|e| Failure::bug("dunning.sending_fell", e.to_string()))?;
        outcomes.push(done);
    }
    if mailer.idempotent {
        // They stay claimed, and are sent again when the claim is old.
        outcomes.retain(|(_, handed)| !matches!(handed, Handed::Unknown(_)));
    }
    mark(bus, outcomes)
        .instrument(tracing::debug_span!("dispatch.mark"))
        .await
}

async fn mark(bus: &Bus, mut outcomes: Vec<(Uuid, Handed)>) -> Result<(), Failure> {
    if outcomes.is_empty() {
        return Ok(());
    }
    outcomes.sort_unstable_by_key(|(contact, _)| *contact);
    let now = bus.now();
    let mut tx = bus.begin().await?;
    let mark = |(contact, handed)| {
        let (state, provider, reason) = match handed {
            Handed::Sent(answer) => (ContactState::Sent, answer, "handed over".to_owned()),
            Handed::Refused(why) => (ContactState::Failed, None, why),
            Handed::Unknown(why) => (ContactState::Unknown, None, why),
        };
        Marked {
            contact,
            state,
            provider,
            reason,
        }
    };
    let marks: Vec<Marked> = outcomes.into_iter().map(mark).collect();
    let mut events = Vec::with_capacity(marks.len());
    let (mut settled, mut joint, mut again) = (Vec::new(), Vec::new(), Vec::new());
    for event in store::contacts::mark(tx.conn(), &marks, now).await? {
        let account = event.account_id.as_uuid();
        let sent = event.state == ContactState::Sent;
        let note = (!sent).then(|| event.reason.clone());
        match event.run_id.map(contracts::dunning::RunId::as_uuid) {
            Some(run) if event.debtor_ref.is_some() => joint.push((run, account, note)),
            Some(run) => settled.push(Settled {
                run,
                account,
                state: if sent { "sent" } else { "failed" },
                note,
                contact: None,
            }),
            None => {}
        }
        if !sent {
            again.push(account);
        }
        let contact = event.contact_id.as_uuid();
        events.push(outgoing(&event, contact, event.version, bus, contact)?);
    }
    store::dispatch::settle(tx.conn(), &settled).await?;
    store::debtors::settle(tx.conn(), &joint).await?;
    store::contacts::fold(tx.conn(), &again).await?;
    tx.publish(&events).await?;
    let of: Vec<AccountId> = joint
        .iter()
        .map(|(_, account, _)| (*account).into())
        .collect();
    let cause = Meta::of_command(Uuid::now_v7(), now, None);
    referrals::accounts(&mut tx, bus.prefix(), &of, now, &cause).await?;
    if !again.is_empty() {
        let told = told(bus, &cause, "a reminder did not reach them");
        credit::look(&mut tx, &again, told).await?;
    }
    tx.commit().await
}

fn told<'t>(bus: &'t Bus, cause: &'t Meta, reason: &'t str) -> Told<'t> {
    Told {
        prefix: bus.prefix(),
        now: bus.now(),
        cause,
        actor: SYSTEM,
        reason,
    }
}
