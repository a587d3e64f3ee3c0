//! The people of the demo: its sign-ins, with what they can do and whose
//! accounts are whose.

use contracts::{
    api::worklist::{ListPeople, PutPerson, PutPortfolioRule},
    worklist::{Person, PortfolioRule},
};
use kernel::CommandId;
use uuid::Uuid;

use crate::client::Client;

struct Member {
    sign_in: &'static str,
    name: &'static str,
    role: &'static str,
    skills: &'static [&'static str],
    /// Of a day.
    minutes: i32,
}

const fn member(
    sign_in: &'static str,
    name: &'static str,
    role: &'static str,
    skills: &'static [&'static str],
    minutes: i32,
) -> Member {
    Member {
        sign_in,
        name,
        role,
        skills,
        minutes,
    }
}

const PEOPLE: [Member; 5] = [
    member(
        "controller",
        "Casey Brook",
        "controller",
        &["cash", "chasing", "disputes"],
        330,
    ),
    member(
        "payments",
        "Priya Nair",
        "payments_officer",
        &["cash", "returns", "refunds", "legal"],
        360,
    ),
    member(
        "manager",
        "Morgan Hale",
        "manager",
        &["approvals", "controls", "disputes"],
        180,
    ),
    member("cfo", "Chris Ford", "cfo", &["approvals"], 60),
    member("ops", "Oli Petrov", "ops", &["ops"], 240),
];

/// Answers for what nobody else may have.
const REST: &str = "manager";

/// Puts them in, once. What is refused is left out.
pub(crate) async fn put(client: &Client) {
    match client.ask(&ListPeople {}).await {
        Ok(team) if team.people.is_empty() => {}
        _ => return,
    }
    for Member {
        sign_in,
        name,
        role,
        skills,
        minutes,
    } in PEOPLE
    {
        let ask = PutPerson {
            command_id: CommandId::generate(),
            person: Person {
                actor: format!("user:{sign_in}"),
                version: 0,
                name: name.to_owned(),
                roles: vec![role.to_owned()],
                skills: skills.iter().map(|skill| (*skill).to_owned()).collect(),
                minutes: vec![minutes, minutes, minutes, minutes, minutes, 0, 0],
                answers_for_rest: sign_in == REST,
                active: true,
                absences: Vec::new(),
            },
            actor: "user:manager".to_owned(),
            reason: "the demo's team".to_owned(),
        };
        if let Err(refused) = client.ask(&ask).await {
            tracing::debug!(%refused, "the demo has nobody called {name}");
        }
    }
    for (owner, from, to) in [("controller", "A", "M"), ("payments", "M", "ZZZZ")] {
        let ask = PutPortfolioRule {
            command_id: CommandId::generate(),
            rule: PortfolioRule {
                rule_id: Uuid::now_v7(),
                owner: format!("user:{owner}"),
                account_ref: None,
                from_ref: Some(from.to_owned()),
                to_ref: Some(to.to_owned()),
                segment: None,
                department: None,
                ended: false,
            },
            actor: "user:manager".to_owned(),
            reason: "the demo's portfolios".to_owned(),
        };
        if let Err(refused) = client.ask(&ask).await {
            tracing::debug!(%refused, "the demo has no portfolio of {owner}");
        }
    }
}
