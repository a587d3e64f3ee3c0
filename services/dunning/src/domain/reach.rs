//! Which ways reach a debtor: addresses that are known, that turned out to be
//! wrong, and ways that they do not want.

use std::sync::LazyLock;

use chrono::NaiveDate;
use contracts::dunning::{Channel, ContactOutcome, ContactWay, ReachState};
use serde::Deserialize;

use super::policy::LegalClass;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OptOut {
    valid_from: NaiveDate,
    served: Vec<LegalClass>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    means: ContactOutcome,
    words: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    opt_out: Vec<OptOut>,
    reply: Vec<Reply>,
}

static TABLES: LazyLock<Tables> =
    LazyLock::new(|| toml::from_str(include_str!("../../data/reach.toml")).unwrap_or_default());

/// Whether a stage of this class goes on in a way that the debtor opted out of,
/// when no other is left (E67).
pub fn is_served(legal: LegalClass, on: NaiveDate) -> bool {
    TABLES
        .opt_out
        .iter()
        .filter(|row| row.valid_from <= on)
        .max_by_key(|row| row.valid_from)
        .is_some_and(|row| row.served.contains(&legal))
}

/// What a message seems to mean by the words in it.
pub fn seems(text: &str) -> Option<ContactOutcome> {
    let text = text.to_lowercase();
    TABLES
        .reply
        .iter()
        .find(|reply| reply.words.iter().any(|word| text.contains(word.as_str())))
        .map(|reply| reply.means)
}

/// Which kinds of addresses are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    pub email: bool,
    pub address: bool,
    pub phone: bool,
}

impl Known {
    const fn has(self, channel: Channel) -> bool {
        match channel {
            Channel::Email => self.email,
            Channel::Letter | Channel::Visit => self.address,
            Channel::Phone => self.phone,
        }
    }
}

/// A way that is shut: an address that is wrong (and is still the one that is
/// known), or a way that they opted out of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shut {
    pub channel: Channel,
    pub state: ReachState,
    pub since: NaiveDate,
    pub because: Option<ContactOutcome>,
}

impl Shut {
    /// Letters and visits go to one address: what is wrong for one is for both.
    fn covers(&self, channel: Channel) -> bool {
        let same = self.channel == channel;
        match self.state {
            ReachState::Unusable => same || address(self.channel) == address(channel),
            _ => same,
        }
    }
}

/// What kind of address a way needs.
pub const fn address(channel: Channel) -> Channel {
    match channel {
        Channel::Visit => Channel::Letter,
        other => other,
    }
}

/// Every way, as it is.
pub fn ways(known: Known, shut: &[Shut]) -> Vec<ContactWay> {
    Channel::ALL
        .iter()
        .map(|channel| {
            let channel = *channel;
            let found = |state| {
                shut.iter()
                    .filter(|one| one.state == state && one.covers(channel))
                    .min_by_key(|one| one.since)
            };
            // A wrong address is worse than one that they do not like.
            let shut = found(ReachState::Unusable).or_else(|| found(ReachState::OptedOut));
            let state = match shut {
                _ if !known.has(channel) => ReachState::NoAddress,
                Some(shut) => shut.state,
                None => ReachState::Usable,
            };
            let shut = shut.filter(|_| known.has(channel));
            ContactWay {
                channel,
                state,
                since: shut.map(|shut| shut.since),
                because: shut.and_then(|shut| shut.because),
            }
        })
        .collect()
}

/// Of several who owe together the way that reaches one of them best; `own` where
/// there is nobody.
pub fn best(each: impl Iterator<Item = Vec<ContactWay>>, own: Vec<ContactWay>) -> Vec<ContactWay> {
    let order = |way: &ContactWay| match way.state {
        ReachState::Usable => 0,
        ReachState::OptedOut => 1,
        ReachState::Unusable => 2,
        ReachState::NoAddress => 3,
    };
    each.reduce(|known, other| {
        known
            .into_iter()
            .zip(other)
            .map(|(one, other)| std::cmp::min_by_key(one, other, order))
            .collect()
    })
    .unwrap_or(own)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 2, 10).unwrap()
    }

    #[test]
    fn the_tables_can_be_read() {
        let tables: Tables = toml::from_str(include_str!("../../data/reach.toml")).unwrap();
        assert!(!tables.opt_out.is_empty() && tables.reply.len() >= 8);
        for reply in &tables.reply {
            assert!(reply.words.iter().all(|word| *word == word.to_lowercase()));
        }
    }

    /// E67: a statutory letter goes, a reminder does not.
    #[test]
    fn e67_only_what_must_be_served_goes_on_after_an_opt_out() {
        assert!(is_served(LegalClass::Protocol, day()));
        assert!(is_served(LegalClass::BeforeAction, day()));
        for stopped in [
            LegalClass::Courtesy,
            LegalClass::Reminder,
            LegalClass::Demand,
        ] {
            assert!(!is_served(stopped, day()));
        }
    }

    #[test]
    fn messages_are_read_by_their_words() {
        for (text, means) in [
            (
                "We paid this on Monday, see attached",
                Some(ContactOutcome::PaidAlready),
            ),
            (
                "RETURN TO SENDER: gone away",
                Some(ContactOutcome::GoneAway),
            ),
            (
                "Undeliverable: Reminder: INV-1",
                Some(ContactOutcome::Bounced),
            ),
            (
                "Invoice will be paid in Friday's payment run",
                Some(ContactOutcome::Promised),
            ),
            ("Thank you for your message", None),
        ] {
            assert_eq!(seems(text), means, "{text}");
        }
    }

    fn channels() -> impl Strategy<Value = Channel> {
        proptest::sample::select(Channel::ALL)
    }

    fn shuts() -> impl Strategy<Value = Shut> {
        (channels(), any::<bool>()).prop_map(|(channel, wrong)| Shut {
            channel,
            state: if wrong {
                ReachState::Unusable
            } else {
                ReachState::OptedOut
            },
            since: day(),
            because: None,
        })
    }

    proptest! {
        /// E66: a way is usable exactly when its address is known and nothing
        /// shuts it; an address that is wrong is so for letters and visits.
        #[test]
        fn a_way_is_usable_when_nothing_shuts_it(
            email in any::<bool>(), address in any::<bool>(), phone in any::<bool>(),
            shut in proptest::collection::vec(shuts(), 0..6),
        ) {
            let known = Known { email, address, phone };
            let all = ways(known, &shut);
            prop_assert_eq!(all.len(), Channel::ALL.len());
            for way in all {
                let wrong = shut.iter().any(|s| s.state == ReachState::Unusable
                    && super::address(s.channel) == super::address(way.channel));
                let unwanted = shut.iter().any(|s| s.state == ReachState::OptedOut && s.channel == way.channel);
                let expected = match (known.has(way.channel), wrong, unwanted) {
                    (false, ..) => ReachState::NoAddress,
                    (true, true, _) => ReachState::Unusable,
                    (true, false, true) => ReachState::OptedOut,
                    (true, false, false) => ReachState::Usable,
                };
                prop_assert_eq!(way.state, expected);
                prop_assert_eq!(way.since.is_some(), matches!(way.state, ReachState::Unusable | ReachState::OptedOut));
            }
        }
    }
}
