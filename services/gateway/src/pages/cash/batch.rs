//! Accepting all clear suggestions of a queue together, after a look at them.

use std::collections::HashSet;

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use contracts::api::{
    PageRequest,
    allocation::ReceiptQueue,
    workbench::{Acceptable, ListAcceptable},
};
use kernel::{Money, ReceiptId};

use super::{Pairs, Place, Visit, field, form_key, reason};
use crate::{
    App,
    api::{
        once::command_id,
        workbench::{BatchOutcome, Pick, accept_all, totals},
    },
    pages::{
        PageProblem, Section, Shell,
        show::{Named as _, Uk as _},
    },
    problem::Problem,
};

/// The only confidence that is accepted without opening each receipt.
const CONFIDENCE: &str = "high";

/// Whether a queue has anything to accept.
pub(super) fn offered(queue: ReceiptQueue) -> bool {
    matches!(
        queue,
        ReceiptQueue::ToReview
            | ReceiptQueue::Suggested
            | ReceiptQueue::Unidentified
            | ReceiptQueue::Unallocated
    )
}

/// A receipt with what would be done with it.
struct Offered {
    found: Acceptable,
    href: String,
    /// `receipt.version.rank`: what was seen.
    pick: String,
    total: Money,
    /// What the receipt would have left.
    left: Money,
    documents: String,
}

impl Offered {
    fn new(found: Acceptable, place: &Place) -> Option<Self> {
        let receipt = &found.receipt;
        let amounts = found.suggestion.lines.iter().map(|line| line.amount);
        let total = Money::sum(amounts, receipt.amount.currency()).ok()?;
        let references = found.suggestion.lines.iter();
        let documents: Vec<&str> = references.map(|line| line.document_ref.as_str()).collect();
        Some(Self {
            href: place.with(receipt.receipt_id),
            pick: format!(
                "{}.{}.{}",
                receipt.receipt_id, receipt.version, found.suggestion.rank
            ),
            total,
            left: receipt.unallocated.checked_sub(total).ok()?,
            documents: documents.join(", "),
            found,
        })
    }
}

#[derive(Template)]
#[template(path = "cash_accept.html")]
struct AcceptPage {
    shell: Shell,
    place: Place,
    queue: &'static str,
    title: &'static str,
    offered: Vec<Offered>,
    totals: String,
    /// There are more than are shown.
    more: bool,
    problem: Option<String>,
}

async fn assemble(
    app: &App,
    visit: &Visit,
    place: Place,
    problem: Option<String>,
) -> Result<AcceptPage, Problem> {
    let question = ListAcceptable {
        queue: place.queue,
        search: Some(place.search.clone()).filter(|search| !search.is_empty()),
        confidence: CONFIDENCE.to_owned(),
        page: PageRequest {
            cursor: None,
            limit: Some(ListAcceptable::MAX),
        },
    };
    let found = app.bus.ask(&question).await?;
    let offered: Vec<Offered> = found
        .items
        .into_iter()
        .filter_map(|found| Offered::new(found, &place))
        .collect();
    Ok(AcceptPage {
        shell: visit.shell(Section::Cash, "Accept all high"),
        queue: super::queue_name(place.queue),
        title: super::queue_title(place.queue),
        totals: totals(offered.iter().map(|offered| offered.total)).uk(),
        more: found.next_cursor.is_some(),
        offered,
        place,
        problem,
    })
}

/// `GET /cash/accept`: what would be accepted.
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let page = assemble(&app, &visit, Place::read(&pairs), None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

fn pick(text: &str) -> Option<Pick> {
    let mut parts = text.split('.');
    let pick = Pick {
        receipt_id: parts.next()?.parse().ok()?,
        expected_version: parts.next()?.parse().ok()?,
        rank: parts.next()?.parse().ok()?,
    };
    parts.next().is_none().then_some(pick)
}

/// A line of what was done.
pub(super) struct Done {
    pub href: String,
    pub what: String,
    pub amount: Option<Money>,
    /// Why nothing was done.
    pub refused: Option<String>,
}

/// What became of several commands, each by itself.
#[derive(Template)]
#[template(path = "cash_done.html")]
pub(super) struct DonePage {
    pub shell: Shell,
    pub back: String,
    pub summary: String,
    pub failed: usize,
    pub lines: Vec<Done>,
    /// Where all of it can be undone.
    pub undo: Option<String>,
}

/// `Accepted 36 of 37 …`
pub(super) fn summary(verb: &str, outcome: &BatchOutcome, what: &str) -> String {
    let (done, all) = (outcome.done(), outcome.outcomes.len());
    let of = if done == all {
        String::new()
    } else {
        format!(" of {all}")
    };
    let plural = if all == 1 { "" } else { "s" };
    let money = outcome.totals();
    let money = if money.is_empty() {
        String::new()
    } else {
        format!(", {}", money.uk())
    };
    format!("{verb} {done}{of} {what}{plural}{money}.")
}

/// `POST /cash/accept`
pub(crate) async fn accept(
    State(app): State<App>,
    visit: Visit,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let place = Place::read(&pairs);
    let mut seen: HashSet<ReceiptId> = HashSet::new();
    let picks: Vec<Pick> = pairs
        .iter()
        .filter(|(name, _)| name == "pick")
        .filter_map(|(_, value)| pick(value))
        .filter(|pick| seen.insert(pick.receipt_id))
        .take(usize::from(ListAcceptable::MAX))
        .collect();
    if picks.is_empty() {
        let problem = "Tick at least one receipt.".to_owned();
        let page = assemble(&app, &visit, place, Some(problem))
            .await
            .map_err(visit.give_up())?;
        return Ok(visit.show(StatusCode::UNPROCESSABLE_ENTITY, &page));
    }
    let key = form_key(&pairs).map_err(visit.give_up())?;
    let command = command_id(visit.caller.user_id, "page", key);
    let because = reason(&pairs, "Accepted with all clear suggestions of the queue");
    let outcome = accept_all(&app, &visit.caller, command, &picks, &because).await;
    let lines = outcome.outcomes.iter().map(|done| Done {
        href: place.with(done.receipt_id),
        what: field(&pairs, &format!("t.{}", done.receipt_id))
            .unwrap_or("Receipt")
            .to_owned(),
        amount: done.amount,
        refused: done.refused.as_ref().map(|why| why.detail.clone()),
    });
    let page = DonePage {
        shell: visit.shell(Section::Cash, "Accepted"),
        back: place.list(),
        summary: summary("Accepted", &outcome, "suggestion"),
        failed: outcome.failed(),
        lines: lines.collect(),
        undo: (outcome.done() > 0)
            .then(|| format!("{}&batch={}", place.at("/cash/undo"), outcome.batch_id)),
    };
    Ok(visit.show(StatusCode::OK, &page))
}
