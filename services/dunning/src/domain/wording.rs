//! Whether a text may be published: what it may name, and what it must say
//! before the law (`data/templates/required.toml`).

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Deserialize;

use super::{
    policy::LegalClass,
    template::{self, Block, Facts, Template, TemplateError},
};

/// Functions of the template language, which are no names of ours.
const FUNCTIONS: [&str; 3] = ["range", "dict", "namespace"];
const TITLE_MAX: usize = 120;
const NAME_MAX: usize = 60;

/// What is wrong, and where.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Fault {
    /// `template`, `title`, `subject` or `body`.
    pub field: &'static str,
    /// From 1, where it is known.
    pub line: Option<usize>,
    pub error: TemplateError,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Needs {
    need: Vec<Need>,
}

/// Something that a text must say.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// Texts of this kind; of every kind when absent.
    legal: Option<LegalClass>,
    /// Only where one of these is said.
    #[serde(default)]
    if_says: Vec<String>,
    pub what: String,
    /// Any one of these; `{total}` and the like stand for amounts.
    pub words: Vec<String>,
    pub source: String,
    pub valid_from: NaiveDate,
}

impl Need {
    fn met(&self, said: &str, facts: &Facts) -> bool {
        let late = facts.late.as_ref();
        let amount = |of: fn(&template::LateSums) -> &String| late.map_or("?", |late| of(late));
        self.words.iter().any(|word| {
            let word = word
                .replace("{total}", &facts.total)
                .replace("{rate}", amount(|late| &late.rate))
                .replace("{interest}", amount(|late| &late.interest));
            said.contains(&word.to_lowercase())
        })
    }
}

/// What texts of these kinds must say on a day, and whether this one does.
///
/// # Errors
/// When the program's own table is wrong, which a test rules out.
pub fn needs(
    said: &str,
    facts: &Facts,
    kinds: &[LegalClass],
    day: NaiveDate,
) -> Result<Vec<(Need, bool)>, TemplateError> {
    let read = toml::from_str::<Needs>(include_str!("../../data/templates/required.toml"));
    let all = read
        .map_err(|e| TemplateError::Unreadable(e.to_string()))?
        .need;
    let counts = |need: &Need| {
        let says = |words: &String| said.contains(&words.to_lowercase());
        need.valid_from <= day
            && need.legal.is_none_or(|legal| kinds.contains(&legal))
            && (need.if_says.is_empty() || need.if_says.iter().any(says))
    };
    Ok(all
        .into_iter()
        .filter(counts)
        .map(|need| {
            let met = need.met(said, facts);
            (need, met)
        })
        .collect())
}

/// Everything that a text may name, each with an example.
pub fn names() -> BTreeMap<String, String> {
    fn walk(at: &str, value: &serde_json::Value, found: &mut BTreeMap<String, String>) {
        match value {
            serde_json::Value::Object(fields) => {
                for (name, value) in fields {
                    let below = if at.is_empty() {
                        name.clone()
                    } else {
                        format!("{at}.{name}")
                    };
                    walk(&below, value, found);
                }
            }
            serde_json::Value::String(text) => {
                found.insert(at.to_owned(), text.clone());
            }
            serde_json::Value::Array(_) => {
                found.insert(at.to_owned(), "one for each document".to_owned());
            }
            other => {
                found.insert(at.to_owned(), other.to_string());
            }
        }
    }
    let mut found = BTreeMap::new();
    if let Ok(facts) = serde_json::to_value(Facts::sample()) {
        walk("", &facts, &mut found);
    }
    found
}

/// The words of a filled-in text in lower case, one space between them.
pub fn said(template: &Template, facts: &Facts) -> Result<String, TemplateError> {
    let filled = template.fill(facts)?;
    let mut said = filled.subject;
    for block in &filled.blocks {
        if let Block::Heading(text) | Block::Paragraph(text) = block {
            said.push('\n');
            said.push_str(text);
        }
    }
    let words: Vec<&str> = said.split_whitespace().collect();
    Ok(words.join(" ").to_lowercase())
}

fn line_of(text: &str, what: &str) -> Option<usize> {
    let at = text.lines().position(|line| line.contains(what))?;
    Some(at + 1)
}

