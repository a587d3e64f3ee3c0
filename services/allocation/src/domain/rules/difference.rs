//! A match that is certain but for the amount: the documents are named and all
//! of one account, and a little is missing or too much.
//!
//! The rows of the rule set are tried in order, and the first that fires wins
//! (E105). What it did, and why rows before it did not, stands in the evidence.

use chrono::{Days, NaiveDate};
use contracts::{
    allocation::{AdjustmentKind, DisputedPart, Evidence},
    rules::{DiscountBase, EarlySettlement, Limit, Remainder, RemainderAction, RungMode, When},
};
use kernel::{DocumentId, Money, MoneyError, Rounding, WorkingCalendar};
use rust_decimal::Decimal;

use super::{Meant, Policy, Settled, hold, is_disputed, shortfalls};
use crate::domain::{
    evidence::say,
    ladder::{SuggestedRefund, Verdict, owed, spread, whole},
    ledger::{Books, Item, Line, Receipt},
};

/// Documents that a refund's reason names, at most.
const DOCUMENTS_MAX: usize = 4;

/// Adds to `verdict` what the rules say about the difference.
pub(super) fn settle(
    verdict: &mut Verdict,
    meant: &Meant,
    receipt: &Receipt,
    books: &Books,
    policy: &Policy<'_>,
) -> Result<(), MoneyError> {
    if policy.rules.remainders.is_empty() || policy.mode(meant.rule).0 == RungMode::Off {
        return Ok(());
    }
    let Some(difference) = Difference::of(meant, receipt, books, policy)? else {
        return Ok(());
    };
    if let Some(why) = difference.explained(meant, books)? {
        verdict.decision.evidence.push(why);
        return Ok(());
    }
    let mut said = Vec::new();
    for (n, row) in (1..).zip(&policy.rules.remainders) {
        if row.when != difference.way || !difference.is_within_row(row)? {
            continue;
        }
        match difference.act(row.action, policy)? {
            Ok(mut done) => {
                if row.action == RemainderAction::SuggestRefund {
                    done.refund = Some(difference.refund(n, policy));
                }
                let held = row.review || row.action == RemainderAction::Person;
                said.push(say(
                    "rules",
                    !held,
                    format!(
                        "{}, row {n}: {} {}: {}{}",
                        policy.name(),
                        difference.amount.display_uk(),
                        match difference.way {
                            When::Under => "less than is open",
                            When::Over => "more than is open",
                        },
                        done.said,
                        if row.review {
                            "; a person confirms it"
                        } else {
                            ""
                        },
                    ),
                ));
                take(verdict, meant, done, said, held);
                return Ok(());
            }
            Err(why) => said.push(say(
                "rules",
                false,
                format!("{}, row {n} does not hold: {why}", policy.name()),
            )),
        }
    }
    verdict.decision.evidence.extend(said);
    Ok(())
}

/// Puts what a row decided into the verdict: to post, or to suggest.
fn take(verdict: &mut Verdict, meant: &Meant, done: Done, said: Vec<Evidence>, held: bool) {
    verdict.payer = Some(meant.account);
    verdict.lines = done.lines;
    verdict.settled = done.settled;
    verdict.refund = done.refund;
    verdict.decision.disputed = done.disputed;
    verdict.suggestions.clear();
    verdict.decision.rule = meant.rule;
    verdict.decision.would_have_matched = None;
    verdict.decision.evidence.extend(said);
    if held {
        // A part payment that would be posted anyway waits for the person too.
        hold(
            verdict,
            "automatic if a person need not confirm the difference",
        );
    }
}

/// What a row does.
#[derive(Default)]
struct Done {
    lines: Vec<Line>,
    settled: Vec<Settled>,
    /// What is missing and becomes a dispute.
    disputed: Vec<DisputedPart>,
    refund: Option<SuggestedRefund>,
    said: &'static str,
}

struct Difference<'b> {
    /// In the order in which they are paid.
    items: Vec<&'b Item>,
    cash: Money,
    total: Money,
    way: When,
    /// Positive.
    amount: Money,
    booked_on: NaiveDate,
    meant: &'b Meant,
}

