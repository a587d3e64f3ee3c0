//! Promises and payment plans.

use axum::{
    Json,
    extract::State,
    http::{Uri, header},
    response::{IntoResponse as _, Response},
};
use contracts::{
    api::dunning::{
        Every, ExpectedPayment, GetPlan, GetPromise, GetPromiseFigures, ListPlans, ListPromises,
        OpenPlan, PlanStep, PromiseTab, PromisedLine, ProposePlan, StepPlan, TakePromise,
        WithdrawPromise,
    },
    dunning::{PlanId, PlanState, PromiseId},
};
use kernel::{AccountId, Currency, Money};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{Path, Query, asked::Asked, list, page_request};
use crate::{App, problem::Problem};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PromisesQuery {
    /// `due_today`, `upcoming`, `broken`, `kept` or `all`; all when absent.
    #[param(value_type = Option<String>)]
    tab: Option<PromiseTab>,
    /// Only this account's.
    #[param(value_type = Option<String>)]
    account_id: Option<AccountId>,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

impl PromisesQuery {
    fn ask(self) -> ListPromises {
        ListPromises {
            tab: self.tab,
            account_id: self.account_id,
            page: page_request(self.cursor, self.limit),
        }
    }
}

/// Promises, by the day that the next payment is due.
#[utoipa::path(
    get, path = "/api/v1/promises", tag = "dunning", operation_id = "listPromises", params(PromisesQuery),
    responses((status = 200, description = "A page of promises", body = ref("#/components/schemas/Page_for_PromiseView")))
)]
pub(crate) async fn list_promises(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<PromisesQuery>,
) -> Result<Response, Problem> {
    Ok(list(&uri, &app.bus.ask(&query.ask()).await?))
}

/// One promise.
#[utoipa::path(
    get, path = "/api/v1/promises/{id}", tag = "dunning", operation_id = "getPromise",
    params(("id" = String, Path, format = Uuid, description = "The promise")),
    responses((status = 200, description = "The promise", body = ref("#/components/schemas/PromiseView")))
)]
pub(crate) async fn get_promise(
    State(app): State<App>,
    Path(promise_id): Path<PromiseId>,
) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetPromise { promise_id }).await?).into_response())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FiguresQuery {
    /// The first day that payments fell due on.
    #[param(value_type = String, format = Date)]
    from: chrono::NaiveDate,
    /// The last one.
    #[param(value_type = String, format = Date)]
    to: chrono::NaiveDate,
}

/// How promises that fell due in a period came out, for each person who took them.
#[utoipa::path(
    get, path = "/api/v1/promises/figures", tag = "dunning", operation_id = "promiseFigures", params(FiguresQuery),
    responses((status = 200, description = "The figures", body = ref("#/components/schemas/PromiseFigures")))
)]
pub(crate) async fn figures(
    State(app): State<App>,
    Query(FiguresQuery { from, to }): Query<FiguresQuery>,
) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetPromiseFigures { from, to }).await?).into_response())
}

/// Text in a calendar file (RFC 5545, 3.3.11).
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Upcoming payments of promises as a calendar file (RFC 5545): the first 200
/// promises.
#[utoipa::path(
    get, path = "/api/v1/promises/upcoming.ics", tag = "dunning", operation_id = "promisesCalendar",
    responses((status = 200, description = "The calendar", content_type = "text/calendar", body = String))
)]
pub(crate) async fn calendar(State(app): State<App>) -> Result<Response, Problem> {
    let ask = ListPromises {
        tab: Some(PromiseTab::Upcoming),
        account_id: None,
        page: page_request(None, Some(200)),
    };
    let page = app.bus.ask(&ask).await?;
    let mut text =
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Counterfoil//Promises//EN\r\n".to_owned();
    for promise in &page.items {
        for (n, payment) in promise.instalments.iter().enumerate() {
            if payment.received.amount() >= payment.amount.amount() {
                continue;
            }
            let day = payment.due_on.format("%Y%m%d");
            let stamp = promise.taken_at.format("%Y%m%dT%H%M%SZ");
            let words = format!(
                "{} promised {}",
                promise.account_ref,
                payment.amount.display_uk()
            );
            let uid = promise.promise_id;
            let summary = escaped(&words);
            text.push_str("BEGIN:VEVENT\r\n");
            for line in [
                format!("UID:{uid}-{n}@counterfoil"),
                format!("DTSTAMP:{stamp}"),
                format!("DTSTART;VALUE=DATE:{day}"),
                format!("SUMMARY:{summary}"),
            ] {
                text.push_str(&line);
                text.push_str("\r\n");
            }
            text.push_str("END:VEVENT\r\n");
        }
    }
    text.push_str("END:VCALENDAR\r\n");
    Ok((
        [(header::CONTENT_TYPE, "text/calendar; charset=utf-8")],
        text,
    )
        .into_response())
}

/// A debtor's word.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PromiseRequest {
    pub account_id: AccountId,
    pub lines: Vec<PromisedLine>,
    /// Together what the lines come to.
    pub instalments: Vec<ExpectedPayment>,
    #[serde(default)]
    pub method: Option<String>,
    #[serde(default)]
    pub promised_by: Option<String>,
    /// The promise in whose place it is.
    #[serde(default)]
    pub replaces: Option<PromiseId>,
    pub reason: String,
}

/// Takes a promise. What is promised is not chased until it is kept or broken.
#[utoipa::path(
    post, path = "/api/v1/promises", tag = "dunning", operation_id = "takePromise",
    params(("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it")),
    request_body = ref("#/components/schemas/PromiseRequest"),
    responses((status = 200, description = "The promise", body = ref("#/components/schemas/PromiseView")))
)]
pub(crate) async fn take(asked: Asked) -> Result<Response, Problem> {
    asked
        .once(
            "take_promise",
            |command_id, body: PromiseRequest, person| TakePromise {
                command_id,
                account_id: body.account_id,
                lines: body.lines,
                instalments: body.instalments,
                method: body.method,
                promised_by: body.promised_by,
                replaces: body.replaces,
                reason: body.reason,
                person,
            },
        )
        .await
}

