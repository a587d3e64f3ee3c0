//! Receipts whose money is not where it belongs, and bank lines that took some.
//!
//! Receipts come by the thousand: only what is needed is read of them, and one
//! that was allocated at once calls for nothing.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use contracts::allocation::{
    DebitPosted, DebitState, ReceiptParked, ReceiptState, ReceiptUnparked,
};
use kernel::{Money, london_time};
use messaging::{Failure, Raw};
use serde::Deserialize;
use uuid::Uuid;

use crate::domain::{
    desk::{Change, Signal},
    item::Opening,
};

const UNALLOCATED: &str = "unallocated_receipt";
const SUGGESTION: &str = "suggestion_to_review";
const DUPLICATE: &str = "possible_duplicate";
const TO_CHECK: &str = "to_check";

/// What of the events about a receipt matters here.
#[derive(Deserialize)]
struct Moved {
    receipt_id: Uuid,
    version: i64,
    state: ReceiptState,
    account_id: Option<Uuid>,
    account_ref: Option<String>,
    unallocated: Money,
    #[serde(default)]
    suggestions: u16,
    decision: Decision,
    #[serde(default)]
    returned: Option<TakenBack>,
    booked_on: Option<NaiveDate>,
    bank_reference: Option<String>,
    payer_name: Option<String>,
    recorded_at: DateTime<Utc>,
    actor: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct Decision {
    evidence: Vec<Evidence>,
}

#[derive(Deserialize)]
struct Evidence {
    kind: String,
    #[serde(default)]
    detail: String,
}

#[derive(Deserialize)]
struct TakenBack {
    amount: Money,
    meaning: Option<String>,
    action: Option<String>,
    code: Option<String>,
    returned_on: NaiveDate,
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    london_time(day, NaiveTime::MIN)
}

pub(super) fn moved(raw: &Raw) -> Result<Vec<Signal>, Failure> {
    let moved: Moved = raw.json()?;
    let nothing_left = moved.unallocated.is_zero();
    // It never waited for anybody, and nothing came back.
    if nothing_left && moved.version <= 1 && moved.returned.is_none() {
        return Ok(Vec::new());
    }
    let duplicate = moved
        .decision
        .evidence
        .iter()
        .find(|evidence| evidence.kind == "duplicate");
    let wanted = match moved.state {
        _ if nothing_left => None,
        // Kept there on purpose.
        ReceiptState::OnAccount => None,
        _ if duplicate.is_some() => Some(DUPLICATE),
        _ if moved.suggestions > 0 => Some(SUGGESTION),
        _ => Some(UNALLOCATED),
    };
    let payer = moved.payer_name.as_deref().unwrap_or_default();
    let detail = match (wanted, duplicate) {
        (Some(DUPLICATE), Some(evidence)) => evidence.detail.clone(),
        (Some(SUGGESTION), _) if moved.suggestions == 1 => format!("1 suggestion {payer}"),
        (Some(SUGGESTION), _) => format!("{} suggestions {payer}", moved.suggestions),
        _ => match moved.state {
            ReceiptState::Unidentified => format!("payer not known {payer}"),
            ReceiptState::PartAllocated => format!("part allocated {payer}"),
            _ => format!("payer known, not what it pays {payer}"),
        },
    };
    let signal = |kind, change| Signal {
        kind,
        subject_id: moved.receipt_id,
        subject_version: moved.version,
        change,
        actor: moved.actor.clone(),
        reason: match moved.reason.as_str() {
            "" => format!("receipt {}", moved.state.name().replace('_', " ")),
            reason => reason.to_owned(),
        },
        at: moved.recorded_at,
    };
    let opening = |detail: String, amount: Money, business_at| Opening {
        subject_ref: moved.bank_reference.clone().unwrap_or_default(),
        detail,
        account_id: moved.account_id,
        account_ref: moved.account_ref.clone(),
        amount: Some(amount),
        wanted: None,
        back_on: None,
        pause: None,
        // Since when we can know of it: that a statement came late is the
        // feed's doing (E27).
        starts_at: moved.recorded_at,
        since: moved.recorded_at,
        business_at,
        related_id: None,
    };
    let mut signals = Vec::new();
    for kind in [UNALLOCATED, SUGGESTION, DUPLICATE] {
        let change = if wanted == Some(kind) {
            let since = moved.booked_on.map_or(moved.recorded_at, midnight);
            let about = detail.trim().to_owned();
            Change::Open(Box::new(opening(about, moved.unallocated, since)))
        } else if kind == UNALLOCATED {
            Change::Close
        } else {
            Change::CloseIfThere
        };
        signals.push(signal(kind, change));
    }
    if nothing_left {
        signals.push(signal(TO_CHECK, Change::CloseIfThere));
    }
    if let Some(returned) = &moved.returned {
        let why = [&returned.code, &returned.meaning, &returned.action]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(": ");
        let mut opening = opening(why, returned.amount, midnight(returned.returned_on));
        opening.starts_at = moved.recorded_at;
        signals.push(signal("returned_payment", Change::Open(Box::new(opening))));
    }
    Ok(signals)
}

pub(super) fn parked(raw: &Raw) -> Result<Vec<Signal>, Failure> {
    let parked: ReceiptParked = raw.json()?;
    let signal = |kind, change| Signal {
        kind,
        subject_id: parked.receipt_id.as_uuid(),
        subject_version: parked.version,
        change,
        actor: parked.actor.clone(),
        reason: format!("put aside: {}", parked.reason),
        at: parked.recorded_at,
    };
    let opening = Opening {
        subject_ref: String::new(),
        detail: parked.reason.clone(),
        account_id: None,
        account_ref: parked.account_ref.clone(),
        amount: Some(parked.unallocated),
        wanted: parked.owner.clone(),
        back_on: parked.until,
        pause: None,
        starts_at: parked.recorded_at,
        since: parked.recorded_at,
        business_at: parked.recorded_at,
        related_id: None,
    };
    Ok(vec![
        signal(TO_CHECK, Change::Open(Box::new(opening))),
        signal(UNALLOCATED, Change::CloseIfThere),
        signal(SUGGESTION, Change::CloseIfThere),
        signal(DUPLICATE, Change::CloseIfThere),
    ])
}

pub(super) fn unparked(raw: &Raw) -> Result<Vec<Signal>, Failure> {
    let taken_up: ReceiptUnparked = raw.json()?;
    let signal = |kind, change| Signal {
        kind,
        subject_id: taken_up.receipt_id.as_uuid(),
        subject_version: taken_up.version,
        change,
        actor: taken_up.actor.clone(),
        reason: format!("taken up again: {}", taken_up.reason),
        at: taken_up.recorded_at,
    };
    let opening = Opening {
        subject_ref: String::new(),
        detail: taken_up.reason.clone(),
        account_id: None,
        account_ref: taken_up.account_ref.clone(),
        amount: Some(taken_up.unallocated),
        wanted: None,
        back_on: None,
        pause: None,
        starts_at: taken_up.recorded_at,
        since: taken_up.recorded_at,
        business_at: taken_up.recorded_at,
        related_id: None,
    };
    Ok(vec![
        signal(TO_CHECK, Change::CloseIfThere),
        signal(UNALLOCATED, Change::Open(Box::new(opening))),
    ])
}

pub(super) fn debit(raw: &Raw) -> Result<Vec<Signal>, Failure> {
    let debit: DebitPosted = raw.json()?;
    let said = |parts: Vec<Option<&str>>| {
        let parts: Vec<&str> = parts.into_iter().flatten().collect();
        parts.join(" ")
    };
    let opening = |detail: String| {
        let reference = debit.advised.as_ref().map(|item| item.reference.clone());
        Change::Open(Box::new(Opening {
            subject_ref: debit
                .bank_reference
                .clone()
                .or(reference)
                .unwrap_or_default(),
            detail,
            account_id: debit.account_id.map(kernel::AccountId::as_uuid),
            account_ref: debit.account_ref.clone(),
            amount: Some(debit.amount),
            wanted: None,
            back_on: None,
            pause: None,
            starts_at: debit.recorded_at,
            since: debit.recorded_at,
            business_at: midnight(debit.booked_on),
            related_id: None,
        }))
    };
    let signal = |kind, change| Signal {
        kind,
        subject_id: debit.debit_id.as_uuid(),
        subject_version: debit.version,
        change,
        actor: debit.actor.clone(),
        reason: debit.reason.clone(),
        at: debit.recorded_at,
    };
    let (scheme, code) = (debit.scheme.as_deref(), debit.code.as_deref());
    let mut signals = Vec::new();
    match debit.state {
        DebitState::Unmatched => {
            let detail = said(vec![scheme, code]);
            signals.push(signal("unmatched_debit", opening(detail)));
        }
        _ if debit.version <= 1 => {}
        _ => signals.push(signal("unmatched_debit", Change::CloseIfThere)),
    }
    // An indemnity claim is work until the bank has taken it: there may be time to
    // challenge it (E35).
    if let Some(claim) = &debit.advised
        && claim.expected_on.is_some()
    {
        let day = |what: &str, day: Option<NaiveDate>| day.map(|day| format!("{what} {day}"));
        let challenge = day("challenge by", claim.challenge_by);
        let taken = day("taken on", claim.expected_on);
        let detail = said(vec![
            Some("indemnity claim"),
            code,
            challenge.as_deref(),
            taken.as_deref(),
        ]);
        signals.push(match debit.state {
            DebitState::Expected => signal("bacs_report", opening(detail)),
            _ => signal("bacs_report", Change::CloseIfThere),
        });
    }
    Ok(signals)
}
