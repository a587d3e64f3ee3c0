//! The lower rungs: nothing open is named, but the payer is known.

use std::collections::BTreeSet;

use chrono::Datelike as _;
use contracts::allocation::{Evidence, Rule};
use kernel::{AccountId, Money, MoneyError};

use super::{
    Named, Payer, Verdict, automatic, by_share, left, owed, spread, stray, unknown_number, whole,
};
use crate::domain::{
    evidence::say,
    ledger::{Books, Item, Proposal, Receipt},
    rules,
    subset::{self, CANDIDATES_MAX, Sums},
};

/// A document of the same amount this young and paid already makes a second
/// payment look like a duplicate rather than like the next instalment (E5, E6).
const SAME_PERIOD_DAYS: i64 = 25;
/// So many possible sums for each set that is tried are needed before that one
/// of them fits is more than chance, with a payer who is certain…
const SUMS_PER_SET: u128 = 3_000;
/// …and with one who is known by name only.
const SUMS_PER_SET_BY_NAME: u128 = 30_000;
/// The same for a single item of the amount, by name only.
const SUMS_PER_ITEM_BY_NAME: u128 = 500;
/// More open items than this, and only a person sees through them.
const GROUPS_OF_MAX: usize = 200;
/// Document numbers in one sentence at most.
const NUMBERS_MAX: usize = 4;
/// Documents of the amount, of whomever, that are weighed at most.
const OF_ANYBODY_MAX: usize = 20;
/// Sets that add up and are weighed, at most.
const SETS_MAX: usize = 60;

/// Items that add up, and why just these.
struct Candidate<'b> {
    rule: Rule,
    items: Vec<&'b Item>,
    why: String,
    /// Why a person has to look; `None`: nothing else could be meant.
    doubt: Option<String>,
    /// Another rung that comes to the same, and has no doubt either.
    also: Option<Rule>,
}

impl Candidate<'_> {
    fn proposal(&self, confidence: &'static str, account: AccountId) -> Proposal {
        let mut evidence = vec![say("amount", true, self.why.clone())];
        evidence.extend(self.doubt.iter().map(|d| say("doubt", false, d.clone())));
        let numbers: Vec<&str> = self
            .items
            .iter()
            .take(NUMBERS_MAX)
            .map(|item| item.document_ref.as_str())
            .collect();
        Proposal {
            rule: self.rule,
            confidence,
            account,
            lines: whole(self.items.iter().copied()),
            evidence,
            score: None,
            would: Some(if self.items.len() > NUMBERS_MAX {
                "automatic if the text named these documents".to_owned()
            } else {
                format!("automatic if the text named {}", numbers.join(", "))
            }),
        }
    }
}

