//! Debts that are given up after a second person approved; small balances that are
//! cleared so are in [`small_balances`].

mod small_balances;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    allocation::{AdjustmentKind, AdjustmentLine},
    api::controls::{WriteOffAsk, WriteOffReason},
    controls::{ApprovalId, DebtPart, RunState, WriteOffId, WriteOffState},
};
use kernel::{
    AccountId, AdjustmentId, Classified, DocumentId, ErrorClass, Money, MoneyError, Rounding,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use uuid::Uuid;

pub use small_balances::{Cleared, Run, SmallLine, SmallOf};

use super::{
    ledger::{self, Adjust, Because, Books, Changes},
    policy,
};

/// Lines of one request at most.
const LINES_MAX: usize = 100;
const TEXT_MAX: usize = 500;

#[derive(Debug, Clone)]
pub struct WriteOff {
    pub id: WriteOffId,
    pub version: i64,
    pub state: WriteOffState,
    pub account: AccountId,
    pub account_ref: String,
    pub reason_code: String,
    pub reason: String,
    pub amount: Money,
    pub reversed: Money,
    pub requester: String,
    pub approval: Option<ApprovalId>,
    pub posted_on: Option<NaiveDate>,
    pub changed_at: DateTime<Utc>,
    pub lines: Vec<Line>,
}

#[derive(Debug, Clone)]
pub struct Line {
    pub document: DocumentId,
    pub document_ref: String,
    pub ref_key: String,
    pub part: DebtPart,
    pub amount: Money,
    /// When it was asked for.
    pub open_then: Money,
    /// The adjustment in force.
    pub adjustment: Option<AdjustmentId>,
    pub reversed: Money,
    /// The VAT in the amount.
    pub vat: Option<Money>,
    pub supplied_on: NaiveDate,
    pub due_on: NaiveDate,
    pub vat_relief: bool,
    pub earliest_claim_on: NaiveDate,
    pub latest_claim_on: NaiveDate,
    pub claimed_on: Option<NaiveDate>,
    pub claimed: Option<Money>,
    pub repayable: Money,
}

#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("a write-off has between 1 and {LINES_MAX} lines")]
    LineCount,
    #[error("document {0} is not on the ledger")]
    NoDocument(DocumentId),
    #[error("all documents of a write-off belong to one account")]
    ManyAccounts,
    #[error("all documents of a write-off are in one currency")]
    ManyCurrencies,
    #[error("{document_ref} owes nothing to us: a credit is refunded or used, not written off")]
    Credit { document_ref: String },
    #[error("{asked} of {document_ref} cannot be written off: {open} is open")]
    MoreThanOpen {
        document_ref: String,
        asked: String,
        open: String,
    },
    #[error("there is no reason `{0}` for a write-off")]
    NoSuchReason(String),
    #[error("say why, in at most {TEXT_MAX} characters")]
    NoReason,
    #[error("a write-off that is {} cannot be taken back or claimed for", .0.name().replace('_', " "))]
    State(WriteOffState),
    #[error("the receipt has nothing left to pay it with")]
    NothingLeft,
    #[error("relief for {document_ref} may be claimed from {from} to {until}, not on {on}")]
    OutsideWindow {
        document_ref: String,
        from: NaiveDate,
        until: NaiveDate,
        on: NaiveDate,
    },
    #[error("there is no VAT in this write-off to claim")]
    NothingToClaim,
    #[error("no VAT relief period is known for that date")]
    NoPeriod,
    #[error("a run that is {} cannot do that", .0.name())]
    RunState(RunState),
    #[error("nothing is small enough and old enough to be cleared")]
    NothingSmall,
    #[error("the amounts cannot be added up")]
    Sum(#[from] MoneyError),
}

impl Classified for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::LineCount => "allocation.line_count",
            Self::NoDocument(_) => "allocation.no_document",
            Self::ManyAccounts => "allocation.many_accounts",
            Self::ManyCurrencies => "allocation.currency_differs",
            Self::Credit { .. } => "allocation.credit_not_written_off",
            Self::MoreThanOpen { .. } => "allocation.more_than_open",
            Self::NoSuchReason(_) => "allocation.no_such_reason",
            Self::NoReason => "allocation.reason_needed",
            Self::State(_) => "allocation.write_off_state",
            Self::NothingLeft => "allocation.more_than_left",
            Self::OutsideWindow { .. } => "allocation.outside_relief_window",
            Self::NothingToClaim => "allocation.nothing_to_claim",
            Self::NoPeriod => "allocation.no_relief_period",
            Self::RunState(_) => "allocation.run_state",
            Self::NothingSmall => "allocation.nothing_small",
            Self::Sum(_) => "allocation.sum",
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::MoreThanOpen { .. }
            | Self::State(_)
            | Self::RunState(_)
            | Self::NothingLeft
            | Self::NothingSmall => ErrorClass::Conflict,
            _ => ErrorClass::Permanent,
        }
    }
}

