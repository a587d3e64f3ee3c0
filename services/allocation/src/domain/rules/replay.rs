//! Two rulebooks over the same past, in the order in which it happened.
//!
//! What was open at each moment is built again from rows that are only ever
//! added to. Both decide about a receipt as it then stood; what really happened
//! goes on whatever they say, so that one early difference does not make all
//! later ones.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use contracts::api::rules::{ReplayChange, ReplayDecision, ReplayReport, ReplayScore};
use kernel::{AccountId, Currency, DocumentId, Money, MoneyError, ReceiptId, london_date};
use rust_decimal::Decimal;

use super::{Rulebook, Settled};
use crate::domain::{
    Edge,
    ladder::{self, Verdict},
    ledger::{Books, Item, Line, Receipt},
};

/// Changes that are told in full.
const CHANGES_MAX: usize = 200;

/// What happened, in any order.
#[derive(Debug, Default)]
pub struct Past {
    /// Each as it came, and what became of it.
    pub receipts: Vec<PastReceipt>,
    /// Each as it came: all of it open.
    pub items: Vec<(DateTime<Utc>, Item)>,
    pub movements: Vec<Movement>,
    /// Bank accounts that people showed to pay for an account.
    pub learned: Vec<(DateTime<Utc>, String, AccountId)>,
    /// Names and numbers of accounts, and what else does not change with time.
    pub books: Books,
}

#[derive(Debug)]
pub struct PastReceipt {
    pub receipt: Receipt,
    /// What stands on it today.
    pub stands: BTreeMap<DocumentId, Money>,
    /// What the ladder posted and a person took back.
    pub taken_back: Vec<DocumentId>,
}

/// What is open of a document became less, or more.
#[derive(Debug, Clone, Copy)]
pub struct Movement {
    pub at: DateTime<Utc>,
    pub document: DocumentId,
    /// Positive lowers what is open.
    pub amount: Money,
    pub receipt: Option<ReceiptId>,
}

enum Event {
    Document(Box<Item>),
    Learned(String, Edge),
    Moved(Movement),
    Receipt(Box<PastReceipt>),
}

/// Runs `live` and `candidate` over `past`. `stop` is asked before each receipt.
///
/// # Errors
/// When amounts overflow.
pub fn run(
    past: Past,
    live: Rulebook,
    candidate: Rulebook,
    mut stop: impl FnMut() -> bool,
) -> Result<ReplayReport, MoneyError> {
    let (mut books, events) = in_order(past);
    let (mut live, mut candidate) = (Side::new(live), Side::new(candidate));
    let mut report = ReplayReport {
        receipts: 0,
        cut_short: None,
        live: ReplayScore::default(),
        candidate: ReplayScore::default(),
        changed: 0,
        changes: Vec::new(),
    };
    for event in events {
        match event {
            Event::Document(item) => books.add(*item),
            Event::Learned(bank, edge) => books.learned.entry(bank).or_default().push(edge),
            Event::Moved(movement) => {
                if let Some(item) = books.items.get_mut(&movement.document) {
                    item.open = item.open.checked_sub(movement.amount)?;
                }
            }
            Event::Receipt(past) => {
                if stop() {
                    report.cut_short = Some("it took too long".to_owned());
                    break;
                }
                report.receipts += 1;
                let from = live.decide(&past, &mut books)?;
                let to = candidate.decide(&past, &mut books)?;
                if from.lines != to.lines || from.settled != to.settled {
                    report.changed += 1;
                    if report.changes.len() < CHANGES_MAX {
                        report.changes.push(ReplayChange {
                            receipt_id: past.receipt.id,
                            booked_on: past.receipt.booked_on,
                            amount: past.receipt.amount,
                            from: told(&from, &books),
                            to: told(&to, &books),
                        });
                    }
                }
            }
        }
    }
    report.live = live.score(report.receipts)?;
    report.candidate = candidate.score(report.receipts)?;
    Ok(report)
}

