//! The first rung: the payer's own list of documents and amounts, with the
//! money or in a remittance advice that came apart from it.

use std::collections::BTreeSet;

use contracts::allocation::{Evidence, Rule};
use kernel::{AccountId, DocumentId, Money, MoneyError};

use super::{Named, Payer, Verdict, automatic, owed};
use crate::domain::{
    Advised,
    evidence::{is_near, say, without_zeros},
    ledger::{Books, Item, Line, Proposal, Receipt},
    remittance::Found,
    rules::Meant,
};

/// Lines that are told one by one, at most.
const TOLD_MAX: usize = 10;

/// What a payer's list comes to on the ledger.
pub(super) struct List<'b> {
    /// Lines that can be followed, in the order of the list.
    pub(super) lines: Vec<Line>,
    pub(super) items: Vec<&'b Item>,
    /// Whose list it is.
    account: Option<AccountId>,
    told: usize,
    /// Why it cannot be followed to the letter.
    trouble: Vec<Evidence>,
    /// The payer owes the same amounts on other documents too.
    twin: bool,
}

/// Reads `told` against the ledger: every line has to name one open document of
/// one account and no more than is open, and together they have to be the cash.
pub(super) fn follow<'b>(
    receipt: &Receipt,
    books: &'b Books,
    payer: Option<Payer>,
    told: &[Advised],
) -> Result<List<'b>, MoneyError> {
    let cash = receipt.unallocated;
    let payable = |item: &&Item| !item.open.is_zero() && item.open.currency() == cash.currency();
    // Whose list it is: the payer's, or of the first document that is found.
    let account = payer.and_then(|payer| payer.account).or_else(|| {
        let mut found = told.iter().flat_map(|line| books.named(&line.key));
        found.find(payable).map(|item| item.account_id)
    });
    let mut list = List {
        lines: Vec::with_capacity(told.len()),
        items: Vec::with_capacity(told.len()),
        account,
        told: told.len(),
        trouble: Vec::new(),
        twin: false,
    };
    let mut seen = BTreeSet::new();
    // Lines whose number is no document's.
    let mut astray: Vec<&Advised> = Vec::new();
    let mut sum = Money::zero(cash.currency());
    let mut all = sum;
    for advised in told {
        if advised.amount.currency() == cash.currency() {
            all = all.checked_add(advised.amount)?;
        }
        let mut open: Vec<&Item> = books.named(&advised.key).filter(payable).collect();
        let known = books.named(&advised.key).next().is_some();
        if open.is_empty()
            && !known
            && let Some(account) = account
        {
            // Mistyped or without its zeros, but the amount agrees.
            open = owed(account, cash, books);
            open.retain(|item| {
                item.open == advised.amount
                    && (is_near(&advised.key, &item.ref_key) || is_zeroless(&advised.key, item))
            });
        }
        let [item] = *open.as_slice() else {
            if open.is_empty() && !known {
                astray.push(advised);
            }
            list.object(
                "remittance",
                match (open.is_empty(), known) {
                    (true, true) => format!("nothing is open on {}, which is listed", advised.key),
                    // E12: somebody else's, or a debit note of the payer's own.
                    (true, false) => format!("{} is listed, but no document of ours", advised.key),
                    _ => format!("{} is listed, and several documents have it", advised.key),
                },
            );
            continue;
        };
        // Payers write a credit note with or without the minus.
        let amount = if item.open.is_negative() {
            advised.amount.abs().neg()
        } else {
            advised.amount
        };
        if !seen.insert(item.id) {
            list.object(
                "remittance",
                format!("{} is listed twice", item.document_ref),
            );
            continue;
        }
        let within = amount.is_negative() == item.open.is_negative() && !amount.is_zero();
        if !within {
            list.object(
                "amount",
                format!(
                    "{} is listed with {}",
                    item.document_ref,
                    amount.display_uk()
                ),
            );
            continue;
        }
        let amount = if amount.abs().checked_cmp(item.open.abs())?.is_gt() {
            list.object(
                "amount",
                format!(
                    "{} is listed with {}, {} is open",
                    item.document_ref,
                    amount.display_uk(),
                    item.open.display_uk()
                ),
            );
            item.open
        } else {
            amount
        };
        sum = sum.checked_add(amount)?;
        list.lines.push(Line {
            document: item.id,
            amount,
        });
        list.items.push(item);
    }
    if let Some(first) = list.items.first().copied() {
        list.account = Some(first.account_id);
        if list
            .items
            .iter()
            .any(|item| item.account_id != first.account_id)
        {
            list.object("account", "the documents listed are of different accounts");
        }
    }
    if sum != cash && list.trouble.is_empty() {
        // E11: a penny out.
        list.object(
            "amount",
            format!(
                "the list comes to {}, {} was paid",
                all.display_uk(),
                cash.display_uk()
            ),
        );
    }
    let sum = list.by_amounts(&astray, cash, sum, books)?;
    list.fit(cash, sum)?;
    Ok(list)
}

