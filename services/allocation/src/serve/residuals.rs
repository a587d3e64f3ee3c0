//! Residual balances: tracing the owner, and the ways out.

use chrono::NaiveDate;
use contracts::{
    api::{
        Page, Refusal,
        matters::{
            CharityPayment, GetResidual, ListCharityRegister, ListResiduals, ProposeRoute,
            RecordSraApplication, ResidualDetail, ResidualView, TakeBackRoute, TraceOwner,
            TracingStep,
        },
    },
    controls::{ApprovalId, ApprovalKind, ApprovalWithdrawn},
    matters::{ResidualChanged, ResidualState, ResidualStep},
};
use kernel::{ResidualId, london_date};
use messaging::{Bus, Failure};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    cursor,
    matters::{Work, client_account, take_up},
    page, reason,
};
use crate::{
    domain::{
        approvals::{Ask, requested},
        legal::{
            Matter, Refused,
            residual::{self, Proposal, Residual},
        },
    },
    store::{
        self,
        residuals::{Noted, no_residual},
    },
};

const TEXT_MAX: usize = 500;

pub(crate) async fn list_residuals(
    ask: ListResiduals,
    bus: Bus,
) -> Result<Page<ResidualView>, Refusal> {
    let mut tx = bus.begin().await?;
    let after = cursor(ask.page.cursor.as_deref())?;
    let search = ask
        .search
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let rows = ask.page.rows();
    let today = london_date(bus.now());
    let settings = store::matters::settings(tx.conn(), today).await?;
    let items = store::residuals::views(
        tx.conn(),
        None,
        ask.closed,
        search,
        after,
        today,
        &settings,
        rows + 1,
    )
    .await?;
    Ok(page(items, rows, |item| item.residual_id.as_uuid()))
}

pub(crate) async fn get_residual(ask: GetResidual, bus: Bus) -> Result<ResidualDetail, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(detail(tx.conn(), ask.residual_id, &bus).await?)
}

async fn detail(
    conn: &mut PgConnection,
    id: ResidualId,
    bus: &Bus,
) -> Result<ResidualDetail, Failure> {
    let today = london_date(bus.now());
    let settings = store::matters::settings(conn, today).await?;
    let residual = store::residuals::views(conn, Some(id), false, None, None, today, &settings, 1)
        .await?
        .pop()
        .ok_or_else(|| no_residual(id))?;
    let matter = store::matters::view(conn, residual.matter_id).await?;
    let papers = store::residuals::papers(conn, id).await?;
    let mut entries = store::matters::entries(conn, &matter).await?;
    entries.retain(|line| line.entry.side == contracts::matters::Side::Client);
    Ok(ResidualDetail {
        tracing: store::residuals::tracing(conn, id).await?,
        history: store::residuals::history(conn, id).await?,
        proposal: papers.proposal,
        sra_applied_on: papers.sra_applied_on,
        sra_reference: papers.sra_reference,
        charity_limit: settings.charity_limit,
        tracing_needed: settings.tracing_needed,
        entries,
        residual,
    })
}

async fn answer(bus: &Bus, id: ResidualId) -> Result<ResidualDetail, Refusal> {
    let mut tx = bus.begin().await?;
    Ok(detail(tx.conn(), id, bus).await?)
}

/// The fact about a residual balance as it is now.
pub(crate) fn changed(
    residual: &Residual,
    matter: &Matter,
    step: ResidualStep,
    actor: &str,
    reason: &str,
    now: chrono::DateTime<chrono::Utc>,
) -> ResidualChanged {
    ResidualChanged {
        residual_id: residual.id,
        version: residual.version,
        matter_id: matter.id,
        matter_ref: matter.reference.clone(),
        account_id: matter.account_id,
        account_ref: matter.account_ref.clone(),
        step,
        state: residual.state,
        balance: residual.balance,
        since: residual.since,
        level: residual.level,
        route: residual.proposal.as_ref().map(|proposal| proposal.route),
        recorded_at: now,
        actor: actor.to_owned(),
        reason: reason.to_owned(),
    }
}