pub(super) fn decide(
    receipt: &Receipt,
    books: &Books,
    named: &Named<'_>,
    payer: Option<Payer>,
) -> Result<Verdict, MoneyError> {
    let cash = receipt.unallocated;
    let mut evidence = named.evidence();
    evidence.push(match payer {
        Some(payer) => payer.evidence(payer.account),
        None => say(
            "payer",
            false,
            "neither the payer's bank account nor its name is known",
        ),
    });
    let Some((payer, account)) = payer.and_then(|payer| Some((payer, payer.account?))) else {
        return Ok(left(
            None,
            evidence,
            None,
            "automatic if the text named an open document of this amount",
            of_anybody(receipt, books),
        ));
    };
    let open = owed(account, cash, books);
    let veto = vetoes(receipt, account, books, named);
    let truncated = books.truncated.contains(&account) || open.len() > GROUPS_OF_MAX;
    let candidates = if truncated {
        of_amount(
            cash,
            &open,
            Some("the payer has more open documents than can be searched"),
        )
    } else {
        candidates(receipt, payer, &open)?
    };

    let certain = candidates
        .first()
        .filter(|first| first.doubt.is_none() && veto.is_empty() && payer.may_post());
    if let Some(first) = certain {
        evidence.push(say("amount", true, first.why.clone()));
        let runner_up = candidates
            .get(1)
            .map(|second| second.proposal("low", account));
        let lines = whole(first.items.iter().copied());
        let verdict = automatic(first.rule, account, lines, evidence, runner_up);
        return Ok(Verdict {
            also: first.also.into_iter().collect(),
            ..verdict
        });
    }

    let would = match candidates.first() {
        None => {
            evidence.push(say(
                "amount",
                false,
                "no open documents of the payer add up to this amount",
            ));
            "automatic if the text named open documents of this amount"
        }
        Some(first) => {
            evidence.push(say("amount", first.doubt.is_none(), first.why.clone()));
            evidence.extend(first.doubt.clone().map(|doubt| say("doubt", false, doubt)));
            "automatic if the text named the documents"
        }
    };
    let contrary = !veto.is_empty() || !payer.may_post();
    evidence.extend(veto.iter().cloned());
    let mut suggestions: Vec<Proposal> = candidates
        .iter()
        .map(|candidate| {
            let confidence = match (&candidate.doubt, candidates.len()) {
                (None, _) if !contrary => "high",
                (_, 1) if !contrary => "medium",
                _ => "low",
            };
            let mut proposal = candidate.proposal(confidence, account);
            proposal.evidence.push(payer.evidence(Some(account)));
            proposal.evidence.extend(veto.iter().cloned());
            proposal
        })
        .collect();
    // E7: a document less a discount, or a stage of it.
    if suggestions.is_empty()
        && let Some((item, tenths)) = by_share::find(cash, &open)
    {
        let mut proposal = by_share::show(cash, item, tenths);
        proposal.evidence.push(payer.evidence(Some(account)));
        suggestions.push(proposal);
    }
    // Something for the person to begin with: the oldest first.
    let oldest = spread(cash, &rules::in_order(account, receipt, books, &open))?;
    if candidates.is_empty() && !oldest.is_empty() {
        suggestions.push(Proposal {
            rule: Rule::Balance,
            confidence: "low",
            account,
            lines: oldest,
            evidence: vec![say(
                "amount",
                false,
                "on the oldest documents, as nothing adds up",
            )],
            score: None,
            would: None,
        });
    }
    let runner_up = candidates.get(1).map(|second| second.why.clone());
    Ok(left(Some(account), evidence, runner_up, would, suggestions))
}

/// What speaks against any automatic match of this payer's items.
fn vetoes(
    receipt: &Receipt,
    account: AccountId,
    books: &Books,
    named: &Named<'_>,
) -> Vec<Evidence> {
    let mut veto: Vec<Evidence> = Vec::new();
    if !named.paid.is_empty() || !named.foreign.is_empty() {
        veto.push(say(
            "reference",
            false,
            "the text names a document that this cash cannot pay",
        ));
    }
    // E6: the same amount a second time within one period.
    let paid_lately = books.of_account(account).find(|item| {
        item.open.is_zero()
            && item.amount == receipt.unallocated
            && (receipt.booked_on - item.issued_on).num_days() < SAME_PERIOD_DAYS
    });
    if let Some(item) = paid_lately {
        veto.push(say(
            "already_paid",
            false,
            format!(
                "{} had this amount and is paid already: this may be a duplicate payment",
                item.document_ref
            ),
        ));
    }
    if stray(receipt, account, books).is_some() {
        veto.push(unknown_number());
    }
    veto
}

