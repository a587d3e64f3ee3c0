//! The services of the suite, as this program runs them.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use runtime::{Config, Service};
use tokio::sync::oneshot;

/// Told the address of the web page once it is listened on.
pub(crate) type Bound = oneshot::Sender<SocketAddr>;

/// All seven, in start-up order.
pub(crate) fn all(config: &Config, bound: Option<Bound>) -> Vec<Service> {
    let listen = config.http.listen;
    let secure_cookies = config.http.secure_cookies;
    let trusted_origins = config.http.trusted_origins.clone();
    let demo = config.demo.enabled;
    let letters = letters(config);
    let questions = questions(config);
    let files = files(config);
    let principals = config.mail.principals_file.clone();
    // Only the first start of the gateway tells; after a restart it has the
    // same address.
    let bound = Arc::new(Mutex::new(bound));
    vec![
        Service::new(ingestion::ROLE, &ingestion::MIGRATOR, move |bus| {
            ingestion::run(bus, files.clone())
        }),
        Service::new(allocation::ROLE, &allocation::MIGRATOR, allocation::run),
        Service::new(disputes::ROLE, &disputes::MIGRATOR, move |bus| {
            disputes::run_with(bus, questions.clone())
        }),
        Service::new(dunning::ROLE, &dunning::MIGRATOR, move |bus| {
            let (letters, file) = (letters.clone(), principals.clone());
            async move {
                let letters = match file {
                    Some(file) => letters.with_principals(&file)?,
                    None => letters,
                };
                dunning::run_with(bus, letters).await
            }
        }),
        Service::new(worklist::ROLE, &worklist::MIGRATOR, worklist::run),
        Service::new(reporting::ROLE, &reporting::MIGRATOR, reporting::run),
        Service::new(gateway::ROLE, &gateway::MIGRATOR, move |bus| {
            let bound = bound
                .lock()
                .map(|mut bound| bound.take())
                .unwrap_or_default();
            gateway::run(
                bus,
                gateway::Options {
                    listen,
                    demo,
                    secure_cookies,
                    trusted_origins: trusted_origins.clone(),
                    bound,
                    ..gateway::Options::default()
                },
            )
        }),
    ]
}

/// Who we are for Bacs.
fn files(config: &Config) -> ingestion::Options {
    let bacs = &config.bacs;
    ingestion::Options {
        bacs: ingestion::Bacs {
            user_number: bacs.user_number.clone(),
            user_name: bacs.user_name.clone(),
            account: bacs.account.clone(),
            notice_days: (bacs.notice_days > 0).then_some(bacs.notice_days),
        },
        ..ingestion::Options::default()
    }
}

/// Who writes to debtors, and over which provider.
fn letters(config: &Config) -> dunning::Options {
    let mail = &config.mail;
    dunning::Options {
        sender: dunning::domain::template::Sender {
            name: mail.sender.clone(),
            address: mail.address.clone(),
            phone: mail.phone.clone(),
            email: mail.from.clone(),
            how_to_pay: mail.how_to_pay.clone(),
        },
        principals: std::collections::BTreeMap::new(),
        mail: provider(config),
    }
}

/// Who asks people without an account, and where their links lead.
fn questions(config: &Config) -> disputes::Options {
    let url = &config.http.public_url;
    disputes::Options {
        from: (config.mail.sender.clone(), config.mail.from.clone()),
        mail: provider(config),
        public_url: if url.is_empty() {
            format!("http://{}", config.http.listen)
        } else {
            url.clone()
        },
    }
}

/// The provider of e-mail, if there is one.
fn provider(config: &Config) -> Option<mail::MailOptions> {
    let mail = &config.mail;
    (!mail.host.is_empty()).then(|| mail::MailOptions {
        host: mail.host.clone(),
        port: mail.port,
        security: match (mail.tls, mail.starttls) {
            (true, _) => mail::Security::Tls,
            (false, true) => mail::Security::Auto,
            (false, false) => mail::Security::Open,
        },
        credentials: (!mail.user.is_empty())
            .then(|| (mail.user.clone(), mail.password.expose().to_owned())),
        idempotent: mail.idempotent,
        timeout: std::time::Duration::from_secs(mail.timeout_seconds),
    })
}
