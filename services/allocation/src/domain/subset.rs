//! Which open items add up to an amount: found within bounds, and posted only
//! when nothing else adds up to it too.
//!
//! Amounts are whole numbers of the smallest unit. Credit notes are negative.

/// Items in one answer at most, beyond what is named or is a whole balance.
pub const ITEMS_MAX: usize = 6;
/// Items in one answer at most where nothing is proved, only shown.
const SHOWN_MAX: usize = 12;
/// Items searched among at most: beyond that, sums prove nothing.
pub const CANDIDATES_MAX: usize = 30;
/// Steps of one search at most.
const STEPS_MAX: u32 = 200_000;
/// Steps of a search that proves nothing, at most.
const SOME_STEPS_MAX: u32 = 50_000;

/// What a search found.
#[derive(Debug, PartialEq, Eq)]
pub enum Sums {
    None,
    /// Exactly one set of items, by their places: proved, not assumed.
    One(Vec<usize>),
    /// At least these two.
    Several(Vec<usize>, Vec<usize>),
    /// More than can be searched.
    Unknown,
}

/// Sets of at most [`ITEMS_MAX`] of `amounts` that add up to `target`.
pub fn sums(target: i128, amounts: &[i128]) -> Sums {
    if amounts.len() > CANDIDATES_MAX {
        return Sums::Unknown;
    }
    let (mut found, whole) = search(target, amounts, 2, ITEMS_MAX, STEPS_MAX);
    let second = found.pop();
    match (found.pop(), second, whole) {
        (Some(one), Some(two), _) => Sums::Several(one, two),
        (_, _, false) => Sums::Unknown,
        (None, Some(one), true) => Sums::One(one),
        (_, None, true) => Sums::None,
    }
}

/// Up to `most` of the sets that add up to `target`, whichever come first.
pub fn some(target: i128, amounts: &[i128], most: usize) -> Vec<Vec<usize>> {
    if amounts.len() > CANDIDATES_MAX {
        return Vec::new();
    }
    search(target, amounts, most, ITEMS_MAX, SOME_STEPS_MAX).0
}

/// Up to `most` sets of more than [`ITEMS_MAX`] that add up to `target`, as far
/// as a short search finds them: to be shown, where no smaller set does.
pub fn larger(target: i128, amounts: &[i128], most: usize) -> Vec<Vec<usize>> {
    if amounts.len() > CANDIDATES_MAX {
        return Vec::new();
    }
    let (mut found, _) = search(target, amounts, most, SHOWN_MAX, SOME_STEPS_MAX);
    found.retain(|set| set.len() > ITEMS_MAX);
    found
}

/// The sets that are found, by the places of their items, and whether all that
/// matters was looked at.
fn search(
    target: i128,
    amounts: &[i128],
    most: usize,
    items_max: usize,
    steps: u32,
) -> (Vec<Vec<usize>>, bool) {
    // The largest first: a wrong beginning is seen early.
    let mut order: Vec<usize> = (0..amounts.len()).collect();
    order.sort_by_key(|&at| {
        (
            std::cmp::Reverse(amounts.get(at).copied().map(i128::abs)),
            at,
        )
    });
    let sorted: Vec<i128> = order
        .iter()
        .filter_map(|&at| amounts.get(at).copied())
        .collect();
    // What the rest could still add or take away.
    let mut rest = vec![(0, 0); sorted.len() + 1];
    for at in (0..sorted.len()).rev() {
        let (low, high) = rest.get(at + 1).copied().unwrap_or_default();
        let amount = sorted.get(at).copied().unwrap_or_default();
        if let Some(slot) = rest.get_mut(at) {
            *slot = (low + amount.min(0), high + amount.max(0));
        }
    }
    let mut search = Search {
        sorted: &sorted,
        rest: &rest,
        taken: Vec::new(),
        found: Vec::new(),
        most,
        items_max,
        steps,
    };
    let whole = search.from(0, target);
    let back = |set: &Vec<usize>| {
        let mut places: Vec<usize> = set
            .iter()
            .filter_map(|&at| order.get(at).copied())
            .collect();
        places.sort_unstable();
        places
    };
    (search.found.iter().map(back).collect(), whole)
}

struct Search<'a> {
    sorted: &'a [i128],
    rest: &'a [(i128, i128)],
    taken: Vec<usize>,
    found: Vec<Vec<usize>>,
    most: usize,
    items_max: usize,
    /// That are left.
    steps: u32,
}

