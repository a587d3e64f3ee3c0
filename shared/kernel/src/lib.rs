//! The words that every part of Counterfoil shares: money, ids, bank accounts, payment references,
//! working days, the clock, and what an error means. Pure: no IO, and no time but through [`Clock`].
//!
//! | module | says |
//! |---|---|
//! | [`money`] | [`Money`]: an exact amount in one currency, which neither mixes currencies nor rounds silently; [`MoneyError`], [`Rounding`] |
//! | [`currency`] | [`Currency`]: a current ISO 4217 code with its decimals |
//! | [`ids`] | [`AccountId`], [`DocumentId`], [`ReceiptId`], ...; [`typed_id!`] makes more |
//! | [`bank`] | [`SortCode`], [`AccountNumber`], [`Iban`], and [`BankAccount`], one key per account however it is written |
//! | [`mod@reference`] | [`CreditorReference`]: `RF..` of ISO 11649 |
//! | [`calendar`] | [`WorkingCalendar`] per [`Division`] of the United Kingdom |
//! | [`clock`] | [`Clock`], [`SystemClock`], [`ManualClock`], [`london_date`], [`london_midnight`] |
//! | [`error`] | [`ErrorClass`] and [`Classified`]: retry, refuse, or raise the alarm |
//!
//! Reference data is under `data/`, each file with its source and date; it is read while compiling,
//! so a bad row stops the build. To add a bank holiday or a currency, add its row in order.
//!
//! ```
//! use kernel::{Currency, Money};
//!
//! let invoice = Money::parse("1234.50", Currency::GBP)?;
//! let paid = Money::parse("1000.00", Currency::GBP)?;
//! let open = invoice.checked_sub(paid)?;
//! assert_eq!(open.to_string(), "GBP 234.50");
//! assert_eq!(invoice.display_uk(), "£1,234.50");
//! # Ok::<(), kernel::MoneyError>(())
//! ```

pub mod bank;
pub mod calendar;
pub mod clock;
pub mod currency;
pub mod error;
pub mod ids;
mod mod97;
pub mod money;
pub mod reference;
mod rows;

pub use bank::{AccountNumber, BankAccount, BankError, Iban, SortCode};
pub use calendar::{CalendarError, Division, WorkingCalendar};
pub use clock::{Clock, ManualClock, SystemClock, london_date, london_midnight, london_time};
pub use currency::Currency;
pub use error::{Classified, ErrorClass};
pub use ids::{
    AccountId, AdjustmentId, AllocationId, BacsRecordId, BankMoveId, CommandId, DebitId,
    DisbursementId, DocumentId, EntryId, EventId, IdError, ImportId, MatterEntryId, MatterId,
    OutflowId, ReceiptId, RemittanceId, ResidualId, StatementId, SuggestionId,
};
pub use money::{Money, MoneyError, Rounding};
pub use reference::{CreditorReference, ReferenceError};
