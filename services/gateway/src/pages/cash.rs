//! The workbench: receipts to review, why they were not allocated, and what a
//! person does about it.

use std::collections::HashMap;

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use contracts::api::{
    Page, PageRequest,
    allocation::{
        AllocateLine, AllocateReceipt, AllocationView, CountReceipts, FindOpenItems, GetReceipt,
        ListReceipts, OpenItemView, QueueCounts, ReceiptDetail, ReceiptQueue, ReceiptView,
        Suggestion, UndoAllocation,
    },
};
use futures::future::join_all;
use kernel::{AllocationId, Currency, DocumentId, Money, ReceiptId};

use super::{
    PageProblem, Section, Shell, Toast, Undo, Visit,
    show::{Named as _, Uk as _, Words as _, typed_amount},
};
use crate::{
    App,
    api::{Path, encoded, once::command_id},
    auth::Access,
    problem::Problem,
};

/// Open items offered at once.
const OFFERED: u16 = 25;
/// Documents of one manual allocation, at most.
const LINES_MAX: usize = 50;

/// Fields of the page's address and of its forms, in the order sent.
type Pairs = Vec<(String, String)>;

/// What the page shows: all of it stands in the address, so that every view can
/// be sent to a colleague.
#[derive(Debug, Clone, Default)]
struct Place {
    queue: ReceiptQueue,
    search: String,
    cursor: String,
    receipt: Option<ReceiptId>,
    /// What was searched for among the open items.
    items: String,
    /// Amounts entered so far, as typed, with the reference that finds the
    /// document again.
    entered: Vec<(DocumentId, String)>,
    references: HashMap<DocumentId, String>,
    reason: String,
}

impl Place {
    fn read(pairs: &Pairs) -> Self {
        let mut place = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "queue" => place.queue = queue_named(value),
                "search" => value.trim().clone_into(&mut place.search),
                "cursor" => place.cursor.clone_from(value),
                "receipt" => place.receipt = value.parse().ok(),
                "items" => value.trim().clone_into(&mut place.items),
                "reason" => place.reason.clone_from(value),
                name => {
                    if let Some(id) = name.strip_prefix("a.").and_then(|id| id.parse().ok()) {
                        if !value.trim().is_empty() && place.entered.len() < LINES_MAX {
                            place.entered.push((id, value.clone()));
                        }
                    } else if let Some(id) = name.strip_prefix("r.").and_then(|id| id.parse().ok())
                    {
                        place.references.insert(id, value.clone());
                    }
                }
            }
        }
        place
    }

    fn list(&self) -> String {
        let field = |name: &str, value: &str| {
            if value.is_empty() {
                String::new()
            } else {
                format!("&{name}={}", encoded(value))
            }
        };
        format!(
            "/cash?queue={}{}{}",
            queue_name(self.queue),
            field("search", &self.search),
            field("cursor", &self.cursor)
        )
    }

    fn with(&self, receipt: ReceiptId) -> String {
        format!("{}&receipt={receipt}", self.list())
    }
}

const QUEUES: [(ReceiptQueue, &str, &str); 7] = [
    (ReceiptQueue::ToReview, "to_review", "To review"),
    (ReceiptQueue::Suggested, "suggested", "Suggested"),
    (ReceiptQueue::Unidentified, "unidentified", "Unidentified"),
    (ReceiptQueue::OnAccount, "on_account", "On account"),
    (
        ReceiptQueue::PossibleDuplicates,
        "possible_duplicates",
        "Possible duplicates",
    ),
    (ReceiptQueue::Allocated, "allocated", "Allocated"),
    (ReceiptQueue::All, "all", "All"),
];

fn queue_named(name: &str) -> ReceiptQueue {
    QUEUES
        .into_iter()
        .find(|(_, known, _)| *known == name)
        .map_or_else(ReceiptQueue::default, |(queue, ..)| queue)
}

fn queue_name(queue: ReceiptQueue) -> &'static str {
    QUEUES
        .into_iter()
        .find(|(known, ..)| *known == queue)
        .map_or("", |(_, name, _)| name)
}

/// A queue as a tab: a filter with its count and its money.
struct Tab {
    title: &'static str,
    href: String,
    current: bool,
    receipts: Option<i64>,
    totals: String,
}

