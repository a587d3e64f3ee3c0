//! Direct Debit mandates: a pure state machine. Billing tells of them, AUDDIS
//! lodges them, the reports of Bacs change them.

pub mod advice;
pub mod reference;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::LazyLock;

use chrono::{DateTime, Months, NaiveDate, Utc};
use contracts::{
    api::direct_debits::MandateView,
    inbound::{BillingMandate, MandateStatus},
    ingestion::{MandateChanged, MandateId, MandateState},
};
use kernel::{AccountId, Division, WorkingCalendar};
use uuid::Uuid;

use self::advice::{Advice, Effect, Kind, meaning};
use super::inbound;

/// Days by which Bacs works: England and Wales.
pub const CALENDAR: WorkingCalendar = WorkingCalendar::new(Division::EnglandWales);

/// The rules of collecting: `rules.csv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// Working days of advance notice.
    pub notice_days: u32,
    /// Working days after the notified day in which it may still be collected.
    pub late_days: u32,
    /// Working days from the instruction's processing day to the first collection.
    pub first_days: u32,
    /// Days from the first presentation in which it may be presented again.
    pub again_days: u32,
    /// How often it may be presented again.
    pub again_most: u32,
    /// Working days after the entry day in which an unpaid collection comes back.
    pub return_days: u32,
    /// Months after which an unused instruction may have been dropped.
    pub dormant_months: u32,
    /// Days that a file may be sent ahead.
    pub ahead_days: u32,
}

static ROWS: LazyLock<Vec<(&'static str, u32, NaiveDate)>> = LazyLock::new(|| {
    super::data::rows(include_str!("rules.csv"))
        .filter_map(|row| {
            let [rule, value, from] = row[..] else {
                return None;
            };
            Some((rule, value.parse().ok()?, from.parse().ok()?))
        })
        .collect()
});

/// The rules of a day.
pub fn rules(on: NaiveDate) -> Rules {
    let value = |name: &str| {
        ROWS.iter()
            .filter(|(rule, _, from)| *rule == name && *from <= on)
            .max_by_key(|(.., from)| *from)
            .map_or(0, |(_, value, _)| *value)
    };
    Rules {
        notice_days: value("notice_days"),
        late_days: value("late_days"),
        first_days: value("first_days"),
        again_days: value("again_days"),
        again_most: value("again_most"),
        return_days: value("return_days"),
        dormant_months: value("dormant_months"),
        ahead_days: value("ahead_days"),
    }
}

/// An instruction that is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// 0N
    New,
    /// 0C
    Cancel,
}

impl Due {
    pub const fn code(self) -> &'static str {
        match self {
            Self::New => "0N",
            Self::Cancel => "0C",
        }
    }

    pub fn of_code(code: &str) -> Option<Self> {
        match code {
            "0N" => Some(Self::New),
            "0C" => Some(Self::Cancel),
            _ => None,
        }
    }
}

const OLDER: &str = "See whether it is about an instruction before this one.";
const GIVEN_UP: &str =
    "Billing gave the mandate up: cancel the instruction (0C), or let billing tell of it anew.";

/// A mandate as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mandate {
    pub id: MandateId,
    pub version: i64,
    /// The core reference.
    pub reference: String,
    pub account_id: AccountId,
    pub account_ref: String,
    pub payer_name: String,
    /// As `kernel::BankAccount::key`, always a UK account.
    pub payer_account: String,
    pub signed_on: NaiveDate,
    pub paperless: bool,
    pub state: MandateState,
    /// Why it stands so, in one sentence.
    pub reason: String,
    /// What somebody has to do about it.
    pub to_do: Option<String>,
    /// The instruction that goes into the next file.
    pub due: Option<Due>,
    /// The processing day of its last 0N.
    pub lodged_for: Option<NaiveDate>,
    /// A collection was sent since its last 0N.
    pub first_sent: bool,
    pub last_used_on: Option<NaiveDate>,
    pub reinstated_on: Option<NaiveDate>,
    /// What billing last told of it, as JSON.
    pub content: String,
}

/// What a change of a mandate means for its collections that are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForCollections {
    /// They go on.
    Keep,
    /// They go on with the new details.
    Amend,
    /// None may be sent.
    Drop,
}

