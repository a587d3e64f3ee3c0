//! A work item and what can happen to it. One for each kind and subject, for
//! good: it closes and opens again as its cause goes and comes.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    api::worklist::{NextStep, WorkAction},
    worklist::{CoverId, OwnerSource, ScorePart, SlaState, WorkState},
};
use kernel::{Currency, Money, london_date};
use messaging::Failure;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    clock::{Clock, Policies, Policy, Said, Says},
    kinds::{self, Kind},
    owner::{Account, Owned, Staff},
    score::{self, BY_HAND_MAX},
};

/// Letters of a reason, note or detail.
const TEXT_MAX: usize = 500;

/// As it is stored, column by column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Item {
    pub work_item_id: Uuid,
    pub version: i64,
    pub kind: String,
    pub subject_id: Uuid,
    pub subject_ref: String,
    /// Of the newest event about the subject: what is older changes nothing.
    pub subject_version: i64,
    /// What ends it with itself, such as the case of a credit request.
    pub related_id: Option<Uuid>,
    pub detail: String,
    pub account_id: Option<Uuid>,
    pub account_ref: Option<String>,
    pub amount: Option<Decimal>,
    pub currency: Option<String>,
    pub state: WorkState,
    pub owner: String,
    pub owner_source: OwnerSource,
    pub holder: String,
    pub cover_id: Option<CoverId>,
    pub skill: String,
    pub minutes: i32,
    pub score: i32,
    pub parts: Vec<ScorePart>,
    pub by_hand: i32,
    pub by_hand_reason: Option<String>,
    pub back_on: Option<NaiveDate>,
    pub back_reason: Option<String>,
    pub business_at: DateTime<Utc>,
    pub sla: SlaState,
    pub due_at: Option<DateTime<Utc>>,
    pub escalated: i16,
    pub outcome: Option<String>,
    pub outcome_note: Option<String>,
    pub no_next_reason: Option<String>,
    pub ended_at: Option<DateTime<Utc>>,
    pub ended_by: Option<String>,
    pub changed_at: DateTime<Utc>,
}

impl Item {
    pub(crate) fn money(&self) -> Option<Money> {
        let currency = Currency::parse(self.currency.as_deref()?).ok()?;
        Money::try_new(self.amount?, currency).ok()
    }
}

/// What an event says about work that it calls for.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    pub subject_ref: String,
    pub detail: String,
    pub account_id: Option<Uuid>,
    pub account_ref: Option<String>,
    pub amount: Option<Money>,
    /// Whom the event names.
    pub wanted: Option<String>,
    /// The day from which it is due, if that is not now.
    pub back_on: Option<NaiveDate>,
    /// For what it waits, if it does.
    pub pause: Option<String>,
    /// When its clock starts: the business time of the event.
    pub starts_at: DateTime<Utc>,
    /// Since when it is as it is: from here its clock stands, or goes on.
    pub since: DateTime<Utc>,
    pub business_at: DateTime<Utc>,
    pub related_id: Option<Uuid>,
}

/// What everything that happens is held against.
pub(crate) struct Office<'o> {
    pub staff: &'o Staff,
    pub policies: &'o Policies,
    pub accounts: &'o HashMap<Uuid, Account>,
    pub now: DateTime<Utc>,
}

impl Office<'_> {
    pub(crate) fn today(&self) -> NaiveDate {
        london_date(self.now)
    }

    fn account(&self, id: Option<Uuid>) -> Option<&Account> {
        self.accounts.get(&id?)
    }
}

/// Who did it and why.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Because<'b> {
    pub actor: &'b str,
    pub reason: &'b str,
}

/// A line of an item's history.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Line {
    pub work_item_id: Uuid,
    pub version: i64,
    pub step: String,
    pub actor: String,
    pub reason: String,
    pub recorded_at: DateTime<Utc>,
}

/// An item in hand, with what has happened to it so far.
#[derive(Debug, Clone)]
pub(crate) struct Touched {
    pub item: Item,
    pub clock: Option<Clock>,
    pub steps: Vec<Line>,
    pub said: Vec<Said>,
}

fn short(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}

/// # Errors
/// When it is empty or too long.
pub(crate) fn reason(text: &str) -> Result<&str, Failure> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > TEXT_MAX {
        return Err(Failure::permanent(
            "worklist.reason_needed",
            "what a person does here has a reason",
        )
        .at("/reason", format!("between 1 and {TEXT_MAX} characters")));
    }
    Ok(text)
}

