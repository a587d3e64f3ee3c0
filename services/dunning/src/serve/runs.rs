//! Runs: proposing, looking, editing, asking a second person, pausing.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use contracts::{
    api::{
        Page, Refusal,
        dunning::{
            EditRun, GetRun, ListRunAccounts, ListRuns, ProposeRun, RunAccount, RunAccountState,
            RunEdit, RunStep, RunView, StepRun,
        },
    },
    controls::{ApprovalId, ApprovalKind, ApprovalRequested, ApprovalWithdrawn, frozen},
    dunning::{Channel, RequestedByDunning, RunId, RunKind, RunState, WithdrawnByDunning},
};
use kernel::{Currency, Money};
use messaging::{Bus, Failure, Outgoing, Tx};
use serde_json::json;
use sqlx::PgConnection;

use super::{act::Act, cursor, standing::moment, text};
use crate::{
    consume::judge::Told,
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

/// Writes a run as it is now, and tells of it.
async fn put(
    tx: &mut Tx,
    run: &Run,
    from: Option<RunState>,
    told: Told<'_>,
) -> Result<(), Failure> {
    store::runs::put(tx.conn(), run).await?;
    let event = run.changed(from, told.actor, told.reason, told.cause.id, told.now);
    let (prefix, now) = (told.prefix, told.now);
    let id = run.id.as_uuid();
    let out = Outgoing::new(&event, id, run.version, prefix, now, told.cause)?;
    tx.publish(&[out]).await
}

/// A run goes to another state.
pub(crate) async fn step(
    tx: &mut Tx,
    run: &mut Run,
    to: RunState,
    told: Told<'_>,
) -> Result<(), Failure> {
    let from = run.state;
    run.state = to;
    run.version += 1;
    run.changed_at = told.now;
    put(tx, run, Some(from), told).await
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
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        return shown(&bus, id).await;
    };
    let as_of = ask.as_of.unwrap_or(act.today);
    if as_of > act.today {
        return Err(refused(RunRefused::Future).into());
    }
    let (latest, busy) = store::runs::latest(act.tx.conn(), ask.kind).await?;
    if let Some(busy) = busy {
        return Err(refused(RunRefused::Busy(busy)).into());
    }
    if let Some(later) = latest.filter(|later| *later > as_of) {
        return Err(refused(RunRefused::LaterRun { later }).into());
    }
    let run = Run {
        id,
        version: 1,
        kind: ask.kind,
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
        created_at: act.now,
        changed_at: act.now,
        waits: false,
    };
    let (tx, told) = act.told(&ask.person, &run.reason);
    put(tx, &run, None, told).await?;
    store::templates::take(tx.conn(), id.as_uuid(), as_of).await?;
    store::runs::plan(tx.conn(), id, &run.scope.accounts, RANGE).await?;
    act.finish(&bus).await?;
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
    let (mut states, mut excluded, mut unclassified) = (Vec::new(), Vec::new(), 0);
    // While it is worked out nothing is counted: whoever waits for it asks often.
    if whole && run.state != RunState::Proposing {
        states = store::runs::states(conn, run.id).await?;
        if !run.kind.is_reminders() {
            excluded = store::runs::excluded(conn, run.id).await?;
        }
        let mut tally = Tally::default();
        tally.take_in(&run.tally);
        unclassified = store::runs::overdue(conn, run.id).await? - tally.items();
    }
    let waits = if run.waits && run.state == RunState::Sending {
        store::provider::down(conn).await?
    } else {
        None
    };
    Ok(RunView {
        waits,
        run_id: run.id,
        version: run.version,
        kind: run.kind,
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
        excluded,
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
    let mut runs = store::runs::list(conn, &ask.kinds, before, rows + 1).await?;
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
        excluded: ask.excluded,
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
async fn reopened(tx: &mut Tx, run: &mut Run, told: Told<'_>) -> Result<(), Failure> {
    match run.state {
        RunState::Proposed => Ok(()),
        RunState::Requested => withdraw(tx, run, told).await,
        state => Err(refused(RunRefused::Wrong {
            state,
            what: "edited",
        })),
    }
}

async fn withdraw(tx: &mut Tx, run: &mut Run, told: Told<'_>) -> Result<(), Failure> {
    if let Some(approval_id) = run.approval.take() {
        let event = WithdrawnByDunning(ApprovalWithdrawn {
            approval_id,
            kind: ApprovalKind::DunningRun,
            subject_id: run.id.as_uuid(),
            account_ref: None,
            actor: told.actor.to_owned(),
            reason: told.reason.to_owned(),
            recorded_at: told.now,
        });
        let event = Outgoing::new(
            &event,
            approval_id.as_uuid(),
            2,
            told.prefix,
            told.now,
            told.cause,
        )?;
        tx.publish(&[event]).await?;
    }
    step(tx, run, RunState::Proposed, told).await
}

pub(crate) async fn edit_run(ask: EditRun, bus: Bus) -> Result<RunAccount, Refusal> {
    let reason = text(&ask.reason, "/reason")?;
    if let Some(mut act) = Act::begin(&bus, ask.command_id).await? {
        let (tx, told) = act.told(&ask.person, &reason);
        edit(tx, &ask, told).await?;
        act.finish(&bus).await?;
    }
    let mut tx = bus.begin().await?;
    let conn = tx.conn();
    let policies = store::policies::all(conn).await?;
    let filter = Filter {
        run: ask.run_id,
        account: Some(ask.account_id.as_uuid()),
        state: None,
        reason: None,
        excluded: None,
        after: None,
        rows: 1,
    };
    let found = store::runs::accounts(conn, &filter, &policies).await?;
    Ok(found
        .into_iter()
        .next()
        .ok_or_else(|| refused(RunRefused::NotContacted("it is not in it")))?)
}

async fn edit(tx: &mut Tx, ask: &EditRun, told: Told<'_>) -> Result<(), Failure> {
    let mut run = store::runs::lock(tx.conn(), ask.run_id)
        .await?
        .ok_or_else(|| no_run(ask.run_id))?;
    reopened(tx, &mut run, told).await?;
    let range = store::runs::range_of(tx.conn(), run.id, ask.account_id)
        .await?
        .ok_or_else(|| refused(RunRefused::NotContacted("it is not in it")))?;
    let mut line = store::runs::line(tx.conn(), run.id, ask.account_id)
        .await?
        .ok_or_else(|| refused(RunRefused::NotContacted("it is not in it")))?;
    let (to, why) = match (&ask.edit, line.state) {
        (RunEdit::Remove, RunAccountState::Proposed) => (RunAccountState::Removed, "removed"),
        (RunEdit::Restore, RunAccountState::Removed) => (RunAccountState::Proposed, "restored"),
        (RunEdit::Channel { channel }, RunAccountState::Proposed) => {
            if line.is_statement() && !matches!(channel, Channel::Email | Channel::Letter) {
                return Err(refused(RunRefused::NotContacted(
                    "a statement is a letter or an e-mail",
                )));
            }
            line.channel = Some(*channel);
            (line.state, "another channel")
        }
        (RunEdit::Sentence { text: sentence }, RunAccountState::Proposed) => {
            let sentence = sentence.trim();
            line.sentence = match sentence {
                "" => None,
                _ => Some(text(sentence, "/edit/text")?),
            };
            (line.state, "a sentence")
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
    line.state = to;
    line.note = Some(format!("{why}: {}", told.reason));
    let (contacts, digest) = store::runs::edit(tx.conn(), run.id, &line, range).await?;
    store::runs::freeze_range(tx.conn(), run.id, range, contacts, &digest).await?;
    freeze(tx.conn(), &mut run).await?;
    let state = run.state;
    step(tx, &mut run, state, told).await
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
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        return shown(&bus, ask.run_id).await;
    };
    let (tx, told) = act.told(&ask.person, &reason);
    let mut run = store::runs::lock(tx.conn(), ask.run_id)
        .await?
        .ok_or_else(|| no_run(ask.run_id))?;
    if ask.version.is_some_and(|version| version != run.version) {
        return Err(refused(RunRefused::Changed(run.version)).into());
    }
    match (ask.step, run.state) {
        (RunStep::Request, RunState::Proposed) => request(tx, &mut run, told).await?,
        (RunStep::Withdraw, RunState::Requested) => {
            withdraw(tx, &mut run, told).await?;
        }
        (RunStep::Pause, RunState::Sending | RunState::Approved) => {
            step(tx, &mut run, RunState::Paused, told).await?;
        }
        (RunStep::Resume, RunState::Paused) => {
            // Through `approved`: a range may not have been queued yet.
            step(tx, &mut run, RunState::Approved, told).await?;
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
                withdraw(tx, &mut run, told).await?;
            }
            step(tx, &mut run, RunState::Cancelled, told).await?;
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
    act.finish(&bus).await?;
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
    let mut content = json!({
        "run": run.id,
        "as_of": run.as_of,
        "title": run.title,
        "contacts": run.contacts,
        "amounts": run.amounts,
        "items_chased": chased,
        "items_not_chased": not,
        "letters_sha256": run.content_sha256,
    });
    // What a reminders' run froze before there were others stays as it is.
    if !run.kind.is_reminders() {
        content["kind"] = json!(run.kind);
    }
    content
}

async fn request(tx: &mut Tx, run: &mut Run, told: Told<'_>) -> Result<(), Failure> {
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
            "{}: {} {}{} about {}",
            run.title,
            run.contacts,
            match run.kind {
                RunKind::Reminders => "contact",
                RunKind::Statement => "statement",
                RunKind::RedStatement => "red statement",
            },
            if run.contacts == 1 { "" } else { "s" },
            amount.display_uk()
        ),
        amount,
        account_id: None,
        account_ref: None,
        content_sha256: sha256,
        needed: 1,
        requester: told.actor.to_owned(),
        reason: told.reason.to_owned(),
        expires_at: told.now + EXPIRES,
        recorded_at: told.now,
        content: Some(content),
    });
    let event = Outgoing::new(
        &event,
        approval_id.as_uuid(),
        1,
        told.prefix,
        told.now,
        told.cause,
    )?;
    tx.publish(&[event]).await?;
    run.approval = Some(approval_id);
    step(tx, run, RunState::Requested, told).await
}
