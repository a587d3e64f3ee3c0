//! A contact that a person writes down: what may be said of it, and what follows.

use std::sync::LazyLock;

use chrono::{DateTime, Days, NaiveDate, Utc};
use contracts::{
    api::dunning::{ContactStep, OutcomeView},
    dunning::{
        Channel, ContactId, ContactItem, ContactOutcome, ContactState, Direction, HoldId, HoldKind,
        PromiseId, RunId,
    },
};
use kernel::{AccountId, Classified, ErrorClass, Money, london_date};
use serde::Deserialize;
use uuid::Uuid;

/// A contact as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    pub id: ContactId,
    pub version: i64,
    pub direction: Direction,
    pub channel: Channel,
    pub state: ContactState,
    pub account: AccountId,
    pub account_ref: String,
    /// Which of the joint debtors it was with, if somebody said so.
    pub debtor: Option<String>,
    pub run: Option<RunId>,
    pub stage: Option<String>,
    pub items: Vec<ContactItem>,
    pub amounts: Vec<Money>,
    /// Whom it was sent to.
    pub address: Option<String>,
    pub content_sha256: Option<String>,
    pub outcome: Option<ContactOutcome>,
    pub proposal: Option<ContactOutcome>,
    pub next_step: Option<String>,
    pub next_on: Option<NaiveDate>,
    pub none_because: Option<String>,
    pub follows: Option<Uuid>,
    /// What was told in it placed this hold.
    pub hold: Option<HoldId>,
    /// It was made in it.
    pub promise: Option<PromiseId>,
    pub at: DateTime<Utc>,
    /// The London day that counts in the contact budget.
    pub counted_on: Option<NaiveDate>,
    pub actor: String,
    pub reason: String,
    pub recorded_at: DateTime<Utc>,
}

/// What is said of a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub direction: Direction,
    pub channel: Channel,
    pub outcome: Option<ContactOutcome>,
    pub next_step: Option<String>,
    pub next_on: Option<NaiveDate>,
    pub none_because: Option<String>,
    pub at: DateTime<Utc>,
    /// What the message said.
    pub note: Option<String>,
    /// Whether a promise is taken with it.
    pub with_promise: bool,
}

/// The hold that an outcome places by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToldHold {
    pub kind: HoldKind,
    /// Calendar days after which it ends by itself; only a person ends it without.
    #[serde(default)]
    pub days: Option<u64>,
    /// Calendar days after which somebody looks at it.
    pub review: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Next {
    step: String,
    days: u64,
}

/// What becomes of a way to the debtor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    Unusable,
    OptedOut,
    OptedIn,
    Confirmed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OfStage {
    Counts,
    Void,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    code: ContactOutcome,
    valid_from: NaiveDate,
    title: String,
    ours: Vec<Channel>,
    theirs: Vec<Channel>,
    budget: bool,
    stage: OfStage,
    #[serde(default)]
    way: Option<Way>,
    #[serde(default)]
    restricted: bool,
    #[serde(default)]
    hold: Option<ToldHold>,
    #[serde(default)]
    next: Option<Next>,
}

impl Rule {
    fn fits(&self, channel: Channel, direction: Direction) -> bool {
        let on = match direction {
            Direction::Out => &self.ours,
            Direction::In => &self.theirs,
        };
        on.contains(&channel)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    outcome: Vec<Rule>,
}

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    toml::from_str::<Table>(include_str!("../../data/outcomes.toml"))
        .unwrap_or_default()
        .outcome
});

fn rule(outcome: ContactOutcome, on: NaiveDate) -> Result<&'static Rule, ContactRefused> {
    RULES
        .iter()
        .filter(|rule| rule.code == outcome && rule.valid_from <= on)
        .max_by_key(|rule| rule.valid_from)
        .ok_or(ContactRefused::NoRule(outcome))
}

/// What is next by itself after an outcome: no words of anybody.
pub fn own_step(outcome: ContactOutcome, at: DateTime<Utc>) -> Option<&'static str> {
    let rule = rule(outcome, london_date(at)).ok()?;
    rule.next.as_ref().map(|next| next.step.as_str())
}

/// The hold that is placed when death is told of, by whomever.
pub fn bereavement(on: NaiveDate) -> Option<ToldHold> {
    let rule = rule(ContactOutcome::DeceasedTold, on).ok()?;
    rule.hold
}

