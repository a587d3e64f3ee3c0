//! Referrals and limitation, worked out anew after each fact about their
//! accounts and when a day is over; and what a second person said of a
//! hand-over.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use contracts::{
    Prefix,
    api::dunning::ReferralNote,
    controls::{
        ApprovalCarriedOut, ApprovalDecided, ApprovalId, ApprovalKind, ApprovalState,
        ApprovalWithdrawn, CarriedOut, frozen,
    },
    dunning::{
        CarriedOutByDunning, LimitationChanged, LimitationState, ReferralChanged, ReferralState,
        WithdrawnByDunning,
    },
};
use kernel::{AccountId, Money, london_date};
use messaging::{Failure, Meta, Outgoing, Tx};
use uuid::Uuid;

use super::judge::{SYSTEM, Told};
use crate::{
    domain::{
        limitation::{self, Restart},
        referral::{Facts, Referral},
    },
    store::{self, limitations::Debt, stops::Written},
};

/// Writes a referral with what it stops in the house, and tells of it.
pub(crate) async fn put(
    tx: &mut Tx,
    referral: &Referral,
    facts: &Facts,
    from: Option<ReferralState>,
    told: Told<'_>,
) -> Result<(), Failure> {
    let event = ReferralChanged {
        referral_id: referral.id,
        version: referral.version,
        state: referral.state,
        from,
        law: referral.law,
        account_id: referral.account,
        account_ref: referral.account_ref.clone(),
        documents: referral.told_documents().map_err(Failure::of)?,
        left: referral.told_left().map_err(Failure::of)?,
        stopped: referral.stopped,
        runs_until: referral.runs_until,
        referred_to: referral.to,
        handler: referral.handler.clone(),
        recalled_because: referral.recall,
        pack_sha256: referral.pack_sha256.clone(),
        next_step: referral.next_step.clone(),
        cause: Some(told.cause.id),
        recorded_at: told.now,
        actor: told.actor.to_owned(),
        reason: told.reason.to_owned(),
    };
    let next_on = referral.next_on(facts, london_date(told.now));
    let note = ReferralNote {
        version: referral.version,
        state: referral.state,
        at: told.now,
        actor: told.actor.to_owned(),
        reason: told.reason.to_owned(),
    };
    store::referrals::put(tx.conn(), referral, next_on, &note).await?;
    if let Some(stop) = referral.stop() {
        let written = Written {
            account: referral.account,
            version: referral.version,
            stop,
        };
        store::stops::put(tx.conn(), &[written]).await?;
    }
    let id = referral.id.as_uuid();
    let (prefix, now) = (told.prefix, told.now);
    let out = Outgoing::new(&event, id, referral.version, prefix, now, told.cause)?;
    tx.publish(&[out]).await
}

/// Says that nobody need decide about a hand-over any more.
pub(crate) async fn withdraw(
    tx: &mut Tx,
    referral: &Referral,
    approval_id: ApprovalId,
    told: Told<'_>,
) -> Result<(), Failure> {
    let event = WithdrawnByDunning(ApprovalWithdrawn {
        approval_id,
        kind: ApprovalKind::LegalReferral,
        subject_id: referral.id.as_uuid(),
        account_ref: Some(referral.account_ref.clone()),
        actor: told.actor.to_owned(),
        reason: told.reason.to_owned(),
        recorded_at: told.now,
    });
    let about = approval_id.as_uuid();
    let (prefix, now) = (told.prefix, told.now);
    let out = Outgoing::new(&event, about, 2, prefix, now, told.cause)?;
    tx.publish(&[out]).await
}

/// Judges the referrals of accounts, and what is known of their limitation.
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
    let told = Told {
        prefix,
        now,
        cause,
        actor: SYSTEM,
        reason: "",
    };
    let today = london_date(now);
    for before in store::referrals::lock_of(tx.conn(), accounts).await? {
        let facts = store::referrals::facts(tx.conn(), &before).await?;
        let mut after = before.clone();
        let Some(reason) = after.judge(&facts, today) else {
            let next_on = after.next_on(&facts, today);
            store::referrals::look_again(tx.conn(), after.id, next_on).await?;
            continue;
        };
        after.version += 1;
        let told = Told {
            reason: &reason,
            ..told
        };
        if let Some(approval) = before.approval.filter(|_| after.approval.is_none()) {
            withdraw(tx, &after, approval, told).await?;
        }
        put(tx, &after, &facts, Some(before.state), told).await?;
    }
    let debts = store::limitations::told_of(tx.conn(), accounts).await?;
    limitations(tx, &debts, told).await
}

