//! Money that goes back to a payer. From `submitted` on it is reserved on the
//! receipt by an outflow, so that no pound can be both refunded and allocated
//! (E44); whatever ends a refund before it is paid frees it by a contra.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    allocation::{OutflowKind, OutflowLine, Rule},
    api::controls::{Attachment, RefundContent},
    controls::{ApprovalId, RefundFileId, RefundId, RefundState, frozen, same_person},
};
use kernel::{AccountId, Classified, EntryId, ErrorClass, Money, MoneyError, OutflowId, ReceiptId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    ladder::SuggestedRefund,
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

fn masked(key: &str) -> String {
    let from = key.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
    format!("****{}", key.get(from..).unwrap_or_default())
}

fn text(given: &str) -> Option<String> {
    let given = given.trim();
    (!given.is_empty() && given.chars().count() <= TEXT_MAX).then(|| given.to_owned())
}

fn sound(attachment: &Attachment) -> bool {
    let hash = attachment.sha256.as_deref();
    text(&attachment.label).is_some()
        && (hash.is_some() || attachment.reference.as_deref().and_then(text).is_some())
        && hash.is_none_or(|hash| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// What a refund shall be, checked as far as it can be before it is submitted.
///
/// # Errors
/// When something is missing or wrong.
pub fn drafted(
    id: RefundId,
    receipt: &Receipt,
    ask: &RefundContent,
    revision: i32,
    requester: &str,
    now: DateTime<Utc>,
) -> Result<Refund, Refused> {
    let amount = ask.amount.unwrap_or(receipt.unallocated);
    if !amount.is_positive() {
        return Err(Refused::Nothing);
    }
    amount.checked_cmp(receipt.amount)?;
    let reason = text(&ask.reason).ok_or(Refused::NoReason)?;
    if ask.evidence.len() > EVIDENCE_MAX || !ask.evidence.iter().all(sound) {
        return Err(Refused::BadEvidence);
    }
    let source = receipt.payer_account.as_deref();
    let other = ask.payee.as_ref().filter(|payee| {
        let key = payee.account.key();
        source != Some(key.as_str())
    });
    let payee = match (other, source) {
        (Some(payee), _) => PayTo {
            name: Some(text(&payee.name).ok_or(Refused::PayeeReason)?),
            masked: Some(payee.account.masked()),
            account: Some(payee.account.key()),
            reason: Some(text(&payee.reason).ok_or(Refused::PayeeReason)?),
            to_source: false,
            revision,
        },
        (None, Some(source)) => PayTo {
            name: receipt.payer_name.clone(),
            account: None,
            masked: Some(masked(source)),
            reason: None,
            to_source: true,
            revision,
        },
        (None, None) => return Err(Refused::NoSource),
    };
    Ok(Refund {
        id,
        version: 0,
        state: RefundState::Draft,
        receipt: receipt.id,
        account: receipt.account,
        account_ref: receipt.account_ref.clone(),
        amount,
        reason,
        evidence: ask.evidence.clone(),
        payee,
        requester: requester.to_owned(),
        reservation: None,
        approval: None,
        approved_sha256: None,
        reference: None,
        payment_file: None,
        changed_at: now,
    })
}

/// The draft of a refund that a rule set asks for: by nobody, so that only a
/// person who drafts it anew can submit it. `None`: it is not known which account
/// paid.
///
/// # Errors
/// When the rule asks for something that cannot be.
pub fn suggested(
    receipt: &Receipt,
    ask: &SuggestedRefund,
    now: DateTime<Utc>,
) -> Result<Option<(Refund, Step)>, Refused> {
    if receipt.payer_account.is_none() {
        return Ok(None);
    }
    let content = RefundContent {
        amount: Some(ask.amount),
        reason: ask.reason.chars().take(TEXT_MAX).collect(),
        evidence: Vec::new(),
        payee: None,
    };
    let requester = format!("system:rule_set_{}", ask.version);
    let id = RefundId::generate();
    let mut refund = drafted(id, receipt, &content, 1, &requester, now)?;
    let because = Because {
        rule: Rule::None,
        reason: &content.reason,
        actor: &requester,
        now,
        not_before: receipt.booked_on,
    };
    let step = refund.note_draft(&because);
    Ok(Some((refund, step)))
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

    fn expect(&self, from: &[RefundState], to: RefundState) -> Result<(), Refused> {
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
        self.expect(&[RefundState::Draft], RefundState::Submitted)?;
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
        self.expect(from, to)?;
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
        self.expect(&[RefundState::Submitted], RefundState::Approved)?;
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
        self.expect(&[RefundState::Approved], RefundState::Verified)?;
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
        self.expect(&[from], to)?;
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
        self.expect(&[RefundState::InPaymentFile], RefundState::Verified)?;
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
        self.expect(&[RefundState::Sent], RefundState::Paid)?;
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
        self.expect(
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
mod tests {
    use contracts::allocation::{Decision, Rule};
    use kernel::Currency;
    use proptest::prelude::*;

    use super::*;

    fn gbp(text: &str) -> Money {
        Money::parse(text, Currency::GBP).unwrap()
    }

    fn day() -> NaiveDate {
        "2026-11-26".parse().unwrap()
    }

    fn received(amount: &str) -> Receipt {
        Receipt {
            id: ReceiptId::generate(),
            version: 1,
            bank_account: "GB:200000-55779911".into(),
            designation: contracts::ingestion::Designation::Business,
            bank_reference: None,
            booked_on: day(),
            value_on: day(),
            amount: gbp(amount),
            unallocated: gbp(amount),
            paid_out: gbp("0"),
            payer_name: Some("Acme Ltd".into()),
            payer_account: Some("GB:107999-88837491".into()),
            narrative: String::new(),
            tokens: vec![],
            advice: vec![],
            detail: ledger::Detail::default(),
            account: None,
            account_ref: None,
            decision: Decision::because(Rule::None, Vec::new()),
            suggestions: vec![],
            recorded_at: DateTime::UNIX_EPOCH,
        }
    }

    fn by(actor: &str) -> Because<'_> {
        Because {
            rule: Rule::Manual,
            reason: "because",
            actor,
            now: DateTime::UNIX_EPOCH,
            not_before: day(),
        }
    }

    fn content(amount: Option<&str>) -> RefundContent {
        RefundContent {
            amount: amount.map(gbp),
            reason: "paid twice".into(),
            payee: None,
            evidence: vec![Attachment {
                label: "letter".into(),
                reference: Some("L1".into()),
                sha256: None,
            }],
        }
    }

    fn draft(receipt: &Receipt, ask: &RefundContent) -> Result<Refund, Refused> {
        drafted(
            RefundId::generate(),
            receipt,
            ask,
            1,
            "user:jo",
            DateTime::UNIX_EPOCH,
        )
    }

    #[test]
    fn without_a_known_source_a_payee_is_needed_e43() {
        let mut receipt = received("10");
        receipt.payer_account = None;
        let refused = draft(&receipt, &content(None)).unwrap_err();
        assert_eq!(refused.code(), "allocation.no_source_account");
    }

    #[test]
    fn another_payee_needs_a_second_approver_and_its_details_are_forgotten() {
        let receipt = received("10");
        let mut ask = content(None);
        let payee = |number: &str, reason: &str| contracts::api::controls::Payee {
            name: "Acme Holdings".into(),
            account: serde_json::from_value(
                json!({"sort_code": "107999", "account_number": number}),
            )
            .unwrap(),
            reason: reason.into(),
        };
        ask.payee = Some(payee("88837491", ""));
        assert_eq!(
            draft(&receipt, &ask).unwrap().approvers(),
            1,
            "the source itself"
        );
        ask.payee = Some(payee("88837492", " "));
        assert_eq!(
            draft(&receipt, &ask).unwrap_err().code(),
            "allocation.payee_reason_needed"
        );
        ask.payee = Some(payee("88837492", "account closed"));
        let mut refund = draft(&receipt, &ask).unwrap();
        assert_eq!(refund.approvers(), 2);
        assert!(!refund.content().to_string().contains("88837492"), "masked");
        let mut receipt = receipt;
        let stopped = refund.stop(
            RefundState::Cancelled,
            "no",
            &mut receipt,
            &mut Changes::default(),
            &by("user:jo"),
        );
        assert!(stopped.is_ok());
        assert_eq!(refund.payee.account, None);
        assert_eq!(refund.payee.masked.as_deref(), Some("****7492"));
    }

    #[test]
    fn what_is_not_as_approved_is_in_no_payment_file_e102() {
        let mut receipt = received("10");
        let mut changes = Changes::default();
        let mut refund = draft(&receipt, &content(None)).unwrap();
        refund
            .submit(&mut receipt, &mut changes, &by("user:jo"))
            .unwrap();
        let refused = refund.approved("of something else", "", &by("user:al"));
        assert_eq!(refused.unwrap_err().code(), "allocation.not_as_approved");
        let approved = frozen(&refund.content()).1;
        refund.approved(&approved, "", &by("user:al")).unwrap();
        refund.verified("called back", &by("user:al")).unwrap();
        refund.payee.revision += 1;
        let to = RefundState::InPaymentFile;
        let refused = refund.on_its_way(to, "PF1", &by("user:al"));
        assert_eq!(refused.unwrap_err().code(), "allocation.not_as_approved");
        refund.payee.revision -= 1;
        assert!(refund.on_its_way(to, "PF1", &by("user:al")).is_ok());
    }

    #[test]
    fn a_payment_is_known_by_its_reference_wherever_the_bank_puts_it() {
        let refund = draft(&received("10"), &content(None)).unwrap();
        let reference = refund.payment_reference();
        assert_eq!(reference.len(), 18, "Bacs has no more");
        let told = format!("FASTER PAYMENT/{}, ACME", reference.to_lowercase());
        assert_eq!(payment_references(["NOTPROVIDED", &told]), [reference]);
        assert!(
            payment_references(["RF18539007547034", "RFXYZ", "REF 0123456789ABCDEF"]).is_empty()
        );
    }

    proptest! {
        /// E43, E44: whatever order people and banks do things in, every pound of
        /// the receipt is in one place, never more goes back than came in, and
        /// what we owe for refunds is what is reserved and not paid yet.
        #[test]
        fn no_pound_is_spent_twice(
            steps in proptest::collection::vec((0_usize..3, 0_usize..11, 1_u32..90), 1..60)
        ) {
            let mut receipt = received("100");
            let mut allocated = 0_u32;
            let mut refunds: Vec<Option<Refund>> = vec![None, None, None];
            let mut changes = Changes::default();
            let (jo, al) = (by("user:jo"), by("user:al"));
            for (which, what, pounds) in steps {
                let amount = format!("{pounds}");
                let slot = &mut refunds[which];
                match (what, slot.as_mut()) {
                    (0, None) => *slot = draft(&receipt, &content(Some(&amount))).ok(),
                    (0, Some(refund)) if refund.is_over_unpaid() => {
                        *slot = draft(&receipt, &content(Some(&amount))).ok();
                    }
                    // Allocation by a person, as far as there is money.
                    (1, _) if gbp(&amount).amount() <= receipt.unallocated.amount() => {
                        receipt.unallocated = receipt.unallocated.checked_sub(gbp(&amount)).unwrap();
                        allocated += pounds;
                    }
                    (2, Some(refund)) => { let _ = refund.submit(&mut receipt, &mut changes, &jo); }
                    (3, Some(refund)) => { let sha = frozen(&refund.content()).1; let _ = refund.approved(&sha, "", &al); }
                    (4, Some(refund)) => { let _ = refund.stop(RefundState::Rejected, "", &mut receipt, &mut changes, &al); }
                    (5, Some(refund)) => { let _ = refund.stop(RefundState::Expired, "", &mut receipt, &mut changes, &al); }
                    (6, Some(refund)) => { let _ = refund.stop(RefundState::Voided, "", &mut receipt, &mut changes, &al); }
                    (7, Some(refund)) => { let _ = refund.verified("called", &al); }
                    (8, Some(refund)) => {
                        let to = if refund.state == RefundState::InPaymentFile { RefundState::Sent } else { RefundState::InPaymentFile };
                        let _ = refund.on_its_way(to, "PF", &al);
                    }
                    (9, Some(refund)) => { let _ = refund.paid(day(), &receipt, &mut changes, &al); }
                    (10, Some(refund)) => { let _ = refund.returned(Some("B"), day(), &mut receipt, &mut changes, &al); }
                    _ => {}
                }
                let held: Money = Money::sum(
                    refunds.iter().flatten().filter(|r| r.reservation.is_some()).map(|r| r.amount),
                    Currency::GBP,
                ).unwrap();
                prop_assert_eq!(receipt.paid_out, held);
                prop_assert!(!receipt.unallocated.is_negative());
                let all = receipt.unallocated.checked_add(held).unwrap()
                    .checked_add(gbp(&allocated.to_string())).unwrap();
                prop_assert_eq!(all, receipt.amount);
                let owed = changes.entries.iter().fold(gbp("0"), |sum, entry| {
                    if entry.credit == payable() { sum.checked_add(entry.amount).unwrap() }
                    else if entry.debit == payable() { sum.checked_sub(entry.amount).unwrap() }
                    else { sum }
                });
                let unpaid = Money::sum(
                    refunds.iter().flatten()
                        .filter(|r| r.reservation.is_some() && r.state != RefundState::Paid)
                        .map(|r| r.amount),
                    Currency::GBP,
                ).unwrap();
                prop_assert_eq!(owed, unpaid);
            }
        }
    }
}
