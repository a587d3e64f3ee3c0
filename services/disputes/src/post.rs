//! How questions to people without an account leave the house. The link is a
//! secret: it is in the e-mail and nowhere else, so disputes sends it itself
//! instead of asking another service by an event.

use std::{sync::Arc, time::Duration};

use mail::{Handed, MailOptions, Mailer};
use messaging::Failure;

/// The command that asked waits no longer than this.
const PATIENCE: Duration = Duration::from_secs(7);

/// Who writes, over which provider, and where people reach the pages.
#[derive(Clone)]
pub struct Options {
    /// Name and address.
    pub from: (String, String),
    /// None: links are only shown.
    pub mail: Option<MailOptions>,
    /// Such as `https://ar.example.org`: links in e-mails begin with it.
    pub public_url: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            from: (
                "Counterfoil".to_owned(),
                "accounts@counterfoil.invalid".to_owned(),
            ),
            mail: None,
            public_url: "http://127.0.0.1:8080".to_owned(),
        }
    }
}

/// The way out.
#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) options: Arc<Options>,
    pub(crate) mailer: Option<Mailer>,
}

impl Post {
    pub(crate) fn new(options: Options) -> Result<Self, Failure> {
        Ok(Self {
            mailer: options.mail.as_ref().map(Mailer::new).transpose()?,
            options: Arc::new(options),
        })
    }

    pub(crate) fn link(&self, token: &str) -> String {
        format!(
            "{}/n/{token}",
            self.options.public_url.trim_end_matches('/')
        )
    }

    /// Hands over, once. What did not come back in time is unknown.
    pub(crate) async fn send(&self, mailer: &Mailer, to: &str, bytes: &[u8]) -> Handed {
        let handing = async {
            match mailer.answers().await {
                Ok(()) => mailer.send(&self.options.from.1, to, bytes).await,
                Err(why) => {
                    Handed::Refused(format!("the provider of e-mail does not answer: {why}"))
                }
            }
        };
        tokio::time::timeout(PATIENCE, handing)
            .await
            .unwrap_or_else(|_| Handed::Unknown("the provider of e-mail took too long".to_owned()))
    }
}
