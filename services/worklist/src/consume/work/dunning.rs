//! Runs that wait for their provider, promises that were not kept, holds to be looked at again, plans in default,
//! steps of referrals, and debts whose last day for a claim comes near.

use contracts::dunning::{
    HoldChanged, HoldState, LimitationChanged, LimitationState, PlanChanged, PlanState,
    PromiseChanged, PromiseState, ReferralChanged, RunChanged,
};
use kernel::london_date;
use messaging::{Failure, Raw};

use crate::domain::{
    desk::{Change, Signal},
    item::Opening,
};

const BROKEN: &str = "broken_promise";
const REVIEW: &str = "hold_review";
const DEFAULTED: &str = "plan_defaulted";
const LEGAL: &str = "legal_step";
const PROVIDER: &str = "provider_down";
const LIMITATION: &str = "limitation_watch";

pub(super) fn promise(raw: &Raw) -> Result<Vec<Signal>, Failure> {
    let promise: PromiseChanged = raw.json()?;
    // What came too late is there all the same: nobody need call.
    let paid = promise.received.amount() >= promise.amount.amount();
    let broken = matches!(
        promise.state,
        PromiseState::Broken | PromiseState::PartlyKept
    );
    let change = if broken && !paid {
        Change::Open(Box::new(Opening {
            subject_ref: promise.account_ref.clone(),
            detail: format!(
                "{} promised by {}, {} came{}",
                promise.amount.display_uk(),
                promise.judged_on.format("%d/%m/%Y"),
                promise.received.display_uk(),
                if promise.late_reversal {
                    " and was taken back"
                } else {
                    ""
                }
            ),
            account_id: Some(promise.account_id.as_uuid()),
            account_ref: Some(promise.account_ref.clone()),
            amount: Some(promise.amount),
            wanted: None,
            back_on: None,
            pause: None,
            starts_at: promise.recorded_at,
            since: promise.recorded_at,
            business_at: promise.recorded_at,
            related_id: None,
        }))
    } else {
        Change::Close
    };
    Ok(vec![Signal {
        kind: BROKEN,
        subject_id: promise.promise_id.as_uuid(),
        subject_version: promise.version,
        change,
        actor: promise.actor,
        reason: promise.reason,
        at: promise.recorded_at,
    }])
}

pub(super) fn hold(raw: &Raw) -> Result<Vec<Signal>, Failure> {
    let hold: HoldChanged = raw.json()?;
    let due = hold.state == HoldState::Active
        && hold
            .review_on
            .is_some_and(|on| on <= london_date(hold.recorded_at));
    let change = if due {
        Change::Open(Box::new(Opening {
            subject_ref: hold.account_ref.clone(),
            detail: format!(
                "{} since {}",
                hold.kind.name().replace('_', " "),
                hold.starts_on.format("%d/%m/%Y")
            ),
            account_id: Some(hold.account_id.as_uuid()),
            account_ref: Some(hold.account_ref.clone()),
            amount: None,
            wanted: Some(hold.owner.clone()),
            back_on: None,
            pause: None,
            starts_at: hold.recorded_at,
            since: hold.recorded_at,
            business_at: hold.recorded_at,
            related_id: None,
        }))
    } else {
        Change::Close
    };
    Ok(vec![Signal {
        kind: REVIEW,
        subject_id: hold.hold_id.as_uuid(),
        subject_version: hold.version,
        change,
        actor: hold.actor,
        reason: hold.reason,
        at: hold.recorded_at,
    }])
}

