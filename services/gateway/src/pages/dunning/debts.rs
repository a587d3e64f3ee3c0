//! What an account owes, to tick in a form: what is promised, on a plan or held.

use chrono::NaiveDate;
use contracts::api::{
    PageRequest,
    allocation::{FindOpenItems, OpenItemView},
    dunning::PromisedLine,
};
use kernel::{AccountId, Currency, DocumentId, Money};

use super::{Pairs, field};
use crate::{App, pages::show::typed_amount, problem::Problem};

/// Open debts, and what was typed beside them.
pub(super) struct Debts {
    pub(super) items: Vec<OpenItemView>,
    typed: Pairs,
    /// What is due before it is ticked while nothing was typed.
    today: NaiveDate,
}

fn wrong(pointer: &str, detail: &str) -> Problem {
    Problem::invalid("gateway.bad_form", pointer, detail)
}

/// An amount as it was typed; `None` when nothing was.
pub(super) fn amount(text: &str, currency: Currency) -> Result<Option<Money>, Problem> {
    typed_amount(text)
        .map(|plain| Money::parse(&plain, currency))
        .transpose()
        .map_err(|error| wrong("/amount", &format!("“{text}” is no amount: {error}")))
}

impl Debts {
    /// The oldest debts of an account, as many as one page of them.
    pub(super) async fn of(
        app: &App,
        account_id: AccountId,
        today: NaiveDate,
        typed: &Pairs,
    ) -> Result<Self, Problem> {
        let ask = FindOpenItems {
            account_id: Some(account_id),
            page: PageRequest {
                cursor: None,
                limit: Some(PageRequest::MAX),
            },
            ..FindOpenItems::default()
        };
        let mut items = app.bus.ask(&ask).await?.items;
        items.retain(|item| item.open.is_positive());
        Ok(Self {
            items,
            typed: typed.clone(),
            today,
        })
    }

    pub(super) fn is_ticked(&self, item: &OpenItemView) -> bool {
        // Only a form that was sent has a key.
        if field(&self.typed, "key").is_empty() {
            return item.due_on < self.today;
        }
        let id = item.document_id.to_string();
        let mut ticks = self.typed.iter().filter(|(name, _)| name == "document");
        ticks.any(|(_, value)| *value == id)
    }

    pub(super) fn typed_for(&self, item: &OpenItemView) -> String {
        let typed = field(&self.typed, &format!("amount:{}", item.document_id));
        if typed.is_empty() {
            item.open.amount().to_string()
        } else {
            typed.to_owned()
        }
    }

    /// What was ticked.
    pub(super) fn ticked(&self) -> Vec<DocumentId> {
        let ticked = self.items.iter().filter(|item| self.is_ticked(item));
        ticked.map(|item| item.document_id).collect()
    }

    /// What was ticked, and of each how much.
    pub(super) fn lines(&self) -> Result<Vec<PromisedLine>, Problem> {
        let ticked = self.items.iter().filter(|item| self.is_ticked(item));
        let lines: Vec<PromisedLine> = ticked
            .map(|item| {
                let amount = amount(&self.typed_for(item), item.open.currency())?;
                Ok(PromisedLine {
                    document_id: item.document_id,
                    amount: amount.or(Some(item.open)),
                })
            })
            .collect::<Result<_, Problem>>()?;
        if lines.is_empty() {
            return Err(wrong("/document", "tick the documents that it is about"));
        }
        Ok(lines)
    }
}

/// What lines come to.
pub(super) fn total(lines: &[PromisedLine]) -> Result<Money, Problem> {
    let amounts = || lines.iter().filter_map(|line| line.amount);
    let currency = amounts().next().map(Money::currency);
    let currency = currency.ok_or_else(|| wrong("/document", "tick at least one document"))?;
    Money::sum(amounts(), currency)
        .map_err(|error| wrong("/document", &format!("all of one currency: {error}")))
}
