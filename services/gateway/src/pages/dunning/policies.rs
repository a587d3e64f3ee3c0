//! The process manual: dunning's policies, in words; one with its history and
//! the form that drafts the next version; and which account has which.

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use contracts::{
    api::{
        Refusal,
        dunning::{
            AssignPolicy, AssignmentState, DiffKind, DraftPolicy, DunningPolicyDetail,
            DunningPolicyView, EditionKind, EditionState, GetDunningPolicy, ListDunningPolicies,
            ListPolicyAssignments, PolicyAssignment,
        },
    },
    dunning::AssignTo,
};

use super::{
    Pairs,
    editions::{day, step},
    field, form_key, problems, some,
};
use crate::{
    App,
    api::{Path, controls::person, encoded, once::command_id},
    pages::{
        PageProblem, Section, Shell, Toast, Visit,
        show::{Uk as _, Words as _},
    },
    problem::Problem,
    routes,
};

const PLACE: &str = "/dunning/policies";

#[derive(Template)]
#[template(path = "policies.html")]
struct PoliciesPage {
    shell: Shell,
    policies: Vec<DunningPolicyView>,
    assignments: Vec<PolicyAssignment>,
    may_write: bool,
    to: String,
    reference: String,
    chosen: String,
    valid_from: String,
    reason: String,
    problems: Vec<String>,
}

impl PoliciesPage {
    fn in_force(&self) -> impl Iterator<Item = &DunningPolicyView> {
        self.policies.iter().filter(|policy| policy.in_force)
    }
}

async fn manual(
    app: &App,
    visit: &Visit,
    pairs: &Pairs,
    refused: Option<&Problem>,
) -> Result<PoliciesPage, Problem> {
    let today = kernel::london_date(visit.now).to_string();
    Ok(PoliciesPage {
        shell: visit.shell(Section::Dunning, "Process manual"),
        policies: app.bus.ask(&ListDunningPolicies {}).await?.items,
        assignments: app.bus.ask(&ListPolicyAssignments {}).await?.items,
        may_write: routes::RULES.allows(&visit.caller.roles),
        to: field(pairs, "to").to_owned(),
        reference: field(pairs, "reference").to_owned(),
        chosen: field(pairs, "policy").to_owned(),
        valid_from: some(field(pairs, "valid_from")).unwrap_or(today),
        reason: field(pairs, "reason").to_owned(),
        problems: problems(refused),
    })
}

