//! Undoing together what was done together: the lines of one command on a
//! receipt, or of a whole batch. Shown first, then taken back line by line.

use std::collections::HashSet;

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use chrono::{DateTime, SecondsFormat, Utc};
use contracts::api::{
    allocation::{AllocationView, GetReceipt},
    workbench::GetBatch,
};
use kernel::{AllocationId, ReceiptId};
use uuid::Uuid;

use super::{
    Pairs, Place, Visit,
    batch::{Done, DonePage, summary},
    field, form_key, reason,
};
use crate::{
    App,
    api::{
        encoded,
        once::command_id,
        workbench::{ToUndo, UNDONE_MAX, totals, undo_all},
    },
    pages::{
        PageProblem, Section, Shell,
        show::{Named as _, Uk as _, Words as _},
    },
    problem::Problem,
};

/// Which lines belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    /// What one command did with a receipt: all its lines have one moment.
    Command(ReceiptId, DateTime<Utc>),
    Batch(Uuid),
}

impl Run {
    fn read(pairs: &Pairs) -> Option<Self> {
        if let Some(batch) = field(pairs, "batch") {
            return batch.parse().ok().map(Self::Batch);
        }
        let receipt = field(pairs, "receipt")?.parse().ok()?;
        let at = DateTime::parse_from_rfc3339(field(pairs, "at")?).ok()?;
        Some(Self::Command(receipt, at.to_utc()))
    }

    /// The fields that [`Run::read`] reads.
    fn fields(self) -> Vec<(&'static str, String)> {
        match self {
            Self::Command(receipt, at) => {
                vec![("receipt", receipt.to_string()), ("at", moment(at))]
            }
            Self::Batch(batch) => vec![("batch", batch.to_string())],
        }
    }
}

fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Where what one command did with a receipt can be undone.
pub(super) fn href(place: &Place, receipt: ReceiptId, at: DateTime<Utc>) -> String {
    let at = encoded(&moment(at));
    format!("{}&receipt={receipt}&at={at}", place.at("/cash/undo"))
}

/// A line of the run.
struct Line {
    receipt_id: ReceiptId,
    payer: String,
    view: AllocationView,
    /// It can be undone.
    stands: bool,
}

fn not_found() -> Problem {
    Problem::not_found("There is no such run of allocations.")
}

async fn lines(app: &App, run: Run) -> Result<Vec<Line>, Problem> {
    let line = |receipt_id, payer: Option<String>, view: AllocationView| Line {
        receipt_id,
        payer: payer.unwrap_or_else(|| "Unknown payer".to_owned()),
        stands: !view.undone && view.line.contra_of.is_none(),
        view,
    };
    let lines: Vec<Line> = match run {
        Run::Command(receipt_id, at) => {
            let found = app.bus.ask(&GetReceipt { receipt_id }).await?;
            let payer = found.receipt.payer_name;
            let of_command = |view: &AllocationView| view.recorded_at == at;
            let made = found.allocations.into_iter().filter(of_command);
            made.map(|view| line(receipt_id, payer.clone(), view))
                .collect()
        }
        Run::Batch(batch_id) => {
            let found = app.bus.ask(&GetBatch { batch_id }).await?;
            let made = found.lines.into_iter();
            made.map(|made| line(made.receipt_id, made.payer_name, made.allocation))
                .collect()
        }
    };
    if lines.is_empty() {
        return Err(not_found());
    }
    Ok(lines)
}

