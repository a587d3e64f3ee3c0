//! Joint debtors: several people owe one account, each the whole of it (E97). The
//! ledger, the stages and the charges are one; letters, holds, ways and the contact
//! budget are each debtor's own.

use std::{borrow::Cow, collections::BTreeMap};

use chrono::{Days, NaiveDate};
use contracts::{
    dunning::{Channel, ChaseReason},
    inbound::AccountKind,
};
use kernel::{DocumentId, MoneyError};
use uuid::Uuid;

use super::{
    chase::{Contacting, Judgement, Position, Verdict, is_chased, sums},
    claim,
    policy::{Policy, Stage},
    stops::{Part, Stop},
};

/// The contact of a run with an account, or with one of its debtors: the same for
/// the same, so that a provider knows it again.
pub fn contact_id(run: Uuid, account: Uuid, debtor: Option<&str>) -> Uuid {
    let mut name = account.as_bytes().to_vec();
    name.extend_from_slice(debtor.unwrap_or_default().as_bytes());
    Uuid::new_v5(&run, &name)
}

/// One of those who owe an account together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joint {
    pub debtor_ref: String,
    pub name: String,
    pub kind: Option<AccountKind>,
    /// Addresses that are known and not known to be wrong.
    pub email: Option<String>,
    pub phone: Option<String>,
    pub address: Option<String>,
    pub opted_out: Vec<Channel>,
    /// Days on which they were contacted lately, over all accounts that name them.
    pub contacts: Vec<NaiveDate>,
    /// The stages that they had.
    pub had: Vec<Had>,
    /// Stages that another of them had, and this one not.
    pub missed: Vec<Missed>,
}

/// A stage of a document that a debtor had, and on which day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Had {
    pub document: DocumentId,
    pub rank: i16,
    pub on: NaiveDate,
}

/// A stage of a document that a debtor has not had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    pub document: DocumentId,
    pub rank: i16,
    /// It was handed over to them, and nobody knows what became of it (E65).
    pub unknown: bool,
}

/// A line of the send ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Everybody's who owes the account when there is none.
    pub debtor: Option<String>,
    pub had: Had,
    pub unknown: bool,
}

/// Says of each what they had, and what they missed of what another had.
pub fn compare(debtors: &mut [Joint], sent: &[Sent]) {
    let mut went: Vec<(DocumentId, i16)> = sent
        .iter()
        .filter(|one| !one.unknown)
        .map(|one| (one.had.document, one.had.rank))
        .collect();
    went.sort_unstable();
    went.dedup();
    for debtor in debtors {
        let theirs: Vec<&Sent> = sent
            .iter()
            .filter(|one| {
                let whose = one.debtor.as_deref();
                whose.is_none_or(|whose| whose == debtor.debtor_ref)
            })
            .collect();
        let known = theirs.iter().filter(|one| !one.unknown);
        debtor.had = known.map(|one| one.had).collect();
        let is = |had: &Had, document, rank| (had.document, had.rank) == (document, rank);
        debtor.missed = went
            .iter()
            .filter(|(document, rank)| !debtor.had.iter().any(|had| is(had, *document, *rank)))
            .map(|(document, rank)| Missed {
                document: *document,
                rank: *rank,
                unknown: theirs.iter().any(|one| is(&one.had, *document, *rank)),
            })
            .collect();
    }
}

/// The first stage that a debtor must have about a document before anything further,
/// and from which day: another had it, and what follows needs that each did. Far away
/// while nobody knows whether they have it.
pub fn owed<'p>(
    document: DocumentId,
    policy: &'p Policy,
    position: &Position,
) -> Option<(&'p Stage, NaiveDate)> {
    // As it stands to one of them.
    let [debtor] = position.debtors.as_slice() else {
        return None;
    };
    let missed = debtor
        .missed
        .iter()
        .filter(|missed| missed.document == document)
        .filter_map(|missed| Some((missed, policy.at(missed.rank, position.kind)?)))
        .filter(|(_, stage)| stage.is_needed())
        .min_by_key(|(missed, _)| missed.rank);
    let (missed, stage) = missed?;
    if missed.unknown {
        return Some((stage, NaiveDate::MAX));
    }
    // At once when their hold is over, but not on the heels of the one before.
    let before = debtor
        .had
        .iter()
        .filter(|had| had.document == document && had.rank < stage.rank)
        .map(|had| had.on)
        .max();
    let ripe = before.map_or(NaiveDate::MIN, |on| {
        on.checked_add_days(Days::new(stage.days_since_last.into()))
            .unwrap_or(on)
    });
    Some((stage, ripe))
}

