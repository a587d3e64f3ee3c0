//! What people do with a referral. No step towards a court is taken under a
//! stop, or while a clock runs.

use chrono::NaiveDate;
use contracts::{
    api::dunning::ReferralStep,
    dunning::{RecallReason, ReferralState, ReplyKind},
};
use kernel::{Classified, DocumentId, ErrorClass};
use rust_decimal::Decimal;

use super::{
    pre_action::{self, Clock, NoRule},
    referral::{Facts, Referral, Reply},
};

#[derive(Debug, thiserror::Error)]
pub enum ReferralRefused {
    #[error("a referral that is {} cannot be {what}", .state.name().replace('_', " "))]
    Wrong {
        state: ReferralState,
        what: &'static str,
    },
    #[error("it is stopped by {0}: no step is taken meanwhile")]
    Stopped(String),
    #[error("a clock runs until {0}")]
    ClockRuns(String),
    #[error("the documents that they asked for are not sent yet")]
    DocumentsOwed,
    #[error("it was changed meanwhile: it is at version {0} now")]
    Changed(i64),
    #[error("{0}: no claim can be made any more (Limitation Act 1980)")]
    Barred(String),
    #[error("{0}")]
    Unusable(&'static str),
    #[error(transparent)]
    NoRule(#[from] NoRule),
}

impl Classified for ReferralRefused {
    fn code(&self) -> &'static str {
        match self {
            Self::Wrong { .. } => "dunning.referral_state",
            Self::Stopped(_) => "dunning.referral_stopped",
            Self::ClockRuns(_) => "dunning.clock_runs",
            Self::DocumentsOwed => "dunning.documents_owed",
            Self::Changed(_) => "dunning.changed",
            Self::Barred(_) => "dunning.barred",
            Self::Unusable(_) => "dunning.not_usable",
            Self::NoRule(error) => error.code(),
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::Unusable(_) => ErrorClass::Permanent,
            Self::NoRule(error) => error.class(),
            _ => ErrorClass::Conflict,
        }
    }
}

impl Referral {
    /// # Errors
    /// When a stop is in the way.
    pub fn unstopped(&self, facts: &Facts, today: NaiveDate) -> Result<(), ReferralRefused> {
        let words: Vec<String> = self
            .stopped_by(facts, today)
            .into_iter()
            .map(pre_action::words)
            .collect();
        if words.is_empty() {
            return Ok(());
        }
        Err(ReferralRefused::Stopped(words.join(", ")))
    }

    /// # Errors
    /// When a clock is not over.
    pub fn ripe(&self, facts: &Facts, today: NaiveDate) -> Result<(), ReferralRefused> {
        if self.owes_documents().is_some() {
            return Err(ReferralRefused::DocumentsOwed);
        }
        let readings = self.readings(facts, today);
        let running: Vec<_> = readings.iter().filter(|(_, r)| !r.is_over).collect();
        if running.is_empty() {
            return Ok(());
        }
        let last = running
            .iter()
            .map(|(_, reading)| reading.last_on)
            .max_by_key(|last| last.unwrap_or(NaiveDate::MAX))
            .flatten();
        Err(ReferralRefused::ClockRuns(last.map_or_else(
            || "a day that is not known yet".to_owned(),
            |last| last.format("%d/%m/%Y").to_string(),
        )))
    }

    fn only(&self, allowed: bool, what: &'static str) -> Result<(), ReferralRefused> {
        if allowed {
            return Ok(());
        }
        Err(ReferralRefused::Wrong {
            state: self.state,
            what,
        })
    }

    /// A request that is under way is void: something else is asked for now.
    fn reopen(&mut self) {
        if self.state == ReferralState::Requested {
            self.state = ReferralState::ReadyToRefer;
            self.approval = None;
        }
    }

    fn past(&self, on: NaiveDate, today: NaiveDate) -> Result<(), ReferralRefused> {
        let letter = self.letters.iter().map(|letter| letter.on).max();
        if on > today || letter.is_some_and(|letter| on < letter) {
            return Err(ReferralRefused::Unusable(
                "between the day of the letter and today",
            ));
        }
        Ok(())
    }

