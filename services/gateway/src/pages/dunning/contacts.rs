//! What was said to a debtor and by them, which ways still reach them, and the
//! form that a call is written down with.

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
        Page, PageRequest,
        dunning::{
            ContactStep, ContactView, GetReach, HoldView, ListContacts, ListHolds, ListOutcomes,
            OutcomeView, PromiseTerms, Reach, RecordContact, StepContact,
        },
        reporting::AccountView,
    },
    dunning::{Channel, ContactId, ContactOutcome, ContactState, Direction, HoldState},
};
use kernel::{AccountId, Money, london_date};

use super::{
    Pairs,
    agree::{Row, payments, rows, with_room},
    debts::{Debts, total},
    field, form_key, problems, some,
};
use crate::{
    App,
    api::{Path, accounts::find, controls::person, encoded, once::command_id, page_request},
    pages::{
        Done, PageProblem, Section, Shell, Visit,
        show::{Uk as _, Words as _, from_local},
    },
    problem::Problem,
    routes,
};

/// Contacts of one page.
const ROWS: u16 = 25;

#[derive(Template)]
#[template(path = "contacts.html")]
struct ContactsPage {
    shell: Shell,
    account: AccountView,
    contacts: Vec<ContactView>,
    next: Option<String>,
    reach: Reach,
    /// What stops chasing them now.
    holds: Vec<HoldView>,
    /// What can come of a contact of the chosen channel and direction.
    outcomes: Vec<OutcomeView>,
    /// What is owed: what a contact can be about.
    debts: Debts,
    /// Whether a promise can be taken in it.
    with_amounts: bool,
    rows: Vec<Row>,
    /// The contact that the form is about.
    named: Option<ContactView>,
    way: (Channel, Direction),
    /// What was typed, as it was sent.
    typed: Pairs,
    today: NaiveDate,
    may_act: bool,
    problems: Vec<String>,
}

impl ContactsPage {
    fn typed(&self, name: &str) -> &str {
        field(&self.typed, name)
    }

    fn is_chosen(&self, name: &str, value: &str) -> bool {
        field(&self.typed, name) == value
    }

    /// How one of those who owe it together is called.
    fn called<'a>(&'a self, debtor: &'a str) -> &'a str {
        let mut debtors = self.reach.debtors.iter();
        debtors
            .find(|one| one.debtor_ref == debtor)
            .map_or(debtor, |one| &one.name)
    }

    /// The contact that was to be done.
    fn due(&self) -> Option<&ContactView> {
        self.named
            .as_ref()
            .filter(|named| named.state == ContactState::Todo)
    }

    /// The message that nobody has read yet.
    fn unread(&self) -> Option<&ContactView> {
        self.named.as_ref().filter(|named| is_unread(named))
    }

    /// A letter or e-mail of theirs can be read later.
    fn is_read_later(&self) -> bool {
        self.way.1 == Direction::In && !matches!(self.way.0, Channel::Phone | Channel::Visit)
    }

    fn is_proposed(&self, outcome: &str) -> bool {
        let proposal = self.unread().and_then(|unread| unread.proposal);
        proposal.is_some_and(|proposal| proposal.name() == outcome)
    }
}

/// How a contact went, as the page lists it.
const WAYS: [(Channel, Direction, &str); 8] = [
    (Channel::Phone, Direction::Out, "We called"),
    (Channel::Phone, Direction::In, "They called"),
    (Channel::Visit, Direction::Out, "We visited"),
    (Channel::Visit, Direction::In, "They came"),
    (Channel::Letter, Direction::In, "Their letter"),
    (Channel::Email, Direction::In, "Their e-mail"),
    (Channel::Letter, Direction::Out, "Our letter"),
    (Channel::Email, Direction::Out, "Our e-mail"),
];

/// How the contact of the form went: as it was to be done or came in, else as it
/// was chosen, else a call of ours.
fn way(named: Option<&ContactView>, typed: &Pairs) -> (Channel, Direction) {
    match named {
        Some(named) if named.state == ContactState::Todo || is_unread(named) => {
            (named.channel, named.direction)
        }
        named => (
            Channel::named(field(typed, "channel"))
                .or(named.map(|named| named.channel))
                .unwrap_or(Channel::Phone),
            Direction::named(field(typed, "direction")).unwrap_or(Direction::Out),
        ),
    }
}

fn is_unread(contact: &ContactView) -> bool {
    contact.direction == Direction::In && contact.outcome.is_none()
}

