//! Input and withdrawal reports: what Bacs took of a file that we sent. They move
//! nothing; they are kept to be held against what was sent.

use chrono::NaiveDate;
use kernel::{Currency, Money};
use serde::Serialize;

use super::{
    Reader,
    values::{Values, count},
};
use crate::domain::{parse::Item, problem::Problem};

/// One file of a submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Submission {
    pub report: &'static str,
    pub line: u64,
    pub service_user_number: Option<String>,
    pub volume: Option<String>,
    pub file_number: Option<String>,
    pub processed_on: Option<NaiveDate>,
    pub accepted_debits: Counted,
    pub accepted_credits: Counted,
    pub rejected_debits: Counted,
    pub rejected_credits: Counted,
    pub errors: Vec<InputError>,
    pub ordinal: u32,
}

/// How many, and what they come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counted {
    pub records: u64,
    pub total: Money,
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            records: 0,
            total: Money::zero(Currency::GBP),
        }
    }
}

/// A record that Bacs rejected, amended or returned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InputError {
    /// `REJECTED`, `AMENDED` or `RETURNED`.
    pub kind: String,
    pub reference: Option<String>,
    pub amount: Option<Money>,
}

impl Reader<'_> {
    pub(super) fn submissions(&mut self) -> Result<(), Problem> {
        while self.xml.child()? {
            match self.xml.name() {
                "Data" | "InputReport" | "WithdrawalReport" => self.submissions()?,
                "Header" => {
                    while self.xml.child()? {
                        let values = self.xml.attributes()?;
                        match self.xml.name() {
                            "ProcessingDate" => {
                                self.report.reported_on = self.day(&values, "date")?;
                            }
                            "ServiceLicenseInformation" => {
                                self.service_user(values.get("userNumber"), values.get("userName"));
                            }
                            _ => {}
                        }
                        self.xml.skip()?;
                    }
                }
                "Submission" => {
                    let (mut volume, mut n) = (None, 0);
                    while self.xml.child()? {
                        match self.xml.name() {
                            "SubmissionInformation" => {
                                let mut values = self.xml.attributes()?;
                                volume = values.remove("volumeSerialNumber");
                                self.xml.skip()?;
                            }
                            "UserFile" => {
                                n += 1;
                                self.xml.number(n);
                                self.user_file(volume.clone())?;
                            }
                            _ => self.xml.skip()?,
                        }
                    }
                }
                _ => self.xml.skip()?,
            }
        }
        Ok(())
    }

    fn user_file(&mut self, volume: Option<String>) -> Result<(), Problem> {
        let mut file = Submission {
            report: self.report.kind,
            line: self.xml.line(),
            service_user_number: None,
            volume,
            file_number: None,
            processed_on: self.report.reported_on,
            accepted_debits: Counted::default(),
            accepted_credits: Counted::default(),
            rejected_debits: Counted::default(),
            rejected_credits: Counted::default(),
            errors: Vec::new(),
            ordinal: 0,
        };
        self.within(&mut file, "")?;
        self.service_user(file.service_user_number.as_ref(), None);
        self.items.push(Item::BacsSubmission(Box::new(file)));
        Ok(())
    }

    /// The children of the current element; `side` is the side of the account
    /// that it is about.
    fn within(&mut self, file: &mut Submission, side: &str) -> Result<(), Problem> {
        while self.xml.child()? {
            let name = self.xml.name().to_owned();
            let values = self.xml.attributes()?;
            match name.as_str() {
                "UserFileInformation" => {
                    file.service_user_number = values.get("userNumber").cloned();
                    file.file_number = values.get("userFileNumber").cloned();
                    self.xml.skip()?;
                }
                "ProcessingDate" => {
                    file.processed_on = self.day(&values, "date")?;
                    self.xml.skip()?;
                }
                "CreditEntry" | "DebitEntry" => self.within(file, &name)?,
                "AcceptedRecords" | "RejectedRecords" if !side.is_empty() => {
                    let of = match (name.as_str(), side) {
                        ("AcceptedRecords", "DebitEntry") => &mut file.accepted_debits,
                        ("AcceptedRecords", _) => &mut file.accepted_credits,
                        (_, "DebitEntry") => &mut file.rejected_debits,
                        _ => &mut file.rejected_credits,
                    };
                    self.add(of, &values)?;
                    self.xml.skip()?;
                }
                // A withdrawal says only what was withdrawn.
                "Credit" | "Debit" => {
                    let of = if name == "Debit" {
                        &mut file.rejected_debits
                    } else {
                        &mut file.rejected_credits
                    };
                    self.add(of, &values)?;
                    self.xml.skip()?;
                }
                "Error" => {
                    let error = self.input_error()?;
                    file.errors.push(error);
                }
                "InputUserFile" | "WithdrawalUserFile" | "DaySection" | "Totals" | "Errors"
                | "InputReportSummary" | "AccountTotals" | "AccountTotal" => {
                    self.within(file, side)?;
                }
                _ => self.xml.skip()?,
            }
        }
        Ok(())
    }

    fn add(&mut self, of: &mut Counted, values: &Values) -> Result<(), Problem> {
        let text = values.get("valueOf").map_or("0", String::as_str);
        let amount = self.sterling(text)?;
        let total = of.total.checked_add(amount);
        of.total = total.map_err(|error| self.xml.problem("bad_amount", error.to_string()))?;
        of.records = of
            .records
            .saturating_add(count(values, "numberOf").unwrap_or(0));
        Ok(())
    }

    fn input_error(&mut self) -> Result<InputError, Problem> {
        let mut error = InputError {
            kind: String::new(),
            reference: None,
            amount: None,
        };
        while self.xml.child()? {
            let mut values = self.xml.attributes()?;
            match self.xml.name() {
                "ErrorItem" => {
                    let text = values.get("valueOf").cloned();
                    error.amount = text.map(|text| self.sterling(&text)).transpose()?;
                    error.reference = values.remove("reference");
                }
                "ErrorMessage" => error.kind = values.remove("type").unwrap_or_default(),
                _ => {}
            }
            self.xml.skip()?;
        }
        Ok(error)
    }
}