/// A line of the list.
struct Row {
    receipt: ReceiptView,
    href: String,
    current: bool,
}

/// A suggestion as a card.
struct Card {
    suggestion: Suggestion,
    /// What the lines sum to.
    total: String,
    /// Opens the form below with the same lines.
    adjust: String,
}

/// A document that may take a part of the receipt.
struct Offer {
    item: OpenItemView,
    /// As typed.
    amount: String,
    problem: Option<String>,
}

impl Offer {
    /// How much of the receipt it would take at most, as an amount field has
    /// it.
    fn whole(&self) -> String {
        self.item.open.amount().to_string()
    }
}

/// The form for an allocation by hand.
struct Manual {
    items: String,
    offers: Vec<Offer>,
    more: bool,
    reason: String,
    problems: Vec<String>,
    allocated: Money,
    remainder: Money,
    /// The person has begun: the page must not change it under their hands.
    begun: bool,
}

/// A line of the history.
struct Past {
    view: AllocationView,
    may_undo: bool,
}

struct Detail {
    receipt: ReceiptView,
    rule: String,
    evidence: Vec<contracts::allocation::Evidence>,
    runner_up: Option<String>,
    would_have_matched: Option<String>,
    cards: Vec<Card>,
    manual: Option<Manual>,
    history: Vec<Past>,
    exponent: u32,
}

#[derive(Template)]
#[template(path = "cash.html")]
struct CashPage {
    shell: Shell,
    tabs: Vec<Tab>,
    place: Place,
    queue: &'static str,
    rows: Vec<Row>,
    older: Option<String>,
    newest: Option<String>,
    detail: Option<Detail>,
    /// Why there is no detail although a receipt was asked for.
    missing: Option<String>,
    next: Option<ReceiptId>,
    may_allocate: bool,
}

/// `GET /cash`
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

/// Asks for all that the page shows. `refused` is why a form was not accepted.
async fn assemble(
    app: &App,
    visit: &Visit,
    place: Place,
    refused: Option<&Problem>,
) -> Result<CashPage, Problem> {
    let list = ListReceipts {
        queue: place.queue,
        search: Some(place.search.clone()).filter(|search| !search.is_empty()),
        page: PageRequest {
            cursor: Some(place.cursor.clone()).filter(|cursor| !cursor.is_empty()),
            limit: None,
        },
    };
    let (counts, receipts) = tokio::try_join!(app.bus.ask(&CountReceipts {}), app.bus.ask(&list))?;
    let chosen = place
        .receipt
        .or_else(|| receipts.items.first().map(|first| first.receipt_id));
    let may_allocate = Access::ALLOCATE.allows(&visit.caller.roles);
    let (mut detail, mut missing) = (None, None);
    if let Some(receipt_id) = chosen {
        match app
            .bus
            .ask(&GetReceipt { receipt_id })
            .await
            .map_err(Problem::from)
        {
            Ok(found) => detail = Some(detailed(app, &place, found, may_allocate, refused).await?),
            Err(problem) if problem.status() == StatusCode::NOT_FOUND => {
                missing = Some(problem.detail);
            }
            Err(problem) => return Err(problem),
        }
    }
    let next = chosen.and_then(|chosen| neighbour(&receipts, chosen));
    Ok(CashPage {
        shell: visit.shell(Section::Cash, "Cash"),
        tabs: tabs(&counts, &place),
        queue: queue_name(place.queue),
        older: receipts.next_cursor.map(|cursor| {
            Place {
                cursor,
                ..place.clone()
            }
            .list()
        }),
        newest: (!place.cursor.is_empty()).then(|| {
            Place {
                cursor: String::new(),
                ..place.clone()
            }
            .list()
        }),
        rows: receipts
            .items
            .into_iter()
            .map(|receipt| Row {
                href: place.with(receipt.receipt_id),
                current: chosen == Some(receipt.receipt_id),
                receipt,
            })
            .collect(),
        place,
        detail,
        missing,
        next,
        may_allocate,
    })
}

