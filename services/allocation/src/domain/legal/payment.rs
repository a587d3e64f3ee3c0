//! Payments of client money to the client or a third party: asked for by one
//! person, carried out when another has approved just that.

use chrono::{DateTime, Utc};
use contracts::{
    controls::{ApprovalId, ClientPaymentId, ClientPaymentState},
    matters::EntryKind,
};
use kernel::{MatterId, Money};
use serde_json::{Value, json};

use super::{
    LegalChanges, Refused,
    client::{self, Held, Payment},
};
use crate::domain::ledger::Because;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientPayment {
    pub id: ClientPaymentId,
    pub matter: MatterId,
    pub state: ClientPaymentState,
    pub kind: EntryKind,
    pub amount: Money,
    pub payee: String,
    /// The client account that the money shall leave.
    pub bank_account: String,
    pub reason: String,
    pub requester: String,
    pub approval: ApprovalId,
    pub requested_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
}

impl ClientPayment {
    /// What is approved: frozen when asked for, compared when carried out.
    pub fn content(&self, matter_ref: &str) -> Value {
        json!({
            "matter_ref": matter_ref,
            "kind": self.kind,
            "amount": self.amount,
            "payee": self.payee,
            "bank_account": self.bank_account,
            "reason": self.reason,
        })
    }

    /// Pays it from what is held now.
    ///
    /// # Errors
    /// When that is less (SRA 5.3), or something is missing.
    pub fn pay(
        &self,
        held: &mut Held,
        changes: &mut LegalChanges,
        because: &Because<'_>,
    ) -> Result<(), Refused> {
        let payment = Payment {
            kind: self.kind,
            amount: self.amount,
            payee: &self.payee,
            disbursement: None,
            bank_account: &self.bank_account,
        };
        client::pay(held, changes, &payment, self.id.as_uuid(), because).map(|_| ())
    }

    /// Whether it could be paid now; nothing comes of it.
    ///
    /// # Errors
    /// As [`ClientPayment::pay`].
    pub fn could(&self, held: &Held, because: &Because<'_>) -> Result<(), Refused> {
        self.pay(&mut held.clone(), &mut LegalChanges::default(), because)
    }
}
