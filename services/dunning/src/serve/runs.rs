//! Runs: proposing, looking, editing, asking a second person, pausing.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use contracts::{
    api::{
        Page, Refusal,
        dunning::{
            EditRun, GetRun, ListRunAccounts, ListRuns, ProposeRun, RunAccount, RunAccountState,
            RunEdit, RunStep, RunView, StepRun,
        },
    },
    controls::{ApprovalId, ApprovalKind, ApprovalRequested, ApprovalWithdrawn, frozen},
    dunning::{RequestedByDunning, RunChanged, RunId, RunState, WithdrawnByDunning},
};
use kernel::{Currency, Money, london_date};
use messaging::{Bus, Failure, Meta, Outgoing, Tx};
use serde_json::json;
use sqlx::PgConnection;

use super::{cursor, standing::moment, text};
use crate::{
    domain::run::{RunRefused, Tally, content_sha256},
    store::{
        self,
        runs::{Filter, Run},
    },
};

/// Accounts of one range: what one transaction works out.
const RANGE: i32 = 5000;
const TITLE_MAX: usize = 200;
const ACCOUNTS_MAX: usize = 1000;
/// How long a second person has.
const EXPIRES: TimeDelta = TimeDelta::days(3);

pub(crate) fn no_run(id: impl std::fmt::Display) -> Failure {
    Failure::not_found("dunning.no_run", format!("there is no run {id}"))
}

fn refused(error: RunRefused) -> Failure {
    Failure::of(error)
}

/// Writes a run after a step, and tells of it.
pub(crate) async fn put(
    tx: &mut Tx,
    bus: &Bus,
    run: &Run,
    told: RunChanged,
    cause: &Meta,
) -> Result<(), Failure> {
    store::runs::put(tx.conn(), run).await?;
    let event = Outgoing::new(
        &told,
        run.id.as_uuid(),
        run.version,
        bus.prefix(),
        told.recorded_at,
        cause,
    )?;
    tx.publish(&[event]).await
}

/// A run goes to another state.
pub(crate) async fn step(
    tx: &mut Tx,
    bus: &Bus,
    run: &mut Run,
    to: RunState,
    said: Said<'_>,
) -> Result<(), Failure> {
    let from = run.state;
    run.state = to;
    run.version += 1;
    run.changed_at = said.now;
    let told = run.changed(Some(from), said.actor, said.reason, said.cause.id, said.now);
    put(tx, bus, run, told, said.cause).await
}

/// Who says something, why, and because of what.
#[derive(Clone, Copy)]
pub(crate) struct Said<'a> {
    pub(crate) actor: &'a str,
    pub(crate) reason: &'a str,
    pub(crate) cause: &'a Meta,
    pub(crate) now: DateTime<Utc>,
}

pub(crate) async fn propose_run(ask: ProposeRun, bus: Bus) -> Result<RunView, Refusal> {
    let id: RunId = ask.command_id.as_uuid().into();
    let reason = text(&ask.reason, "/reason")?;
    let title = ask.title.trim().to_owned();
    if title.is_empty() || title.chars().count() > TITLE_MAX {
        return Err(Failure::permanent(
            "dunning.run_title",
            "a run has a title that a list can show",
        )
        .at("/title", format!("between 1 and {TITLE_MAX} characters"))
        .into());
    }
    if ask.scope.accounts.len() > ACCOUNTS_MAX {
        return Err(
            Failure::permanent("dunning.run_scope", "a run names too many accounts")
                .at("/scope/accounts", format!("at most {ACCOUNTS_MAX}"))
                .into(),
        );
    }
    let now = bus.now();
    let today = london_date(now);
    let as_of = ask.as_of.unwrap_or(today);
    if as_of > today {
        return Err(refused(RunRefused::Future).into());
    }
    let mut tx = bus.begin().await?;
    if tx.claim(&[ask.command_id.as_uuid()]).await?.is_empty() {
        drop(tx);
        return shown(&bus, id).await;
    }
    let (latest, busy) = store::runs::latest(tx.conn()).await?;
    if let Some(busy) = busy {
        return Err(refused(RunRefused::Busy(busy)).into());
    }
    if let Some(later) = latest.filter(|later| *later > as_of) {
        return Err(refused(RunRefused::LaterRun { later }).into());
    }
    let run = Run {
        id,
        version: 1,
        state: RunState::Proposing,
        as_of,
        title,
        scope: ask.scope,
        contacts: 0,
        amounts: Vec::new(),
        tally: Vec::new(),
        content_sha256: None,
        approval: None,
        requester: ask.person.actor.clone(),
        approver: None,
        reason,
        created_at: now,
        changed_at: now,
    };
    let cause = Meta::of_command(ask.command_id.as_uuid(), now, None);
    let told = run.changed(None, &ask.person.actor, &run.reason, cause.id, now);
    put(&mut tx, &bus, &run, told, &cause).await?;
    store::runs::plan(tx.conn(), id, &run.scope.accounts, RANGE).await?;
    tx.commit().await?;
    bus.notice(&["dunning".to_owned()]).await;
    shown(&bus, id).await
}