/// Says of which debts the last day comes near, is past, or has moved away.
pub(crate) async fn limitations(
    tx: &mut Tx,
    debts: &[Debt],
    told: Told<'_>,
) -> Result<(), Failure> {
    if debts.is_empty() {
        return Ok(());
    }
    let today = london_date(told.now);
    let ids: Vec<Uuid> = debts.iter().map(|debt| debt.document.as_uuid()).collect();
    let restarts = store::limitations::restarts(tx.conn(), &ids).await?;
    let known = store::limitations::told(tx.conn(), &ids).await?;
    let mut out = Vec::new();
    let mut seen = HashSet::new();
    for debt in debts.iter().filter(|debt| seen.insert(debt.document)) {
        let none: &[(chrono::NaiveDate, Restart)] = &[];
        let begun = restarts.get(&debt.document).map_or(none, Vec::as_slice);
        let limitation = limitation::of(debt.due_on, begun, today);
        let is_open = debt.open.is_sign_positive() && !debt.open.is_zero();
        let state = limitation.state(today).filter(|_| is_open);
        let before = known.get(&debt.document).copied();
        let (version, state) = match (before, state) {
            (None, None) => continue,
            (None, Some(state)) => (1, state),
            (Some((version, was, last_on)), state) => {
                let state = state.unwrap_or(LimitationState::Lifted);
                if was == state && (last_on == limitation.last_on || !is_open) {
                    continue;
                }
                (version + 1, state)
            }
        };
        let last_on = limitation.last_on;
        store::limitations::put(tx.conn(), debt, version, state, last_on).await?;
        let currency = kernel::Currency::parse(&debt.currency).map_err(Failure::of)?;
        let event = LimitationChanged {
            document_id: debt.document,
            document_ref: debt.document_ref.clone(),
            version,
            state,
            account_id: debt.account,
            account_ref: debt.account_ref.clone(),
            open: Money::try_new(debt.open, currency).map_err(Failure::of)?,
            last_on,
            cause: Some(told.cause.id),
            recorded_at: told.now,
            actor: told.actor.to_owned(),
            reason: limitation.basis(),
        };
        let id = debt.document.as_uuid();
        out.push(Outgoing::new(
            &event,
            id,
            version,
            told.prefix,
            told.now,
            told.cause,
        )?);
    }
    tx.publish(&out).await
}

/// What a second person decided of a hand-over: it is handed over if it is still
/// as it was asked for, and nothing stops it.
pub(crate) async fn decided(
    tx: &mut Tx,
    prefix: &Prefix,
    message: &ApprovalDecided,
    cause: &Meta,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let found = store::referrals::lock(tx.conn(), message.subject_id.into()).await?;
    let Some(before) = found else {
        return Ok(());
    };
    // A decision counts only for the request that it waits for now.
    if before.approval != Some(message.approval_id) || before.state != ReferralState::Requested {
        return Ok(());
    }
    let today = london_date(now);
    let facts = store::referrals::facts(tx.conn(), &before).await?;
    let mut after = before.clone();
    // What has changed since voids it.
    let changed = after.judge(&facts, today);
    let (_, sha256) = frozen(&after.content().map_err(Failure::of)?);
    let asked = after.state == ReferralState::Requested && sha256 == message.content_sha256;
    let approved = message.state == ApprovalState::Approved;
    if approved && asked {
        after.state = ReferralState::Referred;
        after.approver = Some(message.actor.clone());
        after.referred_on = Some(today);
        after.ended_on = None;
    } else if after.state == ReferralState::Requested {
        // Rejected, expired or voided: it can be asked for again.
        after.state = ReferralState::ReadyToRefer;
    }
    after.approval = None;
    after.judge(&facts, today);
    after.version += 1;
    let told = Told {
        prefix,
        now,
        cause,
        actor: &message.actor,
        reason: &message.reason,
    };
    put(tx, &after, &facts, Some(before.state), told).await?;
    if !approved {
        return Ok(());
    }
    let done = CarriedOutByDunning(ApprovalCarriedOut {
        approval_id: message.approval_id,
        kind: message.kind,
        subject_id: message.subject_id,
        account_ref: Some(before.account_ref),
        outcome: if asked {
            CarriedOut::Done
        } else {
            CarriedOut::Voided
        },
        reason: (!asked)
            .then(|| changed.unwrap_or_else(|| "it is another than what was asked for".to_owned())),
        recorded_at: now,
    });
    let about = message.approval_id.as_uuid();
    let out = Outgoing::new(&done, about, 2, prefix, now, cause)?;
    tx.publish(&[out]).await
}
