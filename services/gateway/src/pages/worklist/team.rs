//! The team: who has how much, who is away, the plan of the day, deadlines.

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use contracts::{
    api::{
        PageRequest,
        worklist::{
            ActOnWork, ApplyDayPlan, CoverView, DayPlan, DeadlineView, EndCover, GetDayPlan,
            ListDeadlines, ListPeople, ListWork, PersonPlan, PersonView, PlanAbsence, Team,
            WorkAction, WorkRow, WorkView,
        },
    },
    worklist::{CoverState, WorkItemId},
};

use super::{Clock, Pairs, clock, command, field, hours, money, some};
use crate::{
    App,
    api::{
        encoded,
        worklist::{MANAGE, day},
    },
    pages::{
        PageProblem, Section, Shell, Toast, Visit,
        show::{Uk as _, Words as _},
    },
    problem::Problem,
};

/// Work of one person that is shown to be given to another.
const ROWS: u16 = 100;

/// What one person has in hand.
struct Hand {
    actor: String,
    items: Vec<(WorkRow, Option<Clock>)>,
    more: bool,
}

/// One person in the chart: widths of a hundred, and the figures in words.
struct Bar {
    name: String,
    there: i64,
    planned: i64,
    late: i64,
    words: String,
}

struct Swim {
    person: PersonView,
    href: String,
    /// Minutes of what is due, of a hundred that are there.
    load: i64,
    money: String,
    due: String,
    there: String,
    covered_by: Option<String>,
}

#[derive(Template)]
#[template(path = "team.html")]
struct TeamPage {
    shell: Shell,
    swims: Vec<Swim>,
    bars: Vec<Bar>,
    hand: Option<Hand>,
    team: Team,
    plan: DayPlan,
    /// Each person with what is planned and what is there, in words.
    planned: Vec<(PersonPlan, String, String)>,
    left_money: String,
    deadlines: Vec<DeadlineView>,
    may_manage: bool,
    today: String,
}

impl TeamPage {
    fn current_covers(&self) -> Vec<&CoverView> {
        self.team
            .covers
            .iter()
            .filter(|cover| matches!(cover.state, CoverState::Active | CoverState::Planned))
            .collect()
    }

    fn past_covers(&self) -> Vec<&CoverView> {
        self.team
            .covers
            .iter()
            .filter(|cover| cover.state == CoverState::Ended)
            .take(5)
            .collect()
    }

    fn name<'p>(&'p self, actor: &'p str) -> &'p str {
        self.team
            .people
            .iter()
            .find(|view| view.person.actor == actor)
            .map_or(actor, |view| &view.person.name)
    }
}

/// `GET /team`; `holder` opens what one person has.
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let holder = some(field(&pairs, "holder"));
    let page = assemble(&app, &visit, holder)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

async fn hand(app: &App, visit: &Visit, holder: Option<String>) -> Result<Option<Hand>, Problem> {
    let Some(holder) = holder else {
        return Ok(None);
    };
    let ask = ListWork {
        view: WorkView::Team,
        actor: visit.caller.actor(),
        holder: Some(holder.clone()),
        page: PageRequest {
            cursor: None,
            limit: Some(ROWS),
        },
        ..ListWork::default()
    };
    let found = app.bus.ask(&ask).await?;
    Ok(Some(Hand {
        actor: holder,
        more: found.next_cursor.is_some(),
        items: found
            .items
            .into_iter()
            .map(|row| {
                let clock = clock(&row, visit.now);
                (row, clock)
            })
            .collect(),
    }))
}

/// Minutes are drawn to one scale, late items to another.
fn bars(team: &Team, plan: &DayPlan) -> Vec<Bar> {
    let of = |actor: &str| plan.people.iter().find(|one| one.actor == actor);
    let active = || team.people.iter().filter(|view| view.person.active);
    let planned =
        |view: &PersonView| of(&view.person.actor).map_or(0, |one| i64::from(one.planned_minutes));
    let minutes = active()
        .map(|view| planned(view).max(view.minutes_today.into()))
        .max()
        .unwrap_or_default()
        .max(1);
    let late = active()
        .map(|view| view.breached)
        .max()
        .unwrap_or_default()
        .max(1);
    active()
        .map(|view| {
            let there = i64::from(view.minutes_today);
            let planned = planned(view);
            let items = of(&view.person.actor).map_or(0, |one| one.items);
            Bar {
                name: view.person.name.clone(),
                there: there * 100 / minutes,
                planned: planned * 100 / minutes,
                late: view.breached * 100 / late,
                words: format!(
                    "{} there, {} planned for {items} items, {} late",
                    hours(there),
                    hours(planned),
                    view.breached
                ),
            }
        })
        .collect()
}