async fn shown(bus: &Bus, id: RunId) -> Result<RunView, Refusal> {
    let mut tx = bus.begin().await?;
    let conn = tx.conn();
    let run = store::runs::get(conn, id)
        .await?
        .ok_or_else(|| no_run(id))?;
    Ok(view(conn, run, bus, true).await?)
}

async fn view(
    conn: &mut PgConnection,
    run: Run,
    bus: &Bus,
    whole: bool,
) -> Result<RunView, Failure> {
    let (all, proposed) = store::runs::progress(conn, run.id).await?;
    let moment = moment(conn, bus).await?;
    let (mut states, mut unclassified) = (Vec::new(), 0);
    if whole {
        states = store::runs::states(conn, run.id).await?;
        if run.state != RunState::Proposing {
            let mut tally = Tally::default();
            tally.take_in(&run.tally);
            unclassified = store::runs::overdue(conn, run.id).await? - tally.items();
        }
    }
    Ok(RunView {
        run_id: run.id,
        version: run.version,
        state: run.state,
        as_of: run.as_of,
        title: run.title,
        scope: run.scope,
        progress: u8::try_from((proposed * 100).checked_div(all).unwrap_or(100)).unwrap_or(100),
        contacts: run.contacts,
        amounts: run.amounts,
        tally: run.tally,
        unclassified,
        states,
        content_sha256: run.content_sha256,
        approval_id: run.approval,
        requester: run.requester,
        approver: run.approver,
        reason: run.reason,
        feed_age_hours: moment.feed_age_hours,
        created_at: run.created_at,
        changed_at: run.changed_at,
    })
}

pub(crate) async fn get_run(ask: GetRun, bus: Bus) -> Result<RunView, Refusal> {
    shown(&bus, ask.run_id).await
}

pub(crate) async fn list_runs(ask: ListRuns, bus: Bus) -> Result<Page<RunView>, Refusal> {
    let rows = ask.page.rows();
    let before = cursor(ask.page.cursor.as_deref())?;
    let mut tx = bus.begin().await?;
    let conn = tx.conn();
    let mut runs = store::runs::list(conn, before, rows + 1).await?;
    let more = runs.len() > usize::try_from(rows).unwrap_or(usize::MAX);
    if more {
        runs.pop();
    }
    let next_cursor = runs.last().filter(|_| more).map(|last| last.id.to_string());
    let mut items = Vec::with_capacity(runs.len());
    for run in runs {
        items.push(view(conn, run, &bus, false).await?);
    }
    Ok(Page { items, next_cursor })
}

pub(crate) async fn list_run_accounts(
    ask: ListRunAccounts,
    bus: Bus,
) -> Result<Page<RunAccount>, Refusal> {
    let rows = ask.page.rows();
    let filter = Filter {
        run: ask.run_id,
        account: None,
        state: ask.state,
        reason: ask.reason,
        after: cursor(ask.page.cursor.as_deref())?,
        rows: rows + 1,
    };
    let mut tx = bus.begin().await?;
    let conn = tx.conn();
    let policies = store::policies::all(conn).await?;
    let mut items = store::runs::accounts(conn, &filter, &policies).await?;
    let more = items.len() > usize::try_from(rows).unwrap_or(usize::MAX);
    if more {
        items.pop();
    }
    let next_cursor = items
        .last()
        .filter(|_| more)
        .map(|last| last.account_id.to_string());
    Ok(Page { items, next_cursor })
}

/// What may still be edited; a request that is under way is taken back.
async fn reopened(tx: &mut Tx, bus: &Bus, run: &mut Run, said: Said<'_>) -> Result<(), Failure> {
    match run.state {
        RunState::Proposed => Ok(()),
        RunState::Requested => withdraw(tx, bus, run, said).await,
        state => Err(refused(RunRefused::Wrong {
            state,
            what: "edited",
        })),
    }
}

