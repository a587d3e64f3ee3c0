//! Direct Debit: who may be collected from, what is collected, and the files.

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use contracts::{
    allocation::ChaseableItem,
    api::{
        PageRequest,
        direct_debits::{
            BacsFileView, CollectionRunState, CollectionRunView, DiscardCollectionRun,
            FetchBacsFile, ListBacsFiles, ListCollectionRuns, ListMandates, MakeCollectionFile,
            MakeInstructionFile, MandateView, PresentAgain, ProposeCollections, ToCollect,
        },
        returns::GetChaseable,
    },
    ingestion::{BacsFileId, CollectionId, CollectionRunId, MandateState},
};
use kernel::{Currency, Money};

use super::{
    PageProblem, Section, Shell, Visit,
    controls::{Pairs, field, form_command, told},
    show::{Uk as _, Words as _},
};
use crate::{
    App,
    api::{
        Path,
        controls::person,
        direct_debits::{open_now, run},
        refund_files::file,
    },
    auth::Access,
    problem::Problem,
};

/// Runs and files shown at once.
const SHOWN: u16 = 10;
/// Accounts of which debts are offered to collect.
const OFFERED: usize = 30;
const BACK: &str = "/direct-debits";

#[derive(Template)]
#[template(path = "direct_debits.html")]
struct DirectDebitsPage {
    shell: Shell,
    may_pay: bool,
    mandates: Vec<MandateView>,
    next: Option<String>,
    /// Instructions that wait for a file.
    waiting: usize,
    /// Debts that may be chased and collected, each with its account.
    offered: Vec<(String, ChaseableItem)>,
    runs: Vec<CollectionRunView>,
    files: Vec<BacsFileView>,
}

impl DirectDebitsPage {
    fn may_make(run: &CollectionRunView) -> bool {
        run.state == CollectionRunState::Approved
    }

    fn may_discard(run: &CollectionRunView) -> bool {
        !matches!(
            run.state,
            CollectionRunState::Over | CollectionRunState::Rejected
        )
    }
}

/// `GET /direct-debits`
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

async fn assemble(app: &App, visit: &Visit, pairs: &Pairs) -> Result<DirectDebitsPage, Problem> {
    let page = |limit| PageRequest {
        cursor: None,
        limit: Some(limit),
    };
    let cursor = Some(field(pairs, "cursor").to_owned()).filter(|cursor| !cursor.is_empty());
    let mandates = ListMandates {
        page: PageRequest {
            cursor,
            limit: None,
        },
        ..ListMandates::default()
    };
    let runs = ListCollectionRuns {
        run_id: None,
        page: page(SHOWN),
    };
    let files = ListBacsFiles { page: page(SHOWN) };
    let (mandates, runs, files) = tokio::try_join!(
        app.bus.ask(&mandates),
        app.bus.ask(&runs),
        app.bus.ask(&files)
    )?;
    let may_pay = Access::PAY.allows(&visit.caller.roles);
    let mut accounts = Vec::new();
    for mandate in &mandates.items {
        let usable = matches!(mandate.state, MandateState::Active | MandateState::Lodged);
        if usable && !accounts.contains(&mandate.account_id) {
            accounts.push(mandate.account_id);
        }
    }
    accounts.truncate(if may_pay { OFFERED } else { 0 });
    let mut offered = Vec::new();
    for account_id in accounts {
        let ask = GetChaseable {
            account_id,
            items: Vec::new(),
        };
        // An account that the ledger has not heard of yet owes nothing.
        if let Ok(known) = app.bus.ask(&ask).await {
            let pounds = known.items.into_iter().filter(|item| {
                item.chaseable.is_positive() && item.chaseable.currency() == Currency::GBP
            });
            offered.extend(pounds.map(|item| (known.account_ref.clone(), item)));
        }
    }
    Ok(DirectDebitsPage {
        shell: visit.shell(Section::Controls, "Direct Debits"),
        may_pay,
        waiting: mandates
            .items
            .iter()
            .filter(|m| {
                matches!(
                    m.state,
                    MandateState::Captured | MandateState::CancelPending
                )
            })
            .count(),
        next: mandates
            .next_cursor
            .map(|cursor| format!("{BACK}?cursor={}", crate::api::encoded(&cursor))),
        mandates: mandates.items,
        offered,
        runs: runs.items,
        files: files.items,
    })
}

