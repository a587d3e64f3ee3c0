//! The upper rungs: what the payer names must add up.

use contracts::allocation::Rule;
use kernel::{Money, MoneyError};

use super::{
    Named, Payer, Verdict, automatic, left, named::How, same_amount, spread, stray, unknown_number,
    whole,
};
use crate::domain::{
    evidence::{is_near, is_slip, say, shape},
    ledger::{Books, Line, Proposal, Receipt},
    rules::{self, Meant},
};

/// What is named, if anything open is.
pub(super) fn decide(
    receipt: &Receipt,
    books: &Books,
    named: &Named<'_>,
    payer: Option<Payer>,
) -> Result<Option<Verdict>, MoneyError> {
    let cash = receipt.unallocated;
    let Some(first) = named.open.first() else {
        return Ok(None);
    };
    let sum = |named: &Named<'_>| Money::sum(named.open.iter().map(|i| i.open), cash.currency());
    let shortened = if sum(named)? == cash {
        None
    } else {
        named.shortened(receipt, books)
    };
    // Only if it then adds up: the last digits alone say little.
    let named = match &shortened {
        Some(more) if sum(more)? == cash => more,
        _ => named,
    };
    let total = sum(named)?;
    let one_account = named
        .open
        .iter()
        .all(|item| item.account_id == first.account_id);
    let mut evidence = named.evidence();
    evidence.extend(payer.map(|payer| payer.evidence(Some(first.account_id))));
    let exact = total == cash;
    // One own reference alone is proof enough of the document for a part
    // payment; a document number is not, because people mistype those.
    let part = named.open.len() == 1
        && named.own.contains(&first.id)
        && cash.checked_cmp(first.open)?.is_lt()
        && first.open.is_positive();
    // What the payer owes of this amount itself: then the number may be the
    // mistake (E3).
    let payers_own = payer
        .and_then(|payer| payer.account)
        .filter(|account| *account != first.account_id);
    let rivals = same_amount(cash, books, payers_own);
    let payer_agrees = match named.how {
        How::Exactly => rivals.is_empty(),
        // A number on its own could be anything: nobody else may have paid.
        How::Tail => payers_own.is_none(),
        How::Near => {
            payers_own.is_none() && (shortened.is_some() || payer.is_some_and(Payer::may_post))
        }
    };
    // A full number of the series that no document has: not this one (E22).
    let stray = (named.how == How::Near && shortened.is_none())
        .then(|| stray(receipt, first.account_id, books))
        .flatten()
        .filter(|key| !named.open.iter().any(|item| is_slip(key, &item.ref_key)));
    evidence.extend(stray.map(|_| unknown_number()));

    // A whole number that no document has may be one that is yet to be issued
    // (E22): a slip of another is believed only where the payer has never been
    // billed this amount but once.
    let slip = named.how == How::Near
        && shortened.is_none()
        && named.open.iter().any(|item| {
            let mut tokens = receipt.tokens.iter();
            tokens.any(|key| shape(key) == shape(&item.ref_key) && is_slip(key, &item.ref_key))
        });
    let billed = books.of_account(first.account_id);
    let common = slip && billed.filter(|item| item.amount == cash).count() > 1;
    if common {
        evidence.push(say(
            "doubt",
            false,
            "the number may be one that is yet to be issued: the payer is billed this amount often",
        ));
    }

    let agreed = payer_agrees && stray.is_none() && !common;
    // Certain but for the amount, and no list of the payer's says otherwise.
    let sure = one_account
        && agreed
        && payers_own.is_none()
        && named.how == How::Exactly
        && !named.contradicts_itself()
        && receipt.advice.iter().all(|line| {
            let mut meant = named.open.iter().filter(|item| item.ref_key == line.key);
            meant.all(|item| item.open.abs() == line.amount.abs())
        });
    let meant = (sure && !exact).then(|| Meant {
        rule: named.rule(),
        account: first.account_id,
        documents: named.open.iter().map(|item| item.id).collect(),
        advised: None,
    });
    if (exact || part) && one_account && agreed && !named.contradicts_itself() {
        evidence.push(if exact {
            say(
                "amount",
                true,
                format!("the amount is exactly what is open, {}", cash.display_uk()),
            )
        } else {
            say(
                "amount",
                true,
                format!(
                    "{} of {} open: a part payment",
                    cash.display_uk(),
                    first.open.display_uk()
                ),
            )
        });
        let lines = if part {
            vec![Line {
                document: first.id,
                amount: cash,
            }]
        } else {
            whole(named.open.iter().copied())
        };
        let runner_up = same_amount(cash, books, Some(first.account_id))
            .into_iter()
            .find(|item| !named.open.iter().any(|n| n.id == item.id))
            .map(|item| Proposal {
                rule: Rule::PayerAmount,
                confidence: "low",
                account: item.account_id,
                lines: whole([item]),
                evidence: vec![say(
                    "amount",
                    true,
                    format!(
                        "{} has the same amount open, but is not named",
                        item.document_ref
                    ),
                )],
                score: None,
                would: None,
            });
        let verdict = automatic(named.rule(), first.account_id, lines, evidence, runner_up);
        return Ok(Some(Verdict { meant, ..verdict }));
    }

    let would = if !exact && !part {
        evidence.push(say(
            "amount",
            false,
            format!(
                "{} was paid, {} is open on what is named",
                cash.display_uk(),
                total.display_uk()
            ),
        ));
        format!("automatic if the amount were {}", total.display_uk())
    } else if !one_account {
        evidence.push(say(
            "account",
            false,
            "the documents named are of different accounts",
        ));
        "automatic if all documents named were of one account".to_owned()
    } else if !agreed {
        "automatic if nothing named another payer or document".to_owned()
    } else {
        "automatic if only the open documents were named, each once".to_owned()
    };
    let mut suggestions = Vec::new();
    let in_order = rules::in_order(first.account_id, receipt, books, &named.open);
    let lines = spread(cash, &in_order)?;
    if !lines.is_empty() && one_account {
        suggestions.push(Proposal {
            rule: named.rule(),
            confidence: if named.contradicts_itself() || !agreed {
                "low"
            } else {
                "medium"
            },
            account: first.account_id,
            lines,
            evidence: evidence.clone(),
            score: None,
            would: None,
        });
    }
    // E2: the amount of another item never outvotes the reference by itself,
    // but the person should see both.
    let account = one_account.then_some(first.account_id);
    let known = payer.and_then(|payer| payer.account);
    for item in same_amount(cash, books, known.or(account)) {
        let meant = named.open.iter().any(|n| n.id == item.id);
        if meant && named.open.len() == 1 {
            continue;
        }
        let near = receipt.tokens.iter().any(|key| is_near(key, &item.ref_key));
        let mut evidence = vec![
            say(
                "amount",
                true,
                format!("{} is open with exactly this amount", item.document_ref),
            ),
            if meant {
                say("reference", true, "the text names it among others")
            } else {
                say("reference", near, "the text names another document")
            },
        ];
        evidence.extend(payer.map(|payer| payer.evidence(Some(item.account_id))));
        suggestions.push(Proposal {
            rule: Rule::PayerAmount,
            confidence: "low",
            account: item.account_id,
            lines: whole([item]),
            evidence,
            score: None,
            would: Some(format!("automatic if the text named {}", item.document_ref)),
        });
    }
    let verdict = left(account.or(known), evidence, None, would, suggestions);
    Ok(Some(Verdict { meant, ..verdict }))
}