async fn withdraw(tx: &mut Tx, bus: &Bus, run: &mut Run, said: Said<'_>) -> Result<(), Failure> {
    if let Some(approval_id) = run.approval.take() {
        let event = WithdrawnByDunning(ApprovalWithdrawn {
            approval_id,
            kind: ApprovalKind::DunningRun,
            subject_id: run.id.as_uuid(),
            account_ref: None,
            actor: said.actor.to_owned(),
            reason: said.reason.to_owned(),
            recorded_at: said.now,
        });
        let event = Outgoing::new(
            &event,
            approval_id.as_uuid(),
            2,
            bus.prefix(),
            said.now,
            said.cause,
        )?;
        tx.publish(&[event]).await?;
    }
    step(tx, bus, run, RunState::Proposed, said).await
}

pub(crate) async fn edit_run(ask: EditRun, bus: Bus) -> Result<RunAccount, Refusal> {
    let reason = text(&ask.reason, "/reason")?;
    let now = bus.now();
    let mut tx = bus.begin().await?;
    if !tx.claim(&[ask.command_id.as_uuid()]).await?.is_empty() {
        let cause = Meta::of_command(ask.command_id.as_uuid(), now, None);
        let said = Said {
            actor: &ask.person.actor,
            reason: &reason,
            cause: &cause,
            now,
        };
        edit(&mut tx, &bus, &ask, said).await?;
        tx.commit().await?;
        bus.notice(&["dunning".to_owned()]).await;
    }
    let mut tx = bus.begin().await?;
    let conn = tx.conn();
    let policies = store::policies::all(conn).await?;
    let filter = Filter {
        run: ask.run_id,
        account: Some(ask.account_id.as_uuid()),
        state: None,
        reason: None,
        after: None,
        rows: 1,
    };
    let found = store::runs::accounts(conn, &filter, &policies).await?;
    Ok(found
        .into_iter()
        .next()
        .ok_or_else(|| refused(RunRefused::NotContacted("it is not in it")))?)
}

async fn edit(tx: &mut Tx, bus: &Bus, ask: &EditRun, said: Said<'_>) -> Result<(), Failure> {
    let mut run = store::runs::lock(tx.conn(), ask.run_id)
        .await?
        .ok_or_else(|| no_run(ask.run_id))?;
    reopened(tx, bus, &mut run, said).await?;
    let range = store::runs::range_of(tx.conn(), run.id, ask.account_id)
        .await?
        .ok_or_else(|| refused(RunRefused::NotContacted("it is not in it")))?;
    let mut line = store::runs::line(tx.conn(), run.id, ask.account_id)
        .await?
        .ok_or_else(|| refused(RunRefused::NotContacted("it is not in it")))?;
    let (from, to, why) = match (&ask.edit, line.state) {
        (RunEdit::Remove, RunAccountState::Proposed) => (
            RunAccountState::Proposed,
            RunAccountState::Removed,
            "removed",
        ),
        (RunEdit::Restore, RunAccountState::Removed) => (
            RunAccountState::Removed,
            RunAccountState::Proposed,
            "restored",
        ),
        (RunEdit::Channel { channel }, RunAccountState::Proposed) => {
            line.channel = Some(*channel);
            (line.state, line.state, "another channel")
        }
        (RunEdit::Sentence { text: sentence }, RunAccountState::Proposed) => {
            let sentence = sentence.trim();
            line.sentence = match sentence {
                "" => None,
                _ => Some(text(sentence, "/edit/text")?),
            };
            (line.state, line.state, "a sentence")
        }
        (_, RunAccountState::Excluded) => {
            return Err(refused(RunRefused::NotContacted(
                "each of its items says why",
            )));
        }
        _ => {
            return Err(refused(RunRefused::NotContacted(
                "it is as was asked for already, or was taken out",
            )));
        }
    };
    debug_assert_eq!(line.state, from);
    line.state = to;
    line.note = Some(format!("{why}: {}", said.reason));
    let (contacts, digest) = store::runs::edit(tx.conn(), run.id, &line, range).await?;
    store::runs::freeze_range(tx.conn(), run.id, range, contacts, &digest).await?;
    freeze(tx.conn(), &mut run).await?;
    let state = run.state;
    step(tx, bus, &mut run, state, said).await
}

/// What a run comes to by its ranges.
pub(crate) async fn freeze(conn: &mut PgConnection, run: &mut Run) -> Result<(), Failure> {
    let ranges = store::runs::digests(conn, run.id).await?;
    run.contacts = ranges.iter().map(|range| range.contacts).sum();
    let mut tally = Tally::default();
    for range in &ranges {
        tally.take_in(&range.tally);
    }
    run.tally = tally.rows().map_err(Failure::of)?;
    run.content_sha256 = Some(content_sha256(ranges.iter().map(|r| &r.digest[..])));
    run.amounts = store::runs::amounts(conn, run.id).await?;
    Ok(())
}