/// Whether a listed number is the item's without the zeros that its parts begin
/// with: `INV-18` for `INV-00018` (E4).
fn is_zeroless(key: &str, item: &Item) -> bool {
    without_zeros(&item.document_ref).replace('/', "") == key
}

impl<'b> List<'b> {
    /// Payers also list a document by a number of their own (an order's), or by
    /// one that nobody can read. Where the line's amount is that of one document
    /// alone that the same account owes and the list does not name, the person is
    /// shown that one. The line stays a trouble, so that nothing is posted
    /// because of it. Returns the new sum.
    fn by_amounts(
        &mut self,
        astray: &[&Advised],
        cash: Money,
        mut sum: Money,
        books: &'b Books,
    ) -> Result<Money, MoneyError> {
        let (Some(account), false) = (self.account, astray.is_empty()) else {
            return Ok(sum);
        };
        let mut others = owed(account, cash, books);
        others.retain(|item| self.items.iter().all(|listed| listed.id != item.id));
        for advised in astray {
            // Two lines of one amount say no more than two documents of it.
            let lines = astray.iter().filter(|line| line.amount == advised.amount);
            let mut of_amount = others
                .iter()
                .copied()
                .filter(|item| item.open == advised.amount);
            let (1, Some(item), None) = (lines.count(), of_amount.next(), of_amount.next()) else {
                continue;
            };
            sum = sum.checked_add(item.open)?;
            self.lines.push(Line {
                document: item.id,
                amount: item.open,
            });
            self.items.push(item);
            self.trouble.push(say(
                "amount",
                true,
                format!(
                    "{} is open with exactly the amount listed for {}",
                    item.document_ref, advised.key
                ),
            ));
        }
        Ok(sum)
    }

    fn object(&mut self, kind: &str, why: impl Into<String>) {
        self.trouble.push(say(kind, false, why));
    }

    /// Objects when the payer owes the same amounts once more on documents that
    /// are not listed: two payments of one total may be on their way, and only
    /// payer and total say which of them the list is about.
    pub(super) fn doubt_twins(&mut self, cash: Money, books: &Books) {
        let Some(account) = self.account.filter(|_| self.is_whole()) else {
            return;
        };
        let mut others: Vec<Money> = owed(account, cash, books)
            .into_iter()
            .filter(|item| self.items.iter().all(|listed| listed.id != item.id))
            .map(|item| item.open)
            .collect();
        self.twin = self.lines.iter().all(|line| {
            let same = others.iter().position(|open| *open == line.amount);
            same.map(|at| others.swap_remove(at)).is_some()
        });
        if self.twin {
            self.object(
                "amount",
                "the payer owes the same amounts on other documents too: the advice may be about another payment",
            );
        }
    }

    pub(super) const fn has_twin(&self) -> bool {
        self.twin
    }

    /// Whether it can be followed to the letter.
    pub(super) fn is_whole(&self) -> bool {
        self.trouble.is_empty() && !self.lines.is_empty()
    }

    /// Whether nothing that the text names is missing from it.
    pub(super) fn agrees_with(&self, named: &Named<'_>) -> bool {
        let listed = |item: &&Item| self.items.iter().any(|known| known.id == item.id);
        named.how != super::named::How::Exactly
            || (named.foreign.is_empty() && named.open.iter().all(listed))
    }

    /// Cuts the lines to what the cash can pay: off the largest last.
    fn fit(&mut self, cash: Money, sum: Money) -> Result<(), MoneyError> {
        let mut over = sum.checked_sub(cash)?;
        for line in self.lines.iter_mut().rev() {
            if !over.is_positive() {
                break;
            }
            if line.amount.is_positive() {
                let cut = if over.checked_cmp(line.amount)?.is_lt() {
                    over
                } else {
                    line.amount
                };
                line.amount = line.amount.checked_sub(cut)?;
                over = over.checked_sub(cut)?;
            }
        }
        self.lines.retain(|line| !line.amount.is_zero());
        Ok(())
    }
}

