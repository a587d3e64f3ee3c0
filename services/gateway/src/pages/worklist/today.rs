//! Today: what is due, the most pressing first, with a drawer to deal with it.

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
        dunning::{ListPromises, PromiseTab},
        reporting::GetAgedDebt,
        worklist::{
            ActOnWork, CountWork, GetWork, ListDeadlines, ListPeople, ListWork, NextStep,
            PersonView, Tally, WorkAction, WorkCounts, WorkDetail, WorkRow, WorkView,
        },
    },
    worklist::{SlaState, WorkItemId, WorkState},
};

use kernel::Money;

use super::{Clock, Pairs, clock, command, field, money, some, two_units};
use crate::{
    App,
    api::{
        Path, encoded,
        worklist::{MANAGE, WORK, day, may},
    },
    pages::{
        PageProblem, Section, Shell, Toast, Visit,
        show::{Uk as _, Words as _},
    },
    problem::Problem,
    routes::CHASE,
};

/// Kinds that always have a tile, because their counts say how the day stands.
const TILES: [(&str, &str); 3] = [
    ("Broken promises", "broken_promise"),
    ("Unallocated", "unallocated_receipt"),
    ("Replies", "reply_to_read"),
];
/// Other kinds with a tile.
const OTHERS: usize = 3;
/// A deadline is told of from so long before it.
const TOLD_BEFORE: chrono::TimeDelta = chrono::TimeDelta::hours(2);

/// Rows of a page: a day of one person.
const ROWS: u16 = 100;

const VIEWS: [(&str, &str, WorkView); 5] = [
    ("mine", "Mine", WorkView::Mine),
    ("team", "Team", WorkView::Team),
    ("unowned", "Unowned", WorkView::Unowned),
    ("snoozed", "Snoozed", WorkView::Snoozed),
    ("ended", "Done", WorkView::Ended),
];

struct Tab {
    title: &'static str,
    href: String,
    current: bool,
    count: Option<i64>,
}

struct Tile {
    title: String,
    href: String,
    current: bool,
    count: i64,
    money: String,
    class: &'static str,
}

/// A deadline of today that is not met yet.
struct Warning {
    text: String,
    href: Option<String>,
    late: bool,
}

struct Row {
    item: WorkRow,
    href: String,
    current: bool,
    clock: Option<Clock>,
}

/// What a person had typed into a form that was not accepted.
#[derive(Default)]
struct Typed {
    problems: Vec<String>,
    outcome: String,
    note: String,
    next: String,
    none_because: String,
}

struct Drawer {
    detail: WorkDetail,
    clock: Option<Clock>,
    /// Where its subject can be worked on.
    subject: Option<String>,
    typed: Typed,
}

#[derive(Template)]
#[template(path = "today.html")]
struct TodayPage {
    shell: Shell,
    tabs: Vec<Tab>,
    tiles: Vec<Tile>,
    warnings: Vec<Warning>,
    view: &'static str,
    place: Place,
    rows: Vec<Row>,
    drawer: Option<Drawer>,
    missing: Option<String>,
    people: Vec<PersonView>,
    may_work: bool,
    may_manage: bool,
    may_chase: bool,
    me: String,
    older: Option<String>,
    tomorrow: String,
}

impl TodayPage {
    /// The row after the one that is open, or before it at the end: where work
    /// goes on.
    fn next_row(&self) -> String {
        let at = self.rows.iter().position(|row| row.current);
        let next = at.and_then(|at| {
            let before = at.checked_sub(1);
            self.rows.get(at + 1).or_else(|| self.rows.get(before?))
        });
        next.map_or_else(String::new, |row| row.item.work_item_id.to_string())
    }
}

/// Where on the page somebody is: all of it is in the address.
#[derive(Debug, Clone, Default)]
struct Place {
    view: String,
    kind: String,
    sla: String,
    search: String,
    cursor: String,
}

impl Place {
    fn of(pairs: &Pairs) -> Self {
        let text = |name| field(pairs, name).to_owned();
        Self {
            view: text("view"),
            kind: text("kind"),
            sla: text("sla"),
            search: text("search"),
            cursor: text("cursor"),
        }
    }

    fn address(&self, open: Option<&str>) -> String {
        let parts = [
            ("view", self.view.as_str()),
            ("kind", &self.kind),
            ("sla", &self.sla),
            ("search", &self.search),
            ("cursor", &self.cursor),
            ("open", open.unwrap_or_default()),
        ];
        let query: Vec<String> = parts
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        if query.is_empty() {
            "/today".to_owned()
        } else {
            format!("/today?{}", query.join("&"))
        }
    }

