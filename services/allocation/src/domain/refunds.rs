//! Money that goes back to a payer. From `submitted` on it is reserved on the
//! receipt by an outflow, so that no pound can be both refunded and allocated
//! (E44); whatever ends a refund before it is paid frees it by a contra.

mod draft;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    allocation::{OutflowKind, OutflowLine},
    api::controls::Attachment,
    controls::{ApprovalId, RefundFileId, RefundId, RefundState, frozen, same_person},
};
use kernel::{AccountId, Classified, EntryId, ErrorClass, Money, MoneyError, OutflowId, ReceiptId};
use serde_json::{Value, json};
use uuid::Uuid;

pub use draft::{drafted, suggested};

use self::draft::text;
use super::{
    ledger::{self, Because, Changes, Entry, PayOut, Receipt, chart},
    policy,
};

/// Attachments of one refund at most.
const EVIDENCE_MAX: usize = 20;
const TEXT_MAX: usize = 500;
/// A payment's reference begins so, with sixteen hex digits after it.
const PAYMENT_PREFIX: &str = "RF";
const PAYMENT_DIGITS: usize = 16;

/// The references of payments of ours in the words of a bank line.
pub fn payment_references<'t>(texts: impl IntoIterator<Item = &'t str>) -> Vec<String> {
    let mut found = Vec::new();
    for text in texts {
        for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
            let word = word.to_ascii_uppercase();
            let ours = word.strip_prefix(PAYMENT_PREFIX).is_some_and(|digits| {
                digits.len() == PAYMENT_DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit())
            });
            if ours && !found.contains(&word) {
                found.push(word);
            }
        }
    }
    found
}

/// Where the money goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayTo {
    pub name: Option<String>,
    /// The key of the account, where it is not the source: forgotten when the
    /// refund is over.
    pub account: Option<String>,
    pub masked: Option<String>,
    /// Why not to the source.
    pub reason: Option<String>,
    pub to_source: bool,
    /// Rises with every change: what was verified is not any more.
    pub revision: i32,
}

#[derive(Debug, Clone)]
pub struct Refund {
    pub id: RefundId,
    pub version: i64,
    pub state: RefundState,
    pub receipt: ReceiptId,
    pub account: Option<AccountId>,
    pub account_ref: Option<String>,
    pub amount: Money,
    pub reason: String,
    pub evidence: Vec<Attachment>,
    pub payee: PayTo,
    pub requester: String,
    pub reservation: Option<OutflowId>,
    pub approval: Option<ApprovalId>,
    /// Of the content that was approved.
    pub approved_sha256: Option<String>,
    pub reference: Option<String>,
    /// The file of ours that it is in.
    pub payment_file: Option<RefundFileId>,
    pub changed_at: DateTime<Utc>,
}

/// One step in a refund's history; an entry of the journal that it makes has
/// its id.
#[derive(Debug, Clone)]
pub struct Step {
    pub id: Uuid,
    pub refund: RefundId,
    pub version: i64,
    pub state: RefundState,
    pub actor: String,
    pub reason: String,
    pub reference: Option<String>,
    pub at: DateTime<Utc>,
}

#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("a refund is of more than nothing")]
    Nothing,
    #[error("{asked} is more than the {left} that may be refunded")]
    MoreThanLeft { asked: String, left: String },
    #[error("say why it is paid back, in at most {TEXT_MAX} characters")]
    NoReason,
    #[error("a refund needs something that shows why: a document's reference or hash")]
    NoEvidence,
    #[error(
        "an attachment has a label and a reference or a SHA-256 in hex; {EVIDENCE_MAX} at most"
    )]
    BadEvidence,
    #[error("it is not known which account paid: name a payee")]
    NoSource,
    #[error("another payee than the account that paid needs a name and a reason")]
    PayeeReason,
    #[error("a refund that is {} cannot be {}", .from.name().replace('_', " "), .to.name().replace('_', " "))]
    Step { from: RefundState, to: RefundState },
    #[error("a refund is submitted by who drafted it: draft it anew to submit it yourself")]
    NotYours,
    #[error("bank details are verified by another person than who asked for the refund")]
    OwnVerification,
    #[error("the approval is for other content: draft it anew")]
    NotAsApproved,
    #[error("there is no ARUCS reason code `{0}`")]
    NoSuchCode(String),
    #[error("say how, or in which file, in at most {TEXT_MAX} characters")]
    NoReference,
    #[error("the amounts cannot be added up")]
    Sum(#[from] MoneyError),
}