impl Touched {
    pub(crate) fn of(item: Item, clock: Option<Clock>) -> Self {
        Self {
            item,
            clock,
            steps: Vec::new(),
            said: Vec::new(),
        }
    }

    /// Noted as known and over: what is older than `subject_version` comes too
    /// late to open it.
    pub(crate) fn never_open(
        kind: &Kind,
        subject: Uuid,
        subject_version: i64,
        office: &Office<'_>,
    ) -> Self {
        Self::of(
            Item {
                work_item_id: Uuid::now_v7(),
                version: 0,
                kind: kind.code.clone(),
                subject_id: subject,
                subject_ref: String::new(),
                subject_version,
                related_id: None,
                detail: String::new(),
                account_id: None,
                account_ref: None,
                amount: None,
                currency: None,
                state: WorkState::Closed,
                owner: office.staff.default_owner().to_owned(),
                owner_source: OwnerSource::Default,
                holder: office.staff.default_owner().to_owned(),
                cover_id: None,
                skill: kind.skill.clone(),
                minutes: kind.minutes,
                score: 0,
                parts: Vec::new(),
                by_hand: 0,
                by_hand_reason: None,
                back_on: None,
                back_reason: None,
                business_at: office.now,
                sla: SlaState::None,
                due_at: None,
                escalated: 0,
                outcome: None,
                outcome_note: None,
                no_next_reason: None,
                ended_at: None,
                ended_by: None,
                changed_at: office.now,
            },
            None,
        )
    }

    pub(crate) fn has_changed(&self) -> bool {
        !self.steps.is_empty()
    }

    fn step(&mut self, step: &str, because: Because<'_>, office: &Office<'_>) {
        self.item.version += 1;
        self.item.changed_at = office.now;
        self.steps.push(Line {
            work_item_id: self.item.work_item_id,
            version: self.item.version,
            step: step.to_owned(),
            actor: because.actor.to_owned(),
            reason: short(because.reason),
            recorded_at: office.now,
        });
    }

    /// Works out how pressing it is now.
    pub(crate) fn rank(&mut self, office: &Office<'_>) {
        let today = office.today();
        let account = office.account(self.item.account_id);
        let kind = kinds::kind(&self.item.kind, today).ok();
        let by_hand = self.item.by_hand_reason.as_deref();
        let facts = score::Facts {
            kind: kind.map_or((0, ""), |kind| (kind.points, kind.title.as_str())),
            amount: self.item.money(),
            business_on: london_date(self.item.business_at),
            sla: self.item.sla,
            escalated: self.item.escalated,
            broken_promise_on: account.and_then(|account| account.broken_promise_on),
            last_contact_on: account.and_then(|account| account.last_contact_on),
            by_hand: by_hand.map(|reason| (self.item.by_hand, reason)),
        };
        (self.item.score, self.item.parts) = score::score(&facts, today);
    }

    fn policy(&self, office: &Office<'_>) -> Option<Policy> {
        let clock = self.clock.as_ref()?;
        office
            .policies
            .version(&clock.policy, clock.policy_version)
            .cloned()
    }

    /// Has the clock do something, and the item show it.
    fn clocked(
        &mut self,
        office: &Office<'_>,
        act: impl FnOnce(&mut Clock, &Policy) -> Vec<Said>,
    ) -> Vec<Said> {
        let (Some(policy), Some(clock)) = (self.policy(office), self.clock.as_mut()) else {
            return Vec::new();
        };
        let said = act(clock, &policy);
        self.item.sla = clock.state;
        self.item.due_at = clock.due_at;
        for one in &said {
            if let Says::Escalated(level, _) = one.says {
                self.item.escalated = level;
            }
        }
        self.said.extend(said.iter().cloned());
        said
    }

    fn start_clock(&mut self, kind: &Kind, opening: &Opening, office: &Office<'_>) {
        let Some(policy) = kind.policy.as_deref().and_then(|code| {
            office
                .policies
                .in_force(code, london_date(opening.starts_at))
        }) else {
            return;
        };
        let cycle = self.clock.as_ref().map_or(0, |clock| clock.cycle) + 1;
        let clock = Clock::start(self.item.work_item_id, cycle, policy, opening.starts_at);
        self.item.sla = clock.state;
        self.item.due_at = clock.due_at;
        self.item.escalated = 0;
        self.clock = Some(clock);
    }

