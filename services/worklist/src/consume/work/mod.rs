//! Facts that open, change or end work: a file for each source, and here what
//! they share.

mod accounts;
mod contacts;
mod controls;
mod dead_letters;
mod disputes;
mod dunning;
mod erasure;
mod legal;
mod receipts;

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use contracts::Prefix;
use kernel::london_date;
use messaging::{Failure, Raw, Tx};
use uuid::Uuid;

pub(crate) use accounts::Known;
pub(crate) use erasure::Erased;

use super::{Part, Said};
use crate::{
    domain::{
        clock::Policies,
        desk::{Change, Desk, Signal},
        item::{Office, Touched},
        owner::{Account, Staff},
    },
    events, store,
};

/// Topics of open pages.
const TOPIC: &str = "worklist";

pub(crate) enum Fact {
    Signals(Vec<Signal>),
    Account(Known),
    /// What was written about somebody is to go.
    Erased(Erased),
}

#[derive(Default)]
pub(crate) struct State {
    items: Vec<Touched>,
    staff: Staff,
    policies: Policies,
    accounts: HashMap<Uuid, Account>,
    /// Versions of accounts that are known.
    versions: HashMap<Uuid, i64>,
}

#[derive(Default)]
pub(crate) struct Changes {
    touched: Vec<Touched>,
    accounts: Vec<Known>,
    erased: Vec<Erased>,
}

pub(super) fn decode(kind: &str, raw: &Raw) -> Result<Option<Fact>, Failure> {
    let Some(name) = kind.strip_prefix("counterfoil.") else {
        return Ok(None);
    };
    let signals = match name {
        "ingestion.account_recorded.v1" => {
            return Ok(Some(Fact::Account(accounts::read(raw)?)));
        }
        "dunning.contact_notes_erased.v1" => {
            return Ok(Some(Fact::Erased(erasure::of_account(raw)?)));
        }
        "allocation.receipt_posted.v1"
        | "allocation.receipt_allocated.v1"
        | "allocation.allocation_undone.v1"
        | "allocation.receipt_reduced.v1" => receipts::moved(raw)?,
        "allocation.receipt_parked.v1" => receipts::parked(raw)?,
        "allocation.receipt_unparked.v1" => receipts::unparked(raw)?,
        "allocation.debit_posted.v1" => receipts::debit(raw)?,
        "allocation.residual_changed.v1" => legal::residual(raw)?,
        "allocation.disbursement_changed.v1" => legal::disbursement(raw)?,
        "allocation.bank_move_changed.v1" => legal::bank_move(raw)?,
        "allocation.approval_requested.v1"
        | "disputes.approval_requested.v1"
        | "dunning.approval_requested.v1" => controls::requested(raw)?,
        "worklist.limit_change_requested.v1" => controls::limit(raw)?,
        "worklist.approval_decided.v1" => controls::decided(raw)?,
        "allocation.refund_changed.v1" => controls::refund(raw)?,
        "disputes.case_changed.v1" => {
            if let Some(erased) = erasure::of_case(raw)? {
                return Ok(Some(Fact::Erased(erased)));
            }
            disputes::case(raw)?
        }
        "disputes.credit_requested.v1" => disputes::credit(raw)?,
        "dunning.promise_changed.v1" => dunning::promise(raw)?,
        "dunning.hold_changed.v1" => dunning::hold(raw)?,
        "dunning.plan_changed.v1" => dunning::plan(raw)?,
        "dunning.run_changed.v1" => dunning::run(raw)?,
        "dunning.referral_changed.v1" => dunning::referral(raw)?,
        "dunning.limitation_changed.v1" => dunning::limitation(raw)?,
        "dunning.contact_changed.v1" => contacts::changed(raw)?,
        "dunning.contact_recorded.v1" => contacts::recorded(raw)?,
        "dunning.reach_changed.v1" => contacts::reach(raw)?,
        _ if name.ends_with(dead_letters::CHANGED) => dead_letters::changed(raw)?,
        _ => return Ok(None),
    };
    Ok((!signals.is_empty()).then_some(Fact::Signals(signals)))
}