/// `POST /direct-debits`: asks for collections.
pub(crate) async fn propose(
    State(app): State<App>,
    visit: Visit,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let done = async {
        let bad = |pointer, detail: &str| Problem::invalid("gateway.bad_form", pointer, detail);
        let entry_on = field(&pairs, "entry_on")
            .parse()
            .map_err(|_| bad("/entry_on", "an entry day is needed"))?;
        let mut documents = Vec::new();
        for (_, value) in pairs.iter().filter(|(name, _)| name == "document") {
            let parts = value.split_once(' ').and_then(|(id, amount)| {
                Some(ToCollect {
                    document_id: id.parse().ok()?,
                    amount: Money::parse(amount, Currency::GBP).ok()?,
                    last: false,
                })
            });
            documents.push(parts.ok_or_else(|| bad("/document", "load the page again"))?);
        }
        if documents.is_empty() {
            return Err(bad("/document", "choose what is to be collected"));
        }
        let ask = ProposeCollections {
            command_id: form_command(&visit, &pairs)?,
            entry_on,
            documents,
            reason: field(&pairs, "reason").to_owned(),
            person: person(&visit.caller),
        };
        let proposed = app.bus.ask(&ask).await?;
        let mut words = proposed.run.map_or_else(
            || "Nothing can be collected.".to_owned(),
            |run| {
                format!(
                    "{} collections of {} wait for a second person.",
                    run.collections.len(),
                    run.total.uk()
                )
            },
        );
        for blocked in proposed.blocked.iter().take(3) {
            use std::fmt::Write as _;
            let _ = write!(
                words,
                " {} is blocked: {}.",
                blocked.document_refs.join(", "),
                blocked.detail
            );
        }
        Ok(words)
    };
    told(&visit, BACK, done.await)
}

/// `POST /direct-debits/runs/{id}/file`
pub(crate) async fn make_file(
    State(app): State<App>,
    visit: Visit,
    Path(run_id): Path<CollectionRunId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let done = async {
        let command_id = form_command(&visit, &pairs)?;
        let of = run(&app, run_id).await?;
        let ask = MakeCollectionFile {
            command_id,
            run_id,
            open: open_now(&app, &of).await?,
            person: person(&visit.caller),
        };
        let made = app.bus.ask(&ask).await?;
        Ok(match made.file_id {
            Some(_) => format!("The file is made, over {}.", made.total.uk()),
            None => "Nothing of the run is left to collect.".to_owned(),
        })
    };
    told(&visit, BACK, done.await)
}

/// `POST /direct-debits/runs/{id}/discard`
pub(crate) async fn discard(
    State(app): State<App>,
    visit: Visit,
    Path(run_id): Path<CollectionRunId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let done = async {
        let ask = DiscardCollectionRun {
            command_id: form_command(&visit, &pairs)?,
            run_id,
            reason: field(&pairs, "reason").to_owned(),
            person: person(&visit.caller),
        };
        app.bus.ask(&ask).await?;
        Ok("The run is given up.".to_owned())
    };
    told(&visit, BACK, done.await)
}

/// `POST /direct-debits/collections/{id}/again`
pub(crate) async fn again(
    State(app): State<App>,
    visit: Visit,
    Path(collection_id): Path<CollectionId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let done = async {
        let entry_on = field(&pairs, "entry_on").parse().map_err(|_| {
            Problem::invalid("gateway.bad_form", "/entry_on", "an entry day is needed")
        })?;
        let ask = PresentAgain {
            command_id: form_command(&visit, &pairs)?,
            collection_id,
            entry_on,
            reason: field(&pairs, "reason").to_owned(),
            person: person(&visit.caller),
        };
        app.bus.ask(&ask).await?;
        Ok("It waits for a second person.".to_owned())
    };
    told(&visit, BACK, done.await)
}

/// `POST /direct-debits/instructions`
pub(crate) async fn instructions(
    State(app): State<App>,
    visit: Visit,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let done = async {
        let ask = MakeInstructionFile {
            command_id: form_command(&visit, &pairs)?,
            processing_on: None,
            person: person(&visit.caller),
        };
        let made = app.bus.ask(&ask).await?;
        Ok(format!(
            "{} instructions are in the file {}.",
            made.records, made.serial
        ))
    };
    told(&visit, BACK, done.await)
}

/// `POST /direct-debits/files/{id}/content`
pub(crate) async fn fetch(
    State(app): State<App>,
    visit: Visit,
    Path(file_id): Path<BacsFileId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let fetched = async {
        let ask = FetchBacsFile {
            command_id: form_command(&visit, &pairs)?,
            file_id,
            person: person(&visit.caller),
        };
        Ok(app.bus.ask(&ask).await?)
    };
    let fetched = fetched.await.map_err(visit.give_up::<Problem>())?;
    Ok(file(fetched.into()))
}
