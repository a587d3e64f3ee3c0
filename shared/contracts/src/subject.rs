//! Subjects, built in one place.
//!
//! `{prefix.}counterfoil.in.<domain>.<thing>.<source>`,
//! `{prefix.}counterfoil.evt.<context>.<event>.<shard>`,
//! `{prefix.}counterfoil.svc.<service>.<noun>.<verb>`,
//! `{prefix.}counterfoil.sla.<warning|breached>.<kind>`. No ids in subjects:
//! every distinct subject costs the broker memory for as long as a stream keeps
//! a message on it.

use std::fmt;

use crate::{Event, Role, api::Call};

/// Lets tests and tenants share one broker: all subjects and all stream names
/// begin with it. Empty by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefix(String);

/// The prefix cannot be a subject token.
#[derive(Debug, thiserror::Error)]
#[error("the subject prefix `{0}` may hold only a-z, 0-9 and `-`, at most 32 of them")]
pub struct BadPrefix(String);

impl Prefix {
    /// # Errors
    /// When `prefix` is not empty and not a plain subject token.
    pub fn try_new(prefix: &str) -> Result<Self, BadPrefix> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if prefix.len() <= 32 && prefix.bytes().all(plain) {
            Ok(Self(prefix.to_owned()))
        } else {
            Err(BadPrefix(prefix.to_owned()))
        }
    }

    /// `rest` below this prefix and the suite's own first token.
    pub fn subject(&self, rest: impl fmt::Display) -> String {
        if self.0.is_empty() {
            format!("counterfoil.{rest}")
        } else {
            format!("{}.counterfoil.{rest}", self.0)
        }
    }

    /// The name of a stream: upper case, the prefix before it.
    pub fn stream(&self, name: &str) -> String {
        if self.0.is_empty() {
            name.to_owned()
        } else {
            format!("{}_{name}", self.0.to_ascii_uppercase())
        }
    }

    /// Where an event of type `E` is published.
    pub fn event<E: Event>(&self, event: &E) -> String {
        self.subject(format_args!(
            "evt.{}.{}.{}",
            E::CONTEXT,
            E::NAME,
            shard_of(event.partition_key())
        ))
    }

    /// Where dashboards hear that work of `kind` is nearly late, or late.
    pub fn sla(&self, level: crate::worklist::SlaLevel, kind: &str) -> String {
        self.subject(format_args!("sla.{}.{kind}", level.name()))
    }

    /// All events of one context.
    pub fn events_of(&self, context: Role) -> String {
        self.subject(format_args!("evt.{context}.>"))
    }

    /// Where a request of type `C` is answered.
    pub fn call<C: Call>(&self) -> String {
        self.subject(format_args!("svc.{}.{}.{}", C::SERVICE, C::NOUN, C::VERB))
    }

    /// Hints for open pages that something they show has changed. Not stored,
    /// may be lost: a page that misses one is right again at its next load.
    pub fn notice(&self, service: Role) -> String {
        self.subject(format_args!("notice.{service}"))
    }

    /// `subject` without this prefix and the suite's first token, such as
    /// `in.bank.receipts.barclays`; `None` if it is not ours.
    pub fn strip<'s>(&self, subject: &'s str) -> Option<&'s str> {
        let rest = if self.0.is_empty() {
            subject
        } else {
            subject.strip_prefix(self.0.as_str())?.strip_prefix('.')?
        };
        rest.strip_prefix("counterfoil.")
    }
}

/// One of the sixteen lanes that events travel in, so that consumers can later
/// be split without losing the order of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard(u8);

impl Shard {
    pub const COUNT: u8 = 16;
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}", self.0)
    }
}

/// The shard of a debtor account: FNV-1a (64 bit, offset basis
/// 0xcbf29ce484222325, prime 0x100000001b3) of the key's UTF-8 bytes, its
/// halves folded together, modulo 16. Changing this re-homes every account, so
/// a golden test holds it.
pub fn shard_of(key: &str) -> Shard {
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let folded = hash ^ (hash >> 32);
    Shard((folded % u64::from(Shard::COUNT)) as u8)
}

/// Where bank feeds publish receipts.
pub const IN_RECEIPTS: &str = "in.bank.receipts";
/// Where billing systems publish accounts.
pub const IN_ACCOUNTS: &str = "in.billing.accounts";
/// Where billing systems publish invoices, credit notes and disbursements.
pub const IN_DOCUMENTS: &str = "in.billing.documents";
/// Where mailboxes, portals and scanners publish remittance advice.
pub const IN_REMITTANCES: &str = "in.remittances";
/// Where case systems publish matters (files).
pub const IN_MATTERS: &str = "in.billing.matters";
/// Where billing systems publish Direct Debit mandates.
pub const IN_MANDATES: &str = "in.billing.mandates";

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden: publishers outside compute the same shards.
    #[test]
    fn shards_never_move() {
        let of = |key: &str| shard_of(key).to_string();
        let got: Vec<_> = ["", "ACME01", "acme01", "BETA22", "C-00001", "Ünïted"]
            .into_iter()
            .map(of)
            .collect();
        assert_eq!(got, ["01", "06", "02", "01", "0d", "05"]);
    }

    #[test]
    fn shards_spread_evenly() {
        let mut counts = [0u32; 16];
        for n in 0..16_000 {
            counts[usize::from(shard_of(&format!("C-{n:05}")).0)] += 1;
        }
        assert!(counts.iter().all(|c| (800..1200).contains(c)), "{counts:?}");
    }

    #[test]
    fn a_prefix_is_one_plain_token() {
        assert!(Prefix::try_new("a.b").is_err());
        assert!(Prefix::try_new("A>").is_err());
        let prefix = Prefix::try_new("t-1").unwrap();
        assert_eq!(prefix.subject("in.>"), "t-1.counterfoil.in.>");
        assert_eq!(prefix.stream("INGESTION"), "T-1_INGESTION");
        assert_eq!(prefix.strip("t-1.counterfoil.in.x"), Some("in.x"));
        assert_eq!(prefix.strip("counterfoil.in.x"), None);
        assert_eq!(Prefix::default().strip("counterfoil.in.x"), Some("in.x"));
    }
}