/// The receipt to turn to when `chosen` is done: the one below it, or else the
/// one above.
fn neighbour(receipts: &Page<ReceiptView>, chosen: ReceiptId) -> Option<ReceiptId> {
    let at = receipts
        .items
        .iter()
        .position(|receipt| receipt.receipt_id == chosen)?;
    let beside = receipts
        .items
        .get(at + 1)
        .or_else(|| receipts.items.get(at.checked_sub(1)?));
    beside.map(|receipt| receipt.receipt_id)
}

fn tabs(counts: &QueueCounts, place: &Place) -> Vec<Tab> {
    QUEUES
        .into_iter()
        .map(|(queue, _, title)| {
            let count = counts.queues.iter().find(|count| count.queue == queue);
            Tab {
                title,
                href: Place {
                    queue,
                    search: place.search.clone(),
                    ..Place::default()
                }
                .list(),
                current: queue == place.queue,
                receipts: count.map(|count| count.receipts),
                totals: count.map(|count| count.totals.uk()).unwrap_or_default(),
            }
        })
        .collect()
}

async fn detailed(
    app: &App,
    place: &Place,
    found: ReceiptDetail,
    may_allocate: bool,
    refused: Option<&Problem>,
) -> Result<Detail, Problem> {
    let receipt = found.receipt;
    let currency = receipt.amount.currency();
    let manual = if may_allocate && !receipt.unallocated.is_zero() {
        Some(manual(app, place, &receipt, refused).await?)
    } else {
        None
    };
    let cards = found
        .suggestions
        .into_iter()
        .map(|suggestion| {
            let total = Money::sum(suggestion.lines.iter().map(|line| line.amount), currency);
            let lines: Vec<String> = suggestion
                .lines
                .iter()
                .map(|line| {
                    let (id, amount) = (line.document_id, line.amount.amount());
                    format!("&a.{id}={amount}&r.{id}={}", encoded(&line.document_ref))
                })
                .collect();
            Card {
                total: total.map_or_else(|error| error.to_string(), |total| total.uk()),
                adjust: format!("{}{}", place.with(receipt.receipt_id), lines.concat()),
                suggestion,
            }
        })
        .collect();
    Ok(Detail {
        cards,
        manual,
        rule: found.decision.rule.said(),
        evidence: found.decision.evidence,
        runner_up: found.decision.runner_up,
        would_have_matched: found.decision.would_have_matched,
        history: found
            .allocations
            .into_iter()
            .map(|view| Past {
                may_undo: may_allocate && !view.undone && view.line.contra_of.is_none(),
                view,
            })
            .collect(),
        exponent: currency.exponent(),
        receipt,
    })
}

/// The form with the items that were searched for (at first, those of the
/// payer's account) and those that have an amount already.
async fn manual(
    app: &App,
    place: &Place,
    receipt: &ReceiptView,
    refused: Option<&Problem>,
) -> Result<Manual, Problem> {
    let currency = receipt.amount.currency();
    let searching = !place.items.is_empty();
    let found = if searching || receipt.account_id.is_some() {
        app.bus
            .ask(&FindOpenItems {
                search: searching.then(|| place.items.clone()),
                account_id: receipt.account_id.filter(|_| !searching),
                currency: Some(currency),
                page: PageRequest {
                    cursor: None,
                    limit: Some(OFFERED),
                },
            })
            .await?
    } else {
        Page {
            items: Vec::new(),
            next_cursor: None,
        }
    };
    let mut items = found.items;
    let absent = place
        .entered
        .iter()
        .filter(|(id, _)| items.iter().all(|item| item.document_id != *id))
        .filter_map(|(id, _)| Some((*id, place.references.get(id)?)));
    let again = absent.map(|(id, reference)| find_again(app, id, reference, currency));
    let again: Vec<_> = join_all(again).await.into_iter().flatten().collect();
    items.splice(0..0, again);

    let mut typed: HashMap<DocumentId, String> = place.entered.iter().cloned().collect();
    let mut allocated = Money::zero(currency);
    let offers: Vec<Offer> = items
        .into_iter()
        .map(|item| {
            let amount = typed.remove(&item.document_id).unwrap_or_default();
            let problem = match typed_amount(&amount).map(|text| Money::parse(&text, currency)) {
                None => None,
                Some(Err(error)) => Some(error.to_string()),
                Some(Ok(money)) => {
                    allocated = allocated.checked_add(money).unwrap_or(allocated);
                    None
                }
            };
            Offer {
                item,
                amount,
                problem,
            }
        })
        .collect();
    let mut problems = Vec::new();
    if let Some(problem) = refused {
        problems.push(problem.detail.clone());
        problems.extend(
            problem
                .errors
                .iter()
                .filter(|field| field.detail != problem.detail)
                .map(|field| field.detail.clone()),
        );
    }
    if !typed.is_empty() {
        problems.push("A document with an amount is open no longer and was left out.".to_owned());
    }
    Ok(Manual {
        items: place.items.clone(),
        more: found.next_cursor.is_some(),
        reason: place.reason.clone(),
        problems,
        remainder: receipt
            .unallocated
            .checked_sub(allocated)
            .unwrap_or(receipt.unallocated),
        allocated,
        begun: refused.is_some() || !place.entered.is_empty(),
        offers,
    })
}

