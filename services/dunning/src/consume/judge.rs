//! What became of promises and plans, and whether debtors are supplied on credit:
//! worked out anew from what is known, after each fact about their accounts and
//! when a day is over.

use chrono::{DateTime, Utc};
use contracts::{
    Prefix,
    dunning::{HoldChanged, PlanChanged, PlanState, PromiseChanged, PromiseState},
};
use kernel::{AccountId, Money, london_date};
use messaging::{Failure, Meta, Outgoing, Tx};
use uuid::Uuid;

use super::{credit, referrals};
use crate::{
    domain::{hold, hold::Hold, plan::Plan, promise::Promise},
    store::{self, stops::Written},
};

pub(crate) const SYSTEM: &str = "system:dunning";

/// Who did something and why.
#[derive(Clone, Copy)]
pub(crate) struct Told<'t> {
    pub(crate) prefix: &'t Prefix,
    pub(crate) now: DateTime<Utc>,
    pub(crate) cause: &'t Meta,
    pub(crate) actor: &'t str,
    pub(crate) reason: &'t str,
}

/// Writes a promise with what it stops, and tells of it.
pub(crate) async fn put_promise(
    tx: &mut Tx,
    promise: &Promise,
    from: Option<PromiseState>,
    told: Told<'_>,
) -> Result<(), Failure> {
    let money = |amount| Money::try_new(amount, promise.currency).map_err(Failure::of);
    let event = PromiseChanged {
        promise_id: promise.id,
        version: promise.version,
        state: promise.state,
        from,
        account_id: promise.account,
        account_ref: promise.account_ref.clone(),
        items: promise.covered().map_err(Failure::of)?,
        instalments: promise.instalments().map_err(Failure::of)?,
        amount: money(promise.amount())?,
        received: money(promise.received)?,
        judged_on: promise.judged_on(),
        level: promise.level,
        method: promise.method.clone(),
        promised_by: promise.promised_by.clone(),
        late_reversal: promise.late_reversal,
        replaced_by: promise.replaced_by,
        cause: Some(told.cause.id),
        recorded_at: told.now,
        actor: told.actor.to_owned(),
        reason: told.reason.to_owned(),
    };
    store::promises::put(tx.conn(), promise).await?;
    if let Some(stop) = promise.stop().map_err(Failure::of)? {
        let written = Written {
            account: promise.account,
            version: promise.version,
            stop,
        };
        store::stops::put(tx.conn(), &[written]).await?;
    }
    let (prefix, now) = (told.prefix, told.now);
    let id = promise.id.as_uuid();
    let out = Outgoing::new(&event, id, promise.version, prefix, now, told.cause)?;
    tx.publish(&[out]).await?;
    referrals::accounts(tx, prefix, &[promise.account], now, told.cause).await
}

/// Writes a plan with what it stops, and tells of it.
pub(crate) async fn put_plan(
    tx: &mut Tx,
    plan: &Plan,
    from: Option<PlanState>,
    told: Told<'_>,
) -> Result<(), Failure> {
    let money = |amount| Money::try_new(amount, plan.currency).map_err(Failure::of);
    let event = PlanChanged {
        plan_id: plan.id,
        version: plan.version,
        state: plan.state,
        from,
        account_id: plan.account,
        account_ref: plan.account_ref.clone(),
        items: plan.covered().map_err(Failure::of)?,
        instalments: plan.instalments().map_err(Failure::of)?,
        amount: money(plan.amount())?,
        received: money(plan.received)?,
        missed: plan.missed,
        interest_frozen: plan.interest_frozen && plan.state == PlanState::Active,
        method: plan.method.clone(),
        cause: Some(told.cause.id),
        recorded_at: told.now,
        actor: told.actor.to_owned(),
        reason: told.reason.to_owned(),
    };
    store::plans::put(tx.conn(), plan, london_date(told.now)).await?;
    let written = Written {
        account: plan.account,
        version: plan.version,
        stop: plan.stop().map_err(Failure::of)?,
    };
    store::stops::put(tx.conn(), &[written]).await?;
    let (prefix, now) = (told.prefix, told.now);
    let id = plan.id.as_uuid();
    let out = Outgoing::new(&event, id, plan.version, prefix, now, told.cause)?;
    tx.publish(&[out]).await?;
    referrals::accounts(tx, prefix, &[plan.account], now, told.cause).await
}