/// What an advice does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The mandate after it, if it changed.
    pub mandate: Option<Mandate>,
    pub reason: String,
    /// What somebody has to do.
    pub to_do: Option<String>,
    pub collections: ForCollections,
    /// An unpaid collection may be presented again.
    pub again: bool,
}

impl Mandate {
    /// A mandate that billing tells of for the first time.
    pub fn captured(told: &inbound::Mandate, account_id: AccountId) -> Self {
        let wire = &told.wire;
        let mut mandate = Self {
            id: MandateId::generate(),
            version: 0,
            reference: wire.mandate_reference.clone(),
            account_id,
            account_ref: wire.account_ref.clone(),
            payer_name: wire.payer_name.clone(),
            payer_account: told.payer_account.clone(),
            signed_on: wire.signed_on,
            paperless: wire.paperless,
            state: MandateState::Captured,
            reason: "billing told of it; its instruction is to be lodged".to_owned(),
            to_do: None,
            due: Some(Due::New),
            lodged_for: None,
            first_sent: false,
            last_used_on: None,
            reinstated_on: None,
            content: told.content.clone(),
        };
        match wire.status.unwrap_or_default() {
            MandateStatus::New => {}
            MandateStatus::Active => {
                mandate.state = MandateState::Active;
                mandate.due = None;
                // It was collected by before it came to us.
                mandate.first_sent = true;
                "billing told of it; it was lodged before".clone_into(&mut mandate.reason);
            }
            MandateStatus::Cancelled => {
                mandate.state = MandateState::Cancelled;
                mandate.due = None;
                "billing told of it as cancelled".clone_into(&mut mandate.reason);
            }
        }
        mandate
    }

    /// The same mandate as billing has it now; nothing if it is as it was.
    pub fn told(&self, told: &inbound::Mandate, account_id: AccountId) -> Option<Outcome> {
        if self.content == told.content {
            return None;
        }
        let wire = &told.wire;
        let mut next = self.clone();
        next.content.clone_from(&told.content);
        next.account_id = account_id;
        next.account_ref.clone_from(&wire.account_ref);
        next.payer_name.clone_from(&wire.payer_name);
        next.signed_on = wire.signed_on;
        next.paperless = wire.paperless;
        next.to_do = None;
        if wire.status == Some(MandateStatus::Cancelled) {
            return Some(next.given_up());
        }
        // What billing said before tells whether the account is news: an ADDACS
        // may have changed ours meanwhile, and must not be undone by an old word.
        let before: Option<BillingMandate> = serde_json::from_str(&self.content).ok();
        let moved = told.payer_account != self.payer_account
            && before.is_none_or(|before| before.payer_account != wire.payer_account);
        let over = matches!(
            self.state,
            MandateState::Cancelled | MandateState::Invalid | MandateState::Final
        );
        if moved || over {
            next.payer_account.clone_from(&told.payer_account);
            next.state = MandateState::Captured;
            next.due = Some(Due::New);
            next.first_sent = false;
            let reason = if over {
                "billing told of it anew; its instruction is to be lodged"
            } else {
                "billing gave another account; its instruction is to be lodged there"
            };
            return Some(next.after(reason, ForCollections::Drop));
        }
        Some(next.after("billing changed its details", ForCollections::Keep))
    }

    /// Billing gave it up: banks have to hear of it if they know it.
    fn given_up(mut self) -> Outcome {
        match self.state {
            MandateState::Captured | MandateState::Invalid => {
                self.state = MandateState::Cancelled;
                self.due = None;
            }
            MandateState::Cancelled | MandateState::Final => {}
            _ => {
                self.state = MandateState::CancelPending;
                self.due = Some(Due::Cancel);
            }
        }
        self.after("billing gave it up", ForCollections::Drop)
    }

    /// Whether billing's last word is that it is over.
    fn is_given_up(&self) -> bool {
        let told: Option<BillingMandate> = serde_json::from_str(&self.content).ok();
        told.is_some_and(|told| told.status == Some(MandateStatus::Cancelled))
    }

