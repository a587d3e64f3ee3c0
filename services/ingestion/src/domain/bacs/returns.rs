//! ARUDD and ARUCS: collections and credits of ours that come back.

use chrono::{Datelike, NaiveDate};
use kernel::Money;
use serde::Serialize;

use super::{
    AccountTotal, Reader, sum,
    values::{Values, count, excerpt},
};
use crate::domain::{parse::Item, problem::Problem};

/// A payment that comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Returned {
    /// `arudd` or `arucs`.
    pub report: &'static str,
    /// The line of the file.
    pub line: u64,
    /// The account of ours that it was paid into or from, as
    /// `kernel::BankAccount::key`; the payer's is told likewise.
    pub our_account: String,
    /// What we had written on it: of a collection the instruction's reference.
    pub reference: String,
    pub transaction_code: Option<String>,
    /// Why, one character.
    pub code: String,
    /// The code in the words of the report.
    pub description: Option<String>,
    /// The day on which Bacs processed the payment.
    pub original_on: Option<NaiveDate>,
    pub amount: Money,
    /// Who was to pay; of a credit who was to be paid.
    pub payer_name: Option<String>,
    pub payer_account: Option<String>,
    /// Which of several records that say the same, from 1.
    pub ordinal: u32,
}

impl Reader<'_> {
    pub(super) fn returns(&mut self) -> Result<(), Problem> {
        while self.xml.child()? {
            match self.xml.name() {
                "Data" | "ARUDD" | "ARUCS" | "Advice" | "OriginatingAccountRecords" => {
                    self.returns()?;
                }
                "Header" => {
                    let values = self.xml.attributes()?;
                    self.report.number = values.get("adviceNumber").cloned();
                    self.report.reported_on = self.day(&values, "currentProcessingDate")?;
                    self.xml.skip()?;
                }
                "ServiceLicenseInformation" => {
                    let values = self.xml.attributes()?;
                    self.service_user(values.get("userNumber"), values.get("userName"));
                    self.xml.skip()?;
                }
                "OriginatingAccountRecord" => self.account_record()?,
                _ => self.xml.skip()?,
            }
        }
        Ok(())
    }

    /// The items of one of our accounts with their total, which must tie.
    fn account_record(&mut self) -> Result<(), Problem> {
        let mut account: Option<String> = None;
        let mut found: Vec<Returned> = Vec::new();
        let mut totals: Option<(Option<usize>, Option<Money>)> = None;
        let n = self.report.accounts.len() + 1;
        self.xml.number(n);
        while self.xml.child()? {
            match self.xml.name() {
                "OriginatingAccount" => {
                    let values = self.xml.attributes()?;
                    let key = Self::account(values.get("sortCode"), values.get("number"));
                    let Some(key) = key else {
                        return Err(self.xml.problem(
                            "bad_account",
                            "sort code and number are no account of ours",
                        ));
                    };
                    account = Some(key);
                    self.xml.skip()?;
                }
                "ReturnedDebitItem" | "ReturnedCreditItem" => {
                    self.xml.number(found.len() + 1);
                    let item = self.returned()?;
                    found.push(item);
                }
                "Totals" => {
                    let values = self.xml.attributes()?;
                    let total = values.get("valueOf").cloned();
                    let total = total.map(|text| self.sterling(&text)).transpose()?;
                    totals = Some((count(&values, "numberOf"), total));
                    self.xml.skip()?;
                }
                _ => self.xml.skip()?,
            }
        }
        let Some(account) = account else {
            return Err(self
                .xml
                .problem("bad_account", "the record does not name our account"));
        };
        let total = sum(found.iter().map(|item| item.amount)).ok_or_else(|| {
            self.xml
                .problem("bad_amount", "the items come to more than can be counted")
        })?;
        let (number, said) = totals.unwrap_or_default();
        if said.is_none() && !found.is_empty() {
            let problem = self
                .xml
                .problem("missing_total", "the record has no total to check it by");
            self.problems.push(problem);
        }
        let said = said.unwrap_or(total);
        if said != total || number.is_some_and(|number| number != found.len()) {
            let detail = format!(
                "the report says {} items of {} for account {n}, and has {} of {}",
                number.map_or_else(|| "some".to_owned(), |number| number.to_string()),
                said.display_uk(),
                found.len(),
                total.display_uk()
            );
            return Err(self.xml.problem("totals_do_not_tie", detail));
        }
        self.report.accounts.push(AccountTotal {
            account: account.clone(),
            items: found.len(),
            total,
        });
        self.items.extend(found.into_iter().map(|item| {
            Item::BacsReturn(Box::new(Returned {
                our_account: account.clone(),
                ..item
            }))
        }));
        Ok(())
    }

    fn returned(&mut self) -> Result<Returned, Problem> {
        let line = self.xml.line();
        let values = self.xml.attributes()?;
        let amount = self.amount(&values, "valueOf")?;
        let original_on = self.day(&values, "originalProcessingDate")?;
        let code = self.return_code(&values, original_on)?;
        let mut payer = Values::new();
        while self.xml.child()? {
            if self.xml.name().ends_with("Account") {
                payer = self.xml.attributes()?;
            }
            self.xml.skip()?;
        }
        // The reference of the item is the one that we gave; the account's is
        // the same in other words.
        let reference = values.get("ref").or_else(|| payer.get("ref")).cloned();
        Ok(Returned {
            report: self.report.kind,
            line,
            our_account: String::new(),
            reference: reference.unwrap_or_default(),
            transaction_code: values.get("transCode").cloned(),
            code,
            description: values.get("returnDescription").cloned(),
            original_on,
            amount,
            payer_account: self.payers(payer.get("sortCode"), payer.get("number")),
            payer_name: payer.remove("name"),
            ordinal: 0,
        })
    }

    /// The reason out of `1012`: one character, then the day of the year on which
    /// the payment was processed. A day that does not fit is doubted.
    fn return_code(
        &mut self,
        values: &Values,
        original_on: Option<NaiveDate>,
    ) -> Result<String, Problem> {
        let whole = self.required(values, "returnCode")?;
        let mut chars = whole.chars();
        let reason = chars.next().filter(char::is_ascii_alphanumeric);
        let rest = chars.as_str();
        let Some(reason) = reason.filter(|_| rest.is_empty() || rest.len() == 3) else {
            let detail = format!("{} is no return code", excerpt(&whole));
            return Err(self.xml.problem("bad_return_code", detail));
        };
        let day = original_on.map(|day| format!("{:03}", day.ordinal()));
        if !rest.is_empty() && day.is_some_and(|day| day != rest) {
            let detail = format!(
                "the code {} ends in another day of the year than that of the original processing day",
                excerpt(&whole)
            );
            let problem = self.xml.problem("return_code_day", detail);
            self.problems.push(problem);
        }
        Ok(reason.to_ascii_uppercase().to_string())
    }
}