/// Writes a hold with what it stops, and tells of it; the words of some are not
/// for everybody and stay here (E99).
pub(crate) async fn put_hold(tx: &mut Tx, hold: &Hold, told: Told<'_>) -> Result<(), Failure> {
    let restricted = hold::is_restricted(hold.kind);
    let event = HoldChanged {
        hold_id: hold.id,
        version: hold.version,
        kind: hold.kind,
        state: hold.state,
        account_id: hold.account,
        account_ref: hold.account_ref.clone(),
        debtor_ref: hold.debtor.clone(),
        documents: hold.documents.clone(),
        starts_on: hold.starts_on,
        ends_on: hold.ends_on,
        review_on: hold.review_on,
        owner: hold.owner.clone(),
        reference: hold.reference.clone().filter(|_| !restricted),
        cause: Some(told.cause.id),
        recorded_at: told.now,
        actor: told.actor.to_owned(),
        reason: if restricted {
            "restricted".to_owned()
        } else {
            told.reason.to_owned()
        },
    };
    let today = london_date(told.now);
    let review = hold.review_on.filter(|on| hold.is_active() && *on > today);
    store::holds::put(tx.conn(), hold, review).await?;
    let written = Written {
        account: hold.account,
        version: hold.version,
        stop: hold.stop(),
    };
    store::stops::put(tx.conn(), &[written]).await?;
    let (prefix, now) = (told.prefix, told.now);
    let id = hold.id.as_uuid();
    let out = Outgoing::new(&event, id, hold.version, prefix, now, told.cause)?;
    tx.publish(&[out]).await?;
    referrals::accounts(tx, prefix, &[hold.account], now, told.cause).await
}

fn words(state: PromiseState, late_reversal: bool) -> &'static str {
    match state {
        PromiseState::Kept => "what was promised came in time",
        PromiseState::Lapsed => "credited or given up instead of paid",
        PromiseState::Broken if late_reversal => "it was kept, and the payment was taken back",
        PromiseState::Broken => "nothing came in time",
        PromiseState::PartlyKept => "a part came in time",
        _ => "what was received has changed",
    }
}

/// Judges the promises and plans of accounts, and their referrals.
pub(crate) async fn accounts(
    tx: &mut Tx,
    prefix: &Prefix,
    accounts: &[AccountId],
    now: DateTime<Utc>,
    cause: &Meta,
) -> Result<(), Failure> {
    if accounts.is_empty() {
        return Ok(());
    }
    agreements(tx, prefix, accounts, now, cause).await?;
    let ids: Vec<Uuid> = accounts.iter().map(|account| account.as_uuid()).collect();
    let told = Told {
        prefix,
        now,
        cause,
        actor: SYSTEM,
        reason: "what is open has changed",
    };
    credit::look(tx, &ids, told).await?;
    referrals::accounts(tx, prefix, accounts, now, cause).await
}

async fn agreements(
    tx: &mut Tx,
    prefix: &Prefix,
    accounts: &[AccountId],
    now: DateTime<Utc>,
    cause: &Meta,
) -> Result<(), Failure> {
    let promises = store::promises::lock_of(tx.conn(), accounts).await?;
    let plans = store::plans::lock_of(tx.conn(), accounts).await?;
    let first = promises
        .iter()
        .map(|promise| promise.taken_at)
        .chain(plans.iter().map(|plan| plan.taken_at))
        .min();
    let Some(first) = first else {
        return Ok(());
    };
    let all = store::plans::books(tx.conn(), accounts, first).await?;
    let none = crate::domain::agreed::Books::default();
    let today = london_date(now);
    let told = Told {
        prefix,
        now,
        cause,
        actor: SYSTEM,
        reason: "",
    };
    for before in promises {
        let mut after = before.clone();
        after.judge(all.get(&before.account).unwrap_or(&none), today);
        if after == before {
            continue;
        }
        after.version += 1;
        let told = Told {
            reason: words(after.state, after.late_reversal),
            ..told
        };
        put_promise(tx, &after, Some(before.state), told).await?;
    }
    for before in plans {
        let mut after = before.clone();
        after.judge(all.get(&before.account).unwrap_or(&none), today);
        // The day of an instalment passes, though nothing else changes: also that of
        // the last, while what is left of it is in dispute.
        if after == before && before.state == PlanState::Active {
            store::plans::put(tx.conn(), &after, today).await?;
        }
        if after == before {
            continue;
        }
        after.version += 1;
        let reason = match after.state {
            PlanState::Completed => "everything was paid",
            PlanState::Defaulted => "too many instalments were missed",
            _ => "what was received has changed",
        };
        put_plan(tx, &after, Some(before.state), Told { reason, ..told }).await?;
    }
    Ok(())
}
