//! What an account owes on paper: statements, and the working of late-payment
//! claims.

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use contracts::{
    api::{
        Call, Refusal,
        dunning::{
            GetLatePayment, GetStatement, LatePayment, PostCharge, Statement, TakeBackCharge,
        },
    },
    dunning::{ChargeKind, ChargeState},
};
use kernel::AccountId;

use super::{Pairs, carried, field, form_key, problems, sums};
use crate::{
    App,
    api::{Path, controls::person, once::command_id},
    pages::{
        PageProblem, Section, Shell, Visit,
        show::{Uk as _, Words as _},
    },
    problem::Problem,
    routes,
};

#[derive(Template)]
#[template(path = "statement.html")]
struct StatementPage {
    shell: Shell,
    statement: Statement,
}

/// `GET /accounts/{id}/statement`
pub(crate) async fn statement(
    State(app): State<App>,
    visit: Visit,
    Path(account_id): Path<AccountId>,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let ask = GetStatement {
        account_id,
        red: field(&pairs, "red") == "true",
        as_at: field(&pairs, "as_at").parse().ok(),
    };
    let found: Result<Statement, Refusal> = app.bus.ask(&ask).await;
    let statement = found.map_err(Problem::from).map_err(visit.give_up())?;
    let page = StatementPage {
        shell: visit.shell(Section::Accounts, "Statement"),
        statement,
    };
    Ok(visit.show(StatusCode::OK, &page))
}

#[derive(Template)]
#[template(path = "late_payment.html")]
struct LatePage {
    shell: Shell,
    late: LatePayment,
    may_act: bool,
    problems: Vec<String>,
}

async fn assemble(
    app: &App,
    visit: &Visit,
    account_id: AccountId,
    refused: Option<&Problem>,
) -> Result<LatePage, Problem> {
    let ask = GetLatePayment {
        account_id,
        until: None,
    };
    Ok(LatePage {
        shell: visit.shell(Section::Accounts, "Late payment"),
        late: app.bus.ask(&ask).await?,
        may_act: routes::DISPUTE.allows(&visit.caller.roles),
        problems: problems(refused),
    })
}

/// `GET /accounts/{id}/late-payment`
pub(crate) async fn late(
    State(app): State<App>,
    visit: Visit,
    Path(account_id): Path<AccountId>,
) -> Result<Response, PageProblem> {
    let page = assemble(&app, &visit, account_id, None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

async fn send<C: Call>(
    app: &App,
    visit: &Visit,
    account_id: AccountId,
    said: &str,
    command: Result<C, Problem>,
) -> Result<Response, PageProblem> {
    let to = format!("/accounts/{account_id}/late-payment");
    let problem = match visit.settle(carried(app, to, said, command).await)? {
        Ok(response) => return Ok(response),
        Err(problem) => problem,
    };
    let page = assemble(app, visit, account_id, Some(&problem))
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(problem.status(), &page))
}

fn unreadable(what: &str) -> Problem {
    Problem::invalid(
        "gateway.bad_form",
        &format!("/{what}"),
        "the form is not complete: load the page again",
    )
}

/// `POST /accounts/{id}/charges`
pub(crate) async fn post(
    State(app): State<App>,
    visit: Visit,
    Path(account_id): Path<AccountId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let command = || {
        Ok(PostCharge {
            command_id: command_id(visit.caller.user_id, "page", form_key(&pairs)?),
            account_id,
            document_id: field(&pairs, "document")
                .parse()
                .map_err(|_| unreadable("document"))?,
            kind: ChargeKind::named(field(&pairs, "kind")).ok_or_else(|| unreadable("kind"))?,
            reason: field(&pairs, "reason").to_owned(),
            person: person(&visit.caller),
        })
    };
    let said = "Posted: it is an item of its own on the ledger in a moment.";
    send(&app, &visit, account_id, said, command()).await
}

/// `POST /accounts/{id}/charges/taking-back`
pub(crate) async fn take_back(
    State(app): State<App>,
    visit: Visit,
    Path(account_id): Path<AccountId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let command = || {
        Ok(TakeBackCharge {
            command_id: command_id(visit.caller.user_id, "page", form_key(&pairs)?),
            charge_id: field(&pairs, "charge")
                .parse()
                .map_err(|_| unreadable("charge"))?,
            wrong: field(&pairs, "wrong") == "true",
            reason: field(&pairs, "reason").to_owned(),
            person: person(&visit.caller),
        })
    };
    let said = "Taken back: a credit note goes to the ledger.";
    send(&app, &visit, account_id, said, command()).await
}
