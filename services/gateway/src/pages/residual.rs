//! Residual balances: client money that no proper reason holds any more, who was
//! looked for, and how it leaves.

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use chrono::NaiveDate;
use contracts::{
    api::{
        Call, PageRequest, Refusal,
        controls::{DecideApproval, Verdict},
        matters::{
            BankMoveView, GetResidual, ListBankMoves, ListResiduals, ProposeRoute,
            RecordSraApplication, ResidualDetail, ResidualView, TakeBackRoute, TraceOwner,
        },
    },
    matters::{ResidualRoute, ResidualState},
};
use kernel::{ResidualId, london_date};

use super::{
    PageProblem, Section, Shell, Toast, Visit,
    show::{Uk as _, Words as _},
};
use crate::{
    App,
    api::{Path, controls::person, encoded, matters::waiting, once::command_id},
    auth::{Access, Caller},
    problem::Problem,
    routes,
};

/// Fields of the page's address and of its forms, in the order sent.
type Pairs = Vec<(String, String)>;

const PLACE: &str = "/residuals";

/// What the page shows, as its address says.
#[derive(Debug, Clone, Default)]
struct Place {
    closed: bool,
    search: String,
    cursor: String,
    residual: Option<ResidualId>,
}

impl Place {
    fn read(pairs: &Pairs) -> Self {
        let mut place = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "closed" => place.closed = value == "true",
                "search" => value.trim().clone_into(&mut place.search),
                "cursor" => place.cursor.clone_from(value),
                "residual" => place.residual = value.parse().ok(),
                _ => {}
            }
        }
        place
    }

    fn list(&self) -> String {
        let field = |name: &str, value: &str| {
            if value.is_empty() {
                String::new()
            } else {
                format!("&{name}={}", encoded(value))
            }
        };
        format!(
            "{PLACE}?closed={}{}{}",
            self.closed,
            field("search", &self.search),
            field("cursor", &self.cursor)
        )
    }

    fn with(&self, residual: ResidualId) -> String {
        format!("{}&residual={residual}", self.list())
    }
}

struct Row {
    view: ResidualView,
    href: String,
    current: bool,
}

/// What was typed into a form that was refused.
#[derive(Default)]
struct Typed {
    channel: String,
    outcome: String,
    route: String,
    payee: String,
    charity_number: String,
    reason: String,
}

impl Typed {
    fn read(pairs: &Pairs) -> Self {
        let of = |name| field(pairs, name).unwrap_or_default().to_owned();
        Self {
            channel: of("channel"),
            outcome: of("outcome"),
            route: of("route"),
            payee: of("payee"),
            charity_number: of("charity_number"),
            reason: of("reason"),
        }
    }
}

#[derive(Template)]
#[template(path = "residual.html")]
struct ResidualPage {
    shell: Shell,
    place: Place,
    open_href: String,
    closed_href: String,
    rows: Vec<Row>,
    next: Option<String>,
    moves: Vec<BankMoveView>,
    detail: Option<ResidualDetail>,
    missing: Option<String>,
    typed: Typed,
    problems: Vec<String>,
    today: NaiveDate,
    may_act: bool,
    may_decide: bool,
}

impl ResidualPage {
    fn is(detail: &ResidualDetail, state: ResidualState) -> bool {
        detail.residual.state == state
    }

    /// The caller asked for it and cannot approve it too.
    fn own(&self, detail: &ResidualDetail) -> bool {
        let actor = self.shell.caller.as_ref().map(Caller::actor);
        detail
            .proposal
            .as_ref()
            .is_some_and(|proposal| Some(&proposal.requested_by) == actor.as_ref())
    }

    fn above_limit(detail: &ResidualDetail) -> bool {
        detail.residual.balance.currency() != detail.charity_limit.currency()
            || detail
                .residual
                .balance
                .checked_cmp(detail.charity_limit)
                .is_ok_and(std::cmp::Ordering::is_gt)
    }
}

