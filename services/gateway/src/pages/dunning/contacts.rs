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
        Call, Page,
        dunning::{
            ContactStep, ContactView, GetReach, GetStanding, ItemStanding, ListContacts, Reach,
            RecordContact, StepContact,
        },
        reporting::AccountView,
    },
    dunning::{Channel, ContactId, ContactOutcome, ContactState, Direction},
};
use kernel::{AccountId, london_date};

use super::{Pairs, carried, field, form_key, problems, some};
use crate::{
    App,
    api::{Path, accounts::find, controls::person, encoded, once::command_id, page_request},
    pages::{
        PageProblem, Section, Shell, Visit,
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
    /// What is overdue: what a call can be about.
    items: Vec<ItemStanding>,
    /// The contact that the form is about.
    named: Option<ContactView>,
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
        self.typed
            .iter()
            .any(|(known, typed)| known == name && typed == value)
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

    fn channel(&self) -> Channel {
        let typed = Channel::named(self.typed("channel"));
        let named = self.named.as_ref().map(|named| named.channel);
        typed.or(named).unwrap_or(Channel::Phone)
    }

    fn is_proposed(&self, outcome: &str) -> bool {
        let proposal = self.unread().and_then(|unread| unread.proposal);
        proposal.is_some_and(|proposal| proposal.name() == outcome)
    }

    fn is_in(&self) -> bool {
        self.typed("direction") == Direction::In.name()
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
    let (ways, why) = (GetReach { account_id }, GetStanding { account_id });
    let (contacts, reach, standing) =
        tokio::try_join!(app.bus.ask(&list), app.bus.ask(&ways), app.bus.ask(&why))?;
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
        items: standing.items,
        named,
        typed,
        today: london_date(visit.now),
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

async fn send<C: Call>(
    app: &App,
    visit: &Visit,
    account_id: AccountId,
    pairs: Pairs,
    said: &str,
    command: Result<C, Problem>,
) -> Result<Response, PageProblem> {
    let to = format!("/accounts/{account_id}/contacts");
    let problem = match visit.settle(carried(app, to, said, command).await)? {
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

/// `POST /accounts/{id}/contacts`
pub(crate) async fn record(
    State(app): State<App>,
    visit: Visit,
    Path(account_id): Path<AccountId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let command = || {
        let mut documents = Vec::new();
        for (name, value) in &pairs {
            if name == "document" {
                documents.push(
                    value
                        .parse()
                        .map_err(|_| choose("document", "documents of the list"))?,
                );
            }
        }
        let outcome = some(field(&pairs, "outcome"))
            .map(|name| {
                ContactOutcome::named(&name).ok_or_else(|| choose("outcome", "what came of it"))
            })
            .transpose()?;
        let at = some(field(&pairs, "at"))
            .map(|text| from_local(&text).ok_or_else(|| choose("at", "when it was")))
            .transpose()?;
        Ok(RecordContact {
            command_id: command_id(visit.caller.user_id, "page", form_key(&pairs)?),
            account_id,
            contact_id: some(field(&pairs, "contact"))
                .map(|id| id.parse().map_err(|_| choose("contact", "a contact")))
                .transpose()?,
            direction: Direction::named(field(&pairs, "direction"))
                .ok_or_else(|| choose("direction", "whose contact it was"))?,
            channel: Channel::named(field(&pairs, "channel"))
                .ok_or_else(|| choose("channel", "how it went"))?,
            outcome,
            next_step: some(field(&pairs, "next_step")),
            next_on: day(&pairs, "next_on")?,
            none_because: some(field(&pairs, "none_because")),
            documents,
            at,
            note: some(field(&pairs, "note")),
            person: person(&visit.caller),
        })
    };
    let said = match ContactOutcome::named(field(&pairs, "outcome")) {
        Some(ContactOutcome::Promised) => {
            "Recorded. The promise itself is taken with its documents and days: only that stops chasing."
        }
        Some(ContactOutcome::Disputes) => {
            "Recorded. Open a query for what is not accepted: only that stops chasing."
        }
        Some(ContactOutcome::VulnerabilityTold | ContactOutcome::InsolvencyTold) => {
            "Recorded. Place the hold now: only that stops letters."
        }
        _ => "Recorded.",
    };
    let command = command();
    send(&app, &visit, account_id, pairs, said, command).await
}

/// `POST /accounts/{id}/contacts/steps`
pub(crate) async fn step(
    State(app): State<App>,
    visit: Visit,
    Path(account_id): Path<AccountId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let command = || {
        let step = match field(&pairs, "step") {
            "sent" => ContactStep::Sent,
            "not_sent" => ContactStep::NotSent,
            "posted" => ContactStep::Posted,
            "came_back" => ContactStep::CameBack,
            "read_as" => ContactStep::ReadAs {
                outcome: ContactOutcome::named(field(&pairs, "outcome"))
                    .ok_or_else(|| choose("outcome", "what it means"))?,
            },
            _ => return Err(choose("step", "what became of it")),
        };
        Ok(StepContact {
            command_id: command_id(visit.caller.user_id, "page", form_key(&pairs)?),
            contact_id: field(&pairs, "contact")
                .parse()
                .map_err(|_| choose("contact", "a contact"))?,
            version: field(&pairs, "version").parse().ok(),
            step,
            reason: field(&pairs, "reason").to_owned(),
            person: person(&visit.caller),
        })
    };
    let command = command();
    send(&app, &visit, account_id, pairs, "Noted.", command).await
}
