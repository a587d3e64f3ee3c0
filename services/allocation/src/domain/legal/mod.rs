//! Matters and the money that is held for clients (SRA Accounts Rules, edition
//! of 25 November 2019).
//!
//! | module | says |
//! |---|---|
//! | [`client`] | what may happen to client money, and what it writes |
//! | [`bounce`] | what a payment that the bank took back takes from client ledgers |
//! | [`payment`] | what shall leave once a second person has approved it |
//! | [`split`] | which part of a mixed receipt is the client's (rules 2.1, 4.2) |
//! | [`residual`] | when client money has no reason to be held, and how it may leave (2.5, 5.1) |
//! | [`disbursement`] | the steps of what was spent on a matter |
//! | [`files`] | exact file numbers, and where they differ from the case system's |
//! | [`closure`] | why a file cannot be closed |

pub mod bounce;
pub mod client;
pub mod closure;
pub mod disbursement;
pub mod files;
pub mod payment;
pub mod residual;
pub mod split;

#[cfg(test)]
mod tests;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    inbound::MatterStatus,
    ingestion::BankAccountDesignated,
    matters::{BankMove, MatterEntry},
};
use kernel::{
    AccountId, CalendarError, Classified, Currency, Division, DocumentId, ErrorClass, MatterId,
    Money, MoneyError, WorkingCalendar,
};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::ledger::Entry;

/// A matter, as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matter {
    pub id: MatterId,
    pub reference: String,
    /// Rises with every change, money among them.
    pub version: i64,
    /// Ingestion's version.
    pub source_version: i64,
    pub account_id: AccountId,
    pub account_ref: String,
    pub title: String,
    pub fee_earner: Option<String>,
    pub opened_on: NaiveDate,
    pub concluded_on: Option<NaiveDate>,
    pub closed_on: Option<NaiveDate>,
    pub status: MatterStatus,
    pub status_on: NaiveDate,
    /// Why client money is properly held, and until when.
    pub hold: Option<(String, NaiveDate)>,
    /// When the last such reason was taken back.
    pub hold_ended_on: Option<NaiveDate>,
}

/// A row of a matter's ledger.
#[derive(Debug, Clone)]
pub struct EntryRow {
    pub matter: MatterId,
    pub entry: MatterEntry,
    pub cause: Uuid,
}

/// A row of money that stands on the wrong bank account.
#[derive(Debug, Clone)]
pub struct MoveRow {
    pub matter: MatterId,
    pub bank_move: BankMove,
}

/// What a decision about client money writes, beside what it writes on the
/// open-item ledger.
#[derive(Debug, Default)]
pub struct LegalChanges {
    pub entries: Vec<EntryRow>,
    pub moves: Vec<MoveRow>,
    pub journal: Vec<Entry>,
}

/// What ingestion told about matters and bank accounts, to be written.
#[derive(Debug)]
pub struct News {
    pub matters: Vec<Matter>,
    pub statuses: Vec<(MatterId, files::StatusFrom)>,
    pub documents: Vec<(DocumentId, String)>,
    pub designated: Vec<BankAccountDesignated>,
    pub recorded_at: DateTime<Utc>,
}

impl Default for News {
    fn default() -> Self {
        Self {
            matters: Vec::new(),
            statuses: Vec::new(),
            documents: Vec::new(),
            designated: Vec::new(),
            recorded_at: DateTime::UNIX_EPOCH,
        }
    }
}

/// Limits and times as they hold on one day.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Most that may go to charity from one matter without the SRA's authority.
    pub charity_limit: Money,
    pub tracing_needed: i64,
    pub inactive_days: i64,
    /// Days after which a residual balance is escalated, rising.
    pub escalation_days: [i64; 3],
    pub to_client_days: u32,
    pub to_business_days: u32,
}

impl Settings {
    /// Reads them by their stored names; a name that is missing is a bug of the
    /// migration.
    ///
    /// # Errors
    /// When a name is missing, or its value is none.
    pub fn read(value: impl Fn(&str) -> Option<Decimal>) -> Result<Self, Refused> {
        let missing = |name: &str| Refused::Setting(name.to_owned());
        let number = |name: &str| -> Result<i64, Refused> {
            let value = value(name).ok_or_else(|| missing(name))?;
            i64::try_from(value.trunc()).map_err(|_| missing(name))
        };
        let days = |name: &str| -> Result<u32, Refused> {
            u32::try_from(number(name)?).map_err(|_| missing(name))
        };
        let limit = value("charity_limit_gbp").ok_or_else(|| missing("charity_limit_gbp"))?;
        Ok(Self {
            charity_limit: Money::try_new(limit, Currency::GBP)?,
            tracing_needed: number("tracing_steps_needed")?,
            inactive_days: number("inactive_days")?,
            escalation_days: [
                number("escalation_days_1")?,
                number("escalation_days_2")?,
                number("escalation_days_3")?,
            ],
            to_client_days: days("to_client_working_days")?,
            to_business_days: days("to_business_working_days")?,
        })
    }
}

/// The working day that is `days` of them after `from`, in England and Wales.
///
/// # Errors
/// Beyond the years whose bank holidays are known.
pub fn working_days_after(from: NaiveDate, days: u32) -> Result<NaiveDate, Refused> {
    Ok(WorkingCalendar::new(Division::EnglandWales).add_working_days(from, days)?)
}

