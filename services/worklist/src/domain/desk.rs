//! What happened elsewhere, turned into what happens to work items.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use contracts::worklist::OwnerSource;
use messaging::Failure;
use uuid::Uuid;

use super::{
    item::{Because, Office, Opening, Touched},
    kinds,
};

/// What an event means for the work of one kind about one subject.
#[derive(Debug, Clone)]
pub(crate) struct Signal {
    pub kind: &'static str,
    pub subject_id: Uuid,
    /// Of the event: one subject's events are numbered together.
    pub subject_version: i64,
    pub change: Change,
    pub actor: String,
    pub reason: String,
    /// By the business clock.
    pub at: DateTime<Utc>,
}

#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// There is something to do: new, or as it is now.
    Open(Box<Opening>),
    /// There is nothing to do; also if that is heard before what there was.
    Close,
    /// The same, where it can only be heard after.
    CloseIfThere,
    /// What ends with this subject: items that name it as related.
    CloseRelated,
}

/// The items that a batch is about, locked, and what becomes of them.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    items: HashMap<(Uuid, String), Touched>,
    /// The newest event that is known of each subject.
    seen: HashMap<Uuid, i64>,
}

impl Desk {
    pub(crate) fn new(items: Vec<Touched>) -> Self {
        let mut desk = Self::default();
        for touched in items {
            let seen = desk.seen.entry(touched.item.subject_id).or_default();
            *seen = (*seen).max(touched.item.subject_version);
            let key = (touched.item.subject_id, touched.item.kind.clone());
            desk.items.insert(key, touched);
        }
        desk
    }

    /// Applies what one event says; nothing, when a newer one has been heard.
    pub(crate) fn apply(&mut self, signals: &[Signal], office: &Office<'_>) -> Result<(), Failure> {
        let known = self.seen.clone_for(signals);
        for signal in signals {
            if matches!(signal.change, Change::CloseRelated) {
                self.close_related(signal, office);
                continue;
            }
            if known
                .get(&signal.subject_id)
                .is_some_and(|seen| *seen >= signal.subject_version)
            {
                continue;
            }
            self.apply_one(signal, office)?;
            self.seen.insert(signal.subject_id, signal.subject_version);
        }
        Ok(())
    }

    fn apply_one(&mut self, signal: &Signal, office: &Office<'_>) -> Result<(), Failure> {
        let key = (signal.subject_id, signal.kind.to_owned());
        let because = Because {
            actor: &signal.actor,
            reason: &signal.reason,
        };
        let touched = match (self.items.get_mut(&key), &signal.change) {
            (Some(touched), _) => touched,
            (None, Change::CloseIfThere | Change::CloseRelated) => return Ok(()),
            (None, Change::Open(_) | Change::Close) => {
                let kind = kinds::kind(signal.kind, office.today())?;
                let version = signal.subject_version;
                let new = Touched::never_open(kind, signal.subject_id, version, office);
                self.items.entry(key).or_insert(new)
            }
        };
        touched.item.subject_version = signal.subject_version;
        match &signal.change {
            Change::Open(opening) => touched.open(opening, because, office)?,
            _ => touched.close(because, signal.at, office),
        }
        Ok(())
    }

    fn close_related(&mut self, signal: &Signal, office: &Office<'_>) {
        let because = Because {
            actor: &signal.actor,
            reason: &signal.reason,
        };
        for touched in self.items.values_mut() {
            if touched.item.kind == signal.kind
                && touched.item.related_id == Some(signal.subject_id)
            {
                touched.close(because, signal.at, office);
            }
        }
    }

    /// What is about an account goes to whoever it belongs to now, unless a
    /// person gave it to somebody.
    pub(crate) fn own_again(&mut self, account_id: Uuid, office: &Office<'_>) {
        let Some(account) = office.accounts.get(&account_id) else {
            return;
        };
        let because = Because {
            actor: "system:portfolio",
            reason: "the account is in this portfolio",
        };
        for touched in self.items.values_mut() {
            if touched.item.account_id != Some(account_id)
                || touched.item.owner_source == OwnerSource::Assigned
            {
                continue;
            }
            if let Some(owner) = office.staff.portfolio(account, &touched.item.skill)
                && touched.item.owner != owner
            {
                let owned = office.staff.with_cover(owner, OwnerSource::Portfolio);
                touched.move_to(owned, because, office);
            }
        }
    }

    /// What must be written: changed, or only noted.
    pub(crate) fn into_touched(self) -> Vec<Touched> {
        let mut touched: Vec<Touched> = self
            .items
            .into_values()
            .filter(|touched| touched.has_changed() || touched.item.version == 0)
            .collect();
        touched.sort_by_key(|touched| touched.item.work_item_id);
        touched
    }
}

trait CloneFor {
    fn clone_for(&self, signals: &[Signal]) -> HashMap<Uuid, i64>;
}

impl CloneFor for HashMap<Uuid, i64> {
    /// What was known of the subjects of `signals` before them.
    fn clone_for(&self, signals: &[Signal]) -> HashMap<Uuid, i64> {
        signals
            .iter()
            .filter_map(|signal| Some((signal.subject_id, *self.get(&signal.subject_id)?)))
            .collect()
    }
}
