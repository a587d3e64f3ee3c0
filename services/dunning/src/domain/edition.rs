//! Versions of templates and policies on their way: drafted, asked for,
//! published by a second person. The words of one never change.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    api::dunning::{EditionKind, EditionState, EditionView},
    controls::{ApprovalId, ApprovalState, same_person},
};
use kernel::{Classified, ErrorClass, london_date};
use serde_json::{Value, json};
use uuid::Uuid;

/// Below this name space lie the ids of what the program comes with.
const SHIPPED: Uuid = Uuid::from_u128(0x5f0a_6d1c_2b7e_4c55_9a41_7be2_11c9_0d36);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edition {
    pub id: Uuid,
    pub kind: EditionKind,
    pub name: String,
    pub version: i32,
    pub state: EditionState,
    pub title: String,
    pub valid_from: NaiveDate,
    /// The template or policy.
    pub body: Value,
    /// As a person wrote it; empty where that is the body.
    pub source: String,
    pub sha256: String,
    pub drafted_by: String,
    pub drafted_at: DateTime<Utc>,
    pub reason: String,
    pub approval: Option<ApprovalId>,
    pub decided_by: Option<String>,
    pub decided_at: Option<DateTime<Utc>>,
    pub decision: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditionRefused {
    #[error("it is {}: only a draft can be asked for", .0.name())]
    NotDraft(EditionState),
    #[error("it is {}: there is no request to take back", .0.name())]
    NotRequested(EditionState),
    #[error("{0} wrote it: only they ask for it, so that a second person decides")]
    NotYours(String),
    #[error("it would count from {0}, which is over: draft it again with a later day")]
    Past(NaiveDate),
    #[error("version {0} is newer: ask for that, or draft this again")]
    Newer(i32),
}

impl Classified for EditionRefused {
    fn code(&self) -> &'static str {
        match self {
            Self::NotDraft(_) => "dunning.edition_not_draft",
            Self::NotRequested(_) => "dunning.edition_not_requested",
            Self::NotYours(_) => "dunning.edition_not_yours",
            Self::Past(_) => "dunning.edition_past",
            Self::Newer(_) => "dunning.edition_newer",
        }
    }

    fn class(&self) -> ErrorClass {
        ErrorClass::Conflict
    }
}

/// What a second person's decision made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Became {
    Published,
    /// Approved, but not what was asked for.
    Voided,
    /// Rejected, or over: nothing is published.
    Not,
}

impl Edition {
    /// The id of what the program comes with.
    pub fn shipped_id(kind: EditionKind, name: &str, version: i32) -> Uuid {
        let text = format!("{} {name} {version}", kind.name());
        Uuid::new_v5(&SHIPPED, text.as_bytes())
    }

    /// Whether somebody may ask a second person.
    ///
    /// # Errors
    /// Why not.
    pub fn may_request(
        &self,
        actor: &str,
        newest: i32,
        today: NaiveDate,
    ) -> Result<(), EditionRefused> {
        if self.state != EditionState::Draft {
            return Err(EditionRefused::NotDraft(self.state));
        }
        if newest > self.version {
            return Err(EditionRefused::Newer(newest));
        }
        self.is_by(actor)?;
        if self.valid_from < today {
            return Err(EditionRefused::Past(self.valid_from));
        }
        Ok(())
    }

    /// # Errors
    /// When somebody else wrote it.
    pub fn is_by(&self, actor: &str) -> Result<(), EditionRefused> {
        if same_person(&self.drafted_by, actor) {
            return Ok(());
        }
        Err(EditionRefused::NotYours(self.drafted_by.clone()))
    }

    /// What is frozen and approved: all its words.
    pub fn content(&self) -> Value {
        let place = match self.kind {
            EditionKind::Template => "templates",
            EditionKind::Policy => "policies",
            EditionKind::Enclosure => "enclosures",
        };
        let text = |field: &str| self.body.get(field).cloned().unwrap_or_default();
        let mut content = json!({
            self.kind.name(): self.name,
            "version": self.version,
            "title": self.title,
            "valid_from": self.valid_from,
            "look": format!("/dunning/{place}/{}?version={}", self.name, self.version),
            "sha256": self.sha256,
        });
        if let Some(fields) = content.as_object_mut() {
            match self.kind {
                EditionKind::Template => {
                    for field in ["legal", "subject", "body"] {
                        fields.insert(field.to_owned(), text(field));
                    }
                }
                EditionKind::Policy => {
                    fields.insert("text".to_owned(), json!(self.source));
                }
                EditionKind::Enclosure => {
                    for field in ["file_name", "file_sha256", "bytes"] {
                        fields.insert(field.to_owned(), text(field));
                    }
                }
            }
        }
        content
    }

