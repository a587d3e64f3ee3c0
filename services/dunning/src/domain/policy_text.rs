//! A policy as a person writes it: read, and everything that is wrong with it
//! told with the field and the line.

use chrono::NaiveDate;

use super::{
    policy::{Policies, Policy},
    template::Template,
    wording,
};

/// Characters of a policy.
const TEXT_MAX: usize = 40_000;
/// Faults that are told at once.
const FAULTS_MAX: usize = 20;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Such as `stage[2].rank`.
    pub field: String,
    /// From 1; nothing for JSON.
    pub line: Option<usize>,
    pub detail: String,
}

impl Fault {
    /// In one line, for people.
    pub fn words(&self) -> String {
        let place = match (self.field.as_str(), self.line) {
            ("", None) => String::new(),
            ("", Some(line)) => format!("line {line}: "),
            (field, None) => format!("{field}: "),
            (field, Some(line)) => format!("line {line}, {field}: "),
        };
        format!("{place}{}", self.detail)
    }
}

/// Reads a draft of the policy `name` as its version `version`.
///
/// # Errors
/// Everything that is wrong with it by itself, and with the templates that it
/// names.
pub fn read(
    text: &str,
    name: &str,
    version: i32,
    valid_from: Option<NaiveDate>,
    templates: &[Template],
) -> Result<Policy, Vec<Fault>> {
    if text.chars().count() > TEXT_MAX {
        return Err(vec![Fault {
            field: String::new(),
            line: None,
            detail: format!("a policy has at most {TEXT_MAX} characters"),
        }]);
    }
    let mut policy = parsed(text).map_err(|fault| vec![fault])?;
    let mut wrong: Vec<(String, String)> = Vec::new();
    if policy.policy != name {
        let detail = format!("this is a draft of `{name}`");
        wrong.push(("policy".to_owned(), detail));
    }
    policy.version = version;
    if let Some(day) = valid_from {
        policy.valid_from = day;
    }
    wrong.extend(policy.faults());
    wrong.extend(sent(&policy, templates));
    if wrong.is_empty() {
        return Ok(policy);
    }
    wrong.truncate(FAULTS_MAX);
    Err(wrong
        .into_iter()
        .map(|(field, detail)| Fault {
            line: line_of(text, &field),
            field,
            detail,
        })
        .collect())
}

fn parsed(text: &str) -> Result<Policy, Fault> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|e| Fault {
            field: String::new(),
            line: Some(e.line()),
            detail: e.to_string(),
        });
    }
    toml::from_str(text).map_err(|e| {
        let line = e.span().map(|span| {
            let before = text.get(..span.start).unwrap_or_default();
            before.matches('\n').count() + 1
        });
        let key = line
            .and_then(|line| text.lines().nth(line - 1))
            .and_then(|line| line.split_once('='))
            .map_or("", |(key, _)| key.trim());
        Fault {
            field: key.to_owned(),
            line,
            detail: e.message().to_owned(),
        }
    })
}

/// What is wrong with the templates that its stages send.
fn sent(policy: &Policy, templates: &[Template]) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    for (n, stage) in policy.stages.iter().enumerate() {
        let field = format!("stage[{n}].template");
        let Some(template) = templates.iter().find(|t| t.template == stage.template) else {
            let detail = format!("there is no published template `{}`", stage.template);
            wrong.push((field, detail));
            continue;
        };
        let faults = wording::faults(template, &[stage.legal], policy.valid_from);
        if let Some(fault) = faults.first() {
            let detail = format!("`{}` cannot be sent here: {fault}", stage.template);
            wrong.push((field, detail));
        }
    }
    wrong
}

