//! Chase or not, and why: for each overdue item exactly one reason.
//!
//! Pure. The same rules decide a run's proposal, the last look before a letter
//! is handed over, and what a person sees on the account.

use std::collections::BTreeMap;

use chrono::{Datelike as _, Days, Months, NaiveDate};
use contracts::{
    dunning::{Channel, ChaseReason, HoldKind},
    inbound::AccountKind,
};
use kernel::{AccountId, Classified, Currency, DocumentId, ErrorClass, Money, MoneyError};
use rust_decimal::Decimal;

use super::{
    joint::{self, Joint},
    policy::{Debtor, Policies, Policy, Stage},
    reach,
    stops::{self, Contact, NoEffect, Stop, StopKind},
};

/// A debt that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub document: DocumentId,
    pub document_ref: String,
    pub due_on: NaiveDate,
    pub open: Money,
    /// What allocation says takes off what may be chased.
    pub terms: Terms,
    /// It was settled and came back: since when it is open again, and for how
    /// many days it was settled (E32).
    pub resumed_on: Option<NaiveDate>,
    pub settled_days: i64,
    /// The stage that it has come to.
    pub reached: Option<Reached>,
    /// In a run that is not over.
    pub in_run: bool,
}

/// Amounts of one debt that are not chased, in its currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    pub in_direct_debit: Decimal,
    pub likely_theirs: Decimal,
    pub unapplied_credit: Decimal,
}

/// The last stage that was actually sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    pub rank: i16,
    pub on: NaiveDate,
    /// The policy that it was sent under: it is kept while it exists.
    pub policy: String,
    pub version: i32,
}

/// A debtor with all that decides whether they are chased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub account: AccountId,
    pub account_ref: String,
    pub parent_ref: Option<String>,
    pub kind: Option<AccountKind>,
    pub segment: Option<String>,
    /// Whose debt it is, where it is not the firm's own.
    pub principal: Option<String>,
    /// Of each kind whether there is an address that is not known to be wrong.
    pub has_email: bool,
    pub has_address: bool,
    pub has_phone: bool,
    /// Ways that they do not want (E67).
    pub opted_out: Vec<Channel>,
    /// Debts only, in any order.
    pub items: Vec<Item>,
    /// Active and past ones.
    pub stops: Vec<Stop>,
    /// Days on which they were contacted lately, on any channel and over all
    /// accounts of the debtor (E61).
    pub contacts: Vec<NaiveDate>,
    /// Those who owe it together; nobody where the account owes alone (E97). As it
    /// stands to one of them, that one.
    pub debtors: Vec<Joint>,
}

/// When the question is asked, and what is known of the bank feeds.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub today: NaiveDate,
    /// Age of the oldest feed that is used; nothing when there is none.
    pub feed_age_hours: Option<u32>,
}

/// What is to be done about one overdue item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub document: DocumentId,
    pub reason: ChaseReason,
    /// Of a hold, which.
    pub hold: Option<HoldKind>,
    /// What may be chased of it: between nothing and what is open.
    pub chaseable: Money,
    pub from: Option<i16>,
    /// The next stage; whether it is taken now, the reason says.
    pub to: Option<i16>,
    /// When something changes by itself, if that is known.
    pub next_on: Option<NaiveDate>,
}

impl Verdict {
    pub const fn is_chased(&self) -> bool {
        is_chased(self.reason)
    }
}

/// Whether an item with this reason is contacted about.
pub const fn is_chased(reason: ChaseReason) -> bool {
    matches!(reason, ChaseReason::ChaseNow | ChaseReason::SuspectedQuery)
}

/// One contact that is due: everything that moves, at its highest stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contacting {
    pub stage: String,
    pub rank: i16,
    pub template: String,
    pub channel: Channel,
    /// Only a person may contact them (E79).
    pub by_person: bool,
    /// What it claims, one sum for each currency.
    pub amounts: Vec<Money>,
}

/// What is decided about an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The policy and its version.
    pub policy: Option<(String, i32)>,
    /// One for each item that is overdue, or that a stage before the due day has
    /// come for.
    pub verdicts: Vec<Verdict>,
    pub contact: Option<Contacting>,
}

