//! Client money that should not be where it is, and disbursements that nobody
//! has settled.

use chrono::{Days, NaiveTime};
use contracts::matters::{BankMoveChanged, DisbursementChanged, ResidualChanged, ResidualState};
use kernel::{london_date, london_time};
use messaging::{Failure, Raw};

use crate::domain::{
    desk::{Change, Signal},
    item::Opening,
    kinds,
};

const AGED: &str = "aged_disbursement";

pub(super) fn residual(raw: &Raw) -> Result<Vec<Signal>, Failure> {
    let residual: ResidualChanged = raw.json()?;
    let change = match residual.state {
        ResidualState::Closed => Change::Close,
        ResidualState::Open | ResidualState::Proposed => {
            let since = london_time(residual.since, NaiveTime::MIN);
            Change::Open(Box::new(Opening {
                subject_ref: residual.matter_ref.clone(),
                detail: match residual.state {
                    ResidualState::Proposed => "a way out waits for a second person".to_owned(),
                    _ => format!(
                        "held without a reason since {}",
                        residual.since.format("%-d %b %Y")
                    ),
                },
                account_id: Some(residual.account_id.as_uuid()),
                account_ref: Some(residual.account_ref.clone()),
                amount: Some(residual.balance),
                wanted: None,
                back_on: None,
                pause: None,
                starts_at: since,
                since,
                business_at: since,
                related_id: None,
            }))
        }
    };
    Ok(vec![Signal {
        kind: "residual_balance",
        subject_id: residual.residual_id.as_uuid(),
        subject_version: residual.version,
        change,
        actor: residual.actor,
        reason: residual.reason,
        at: residual.recorded_at,
    }])
}

pub(super) fn disbursement(raw: &Raw) -> Result<Vec<Signal>, Failure> {
    let changed: DisbursementChanged = raw.json()?;
    let change = if changed.recovery_state.is_settled() {
        Change::Close
    } else {
        // It waits for the day on which it is aged; each step moves that on.
        let after = kinds::kind(AGED, changed.on)?.after_days;
        let aged_on = changed.on + Days::new(after);
        let aged_at = london_time(aged_on, NaiveTime::MIN);
        Change::Open(Box::new(Opening {
            subject_ref: changed.matter_ref.clone(),
            detail: format!(
                "{} {}: {}",
                changed.kind.name().replace('_', " "),
                changed.supplier,
                changed.recovery_state.name().replace('_', " ")
            ),
            account_id: None,
            account_ref: Some(changed.account_ref.clone()),
            amount: Some(changed.amount),
            wanted: None,
            back_on: (aged_on > london_date(changed.recorded_at)).then_some(aged_on),
            pause: None,
            starts_at: aged_at,
            since: aged_at,
            business_at: london_time(changed.on, NaiveTime::MIN),
            related_id: None,
        }))
    };
    Ok(vec![Signal {
        kind: AGED,
        subject_id: changed.disbursement_id.as_uuid(),
        subject_version: changed.version,
        change,
        actor: changed.actor,
        reason: changed.reason,
        at: changed.recorded_at,
    }])
}

pub(super) fn bank_move(raw: &Raw) -> Result<Vec<Signal>, Failure> {
    let changed: BankMoveChanged = raw.json()?;
    let it = &changed.bank_move;
    let change = if it.done_on.is_some() {
        Change::Close
    } else {
        Change::Open(Box::new(Opening {
            subject_ref: changed.matter_ref.clone(),
            detail: format!(
                "{}: to the {} side by {}",
                it.kind.name().replace('_', " "),
                it.to.name(),
                it.due_by.format("%-d %b")
            ),
            account_id: None,
            account_ref: Some(changed.account_ref.clone()),
            amount: Some(it.amount),
            wanted: None,
            back_on: None,
            pause: None,
            starts_at: changed.recorded_at,
            since: changed.recorded_at,
            business_at: london_time(it.arose_on, NaiveTime::MIN),
            related_id: None,
        }))
    };
    Ok(vec![Signal {
        kind: "bank_move_due",
        subject_id: it.move_id.as_uuid(),
        // The event has no number of its own.
        subject_version: changed.recorded_at.timestamp_micros(),
        change,
        actor: changed.actor.clone(),
        reason: changed.reason.clone(),
        at: changed.recorded_at,
    }])
}
