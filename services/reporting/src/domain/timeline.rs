//! What happened to an account, in a sentence.

use chrono::NaiveDate;
use kernel::Money;

/// Something that happened, with what the sentence needs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Happening<'a> {
    AccountRecorded {
        name: &'a str,
        version: i64,
    },
    DocumentPosted {
        kind: &'a str,
        reference: &'a str,
        amount: Money,
        due_on: NaiveDate,
    },
    ReceiptPosted {
        amount: Money,
        payer: Option<&'a str>,
    },
    /// A receipt was found to be this account's.
    ReceiptIdentified {
        payer: Option<&'a str>,
    },
    Allocated {
        amount: Money,
        reference: &'a str,
    },
    Undone {
        amount: Money,
        reference: &'a str,
    },
    /// A debt changed without cash; `kind` as the ledger names it.
    Adjusted {
        kind: &'a str,
        amount: Money,
        reference: &'a str,
    },
    /// A line on the client side of a matter; a contra has the opposite sign.
    ClientMoney {
        kind: &'a str,
        amount: Money,
        matter: &'a str,
    },
    /// Money that stands on the wrong bank account, or stood: `due` or `done`,
    /// the side that it must go to, and why.
    BankMove {
        detail: &'a str,
        amount: Money,
        matter: &'a str,
        due_by: NaiveDate,
    },
    Residual {
        step: &'a str,
        amount: Money,
        matter: &'a str,
    },
    Disbursement {
        step: &'a str,
        amount: Money,
        supplier: &'a str,
    },
    /// What dunning did: said already.
    Chased {
        said: &'a str,
    },
    Refund {
        state: &'a str,
        amount: Money,
    },
    /// Money left a receipt other than onto a document, or came back.
    LeftReceipt {
        kind: &'a str,
        amount: Money,
        payer: Option<&'a str>,
    },
}

