//! What is collected by Direct Debit: which collections may be asked for, and
//! what becomes of them when their mandate changes. Pure.

use chrono::{DateTime, Days, Months, NaiveDate, Utc};
use contracts::{
    api::direct_debits::CollectionView,
    ingestion::{
        BacsFileId, CollectedDocument, CollectionChanged, CollectionId, CollectionRunId,
        CollectionState, MandateId, MandateState,
    },
};
use kernel::{AccountId, Currency, DocumentId, Money};
use uuid::Uuid;

use super::mandate::{CALENDAR, ForCollections, Mandate, Rules, rules};

/// A document, and what is collected of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub document_id: DocumentId,
    pub document_ref: String,
    pub amount: Money,
}

/// One collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    pub id: CollectionId,
    pub version: i64,
    pub run_id: CollectionRunId,
    pub mandate_id: MandateId,
    pub mandate_reference: String,
    pub account_id: AccountId,
    pub account_ref: String,
    /// 01, 17, 18 or 19.
    pub code: String,
    pub entry_on: NaiveDate,
    pub processing_on: NaiveDate,
    pub amount: Money,
    pub parts: Vec<Part>,
    pub state: CollectionState,
    pub reason: String,
    pub file_id: Option<BacsFileId>,
    /// The first presentation, of a code 18.
    pub first_id: Option<CollectionId>,
    /// The processing day of the first presentation.
    pub first_on: NaiveDate,
    /// How often it was presented again, this one included.
    pub again: u32,
    /// It came back with a reason for which it may be presented again.
    pub may_again: bool,
}

/// What a payer was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    pub sent_on: NaiveDate,
    pub entry_on: NaiveDate,
    pub amount: Money,
}

/// Why something is not collected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Stopped {
    pub code: &'static str,
    pub detail: String,
}

fn stopped(code: &'static str, detail: impl Into<String>) -> Stopped {
    Stopped {
        code,
        detail: detail.into(),
    }
}

/// What is asked for of one mandate.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    pub mandate: &'a Mandate,
    pub parts: Vec<Part>,
    pub notices: &'a [Notice],
    pub entry_on: NaiveDate,
    /// The last one by the mandate.
    pub last: bool,
    /// Working days of notice as agreed with the sponsoring bank, if not the
    /// scheme's.
    pub notice_days: Option<u32>,
}

/// The processing day of an entry day, if a file can still be sent for it.
///
/// # Errors
/// When the entry day is no working day, is too near or too far.
pub fn processing_day(
    entry_on: NaiveDate,
    today: NaiveDate,
    rules: Rules,
) -> Result<NaiveDate, Stopped> {
    let working = CALENDAR.is_working_day(entry_on).unwrap_or(false);
    let before = CALENDAR.sub_working_days(entry_on, 1).ok();
    let Some(processing_on) = before.filter(|_| working) else {
        return Err(stopped(
            "collections.entry_day",
            format!("{entry_on} is no working day in England and Wales"),
        ));
    };
    if processing_on <= today {
        return Err(stopped(
            "collections.too_late",
            format!("for entry on {entry_on} the file had to be sent before {processing_on}"),
        ));
    }
    let furthest = today.checked_add_days(Days::new(u64::from(rules.ahead_days)));
    if furthest.is_some_and(|furthest| processing_on > furthest) {
        return Err(stopped(
            "collections.too_early",
            format!(
                "a file is sent at most {} days before its processing day",
                rules.ahead_days
            ),
        ));
    }
    Ok(processing_on)
}

/// Whether the mandate may be collected by on that day.
fn usable(mandate: &Mandate, entry_on: NaiveDate, rules: Rules) -> Result<(), Stopped> {
    match mandate.state {
        MandateState::Active | MandateState::Lodged => {}
        state => {
            return Err(stopped(
                "collections.mandate_not_active",
                format!(
                    "the mandate is {}: {}",
                    state.name().replace('_', " "),
                    mandate.reason
                ),
            ));
        }
    }
    if let Some(from) = mandate.usable_from(rules)
        && !mandate.first_sent
        && entry_on < from
    {
        return Err(stopped(
            "collections.too_soon_after_lodgement",
            format!(
                "the first collection is {} working days after the instruction is processed: from {from} on",
                rules.first_days
            ),
        ));
    }
    Ok(())
}

