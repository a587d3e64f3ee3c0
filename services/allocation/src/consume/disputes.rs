//! What disputes says of debts: the part of each document that a case holds is
//! not chased, from the moment the case is confirmed until it is settled.

use contracts::{allocation::TermKind, catalogue, disputes::CaseChanged};
use messaging::{Failure, Raw};

use super::chaseable::{ChaseTerms, Word};

/// Reads the cases.
#[derive(Debug, Clone, Copy)]
pub struct Disputes;

impl ChaseTerms for Disputes {
    const STREAM: &'static str = catalogue::DISPUTES;

    fn word(&self, raw: &Raw) -> Result<Option<Word>, Failure> {
        if !raw.is::<CaseChanged>() {
            return Ok(None);
        }
        let case: CaseChanged = raw.json()?;
        Ok(Some(Word {
            subject: case.case_id.as_uuid(),
            kind: TermKind::Disputed,
            version: case.version,
            // What is held is nothing for a suspicion, a complaint and a case
            // that is over: disputes says so by the amount.
            parts: case
                .items
                .into_iter()
                .map(|item| (item.document_id, item.disputed))
                .collect(),
            event: raw.meta.id.into(),
        }))
    }
}