/// Whether a stop binds a debtor: one that is everybody's, their own, or another's
/// of a kind that counts for those who owe with them (`data/holds.toml`).
pub fn binds(stop: &Stop, debtor: &str) -> bool {
    stop.debtor.as_deref().is_none_or(|whose| whose == debtor) || stop.spreads()
}

/// Whether something was charged while a hold of this debtor alone let nothing be
/// charged: it is never asked of them later (Debt Respite Scheme Regulations 2020,
/// reg. 7).
fn spared(document_ref: &str, charged_on: NaiveDate, own: &[&Stop]) -> bool {
    claim::is_charge(document_ref)
        && own
            .iter()
            .any(|stop| stop.is_active(charged_on) && claim::is_free(stop))
}

/// An account as it stands to one of its debtors, who alone is named in it.
pub fn seen(position: &Position, debtor: &Joint) -> Position {
    let mut seen = position.clone();
    seen.debtors = vec![debtor.clone()];
    seen.has_email = debtor.email.is_some();
    seen.has_phone = debtor.phone.is_some();
    seen.has_address = debtor.address.is_some();
    seen.opted_out.extend_from_slice(&debtor.opted_out);
    seen.contacts.clone_from(&debtor.contacts);
    seen.stops.retain(|stop| binds(stop, &debtor.debtor_ref));
    let own: Vec<&Stop> = position
        .stops
        .iter()
        .filter(|stop| stop.debtor.as_deref() == Some(debtor.debtor_ref.as_str()))
        .collect();
    seen.items
        .retain(|item| !spared(&item.document_ref, item.due_on, &own));
    // The days to the next stage run from when they had the one before.
    for item in &mut seen.items {
        let Some(reached) = &mut item.reached else {
            continue;
        };
        let is = |had: &&Had| (had.document, had.rank) == (item.document, reached.rank);
        if let Some(had) = debtor.had.iter().find(is) {
            reached.on = had.on;
        }
    }
    seen
}

/// Everybody who is written to about an account, with the account as it stands to
/// them: one without a debtor of its own where it owes alone.
pub fn each(position: &Position) -> Vec<(Option<&Joint>, Cow<'_, Position>)> {
    if position.debtors.is_empty() {
        return vec![(None, Cow::Borrowed(position))];
    }
    let debtors = position.debtors.iter();
    debtors
        .map(|debtor| (Some(debtor), Cow::Owned(seen(position, debtor))))
        .collect()
}

/// Which word is the account's where debtors have different ones: whoever is chased
/// decides; who cannot be reached, before who is held; else whoever is nearest to
/// being chased. A hold is the reason only if it is everybody's.
fn weight(reason: ChaseReason) -> (u8, ChaseReason) {
    let rank = match reason {
        ChaseReason::NothingOwed | ChaseReason::OnHold | ChaseReason::WithLegal => 0,
        ChaseReason::NoAddress => 1,
        reason if is_chased(reason) => 3,
        _ => 2,
    };
    (rank, reason)
}

/// Of each document that is chased the lowest stage for one of them: who is further
/// waits until who missed it had theirs, so that one letter goes about a document.
pub fn lowest(each: &[Judgement]) -> BTreeMap<DocumentId, i16> {
    let mut lowest = BTreeMap::new();
    let chased = each.iter().flat_map(|judgement| &judgement.verdicts);
    for verdict in chased.filter(|verdict| verdict.is_chased()) {
        if let Some(to) = verdict.to {
            let known = lowest.entry(verdict.document).or_insert(to);
            *known = to.min(*known);
        }
    }
    lowest
}