/// What can come of a contact on a day, in the order of a list: of all, or of
/// those of a channel and a direction.
pub fn outcomes(
    channel: Option<Channel>,
    direction: Option<Direction>,
    on: NaiveDate,
) -> Vec<OutcomeView> {
    let fits = |rule: &&Rule| {
        let directions = direction.map_or(Direction::ALL.to_vec(), |one| vec![one]);
        let channels = channel.map_or(Channel::ALL.to_vec(), |one| vec![one]);
        directions
            .iter()
            .any(|direction| channels.iter().any(|one| rule.fits(*one, *direction)))
    };
    let mut seen = Vec::new();
    for one in RULES.iter().map(|rule| rule.code) {
        if !seen.contains(&one) {
            seen.push(one);
        }
    }
    seen.into_iter()
        .filter_map(|code| rule(code, on).ok())
        .filter(fits)
        .map(|rule| OutcomeView {
            outcome: rule.code,
            title: rule.title.clone(),
            ours: rule.ours.clone(),
            theirs: rule.theirs.clone(),
            hold: rule.hold.map(|hold| hold.kind),
            next_step: rule.next.as_ref().map(|next| next.step.clone()),
        })
        .collect()
}

/// The outcome as a list calls it.
pub fn title(outcome: ContactOutcome) -> &'static str {
    RULES
        .iter()
        .find(|rule| rule.code == outcome)
        .map_or(outcome.name(), |rule| rule.title.as_str())
}

/// Whether what was said is not for everybody (E99).
pub fn is_restricted(outcome: ContactOutcome) -> bool {
    RULES
        .iter()
        .any(|rule| rule.code == outcome && rule.restricted)
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContactRefused {
    #[error("{detail}")]
    Wrong {
        field: &'static str,
        detail: &'static str,
    },
    #[error("a contact that is {} cannot be {what}", .state.name().replace('_', " "))]
    State {
        state: ContactState,
        what: &'static str,
    },
    #[error("nothing says what follows from `{}`", .0.name())]
    NoRule(ContactOutcome),
}

impl Classified for ContactRefused {
    fn code(&self) -> &'static str {
        match self {
            Self::Wrong { .. } => "dunning.contact_wrong",
            Self::State { .. } => "dunning.contact_state",
            Self::NoRule(_) => "dunning.no_outcome",
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::Wrong { .. } => ErrorClass::Permanent,
            Self::State { .. } => ErrorClass::Conflict,
            Self::NoRule(_) => ErrorClass::Bug,
        }
    }
}

/// What follows from a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Follows {
    pub state: ContactState,
    /// The stages that it stood for do not count.
    pub void: bool,
    pub counted_on: Option<NaiveDate>,
    pub proposal: Option<ContactOutcome>,
    pub way: Option<Way>,
    pub hold: Option<ToldHold>,
    /// What is next: what was said, else what the outcome says.
    pub next_step: Option<String>,
    pub next_on: Option<NaiveDate>,
    pub none_because: Option<String>,
}

/// After a promise nobody need look: cash and its day decide.
const PROMISE_DECIDES: &str = "the promise is judged by what comes in";

const fn by_mouth(channel: Channel) -> bool {
    matches!(channel, Channel::Phone | Channel::Visit)
}

fn wrong(field: &'static str, detail: &'static str) -> ContactRefused {
    ContactRefused::Wrong { field, detail }
}

/// Decides what follows from what a person writes down.
///
/// # Errors
/// When it is not complete, or cannot be.
pub fn follows(said: &Said, now: DateTime<Utc>) -> Result<Follows, ContactRefused> {
    let today = london_date(now);
    if said.at > now {
        return Err(wrong("/at", "not in the future"));
    }
    if said.next_on.is_some_and(|on| on < today) {
        return Err(wrong("/next_on", "not before today"));
    }
    if said.next_step.is_some() != said.next_on.is_some() {
        return Err(wrong("/next_on", "a next step has a day, and a day a step"));
    }
    if said.next_step.is_some() && said.none_because.is_some() {
        return Err(wrong("/none_because", "either a next step or why none"));
    }
    if said.with_promise && said.outcome != Some(ContactOutcome::Promised) {
        return Err(wrong("/promise", "only with the outcome `promised`"));
    }
    let ours = said.direction == Direction::Out;
    let day = london_date(said.at);
    let Some(outcome) = said.outcome else {
        if by_mouth(said.channel) {
            return Err(wrong("/outcome", "what came of it"));
        }
        let seems = said.note.as_deref().filter(|_| !ours);
        return Ok(Follows {
            state: ContactState::Done,
            void: false,
            counted_on: ours.then_some(day),
            // Only what a person can say of it afterwards.
            proposal: seems.and_then(super::reach::seems).filter(|seems| {
                rule(*seems, today).is_ok_and(|rule| rule.fits(said.channel, said.direction))
            }),
            way: None,
            hold: None,
            next_step: said.next_step.clone(),
            next_on: said.next_on,
            none_because: said.none_because.clone(),
        });
    };
    let rule = rule(outcome, today)?;
    if !rule.fits(said.channel, said.direction) {
        let detail = "does not come of a contact on this channel in this direction";
        return Err(wrong("/outcome", detail));
    }
    let (mut next_step, mut next_on) = (said.next_step.clone(), said.next_on);
    let mut none_because = said.none_because.clone();
    if next_step.is_none() && none_because.is_none() {
        if let Some(next) = &rule.next {
            next_step = Some(next.step.clone());
            next_on = today.checked_add_days(Days::new(next.days));
        } else if said.with_promise {
            none_because = Some(PROMISE_DECIDES.to_owned());
        } else if ours && by_mouth(said.channel) {
            let detail = "a call or visit has a next step and its day, or why nothing follows";
            return Err(wrong("/next_step", detail));
        }
    }
    Ok(Follows {
        state: ContactState::Done,
        void: rule.stage == OfStage::Void,
        counted_on: (ours && rule.budget).then_some(day),
        proposal: None,
        way: rule.way,
        hold: rule.hold,
        next_step,
        next_on,
        none_because,
    })
}

