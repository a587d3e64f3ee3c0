//! A debtor's word is taken: a promise, or a plan of instalments.

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use chrono::NaiveDate;
use contracts::api::{
    dunning::{Every, ExpectedPayment, OpenPlan, ProposePlan, TakePromise},
    reporting::AccountView,
};
use kernel::{AccountId, Currency, Money, london_date};

use super::{
    Pairs,
    debts::{Debts, amount, total},
    field, form_key, problems, some,
};
use crate::{
    App,
    api::{Path, accounts::find, controls::person, once::command_id},
    pages::{
        Done, PageProblem, Section, Shell, Visit,
        show::{Uk as _, Words as _},
    },
    problem::Problem,
};

fn wrong(pointer: &str, detail: &str) -> Problem {
    Problem::invalid("gateway.bad_form", pointer, detail)
}

/// A payment as it is typed.
pub(super) struct Row {
    pub(super) due_on: String,
    pub(super) amount: String,
}

/// Payments that a promise has room for on the page.
const PAYMENTS: usize = 3;

/// Rows of the form: fields `due_on` and `part`, in order.
pub(super) fn rows(pairs: &Pairs) -> Vec<Row> {
    let all = |wanted: &'static str| {
        let found = pairs.iter().filter(move |(name, _)| name == wanted);
        found.map(|(_, value)| value.trim().to_owned())
    };
    let parts = all("part").chain(std::iter::repeat(String::new()));
    let rows = all("due_on").zip(parts);
    rows.map(|(due_on, amount)| Row { due_on, amount })
        .collect()
}

/// The payments of a form; one without an amount is of what the others leave.
pub(super) fn payments(rows: &[Row], whole: Money) -> Result<Vec<ExpectedPayment>, Problem> {
    let mut typed = Vec::new();
    for (n, row) in rows.iter().enumerate() {
        let part = amount(&row.amount, whole.currency())?;
        if row.due_on.is_empty() {
            if part.is_some() {
                return Err(wrong(&format!("/due_on/{n}"), "an amount without a day"));
            }
            continue;
        }
        let due_on: NaiveDate = row
            .due_on
            .parse()
            .map_err(|_| wrong(&format!("/due_on/{n}"), "give the day"))?;
        typed.push((due_on, part));
    }
    let given = Money::sum(typed.iter().filter_map(|(_, part)| *part), whole.currency())
        .and_then(|given| whole.checked_sub(given))
        .map_err(|error| wrong("/part", &error.to_string()))?;
    let open = typed.iter().filter(|(_, part)| part.is_none()).count();
    match open {
        0 | 1 => {}
        _ => return Err(wrong("/part", "only one payment can be of the rest")),
    }
    let payments = typed.into_iter().map(|(due_on, part)| ExpectedPayment {
        due_on,
        amount: part.unwrap_or(given),
    });
    Ok(payments.collect())
}

/// The rows that were typed, and empty ones up to what a promise has room for.
pub(super) fn with_room(mut rows: Vec<Row>) -> Vec<Row> {
    rows.resize_with(PAYMENTS.max(rows.len()), || Row {
        due_on: String::new(),
        amount: String::new(),
    });
    rows
}

#[derive(Template)]
#[template(path = "promise_new.html")]
struct PromisePage {
    shell: Shell,
    account: AccountView,
    debts: Debts,
    with_amounts: bool,
    rows: Vec<Row>,
    pairs: Pairs,
    today: NaiveDate,
    problems: Vec<String>,
}

async fn promise_page(
    app: &App,
    visit: &Visit,
    account: String,
    pairs: Pairs,
    refused: Option<&Problem>,
) -> Result<PromisePage, Problem> {
    let account = find(app, account).await?;
    let today = london_date(visit.now);
    let rows = with_room(rows(&pairs));
    Ok(PromisePage {
        shell: visit.shell(Section::Accounts, "A promise"),
        debts: Debts::of(app, account.account_id, today, &pairs).await?,
        with_amounts: true,
        account,
        rows,
        pairs,
        today,
        problems: problems(refused),
    })
}

