//! Dunning runs: whom to contact and of all others why not, edited, approved by
//! a second person, and what came of it.

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::{StatusCode, Uri},
    response::Response,
};
use contracts::{
    api::{
        Call, PageRequest, Refusal,
        dunning::{
            EditRun, GetRun, ListRunAccounts, ListRuns, ProposeRun, RunAccount, RunAccountState,
            RunEdit, RunItem, RunScope, RunStep, RunView, StepRun,
        },
    },
    dunning::{Channel, ChaseReason, RunId, RunKind, RunState, StatementExclusion},
};
use kernel::{AccountId, london_date};

use crate::{
    App,
    api::{Path, controls::person, encoded, once::command_id},
    pages::{
        PageProblem, Section, Shell, Toast, Visit,
        show::{Uk as _, Words as _},
    },
    problem::Problem,
    routes,
};

use super::{Pairs, field, form_key, problems, some, sums};

const PLACE: &str = "/dunning/runs";
/// Where runs of statements are: the same pages.
const STATEMENTS: &str = "/dunning/statements";

/// Which of the two a page is of.
fn base(uri: &Uri) -> &'static str {
    if uri.path().starts_with(STATEMENTS) {
        STATEMENTS
    } else {
        PLACE
    }
}

#[derive(Template)]
#[template(path = "runs.html")]
struct RunsPage {
    shell: Shell,
    base: &'static str,
    /// Of statements, else of reminders.
    statements: bool,
    runs: Vec<RunView>,
    next: Option<String>,
    may_act: bool,
    today: String,
    as_of: String,
    red: bool,
    title: String,
    reason: String,
    segments: String,
    principals: String,
    accounts: String,
    problems: Vec<String>,
}

async fn list(
    app: &App,
    visit: &Visit,
    base: &'static str,
    pairs: &Pairs,
    refused: Option<&Problem>,
) -> Result<RunsPage, Problem> {
    let statements = base == STATEMENTS;
    let (kinds, heading, what) = if statements {
        let kinds = vec![RunKind::Statement, RunKind::RedStatement];
        (kinds, "Statements", "Statements")
    } else {
        (vec![RunKind::Reminders], "Dunning runs", "Run")
    };
    let found = app
        .bus
        .ask(&ListRuns {
            kinds,
            page: PageRequest {
                cursor: some(field(pairs, "cursor")),
                limit: None,
            },
        })
        .await?;
    let today = london_date(visit.now);
    let title = some(field(pairs, "title"));
    Ok(RunsPage {
        shell: visit.shell(Section::Dunning, heading),
        base,
        statements,
        runs: found.items,
        next: found
            .next_cursor
            .map(|cursor| format!("{base}?cursor={}", encoded(&cursor))),
        may_act: routes::DISPUTE.allows(&visit.caller.roles),
        title: title.unwrap_or_else(|| format!("{what} of {}", today.uk())),
        as_of: some(field(pairs, "as_of")).unwrap_or_else(|| today.to_string()),
        today: today.to_string(),
        red: field(pairs, "kind") == RunKind::RedStatement.name(),
        reason: field(pairs, "reason").to_owned(),
        segments: field(pairs, "segments").to_owned(),
        principals: field(pairs, "principals").to_owned(),
        accounts: field(pairs, "accounts").to_owned(),
        problems: problems(refused),
    })
}