/// What naming a contact means, when one is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// It was to be done, and is.
    Done,
    /// It was sent, and came back.
    CameBack(ContactState),
    /// Its next step was this one: a contact of its own.
    NextStep,
}

/// How a contact that is named stands to what is said.
///
/// # Errors
/// When it is of another channel, or nothing can be said of it like this.
pub fn named(contact: &Contact, said: &Said, follows: &Follows) -> Result<Named, ContactRefused> {
    match contact.state {
        ContactState::Todo => {
            if said.channel != contact.channel || said.direction != contact.direction {
                return Err(wrong("/channel", "as it was to be done"));
            }
            Ok(Named::Done)
        }
        ContactState::Done => Ok(Named::NextStep),
        state if follows.way == Some(Way::Unusable) && contact.direction == Direction::Out => {
            if said.channel != contact.channel {
                return Err(wrong("/channel", "as it was sent"));
            }
            Ok(Named::CameBack(came_back(state, contact.channel)?))
        }
        _ => Ok(Named::NextStep),
    }
}

fn came_back(state: ContactState, channel: Channel) -> Result<ContactState, ContactRefused> {
    use ContactState::{Bounced, Delivered, GoneAway, Posted, Printed, Sent, Unknown};
    match (state, channel) {
        (Sent | Printed | Posted | Delivered | Unknown, Channel::Email) => Ok(Bounced),
        (Sent | Printed | Posted | Delivered | Unknown, _) => Ok(GoneAway),
        _ => Err(ContactRefused::State {
            state,
            what: "said to have come back",
        }),
    }
}

/// What a step of a person makes of a contact: its state, and whether its stages
/// do not count any more.
///
/// # Errors
/// When its state does not allow the step.
pub fn step(contact: &Contact, step: ContactStep) -> Result<(ContactState, bool), ContactRefused> {
    let refused = |what| ContactRefused::State {
        state: contact.state,
        what,
    };
    match (step, contact.state) {
        (ContactStep::Sent, ContactState::Unknown) => Ok((ContactState::Sent, false)),
        (ContactStep::Sent, _) => Err(refused("said to be sent")),
        (ContactStep::NotSent, ContactState::Unknown | ContactState::Printed) => {
            Ok((ContactState::Failed, true))
        }
        (ContactStep::NotSent, _) => Err(refused("said not to be sent")),
        (ContactStep::Posted, ContactState::Printed) => Ok((ContactState::Posted, false)),
        (ContactStep::Posted, _) => Err(refused("posted")),
        (ContactStep::CameBack, state) => Ok((came_back(state, contact.channel)?, true)),
        (ContactStep::ReadAs { .. }, ContactState::Done)
            if contact.direction == Direction::In && contact.outcome.is_none() =>
        {
            Ok((ContactState::Done, false))
        }
        (ContactStep::ReadAs { .. }, _) => Err(refused("read")),
    }
}

/// What became of an address when something came back.
pub const fn outcome_of(state: ContactState) -> Option<ContactOutcome> {
    match state {
        ContactState::Bounced => Some(ContactOutcome::Bounced),
        ContactState::GoneAway => Some(ContactOutcome::GoneAway),
        _ => None,
    }
}