/// `GET /residuals`
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let page = assemble(&app, &visit, Place::read(&pairs), Typed::default(), None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

async fn assemble(
    app: &App,
    visit: &Visit,
    place: Place,
    typed: Typed,
    refused: Option<&Problem>,
) -> Result<ResidualPage, Problem> {
    let ask = ListResiduals {
        closed: place.closed,
        search: Some(place.search.clone()).filter(|text| !text.is_empty()),
        page: PageRequest {
            cursor: Some(place.cursor.clone()).filter(|cursor| !cursor.is_empty()),
            limit: None,
        },
    };
    let due = ListBankMoves::default();
    let (found, moves) = tokio::try_join!(app.bus.ask(&ask), app.bus.ask(&due))?;
    let chosen = place
        .residual
        .or_else(|| found.items.first().map(|first| first.residual_id));
    let (mut detail, mut missing) = (None, None);
    if let Some(residual_id) = chosen {
        match app
            .bus
            .ask(&GetResidual { residual_id })
            .await
            .map_err(Problem::from)
        {
            Ok(found) => detail = Some(found),
            Err(problem) if problem.status() == StatusCode::NOT_FOUND => {
                missing = Some(problem.detail);
            }
            Err(problem) => return Err(problem),
        }
    }
    let problems = refused.map_or_else(Vec::new, |problem| {
        let fields = problem.errors.iter().map(|field| field.detail.clone());
        let mut all = vec![problem.detail.clone()];
        all.extend(fields.filter(|detail| *detail != problem.detail));
        all
    });
    let plain = Place {
        search: place.search.clone(),
        ..Place::default()
    };
    Ok(ResidualPage {
        shell: visit.shell(Section::Residuals, "Residual balances"),
        open_href: plain.list(),
        closed_href: Place {
            closed: true,
            ..plain
        }
        .list(),
        next: found.next_cursor.map(|cursor| {
            Place {
                cursor,
                ..place.clone()
            }
            .list()
        }),
        rows: found
            .items
            .into_iter()
            .map(|view| Row {
                href: place.with(view.residual_id),
                current: chosen == Some(view.residual_id),
                view,
            })
            .collect(),
        moves: moves.items,
        detail,
        missing,
        typed,
        problems,
        today: london_date(visit.now),
        may_act: Access::ALLOCATE.allows(&visit.caller.roles),
        may_decide: routes::DECIDE.allows(&visit.caller.roles),
        place,
    })
}

fn field<'p>(pairs: &'p Pairs, name: &str) -> Option<&'p str> {
    pairs
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.trim())
}

fn day(pairs: &Pairs, name: &'static str) -> Result<NaiveDate, Problem> {
    field(pairs, name)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Problem::invalid("gateway.bad_date", &format!("/{name}"), "Give the day."))
}

/// What makes a form that is sent twice count once.
fn form_key(pairs: &Pairs) -> Result<&str, Problem> {
    field(pairs, "key")
        .filter(|key| (1..=200).contains(&key.len()))
        .ok_or_else(|| {
            Problem::invalid(
                "gateway.bad_form",
                "/key",
                "the form has no key: load the page again",
            )
        })
}

/// Sends what a form says; shows the page again with what was typed when it is
/// refused.
async fn send<C: Call>(
    app: &App,
    visit: &Visit,
    id: ResidualId,
    pairs: &Pairs,
    said: &str,
    command: Result<C, Problem>,
) -> Result<Response, PageProblem> {
    let place = Place {
        residual: Some(id),
        ..Place::read(pairs)
    };
    let sent = match command {
        Ok(command) => {
            let sent: Result<C::Reply, Refusal> = app.bus.ask(&command).await;
            sent.map(|_| ()).map_err(Problem::from)
        }
        Err(problem) => Err(problem),
    };
    match sent {
        Ok(()) => {
            let toast = Toast {
                text: said.to_owned(),
                warning: false,
                undo: None,
            };
            Ok(visit.go(&place.with(id), &toast))
        }
        Err(problem) if problem.status().is_client_error() => {
            let typed = Typed::read(pairs);
            let page = assemble(app, visit, place, typed, Some(&problem))
                .await
                .map_err(visit.give_up())?;
            Ok(visit.show(problem.status(), &page))
        }
        Err(problem) => Err(visit.give_up()(problem)),
    }
}

/// `POST /residuals/{id}/tracing`
pub(crate) async fn trace(
    State(app): State<App>,
    visit: Visit,
    Path(residual_id): Path<ResidualId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let command = || {
        Ok(TraceOwner {
            command_id: command_id(visit.caller.user_id, "page", form_key(&pairs)?),
            residual_id,
            on: day(&pairs, "on")?,
            channel: field(&pairs, "channel").unwrap_or_default().to_owned(),
            outcome: field(&pairs, "outcome").unwrap_or_default().to_owned(),
            actor: visit.caller.actor(),
        })
    };
    let said = "The attempt is on file.";
    send(&app, &visit, residual_id, &pairs, said, command()).await
}