/// The share of `whole` that `part` of `of` has.
fn share(whole: Money, part: Money, of: Money) -> Result<Money, MoneyError> {
    if of.is_zero() {
        return Ok(Money::zero(whole.currency()));
    }
    let exact = whole
        .amount()
        .checked_mul(part.amount())
        .and_then(|product| product.checked_div(of.amount()))
        .ok_or(MoneyError::Overflow)?;
    Money::rounded(exact, whole.currency(), Rounding::HalfUp)
}

/// The VAT in what is not paid of a document. Where the document is nothing but
/// VAT, because somebody else was to pay the net, what is not paid is a price
/// with VAT in it all the same: relief is the rate's part of it, not the whole
/// (Simpson & Marwick v HMRC [2013] CSIH 29; E95).
fn vat_in(unpaid: Money, of: Money, vat: Money, supplied: NaiveDate) -> Result<Money, Refused> {
    if vat.amount() < of.amount() {
        return Ok(share(vat, unpaid, of)?);
    }
    let rate = policy::vat_rate(supplied).ok_or(Refused::NoPeriod)?;
    let exact = unpaid
        .amount()
        .checked_mul(rate)
        .and_then(|product| product.checked_div(rate + Decimal::ONE_HUNDRED))
        .ok_or(MoneyError::Overflow)?;
    Ok(Money::rounded(exact, unpaid.currency(), Rounding::HalfUp)?)
}

/// A write-off as somebody asks for it; `vat` is what billing said of each
/// document.
///
/// # Errors
/// When it cannot be.
pub fn requested(
    asks: &[WriteOffAsk],
    code: &WriteOffReason,
    reason: &str,
    books: &Books,
    vat: &BTreeMap<DocumentId, Money>,
    requester: &str,
    now: DateTime<Utc>,
) -> Result<WriteOff, Refused> {
    if asks.is_empty() || asks.len() > LINES_MAX {
        return Err(Refused::LineCount);
    }
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > TEXT_MAX {
        return Err(Refused::NoReason);
    }
    let mut lines: Vec<Line> = Vec::with_capacity(asks.len());
    let mut account = None;
    for ask in asks {
        let item = books
            .items
            .get(&ask.document_id)
            .ok_or(Refused::NoDocument(ask.document_id))?;
        if !item.open.is_positive() {
            return Err(Refused::Credit {
                document_ref: item.document_ref.clone(),
            });
        }
        let (of, _) = account.get_or_insert((item.account_id, item.account_ref.clone()));
        if *of != item.account_id {
            return Err(Refused::ManyAccounts);
        }
        if let Some(first) = lines.first()
            && first.amount.currency() != item.open.currency()
        {
            return Err(Refused::ManyCurrencies);
        }
        // One document may stand twice, once per part (E46).
        let before = lines
            .iter()
            .filter(|line| line.document == item.id)
            .map(|line| line.amount);
        let left = item
            .open
            .checked_sub(Money::sum(before, item.open.currency())?)?;
        let amount = ask.amount.unwrap_or(left);
        if !amount.is_positive() || amount.checked_cmp(left)?.is_gt() {
            return Err(Refused::MoreThanOpen {
                document_ref: item.document_ref.clone(),
                asked: amount.display_uk(),
                open: left.display_uk(),
            });
        }
        let (earliest, latest) =
            policy::vat_relief_window(item.issued_on, item.due_on).ok_or(Refused::NoPeriod)?;
        let part = ask.part.unwrap_or(DebtPart::Principal);
        lines.push(Line {
            document: item.id,
            document_ref: item.document_ref.clone(),
            ref_key: item.ref_key.clone(),
            part,
            amount,
            open_then: item.open,
            adjustment: None,
            reversed: Money::zero(amount.currency()),
            vat: match (part, vat.get(&item.id)) {
                // Statutory interest and court costs carry no VAT.
                (DebtPart::Principal, Some(vat)) => {
                    Some(vat_in(amount, item.amount, *vat, item.issued_on)?)
                }
                (DebtPart::Principal, None) => None,
                _ => Some(Money::zero(amount.currency())),
            },
            supplied_on: item.issued_on,
            due_on: item.due_on,
            vat_relief: code.vat_relief && part == DebtPart::Principal,
            earliest_claim_on: earliest,
            latest_claim_on: latest,
            claimed_on: None,
            claimed: None,
            repayable: Money::zero(amount.currency()),
        });
    }
    let (account, account_ref) = account.ok_or(Refused::LineCount)?;
    let currency = lines.first().ok_or(Refused::LineCount)?.amount.currency();
    Ok(WriteOff {
        id: WriteOffId::generate(),
        version: 1,
        state: WriteOffState::Requested,
        account,
        account_ref,
        reason_code: code.code.clone(),
        reason: reason.to_owned(),
        amount: Money::sum(lines.iter().map(|line| line.amount), currency)?,
        reversed: Money::zero(currency),
        requester: requester.to_owned(),
        approval: None,
        posted_on: None,
        changed_at: now,
        lines,
    })
}