    /// Takes a step that needs nothing from outside; costs and the request do.
    ///
    /// # Errors
    /// Why it cannot be taken.
    pub fn step(
        &mut self,
        step: &ReferralStep,
        facts: &Facts,
        today: NaiveDate,
    ) -> Result<(), ReferralRefused> {
        let open = self.state != ReferralState::Closed;
        match step {
            ReferralStep::Reply {
                kind,
                received_on,
                until,
            } => {
                self.only(open, "answered")?;
                self.past(*received_on, today)?;
                self.reply(*kind, *received_on, *until)?;
            }
            ReferralStep::DocumentsSent { on } => {
                self.past(*on, today)?;
                let law = self.law;
                let asked = self
                    .replies
                    .iter_mut()
                    .filter(|reply| reply.documents_due_on.is_some())
                    .find(|reply| reply.documents_sent_on.is_none())
                    .ok_or(ReferralRefused::Unusable("no documents are asked for"))?;
                if *on < asked.received_on {
                    return Err(ReferralRefused::Unusable("not before they were asked for"));
                }
                asked.documents_sent_on = Some(*on);
                self.clocks.push(Clock::start(law, "documents_sent", *on)?);
            }
            ReferralStep::Notice { on } => {
                self.only(self.is_before(), "given notice of")?;
                self.unstopped(facts, today)?;
                self.past(*on, today)?;
                self.ripe(facts, today)?;
                if self.notice_since().is_some_and(|since| *on < since) {
                    return Err(ReferralRefused::Unusable(
                        "not before the reply, or the end of the agreement, that it follows",
                    ));
                }
                self.notice_on = Some(*on);
                self.clocks.push(Clock::start(self.law, "notice", *on)?);
                self.state = ReferralState::NoticeGiven;
            }
            ReferralStep::LeaveOut { documents } => {
                self.only(open, "made smaller")?;
                let kept = |id: &DocumentId| !documents.contains(id);
                if !self.documents.iter().any(|one| kept(&one.document)) {
                    return Err(ReferralRefused::Unusable("nothing would be left: close it"));
                }
                if self.is_out() {
                    for one in self.documents.iter().filter(|one| !kept(&one.document)) {
                        let words = format!("{} is in it no more", one.document_ref);
                        self.to_tell.push(words);
                    }
                }
                self.documents.retain(|one| kept(&one.document));
                self.reopen();
            }
            ReferralStep::Withdraw => {
                self.only(self.state == ReferralState::Requested, "taken back")?;
                self.reopen();
            }
            ReferralStep::Recall { why } => {
                self.only(self.is_out(), "recalled")?;
                self.recall(*why, today);
            }
            ReferralStep::Told => {
                if self.to_tell.is_empty() {
                    return Err(ReferralRefused::Unusable("there is nothing to tell"));
                }
                self.to_tell.clear();
            }
            ReferralStep::ProposeWriteOff => {
                let may = self.is_out()
                    || matches!(
                        self.state,
                        ReferralState::ReadyToRefer | ReferralState::Recalled
                    );
                self.only(may, "proposed to be given up")?;
                if self.is_out() {
                    let words = "it is recalled: it is proposed to be given up";
                    self.to_tell.push(words.to_owned());
                }
                self.state = ReferralState::WriteOffProposed;
            }
            ReferralStep::Close => {
                self.only(open && self.state != ReferralState::Referred, "closed")?;
                if self.is_out() {
                    self.to_tell.push("it is closed".to_owned());
                }
                self.close(today);
            }
            ReferralStep::Request { .. }
            | ReferralStep::AddCosts { .. }
            | ReferralStep::PostCosts { .. } => {}
        }
        Ok(())
    }

    fn reply(
        &mut self,
        kind: ReplyKind,
        received_on: NaiveDate,
        until: Option<NaiveDate>,
    ) -> Result<(), ReferralRefused> {
        if self.is_out() {
            let words = format!("they replied to us: {}", kind.name().replace('_', " "));
            self.to_tell.push(words);
        }
        let asks = kind == ReplyKind::AsksDocuments;
        let code = if asks {
            "reply_form"
        } else {
            pre_action::clock_of(kind)
        };
        let mut clock = Clock::start(self.law, code, received_on)?;
        if let Some(until) = until {
            clock.days = clock.days.max((until - received_on).num_days());
        }
        let documents_due_on = if asks {
            let days = pre_action::rule(self.law, "documents_owed", received_on)?.days;
            received_on.checked_add_signed(chrono::TimeDelta::days(days))
        } else {
            None
        };
        self.replies.push(Reply {
            kind,
            received_on,
            documents_due_on,
            documents_sent_on: None,
        });
        if self.is_before() || self.state == ReferralState::Requested {
            self.clocks.push(clock);
            self.approval = None;
            self.state = ReferralState::ReplyReceived;
        }
        Ok(())
    }

    fn recall(&mut self, why: RecallReason, today: NaiveDate) {
        self.state = ReferralState::Recalled;
        self.recall = Some(why);
        self.ended_on = Some(today);
        let words = format!("it is recalled: {}", why.name().replace('_', " "));
        self.to_tell.push(words);
    }

    /// What may be asked of a second person.
    ///
    /// # Errors
    /// Why it may not.
    pub fn requestable(&self, facts: &Facts, today: NaiveDate) -> Result<(), ReferralRefused> {
        self.only(
            self.state == ReferralState::ReadyToRefer,
            "handed over before its clocks have run out, or a second time",
        )?;
        self.unstopped(facts, today)?;
        self.ripe(facts, today)?;
        if self.spares_everybody(facts) {
            return Err(ReferralRefused::Stopped(self.not_against.join(", ")));
        }
        if self.lacks_notice() {
            return Err(ReferralRefused::Unusable("notice of the claim is needed"));
        }
        Ok(())
    }

    /// What a cost may be added to.
    ///
    /// # Errors
    /// Why it may not.
    pub fn chargeable(
        &self,
        amount: Decimal,
        facts: &Facts,
        today: NaiveDate,
    ) -> Result<(), ReferralRefused> {
        self.only(self.state != ReferralState::Closed, "charged with costs")?;
        // No fees in a breathing space, and none for what is in query.
        self.unstopped(facts, today)?;
        if amount <= Decimal::ZERO {
            return Err(ReferralRefused::Unusable("more than nothing"));
        }
        Ok(())
    }
}
