//! The process manual: dunning's policies, in words.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use contracts::api::{
    Page, Refusal,
    dunning::{DunningPolicyView, ListDunningPolicies},
};

use crate::{
    App,
    pages::{PageProblem, Section, Shell, Visit, show::Uk as _},
    problem::Problem,
};

#[derive(Template)]
#[template(path = "policies.html")]
struct PoliciesPage {
    shell: Shell,
    policies: Vec<DunningPolicyView>,
}

/// `GET /dunning/policies`
pub(crate) async fn show(State(app): State<App>, visit: Visit) -> Result<Response, PageProblem> {
    let found: Result<Page<DunningPolicyView>, Refusal> =
        app.bus.ask(&ListDunningPolicies {}).await;
    let found = found.map_err(Problem::from).map_err(visit.give_up())?;
    let page = PoliciesPage {
        shell: visit.shell(Section::Dunning, "Process manual"),
        policies: found.items,
    };
    Ok(visit.show(StatusCode::OK, &page))
}