impl WriteOff {
    /// What is approved. `open` tells what a document has open: then, or now.
    pub fn content(&self, open: impl Fn(&Line) -> Money) -> Value {
        let lines: Vec<Value> = self
            .lines
            .iter()
            .map(|line| {
                json!({
                    "document_ref": line.document_ref,
                    "document_id": line.document,
                    "part": line.part,
                    "amount": line.amount,
                    "open": open(line),
                    "vat": line.vat,
                    "due_on": line.due_on,
                })
            })
            .collect();
        json!({
            "account_ref": self.account_ref,
            "amount": self.amount,
            "reason_code": self.reason_code,
            "reason": self.reason,
            "lines": lines,
        })
    }

    fn moved(&mut self, state: WriteOffState, now: DateTime<Utc>) {
        self.state = state;
        self.version += 1;
        self.changed_at = now;
    }

    /// Ends a request that is not carried out.
    pub fn end(&mut self, state: WriteOffState, now: DateTime<Utc>) {
        if self.state == WriteOffState::Requested {
            self.moved(state, now);
        }
    }

    /// Posts it, when its content is still as it was asked for.
    ///
    /// # Errors
    /// When an amount overflows.
    pub fn post(
        &mut self,
        books: &mut Books,
        changes: &mut Changes,
        because: &Because<'_>,
    ) -> Result<Vec<AdjustmentLine>, Refused> {
        let mut posted = Vec::with_capacity(self.lines.len());
        let cause = self.id.as_uuid();
        for line in &mut self.lines {
            let made = adjust(
                books,
                changes,
                line.document,
                line.amount,
                cause,
                None,
                because,
            )?;
            line.adjustment = Some(made.adjustment_id);
            posted.push(made);
        }
        self.posted_on = Some(because.not_before);
        self.moved(WriteOffState::Posted, because.now);
        Ok(posted)
    }

    /// Takes it back as far as `up_to`, or whole: each adjustment by a contra,
    /// and what is still given up of it anew. The earliest debt first (Notice
    /// 700/18). Says how much came back for each document.
    ///
    /// # Errors
    /// When nothing of it is in force.
    pub fn reverse(
        &mut self,
        up_to: Option<Money>,
        books: &mut Books,
        changes: &mut Changes,
        because: &Because<'_>,
    ) -> Result<(Vec<AdjustmentLine>, Vec<ledger::Line>), Refused> {
        if !matches!(
            self.state,
            WriteOffState::Posted | WriteOffState::PartReversed
        ) {
            return Err(Refused::State(self.state));
        }
        let mut rest = match up_to {
            Some(most) => most,
            None => self.amount.checked_sub(self.reversed)?,
        };
        if !rest.is_positive() {
            return Err(Refused::NothingLeft);
        }
        let cause = self.id.as_uuid();
        let (mut posted, mut back) = (Vec::new(), Vec::new());
        let mut order: Vec<usize> = (0..self.lines.len()).collect();
        order.sort_by_key(|at| self.lines.get(*at).map(|line| line.due_on));
        for at in order {
            let Some(line) = self.lines.get_mut(at) else {
                continue;
            };
            let in_force = line.amount.checked_sub(line.reversed)?;
            let (Some(adjustment), true) = (line.adjustment, rest.is_positive()) else {
                continue;
            };
            let taken = if rest.checked_cmp(in_force)?.is_lt() {
                rest
            } else {
                in_force
            };
            posted.push(adjust(
                books,
                changes,
                line.document,
                in_force.neg(),
                cause,
                Some(adjustment),
                because,
            )?);
            let left = in_force.checked_sub(taken)?;
            line.adjustment = if left.is_positive() {
                let again = adjust(books, changes, line.document, left, cause, None, because)?;
                let id = again.adjustment_id;
                posted.push(again);
                Some(id)
            } else {
                None
            };
            line.reversed = line.reversed.checked_add(taken)?;
            self.reversed = self.reversed.checked_add(taken)?;
            rest = rest.checked_sub(taken)?;
            if let Some(claimed) = line.claimed {
                // What was claimed beyond the VAT in what is written off still:
                // rounding never adds up to more than was claimed.
                let vat = line.vat.unwrap_or(claimed);
                line.repayable = claimed.checked_sub(share(vat, left, line.amount)?)?;
            }
            back.push(ledger::Line {
                document: line.document,
                amount: taken,
            });
        }
        let state = if self.reversed == self.amount {
            WriteOffState::Reversed
        } else {
            WriteOffState::PartReversed
        };
        self.moved(state, because.now);
        Ok((posted, back))
    }