/// `GET /accounts/{id}/promise`
pub(crate) async fn promise(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let page = promise_page(&app, &visit, id, pairs, None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

async fn taken(
    app: &App,
    visit: &Visit,
    account_id: AccountId,
    pairs: &Pairs,
) -> Result<Done, Problem> {
    let debts = Debts::of(app, account_id, london_date(visit.now), pairs).await?;
    let lines = debts.lines()?;
    let instalments = payments(&rows(pairs), total(&lines)?)?;
    let command = TakePromise {
        command_id: command_id(visit.caller.user_id, "promise", form_key(pairs)?),
        account_id,
        lines,
        instalments,
        method: some(field(pairs, "method")),
        promised_by: some(field(pairs, "promised_by")),
        replaces: field(pairs, "replaces").parse().ok(),
        reason: field(pairs, "reason").to_owned(),
        person: person(&visit.caller),
    };
    let taken = app.bus.ask(&command).await?;
    Ok(Done {
        to: format!("/accounts/{account_id}"),
        text: format!(
            "{} is promised for {}{}.",
            taken.amount.uk(),
            taken.judged_on.uk(),
            if taken.stops_chasing {
                ", and is not chased until then"
            } else {
                "; too many were broken before, so chasing goes on"
            }
        ),
    })
}

/// `POST /accounts/{id}/promise`
pub(crate) async fn take(
    State(app): State<App>,
    visit: Visit,
    Path(account_id): Path<AccountId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let problem = match visit.settle(taken(&app, &visit, account_id, &pairs).await)? {
        Ok(response) => return Ok(response),
        Err(problem) => problem,
    };
    let page = promise_page(&app, &visit, account_id.to_string(), pairs, Some(&problem))
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(problem.status(), &page))
}

#[derive(Template)]
#[template(path = "plan_new.html")]
struct PlanPage {
    shell: Shell,
    account: AccountView,
    debts: Debts,
    with_amounts: bool,
    rows: Vec<Row>,
    pairs: Pairs,
    today: NaiveDate,
    problems: Vec<String>,
}

async fn plan_page(
    app: &App,
    visit: &Visit,
    account: String,
    pairs: Pairs,
    rows: Vec<Row>,
    refused: Option<&Problem>,
) -> Result<PlanPage, Problem> {
    let account = find(app, account).await?;
    let today = london_date(visit.now);
    Ok(PlanPage {
        shell: visit.shell(Section::Accounts, "A payment plan"),
        debts: Debts::of(app, account.account_id, today, &pairs).await?,
        with_amounts: true,
        account,
        rows,
        pairs,
        today,
        problems: problems(refused),
    })
}

/// `GET /accounts/{id}/plan`
pub(crate) async fn plan(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, PageProblem> {
    let page = plan_page(&app, &visit, id, Pairs::new(), Vec::new(), None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

/// A schedule as the form asks for it: nothing is agreed yet.
async fn schedule(app: &App, pairs: &Pairs, whole: Money) -> Result<Vec<Row>, Problem> {
    let ask = ProposePlan {
        total: whole,
        first_on: field(pairs, "first_on")
            .parse()
            .map_err(|_| wrong("/first_on", "give the day of the first payment"))?,
        every: every(pairs)?,
        count: field(pairs, "count")
            .parse()
            .map_err(|_| wrong("/count", "say how many payments"))?,
    };
    let proposed = app.bus.ask(&ask).await?;
    let rows = proposed.instalments.into_iter().map(|payment| Row {
        due_on: payment.due_on.to_string(),
        amount: payment.amount.amount().to_string(),
    });
    Ok(rows.collect())
}

fn every(pairs: &Pairs) -> Result<Every, Problem> {
    Every::named(field(pairs, "every")).ok_or_else(|| wrong("/every", "say how often"))
}

/// What a sent form of a plan comes to.
enum Sent {
    WorkedOut(Vec<Row>),
    Agreed(Done),
}

async fn agreed(
    app: &App,
    visit: &Visit,
    account_id: AccountId,
    pairs: &Pairs,
) -> Result<Sent, Problem> {
    let debts = Debts::of(app, account_id, london_date(visit.now), pairs).await?;
    let lines = debts.lines()?;
    let whole = total(&lines)?;
    if field(pairs, "step") == "work_out" {
        return Ok(Sent::WorkedOut(schedule(app, pairs, whole).await?));
    }
    let command = OpenPlan {
        command_id: command_id(visit.caller.user_id, "plan", form_key(pairs)?),
        account_id,
        lines,
        instalments: payments(&rows(pairs), whole)?,
        every: every(pairs)?,
        method: some(field(pairs, "method")),
        reason: field(pairs, "reason").to_owned(),
        person: person(&visit.caller),
    };
    let plan = app.bus.ask(&command).await?;
    Ok(Sent::Agreed(Done {
        to: format!("/plans/{}", plan.plan_id),
        text: format!(
            "{} is on a plan of {} payments, and is not chased while it is kept.",
            plan.amount.uk(),
            plan.instalments.len()
        ),
    }))
}

/// `POST /accounts/{id}/plan`
pub(crate) async fn open(
    State(app): State<App>,
    visit: Visit,
    Path(account_id): Path<AccountId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let done = match agreed(&app, &visit, account_id, &pairs).await {
        Ok(Sent::WorkedOut(rows)) => {
            let page = plan_page(&app, &visit, account_id.to_string(), pairs, rows, None)
                .await
                .map_err(visit.give_up())?;
            return Ok(visit.show(StatusCode::OK, &page));
        }
        Ok(Sent::Agreed(done)) => Ok(done),
        Err(problem) => Err(problem),
    };
    let problem = match visit.settle(done)? {
        Ok(response) => return Ok(response),
        Err(problem) => problem,
    };
    let typed = rows(&pairs);
    let account = account_id.to_string();
    let page = plan_page(&app, &visit, account, pairs, typed, Some(&problem))
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(problem.status(), &page))
}

impl PlanPage {
    fn typed(&self, name: &str) -> &str {
        field(&self.pairs, name)
    }

    /// What the rows come to, while they are amounts of `currency`.
    fn together(&self) -> Option<Money> {
        let currency: Currency = self.debts.items.first()?.open.currency();
        let parts = self
            .rows
            .iter()
            .map(|row| amount(&row.amount, currency).ok());
        let parts: Option<Vec<_>> = parts.collect();
        Money::sum(parts?.into_iter().flatten(), currency).ok()
    }
}

impl PromisePage {
    fn typed(&self, name: &str) -> &str {
        field(&self.pairs, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gbp(text: &str) -> Money {
        Money::parse(text, Currency::GBP).unwrap()
    }

    fn row(due_on: &str, amount: &str) -> Row {
        Row {
            due_on: due_on.into(),
            amount: amount.into(),
        }
    }

    #[test]
    fn a_payment_without_an_amount_is_of_the_rest() {
        let typed = [
            row("2026-12-01", "£40.00"),
            row("2026-12-15", ""),
            row("", ""),
        ];
        let read = payments(&typed, gbp("100")).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].amount, read[1].amount), (gbp("40"), gbp("60")));
        let whole = payments(&[row("2026-12-01", "")], gbp("100")).unwrap();
        assert_eq!(whole[0].amount, gbp("100"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let rest_twice = [row("2026-12-01", ""), row("2026-12-15", "")];
        let no_day = [row("2026-12-01", ""), row("", "10")];
        let no_amount = [row("2026-12-01", "ten")];
        for typed in [&rest_twice[..], &no_day[..], &no_amount[..]] {
            assert!(payments(typed, gbp("100")).is_err());
        }
    }
}