#[derive(Template)]
#[template(path = "cash_undo.html")]
struct RunPage {
    shell: Shell,
    place: Place,
    queue: &'static str,
    back: String,
    batch: bool,
    fields: Vec<(&'static str, String)>,
    lines: Vec<Line>,
    standing: usize,
    receipts: usize,
    totals: String,
    /// There are more than one request takes.
    more: bool,
    problem: Option<String>,
}

async fn assemble(
    app: &App,
    visit: &Visit,
    pairs: &Pairs,
    problem: Option<String>,
) -> Result<RunPage, Problem> {
    let place = Place::read(pairs);
    let run = Run::read(pairs).ok_or_else(not_found)?;
    let lines = lines(app, run).await?;
    let standing: Vec<&Line> = lines.iter().filter(|line| line.stands).collect();
    let receipts: HashSet<ReceiptId> = standing.iter().map(|line| line.receipt_id).collect();
    Ok(RunPage {
        shell: visit.shell(Section::Cash, "Undo together"),
        queue: super::queue_name(place.queue),
        back: back(&place),
        batch: matches!(run, Run::Batch(_)),
        fields: run.fields(),
        standing: standing.len(),
        receipts: receipts.len(),
        totals: totals(standing.iter().map(|line| line.view.line.amount)).uk(),
        more: standing.len() > UNDONE_MAX,
        lines,
        place,
        problem,
    })
}

fn back(place: &Place) -> String {
    place
        .receipt
        .map_or_else(|| place.list(), |receipt| place.with(receipt))
}

/// `GET /cash/undo`: what would be undone.
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let page = assemble(&app, &visit, &pairs, None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

/// `POST /cash/undo/lines`
pub(crate) async fn undo(
    State(app): State<App>,
    visit: Visit,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let ids: HashSet<AllocationId> = pairs
        .iter()
        .filter(|(name, _)| name == "line")
        .filter_map(|(_, id)| id.parse().ok())
        .take(UNDONE_MAX)
        .collect();
    let because = reason(&pairs, "");
    let problem = match (ids.is_empty(), because.is_empty()) {
        (true, _) => Some("Tick at least one line."),
        (_, true) => Some("Say why: it is kept with every line."),
        _ => None,
    };
    if let Some(problem) = problem {
        let page = assemble(&app, &visit, &pairs, Some(problem.to_owned()))
            .await
            .map_err(visit.give_up())?;
        return Ok(visit.show(StatusCode::UNPROCESSABLE_ENTITY, &page));
    }
    let place = Place::read(&pairs);
    let key = form_key(&pairs).map_err(visit.give_up())?;
    let run = Run::read(&pairs)
        .ok_or_else(not_found)
        .map_err(visit.give_up())?;
    let lines = lines(&app, run).await.map_err(visit.give_up())?;
    let of_run = lines.iter().map(|line| (line.receipt_id, &line.view));
    let chosen = ToUndo::chosen(of_run, &ids);
    let command = command_id(visit.caller.user_id, "page", key);
    let outcome = undo_all(&app, &visit.caller, command, &chosen, &because).await;
    let done = outcome.outcomes.iter().map(|done| {
        let line = lines
            .iter()
            .find(|line| Some(line.view.line.allocation_id) == done.allocation_id);
        Done {
            href: place.with(done.receipt_id),
            what: line.map_or_else(String::new, |line| {
                format!("{} of {}", line.view.line.document_ref, line.payer)
            }),
            amount: done.amount,
            refused: done.refused.as_ref().map(|why| why.detail.clone()),
        }
    });
    let page = DonePage {
        shell: visit.shell(Section::Cash, "Undone"),
        back: back(&place),
        summary: summary("Undid", &outcome, "allocation"),
        failed: outcome.failed(),
        lines: done.collect(),
        undo: None,
    };
    Ok(visit.show(StatusCode::OK, &page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_reads_back_from_its_fields_and_its_address() {
        let at: DateTime<Utc> = "2026-11-22T09:41:07.123456Z".parse().unwrap();
        let receipt = ReceiptId::generate();
        for run in [Run::Command(receipt, at), Run::Batch(Uuid::from_u128(7))] {
            let fields = run.fields().into_iter();
            let pairs: Pairs = fields
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
            assert_eq!(Run::read(&pairs), Some(run));
        }
        let address = href(&Place::default(), receipt, at);
        assert!(
            address.starts_with("/cash/undo?queue=to_review&receipt="),
            "{address}"
        );
        assert!(
            address.ends_with("&at=2026-11-22T09%3A41%3A07.123456Z"),
            "{address}"
        );
        assert_eq!(
            Run::read(&vec![("receipt".into(), receipt.to_string())]),
            None
        );
    }
}
