//! What ingestion says of Direct Debit: what a collection is to bring of a document
//! is not chased, from the moment that a second person approved it until it is
//! over (E77).

use contracts::{allocation::TermKind, ingestion::CollectionChanged};
use messaging::{Failure, Raw};

use super::chaseable::Word;

pub(super) fn word(raw: &Raw) -> Result<Word, Failure> {
    let collection: CollectionChanged = raw.json()?;
    Ok(Word {
        subject: collection.collection_id.as_uuid(),
        kind: TermKind::InDirectDebit,
        version: collection.version,
        // Nothing is to come by one that is over: ingestion says so by the amount.
        parts: collection
            .documents
            .into_iter()
            .map(|document| (document.document_id, document.to_come))
            .collect(),
        event: raw.meta.id.into(),
    })
}