impl<'b> Difference<'b> {
    /// `None`: there is none, or it cannot be said what it is.
    fn of(
        meant: &'b Meant,
        receipt: &Receipt,
        books: &'b Books,
        policy: &Policy<'_>,
    ) -> Result<Option<Self>, MoneyError> {
        let cash = receipt.unallocated;
        let mut items: Vec<&Item> = meant
            .documents
            .iter()
            .filter_map(|id| books.items.get(id))
            .collect();
        let usable = items.len() == meant.documents.len()
            && !items.is_empty()
            && items.iter().all(|item| {
                item.open.currency() == cash.currency()
                    && !item.open.is_zero()
                    // A short payment of a disputed document is the dispute.
                    && !is_disputed(item.id, books)
            });
        if !usable {
            return Ok(None);
        }
        let total = Money::sum(items.iter().map(|item| item.open), cash.currency())?;
        let difference = total.checked_sub(cash)?;
        if !total.is_positive() || difference.is_zero() {
            return Ok(None);
        }
        items.sort_by_key(|item| (policy.place(item), item.due_on, item.id));
        Ok(Some(Self {
            items,
            cash,
            total,
            way: if difference.is_positive() {
                When::Under
            } else {
                When::Over
            },
            amount: difference.abs(),
            booked_on: receipt.booked_on,
            meant,
        }))
    }

    /// Something on the account that explains the difference better than any
    /// tolerance: another document of just the cash (E2), or one of just the
    /// difference.
    fn explained(&self, meant: &Meant, books: &Books) -> Result<Option<Evidence>, MoneyError> {
        let rest = self.cash.checked_sub(self.total)?;
        let other = owed(meant.account, self.cash, books)
            .into_iter()
            .filter(|item| !meant.documents.contains(&item.id))
            .find(|item| item.open == self.cash || item.open == rest);
        Ok(other.map(|item| {
            say(
                "amount",
                false,
                format!(
                    "{} of the account may explain the difference: nothing is written off",
                    item.document_ref
                ),
            )
        }))
    }

    fn is_within_row(&self, row: &Remainder) -> Result<bool, MoneyError> {
        if let Some(percent) = row.percent
            && self
                .amount
                .checked_cmp(share(percent, self.total)?)?
                .is_gt()
        {
            return Ok(false);
        }
        if row.amounts.is_empty() {
            return Ok(true);
        }
        match of_currency(&row.amounts, self.amount) {
            Some(limit) => Ok(self.amount.checked_cmp(limit)?.is_le()),
            None => Ok(false),
        }
    }

    /// What the action would do, or why it does not hold.
    fn act(
        &self,
        action: RemainderAction,
        policy: &Policy<'_>,
    ) -> Result<Result<Done, String>, MoneyError> {
        match action {
            RemainderAction::WriteOff => self.write_off(policy),
            RemainderAction::BankCharge => {
                let limit = of_currency(&policy.rules.bank_charges, self.amount);
                match limit {
                    Some(limit) if self.amount.checked_cmp(limit)?.is_le() => {
                        self.short(AdjustmentKind::BankCharge, "kept by a bank on the way")
                    }
                    _ => Ok(Err("it is more than banks may keep".to_owned())),
                }
            }
            RemainderAction::Dispute => self.dispute(),
            RemainderAction::Discount => match &policy.rules.discount {
                Some(terms) => self.discount(terms),
                None => Ok(Err("there is no discount".to_owned())),
            },
            RemainderAction::OnAccount => Ok(Ok(self.leave("the rest waits on account"))),
            RemainderAction::SuggestRefund => Ok(Ok(
                self.leave("the rest looks like a refund, which a person completes")
            )),
            RemainderAction::Person => Ok(Ok(Done {
                lines: spread(self.cash, &self.items)?,
                said: "a person looks",
                ..Done::default()
            })),
        }
    }

    fn refund(&self, row: usize, policy: &Policy<'_>) -> SuggestedRefund {
        let meant: Vec<&str> = self
            .items
            .iter()
            .take(DOCUMENTS_MAX)
            .map(|item| item.document_ref.as_str())
            .collect();
        let more = if self.items.len() > meant.len() {
            " and others"
        } else {
            ""
        };
        SuggestedRefund {
            amount: self.amount,
            version: policy.version,
            reason: format!(
                "{} more than was open on {}{more} ({}, row {row})",
                self.amount.display_uk(),
                meant.join(", "),
                policy.name()
            ),
        }
    }