#[derive(Debug, thiserror::Error)]
pub enum ChaseError {
    #[error(transparent)]
    Money(#[from] MoneyError),
    #[error(transparent)]
    Effect(#[from] NoEffect),
}

impl Classified for ChaseError {
    fn code(&self) -> &'static str {
        match self {
            Self::Money(error) => error.code(),
            Self::Effect(error) => error.code(),
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::Money(error) => error.class(),
            Self::Effect(error) => error.class(),
        }
    }
}

/// Why an item is not chased by what is said of it, with what is left to chase.
pub(super) struct Standing {
    pub(super) blocked: Option<(ChaseReason, Option<HoldKind>, Option<NaiveDate>)>,
    pub(super) chaseable: Money,
    /// What takes off what is open, each as far as something was left: with what
    /// may be chased it comes to what is open.
    pub(super) parts: Vec<(ChaseReason, Money)>,
    pub(super) suspected: bool,
    /// Only a person may contact them.
    pub(super) by_person: bool,
}

/// How an item stands by what is said of it, whatever stage it is at.
pub(super) fn standing(
    item: &Item,
    stops: &[Stop],
    today: NaiveDate,
) -> Result<Standing, ChaseError> {
    let zero = Money::zero(item.open.currency());
    let mut standing = Standing {
        blocked: None,
        chaseable: item.open,
        parts: Vec::new(),
        suspected: false,
        by_person: false,
    };
    if !item.open.is_positive() {
        standing.chaseable = zero;
        standing.blocked = Some((ChaseReason::NothingOwed, None, None));
        return Ok(standing);
    }
    // What takes off, and why: the first that takes the last penny is the reason.
    let mut off: BTreeMap<ChaseReason, (Decimal, Option<NaiveDate>)> = BTreeMap::new();
    for stop in stops.iter().filter(|stop| stop.is_active(today)) {
        let Some(part) = stop.covers(item.document) else {
            continue;
        };
        let next = Some(stop.over_from()).filter(|day| *day < NaiveDate::MAX);
        let reason = match stop.kind {
            StopKind::Suspected => {
                standing.suspected = true;
                continue;
            }
            StopKind::Hold(kind) => {
                match stops::effect(kind, today)?.contact {
                    Contact::All => {}
                    Contact::Person => standing.by_person = true,
                    Contact::None => {
                        let reason = match kind {
                            HoldKind::Legal => ChaseReason::WithLegal,
                            _ => ChaseReason::OnHold,
                        };
                        // The strongest word counts, and it takes everything.
                        if standing
                            .blocked
                            .is_none_or(|(known, _, until)| (reason, next) < (known, until))
                        {
                            standing.blocked = Some((reason, Some(kind), next));
                        }
                        standing.chaseable = zero;
                    }
                }
                continue;
            }
            StopKind::Promise => ChaseReason::Promised,
            StopKind::Plan => ChaseReason::OnPlan,
            StopKind::Query => ChaseReason::InQuery,
        };
        let amount = part.amount.unwrap_or(item.open).amount();
        let entry = off.entry(reason).or_insert((Decimal::ZERO, None));
        entry.0 += amount;
        entry.1 = entry.1.max(next);
    }
    if let Some((reason, ..)) = standing.blocked {
        standing.parts.push((reason, item.open));
        return Ok(standing);
    }
    for (reason, amount) in [
        (
            ChaseReason::DirectDebitWillCollect,
            item.terms.in_direct_debit,
        ),
        (ChaseReason::CashLikelyTheirs, item.terms.likely_theirs),
        (ChaseReason::CreditUnused, item.terms.unapplied_credit),
    ] {
        if amount > Decimal::ZERO {
            off.insert(reason, (amount, None));
        }
    }
    let mut left = item.open.amount();
    for (reason, (amount, next)) in off {
        let taken = Money::try_new(amount.min(left), item.open.currency())?;
        standing.parts.push((reason, taken));
        left -= amount;
        if left <= Decimal::ZERO {
            standing.blocked = Some((reason, None, next));
            standing.chaseable = zero;
            return Ok(standing);
        }
    }
    standing.chaseable = Money::try_new(left, item.open.currency())?;
    Ok(standing)
}

/// The day from which a stage's arrears are counted.
fn anchor(stage: &Stage, due_on: NaiveDate) -> NaiveDate {
    if !stage.month_end {
        return due_on;
    }
    due_on
        .with_day(1)
        .and_then(|first| first.checked_add_months(Months::new(1)))
        .and_then(|next| next.pred_opt())
        .unwrap_or(due_on)
}

fn plus(day: NaiveDate, days: i64) -> NaiveDate {
    day.checked_add_signed(chrono::TimeDelta::days(days))
        .unwrap_or(day)
}

/// Days that an item's clocks stood still between two days: stops, and the time
/// in which it was settled.
fn still(item: &Item, stops: &[Stop], from: NaiveDate, until: NaiveDate) -> i64 {
    let settled = item
        .resumed_on
        .filter(|resumed| *resumed > from && *resumed <= until)
        .map_or(0, |_| item.settled_days);
    stops::paused(stops, item.document, item.open, from, until) + settled
}

/// From which day a stage may be taken, as it looks today: what has stopped the
/// clocks so far is in it.
fn ripe_on(item: &Item, stage: &Stage, stops: &[Stop], today: NaiveDate) -> NaiveDate {
    let anchor = anchor(stage, item.due_on);
    let by_arrears = plus(
        anchor,
        stage.days_past_due + still(item, stops, anchor, today),
    );
    let since_last = item.reached.as_ref().map(|reached| {
        plus(
            reached.on,
            i64::from(stage.days_since_last) + still(item, stops, reached.on, today),
        )
    });
    since_last.map_or(by_arrears, |since| since.max(by_arrears))
}

/// The stage that an item comes to next, and from which day.
fn next_stage<'p>(
    item: &Item,
    policy: &'p Policy,
    position: &Position,
    today: NaiveDate,
) -> Option<(&'p Stage, NaiveDate)> {
    let mut rank = item.reached.as_ref().map(|reached| reached.rank);
    let mut found: Option<(&Stage, NaiveDate)> = None;
    while let Some(stage) = policy.after(rank, position.kind) {
        rank = Some(stage.rank);
        // A courtesy before the due day is past once it is due.
        if stage.is_courtesy() && item.due_on < today {
            continue;
        }
        let ripe = ripe_on(item, stage, &position.stops, today);
        if found.is_some() && ripe > today {
            break;
        }
        found = Some((stage, ripe));
        if !policy.jump || ripe > today {
            break;
        }
    }
    found
}

