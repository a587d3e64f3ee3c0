//! What a refund shall be: asked for by a person, or drafted by a rule.

use chrono::{DateTime, Utc};
use contracts::{
    allocation::Rule,
    api::controls::{Attachment, RefundContent},
    controls::{RefundId, RefundState},
};

use super::{EVIDENCE_MAX, PayTo, Refund, Refused, Step, TEXT_MAX};
use crate::domain::{
    ladder::SuggestedRefund,
    ledger::{Because, Receipt},
};

fn masked(key: &str) -> String {
    let from = key.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
    format!("****{}", key.get(from..).unwrap_or_default())
}

pub(super) fn text(given: &str) -> Option<String> {
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
