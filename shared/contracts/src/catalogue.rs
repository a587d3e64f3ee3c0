//! The streams, their durable consumers, and who may do what on the broker.
//!
//! One source for `counterfoil jetstream apply`, for the permissions of the
//! local stack, for `schemas/streams.json` and for the AsyncAPI document.
//! Everything here works on nats-server 2.9: a consumer has one filter at most,
//! because newer kinds are dropped by older servers without a word.

use serde::Serialize;

use crate::{Prefix, Role};

/// A stream: a log of facts kept for a time, for any number of readers.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Stream {
    pub name: &'static str,
    /// Below `counterfoil.`.
    pub subjects: &'static [&'static str],
    pub max_age_days: u64,
    /// Publishing the same `Nats-Msg-Id` again within this time is a no-op; the
    /// inbox of each consumer is what really protects.
    pub duplicate_window_seconds: u64,
    pub description: &'static str,
}

pub const INBOUND: &str = "INBOUND";
pub const INGESTION: &str = "INGESTION";
pub const ALLOCATION: &str = "ALLOCATION";
pub const DISPUTES: &str = "DISPUTES";
pub const DUNNING: &str = "DUNNING";
pub const WORKLIST: &str = "WORKLIST";
pub const REPORTING: &str = "REPORTING";
pub const SLA: &str = "SLA";

const fn facts(
    name: &'static str,
    subjects: &'static [&'static str],
    description: &'static str,
) -> Stream {
    Stream {
        name,
        subjects,
        max_age_days: 30,
        duplicate_window_seconds: 120,
        description,
    }
}

pub const STREAMS: [Stream; 8] = [
    facts(INBOUND, &["in.>"], "from bank feeds and billing systems"),
    facts(INGESTION, &["evt.ingestion.>"], "what ingestion recorded"),
    facts(
        ALLOCATION,
        &["evt.allocation.>"],
        "what moved on the ledger",
    ),
    facts(DISPUTES, &["evt.disputes.>"], "what happened to queries"),
    facts(DUNNING, &["evt.dunning.>"], "who was chased, and who not"),
    facts(WORKLIST, &["evt.worklist.>"], "who must act"),
    facts(
        REPORTING,
        &["evt.reporting.>"],
        "messages with money that reporting could not handle",
    ),
    facts(SLA, &["sla.>"], "warnings and breaches for dashboards"),
];

/// A durable consumer: a service's own place in a stream.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Durable {
    pub service: Role,
    pub stream: &'static str,
    /// The one event that it wants, such as `case_changed`; otherwise all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<&'static str>,
}

const fn reads(service: Role, stream: &'static str) -> Durable {
    Durable {
        service,
        stream,
        event: None,
    }
}

const fn reads_only(service: Role, stream: &'static str, event: &'static str) -> Durable {
    Durable {
        service,
        stream,
        event: Some(event),
    }
}

pub const DURABLES: [Durable; 22] = [
    reads(Role::Ingestion, INBOUND),
    reads_only(Role::Ingestion, ALLOCATION, "refund_file_ordered"),
    reads_only(Role::Ingestion, DUNNING, "charge_changed"),
    reads_only(Role::Ingestion, WORKLIST, "approval_decided"),
    reads(Role::Allocation, INGESTION),
    reads_only(Role::Allocation, DISPUTES, "case_changed"),
    reads_only(Role::Allocation, WORKLIST, "approval_decided"),
    reads(Role::Allocation, DUNNING),
    reads(Role::Disputes, ALLOCATION),
    reads_only(Role::Disputes, WORKLIST, "approval_decided"),
    reads_only(Role::Dunning, INGESTION, "statement_recorded"),
    reads(Role::Dunning, ALLOCATION),
    reads_only(Role::Dunning, DISPUTES, "case_changed"),
    reads_only(Role::Dunning, WORKLIST, "approval_decided"),
    reads(Role::Worklist, INGESTION),
    reads(Role::Worklist, ALLOCATION),
    reads(Role::Worklist, DISPUTES),
    reads(Role::Worklist, DUNNING),
    reads(Role::Worklist, WORKLIST),
    reads_only(Role::Worklist, REPORTING, "dead_letter_changed"),
    reads(Role::Reporting, ALLOCATION),
    reads(Role::Reporting, DUNNING),
];

impl Durable {
    /// `<service>--<STREAM>`.
    pub fn name(&self) -> String {
        format!("{}--{}", self.service, self.stream)
    }

    /// The subjects that it filters by, if it does not want the whole stream.
    pub fn filter(&self, prefix: &Prefix) -> Option<String> {
        let context = self.stream.to_ascii_lowercase();
        self.event
            .map(|event| prefix.subject(format_args!("evt.{context}.{event}.>")))
    }
}

/// Which services a service may ask: request/reply on their subjects.
pub const fn may_ask(role: Role) -> &'static [Role] {
    match role {
        Role::Gateway => &[
            Role::Ingestion,
            Role::Allocation,
            Role::Disputes,
            Role::Dunning,
            Role::Worklist,
            Role::Reporting,
        ],
        Role::Reporting => &[Role::Ingestion, Role::Allocation],
        _ => &[],
    }
}

