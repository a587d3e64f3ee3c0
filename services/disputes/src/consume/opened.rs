//! Cases that the ledger's facts open: a payment whose remainder the matching
//! rules say is disputed, and a returned payment whose code questions the debt.

use chrono::{DateTime, Utc};
use contracts::{
    api::disputes::CaseLine,
    disputes::{CaseId, CaseKind},
};
use kernel::{AccountId, DocumentId, Money};
use messaging::Meta;

use super::{Moved, follow::Desk};
use crate::domain::{
    Origin, Refused,
    amounts::least,
    policy::{Policy, SHORT_PAYMENT},
    steps::{self, Items, New},
};

/// Opens what `moved` asks for. What is disputed already is not disputed twice.
pub(super) fn by<'m>(
    desk: &mut Desk<'m>,
    refs: &mut impl Iterator<Item = String>,
    policy: &Policy,
    meta: &'m Meta,
    moved: &Moved,
    now: DateTime<Utc>,
) -> Result<(), Refused> {
    // Only of documents that the receipt paid: a suggestion is no payment.
    let shorts: Vec<(DocumentId, Money)> = moved
        .shorts()
        .iter()
        .filter(|part| {
            moved
                .moves
                .get(&part.document_id)
                .is_some_and(|settled| settled.paid.is_positive() || settled.credited.is_positive())
        })
        .map(|part| (part.document_id, part.amount))
        .collect();
    if !shorts.is_empty() {
        open(
            desk,
            refs,
            policy,
            meta,
            &shorts,
            (SHORT_PAYMENT, Origin::ShortPayment, "paid short".to_owned()),
            now,
        )?;
    }
    if let Some(returned) = &moved.returned {
        let reason = returned
            .scheme
            .as_deref()
            .zip(returned.code.as_deref())
            .and_then(|(scheme, code)| policy.returned(scheme, code));
        if let Some(reason) = reason {
            let amounts: Vec<(DocumentId, Money)> = returned
                .reopened
                .iter()
                .map(|reopened| (reopened.document_id, reopened.amount))
                .collect();
            let words = format!(
                "the payment came back: {}",
                returned
                    .meaning
                    .as_deref()
                    .or(returned.code.as_deref())
                    .unwrap_or("no reason given")
            );
            open(
                desk,
                refs,
                policy,
                meta,
                &amounts,
                (reason, Origin::Return, words),
                now,
            )?;
        }
    }
    Ok(())
}

/// What a case for one account would be about.
struct About {
    account: AccountId,
    account_ref: String,
    items: Items,
    lines: Vec<CaseLine>,
}

fn open<'m>(
    desk: &mut Desk<'m>,
    refs: &mut impl Iterator<Item = String>,
    policy: &Policy,
    meta: &'m Meta,
    amounts: &[(DocumentId, Money)],
    (reason_code, origin, words): (&str, Origin, String),
    now: DateTime<Utc>,
) -> Result<(), Refused> {
    // A payment may pay documents of several accounts: a case for each.
    let mut by_account: Vec<About> = Vec::new();
    for (document, amount) in amounts {
        let Some(item) = desk.free(*document)? else {
            tracing::warn!(%document, "a document that is disputed is not known yet: no case was opened");
            continue;
        };
        if item.is_credit || item.free.currency() != amount.currency() {
            continue;
        }
        let amount = least(*amount, item.free)?;
        if !policy.is_short_enough(amount) {
            continue;
        }
        let line = CaseLine {
            document_id: *document,
            amount: Some(amount),
            lines: Vec::new(),
        };
        match by_account
            .iter_mut()
            .find(|about| about.account == item.account)
        {
            Some(about) => {
                about.items.insert(*document, item);
                about.lines.push(line);
            }
            None => by_account.push(About {
                account: item.account,
                account_ref: item.account_ref.clone(),
                items: Items::from([(*document, item)]),
                lines: vec![line],
            }),
        }
    }
    for About {
        account,
        account_ref,
        items,
        lines,
    } in by_account
    {
        let Some(case_ref) = refs.next() else {
            tracing::warn!(%account, "a payment concerns more accounts than cases were expected: no case was opened");
            continue;
        };
        let Some(currency) = items.values().next().map(|item| item.free.currency()) else {
            continue;
        };
        let kind = policy
            .reason(reason_code)
            .map_or(CaseKind::Dispute, |reason| reason.kind);
        let case = steps::open(
            New {
                id: CaseId::generate(),
                case_ref,
                kind,
                account,
                account_ref,
                currency,
                lines: &lines,
                reason_code,
                raised_at: meta.time,
                processor: None,
                origin,
                cause: meta.id,
            },
            &items,
            policy,
            now,
        )?;
        let said = format!("{words}: {} in question", case.in_question()?.display_uk());
        desk.add(case, said, meta);
    }
    Ok(())
}