    fn view(&self) -> (&'static str, WorkView) {
        VIEWS
            .iter()
            .find(|(name, ..)| *name == self.view)
            .map_or(("mine", WorkView::Mine), |(name, _, view)| (name, *view))
    }
}

/// Where one works on what an item is about.
fn subject(item: &WorkRow) -> Option<String> {
    let id = item.subject_id;
    let href = match item.kind.as_str() {
        "unallocated_receipt"
        | "suggestion_to_review"
        | "possible_duplicate"
        | "to_check"
        | "returned_payment" => format!("/cash?queue=all&receipt={id}"),
        "residual_balance" => format!("/residuals?residual={id}"),
        "approval_waiting" => format!("/controls?tab=waiting&approval={id}"),
        "refund_step" => format!("/controls?tab=refunds&refund={id}"),
        "call_due" | "contact_unknown" | "reply_to_read" | "follow_up" => {
            let account = item.account_id?;
            format!("/accounts/{account}/contacts?contact={id}")
        }
        "debtor_to_trace" | "address_missing" => format!("/accounts/{}/contacts", item.account_id?),
        "provider_down" => format!("/dunning/runs/{id}"),
        "dispute" | "suspected_query" => format!("/disputes/{id}"),
        "broken_promise" | "plan_defaulted" => format!("/accounts/{}", item.account_id?),
        _ => return None,
    };
    Some(href)
}

/// `GET /today`
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let open = some(field(&pairs, "open"));
    let page = assemble(&app, &visit, Place::of(&pairs), open, Typed::default())
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

async fn assemble(
    app: &App,
    visit: &Visit,
    place: Place,
    open: Option<String>,
    typed: Typed,
) -> Result<TodayPage, Problem> {
    let me = visit.caller.actor();
    let (view, wanted) = place.view();
    let ask = ListWork {
        view: wanted,
        actor: me.clone(),
        holder: None,
        kinds: some(&place.kind).into_iter().collect(),
        sla: SlaState::named(&place.sla).into_iter().collect(),
        account_ref: None,
        text: some(&place.search),
        subjects: Vec::new(),
        page: PageRequest {
            cursor: some(&place.cursor),
            limit: Some(ROWS),
        },
    };
    let count = CountWork {
        actor: me.clone(),
        team: wanted == WorkView::Team,
    };
    let (found, counts, team) = tokio::try_join!(
        app.bus.ask(&ask),
        app.bus.ask(&count),
        app.bus.ask(&ListPeople {})
    )?;
    let mut missing = None;
    let chosen = open.or_else(|| {
        let first = found.items.first()?;
        Some(first.work_item_id.to_string())
    });
    let drawer = match chosen.as_deref().and_then(|id| id.parse().ok()) {
        None => None,
        Some(work_item_id) => match app.bus.ask(&GetWork { work_item_id }).await {
            Ok(detail) => Some(Drawer {
                clock: clock(&detail.item, visit.now),
                subject: subject(&detail.item),
                detail,
                typed,
            }),
            Err(refusal) => {
                missing = Some(refusal.detail);
                None
            }
        },
    };
    let rows = found
        .items
        .into_iter()
        .map(|item| {
            let id = item.work_item_id.to_string();
            Row {
                href: place.address(Some(&id)),
                current: chosen.as_deref() == Some(id.as_str()),
                clock: clock(&item, visit.now),
                item,
            }
        })
        .collect();
    let tomorrow = kernel::london_date(visit.now)
        .succ_opt()
        .map_or_else(String::new, |day| day.to_string());
    let mut tiles = tiles(&place, &counts);
    tiles.extend(promised(app).await);
    if wanted == WorkView::Team {
        tiles.extend(ledger(app).await);
    }
    let warnings = warnings(app, visit).await;
    Ok(TodayPage {
        shell: visit.shell(Section::Today, "Today"),
        tabs: tabs(&counts, view),
        tiles,
        warnings,
        view,
        rows,
        drawer,
        missing,
        people: team.people,
        may_work: WORK.allows(&visit.caller.roles),
        may_manage: MANAGE.allows(&visit.caller.roles),
        may_chase: CHASE.allows(&visit.caller.roles),
        me,
        older: found.next_cursor.map(|cursor| {
            let next = Place {
                cursor,
                ..place.clone()
            };
            next.address(None)
        }),
        place,
        tomorrow,
    })
}

