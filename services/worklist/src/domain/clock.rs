//! SLA clocks: they start with the business time of what happened, stand still
//! only for what their policy allows, and say each thing once.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use contracts::worklist::{SlaPolicy, SlaState};
use kernel::Division;
use messaging::Failure;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::hours::{Hours, span};

/// What a clock says, in the order in which it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Says {
    Warning,
    Breached,
    /// The step of the ladder, from 1, and who is told.
    Escalated(i16, String),
}

/// A policy, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    pub code: String,
    pub version: i32,
    pub valid_from: NaiveDate,
    pub hours: Hours,
    pub target: i64,
    /// Seconds of working time after the start, sorted.
    pub moments: Vec<(i64, Says)>,
    pub pauses: Vec<String>,
}

impl Policy {
    /// # Errors
    /// Which field makes no sense.
    pub(crate) fn read(policy: &SlaPolicy) -> Result<Self, Failure> {
        let bad = |field: &str, detail: &str| {
            Failure::permanent("worklist.bad_policy", "the policy makes no sense")
                .at(format!("/policy/{field}"), detail.to_owned())
        };
        let time = |field: &str, text: &str| {
            NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| bad(field, "a time such as 09:00"))
        };
        let calendar = match policy.calendar.as_str() {
            "always" => None,
            "england_wales" => Some(Division::EnglandWales),
            "scotland" => Some(Division::Scotland),
            "northern_ireland" => Some(Division::NorthernIreland),
            _ => return Err(bad("calendar", "no calendar of that name")),
        };
        let hours = match calendar {
            None => Hours::Always,
            Some(calendar) => {
                let (opens, closes) = (
                    time("opens", &policy.opens)?,
                    time("closes", &policy.closes)?,
                );
                if closes <= opens {
                    return Err(bad("closes", "later than it opens"));
                }
                Hours::Office {
                    calendar,
                    opens,
                    closes,
                }
            }
        };
        let read = |field: &str, text: &str| {
            span(text, hours).ok_or_else(|| bad(field, "such as 30s, 15m, 4h or 2d"))
        };
        let target = read("target", &policy.target)?;
        let mut moments = vec![(target, Says::Breached)];
        if let Some(warning) = &policy.warning {
            let warning = read("warning", warning)?;
            if warning >= target {
                return Err(bad("warning", "before the target"));
            }
            moments.insert(0, (warning, Says::Warning));
        }
        let mut last = 0;
        for (level, step) in (1..).zip(&policy.ladder) {
            let after = read("ladder", &step.after)?;
            if after < last || step.to.trim().is_empty() {
                return Err(bad("ladder", "steps one after another, each to somebody"));
            }
            last = after;
            moments.push((target + after, Says::Escalated(level, step.to.clone())));
        }
        Ok(Self {
            code: policy.policy.clone(),
            version: policy.version,
            valid_from: policy.valid_from,
            hours,
            target,
            moments,
            pauses: policy.pauses.clone(),
        })
    }
}

/// Every version of every policy.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policies(Vec<Policy>);

impl Policies {
    pub(crate) fn new(policies: Vec<Policy>) -> Self {
        Self(policies)
    }

    /// What a clock that starts on `day` goes by: the latest version that counts.
    pub(crate) fn in_force(&self, code: &str, day: NaiveDate) -> Option<&Policy> {
        let named = || self.0.iter().filter(|policy| policy.code == code);
        named()
            .filter(|policy| policy.valid_from <= day)
            .max_by_key(|policy| (policy.valid_from, policy.version))
            // Older business than the oldest version: that one.
            .or_else(|| named().min_by_key(|policy| policy.version))
    }

    pub(crate) fn version(&self, code: &str, version: i32) -> Option<&Policy> {
        self.0
            .iter()
            .find(|policy| policy.code == code && policy.version == version)
    }
}

/// Something that a clock has said, with when it was due and by when the work
/// had to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub says: Says,
    pub due_at: DateTime<Utc>,
    pub target_at: DateTime<Utc>,
}

