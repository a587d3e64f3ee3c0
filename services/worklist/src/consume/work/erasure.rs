//! Somebody's words are erased where they were said (E103): what was copied into
//! work, and what people wrote down beside it, goes too.

use contracts::{disputes::CaseChanged, dunning::ContactNotesErased};
use messaging::{Failure, Raw};
use uuid::Uuid;

/// What a case says when words in it are gone.
const WORDS_ERASED: &str = "words_erased";

/// Whose work it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Erased {
    /// Work about this subject, or related to it.
    About(Uuid),
    /// Work about what was said to and by this account.
    SaidWith(Uuid),
}

pub(super) fn of_account(raw: &Raw) -> Result<Erased, Failure> {
    let erased: ContactNotesErased = raw.json()?;
    Ok(Erased::SaidWith(erased.account_id.as_uuid()))
}

/// A case in which words were erased. Nothing else of it has changed: it is
/// closed.
pub(super) fn of_case(raw: &Raw) -> Result<Option<Erased>, Failure> {
    let case: CaseChanged = raw.json()?;
    Ok((case.step == WORDS_ERASED).then(|| Erased::About(case.case_id.as_uuid())))
}