pub(super) fn plan(raw: &Raw) -> Result<Vec<Signal>, Failure> {
    let plan: PlanChanged = raw.json()?;
    let change = if plan.state == PlanState::Defaulted {
        Change::Open(Box::new(Opening {
            subject_ref: plan.account_ref.clone(),
            detail: format!(
                "{} missed, {} of {} came",
                plan.missed,
                plan.received.display_uk(),
                plan.amount.display_uk()
            ),
            account_id: Some(plan.account_id.as_uuid()),
            account_ref: Some(plan.account_ref.clone()),
            amount: Some(plan.amount),
            wanted: None,
            back_on: None,
            pause: None,
            starts_at: plan.recorded_at,
            since: plan.recorded_at,
            business_at: plan.recorded_at,
            related_id: None,
        }))
    } else {
        Change::Close
    };
    Ok(vec![Signal {
        kind: DEFAULTED,
        subject_id: plan.plan_id.as_uuid(),
        subject_version: plan.version,
        change,
        actor: plan.actor,
        reason: plan.reason,
        at: plan.recorded_at,
    }])
}

pub(super) fn run(raw: &Raw) -> Result<Vec<Signal>, Failure> {
    let run: RunChanged = raw.json()?;
    let change = match run.waits {
        None => Change::Close,
        Some(down) => Change::Open(Box::new(Opening {
            subject_ref: run.title,
            detail: format!(
                "no e-mail is taken since {} UTC: {}",
                down.since.format("%d/%m/%Y %H:%M"),
                down.answer
            ),
            account_id: None,
            account_ref: None,
            amount: None,
            wanted: None,
            back_on: None,
            pause: None,
            starts_at: run.recorded_at,
            since: down.since,
            business_at: run.recorded_at,
            related_id: None,
        })),
    };
    Ok(vec![Signal {
        kind: PROVIDER,
        subject_id: run.run_id.as_uuid(),
        subject_version: run.version,
        change,
        actor: run.actor,
        reason: run.reason,
        at: run.recorded_at,
    }])
}

pub(super) fn referral(raw: &Raw) -> Result<Vec<Signal>, Failure> {
    let referral: ReferralChanged = raw.json()?;
    let change = match referral.next_step {
        None => Change::Close,
        Some(step) => Change::Open(Box::new(Opening {
            subject_ref: referral.account_ref.clone(),
            detail: step,
            account_id: Some(referral.account_id.as_uuid()),
            account_ref: Some(referral.account_ref.clone()),
            amount: Some(referral.left.principal),
            wanted: None,
            back_on: None,
            pause: None,
            starts_at: referral.recorded_at,
            since: referral.recorded_at,
            business_at: referral.recorded_at,
            related_id: None,
        })),
    };
    Ok(vec![Signal {
        kind: LEGAL,
        subject_id: referral.referral_id.as_uuid(),
        subject_version: referral.version,
        change,
        actor: referral.actor,
        reason: referral.reason,
        at: referral.recorded_at,
    }])
}

pub(super) fn limitation(raw: &Raw) -> Result<Vec<Signal>, Failure> {
    let limitation: LimitationChanged = raw.json()?;
    let last_on = limitation.last_on.format("%d/%m/%Y");
    let detail = match limitation.state {
        LimitationState::Warned => Some(format!("a claim can be made until {last_on}")),
        LimitationState::Barred => Some(format!("no claim can be made since {last_on}")),
        LimitationState::Lifted => None,
    };
    let change = match detail {
        None => Change::Close,
        Some(detail) => Change::Open(Box::new(Opening {
            subject_ref: limitation.document_ref.clone(),
            detail: format!("{detail} ({})", limitation.reason),
            account_id: Some(limitation.account_id.as_uuid()),
            account_ref: Some(limitation.account_ref.clone()),
            amount: Some(limitation.open),
            wanted: None,
            back_on: None,
            pause: None,
            starts_at: limitation.recorded_at,
            since: limitation.recorded_at,
            business_at: limitation.recorded_at,
            related_id: None,
        })),
    };
    Ok(vec![Signal {
        kind: LIMITATION,
        subject_id: limitation.document_id.as_uuid(),
        subject_version: limitation.version,
        change,
        actor: limitation.actor,
        reason: limitation.reason,
        at: limitation.recorded_at,
    }])
}
