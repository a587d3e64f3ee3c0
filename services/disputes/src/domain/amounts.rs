//! What becomes of the amounts of a case when its documents are paid, credited
//! or given up, and when that is undone.
//!
//! A payment pays what is not disputed first: only what exceeds it lowers what
//! is in question (E24).

use contracts::disputes::{CaseState, Resolution};
use kernel::{Currency, Money, MoneyError};

use super::{Case, Part};

/// How much of a document was settled, by how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    pub paid: Money,
    pub credited: Money,
    pub cleared: Money,
    pub written_off: Money,
}

impl Settled {
    pub fn nothing(currency: Currency) -> Self {
        let zero = Money::zero(currency);
        Self {
            paid: zero,
            credited: zero,
            cleared: zero,
            written_off: zero,
        }
    }

    /// # Errors
    /// When amounts overflow or currencies differ.
    pub fn plus(&self, other: &Self) -> Result<Self, MoneyError> {
        Ok(Self {
            paid: self.paid.checked_add(other.paid)?,
            credited: self.credited.checked_add(other.credited)?,
            cleared: self.cleared.checked_add(other.cleared)?,
            written_off: self.written_off.checked_add(other.written_off)?,
        })
    }

    /// # Errors
    /// When amounts overflow.
    pub fn total(&self) -> Result<Money, MoneyError> {
        Money::sum(
            [self.paid, self.credited, self.cleared, self.written_off],
            self.paid.currency(),
        )
    }
}

/// A document as far as cases need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub gross: Money,
    pub settled: Settled,
    /// Credit notes that answered a request and do not meet the document yet.
    pub noted: Money,
}

impl Standing {
    /// What is owed of it: open, less the credit that is there for it.
    ///
    /// # Errors
    /// When amounts overflow.
    pub fn owed(&self) -> Result<Money, MoneyError> {
        let open = self.open()?.checked_sub(self.noted)?;
        Ok(if open.is_negative() {
            Money::zero(open.currency())
        } else {
            open
        })
    }

    /// # Errors
    /// When amounts overflow.
    pub fn open(&self) -> Result<Money, MoneyError> {
        self.gross.checked_sub(self.settled.total()?)
    }

    /// After `moved`: a credit note that meets the document is noted no more.
    ///
    /// # Errors
    /// When amounts overflow.
    pub fn after(&self, moved: &Settled) -> Result<Self, MoneyError> {
        let met = if moved.credited.is_positive() {
            least(moved.credited, self.noted)?
        } else {
            Money::zero(self.gross.currency())
        };
        Ok(Self {
            gross: self.gross,
            settled: self.settled.plus(moved)?,
            noted: self.noted.checked_sub(met)?,
        })
    }
}

pub(crate) fn least(a: Money, b: Money) -> Result<Money, MoneyError> {
    Ok(if a.checked_cmp(b)?.is_gt() { b } else { a })
}

#[derive(Clone, Copy)]
enum Place {
    Credited,
    WrittenOff,
    Cleared,
    Paid,
}

/// What is taken first when several things happen at once.
const PLACES: [Place; 4] = [
    Place::Credited,
    Place::WrittenOff,
    Place::Cleared,
    Place::Paid,
];

impl Place {
    const fn of(self, settled: &Settled) -> Money {
        match self {
            Self::Credited => settled.credited,
            Self::WrittenOff => settled.written_off,
            Self::Cleared => settled.cleared,
            Self::Paid => settled.paid,
        }
    }

    const fn in_part(self, part: &mut Part) -> &mut Money {
        match self {
            Self::Credited => &mut part.credited,
            Self::WrittenOff => &mut part.written_off,
            Self::Cleared => &mut part.cleared,
            Self::Paid => &mut part.paid,
        }
    }
}

fn settle(part: &mut Part, amount: Money, place: Place) -> Result<(), MoneyError> {
    part.disputed = part.disputed.checked_sub(amount)?;
    let at = place.in_part(part);
    *at = at.checked_add(amount)?;
    part.credit_due = match place {
        // The credit that was asked for.
        Place::Credited => part
            .credit_due
            .checked_sub(least(part.credit_due, amount)?)?,
        _ => least(part.credit_due, part.disputed)?,
    };
    Ok(())
}