async fn assemble(app: &App, visit: &Visit, holder: Option<String>) -> Result<TeamPage, Problem> {
    let deadlines = ListDeadlines {
        from: None,
        to: None,
    };
    let (team, plan, deadlines) = tokio::try_join!(
        app.bus.ask(&ListPeople {}),
        app.bus.ask(&GetDayPlan {}),
        app.bus.ask(&deadlines)
    )?;
    let hand = hand(app, visit, holder).await?;
    let swims = team
        .people
        .iter()
        .filter(|view| view.person.active)
        .map(|view| Swim {
            href: place(&view.person.actor),
            load: view.due.minutes * 100 / i64::from(view.minutes_today.max(1)),
            covered_by: team
                .covers
                .iter()
                .find(|cover| cover.state == CoverState::Active && cover.owner == view.person.actor)
                .map(|cover| cover.covered_by.clone()),
            money: money(&view.due),
            due: hours(view.due.minutes),
            there: hours(view.minutes_today.into()),
            person: view.clone(),
        })
        .collect();
    Ok(TeamPage {
        shell: visit.shell(Section::Team, "Team"),
        bars: bars(&team, &plan),
        hand,
        swims,
        team,
        planned: plan
            .people
            .iter()
            .map(|one| {
                let planned = hours(one.planned_minutes.into());
                (one.clone(), planned, hours(one.minutes.into()))
            })
            .collect(),
        left_money: Some(money(&plan.left_over))
            .filter(|money| !money.is_empty())
            .unwrap_or_else(|| "–".to_owned()),
        plan,
        deadlines: deadlines.items.into_iter().take(20).collect(),
        may_manage: MANAGE.allows(&visit.caller.roles),
        today: kernel::london_date(visit.now).to_string(),
    })
}

/// Where one person's work is opened.
fn place(holder: &str) -> String {
    if holder.is_empty() {
        "/team".to_owned()
    } else {
        format!("/team?holder={}#hand", encoded(holder))
    }
}

/// `POST /team`: absence with cover, its end, the plan of the day, work given to
/// somebody else.
pub(crate) async fn act(
    State(app): State<App>,
    visit: Visit,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let toast = match carry_out(&app, &visit, &pairs).await {
        Ok(text) => Toast {
            text,
            warning: false,
            undo: None,
        },
        Err(problem) if problem.status().is_client_error() => Toast {
            text: problem
                .errors
                .iter()
                .fold(problem.detail.clone(), |text, one| {
                    format!("{text}: {}", one.detail)
                }),
            warning: true,
            undo: None,
        },
        Err(problem) => return Err(visit.give_up()(problem)),
    };
    Ok(visit.go(&place(field(&pairs, "holder")), &toast))
}

async fn carry_out(app: &App, visit: &Visit, pairs: &Pairs) -> Result<String, Problem> {
    let actor = visit.caller.actor();
    let reason = field(pairs, "reason").to_owned();
    match field(pairs, "do") {
        "absence" => {
            let ask = PlanAbsence {
                command_id: command(visit, "absence", pairs),
                person: field(pairs, "person").to_owned(),
                from: day(field(pairs, "from"), "/from")?,
                to: day(field(pairs, "to"), "/to")?,
                covered_by: some(field(pairs, "covered_by")),
                actor,
                reason,
            };
            let planned = app.bus.ask(&ask).await?;
            Ok(match planned.cover {
                Some(cover) => format!(
                    "{} covers for {} until {}",
                    cover.covered_by.who(),
                    cover.owner.who(),
                    cover.to.uk()
                ),
                None => format!("{} is away until {}", ask.person.who(), ask.to.uk()),
            })
        }
        "end_cover" => {
            let cover_id = field(pairs, "cover")
                .parse()
                .map_err(|_| Problem::not_found("there is no such cover"))?;
            let ask = EndCover {
                command_id: command(visit, "end-cover", pairs),
                cover_id,
                actor,
                reason,
            };
            let cover = app.bus.ask(&ask).await?;
            let returned = cover.digest.map_or(0, |digest| digest.returned);
            Ok(format!(
                "{} is back: {returned} items returned",
                cover.owner.who()
            ))
        }
        "assign" => {
            let work_item_ids = pairs
                .iter()
                .filter(|(name, _)| name == "item")
                .map(|(_, id)| id.parse::<WorkItemId>())
                .collect::<Result<Vec<_>, _>>()
                .map_err(|_| Problem::not_found("there is no such work"))?;
            if work_item_ids.is_empty() {
                return Err(Problem::invalid(
                    "gateway.nothing_ticked",
                    "/item",
                    "tick what is to be given",
                ));
            }
            let to = field(pairs, "to").to_owned();
            let ask = ActOnWork {
                command_id: command(visit, "team-assign", pairs),
                work_item_ids,
                expected_version: None,
                actor,
                action: WorkAction::Assign {
                    to: to.clone(),
                    reason,
                },
            };
            let acted = app.bus.ask(&ask).await?;
            Ok(match acted.items.len() {
                1 => format!("One item is with {} now", to.who()),
                count => format!("{count} items are with {} now", to.who()),
            })
        }
        "plan" => {
            let ask = ApplyDayPlan {
                command_id: command(visit, "day-plan", pairs),
                actor,
                reason: "the plan of the day".to_owned(),
            };
            let plan = app.bus.ask(&ask).await?;
            Ok(format!(
                "The plan is carried out; {} items are left over",
                plan.left_over.count
            ))
        }
        _ => Err(Problem::invalid(
            "gateway.bad_action",
            "/do",
            "nothing that can be done here",
        )),
    }
}
