//! What disputes answers, and the commands of people: a file for each topic,
//! and here what they share.

mod commands;
mod erasure;
mod evidence;
mod nudges;
mod views;

pub(crate) use commands::{open_case, step_case};
pub(crate) use erasure::erase_person;
pub(crate) use evidence::{fetch as fetch_evidence, keep as keep_evidence};
pub(crate) use nudges::{comment_by_link, lost_emails, nudge_stakeholder, read_nudge};
pub(crate) use views::{count_cases, get_case, get_feedback, get_taxonomy, list_cases};

use chrono::{DateTime, Utc};
use contracts::{
    Prefix,
    api::controls::Person,
    controls::{ApprovalKind, ApprovalWithdrawn, WithdrawnByDisputes},
    disputes::CaseId,
};
use kernel::{CommandId, DocumentId, london_date};
use messaging::{Bus, Failure, Meta, Outgoing, Tx};
use rand::RngCore as _;

use crate::{
    consume::item,
    domain::{Case, Refused, case::Told, policy::Policy, steps::Items, words::Seal},
    store::{self, cases::Noted, words::Words},
};

/// What a person says, in letters.
const TEXT_MAX: usize = 2000;

pub(crate) fn no_case(id: impl std::fmt::Display) -> Failure {
    Failure::not_found("disputes.no_case", format!("there is no case {id}"))
}

/// Why, in words.
///
/// # Errors
/// When there is none, or more than is kept.
pub(crate) fn text(text: &str, pointer: &str) -> Result<String, Failure> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > TEXT_MAX {
        return Err(Failure::permanent(
            "disputes.reason_needed",
            "a step of a person has a reason",
        )
        .at(pointer, format!("between 1 and {TEXT_MAX} characters")));
    }
    Ok(text.to_owned())
}

/// A command under way: what it changes and what it has to tell, in one
/// transaction.
pub(crate) struct Act {
    pub(crate) tx: Tx,
    pub(crate) cause: Meta,
    pub(crate) now: DateTime<Utc>,
    pub(crate) policy: Policy,
    pub(crate) events: Vec<Outgoing>,
    prefix: Prefix,
}

impl Act {
    /// Claims the command; `None`: it was carried out before.
    pub(crate) async fn begin(bus: &Bus, id: CommandId) -> Result<Option<Self>, Failure> {
        let now = bus.now();
        let mut tx = bus.begin().await?;
        if tx.claim(&[id.as_uuid()]).await?.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            tx,
            cause: Meta::of_command(id.as_uuid(), now, None),
            now,
            policy: Policy::on(london_date(now)),
            events: Vec::new(),
            prefix: bus.prefix().clone(),
        }))
    }

    /// Locks cases with their documents; for each document what is owed of it
    /// and held by no case but the first. `more` documents are looked at too.
    pub(crate) async fn take_up(
        &mut self,
        cases: &[CaseId],
        more: &[DocumentId],
    ) -> Result<(Vec<Case>, Items), Failure> {
        let mut documents = store::cases::documents(self.tx.conn(), cases).await?;
        documents.extend(more);
        documents.sort_unstable();
        documents.dedup();
        let known = store::items::lock(self.tx.conn(), &documents).await?;
        let mut ids = store::cases::about(self.tx.conn(), &documents).await?;
        ids.extend(cases);
        ids.sort_unstable();
        ids.dedup();
        let all = store::cases::lock(self.tx.conn(), &ids).await?;
        let mine = cases.first().copied();
        let mut items = Items::new();
        for (document, known) in &known {
            items.insert(*document, item(known, &all, mine).map_err(Failure::of)?);
        }
        let mut found: Vec<Case> = Vec::with_capacity(cases.len());
        for wanted in cases {
            let case = all.iter().find(|case| case.id == *wanted);
            found.push(case.cloned().ok_or_else(|| no_case(wanted))?);
        }
        for case in &found {
            // A merge or split between the looks: the person looks again.
            if case
                .parts
                .iter()
                .any(|part| !documents.contains(&part.document))
            {
                return Err(Failure::of(Refused::Changed(case.version)));
            }
        }
        Ok((found, items))
    }

    /// Writes a case after a step, and tells of it.
    pub(crate) async fn put(
        &mut self,
        mut case: Case,
        before: Option<&Case>,
        step: &str,
        detail: String,
        person: &Person,
    ) -> Result<Case, Failure> {
        let from = before.map(|before| before.state);
        if before.is_some() {
            case.version += 1;
        }
        let told = Told {
            cause: self.cause.id,
            at: self.now,
            actor: &person.actor,
            reason: &detail,
        };
        let event = case.changed(from, step, told).map_err(Failure::of)?;
        self.tell(&event, case.id.as_uuid(), case.version)?;
        // What a second person was asked is not asked any more.
        let asked = before.and_then(Case::asked);
        if let Some(approval) = asked.filter(|_| case.asked() != asked) {
            let withdrawn = WithdrawnByDisputes(ApprovalWithdrawn {
                approval_id: approval,
                kind: ApprovalKind::Credit,
                subject_id: case.id.as_uuid(),
                account_ref: Some(case.account_ref.clone()),
                actor: person.actor.clone(),
                reason: "the case was changed".to_owned(),
                recorded_at: self.now,
            });
            self.tell(&withdrawn, approval.as_uuid(), 2)?;
        }
        let noted = Noted {
            from,
            step: step.to_owned(),
            detail,
            actor: person.actor.clone(),
            cause: self.cause.id,
            case,
        };
        store::cases::put(self.tx.conn(), std::slice::from_ref(&noted), self.now).await?;
        Ok(noted.case)
    }

    /// Writes a case after somebody said something in it: the words are kept
    /// apart, history and events have a hash of them.
    pub(crate) async fn put_words(
        &mut self,
        case: Case,
        before: &Case,
        step: &str,
        words: Words<'_>,
        person: &Person,
    ) -> Result<Case, Failure> {
        let mut salt = [0_u8; 16];
        rand::rng().fill_bytes(&mut salt);
        let seal = Seal::of(words.text, salt);
        let case = self
            .put(case, Some(before), step, seal.line(), person)
            .await?;
        store::words::put(self.tx.conn(), case.id, case.version, &words, &seal).await?;
        Ok(case)
    }

    pub(crate) fn tell<E: contracts::Event>(
        &mut self,
        event: &E,
        about: uuid::Uuid,
        version: i64,
    ) -> Result<(), Failure> {
        self.events.push(Outgoing::new(
            event,
            about,
            version,
            &self.prefix,
            self.now,
            &self.cause,
        )?);
        Ok(())
    }

    pub(crate) async fn finish(mut self, bus: &Bus) -> Result<(), Failure> {
        self.tx.publish(&self.events).await?;
        self.tx.commit().await?;
        bus.notice(&["disputes".to_owned()]).await;
        Ok(())
    }
}
