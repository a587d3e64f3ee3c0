//! The plan of the day, and what must be done by a set time.

use std::collections::HashMap;

use chrono::Days;
use contracts::{
    api::{
        Page, Refusal,
        worklist::{
            ApplyDayPlan, DayPlan, DeadlineView, GetDayPlan, ListDeadlines, PersonPlan,
            PlannedMove, WorkAction,
        },
    },
    worklist::WorkState,
};
use kernel::{london_date, london_midnight};
use messaging::{Bus, Failure, Meta, Tx};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Loaded, actor, finish, record, row, work::Sum};
use crate::{
    domain::{
        deadlines::{self, Occurrence},
        item::{Item, reason},
        kinds, owner,
        plan::{Hand, Plan, Task, plan},
    },
    store::{self, work::Listed},
};

/// Items that a plan looks at: a day of a large team.
const LOOKED_AT: i64 = 2000;
/// Of what is left over, so much is shown.
const SHOWN: usize = 50;
/// Days that a list of deadlines spans.
const SPAN_MAX: i64 = 100;

/// What a plan is made of.
struct Board {
    people: Vec<contracts::worklist::Person>,
    hands: Vec<Hand>,
    items: Vec<(Item, Option<String>)>,
    plan: Plan,
}

async fn board(conn: &mut PgConnection, bus: &Bus) -> Result<Board, Failure> {
    let (now, today) = (bus.now(), london_date(bus.now()));
    let staff = store::people::staff(conn, today).await?;
    let done = store::work::done_since(conn, london_midnight(now)).await?;
    let hands: Vec<Hand> = staff
        .people
        .iter()
        .filter(|person| person.active)
        .map(|person| {
            let used = done.get(&person.actor).map_or(0, |(_, minutes)| *minutes);
            let used = i32::try_from(used).unwrap_or(i32::MAX);
            Hand {
                actor: person.actor.clone(),
                skills: person.skills.clone(),
                minutes: owner::minutes(person, today).saturating_sub(used).max(0),
            }
        })
        .collect();
    let listed = Listed {
        snoozed: false,
        unowned: false,
        holder: None,
        kinds: Vec::new(),
        sla: Vec::new(),
        account_ref: None,
        text: None,
        subjects: Vec::new(),
        today,
        after: None,
        rows: LOOKED_AT,
    };
    let items = store::work::list(conn, &listed).await?;
    let tasks: Vec<Task> = items
        .iter()
        .map(|(item, _)| Task {
            holder: item.holder.clone(),
            source: item.owner_source,
            state: item.state,
            skill: item.skill.clone(),
            minutes: item.minutes,
        })
        .collect();
    Ok(Board {
        plan: plan(&hands, &tasks),
        people: staff.people,
        hands,
        items,
    })
}

fn show(board: Board, bus: &Bus) -> DayPlan {
    let today = london_date(bus.now());
    let Board {
        people,
        hands,
        items,
        plan,
    } = board;
    let name = |actor: &str| {
        people
            .iter()
            .find(|person| person.actor == actor)
            .map_or_else(|| actor.to_owned(), |person| person.name.clone())
    };
    let mut left_by: HashMap<&str, i64> = HashMap::new();
    let mut left_over = Sum::default();
    for (item, _) in plan.left.iter().filter_map(|place| items.get(*place)) {
        *left_by.entry(&item.holder).or_default() += 1;
        left_over.add_item(item);
    }
    let people_plans = hands
        .iter()
        .map(|hand| {
            let theirs = || plan.done.iter().filter(|(_, actor)| *actor == hand.actor);
            PersonPlan {
                actor: hand.actor.clone(),
                name: name(&hand.actor),
                minutes: hand.minutes,
                planned_minutes: theirs()
                    .filter_map(|(place, _)| items.get(*place))
                    .map(|(item, _)| item.minutes)
                    .sum(),
                items: theirs().count() as i64,
                left_over: left_by
                    .get(hand.actor.as_str())
                    .copied()
                    .unwrap_or_default(),
            }
        })
        .collect();
    let moves = plan
        .moves
        .iter()
        .filter_map(|(place, to)| Some((items.get(*place)?, to)))
        .map(|((item, _), to)| PlannedMove {
            work_item_id: item.work_item_id.into(),
            title: kinds::kind(&item.kind, today)
                .map_or_else(|_| item.kind.clone(), |kind| kind.title.clone()),
            subject_ref: item.subject_ref.clone(),
            from: item.holder.clone(),
            to: to.clone(),
            minutes: item.minutes,
            amount: item.money(),
            why: format!(
                "{} has no time left for it today; {} can do {} and has",
                name(&item.holder),
                name(to),
                item.skill
            ),
        })
        .collect();
    DayPlan {
        on: today,
        people: people_plans,
        moves,
        left_over: left_over.tally(),
        left_over_items: plan
            .left
            .iter()
            .take(SHOWN)
            .filter_map(|place| items.get(*place).cloned())
            .map(|(item, name)| row(item, name))
            .collect(),
        looked_at: items.len() as i64,
    }
}