impl Classified for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::Nothing => "allocation.refund_of_nothing",
            Self::MoreThanLeft { .. } => "allocation.more_than_left",
            Self::NoReason => "allocation.reason_needed",
            Self::NoEvidence => "allocation.evidence_needed",
            Self::BadEvidence => "allocation.bad_evidence",
            Self::NoSource => "allocation.no_source_account",
            Self::PayeeReason => "allocation.payee_reason_needed",
            Self::Step { .. } => "allocation.refund_state",
            Self::NotYours => "allocation.not_your_draft",
            Self::OwnVerification => "allocation.own_verification",
            Self::NotAsApproved => "allocation.not_as_approved",
            Self::NoSuchCode(_) => "allocation.no_such_arucs_code",
            Self::NoReference => "allocation.reference_needed",
            Self::Sum(_) => "allocation.sum",
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::MoreThanLeft { .. }
            | Self::Step { .. }
            | Self::NotYours
            | Self::OwnVerification
            | Self::NotAsApproved => ErrorClass::Conflict,
            _ => ErrorClass::Permanent,
        }
    }
}

/// What we owe for refunds under way.
fn payable() -> String {
    chart::REFUNDS_PAYABLE.to_owned()
}

impl Refund {
    /// What is approved: frozen when asked for, compared when carried out. Bank
    /// details stand in it masked, with the number of their revision.
    pub fn content(&self) -> Value {
        json!({
            "receipt_id": self.receipt,
            "account_ref": self.account_ref,
            "amount": self.amount,
            "reason": self.reason,
            "evidence": self.evidence,
            "payee": {
                "name": self.payee.name,
                "account": self.payee.masked,
                "to_source": self.payee.to_source,
                "reason": self.payee.reason,
                "revision": self.payee.revision,
            },
        })
    }

    /// Another payee than the source needs a second approver.
    pub fn approvers(&self) -> u8 {
        if self.payee.to_source { 1 } else { 2 }
    }

    /// Moves on; the step is for the history.
    fn moved(
        &mut self,
        state: RefundState,
        reason: &str,
        reference: Option<String>,
        because: &Because<'_>,
    ) -> Step {
        self.state = state;
        self.version += 1;
        self.changed_at = because.now;
        if reference.is_some() {
            self.reference.clone_from(&reference);
        }
        Step {
            id: Uuid::now_v7(),
            refund: self.id,
            version: self.version,
            state,
            actor: because.actor.to_owned(),
            reason: reason.to_owned(),
            reference,
            at: because.now,
        }
    }

    fn must_be(&self, from: &[RefundState], to: RefundState) -> Result<(), Refused> {
        if from.contains(&self.state) {
            Ok(())
        } else {
            Err(Refused::Step {
                from: self.state,
                to,
            })
        }
    }

    /// The first step of a refund, or of one that is drafted anew: reserved
    /// money must have been freed before.
    pub fn note_draft(&mut self, because: &Because<'_>) -> Step {
        let reason = self.reason.clone();
        self.moved(RefundState::Draft, &reason, None, because)
    }

