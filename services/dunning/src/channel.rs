//! Who writes, and how it leaves the house: e-mail by SMTP. Letters are printed
//! by people.

use std::collections::BTreeMap;

pub use mail::MailOptions;
use messaging::Failure;

use crate::domain::template::Sender;

/// Who sends, and over which provider.
#[derive(Clone)]
pub struct Options {
    pub sender: Sender,
    /// In whose name statements about their debts are written, by the name that
    /// accounts have (E80).
    pub principals: BTreeMap<String, Principal>,
    /// None: e-mails wait.
    pub mail: Option<MailOptions>,
}

/// A principal whose debts are collected: how they are written about (E80).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub sender: Sender,
    /// Of each of our templates the one in their words; ours where there is none.
    pub templates: BTreeMap<String, String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    address: String,
    #[serde(default)]
    phone: String,
    email: String,
    how_to_pay: String,
    #[serde(default)]
    templates: BTreeMap<String, String>,
}

impl Options {
    /// With the principals of a file: a TOML table for each, by its name.
    ///
    /// # Errors
    /// When it cannot be read, or is something else.
    pub fn with_principals(mut self, file: &std::path::Path) -> Result<Self, Failure> {
        let wrong = |error: String| {
            Failure::permanent(
                "dunning.principals_wrong",
                format!("cannot read {}: {error}", file.display()),
            )
        };
        let text = std::fs::read_to_string(file).map_err(|e| wrong(e.to_string()))?;
        let all: BTreeMap<String, Written> =
            toml::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        for (name, one) in all {
            let sender = Sender {
                name: one.name,
                address: one.address,
                phone: one.phone,
                email: one.email,
                how_to_pay: one.how_to_pay,
            };
            let principal = Principal {
                sender,
                templates: one.templates,
            };
            self.principals.insert(name, principal);
        }
        Ok(self)
    }

    /// The principal of a name, if one is configured.
    pub(crate) fn principal(&self, name: Option<&str>) -> Option<&Principal> {
        self.principals.get(name?)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sender: Sender {
                name: "Counterfoil".to_owned(),
                address: "no address is configured".to_owned(),
                phone: String::new(),
                email: "accounts@counterfoil.invalid".to_owned(),
                how_to_pay: "Please pay as it says on the invoices.".to_owned(),
            },
            principals: BTreeMap::new(),
            mail: None,
        }
    }
}