/// Users of the broker that are no service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outsider {
    /// Applies streams and consumers; used by `migrate` and `jetstream apply`.
    Platform,
    /// The command line: asks every service, publishes bank lines for the bench.
    Cli,
    /// Publishes receipts and nothing else.
    BankFeed,
    /// Publishes accounts and documents and nothing else.
    Billing,
    /// Publishes remittance advice and nothing else.
    Remittance,
    /// Listens to SLA warnings and breaches and nothing else.
    Dashboard,
}

impl Outsider {
    pub const ALL: [Self; 6] = [
        Self::Platform,
        Self::Cli,
        Self::BankFeed,
        Self::Billing,
        Self::Remittance,
        Self::Dashboard,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Cli => "cli",
            Self::BankFeed => "bank_feed",
            Self::Billing => "billing",
            Self::Remittance => "remittance",
            Self::Dashboard => "dashboard",
        }
    }
}

/// What one user of the broker may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Permissions {
    pub user: String,
    pub publish: Vec<String>,
    pub subscribe: Vec<String>,
}

/// The inbox prefix of a user, so that nobody can read another's replies.
pub fn inbox_prefix(user: &str) -> String {
    format!("_INBOX_{user}")
}

fn base(user: &str) -> Permissions {
    Permissions {
        user: user.to_owned(),
        publish: Vec::new(),
        subscribe: vec![format!("{}.>", inbox_prefix(user))],
    }
}

/// What `role` may do on the broker.
pub fn service_permissions(role: Role, prefix: &Prefix) -> Permissions {
    let mut may = base(role.name());
    // Answers go to the inboxes of those who may ask. The server's own way
    // (`allow_responses`) also remembers the acknowledgement subject of every
    // message that is delivered, and sweeping those cost it a whole core.
    let askers = Role::ALL
        .into_iter()
        .filter(|asker| may_ask(*asker).contains(&role));
    may.publish.extend(
        askers
            .map(Role::name)
            .chain([Outsider::Cli.name(), Outsider::Platform.name()])
            .map(|asker| format!("{}.>", inbox_prefix(asker))),
    );
    may.publish.push(prefix.events_of(role));
    may.publish.push(prefix.notice(role));
    may.subscribe
        .push(prefix.subject(format_args!("svc.{role}.>")));
    // Discovery and health of the micro-service protocol.
    may.subscribe.push("$SRV.>".to_owned());
    for durable in DURABLES.iter().filter(|d| d.service == role) {
        let stream = prefix.stream(durable.stream);
        let name = durable.name();
        may.publish.extend([
            format!("$JS.API.STREAM.INFO.{stream}"),
            format!("$JS.API.CONSUMER.INFO.{stream}.{name}"),
            format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}"),
            format!("$JS.ACK.{stream}.{name}.>"),
            // The longer form of newer servers (domain and account hash).
            format!("$JS.ACK.*.*.{stream}.{name}.>"),
        ]);
    }
    for asked in may_ask(role) {
        may.publish
            .push(prefix.subject(format_args!("svc.{asked}.>")));
    }
    match role {
        Role::Worklist => may.publish.push(prefix.subject("sla.>")),
        // Rebuilding a projection reads the stream from its beginning, through
        // a consumer that lives only that long.
        Role::Reporting => {
            let stream = prefix.stream(ALLOCATION);
            may.publish.extend([
                format!("$JS.API.CONSUMER.CREATE.{stream}"),
                format!("$JS.API.CONSUMER.CREATE.{stream}.>"),
                format!("$JS.API.CONSUMER.DELETE.{stream}.*"),
                format!("$JS.API.CONSUMER.INFO.{stream}.*"),
                format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.*"),
                format!("$JS.ACK.{stream}.>"),
                format!("$JS.ACK.*.*.{stream}.>"),
            ]);
        }
        // Live pages hear that something changed; they then ask for what.
        Role::Gateway => {
            may.subscribe.push(prefix.subject("notice.>"));
            may.subscribe.push(prefix.subject("sla.>"));
            may.publish.push("$SRV.>".to_owned());
        }
        _ => {}
    }
    may
}

/// What an outsider may do on the broker.
pub fn outsider_permissions(who: Outsider, prefix: &Prefix) -> Permissions {
    let mut may = base(who.name());
    match who {
        Outsider::Platform => {
            may.publish.push(">".to_owned());
            may.subscribe.push(">".to_owned());
        }
        Outsider::Cli => {
            may.publish.push(prefix.subject("svc.>"));
            may.publish.push("$SRV.>".to_owned());
            may.publish.push(prefix.subject("in.>"));
        }
        Outsider::BankFeed => may.publish.push(prefix.subject("in.bank.receipts.>")),
        Outsider::Billing => may.publish.push(prefix.subject("in.billing.>")),
        Outsider::Remittance => may.publish.push(prefix.subject("in.remittances.>")),
        // Listens, and may read back what the stream still has, message by
        // message. It may make no consumer: whoever makes one says where the
        // server delivers to.
        Outsider::Dashboard => {
            may.subscribe.push(prefix.subject("sla.>"));
            let stream = prefix.stream(SLA);
            may.publish.extend([
                format!("$JS.API.STREAM.INFO.{stream}"),
                format!("$JS.API.STREAM.MSG.GET.{stream}"),
            ]);
        }
    }
    may
}
