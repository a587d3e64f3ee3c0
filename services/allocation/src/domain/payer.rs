//! Who paid, as far as the bank line tells.

use contracts::allocation::Evidence;
use kernel::AccountId;

use super::{
    edges::{self, PAYMENT_PROVIDER},
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
    /// A bank account that has been seen to pay for the account, under a name
    /// that is not the account's.
    Learned,
    /// A bank account that pays for many debtors, and of what kind it is.
    Hub(Option<&'static str>),
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
        !matches!(self.by, By::Learned | By::Hub(_))
    }

    pub fn evidence(self, of: Option<AccountId>) -> Evidence {
        if let By::Hub(kind) = self.by {
            let kind = kind.map_or_else(String::new, |kind| format!(" ({kind})"));
            return say(
                "payer_account",
                false,
                format!("the payer's bank account pays for many debtors{kind}"),
            );
        }
        let (kind, noun) = match self.by {
            By::BankAccount => ("payer_account", "payer's bank account"),
            By::AccountNumber => ("account_number", "account number in the text"),
            By::Name => ("payer_name", "payer's name"),
            By::Learned | By::Hub(_) => ("payer_account", "bank account, which has paid before,"),
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
    let day = receipt.booked_on;
    let kind = receipt
        .payer_name
        .as_deref()
        .and_then(|name| edges::kind_of(name, day));
    let learned = receipt
        .payer_account
        .as_deref()
        .and_then(|key| books.learned.get(key))
        .map(|known| edges::live(known, day))
        .unwrap_or_default();
    let hub = edges::is_hub(&learned, day);
    // A payment provider stands in the payer's place (E18).
    let named = receipt
        .payer_name
        .as_deref()
        .filter(|_| kind != Some(PAYMENT_PROVIDER))
        .map(|name| books.payers_named(&name_key(name)))
        .unwrap_or_default();
    if !named.is_empty() {
        let account = one(&named).filter(|account| among(*account));
        // Name and bank account together are as good as a known bank account;
        // a hub adds nothing to the name.
        let both = match learned.as_slice() {
            [edge] => !hub && Some(edge.account) == account,
            _ => false,
        };
        return Some(Payer {
            account,
            by: if both { By::BankAccount } else { By::Name },
        });
    }
    if bank.is_none() && hub {
        return Some(Payer {
            account: None,
            by: By::Hub(kind),
        });
    }
    if let (None, [first, ..]) = (bank, learned.as_slice()) {
        let alone = learned.len() == 1;
        return Some(Payer {
            account: alone.then_some(first.account),
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
