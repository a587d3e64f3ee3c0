//! The worklist: what is due today, the team, a person's settings.

pub(crate) mod settings;
pub(crate) mod team;
pub(crate) mod today;

use chrono::{DateTime, TimeDelta, Utc};
use contracts::{
    api::worklist::{Tally, WorkRow},
    worklist::SlaState,
};
use kernel::CommandId;

use super::show::Uk as _;
use crate::api::once::command_id;

pub(crate) type Pairs = Vec<(String, String)>;

pub(crate) fn field<'p>(pairs: &'p Pairs, name: &str) -> &'p str {
    pairs
        .iter()
        .find(|(known, _)| known == name)
        .map_or("", |(_, value)| value.trim())
}

pub(crate) fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The command of a form: the same when it is sent twice.
pub(crate) fn command(visit: &super::Visit, route: &str, pairs: &Pairs) -> CommandId {
    command_id(visit.caller.user_id, route, field(pairs, "key"))
}

/// How a clock reads: at most two units, minus when it is too late; colour, sign
/// and words say the same.
#[derive(Clone)]
pub(crate) struct Clock {
    /// `calm`, `soon`, `near`, `late`, `paused`, `met`, `missed`
    pub class: &'static str,
    pub sign: &'static str,
    pub text: String,
    pub said: String,
}

fn two_units(span: TimeDelta) -> String {
    let minutes = span.num_minutes();
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}m"),
        (0, hours) => format!("{hours}h {minutes}m"),
        (days, hours) => format!("{days}d {hours}h"),
    }
}

pub(crate) fn clock(row: &WorkRow, now: DateTime<Utc>) -> Option<Clock> {
    let active = row.state.is_active();
    let by = row.due_at.uk();
    let clock = match (row.sla, row.due_at) {
        (SlaState::None, _) => return None,
        (SlaState::Met, _) => Clock {
            class: "met",
            sign: "✓",
            text: "in time".into(),
            said: "dealt with in time".into(),
        },
        (SlaState::Breached, _) if !active => Clock {
            class: "missed",
            sign: "✗",
            text: "too late".into(),
            said: format!("was due {by}"),
        },
        (_, None) => Clock {
            class: "paused",
            sign: "‖",
            text: "waiting".into(),
            said: "the clock stands still".into(),
        },
        (_, Some(due)) if due <= now => Clock {
            class: "late",
            sign: "▲",
            text: format!("−{}", two_units(now - due)),
            said: format!("was due {by}"),
        },
        (_, Some(due)) => {
            let left = due - now;
            let class = match left.num_minutes() {
                0..30 => "near",
                30..60 => "soon",
                _ if row.sla == SlaState::Warned => "soon",
                _ => "calm",
            };
            Clock {
                class,
                sign: "◔",
                text: two_units(left),
                said: format!("due {by}"),
            }
        }
    };
    Some(clock)
}

/// Money and minutes of a tally, for a tile.
pub(crate) fn money(tally: &Tally) -> String {
    tally.money.uk()
}

pub(crate) fn hours(minutes: i64) -> String {
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// Whether work of a kind ends by what is recorded on the account, and not here.
pub(crate) fn is_recorded(kind: &str) -> bool {
    matches!(kind, "call_due" | "contact_unknown" | "reply_to_read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_reads_in_two_units_and_minus_when_late() {
        for (minutes, text) in [(5, "5m"), (65, "1h 5m"), (1500, "1d 1h"), (0, "0m")] {
            assert_eq!(two_units(TimeDelta::minutes(minutes)), text);
        }
        assert_eq!(hours(45), "45 min");
        assert_eq!(hours(120), "2 h");
        assert_eq!(hours(150), "2 h 30 min");
    }
}
