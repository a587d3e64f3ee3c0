//! What may be claimed for late payment of one document, and the words of its
//! working.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use contracts::{
    dunning::{ChargeId, ChargeKind},
    inbound::AccountKind,
};
use kernel::{Classified, DocumentId, ErrorClass, Money, MoneyError};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{
    interest::{self, Across, Debt, Debtor, InterestError, Terms, Working},
    policy::{AcrossHalfYears, InterestRules, Policy},
    stops::{self, Stop, StopKind},
};

/// A document that was or is late, with all that moved on it.
#[derive(Debug, Clone)]
pub struct Late {
    pub document: DocumentId,
    pub document_ref: String,
    pub due_on: NaiveDate,
    /// As billed, with VAT.
    pub gross: Money,
    pub open: Money,
    /// Day, receipt if it was cash, and what it lowered the debt by.
    pub movements: Vec<(NaiveDate, Option<Uuid>, Money)>,
}

/// What a contact makes due on a document: the same for the same kind.
pub fn charge_id(contact: Uuid, document: DocumentId, kind: ChargeKind) -> ChargeId {
    let name = format!("{document} {}", kind.name());
    Uuid::new_v5(&contact, name.as_bytes()).into()
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoClaim {
    #[error("a consumer owes neither the Act's interest nor its fixed sums")]
    Consumer,
    #[error("the policy claims nothing for late payment")]
    Policy,
    #[error("no policy is in force for this account")]
    NoPolicy,
    #[error("it is in query: nothing is claimed before that is settled")]
    InQuery,
    #[error("it is a claim for late payment itself: there is no interest on interest")]
    Itself,
    #[error("it has come to nothing, or all of it was posted before")]
    Nothing,
    #[error("compensation was posted for this invoice before: it is due once")]
    Once,
}

impl Classified for NoClaim {
    fn code(&self) -> &'static str {
        match self {
            Self::Consumer => "dunning.claim_consumer",
            Self::Policy => "dunning.claim_policy",
            Self::NoPolicy => "dunning.no_policy",
            Self::InQuery => "dunning.claim_in_query",
            Self::Itself => "dunning.claim_itself",
            Self::Nothing => "dunning.claim_nothing",
            Self::Once => "dunning.claim_once",
        }
    }

    fn class(&self) -> ErrorClass {
        ErrorClass::Conflict
    }
}

/// What the numbers of charges begin with.
pub const PREFIX: &str = "LPI-";

/// Whether a document is a charge by its number.
pub fn is_charge(document_ref: &str) -> bool {
    document_ref.starts_with(PREFIX)
}

/// By which rules an account's late debts bear interest.
///
/// # Errors
/// Why nothing may be claimed at all.
pub fn terms(
    kind: Option<AccountKind>,
    policy: Option<&Policy>,
) -> Result<(Debtor, Terms), NoClaim> {
    // Of one whose kind is not known we assume a consumer (E70).
    let debtor = match kind {
        Some(AccountKind::Company | AccountKind::SoleTrader) => Debtor::Business,
        Some(AccountKind::PublicBody) => Debtor::PublicBody,
        Some(AccountKind::Individual) | None => return Err(NoClaim::Consumer),
    };
    let terms = match policy.ok_or(NoClaim::NoPolicy)?.interest {
        InterestRules::None => return Err(NoClaim::Policy),
        InterestRules::Statutory { across, .. } => Terms::Statutory(match across {
            AcrossHalfYears::Fixed => Across::Fixed,
            AcrossHalfYears::Split => Across::Split,
        }),
        InterestRules::Contract { percent, .. } => Terms::Contract(percent),
    };
    Ok((debtor, terms))
}

/// What lowered a debt, by day: cash of one receipt counts with what is left of
/// it, from the day that it first came. A payment that bounced never was (E32).
fn lowered(
    movements: &[(NaiveDate, Option<Uuid>, Money)],
) -> Result<Vec<(NaiveDate, Money)>, MoneyError> {
    let mut receipts: BTreeMap<Uuid, (NaiveDate, Money)> = BTreeMap::new();
    let mut all = Vec::new();
    for (on, receipt, amount) in movements {
        let Some(receipt) = receipt else {
            all.push((*on, *amount));
            continue;
        };
        match receipts.get_mut(receipt) {
            Some((first, sum)) => {
                *first = (*on).min(*first);
                *sum = sum.checked_add(*amount)?;
            }
            None => {
                receipts.insert(*receipt, (*on, *amount));
            }
        }
    }
    all.extend(receipts.into_values().filter(|(_, sum)| !sum.is_zero()));
    all.sort_by_key(|(on, _)| *on);
    Ok(all)
}