    fn after(mut self, reason: &str, collections: ForCollections) -> Outcome {
        reason.clone_into(&mut self.reason);
        Outcome {
            reason: reason.to_owned(),
            to_do: self.to_do.clone(),
            mandate: Some(self),
            collections,
            again: false,
        }
    }

    /// What a report of Bacs does to it.
    pub fn hear(&self, advice: &Advice) -> Outcome {
        let said = meaning(advice.kind, &advice.code, advice.reported_on);
        match advice.kind {
            Kind::AuddisAccepted => return self.file_accepted(),
            Kind::AuddisRejected => return self.file_rejected(),
            Kind::Addacs | Kind::AuddisReturned | Kind::Unpaid => {}
        }
        let reason = format!(
            "{} {}: {}",
            advice.kind.title(),
            advice.code.trim(),
            within(said.meaning)
        );
        let mut next = self.clone();
        next.to_do = Some(said.action.to_owned());
        let over = matches!(self.state, MandateState::Cancelled | MandateState::Final);
        // The bank took it back after that: an old word stops nothing.
        let outdated = self.reinstated_on.is_some_and(|on| advice.reported_on < on);
        let again = said.again;
        // A bank's word of before it was signed is about one that came before it.
        if advice.reported_on < self.signed_on {
            return Outcome {
                mandate: None,
                reason: format!("{reason}; the mandate was signed later"),
                to_do: Some(OLDER.to_owned()),
                collections: ForCollections::Keep,
                again,
            };
        }
        let nothing = || Outcome {
            mandate: None,
            reason: reason.clone(),
            to_do: Some(said.action.to_owned()),
            collections: ForCollections::Keep,
            again,
        };
        let stop = |mut next: Self, state: MandateState| {
            if over || outdated {
                return nothing();
            }
            next.state = state;
            next.due = None;
            Outcome {
                again,
                ..next.after(&reason, ForCollections::Drop)
            }
        };
        let new_account = advice
            .new_payer_account
            .as_ref()
            .filter(|account| **account != self.payer_account);
        match said.effect {
            Effect::Keep => nothing(),
            Effect::Cancel => stop(next, MandateState::Cancelled),
            Effect::Suspend => stop(next, MandateState::Suspended),
            Effect::Invalid => stop(next, MandateState::Invalid),
            Effect::Amend if over || outdated => nothing(),
            Effect::Amend => {
                let name = advice.payer_name.as_ref().filter(|name| !name.is_empty());
                let renamed = name.is_some_and(|name| *name != self.payer_name);
                if new_account.is_none() && !renamed {
                    return nothing();
                }
                if let Some(account) = new_account {
                    next.payer_account.clone_from(account);
                }
                if let Some(name) = name {
                    next.payer_name.clone_from(name);
                }
                next.to_do = None;
                next.after(&reason, ForCollections::Amend)
            }
            Effect::Transfer => match new_account {
                _ if over || outdated => nothing(),
                Some(account) => {
                    next.payer_account.clone_from(account);
                    next.state = MandateState::Captured;
                    next.due = Some(Due::New);
                    next.first_sent = false;
                    next.after(&reason, ForCollections::Drop)
                }
                // Told again of what it has already.
                None if advice.new_payer_account.is_some() => nothing(),
                None => stop(next, MandateState::Suspended),
            },
            Effect::Reinstate => {
                let waits = matches!(self.state, MandateState::Captured | MandateState::Lodged);
                if waits || outdated {
                    return nothing();
                }
                // The bank would pay; we do not want it.
                if self.is_given_up() {
                    return Outcome {
                        to_do: Some(GIVEN_UP.to_owned()),
                        ..nothing()
                    };
                }
                next.state = MandateState::Active;
                next.due = None;
                next.to_do = None;
                next.reinstated_on = Some(advice.reported_on);
                next.after(&reason, ForCollections::Keep)
            }
        }
    }

    fn file_accepted(&self) -> Outcome {
        let reason = "AUDDIS: Bacs took the file; a bank may still send the instruction back";
        if self.state == MandateState::Lodged && self.reason != reason {
            return self.clone().after(reason, ForCollections::Keep);
        }
        Outcome {
            mandate: None,
            reason: reason.to_owned(),
            to_do: None,
            collections: ForCollections::Keep,
            again: false,
        }
    }