    fn take_over(&mut self, owned: Owned) {
        self.item.owner = owned.owner;
        self.item.owner_source = owned.source;
        self.item.holder = owned.holder;
        self.item.cover_id = owned.cover_id;
    }

    fn take_in(&mut self, opening: &Opening, office: &Office<'_>) {
        let today = office.today();
        if !opening.subject_ref.is_empty() {
            self.item.subject_ref = short(&opening.subject_ref);
        } else if self.item.subject_ref.is_empty() {
            let id = self.item.subject_id.simple().to_string();
            id.get(24..)
                .unwrap_or(&id)
                .clone_into(&mut self.item.subject_ref);
        }
        self.item.detail = short(&opening.detail);
        // Some events name the account by its reference only.
        let named = || {
            let account_ref = opening.account_ref.as_deref()?;
            let mut accounts = office.accounts.iter();
            accounts.find_map(|(id, one)| (one.reference == account_ref).then_some(*id))
        };
        self.item.account_id = opening.account_id.or_else(named).or(self.item.account_id);
        if opening.account_ref.is_some() {
            self.item.account_ref.clone_from(&opening.account_ref);
        }
        self.item.amount = opening.amount.map(Money::amount);
        self.item.currency = opening.amount.map(|m| m.currency().code().to_owned());
        self.item.related_id = opening.related_id;
        if opening.back_on.is_some_and(|day| day > today) {
            self.item.back_on = opening.back_on;
            self.item.state = WorkState::Waiting;
        }
    }

    /// Its cause is there: it is new, comes back, or tells something else now.
    pub(crate) fn open(
        &mut self,
        opening: &Opening,
        because: Because<'_>,
        office: &Office<'_>,
    ) -> Result<(), Failure> {
        let today = office.today();
        let kind = kinds::kind(&self.item.kind, today)?;
        let before = self.item.clone();
        if self.item.state.is_active() {
            self.take_in(opening, office);
            self.own_again(opening, office, today);
            self.wait_or_go_on(opening);
            self.clocked_by(opening, office);
            if self.item != before {
                self.rank(office);
                self.step("updated", because, office);
            }
            return Ok(());
        }
        let same_again = before.state == WorkState::Done
            && before.amount == opening.amount.map(Money::amount)
            && before.detail == short(&opening.detail);
        if same_again {
            return Ok(());
        }
        self.item.state = WorkState::Open;
        self.item.back_on = None;
        self.item.back_reason = None;
        self.item.outcome = None;
        self.item.outcome_note = None;
        self.item.no_next_reason = None;
        self.item.ended_at = None;
        self.item.ended_by = None;
        self.item.business_at = opening.business_at;
        self.take_in(opening, office);
        self.start_clock(kind, opening, office);
        self.clocked_by(opening, office);
        let wanted = opening.wanted.as_deref();
        let known = before.version > 0 && office.staff.person(&before.owner).is_some();
        // Whoever had it before knows it.
        if !known || wanted.is_some() {
            let owned = office.staff.owner(
                self.item.subject_id,
                office.account(self.item.account_id),
                &self.item.skill,
                wanted,
                today,
            );
            self.take_over(owned);
        } else {
            let owned = office.staff.with_cover(&before.owner, before.owner_source);
            self.take_over(owned);
        }
        self.rank(office);
        let step = if before.version == 0 {
            "opened"
        } else {
            "reopened"
        };
        self.step(step, because, office);
        Ok(())
    }

    /// The account has become known, or the event names somebody else.
    fn own_again(&mut self, opening: &Opening, office: &Office<'_>, today: NaiveDate) {
        if self.item.state == WorkState::InProgress {
            return;
        }
        let named = opening
            .wanted
            .as_deref()
            .and_then(|name| office.staff.named(name));
        let portfolio = office
            .account(self.item.account_id)
            .and_then(|account| office.staff.portfolio(account, &self.item.skill));
        let owner = match (named, portfolio) {
            (Some(named), _) => Some(named),
            (None, Some(portfolio)) if self.item.owner_source != OwnerSource::Assigned => {
                Some(portfolio)
            }
            _ => None,
        };
        if owner.is_some_and(|owner| owner != self.item.owner) {
            let owned = office.staff.owner(
                self.item.subject_id,
                office.account(self.item.account_id),
                &self.item.skill,
                opening.wanted.as_deref(),
                today,
            );
            self.take_over(owned);
        }
    }

