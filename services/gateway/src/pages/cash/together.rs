//! Many receipts to one document: an invoice paid in instalments, or by several
//! payers.

use std::collections::HashMap;

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use contracts::api::{
    PageRequest,
    allocation::{
        AllocateLine, AllocateReceipt, FindOpenItems, GetReceipt, OpenItemView, ReceiptView,
    },
};
use futures::future::join_all;
use kernel::{Currency, DocumentId, Money, ReceiptId};

use super::{
    OFFERED, Pairs, Place, Toast, Visit,
    batch::{Done, DonePage, summary},
    field, find_again, form_key, reason,
};
use crate::{
    App,
    api::{
        once::command_id,
        workbench::{BatchOutcome, Outcome, Refused, part_of},
    },
    pages::{
        PageProblem, Section, Shell,
        show::{Named as _, Uk as _, typed_amount},
    },
    problem::Problem,
};

/// Receipts of one form, at most.
const PICKED_MAX: usize = 50;

/// A receipt of the selection.
struct Part {
    receipt: ReceiptView,
    /// As typed; at first all that is left.
    amount: String,
    problem: Option<String>,
}

impl Part {
    fn money(&self) -> Option<Money> {
        let text = typed_amount(&self.amount)?;
        Money::parse(&text, self.receipt.amount.currency()).ok()
    }
}

struct Choice {
    item: OpenItemView,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "cash_together.html")]
struct TogetherPage {
    shell: Shell,
    place: Place,
    queue: &'static str,
    parts: Vec<Part>,
    choices: Vec<Choice>,
    more: bool,
    reason: String,
    currency: Currency,
    exponent: u32,
    total: Money,
    problems: Vec<String>,
}

impl TogetherPage {
    fn chosen(&self) -> Option<&OpenItemView> {
        let chosen = self.choices.iter().find(|choice| choice.chosen);
        chosen.map(|choice| &choice.item)
    }
}

async fn assemble(
    app: &App,
    visit: &Visit,
    pairs: &Pairs,
    mut problems: Vec<String>,
) -> Result<TogetherPage, Problem> {
    let place = Place::read(pairs);
    let mut picked: Vec<ReceiptId> = Vec::new();
    for (name, value) in pairs {
        if let Some(id) = (name == "pick").then(|| value.parse().ok()).flatten()
            && !picked.contains(&id)
        {
            picked.push(id);
        }
    }
    if picked.len() > PICKED_MAX {
        problems.push(format!("The first {PICKED_MAX} receipts are shown."));
        picked.truncate(PICKED_MAX);
    }
    let asked = picked.iter().map(|receipt_id| {
        let question = GetReceipt {
            receipt_id: *receipt_id,
        };
        async move { app.bus.ask(&question).await }
    });
    let mut parts = Vec::with_capacity(picked.len());
    for found in join_all(asked).await {
        let receipt = found?.receipt;
        if receipt.unallocated.is_zero() {
            let whose = receipt.payer_name.as_deref().unwrap_or("an unknown payer");
            problems.push(format!(
                "{} from {whose} has nothing left and was left out.",
                receipt.amount.uk()
            ));
            continue;
        }
        let typed = field(pairs, &format!("m.{}", receipt.receipt_id));
        let amount = typed.map_or_else(|| receipt.unallocated.amount().to_string(), str::to_owned);
        parts.push(Part {
            problem: unreadable(&amount, receipt.amount.currency()),
            amount,
            receipt,
        });
    }
    let currency = parts
        .first()
        .map_or(Currency::GBP, |part| part.receipt.amount.currency());
    let kept = parts.len();
    parts.retain(|part| part.receipt.amount.currency() == currency);
    if parts.len() < kept {
        problems.push(format!(
            "Receipts in another currency than {currency} were left out."
        ));
    }
    let (choices, more) = choices(app, pairs, &place, &parts, currency).await?;
    let amounts = parts.iter().filter_map(Part::money);
    Ok(TogetherPage {
        shell: visit.shell(Section::Cash, "Allocate together"),
        queue: super::queue_name(place.queue),
        total: Money::sum(amounts, currency).unwrap_or(Money::zero(currency)),
        reason: place.reason.clone(),
        exponent: currency.exponent(),
        choices,
        more,
        parts,
        currency,
        problems,
        place,
    })
}

fn unreadable(amount: &str, currency: Currency) -> Option<String> {
    let text = typed_amount(amount)?;
    Money::parse(&text, currency)
        .err()
        .map(|error| error.to_string())
}

/// What was searched for, or what the payer of all of them owes; and what was
/// chosen.
async fn choices(
    app: &App,
    pairs: &Pairs,
    place: &Place,
    parts: &[Part],
    currency: Currency,
) -> Result<(Vec<Choice>, bool), Problem> {
    let chosen: Option<DocumentId> = field(pairs, "document").and_then(|id| id.parse().ok());
    let searching = !place.items.is_empty();
    let mut accounts = parts.iter().map(|part| part.receipt.account_id);
    let account = accounts.next().flatten();
    let account = account.filter(|account| accounts.all(|other| other == Some(*account)));
    let mut items = Vec::new();
    let mut more = false;
    if searching || account.is_some() {
        let question = FindOpenItems {
            search: searching.then(|| place.items.clone()),
            account_id: account.filter(|_| !searching),
            currency: Some(currency),
            page: PageRequest {
                cursor: None,
                limit: Some(OFFERED),
            },
        };
        let found = app.bus.ask(&question).await?;
        more = found.next_cursor.is_some();
        items = found.items;
        // Cash cannot be put together onto a credit note.
        items.retain(|item| item.open.is_positive());
    }
    if let Some(id) = chosen
        && items.iter().all(|item| item.document_id != id)
        && let Some(reference) = place.references.get(&id)
    {
        let again = find_again(app, std::slice::from_ref(reference), currency).await?;
        items.extend(
            again
                .into_iter()
                .filter(|item| item.document_id == id && item.open.is_positive()),
        );
    }
    let choices = items.into_iter().map(|item| Choice {
        chosen: chosen == Some(item.document_id),
        item,
    });
    Ok((choices.collect(), more))
}

