//! What the forms of a case say.

use axum::{
    Form,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use contracts::{
    api::disputes::{CaseLine, CaseStep, CreditLine, GetCase, NudgeStakeholder, StepCase},
    disputes::CaseId,
};
use kernel::{CommandId, Currency, Money};

use super::{Link, Pairs, Place, Typed, assemble, field, key, some};
use crate::{
    App,
    api::{Path, controls::person, evidence::Sent, imports::Upload, once::command_id},
    pages::{PageProblem, Toast, Visit, show::typed_amount},
    problem::Problem,
};

/// Amounts of documents that a form names `<what>:<document id>`.
fn amounts(
    pairs: &Pairs,
    what: &str,
    currency: Currency,
) -> Result<Vec<(kernel::DocumentId, Money)>, Problem> {
    let mut found = Vec::new();
    for (name, value) in pairs {
        let Some(document) = name
            .strip_prefix(what)
            .and_then(|rest| rest.strip_prefix(':'))
        else {
            continue;
        };
        let wrong = |detail: &str| Problem::invalid("gateway.bad_amount", "/amount", detail);
        let document = document
            .parse()
            .map_err(|_| wrong("a document that there is not"))?;
        if let Some(amount) = typed_amount(value) {
            let amount = Money::parse(&amount, currency)
                .map_err(|error| wrong(&format!("“{value}” is no amount: {error}")))?;
            if !amount.is_zero() {
                found.push((document, amount));
            }
        }
    }
    Ok(found)
}

fn lines(pairs: &Pairs, what: &str, currency: Currency) -> Result<Vec<CaseLine>, Problem> {
    Ok(amounts(pairs, what, currency)?
        .into_iter()
        .map(|(document_id, amount)| CaseLine {
            document_id,
            amount: Some(amount),
            lines: some(field(pairs, "lines")).into_iter().collect(),
        })
        .collect())
}

fn credits(pairs: &Pairs, currency: Currency) -> Result<Vec<CreditLine>, Problem> {
    Ok(amounts(pairs, "credit", currency)?
        .into_iter()
        .map(|(document_id, amount)| CreditLine {
            document_id,
            amount,
        })
        .collect())
}

/// The step of a form, or that of the button that sent it, which comes last.
fn chosen(pairs: &Pairs) -> &str {
    let step = pairs.iter().rev().find(|(name, _)| name == "step");
    step.map_or("", |(_, step)| step.as_str())
}

/// What a form asks for, and how that reads when it is done.
fn step(
    pairs: &Pairs,
    currency: Currency,
    other: Option<CaseId>,
) -> Result<(CaseStep, &'static str), Problem> {
    let text = |name| some(field(pairs, name));
    let no_other = || {
        Problem::invalid(
            "gateway.no_case",
            "/other",
            "name another case, such as Q-000123",
        )
    };
    Ok(match chosen(pairs) {
        "confirm" => (
            CaseStep::Confirm {
                reason_code: field(pairs, "reason_code").to_owned(),
                lines: lines(pairs, "confirm", currency)?,
            },
            "Confirmed: what is in question is not chased.",
        ),
        "clear" => (CaseStep::Clear, "Cleared: there is no query."),
        "assign" => (
            CaseStep::Assign {
                coordinator: text("coordinator"),
                processor: text("processor"),
                responsible: text("responsible"),
            },
            "Assigned.",
        ),
        "classify" => (
            CaseStep::Classify {
                reason_code: text("reason_code"),
                root_cause: text("root_cause"),
                preventable: match field(pairs, "preventable") {
                    "yes" => Some(true),
                    "no" => Some(false),
                    _ => None,
                },
                department: text("department"),
            },
            "Noted.",
        ),
        "await_internal" => (
            CaseStep::AwaitInternal { from: text("from") },
            "It waits for the department.",
        ),
        "await_customer" => (
            CaseStep::AwaitCustomer,
            "It waits for the customer: its clocks stand still.",
        ),
        "answer" => (CaseStep::Answer, "Answered: work goes on."),
        "propose" => (
            CaseStep::Propose {
                credits: credits(pairs, currency)?,
            },
            "Proposed.",
        ),
        "resolve" => (
            CaseStep::Resolve {
                credits: credits(pairs, currency)?,
            },
            "Settled: billing is asked for the credit, the rest is chased.",
        ),
        "reject" => (
            CaseStep::Resolve {
                credits: Vec::new(),
            },
            "Rejected: it is chased again.",
        ),
        "agree" => (CaseStep::Agree, "Settled as was proposed."),
        "withdraw" => (CaseStep::Withdraw, "Withdrawn: it is chased again."),
        "reopen" => (CaseStep::Reopen, "Open again."),
        "close" => (CaseStep::Close, "Closed."),
        "protest" => (
            CaseStep::Protest {
                under_protest: true,
            },
            "Marked: payment does not settle it.",
        ),
        "no_protest" => (
            CaseStep::Protest {
                under_protest: false,
            },
            "The mark is gone.",
        ),
        "split" => (
            CaseStep::Split {
                lines: lines(pairs, "split", currency)?,
            },
            "Split off into a case of its own.",
        ),
        "merge" => (
            CaseStep::Merge {
                other: other.ok_or_else(no_other)?,
            },
            "Merged.",
        ),
        "link" => (
            CaseStep::Link {
                other: other.ok_or_else(no_other)?,
            },
            "Linked.",
        ),
        "attach" => (
            CaseStep::Attach {
                label: field(pairs, "label").to_owned(),
                reference: text("reference"),
                sha256: text("sha256"),
            },
            "The evidence is noted.",
        ),
        "comment" => (CaseStep::Comment, "The comment is on file."),
        _ => {
            return Err(Problem::invalid(
                "gateway.bad_form",
                "/step",
                "nothing that can be done with a case",
            ));
        }
    })
}

/// What makes a form that is sent twice count once.
fn command(visit: &Visit, pairs: &Pairs) -> Result<CommandId, Problem> {
    let key = field(pairs, "key");
    if (1..=200).contains(&key.len()) {
        return Ok(command_id(visit.caller.user_id, "dispute page", key));
    }
    Err(Problem::invalid(
        "gateway.bad_form",
        "/key",
        "the form has no key: load the page again",
    ))
}

async fn take(
    app: &App,
    visit: &Visit,
    case_id: CaseId,
    pairs: &Pairs,
) -> Result<&'static str, Problem> {
    let currency = Currency::parse(field(pairs, "currency"))
        .map_err(|_| Problem::invalid("gateway.bad_form", "/currency", "load the page again"))?;
    let other = match field(pairs, "other") {
        "" => None,
        text => {
            let found = app.bus.ask(&GetCase { case: key(text) }).await?;
            Some(found.case.case_id)
        }
    };
    let (step, said) = step(pairs, currency, other)?;
    let ask = StepCase {
        command_id: command(visit, pairs)?,
        case_id,
        version: field(pairs, "version").parse().ok(),
        step,
        reason: field(pairs, "reason").to_owned(),
        person: person(&visit.caller),
    };
    app.bus.ask(&ask).await?;
    Ok(said)
}