    fn file_rejected(&self) -> Outcome {
        let reason = "AUDDIS: Bacs refused the whole file; the instruction goes into the next";
        let mut next = self.clone();
        match self.state {
            MandateState::Lodged => {
                next.state = MandateState::Captured;
                next.due = Some(Due::New);
                next.lodged_for = None;
                next.after(reason, ForCollections::Drop)
            }
            MandateState::Cancelled => {
                next.state = MandateState::CancelPending;
                next.due = Some(Due::Cancel);
                next.after(reason, ForCollections::Keep)
            }
            _ => Outcome {
                mandate: None,
                reason: reason.to_owned(),
                to_do: None,
                collections: ForCollections::Keep,
                again: false,
            },
        }
    }

    /// Its instruction goes into a file that is processed on `processing_on`.
    pub fn sent(&self, processing_on: NaiveDate) -> Option<Self> {
        let mut next = self.clone();
        match self.due? {
            Due::New => {
                next.state = MandateState::Lodged;
                next.lodged_for = Some(processing_on);
                next.first_sent = false;
                next.reason = format!("its instruction (0N) is in the file of {processing_on}");
            }
            Due::Cancel => {
                next.state = MandateState::Cancelled;
                next.reason = format!("its cancellation (0C) is in the file of {processing_on}");
            }
        }
        next.due = None;
        next.to_do = None;
        Some(next)
    }

    /// What time alone makes of it on `today`.
    pub fn aged(&self, today: NaiveDate) -> Option<Self> {
        let rules = rules(today);
        let mut next = self.clone();
        match self.state {
            MandateState::Lodged if self.usable_from(rules)? <= today => {
                next.state = MandateState::Active;
                "no bank sent its instruction back".clone_into(&mut next.reason);
            }
            MandateState::Active => {
                let since = self
                    .last_used_on
                    .max(self.lodged_for)
                    .unwrap_or(self.signed_on);
                let until = since.checked_add_months(Months::new(rules.dormant_months))?;
                if today < until {
                    return None;
                }
                next.state = MandateState::Dormant;
                next.reason = format!("not used since {since}");
                next.to_do = Some(
                    "The bank may have dropped the instruction: ask the payer for a new one."
                        .to_owned(),
                );
            }
            _ => return None,
        }
        Some(next)
    }

    /// The first entry day: after the banks had the time to send it back.
    pub fn usable_from(&self, rules: Rules) -> Option<NaiveDate> {
        let lodged = self.lodged_for?;
        CALENDAR.add_working_days(lodged, rules.first_days).ok()
    }

    pub fn fact(&self, actor: &str, because_of: Uuid, now: DateTime<Utc>) -> MandateChanged {
        MandateChanged {
            mandate_id: self.id,
            version: self.version,
            mandate_reference: self.reference.clone(),
            account_id: self.account_id,
            account_ref: self.account_ref.clone(),
            state: self.state,
            reason: self.reason.clone(),
            to_do: self.to_do.clone(),
            payer_account: masked(&self.payer_account),
            usable_from: self.usable_from(rules(kernel::london_date(now))),
            recorded_at: now,
            actor: actor.to_owned(),
            because_of,
        }
    }

    pub fn view(&self, changed_at: DateTime<Utc>) -> MandateView {
        MandateView {
            mandate_id: self.id,
            version: self.version,
            mandate_reference: self.reference.clone(),
            account_id: self.account_id,
            account_ref: self.account_ref.clone(),
            payer_name: self.payer_name.clone(),
            payer_account: masked(&self.payer_account),
            signed_on: self.signed_on,
            paperless: self.paperless,
            state: self.state,
            reason: self.reason.clone(),
            to_do: self.to_do.clone(),
            usable_from: self.usable_from(rules(kernel::london_date(changed_at))),
            last_used_on: self.last_used_on,
            changed_at,
        }
    }
}

/// A sentence's beginning, within another.
fn within(text: &str) -> String {
    let mut text = text.to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    text
}

/// The last four characters of an account.
pub fn masked(key: &str) -> String {
    let from = key.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
    format!("****{}", key.get(from..).unwrap_or_default())
}