async fn find_again(
    app: &App,
    id: DocumentId,
    reference: &str,
    currency: Currency,
) -> Option<OpenItemView> {
    let found = app
        .bus
        .ask(&FindOpenItems {
            search: Some(reference.to_owned()),
            account_id: None,
            currency: Some(currency),
            page: PageRequest::default(),
        })
        .await
        .ok()?;
    found.items.into_iter().find(|item| item.document_id == id)
}

fn field<'p>(pairs: &'p Pairs, name: &str) -> Option<&'p str> {
    pairs
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
}

/// The lines of a form: the fields `a.<document>` that hold anything.
fn lines(place: &Place, currency: Currency) -> Result<Vec<AllocateLine>, Problem> {
    let lines: Vec<AllocateLine> = place
        .entered
        .iter()
        .filter_map(|(document_id, typed)| Some((*document_id, typed_amount(typed)?)))
        .map(|(document_id, text)| {
            let amount = Money::parse(&text, currency).map_err(|error| {
                Problem::invalid(
                    "gateway.bad_amount",
                    &format!("/a.{document_id}"),
                    error.to_string(),
                )
            })?;
            Ok(AllocateLine {
                document_id,
                amount,
            })
        })
        .filter(|line: &Result<AllocateLine, Problem>| {
            !line.as_ref().is_ok_and(|line| line.amount.is_zero())
        })
        .collect::<Result<_, Problem>>()?;
    if lines.is_empty() {
        return Err(Problem::invalid(
            "gateway.nothing_allocated",
            "",
            "Enter an amount beside at least one document.",
        ));
    }
    Ok(lines)
}

/// `POST /cash/receipts/{id}/allocations`: a suggestion as it is, or the form.
pub(crate) async fn allocate(
    State(app): State<App>,
    visit: Visit,
    Path(receipt_id): Path<ReceiptId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let place = Place {
        receipt: Some(receipt_id),
        ..Place::read(&pairs)
    };
    match move_money(&app, &visit, receipt_id, &place, &pairs).await {
        Ok((detail, lines)) => {
            let toast = allocated(&detail, &lines);
            // One that is done makes way for the next.
            let turn_to = if detail.receipt.unallocated.is_zero() {
                field(&pairs, "next").and_then(|next| next.parse().ok())
            } else {
                None
            };
            Ok(visit.go(&place.with(turn_to.unwrap_or(receipt_id)), &toast))
        }
        Err(problem) if problem.status().is_client_error() => {
            let page = assemble(&app, &visit, place, Some(&problem))
                .await
                .map_err(visit.give_up())?;
            if page
                .detail
                .as_ref()
                .is_some_and(|detail| detail.manual.is_some())
            {
                Ok(visit.show(problem.status(), &page))
            } else {
                Err(visit.give_up()(problem))
            }
        }
        Err(problem) => Err(visit.give_up()(problem)),
    }
}

