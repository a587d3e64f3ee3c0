//! A referral: debts on their way from a letter of claim to a solicitor or an
//! agency, and back.
//!
//! Pure. After every fact about its account, and when a day is over that it
//! waits for, it is judged anew (`judge`); what people do are steps
//! (`referral_steps`).

use std::collections::BTreeMap;

use chrono::NaiveDate;
use contracts::{
    controls::ApprovalId,
    dunning::{
        ChargeId, ContactId, ContactState, HoldKind, PreActionLaw, RecallReason, ReferralId,
        ReferralLeft, ReferralState, ReferredDocument, ReferredTo, ReplyKind,
    },
};
use kernel::{AccountId, Currency, DocumentId, Money, MoneyError};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{
    owing::{BeforeClaim, Owing},
    pre_action::{self, Clock, Reading},
    stops::{Part, Stop, StopKind},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    pub document: DocumentId,
    pub document_ref: String,
    pub open: Decimal,
}

/// The letter of claim or before action that began it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    pub contact: ContactId,
    pub stage: String,
    pub state: ContactState,
    /// Its date, or the day that it was posted if that was later.
    pub on: NaiveDate,
    pub sha256: Option<String>,
    /// To whom of those who owe it together it went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debtor: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    pub kind: ReplyKind,
    pub received_on: NaiveDate,
    pub documents_due_on: Option<NaiveDate>,
    pub documents_sent_on: Option<NaiveDate>,
}

/// A cost: a memo until it is a charge, which becomes a document of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    pub id: Uuid,
    pub what: String,
    pub amount: Decimal,
    pub on: NaiveDate,
    pub charge: Option<(ChargeId, String)>,
    pub document: Option<DocumentId>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    pub principal: Decimal,
    pub interest: Decimal,
    pub costs: Decimal,
}

impl Left {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What is known of its account.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Of its documents.
    pub open: BTreeMap<DocumentId, Decimal>,
    /// What is open of interest and compensation that were posted for them.
    pub interest: Decimal,
    /// Of its costs that were posted: the document once it is on the ledger, and
    /// what is open of it.
    pub costs: BTreeMap<ChargeId, (Option<DocumentId>, Decimal)>,
    /// Without its own: those that bind everybody who owes it.
    pub stops: Vec<Stop>,
    /// Those of one joint debtor alone: nobody goes to court against that one (E73).
    pub own_stops: Vec<Stop>,
    /// Those who owe it together; nobody where the account owes alone (E97).
    pub debtors: Vec<Owing>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referral {
    pub id: ReferralId,
    pub version: i64,
    pub state: ReferralState,
    pub account: AccountId,
    pub account_ref: String,
    pub currency: Currency,
    pub law: PreActionLaw,
    pub documents: Vec<Document>,
    pub letters: Vec<Letter>,
    pub clocks: Vec<Clock>,
    pub replies: Vec<Reply>,
    pub notice_on: Option<NaiveDate>,
    /// When an agreement ended without payment: notice is needed after it.
    pub agreement_ended_on: Option<NaiveDate>,
    pub to: Option<ReferredTo>,
    pub handler: Option<String>,
    pub terms: Option<String>,
    pub requester: Option<String>,
    pub approval: Option<ApprovalId>,
    pub approver: Option<String>,
    pub pack_sha256: Option<String>,
    pub referred_on: Option<NaiveDate>,
    /// The first day on which it was with nobody any more.
    pub ended_on: Option<NaiveDate>,
    pub recall: Option<RecallReason>,
    pub costs: Vec<Cost>,
    pub left: Left,
    pub stopped: bool,
    pub runs_until: Option<NaiveDate>,
    pub to_tell: Vec<String>,
    pub next_step: Option<String>,
    /// Against which of the joint debtors no step is taken now, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_against: Vec<String>,
}

impl Referral {
    pub fn ids(&self) -> Vec<DocumentId> {
        self.documents.iter().map(|one| one.document).collect()
    }

    /// Whether it is not handed over yet.
    pub const fn is_before(&self) -> bool {
        matches!(
            self.state,
            ReferralState::WaitingForReply
                | ReferralState::ReplyReceived
                | ReferralState::NoticeGiven
                | ReferralState::ReadyToRefer
        )
    }