pub(crate) async fn step_run(ask: StepRun, bus: Bus) -> Result<RunView, Refusal> {
    let reason = text(&ask.reason, "/reason")?;
    let now = bus.now();
    let mut tx = bus.begin().await?;
    if tx.claim(&[ask.command_id.as_uuid()]).await?.is_empty() {
        drop(tx);
        return shown(&bus, ask.run_id).await;
    }
    let cause = Meta::of_command(ask.command_id.as_uuid(), now, None);
    let said = Said {
        actor: &ask.person.actor,
        reason: &reason,
        cause: &cause,
        now,
    };
    let mut run = store::runs::lock(tx.conn(), ask.run_id)
        .await?
        .ok_or_else(|| no_run(ask.run_id))?;
    if ask.version.is_some_and(|version| version != run.version) {
        return Err(refused(RunRefused::Changed(run.version)).into());
    }
    match (ask.step, run.state) {
        (RunStep::Request, RunState::Proposed) => request(&mut tx, &bus, &mut run, said).await?,
        (RunStep::Withdraw, RunState::Requested) => {
            withdraw(&mut tx, &bus, &mut run, said).await?;
        }
        (RunStep::Pause, RunState::Sending | RunState::Approved) => {
            step(&mut tx, &bus, &mut run, RunState::Paused, said).await?;
        }
        (RunStep::Resume, RunState::Paused) => {
            // Through `approved`: a range may not have been queued yet.
            step(&mut tx, &bus, &mut run, RunState::Approved, said).await?;
        }
        (
            RunStep::Cancel,
            RunState::Proposing
            | RunState::Proposed
            | RunState::Requested
            | RunState::Approved
            | RunState::Paused
            | RunState::Sending,
        ) => {
            if run.state == RunState::Requested {
                withdraw(&mut tx, &bus, &mut run, said).await?;
            }
            step(&mut tx, &bus, &mut run, RunState::Cancelled, said).await?;
        }
        (step, state) => {
            return Err(refused(RunRefused::Wrong {
                state,
                what: match step {
                    RunStep::Request => "sent to a second person",
                    RunStep::Withdraw => "taken back",
                    RunStep::Pause => "paused",
                    RunStep::Resume => "resumed",
                    RunStep::Cancel => "cancelled",
                },
            })
            .into());
        }
    }
    tx.commit().await?;
    bus.notice(&["dunning".to_owned()]).await;
    shown(&bus, ask.run_id).await
}

/// What is frozen and approved: the digest stands for every letter of it.
pub(crate) fn content(run: &Run) -> serde_json::Value {
    let mut chased: BTreeMap<&str, i64> = BTreeMap::new();
    let mut not: BTreeMap<&str, i64> = BTreeMap::new();
    for row in &run.tally {
        let into = if crate::domain::chase::is_chased(row.reason) {
            &mut chased
        } else {
            &mut not
        };
        *into.entry(row.reason.name()).or_default() += row.items;
    }
    json!({
        "run": run.id,
        "as_of": run.as_of,
        "title": run.title,
        "contacts": run.contacts,
        "amounts": run.amounts,
        "items_chased": chased,
        "items_not_chased": not,
        "letters_sha256": run.content_sha256,
    })
}

async fn request(tx: &mut Tx, bus: &Bus, run: &mut Run, said: Said<'_>) -> Result<(), Failure> {
    if run.contacts == 0 {
        return Err(refused(RunRefused::Empty));
    }
    let content = content(run);
    let (_, sha256) = frozen(&content);
    let approval_id = ApprovalId::generate();
    let amount = run
        .amounts
        .iter()
        .copied()
        .find(|amount| amount.currency() == Currency::GBP)
        .or_else(|| run.amounts.first().copied())
        .unwrap_or_else(|| Money::zero(Currency::GBP));
    let event = RequestedByDunning(ApprovalRequested {
        approval_id,
        kind: ApprovalKind::DunningRun,
        subject_id: run.id.as_uuid(),
        title: format!(
            "{}: {} contact{} about {}",
            run.title,
            run.contacts,
            if run.contacts == 1 { "" } else { "s" },
            amount.display_uk()
        ),
        amount,
        account_id: None,
        account_ref: None,
        content_sha256: sha256,
        needed: 1,
        requester: said.actor.to_owned(),
        reason: said.reason.to_owned(),
        expires_at: said.now + EXPIRES,
        recorded_at: said.now,
        content: Some(content),
    });
    let event = Outgoing::new(
        &event,
        approval_id.as_uuid(),
        1,
        bus.prefix(),
        said.now,
        said.cause,
    )?;
    tx.publish(&[event]).await?;
    run.approval = Some(approval_id);
    step(tx, bus, run, RunState::Requested, said).await
}
