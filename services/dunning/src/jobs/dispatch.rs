//! The dispatch of runs: at the moment of sending every account is judged again,
//! claimed in the send ledger, handed over, and marked. A crash between is
//! picked up by whoever comes next.

use std::{collections::HashMap, time::Duration};

use chrono::{NaiveDate, TimeDelta};
use contracts::{
    Event,
    dunning::{Channel, ChaseReason, ContactItem, ContactState, RunKind},
};
use kernel::{Currency, DocumentId, Money};
use mail::{Handed, Mailer};
use messaging::{Bus, Failure, Meta, Outgoing};
use uuid::Uuid;

use crate::{
    channel::Options,
    consume::{
        credit,
        judge::{SYSTEM, Told},
    },
    domain::{
        chase::{self, Judgement, Position, Verdict},
        joint,
        policy::Stage,
        template::{Facts, Line},
    },
    jobs::{
        enclosed::{Enclosing, enclosed},
        statements::{self, By},
        written::{Making, To, Written, write},
    },
    serve::{late_sums, moment},
    store::{self, contacts::Claimed, dispatch::Queued},
};

/// How often.
pub(crate) const EVERY: Duration = Duration::from_secs(1);
/// Why nobody was written to who is held.
const HELD: &str = ChaseReason::OnHold.name();
/// Accounts of one transaction.
const BATCH: i64 = 50;
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
    let answers = match &dispatch.mailer {
        Some(mailer) => mailer.answers().await,
        None => false,
    };
    for _ in 0..ROUNDS {
        if bus.shutdown().is_cancelled() || !left_over(&bus, &dispatch, answers).await? {
            break;
        }
    }
    for _ in 0..ROUNDS {
        if bus.shutdown().is_cancelled() {
            break;
        }
        let (taken, claimed) = claim(&bus, &dispatch, answers).await?;
        send(&bus, &dispatch, claimed).await?;
        if taken < BATCH as usize {
            break;
        }
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
    let queued = store::dispatch::take(tx.conn(), with_mail, BATCH).await?;
    if queued.is_empty() {
        return Ok((0, Vec::new()));
    }
    let policies = store::policies::all(tx.conn()).await?;
    let moment = moment(tx.conn(), bus).await?;
    let runs: Vec<Uuid> = queued.iter().map(|one| one.run_id).collect();
    let templates = store::templates::published(tx.conn(), &runs, moment.today).await?;
    // Accounts of one debtor have one contact budget: nobody else uses it up
    // meanwhile (E61).
    let mut debtors: Vec<String> = queued.iter().filter_map(|one| one.debtor.clone()).collect();
    let of_queued: Vec<Uuid> = queued.iter().map(|one| one.account_id).collect();
    debtors.extend(store::debtors::of_accounts(tx.conn(), &of_queued).await?);
    store::ways::lock_debtors(tx.conn(), &debtors).await?;
    let mut events = Vec::new();
    let mut claimed = Vec::new();
    let mut accounts = Vec::new();
    let by = By {
        options: &dispatch.options,
        policies: &policies,
        templates: &templates,
        moment,
    };
    for one in &queued {
        let made = if one.kind == RunKind::Reminders.name() {
            decide(tx.conn(), bus, one, by).await?
        } else {
            statements::decide(tx.conn(), bus.now(), one, by).await?
        };
        match made {
            Err(why) => {
                store::dispatch::settle(
                    tx.conn(),
                    one.run_id,
                    one.account_id,
                    "recalled",
                    Some(&why),
                    None,
                )
                .await?;
            }
            Ok(made) => {
                let is_claimed = |one: &Written| one.event.state == ContactState::Claimed;
                let state = if made.iter().any(is_claimed) {
                    "claimed"
                } else {
                    "sent"
                };
                let first = made.first().map(|made| made.event.contact_id.as_uuid());
                store::dispatch::settle(tx.conn(), one.run_id, one.account_id, state, None, first)
                    .await?;
                if one.debtor.is_some() {
                    store::contacts::fold(tx.conn(), &[one.account_id]).await?;
                } else {
                    accounts.push(one.account_id);
                }
                for made in made {
                    let (event, contact) = (&made.event, made.event.contact_id.as_uuid());
                    events.push(outgoing(event, contact, event.version, bus, one.run_id)?);
                    if is_claimed(&made) {
                        claimed.push(Claimed {
                            contact_id: contact,
                            address: made.email.unwrap_or_default(),
                            bytes: made.bytes,
                        });
                    }
                }
            }
        }
    }
    store::contacts::fold(tx.conn(), &accounts).await?;
    tx.publish(&events).await?;
    let contacted: Vec<Uuid> = queued.iter().map(|one| one.account_id).collect();
    let cause = Meta::of_command(Uuid::now_v7(), bus.now(), None);
    let told = told(bus, &cause, "they were reminded");
    credit::look_by(&mut tx, &contacted, &policies, told).await?;
    tx.commit().await?;
    Ok((queued.len(), claimed))
}