/// Everything that keeps a text from being published. `kinds` is what it is
/// before the law, by itself and at each stage that sends it.
pub fn faults(template: &Template, kinds: &[LegalClass], day: NaiveDate) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut wrong = |field, line, error| faults.push(Fault { field, line, error });
    let name = &template.template;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(plain) {
        wrong("template", None, TemplateError::Name);
    }
    let title = template.title.trim();
    if title.is_empty() || title.chars().count() > TITLE_MAX {
        wrong("title", None, TemplateError::Size("the title", TITLE_MAX));
    }
    for (field, text, what, most) in [
        (
            "subject",
            &template.subject,
            "the subject",
            template::SUBJECT_MAX,
        ),
        ("body", &template.body, "the text", template::BODY_MAX),
    ] {
        if text.trim().is_empty() || text.chars().count() > most {
            wrong(field, None, TemplateError::Size(what, most));
            continue;
        }
        let known = names();
        match template::undeclared(text) {
            Err(error) => wrong(field, error.1, error.0),
            Ok(used) => {
                for name in used {
                    let below = format!("{name}.");
                    let is_known = known.contains_key(&name)
                        || FUNCTIONS.contains(&name.as_str())
                        || known.keys().any(|one| one.starts_with(&below));
                    if !is_known {
                        let line = line_of(text, &name);
                        wrong(field, line, TemplateError::Unknown(name));
                    }
                }
            }
        }
    }
    if !faults.is_empty() {
        return faults;
    }
    // Each by itself, so that the field is known.
    for (field, text) in [("subject", &template.subject), ("body", &template.body)] {
        for facts in [Facts::sample(), Facts::bare()] {
            // What only a claim for late payment has is missing from a bare letter.
            let fault = match template::rendered(text, &facts) {
                Err((error, line)) if facts.late.is_some() || !text.contains("late.") => {
                    Fault { field, line, error }
                }
                _ => continue,
            };
            if !faults.iter().any(|known: &Fault| known.field == field) {
                faults.push(fault);
            }
        }
    }
    if !faults.is_empty() {
        return faults;
    }
    let facts = Facts::sample();
    let mut wrong = |error| {
        faults.push(Fault {
            field: "body",
            line: None,
            error,
        });
    };
    match said(template, &facts).and_then(|said| needs(&said, &facts, kinds, day)) {
        Ok(needs) => {
            for (need, _) in needs.into_iter().filter(|(_, met)| !met) {
                wrong(TemplateError::Missing {
                    what: need.what,
                    source_text: need.source,
                });
            }
        }
        Err(error) => wrong(error),
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(name: &str) -> Template {
        let all = Template::shipped().unwrap();
        all.into_iter().find(|t| t.template == name).unwrap()
    }

    fn day() -> NaiveDate {
        "2026-03-02".parse().unwrap()
    }

    fn codes(template: &Template) -> Vec<(&'static str, Option<usize>, &'static str)> {
        use kernel::Classified as _;
        faults(template, &[template.legal], day())
            .iter()
            .map(|fault| (fault.field, fault.line, fault.error.code()))
            .collect()
    }

    #[test]
    fn an_unknown_name_is_found_wherever_it_stands() {
        let mut template = named("reminder");
        template.body = format!(
            "{}\n{{% if false %}}{{{{ acount }}}}{{% endif %}}",
            template.body
        );
        let line = template.body.lines().count();
        assert_eq!(
            codes(&template),
            [("body", Some(line), "dunning.template_unknown_name")]
        );
        template.subject = "{{ account.nme }}".to_owned();
        assert_eq!(codes(&template).len(), 2);
    }

    #[test]
    fn what_does_not_compile_is_told_with_its_line() {
        let mut template = named("reminder");
        template.body = "Dear\n\n{% if %}".to_owned();
        assert_eq!(
            codes(&template),
            [("body", Some(3), "dunning.template_not_filled")]
        );
        template.body = String::new();
        assert_eq!(codes(&template)[0].2, "dunning.template_too_long");
    }

    #[test]
    fn a_name_of_a_document_that_there_is_not_is_refused() {
        let mut template = named("reminder");
        template
            .body
            .push_str("{% for item in items %}{{ item.amnt }}{% endfor %}");
        assert_eq!(codes(&template)[0].2, "dunning.template_not_filled");
    }

    /// The stage that sends a text decides what it must say, whatever it calls
    /// itself.
    #[test]
    fn a_letter_of_claim_that_calls_itself_a_reminder_is_held_to_its_stage() {
        let mut template = named("letter_of_claim");
        template.legal = LegalClass::Reminder;
        template.body = template.body.replace("30 days", "some days");
        assert!(codes(&template).is_empty());
        let stage = [LegalClass::Reminder, LegalClass::Protocol];
        assert_eq!(faults(&template, &stage, day()).len(), 1);
    }

    #[test]
    fn a_claim_for_late_payment_states_its_rate_and_sum() {
        let mut template = named("final_demand");
        template.body.push_str(
            "\n\nWe claim interest under the Late Payment of Commercial Debts (Interest) Act 1998.",
        );
        assert_eq!(faults(&template, &[template.legal], day()).len(), 2);
        template
            .body
            .push_str(" The rate is {{ late.rate }}, which is {{ late.interest }} so far.");
        assert!(codes(&template).is_empty());
        // Who owes none gets no such letter.
        assert!(template.fill(&Facts::bare()).is_err());
    }

    #[test]
    fn a_need_counts_from_its_day() {
        let template = named("letter_of_claim");
        let facts = Facts::sample();
        let before: NaiveDate = "2017-09-30".parse().unwrap();
        let at = |day| needs("", &facts, &[template.legal], day).unwrap().len();
        assert!(at(before) < at(day()));
    }

    proptest! {
        /// Whatever a person types: it is refused or it can be filled in.
        #[test]
        fn what_passes_can_be_filled_in(body in "[a-z{}%. _|\\[\\]\n]{1,60}", name in "[a-z.]{1,12}") {
            let mut template = named("before_due");
            template.body = format!("{body}\n\n{{{{ {name} }}}}");
            if faults(&template, &[template.legal], day()).is_empty() {
                prop_assert!(template.fill(&Facts::sample()).is_ok());
            }
        }
    }
}
