//! What was agreed with debtors: promises and plans, and what came of them.

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use chrono::Days;
use contracts::{
    api::{
        PageRequest,
        dunning::{
            GetPlan, GetPromiseFigures, ListPlans, ListPromises, PlanStep, PlanView, PromiseFigure,
            PromiseTab, PromiseView, StepPlan, WithdrawPromise,
        },
    },
    dunning::{Instalment, PlanId, PlanState, PromiseId, PromiseState},
};
use kernel::london_date;

use super::{Pairs, field, form_key, problems, some};
use crate::{
    App,
    api::{Path, controls::person, encoded, once::command_id},
    pages::{
        Done, PageProblem, Section, Shell, Visit,
        show::{Uk as _, Words as _},
    },
    problem::Problem,
    routes,
};

const PLACE: &str = "/promises";
/// Days back that the figures are of.
const FIGURES: Days = Days::new(90);

/// A tab: promises in a state, or plans.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tab {
    Promises(PromiseTab),
    Plans,
}

impl Tab {
    const ALL: [Self; 6] = [
        Self::Promises(PromiseTab::DueToday),
        Self::Promises(PromiseTab::Upcoming),
        Self::Promises(PromiseTab::Broken),
        Self::Promises(PromiseTab::Kept),
        Self::Promises(PromiseTab::All),
        Self::Plans,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Promises(tab) => tab.name(),
            Self::Plans => "plans",
        }
    }
}

/// One person's promises, with the share that was kept.
struct Share {
    figure: PromiseFigure,
    /// Of a hundred.
    kept: u32,
}

#[derive(Template)]
#[template(path = "promises.html")]
struct PromisesPage {
    shell: Shell,
    tab: Tab,
    promises: Vec<PromiseView>,
    plans: Vec<PlanView>,
    shares: Vec<Share>,
    next: Option<String>,
    may_act: bool,
    problems: Vec<String>,
}

fn share(figure: PromiseFigure) -> Share {
    let all = figure.kept + figure.partly_kept + figure.broken;
    let kept = (figure.kept * 100).checked_div(all).unwrap_or(0);
    Share { figure, kept }
}

async fn list(
    app: &App,
    visit: &Visit,
    pairs: &Pairs,
    refused: Option<&Problem>,
) -> Result<PromisesPage, Problem> {
    let wanted = field(pairs, "tab");
    let tab = Tab::ALL.into_iter().find(|tab| tab.name() == wanted);
    let tab = tab.unwrap_or(Tab::Promises(PromiseTab::DueToday));
    let page = PageRequest {
        cursor: some(field(pairs, "cursor")),
        limit: None,
    };
    let to = london_date(visit.now);
    let from = to.checked_sub_days(FIGURES).unwrap_or(to);
    let figures = app.bus.ask(&GetPromiseFigures { from, to }).await?;
    let (promises, plans, cursor) = match tab {
        Tab::Promises(tab) => {
            let ask = ListPromises {
                tab: Some(tab),
                account_id: None,
                page,
            };
            let found = app.bus.ask(&ask).await?;
            (found.items, Vec::new(), found.next_cursor)
        }
        Tab::Plans => {
            let ask = ListPlans {
                page,
                ..ListPlans::default()
            };
            let found = app.bus.ask(&ask).await?;
            (Vec::new(), found.items, found.next_cursor)
        }
    };
    Ok(PromisesPage {
        shell: visit.shell(Section::Promises, "Promises and plans"),
        tab,
        promises,
        plans,
        shares: figures.rows.into_iter().map(share).collect(),
        next: cursor
            .map(|cursor| format!("{PLACE}?tab={}&cursor={}", tab.name(), encoded(&cursor))),
        may_act: routes::CHASE.allows(&visit.caller.roles),
        problems: problems(refused),
    })
}