/// `GET /dunning/runs`, `GET /dunning/statements`
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    uri: Uri,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let page = list(&app, &visit, base(&uri), &pairs, None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

/// Words between commas.
fn words(text: &str) -> Vec<String> {
    text.split(',')
        .filter_map(|word| some(word.trim()))
        .collect()
}

fn kind(statements: bool, pairs: &Pairs) -> Result<RunKind, Problem> {
    if !statements {
        return Ok(RunKind::Reminders);
    }
    RunKind::named(field(pairs, "kind"))
        .filter(|kind| !kind.is_reminders())
        .ok_or_else(|| {
            Problem::invalid(
                "gateway.bad_form",
                "/kind",
                "Choose statements or red ones.",
            )
        })
}

/// `POST /dunning/runs`, `POST /dunning/statements`
pub(crate) async fn propose(
    State(app): State<App>,
    visit: Visit,
    uri: Uri,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let base = base(&uri);
    let statements = base == STATEMENTS;
    let command = || {
        let as_of = field(&pairs, "as_of");
        Ok(ProposeRun {
            kind: kind(statements, &pairs)?,
            command_id: command_id(visit.caller.user_id, "page", form_key(&pairs)?),
            as_of: match as_of {
                "" => None,
                day => Some(day.parse().map_err(|_| {
                    Problem::invalid("gateway.bad_date", "/as_of", "Give the day.")
                })?),
            },
            title: field(&pairs, "title").to_owned(),
            scope: RunScope {
                policies: words(field(&pairs, "policies")),
                segments: words(field(&pairs, "segments")),
                principals: words(field(&pairs, "principals")),
                accounts: words(field(&pairs, "accounts")),
                ..RunScope::default()
            },
            reason: field(&pairs, "reason").to_owned(),
            person: person(&visit.caller),
        })
    };
    let sent = match command() {
        Ok(command) => app.bus.ask(&command).await.map_err(Problem::from),
        Err(problem) => Err(problem),
    };
    match sent {
        Ok(run) => {
            let text = if statements {
                "The statements are being worked out."
            } else {
                "The run is being worked out."
            };
            let toast = Toast {
                text: text.to_owned(),
                warning: false,
                undo: None,
            };
            Ok(visit.go(&format!("{base}/{}", run.run_id), &toast))
        }
        Err(problem) if problem.status().is_client_error() => {
            let page = list(&app, &visit, base, &pairs, Some(&problem))
                .await
                .map_err(visit.give_up())?;
            Ok(visit.show(problem.status(), &page))
        }
        Err(problem) => Err(visit.give_up()(problem)),
    }
}

/// Which accounts the page lists, and which one is open.
#[derive(Debug, Clone, Default)]
struct Place {
    base: &'static str,
    run: Option<RunId>,
    state: Option<RunAccountState>,
    reason: Option<ChaseReason>,
    excluded: Option<StatementExclusion>,
    cursor: String,
    account: Option<AccountId>,
}

impl Place {
    fn read(uri: &Uri, run: RunId, pairs: &Pairs) -> Self {
        Self {
            base: base(uri),
            run: Some(run),
            excluded: StatementExclusion::named(field(pairs, "excluded")),
            state: RunAccountState::named(field(pairs, "state")),
            reason: ChaseReason::named(field(pairs, "reason_is")),
            cursor: field(pairs, "cursor").to_owned(),
            account: field(pairs, "account").parse().ok(),
        }
    }

    fn href(&self) -> String {
        let mut href = self.base.to_owned();
        if let Some(run) = self.run {
            href = format!("{href}/{run}");
        }
        let mut mark = '?';
        for (name, value) in [
            ("state", self.state.map(|s| s.name().to_owned())),
            ("reason_is", self.reason.map(|r| r.name().to_owned())),
            ("excluded", self.excluded.map(|why| why.name().to_owned())),
            ("cursor", some(&self.cursor)),
            ("account", self.account.map(|a| a.to_string())),
        ] {
            if let Some(value) = value {
                href = format!("{href}{mark}{name}={}", encoded(&value));
                mark = '&';
            }
        }
        href
    }
}

/// A reason in the words of a statement.
fn why(item: &RunItem) -> &'static str {
    match item.reason {
        ChaseReason::ChaseNow | ChaseReason::SuspectedQuery => "due",
        other => other.name(),
    }
}

/// A facet: a reason or a state, and how much it is.
struct Facet {
    title: String,
    href: String,
    current: bool,
    accounts: i64,
    detail: String,
}

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    shell: Shell,
    run: RunView,
    place: Place,
    states: Vec<Facet>,
    reasons: Vec<Facet>,
    excluded: Vec<Facet>,
    rows: Vec<(RunAccount, String)>,
    open: Option<RunAccount>,
    next: Option<String>,
    may_act: bool,
    problems: Vec<String>,
}

impl RunPage {
    fn is<const N: usize>(&self, states: &[RunState; N]) -> bool {
        states.contains(&self.run.state)
    }

    fn by(row: &RunAccount, channel: &str) -> bool {
        row.channel.is_some_and(|own| own.name() == channel)
    }