/// Whether a way reaches the debtor; which they want or not is another question.
pub(super) fn reaches(channel: Channel, position: &Position, by_person: bool) -> bool {
    match channel {
        Channel::Email => position.has_email && !by_person,
        Channel::Letter => position.has_address && !by_person,
        Channel::Phone => position.has_phone,
        Channel::Visit => position.has_address,
    }
}

/// The first way of a stage that can reach the debtor: one that they do not want
/// only when no other is left, of what must be served (E67). `first` goes before
/// those of the stage.
pub fn channel(
    stage: &Stage,
    first: Option<Channel>,
    position: &Position,
    by_person: bool,
    today: NaiveDate,
) -> Option<Channel> {
    let usable = || {
        first
            .into_iter()
            .chain(stage.channels.iter().copied())
            .filter(|channel| reaches(*channel, position, by_person))
    };
    let wanted = |channel: &Channel| !position.opted_out.contains(channel);
    if let Some(channel) = usable().find(wanted) {
        return Some(channel);
    }
    if by_person && position.has_phone && wanted(&Channel::Phone) {
        return Some(Channel::Phone);
    }
    usable()
        .next()
        .filter(|_| reach::is_served(stage.legal, today))
}

struct Candidate<'p> {
    verdict: usize,
    stage: &'p Stage,
    channel: Channel,
    by_person: bool,
}

/// Decides about an account: of one that several owe, about each of them.
///
/// # Errors
/// When amounts overflow, or a hold's effect is not known.
pub fn judge(
    position: &Position,
    policies: &Policies,
    moment: Moment,
) -> Result<Judgement, ChaseError> {
    if position.debtors.is_empty() {
        return alone(position, policies, moment);
    }
    let mut seen: Vec<Position> = position
        .debtors
        .iter()
        .map(|debtor| joint::seen(position, debtor))
        .collect();
    let each: Result<Vec<Judgement>, ChaseError> = seen
        .iter()
        .map(|seen| alone(seen, policies, moment))
        .collect();
    let mut each = each?;
    let lowest = joint::lowest(&each);
    for (seen, judgement) in seen.iter_mut().zip(&mut each) {
        let further: Vec<DocumentId> = judgement
            .verdicts
            .iter()
            .filter(|verdict| verdict.is_chased())
            .filter(|verdict| verdict.to.as_ref() > lowest.get(&verdict.document))
            .map(|verdict| verdict.document)
            .collect();
        if further.is_empty() {
            continue;
        }
        for item in &mut seen.items {
            item.in_run |= further.contains(&item.document);
        }
        *judgement = alone(seen, policies, moment)?;
    }
    Ok(joint::together(each)?)
}