/// What a person can say of a contact, besides recording one.
fn steps(contact: &ContactView) -> Vec<(&'static str, &'static str)> {
    let mut steps = Vec::new();
    if contact.direction == Direction::In {
        return steps;
    }
    match contact.state {
        ContactState::Unknown => {
            steps.extend([("sent", "it was sent"), ("not_sent", "it was not sent")]);
        }
        ContactState::Printed => {
            steps.extend([
                ("posted", "it is posted"),
                ("not_sent", "it was not posted"),
            ]);
        }
        _ => {}
    }
    if matches!(
        contact.state,
        ContactState::Sent
            | ContactState::Printed
            | ContactState::Posted
            | ContactState::Delivered
            | ContactState::Unknown
    ) {
        steps.push(("came_back", "it came back"));
    }
    steps
}

async fn assemble(
    app: &App,
    visit: &Visit,
    id: String,
    typed: Pairs,
    refused: Option<&Problem>,
) -> Result<ContactsPage, Problem> {
    let account = find(app, id).await?;
    let account_id = account.account_id;
    let cursor = some(field(&typed, "cursor"));
    let list = ListContacts {
        account_id,
        contact_id: None,
        person: person(&visit.caller),
        page: page_request(cursor, Some(ROWS)),
    };
    let contact: Option<ContactId> = field(&typed, "contact").parse().ok();
    let ways = GetReach { account_id };
    let holds = ListHolds {
        account_id: Some(account_id),
        state: Some(HoldState::Active),
        person: person(&visit.caller),
        page: PageRequest::default(),
    };
    let (contacts, reach, holds) =
        tokio::try_join!(app.bus.ask(&list), app.bus.ask(&ways), app.bus.ask(&holds))?;
    let Page { items, next_cursor } = contacts;
    let named = match contact {
        Some(_) => {
            let one = ListContacts {
                contact_id: contact,
                page: page_request(None, Some(1)),
                ..list
            };
            app.bus.ask(&one).await?.items.pop()
        }
        None => None,
    };
    let way = way(named.as_ref(), &typed);
    let outcomes = ListOutcomes {
        channel: Some(way.0),
        direction: Some(way.1),
    };
    let outcomes = app.bus.ask(&outcomes).await?.outcomes;
    let today = london_date(visit.now);
    Ok(ContactsPage {
        shell: visit.shell(
            Section::Accounts,
            format!("Contacts with {}", account.account_ref),
        ),
        next: next_cursor.map(|cursor| {
            format!(
                "/accounts/{account_id}/contacts?cursor={}",
                encoded(&cursor)
            )
        }),
        account,
        contacts: items,
        reach,
        holds: holds.items,
        with_amounts: outcomes
            .iter()
            .any(|one| one.outcome == ContactOutcome::Promised),
        outcomes,
        debts: Debts::of(app, account_id, today, &typed).await?,
        rows: with_room(rows(&typed)),
        named,
        way,
        typed,
        today,
        may_act: routes::CHASE.allows(&visit.caller.roles),
        problems: problems(refused),
    })
}

/// `GET /accounts/{id}/contacts`
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let page = assemble(&app, &visit, id, pairs, None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

async fn answer(
    app: &App,
    visit: &Visit,
    account_id: AccountId,
    pairs: Pairs,
    done: Result<Done, Problem>,
) -> Result<Response, PageProblem> {
    let problem = match visit.settle(done)? {
        Ok(response) => return Ok(response),
        Err(problem) => problem,
    };
    let page = assemble(app, visit, account_id.to_string(), pairs, Some(&problem))
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(problem.status(), &page))
}

fn choose(name: &str, what: &str) -> Problem {
    Problem::invalid(
        "gateway.bad_form",
        &format!("/{name}"),
        format!("choose {what}"),
    )
}

/// A day, if one was typed.
fn day(pairs: &Pairs, name: &str) -> Result<Option<NaiveDate>, Problem> {
    some(field(pairs, name))
        .map(|text| text.parse().map_err(|_| choose(name, "a day")))
        .transpose()
}

/// What was promised, when a day or an amount of it was typed.
fn promise(debts: &Debts, pairs: &Pairs) -> Result<Option<PromiseTerms>, Problem> {
    let rows = rows(pairs);
    if rows
        .iter()
        .all(|row| row.due_on.is_empty() && row.amount.is_empty())
    {
        return Ok(None);
    }
    let lines = debts.lines()?;
    let instalments = payments(&rows, total(&lines)?)?;
    Ok(Some(PromiseTerms {
        lines,
        instalments,
        method: some(field(pairs, "method")),
        promised_by: some(field(pairs, "promised_by")),
        replaces: None,
    }))
}