pub(super) async fn load(tx: &mut Tx, part: &Part<'_, Fact>) -> Result<State, Failure> {
    if part.is_empty() {
        return Ok(State::default());
    }
    let mut subjects = HashSet::new();
    let mut accounts = HashSet::new();
    let mut refs = HashSet::new();
    let mut told = HashSet::new();
    // Only absences that are over are left out by it: a day more does no harm.
    let earliest = part.iter().map(|(_, meta, _)| meta.time).min();
    let today = earliest.map(london_date).unwrap_or_default();
    for (_, _, fact) in part {
        match fact {
            Fact::Account(known) => {
                accounts.insert(known.account_id);
                told.insert(known.account_id);
            }
            Fact::Erased(_) => {}
            Fact::Signals(signals) => {
                for signal in signals {
                    subjects.insert(signal.subject_id);
                    if let Change::Open(opening) = &signal.change {
                        match opening.account_id {
                            Some(id) => drop(accounts.insert(id)),
                            None => refs.extend(opening.account_ref.clone()),
                        }
                    }
                }
            }
        }
    }
    let conn = tx.conn();
    let subjects: Vec<Uuid> = subjects.into_iter().collect();
    let told: Vec<Uuid> = told.into_iter().collect();
    let items = store::work::lock_about(conn, &subjects, &told).await?;
    accounts.extend(items.iter().filter_map(|touched| touched.item.account_id));
    let accounts: Vec<Uuid> = accounts.into_iter().collect();
    let refs: Vec<String> = refs.into_iter().collect();
    let known = store::work::accounts(conn, &accounts, &refs).await?;
    Ok(State {
        staff: store::people::staff(conn, today).await?,
        policies: store::clocks::policies(conn).await?,
        versions: known.iter().map(|(id, (v, _))| (*id, *v)).collect(),
        accounts: known.into_iter().map(|(id, (_, a))| (id, a)).collect(),
        items,
    })
}

pub(super) fn decide(
    mut state: State,
    part: &Part<'_, Fact>,
    prefix: &Prefix,
    now: DateTime<Utc>,
) -> Result<Said<Changes>, Failure> {
    let mut said = Said::<Changes>::default();
    if part.is_empty() {
        return Ok(said);
    }
    // Who an account belongs to first: what else came with it finds its owner.
    let mut newer = Vec::new();
    let mut erased = Vec::new();
    for (_, _, fact) in part {
        if let Fact::Erased(words) = fact {
            erased.push(*words);
        }
        if let Fact::Account(known) = fact {
            let version = state.versions.entry(known.account_id).or_default();
            if known.version > *version {
                *version = known.version;
                let account = state.accounts.entry(known.account_id).or_default();
                known.put_into(account);
                newer.push(known.clone());
            }
        }
    }
    let office = Office {
        staff: &state.staff,
        policies: &state.policies,
        accounts: &state.accounts,
        now,
    };
    let mut desk = Desk::new(state.items);
    let mut cause = None;
    for (place, meta, fact) in part {
        cause = Some(*meta);
        if let Fact::Signals(signals) = fact
            && let Err(failure) = desk.apply(signals, &office)
        {
            said.rejected.push((*place, failure));
        }
    }
    for known in &newer {
        desk.own_again(known.account_id, &office);
    }
    let touched = desk.into_touched();
    if let Some(cause) = cause {
        for one in &touched {
            said.events.extend(events::of(one, prefix, now, cause)?);
        }
    }
    if !said.events.is_empty() {
        said.notices.push(TOPIC.to_owned());
    }
    said.changes = Changes {
        touched,
        accounts: accounts::newest(newer),
        erased,
    };
    Ok(said)
}

pub(super) async fn record(tx: &mut Tx, changes: Changes) -> Result<(), Failure> {
    store::work::put_accounts(tx.conn(), &changes.accounts).await?;
    store::work::put(tx.conn(), &changes.touched).await?;
    store::erasure::erase(tx.conn(), &changes.erased).await?;
    if changes
        .touched
        .iter()
        .any(|touched| touched.clock.is_some())
    {
        crate::jobs::clocks::nudge();
    }
    Ok(())
}