    fn wait_or_go_on(&mut self, opening: &Opening) {
        // What an event had put aside, an event takes up; what a person put
        // aside stays so.
        if opening.back_on.is_none()
            && self.item.state == WorkState::Waiting
            && self.item.back_reason.is_none()
            && self.item.outcome.is_none()
        {
            self.item.state = WorkState::Open;
            self.item.back_on = None;
        }
    }

    fn clocked_by(&mut self, opening: &Opening, office: &Office<'_>) {
        let at = opening.since;
        match &opening.pause {
            Some(why) => {
                self.clocked(office, |clock, policy| clock.pause(policy, why, at));
            }
            None => {
                self.clocked(office, |clock, policy| {
                    clock.resume(policy, at);
                    Vec::new()
                });
            }
        }
    }

    /// Its cause is gone.
    pub(crate) fn close(&mut self, because: Because<'_>, at: DateTime<Utc>, office: &Office<'_>) {
        if !self.item.state.is_active() {
            return;
        }
        self.clocked(office, |clock, policy| clock.stop(policy, at));
        self.item.state = WorkState::Closed;
        self.item.back_on = None;
        self.item.ended_at = Some(office.now);
        self.item.ended_by = Some(because.actor.to_owned());
        self.item.detail = short(because.reason);
        self.rank(office);
        self.step("closed", because, office);
    }

    /// What its clock has to say by now.
    pub(crate) fn fire(&mut self, office: &Office<'_>) {
        let said = self.clocked(office, |clock, policy| clock.fire(policy, office.now));
        if said.is_empty() {
            return;
        }
        self.rank(office);
        for one in said {
            let due = one.due_at.format("%Y-%m-%d %H:%M:%S UTC");
            let (step, reason) = match &one.says {
                Says::Warning => ("sla_warning", format!("nearly out of time since {due}")),
                Says::Breached => ("sla_breached", format!("out of time since {due}")),
                Says::Escalated(level, to) => {
                    ("escalated", format!("step {level}, to {to}, due {due}"))
                }
            };
            let because = Because {
                actor: "system:clock",
                reason: &reason,
            };
            self.step(step, because, office);
        }
    }

    /// What a person does with it.
    ///
    /// # Errors
    /// When it is over, or the command makes no sense.
    pub(crate) fn act(
        &mut self,
        action: &WorkAction,
        actor: &str,
        office: &Office<'_>,
    ) -> Result<(), Failure> {
        if !self.item.state.is_active() {
            return Err(Failure::conflict(
                "worklist.item_ended",
                format!("{} has ended", self.item.subject_ref),
            ));
        }
        let today = office.today();
        let by = |reason| Because { actor, reason };
        match action {
            WorkAction::Take => {
                if self.item.owner_source == OwnerSource::Default {
                    actor.clone_into(&mut self.item.owner);
                    self.item.owner_source = OwnerSource::Assigned;
                }
                actor.clone_into(&mut self.item.holder);
                self.item.state = WorkState::InProgress;
                self.item.back_on = None;
                self.item.back_reason = None;
                self.step("taken", by(""), office);
            }
            WorkAction::PutDown => {
                self.item.state = WorkState::Open;
                self.hand_back(office);
                self.step("put_down", by(""), office);
            }
            WorkAction::Assign { to, reason: why } => {
                let why = reason(why)?;
                let to = office.staff.named(to).ok_or_else(|| {
                    Failure::permanent("worklist.no_person", format!("nobody here is {to}"))
                        .at("/action/to", "somebody who works here")
                })?;
                let owned = office.staff.with_cover(to, OwnerSource::Assigned);
                self.take_over(owned);
                if self.item.state == WorkState::InProgress {
                    self.item.state = WorkState::Open;
                }
                self.step("assigned", by(why), office);
            }
            WorkAction::Complete {
                outcome,
                note,
                next,
            } => self.complete(outcome, note, next, actor, office)?,
            WorkAction::Snooze { until, reason: why } => {
                let why = reason(why)?;
                later(*until, today, "/action/until")?;
                self.item.back_on = Some(*until);
                self.item.back_reason = Some(why.to_owned());
                self.item.state = WorkState::Waiting;
                self.hand_back(office);
                self.step("snoozed", by(why), office);
            }
            WorkAction::Wake => {
                self.item.back_on = None;
                self.item.back_reason = None;
                if self.item.state == WorkState::Waiting {
                    self.item.state = WorkState::Open;
                }
                self.step("woken", by(""), office);
            }
            WorkAction::Rank {
                points,
                reason: why,
            } => {
                if points.abs() > BY_HAND_MAX {
                    return Err(Failure::permanent(
                        "worklist.bad_rank",
                        "that is more than anybody may rank by hand",
                    )
                    .at(
                        "/action/points",
                        format!("between -{BY_HAND_MAX} and {BY_HAND_MAX}"),
                    ));
                }
                let why = reason(why)?;
                self.item.by_hand = *points;
                self.item.by_hand_reason = (*points != 0).then(|| why.to_owned());
                self.rank(office);
                self.step("ranked", by(why), office);
            }
        }
        Ok(())
    }

