//! Plans: worked out, agreed, changed, cancelled, looked at.

use contracts::{
    api::{
        Page, Refusal,
        dunning::{
            ExpectedPayment, GetPlan, ListPlans, OpenPlan, PlanStep, PlanView, ProposePlan,
            ProposedPlan, StepPlan,
        },
    },
    dunning::{PlanId, PlanState},
};
use kernel::Money;
use messaging::{Bus, Failure};
use rust_decimal::Decimal;

use super::{
    act::{Act, last_on, wrong},
    cursor, text,
};
use crate::{
    consume::judge,
    domain::{
        agreed::Books,
        plan::{self, Plan},
    },
    store,
};

/// Instalments of one plan.
const COUNT_MAX: u32 = 500;

fn no_plan(id: PlanId) -> Failure {
    Failure::not_found("dunning.no_plan", format!("there is no plan {id}"))
}

fn view(plan: Plan) -> Result<PlanView, Failure> {
    let money = |amount| Money::try_new(amount, plan.currency).map_err(Failure::of);
    Ok(PlanView {
        plan_id: plan.id,
        version: plan.version,
        state: plan.state,
        account_id: plan.account,
        items: plan.covered().map_err(Failure::of)?,
        instalments: plan.instalments().map_err(Failure::of)?,
        amount: money(plan.amount())?,
        received: money(plan.received)?,
        missed: plan.missed,
        interest_frozen: plan.interest_frozen && plan.state == PlanState::Active,
        taken_at: plan.taken_at,
        account_ref: plan.account_ref,
        method: plan.method,
        taken_by: plan.taken_by,
        reason: plan.reason,
    })
}

pub(crate) async fn get_plan(ask: GetPlan, bus: Bus) -> Result<PlanView, Refusal> {
    let mut tx = bus.begin().await?;
    let found = store::plans::get(tx.conn(), ask.plan_id)
        .await?
        .ok_or_else(|| no_plan(ask.plan_id))?;
    Ok(view(found)?)
}

pub(crate) async fn propose_plan(ask: ProposePlan, _: Bus) -> Result<ProposedPlan, Refusal> {
    let currency = ask.total.currency();
    if ask.count == 0 || ask.count > COUNT_MAX || !ask.total.is_positive() {
        return Err(wrong(
            "/count",
            "between 1 and 500 instalments of more than nothing",
        )
        .into());
    }
    let parts = plan::split(ask.total.amount(), ask.count, currency.exponent());
    let mut instalments = Vec::with_capacity(parts.len());
    for (n, part) in (0..ask.count).zip(parts) {
        let due_on = plan::day(ask.first_on, ask.every, n)
            .ok_or_else(|| wrong("/first_on", "beyond the calendar"))?;
        let amount = Money::try_new(part, currency).map_err(Failure::of)?;
        instalments.push(ExpectedPayment { due_on, amount });
    }
    Ok(ProposedPlan { instalments })
}