/// Whoever paid: the few documents of exactly this amount, of those accounts
/// that the bank account may belong to, or else of anybody.
fn of_anybody(receipt: &Receipt, books: &Books) -> Vec<Proposal> {
    let bank = receipt.payer_account.as_ref();
    let among = bank.and_then(|key| books.payers.get(key));
    let mut items: Vec<&Item> = books
        .of_amount(receipt.unallocated)
        .filter(|item| item.open == receipt.unallocated)
        .filter(|item| among.is_none_or(|accounts| accounts.contains(&item.account_id)))
        .collect();
    // E7: those who may have paid may have paid less.
    if items.is_empty()
        && let Some((item, tenths)) =
            by_share::find(receipt.unallocated, &by_share::owed_by_any(receipt, books))
    {
        return vec![by_share::show(receipt.unallocated, item, tenths)];
    }
    // The nearest to its day first; how many more there are weighs nothing.
    items.sort_by_key(|item| {
        let days = (receipt.booked_on - item.due_on).num_days();
        (days.abs(), item.due_on, item.id)
    });
    items
        .into_iter()
        .take(OF_ANYBODY_MAX)
        .map(|item| Proposal {
            rule: Rule::PayerAmount,
            confidence: "low",
            account: item.account_id,
            lines: whole([item]),
            evidence: vec![
                say(
                    "amount",
                    true,
                    format!(
                        "{} of {} is open with exactly this amount",
                        item.document_ref, item.account_ref
                    ),
                ),
                say("payer", false, "nothing tells who paid"),
            ],
            score: None,
            would: Some(format!("automatic if the text named {}", item.document_ref)),
        })
        .collect()
}

/// Single items of the amount.
fn of_amount<'b>(cash: Money, open: &[&'b Item], doubt: Option<&str>) -> Vec<Candidate<'b>> {
    let same: Vec<&Item> = open
        .iter()
        .copied()
        .filter(|item| item.open == cash)
        .collect();
    let several = same.len() > 1;
    same.into_iter()
        .map(|item| Candidate {
            rule: Rule::PayerAmount,
            items: vec![item],
            why: format!(
                "{} of the payer is open with exactly this amount",
                item.document_ref
            ),
            doubt: if several {
                // E1
                Some("more than one open document of the payer has this amount".to_owned())
            } else {
                doubt.map(str::to_owned)
            },
            also: None,
        })
        .collect()
}

