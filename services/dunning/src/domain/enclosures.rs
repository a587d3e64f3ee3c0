//! What a letter must have enclosed before the law, and whether there is a form in
//! force for it (`data/enclosures.toml`).

use std::sync::LazyLock;

use chrono::NaiveDate;
use contracts::inbound::AccountKind;
use serde::Deserialize;

use super::policy::LegalClass;

/// An official form that is enclosed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    pub name: String,
    pub title: String,
}

/// What letters of a class to such debtors must have with them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Required {
    pub valid_from: NaiveDate,
    pub legal: LegalClass,
    pub kinds: Vec<AccountKind>,
    pub forms: Vec<String>,
    /// A statement of account, made with the letter.
    pub statement: bool,
    pub source: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    form: Vec<Form>,
    required: Vec<Required>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    toml::from_str(include_str!("../../data/enclosures.toml")).unwrap_or_default()
});

/// Every form that can be uploaded.
pub fn forms() -> &'static [Form] {
    &TABLE.form
}

pub fn form(name: &str) -> Option<&'static Form> {
    TABLE.form.iter().find(|form| form.name == name)
}

/// Which rules ask for a form.
pub fn asked_by(name: &str) -> impl Iterator<Item = &'static Required> {
    TABLE
        .required
        .iter()
        .filter(move |row| row.forms.iter().any(|form| form == name))
}

/// What a letter must have with it on a day: the newest row for its class. Somebody
/// of whom nobody knows what they are is taken for an individual.
pub fn required(
    legal: LegalClass,
    kind: Option<AccountKind>,
    day: NaiveDate,
) -> Option<&'static Required> {
    let kind = kind.unwrap_or(AccountKind::Individual);
    TABLE
        .required
        .iter()
        .filter(|row| row.legal == legal && row.valid_from <= day && row.kinds.contains(&kind))
        .max_by_key(|row| row.valid_from)
}

/// The forms of which some edition is published, each with its first day.
#[derive(Debug, Clone, Default)]
pub struct InForce(Vec<(String, NaiveDate)>);

impl InForce {
    pub const fn new(published: Vec<(String, NaiveDate)>) -> Self {
        Self(published)
    }

    /// Whether everything is there that a letter must have with it on a day.
    pub fn suffices(&self, legal: LegalClass, kind: Option<AccountKind>, day: NaiveDate) -> bool {
        let has = |form: &String| {
            let mut published = self.0.iter();
            published.any(|(name, from)| name == form && *from <= day)
        };
        required(legal, kind, day).is_none_or(|required| required.forms.iter().all(has))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn the_table_can_be_read_and_names_forms_that_there_are() {
        assert_eq!(forms().len(), 3);
        assert!(!TABLE.required.is_empty());
        for row in &TABLE.required {
            assert!(row.forms.iter().all(|name| form(name).is_some()));
            assert!(!row.source.is_empty());
        }
    }

    #[test]
    fn a_letter_of_claim_to_a_person_lacks_each_form_until_its_day() {
        let on = day("2026-03-02");
        let all = |from: &str| {
            let forms = forms().iter().map(|form| (form.name.clone(), day(from)));
            forms.collect::<Vec<_>>()
        };
        let suffices = |published: Vec<_>, legal, kind| {
            InForce::new(published).suffices(legal, Some(kind), on)
        };
        let (protocol, person) = (LegalClass::Protocol, AccountKind::Individual);
        assert!(suffices(all("2026-03-02"), protocol, person));
        assert!(!suffices(all("2026-03-03"), protocol, person));
        for n in 0..forms().len() {
            let mut two = all("2026-01-01");
            two.remove(n);
            assert!(!suffices(two.clone(), protocol, AccountKind::SoleTrader));
            // Neither a company nor a reminder needs them.
            assert!(suffices(two.clone(), protocol, AccountKind::Company));
            assert!(suffices(two, LegalClass::Reminder, person));
        }
        assert!(!InForce::default().suffices(protocol, None, on));
    }
}