async fn move_money(
    app: &App,
    visit: &Visit,
    receipt_id: ReceiptId,
    place: &Place,
    pairs: &Pairs,
) -> Result<(ReceiptDetail, Vec<AllocateLine>), Problem> {
    let currency = field(pairs, "currency")
        .and_then(|code| Currency::parse(code).ok())
        .ok_or_else(|| {
            Problem::invalid(
                "gateway.bad_form",
                "/currency",
                "the form names no currency",
            )
        })?;
    let lines = lines(place, currency)?;
    let command = AllocateReceipt {
        command_id: command_id(visit.caller.user_id, "page", form_key(pairs)?),
        receipt_id,
        expected_version: field(pairs, "version").and_then(|version| version.parse().ok()),
        lines: lines.clone(),
        actor: visit.caller.actor(),
        reason: reason(pairs, "Allocated by hand on the workbench"),
    };
    Ok((app.bus.ask(&command).await?, lines))
}

/// What makes a form that is sent twice count once.
fn form_key(pairs: &Pairs) -> Result<&str, Problem> {
    field(pairs, "key")
        .filter(|key| (1..=200).contains(&key.len()))
        .ok_or_else(|| {
            Problem::invalid(
                "gateway.bad_form",
                "/key",
                "the form has no key: load the page again",
            )
        })
}

fn reason(pairs: &Pairs, usual: &str) -> String {
    let given = field(pairs, "reason")
        .map(str::trim)
        .filter(|reason| !reason.is_empty());
    given.unwrap_or(usual).to_owned()
}

/// Says what was allocated and offers the way back.
fn allocated(detail: &ReceiptDetail, lines: &[AllocateLine]) -> Toast {
    let currency = detail.receipt.amount.currency();
    let total = Money::sum(lines.iter().map(|line| line.amount), currency);
    let documents = match lines.len() {
        1 => "1 document".to_owned(),
        many => format!("{many} documents"),
    };
    // Newest last: of several allocations to one document, the one just made.
    let allocations = lines
        .iter()
        .filter_map(|line| {
            let made = detail.allocations.iter().rev().find(|past| {
                past.line.document_id == line.document_id
                    && past.line.amount == line.amount
                    && past.line.contra_of.is_none()
                    && !past.undone
            });
            made.map(|past| past.line.allocation_id)
        })
        .collect();
    Toast {
        text: format!(
            "Allocated {} to {documents}.",
            total.map(|total| total.uk()).unwrap_or_default()
        ),
        warning: false,
        undo: Some(Undo {
            receipt: detail.receipt.receipt_id,
            allocations,
        }),
    }
}

/// `POST /cash/undo`: takes back one allocation or several of one receipt.
pub(crate) async fn undo(
    State(app): State<App>,
    visit: Visit,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let place = Place::read(&pairs);
    let key = form_key(&pairs).map_err(visit.give_up())?;
    let allocations: Vec<AllocationId> = pairs
        .iter()
        .filter(|(name, _)| name == "allocation")
        .filter_map(|(_, id)| id.parse().ok())
        .take(LINES_MAX)
        .collect();
    let reason = reason(&pairs, "Undone on the workbench");
    let mut undone = 0;
    let mut failed = None;
    // One by one, in order: they are all of one receipt.
    for allocation_id in &allocations {
        let command = UndoAllocation {
            command_id: command_id(
                visit.caller.user_id,
                "page",
                &format!("{key}\n{allocation_id}"),
            ),
            allocation_id: *allocation_id,
            actor: visit.caller.actor(),
            reason: reason.clone(),
        };
        match app.bus.ask(&command).await {
            Ok(_) => undone += 1,
            Err(refusal) => {
                failed = Some(refusal.detail);
                break;
            }
        }
    }
    let text = match (undone, failed) {
        (_, None) if allocations.is_empty() => "There was nothing to undo.".to_owned(),
        (1, None) => "Undid 1 allocation. The money is back on the receipt.".to_owned(),
        (_, None) => format!("Undid {undone} allocations. The money is back on the receipt."),
        (0, Some(why)) => format!("Not undone: {why}."),
        (_, Some(why)) => format!(
            "Undid {undone} of {} allocations, then: {why}.",
            allocations.len()
        ),
    };
    let toast = Toast {
        warning: undone == 0 || undone < allocations.len(),
        text,
        undo: None,
    };
    let to = place
        .receipt
        .map_or_else(|| place.list(), |receipt| place.with(receipt));
    Ok(visit.go(&to, &toast))
}

#[cfg(test)]
mod tests;