    fn is_open(&self, row: &RunAccount) -> bool {
        self.open
            .as_ref()
            .is_some_and(|open| open.account_id == row.account_id)
    }

    /// What a contact of the run is.
    fn what(&self) -> &'static str {
        match self.run.kind {
            RunKind::Reminders => "contact",
            RunKind::Statement => "statement",
            RunKind::RedStatement => "red statement",
        }
    }

    /// The ways that a person may choose.
    fn channels(&self) -> &'static [Channel] {
        if self.run.kind.is_reminders() {
            Channel::ALL
        } else {
            &[Channel::Email, Channel::Letter]
        }
    }

    fn may_edit(&self) -> bool {
        self.may_act && self.is(&[RunState::Proposed, RunState::Requested])
    }

    /// The steps of the page's head: which is done, which is now.
    fn steps(&self) -> [(&'static str, &'static str); 5] {
        let now = match self.run.state {
            RunState::Proposing => 0,
            RunState::Proposed => 1,
            RunState::Requested | RunState::Rejected => 2,
            RunState::Approved | RunState::Sending | RunState::Paused => 3,
            RunState::Sent | RunState::Cancelled => 4,
        };
        let titles = ["Scope", "Preview", "Approve", "Send", "Results"];
        let mut steps = [("", ""); 5];
        for (n, (step, title)) in steps.iter_mut().zip(titles).enumerate() {
            *step = match n.cmp(&now) {
                std::cmp::Ordering::Less => (title, "done"),
                std::cmp::Ordering::Equal => (title, "now"),
                std::cmp::Ordering::Greater => (title, ""),
            };
        }
        steps
    }
}

async fn assemble(
    app: &App,
    visit: &Visit,
    place: Place,
    run_id: RunId,
    refused: Option<&Problem>,
) -> Result<RunPage, Problem> {
    let run = app.bus.ask(&GetRun { run_id }).await?;
    let found = app
        .bus
        .ask(&ListRunAccounts {
            run_id,
            state: place.state,
            reason: place.reason,
            excluded: place.excluded,
            page: PageRequest {
                cursor: some(&place.cursor),
                limit: None,
            },
        })
        .await?;
    let plain = Place {
        base: place.base,
        run: Some(run_id),
        ..Place::default()
    };
    let mut by_state: Vec<Facet> = Vec::new();
    for count in &run.states {
        let title = count.state.name().words();
        let channel = count
            .channel
            .map(|c| format!("{} by {}", count.accounts, c.name()));
        if let Some(known) = by_state.iter_mut().find(|facet| facet.title == title) {
            known.accounts += count.accounts;
            if let Some(channel) = channel {
                known.detail = format!("{}, {channel}", known.detail);
            }
            continue;
        }
        by_state.push(Facet {
            title,
            href: Place {
                state: Some(count.state),
                ..plain.clone()
            }
            .href(),
            current: place.state == Some(count.state),
            accounts: count.accounts,
            detail: channel.unwrap_or_default(),
        });
    }
    let reasons = run
        .tally
        .iter()
        .map(|row| Facet {
            title: row.reason.name().words(),
            href: Place {
                reason: Some(row.reason),
                ..plain.clone()
            }
            .href(),
            current: place.reason == Some(row.reason),
            accounts: row.accounts,
            detail: format!("{} items, {}", row.items, row.amount.uk()),
        })
        .collect();
    let excluded = run
        .excluded
        .iter()
        .map(|row| Facet {
            title: row.reason.name().words(),
            href: Place {
                excluded: Some(row.reason),
                ..plain.clone()
            }
            .href(),
            current: place.excluded == Some(row.reason),
            accounts: row.accounts,
            detail: String::new(),
        })
        .collect();
    let open = place
        .account
        .and_then(|id| found.items.iter().find(|row| row.account_id == id))
        .or_else(|| found.items.first())
        .cloned();
    let rows = found
        .items
        .into_iter()
        .map(|row| {
            let href = Place {
                account: Some(row.account_id),
                ..place.clone()
            }
            .href();
            (row, href)
        })
        .collect();
    Ok(RunPage {
        shell: visit.shell(Section::Dunning, run.title.clone()),
        next: found.next_cursor.map(|cursor| {
            Place {
                cursor,
                account: None,
                ..place.clone()
            }
            .href()
        }),
        run,
        states: by_state,
        reasons,
        excluded,
        rows,
        open,
        may_act: routes::DISPUTE.allows(&visit.caller.roles),
        problems: problems(refused),
        place,
    })
}