/// Within one moment: documents, then what older receipts did, then each receipt
/// and what it did itself.
fn in_order(past: Past) -> (Books, Vec<Event>) {
    let came: HashMap<ReceiptId, DateTime<Utc>> = past
        .receipts
        .iter()
        .map(|past| (past.receipt.id, past.receipt.recorded_at))
        .collect();
    type Place = (DateTime<Utc>, u8, Option<ReceiptId>, u8);
    let mut events: Vec<(Place, Event)> = Vec::new();
    for (at, item) in past.items {
        events.push(((at, 0, None, 0), Event::Document(Box::new(item))));
    }
    for (at, bank, account) in past.learned {
        // As when it was new: how often it was seen later is not of its time.
        let edge = Edge {
            account,
            evidence: 1,
            last_seen: london_date(at),
        };
        events.push(((at, 1, None, 0), Event::Learned(bank, edge)));
    }
    for movement in past.movements {
        let own = movement
            .receipt
            .filter(|receipt| came.get(receipt) == Some(&movement.at));
        let place = match own {
            Some(receipt) => (movement.at, 2, Some(receipt), 1),
            None => (movement.at, 1, None, 1),
        };
        events.push((place, Event::Moved(movement)));
    }
    for past in past.receipts {
        let place = (past.receipt.recorded_at, 2, Some(past.receipt.id), 0);
        events.push((place, Event::Receipt(Box::new(past))));
    }
    events.sort_by_key(|(place, _)| *place);
    (
        past.books,
        events.into_iter().map(|(_, event)| event).collect(),
    )
}

/// One of the two, and how it does.
struct Side {
    rules: Rulebook,
    score: ReplayScore,
    written_off: BTreeMap<&'static str, (Currency, Decimal)>,
}

impl Side {
    fn new(rules: Rulebook) -> Self {
        Self {
            rules,
            score: ReplayScore::default(),
            written_off: BTreeMap::new(),
        }
    }

    fn decide(&mut self, past: &PastReceipt, books: &mut Books) -> Result<Verdict, MoneyError> {
        std::mem::swap(&mut books.rules, &mut self.rules);
        let verdict = ladder::decide(&past.receipt, books);
        std::mem::swap(&mut books.rules, &mut self.rules);
        let verdict = verdict?;
        if verdict.lines.is_empty() {
            return Ok(verdict);
        }
        self.score.automatic += 1;
        match judge(&verdict, past)? {
            Some(true) => self.score.right += 1,
            Some(false) => self.score.wrong += 1,
            None => self.score.unjudged += 1,
        }
        for settled in &verdict.settled {
            if let Some(account) = verdict.payer {
                self.rules.use_up(account, past.receipt.booked_on, settled);
            }
            let currency = settled.amount.currency();
            let sum = self
                .written_off
                .entry(currency.code())
                .or_insert((currency, Decimal::ZERO));
            sum.1 = sum
                .1
                .checked_add(settled.amount.amount().abs())
                .ok_or(MoneyError::Overflow)?;
        }
        Ok(verdict)
    }

    fn score(self, receipts: i64) -> Result<ReplayScore, MoneyError> {
        let share = |part: i64, of: i64| {
            let share = Decimal::from(part).checked_div(Decimal::from(of))?;
            Some(share.round_dp(6).normalize())
        };
        let judged = self.score.right + self.score.wrong;
        Ok(ReplayScore {
            rate: share(self.score.automatic, receipts),
            precision: share(self.score.right, judged),
            written_off: self
                .written_off
                .into_values()
                .map(|(currency, sum)| Money::try_new(sum, currency))
                .collect::<Result<_, _>>()?,
            ..self.score
        })
    }
}

/// Whether what was decided is what stands; `None`: nobody has decided yet.
fn judge(verdict: &Verdict, past: &PastReceipt) -> Result<Option<bool>, MoneyError> {
    if past.stands.is_empty() {
        let taken_back = |line: &Line| past.taken_back.contains(&line.document);
        return Ok(verdict.lines.iter().any(taken_back).then_some(false));
    }
    for line in &verdict.lines {
        // A person pays what is open; only the rules pay a few pence more.
        let raised = verdict
            .settled
            .iter()
            .filter(|settled| settled.document == line.document && settled.amount.is_negative())
            .map(|settled| settled.amount);
        let open = Money::sum(
            std::iter::once(line.amount).chain(raised),
            line.amount.currency(),
        )?;
        let stands = past.stands.get(&line.document);
        if stands != Some(&line.amount) && stands != Some(&open) {
            return Ok(Some(false));
        }
    }
    Ok(Some(true))
}

pub(super) fn told(verdict: &Verdict, books: &Books) -> ReplayDecision {
    let name = |document: &DocumentId| {
        books
            .items
            .get(document)
            .map_or_else(|| document.to_string(), |item| item.document_ref.clone())
    };
    let adjustment = |settled: &Settled| {
        format!(
            "{} {} {}",
            settled.kind.name(),
            name(&settled.document),
            settled.amount.display_uk()
        )
    };
    ReplayDecision {
        automatic: !verdict.lines.is_empty(),
        rule: verdict.decision.rule,
        lines: verdict
            .lines
            .iter()
            .map(|line| format!("{} {}", name(&line.document), line.amount.display_uk()))
            .collect(),
        adjustments: verdict.settled.iter().map(adjustment).collect(),
    }
}