/// Decides about an account as it stands to one debtor.
///
/// # Errors
/// When amounts overflow, or a hold's effect is not known.
pub fn alone(
    position: &Position,
    policies: &Policies,
    moment: Moment,
) -> Result<Judgement, ChaseError> {
    let today = moment.today;
    let debtor = Debtor {
        account_ref: &position.account_ref,
        parent_ref: position.parent_ref.as_deref(),
        kind: position.kind,
        segment: position.segment.as_deref(),
    };
    let chosen = policies.choose(debtor, today);
    // What is under way keeps its version.
    let running = position
        .items
        .iter()
        .filter_map(|item| item.reached.as_ref())
        .filter_map(|reached| policies.get(&reached.policy, reached.version))
        .max_by_key(|policy| (policy.valid_from, policy.version));
    let policy = match (chosen, running) {
        (Some(chosen), Some(running)) if running.policy == chosen.policy => Some(running),
        (chosen, _) => chosen,
    };
    let mut verdicts = Vec::with_capacity(position.items.len());
    let mut candidates: Vec<Candidate<'_>> = Vec::new();
    for item in &position.items {
        let next = policy.and_then(|policy| {
            joint::owed(item.document, policy, position)
                .or_else(|| next_stage(item, policy, position, today))
        });
        let overdue = item.due_on < today;
        let early = next.is_some_and(|(stage, ripe)| stage.is_courtesy() && ripe <= today);
        if !overdue && !early {
            continue;
        }
        let standing = standing(item, &position.stops, today)?;
        let mut verdict = Verdict {
            document: item.document,
            reason: ChaseReason::ChaseNow,
            hold: None,
            chaseable: standing.chaseable,
            from: item.reached.as_ref().map(|reached| reached.rank),
            to: next.map(|(stage, _)| stage.rank),
            next_on: None,
        };
        if let Some((reason, hold, next_on)) = standing.blocked {
            verdict.reason = reason;
            verdict.hold = hold;
            verdict.next_on = next_on;
            verdicts.push(verdict);
            continue;
        }
        let Some(policy) = policy else {
            verdict.reason = ChaseReason::NoPolicy;
            verdicts.push(verdict);
            continue;
        };
        let cooling = stops::last_end(&position.stops, item.document, item.open, today)
            .into_iter()
            .chain(item.resumed_on)
            .max()
            .map(|end| end + Days::new(policy.cool_off_days.into()));
        let stale = moment
            .feed_age_hours
            .is_some_and(|age| age > policy.feed_fresh_hours);
        match next {
            None => verdict.reason = ChaseReason::LastStageDone,
            Some((_, ripe)) if ripe > today => {
                verdict.reason = ChaseReason::Waiting;
                verdict.next_on = Some(ripe).filter(|day| *day < NaiveDate::MAX);
            }
            Some(_) if item.in_run => verdict.reason = ChaseReason::InRun,
            Some(_) if stale => verdict.reason = ChaseReason::FeedStale,
            Some(_) if cooling.is_some_and(|until| until > today) => {
                verdict.reason = ChaseReason::ContactedRecently;
                verdict.next_on = cooling;
            }
            Some((stage, _)) if !policies.encloses(stage.legal, position.kind, today) => {
                verdict.reason = ChaseReason::EnclosuresMissing;
            }
            Some((stage, _)) => match channel(stage, None, position, standing.by_person, today) {
                None => verdict.reason = ChaseReason::NoAddress,
                Some(channel) => {
                    if standing.suspected {
                        verdict.reason = ChaseReason::SuspectedQuery;
                    }
                    candidates.push(Candidate {
                        verdict: verdicts.len(),
                        stage,
                        channel,
                        by_person: standing.by_person,
                    });
                }
            },
        }
        verdicts.push(verdict);
    }
    let contact = match policy {
        Some(policy) => contact(&mut verdicts, &mut candidates, policy, position, today)?,
        None => None,
    };
    Ok(Judgement {
        policy: policy.map(|policy| (policy.policy.clone(), policy.version)),
        verdicts,
        contact,
    })
}