/// One run of an item's clock, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Clock {
    pub work_item_id: Uuid,
    /// Counts the runs of one item.
    pub cycle: i32,
    pub policy: String,
    pub policy_version: i32,
    pub started_at: DateTime<Utc>,
    /// Working seconds used before `running_since`.
    pub spent: i64,
    /// Absent while it stands or after it stopped.
    pub running_since: Option<DateTime<Utc>>,
    pub pause_reason: Option<String>,
    /// How many of the policy's moments are over.
    pub fired: i32,
    /// When it has something to say next: what the timer looks for.
    pub next_due_at: Option<DateTime<Utc>>,
    /// When the work must be done; absent while it stands.
    pub due_at: Option<DateTime<Utc>>,
    pub stopped_at: Option<DateTime<Utc>>,
    pub state: SlaState,
}

impl Clock {
    pub(crate) fn start(item: Uuid, cycle: i32, policy: &Policy, at: DateTime<Utc>) -> Self {
        let mut clock = Self {
            work_item_id: item,
            cycle,
            policy: policy.code.clone(),
            policy_version: policy.version,
            started_at: at,
            spent: 0,
            running_since: Some(at),
            pause_reason: None,
            fired: 0,
            next_due_at: None,
            due_at: None,
            stopped_at: None,
            state: SlaState::Running,
        };
        clock.look_ahead(policy);
        clock
    }

    /// When so much working time since the start will be, or was, over.
    fn moment(&self, policy: &Policy, seconds: i64) -> Option<DateTime<Utc>> {
        // Working time that a back-dated pause gave back lies before the run.
        self.running_since
            .map(|since| policy.hours.after(since, seconds - self.spent))
    }

    fn next(&self, policy: &Policy) -> Option<(i64, Says)> {
        policy
            .moments
            .get(usize::try_from(self.fired).unwrap_or_default())
            .cloned()
    }

    fn look_ahead(&mut self, policy: &Policy) {
        self.due_at = self.moment(policy, policy.target);
        self.next_due_at = self
            .next(policy)
            .and_then(|(seconds, _)| self.moment(policy, seconds));
    }

    /// What it has to say by `now`, each once, however late.
    pub(crate) fn fire(&mut self, policy: &Policy, now: DateTime<Utc>) -> Vec<Said> {
        let mut said = Vec::new();
        while let Some((seconds, says)) = self.next(policy)
            && let Some(due_at) = self.moment(policy, seconds)
            && due_at <= now
        {
            match says {
                Says::Warning => self.state = SlaState::Warned,
                Says::Breached | Says::Escalated(..) => self.state = SlaState::Breached,
            }
            said.push(Said {
                says,
                due_at,
                target_at: self.due_at.unwrap_or(due_at),
            });
            self.fired += 1;
        }
        self.look_ahead(policy);
        said
    }

    fn use_up(&mut self, policy: &Policy, at: DateTime<Utc>) {
        if let Some(since) = self.running_since.take() {
            self.spent += policy.hours.between(since, at);
        }
    }

    /// Stands still from `at` on, if its policy lets it for `reason`. What it had
    /// to say before that it says.
    pub(crate) fn pause(&mut self, policy: &Policy, reason: &str, at: DateTime<Utc>) -> Vec<Said> {
        if self.running_since.is_none() || !policy.pauses.iter().any(|may| may == reason) {
            return Vec::new();
        }
        let said = self.fire(policy, at);
        self.use_up(policy, at);
        self.pause_reason = Some(reason.to_owned());
        if self.state != SlaState::Breached {
            self.state = SlaState::Paused;
        }
        self.look_ahead(policy);
        said
    }

    /// Goes on.
    pub(crate) fn resume(&mut self, policy: &Policy, at: DateTime<Utc>) {
        if self.running_since.is_some() || self.stopped_at.is_some() {
            return;
        }
        self.running_since = Some(at);
        self.pause_reason = None;
        if self.state == SlaState::Paused {
            self.state = match self.fired {
                0 => SlaState::Running,
                _ => SlaState::Warned,
            };
        }
        self.look_ahead(policy);
    }

    /// Ends it, with what it had to say before that: work that was done too late
    /// was late, also if nobody looked in between.
    pub(crate) fn stop(&mut self, policy: &Policy, at: DateTime<Utc>) -> Vec<Said> {
        if self.stopped_at.is_some() {
            return Vec::new();
        }
        let said = self.fire(policy, at);
        self.use_up(policy, at);
        self.stopped_at = Some(at);
        self.pause_reason = None;
        if self.state != SlaState::Breached {
            self.state = SlaState::Met;
        }
        // What it had to be done by stays to be seen.
        let due_at = self.due_at;
        self.look_ahead(policy);
        self.due_at = due_at;
        said
    }
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