/// Claims a command, locks the matter and then its residual balance.
async fn open<'c>(
    bus: &Bus,
    command: Uuid,
    id: ResidualId,
    actor: &'c str,
    reason: &'c str,
) -> Result<Option<(Work<'c>, Residual)>, Failure> {
    let matter = {
        let mut tx = bus.begin().await?;
        store::residuals::matter_of(tx.conn(), id).await?
    };
    let Some(mut work) = take_up(bus, command, matter, actor, reason).await? else {
        return Ok(None);
    };
    let residual = store::residuals::lock(work.tx.conn(), Some(id), None)
        .await?
        .ok_or_else(|| no_residual(id))?;
    Ok(Some((work, residual)))
}

async fn note(
    bus: &Bus,
    work: &mut Work<'_>,
    residual: &Residual,
    step: ResidualStep,
    detail: &str,
    decided_by: Option<&str>,
) -> Result<(), Failure> {
    let because = work.because;
    let noted = Noted {
        step,
        detail,
        actor: because.actor,
        now: because.now,
        decided_by,
    };
    store::residuals::put(work.tx.conn(), residual, &noted).await?;
    let matter = &work.held.matter;
    let fact = changed(residual, matter, step, because.actor, detail, because.now);
    work.tell(bus, &fact, residual.id.as_uuid(), residual.version)
}

fn not_closed(residual: &Residual) -> Result<(), Failure> {
    if residual.state == ResidualState::Closed {
        return Err(Failure::of(Refused::ResidualState {
            state: residual.state.name(),
            needed: ResidualState::Open.name(),
        }));
    }
    Ok(())
}

fn text<'t>(pointer: &'static str, what: &'static str, text: &'t str) -> Result<&'t str, Failure> {
    let text = text.trim();
    if text.is_empty() || text.len() > TEXT_MAX {
        return Err(Failure::of(Refused::Missing(what))
            .at(pointer, format!("between 1 and {TEXT_MAX} characters")));
    }
    Ok(text)
}

fn past(bus: &Bus, pointer: &'static str, on: NaiveDate) -> Result<(), Failure> {
    if on > london_date(bus.now()) {
        let refused = Refused::Future(on);
        let detail = refused.to_string();
        return Err(Failure::of(refused).at(pointer, detail));
    }
    Ok(())
}

pub(crate) async fn trace(ask: TraceOwner, bus: Bus) -> Result<ResidualDetail, Refusal> {
    let channel = text("/channel", "how the owner was looked for", &ask.channel)?;
    let outcome = text("/outcome", "what came of it", &ask.outcome)?;
    past(&bus, "/on", ask.on)?;
    let command = ask.command_id.as_uuid();
    let id = ask.residual_id;
    let Some((mut work, mut residual)) = open(&bus, command, id, &ask.actor, outcome).await? else {
        return answer(&bus, id).await;
    };
    not_closed(&residual)?;
    let step = TracingStep {
        on: ask.on,
        channel: channel.to_owned(),
        outcome: outcome.to_owned(),
        actor: ask.actor.clone(),
        recorded_at: work.because.now,
    };
    store::residuals::trace(work.tx.conn(), id, &step).await?;
    residual.version += 1;
    let detail = format!("{channel} on {}: {outcome}", ask.on);
    note(
        &bus,
        &mut work,
        &residual,
        ResidualStep::Traced,
        &detail,
        None,
    )
    .await?;
    work.finish(&bus).await?;
    answer(&bus, id).await
}

pub(crate) async fn record_sra(
    ask: RecordSraApplication,
    bus: Bus,
) -> Result<ResidualDetail, Refusal> {
    let reference = text("/reference", "the SRA's reference", &ask.reference)?;
    past(&bus, "/on", ask.on)?;
    let command = ask.command_id.as_uuid();
    let id = ask.residual_id;
    let Some((mut work, mut residual)) = open(&bus, command, id, &ask.actor, reference).await?
    else {
        return answer(&bus, id).await;
    };
    not_closed(&residual)?;
    residual.sra_applied_on = Some(ask.on);
    residual.sra_reference = Some(reference.to_owned());
    residual.version += 1;
    let detail = format!("Applied to the SRA on {}, reference {reference}", ask.on);
    note(
        &bus,
        &mut work,
        &residual,
        ResidualStep::SraApplied,
        &detail,
        None,
    )
    .await?;
    work.finish(&bus).await?;
    answer(&bus, id).await
}

