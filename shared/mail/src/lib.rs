//! How what was written leaves the house: e-mail by SMTP, for the services that
//! write to people. What is sent once, and what is done about what nobody knows
//! the fate of, is each service's own.

use std::time::Duration;

use chrono::{DateTime, Utc};
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    address::Envelope,
    message::{
        Attachment, Mailbox, MultiPart, SinglePart,
        header::{ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};
use messaging::Failure;
use uuid::Uuid;

/// The provider.
#[derive(Clone)]
pub struct MailOptions {
    pub host: String,
    pub port: u16,
    pub security: Security,
    /// Name and password.
    pub credentials: Option<(String, String)>,
    /// The provider drops a Message-ID that it has: only then is anything sent
    /// twice to it.
    pub idempotent: bool,
    pub timeout: Duration,
}

/// How what is handed over, and the password, are kept from others on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Security {
    /// STARTTLS, or nothing is handed over; in the open only to this machine.
    #[default]
    Auto,
    /// STARTTLS, or nothing is handed over.
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// In the open, also to another machine: whoever says so trusts the network.
    Open,
}

impl Security {
    fn of(self, host: &str) -> Result<Tls, Failure> {
        if self == Self::Open || self == Self::Auto && is_this_machine(host) {
            return Ok(Tls::None);
        }
        let parameters = TlsParameters::new(host.to_owned()).map_err(wrong)?;
        Ok(match self {
            Self::Tls => Tls::Wrapper(parameters),
            Self::Auto | Self::StartTls | Self::Open => Tls::Required(parameters),
        })
    }
}

/// Whether nobody else can listen on the way to it.
fn is_this_machine(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// What became of an e-mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Handed {
    Sent(Option<String>),
    /// The provider refused it.
    Refused(String),
    /// Nobody knows whether it was taken (E65).
    Unknown(String),
}

/// The connection to the provider.
#[derive(Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    pub idempotent: bool,
}

/// An error with what it came of, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        source = error.source();
    }
    words
}

fn wrong(error: impl std::fmt::Display) -> Failure {
    Failure::permanent("mail.wrong", error.to_string())
}

impl Mailer {
    pub fn new(options: &MailOptions) -> Result<Self, Failure> {
        let mut builder =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(options.host.clone())
                .port(options.port)
                .tls(options.security.of(&options.host)?)
                .timeout(Some(options.timeout));
        if let Some((user, password)) = &options.credentials {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        Ok(Self {
            transport: builder.build(),
            idempotent: options.idempotent,
        })
    }

    /// Whether the provider answers: while it does not, nothing is claimed.
    ///
    /// # Errors
    /// What it answered instead, or what came of asking it.
    pub async fn answers(&self) -> Result<(), String> {
        match self.transport.test_connection().await {
            Ok(true) => Ok(()),
            Ok(false) => Err("it closed the connection".to_owned()),
            Err(error) => Err(chain(&error)),
        }
    }

    /// Hands over exactly these bytes.
    pub async fn send(&self, from: &str, to: &str, bytes: &[u8]) -> Handed {
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

/// An e-mail that is to be written.
#[derive(Debug, Clone, Copy)]
pub struct Email<'e> {
    /// Who writes: name and address.
    pub from: (&'e str, &'e str),
    pub to: &'e str,
    /// What it is about: the Message-ID, and the token by which an answer is
    /// found.
    pub about: Uuid,
    pub at: DateTime<Utc>,
    pub subject: &'e str,
    pub text: &'e str,
    /// The same as a page, where there is one.
    pub html: Option<&'e str>,
    pub attached: &'e [Attached<'e>],
}

/// A PDF that goes with an e-mail.
#[derive(Debug, Clone, Copy)]
pub struct Attached<'e> {
    pub name: &'e str,
    pub bytes: &'e [u8],
}

impl Email<'_> {
    /// As it is sent: the same e-mail gives the same bytes.
    ///
    /// # Errors
    /// When an address is none.
    pub fn bytes(&self) -> Result<Vec<u8>, Failure> {
        let address: Address = self.from.1.parse().map_err(wrong)?;
        let domain = address.domain().to_owned();
        let from = Mailbox::new(Some(self.from.0.to_owned()), address.clone());
        let reply: Address = format!("{}+{}@{domain}", address.user(), self.about.simple())
            .parse()
            .map_err(wrong)?;
        let text = SinglePart::builder()
            .header(ContentType::TEXT_PLAIN)
            .body(self.text.to_owned());
        let message = Message::builder()
            .from(from)
            .reply_to(Mailbox::new(None, reply))
            .to(Mailbox::new(None, self.to.parse().map_err(wrong)?))
            .date(self.at.into())
            .message_id(Some(format!("<{}@{domain}>", self.about)))
            .subject(self.subject)
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        let both = |html: &str| {
            MultiPart::alternative()
                .boundary(self.about.simple().to_string())
                .singlepart(text.clone())
                .singlepart(
                    SinglePart::builder()
                        .header(ContentType::TEXT_HTML)
                        .body(html.to_owned()),
                )
        };
        let message = match (self.html, self.attached) {
            (Some(html), []) => message.multipart(both(html)),
            (None, []) => message.singlepart(text),
            (html, attached) => {
                let mixed = MultiPart::mixed().boundary(format!("with-{}", self.about.simple()));
                let mut mixed = match html {
                    Some(html) => mixed.multipart(both(html)),
                    None => mixed.singlepart(text),
                };
                let pdf = ContentType::parse("application/pdf").map_err(wrong)?;
                for one in attached {
                    let part = Attachment::new(one.name.to_owned());
                    mixed = mixed.singlepart(part.body(one.bytes.to_vec(), pdf.clone()));
                }
                message.multipart(mixed)
            }
        };
        Ok(message.map_err(wrong)?.formatted())
    }
}

