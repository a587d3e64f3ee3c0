//! A person's settings: what they can do and how much time they have. Theirs to
//! see; for who hands out work to change.

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use contracts::{
    api::worklist::{CoverView, ListKinds, ListPeople, PutPerson},
    worklist::Person,
};

use super::{Pairs, command, field, some};
use crate::{
    App,
    api::{
        encoded,
        worklist::{MANAGE, WORK},
    },
    pages::{
        PageProblem, Section, Shell, Toast, Visit,
        show::{Uk as _, Words as _},
    },
    problem::Problem,
};

const DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];
/// Of a day, unless it is said otherwise.
const MINUTES: i32 = 360;

struct Skill {
    name: String,
    has: bool,
    /// What kinds of work it is for.
    kinds: String,
}

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    shell: Shell,
    person: Person,
    days: Vec<(&'static str, i32)>,
    known: bool,
    skills: Vec<Skill>,
    people: Vec<Person>,
    covers: Vec<CoverView>,
    may_save: bool,
    may_manage: bool,
}

/// `GET /settings`
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let page = assemble(&app, &visit, &pairs)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

fn whose(visit: &Visit, pairs: &Pairs) -> Result<String, Problem> {
    let me = visit.caller.actor();
    match some(field(pairs, "person")) {
        Some(other) if other != me => {
            if MANAGE.allows(&visit.caller.roles) {
                Ok(other)
            } else {
                Err(Problem::forbidden())
            }
        }
        _ => Ok(me),
    }
}

async fn assemble(app: &App, visit: &Visit, pairs: &Pairs) -> Result<SettingsPage, Problem> {
    let actor = whose(visit, pairs)?;
    let (team, kinds) = tokio::try_join!(app.bus.ask(&ListPeople {}), app.bus.ask(&ListKinds {}))?;
    let found = team
        .people
        .iter()
        .find(|view| view.person.actor == actor)
        .map(|view| view.person.clone());
    let known = found.is_some();
    let person = found.unwrap_or_else(|| Person {
        name: actor.who().words(),
        roles: visit
            .caller
            .roles
            .iter()
            .map(|role| role.name().to_owned())
            .collect(),
        actor: actor.clone(),
        version: 0,
        skills: Vec::new(),
        minutes: vec![MINUTES, MINUTES, MINUTES, MINUTES, MINUTES, 0, 0],
        answers_for_rest: false,
        active: true,
        absences: Vec::new(),
    });
    let mut skills: Vec<Skill> = Vec::new();
    for kind in &kinds.items {
        match skills.iter_mut().find(|skill| skill.name == kind.skill) {
            Some(skill) => {
                skill.kinds.push_str(", ");
                skill.kinds.push_str(&kind.title.to_lowercase());
            }
            None => skills.push(Skill {
                has: person.skills.contains(&kind.skill),
                name: kind.skill.clone(),
                kinds: kind.title.to_lowercase(),
            }),
        }
    }
    let may_manage = MANAGE.allows(&visit.caller.roles);
    Ok(SettingsPage {
        shell: visit.shell(Section::Team, format!("Settings of {}", person.name)),
        covers: team
            .covers
            .into_iter()
            .filter(|cover| cover.owner == actor || cover.covered_by == actor)
            .take(10)
            .collect(),
        people: team.people.into_iter().map(|view| view.person).collect(),
        may_save: may_manage || (WORK.allows(&visit.caller.roles) && known),
        days: DAYS
            .into_iter()
            .zip(person.minutes.iter().copied().chain(std::iter::repeat(0)))
            .collect(),
        person,
        known,
        skills,
        may_manage,
    })
}

/// `POST /settings`
pub(crate) async fn save(
    State(app): State<App>,
    visit: Visit,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let saved = async {
        let actor = whose(&visit, &pairs)?;
        let manages = MANAGE.allows(&visit.caller.roles);
        let before = app
            .bus
            .ask(&ListPeople {})
            .await?
            .people
            .into_iter()
            .find(|view| view.person.actor == actor)
            .map(|view| view.person);
        if before.is_none() && !manages {
            return Err(Problem::forbidden());
        }
        let number = |name: &str| field(&pairs, name).parse::<i32>().unwrap_or(-1);
        let minutes: Vec<i32> = (0..7)
            .map(|day| number(&format!("minutes.{day}")))
            .collect();
        let skills: Vec<String> = pairs
            .iter()
            .filter(|(name, _)| name == "skill")
            .map(|(_, value)| value.clone())
            .collect();
        let mut person = before.unwrap_or_else(|| Person {
            actor: actor.clone(),
            version: 0,
            name: String::new(),
            roles: Vec::new(),
            skills: Vec::new(),
            minutes: Vec::new(),
            answers_for_rest: false,
            active: true,
            absences: Vec::new(),
        });
        person.minutes = minutes;
        // What somebody can do and answers for is not for themselves to say.
        if manages {
            field(&pairs, "name").clone_into(&mut person.name);
            person.skills = skills;
            person.roles = field(&pairs, "roles")
                .split(',')
                .map(|role| role.trim().to_owned())
                .filter(|role| !role.is_empty())
                .collect();
            person.answers_for_rest = field(&pairs, "answers_for_rest") == "on";
            person.active = field(&pairs, "active") == "on";
        }
        let ask = PutPerson {
            command_id: command(&visit, "settings", &pairs),
            person,
            actor: visit.caller.actor(),
            reason: "settings".to_owned(),
        };
        Ok::<_, Problem>(app.bus.ask(&ask).await?)
    }
    .await;
    let (to, toast) = match saved {
        Ok(person) => (
            format!("/settings?person={}", encoded(&person.actor)),
            Toast {
                text: format!("The settings of {} are saved", person.name),
                warning: false,
                undo: None,
            },
        ),
        Err(problem) if problem.status().is_client_error() && problem.status != 403 => (
            format!("/settings?person={}", encoded(field(&pairs, "person"))),
            Toast {
                text: problem
                    .errors
                    .iter()
                    .fold(problem.detail.clone(), |text, one| {
                        format!("{text}: {}", one.detail)
                    }),
                warning: true,
                undo: None,
            },
        ),
        Err(problem) => return Err(visit.give_up()(problem)),
    };
    Ok(visit.go(&to, &toast))
}