/// Brings the parts of one document, the oldest case first, in line with what
/// is owed of it after `moved`. Tells whether something changed.
///
/// # Errors
/// When amounts overflow.
pub fn absorb(parts: &mut [&mut Part], owed: Money, moved: &Settled) -> Result<bool, MoneyError> {
    let held = Money::sum(parts.iter().map(|part| part.disputed), owed.currency())?;
    let mut excess = held.checked_sub(owed)?;
    let mut changed = false;
    if excess.is_positive() {
        for place in PLACES {
            let mut left = least(excess, place.of(moved))?;
            for part in parts.iter_mut() {
                let amount = least(left, part.disputed)?;
                if amount.is_positive() {
                    settle(part, amount, place)?;
                    left = left.checked_sub(amount)?;
                    excess = excess.checked_sub(amount)?;
                    changed = true;
                }
            }
        }
        // Nobody says what it was: it is owed no more.
        for part in parts.iter_mut() {
            let amount = least(excess, part.disputed)?;
            if amount.is_positive() {
                settle(part, amount, Place::Cleared)?;
                excess = excess.checked_sub(amount)?;
                changed = true;
            }
        }
        return Ok(changed);
    }
    let mut room = excess.neg();
    for place in PLACES {
        let mut undone = place.of(moved).neg();
        for part in parts.iter_mut().rev() {
            let had = *place.in_part(part);
            let amount = least(least(undone, room)?, had)?;
            if amount.is_positive() {
                let at = place.in_part(part);
                *at = at.checked_sub(amount)?;
                part.disputed = part.disputed.checked_add(amount)?;
                undone = undone.checked_sub(amount)?;
                room = room.checked_sub(amount)?;
                changed = true;
            }
        }
    }
    Ok(changed)
}

/// A credit note of `given` answers a request for `asked`: what it credits is in
/// question no more. Tells how much that is.
///
/// # Errors
/// When amounts overflow.
pub fn credit(part: &mut Part, asked: Money, given: Money) -> Result<Money, MoneyError> {
    let due = part
        .credit_due
        .checked_sub(least(part.credit_due, asked)?)?;
    let amount = least(given, part.disputed)?;
    settle(part, amount, Place::Credited)?;
    part.credit_due = least(due, part.disputed)?;
    Ok(amount)
}

/// What a case becomes after its amounts moved: it ends itself when its
/// documents are settled, and is back when that was undone. `owed` is what is
/// owed of all its documents; `settles` whether payment settles cases of its
/// reason (E23).
///
/// # Errors
/// When amounts overflow.
pub fn follow(
    case: &mut Case,
    owed: Money,
    settles: bool,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Option<&'static str>, MoneyError> {
    let nothing_left = owed.is_zero() && case.in_question()?.is_zero();
    match case.state {
        CaseState::Closed => {
            // Settled by what did not stand.
            if case.resolution == Some(Resolution::Settled) && case.in_question()?.is_positive() {
                case.resolution = None;
                let to = if case.processor.is_some() {
                    CaseState::Assigned
                } else {
                    CaseState::Confirmed
                };
                case.go(to, now);
                return Ok(Some("reopened"));
            }
            Ok(None)
        }
        CaseState::Resolved => {
            // What was undone after the case was settled is owed, not disputed.
            for part in &mut case.parts {
                let owed = part.disputed.checked_sub(part.credit_due)?;
                part.released = part.released.checked_add(owed)?;
                part.disputed = part.credit_due;
            }
            let done = match case.resolution {
                // Who was right has the credit; the rest is chased.
                Some(Resolution::Upheld | Resolution::Part) => case.credit_due()?.is_zero(),
                _ => nothing_left,
            };
            if done {
                case.go(CaseState::Closed, now);
                return Ok(Some("closed"));
            }
            Ok(None)
        }
        CaseState::Suspected if nothing_left => {
            case.resolution = Some(Resolution::Cleared);
            case.go(CaseState::Closed, now);
            Ok(Some("cleared"))
        }
        _ if case.parts.is_empty() => Ok(None),
        _ if nothing_left && settles && !case.under_protest => {
            case.resolution = Some(Resolution::Settled);
            case.go(CaseState::Closed, now);
            Ok(Some("settled"))
        }
        _ => Ok(None),
    }
}
