//! Mixed receipts (E91): which part of the money is the client's, and which
//! pays the firm's bills. Split at once (SRA 4.2), by what each part is for.

use contracts::matters::Component;
use kernel::{DisbursementId, DocumentId, Money};
use uuid::Uuid;

use super::{
    LegalChanges, Refused,
    client::{self, Held},
};
use crate::domain::ledger::{self, Because, Books, Changes, Line, Moves, PayOut, Receipt};

/// Parts of one split at most.
pub const PARTS_MAX: usize = 50;

/// A part of a receipt, with what is known about it.
#[derive(Debug, Clone)]
pub struct Part {
    pub component: Component,
    pub amount: Money,
    /// The bill that it shall pay.
    pub document: Option<DocumentId>,
    pub disbursement: Option<DisbursementId>,
    /// The firm's own money has paid the supplier.
    pub paid_by_firm: bool,
}

/// Where the parts go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub client: Vec<ClientPart>,
    pub bills: Vec<Line>,
    /// The firm's, but no bill is open for it: stays on the receipt.
    pub left: Money,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientPart {
    pub component: Component,
    pub amount: Money,
    pub disbursement: Option<DisbursementId>,
}

/// Decides part by part. `bills` are the delivered bills of the matter, in the
/// order in which they shall be paid; `books` has what is open of them.
///
/// # Errors
/// When a part names what is no bill of the matter or more than is open, or the
/// parts come to more than is left.
pub fn plan(
    matter: &str,
    parts: &[Part],
    bills: &[DocumentId],
    books: &Books,
    left: Money,
) -> Result<Plan, Refused> {
    if parts.is_empty() || parts.len() > PARTS_MAX {
        return Err(Refused::PartCount);
    }
    let total = Money::sum(parts.iter().map(|part| part.amount), left.currency())?;
    if parts.iter().any(|part| !part.amount.is_positive()) {
        return Err(Refused::NotPositive);
    }
    if total.checked_cmp(left)?.is_gt() {
        return Err(Refused::MoreThanLeft {
            asked: total.display_uk(),
            left: left.display_uk(),
        });
    }
    let mut open: Vec<(DocumentId, Money)> = bills
        .iter()
        .filter_map(|id| books.items.get(id))
        .filter(|item| item.open.is_positive() && item.open.currency() == left.currency())
        .map(|item| (item.id, item.open))
        .collect();
    let mut plan = Plan {
        client: Vec::new(),
        bills: Vec::new(),
        left: Money::zero(left.currency()),
    };
    for part in parts {
        let mut rest = part.amount;
        if may_be_ours(part) {
            if let Some(named) = part.document {
                let of_matter = bills.contains(&named);
                let item = books.items.get(&named).filter(|_| of_matter);
                let item = item.ok_or_else(|| Refused::NoBill {
                    document: named.to_string(),
                    matter: matter.to_owned(),
                })?;
                let bill = open.iter().find(|(id, _)| *id == named);
                let still = bill.map_or_else(|| Money::zero(left.currency()), |(_, open)| *open);
                if rest.checked_cmp(still)?.is_gt() {
                    return Err(Refused::MoreThanBilled {
                        document_ref: item.document_ref.clone(),
                        asked: rest.display_uk(),
                        open: still.display_uk(),
                    });
                }
            }
            for (id, still) in &mut open {
                if part.document.is_some_and(|named| named != *id) || rest.is_zero() {
                    continue;
                }
                let takes = if rest.checked_cmp(*still)?.is_gt() {
                    *still
                } else {
                    rest
                };
                if takes.is_zero() {
                    continue;
                }
                *still = still.checked_sub(takes)?;
                rest = rest.checked_sub(takes)?;
                plan.bills.push(Line {
                    document: *id,
                    amount: takes,
                });
            }
        }
        if rest.is_zero() {
            continue;
        }
        if part.component == Component::Disbursement && part.paid_by_firm {
            // Money that the firm has laid out is its own before a bill too.
            plan.left = plan.left.checked_add(rest)?;
        } else {
            // Damages; disbursements not yet paid; costs before a bill
            // (SRA 2.1(d)).
            plan.client.push(ClientPart {
                component: part.component,
                amount: rest,
                disbursement: part.disbursement,
            });
        }
    }
    Ok(plan)
}

fn may_be_ours(part: &Part) -> bool {
    match part.component {
        Component::Damages => false,
        Component::Disbursement => part.paid_by_firm,
        Component::Costs | Component::Vat => true,
    }
}

/// Carries a plan out: the bills are paid and the client's part goes to the
/// matter, all in one.
///
/// # Errors
/// When amounts cannot be added.
#[allow(clippy::too_many_arguments, reason = "both ledgers")]
pub fn apply(
    plan: &Plan,
    held: &mut Held,
    receipt: &mut Receipt,
    books: &mut Books,
    changes: &mut Changes,
    legal: &mut LegalChanges,
    cause: Uuid,
    because: &Because<'_>,
) -> Result<Moves, Refused> {
    let lines = ledger::post(receipt, &plan.bills, books, changes, because)?;
    let mut outflows = Vec::with_capacity(plan.client.len());
    for part in &plan.client {
        let what = PayOut {
            amount: part.amount,
            kind: contracts::allocation::OutflowKind::ClientLedger,
            cause: Some(cause),
            contra_of: None,
            in_transit: false,
        };
        let outflow = ledger::pay_out(receipt, changes, &what, because)?;
        client::receive(
            held,
            legal,
            receipt.id,
            &outflow,
            part.component,
            part.disbursement,
            cause,
        )?;
        outflows.push(outflow);
    }
    // The payer is the matter's client's opponent or the client: whose matter it
    // is, is known either way.
    receipt.account = Some(held.matter.account_id);
    receipt.account_ref = Some(held.matter.account_ref.clone());
    Ok(Moves {
        lines,
        outflows,
        ..Moves::default()
    })
}
