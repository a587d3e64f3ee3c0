//! The ladder: what a receipt pays, from the surest evidence down.
//!
//! 1. Our own payment reference (with valid check digits, or as billing gave
//!    it) or a document number in the payer's words. The amount decides: what
//!    is named must add up to the receipt to the penny, or, for one own
//!    reference alone, be a part of what is open.
//! 2. A known payer with exactly one item of that amount: a suggestion.
//!
//! Whatever is ambiguous or contradicts itself is left to a person, with the
//! reasons. Precision is the gate, rate is the score.

use std::collections::BTreeSet;

use contracts::allocation::{Decision, Evidence, Rule};
use kernel::{AccountId, DocumentId, Money, MoneyError};

use super::ledger::{Books, Item, Line, Proposal, Receipt};

/// Documents named by one receipt that are still paid automatically; a longer
/// list is a remittance, and comes as one.
const NAMED_MAX: usize = 30;
/// Suggestions kept with a receipt.
const SUGGESTIONS_MAX: usize = 5;

/// What the ladder says.
#[derive(Debug)]
pub struct Verdict {
    /// To post at once; empty if a person has to look.
    pub lines: Vec<Line>,
    pub decision: Decision,
    /// Whose money it is, as far as that is certain.
    pub payer: Option<AccountId>,
    pub suggestions: Vec<Proposal>,
}

/// Decides about the money that is left on `receipt`.
///
/// # Errors
/// When amounts overflow.
pub fn decide(receipt: &Receipt, books: &Books) -> Result<Verdict, MoneyError> {
    let named = Named::by(receipt, books);
    let payer = payer_of(receipt, books);
    if let Some(verdict) = by_reference(receipt, books, &named, payer.as_ref())? {
        return Ok(verdict);
    }
    Ok(by_payer(receipt, books, &named, payer))
}

/// Items that the payer's words name.
struct Named<'b> {
    open: Vec<&'b Item>,
    /// Named by our own payment reference rather than a document number.
    own: BTreeSet<DocumentId>,
    /// Named, but nothing is left of them.
    paid: Vec<&'b Item>,
    /// Named, but in another currency.
    foreign: Vec<&'b Item>,
    /// Keys that name more than one item.
    ambiguous: Vec<&'b str>,
}

impl<'b> Named<'b> {
    fn by(receipt: &'b Receipt, books: &'b Books) -> Self {
        let mut named = Self {
            open: Vec::new(),
            own: BTreeSet::new(),
            paid: Vec::new(),
            foreign: Vec::new(),
            ambiguous: Vec::new(),
        };
        let mut seen = BTreeSet::new();
        for key in &receipt.tokens {
            let items: Vec<&Item> = books.named(key).collect();
            if items.len() > 1 && items.iter().filter(|i| !i.open.is_zero()).count() > 1 {
                named.ambiguous.push(key);
            }
            for item in items {
                if item.payment_key.as_ref() == Some(key) {
                    named.own.insert(item.id);
                }
                if !seen.insert(item.id) {
                    continue;
                }
                if item.open.currency() != receipt.unallocated.currency() {
                    named.foreign.push(item);
                } else if item.open.is_zero() {
                    named.paid.push(item);
                } else {
                    named.open.push(item);
                }
            }
        }
        // Credit notes first or last makes no difference to the sum, but the
        // rows should read the same every time.
        named.open.sort_by_key(|item| (item.due_on, item.id));
        named
    }

    fn rule(&self) -> Rule {
        if !self.open.is_empty() && self.open.iter().all(|item| self.own.contains(&item.id)) {
            Rule::OwnReference
        } else {
            Rule::DocumentNumber
        }
    }

    fn evidence(&self) -> Vec<Evidence> {
        let mut evidence: Vec<Evidence> = self
            .open
            .iter()
            .take(NAMED_MAX)
            .map(|item| {
                let what = if self.own.contains(&item.id) {
                    "our payment reference of"
                } else {
                    "the number of"
                };
                say(
                    "reference",
                    true,
                    format!("the text has {what} {}", item.document_ref),
                )
            })
            .collect();
        for item in &self.paid {
            evidence.push(say(
                "already_paid",
                false,
                format!(
                    "{} is paid already: this may be a duplicate payment",
                    item.document_ref
                ),
            ));
        }
        for item in &self.foreign {
            evidence.push(say(
                "currency",
                false,
                format!(
                    "{} is in {}",
                    item.document_ref,
                    item.open.currency().code()
                ),
            ));
        }
        for key in &self.ambiguous {
            evidence.push(say(
                "reference",
                false,
                format!("`{key}` names more than one open document"),
            ));
        }
        evidence
    }
}