    fn complete(
        &mut self,
        outcome: &str,
        note: &str,
        next: &NextStep,
        actor: &str,
        office: &Office<'_>,
    ) -> Result<(), Failure> {
        let today = office.today();
        let kind = kinds::kind(&self.item.kind, today)?;
        if kind.recorded {
            let detail = "it ends when the contact is recorded on the account";
            return Err(Failure::conflict("worklist.recorded_elsewhere", detail));
        }
        if !kind.outcomes.iter().any(|one| one == outcome) {
            return Err(
                Failure::permanent("worklist.outcome_needed", "how it ended must be said").at(
                    "/action/outcome",
                    format!("one of {}", kind.outcomes.join(", ")),
                ),
            );
        }
        let note = note.trim();
        if note.is_empty() && kind.code == "deadline" {
            return Err(Failure::permanent(
                "worklist.evidence_needed",
                "a deadline is done when it is said where the evidence is",
            )
            .at("/action/note", "where the evidence is"));
        }
        match next {
            NextStep::On(day) => {
                later(*day, today, "/action/next/on")?;
                self.item.state = WorkState::Waiting;
                self.item.back_on = Some(*day);
                self.item.back_reason = Some(format!("next step after {}", words(outcome)));
            }
            NextStep::NoneBecause(why) => {
                let why = reason(why).map_err(|_| {
                    Failure::permanent(
                        "worklist.next_step_needed",
                        "a next step has a day, or there is a reason why there is none",
                    )
                    .at("/action/next", "a day, or none because")
                })?;
                self.item.state = WorkState::Done;
                self.item.no_next_reason = Some(why.to_owned());
                self.item.back_on = None;
                self.item.ended_at = Some(office.now);
                self.item.ended_by = Some(actor.to_owned());
            }
        }
        self.item.outcome = Some(outcome.to_owned());
        self.item.outcome_note = (!note.is_empty()).then(|| short(note));
        self.clocked(office, |clock, policy| clock.stop(policy, office.now));
        // Who did it stays to be seen where nothing follows.
        if self.item.state == WorkState::Waiting {
            self.hand_back(office);
        } else {
            actor.clone_into(&mut self.item.holder);
        }
        self.rank(office);
        let words = match note {
            "" => words(outcome),
            note => format!("{}: {note}", words(outcome)),
        };
        let because = Because {
            actor,
            reason: &words,
        };
        self.step("completed", because, office);
        Ok(())
    }

    /// To where it belongs now: the owner, or who covers for them (E108).
    fn hand_back(&mut self, office: &Office<'_>) {
        let owned = office
            .staff
            .with_cover(&self.item.owner, self.item.owner_source);
        self.take_over(owned);
    }

    /// Who has it changes with a cover or a portfolio; whoever has it in hand
    /// keeps it. Tells whether it moved.
    pub(crate) fn move_to(
        &mut self,
        owned: Owned,
        because: Because<'_>,
        office: &Office<'_>,
    ) -> bool {
        let same = owned.owner == self.item.owner && owned.holder == self.item.holder;
        if same || self.item.state == WorkState::InProgress || !self.item.state.is_active() {
            return false;
        }
        self.take_over(owned);
        self.step("moved", because, office);
        true
    }
}

fn words(code: &str) -> String {
    code.replace('_', " ")
}

fn later(day: NaiveDate, today: NaiveDate, pointer: &str) -> Result<(), Failure> {
    if day > today {
        return Ok(());
    }
    Err(
        Failure::permanent("worklist.day_passed", "it comes back on a day after today")
            .at(pointer, "a day after today"),
    )
}

#[cfg(test)]
#[path = "item_tests.rs"]
mod tests;
