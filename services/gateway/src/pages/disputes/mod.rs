//! Queries, disputes and complaints: the list, the board and one case.

pub(crate) mod forms;
pub(crate) mod open;
pub(crate) mod report;
pub(crate) mod stakeholder;

use std::collections::HashMap;

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use chrono::{DateTime, Utc};
use contracts::{
    api::{
        PageRequest,
        disputes::{
            CaseCounts, CaseDetail, CaseKey, CaseQueue, CaseView, CountCases, GetCase, GetTaxonomy,
            ListCases, NudgeMail, StepView, Taxonomy,
        },
        worklist::{ListWork, WorkView},
    },
    disputes::CaseState,
};
use kernel::Money;
use uuid::Uuid;

use super::{
    PageProblem, Section, Shell, Visit,
    show::{Uk as _, Words as _},
    worklist::{Clock, clock},
};
use crate::{
    App,
    api::{Path, encoded},
    problem::Problem,
    routes,
};

/// Fields of the page's address and of its forms, in the order sent.
type Pairs = Vec<(String, String)>;

const PLACE: &str = "/disputes";

fn field<'p>(pairs: &'p Pairs, name: &str) -> &'p str {
    pairs
        .iter()
        .find(|(known, _)| known == name)
        .map_or("", |(_, value)| value.trim())
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// What the page shows, as its address says.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    queue: Option<CaseQueue>,
    board: bool,
    mine: bool,
    search: String,
    cursor: String,
    case: String,
}

impl Place {
    fn read(pairs: &Pairs) -> Self {
        Self {
            queue: CaseQueue::named(field(pairs, "queue")),
            board: field(pairs, "view") == "board",
            mine: field(pairs, "whose") == "mine",
            search: field(pairs, "search").to_owned(),
            cursor: field(pairs, "cursor").to_owned(),
            case: field(pairs, "case").to_owned(),
        }
    }

    fn queue_name(&self) -> &'static str {
        self.queue.unwrap_or(CaseQueue::Open).name()
    }

    fn view(&self) -> &'static str {
        if self.board { "board" } else { "table" }
    }

    fn whose(&self) -> &'static str {
        if self.mine { "mine" } else { "all" }
    }

    /// The list, without a page of it and without a case.
    fn list(&self) -> String {
        let search = if self.search.is_empty() {
            String::new()
        } else {
            format!("&search={}", encoded(&self.search))
        };
        format!(
            "{PLACE}?queue={}&view={}&whose={}{search}",
            self.queue_name(),
            self.view(),
            self.whose()
        )
    }

    fn with(&self, case: &str) -> String {
        let cursor = if self.cursor.is_empty() {
            String::new()
        } else {
            format!("&cursor={}", encoded(&self.cursor))
        };
        format!("{}{cursor}&case={}", self.list(), encoded(case))
    }
}

struct Tile {
    title: &'static str,
    href: String,
    current: bool,
    cases: i64,
    money: String,
}

struct Row {
    case: CaseView,
    href: String,
    current: bool,
    /// Time in this state.
    since: String,
    clock: Option<Clock>,
}

/// A column of the board.
struct Column {
    title: &'static str,
    cases: i64,
    money: String,
    more: Option<String>,
    rows: Vec<Row>,
}

/// A link that was just made: shown this once.
struct Link {
    href: String,
    until: DateTime<Utc>,
    /// What became of the e-mail with it.
    mail: Option<NudgeMail>,
}

/// What was typed into a form that was refused, and why.
#[derive(Default)]
pub(super) struct Typed {
    problems: Vec<String>,
    step: String,
    reason: String,
    values: Pairs,
}

impl Typed {
    /// The value of a field, if this form was refused.
    fn of(&self, step: &str, name: &str) -> &str {
        if self.step == step {
            field(&self.values, name)
        } else {
            ""
        }
    }

    fn of_item(&self, step: &str, name: &str, item: &kernel::DocumentId) -> &str {
        self.of(step, &format!("{name}:{item}"))
    }

    fn is(&self, step: &str) -> bool {
        self.step == step
    }
}

#[derive(Template)]
#[template(path = "disputes.html")]
pub(super) struct DisputesPage {
    shell: Shell,
    place: Place,
    tiles: Vec<Tile>,
    rows: Vec<Row>,
    columns: Vec<Column>,
    next: Option<String>,
    detail: Option<CaseDetail>,
    clock: Option<Clock>,
    since: String,
    missing: Option<String>,
    taxonomy: Taxonomy,
    typed: Typed,
    link: Option<Link>,
    may_work: bool,
}

/// What became of the e-mail with a question.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "templates pass references"
)]
fn mailed(mail: &NudgeMail) -> &'static str {
    match mail {
        NudgeMail::Sending => "is being sent",
        NudgeMail::Sent => "sent",
        NudgeMail::Refused => "not sent",
        NudgeMail::Unknown => "perhaps not sent",
    }
}

