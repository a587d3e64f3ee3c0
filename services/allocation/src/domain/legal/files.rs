//! File numbers: a fold over what was told about each matter, so that a count is
//! exact by construction and every difference has a file number.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use contracts::{
    api::matters::{MatterDifference, TheirMatter},
    inbound::MatterStatus,
    ingestion::MatterRecorded,
};

use super::Matter;

/// A status that a matter has from a day on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusFrom {
    pub status: MatterStatus,
    pub on: NaiveDate,
}

/// What a fact of ingestion says anew about a matter's status. A matter that
/// comes late has passed the stages before: they are told too. `today` is the
/// day for a reopening, which has none of its own.
pub fn steps(before: Option<&Matter>, fact: &MatterRecorded, today: NaiveDate) -> Vec<StatusFrom> {
    let mut steps = Vec::new();
    let mut say = |status, on| steps.push(StatusFrom { status, on });
    if before.is_none() {
        say(MatterStatus::Opened, fact.opened_on);
    }
    let status = before.map_or(MatterStatus::Opened, |matter| matter.status);
    let concluded = |matter: &Matter| matter.concluded_on;
    match fact.status {
        MatterStatus::Opened => {
            if !matches!(status, MatterStatus::Opened) {
                say(MatterStatus::Opened, today);
            }
        }
        MatterStatus::Reopened => {
            if status != MatterStatus::Reopened {
                say(MatterStatus::Reopened, today);
            }
        }
        MatterStatus::Concluded => {
            let on = fact.concluded_on.unwrap_or(today);
            if status != MatterStatus::Concluded || before.and_then(concluded) != Some(on) {
                say(MatterStatus::Concluded, on);
            }
        }
        MatterStatus::Closed => {
            let on = fact.closed_on.unwrap_or(today);
            if status.is_live()
                && let Some(concluded_on) = fact.concluded_on
                && concluded_on <= on
            {
                say(MatterStatus::Concluded, concluded_on);
            }
            if status != MatterStatus::Closed
                || before.and_then(|matter| matter.closed_on) != Some(on)
            {
                say(MatterStatus::Closed, on);
            }
        }
    }
    steps
}

/// The matter as a fact of ingestion says it is; `None` when an older version
/// comes late.
pub fn told(
    before: Option<&Matter>,
    fact: &MatterRecorded,
    today: NaiveDate,
) -> Option<(Matter, Vec<StatusFrom>)> {
    if before.is_some_and(|matter| matter.source_version >= fact.version) {
        return None;
    }
    let steps = steps(before, fact, today);
    let status_on = steps.last().map_or_else(
        || before.map_or(fact.opened_on, |matter| matter.status_on),
        |step| step.on,
    );
    let matter = Matter {
        id: fact.matter_id,
        reference: fact.matter_ref.clone(),
        version: before.map_or(1, |matter| matter.version + 1),
        source_version: fact.version,
        account_id: fact.account_id,
        account_ref: fact.account_ref.clone(),
        title: fact.title.clone(),
        fee_earner: fact.fee_earner.clone(),
        opened_on: fact.opened_on,
        concluded_on: fact.concluded_on,
        closed_on: fact.closed_on,
        status: fact.status,
        status_on,
        hold: before.and_then(|matter| matter.hold.clone()),
        hold_ended_on: before.and_then(|matter| matter.hold_ended_on),
    };
    Some((matter, steps))
}

/// Every file number that one list has and the other has not, or has with
/// another status. A file that is worked on is the same whether it was opened or
/// reopened: case systems do not all tell.
pub fn differences(
    ours: impl IntoIterator<Item = (String, MatterStatus)>,
    theirs: &[TheirMatter],
) -> Vec<MatterDifference> {
    let mut found: BTreeMap<String, (Option<MatterStatus>, Option<MatterStatus>)> = BTreeMap::new();
    for (reference, status) in ours {
        if status != MatterStatus::Closed {
            found.entry(reference).or_default().0 = Some(status);
        }
    }
    for matter in theirs {
        if matter.status != MatterStatus::Closed {
            found
                .entry(matter.matter_ref.trim().to_owned())
                .or_default()
                .1 = Some(matter.status);
        }
    }
    let same = |ours: Option<MatterStatus>, theirs: Option<MatterStatus>| match (ours, theirs) {
        (Some(ours), Some(theirs)) => ours == theirs || (ours.is_live() && theirs.is_live()),
        _ => false,
    };
    found
        .into_iter()
        .filter(|(_, (ours, theirs))| !same(*ours, *theirs))
        .map(|(matter_ref, (ours, theirs))| MatterDifference {
            matter_ref,
            ours,
            theirs,
        })
        .collect()
}
