//! The team: who has how much, who is away, the plan of the day, deadlines.

use askama::Template;
use axum::{Form, extract::State, http::StatusCode, response::Response};
use contracts::{
    api::worklist::{
        ApplyDayPlan, CoverView, DayPlan, DeadlineView, EndCover, GetDayPlan, ListDeadlines,
        ListPeople, PersonPlan, PersonView, PlanAbsence, Team,
    },
    worklist::CoverState,
};

use super::{Pairs, command, field, hours, money, some};
use crate::{
    App,
    api::worklist::{MANAGE, day},
    pages::{
        PageProblem, Section, Shell, Toast, Visit,
        show::{Uk as _, Words as _},
    },
    problem::Problem,
};

struct Swim {
    person: PersonView,
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

/// `GET /team`
pub(crate) async fn show(State(app): State<App>, visit: Visit) -> Result<Response, PageProblem> {
    let page = assemble(&app, &visit).await.map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

async fn assemble(app: &App, visit: &Visit) -> Result<TeamPage, Problem> {
    let deadlines = ListDeadlines {
        from: None,
        to: None,
    };
    let (team, plan, deadlines) = tokio::try_join!(
        app.bus.ask(&ListPeople {}),
        app.bus.ask(&GetDayPlan {}),
        app.bus.ask(&deadlines)
    )?;
    let swims = team
        .people
        .iter()
        .filter(|view| view.person.active)
        .map(|view| Swim {
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

/// `POST /team`: absence with cover, its end, the plan of the day.
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
    Ok(visit.go("/team", &toast))
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
