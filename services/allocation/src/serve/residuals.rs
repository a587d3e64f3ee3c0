//! Residual balances: tracing the owner, and the ways out.

use chrono::NaiveDate;
use contracts::{
    api::{
        Page, Refusal,
        matters::{
            CharityPayment, DecideRoute, GetResidual, ListCharityRegister, ListResiduals,
            ProposeRoute, RecordSraApplication, ResidualDetail, ResidualView, TraceOwner,
            TracingStep,
        },
    },
    matters::{EntryKind, ResidualChanged, ResidualRoute, ResidualState, ResidualStep},
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
    domain::legal::{
        Matter, Refused,
        client::{self, Payment},
        residual::{self, Proposal, Residual},
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
    };
    residual::propose(&mut residual, proposal, &work.settings).map_err(Failure::of)?;
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

pub(crate) async fn decide(ask: DecideRoute, bus: Bus) -> Result<ResidualDetail, Refusal> {
    let why = reason(&ask.reason)?;
    let command = ask.command_id.as_uuid();
    let id = ask.residual_id;
    let Some((mut work, mut residual)) = open(&bus, command, id, &ask.actor, why).await? else {
        return answer(&bus, id).await;
    };
    let because = work.because;
    let balance = residual.balance;
    let approved = residual::decide(
        &mut residual,
        ask.approved,
        ask.expected_version,
        &ask.actor,
        &work.settings,
    )
    .map_err(Failure::of)?;
    let Some(proposal) = approved else {
        note(
            &bus,
            &mut work,
            &residual,
            ResidualStep::Rejected,
            why,
            None,
        )
        .await?;
        work.finish(&bus).await?;
        return answer(&bus, id).await;
    };
    let bank_account = client_account(work.tx.conn(), ask.bank_account.as_deref()).await?;
    let payment = Payment {
        kind: match proposal.route {
            ResidualRoute::Returned => EntryKind::Returned,
            ResidualRoute::Charity | ResidualRoute::SraAuthorised => EntryKind::Charity,
        },
        amount: balance,
        payee: &proposal.payee,
        disbursement: None,
        bank_account: &bank_account,
    };
    client::pay(&mut work.held, &mut work.legal, &payment, command, &because)
        .map_err(Failure::of)?;
    let detail = format!("{} paid to {}", balance.display_uk(), proposal.payee);
    note(
        &bus,
        &mut work,
        &residual,
        ResidualStep::PaidAway,
        &detail,
        Some(&ask.actor),
    )
    .await?;
    if let Some(charity_number) = proposal
        .charity_number
        .filter(|_| proposal.route != ResidualRoute::Returned)
    {
        let matter = store::matters::view(work.tx.conn(), residual.matter).await?;
        let entry = CharityPayment {
            residual_id: id,
            matter_ref: matter.matter_ref,
            owner: matter.account_name.unwrap_or(matter.account_ref),
            amount: balance,
            charity: proposal.payee,
            charity_number,
            paid_on: because.not_before,
            route: proposal.route,
            sra_reference: residual.sra_reference.clone(),
            requested_by: proposal.requested_by,
            approved_by: ask.actor.clone(),
        };
        store::residuals::register(work.tx.conn(), &entry, because.now).await?;
    }
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