fn say(kind: &str, supports: bool, detail: String) -> Evidence {
    Evidence {
        kind: kind.to_owned(),
        supports,
        detail,
    }
}

/// Rungs one and two: what is named must add up.
fn by_reference(
    receipt: &Receipt,
    books: &Books,
    named: &Named<'_>,
    payer: Option<&Payer>,
) -> Result<Option<Verdict>, MoneyError> {
    let cash = receipt.unallocated;
    let Some(first) = named.open.first() else {
        return Ok(None);
    };
    let total = Money::sum(named.open.iter().map(|item| item.open), cash.currency())?;
    let one_account = named
        .open
        .iter()
        .all(|item| item.account_id == first.account_id);
    let mut evidence = named.evidence();
    if let Some(payer) = payer {
        evidence.push(payer.evidence(first.account_id));
    }
    let exact = total == cash;
    // One own reference alone is proof enough of the document for a part
    // payment; a document number is not, because people mistype those.
    let part = named.open.len() == 1
        && named.own.contains(&first.id)
        && cash.checked_cmp(first.open)?.is_lt()
        && first.open.is_positive();
    let contradicted = !named.ambiguous.is_empty()
        || !named.paid.is_empty()
        || !named.foreign.is_empty()
        || !one_account
        || named.open.len() > NAMED_MAX;

    if (exact || part) && !contradicted {
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
        let lines = named
            .open
            .iter()
            .map(|item| Line {
                document: item.id,
                amount: if part { cash } else { item.open },
            })
            .collect();
        return Ok(Some(Verdict {
            lines,
            decision: Decision {
                rule: named.rule(),
                evidence,
                runner_up: runner_up(receipt, books, named, payer),
                would_have_matched: None,
            },
            payer: Some(first.account_id),
            suggestions: Vec::new(),
        }));
    }

    // A person decides; the best guess is what the payer named, as far as the
    // cash goes.
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
            "the documents named are of different accounts".into(),
        ));
        "automatic if all documents named were of one account".to_owned()
    } else {
        "automatic if only the open documents were named, each once".to_owned()
    };
    let lines = spread(cash, &named.open)?;
    let mut suggestions = Vec::new();
    if !lines.is_empty() && one_account {
        suggestions.push(Proposal {
            rule: named.rule(),
            confidence: if named.ambiguous.is_empty() && named.paid.is_empty() {
                "medium"
            } else {
                "low"
            },
            account: first.account_id,
            lines,
            evidence: evidence.clone(),
        });
    }
    // E2: the amount of another item never outvotes the reference, but the
    // person should see it.
    let account = one_account.then_some(first.account_id);
    for item in same_amount(cash, books, account.or(payer.and_then(|p| p.account))) {
        if !named.open.iter().any(|n| n.id == item.id) {
            let mut evidence = vec![
                say(
                    "amount",
                    true,
                    format!("{} is open with exactly this amount", item.document_ref),
                ),
                say("reference", false, "the text names another document".into()),
            ];
            if let Some(payer) = payer {
                evidence.push(payer.evidence(item.account_id));
            }
            suggestions.push(whole(item, "low", evidence));
        }
    }
    suggestions.truncate(SUGGESTIONS_MAX);
    Ok(Some(Verdict {
        lines: Vec::new(),
        decision: Decision {
            rule: Rule::None,
            evidence,
            runner_up: None,
            would_have_matched: Some(would),
        },
        payer: account.or(payer.and_then(|p| p.account)),
        suggestions,
    }))
}

/// As much of `cash` as the items take, in their order: credit notes whole
/// first, because they make room.
fn spread(cash: Money, items: &[&Item]) -> Result<Vec<Line>, MoneyError> {
    let mut left = cash;
    let mut lines = Vec::new();
    for item in items.iter().filter(|item| item.open.is_negative()) {
        left = left.checked_sub(item.open)?;
        lines.push(Line {
            document: item.id,
            amount: item.open,
        });
    }
    for item in items.iter().filter(|item| item.open.is_positive()) {
        if !left.is_positive() {
            break;
        }
        let amount = if left.checked_cmp(item.open)?.is_lt() {
            left
        } else {
            item.open
        };
        left = left.checked_sub(amount)?;
        lines.push(Line {
            document: item.id,
            amount,
        });
    }
    // Credit alone is no use of cash.
    if !lines.iter().any(|line| line.amount.is_positive()) {
        lines.clear();
    }
    Ok(lines)
}

