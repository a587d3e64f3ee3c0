//! The words that are sent: one text for each template, from which the e-mail,
//! its HTML and the letter are made. A value that is missing is an error, never
//! a gap.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};
use kernel::{Classified, ErrorClass};
use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};

use super::{policy::LegalClass, sheet::Sheet, wording};

/// Steps that rendering one text may take.
const FUEL: u64 = 50_000;
/// Characters of a subject and of a body.
pub(super) const SUBJECT_MAX: usize = 200;
pub(super) const BODY_MAX: usize = 20_000;

/// One version of a template. It never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    pub template: String,
    pub version: i32,
    pub title: String,
    pub legal: LegalClass,
    pub subject: String,
    /// Paragraphs with empty lines between them; one that is just `[items]` is
    /// the table of the documents, one that begins with `# ` a heading.
    pub body: String,
}

#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("the template cannot be read: {0}")]
    Unreadable(String),
    #[error("the template cannot be filled in: {0}")]
    NotFilled(String),
    #[error("a letter of this kind must say {what} ({source_text})")]
    Missing { what: String, source_text: String },
    #[error("there is no `{0}`: it is none of the names that a text may use")]
    Unknown(String),
    #[error("a template's name has at most 60 lower-case letters, digits and underscores")]
    Name,
    #[error("{0} has between 1 and {1} characters")]
    Size(&'static str, usize),
}

impl Classified for TemplateError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "dunning.template_unreadable",
            Self::NotFilled(_) => "dunning.template_not_filled",
            Self::Missing { .. } => "dunning.template_incomplete",
            Self::Unknown(_) => "dunning.template_unknown_name",
            Self::Name => "dunning.template_name",
            Self::Size(..) => "dunning.template_too_long",
        }
    }

    fn class(&self) -> ErrorClass {
        ErrorClass::Permanent
    }
}

/// Who writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sender {
    pub name: String,
    pub address: String,
    pub phone: String,
    pub email: String,
    pub how_to_pay: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Addressee {
    pub r#ref: String,
    pub name: String,
    #[serde(skip)]
    pub address: Option<String>,
}

/// A document in the table. Amounts are as they are shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    pub document_ref: String,
    pub due_on: NaiveDate,
    pub amount: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Dates {
    today: String,
    in_7: String,
    in_14: String,
    in_30: String,
}

/// What is claimed for late payment, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LateSums {
    /// Percent a year.
    pub rate: String,
    pub interest: String,
    pub compensation: String,
    pub total: String,
}

/// Everything that a text may name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    pub sender: Sender,
    pub account: Addressee,
    pub items: Vec<Line>,
    /// What is asked for, one sum for each currency.
    pub total: String,
    pub interest: String,
    /// Nothing where nothing is claimed: a text that names it is not sent then.
    pub late: Option<LateSums>,
    dates: Dates,
    #[serde(skip)]
    pub on: NaiveDate,
    /// What a person added for this debtor.
    #[serde(skip)]
    pub sentence: Option<String>,
    /// Who else owes it, and what that means: of a letter to one of several (E97).
    #[serde(skip)]
    pub joint: Option<String>,
    /// What goes with it, as its end says.
    #[serde(skip)]
    pub enclosed: Vec<String>,
    /// Of a statement: the table instead of the items'.
    #[serde(skip)]
    pub sheet: Option<Sheet>,
}

/// A day as it is written in a British letter.
pub fn date_uk(day: NaiveDate) -> String {
    day.format("%-d %B %Y").to_string()
}

impl Facts {
    pub fn new(
        sender: Sender,
        account: Addressee,
        items: Vec<Line>,
        total: String,
        on: NaiveDate,
        sentence: Option<String>,
    ) -> Self {
        let after = |days| date_uk(on.checked_add_days(Days::new(days)).unwrap_or(on));
        Self {
            sender,
            account,
            items,
            total,
            interest: "none are claimed with this letter; where the law or our contract provides \
                       for them they may be added later."
                .to_owned(),
            late: None,
            dates: Dates {
                today: date_uk(on),
                in_7: after(7),
                in_14: after(14),
                in_30: after(30),
            },
            on,
            sentence,
            joint: None,
            enclosed: Vec::new(),
            sheet: None,
        }
    }

    /// Facts of nobody, to try a text on.
    pub fn sample() -> Self {
        let on = NaiveDate::from_ymd_opt(2026, 3, 2).unwrap_or_default();
        let line = |document_ref: &str, days, amount: &str| Line {
            document_ref: document_ref.to_owned(),
            due_on: on.checked_sub_days(Days::new(days)).unwrap_or(on),
            amount: amount.to_owned(),
        };
        let mut facts = Self::new(
            Sender {
                name: "Example Supplies Ltd".to_owned(),
                address: "1 Example Street, London, EC1A 1AA".to_owned(),
                phone: "020 7946 0000".to_owned(),
                email: "accounts@example.org".to_owned(),
                how_to_pay: "Pay by bank transfer to sort code 00-00-00, account 00000000."
                    .to_owned(),
            },
            Addressee {
                r#ref: "ACME01".to_owned(),
                name: "Acme Tools Ltd".to_owned(),
                address: Some("2 Sample Road\nLeeds\nLS1 1AA".to_owned()),
            },
            vec![
                line("INV-1001", 60, "£1,250.00"),
                line("INV-1002", 35, "£310.40"),
            ],
            "£1,560.40".to_owned(),
            on,
            None,
        );
        facts.late = Some(LateSums {
            rate: "11.75 % a year".to_owned(),
            interest: "£24.87".to_owned(),
            compensation: "£110.00".to_owned(),
            total: "£134.87".to_owned(),
        });
        facts
    }

