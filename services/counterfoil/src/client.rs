//! The command line as a user of the broker: it asks the services, and has no
//! rights of its own on their tables.

use std::{fmt::Write as _, time::Duration};

use anyhow::Context as _;
use contracts::{
    Prefix, Role,
    api::{Call, Refusal},
    catalogue::Outsider,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::Context;

/// A connection as the broker user `cli`.
pub(crate) struct Client {
    pub(crate) nats: async_nats::Client,
    pub(crate) prefix: Prefix,
}

/// A question may take this long: a rebuild or a check reads a whole ledger.
const TIMEOUT: Duration = Duration::from_mins(1);

/// What a service refused, for people.
#[derive(Debug, thiserror::Error)]
#[error("{} [{}]{}", .0.detail, .0.code, fields(.0))]
pub(crate) struct Refused(pub(crate) Refusal);

fn fields(refusal: &Refusal) -> String {
    refusal
        .fields
        .iter()
        .fold(String::new(), |mut text, field| {
            // Writing to a string cannot fail.
            let _ = write!(text, "; {}: {}", field.pointer, field.detail);
            text
        })
}

impl Client {
    /// Connects to the configured broker, or to that of the embedded stack
    /// which runs in the data directory.
    pub(crate) async fn connect(context: &mut Context) -> anyhow::Result<Self> {
        context.find_stack()?;
        let nats = runtime::service::nats(&context.config, Outsider::Cli.name())
            .await
            .context(
                "is Counterfoil running? (`counterfoil up`, or set [nats] in the configuration)",
            )?;
        Ok(Self {
            nats,
            prefix: Prefix::try_new(&context.config.nats.prefix)?,
        })
    }

    pub(crate) async fn ask<C: Call>(&self, call: &C) -> Result<C::Reply, Refused> {
        messaging::ask(&self.nats, &self.prefix.call::<C>(), call, TIMEOUT)
            .await
            .map_err(Refused)
    }

    /// A question whose service is chosen at run time.
    pub(crate) async fn ask_service<Q: Serialize, R: DeserializeOwned>(
        &self,
        role: Role,
        noun: &str,
        verb: &str,
        question: &Q,
    ) -> Result<R, Refused> {
        let subject = self
            .prefix
            .subject(format_args!("svc.{role}.{noun}.{verb}"));
        messaging::ask(&self.nats, &subject, question, TIMEOUT)
            .await
            .map_err(Refused)
    }
}

/// Who acts at the command line: the user of the machine.
pub(crate) fn actor() -> String {
    let uid =
        std::fs::metadata("/proc/self").map_or(0, |m| std::os::unix::fs::MetadataExt::uid(&m));
    format!("cli:uid{uid}")
}
