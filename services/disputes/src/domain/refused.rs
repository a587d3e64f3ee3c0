//! Why something cannot be done with a case.

use contracts::disputes::CaseState;
use kernel::{Classified, ErrorClass, MoneyError};

#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("a case that is {} cannot be {step}", .state.name().replace('_', " "))]
    State {
        step: &'static str,
        state: CaseState,
    },
    #[error("your roles do not let you do this with the case")]
    NotYours,
    #[error("the case was changed meanwhile: it is at version {0} now")]
    Changed(i64),
    #[error("`{0}` is no reason of the taxonomy")]
    NoSuchReason(String),
    #[error("`{0}` is no root cause of the taxonomy")]
    NoSuchCause(String),
    #[error("a reason of {0} is none of {1}")]
    OtherKind(&'static str, &'static str),
    #[error("a case is about a document")]
    NoDocument,
    #[error("a case may be about at most {0} documents")]
    TooMany(usize),
    #[error("all documents of a case are of one account and one currency")]
    Mixed,
    #[error("{0} is not part of this case")]
    NotInCase(String),
    #[error("{0} is a credit note: it is not owed")]
    NotOwed(String),
    #[error(
        "at most {left} of {document} can be disputed: that is what is open and not disputed yet"
    )]
    MoreThanOpen { document: String, left: String },
    #[error("at most {left} of {document} can be credited: that is what is in question")]
    MoreThanDisputed { document: String, left: String },
    #[error("an amount must be more than nothing")]
    NotPositive,
    #[error("nobody works on the case yet: assign it first")]
    Unassigned,
    #[error("nothing was proposed")]
    NothingProposed,
    #[error("a second person is asked already")]
    Asked,
    #[error("a complaint holds nothing and credits nothing: open a dispute beside it")]
    Complaint,
    #[error("a credit was asked for and has not come yet")]
    CreditDue,
    #[error("a case cannot be joined with itself")]
    Itself,
    #[error("a split leaves something in the case and takes something with it")]
    NothingSplit,
    #[error("{0}")]
    Text(&'static str),
    #[error("the amount is not usable: {0}")]
    Money(#[from] MoneyError),
}

impl Classified for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::State { .. } => "disputes.wrong_state",
            Self::NotYours => "disputes.not_yours",
            Self::Changed(_) => "disputes.changed",
            Self::NoSuchReason(_) => "disputes.no_such_reason",
            Self::NoSuchCause(_) => "disputes.no_such_cause",
            Self::OtherKind(..) => "disputes.other_kind",
            Self::NoDocument => "disputes.no_document",
            Self::TooMany(_) => "disputes.too_many",
            Self::Mixed => "disputes.mixed",
            Self::NotInCase(_) => "disputes.not_in_case",
            Self::NotOwed(_) => "disputes.not_owed",
            Self::MoreThanOpen { .. } => "disputes.more_than_open",
            Self::MoreThanDisputed { .. } => "disputes.more_than_disputed",
            Self::NotPositive => "disputes.not_positive",
            Self::Unassigned => "disputes.unassigned",
            Self::NothingProposed => "disputes.nothing_proposed",
            Self::Asked => "disputes.asked_already",
            Self::Complaint => "disputes.complaint",
            Self::CreditDue => "disputes.credit_due",
            Self::Itself => "disputes.itself",
            Self::NothingSplit => "disputes.nothing_split",
            Self::Text(_) => "disputes.bad_text",
            Self::Money(_) => "disputes.bad_amount",
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            Self::State { .. }
            | Self::NotYours
            | Self::Changed(_)
            | Self::Unassigned
            | Self::NothingProposed
            | Self::CreditDue
            | Self::MoreThanOpen { .. } => ErrorClass::Conflict,
            _ => ErrorClass::Permanent,
        }
    }
}
