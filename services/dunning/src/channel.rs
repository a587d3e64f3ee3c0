//! Who writes, and how it leaves the house: e-mail by SMTP. Letters are printed
//! by people.

pub use mail::MailOptions;

use crate::domain::template::Sender;

/// Who sends, and over which provider.
#[derive(Clone)]
pub struct Options {
    pub sender: Sender,
    /// None: e-mails wait.
    pub mail: Option<MailOptions>,
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
            mail: None,
        }
    }
}
