//! The closure gate: why a file cannot be closed.

use contracts::{api::matters::Blocker, matters::RecoveryState};
use kernel::Money;

use super::disbursement::Disbursement;
use contracts::matters::SupplierState;

/// What the ledgers say about a matter.
#[derive(Debug, Default)]
pub struct Facts {
    pub client: Vec<Money>,
    /// Reference and what is open: positive is unpaid, negative a credit left.
    pub open: Vec<(String, Money)>,
    pub disbursements: Vec<Disbursement>,
    /// Amounts that must still be moved between bank accounts.
    pub moves: Vec<Money>,
    /// Receipts with money left whose words name the matter.
    pub receipts: Vec<(String, Money)>,
}

/// What the ledger cannot see; a person must.
pub const NOT_CHECKED: [&str; 3] = [
    "Unbilled time and work in progress",
    "Undertakings and cheques that are still out",
    "Open queries about the bills",
];

/// Everything that stands in the way, worst first.
pub fn blockers(facts: &Facts) -> Vec<Blocker> {
    let mut found = Vec::new();
    let mut say = |code: &str, detail: String, amount: Option<Money>| {
        found.push(Blocker {
            code: code.to_owned(),
            detail,
            amount,
        });
    };
    for money in facts.client.iter().filter(|money| !money.is_zero()) {
        say(
            "client_money_held",
            format!("{} is held for the client (SRA 2.5)", money.display_uk()),
            Some(*money),
        );
    }
    for money in &facts.moves {
        say(
            "bank_move_due",
            format!(
                "{} must be moved between our bank accounts",
                money.display_uk()
            ),
            Some(*money),
        );
    }
    for (reference, open) in &facts.open {
        let (code, what) = if open.is_negative() {
            ("credit_left", "is left of credit note")
        } else {
            ("bill_unpaid", "is unpaid on")
        };
        say(
            code,
            format!("{} {what} {reference}", open.abs().display_uk()),
            Some(*open),
        );
    }
    for item in &facts.disbursements {
        if item.supplier_state != SupplierState::Paid {
            say(
                "disbursement_unpaid",
                format!(
                    "{} is not paid ({})",
                    item.supplier,
                    item.supplier_state.name()
                ),
                Some(item.amount),
            );
        }
        if !item.recovery_state.is_settled() && item.recovery_state != RecoveryState::NotClaimed {
            say(
                "disbursement_unrecovered",
                format!(
                    "{} has not come back ({})",
                    item.supplier,
                    item.recovery_state.name()
                ),
                Some(item.amount),
            );
        } else if item.recovery_state == RecoveryState::NotClaimed {
            say(
                "disbursement_unclaimed",
                format!(
                    "{}: nobody has claimed it back or said who bears it",
                    item.supplier
                ),
                Some(item.amount),
            );
        }
        if let Ok(over) = item.to_pay_on()
            && !over.is_zero()
        {
            say(
                "refund_to_pay_on",
                format!(
                    "{} came back twice for {} and must be paid on",
                    over.display_uk(),
                    item.supplier
                ),
                Some(over),
            );
        }
    }
    for (receipt, left) in &facts.receipts {
        say(
            "receipt_unposted",
            format!(
                "{} is left on receipt {receipt}, which names the matter",
                left.display_uk()
            ),
            Some(*left),
        );
    }
    found
}