/// A document that is still chased at the stage that was approved.
struct Kept {
    document: DocumentId,
    rank: i16,
    amount: Money,
}

/// What of the approved is still to be claimed: never more than may be chased
/// now, never more than was approved, never at another stage.
fn kept(one: &Queued, judgement: &Judgement, sent: &[(Uuid, i16)]) -> Result<Vec<Kept>, String> {
    let mut kept = Vec::new();
    let mut why: Option<String> = None;
    for (n, document) in one.documents.iter().enumerate() {
        let approved = one.reasons.get(n).map(String::as_str);
        if !matches!(approved, Some("chase_now" | "suspected_query")) {
            continue;
        }
        let Some(rank) = one.ranks_to.get(n).copied().flatten() else {
            continue;
        };
        if sent.contains(&(*document, rank)) {
            why.get_or_insert_with(|| "sent already".to_owned());
            continue;
        }
        let verdict = judgement
            .verdicts
            .iter()
            .find(|verdict| verdict.document.as_uuid() == *document);
        let Some(verdict) = verdict else {
            why.get_or_insert_with(|| "nothing_owed".to_owned());
            continue;
        };
        if !verdict.is_chased() {
            why.get_or_insert_with(|| reason(verdict));
            continue;
        }
        if verdict.to != Some(rank) {
            why.get_or_insert_with(|| "another stage is due now".to_owned());
            continue;
        }
        let most = one.chaseable.get(n).copied().unwrap_or_default();
        let currency = one.currencies.get(n).map(|code| Currency::parse(code));
        if !matches!(currency, Some(Ok(currency)) if currency == verdict.chaseable.currency()) {
            continue;
        }
        let amount = Money::try_new(
            verdict.chaseable.amount().min(most),
            verdict.chaseable.currency(),
        )
        .map_err(|e| e.to_string())?;
        kept.push(Kept {
            document: verdict.document,
            rank,
            amount,
        });
    }
    if kept.is_empty() {
        return Err(why.unwrap_or_else(|| "nothing of it is chased now".to_owned()));
    }
    Ok(kept)
}