pub(crate) async fn propose(ask: ProposeRoute, bus: Bus) -> Result<ResidualDetail, Refusal> {
    let why = reason(&ask.reason)?;
    let payee = text("/payee", "whom it shall be paid to", &ask.payee)?;
    let command = ask.command_id.as_uuid();
    let id = ask.residual_id;
    let Some((mut work, mut residual)) = open(&bus, command, id, &ask.actor, why).await? else {
        return answer(&bus, id).await;
    };
    let proposal = Proposal {
        route: ask.route,
        payee: payee.to_owned(),
        charity_number: ask
            .charity_number
            .as_deref()
            .map(str::trim)
            .filter(|number| !number.is_empty())
            .map(str::to_owned),
        reason: why.to_owned(),
        requested_by: ask.actor.clone(),
        requested_at: work.because.now,
        bank_account: client_account(work.tx.conn(), ask.bank_account.as_deref()).await?,
        approval: None,
    };
    residual::propose(&mut residual, proposal, &work.settings).map_err(Failure::of)?;
    request(&bus, &mut work, &mut residual, payee)?;
    let detail = format!("{} to {payee}: {why}", residual.balance.display_uk());
    note(
        &bus,
        &mut work,
        &residual,
        ResidualStep::Proposed,
        &detail,
        None,
    )
    .await?;
    work.finish(&bus).await?;
    answer(&bus, id).await
}

/// Asks a second person: worklist keeps the request, and what is approved is
/// carried out by `consume::approvals`.
fn request(
    bus: &Bus,
    work: &mut Work<'_>,
    residual: &mut Residual,
    payee: &str,
) -> Result<(), Failure> {
    let matter = &work.held.matter;
    let because = work.because;
    let event = requested(
        Ask {
            kind: ApprovalKind::ResidualBalance,
            subject: residual.id.as_uuid(),
            title: format!(
                "Pay {} of {} to {payee}",
                residual.balance.display_uk(),
                matter.reference
            ),
            amount: residual.balance,
            account: Some(matter.account_id),
            account_ref: Some(&matter.account_ref),
            content: residual::content(residual, &matter.reference),
            needed: 1,
            requester: because.actor,
            reason: because.reason,
        },
        because.now,
    );
    if let Some(proposal) = &mut residual.proposal {
        proposal.approval = Some(event.approval_id);
    }
    work.tell(bus, &event, event.approval_id.as_uuid(), 1)
}

/// The fact that nobody need decide a request any more.
pub(crate) fn withdrawn(
    approval_id: ApprovalId,
    residual: &Residual,
    matter: &Matter,
    actor: &str,
    reason: &str,
    now: chrono::DateTime<chrono::Utc>,
) -> ApprovalWithdrawn {
    ApprovalWithdrawn {
        approval_id,
        kind: ApprovalKind::ResidualBalance,
        subject_id: residual.id.as_uuid(),
        account_ref: Some(matter.account_ref.clone()),
        actor: actor.to_owned(),
        reason: reason.to_owned(),
        recorded_at: now,
    }
}

pub(crate) async fn take_back(ask: TakeBackRoute, bus: Bus) -> Result<ResidualDetail, Refusal> {
    let why = reason(&ask.reason)?;
    let command = ask.command_id.as_uuid();
    let id = ask.residual_id;
    let Some((mut work, mut residual)) = open(&bus, command, id, &ask.actor, why).await? else {
        return answer(&bus, id).await;
    };
    let waited = residual::back(&mut residual).map_err(Failure::of)?;
    if let Some(approval) = waited {
        let (matter, now) = (&work.held.matter, work.because.now);
        let fact = withdrawn(approval, &residual, matter, &ask.actor, why, now);
        work.tell(&bus, &fact, approval.as_uuid(), 2)?;
    }
    let step = ResidualStep::Rejected;
    note(&bus, &mut work, &residual, step, why, None).await?;
    work.finish(&bus).await?;
    answer(&bus, id).await
}

pub(crate) async fn register(
    ask: ListCharityRegister,
    bus: Bus,
) -> Result<Page<CharityPayment>, Refusal> {
    let mut tx = bus.begin().await?;
    let before = cursor(ask.page.cursor.as_deref())?;
    let rows = ask.page.rows();
    let items = store::residuals::registered(tx.conn(), before, rows + 1).await?;
    Ok(page(items, rows, |entry| entry.residual_id.as_uuid()))
}