/// The sentence on the timeline, without full stop.
pub(crate) fn summary(happening: Happening<'_>) -> String {
    let from = |payer: Option<&str>| {
        payer.map_or_else(
            || " from an unnamed payer".to_owned(),
            |name| format!(" from {name}"),
        )
    };
    match happening {
        Happening::Chased { said } => said.to_owned(),
        Happening::AccountRecorded {
            name,
            version: ..=1,
        } => format!("Account recorded: {name}"),
        Happening::AccountRecorded { name, .. } => format!("Account details changed: {name}"),
        Happening::DocumentPosted {
            kind,
            reference,
            amount,
            due_on,
        } => {
            let kind = match kind {
                "invoice" => "Invoice",
                "credit_note" => "Credit note",
                "disbursement" => "Disbursement",
                // A kind of a later version: said as it is.
                other => other,
            };
            if amount.is_negative() {
                format!("{kind} {reference} for {}", amount.neg().display_uk())
            } else {
                let due = due_on.format("%-d %b %Y");
                format!("{kind} {reference} for {}, due {due}", amount.display_uk())
            }
        }
        Happening::ReceiptPosted { amount, payer } => {
            format!("Receipt of {}{}", amount.display_uk(), from(payer))
        }
        Happening::ReceiptIdentified { payer } => {
            format!("Receipt{} identified as this account's", from(payer))
        }
        Happening::Allocated { amount, reference } if amount.is_negative() => {
            format!(
                "{} of credit note {reference} used",
                amount.neg().display_uk()
            )
        }
        Happening::Allocated { amount, reference } => {
            format!("{} allocated to {reference}", amount.display_uk())
        }
        Happening::Adjusted {
            kind,
            amount,
            reference,
        } => {
            let said = kind.replace('_', " ");
            if amount.is_negative() {
                let amount = amount.neg().display_uk();
                format!("{amount} back on {reference}: {said}")
            } else {
                format!("{} off {reference}: {said}", amount.display_uk())
            }
        }
        Happening::ClientMoney {
            kind,
            amount,
            matter,
        } => {
            let said = kind.replace('_', " ");
            if amount.is_negative() {
                let amount = amount.neg().display_uk();
                format!("{amount} off the client ledger of {matter}: {said}")
            } else {
                let amount = amount.display_uk();
                format!("{amount} onto the client ledger of {matter}: {said}")
            }
        }
        Happening::BankMove {
            detail,
            amount,
            matter,
            due_by,
        } => {
            let mut words = detail.splitn(3, ' ');
            let (step, to) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            let why = words.next().unwrap_or("").replace('_', " ");
            let amount = amount.display_uk();
            if step == "done" {
                format!("{amount} moved to a {to} account for {matter}: {why}")
            } else {
                let due = due_by.format("%-d %b %Y");
                format!("{amount} must be on a {to} account for {matter} by {due}: {why}")
            }
        }
        Happening::Residual {
            step,
            amount,
            matter,
        } => {
            let said = step.replace('_', " ");
            format!(
                "Residual balance of {} on {matter}: {said}",
                amount.display_uk()
            )
        }
        Happening::Disbursement {
            step,
            amount,
            supplier,
        } => {
            let said = step.replace('_', " ");
            format!(
                "Disbursement of {supplier}, {}: {said}",
                amount.display_uk()
            )
        }
        Happening::Refund { state, amount } => {
            let said = state.replace('_', " ");
            format!("Refund of {}: {said}", amount.display_uk())
        }
        Happening::LeftReceipt {
            kind,
            amount,
            payer,
        } => {
            let from = from(payer);
            let what = match kind {
                "returned" => "returned by the bank",
                "refunded" => "refunded",
                "client_ledger" => "moved to the client ledger",
                "written_back" => "written back",
                other => other,
            };
            if amount.is_negative() {
                let amount = amount.neg().display_uk();
                format!("{amount} of the receipt{from} no longer {what}")
            } else {
                format!("{} of the receipt{from} {what}", amount.display_uk())
            }
        }
        // A contra has the opposite sign of the line that it undoes.
        Happening::Undone { amount, reference } => {
            format!(
                "Allocation of {} to {reference} undone",
                amount.neg().display_uk()
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use kernel::Currency;

    use super::*;

    #[test]
    fn a_reader_sees_signs_as_words() {
        let money = |text: &str| Money::parse(text, Currency::GBP).unwrap();
        let due_on = NaiveDate::from_ymd_opt(2026, 3, 1).unwrap();
        let document = |kind, amount| {
            summary(Happening::DocumentPosted {
                kind,
                reference: "D-1",
                amount: money(amount),
                due_on,
            })
        };
        assert_eq!(
            document("invoice", "1234.50"),
            "Invoice D-1 for £1,234.50, due 1 Mar 2026"
        );
        assert_eq!(document("credit_note", "-20"), "Credit note D-1 for £20.00");
        let line = |amount| {
            summary(Happening::Allocated {
                amount: money(amount),
                reference: "D-1",
            })
        };
        assert_eq!(line("5"), "£5.00 allocated to D-1");
        assert_eq!(line("-5"), "£5.00 of credit note D-1 used");
        assert_eq!(
            summary(Happening::Undone {
                amount: money("-5"),
                reference: "D-1"
            }),
            "Allocation of £5.00 to D-1 undone"
        );
        let off = |amount| {
            summary(Happening::Adjusted {
                kind: "small_balance",
                amount: money(amount),
                reference: "D-1",
            })
        };
        assert_eq!(off("0.05"), "£0.05 off D-1: small balance");
        assert_eq!(off("-0.05"), "£0.05 back on D-1: small balance");
        let left = |amount| {
            summary(Happening::LeftReceipt {
                kind: "returned",
                amount: money(amount),
                payer: Some("Acme"),
            })
        };
        assert_eq!(
            left("5"),
            "£5.00 of the receipt from Acme returned by the bank"
        );
        assert_eq!(
            left("-5"),
            "£5.00 of the receipt from Acme no longer returned by the bank"
        );
        let client = |amount| {
            summary(Happening::ClientMoney {
                kind: "paid_out",
                amount: money(amount),
                matter: "OIC-1",
            })
        };
        assert_eq!(
            client("-5"),
            "£5.00 off the client ledger of OIC-1: paid out"
        );
        assert_eq!(
            client("5"),
            "£5.00 onto the client ledger of OIC-1: paid out"
        );
        let moved = |detail| {
            summary(Happening::BankMove {
                detail,
                amount: money("5"),
                matter: "OIC-1",
                due_by: due_on,
            })
        };
        assert_eq!(
            moved("due client shortage"),
            "£5.00 must be on a client account for OIC-1 by 1 Mar 2026: shortage"
        );
        assert_eq!(
            moved("done business office_transfer"),
            "£5.00 moved to a business account for OIC-1: office transfer"
        );
        assert_eq!(
            summary(Happening::Refund {
                state: "in_payment_file",
                amount: money("5")
            }),
            "Refund of £5.00: in payment file"
        );
        assert_eq!(
            summary(Happening::ReceiptPosted {
                amount: money("5"),
                payer: None
            }),
            "Receipt of £5.00 from an unnamed payer"
        );
    }
}