pub(crate) async fn get_plan(_: GetDayPlan, bus: Bus) -> Result<DayPlan, Refusal> {
    let mut conn = bus.pool().acquire().await.map_err(Failure::from)?;
    let board = board(&mut conn, &bus).await?;
    Ok(show(board, &bus))
}

pub(crate) async fn apply_plan(ask: ApplyDayPlan, bus: Bus) -> Result<DayPlan, Refusal> {
    let (why, who) = (reason(&ask.reason)?, actor(&ask.actor)?);
    let mut tx = bus.begin().await?;
    let command = ask.command_id.as_uuid();
    if !tx.claim(&[command]).await?.is_empty() {
        let board = board(tx.conn(), &bus).await?;
        let moves: HashMap<Uuid, String> = board
            .plan
            .moves
            .iter()
            .filter_map(|(place, to)| Some((board.items.get(*place)?.0.work_item_id, to.clone())))
            .collect();
        carry_out(&mut tx, &bus, &moves, who, why, command).await?;
    }
    let board = board(tx.conn(), &bus).await?;
    let answer = show(board, &bus);
    finish(tx, &bus, &["worklist", "people"]).await?;
    Ok(answer)
}

async fn carry_out(
    tx: &mut Tx,
    bus: &Bus,
    moves: &HashMap<Uuid, String>,
    who: &str,
    why: &str,
    command: Uuid,
) -> Result<(), Failure> {
    let ids: Vec<Uuid> = moves.keys().copied().collect();
    let mut items = store::work::lock(tx.conn(), &ids).await?;
    // Taken in hand or ended since it was looked at.
    items.retain(|one| matches!(one.item.state, WorkState::Open | WorkState::Waiting));
    let loaded = Loaded::about(tx, bus, &items).await?;
    let office = loaded.office(bus);
    for one in &mut items {
        if let Some(to) = moves.get(&one.item.work_item_id) {
            let action = WorkAction::Assign {
                to: to.clone(),
                reason: why.to_owned(),
            };
            one.act(&action, who, &office)?;
        }
    }
    record(tx, bus, &items, &Meta::of_command(command, bus.now(), None)).await
}

pub(crate) async fn list_deadlines(
    ask: ListDeadlines,
    bus: Bus,
) -> Result<Page<DeadlineView>, Refusal> {
    let (now, today) = (bus.now(), london_date(bus.now()));
    let from = ask.from.unwrap_or(today - Days::new(7));
    let to = ask.to.unwrap_or(today + Days::new(35));
    if to < from || (to - from).num_days() > SPAN_MAX {
        return Err(
            Failure::permanent("worklist.bad_span", "those are no days, or too many")
                .at("/to", format!("at most {SPAN_MAX} days"))
                .into(),
        );
    }
    let found = deadlines::between(from, to);
    let mut conn = bus.pool().acquire().await.map_err(Failure::from)?;
    let subjects: Vec<Uuid> = found.iter().map(Occurrence::subject).collect();
    let about = store::people::about(&mut conn, &subjects).await?;
    let ids: Vec<Uuid> = about.iter().map(|(_, id)| *id).collect();
    let items: HashMap<Uuid, Item> = store::work::by_id(&mut conn, &ids)
        .await?
        .into_iter()
        .map(|(item, _)| (item.subject_id, item))
        .collect();
    let views = found
        .iter()
        .filter(|one| one.on >= today || items.contains_key(&one.subject()))
        .map(|one| {
            let item = items.get(&one.subject());
            let state = match item {
                None => "to_come",
                Some(item) if !item.state.is_active() || item.outcome.is_some() => "done",
                Some(_) if one.due_at < now => "late",
                Some(_) if one.on > today => "to_come",
                Some(_) => "open",
            };
            DeadlineView {
                deadline: one.deadline.code.to_owned(),
                title: one.deadline.title.to_owned(),
                due_at: one.due_at,
                work_item_id: item.map(|item| item.work_item_id.into()),
                owner: item.map(|item| item.owner.clone()),
                state: state.to_owned(),
                evidence: item.and_then(|item| item.outcome_note.clone()),
            }
        })
        .collect();
    Ok(Page {
        items: views,
        next_cursor: None,
    })
}
