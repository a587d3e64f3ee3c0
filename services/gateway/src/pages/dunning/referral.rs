//! The way to a court, on one page: what may begin a referral, its clocks, what
//! stops it, what was handed over.

use askama::Template;
use axum::{Form, extract::State, http::StatusCode, response::Response};
use chrono::NaiveDate;
use contracts::{
    api::{
        Call,
        dunning::{
            AcknowledgeDebt, GetLegal, LegalView, OpenReferral, ReferralStep, ReferralView,
            StepReferral,
        },
    },
    dunning::{PreActionLaw, RecallReason, ReferralState, ReferredTo, ReplyKind},
};
use kernel::{AccountId, Currency, DocumentId, Money, london_date};

use super::{Pairs, carried, field, form_key, problems, some};
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
#[template(path = "referral.html")]
struct ReferralPage {
    shell: Shell,
    legal: LegalView,
    may_act: bool,
    today: NaiveDate,
    problems: Vec<String>,
}

impl ReferralPage {
    fn law(&self) -> &'static str {
        match self.legal.law {
            PreActionLaw::Protocol => "the Pre-Action Protocol for Debt Claims",
            PreActionLaw::PracticeDirection => "the Practice Direction on Pre-Action Conduct",
        }
    }

    fn may_begin(&self) -> bool {
        self.legal.documents.iter().any(|one| one.why_not.is_none())
    }

    fn is<const N: usize>(one: &ReferralView, states: &[ReferralState; N]) -> bool {
        states.contains(&one.state)
    }

    fn is_before(one: &ReferralView) -> bool {
        Self::is(
            one,
            &[
                ReferralState::WaitingForReply,
                ReferralState::ReplyReceived,
                ReferralState::NoticeGiven,
                ReferralState::ReadyToRefer,
            ],
        )
    }

    fn is_out(one: &ReferralView) -> bool {
        Self::is(one, &[ReferralState::Referred, ReferralState::CostsOnly])
    }

    fn owes_documents(one: &ReferralView) -> bool {
        one.replies
            .iter()
            .any(|reply| reply.documents_due_on.is_some() && reply.documents_sent_on.is_none())
    }
}

async fn assemble(
    app: &App,
    visit: &Visit,
    account_id: AccountId,
    refused: Option<&Problem>,
) -> Result<ReferralPage, Problem> {
    Ok(ReferralPage {
        shell: visit.shell(Section::Accounts, "Legal"),
        legal: app.bus.ask(&GetLegal { account_id }).await?,
        may_act: routes::CHASE.allows(&visit.caller.roles),
        today: london_date(visit.now),
        problems: problems(refused),
    })
}