/// `GET /promises`
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let page = list(&app, &visit, &pairs, None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

async fn withdrawn(
    app: &App,
    visit: &Visit,
    promise_id: PromiseId,
    pairs: &Pairs,
) -> Result<Done, Problem> {
    let command = WithdrawPromise {
        command_id: command_id(visit.caller.user_id, "promise", form_key(pairs)?),
        promise_id,
        reason: field(pairs, "reason").to_owned(),
        person: person(&visit.caller),
    };
    let promise = app.bus.ask(&command).await?;
    Ok(Done {
        to: format!("{PLACE}?tab={}", encoded(field(pairs, "tab"))),
        text: format!(
            "The promise of {} is withdrawn: it counts against nobody.",
            promise.account_ref
        ),
    })
}

/// `POST /promises/{id}/withdraw`
pub(crate) async fn withdraw(
    State(app): State<App>,
    visit: Visit,
    Path(promise_id): Path<PromiseId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let problem = match visit.settle(withdrawn(&app, &visit, promise_id, &pairs).await)? {
        Ok(response) => return Ok(response),
        Err(problem) => problem,
    };
    let page = list(&app, &visit, &pairs, Some(&problem))
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(problem.status(), &page))
}

#[derive(Template)]
#[template(path = "plan.html")]
struct PlanPage {
    shell: Shell,
    plan: PlanView,
    today: chrono::NaiveDate,
    may_act: bool,
    problems: Vec<String>,
}

impl PlanPage {
    fn comes_of(&self, payment: &Instalment) -> &'static str {
        if payment.received.amount() >= payment.amount.amount() {
            "paid"
        } else if payment.due_on < self.today {
            "late"
        } else {
            "to come"
        }
    }

    fn is_active(&self) -> bool {
        self.plan.state == PlanState::Active
    }
}

async fn plan_page(
    app: &App,
    visit: &Visit,
    plan_id: PlanId,
    refused: Option<&Problem>,
) -> Result<PlanPage, Problem> {
    let plan = app.bus.ask(&GetPlan { plan_id }).await?;
    Ok(PlanPage {
        shell: visit.shell(
            Section::Promises,
            format!("Payment plan of {}", plan.account_ref),
        ),
        plan,
        today: london_date(visit.now),
        may_act: routes::CHASE.allows(&visit.caller.roles),
        problems: problems(refused),
    })
}

/// `GET /plans/{id}`
pub(crate) async fn plan(
    State(app): State<App>,
    visit: Visit,
    Path(plan_id): Path<PlanId>,
) -> Result<Response, PageProblem> {
    let page = plan_page(&app, &visit, plan_id, None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

async fn stepped(
    app: &App,
    visit: &Visit,
    plan_id: PlanId,
    pairs: &Pairs,
) -> Result<Done, Problem> {
    let (step, text) = match field(pairs, "step") {
        "respread" => (PlanStep::Respread, "What was missed is spread anew."),
        "extend" => (PlanStep::Extend, "What was missed is paid at the end."),
        "cancel" => (PlanStep::Cancel, "The plan is cancelled."),
        _ => {
            return Err(Problem::invalid(
                "gateway.bad_form",
                "/step",
                "choose what is done",
            ));
        }
    };
    let command = StepPlan {
        command_id: command_id(visit.caller.user_id, "plan", form_key(pairs)?),
        plan_id,
        step,
        reason: field(pairs, "reason").to_owned(),
        person: person(&visit.caller),
    };
    app.bus.ask(&command).await?;
    Ok(Done {
        to: format!("/plans/{plan_id}"),
        text: text.to_owned(),
    })
}

/// `POST /plans/{id}/steps`
pub(crate) async fn step_plan(
    State(app): State<App>,
    visit: Visit,
    Path(plan_id): Path<PlanId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let problem = match visit.settle(stepped(&app, &visit, plan_id, &pairs).await)? {
        Ok(response) => return Ok(response),
        Err(problem) => problem,
    };
    let page = plan_page(&app, &visit, plan_id, Some(&problem))
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(problem.status(), &page))
}