/// Why something about a matter is refused. The rule stands in the text.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("{asked} is more than the {held} held for the client on this matter (SRA 5.3)")]
    MoreThanHeld { asked: String, held: String },
    #[error("an amount must be more than nothing")]
    NotPositive,
    #[error("document {document} is no delivered bill of matter {matter} (SRA 4.3)")]
    NoBill { document: String, matter: String },
    #[error("{asked} is more than the {open} open on bill {document_ref} (SRA 4.3)")]
    MoreThanBilled {
        document_ref: String,
        asked: String,
        open: String,
    },
    #[error("the parts come to {asked}; {left} is left on the receipt")]
    MoreThanLeft { asked: String, left: String },
    #[error("a split needs between 1 and {} parts", split::PARTS_MAX)]
    PartCount,
    #[error("the receipt has moved on to version {now}; the page showed {expected}")]
    ReceiptMovedOn { expected: i64, now: i64 },
    #[error("this has been undone already")]
    AlreadyUndone,
    #[error("a contra cannot be undone; enter it anew")]
    IsContra,
    #[error("{0} cannot be undone here")]
    NotUndone(&'static str),
    #[error(
        "client money leaves as returned, paid_out or disbursement_paid; charity needs a residual balance and a second person"
    )]
    NotPayable,
    #[error("{0} is no client account of ours")]
    NoClientAccount(String),
    #[error("name the client account that the money leaves: there is not exactly one")]
    WhichClientAccount,
    #[error("{account} holds {is} money; this money is {must}")]
    WrongSide {
        account: String,
        is: &'static str,
        must: &'static str,
    },
    #[error("the residual balance is {state}; this needs one that is {needed}")]
    ResidualState {
        state: &'static str,
        needed: &'static str,
    },
    #[error(
        "{balance} is above the {limit} a matter that may go to charity without the SRA's authority (rule 5.1(c))"
    )]
    AboveCharityLimit { balance: String, limit: String },
    #[error(
        "{done} of {needed} attempts to find the owner are on file: money may not go to charity yet"
    )]
    NotTraced { done: i64, needed: i64 },
    #[error("a charity is named with its number")]
    CharityNumber,
    #[error("the SRA's authority has not been applied for")]
    NoSraApplication,
    #[error("whoever asked for it cannot approve it: a second person must")]
    SamePerson,
    #[error("this is version {now} by now; the page showed {expected}")]
    MovedOn { expected: i64, now: i64 },
    #[error("the payment is {} already", .0.replace('_', " "))]
    PaymentState(&'static str),
    #[error("a payment of this disbursement waits for a second person already")]
    AskedAlready,
    #[error("a disbursement that is {state} cannot be {step}")]
    Step {
        state: &'static str,
        step: &'static str,
    },
    #[error("this step needs an amount between nothing and {0}")]
    StepAmount(String),
    #[error("{0} must be said")]
    Missing(&'static str),
    #[error("{0} lies in the future")]
    Future(NaiveDate),
    #[error("client money of this receipt has moved meanwhile: try again")]
    Unsettled,
    #[error("the setting {0} is missing or unusable")]
    Setting(String),
    #[error(transparent)]
    Money(#[from] MoneyError),
    #[error(transparent)]
    Calendar(#[from] CalendarError),
}

impl Classified for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::MoreThanHeld { .. } => "matters.more_than_held",
            Self::NotPositive => "matters.amount_not_positive",
            Self::NoBill { .. } => "matters.no_delivered_bill",
            Self::MoreThanBilled { .. } => "matters.more_than_billed",
            Self::MoreThanLeft { .. } => "matters.more_than_left",
            Self::PartCount => "matters.part_count",
            Self::ReceiptMovedOn { .. } => "matters.receipt_moved_on",
            Self::AlreadyUndone => "matters.already_undone",
            Self::IsContra => "matters.is_contra",
            Self::NotUndone(_) => "matters.not_undone_here",
            Self::NotPayable => "matters.not_payable",
            Self::NoClientAccount(_) => "matters.no_client_account",
            Self::WhichClientAccount => "matters.which_client_account",
            Self::WrongSide { .. } => "matters.wrong_side",
            Self::ResidualState { .. } => "matters.residual_state",
            Self::AboveCharityLimit { .. } => "matters.above_charity_limit",
            Self::NotTraced { .. } => "matters.not_traced",
            Self::CharityNumber => "matters.charity_number",
            Self::NoSraApplication => "matters.no_sra_application",
            Self::SamePerson => "matters.same_person",
            Self::MovedOn { .. } => "matters.moved_on",
            Self::PaymentState(_) => "matters.payment_state",
            Self::AskedAlready => "matters.asked_already",
            Self::Step { .. } => "matters.disbursement_step",
            Self::StepAmount(_) => "matters.step_amount",
            Self::Missing(_) => "matters.missing",
            Self::Future(_) => "matters.future",
            Self::Unsettled => "matters.unsettled",
            Self::Setting(_) => "matters.setting",
            Self::Money(_) => "matters.money",
            Self::Calendar(_) => "matters.calendar",
        }
    }

    fn class(&self) -> ErrorClass {
        match self {
            // Looking again helps: somebody else was quicker, or something must
            // be done first.
            Self::MoreThanHeld { .. }
            | Self::MoreThanBilled { .. }
            | Self::MoreThanLeft { .. }
            | Self::ReceiptMovedOn { .. }
            | Self::AlreadyUndone
            | Self::ResidualState { .. }
            | Self::NotTraced { .. }
            | Self::NoSraApplication
            | Self::SamePerson
            | Self::MovedOn { .. }
            | Self::PaymentState(_)
            | Self::AskedAlready
            | Self::Step { .. } => ErrorClass::Conflict,
            Self::Unsettled => ErrorClass::Transient,
            Self::Setting(_) => ErrorClass::Bug,
            _ => ErrorClass::Permanent,
        }
    }
}