    fn leave(&self, said: &'static str) -> Done {
        Done {
            lines: whole(self.items.iter().copied()),
            said,
            ..Done::default()
        }
    }

    /// The cash pays the documents as far as it goes; of those that it does not
    /// pay wholly, the rest is disputed.
    fn dispute(&self) -> Result<Result<Done, String>, MoneyError> {
        let lines = match &self.meant.advised {
            Some(lines) => lines.clone(),
            None => spread(self.cash, &self.items)?,
        };
        let disputed = shortfalls(&self.items, &lines)?
            .into_iter()
            .filter(|(document, left)| {
                left.is_positive() && lines.iter().any(|line| line.document == *document)
            })
            .map(|(document_id, amount)| DisputedPart {
                document_id,
                amount,
            })
            .collect();
        Ok(Ok(Done {
            lines,
            disputed,
            said: "what is missing is disputed",
            ..Done::default()
        }))
    }

    /// E7 to E9: within the smaller of percent and amount, and within what the
    /// account may have in all.
    fn write_off(&self, policy: &Policy<'_>) -> Result<Result<Done, String>, MoneyError> {
        let Some(tolerance) = &policy.rules.tolerance else {
            return Ok(Err("there is no tolerance".to_owned()));
        };
        let side = match self.way {
            When::Under => &tolerance.under,
            When::Over => &tolerance.over,
        };
        let limit = match side {
            Some(limit) => smaller(limit, self.total)?,
            None => None,
        };
        let Some(limit) = limit else {
            return Ok(Err(format!(
                "there is no tolerance in {}",
                self.amount.currency().code()
            )));
        };
        if self.amount.checked_cmp(limit)?.is_gt() {
            return Ok(Err(format!(
                "it is more than the tolerance of {}",
                limit.display_uk()
            )));
        }
        let cap = of_currency(&tolerance.cap.amounts, self.amount)
            .unwrap_or(Money::zero(self.amount.currency()));
        let used = policy.book.used(
            self.meant.account,
            self.way,
            self.amount.currency(),
            tolerance.cap.days,
            self.booked_on,
        )?;
        if used.checked_add(self.amount)?.checked_cmp(cap)?.is_gt() {
            return Ok(Err(format!(
                "with {} in the last {} days it is more than the cap of {}",
                used.display_uk(),
                tolerance.cap.days,
                cap.display_uk()
            )));
        }
        match self.way {
            When::Under => self.short(
                AdjustmentKind::SmallBalance,
                "written off as a small balance",
            ),
            When::Over => Ok(self.over()),
        }
    }

    /// The cash pays the documents as far as it goes; what is left of them is
    /// adjusted. No document is written off whole.
    fn short(
        &self,
        kind: AdjustmentKind,
        said: &'static str,
    ) -> Result<Result<Done, String>, MoneyError> {
        let lines = match &self.meant.advised {
            Some(lines) => lines.clone(),
            None => spread(self.cash, &self.items)?,
        };
        let short = shortfalls(&self.items, &lines)?;
        let partial =
            lines.len() == self.items.len() && short.iter().all(|(_, left)| left.is_positive());
        if !partial {
            return Ok(Err("a whole document would be written off".to_owned()));
        }
        Ok(Ok(Done {
            settled: short
                .into_iter()
                .map(|(document, amount)| Settled {
                    document,
                    amount,
                    kind,
                })
                .collect(),
            lines,
            said,
            ..Done::default()
        }))
    }

    /// A few pence too many: the last document takes them, and the debt that
    /// they would turn into a credit is raised by as much.
    fn over(&self) -> Result<Done, String> {
        let mut lines = whole(self.items.iter().copied());
        let last = lines.iter_mut().rfind(|line| line.amount.is_positive());
        let Some(last) = last else {
            return Err("only credit notes are meant".to_owned());
        };
        last.amount = last
            .amount
            .checked_add(self.amount)
            .map_err(|error| error.to_string())?;
        let document = last.document;
        Ok(Done {
            lines,
            settled: vec![Settled {
                document,
                amount: self.amount.neg(),
                kind: AdjustmentKind::SmallBalance,
            }],
            said: "kept as a small balance",
            ..Done::default()
        })
    }