fn tabs(counts: &WorkCounts, view: &str) -> Vec<Tab> {
    VIEWS
        .iter()
        .map(|(name, title, _)| Tab {
            title,
            href: format!("/today?view={name}"),
            current: *name == view,
            count: match *name {
                "unowned" => Some(counts.unowned.count),
                "snoozed" => Some(counts.snoozed.count),
                "ended" => Some(counts.done_today),
                _ => None,
            },
        })
        .collect()
}

/// Tiles are filters: everything due, what is at risk, what is late, and the
/// kinds that matter most.
fn tiles(place: &Place, counts: &WorkCounts) -> Vec<Tile> {
    let tile = |title: &str, kind: &str, sla: &str, tally: &Tally, class| {
        let to = Place {
            kind: kind.to_owned(),
            sla: sla.to_owned(),
            cursor: String::new(),
            ..place.clone()
        };
        Tile {
            title: title.to_owned(),
            href: to.address(None),
            current: place.kind == kind && place.sla == sla,
            count: tally.count,
            money: money(tally),
            class,
        }
    };
    let mut tiles = vec![
        tile("Due now", "", "", &counts.due, ""),
        tile("Nearly late", "", "warned", &counts.at_risk, "soon"),
        tile("Late", "", "breached", &counts.breached, "late"),
    ];
    let none = Tally::default();
    for (title, kind) in TILES {
        let found = counts.kinds.iter().find(|one| one.kind == kind);
        let tally = found.map_or(&none, |one| &one.tally);
        tiles.push(tile(title, kind, "", tally, ""));
    }
    // The one that is looked at has a tile, however little it presses.
    let others = counts
        .kinds
        .iter()
        .filter(|one| !TILES.iter().any(|(_, kind)| one.kind == *kind));
    let (chosen, rest): (Vec<_>, Vec<_>) = others.partition(|one| one.kind == place.kind);
    tiles.extend(
        chosen
            .into_iter()
            .chain(rest)
            .take(OTHERS)
            .map(|kind| tile(&kind.title, &kind.kind, "", &kind.tally, "")),
    );
    tiles
}

/// What was promised for today, of the whole ledger: as dunning says, and nothing
/// while it cannot be asked. What was broken is work, with a tile of its own.
async fn promised(app: &App) -> Option<Tile> {
    let ask = ListPromises {
        tab: Some(PromiseTab::DueToday),
        account_id: None,
        page: PageRequest {
            cursor: None,
            limit: Some(PageRequest::MAX),
        },
    };
    let found = app.bus.ask(&ask).await.ok()?;
    let mut sums: Vec<Money> = Vec::new();
    for promise in &found.items {
        let left = promise.amount.checked_sub(promise.received).ok()?;
        match sums
            .iter_mut()
            .find(|sum| sum.currency() == left.currency())
        {
            Some(sum) => *sum = sum.checked_add(left).ok()?,
            None => sums.push(left),
        }
    }
    let title = if found.next_cursor.is_some() {
        "Promised for today, and more"
    } else {
        "Promised for today"
    };
    Some(Tile {
        title: title.to_owned(),
        href: format!("/promises?tab={}", PromiseTab::DueToday.name()),
        current: false,
        count: i64::try_from(found.items.len()).unwrap_or(i64::MAX),
        money: sums.uk(),
        class: "",
    })
}

/// Deadlines of today that are near or over and not met.
async fn warnings(app: &App, visit: &Visit) -> Vec<Warning> {
    let today = kernel::london_date(visit.now);
    let ask = ListDeadlines {
        from: Some(today),
        to: Some(today),
    };
    let Ok(found) = app.bus.ask(&ask).await else {
        return Vec::new();
    };
    let near = found.items.into_iter().filter(|one| {
        matches!(one.state.as_str(), "open" | "late") && one.due_at - TOLD_BEFORE <= visit.now
    });
    near.map(|one| {
        let late = one.due_at <= visit.now;
        let by = one
            .due_at
            .with_timezone(&chrono_tz::Europe::London)
            .format("%H:%M");
        let text = if late {
            let over = two_units(visit.now - one.due_at);
            format!("{}: not done, was due {by} ({over} ago)", one.title)
        } else {
            let left = two_units(one.due_at - visit.now);
            format!("{}: not done, due {by} (in {left})", one.title)
        };
        Warning {
            text,
            href: one
                .work_item_id
                .map(|id| format!("/today?view=team&open={id}")),
            late,
        }
    })
    .collect()
}