    /// A second person decided about the request that it waits for.
    pub fn decided(
        &mut self,
        state: ApprovalState,
        is_same: bool,
        actor: &str,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Became {
        self.approval = None;
        match state {
            ApprovalState::Approved if is_same => {
                self.state = EditionState::Published;
                // New work alone: what was done before its approval was not by it.
                self.valid_from = self.valid_from.max(london_date(now));
            }
            ApprovalState::Rejected => self.state = EditionState::Rejected,
            // Expired or voided: it can be asked for again.
            _ => self.state = EditionState::Draft,
        }
        if self.state != EditionState::Draft {
            self.decided_by = Some(actor.to_owned());
            self.decided_at = Some(now);
            self.decision = Some(reason.to_owned());
        }
        match (state, self.state) {
            (_, EditionState::Published) => Became::Published,
            (ApprovalState::Approved, _) => Became::Voided,
            _ => Became::Not,
        }
    }

    pub fn view(&self, in_force: bool) -> EditionView {
        EditionView {
            kind: self.kind,
            name: self.name.clone(),
            version: self.version,
            state: self.state,
            title: self.title.clone(),
            valid_from: self.valid_from,
            in_force,
            sha256: self.sha256.clone(),
            drafted_by: self.drafted_by.clone(),
            drafted_at: self.drafted_at,
            reason: self.reason.clone(),
            approval_id: self.approval,
            decided_by: self.decided_by.clone(),
            decided_at: self.decided_at,
            decision: self.decision.clone(),
        }
    }
}

/// The version among these that new work takes up on a day.
pub fn in_force(editions: &[Edition], day: NaiveDate) -> Option<i32> {
    editions
        .iter()
        .filter(|one| one.state == EditionState::Published && one.valid_from <= day)
        .map(|one| one.version)
        .max()
}

/// The published one that a version is compared with: the newest before it.
pub fn before(editions: &[Edition], version: i32) -> Option<&Edition> {
    editions
        .iter()
        .filter(|one| one.state == EditionState::Published && one.version < version)
        .max_by_key(|one| one.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(version: i32) -> Edition {
        Edition {
            id: Uuid::now_v7(),
            kind: EditionKind::Template,
            name: "reminder".to_owned(),
            version,
            state: EditionState::Draft,
            title: "Reminder".to_owned(),
            valid_from: "2026-03-02".parse().unwrap(),
            body: json!({ "subject": "s", "body": "b", "legal": "reminder" }),
            source: String::new(),
            sha256: "0".to_owned(),
            drafted_by: "user:jo".to_owned(),
            drafted_at: at("2026-03-02T09:00:00Z"),
            reason: "clearer".to_owned(),
            approval: None,
            decided_by: None,
            decided_at: None,
            decision: None,
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn only_who_wrote_the_newest_draft_asks_for_it() {
        let today: NaiveDate = "2026-03-02".parse().unwrap();
        let one = draft(2);
        assert!(one.may_request("user:jo", 2, today).is_ok());
        let code = |result: Result<(), EditionRefused>| result.unwrap_err().code();
        assert_eq!(
            code(one.may_request("user:max", 2, today)),
            "dunning.edition_not_yours"
        );
        assert_eq!(
            code(one.may_request("user:jo", 3, today)),
            "dunning.edition_newer"
        );
        assert_eq!(
            code(one.may_request("user:jo", 2, today.succ_opt().unwrap())),
            "dunning.edition_past"
        );
    }

    #[test]
    fn what_is_approved_late_counts_from_that_day_and_other_words_are_void() {
        let mut one = draft(2);
        one.state = EditionState::Requested;
        let mut other = one.clone();
        let late = at("2026-03-05T09:00:00Z");
        let approved = ApprovalState::Approved;
        assert_eq!(
            one.decided(approved, true, "user:max", "good", late),
            Became::Published
        );
        assert_eq!(one.valid_from.to_string(), "2026-03-05");
        assert_eq!(
            other.decided(approved, false, "user:max", "good", late),
            Became::Voided
        );
        assert_eq!((other.state, other.decided_by), (EditionState::Draft, None));
    }

    #[test]
    fn the_newest_published_version_whose_day_has_come_is_in_force() {
        let mut all = [draft(1), draft(2), draft(3), draft(4)];
        for one in &mut all[..3] {
            one.state = EditionState::Published;
        }
        all[2].valid_from = "2026-04-01".parse().unwrap();
        let on = |day: &str| in_force(&all, day.parse().unwrap());
        assert_eq!(on("2026-03-31"), Some(2));
        assert_eq!(on("2026-04-01"), Some(3));
        assert_eq!(on("2026-01-01"), None);
        assert_eq!(before(&all, 4).unwrap().version, 3);
    }
}