    /// Notes that the VAT in it was claimed.
    ///
    /// # Errors
    /// When that may not be on this day, or there is none.
    pub fn claim(&mut self, on: NaiveDate, now: DateTime<Utc>) -> Result<(), Refused> {
        if !matches!(
            self.state,
            WriteOffState::Posted | WriteOffState::PartReversed
        ) {
            return Err(Refused::State(self.state));
        }
        let mut any = false;
        for line in &mut self.lines {
            let in_force = line.amount.checked_sub(line.reversed)?;
            let (Some(vat), true, None) = (line.vat, line.vat_relief, line.claimed_on) else {
                continue;
            };
            let claimable = share(vat, in_force, line.amount)?;
            if !claimable.is_positive() {
                continue;
            }
            if on < line.earliest_claim_on || on > line.latest_claim_on {
                return Err(Refused::OutsideWindow {
                    document_ref: line.document_ref.clone(),
                    from: line.earliest_claim_on,
                    until: line.latest_claim_on,
                    on,
                });
            }
            line.claimed_on = Some(on);
            line.claimed = Some(claimable);
            any = true;
        }
        if !any {
            return Err(Refused::NothingToClaim);
        }
        self.version += 1;
        self.changed_at = now;
        Ok(())
    }
}

fn adjust(
    books: &mut Books,
    changes: &mut Changes,
    document: DocumentId,
    amount: Money,
    cause: Uuid,
    contra_of: Option<AdjustmentId>,
    because: &Because<'_>,
) -> Result<AdjustmentLine, Refused> {
    adjusted(
        AdjustmentKind::WriteOff,
        books,
        changes,
        document,
        amount,
        cause,
        contra_of,
        because,
    )
}

#[expect(clippy::too_many_arguments, reason = "an adjustment and its ledger")]
fn adjusted(
    kind: AdjustmentKind,
    books: &mut Books,
    changes: &mut Changes,
    document: DocumentId,
    amount: Money,
    cause: Uuid,
    contra_of: Option<AdjustmentId>,
    because: &Because<'_>,
) -> Result<AdjustmentLine, Refused> {
    let what = Adjust {
        document,
        amount,
        kind,
        receipt: None,
        cause: Some(cause),
        contra_of,
    };
    ledger::adjust(books, changes, &what, because)?.ok_or(Refused::NoDocument(document))
}

#[cfg(test)]
mod tests {
    use kernel::Currency;

    use super::*;

    fn gbp(text: &str) -> Money {
        Money::parse(text, Currency::GBP).unwrap()
    }

    /// E95: the client was billed for the VAT alone, the insurer paid the net. What
    /// the client owes is a price with VAT in it, so a sixth of it is the relief.
    #[test]
    fn e95_of_an_invoice_for_vat_alone_the_rates_part_is_relieved() {
        let day = |text: &str| text.parse().unwrap();
        let alone = |unpaid, on| vat_in(gbp(unpaid), gbp("200.00"), gbp("200.00"), day(on));
        assert_eq!(alone("200.00", "2026-03-02").unwrap(), gbp("33.33"));
        assert_eq!(alone("60.00", "2026-03-02").unwrap(), gbp("10.00"));
        // The rate of its day: 17.5 % until 2011.
        assert_eq!(alone("200.00", "2010-12-31").unwrap(), gbp("29.79"));
        assert!(alone("200.00", "1990-01-01").is_err());
        let usual = vat_in(
            gbp("600.00"),
            gbp("1200.00"),
            gbp("200.00"),
            day("2026-03-02"),
        );
        assert_eq!(usual.unwrap(), gbp("100.00"));
    }
}
