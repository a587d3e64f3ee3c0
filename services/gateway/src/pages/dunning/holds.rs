//! Reasons not to chase: placed from the account, looked at, changed, ended.

use askama::Template;
use axum::{Form, extract::State, http::StatusCode, response::Response};
use chrono::NaiveDate;
use contracts::{
    api::{
        dunning::{DebtorReach, GetHold, GetReach, HoldStep, HoldView, PlaceHold, StepHold},
        reporting::AccountView,
    },
    dunning::{HoldId, HoldKind, HoldState},
};
use kernel::{AccountId, london_date};

use super::{Pairs, debts::Debts, field, form_key, problems, some};
use crate::{
    App,
    api::{Path, accounts::find, controls::person, once::command_id},
    pages::{
        Done, PageProblem, Section, Shell, Visit,
        show::{Uk as _, Words as _},
    },
    problem::Problem,
    routes,
};

/// A day of the form, if one was given.
fn day(pairs: &Pairs, name: &str) -> Result<Option<NaiveDate>, Problem> {
    some(field(pairs, name))
        .map(|text| text.parse())
        .transpose()
        .map_err(|_| Problem::invalid("gateway.bad_form", &format!("/{name}"), "give the day"))
}

#[derive(Template)]
#[template(path = "hold_new.html")]
struct NewPage {
    shell: Shell,
    account: AccountView,
    debts: Debts,
    debtors: Vec<DebtorReach>,
    with_amounts: bool,
    pairs: Pairs,
    problems: Vec<String>,
}

impl NewPage {
    fn typed(&self, name: &str) -> &str {
        field(&self.pairs, name)
    }
}

async fn new_page(
    app: &App,
    visit: &Visit,
    account: String,
    pairs: Pairs,
    refused: Option<&Problem>,
) -> Result<NewPage, Problem> {
    let account = find(app, account).await?;
    // Nothing is ticked by itself: a hold is on the whole account.
    let debts = Debts::of(app, account.account_id, NaiveDate::MIN, &pairs).await?;
    let reach = app
        .bus
        .ask(&GetReach {
            account_id: account.account_id,
        })
        .await?;
    Ok(NewPage {
        shell: visit.shell(Section::Accounts, "A hold"),
        account,
        debts,
        debtors: reach.debtors,
        with_amounts: false,
        pairs,
        problems: problems(refused),
    })
}

/// `GET /accounts/{id}/hold`
pub(crate) async fn form(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    let page = new_page(&app, &visit, id, Pairs::new(), None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

async fn placed(
    app: &App,
    visit: &Visit,
    account_id: AccountId,
    pairs: &Pairs,
) -> Result<Done, Problem> {
    let kind = HoldKind::named(field(pairs, "kind"))
        .ok_or_else(|| Problem::invalid("gateway.bad_form", "/kind", "choose what kind it is"))?;
    let documents = pairs.iter().filter(|(name, _)| name == "document");
    let documents = documents.map(|(_, value)| {
        value
            .parse()
            .map_err(|_| Problem::invalid("gateway.bad_form", "/document", "load the page again"))
    });
    let command = PlaceHold {
        command_id: command_id(visit.caller.user_id, "hold", form_key(pairs)?),
        kind,
        account_id,
        debtor_ref: some(field(pairs, "debtor_ref")),
        documents: documents.collect::<Result<_, _>>()?,
        starts_on: day(pairs, "starts_on")?,
        ends_on: day(pairs, "ends_on")?,
        review_on: day(pairs, "review_on")?,
        cut_off_on: day(pairs, "cut_off_on")?,
        owner: None,
        reference: some(field(pairs, "reference")),
        reason: field(pairs, "reason").to_owned(),
        person: person(&visit.caller),
    };
    let hold = app.bus.ask(&command).await?;
    Ok(Done {
        to: format!("/holds/{}", hold.hold_id),
        text: format!("The hold on {} is placed.", hold.account_ref),
    })
}

/// `POST /accounts/{id}/hold`
pub(crate) async fn place(
    State(app): State<App>,
    visit: Visit,
    Path(account_id): Path<AccountId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let problem = match visit.settle(placed(&app, &visit, account_id, &pairs).await)? {
        Ok(response) => return Ok(response),
        Err(problem) => problem,
    };
    let page = new_page(&app, &visit, account_id.to_string(), pairs, Some(&problem))
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(problem.status(), &page))
}

#[derive(Template)]
#[template(path = "hold.html")]
struct HoldPage {
    shell: Shell,
    hold: HoldView,
    today: NaiveDate,
    may_act: bool,
    problems: Vec<String>,
}

impl HoldPage {
    fn is_active(&self) -> bool {
        self.hold.state == HoldState::Active
    }

    fn is_crisis(&self) -> bool {
        self.hold.kind == HoldKind::MentalHealthCrisis
    }
}

async fn hold_page(
    app: &App,
    visit: &Visit,
    hold_id: HoldId,
    refused: Option<&Problem>,
) -> Result<HoldPage, Problem> {
    let ask = GetHold {
        hold_id,
        person: person(&visit.caller),
    };
    let hold = app.bus.ask(&ask).await?;
    Ok(HoldPage {
        shell: visit.shell(Section::Accounts, format!("Hold on {}", hold.account_ref)),
        hold,
        today: london_date(visit.now),
        may_act: routes::CHASE.allows(&visit.caller.roles),
        problems: problems(refused),
    })
}

/// `GET /holds/{id}`
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(hold_id): Path<HoldId>,
) -> Result<Response, PageProblem> {
    let page = hold_page(&app, &visit, hold_id, None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

async fn stepped(
    app: &App,
    visit: &Visit,
    hold_id: HoldId,
    pairs: &Pairs,
) -> Result<Done, Problem> {
    let (step, text) = match field(pairs, "step") {
        "change" => {
            let step = HoldStep::Change {
                ends_on: day(pairs, "ends_on")?,
                review_on: day(pairs, "review_on")?,
                owner: some(field(pairs, "owner")),
            };
            (step, "The hold is as you said.")
        }
        "treatment_ended" => {
            let on = day(pairs, "on")?.ok_or_else(|| {
                Problem::invalid("gateway.bad_form", "/on", "give the day that it ended")
            })?;
            let step = HoldStep::TreatmentEnded { on };
            (step, "The hold ends 30 days after the treatment.")
        }
        "end" => (HoldStep::End, "The hold is over."),
        "cancel" => {
            let text = "The hold is cancelled: its days do not count as stopped.";
            (HoldStep::Cancel, text)
        }
        _ => {
            return Err(Problem::invalid(
                "gateway.bad_form",
                "/step",
                "choose what is done",
            ));
        }
    };
    let command = StepHold {
        command_id: command_id(visit.caller.user_id, "hold", form_key(pairs)?),
        hold_id,
        version: field(pairs, "version").parse().ok(),
        step,
        reason: field(pairs, "reason").to_owned(),
        person: person(&visit.caller),
    };
    app.bus.ask(&command).await?;
    Ok(Done {
        to: format!("/holds/{hold_id}"),
        text: text.to_owned(),
    })
}

/// `POST /holds/{id}/steps`
pub(crate) async fn step(
    State(app): State<App>,
    visit: Visit,
    Path(hold_id): Path<HoldId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let problem = match visit.settle(stepped(&app, &visit, hold_id, &pairs).await)? {
        Ok(response) => return Ok(response),
        Err(problem) => problem,
    };
    let page = hold_page(&app, &visit, hold_id, Some(&problem))
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(problem.status(), &page))
}