/// Why something is taken back.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct WithdrawRequest {
    pub reason: String,
}

/// Withdraws an open promise: it counts against nobody.
#[utoipa::path(
    post, path = "/api/v1/promises/{id}/withdraw", tag = "dunning", operation_id = "withdrawPromise",
    params(
        ("id" = String, Path, format = Uuid, description = "The promise"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/WithdrawRequest"),
    responses((status = 200, description = "The promise", body = ref("#/components/schemas/PromiseView")))
)]
pub(crate) async fn withdraw(
    Path(promise_id): Path<PromiseId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once(
            "withdraw_promise",
            |command_id, body: WithdrawRequest, person| WithdrawPromise {
                command_id,
                promise_id,
                reason: body.reason,
                person,
            },
        )
        .await
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PlansQuery {
    /// Only this account's.
    #[param(value_type = Option<String>)]
    account_id: Option<AccountId>,
    /// `active`, `completed`, `defaulted` or `cancelled`.
    #[param(value_type = Option<String>)]
    state: Option<PlanState>,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Payment plans, the newest first.
#[utoipa::path(
    get, path = "/api/v1/plans", tag = "dunning", operation_id = "listPlans", params(PlansQuery),
    responses((status = 200, description = "A page of plans", body = ref("#/components/schemas/Page_for_PlanView")))
)]
pub(crate) async fn list_plans(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<PlansQuery>,
) -> Result<Response, Problem> {
    let ask = ListPlans {
        account_id: query.account_id,
        state: query.state,
        page: page_request(query.cursor, query.limit),
    };
    Ok(list(&uri, &app.bus.ask(&ask).await?))
}

/// One plan.
#[utoipa::path(
    get, path = "/api/v1/plans/{id}", tag = "dunning", operation_id = "getPlan",
    params(("id" = String, Path, format = Uuid, description = "The plan")),
    responses((status = 200, description = "The plan", body = ref("#/components/schemas/PlanView")))
)]
pub(crate) async fn get_plan(
    State(app): State<App>,
    Path(plan_id): Path<PlanId>,
) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetPlan { plan_id }).await?).into_response())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ScheduleQuery {
    /// Such as `1200.00`.
    total: String,
    /// Such as `GBP`.
    #[param(value_type = String)]
    currency: Currency,
    #[param(value_type = String, format = Date)]
    first_on: chrono::NaiveDate,
    /// `week`, `fortnight`, `four_weeks` or `month`.
    #[param(value_type = String)]
    every: Every,
    #[param(minimum = 1, maximum = 500)]
    count: u32,
}

/// Works out equal instalments, the remainder in the last. Writes nothing.
#[utoipa::path(
    get, path = "/api/v1/plans/schedule", tag = "dunning", operation_id = "proposePlan", params(ScheduleQuery),
    responses((status = 200, description = "The schedule", body = ref("#/components/schemas/ProposedPlan")))
)]
pub(crate) async fn schedule(
    State(app): State<App>,
    Query(query): Query<ScheduleQuery>,
) -> Result<Response, Problem> {
    let total = Money::parse(&query.total, query.currency).map_err(messaging::Failure::of)?;
    let ask = ProposePlan {
        total,
        first_on: query.first_on,
        every: query.every,
        count: query.count,
    };
    Ok(Json(app.bus.ask(&ask).await?).into_response())
}

/// Instalments that were agreed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PlanRequest {
    pub account_id: AccountId,
    pub lines: Vec<PromisedLine>,
    /// Together what the lines come to.
    pub instalments: Vec<ExpectedPayment>,
    pub every: Every,
    #[serde(default)]
    pub method: Option<String>,
    pub reason: String,
}

/// Opens a plan. What is on it is not chased while it is kept.
#[utoipa::path(
    post, path = "/api/v1/plans", tag = "dunning", operation_id = "openPlan",
    params(("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it")),
    request_body = ref("#/components/schemas/PlanRequest"),
    responses((status = 200, description = "The plan", body = ref("#/components/schemas/PlanView")))
)]
pub(crate) async fn open_plan(asked: Asked) -> Result<Response, Problem> {
    asked
        .once("open_plan", |command_id, body: PlanRequest, person| {
            OpenPlan {
                command_id,
                account_id: body.account_id,
                lines: body.lines,
                instalments: body.instalments,
                every: body.every,
                method: body.method,
                reason: body.reason,
                person,
            }
        })
        .await
}

/// A step of a plan.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PlanStepRequest {
    #[serde(flatten)]
    pub step: PlanStep,
    pub reason: String,
}

/// Spreads what was missed, extends the plan by it, or cancels the plan.
#[utoipa::path(
    post, path = "/api/v1/plans/{id}/steps", tag = "dunning", operation_id = "stepPlan",
    params(
        ("id" = String, Path, format = Uuid, description = "The plan"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body = ref("#/components/schemas/PlanStepRequest"),
    responses((status = 200, description = "The plan", body = ref("#/components/schemas/PlanView")))
)]
pub(crate) async fn step_plan(
    Path(plan_id): Path<PlanId>,
    asked: Asked,
) -> Result<Response, Problem> {
    asked
        .once("step_plan", |command_id, body: PlanStepRequest, person| {
            StepPlan {
                command_id,
                plan_id,
                step: body.step,
                reason: body.reason,
                person,
            }
        })
        .await
}
