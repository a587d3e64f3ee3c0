//! Residual balances: client money that no proper reason holds any more (SRA
//! 2.5). There is no amount too small (E93).

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use contracts::{
    controls::ApprovalId,
    inbound::MatterStatus,
    matters::{ResidualRoute, ResidualState},
};
use kernel::{MatterId, Money, ResidualId};
use serde_json::{Value, json};

use super::{Matter, Refused, Settings};

/// A residual balance under lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Residual {
    pub id: ResidualId,
    pub version: i64,
    pub matter: MatterId,
    /// What is held now.
    pub balance: Money,
    pub state: ResidualState,
    /// The day on which the last proper reason to hold it ended.
    pub since: NaiveDate,
    pub level: i16,
    pub tracing_steps: i64,
    pub sra_applied_on: Option<NaiveDate>,
    pub sra_reference: Option<String>,
    pub proposal: Option<Proposal>,
}

/// A way out that waits for a second person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    pub route: ResidualRoute,
    pub payee: String,
    pub charity_number: Option<String>,
    pub reason: String,
    pub requested_by: String,
    pub requested_at: DateTime<Utc>,
    /// The client account that the money shall leave.
    pub bank_account: String,
    /// The request that worklist decides.
    pub approval: Option<ApprovalId>,
}

/// What is approved: frozen when asked for, compared when carried out. More or
/// less on the matter is other content.
pub fn content(residual: &Residual, matter_ref: &str) -> Value {
    let proposal = residual.proposal.as_ref();
    json!({
        "matter_ref": matter_ref,
        "balance": residual.balance,
        "held_since": residual.since,
        "route": proposal.map(|p| p.route),
        "payee": proposal.map(|p| p.payee.as_str()),
        "charity_number": proposal.and_then(|p| p.charity_number.as_deref()),
        "bank_account": proposal.map(|p| p.bank_account.as_str()),
        "reason": proposal.map(|p| p.reason.as_str()),
    })
}

/// Since when nothing speaks for holding the money; `None` while something does:
/// work goes on, or a person has said why.
pub fn held_without_reason_since(
    matter: &Matter,
    last_moved_on: NaiveDate,
    today: NaiveDate,
    settings: &Settings,
) -> Option<NaiveDate> {
    let mut since = match matter.status {
        MatterStatus::Concluded => {
            last_moved_on.max(matter.concluded_on.unwrap_or(matter.status_on))
        }
        // Concluded was the end of the work, even when the file was closed later.
        MatterStatus::Closed => last_moved_on.max(
            matter
                .concluded_on
                .or(matter.closed_on)
                .unwrap_or(matter.status_on),
        ),
        MatterStatus::Opened | MatterStatus::Reopened => {
            let since = last_moved_on.max(matter.status_on);
            if (today - since).num_days() < settings.inactive_days {
                return None;
            }
            since
        }
    };
    if let Some((_, until)) = &matter.hold {
        if *until >= today {
            return None;
        }
        since = since.max(*until);
    }
    if let Some(ended) = matter.hold_ended_on {
        since = since.max(ended);
    }
    (since <= today).then_some(since)
}

/// How far it is escalated, and when the next step is due.
pub fn escalation(
    since: NaiveDate,
    today: NaiveDate,
    settings: &Settings,
) -> (i16, Option<NaiveDate>) {
    let days = (today - since).num_days();
    let reached = settings
        .escalation_days
        .iter()
        .filter(|step| days >= **step)
        .count();
    let next = settings
        .escalation_days
        .get(reached)
        .and_then(|step| since.checked_add_signed(TimeDelta::days(*step)));
    (reached as i16, next)
}

fn is(residual: &Residual, needed: ResidualState) -> Result<(), Refused> {
    if residual.state == needed {
        Ok(())
    } else {
        Err(Refused::ResidualState {
            state: residual.state.name(),
            needed: needed.name(),
        })
    }
}

/// Whether the money may leave by a route as things stand.
///
/// # Errors
/// Whatever the rules ask for and is not there.
pub fn may_leave(
    residual: &Residual,
    route: ResidualRoute,
    charity_number: Option<&str>,
    settings: &Settings,
) -> Result<(), Refused> {
    if !residual.balance.is_positive() {
        return Err(Refused::NotPositive);
    }
    match route {
        ResidualRoute::Returned => Ok(()),
        ResidualRoute::Charity | ResidualRoute::SraAuthorised => {
            let limit = settings.charity_limit;
            // The limit is in pounds: another currency needs the SRA too.
            let within = residual.balance.currency() == limit.currency()
                && residual.balance.checked_cmp(limit)?.is_le();
            if route == ResidualRoute::Charity && !within {
                return Err(Refused::AboveCharityLimit {
                    balance: residual.balance.display_uk(),
                    limit: limit.display_uk(),
                });
            }
            if residual.tracing_steps < settings.tracing_needed {
                return Err(Refused::NotTraced {
                    done: residual.tracing_steps,
                    needed: settings.tracing_needed,
                });
            }
            if route == ResidualRoute::SraAuthorised && residual.sra_applied_on.is_none() {
                return Err(Refused::NoSraApplication);
            }
            if charity_number.is_none_or(|number| number.trim().is_empty()) {
                return Err(Refused::CharityNumber);
            }
            Ok(())
        }
    }
}

/// Asks for a way out.
///
/// # Errors
/// When the rules ask for something that is not there.
pub fn propose(
    residual: &mut Residual,
    proposal: Proposal,
    settings: &Settings,
) -> Result<(), Refused> {
    is(residual, ResidualState::Open)?;
    if proposal.payee.trim().is_empty() {
        return Err(Refused::Missing("whom it shall be paid to"));
    }
    may_leave(
        residual,
        proposal.route,
        proposal.charity_number.as_deref(),
        settings,
    )?;
    residual.state = ResidualState::Proposed;
    residual.proposal = Some(proposal);
    residual.version += 1;
    Ok(())
}

/// Gives the proposal when the money shall leave: a second person has approved
/// it. The rules are held against it once more.
///
/// # Errors
/// When there is none, or the rules do not allow it any more.
pub fn approved(residual: &mut Residual, settings: &Settings) -> Result<Proposal, Refused> {
    is(residual, ResidualState::Proposed)?;
    let proposal = residual
        .proposal
        .clone()
        .ok_or(Refused::Missing("a proposal"))?;
    may_leave(
        residual,
        proposal.route,
        proposal.charity_number.as_deref(),
        settings,
    )?;
    residual.state = ResidualState::Closed;
    residual.version += 1;
    Ok(proposal)
}

/// Ends a proposal that is not carried out; gives the request that waited.
///
/// # Errors
/// When there is none.
pub fn back(residual: &mut Residual) -> Result<Option<ApprovalId>, Refused> {
    is(residual, ResidualState::Proposed)?;
    residual.state = ResidualState::Open;
    residual.version += 1;
    Ok(residual
        .proposal
        .take()
        .and_then(|proposal| proposal.approval))
}
