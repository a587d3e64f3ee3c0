//! Payments of client money, to the client, a third party or the supplier of a
//! disbursement: asked for by one person, carried out when another has approved
//! just that.

use chrono::{DateTime, Utc};
use contracts::{
    controls::{ApprovalId, ClientPaymentId, ClientPaymentState},
    matters::{DisbursementStep, EntryKind},
};
use kernel::{DisbursementId, MatterId, Money};
use serde_json::{Value, json};

use super::{
    LegalChanges, Refused,
    client::{self, Held, Payment},
    disbursement::{self, Disbursement},
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
    /// Whose supplier is paid.
    pub disbursement: Option<DisbursementId>,
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
        let mut content = json!({
            "matter_ref": matter_ref,
            "kind": self.kind,
            "amount": self.amount,
            "payee": self.payee,
            "bank_account": self.bank_account,
            "reason": self.reason,
        });
        if let (Some(id), Some(members)) = (self.disbursement, content.as_object_mut()) {
            members.insert("disbursement_id".to_owned(), json!(id));
        }
        content
    }

    /// The disbursement once this has paid its supplier.
    ///
    /// # Errors
    /// When it costs another amount, or its supplier is paid already.
    pub fn settle(
        &self,
        spent: &Disbursement,
        because: &Because<'_>,
    ) -> Result<Disbursement, Refused> {
        if spent.amount != self.amount {
            return Err(Refused::StepAmount(spent.amount.display_uk()));
        }
        let mut next = spent.clone();
        let step = DisbursementStep::PaidByClient;
        disbursement::step(&mut next, step, because.not_before, None, because.actor)?;
        Ok(next)
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
            disbursement: self.disbursement,
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