/// A state as people say it; waiting for the customer is marked, because clocks
/// stand still.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "templates pass references"
)]
pub(super) fn said(state: &CaseState) -> &'static str {
    match state {
        CaseState::Suspected => "Suspected",
        CaseState::Confirmed => "New",
        CaseState::Assigned => "In work",
        CaseState::AwaitingInternal => "With department",
        CaseState::AwaitingCustomer => "With customer, paused",
        CaseState::Proposed => "Proposed",
        CaseState::Resolved => "Settled",
        CaseState::Closed => "Closed",
    }
}

/// The colour that goes with it.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "templates pass references"
)]
pub(super) fn class(state: &CaseState) -> &'static str {
    match state {
        CaseState::Suspected | CaseState::Confirmed => "unidentified",
        CaseState::AwaitingInternal | CaseState::AwaitingCustomer | CaseState::Proposed => {
            "part_allocated"
        }
        CaseState::Resolved | CaseState::Closed => "allocated",
        CaseState::Assigned => "",
    }
}

fn title(queue: CaseQueue) -> &'static str {
    match queue {
        CaseQueue::Open => "All open",
        CaseQueue::Suspected => "Suspected",
        CaseQueue::New => "New",
        CaseQueue::Working => "In work",
        CaseQueue::AwaitingInternal => "With department",
        CaseQueue::AwaitingCustomer => "With customer, paused",
        CaseQueue::Proposed => "Proposed",
        CaseQueue::Resolved => "Settled, due",
        CaseQueue::Closed => "Closed",
        CaseQueue::All => "All",
    }
}

/// A span in one or two units.
fn span(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    let minutes = (to - from).num_minutes().max(0);
    match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) if days < 3 => format!("{days} d {hours} h"),
        (days, ..) => format!("{days} d"),
    }
}

fn is_one_of(case: &CaseView, states: &[&str]) -> bool {
    states.contains(&case.state.name())
}

impl DisputesPage {
    fn works(&self, case: &CaseView) -> bool {
        self.may_work
            && is_one_of(
                case,
                &[
                    "assigned",
                    "awaiting_internal",
                    "awaiting_customer",
                    "proposed",
                ],
            )
    }

    fn open(&self, case: &CaseView) -> bool {
        self.may_work && !is_one_of(case, &["resolved", "closed"])
    }

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "templates pass references"
    )]
    fn kb(bytes: &i32) -> String {
        format!("{} kB", (bytes + 999) / 1000)
    }

    fn moved(step: &StepView) -> bool {
        step.from != Some(step.to)
    }

    fn total(items: &[contracts::api::disputes::CaseItemView], of: &str) -> String {
        let amounts = items.iter().map(|i| match of {
            "original" => i.item.original,
            "in_question" => i.in_question,
            "paid" => i.item.paid,
            "credited" => i.item.credited,
            "cleared" => i.item.cleared,
            "written_off" => i.item.written_off,
            _ => i.released,
        });
        items.first().map_or_else(String::new, |first| {
            Money::sum(amounts, first.item.original.currency())
                .map_or_else(|_| "–".to_owned(), |sum| sum.uk())
        })
    }
}