fn reason(verdict: &Verdict) -> String {
    serde_json::to_value(verdict.reason)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

/// The way that was approved while it reaches them, else the first of the stage
/// that does; and whether only a person may take it.
fn way(stage: &Stage, one: &Queued, position: &Position, today: NaiveDate) -> Option<Channel> {
    let approved = one.channel.as_deref().and_then(Channel::named);
    chase::channel(stage, approved, position, false, today)
}

/// Judges one account again; the contacts that were written for it, one with each
/// of its debtors who may be contacted, or why it is recalled.
async fn decide(
    conn: &mut sqlx::PgConnection,
    bus: &Bus,
    one: &Queued,
    by: By<'_>,
) -> Result<Result<Vec<Written>, String>, Failure> {
    let account = one.account_id.into();
    let mut positions = store::positions::load(conn, account, account).await?;
    let Some(position) = positions.first_mut() else {
        return Ok(Err("nothing_owed".to_owned()));
    };
    // It is this run that has them.
    for item in &mut position.items {
        item.in_run &= !one.documents.contains(&item.document.as_uuid());
    }
    let (mut made, mut why) = (Vec::new(), None);
    for (debtor, seen) in joint::each(position) {
        let to = To::of(one, debtor, &position.debtors);
        match decide_to(conn, bus, one, &seen, &to, by).await? {
            Ok(written) => made.push(written),
            // Who is held is the reason only where everybody is.
            Err(because) if why.as_deref().is_none_or(|why| why == HELD) => why = Some(because),
            Err(_) => {}
        }
    }
    if made.is_empty() {
        return Ok(Err(why.unwrap_or_else(|| "nothing_owed".to_owned())));
    }
    Ok(Ok(made))
}

/// Judges an account as it stands to one debtor again; the contact with them, or why
/// there is none.
async fn decide_to(
    conn: &mut sqlx::PgConnection,
    bus: &Bus,
    one: &Queued,
    position: &Position,
    to: &To,
    by: By<'_>,
) -> Result<Result<Written, String>, Failure> {
    let now = bus.now();
    let (policies, moment) = (by.policies, by.moment);
    let judgement = chase::alone(position, policies, moment).map_err(Failure::of)?;
    let debtor = to.debtor.as_deref();
    let sent = store::contacts::sent_already(conn, &one.documents, debtor).await?;
    let kept = match kept(one, &judgement, &sent) {
        Ok(kept) => kept,
        Err(why) => return Ok(Err(why)),
    };
    let policy = one
        .policy
        .as_deref()
        .zip(one.policy_version)
        .and_then(|(policy, version)| policies.get(policy, version));
    let Some(policy) = policy else {
        return Ok(Err("no_policy".to_owned()));
    };
    let stage_of = |rank: i16| policy.at(rank, position.kind);
    let highest = kept.iter().map(|kept| kept.rank).max().unwrap_or_default();
    let Some(stage) = stage_of(highest) else {
        return Ok(Err("no_policy".to_owned()));
    };
    let Some(channel) = way(stage, one, position, moment.today) else {
        return Ok(Err("no_address".to_owned()));
    };
    // Another team may have said so since it was approved (E79).
    let by_person = judgement.contact.is_some_and(|contact| contact.by_person);
    if by_person && matches!(channel, Channel::Email | Channel::Letter) {
        return Ok(Err("only a person may contact them".to_owned()));
    }
    let Some(template) = by.templates.of_run(one.run_id, &stage.template) else {
        return Ok(Err(format!("there is no template {}", stage.template)));
    };
    let mut items = Vec::with_capacity(kept.len());
    let mut lines = Vec::with_capacity(kept.len());
    let mut sums: HashMap<&'static str, Money> = HashMap::new();
    for kept in &kept {
        let Some(item) = position.items.iter().find(|i| i.document == kept.document) else {
            continue;
        };
        let sum = sums
            .entry(kept.amount.currency().code())
            .or_insert_with(|| Money::zero(kept.amount.currency()));
        *sum = sum.checked_add(kept.amount).map_err(Failure::of)?;
        items.push(ContactItem {
            document_id: kept.document,
            document_ref: item.document_ref.clone(),
            stage: stage_of(kept.rank).map(|stage| stage.code.clone()),
            amount: kept.amount,
        });
        lines.push(Line {
            document_ref: item.document_ref.clone(),
            due_on: item.due_on,
            amount: kept.amount.display_uk(),
        });
    }
    let mut amounts: Vec<Money> = sums.into_values().collect();
    amounts.sort_by_key(|amount| amount.currency().code());
    let total: Vec<String> = amounts.iter().map(|amount| amount.display_uk()).collect();
    let mut facts = Facts::new(
        by.options.sender.clone(),
        to.addressee(one),
        lines,
        total.join(" and "),
        moment.today,
        one.sentence.clone(),
    );
    facts.joint.clone_from(&to.joint);
    let enclosing = Enclosing {
        account: position.account,
        kind: position.kind,
        legal: stage.legal,
        today: moment.today,
    };
    let Some(enclosed) = enclosed(conn, bus, &by.options.sender, enclosing).await? else {
        return Ok(Err(ChaseReason::EnclosuresMissing.name().to_owned()));
    };
    facts.enclosed = enclosed.iter().map(|one| one.title.clone()).collect();
    if template.names_late() {
        let documents: Vec<DocumentId> = items.iter().map(|item| item.document_id).collect();
        facts.late = late_sums(conn, position.account, debtor, &documents, moment.today).await?;
    }
    let written = write(
        conn,
        now,
        Making {
            sender: &by.options.sender,
            one,
            to,
            channel,
            template,
            facts: &facts,
            enclosed: &enclosed,
            stage: &stage.code,
            title: &stage.title,
            items,
            ranks: kept.iter().map(|kept| Some(kept.rank)).collect(),
            amounts,
            counted_on: Some(moment.today),
        },
    )
    .await?;
    let written = match written {
        Ok(written) => written,
        Err(why) => return Ok(Err(why)),
    };
    let by_us = matches!(channel, Channel::Email | Channel::Letter);
    if by_us && (policy.interest.posts() || !stage.charge.is_empty()) {
        store::claims::expect(conn, written.event.contact_id.as_uuid()).await?;
    }
    Ok(Ok(written))
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
    mark(bus, outcomes).await
}

async fn mark(bus: &Bus, mut outcomes: Vec<(Uuid, Handed)>) -> Result<(), Failure> {
    if outcomes.is_empty() {
        return Ok(());
    }
    outcomes.sort_unstable_by_key(|(contact, _)| *contact);
    let now = bus.now();
    let mut tx = bus.begin().await?;
    let mut events = Vec::new();
    let mut again = Vec::new();
    for (contact, handed) in outcomes {
        let (state, provider, why) = match handed {
            Handed::Sent(answer) => (ContactState::Sent, answer, "handed over".to_owned()),
            Handed::Refused(why) => (ContactState::Failed, None, why),
            Handed::Unknown(why) => (ContactState::Unknown, None, why),
        };
        let marked =
            store::contacts::mark(tx.conn(), contact, state, provider.as_deref(), &why, now)
                .await?;
        let Some(event) = marked else {
            continue;
        };
        let account = event.account_id.as_uuid();
        if let Some(run) = event.run_id {
            let (row, note) = match state {
                ContactState::Sent => ("sent", None),
                _ => ("failed", Some(why.as_str())),
            };
            if event.debtor_ref.is_some() {
                store::debtors::settle(tx.conn(), run.as_uuid(), account, note).await?;
            } else {
                store::dispatch::settle(tx.conn(), run.as_uuid(), account, row, note, None).await?;
            }
        }
        if state != ContactState::Sent {
            again.push(account);
        }
        events.push(outgoing(&event, contact, event.version, bus, contact)?);
    }
    store::contacts::fold(tx.conn(), &again).await?;
    tx.publish(&events).await?;
    if !again.is_empty() {
        let cause = Meta::of_command(Uuid::now_v7(), now, None);
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
