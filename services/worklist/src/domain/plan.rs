//! Who does what today: the most pressing first, by whoever has it, as long as
//! their minutes last; then by others who can. What is left is told with its
//! money.

use std::collections::HashMap;

use contracts::worklist::{OwnerSource, WorkState};

/// Somebody with the minutes that are left of their day.
#[derive(Debug, Clone)]
pub(crate) struct Hand {
    pub actor: String,
    pub skills: Vec<String>,
    pub minutes: i32,
}

/// An item in the order in which it is pressing.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub holder: String,
    pub source: OwnerSource,
    pub state: WorkState,
    pub skill: String,
    pub minutes: i32,
}

impl Task {
    /// Work that belongs to somebody's accounts, was given to them or is in hand
    /// stays with them: that is what cover is for.
    fn may_move(&self) -> bool {
        self.state != WorkState::InProgress
            && matches!(self.source, OwnerSource::Skill | OwnerSource::Default)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Places of tasks that will be done, with who does them.
    pub done: Vec<(usize, String)>,
    /// Those of them that go to somebody else than who has them.
    pub moves: Vec<(usize, String)>,
    /// Places of tasks that will not be done.
    pub left: Vec<usize>,
}

pub(crate) fn plan(hands: &[Hand], tasks: &[Task]) -> Plan {
    let mut left: HashMap<&str, i32> = hands
        .iter()
        .map(|hand| (hand.actor.as_str(), hand.minutes))
        .collect();
    let mut plan = Plan::default();
    // What is in hand is gone on with.
    let (in_hand, rest): (Vec<usize>, Vec<usize>) =
        (0..tasks.len()).partition(|place| tasks[*place].state == WorkState::InProgress);
    for place in in_hand.into_iter().chain(rest) {
        let task = &tasks[place];
        if let Some(minutes) = left.get_mut(task.holder.as_str())
            && *minutes >= task.minutes
        {
            *minutes -= task.minutes;
            plan.done.push((place, task.holder.clone()));
            continue;
        }
        let other = hands
            .iter()
            .filter(|_| task.may_move())
            .filter(|hand| hand.actor != task.holder)
            .filter(|hand| hand.skills.contains(&task.skill))
            .filter(|hand| {
                left.get(hand.actor.as_str())
                    .is_some_and(|m| *m >= task.minutes)
            })
            .max_by_key(|hand| left.get(hand.actor.as_str()).copied());
        match other {
            Some(hand) => {
                if let Some(minutes) = left.get_mut(hand.actor.as_str()) {
                    *minutes -= task.minutes;
                }
                plan.done.push((place, hand.actor.clone()));
                plan.moves.push((place, hand.actor.clone()));
            }
            None => plan.left.push(place),
        }
    }
    plan.left.sort_unstable();
    plan
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hand(actor: &str, skills: &[&str], minutes: i32) -> Hand {
        Hand {
            actor: actor.to_owned(),
            skills: skills.iter().map(|s| (*s).to_owned()).collect(),
            minutes,
        }
    }

    fn task(holder: &str, source: OwnerSource, skill: &str, minutes: i32) -> Task {
        Task {
            holder: holder.to_owned(),
            source,
            state: WorkState::Open,
            skill: skill.to_owned(),
            minutes,
        }
    }

    #[test]
    fn what_does_not_fit_goes_to_who_can_and_portfolios_stay() {
        let hands = [
            hand("jo", &["cash"], 10),
            hand("sam", &["cash"], 10),
            hand("kim", &["legal"], 60),
        ];
        let tasks = [
            task("jo", OwnerSource::Skill, "cash", 8),
            task("jo", OwnerSource::Portfolio, "cash", 8),
            task("jo", OwnerSource::Skill, "cash", 8),
            task("jo", OwnerSource::Skill, "cash", 8),
            task("queue:unowned", OwnerSource::Default, "legal", 8),
        ];
        let plan = plan(&hands, &tasks);
        assert_eq!(plan.moves, [(2, "sam".to_owned()), (4, "kim".to_owned())]);
        assert_eq!(plan.left, [1, 3]);
    }

    proptest! {
        /// Nobody gets more than their minutes or what they cannot do, and each
        /// task is either done or left, once.
        #[test]
        fn a_plan_adds_up(
            minutes in prop::collection::vec(0..120i32, 1..5),
            tasks in prop::collection::vec((0..6usize, 0..4u8, 0..3usize, 1..40i32, any::<bool>()), 0..60),
        ) {
            let skills = ["cash", "legal", "disputes"];
            let hands: Vec<Hand> = minutes
                .iter()
                .enumerate()
                .map(|(n, m)| hand(&format!("p{n}"), &[skills[n % 3], skills[(n + 1) % 3]], *m))
                .collect();
            let sources = [OwnerSource::Skill, OwnerSource::Default, OwnerSource::Portfolio, OwnerSource::Assigned];
            let tasks: Vec<Task> = tasks
                .into_iter()
                .map(|(holder, source, skill, minutes, busy)| Task {
                    state: if busy { WorkState::InProgress } else { WorkState::Open },
                    ..task(&format!("p{holder}"), sources[usize::from(source)], skills[skill], minutes)
                })
                .collect();
            let plan = plan(&hands, &tasks);
            let mut places: Vec<usize> = plan.done.iter().map(|(p, _)| *p).chain(plan.left.iter().copied()).collect();
            places.sort_unstable();
            prop_assert_eq!(places, (0..tasks.len()).collect::<Vec<_>>());
            for hand in &hands {
                let sum: i32 = plan.done.iter().filter(|(_, a)| *a == hand.actor).map(|(p, _)| tasks[*p].minutes).sum();
                prop_assert!(sum <= hand.minutes);
            }
            for (place, actor) in &plan.moves {
                let hand = hands.iter().find(|hand| hand.actor == *actor).unwrap();
                prop_assert!(hand.skills.contains(&tasks[*place].skill) && tasks[*place].may_move());
            }
        }
    }
}