/// Everything of the payer that adds up to the cash, the most natural first.
fn candidates<'b>(
    receipt: &Receipt,
    payer: Payer,
    open: &[&'b Item],
) -> Result<Vec<Candidate<'b>>, MoneyError> {
    let cash = receipt.unallocated;
    let target = units(cash);
    let amounts: Vec<i128> = open.iter().map(|item| units(item.open)).collect();
    let sums = subset::sums(target, &amounts);
    let possible = subset::possible_sums(&amounts);
    let mut candidates = of_amount(cash, open, None);
    if let [only] = candidates.as_mut_slice() {
        let others = !matches!(sums, Sums::One(_));
        let chance = !payer.is_strong() && (open.len() as u128) * SUMS_PER_ITEM_BY_NAME > possible;
        only.doubt = if others {
            Some("other documents of the payer add up to this amount too".to_owned())
        } else if chance {
            Some("the payer is known by name only, and the amount is a common one".to_owned())
        } else {
            None
        };
        only.also = (open.len() == 1).then_some(Rule::Balance);
    }
    let single = !candidates.is_empty();
    for (items, why) in balances(receipt, open) {
        if items.len() > 1 && Money::sum(items.iter().map(|i| i.open), cash.currency())? == cash {
            // Everything, without a credit note: nothing else can add up to it.
            let proved = items.len() == open.len() && items.iter().all(|i| i.open.is_positive());
            let unique = match &sums {
                Sums::None => true,
                Sums::One(one) => one.len() == items.len(),
                Sums::Several(..) | Sums::Unknown => false,
            };
            let doubt = if single {
                Some("a single document of the payer has this amount too".to_owned())
            } else if proved || (unique && possible >= SUMS_PER_SET) {
                None
            } else {
                Some("other documents of the payer may add up to this amount too".to_owned())
            };
            candidates.push(Candidate {
                rule: Rule::Balance,
                items,
                why,
                doubt,
                also: None,
            });
            break;
        }
    }
    let per_set = if payer.is_strong() {
        SUMS_PER_SET
    } else {
        SUMS_PER_SET_BY_NAME
    };
    let by_chance = subset::sets(open.len()) * per_set > possible;
    let mut add = |places: &[usize], unique: bool| {
        let items: Vec<&Item> = places
            .iter()
            .filter_map(|&at| open.get(at).copied())
            .collect();
        let known = candidates.iter_mut().find(|c| {
            c.items.len() == items.len()
                && c.items.iter().all(|i| items.iter().any(|j| j.id == i.id))
        });
        if let Some(known) = known {
            if unique && !by_chance && known.rule == Rule::Balance {
                known.also = Some(Rule::SubsetSum);
            }
            return;
        }
        if items.len() < 2 {
            return;
        }
        let doubt = if !unique {
            Some("more than one set of documents adds up to this amount".to_owned())
        } else if by_chance {
            Some("so many sets of documents were tried that one may fit by chance".to_owned())
        } else {
            None
        };
        candidates.push(Candidate {
            rule: Rule::SubsetSum,
            why: format!(
                "{} documents of the payer add up to this amount",
                items.len()
            ),
            items,
            doubt,
            also: None,
        });
    };
    match &sums {
        Sums::One(one) => add(one, true),
        Sums::None => {}
        // Whichever a person may mean: weighed afterwards.
        Sums::Several(..) | Sums::Unknown => {
            // Of a long account the oldest only.
            let among = amounts.get(..CANDIDATES_MAX).unwrap_or(&amounts);
            for set in subset::some(target, among, SETS_MAX) {
                add(&set, false);
            }
        }
    }
    for (items, why) in groups(open) {
        if items.len() > 1
            && Money::sum(items.iter().map(|i| i.open), cash.currency())? == cash
            && !candidates.iter().any(|c| c.items.len() == items.len())
        {
            candidates.push(Candidate {
                rule: Rule::SubsetSum,
                items,
                why,
                doubt: Some("nothing proves that no other documents add up to it".to_owned()),
                also: None,
            });
        }
    }
    // Nobody proves that a long list is the only one, but a person may well have
    // paid it.
    if candidates.is_empty() && sums == Sums::None {
        for set in subset::larger(target, &amounts, SETS_MAX) {
            let items: Vec<&Item> = set.iter().filter_map(|&at| open.get(at).copied()).collect();
            candidates.push(Candidate {
                rule: Rule::SubsetSum,
                why: format!(
                    "{} documents of the payer add up to this amount",
                    items.len()
                ),
                items,
                doubt: Some("so many documents could add up to it by chance".to_owned()),
                also: None,
            });
        }
    }
    Ok(candidates)
}

/// All that is owed, and all that is due.
fn balances<'b>(receipt: &Receipt, open: &[&'b Item]) -> [(Vec<&'b Item>, String); 2] {
    let due = open
        .iter()
        .copied()
        .filter(|item| item.due_on <= receipt.booked_on)
        .collect();
    [
        (open.to_vec(), "it is all that the payer owes".to_owned()),
        (due, "it is all of the payer's that is due".to_owned()),
    ]
}

/// Other groups that people pay together: the oldest so many, a month's.
fn groups<'b>(open: &[&'b Item]) -> Vec<(Vec<&'b Item>, String)> {
    let mut groups: Vec<(Vec<&Item>, String)> = (2..open.len())
        .filter_map(|count| {
            Some((
                open.get(..count)?.to_vec(),
                format!("they are the {count} oldest documents of the payer"),
            ))
        })
        .collect();
    let months: BTreeSet<(i32, u32)> = open
        .iter()
        .map(|item| (item.issued_on.year(), item.issued_on.month()))
        .collect();
    for (year, month) in months {
        let items = open
            .iter()
            .copied()
            .filter(|item| (item.issued_on.year(), item.issued_on.month()) == (year, month))
            .collect();
        groups.push((
            items,
            format!("they are the payer's documents of {month}/{year}"),
        ));
    }
    groups
}

/// The amount in ten-thousandths, the finest that the ledger keeps.
pub(super) fn units(money: Money) -> i128 {
    let mut amount = money.amount();
    amount.rescale(4);
    amount.mantissa()
}