/// Whether a hold lets nothing be charged while it holds.
pub fn is_free(stop: &Stop) -> bool {
    match stop.kind {
        StopKind::Hold(kind) => {
            stops::effect(kind, stop.starts_on).is_ok_and(|effect| !effect.interest)
        }
        _ => false,
    }
}

/// Days on which a document bears nothing: holds that say so, and plans under
/// which interest is frozen.
fn frozen(late: &Late, stops: &[Stop], policy: &Policy) -> Vec<(NaiveDate, NaiveDate)> {
    stops
        .iter()
        .filter(|stop| stop.covers(late.document).is_some())
        .filter(|stop| match stop.kind {
            StopKind::Hold(_) => is_free(stop),
            StopKind::Plan => policy.plan.interest_frozen,
            StopKind::Promise | StopKind::Query | StopKind::Suspected => false,
        })
        .map(|stop| (stop.starts_on, stop.over_from()))
        .collect()
}

/// Works out what a late document has come to by the end of `until`.
///
/// # Errors
/// When a rate is not known, or amounts do not go together.
pub fn work_out(
    late: &Late,
    (debtor, terms): (Debtor, Terms),
    stops: &[Stop],
    policy: &Policy,
    until: NaiveDate,
) -> Result<Working, InterestError> {
    let moved = lowered(&late.movements)?;
    // What was settled by the due day was never late.
    let early = moved.iter().filter(|(on, _)| *on <= late.due_on);
    let principal = early
        .map(|(_, amount)| *amount)
        .try_fold(late.gross, Money::checked_sub)?;
    let debt = Debt {
        principal,
        due_on: late.due_on,
        debtor,
        terms,
        lowered: moved
            .into_iter()
            .filter(|(on, _)| *on > late.due_on)
            .collect(),
        frozen: frozen(late, stops, policy),
    };
    interest::work_out(&debt, until)
}

/// Whether a query holds it now: the Act remits for the supplier's conduct, so
/// nothing is claimed before it is settled.
pub fn is_in_query(late: &Late, stops: &[Stop], today: NaiveDate) -> bool {
    stops.iter().any(|stop| {
        stop.kind == StopKind::Query
            && stop.is_active(today)
            && stop.covers(late.document).is_some()
    })
}

/// The working in words, to be printed beside the claim.
pub fn words(late: &Late, working: &Working, terms: Terms) -> Vec<String> {
    let mut lines = vec![format!(
        "{} of {} was due on {}.",
        late.document_ref,
        late.gross.display_uk(),
        late.due_on.format("%-d %B %Y")
    )];
    lines.push(match terms {
        Terms::Statutory(Across::Fixed) => {
            "Late Payment of Commercial Debts (Interest) Act 1998: 8 % above the reference rate of the half-year in \
             which interest began to run (SI 2002/1675 art. 4), simple, 365 days a year."
                .to_owned()
        }
        Terms::Statutory(Across::Split) => {
            "Late Payment of Commercial Debts (Interest) Act 1998: 8 % above the reference rate of each half-year, \
             simple, 365 days a year."
                .to_owned()
        }
        Terms::Contract(percent) => {
            format!("Interest by contract: {percent} % a year, simple, 365 days a year.")
        }
    });
    for segment in &working.segments {
        lines.push(format!(
            "{} to {}: {} days on {} at {} % = {}",
            segment.from.format("%-d %b %Y"),
            segment.to.format("%-d %b %Y"),
            segment.days,
            segment.balance.display_uk(),
            segment.rate.normalize(),
            segment.interest.round_dp(4)
        ));
    }
    lines.push(format!(
        "Interest, rounded once: {}",
        working.interest.display_uk()
    ));
    if let Some(compensation) = working.compensation {
        lines.push(format!(
            "Fixed sum of section 5A, by the debt when it became late: {}",
            compensation.display_uk()
        ));
    }
    lines
}

/// What of a working is still to be posted, given what was posted before.
///
/// # Errors
/// Why nothing is.
pub fn to_post(
    kind: ChargeKind,
    working: &Working,
    posted: &[(ChargeKind, Decimal)],
) -> Result<Money, NoClaim> {
    let of = |kind| -> Decimal {
        posted
            .iter()
            .filter(|(known, _)| *known == kind)
            .map(|(_, amount)| *amount)
            .sum()
    };
    let amount = match kind {
        ChargeKind::Interest => Money::try_new(
            working.interest.amount() - of(ChargeKind::Interest),
            working.interest.currency(),
        )
        .map_err(|_| NoClaim::Nothing)?,
        ChargeKind::Compensation => {
            if of(ChargeKind::Compensation) > Decimal::ZERO {
                return Err(NoClaim::Once);
            }
            working.compensation.ok_or(NoClaim::Nothing)?
        }
        ChargeKind::Fee | ChargeKind::Costs => return Err(NoClaim::Policy),
    };
    if amount.is_positive() {
        return Ok(amount);
    }
    Err(NoClaim::Nothing)
}