    /// E20: what the payer took is at most the discount of the documents that are
    /// in time, wholly open and no credit notes.
    fn discount(&self, terms: &EarlySettlement) -> Result<Result<Done, String>, MoneyError> {
        let mut available: Vec<(DocumentId, Money)> = Vec::with_capacity(self.items.len());
        for item in &self.items {
            if item.open.is_negative() {
                return Ok(Err("a credit note is used with it".to_owned()));
            }
            if item.open != item.amount {
                return Ok(Err(format!("{} is part-paid", item.document_ref)));
            }
            let Some(until) = deadline(terms, item.issued_on) else {
                return Ok(Err(
                    "the bank holidays of that year are not known".to_owned()
                ));
            };
            if self.booked_on > until {
                return Ok(Err(format!(
                    "{} had to be paid by {until} for a discount",
                    item.document_ref
                )));
            }
            let base = match (terms.base, item.net) {
                (DiscountBase::Gross, _) => item.amount,
                (DiscountBase::Net, Some(net)) => net,
                (DiscountBase::Net, None) => {
                    return Ok(Err(format!(
                        "{} came without its net amount",
                        item.document_ref
                    )));
                }
            };
            let discount = Money::rounded(
                part(terms.percent, base)?,
                base.currency(),
                Rounding::HalfUp,
            )?;
            available.push((item.id, discount));
        }
        let sum = Money::sum(available.iter().map(|(_, m)| *m), self.cash.currency())?;
        if self.amount.checked_cmp(sum)?.is_gt() {
            return Ok(Err(format!("the discount is {}", sum.display_uk())));
        }
        let mut lines = Vec::with_capacity(self.items.len());
        let mut settled = Vec::new();
        let mut left = self.amount;
        for (item, (document, discount)) in self.items.iter().zip(available) {
            let advised = self
                .meant
                .advised
                .iter()
                .flatten()
                .find(|line| line.document == document);
            let taken = match advised {
                Some(line) => item.open.checked_sub(line.amount)?,
                None if left.checked_cmp(discount)?.is_lt() => left,
                None => discount,
            };
            if taken.checked_cmp(discount)?.is_gt() {
                return Ok(Err(format!(
                    "the discount of {} is {}",
                    item.document_ref,
                    discount.display_uk()
                )));
            }
            left = left.checked_sub(taken)?;
            lines.push(Line {
                document,
                amount: item.open.checked_sub(taken)?,
            });
            if !taken.is_zero() {
                settled.push(Settled {
                    document,
                    amount: taken,
                    kind: AdjustmentKind::Discount,
                });
            }
        }
        Ok(Ok(Done {
            lines,
            settled,
            said: "the discount for early settlement",
            ..Done::default()
        }))
    }
}

/// The last day on which a discount may be taken: the last day of the term or,
/// if nobody works then, the next working day; and the days of grace after it.
pub(super) fn deadline(terms: &EarlySettlement, issued_on: NaiveDate) -> Option<NaiveDate> {
    let calendar = WorkingCalendar::new(terms.calendar);
    let last = issued_on.checked_add_days(Days::new(terms.days.into()))?;
    let last = calendar.add_working_days(last, 0).ok()?;
    match terms.grace_days {
        0 => Some(last),
        days => calendar.add_working_days(last, days.into()).ok(),
    }
}

fn part(percent: Decimal, of: Money) -> Result<Decimal, MoneyError> {
    percent
        .checked_mul(of.amount())
        .and_then(|product| product.checked_div(Decimal::ONE_HUNDRED))
        .ok_or(MoneyError::Overflow)
}

/// A percentage as a limit: never a fraction of a penny more.
fn share(percent: Decimal, of: Money) -> Result<Money, MoneyError> {
    Money::rounded(part(percent, of)?, of.currency(), Rounding::Down)
}

fn of_currency(amounts: &[Money], like: Money) -> Option<Money> {
    amounts
        .iter()
        .copied()
        .find(|amount| amount.currency() == like.currency())
}

/// E9: the smaller of percent and amount; `None`: none in this currency.
fn smaller(limit: &Limit, total: Money) -> Result<Option<Money>, MoneyError> {
    let Some(amount) = of_currency(&limit.amounts, total) else {
        return Ok(None);
    };
    let share = share(limit.percent, total)?;
    Ok(Some(if share.checked_cmp(amount)?.is_lt() {
        share
    } else {
        amount
    }))
}