/// Sums of money, one for each currency, in the order of their codes.
pub(super) fn sums(
    amounts: impl IntoIterator<Item = Money>,
) -> Result<BTreeMap<Currency, Money>, MoneyError> {
    let mut sums: BTreeMap<Currency, Money> = BTreeMap::new();
    for amount in amounts {
        let sum = sums
            .entry(amount.currency())
            .or_insert_with(|| Money::zero(amount.currency()));
        *sum = sum.checked_add(amount)?;
    }
    Ok(sums)
}

/// Days of contacts that count in the budget of a policy, the oldest first.
pub(super) fn recent(position: &Position, policy: &Policy, today: NaiveDate) -> Vec<NaiveDate> {
    let window = today
        .checked_sub_days(Days::new(policy.budget.days.into()))
        .unwrap_or(today);
    let mut recent: Vec<NaiveDate> = position
        .contacts
        .iter()
        .copied()
        .filter(|day| *day > window && *day <= today)
        .collect();
    recent.sort_unstable();
    recent
}

/// What is left to be contacted about after minimum and budget; the reasons of
/// what falls away are changed.
fn contact(
    verdicts: &mut [Verdict],
    candidates: &mut Vec<Candidate<'_>>,
    policy: &Policy,
    position: &Position,
    today: NaiveDate,
) -> Result<Option<Contacting>, ChaseError> {
    // What is not due yet is in no letter about what is: its courtesy waits.
    if candidates
        .iter()
        .any(|candidate| !candidate.stage.is_courtesy())
    {
        candidates.retain(|candidate| {
            let courtesy = candidate.stage.is_courtesy();
            if courtesy && let Some(verdict) = verdicts.get_mut(candidate.verdict) {
                verdict.reason = ChaseReason::Waiting;
            }
            !courtesy
        });
    }
    // The minimum is held against all that may be chased and is overdue, or of
    // courtesies against all of those, in its currency: many small ones are worth
    // a letter together (E51).
    let courtesies = candidates
        .iter()
        .any(|candidate| candidate.stage.is_courtesy());
    let counts = |verdict: &&Verdict| {
        let due = position
            .items
            .iter()
            .any(|item| item.document == verdict.document && item.due_on < today);
        due || courtesies
    };
    let all = sums(
        verdicts
            .iter()
            .filter(counts)
            .map(|verdict| verdict.chaseable),
    )?;
    candidates.retain(|candidate| {
        let Some(verdict) = verdicts.get_mut(candidate.verdict) else {
            return false;
        };
        let currency = verdict.chaseable.currency();
        let sum = all.get(&currency).map_or(Decimal::ZERO, |sum| sum.amount());
        let enough = sum >= candidate.stage.least(currency, policy);
        if !enough {
            verdict.reason = ChaseReason::BelowMinimum;
        }
        enough
    });
    let recent = recent(position, policy, today);
    let budget = policy.budget.contacts as usize;
    if recent.len() >= budget {
        // The oldest that must leave the window first.
        let frees = recent
            .get(recent.len() - budget)
            .and_then(|day| day.checked_add_days(Days::new(policy.budget.days.into())));
        for candidate in candidates.drain(..) {
            if let Some(verdict) = verdicts.get_mut(candidate.verdict) {
                verdict.reason = ChaseReason::ContactedRecently;
                verdict.next_on = frees;
            }
        }
    }
    let Some(highest) = candidates
        .iter()
        .max_by_key(|candidate| candidate.stage.rank)
    else {
        return Ok(None);
    };
    let claimed = candidates
        .iter()
        .filter_map(|candidate| verdicts.get(candidate.verdict))
        .map(|verdict| verdict.chaseable);
    Ok(Some(Contacting {
        stage: highest.stage.code.clone(),
        rank: highest.stage.rank,
        template: highest.stage.template.clone(),
        channel: highest.channel,
        by_person: candidates.iter().any(|candidate| candidate.by_person),
        amounts: sums(claimed)?.into_values().collect(),
    }))
}