/// `GET /disputes`
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let page = assemble(&app, &visit, Place::read(&pairs), Typed::default(), None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

/// `GET /disputes/{id}`: a case by its id or reference, in the list.
pub(crate) async fn one(Path(id): Path<String>) -> Response {
    Redirect::to(&format!("{PLACE}?queue=all&case={}", encoded(&id))).into_response()
}

fn key(text: &str) -> CaseKey {
    text.parse()
        .map_or_else(|_| CaseKey::Ref(text.to_owned()), CaseKey::Id)
}

/// Who the caller is in a case.
fn who(visit: &Visit) -> String {
    visit.caller.name.clone()
}

/// The clocks of cases, as worklist keeps them; none while it cannot be asked.
async fn clocks(app: &App, visit: &Visit, subjects: Vec<Uuid>) -> HashMap<Uuid, Clock> {
    if subjects.is_empty() {
        return HashMap::new();
    }
    let ask = ListWork {
        view: WorkView::Team,
        actor: visit.caller.actor(),
        kinds: ["dispute", "suspected_query"].map(str::to_owned).to_vec(),
        subjects,
        page: PageRequest {
            cursor: None,
            limit: Some(PageRequest::MAX),
        },
        ..ListWork::default()
    };
    let Ok(found) = app.bus.ask(&ask).await else {
        return HashMap::new();
    };
    let clocks = found
        .items
        .iter()
        .filter_map(|item| Some((item.subject_id, clock(item, visit.now)?)));
    clocks.collect()
}

fn row(case: CaseView, place: &Place, chosen: Option<&str>, now: DateTime<Utc>) -> Row {
    let id = case.case_id.to_string();
    Row {
        href: Place {
            board: false,
            ..place.clone()
        }
        .with(&id),
        current: chosen == Some(id.as_str()),
        since: span(case.since, now),
        clock: None,
        case,
    }
}

async fn assemble(
    app: &App,
    visit: &Visit,
    place: Place,
    typed: Typed,
    link: Option<Link>,
) -> Result<DisputesPage, Problem> {
    let mine = place.mine.then(|| who(visit));
    let counting = CountCases { who: mine.clone() };
    let words = GetTaxonomy {};
    let (counts, taxonomy) = tokio::try_join!(app.bus.ask(&counting), app.bus.ask(&words))?;
    let ask = |queue, limit| ListCases {
        queue: Some(queue),
        who: mine.clone(),
        search: some(&place.search),
        page: PageRequest {
            cursor: some(&place.cursor).filter(|_| !place.board),
            limit,
        },
        ..ListCases::default()
    };
    let mut columns = Vec::new();
    let (mut rows, mut next, mut detail, mut missing) = (Vec::new(), None, None, None);
    if place.board {
        for queue in COLUMNS {
            let page = app.bus.ask(&ask(queue, Some(10))).await?;
            let count = counts.queues.iter().find(|count| count.queue == queue);
            columns.push(Column {
                title: title(queue),
                cases: count.map_or(0, |count| count.cases),
                money: count.map_or_else(String::new, |count| count.in_question.uk()),
                more: page.next_cursor.is_some().then(|| {
                    Place {
                        queue: Some(queue),
                        board: false,
                        cursor: String::new(),
                        ..place.clone()
                    }
                    .list()
                }),
                rows: page
                    .items
                    .into_iter()
                    .map(|case| row(case, &place, None, visit.now))
                    .collect(),
            });
        }
    } else {
        let page = app
            .bus
            .ask(&ask(place.queue.unwrap_or(CaseQueue::Open), None))
            .await?;
        let chosen =
            some(&place.case).or_else(|| page.items.first().map(|first| first.case_id.to_string()));
        if let Some(chosen) = &chosen {
            let found = app.bus.ask(&GetCase { case: key(chosen) }).await;
            match found.map_err(Problem::from) {
                Ok(found) => detail = Some(found),
                Err(problem) if problem.status() == StatusCode::NOT_FOUND => {
                    missing = Some(problem.detail);
                }
                Err(problem) => return Err(problem),
            }
        }
        let id = detail
            .as_ref()
            .map(|detail: &CaseDetail| detail.case.case_id.to_string());
        next = page
            .next_cursor
            .map(|cursor| format!("{}&cursor={}", place.list(), encoded(&cursor)));
        rows = page
            .items
            .into_iter()
            .map(|case| row(case, &place, id.as_deref(), visit.now))
            .collect();
    }
    let detailed = detail.as_ref().map(|detail| detail.case.case_id.as_uuid());
    let shown = rows
        .iter()
        .chain(columns.iter().flat_map(|column: &Column| &column.rows));
    let mut wanted: Vec<Uuid> = shown.map(|row: &Row| row.case.case_id.as_uuid()).collect();
    wanted.extend(detailed);
    let clocks = clocks(app, visit, wanted).await;
    let on_board = columns.iter_mut().flat_map(|column| &mut column.rows);
    for row in rows.iter_mut().chain(on_board) {
        row.clock = clocks.get(&row.case.case_id.as_uuid()).cloned();
    }
    Ok(DisputesPage {
        clock: detailed.and_then(|id| clocks.get(&id).cloned()),
        shell: visit.shell(Section::Disputes, "Disputes"),
        tiles: tiles(&place, &counts),
        since: detail
            .as_ref()
            .map_or_else(String::new, |d| span(d.case.since, visit.now)),
        rows,
        columns,
        next,
        detail,
        missing,
        taxonomy,
        typed,
        link,
        may_work: routes::DISPUTE.allows(&visit.caller.roles),
        place,
    })
}

/// Columns of the board.
const COLUMNS: [CaseQueue; 7] = [
    CaseQueue::Suspected,
    CaseQueue::New,
    CaseQueue::Working,
    CaseQueue::AwaitingInternal,
    CaseQueue::AwaitingCustomer,
    CaseQueue::Proposed,
    CaseQueue::Resolved,
];

fn tiles(place: &Place, counts: &CaseCounts) -> Vec<Tile> {
    counts
        .queues
        .iter()
        .map(|count| Tile {
            title: title(count.queue),
            href: Place {
                queue: Some(count.queue),
                board: false,
                cursor: String::new(),
                ..place.clone()
            }
            .list(),
            current: !place.board && place.queue.unwrap_or(CaseQueue::Open) == count.queue,
            cases: count.cases,
            money: count.in_question.uk(),
        })
        .collect()
}