/// Posts what the list says.
pub(super) fn follow_up(
    receipt: &Receipt,
    payer: Option<Payer>,
    list: &List<'_>,
    found: &Found<'_>,
) -> Verdict {
    let account = list.account.or(payer.and_then(|payer| payer.account));
    let mut evidence = vec![say(
        "remittance",
        true,
        format!(
            "the payer lists {} documents, which add up to {}",
            list.items.len(),
            receipt.unallocated.display_uk()
        ),
    )];
    if let Found::One(_, why) = found {
        evidence.extend(why.iter().cloned());
    }
    match account {
        Some(account) => {
            evidence.extend(payer.map(|payer| payer.evidence(Some(account))));
            let lines = list.lines.clone();
            let in_part = lines
                .iter()
                .zip(&list.items)
                .any(|(l, i)| l.amount != i.open);
            let meant = in_part.then(|| Meant {
                rule: Rule::Remittance,
                account,
                documents: list.items.iter().map(|item| item.id).collect(),
                advised: Some(lines.clone()),
            });
            let verdict = automatic(Rule::Remittance, account, lines, evidence, None);
            Verdict { meant, ..verdict }
        }
        // Only a list without lines has no account, and that is never followed.
        None => super::left(None, evidence, None, "", Vec::new()),
    }
}

/// What the rest of the ladder says, with the list beside it: a payer who says
/// what is paid is never overruled by an amount that happens to fit (E2, E12).
pub(super) fn beside(
    mut verdict: Verdict,
    receipt: &Receipt,
    payer: Option<Payer>,
    list: &List<'_>,
    found: &Found<'_>,
) -> Result<Verdict, MoneyError> {
    let several = matches!(found, Found::Several(_));
    if list.told == 0 && !several {
        return Ok(verdict);
    }
    // A difference is settled only where text and list mean the same documents.
    let listed: BTreeSet<DocumentId> = list.items.iter().map(|item| item.id).collect();
    verdict.meant = verdict
        .meant
        .filter(|meant| meant.documents.iter().copied().collect::<BTreeSet<_>>() == listed);
    let mut why: Vec<Evidence> = match found {
        Found::One(_, why) | Found::Near(_, why) => why.clone(),
        Found::Several(advices) => vec![say(
            "remittance",
            false,
            format!(
                "{} remittance advices are about such a payment, and nothing tells which",
                advices.len()
            ),
        )],
        Found::None => Vec::new(),
    };
    why.extend(list.trouble.iter().take(TOLD_MAX).cloned());
    if list.is_whole() {
        why.push(say(
            "reference",
            false,
            "the text names a document that the advice does not list",
        ));
    }
    let would = match (found, list.trouble.first()) {
        (Found::Several(_), _) => "automatic if one of the advices had its reference in the text",
        (Found::Near(..), _) => "automatic if the advice came to the amount",
        _ if list.twin => "automatic if the advice had its reference in the text",
        (_, Some(_)) => "automatic if every line listed were an open document, with its amount",
        (_, None) => "automatic if text and advice named the same documents",
    };
    // What would have been posted is only shown.
    if let (false, Some(account)) = (verdict.lines.is_empty(), verdict.payer) {
        let mut evidence = std::mem::take(&mut verdict.decision.evidence);
        evidence.extend(why.iter().cloned());
        verdict.suggestions.clear();
        verdict.suggestions.push(Proposal {
            rule: verdict.decision.rule,
            confidence: "medium",
            account,
            lines: std::mem::take(&mut verdict.lines),
            evidence,
            score: None,
            would: Some(would.to_owned()),
        });
        verdict.decision.rule = Rule::None;
        verdict.decision.runner_up = None;
    }
    let sum = Money::sum(
        list.lines.iter().map(|line| line.amount),
        receipt.unallocated.currency(),
    )?;
    if let (Some(account), true) = (list.account, sum.is_positive()) {
        let of_one_account = list.items.iter().all(|item| item.account_id == account);
        if of_one_account {
            let mut evidence = why.clone();
            evidence.extend(payer.map(|payer| payer.evidence(Some(account))));
            verdict.suggestions.insert(
                0,
                Proposal {
                    rule: Rule::Remittance,
                    confidence: "medium",
                    account,
                    lines: list.lines.clone(),
                    evidence,
                    score: None,
                    would: Some(would.to_owned()),
                },
            );
        }
        verdict.payer = verdict.payer.or(Some(account));
    }
    verdict.decision.evidence.splice(0..0, why);
    verdict.decision.would_have_matched = Some(would.to_owned());
    Ok(verdict)
}
