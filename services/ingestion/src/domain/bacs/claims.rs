//! DDICA: collections that payers claim back under the Direct Debit guarantee.

use chrono::NaiveDate;
use kernel::Money;
use serde::Serialize;

use super::{
    Reader, sum,
    values::{Values, day, excerpt},
};
use crate::domain::{parse::Item, problem::Problem};

/// A collection that is claimed back, or no longer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Claim {
    pub report: &'static str,
    pub line: u64,
    /// The claim's number; one claim may be for several collections.
    pub claim: String,
    /// It was withdrawn: nothing will be taken for it.
    pub withdrawn: bool,
    pub bank_reference: Option<String>,
    /// The instruction's reference.
    pub reference: String,
    pub code: String,
    pub description: Option<String>,
    pub payer_name: Option<String>,
    pub payer_account: Option<String>,
    /// The day on which the payer was debited.
    pub debited_on: Option<NaiveDate>,
    /// When the bank will take it from us.
    pub expected_on: Option<NaiveDate>,
    pub amount: Money,
    /// Which of several records that say the same, from 1.
    pub ordinal: u32,
}

impl Reader<'_> {
    pub(super) fn claims(&mut self) -> Result<(), Problem> {
        while self.xml.child()? {
            match self.xml.name() {
                "Data" | "Document" | "DDICAdvices" => self.claims()?,
                "ServiceUserNumber" => {
                    let number = self.xml.optional_text()?;
                    self.service_user(number.as_ref(), None);
                }
                "ServiceUserName" => {
                    let name = self.xml.optional_text()?;
                    self.service_user(None, name.as_ref());
                }
                "ReportDate" | "ReportGenerationDate" | "ProcessingDate" | "AdviceDate" => {
                    let text = self.xml.text()?;
                    self.report.reported_on = day(&text).or(self.report.reported_on);
                }
                "NewAdvices" => self.section("DDICAdvice", "TotalValueOfDebits", false)?,
                "Cancellations" => {
                    self.section("DDICCancellation", "TotalValueOfCancellations", true)?;
                }
                _ => self.xml.skip()?,
            }
        }
        Ok(())
    }

    /// New claims or withdrawn ones, with their total, which must tie. Both may
    /// stand one level down, in `Collection`.
    fn section(&mut self, record: &str, total: &str, withdrawn: bool) -> Result<(), Problem> {
        let before = self.items.len();
        let mut said = None;
        let mut debited_on = None;
        while self.xml.child()? {
            let name = self.xml.name().to_owned();
            if name == record {
                let n = self.items.len() - before + 1;
                self.xml.number(n);
                self.claim(withdrawn)?;
            } else if name == total {
                let text = self.xml.text()?;
                said = Some(self.sterling(&text)?);
            } else if name == "DateOfDebit" {
                debited_on = day(&self.xml.text()?);
            } else {
                self.xml.skip()?;
            }
        }
        if self.report.reported_on.is_none() && debited_on.is_some() {
            // The records are known by a day, and this one is always the same.
            self.report.reported_on = debited_on;
            self.problems.push(Problem::new(
                "report_day_assumed",
                "the report does not say when it was made; the day on which the bank will take the money stands for it",
            ));
        }
        for item in self.items.iter_mut().skip(before) {
            if let Item::BacsClaim(claim) = item {
                claim.expected_on = debited_on;
            }
        }
        let amounts = self
            .items
            .iter()
            .skip(before)
            .filter_map(|item| match item {
                Item::BacsClaim(claim) => Some(claim.amount),
                _ => None,
            });
        let found = sum(amounts);
        if let Some(said) = said
            && found != Some(said)
        {
            let detail = format!(
                "the report says {} and its claims come to {}",
                said.display_uk(),
                found.map_or_else(|| "more than can be counted".to_owned(), Money::display_uk)
            );
            return Err(self.xml.problem("totals_do_not_tie", detail));
        }
        Ok(())
    }

    fn claim(&mut self, withdrawn: bool) -> Result<(), Problem> {
        let line = self.xml.line();
        let mut values = Values::new();
        let mut collections: Vec<(Option<NaiveDate>, Money)> = Vec::new();
        while self.xml.child()? {
            let name = self.xml.name().to_owned();
            if name == "DDCollections" {
                while self.xml.child()? {
                    let collection = self.texts()?;
                    let on = self.day(&collection, "DateOfDirectDebit")?;
                    collections.push((on, self.amount(&collection, "Amount")?));
                }
            } else {
                let text = self.xml.text_or_child(&[])?;
                values.extend(text.map(|text| (name, text)));
            }
        }
        let total = self.amount(&values, "TotalAmount")?;
        if collections.is_empty() {
            collections.push((None, total));
        }
        if sum(collections.iter().map(|(_, amount)| *amount)) != Some(total) {
            let detail = format!(
                "the claim is for {}, and its collections come to another amount",
                total.display_uk()
            );
            return Err(self.xml.problem("totals_do_not_tie", detail));
        }
        let code = self.required(&values, "ReasonCode")?.to_ascii_uppercase();
        if code.chars().count() != 1 {
            let detail = format!("{} is no reason of a claim", excerpt(&code));
            return Err(self.xml.problem("bad_return_code", detail));
        }
        let payer_account = self.payers(values.get("PayerSortCode"), values.get("PayerAccount"));
        let mut take = |name: &str| values.remove(name);
        let one = Claim {
            report: self.report.kind,
            line,
            claim: take("SeqNo").unwrap_or_default(),
            withdrawn,
            bank_reference: take("PayingBankReference"),
            reference: take("SUReference").unwrap_or_default(),
            code,
            description: take("ReasonCodeMeaning"),
            payer_name: take("PayerName"),
            payer_account,
            debited_on: None,
            expected_on: None,
            amount: total,
            ordinal: 0,
        };
        self.items
            .extend(collections.into_iter().map(|(debited_on, amount)| {
                Item::BacsClaim(Box::new(Claim {
                    debited_on,
                    amount,
                    ..one.clone()
                }))
            }));
        Ok(())
    }

    /// The texts of the current element's children by name; leaves it.
    fn texts(&mut self) -> Result<Values, Problem> {
        let mut values = Values::new();
        while self.xml.child()? {
            let name = self.xml.name().to_owned();
            let text = self.xml.optional_text()?;
            values.extend(text.map(|text| (name, text)));
        }
        Ok(values)
    }
}