/// A collection of one mandate, ready for a second person.
///
/// # Errors
/// Why it may not be collected: state of the mandate, its first day, amounts, and
/// an advance notice that is missing, too short or of another amount or day.
pub fn propose(
    wanted: Wanted<'_>,
    run_id: CollectionRunId,
    today: NaiveDate,
) -> Result<Collection, Stopped> {
    let rules = rules(today);
    let mandate = wanted.mandate;
    let processing_on = processing_day(wanted.entry_on, today, rules)?;
    usable(mandate, wanted.entry_on, rules)?;
    let amount = Money::sum(wanted.parts.iter().map(|p| p.amount), Currency::GBP)
        .map_err(|_| stopped("collections.amount", "Direct Debit collects pounds"))?;
    if !amount.is_positive() || super::std18::pence(amount).is_none() {
        return Err(stopped("collections.amount", "nothing is to be collected"));
    }
    noticed(&wanted, amount, rules)?;
    let code = match (mandate.first_sent, wanted.last) {
        (_, true) => "19",
        (false, false) => "01",
        (true, false) => "17",
    };
    Ok(Collection {
        id: CollectionId::generate(),
        version: 1,
        run_id,
        mandate_id: mandate.id,
        mandate_reference: mandate.reference.clone(),
        account_id: mandate.account_id,
        account_ref: mandate.account_ref.clone(),
        code: code.to_owned(),
        entry_on: wanted.entry_on,
        processing_on,
        amount,
        parts: wanted.parts,
        state: CollectionState::Proposed,
        reason: "asked for".to_owned(),
        file_id: None,
        first_id: None,
        first_on: processing_on,
        again: 0,
        may_again: false,
    })
}

/// A notice of this amount, for this day or up to three working days before it,
/// sent early enough.
fn noticed(wanted: &Wanted<'_>, amount: Money, rules: Rules) -> Result<(), Stopped> {
    let needed = wanted.notice_days.unwrap_or(rules.notice_days);
    let mut why = None;
    for notice in wanted.notices {
        if notice.amount != amount {
            why.get_or_insert_with(|| {
                stopped(
                    "collections.notice_of_other_amount",
                    format!(
                        "the advance notice says {}, not {}",
                        notice.amount.display_uk(),
                        amount.display_uk()
                    ),
                )
            });
            continue;
        }
        let latest = CALENDAR
            .add_working_days(notice.entry_on, rules.late_days)
            .ok();
        if wanted.entry_on < notice.entry_on || latest.is_none_or(|latest| wanted.entry_on > latest)
        {
            why = Some(stopped(
                "collections.notice_of_other_day",
                format!(
                    "the advance notice names {}: it is collected then or up to {} working days later",
                    notice.entry_on, rules.late_days
                ),
            ));
            continue;
        }
        let earliest = CALENDAR.add_working_days(notice.sent_on, needed).ok();
        if earliest.is_none_or(|earliest| notice.entry_on < earliest) {
            why = Some(stopped(
                "collections.notice_too_short",
                format!(
                    "the advance notice of {} is less than {needed} working days before {}",
                    notice.sent_on, notice.entry_on
                ),
            ));
            continue;
        }
        return Ok(());
    }
    Err(why.unwrap_or_else(|| {
        stopped(
            "collections.no_notice",
            "the payer was given no advance notice of it",
        )
    }))
}

impl Collection {
    /// The last day on which it may be presented again.
    pub fn again_until(&self, rules: Rules) -> Option<NaiveDate> {
        let month = self.first_on.checked_add_months(Months::new(1))?;
        let days = self
            .first_on
            .checked_add_days(Days::new(u64::from(rules.again_days)))?;
        (self.may_again && self.again < rules.again_most).then(|| month.min(days))
    }

    /// The same amount once more, code 18 (E36): only what came back for want of
    /// funds, within a month of the first presentation, at most twice.
    ///
    /// # Errors
    /// Which of these does not hold.
    pub fn present_again(
        &self,
        mandate: &Mandate,
        entry_on: NaiveDate,
        run_id: CollectionRunId,
        today: NaiveDate,
    ) -> Result<Self, Stopped> {
        let rules = rules(today);
        if self.state != CollectionState::Returned || !self.may_again {
            return Err(stopped(
                "collections.not_presented_again",
                "only what came back with ARUDD 0 (refer to payer) is presented again",
            ));
        }
        if self.again >= rules.again_most {
            return Err(stopped(
                "collections.presented_too_often",
                format!("it was presented again {} times already", self.again),
            ));
        }
        let processing_on = processing_day(entry_on, today, rules)?;
        let until = self.again_until(rules);
        if until.is_none_or(|until| processing_on > until) {
            return Err(stopped(
                "collections.presented_too_late",
                format!(
                    "it may be presented again within a month of {}; send a new advance notice instead",
                    self.first_on
                ),
            ));
        }
        usable(mandate, entry_on, rules)?;
        Ok(Self {
            id: CollectionId::generate(),
            version: 1,
            run_id,
            code: "18".to_owned(),
            entry_on,
            processing_on,
            state: CollectionState::Proposed,
            reason: "presented again".to_owned(),
            file_id: None,
            first_id: Some(self.first_id.unwrap_or(self.id)),
            again: self.again + 1,
            may_again: false,
            ..self.clone()
        })
    }