/// The line of a field such as `stage[2].rank`; of the stage where the field
/// itself is not there.
fn line_of(text: &str, field: &str) -> Option<usize> {
    let mut lines = text
        .lines()
        .enumerate()
        .map(|(n, line)| (n + 1, line.trim()));
    let is_key = |line: &str, key: &str| {
        line.split_once('=')
            .is_some_and(|(known, _)| known.trim() == key)
    };
    let Some((stage, key)) = field
        .strip_prefix("stage[")
        .and_then(|rest| rest.split_once("]."))
    else {
        let table = format!("[{field}]");
        let is_it = |line: &str| line == table || is_key(line, field);
        return lines.find(|(_, line)| is_it(line)).map(|(n, _)| n);
    };
    let stage: usize = stage.parse().ok()?;
    let (head, _) = lines
        .by_ref()
        .filter(|(_, line)| *line == "[[stage]]")
        .nth(stage)?;
    let own = lines
        .take_while(|(_, line)| !line.starts_with("[["))
        .find(|(_, line)| is_key(line, key) || *line == format!("[stage.{key}]"));
    Some(own.map_or(head, |(n, _)| n))
}

/// What a template is before the law, by itself and at each stage of a policy in
/// force that sends it.
pub fn kinds_of(
    template: &Template,
    policies: &Policies,
    day: NaiveDate,
) -> Vec<super::policy::LegalClass> {
    let mut kinds = vec![template.legal];
    for stage in policies.valid(day).flat_map(|policy| &policy.stages) {
        if stage.template == template.template && !kinds.contains(&stage.legal) {
            kinds.push(stage.legal);
        }
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = include_str!("../../data/policies/trade-credit.toml");

    fn faults(text: &str) -> Vec<Fault> {
        let templates = Template::shipped().unwrap();
        read(text, "trade_credit", 2, None, &templates)
            .err()
            .unwrap_or_default()
    }

    fn line(text: &str, what: &str) -> Option<usize> {
        text.lines()
            .position(|line| line.contains(what))
            .map(|n| n + 1)
    }

    #[test]
    fn a_good_draft_takes_the_version_it_is_given_and_the_day() {
        let day = "2026-12-01".parse().unwrap();
        let templates = Template::shipped().unwrap();
        let policy = read(TEXT, "trade_credit", 7, Some(day), &templates).unwrap();
        assert_eq!((policy.version, policy.valid_from), (7, day));
        let json = serde_json::to_string_pretty(&policy).unwrap();
        assert_eq!(read(&json, "trade_credit", 7, None, &templates), Ok(policy));
    }

    #[test]
    fn an_unknown_field_is_told_with_its_line() {
        let text = TEXT.replace("cool_off_days", "cool_off_day");
        let found = faults(&text);
        assert_eq!(found[0].field, "cool_off_day");
        assert_eq!(found[0].line, line(&text, "cool_off_day"));
        assert!(found[0].words().contains("unknown field"));
        let found = faults("{ \"policy\": 3 }");
        assert_eq!(found[0].line, Some(1));
    }

    #[test]
    fn everything_that_contradicts_is_told_at_once() {
        let text = TEXT
            .replace("rank = 40", "rank = 10")
            .replace("template = \"call\"", "template = \"cal\"")
            .replace("budget = { contacts = 3", "budget = { contacts = 0");
        let found = faults(&text);
        let fields: Vec<&str> = found.iter().map(|f| f.field.as_str()).collect();
        assert_eq!(fields, ["budget", "stage[3].rank", "stage[3].template"]);
        assert_eq!(
            found[1].line,
            line(&text, "rank = 10").map(|_| {
                let all: Vec<usize> = text
                    .lines()
                    .enumerate()
                    .filter(|(_, l)| l.contains("rank = 10"))
                    .map(|(n, _)| n + 1)
                    .collect();
                all[1]
            })
        );
        assert_eq!(found[2].line, line(&text, "template = \"cal\""));
    }

    /// A reminder is no letter of claim, whatever a policy calls its stage.
    #[test]
    fn a_stage_is_held_to_the_law_of_its_letter() {
        let text = TEXT.replace(
            "template = \"letter_of_claim\"",
            "template = \"second_reminder\"",
        );
        let found = faults(&text);
        assert_eq!(found.len(), 1);
        assert!(found[0].detail.contains("cannot be sent here"), "{found:?}");
        let text = TEXT.replace(
            "debtors = [\"company\", \"public_body\"]",
            "debtors = [\"company\", \"public_body\", \"sole_trader\"]",
        );
        let found = faults(&text);
        assert!(
            found
                .iter()
                .any(|f| f.detail.contains("Pre-Action Protocol"))
        );
    }
}