pub(crate) async fn open_plan(ask: OpenPlan, bus: Bus) -> Result<PlanView, Refusal> {
    let reason = text(&ask.reason, "/reason")?;
    let id: PlanId = ask.command_id.as_uuid().into();
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        return get_plan(GetPlan { plan_id: id }, bus).await;
    };
    let (account_ref, policy) = act.debtor(ask.account_id).await?;
    let (items, currency) = act.debts(ask.account_id, &ask.lines).await?;
    let rules = policy.map(|policy| policy.plan);
    let grace = rules.map_or(0, |rules| rules.grace_working_days);
    let payments = act.payments(&ask.instalments, &items, currency, grace)?;
    let others = store::plans::lock_of(act.tx.conn(), &[ask.account_id]).await?;
    let same = |other: &Plan| {
        other
            .items
            .iter()
            .any(|item| items.iter().any(|new| new.document == item.document))
    };
    if others
        .iter()
        .any(|other| other.state == PlanState::Active && same(other))
    {
        return Err(Failure::conflict(
            "dunning.on_plan_already",
            "a document is on a plan already: cancel that first",
        )
        .into());
    }
    let plan = Plan {
        id,
        version: 1,
        state: PlanState::Active,
        account: ask.account_id,
        account_ref,
        currency,
        items,
        payments,
        received: Decimal::ZERO,
        every: ask.every,
        grace_working_days: grace,
        allowed: rules.map_or(1, |rules| rules.missed),
        missed: 0,
        interest_frozen: rules.is_some_and(|rules| rules.interest_frozen),
        method: ask.method,
        taken_at: act.now,
        taken_on: act.today,
        taken_by: ask.person.actor.clone(),
        reason: reason.clone(),
        ended_on: None,
    };
    let told = judge::Told {
        prefix: &act.prefix,
        now: act.now,
        cause: &act.cause,
        actor: &ask.person.actor,
        reason: &reason,
    };
    judge::put_plan(&mut act.tx, &plan, None, told).await?;
    act.finish(&bus).await?;
    Ok(view(plan)?)
}

pub(crate) async fn step_plan(ask: StepPlan, bus: Bus) -> Result<PlanView, Refusal> {
    let reason = text(&ask.reason, "/reason")?;
    let id = ask.plan_id;
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        return get_plan(GetPlan { plan_id: id }, bus).await;
    };
    let account = store::plans::get(act.tx.conn(), id)
        .await?
        .ok_or_else(|| no_plan(id))?
        .account;
    let mut plan = store::plans::lock_of(act.tx.conn(), &[account])
        .await?
        .into_iter()
        .find(|plan| plan.id == id)
        .ok_or_else(|| no_plan(id))?;
    if plan.state != PlanState::Active {
        return Err(Failure::conflict("dunning.plan_over", "the plan is over").into());
    }
    let done = match ask.step {
        PlanStep::Cancel => {
            plan.cancel(act.today);
            true
        }
        PlanStep::Respread => plan.respread(act.today),
        PlanStep::Extend => {
            let last = plan.payments.last().map(|payment| payment.due_on);
            let due_on = last
                .and_then(|last| plan::day(last.max(act.today), plan.every, 1))
                .ok_or_else(|| wrong("/step", "beyond the calendar"))?;
            plan.extend(act.today, due_on, last_on(due_on, plan.grace_working_days)?)
        }
    };
    if !done {
        return Err(Failure::conflict(
            "dunning.nothing_missed",
            "nothing was missed, or nothing is to come",
        )
        .into());
    }
    if plan.state == PlanState::Active {
        let books = store::plans::books(act.tx.conn(), &[account], plan.taken_at).await?;
        plan.judge(books.get(&account).unwrap_or(&Books::default()), act.today);
    }
    plan.version += 1;
    let told = judge::Told {
        prefix: &act.prefix,
        now: act.now,
        cause: &act.cause,
        actor: &ask.person.actor,
        reason: &reason,
    };
    judge::put_plan(&mut act.tx, &plan, Some(PlanState::Active), told).await?;
    act.finish(&bus).await?;
    Ok(view(plan)?)
}

pub(crate) async fn list_plans(ask: ListPlans, bus: Bus) -> Result<Page<PlanView>, Refusal> {
    let rows = ask.page.rows();
    let after = cursor(ask.page.cursor.as_deref())?;
    let mut tx = bus.begin().await?;
    let mut found =
        store::plans::list(tx.conn(), ask.account_id, ask.state, after, rows + 1).await?;
    let more = found.len() as i64 > rows;
    found.truncate(usize::try_from(rows).unwrap_or(usize::MAX));
    let next_cursor = found
        .last()
        .filter(|_| more)
        .map(|last| last.id.to_string());
    Ok(Page {
        items: found.into_iter().map(view).collect::<Result<_, _>>()?,
        next_cursor,
    })
}