/// What followed from a contact by itself, in words.
fn followed(contact: &ContactView, promised: Option<Money>) -> String {
    if let Some(amount) = promised {
        return format!(
            "Recorded, and {} is promised: not chased until its day.",
            amount.uk()
        );
    }
    if contact.hold_id.is_some() {
        return "Recorded. No letter goes from now on: look into it, then confirm or cancel the hold."
            .to_owned();
    }
    match contact.outcome {
        Some(ContactOutcome::Promised) => {
            "Recorded, without a promise: only one with its documents and days stops chasing."
        }
        Some(ContactOutcome::Disputes) => {
            "Recorded. Open a query for what is not accepted: only that stops chasing."
        }
        _ => "Recorded.",
    }
    .to_owned()
}

async fn recorded(
    app: &App,
    visit: &Visit,
    account_id: AccountId,
    pairs: &Pairs,
) -> Result<Done, Problem> {
    let debts = Debts::of(app, account_id, london_date(visit.now), pairs).await?;
    let outcome = some(field(pairs, "outcome"))
        .map(|name| {
            ContactOutcome::named(&name).ok_or_else(|| choose("outcome", "what came of it"))
        })
        .transpose()?;
    let at = some(field(pairs, "at"))
        .map(|text| from_local(&text).ok_or_else(|| choose("at", "when it was")))
        .transpose()?;
    let promise = promise(&debts, pairs)?;
    let promised = promise
        .as_ref()
        .map(|terms| total(&terms.lines))
        .transpose()?;
    let command = RecordContact {
        command_id: command_id(visit.caller.user_id, "page", form_key(pairs)?),
        account_id,
        contact_id: some(field(pairs, "contact"))
            .map(|id| id.parse().map_err(|_| choose("contact", "a contact")))
            .transpose()?,
        debtor_ref: some(field(pairs, "debtor_ref")),
        direction: Direction::named(field(pairs, "direction"))
            .ok_or_else(|| choose("direction", "whose contact it was"))?,
        channel: Channel::named(field(pairs, "channel"))
            .ok_or_else(|| choose("channel", "how it went"))?,
        outcome,
        next_step: some(field(pairs, "next_step")),
        next_on: day(pairs, "next_on")?,
        none_because: some(field(pairs, "none_because")),
        promise,
        documents: debts.ticked(),
        at,
        note: some(field(pairs, "note")),
        person: person(&visit.caller),
    };
    let contact = app.bus.ask(&command).await?;
    Ok(Done {
        to: format!("/accounts/{account_id}/contacts"),
        text: followed(&contact, promised),
    })
}

/// `POST /accounts/{id}/contacts`
pub(crate) async fn record(
    State(app): State<App>,
    visit: Visit,
    Path(account_id): Path<AccountId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let done = recorded(&app, &visit, account_id, &pairs).await;
    answer(&app, &visit, account_id, pairs, done).await
}

async fn stepped(
    app: &App,
    visit: &Visit,
    account_id: AccountId,
    pairs: &Pairs,
) -> Result<Done, Problem> {
    let step = match field(pairs, "step") {
        "sent" => ContactStep::Sent,
        "not_sent" => ContactStep::NotSent,
        "posted" => ContactStep::Posted,
        "came_back" => ContactStep::CameBack,
        "read_as" => ContactStep::ReadAs {
            outcome: ContactOutcome::named(field(pairs, "outcome"))
                .ok_or_else(|| choose("outcome", "what it means"))?,
        },
        _ => return Err(choose("step", "what became of it")),
    };
    let command = StepContact {
        command_id: command_id(visit.caller.user_id, "page", form_key(pairs)?),
        contact_id: field(pairs, "contact")
            .parse()
            .map_err(|_| choose("contact", "a contact"))?,
        version: field(pairs, "version").parse().ok(),
        step,
        reason: field(pairs, "reason").to_owned(),
        person: person(&visit.caller),
    };
    let contact = app.bus.ask(&command).await?;
    Ok(Done {
        to: format!("/accounts/{account_id}/contacts"),
        text: followed(&contact, None),
    })
}

/// `POST /accounts/{id}/contacts/steps`
pub(crate) async fn step(
    State(app): State<App>,
    visit: Visit,
    Path(account_id): Path<AccountId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let done = stepped(&app, &visit, account_id, &pairs).await;
    answer(&app, &visit, account_id, pairs, done).await
}
