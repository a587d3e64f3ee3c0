//! ADDACS, AUDDIS and AWACS: what banks and Bacs say of instructions to debit, and
//! of accounts that our credits went to.

use chrono::NaiveDate;
use serde::Serialize;

use super::{
    Reader, codes,
    values::{Values, count},
};
use crate::domain::{detect::Format, parse::Item, problem::Problem, xml::Cursor};

/// How a header names its report, and the number of the report as Bacs counts
/// them (UK reference, 1.3).
const SIGNS: [(&str, Format); 6] = [
    ("ADDACS", Format::BacsAddacs),
    ("AUDDIS", Format::BacsAuddis),
    ("AWACS", Format::BacsAwacs),
    ("7001", Format::BacsAddacs),
    ("7002", Format::BacsAuddis),
    ("7003", Format::BacsAwacs),
];
/// Attributes of a header in which such a sign stands.
const NAMED_BY: [&str; 5] = [
    "report-type",
    "advice-type",
    "adviser-number",
    "advice-number",
    "report-number",
];
/// Attributes that say on which day a report was made.
const DAYS: [&str; 4] = [
    "report-generation-date",
    "current-processing-date",
    "processing-date",
    "report-date",
];

/// What is said of one instruction or account, or of a file of instructions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Advice {
    pub report: &'static str,
    pub line: u64,
    pub service_user_number: Option<String>,
    /// `A`; of AUDDIS `N`, `D`, `S`, `V` or `R`.
    pub record_type: String,
    pub reference: Option<String>,
    pub code: Option<String>,
    /// The code in words, and what to do: see `codes.csv`.
    pub meaning: Option<&'static str>,
    pub action: Option<&'static str>,
    pub payer_name: Option<String>,
    pub payer_account: Option<String>,
    pub new_payer_account: Option<String>,
    pub effective_on: Option<NaiveDate>,
    pub volume: Option<String>,
    pub file_number: Option<String>,
    pub accepted: Option<i32>,
    pub rejected: Option<i32>,
    /// Why a file was rejected.
    pub errors: Vec<String>,
    pub ordinal: u32,
}

/// Which report the messages are of that `xml` stands before: by the header, or
/// else by the first record.
pub(super) fn which(xml: &mut Cursor<'_>) -> Result<Result<(Format, String), String>, Problem> {
    while xml.child()? {
        let name = xml.name().to_owned();
        let values = xml.attributes()?;
        if name == "MessagingHeader" {
            for attribute in NAMED_BY {
                let Some(value) = values.get(attribute) else {
                    continue;
                };
                let upper = value.to_ascii_uppercase();
                let found = SIGNS.iter().find(|(sign, _)| match attribute {
                    // Any number may have these digits in it: it must be one.
                    "advice-number" | "report-number" | "adviser-number" => upper == *sign,
                    _ => upper.contains(sign),
                });
                if let Some((sign, format)) = found {
                    return Ok(Ok((*format, format!("its header says {sign}"))));
                }
            }
        }
        if name == "MessagingAdvice" {
            let format = match values.get("record-type").map(String::as_str) {
                Some("A") => Format::BacsAddacs,
                Some("N" | "D" | "S" | "V" | "R") => Format::BacsAuddis,
                Some("W") => Format::BacsAwacs,
                _ => break,
            };
            return Ok(Ok((format, "its first record is of that type".to_owned())));
        }
        xml.skip()?;
    }
    Ok(Err(
        "it has messages of Bacs, but neither its header nor its first record says which"
            .to_owned(),
    ))
}

impl Reader<'_> {
    pub(super) fn messages(&mut self) -> Result<(), Problem> {
        let mut n = 0;
        while self.xml.child()? {
            match self.xml.name() {
                "Data" | "MessagingAdvices" => self.messages()?,
                "MessagingHeader" => {
                    let values = self.xml.attributes()?;
                    self.service_user(values.get("user-number"), values.get("user-name"));
                    let number = ["advice-number", "envelope-sequence-number"];
                    self.report.number = number.iter().find_map(|name| values.get(*name)).cloned();
                    for name in DAYS {
                        if self.report.reported_on.is_none() {
                            self.report.reported_on = self.day(&values, name)?;
                        }
                    }
                    self.xml.skip()?;
                }
                "MessagingAdvice" => {
                    n += 1;
                    self.xml.number(n);
                    self.message()?;
                }
                "MessagingError" => {
                    let values = self.xml.attributes()?;
                    let said: Vec<&str> = values.values().map(String::as_str).collect();
                    if let Some(Item::BacsAdvice(advice)) = self.items.last_mut() {
                        advice.errors.push(said.join(" "));
                    }
                    self.xml.skip()?;
                }
                _ => self.xml.skip()?,
            }
        }
        Ok(())
    }

    fn message(&mut self) -> Result<(), Problem> {
        let line = self.xml.line();
        let values = self.xml.attributes()?;
        let record_type = self.required(&values, "record-type")?.to_ascii_uppercase();
        let effective_on = self.day(&values, "effective-date")?;
        if effective_on.is_none() && self.report.reported_on.is_none() {
            return Err(self.xml.problem(
                "missing_report_day",
                "neither the report nor the record says of which day it is",
            ));
        }
        let of_file = matches!(record_type.as_str(), "V" | "R");
        if !of_file {
            self.required(&values, "reference")?;
        }
        let number = values.get("user-number").cloned();
        self.service_user(number.as_ref(), None);
        let code = values
            .get("reason-code")
            .map(|code| code.to_ascii_uppercase());
        let on = effective_on.or(self.report.reported_on).unwrap_or_default();
        let known = code
            .as_deref()
            .and_then(|code| codes::reason(self.report.kind, code, on));
        if let Some(code) = code.as_deref().filter(|_| known.is_none()) {
            let detail = format!("nobody here knows the reason code {code:?}");
            let problem = self.xml.problem("reason_unknown", detail);
            self.problems.push(problem);
        }
        let payer = ["payer-sort-code", "payer-account-number"].map(|name| values.get(name));
        let new = ["payer-new-sort-code", "payer-new-account-number"].map(|name| values.get(name));
        let payer_account = self.payers(payer[0], payer[1]);
        // Either half alone may be new.
        let new_payer_account = match new {
            [None, None] => None,
            [sort_code, number] => self.payers(sort_code.or(payer[0]), number.or(payer[1])),
        };
        let text = |values: &Values, name: &str| values.get(name).cloned();
        self.items.push(Item::BacsAdvice(Box::new(Advice {
            report: self.report.kind,
            line,
            service_user_number: number,
            reference: text(&values, "reference"),
            meaning: known.map(|known| known.meaning),
            action: known.map(|known| known.action),
            code,
            payer_name: text(&values, "payer-name"),
            payer_account,
            new_payer_account,
            effective_on,
            volume: text(&values, "vol-serial-number"),
            file_number: text(&values, "originator-file-number"),
            accepted: count(&values, "accepted-ddi"),
            rejected: count(&values, "rejected-ddi"),
            errors: Vec::new(),
            record_type,
            ordinal: 0,
        })));
        while self.xml.child()? {
            if self.xml.name() == "MessagingError" {
                let values = self.xml.attributes()?;
                let said: Vec<&str> = values.values().map(String::as_str).collect();
                if let Some(Item::BacsAdvice(advice)) = self.items.last_mut() {
                    advice.errors.push(said.join(" "));
                }
            }
            self.xml.skip()?;
        }
        Ok(())
    }
}