/// `POST /residuals/{id}/sra`
pub(crate) async fn sra(
    State(app): State<App>,
    visit: Visit,
    Path(residual_id): Path<ResidualId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let command = || {
        Ok(RecordSraApplication {
            command_id: command_id(visit.caller.user_id, "page", form_key(&pairs)?),
            residual_id,
            on: day(&pairs, "on")?,
            reference: field(&pairs, "reference").unwrap_or_default().to_owned(),
            actor: visit.caller.actor(),
        })
    };
    let said = "The application to the SRA is on file.";
    send(&app, &visit, residual_id, &pairs, said, command()).await
}

/// `POST /residuals/{id}/proposal`
pub(crate) async fn propose(
    State(app): State<App>,
    visit: Visit,
    Path(residual_id): Path<ResidualId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let command = || {
        let route = match field(&pairs, "route") {
            Some("returned") => ResidualRoute::Returned,
            Some("charity") => ResidualRoute::Charity,
            Some("sra_authorised") => ResidualRoute::SraAuthorised,
            _ => {
                return Err(Problem::invalid(
                    "gateway.bad_form",
                    "/route",
                    "Choose how the money shall leave.",
                ));
            }
        };
        Ok(ProposeRoute {
            command_id: command_id(visit.caller.user_id, "page", form_key(&pairs)?),
            residual_id,
            route,
            payee: field(&pairs, "payee").unwrap_or_default().to_owned(),
            charity_number: field(&pairs, "charity_number")
                .filter(|number| !number.is_empty())
                .map(str::to_owned),
            bank_account: None,
            actor: visit.caller.actor(),
            reason: field(&pairs, "reason").unwrap_or_default().to_owned(),
        })
    };
    let said = "Asked for: a second person decides.";
    send(&app, &visit, residual_id, &pairs, said, command()).await
}

/// `POST /residuals/{id}/decision`
pub(crate) async fn decide(
    State(app): State<App>,
    visit: Visit,
    Path(residual_id): Path<ResidualId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let approved = field(&pairs, "decision") == Some("approve");
    let detail = app
        .bus
        .ask(&GetResidual { residual_id })
        .await
        .map_err(visit.give_up())?;
    let command = || {
        let usual = if approved { "Approved" } else { "Rejected" };
        let version = field(&pairs, "version").and_then(|version| version.parse().ok());
        Ok(DecideApproval {
            command_id: command_id(visit.caller.user_id, "page", form_key(&pairs)?),
            approval_id: waiting(&detail, version.unwrap_or_default())?,
            verdict: if approved {
                Verdict::Approve
            } else {
                Verdict::Reject
            },
            reason: field(&pairs, "reason")
                .filter(|reason| !reason.is_empty())
                .unwrap_or(usual)
                .to_owned(),
            person: person(&visit.caller),
        })
    };
    let said = if approved {
        "Approved: the money leaves the client ledger."
    } else {
        "Rejected."
    };
    send(&app, &visit, residual_id, &pairs, said, command()).await
}

/// `POST /residuals/{id}/take-back`
pub(crate) async fn take_back(
    State(app): State<App>,
    visit: Visit,
    Path(residual_id): Path<ResidualId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let command = || {
        Ok(TakeBackRoute {
            command_id: command_id(visit.caller.user_id, "page", form_key(&pairs)?),
            residual_id,
            actor: visit.caller.actor(),
            reason: field(&pairs, "reason").unwrap_or_default().to_owned(),
        })
    };
    let said = "Taken back: nobody need decide it.";
    send(&app, &visit, residual_id, &pairs, said, command()).await
}

#[derive(Template)]
#[template(path = "residual_evidence.html")]
struct EvidencePage {
    shell: Shell,
    detail: ResidualDetail,
}

/// `GET /residuals/{id}/evidence`: the file for the reporting accountant, made to
/// be printed.
pub(crate) async fn evidence(
    State(app): State<App>,
    visit: Visit,
    Path(residual_id): Path<ResidualId>,
) -> Result<Response, PageProblem> {
    let detail = app
        .bus
        .ask(&GetResidual { residual_id })
        .await
        .map_err(visit.give_up())?;
    let title = format!("Evidence for {}", detail.residual.matter_ref);
    let page = EvidencePage {
        shell: visit.shell(Section::Residuals, title),
        detail,
    };
    Ok(visit.show(StatusCode::OK, &page))
}
