//! Who paid, as far as the bank line tells.

use contracts::allocation::Evidence;
use kernel::AccountId;

use super::{
    evidence::say,
    ledger::{Books, Receipt},
    name_key,
};

/// What speaks for a payer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The bank account that the money came from.
    BankAccount,
    /// Our number of the account, in the payer's words.
    AccountNumber,
    /// The name, or its beginning, of one account only.
    Name,
    /// A bank account that a person has once shown to pay for the account,
    /// under a name that is not the account's.
    Learned,
}

/// Whose money it seems to be.
#[derive(Debug, Clone, Copy)]
pub struct Payer {
    /// `None`: it could be several (E15, E16): a tie is no answer.
    pub account: Option<AccountId>,
    pub by: By,
}

impl Payer {
    /// Whether it is more than a name, which somebody else may have too.
    pub fn is_strong(self) -> bool {
        matches!(self.by, By::BankAccount | By::AccountNumber)
    }

    /// Whether anything may be posted because of it.
    pub fn may_post(self) -> bool {
        self.by != By::Learned
    }

    pub fn evidence(self, of: Option<AccountId>) -> Evidence {
        let (kind, noun) = match self.by {
            By::BankAccount => ("payer_account", "payer's bank account"),
            By::AccountNumber => ("account_number", "account number in the text"),
            By::Name => ("payer_name", "payer's name"),
            By::Learned => ("payer_account", "bank account, which has paid before,"),
        };
        match (self.account, of) {
            (None, _) => say(
                kind,
                false,
                format!("the {noun} belongs to more than one account"),
            ),
            (Some(account), Some(of)) if account != of => {
                say(kind, false, format!("the {noun} is another account's"))
            }
            _ => say(kind, true, format!("the {noun} is this account's")),
        }
    }
}

/// The bank account first, then our account number in the words, then the name.
/// A bank account of several debtors (a solicitor's client account, a building
/// society) has no say of its own, but the rest must point to one of them.
pub fn identify(receipt: &Receipt, books: &Books) -> Option<Payer> {
    let bank = receipt
        .payer_account
        .as_deref()
        .and_then(|key| books.payers.get(key));
    let one = |accounts: &[AccountId]| match accounts {
        [one] => Some(*one),
        _ => None,
    };
    let quoted = quoted(receipt, books);
    if let Some(accounts) = bank
        && let Some(account) = one(accounts)
    {
        // Two certain signs that contradict each other are none.
        let contradicted = quoted.is_some_and(|quoted| quoted != account);
        return Some(Payer {
            account: (!contradicted).then_some(account),
            by: By::BankAccount,
        });
    }
    let among = |account: AccountId| bank.is_none_or(|accounts| accounts.contains(&account));
    if let Some(account) = quoted
        && among(account)
    {
        return Some(Payer {
            account: Some(account),
            by: By::AccountNumber,
        });
    }
    let named = receipt
        .payer_name
        .as_deref()
        .map(|name| books.payers_named(&name_key(name)))
        .unwrap_or_default();
    let learned = receipt
        .payer_account
        .as_deref()
        .and_then(|key| books.learned.get(key));
    if !named.is_empty() {
        let account = one(&named).filter(|account| among(*account));
        // Name and bank account together are as good as a known bank account.
        let both = learned.is_some_and(|learned| one(learned) == account);
        return Some(Payer {
            account,
            by: if both { By::BankAccount } else { By::Name },
        });
    }
    if let (None, Some(accounts)) = (bank, learned) {
        return Some(Payer {
            account: one(accounts),
            by: By::Learned,
        });
    }
    bank.map(|_| Payer {
        account: None,
        by: By::BankAccount,
    })
}

/// The one account whose number the payer quotes.
fn quoted(receipt: &Receipt, books: &Books) -> Option<AccountId> {
    let mut accounts = receipt
        .tokens
        .iter()
        .filter_map(|token| books.payers.get(&quoted_key(token)))
        .flatten();
    let first = accounts.next()?;
    accounts.all(|other| other == first).then_some(*first)
}

/// Under which a folded account number stands among the payers, apart from
/// names and bank accounts.
pub fn quoted_key(reference_key: &str) -> String {
    format!("#{reference_key}")
}