    /// Whether something of it can still come, or be decided.
    pub const fn is_live(&self) -> bool {
        matches!(
            self.state,
            CollectionState::Proposed
                | CollectionState::Approved
                | CollectionState::InFile
                | CollectionState::Sent
                | CollectionState::AtRisk
        )
    }

    /// Whether money is to come by it: it was approved, and is not over.
    pub const fn is_to_come(&self) -> bool {
        self.is_live() && !matches!(self.state, CollectionState::Proposed)
    }

    fn step(&self, state: CollectionState, reason: &str) -> Self {
        Self {
            state,
            reason: reason.to_owned(),
            version: self.version + 1,
            ..self.clone()
        }
    }

    /// In another state, for a reason.
    #[must_use]
    pub fn became(&self, state: CollectionState, reason: &str) -> Self {
        self.step(state, reason)
    }

    /// Its mandate changed (E38, E39). What is not sent is dropped, or goes on with
    /// the new details out of the file that had the old ones; what is sent is at
    /// risk, and no second one takes its place.
    pub fn follow(&self, effect: ForCollections, reason: &str) -> Option<Self> {
        match (self.state, effect) {
            (_, ForCollections::Keep) => None,
            (
                CollectionState::Proposed | CollectionState::Approved | CollectionState::InFile,
                ForCollections::Drop,
            ) => Some(self.step(CollectionState::Cancelled, reason)),
            (CollectionState::Proposed | CollectionState::Approved, ForCollections::Amend) => {
                Some(self.step(self.state, reason))
            }
            (CollectionState::InFile, ForCollections::Amend) => Some(Self {
                file_id: None,
                ..self.step(CollectionState::Approved, reason)
            }),
            (CollectionState::Sent, _) => Some(self.step(CollectionState::AtRisk, reason)),
            _ => None,
        }
    }

    /// The payer's bank did not pay it.
    pub fn unpaid(&self, again: bool, reason: &str) -> Option<Self> {
        matches!(
            self.state,
            CollectionState::Sent
                | CollectionState::AtRisk
                | CollectionState::InFile
                | CollectionState::Collected
        )
        .then(|| Self {
            may_again: again,
            ..self.step(CollectionState::Returned, reason)
        })
    }

    /// The days in which it could come back are over.
    pub fn aged(&self, today: NaiveDate) -> Option<Self> {
        let sent = matches!(self.state, CollectionState::Sent | CollectionState::AtRisk);
        let days = rules(today).return_days;
        let last = CALENDAR.add_working_days(self.entry_on, days).ok()?;
        (sent && today > last).then(|| {
            self.step(
                CollectionState::Collected,
                "it did not come back in the days in which it could",
            )
        })
    }

    pub fn documents(&self) -> Vec<CollectedDocument> {
        self.parts
            .iter()
            .map(|part| CollectedDocument {
                document_id: part.document_id,
                document_ref: part.document_ref.clone(),
                amount: part.amount,
                to_come: if self.is_to_come() {
                    part.amount
                } else {
                    Money::zero(part.amount.currency())
                },
            })
            .collect()
    }

    pub fn fact(&self, actor: &str, because_of: Uuid, now: DateTime<Utc>) -> CollectionChanged {
        CollectionChanged {
            collection_id: self.id,
            version: self.version,
            run_id: self.run_id,
            mandate_id: self.mandate_id,
            mandate_reference: self.mandate_reference.clone(),
            account_id: self.account_id,
            account_ref: self.account_ref.clone(),
            code: self.code.clone(),
            entry_on: self.entry_on,
            amount: self.amount,
            documents: self.documents(),
            state: self.state,
            reason: self.reason.clone(),
            recorded_at: now,
            actor: actor.to_owned(),
            because_of,
        }
    }

    pub fn view(&self, today: NaiveDate) -> CollectionView {
        CollectionView {
            collection_id: self.id,
            version: self.version,
            mandate_id: self.mandate_id,
            mandate_reference: self.mandate_reference.clone(),
            account_id: self.account_id,
            account_ref: self.account_ref.clone(),
            code: self.code.clone(),
            amount: self.amount,
            documents: self.documents(),
            state: self.state,
            reason: self.reason.clone(),
            again_until: self
                .again_until(rules(today))
                .filter(|until| self.state == CollectionState::Returned && *until >= today),
        }
    }
}

#[cfg(test)]
#[path = "collection_tests.rs"]
mod tests;