/// `GET /dunning/policies`
pub(crate) async fn show(State(app): State<App>, visit: Visit) -> Result<Response, PageProblem> {
    let page = manual(&app, &visit, &Pairs::new(), None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

/// `POST /dunning/policies/assignments`
pub(crate) async fn assign(
    State(app): State<App>,
    visit: Visit,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let command = || {
        Ok(AssignPolicy {
            command_id: command_id(visit.caller.user_id, "page", form_key(&pairs)?),
            to: AssignTo::named(field(&pairs, "to")).ok_or_else(|| {
                Problem::invalid("gateway.bad_form", "/to", "Choose whom it is for.")
            })?,
            reference: field(&pairs, "reference").to_owned(),
            policy: some(field(&pairs, "policy")),
            valid_from: day(&pairs, "valid_from")?,
            reason: field(&pairs, "reason").to_owned(),
            person: person(&visit.caller),
        })
    };
    let sent = match command() {
        Ok(command) => {
            let sent: Result<PolicyAssignment, Refusal> = app.bus.ask(&command).await;
            sent.map_err(Problem::from)
        }
        Err(problem) => Err(problem),
    };
    match sent {
        Ok(_) => {
            let toast = Toast {
                text: "Asked for: a second person decides in Controls.".to_owned(),
                warning: false,
                undo: None,
            };
            Ok(visit.go(PLACE, &toast))
        }
        Err(problem) if problem.status().is_client_error() => {
            let page = manual(&app, &visit, &pairs, Some(&problem))
                .await
                .map_err(visit.give_up())?;
            Ok(visit.show(problem.status(), &page))
        }
        Err(problem) => Err(visit.give_up()(problem)),
    }
}

#[derive(Template)]
#[template(path = "policy.html")]
struct PolicyPage {
    shell: Shell,
    p: DunningPolicyDetail,
    text: String,
    valid_from: String,
    reason: String,
    may_write: bool,
    is_own: bool,
    /// What is wrong with the text, line by line.
    faults: Vec<String>,
    problems: Vec<String>,
}

impl PolicyPage {
    fn place(&self) -> String {
        format!("{PLACE}/{}", encoded(&self.p.policy))
    }
}

async fn assemble(
    app: &App,
    visit: &Visit,
    name: &str,
    pairs: &Pairs,
    refused: Option<&Problem>,
) -> Result<PolicyPage, Problem> {
    let ask = GetDunningPolicy {
        policy: name.to_owned(),
        version: field(pairs, "version").parse().ok(),
    };
    let p = app.bus.ask(&ask).await?;
    let typed = pairs.iter().any(|(name, _)| name == "text");
    let today = kernel::london_date(visit.now).to_string();
    let errors = refused.iter().flat_map(|problem| &problem.errors);
    Ok(PolicyPage {
        shell: visit.shell(Section::Dunning, p.title.clone()),
        text: if typed {
            field(pairs, "text").to_owned()
        } else {
            p.text.clone()
        },
        valid_from: some(field(pairs, "valid_from")).unwrap_or(today),
        reason: if typed {
            field(pairs, "reason").to_owned()
        } else {
            String::new()
        },
        may_write: routes::RULES.allows(&visit.caller.roles),
        is_own: p.edition.drafted_by == person(&visit.caller).actor,
        faults: errors
            .filter(|error| error.pointer == "/text")
            .map(|error| error.detail.clone())
            .collect(),
        problems: problems(refused),
        p,
    })
}

/// `GET /dunning/policies/{name}`
pub(crate) async fn one(
    State(app): State<App>,
    visit: Visit,
    Path(name): Path<String>,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let page = assemble(&app, &visit, &name, &pairs, None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

async fn again(
    app: &App,
    visit: &Visit,
    name: &str,
    pairs: &Pairs,
    problem: Problem,
) -> Result<Response, PageProblem> {
    if !problem.status().is_client_error() {
        return Err(visit.give_up()(problem));
    }
    let page = assemble(app, visit, name, pairs, Some(&problem))
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(problem.status(), &page))
}

/// `POST /dunning/policies/{name}/drafts`
pub(crate) async fn draft(
    State(app): State<App>,
    visit: Visit,
    Path(name): Path<String>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let command = || {
        Ok(DraftPolicy {
            command_id: command_id(visit.caller.user_id, "page", form_key(&pairs)?),
            policy: name.clone(),
            text: field(&pairs, "text").to_owned(),
            valid_from: day(&pairs, "valid_from")?,
            reason: field(&pairs, "reason").to_owned(),
            person: person(&visit.caller),
        })
    };
    let sent = match command() {
        Ok(command) => {
            let sent: Result<DunningPolicyDetail, Refusal> = app.bus.ask(&command).await;
            sent.map_err(Problem::from)
        }
        Err(problem) => Err(problem),
    };
    match sent {
        Ok(made) => {
            let version = made.edition.version;
            let toast = Toast {
                text: format!(
                    "Version {version} is drafted. Look at it, then ask a second person."
                ),
                warning: false,
                undo: None,
            };
            let to = format!("{PLACE}/{}?version={version}", encoded(&name));
            Ok(visit.go(&to, &toast))
        }
        Err(problem) => again(&app, &visit, &name, &pairs, problem).await,
    }
}

/// `POST /dunning/policies/{name}/steps`
pub(crate) async fn step_one(
    State(app): State<App>,
    visit: Visit,
    Path(name): Path<String>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    match step(&app, &visit, EditionKind::Policy, &name, &pairs).await {
        Ok((version, toast)) => {
            let to = format!("{PLACE}/{}?version={version}", encoded(&name));
            Ok(visit.go(&to, &toast))
        }
        Err(problem) => again(&app, &visit, &name, &pairs, problem).await,
    }
}