impl Search<'_> {
    /// Takes each of the items from `at` on as the next one. Tells whether all
    /// that matters was looked at.
    fn from(&mut self, at: usize, left: i128) -> bool {
        for next in at..self.sorted.len() {
            let Some(left_over) = self.steps.checked_sub(1) else {
                return false;
            };
            self.steps = left_over;
            let (Some(&amount), Some(&(low, high))) = (self.sorted.get(next), self.rest.get(next))
            else {
                break;
            };
            if left < low || left > high {
                break;
            }
            self.taken.push(next);
            if amount == left {
                self.found.push(self.taken.clone());
            }
            let whole = self.found.len() >= self.most
                || self.taken.len() >= self.items_max
                || self.from(next + 1, left - amount);
            self.taken.pop();
            if !whole || self.found.len() >= self.most {
                return whole;
            }
        }
        true
    }
}

/// How many sets of one to [`ITEMS_MAX`] items there are among `n`.
pub fn sets(n: usize) -> u128 {
    let mut total = 0_u128;
    let mut choose = 1_u128;
    for k in 0..ITEMS_MAX.min(n) {
        choose = choose * (n - k) as u128 / (k as u128 + 1);
        total += choose;
    }
    total
}

/// How many different sums these amounts could have: what is owed, in steps of
/// the largest amount that divides them all. Round amounts leave few.
pub fn possible_sums(amounts: &[i128]) -> u128 {
    let step = amounts.iter().fold(0_u128, |gcd, amount| {
        greatest_common(gcd, amount.unsigned_abs())
    });
    let range: u128 = amounts.iter().map(|amount| amount.unsigned_abs()).sum();
    range.checked_div(step).unwrap_or(1).max(1)
}

fn greatest_common(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { greatest_common(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_set_two_sets_no_set() {
        assert_eq!(sums(30, &[10, 20, 50]), Sums::One(vec![0, 1]));
        assert_eq!(sums(25, &[30, -5, 100]), Sums::One(vec![0, 1]));
        assert_eq!(sums(7, &[10, 20, 50]), Sums::None);
        assert!(matches!(sums(30, &[10, 20, 30]), Sums::Several(..)));
        assert!(matches!(sums(10, &[10, 10]), Sums::Several(..)));
        assert_eq!(sums(1, &[1; CANDIDATES_MAX + 1]), Sums::Unknown);
        // A set and the same set with something that adds up to nothing.
        assert!(matches!(sums(10, &[10, 5, -5]), Sums::Several(..)));
    }

    #[test]
    fn round_amounts_have_few_sums() {
        assert_eq!(possible_sums(&[50_000, 50_000, 50_000]), 3);
        assert_eq!(possible_sums(&[12_345, 20_000]), 32_345 / 5);
        assert_eq!((sets(1), sets(3), sets(7)), (1, 7, 126));
    }

    #[test]
    fn seven_are_shown_and_prove_nothing() {
        let amounts = [1, 2, 4, 8, 16, 32, 64, -500];
        assert_eq!(sums(127, &amounts), Sums::None);
        assert_eq!(larger(127, &amounts, 2), [vec![0, 1, 2, 3, 4, 5, 6]]);
        assert_eq!(larger(3, &amounts, 2), [] as [Vec<usize>; 0]);
    }

    proptest! {
        /// What is shown adds up, and each item is in it once.
        #[test]
        fn larger_sets_add_up(amounts in prop::collection::vec(1_i128..90, 7..14), target in 1_i128..600) {
            for set in larger(target, &amounts, 5) {
                prop_assert!(set.len() > ITEMS_MAX && set.is_sorted());
                prop_assert!(set.windows(2).all(|two| two[0] != two[1]));
                prop_assert_eq!(set.iter().map(|&at| amounts[at]).sum::<i128>(), target);
            }
        }

        /// Against trying every set: unique exactly if it is unique.
        #[test]
        fn unique_means_unique(amounts in prop::collection::vec(-20_i128..60, 0..9), target in 1_i128..120) {
            let amounts: Vec<i128> = amounts.into_iter().filter(|a| *a != 0).collect();
            let all: Vec<Vec<usize>> = (1_u32..1 << amounts.len())
                .filter(|set| set.count_ones() as usize <= ITEMS_MAX)
                .map(|set| (0..amounts.len()).filter(|at| set & (1 << at) != 0).collect::<Vec<_>>())
                .filter(|set| set.iter().map(|&at| amounts[at]).sum::<i128>() == target)
                .collect();
            match sums(target, &amounts) {
                Sums::None => prop_assert!(all.is_empty()),
                Sums::One(set) => prop_assert_eq!(all, vec![set]),
                Sums::Several(one, two) => {
                    prop_assert_ne!(&one, &two);
                    prop_assert!(all.contains(&one) && all.contains(&two));
                }
                Sums::Unknown => prop_assert!(false, "this can be searched"),
            }
        }
    }
}
