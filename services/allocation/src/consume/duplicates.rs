//! A payment that seems to repeat another: it names a document that was paid, by
//! the same payer with the same amount. It is held until a person says (E5); two
//! equal instalments of a document that is still owed are none (E6).

use contracts::allocation::Decision;
use kernel::{DocumentId, Money, ReceiptId};
use messaging::Failure;
use sqlx::PgConnection;

use super::State;
use crate::{
    domain::{Books, Changes, Receipt, evidence::say, ledger::Held, name_key},
    store,
};

/// A receipt that paid a document.
#[derive(Debug, Clone)]
pub(crate) struct Payment {
    pub(crate) receipt: ReceiptId,
    pub(crate) document: DocumentId,
    pub(crate) amount: Money,
    pub(crate) payer_name: Option<String>,
    pub(crate) payer_account: Option<String>,
    pub(crate) narrative: String,
}

/// Documents that the receipt names and of which nothing is left.
fn paid(receipt: &Receipt, books: &Books) -> Vec<DocumentId> {
    let named = receipt.tokens.iter().flat_map(|key| books.named(key));
    named
        .filter(|item| item.open.is_zero())
        .map(|item| item.id)
        .collect()
}

/// What paid the documents that `arriving` name again: hardly ever any.
pub(super) async fn load(
    conn: &mut PgConnection,
    arriving: &[&Receipt],
    books: &Books,
) -> Result<Vec<Payment>, Failure> {
    let mut documents = Vec::new();
    let mut amounts = Vec::new();
    for receipt in arriving {
        let paid = paid(receipt, books);
        if !paid.is_empty() {
            documents.extend(paid);
            amounts.push(receipt.amount.amount());
        }
    }
    store::returns::payments_of(conn, &documents, &amounts).await
}

/// Holds `receipt`, which paid nothing, if it repeats another payment.
pub(super) fn hold(receipt: &mut Receipt, state: &State, changes: &Changes) {
    let paid = paid(receipt, &state.books);
    if paid.is_empty() {
        return;
    }
    let before = state
        .payments
        .iter()
        .find(|payment| paid.contains(&payment.document) && repeats(receipt, payment))
        .map(|payment| payment.receipt);
    let twin = before.or_else(|| {
        changes
            .postings
            .iter()
            .filter(|posting| paid.contains(&posting.line.document_id))
            .filter_map(|posting| {
                changes
                    .new_receipts
                    .iter()
                    .find(|r| r.id == posting.receipt)
            })
            .find(|other| {
                let payment = Payment {
                    receipt: other.id,
                    document: DocumentId::from(other.id.as_uuid()),
                    amount: other.amount,
                    payer_name: other.payer_name.clone(),
                    payer_account: other.payer_account.clone(),
                    narrative: other.narrative.clone(),
                };
                repeats(receipt, &payment)
            })
            .map(|other| other.id)
    });
    let Some(twin) = twin else {
        return;
    };
    receipt.detail.held = Some(Held::PossibleDuplicate(twin));
    receipt.suggestions.clear();
    let Decision { evidence, .. } = &mut receipt.decision;
    evidence.push(say(
        "duplicate",
        false,
        "the same payer has paid the same amount for this document before: held until a person says",
    ));
}

/// The same amount of the same payer; where the bank tells of no payer, the same
/// words.
fn repeats(receipt: &Receipt, payment: &Payment) -> bool {
    if receipt.amount != payment.amount {
        return false;
    }
    match (&receipt.payer_account, &payment.payer_account) {
        (Some(a), Some(b)) => return a == b,
        (None, None) => {}
        _ => return false,
    }
    match (&receipt.payer_name, &payment.payer_name) {
        (Some(a), Some(b)) => name_key(a) == name_key(b),
        (None, None) => receipt.narrative == payment.narrative,
        _ => false,
    }
}
