//! The workbench: receipts to review, why they were not allocated, and what a
//! person does about it.

pub(crate) mod batch;
pub(crate) mod park;
mod paste;
pub(crate) mod run;
pub(crate) mod together;

use std::collections::HashMap;

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::{HeaderName, HeaderValue, StatusCode},
    response::Response,
};
use chrono::NaiveDate;
use contracts::allocation::{AdjustmentLine, OutflowLine};
use contracts::api::{
    Page, PageRequest,
    allocation::{
        AllocateLine, AllocateReceipt, AllocationView, CountReceipts, FindOpenItems, GetReceipt,
        ListReceipts, OpenItemView, QueueCounts, ReceiptDetail, ReceiptQueue, ReceiptView,
        Suggestion, UndoCause,
    },
    workbench::{NameItems, Parked, UndoTogether},
};
use kernel::{AllocationId, Currency, DocumentId, Money, ReceiptId, london_date};

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
const LINES_MAX: usize = paste::LINES_MAX;
/// Lines that a message offers to undo, at most.
const UNDO_MAX: usize = 40;
/// Lines of a pasted list that are looked at, at most.
const LISTED_MAX: usize = NameItems::MAX;

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
        self.at("/cash")
    }

    /// The view, as the query of another page.
    fn at(&self, path: &str) -> String {
        let field = |name: &str, value: &str| {
            if value.is_empty() {
                String::new()
            } else {
                format!("&{name}={}", encoded(value))
            }
        };
        format!(
            "{path}?queue={}{}{}",
            queue_name(self.queue),
            field("search", &self.search),
            field("cursor", &self.cursor)
        )
    }

    fn with(&self, receipt: ReceiptId) -> String {
        format!("{}&receipt={receipt}", self.list())
    }
}

const QUEUES: [(ReceiptQueue, &str, &str); 10] = [
    (ReceiptQueue::ToReview, "to_review", "To review"),
    (ReceiptQueue::Suggested, "suggested", "Suggested"),
    (ReceiptQueue::Unidentified, "unidentified", "Unidentified"),
    (ReceiptQueue::Unallocated, "unallocated", "Unallocated"),
    (ReceiptQueue::OnAccount, "on_account", "On account"),
    (
        ReceiptQueue::PossibleDuplicates,
        "possible_duplicates",
        "Possible duplicates",
    ),
    (ReceiptQueue::Parked, "parked", "To check"),
    (
        ReceiptQueue::AllocatedToday,
        "allocated_today",
        "Allocated today",
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

fn queue_title(queue: ReceiptQueue) -> &'static str {
    QUEUES
        .into_iter()
        .find(|(known, ..)| *known == queue)
        .map_or("", |(.., title)| title)
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
    /// Put aside, and its day has not come.
    parked: bool,
}

/// Whether a receipt is put aside on this day.
fn aside(parked: Option<&Parked>, today: NaiveDate) -> bool {
    parked.is_some_and(|parked| parked.until.is_none_or(|until| until > today))
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
    /// What the document has left then.
    left: Money,
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
    /// What has become of a pasted list.
    pasted: Option<paste::Preview>,
    /// The list as it was pasted, where nothing of it could be used.
    list: String,
    allocated: Money,
    remainder: Money,
    /// The person has begun: the page must not change it under their hands.
    begun: bool,
}

/// A line of the history.
struct Past {
    view: AllocationView,
    may_undo: bool,
    /// On the first line of a command that made several: how many of them
    /// stand, and where they can be undone together.
    together: Option<(usize, String)>,
}

struct Detail {
    receipt: ReceiptView,
    rule: String,
    evidence: Vec<contracts::allocation::Evidence>,
    runner_up: Option<String>,
    would_have_matched: Option<String>,
    cards: Vec<Card>,
    manual: Option<Manual>,
    /// Put aside, also when its day has come.
    parked: Option<Parked>,
    /// It is still aside.
    aside: bool,
    /// The first day on which it may come back.
    tomorrow: NaiveDate,
    /// What came with it without cash, and stands.
    adjustments: Vec<AdjustmentLine>,
    /// Money that left it other than onto a document, and has not come back.
    outflows: Vec<OutflowLine>,
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
    /// Where all clear suggestions of the queue can be accepted together.
    accept: Option<String>,
}

/// `GET /cash`
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let page = assemble(&app, &visit, Place::read(&pairs), Asked::default())
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

/// What a form of the page came to, to be shown with it.
#[derive(Default)]
struct Asked {
    /// Why it was not accepted.
    refused: Option<Problem>,
    /// A list and the documents of it.
    pasted: Option<paste::Preview>,
    list: String,
}

/// Asks for all that the page shows.
async fn assemble(
    app: &App,
    visit: &Visit,
    place: Place,
    asked: Asked,
) -> Result<CashPage, Problem> {
    let today = london_date(visit.now);
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
            Ok(found) => {
                let about = About {
                    place: &place,
                    may_allocate,
                    today,
                };
                detail = Some(detailed(app, &about, found, asked).await?);
            }
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
                parked: aside(receipt.parked.as_ref(), today),
                receipt,
            })
            .collect(),
        accept: (may_allocate && batch::offered(place.queue)).then(|| place.at("/cash/accept")),
        place,
        detail,
        missing,
        next,
        may_allocate,
    })
}

