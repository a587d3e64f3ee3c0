//! Rules that decide beside the live ones: the same receipt, the same books, and
//! nothing comes of it but what would have been different.

use chrono::NaiveDate;
use contracts::{api::rules::ReplayDecision, rules::ShadowOutcome};
use kernel::{MoneyError, ReceiptId};

use super::{Live, Rulebook, replay::told};
use crate::domain::{
    ladder::{self, Verdict},
    ledger::{Books, Receipt},
};

/// A shadow with what is live beside its scope.
#[derive(Debug, Clone)]
pub struct Shadow {
    version: i64,
    /// Of a hundred receipts.
    percent: u8,
    rules: Rulebook,
}

/// What a shadow would have done with a receipt.
#[derive(Debug)]
pub struct Compared {
    pub version: i64,
    pub on: NaiveDate,
    pub outcome: ShadowOutcome,
    pub receipt: ReceiptId,
    /// Live and shadow, where they differ.
    pub decisions: Option<(ReplayDecision, ReplayDecision)>,
}

impl Shadow {
    pub fn new(candidate: Live, live: &Rulebook) -> Self {
        Self {
            version: candidate.version,
            percent: candidate.rules.shadow_percent.unwrap_or(100),
            rules: live.with(candidate),
        }
    }

    /// The same receipts every time: by the random end of their ids.
    fn samples(&self, receipt: &Receipt) -> bool {
        let place = receipt.id.as_uuid().as_u128() & u128::from(u32::MAX);
        place % 100 < u128::from(self.percent)
    }

    /// Decides about a receipt as the live rules just did; `books` are as they
    /// were for those, and stay so.
    ///
    /// # Errors
    /// When amounts overflow.
    pub fn compare(
        &mut self,
        receipt: &Receipt,
        books: &mut Books,
        live: &Verdict,
        on: NaiveDate,
    ) -> Result<Option<Compared>, MoneyError> {
        if !self.samples(receipt) {
            return Ok(None);
        }
        std::mem::swap(&mut books.rules, &mut self.rules);
        let verdict = ladder::decide(receipt, books);
        std::mem::swap(&mut books.rules, &mut self.rules);
        let verdict = verdict?;
        for settled in &verdict.settled {
            if let Some(account) = verdict.payer {
                self.rules.use_up(account, receipt.booked_on, settled);
            }
        }
        let outcome = match (live.lines.is_empty(), verdict.lines.is_empty()) {
            (false, true) => ShadowOutcome::LiveOnly,
            (true, false) => ShadowOutcome::ShadowOnly,
            _ if ladder::same_lines(&live.lines, &verdict.lines)
                && live.settled == verdict.settled =>
            {
                ShadowOutcome::Same
            }
            _ => ShadowOutcome::DifferentLines,
        };
        let differ = outcome != ShadowOutcome::Same;
        Ok(Some(Compared {
            version: self.version,
            on,
            outcome,
            receipt: receipt.id,
            decisions: differ.then(|| (told(live, books), told(&verdict, books))),
        }))
    }
}
