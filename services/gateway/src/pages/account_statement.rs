//! What moved an account's balance between two days: from what it began with to
//! what it came to.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use chrono::{Datelike as _, NaiveDate};
use contracts::api::{
    Refusal,
    reporting::{AccountStatement, GetAccountStatement},
};
use kernel::{AccountId, london_date};

use super::{
    PageProblem, Section, Shell, Visit,
    show::{Uk as _, Words as _},
};
use crate::{App, api::Path, problem::Problem};

#[derive(Template)]
#[template(path = "account_statement.html")]
struct StatementPage {
    shell: Shell,
    s: AccountStatement,
}

/// `GET /accounts/{id}/reconciliation`: of this month when no days are given.
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(account_id): Path<AccountId>,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Result<Response, PageProblem> {
    let given = |name: &str| {
        let (_, value) = pairs.iter().find(|(known, _)| known == name)?;
        value.trim().parse::<NaiveDate>().ok()
    };
    let to = given("to").unwrap_or_else(|| london_date(visit.now));
    let from = given("from").unwrap_or_else(|| to.with_day(1).unwrap_or(to));
    let ask = GetAccountStatement {
        account_id,
        from,
        to,
    };
    let found: Result<AccountStatement, Refusal> = app.bus.ask(&ask).await;
    let page = StatementPage {
        shell: visit.shell(Section::Accounts, "Account reconciliation"),
        s: found.map_err(Problem::from).map_err(visit.give_up())?,
    };
    Ok(visit.show(StatusCode::OK, &page))
}