/// Whether an e-mail can go to it.
pub fn is_address(text: &str) -> bool {
    text.parse::<Address>().is_ok()
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
        net::TcpListener,
    };

    use super::*;

    #[test]
    fn the_same_email_has_the_same_bytes_and_its_own_message_id() {
        let email = Email {
            from: ("Ledger", "ar@example.org"),
            to: "sam@example.net",
            about: Uuid::from_u128(7),
            at: DateTime::UNIX_EPOCH,
            subject: "A question\r\nBcc: other@example.net",
            text: "What was delivered?",
            html: None,
            attached: &[],
        };
        let bytes = email.bytes().unwrap();
        assert_eq!(bytes, email.bytes().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("Message-ID: <00000000-0000-0000-0000-000000000007@example.org>"));
        // A subject is one header, whatever is in it.
        assert!(!text.lines().any(|line| line.starts_with("Bcc:")), "{text}");
        assert!(
            Email {
                to: "nobody",
                ..email
            }
            .bytes()
            .is_err()
        );
    }

    #[test]
    fn what_is_attached_is_in_it_byte_for_byte_and_always_the_same() {
        let attached = [Attached {
            name: "Reply Form.pdf",
            bytes: b"%PDF-1.7 \xff\xfe\xfd\xfc a form of bytes \x80\x81\x82\x83\x84\x85\x86\x87",
        }];
        let email = Email {
            from: ("Ledger", "ar@example.org"),
            to: "sam@example.net",
            about: Uuid::from_u128(7),
            at: DateTime::UNIX_EPOCH,
            subject: "A claim",
            text: "See what is enclosed",
            html: Some("<p>See what is enclosed</p>"),
            attached: &attached,
        };
        let bytes = email.bytes().unwrap();
        assert_eq!(bytes, email.bytes().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("Reply Form.pdf"), "{text}");
        // What base64 makes of the form.
        assert!(
            text.contains("JVBERi0xLjcg//79/CBhIGZvcm0gb2YgYnl0"),
            "{text}"
        );
    }

    fn over(address: std::net::SocketAddr, security: Security) -> Mailer {
        Mailer::new(&MailOptions {
            host: address.ip().to_string(),
            port: address.port(),
            security,
            credentials: Some(("ar".to_owned(), "a secret".to_owned())),
            idempotent: true,
            timeout: Duration::from_secs(10),
        })
        .unwrap()
    }

    /// A provider that says what it can, and takes down what it hears until the
    /// connection is no text any more.
    async fn hears(can: &'static str, security: Security) -> (Handed, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mailer = over(listener.local_addr().unwrap(), security);
        let provider = async {
            let (stream, _) = listener.accept().await.unwrap();
            let (mut stream, mut heard) = (BufReader::new(stream), String::new());
            stream.write_all(b"220 here\r\n").await.unwrap();
            loop {
                match stream.fill_buf().await {
                    Ok([]) | Err(_) => break,
                    // The first byte of a TLS handshake.
                    Ok([0x16, ..]) => {
                        heard.push_str("<handshake>");
                        break;
                    }
                    Ok(_) => {}
                }
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                heard.push_str(&line);
                let answer = match line.split_whitespace().next() {
                    Some("EHLO") => can,
                    Some("STARTTLS") => "220 go ahead\r\n",
                    Some("QUIT") => "221 bye\r\n",
                    _ => "250 ok\r\n",
                };
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            heard
        };
        let sending = mailer.send(
            "ar@example.org",
            "sam@example.net",
            b"Subject: x\r\n\r\nsecret\r\n",
        );
        tokio::join!(sending, provider)
    }

    #[tokio::test]
    async fn nothing_is_handed_over_in_the_open() {
        let (handed, heard) = hears("250-here\r\n250 STARTTLS\r\n", Security::StartTls).await;
        assert!(!matches!(handed, Handed::Sent(_)), "{handed:?}");
        assert!(heard.ends_with("STARTTLS\r\n<handshake>"), "{heard}");
        // Who does not offer it gets neither the password nor the letter.
        let (handed, heard) = hears("250-here\r\n250 AUTH PLAIN\r\n", Security::StartTls).await;
        assert!(!matches!(handed, Handed::Sent(_)), "{handed:?}");
        for secret in ["AUTH", "MAIL FROM", "secret"] {
            assert!(!heard.contains(secret), "{heard}");
        }
        let (_, heard) = hears("250 here\r\n", Security::Tls).await;
        assert_eq!(heard, "<handshake>");
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_the_open() {
        for here in ["127.0.0.1", "::1", "localhost", "LOCALHOST"] {
            assert!(matches!(Security::Auto.of(here), Ok(Tls::None)), "{here}");
            assert!(matches!(Security::StartTls.of(here), Ok(Tls::Required(_))));
        }
        for there in ["mail.example.org", "10.0.0.7", "localhost.example.org"] {
            let tls = Security::default().of(there);
            assert!(matches!(tls, Ok(Tls::Required(_))), "{there}");
        }
    }

    #[test]
    fn an_address_has_a_name_and_a_domain() {
        assert!(is_address("sam@example.net"));
        for wrong in ["", "sam", "sam@", "a@b@c", "sam@example.net\r\nX: y"] {
            assert!(!is_address(wrong), "{wrong}");
        }
    }
}