/// `GET /accounts/{id}/referral`
pub(crate) async fn show(
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
    let to = format!("/accounts/{account_id}/referral");
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

fn on(pairs: &Pairs, name: &str) -> Result<NaiveDate, Problem> {
    field(pairs, name)
        .parse()
        .map_err(|_| Problem::invalid("gateway.bad_date", &format!("/{name}"), "Give the day."))
}

/// Documents that are ticked.
fn documents(pairs: &Pairs) -> Result<Vec<DocumentId>, Problem> {
    pairs
        .iter()
        .filter(|(name, _)| name == "document")
        .map(|(_, id)| id.parse().map_err(|_| unreadable("document")))
        .collect()
}

/// `POST /accounts/{id}/referral`
pub(crate) async fn open(
    State(app): State<App>,
    visit: Visit,
    Path(account_id): Path<AccountId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let command = || {
        let documents = documents(&pairs)?;
        if documents.is_empty() {
            return Err(Problem::invalid(
                "gateway.bad_form",
                "/document",
                "Tick the documents that it is about.",
            ));
        }
        Ok(OpenReferral {
            command_id: command_id(visit.caller.user_id, "page", form_key(&pairs)?),
            account_id,
            documents,
            posted_on: match field(&pairs, "posted_on") {
                "" => None,
                _ => Some(on(&pairs, "posted_on")?),
            },
            reason: field(&pairs, "reason").to_owned(),
            person: person(&visit.caller),
        })
    };
    let said = "Begun: the clock of the letter runs.";
    send(&app, &visit, account_id, said, command()).await
}

fn read(pairs: &Pairs) -> Result<(ReferralStep, &'static str), Problem> {
    Ok(match field(pairs, "step") {
        "reply" => (
            ReferralStep::Reply {
                kind: ReplyKind::named(field(pairs, "kind")).ok_or_else(|| unreadable("kind"))?,
                received_on: on(pairs, "on")?,
                until: match field(pairs, "until") {
                    "" => None,
                    _ => Some(on(pairs, "until")?),
                },
            },
            "The reply is recorded, and has its own clock.",
        ),
        "documents_sent" => (
            ReferralStep::DocumentsSent {
                on: on(pairs, "on")?,
            },
            "Recorded: they have time to look at them.",
        ),
        "notice" => (
            ReferralStep::Notice {
                on: on(pairs, "on")?,
            },
            "Notice of the claim is recorded.",
        ),
        "leave_out" => (
            ReferralStep::LeaveOut {
                documents: documents(pairs)?,
            },
            "It is in it no more.",
        ),
        "request" => (
            ReferralStep::Request {
                to: ReferredTo::named(field(pairs, "to")).ok_or_else(|| unreadable("to"))?,
                handler: field(pairs, "handler").to_owned(),
                terms: some(field(pairs, "terms")),
            },
            "Asked for: a second person decides.",
        ),
        "withdraw" => (ReferralStep::Withdraw, "The request is taken back."),
        "recall" => (
            ReferralStep::Recall {
                why: RecallReason::named(field(pairs, "why")).ok_or_else(|| unreadable("why"))?,
            },
            "Recalled: tell the firm.",
        ),
        "told" => (ReferralStep::Told, "Recorded: the firm was told."),
        "add_costs" => (
            ReferralStep::AddCosts {
                amount: Money::parse(
                    field(pairs, "amount"),
                    Currency::parse(field(pairs, "currency"))
                        .map_err(|_| unreadable("currency"))?,
                )
                .map_err(|_| {
                    Problem::invalid(
                        "gateway.bad_amount",
                        "/amount",
                        "Give the amount, such as 35.00.",
                    )
                })?,
                what: field(pairs, "what").to_owned(),
                post: field(pairs, "post") == "true",
            },
            "The cost is recorded.",
        ),
        "post_costs" => (
            ReferralStep::PostCosts {
                cost_id: field(pairs, "cost")
                    .parse()
                    .map_err(|_| unreadable("cost"))?,
            },
            "Posted: it is an item of its own on the ledger in a moment.",
        ),
        "propose_write_off" => (
            ReferralStep::ProposeWriteOff,
            "Proposed: somebody has it to ask for the write-off.",
        ),
        "close" => (ReferralStep::Close, "Closed."),
        _ => return Err(unreadable("step")),
    })
}

/// `POST /accounts/{id}/referral/steps`
pub(crate) async fn step(
    State(app): State<App>,
    visit: Visit,
    Path(account_id): Path<AccountId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let mut said = "";
    let command = (|| {
        let (step, words) = read(&pairs)?;
        said = words;
        Ok(StepReferral {
            command_id: command_id(visit.caller.user_id, "page", form_key(&pairs)?),
            referral_id: field(&pairs, "referral")
                .parse()
                .map_err(|_| unreadable("referral"))?,
            version: field(&pairs, "version").parse().ok(),
            step,
            reason: field(&pairs, "reason").to_owned(),
            person: person(&visit.caller),
        })
    })();
    send(&app, &visit, account_id, said, command).await
}

/// `POST /accounts/{id}/referral/acknowledgments`
pub(crate) async fn acknowledge(
    State(app): State<App>,
    visit: Visit,
    Path(account_id): Path<AccountId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let command = || {
        Ok(AcknowledgeDebt {
            command_id: command_id(visit.caller.user_id, "page", form_key(&pairs)?),
            account_id,
            documents: documents(&pairs)?,
            signed_on: on(&pairs, "on")?,
            signed_by: field(&pairs, "signed_by").to_owned(),
            reference: some(field(&pairs, "reference")),
            reason: field(&pairs, "reason").to_owned(),
            person: person(&visit.caller),
        })
    };
    let said = "Recorded: limitation begins anew unless it was over before.";
    send(&app, &visit, account_id, said, command()).await
}