/// One judgement of an account from those of its debtors: still one reason for each
/// item.
///
/// # Errors
/// When amounts overflow.
pub fn together(each: Vec<Judgement>) -> Result<Judgement, MoneyError> {
    let policy = each.first().and_then(|first| first.policy.clone());
    let mut order: Vec<DocumentId> = Vec::new();
    let mut verdicts: BTreeMap<DocumentId, Verdict> = BTreeMap::new();
    let mut contact: Option<Contacting> = None;
    for judgement in each {
        for verdict in judgement.verdicts {
            match verdicts.get_mut(&verdict.document) {
                None => {
                    order.push(verdict.document);
                    verdicts.insert(verdict.document, verdict);
                }
                Some(known) if weight(known.reason) < weight(verdict.reason) => *known = verdict,
                Some(_) => {}
            }
        }
        // The highest stage; of one stage whoever may be written to goes before who
        // is for a person.
        let order = |one: &Contacting| (one.rank, !one.by_person);
        if let Some(one) = judgement.contact
            && contact
                .as_ref()
                .is_none_or(|known| order(known) < order(&one))
        {
            contact = Some(one);
        }
    }
    let verdicts: Vec<Verdict> = order
        .into_iter()
        .filter_map(|document| verdicts.remove(&document))
        .collect();
    if let Some(contact) = &mut contact {
        let chased = verdicts.iter().filter(|verdict| verdict.is_chased());
        let amounts = sums(chased.map(|verdict| verdict.chaseable))?;
        contact.amounts = amounts.into_values().collect();
    }
    Ok(Judgement {
        policy,
        verdicts,
        contact,
    })
}

fn both(one: &[Part], other: &[Part]) -> Option<Vec<Part>> {
    if one.is_empty() || other.is_empty() {
        return Some([one, other].concat());
    }
    let covered = |part: &&Part| other.iter().any(|known| known.document == part.document);
    let both: Vec<Part> = one.iter().filter(covered).copied().collect();
    (!both.is_empty()).then_some(both)
}

/// The time and the documents for which two stops of two debtors hold together.
fn overlap(one: &Stop, other: &Stop) -> Option<Stop> {
    let starts_on = one.starts_on.max(other.starts_on);
    let over = one.over_from().min(other.over_from());
    let parts = both(&one.parts, &other.parts)?;
    (starts_on < over).then(|| Stop {
        parts,
        starts_on,
        ended_on: (over < NaiveDate::MAX).then_some(over),
        ends_on: None,
        ..one.clone()
    })
}

/// The stops that bind everybody who owes an account: what is nobody's own, and of
/// those that matter to the question what all debtors have at the same time. Of an
/// account that owes alone, all of them.
pub fn of_everybody(
    stops: Vec<Stop>,
    debtors: &[String],
    matters: impl Fn(&Stop) -> bool,
) -> Vec<Stop> {
    let Some((first, others)) = debtors.split_first() else {
        return stops;
    };
    let (own, mut all): (Vec<Stop>, Vec<Stop>) =
        stops.into_iter().partition(|stop| stop.debtor.is_some());
    let of = |debtor: &str| -> Vec<&Stop> {
        own.iter()
            .filter(|stop| matters(stop) && stop.debtor.as_deref() == Some(debtor))
            .collect()
    };
    let mut shared: Vec<Stop> = of(first).into_iter().cloned().collect();
    for debtor in others {
        let theirs = of(debtor);
        shared = shared
            .iter()
            .flat_map(|one| theirs.iter().filter_map(|other| overlap(one, other)))
            .collect();
    }
    all.extend(shared);
    all
}

/// What a letter to one of several says of who else owes it; nothing where one owes.
pub fn words(debtors: &[Joint]) -> Option<String> {
    let names: Vec<&str> = debtors.iter().map(|one| one.name.as_str()).collect();
    let (last, others) = names.split_last()?;
    if others.is_empty() {
        return None;
    }
    Some(format!(
        "This account is owed by {} and {last} together. Each of you owes the whole of it; what one \
         of you pays counts for all of you.",
        others.join(", ")
    ))
}