    /// As [`Facts::sample`], of one document and no claim for late payment.
    pub fn bare() -> Self {
        let mut facts = Self::sample();
        facts.items.truncate(1);
        facts.late = None;
        facts
    }
}

/// A part of a text that was filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    Heading(String),
    Paragraph(String),
    Items,
}

/// A text that was filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    pub subject: String,
    pub blocks: Vec<Block>,
}

const SHIPPED: [&str; 9] = [
    include_str!("../../data/templates/before_due.toml"),
    include_str!("../../data/templates/reminder.toml"),
    include_str!("../../data/templates/second_reminder.toml"),
    include_str!("../../data/templates/call.toml"),
    include_str!("../../data/templates/final_demand.toml"),
    include_str!("../../data/templates/letter_before_action.toml"),
    include_str!("../../data/templates/letter_of_claim.toml"),
    include_str!("../../data/templates/statement.toml"),
    include_str!("../../data/templates/red_statement.toml"),
];

/// A text filled in, or what is wrong and on which line.
pub(super) fn rendered(
    text: &str,
    facts: &Facts,
) -> Result<String, (TemplateError, Option<usize>)> {
    environment()
        .render_str(text, minijinja::value::Serde(facts))
        .map_err(|e| (TemplateError::NotFilled(e.to_string()), e.line()))
}

/// The names that a text uses and does not define itself.
pub(super) fn undeclared(text: &str) -> Result<BTreeSet<String>, (TemplateError, Option<usize>)> {
    let environment = environment();
    let read = environment.template_from_str(text);
    let template = read.map_err(|e| (TemplateError::NotFilled(e.to_string()), e.line()))?;
    Ok(template.undeclared_variables(true).into_iter().collect())
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment
}

impl Template {
    /// What the program comes with.
    ///
    /// # Errors
    /// When it is wrong, which a test rules out.
    pub fn shipped() -> Result<Vec<Self>, TemplateError> {
        SHIPPED
            .iter()
            .map(|text| {
                let template: Self =
                    toml::from_str(text).map_err(|e| TemplateError::Unreadable(e.to_string()))?;
                template.check()?;
                Ok(template)
            })
            .collect()
    }

    /// Whether it may be published: it can be filled in, and says what a letter
    /// of its kind must say.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn check(&self) -> Result<(), TemplateError> {
        let faults = wording::faults(self, &[self.legal], Facts::sample().on);
        faults
            .into_iter()
            .next()
            .map_or(Ok(()), |fault| Err(fault.error))
    }

    /// Whether it speaks of what is claimed for late payment.
    pub fn names_late(&self) -> bool {
        self.subject.contains("late.") || self.body.contains("late.")
    }

    /// Fills it in.
    ///
    /// # Errors
    /// When it names something that there is not, or does too much.
    pub fn fill(&self, facts: &Facts) -> Result<Filled, TemplateError> {
        let fill = |text: &str| rendered(text, facts).map_err(|(error, _)| error);
        // A line break in a subject would be another header.
        let subject = fill(&self.subject)?
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        let body = fill(&self.body)?;
        let mut blocks: Vec<Block> = body
            .split("\n\n")
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(|text| match (text, text.strip_prefix("# ")) {
                ("[items]", _) => Block::Items,
                (_, Some(heading)) => Block::Heading(heading.to_owned()),
                _ => Block::Paragraph(text.to_owned()),
            })
            .collect();
        if let Some(joint) = &facts.joint {
            blocks.push(Block::Paragraph(joint.clone()));
        }
        if let Some(sentence) = &facts.sentence {
            blocks.push(Block::Paragraph(sentence.clone()));
        }
        if !facts.enclosed.is_empty() {
            let enclosed = format!("Enclosed: {}.", facts.enclosed.join("; "));
            blocks.push(Block::Paragraph(enclosed));
        }
        Ok(Filled { subject, blocks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::Policy;

    fn named(name: &str) -> Template {
        let all = Template::shipped().unwrap();
        all.into_iter().find(|t| t.template == name).unwrap()
    }

    #[test]
    fn every_template_that_a_shipped_policy_names_is_there_and_complete() {
        let all = Template::shipped().unwrap();
        for stage in Policy::shipped().unwrap().iter().flat_map(|p| &p.stages) {
            let found = all.iter().find(|t| t.template == stage.template);
            assert!(found.is_some(), "{}", stage.template);
        }
    }

    #[test]
    fn a_letter_of_claim_without_its_thirty_days_is_refused() {
        let mut template = named("letter_of_claim");
        template.body = template.body.replace("30 days", "some days");
        let error = template.check().unwrap_err();
        assert_eq!(error.code(), "dunning.template_incomplete");
        let mut template = named("letter_before_action");
        template.body = template.body.replace("14 days", "10 days");
        assert!(template.check().is_err());
    }

    #[test]
    fn an_unknown_name_is_refused_and_so_is_a_text_without_end() {
        let mut template = named("reminder");
        template.body.push_str("{{ account.nme }}");
        assert_eq!(
            template.check().unwrap_err().code(),
            "dunning.template_unknown_name"
        );
        let mut template = named("reminder");
        template.body.push_str(
            "{% for a in range(9000) %}{% for b in range(9000) %}{{ a }}{% endfor %}{% endfor %}",
        );
        assert_eq!(
            template.check().unwrap_err().code(),
            "dunning.template_not_filled"
        );
    }

    #[test]
    fn a_name_with_a_line_break_makes_no_further_header() {
        let mut facts = Facts::sample();
        facts.account.name = "Acme\r\nBcc: all@example.org".to_owned();
        let filled = named("before_due").fill(&facts).unwrap();
        assert!(!filled.subject.contains(['\r', '\n']));
    }
}