/// How a receipt is looked at.
struct About<'p> {
    place: &'p Place,
    may_allocate: bool,
    today: NaiveDate,
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
    about: &About<'_>,
    found: ReceiptDetail,
    asked: Asked,
) -> Result<Detail, Problem> {
    let About {
        place,
        may_allocate,
        today,
    } = *about;
    let receipt = found.receipt;
    let currency = receipt.amount.currency();
    let manual = if may_allocate && !receipt.unallocated.is_zero() {
        Some(manual(app, place, &receipt, asked).await?)
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
        adjustments: found.adjustments,
        outflows: found.outflows,
        history: history(found.allocations, place, receipt.receipt_id, may_allocate),
        aside: aside(receipt.parked.as_ref(), today),
        parked: receipt.parked.clone(),
        tomorrow: today.succ_opt().unwrap_or(today),
        exponent: currency.exponent(),
        receipt,
    })
}

/// The lines of a receipt; where one command made several that stand, its first
/// leads to undoing them together.
fn history(
    lines: Vec<AllocationView>,
    place: &Place,
    receipt: ReceiptId,
    may_allocate: bool,
) -> Vec<Past> {
    let stands = |view: &AllocationView| !view.undone && view.line.contra_of.is_none();
    let standing = |at| {
        let of_command = |view: &&AllocationView| view.recorded_at == at && stands(view);
        lines.iter().filter(of_command).count()
    };
    let mut before = None;
    let together: Vec<_> = lines
        .iter()
        .map(|view| {
            let at = view.recorded_at;
            let first = before.replace(at) != Some(at);
            let several = Some(standing(at)).filter(|count| first && *count > 1)?;
            may_allocate.then(|| (several, run::href(place, receipt, at)))
        })
        .collect();
    lines
        .into_iter()
        .zip(together)
        .map(|(view, together)| Past {
            may_undo: may_allocate && stands(&view),
            together,
            view,
        })
        .collect()
}

/// The form with the items that were searched for (at first, those of the
/// payer's account) and those that have an amount already.
async fn manual(
    app: &App,
    place: &Place,
    receipt: &ReceiptView,
    asked: Asked,
) -> Result<Manual, Problem> {
    let Asked {
        refused,
        pasted,
        list,
    } = asked;
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
    let absent: Vec<String> = place
        .entered
        .iter()
        .filter(|(id, _)| items.iter().all(|item| item.document_id != *id))
        .filter_map(|(id, _)| place.references.get(id).cloned())
        .collect();
    if !absent.is_empty() {
        let again = find_again(app, &absent, currency).await?;
        let entered =
            |item: &OpenItemView| place.entered.iter().any(|(id, _)| *id == item.document_id);
        let shown = |item: &OpenItemView| {
            items
                .iter()
                .any(|other| other.document_id == item.document_id)
        };
        let again: Vec<_> = again
            .into_iter()
            .filter(|item| entered(item) && !shown(item) && !item.open.is_zero())
            .collect();
        items.splice(0..0, again);
    }
    // In the order of the list, and before what was only searched for.
    items.sort_by_key(|item| {
        let at = place
            .entered
            .iter()
            .position(|(id, _)| *id == item.document_id);
        at.unwrap_or(usize::MAX)
    });

    let mut typed: HashMap<DocumentId, String> = place.entered.iter().cloned().collect();
    let mut allocated = Money::zero(currency);
    let offers: Vec<Offer> = items
        .into_iter()
        .map(|item| {
            let amount = typed.remove(&item.document_id).unwrap_or_default();
            let mut left = item.open;
            let problem = match typed_amount(&amount).map(|text| Money::parse(&text, currency)) {
                None => None,
                Some(Err(error)) => Some(error.to_string()),
                Some(Ok(money)) => {
                    allocated = allocated.checked_add(money).unwrap_or(allocated);
                    left = item.open.checked_sub(money).unwrap_or(left);
                    None
                }
            };
            Offer {
                item,
                amount,
                problem,
                left,
            }
        })
        .collect();
    let mut problems = Vec::new();
    if let Some(problem) = &refused {
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
        begun: refused.is_some() || !place.entered.is_empty() || pasted.is_some(),
        pasted,
        list,
        offers,
    })
}