/// `GET /dunning/runs/{id}`
pub(crate) async fn one(
    State(app): State<App>,
    visit: Visit,
    uri: Uri,
    Path(run_id): Path<RunId>,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let place = Place::read(&uri, run_id, &pairs);
    let page = assemble(&app, &visit, place, run_id, None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

/// Sends what a form says; shows the page again when it is refused.
async fn send<C: Call>(
    app: &App,
    visit: &Visit,
    place: Place,
    run_id: RunId,
    said: &str,
    command: Result<C, Problem>,
) -> Result<Response, PageProblem> {
    let sent = match command {
        Ok(command) => {
            let sent: Result<C::Reply, Refusal> = app.bus.ask(&command).await;
            sent.map(|_| ()).map_err(Problem::from)
        }
        Err(problem) => Err(problem),
    };
    match sent {
        Ok(()) => {
            let toast = Toast {
                text: said.to_owned(),
                warning: false,
                undo: None,
            };
            Ok(visit.go(&place.href(), &toast))
        }
        Err(problem) if problem.status().is_client_error() => {
            let page = assemble(app, visit, place, run_id, Some(&problem))
                .await
                .map_err(visit.give_up())?;
            Ok(visit.show(problem.status(), &page))
        }
        Err(problem) => Err(visit.give_up()(problem)),
    }
}

fn unknown(what: &str) -> Problem {
    Problem::invalid(
        "gateway.bad_form",
        &format!("/{what}"),
        "Choose what shall be done.",
    )
}

/// `POST /dunning/runs/{id}/steps`
pub(crate) async fn step(
    State(app): State<App>,
    visit: Visit,
    uri: Uri,
    Path(run_id): Path<RunId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let step = RunStep::named(field(&pairs, "step"));
    let command = || {
        Ok(StepRun {
            command_id: command_id(visit.caller.user_id, "page", form_key(&pairs)?),
            run_id,
            version: field(&pairs, "version").parse().ok(),
            step: step.ok_or_else(|| unknown("step"))?,
            reason: field(&pairs, "reason").to_owned(),
            person: person(&visit.caller),
        })
    };
    let said = match step {
        Some(RunStep::Request) => "Asked for: a second person decides.",
        Some(RunStep::Withdraw) => "The request is taken back.",
        Some(RunStep::Pause) => "Paused: nothing more is sent.",
        Some(RunStep::Resume) => "It goes on.",
        Some(RunStep::Cancel) => "Cancelled: nothing more of it is sent.",
        None => "",
    };
    let place = Place::read(&uri, run_id, &pairs);
    send(&app, &visit, place, run_id, said, command()).await
}

/// `POST /dunning/runs/{id}/edits`
pub(crate) async fn edit(
    State(app): State<App>,
    visit: Visit,
    uri: Uri,
    Path(run_id): Path<RunId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let command = || {
        let edit = match field(&pairs, "edit") {
            "remove" => RunEdit::Remove,
            "restore" => RunEdit::Restore,
            "channel" => RunEdit::Channel {
                channel: Channel::named(field(&pairs, "channel"))
                    .ok_or_else(|| unknown("channel"))?,
            },
            "sentence" => RunEdit::Sentence {
                text: field(&pairs, "text").to_owned(),
            },
            _ => return Err(unknown("edit")),
        };
        Ok(EditRun {
            command_id: command_id(visit.caller.user_id, "page", form_key(&pairs)?),
            run_id,
            account_id: field(&pairs, "account")
                .parse()
                .map_err(|_| unknown("account"))?,
            edit,
            reason: field(&pairs, "reason").to_owned(),
            person: person(&visit.caller),
        })
    };
    let place = Place::read(&uri, run_id, &pairs);
    let said = "Changed, and frozen anew.";
    send(&app, &visit, place, run_id, said, command()).await
}
