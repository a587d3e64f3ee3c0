//! What the reports of Bacs say of mandates and collections, and what each code
//! does: `bacs/codes.csv`.

use chrono::NaiveDate;
use contracts::ingestion::{InstructionAdvised, InstructionReport, ReturnAdvised, ReturnReport};

pub use crate::domain::bacs::codes::Effect;
use crate::domain::bacs::codes::{self, Reason};

/// Which report says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An instruction that banks hold is amended or cancelled.
    Addacs,
    /// A bank did not take an instruction of ours (0N, 0C, 0S).
    AuddisReturned,
    /// Bacs took a file of instructions. `reference` is a mandate's, or the
    /// file's volume serial number.
    AuddisAccepted,
    /// Bacs refused a file of instructions; `reference` as of `AuddisAccepted`.
    AuddisRejected,
    /// ARUDD: a collection was not paid.
    Unpaid,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Addacs => "addacs",
            Self::AuddisReturned => "auddis",
            Self::AuddisAccepted => "auddis_accepted",
            Self::AuddisRejected => "auddis_rejected",
            Self::Unpaid => "unpaid",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        [
            Self::Addacs,
            Self::AuddisReturned,
            Self::AuddisAccepted,
            Self::AuddisRejected,
            Self::Unpaid,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
    }

    /// Whether it is about a whole file: of ours, so about mandates that were known.
    pub const fn is_of_file(self) -> bool {
        matches!(self, Self::AuddisAccepted | Self::AuddisRejected)
    }

    /// The report whose codes count.
    const fn report(self) -> &'static str {
        match self {
            Self::Addacs => "addacs",
            Self::AuddisReturned | Self::AuddisAccepted | Self::AuddisRejected => "auddis",
            Self::Unpaid => "arudd",
        }
    }

    /// As the report is called, for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Addacs => "ADDACS",
            Self::AuddisReturned | Self::AuddisAccepted | Self::AuddisRejected => "AUDDIS",
            Self::Unpaid => "ARUDD",
        }
    }
}

/// One item of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    pub kind: Kind,
    /// The service user's.
    pub user_number: String,
    pub reference: String,
    /// One character; none where the report has none.
    pub code: String,
    pub payer_name: Option<String>,
    /// As `kernel::BankAccount::key`.
    pub payer_account: Option<String>,
    pub new_payer_account: Option<String>,
    /// From when it counts; of an unpaid collection its original processing day.
    pub effective_on: Option<NaiveDate>,
    /// The day of the report.
    pub reported_on: NaiveDate,
}

impl Advice {
    /// What a payment that came back says of its mandate; nothing unless it is a
    /// collection that was not paid.
    pub fn of_return(told: &ReturnAdvised) -> Option<Self> {
        (told.report == ReturnReport::Arudd).then(|| Self {
            kind: Kind::Unpaid,
            user_number: told.service_user_number.clone(),
            reference: told.reference.clone(),
            code: told.code.clone(),
            payer_name: told.payer_name.clone(),
            payer_account: told.payer_account.clone(),
            new_payer_account: None,
            effective_on: told.original_on,
            reported_on: told.reported_on,
        })
    }

    /// What a report says of an instruction, or of a file of them; nothing if it is
    /// about accounts that we pay to (AWACS).
    pub fn of_instruction(told: &InstructionAdvised) -> Option<Self> {
        let kind = match (told.report, told.record_type.as_str()) {
            (InstructionReport::Awacs, _) => return None,
            (InstructionReport::Addacs, _) => Kind::Addacs,
            (InstructionReport::Auddis, "V") => Kind::AuddisAccepted,
            (InstructionReport::Auddis, "R") => Kind::AuddisRejected,
            (InstructionReport::Auddis, _) => Kind::AuddisReturned,
        };
        let reference = told.reference.as_ref().or(told.volume.as_ref())?;
        Some(Self {
            kind,
            user_number: told.service_user_number.clone(),
            reference: reference.clone(),
            code: told.code.clone().unwrap_or_default(),
            payer_name: told.payer_name.clone(),
            payer_account: told.payer_account.clone(),
            new_payer_account: told.new_payer_account.clone(),
            effective_on: told.effective_on,
            reported_on: told.reported_on,
        })
    }

    /// What makes it the same advice when a report is read again.
    pub fn key(&self) -> String {
        let on = |day: Option<NaiveDate>| day.map(|day| day.to_string()).unwrap_or_default();
        let new = self.new_payer_account.as_deref().unwrap_or_default();
        [
            self.kind.name(),
            &self.user_number,
            self.reference.trim(),
            self.code.trim(),
            &on(self.effective_on),
            &self.reported_on.to_string(),
            new,
        ]
        .join("|")
    }
}

/// The order in which advices are heard, as places in the list: the oldest report
/// first, those of one day as they came.
pub fn in_order(advices: &[Advice]) -> Vec<usize> {
    let mut order: Vec<(NaiveDate, usize)> = advices
        .iter()
        .enumerate()
        .map(|(at, advice)| (advice.reported_on, at))
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, at)| at).collect()
}

/// What a code of a report says; an unknown one stops collections until somebody
/// has looked.
pub fn meaning(kind: Kind, code: &str, on: NaiveDate) -> Reason {
    codes::reason(kind.report(), code, on).unwrap_or(Reason {
        effect: Effect::Suspend,
        again: false,
        meaning: "A reason that is not in our table",
        action: "Look the code up with the sponsoring bank; nothing is collected until then.",
    })
}