/// Documents that an amount was entered for, by their numbers.
async fn find_again(
    app: &App,
    references: &[String],
    currency: Currency,
) -> Result<Vec<OpenItemView>, Problem> {
    let question = NameItems {
        numbers: references.to_vec(),
        currency: Some(currency),
    };
    let found = app.bus.ask(&question).await?;
    Ok(found.items.into_iter().map(|named| named.item).collect())
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
            let asked = Asked {
                refused: Some(problem.clone()),
                ..Asked::default()
            };
            let page = assemble(&app, &visit, place, asked)
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

/// `POST /cash/receipts/{id}/paste`: shows what a pasted list comes to, as the
/// form for allocating by hand. Nothing moves.
pub(crate) async fn paste_list(
    State(app): State<App>,
    visit: Visit,
    Path(receipt_id): Path<ReceiptId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let mut place = Place {
        receipt: Some(receipt_id),
        ..Place::read(&pairs)
    };
    let text = field(&pairs, "list").unwrap_or_default();
    let asked = match pasted(&app, receipt_id, text).await {
        Ok(preview) => {
            place.entered.clear();
            for matched in &preview.matched {
                let id = matched.item.document_id;
                let amount = matched.amount.amount().to_string();
                place.entered.push((id, amount));
                place
                    .references
                    .insert(id, matched.item.document_ref.clone());
            }
            let used = preview.matched.is_empty();
            Asked {
                list: if used { text.to_owned() } else { String::new() },
                pasted: Some(preview),
                refused: None,
            }
        }
        Err(problem) if problem.status().is_client_error() => Asked {
            refused: Some(problem),
            list: text.to_owned(),
            pasted: None,
        },
        Err(problem) => return Err(visit.give_up()(problem)),
    };
    let status = asked
        .refused
        .as_ref()
        .map_or(StatusCode::OK, Problem::status);
    let page = assemble(&app, &visit, place, asked)
        .await
        .map_err(visit.give_up())?;
    let mut response = visit.show(status, &page);
    // The address stays that of the receipt: this one shows nothing.
    response.headers_mut().insert(
        HeaderName::from_static("hx-push-url"),
        HeaderValue::from_static("false"),
    );
    Ok(response)
}

async fn pasted(app: &App, receipt_id: ReceiptId, text: &str) -> Result<paste::Preview, Problem> {
    let refuse = |detail: String| Problem::invalid("gateway.bad_list", "/list", detail);
    let receipt = app.bus.ask(&GetReceipt { receipt_id }).await?.receipt;
    let currency = receipt.amount.currency();
    let list = paste::read(text, currency);
    if list.lines.is_empty() {
        return Err(refuse(
            "No line of the list has a document number. Paste lines such as: INV-104, 1,234.50"
                .to_owned(),
        ));
    }
    if list.lines.len() > LISTED_MAX {
        return Err(refuse(format!(
            "The list has {} lines; {LISTED_MAX} are read at once.",
            list.lines.len()
        )));
    }
    let question = NameItems {
        numbers: list
            .lines
            .iter()
            .map(|listed| listed.number.clone())
            .collect(),
        currency: Some(currency),
    };
    let named = app.bus.ask(&question).await?.items;
    Ok(paste::compare(
        list,
        &named,
        receipt.account_id,
        receipt.unallocated,
    ))
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
        // A cookie carries it: of more lines, the history leads the way back.
        undo: (lines.len() <= UNDO_MAX).then_some(Undo {
            receipt: detail.receipt.receipt_id,
            allocations,
        }),
    }
}

/// `POST /cash/undo`: takes back one allocation of a receipt, or several as one
/// move.
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
    // A cause that is none of ours is none.
    let cause: Option<UndoCause> =
        field(&pairs, "cause").and_then(|cause| serde_json::from_value(cause.into()).ok());
    let undone = match place.receipt {
        Some(receipt_id) if !allocations.is_empty() => {
            let command = UndoTogether {
                command_id: command_id(visit.caller.user_id, "page", key),
                receipt_id,
                allocation_ids: allocations.clone(),
                run: None,
                automatic: false,
                actor: visit.caller.actor(),
                reason: reason(&pairs, "Undone on the workbench"),
                cause,
            };
            app.bus.ask(&command).await.map(|_| allocations.len())
        }
        _ => Ok(0),
    };
    let text = match &undone {
        Ok(0) => "There was nothing to undo.".to_owned(),
        Ok(1) => "Undid 1 allocation. The money is back on the receipt.".to_owned(),
        Ok(many) => format!("Undid {many} allocations. The money is back on the receipt."),
        Err(refusal) => format!("Not undone: {}.", refusal.detail),
    };
    let toast = Toast {
        warning: !matches!(undone, Ok(1..)),
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