/// Who paid, as far as the bank's words tell.
struct Payer {
    account: Option<AccountId>,
    how: &'static str,
}

impl Payer {
    fn evidence(&self, of: AccountId) -> Evidence {
        match self.account {
            Some(account) if account == of => say(
                self.how,
                true,
                format!("the {} is this account's", self.noun()),
            ),
            Some(_) => say(
                self.how,
                false,
                format!("the {} is another account's", self.noun()),
            ),
            None => say(
                self.how,
                false,
                format!("the {} belongs to more than one account", self.noun()),
            ),
        }
    }

    fn noun(&self) -> &'static str {
        if self.how == "payer_account" {
            "payer's bank account"
        } else {
            "payer's name"
        }
    }
}

/// The payer's bank account before its name; a tie is no answer.
fn payer_of(receipt: &Receipt, books: &Books) -> Option<Payer> {
    let look = |key: &str, how| {
        let accounts = books.payers.get(key)?;
        Some(Payer {
            account: match accounts.as_slice() {
                [one] => Some(*one),
                _ => None,
            },
            how,
        })
    };
    receipt
        .payer_account
        .as_deref()
        .and_then(|key| look(key, "payer_account"))
        .or_else(|| {
            let name = super::name_key(receipt.payer_name.as_deref()?);
            look(&name, "payer_name")
        })
}

fn same_amount(cash: Money, books: &Books, account: Option<AccountId>) -> Vec<&Item> {
    let mut items: Vec<&Item> = books
        .items
        .values()
        .filter(|item| Some(item.account_id) == account && item.open == cash)
        .collect();
    items.sort_by_key(|item| (item.due_on, item.id));
    items
}

fn whole(item: &Item, confidence: &'static str, evidence: Vec<Evidence>) -> Proposal {
    Proposal {
        rule: Rule::PayerAmount,
        confidence,
        account: item.account_id,
        lines: vec![Line {
            document: item.id,
            amount: item.open,
        }],
        evidence,
    }
}

/// What else could have been meant by a receipt that was posted.
fn runner_up(
    receipt: &Receipt,
    books: &Books,
    named: &Named<'_>,
    payer: Option<&Payer>,
) -> Option<String> {
    let account = payer
        .and_then(|p| p.account)
        .or(named.open.first().map(|i| i.account_id));
    same_amount(receipt.unallocated, books, account)
        .into_iter()
        .find(|item| !named.open.iter().any(|n| n.id == item.id))
        .map(|item| {
            format!(
                "{} has the same amount open, but is not named",
                item.document_ref
            )
        })
}

/// Rung three: a known payer and exactly one item of that amount is a
/// suggestion; E1: two are shown and none is preferred.
fn by_payer(receipt: &Receipt, books: &Books, named: &Named<'_>, payer: Option<Payer>) -> Verdict {
    let mut evidence = named.evidence();
    let Some(payer) = payer else {
        evidence.push(say(
            "payer",
            false,
            "neither the payer's bank account nor its name is known".into(),
        ));
        return Verdict {
            lines: Vec::new(),
            decision: Decision {
                rule: Rule::None,
                evidence,
                runner_up: None,
                would_have_matched: Some(
                    "automatic if the text named an open document of this amount".into(),
                ),
            },
            payer: None,
            suggestions: Vec::new(),
        };
    };
    let items = same_amount(receipt.unallocated, books, payer.account);
    let unique = items.len() == 1 && named.paid.is_empty() && named.foreign.is_empty();
    evidence.push(payer.evidence(payer.account.unwrap_or(AccountId::from(uuid::Uuid::nil()))));
    if payer.account.is_some() {
        let detail = match items.len() {
            0 => "no open document of the payer has this amount".to_owned(),
            1 => "exactly one open document of the payer has this amount".to_owned(),
            n => format!("{n} open documents of the payer have this amount"),
        };
        evidence.push(say("amount", items.len() == 1, detail));
    }
    let suggestions = items
        .iter()
        .take(SUGGESTIONS_MAX)
        .map(|item| whole(item, if unique { "high" } else { "low" }, evidence.clone()))
        .collect();
    Verdict {
        lines: Vec::new(),
        decision: Decision {
            rule: Rule::None,
            evidence,
            runner_up: items
                .get(1)
                .map(|item| format!("{} has the same amount open", item.document_ref)),
            would_have_matched: Some("automatic if the text named the document".into()),
        },
        payer: payer.account,
        suggestions,
    }
}

#[cfg(test)]
mod tests;