#[cfg(test)]
mod tests {
    use contracts::dunning::HoldKind;
    use kernel::{Currency, DocumentId};

    use super::*;
    use crate::domain::stops::Part;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn gbp(text: &str) -> Money {
        Money::parse(text, Currency::GBP).unwrap()
    }

    fn policy() -> Policy {
        Policy::shipped().unwrap().remove(0)
    }

    fn late(gross: &str) -> Late {
        Late {
            document: DocumentId::generate(),
            document_ref: "INV-1".to_owned(),
            due_on: day("2026-07-31"),
            gross: gbp(gross),
            open: gbp(gross),
            movements: Vec::new(),
        }
    }

    fn worked(late: &Late, stops: &[Stop], until: &str) -> Working {
        let policy = policy();
        let terms = terms(Some(AccountKind::Company), Some(&policy)).unwrap();
        work_out(late, terms, stops, &policy, day(until)).unwrap()
    }

    /// uk-domain 4.2: 10,000 due on 31 July 2026, paid 61 days later.
    #[test]
    fn the_printed_example_comes_out_to_the_penny() {
        let working = worked(&late("10000.00"), &[], "2026-09-30");
        assert_eq!(working.interest, gbp("196.37"));
        assert_eq!(working.compensation, Some(gbp("100.00")));
    }

    /// E32: the payment bounced: interest runs from the due day as if it had
    /// never come.
    #[test]
    fn e32_a_payment_that_bounced_never_was() {
        let receipt = Some(Uuid::now_v7());
        let mut bounced = late("10000.00");
        bounced.movements = vec![
            (day("2026-08-10"), receipt, gbp("10000.00")),
            (day("2026-09-01"), receipt, gbp("-10000.00")),
        ];
        assert_eq!(worked(&bounced, &[], "2026-09-30").interest, gbp("196.37"));
    }

    #[test]
    fn what_was_paid_by_the_due_day_was_never_late() {
        let mut part = late("10000.00");
        part.movements = vec![(day("2026-07-31"), Some(Uuid::now_v7()), gbp("9500.00"))];
        let working = worked(&part, &[], "2026-09-30");
        assert_eq!(working.segments[0].balance, gbp("500.00"));
        assert_eq!(working.compensation, Some(gbp("40.00")));
    }

    /// E73: the breathing space's days are never charged.
    #[test]
    fn e73_a_breathing_space_bears_nothing() {
        let one = late("10000.00");
        let stop = Stop {
            debtor: None,
            subject: Uuid::now_v7(),
            kind: StopKind::Hold(HoldKind::BreathingSpace),
            parts: vec![Part {
                document: one.document,
                amount: None,
            }],
            starts_on: day("2026-08-01"),
            ends_on: Some(day("2026-09-29")),
            ended_on: None,
        };
        let days: i64 = worked(&one, &[stop], "2026-09-30")
            .segments
            .iter()
            .map(|segment| segment.days)
            .sum();
        assert_eq!(days, 1);
    }

    /// E70: a consumer, and one of whom we do not know what they are.
    #[test]
    fn e70_nobody_who_may_be_a_consumer_is_charged() {
        let policy = policy();
        for kind in [Some(AccountKind::Individual), None] {
            assert_eq!(terms(kind, Some(&policy)).unwrap_err(), NoClaim::Consumer);
        }
    }

    /// E72: compensation once; interest only what is new.
    #[test]
    fn e72_what_was_posted_is_not_posted_again() {
        let working = worked(&late("10000.00"), &[], "2026-09-30");
        let before = [
            (ChargeKind::Interest, gbp("100.00").amount()),
            (ChargeKind::Compensation, gbp("100.00").amount()),
        ];
        assert_eq!(
            to_post(ChargeKind::Interest, &working, &before).unwrap(),
            gbp("96.37")
        );
        assert_eq!(
            to_post(ChargeKind::Compensation, &working, &before).unwrap_err(),
            NoClaim::Once
        );
        let all = [(ChargeKind::Interest, gbp("196.37").amount())];
        assert_eq!(
            to_post(ChargeKind::Interest, &working, &all).unwrap_err(),
            NoClaim::Nothing
        );
    }
}