    /// Whether a firm has it.
    pub const fn is_out(&self) -> bool {
        matches!(
            self.state,
            ReferralState::Referred | ReferralState::CostsOnly
        )
    }

    /// What stops it today: what is paid of it is stopped by nothing.
    pub fn stopped_by<'f>(&self, facts: &'f Facts, today: NaiveDate) -> Vec<&'f Stop> {
        let open: Vec<DocumentId> = self
            .documents
            .iter()
            .filter(|one| one.open > Decimal::ZERO)
            .map(|one| one.document)
            .collect();
        pre_action::freezing(&facts.stops, &open)
            .into_iter()
            .filter(|stop| stop.is_active(today))
            .collect()
    }

    fn open(&self) -> Vec<DocumentId> {
        let open = self.documents.iter().filter(|one| one.open > Decimal::ZERO);
        open.map(|one| one.document).collect()
    }

    /// How far each of those who owe it together is on the way to a claim.
    pub fn before_claim(&self, facts: &Facts, today: NaiveDate) -> Vec<BeforeClaim> {
        let (open, all) = (self.open(), self.ids());
        let frozen = pre_action::freezing(&facts.stops, &all);
        let each = facts.debtors.iter().map(|debtor| {
            let own = facts.own_stops.iter();
            let own: Vec<Stop> = own
                .filter(|stop| stop.debtor.as_deref() == Some(debtor.debtor_ref.as_str()))
                .cloned()
                .collect();
            let mut frozen = frozen.clone();
            frozen.extend(pre_action::freezing(&own, &all));
            debtor.before_claim(&open, &frozen, today)
        });
        each.collect()
    }

    /// Against which of the joint debtors no step may be taken today, and why.
    fn spared(&self, facts: &Facts, today: NaiveDate) -> Vec<String> {
        let mut spared: Vec<String> = pre_action::freezing(&facts.own_stops, &self.open())
            .into_iter()
            .filter(|stop| stop.is_active(today))
            .filter_map(|stop| {
                Some(format!(
                    "{}: {}",
                    stop.debtor.as_ref()?,
                    pre_action::words(stop)
                ))
            })
            .collect();
        for one in self.before_claim(facts, today) {
            spared.extend(one.lacks.map(|why| format!("{}: {why}", one.debtor_ref)));
        }
        spared.sort_unstable();
        spared.dedup();
        spared
    }

    /// Whether no step may be taken against any of those who owe it.
    pub(super) fn spares_everybody(&self, facts: &Facts) -> bool {
        !facts.debtors.is_empty()
            && facts.debtors.iter().all(|debtor| {
                let own = format!("{}: ", debtor.debtor_ref);
                self.not_against.iter().any(|one| one.starts_with(&own))
            })
    }

    /// Takes in against whom no step may be taken; what is to be said of it.
    fn look_at_debtors(&mut self, facts: &Facts, today: NaiveDate) -> Vec<String> {
        let spared = self.spared(facts, today);
        let new = spared.iter().filter(|why| !self.not_against.contains(why));
        let mut said: Vec<String> = new
            .map(|why| format!("take no step against {why}"))
            .collect();
        // Who has another reason left is still spared.
        let debtor = |why: &str| why.split_once(": ").map(|(debtor, _)| debtor.to_owned());
        let over = self.not_against.iter().filter(|was| {
            let is = |why: &String| debtor(why) == debtor(was);
            !spared.iter().any(is)
        });
        said.extend(over.map(|was| format!("go on, this is over: {was}")));
        self.not_against = spared;
        said
    }

    pub fn readings(&self, facts: &Facts, today: NaiveDate) -> Vec<(&Clock, Reading)> {
        let frozen = pre_action::freezing(&facts.stops, &self.ids());
        self.clocks
            .iter()
            .map(|clock| (clock, clock.read(&frozen, today)))
            .collect()
    }

    /// Whether documents that they asked for are still to be sent.
    pub fn owes_documents(&self) -> Option<NaiveDate> {
        self.replies
            .iter()
            .filter(|reply| reply.documents_sent_on.is_none())
            .filter_map(|reply| reply.documents_due_on)
            .min()
    }

    /// Since when notice of the claim is needed, if it is.
    pub fn notice_since(&self) -> Option<NaiveDate> {
        let replied = self.replies.iter().map(|reply| reply.received_on).max();
        replied.max(self.agreement_ended_on)
    }

    /// Whether notice is needed and was not given since.
    pub fn lacks_notice(&self) -> bool {
        self.notice_since()
            .is_some_and(|since| self.notice_on.is_none_or(|on| on < since))
    }

    /// When a promise or plan that was made after the letter came to its end, and
    /// the debt was not paid.
    fn agreement_ended(&self, facts: &Facts, today: NaiveDate) -> Option<NaiveDate> {
        let letter = self.letters.iter().map(|letter| letter.on).max()?;
        facts
            .stops
            .iter()
            .filter(|stop| matches!(stop.kind, StopKind::Promise | StopKind::Plan))
            .filter(|stop| stop.starts_on >= letter && stop.over_from() <= today)
            // One that was taken back on its first day was none.
            .filter(|stop| stop.over_from() > stop.starts_on)
            .filter(|stop| {
                self.documents
                    .iter()
                    .any(|one| one.open > Decimal::ZERO && stop.covers(one.document).is_some())
            })
            .map(Stop::over_from)
            .max()
    }

    fn sum(&self, amount: Decimal) -> String {
        Money::try_new(amount, self.currency).map_or_else(|_| amount.to_string(), Money::display_uk)
    }

    fn work_out_left(&mut self, facts: &Facts) {
        for one in &mut self.documents {
            one.open = facts
                .open
                .get(&one.document)
                .copied()
                .unwrap_or_default()
                .max(Decimal::ZERO);
        }
        let mut costs = Decimal::ZERO;
        for cost in &mut self.costs {
            match &cost.charge {
                None => costs += cost.amount,
                Some((id, _)) => match facts.costs.get(id) {
                    Some((document, open)) => {
                        cost.document = *document;
                        costs += open.max(&Decimal::ZERO);
                    }
                    // Told to billing, and not on the ledger yet.
                    None => costs += cost.amount,
                },
            }
        }
        self.left = Left {
            principal: self.documents.iter().map(|one| one.open).sum(),
            interest: facts.interest.max(Decimal::ZERO),
            costs,
        };
    }

    /// What came to be of what is left, for those who have it.
    fn moved(&self, before: Left) -> Option<String> {
        let (was, is) = (
            before.principal + before.interest,
            self.left.principal + self.left.interest,
        );
        let lower = before.costs > self.left.costs;
        if was == is && !lower {
            return None;
        }
        let came = was - is + before.costs - self.left.costs;
        let what = if came >= Decimal::ZERO {
            format!("{} is settled", self.sum(came))
        } else {
            format!("{} is owed again", self.sum(-came))
        };
        Some(format!(
            "{what}: left are {} principal, {} interest, {} costs",
            self.sum(self.left.principal),
            self.sum(self.left.interest),
            self.sum(self.left.costs)
        ))
    }

    /// Takes in what is known now. Why it is another than before, if it is.
    pub fn judge(&mut self, facts: &Facts, today: NaiveDate) -> Option<String> {
        let before = self.clone();
        if self.state == ReferralState::Closed {
            self.look_ahead(facts, today);
            return (*self != before).then(|| "it is closed".to_owned());
        }
        let mut said = Vec::new();
        self.work_out_left(facts);
        let stops: Vec<String> = self
            .stopped_by(facts, today)
            .into_iter()
            .map(pre_action::words)
            .collect();
        self.stopped = !stops.is_empty();
        let moved = self.moved(before.left);
        if let Some(moved) = &moved {
            said.push(moved.clone());
            if self.is_out() {
                self.to_tell.push(moved.clone());
            }
        }
        let debtors = self.look_at_debtors(facts, today);
        if self.is_out() {
            self.to_tell.extend_from_slice(&debtors);
        }
        let changed =
            self.left != before.left || self.stopped || self.not_against != before.not_against;
        said.extend(debtors);
        if self.state == ReferralState::Requested && changed {
            self.state = ReferralState::ReadyToRefer;
            self.approval = None;
            said.push("what was asked for has changed: the request is void".to_owned());
        }
        if self.is_before() {
            if self.left.principal == Decimal::ZERO {
                self.close(today);
                said.push("nothing of its documents is open any more".to_owned());
            } else {
                self.go_by_the_clock(facts, today, &mut said);
            }
        }
        self.settle(today, &mut said);
        if self.stopped != before.stopped {
            let words = if self.stopped {
                format!("stop: {}", stops.join(", "))
            } else {
                "go on: what stopped it is over".to_owned()
            };
            if before.is_out() && self.is_out() {
                self.to_tell.push(words.clone());
            }
            said.push(words);
        }
        self.look_ahead(facts, today);
        (*self != before).then(|| {
            if said.is_empty() {
                "what is known of it has changed".to_owned()
            } else {
                said.join("; ")
            }
        })
    }

    fn go_by_the_clock(&mut self, facts: &Facts, today: NaiveDate, said: &mut Vec<String>) {
        let ended = self.agreement_ended(facts, today);
        if ended > self.agreement_ended_on {
            self.agreement_ended_on = ended;
            if self.lacks_notice() {
                said.push("an agreement was not kept: notice is needed before a claim".to_owned());
                if self.state != ReferralState::ReplyReceived {
                    self.state = ReferralState::WaitingForReply;
                }
            }
        }
        let over = self.readings(facts, today).iter().all(|(_, r)| r.is_over);
        let waits = matches!(
            self.state,
            ReferralState::WaitingForReply | ReferralState::NoticeGiven
        );
        // Never under a stop.
        if over && waits && !self.stopped && !self.lacks_notice() {
            self.state = ReferralState::ReadyToRefer;
            said.push("every clock has run out".to_owned());
        }
    }

    /// What follows from what is left, once it is out of the house.
    fn settle(&mut self, today: NaiveDate, said: &mut Vec<String>) {
        let owed = self.left.principal + self.left.interest;
        match self.state {
            ReferralState::Referred if owed == Decimal::ZERO && !self.left.is_nothing() => {
                self.state = ReferralState::CostsOnly;
                said.push("only costs are left".to_owned());
            }
            ReferralState::Referred | ReferralState::CostsOnly if self.left.is_nothing() => {
                self.state = ReferralState::Recalled;
                self.recall = Some(RecallReason::Paid);
                self.ended_on = Some(today);
                self.to_tell
                    .push("it is recalled: everything is paid".to_owned());
                said.push("everything is paid".to_owned());
            }
            ReferralState::CostsOnly if owed > Decimal::ZERO => {
                self.state = ReferralState::Referred;
                said.push("more than costs is owed again".to_owned());
            }
            ReferralState::WriteOffProposed if self.left.is_nothing() => {
                self.close(today);
                said.push("nothing is left".to_owned());
            }
            _ => {}
        }
    }

    pub(super) fn close(&mut self, today: NaiveDate) {
        self.state = ReferralState::Closed;
        self.approval = None;
        self.stopped = false;
        self.ended_on = self.ended_on.or(Some(today));
    }

    /// What it waits for, and what a person does next.
    fn look_ahead(&mut self, facts: &Facts, today: NaiveDate) {
        let readings = self.readings(facts, today);
        let running: Vec<Reading> = readings
            .iter()
            .map(|(_, reading)| *reading)
            .filter(|reading| !reading.is_over)
            .collect();
        let runs_until = if running.iter().any(|reading| reading.last_on.is_none()) {
            None
        } else {
            running.iter().filter_map(|reading| reading.last_on).max()
        };
        let over = running.is_empty();
        self.runs_until = runs_until.filter(|_| self.is_before());
        let queried = facts.stops.iter().any(|stop| {
            stop.kind == StopKind::Query && self.ids().iter().any(|one| stop.covers(*one).is_some())
        });
        let firm = self.handler.as_deref().unwrap_or("the firm");
        let words = |text: &str| Some(text.to_owned());
        self.next_step = if !self.to_tell.is_empty() {
            Some(format!("tell {firm}: {}", self.to_tell.join("; ")))
        } else if let (true, Some(due)) = (self.is_before(), self.owes_documents()) {
            Some(format!(
                "send the documents that they asked for by {}",
                due.format("%d/%m/%Y")
            ))
        } else if self.stopped {
            None
        } else {
            match self.state {
                ReferralState::WaitingForReply | ReferralState::ReplyReceived
                    if over && self.lacks_notice() =>
                {
                    words("give notice of the claim, or come to an agreement")
                }
                ReferralState::ReplyReceived => match self.replies.last().map(|one| one.kind) {
                    Some(ReplyKind::Disputes) if !queried => words("open a query about it"),
                    Some(ReplyKind::AsksTime) => {
                        words("agree on a plan, or decline in writing with reasons")
                    }
                    Some(ReplyKind::Partial) => words("contact them about their reply"),
                    _ => None,
                },
                ReferralState::ReadyToRefer => words("refer it, or close it"),
                ReferralState::CostsOnly => words("ask for the costs, or give them up"),
                ReferralState::Recalled => words("close it"),
                ReferralState::WriteOffProposed => {
                    words("ask for the write-off where money is written off")
                }
                ReferralState::WaitingForReply
                | ReferralState::NoticeGiven
                | ReferralState::Requested
                | ReferralState::Referred
                | ReferralState::Closed => None,
            }
        };
    }

    /// The next day on which something may change by itself.
    pub fn next_on(&self, facts: &Facts, today: NaiveDate) -> Option<NaiveDate> {
        if self.state == ReferralState::Closed {
            return None;
        }
        let stops = pre_action::freezing(&facts.stops, &self.ids());
        let own = pre_action::freezing(&facts.own_stops, &self.ids());
        stops
            .into_iter()
            .chain(own)
            .flat_map(|stop| [stop.starts_on, stop.over_from()])
            .chain(self.runs_until.and_then(|last| last.succ_opt()))
            .chain(
                self.before_claim(facts, today)
                    .into_iter()
                    .filter_map(|one| one.reply_until?.succ_opt()),
            )
            .filter(|day| *day > today && *day < NaiveDate::MAX)
            .min()
    }

    /// What is stopped in the house: what a firm has is not chased beside it.
    pub fn stop(&self) -> Option<Stop> {
        let costs = self.costs.iter().filter_map(|cost| cost.document);
        Some(Stop {
            debtor: None,
            subject: self.id.as_uuid(),
            kind: StopKind::Hold(HoldKind::Legal),
            parts: self
                .ids()
                .into_iter()
                .chain(costs)
                .map(|document| Part {
                    document,
                    amount: None,
                })
                .collect(),
            starts_on: self.referred_on?,
            ends_on: None,
            ended_on: self.ended_on,
        })
    }

    /// # Errors
    /// When an amount has too many decimal places.
    pub fn told_left(&self) -> Result<ReferralLeft, MoneyError> {
        let money = |amount| Money::try_new(amount, self.currency);
        Ok(ReferralLeft {
            principal: money(self.left.principal)?,
            interest: money(self.left.interest)?,
            costs: money(self.left.costs)?,
        })
    }

    /// # Errors
    /// When an amount has too many decimal places.
    pub fn told_documents(&self) -> Result<Vec<ReferredDocument>, MoneyError> {
        self.documents
            .iter()
            .map(|one| {
                Ok(ReferredDocument {
                    document_id: one.document,
                    document_ref: one.document_ref.clone(),
                    open: Money::try_new(one.open, self.currency)?,
                })
            })
            .collect()
    }

    /// What is frozen and approved by a second person.
    ///
    /// # Errors
    /// When an amount has too many decimal places.
    pub fn content(&self) -> Result<serde_json::Value, MoneyError> {
        Ok(json!({
            "referral": self.id,
            "account": self.account_ref,
            "to": self.to,
            "handler": self.handler,
            "terms": self.terms,
            "documents": self.told_documents()?,
            "left": self.told_left()?,
            "not_against": self.not_against,
            "pack_sha256": self.pack_sha256,
        }))
    }
}