/// The page again, with what was typed and why it was refused.
async fn again(
    app: &App,
    visit: &Visit,
    place: Place,
    pairs: Pairs,
    problem: Problem,
) -> Result<Response, PageProblem> {
    let mut problems = vec![problem.detail.clone()];
    let fields = problem.errors.iter().map(|field| field.detail.clone());
    problems.extend(fields.filter(|detail| *detail != problem.detail));
    let typed = Typed {
        problems,
        step: chosen(&pairs).to_owned(),
        reason: field(&pairs, "reason").to_owned(),
        values: pairs,
    };
    let page = assemble(app, visit, place, typed, None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(problem.status(), &page))
}

/// `POST /disputes/{id}/steps`
pub(crate) async fn act(
    State(app): State<App>,
    visit: Visit,
    Path(case_id): Path<CaseId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let mut place = Place::read(&pairs);
    place.case = case_id.to_string();
    match take(&app, &visit, case_id, &pairs).await {
        Ok(said) => {
            let toast = Toast {
                text: said.to_owned(),
                warning: false,
                undo: None,
            };
            Ok(visit.go(&place.with(&case_id.to_string()), &toast))
        }
        Err(problem) if problem.status().is_client_error() => {
            again(&app, &visit, place, pairs, problem).await
        }
        Err(problem) => Err(visit.give_up()(problem)),
    }
}

/// `POST /disputes/{id}/evidence`: a form with a file in it.
pub(crate) async fn evidence(
    State(app): State<App>,
    visit: Visit,
    Path(case_id): Path<CaseId>,
    upload: Result<Upload, Problem>,
) -> Result<Response, PageProblem> {
    let (sent, read) = match upload {
        Ok(upload) => Sent::read(upload).await,
        Err(problem) => (Sent::default(), Err(problem)),
    };
    let mut place = Place::read(&sent.pairs);
    place.case = case_id.to_string();
    let kept = async {
        read?;
        let command_id = command(&visit, &sent.pairs)?;
        let ask = sent.command(command_id, case_id, &visit.caller)?;
        Ok::<_, Problem>(app.bus.ask(&ask).await?)
    }
    .await;
    match kept {
        Ok(_) => {
            let toast = Toast {
                text: "The file is kept.".to_owned(),
                warning: false,
                undo: None,
            };
            Ok(visit.go(&place.with(&case_id.to_string()), &toast))
        }
        Err(problem) if problem.status().is_client_error() => {
            again(&app, &visit, place, sent.pairs, problem).await
        }
        Err(problem) => Err(visit.give_up()(problem)),
    }
}

/// `POST /disputes/{id}/nudges`: shows the link this once, so there is no
/// redirect.
pub(crate) async fn nudge(
    State(app): State<App>,
    visit: Visit,
    Path(case_id): Path<CaseId>,
    headers: HeaderMap,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let mut place = Place::read(&pairs);
    place.case = case_id.to_string();
    let sent = async {
        let ask = NudgeStakeholder {
            command_id: command(&visit, &pairs)?,
            case_id,
            stakeholder: field(&pairs, "stakeholder").to_owned(),
            email: some(field(&pairs, "email")),
            question: field(&pairs, "reason").to_owned(),
            person: person(&visit.caller),
        };
        Ok::<_, Problem>(app.bus.ask(&ask).await?)
    }
    .await;
    match sent {
        Ok(nudged) => {
            let host = headers
                .get(header::HOST)
                .and_then(|host| host.to_str().ok())
                .unwrap_or_default();
            let scheme = if app.options.secure_cookies {
                "https"
            } else {
                "http"
            };
            let mail = nudged.mail;
            let link = nudged.token.map(|token| Link {
                href: format!("{scheme}://{host}/n/{token}"),
                until: nudged.expires_at,
                mail,
            });
            let page = assemble(&app, &visit, place, Typed::default(), link)
                .await
                .map_err(visit.give_up())?;
            Ok(visit.show(StatusCode::OK, &page))
        }
        Err(problem) if problem.status().is_client_error() => {
            again(&app, &visit, place, pairs, problem).await
        }
        Err(problem) => Err(visit.give_up()(problem)),
    }
}
