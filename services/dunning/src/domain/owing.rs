//! Those who owe a debt together, before a claim: each has a letter of their own, and
//! the days to reply to it, before a step is taken against them (Pre-Action Protocol
//! for Debt Claims, 3.1 and 4.1).

use std::collections::BTreeMap;

use chrono::NaiveDate;
use contracts::{dunning::ContactId, inbound::AccountKind};
use kernel::DocumentId;

use super::{
    pre_action::{self, Clock},
    stops::Stop,
};

/// A letter of claim or before action about a document that went to one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    pub contact: ContactId,
    /// Its date, or the day that it was posted if that was later.
    pub on: NaiveDate,
    /// Else it was printed, and nobody has said that it was posted.
    pub posted: bool,
}

/// One of them, with the letters that they had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owing {
    pub debtor_ref: String,
    /// What they are, or else what the account is.
    pub kind: Option<AccountKind>,
    /// Of each document the first that was posted.
    pub letters: BTreeMap<DocumentId, Claimed>,
}

/// How far one of them is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeforeClaim {
    pub debtor_ref: String,
    /// The last of their letters.
    pub letter_on: Option<NaiveDate>,
    /// The last day to reply to it, if it is known.
    pub reply_until: Option<NaiveDate>,
    /// What they lack, if anything: no step is taken against them.
    pub lacks: Option<&'static str>,
}

impl Owing {
    /// The first letter counts, one that was posted before one that was not.
    pub fn had(&mut self, document: DocumentId, letter: Claimed) {
        let known = self.letters.entry(document).or_insert(letter);
        if (!letter.posted, letter.on) < (!known.posted, known.on) {
            *known = letter;
        }
    }

    /// How far they are with documents, given the stops that freeze their clock.
    pub fn before_claim(
        &self,
        documents: &[DocumentId],
        frozen: &[&Stop],
        today: NaiveDate,
    ) -> BeforeClaim {
        let law = pre_action::law(self.kind);
        let letters: Vec<&Claimed> = documents
            .iter()
            .filter_map(|document| self.letters.get(document))
            .collect();
        let letter_on = letters.iter().map(|letter| letter.on).max();
        let clock = letter_on.and_then(|on| Clock::start(law, "reply", on).ok());
        let reading = clock.map(|clock| clock.read(frozen, today));
        let lacks = if letters.len() < documents.len() {
            Some("they had no letter of claim about all of it")
        } else if letters.iter().any(|letter| !letter.posted) {
            Some("their letter was printed, and nobody has said that it was posted")
        } else if !documents.is_empty() && !reading.is_some_and(|reading| reading.is_over) {
            Some("the time to reply to their letter runs")
        } else {
            None
        };
        BeforeClaim {
            debtor_ref: self.debtor_ref.clone(),
            letter_on,
            reply_until: reading.and_then(|reading| reading.last_on),
            lacks,
        }
    }
}
