//! How what was written leaves the house: e-mail by SMTP. Letters are printed
//! by people.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    address::Envelope,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};
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

#[derive(Clone)]
pub struct MailOptions {
    pub host: String,
    pub port: u16,
    /// TLS from the first byte; else none, for a provider on this machine.
    pub tls: bool,
    /// Name and password.
    pub credentials: Option<(String, String)>,
    /// The provider drops a Message-ID that it has: only then is anything sent
    /// twice to it.
    pub idempotent: bool,
    pub timeout: Duration,
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

/// What became of an e-mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Handed {
    Sent(Option<String>),
    /// The provider refused it.
    Refused(String),
    /// Nobody knows whether it was taken (E65).
    Unknown(String),
}

/// The connection to the provider.
#[derive(Clone)]
pub(crate) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    pub(crate) idempotent: bool,
}

fn wrong(error: impl std::fmt::Display) -> Failure {
    Failure::permanent("dunning.mail_wrong", error.to_string())
}

impl Mailer {
    pub(crate) fn new(options: &MailOptions) -> Result<Self, Failure> {
        let mut builder =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(options.host.clone())
                .port(options.port)
                .timeout(Some(options.timeout));
        if options.tls {
            let parameters = TlsParameters::new(options.host.clone()).map_err(wrong)?;
            builder = builder.tls(Tls::Wrapper(parameters));
        }
        if let Some((user, password)) = &options.credentials {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        Ok(Self {
            transport: builder.build(),
            idempotent: options.idempotent,
        })
    }

    /// Whether the provider answers: while it does not, nothing is claimed.
    pub(crate) async fn answers(&self) -> bool {
        self.transport.test_connection().await.unwrap_or(false)
    }

    /// Hands over exactly these bytes.
    pub(crate) async fn send(&self, from: &str, to: &str, bytes: &[u8]) -> Handed {
        let envelope = from
            .parse::<Address>()
            .map_err(|e| e.to_string())
            .and_then(|from| Ok((from, to.parse::<Address>().map_err(|e| e.to_string())?)))
            .and_then(|(from, to)| Envelope::new(Some(from), vec![to]).map_err(|e| e.to_string()));
        let envelope = match envelope {
            Ok(envelope) => envelope,
            Err(error) => return Handed::Refused(format!("no e-mail address: {error}")),
        };
        match self.transport.send_raw(&envelope, bytes).await {
            Ok(answer) => Handed::Sent(answer.first_line().map(str::to_owned)),
            Err(error) if error.is_permanent() || error.is_transient() => {
                Handed::Refused(error.to_string())
            }
            Err(error) => Handed::Unknown(error.to_string()),
        }
    }
}

/// An e-mail as it is sent: the same arguments give the same bytes.
pub(crate) fn email(
    sender: &Sender,
    to: &str,
    contact: uuid::Uuid,
    at: DateTime<Utc>,
    subject: &str,
    text: String,
    html: String,
) -> Result<Vec<u8>, Failure> {
    let address: Address = sender.email.parse().map_err(wrong)?;
    let domain = address.domain().to_owned();
    let from = Mailbox::new(Some(sender.name.clone()), address.clone());
    // An answer finds its contact by the token.
    let reply: Address = format!("{}+{}@{domain}", address.user(), contact.simple())
        .parse()
        .map_err(wrong)?;
    let parts = MultiPart::alternative()
        .boundary(contact.simple().to_string())
        .singlepart(
            SinglePart::builder()
                .header(ContentType::TEXT_PLAIN)
                .body(text),
        )
        .singlepart(
            SinglePart::builder()
                .header(ContentType::TEXT_HTML)
                .body(html),
        );
    let message = Message::builder()
        .from(from)
        .reply_to(Mailbox::new(None, reply))
        .to(Mailbox::new(None, to.parse().map_err(wrong)?))
        .date(at.into())
        .message_id(Some(format!("<{contact}@{domain}>")))
        .subject(subject)
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ))
        .multipart(parts)
        .map_err(wrong)?;
    Ok(message.formatted())
}