    /// Reserves the money. Never more is refunded than the payer's net receipts
    /// (E43): of each receipt no more than is unallocated, which is what was
    /// received less all that paid documents or left it already.
    ///
    /// # Errors
    /// When there is not so much, or something is missing.
    pub fn submit(
        &mut self,
        receipt: &mut Receipt,
        changes: &mut Changes,
        because: &Because<'_>,
    ) -> Result<(Step, OutflowLine), Refused> {
        self.must_be(&[RefundState::Draft], RefundState::Submitted)?;
        if !same_person(&self.requester, because.actor) {
            return Err(Refused::NotYours);
        }
        if self.evidence.is_empty() {
            return Err(Refused::NoEvidence);
        }
        let left = receipt.unallocated;
        if self.amount.checked_cmp(left)?.is_gt() {
            return Err(Refused::MoreThanLeft {
                asked: self.amount.display_uk(),
                left: left.display_uk(),
            });
        }
        let line = ledger::pay_out(
            receipt,
            changes,
            &PayOut {
                amount: self.amount,
                kind: OutflowKind::Refunded,
                cause: Some(self.id.as_uuid()),
                contra_of: None,
                in_transit: false,
            },
            because,
        )?;
        self.reservation = Some(line.outflow_id);
        let reason = self.reason.clone();
        Ok((
            self.moved(RefundState::Submitted, &reason, None, because),
            line,
        ))
    }

    /// Gives reserved money back to the receipt.
    fn free(
        &mut self,
        receipt: &mut Receipt,
        changes: &mut Changes,
        because: &Because<'_>,
    ) -> Result<Option<OutflowLine>, Refused> {
        let Some(reserved) = self.reservation.take() else {
            return Ok(None);
        };
        let line = ledger::pay_out(
            receipt,
            changes,
            &PayOut {
                amount: self.amount.neg(),
                kind: OutflowKind::Refunded,
                cause: Some(self.id.as_uuid()),
                contra_of: Some(reserved),
                in_transit: false,
            },
            because,
        )?;
        Ok(Some(line))
    }

    /// Ends it before it is sent: rejected, expired, cancelled, voided, or to be
    /// drafted anew.
    ///
    /// # Errors
    /// When it is in a payment file (a bounced receipt voids it even then), sent
    /// or over.
    pub fn stop(
        &mut self,
        to: RefundState,
        reason: &str,
        receipt: &mut Receipt,
        changes: &mut Changes,
        because: &Because<'_>,
    ) -> Result<(Step, Option<OutflowLine>), Refused> {
        use RefundState::{Approved, Draft, InPaymentFile, Submitted, Verified, Voided};
        let early = [Draft, Submitted, Approved, Verified];
        let from: &[RefundState] = if to == Voided {
            &[Draft, Submitted, Approved, Verified, InPaymentFile]
        } else {
            &early
        };
        self.must_be(from, to)?;
        let line = self.free(receipt, changes, because)?;
        self.payee.account = None;
        Ok((self.moved(to, reason, None, because), line))
    }

    /// `sha256` is that of the content that was approved.
    ///
    /// # Errors
    /// When it waits for no approval, or is not as it was asked for.
    pub fn approved(
        &mut self,
        sha256: &str,
        reason: &str,
        because: &Because<'_>,
    ) -> Result<Step, Refused> {
        self.must_be(&[RefundState::Submitted], RefundState::Approved)?;
        if frozen(&self.content()).1 != sha256 {
            return Err(Refused::NotAsApproved);
        }
        self.approved_sha256 = Some(sha256.to_owned());
        Ok(self.moved(RefundState::Approved, reason, None, because))
    }

    /// The payee's bank details were verified by somebody else.
    ///
    /// # Errors
    /// When by who asked for the refund, or when it is not approved.
    pub fn verified(&mut self, how: &str, because: &Because<'_>) -> Result<Step, Refused> {
        self.must_be(&[RefundState::Approved], RefundState::Verified)?;
        if same_person(&self.requester, because.actor) {
            return Err(Refused::OwnVerification);
        }
        let how = text(how).ok_or(Refused::NoReference)?;
        Ok(self.moved(RefundState::Verified, &how, None, because))
    }