/// `GET /cash/together`
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let page = assemble(&app, &visit, &pairs, Vec::new())
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

/// What the ledger would refuse, found before anything is sent.
fn check(page: &TogetherPage) -> Vec<String> {
    let mut problems = Vec::new();
    let Some(item) = page.chosen() else {
        return vec!["Choose the document that these receipts pay.".to_owned()];
    };
    if page.total.is_zero() {
        problems.push("Enter an amount beside at least one receipt.".to_owned());
    }
    for part in &page.parts {
        let whose = part
            .receipt
            .payer_name
            .as_deref()
            .unwrap_or("an unknown payer");
        if let Some(problem) = &part.problem {
            problems.push(format!("{whose}: {problem}"));
            continue;
        }
        let Some(amount) = part.money() else {
            continue;
        };
        let left = part.receipt.unallocated;
        let beyond = amount
            .checked_cmp(left)
            .is_ok_and(std::cmp::Ordering::is_gt);
        if amount.is_negative() || beyond {
            problems.push(format!(
                "{} of the receipt from {whose} cannot be allocated: {} is left.",
                amount.uk(),
                left.uk()
            ));
        }
    }
    let beyond = page.total.checked_cmp(item.open);
    if beyond.is_ok_and(std::cmp::Ordering::is_gt) {
        problems.push(format!(
            "Together {}, which is more than the {} that is open of {}.",
            page.total.uk(),
            item.open.uk(),
            item.document_ref
        ));
    }
    problems
}

/// `POST /cash/together`
pub(crate) async fn allocate(
    State(app): State<App>,
    visit: Visit,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let key = form_key(&pairs).map_err(visit.give_up())?;
    let mut page = assemble(&app, &visit, &pairs, Vec::new())
        .await
        .map_err(visit.give_up())?;
    let problems = check(&page);
    let (true, Some(item)) = (problems.is_empty(), page.chosen()) else {
        page.problems.extend(problems);
        return Ok(visit.show(StatusCode::UNPROCESSABLE_ENTITY, &page));
    };
    let versions: HashMap<ReceiptId, i64> = pairs
        .iter()
        .filter_map(|(name, value)| {
            let id = name.strip_prefix("v.")?.parse().ok()?;
            Some((id, value.parse().ok()?))
        })
        .collect();
    let command = command_id(visit.caller.user_id, "page", key);
    let because = reason(
        &pairs,
        &format!("Allocated together to {}", item.document_ref),
    );
    let mut outcomes = Vec::new();
    for part in &page.parts {
        let Some(amount) = part.money().filter(|amount| amount.is_positive()) else {
            continue;
        };
        let receipt_id = part.receipt.receipt_id;
        let ask = AllocateReceipt {
            command_id: part_of(command, receipt_id.as_uuid()),
            receipt_id,
            expected_version: versions.get(&receipt_id).copied(),
            lines: vec![AllocateLine {
                document_id: item.document_id,
                amount,
            }],
            actor: visit.caller.actor(),
            reason: because.clone(),
        };
        let refused = app.bus.ask(&ask).await.err().map(|refusal| Refused {
            code: refusal.code,
            detail: refusal.detail,
        });
        outcomes.push(Outcome {
            receipt_id,
            allocation_id: None,
            amount: refused.is_none().then_some(amount),
            refused,
        });
    }
    let outcome = BatchOutcome {
        batch_id: command.as_uuid(),
        outcomes,
    };
    let said = summary("Allocated", &outcome, "receipt");
    let said = format!("{} to {}.", said.trim_end_matches('.'), item.document_ref);
    let back = page.place.list();
    if outcome.failed() == 0 {
        let toast = Toast {
            text: said,
            warning: false,
            undo: None,
        };
        return Ok(visit.go(&back, &toast));
    }
    let lines = outcome.outcomes.iter().map(|done| {
        let part = page
            .parts
            .iter()
            .find(|part| part.receipt.receipt_id == done.receipt_id);
        let payer = part.and_then(|part| part.receipt.payer_name.clone());
        Done {
            href: page.place.with(done.receipt_id),
            what: payer.unwrap_or_else(|| "Unknown payer".to_owned()),
            amount: done.amount,
            refused: done.refused.as_ref().map(|why| why.detail.clone()),
        }
    });
    let done = DonePage {
        shell: visit.shell(Section::Cash, "Allocated together"),
        back,
        summary: said,
        failed: outcome.failed(),
        lines: lines.collect(),
        undo: None,
    };
    Ok(visit.show(StatusCode::OK, &done))
}