/// What is to be collected, and the credit beside it: as the aged debt says, and
/// nothing while it cannot be asked.
async fn ledger(app: &App) -> Vec<Tile> {
    let ask = GetAgedDebt {
        page: PageRequest {
            cursor: None,
            limit: Some(1),
        },
        ..GetAgedDebt::default()
    };
    let Ok(aged) = app.bus.ask(&ask).await else {
        return Vec::new();
    };
    let tile = |title: &str, href: &str, money: Vec<Money>| Tile {
        title: title.to_owned(),
        href: href.to_owned(),
        current: false,
        count: aged.totals.iter().map(|one| one.accounts).sum(),
        money: money.uk(),
        class: "",
    };
    // The first bucket is not due yet.
    let overdue = aged
        .totals
        .iter()
        .filter_map(|one| Money::sum(one.buckets.iter().skip(1).copied(), one.currency).ok());
    let credit = aged.totals.iter().map(|one| one.unallocated);
    vec![
        tile("To collect", "/aged-debt", overdue.collect()),
        tile("Credit", "/cash", credit.collect()),
    ]
}

fn action(pairs: &Pairs) -> Result<WorkAction, Problem> {
    let text = |name| field(pairs, name).to_owned();
    let action = match field(pairs, "do") {
        "take" => WorkAction::Take,
        "put_down" => WorkAction::PutDown,
        "wake" => WorkAction::Wake,
        "assign" => WorkAction::Assign {
            to: text("to"),
            reason: text("reason"),
        },
        "snooze" => WorkAction::Snooze {
            until: day(field(pairs, "until"), "/until")?,
            reason: text("reason"),
        },
        "rank" => WorkAction::Rank {
            points: field(pairs, "points").parse().map_err(|_| {
                Problem::invalid("gateway.bad_points", "/points", "a whole number of points")
            })?,
            reason: text("reason"),
        },
        "complete" => WorkAction::Complete {
            outcome: text("outcome"),
            note: text("note"),
            next: match (field(pairs, "next"), field(pairs, "none_because")) {
                ("", why) => NextStep::NoneBecause(why.to_owned()),
                (next, _) => NextStep::On(day(next, "/next")?),
            },
        },
        _ => {
            return Err(Problem::invalid(
                "gateway.bad_action",
                "/do",
                "nothing that can be done with work",
            ));
        }
    };
    Ok(action)
}

/// `POST /today/{id}`: does it, and goes on with the next row.
pub(crate) async fn act(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<WorkItemId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let place = Place::of(&pairs);
    let done = async {
        let action = action(&pairs)?;
        may(&visit.caller, &action)?;
        let leaves = matches!(
            action,
            WorkAction::Complete { .. } | WorkAction::Snooze { .. } | WorkAction::Assign { .. }
        );
        let ask = ActOnWork {
            command_id: command(&visit, "today", &pairs),
            work_item_ids: vec![id],
            expected_version: None,
            actor: visit.caller.actor(),
            action,
        };
        let acted = app.bus.ask(&ask).await?;
        Ok::<_, Problem>((acted, leaves))
    }
    .await;
    match done {
        Ok((acted, leaves)) => {
            let next = some(field(&pairs, "next_row"));
            let same = id.to_string();
            let open = if leaves { next } else { Some(same) };
            let text = acted.items.first().map_or_else(|| "Done".to_owned(), told);
            let toast = Toast {
                text,
                warning: false,
                undo: None,
            };
            Ok(visit.go(&place.address(open.as_deref()), &toast))
        }
        Err(problem) if problem.status().is_client_error() && problem.status != 403 => {
            let mut problems: Vec<String> = problem
                .errors
                .iter()
                .map(|one| one.detail.clone())
                .collect();
            problems.insert(0, problem.detail.clone());
            let typed = Typed {
                problems,
                outcome: field(&pairs, "outcome").to_owned(),
                note: field(&pairs, "note").to_owned(),
                next: field(&pairs, "next").to_owned(),
                none_because: field(&pairs, "none_because").to_owned(),
            };
            let page = assemble(&app, &visit, place, Some(id.to_string()), typed)
                .await
                .map_err(visit.give_up())?;
            Ok(visit.show(StatusCode::UNPROCESSABLE_ENTITY, &page))
        }
        Err(problem) => Err(visit.give_up()(problem)),
    }
}

fn told(item: &WorkRow) -> String {
    let what = format!("{} {}", item.title, item.subject_ref);
    match item.state {
        WorkState::Waiting => format!("{what}: comes back {}", item.back_on.uk()),
        WorkState::Done => format!("{what}: done"),
        WorkState::InProgress => format!("{what}: with {}", item.holder.who()),
        WorkState::Open | WorkState::Closed => {
            format!("{what}: {}, with {}", item.state.name(), item.holder.who())
        }
    }
}