    /// It is in a payment file, or the file was sent.
    ///
    /// # Errors
    /// When it is not as approved, or not so far.
    pub fn on_its_way(
        &mut self,
        to: RefundState,
        reference: &str,
        because: &Because<'_>,
    ) -> Result<Step, Refused> {
        let from = if to == RefundState::Sent {
            RefundState::InPaymentFile
        } else {
            RefundState::Verified
        };
        self.must_be(&[from], to)?;
        if self.approved_sha256.as_deref() != Some(frozen(&self.content()).1.as_str()) {
            return Err(Refused::NotAsApproved);
        }
        let reference = text(reference).ok_or(Refused::NoReference)?;
        Ok(self.moved(to, "", Some(reference), because))
    }

    /// Its payment file was not sent.
    ///
    /// # Errors
    /// When it is in none.
    pub fn out_of_file(&mut self, because: &Because<'_>) -> Result<Step, Refused> {
        self.must_be(&[RefundState::InPaymentFile], RefundState::Verified)?;
        self.payment_file = None;
        self.reference = None;
        Ok(self.moved(RefundState::Verified, because.reason, None, because))
    }

    /// What its payment is known by on the bank's lines: the same for ever, and
    /// short enough for Bacs.
    pub fn payment_reference(&self) -> String {
        let id = self.id.as_uuid().simple().to_string().to_uppercase();
        format!("{PAYMENT_PREFIX}{}", id.get(16..).unwrap_or_default())
    }

    /// The bank has paid it.
    ///
    /// # Errors
    /// When it was not sent.
    pub fn paid(
        &mut self,
        on: NaiveDate,
        receipt: &Receipt,
        changes: &mut Changes,
        because: &Because<'_>,
    ) -> Result<Step, Refused> {
        self.must_be(&[RefundState::Sent], RefundState::Paid)?;
        self.payee.account = None;
        let step = self.moved(RefundState::Paid, "", None, because);
        changes.entries.push(Entry {
            id: EntryId::from(step.id),
            debit: payable(),
            credit: receipt.bank(),
            amount: self.amount,
            effective_on: on,
            recorded_at: because.now,
        });
        Ok(step)
    }

    /// The payee's bank sent it back: the money is unallocated again. Without a
    /// code when the money came back on a bank line that has none.
    ///
    /// # Errors
    /// When it was not sent, or there is no such code.
    pub fn returned(
        &mut self,
        code: Option<&str>,
        on: NaiveDate,
        receipt: &mut Receipt,
        changes: &mut Changes,
        because: &Because<'_>,
    ) -> Result<(Step, Option<OutflowLine>), Refused> {
        self.must_be(
            &[RefundState::Sent, RefundState::Paid],
            RefundState::Returned,
        )?;
        let words = match code {
            Some(code) => {
                policy::arucs(code).ok_or_else(|| Refused::NoSuchCode(code.to_owned()))?
            }
            None => because.reason,
        };
        let was_paid = self.state == RefundState::Paid;
        let line = self.free(receipt, changes, because)?;
        self.payee.account = None;
        let step = self.moved(
            RefundState::Returned,
            words,
            code.map(str::to_owned),
            because,
        );
        if was_paid {
            changes.entries.push(Entry {
                id: EntryId::from(step.id),
                debit: receipt.bank(),
                credit: payable(),
                amount: self.amount,
                effective_on: on,
                recorded_at: because.now,
            });
        }
        Ok((step, line))
    }

    /// Whether it can be drafted anew.
    pub fn is_over_unpaid(&self) -> bool {
        matches!(
            self.state,
            RefundState::Returned
                | RefundState::Rejected
                | RefundState::Expired
                | RefundState::Voided
                | RefundState::Cancelled
        )
    }
}

#[cfg(test)]
mod tests;
