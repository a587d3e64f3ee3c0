//! One person doing another's work for a time: what moves, what comes back, and
//! what the owner is told on their return.

use contracts::worklist::{CoverDigest, WorkState};

use super::item::{Because, Office, Touched};

/// Lines of a digest.
const LINES_MAX: usize = 50;

/// Gives each item to whoever should have it now, by the covers that are active.
/// Tells how many moved. What somebody has in hand stays with them (E108).
pub(crate) fn deal(touched: &mut [Touched], because: Because<'_>, office: &Office<'_>) -> i64 {
    let mut moved = 0;
    for one in touched {
        let owned = office
            .staff
            .with_cover(&one.item.owner, one.item.owner_source);
        moved += i64::from(one.move_to(owned, because, office));
    }
    moved
}

/// What happened to the owner's work while `covered_by` did it. `steps` are
/// newest first: the step, and what a person reads of it.
pub(crate) fn digest(
    moved: i64,
    returned: i64,
    covered_by: &str,
    owner: &str,
    left: &[Touched],
    steps: Vec<(String, String)>,
) -> CoverDigest {
    let count = |step: &str| steps.iter().filter(|(name, _)| name == step).count() as i64;
    CoverDigest {
        moved,
        opened: count("opened") + count("reopened"),
        completed: count("completed"),
        closed: count("closed"),
        returned,
        kept: left
            .iter()
            .filter(|one| {
                one.item.owner == owner
                    && one.item.holder == covered_by
                    && one.item.state == WorkState::InProgress
            })
            .count() as i64,
        lines: steps
            .into_iter()
            .map(|(_, words)| words)
            .take(LINES_MAX)
            .collect(),
    }
}
