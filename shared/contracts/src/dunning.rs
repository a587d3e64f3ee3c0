//! What dunning says happened: `counterfoil.evt.dunning.>`.
//!
//! Each event carries the whole of what changed, so that a reader needs no
//! other, and a version that rises by one: an older one is nothing new.

mod approvals;
mod claims;
mod contacts;
mod credit;
mod editions;
mod promises;
mod recorded;
mod referrals;
mod stops;

pub use approvals::*;
pub use claims::*;
pub use contacts::*;
pub use credit::*;
pub use editions::*;
pub use promises::*;
pub use recorded::*;
pub use referrals::*;
pub use stops::*;

kernel::typed_id! {
    /// A reason not to chase, with an owner and an end.
    pub struct HoldId;
    /// A debtor's word that they will pay by a day.
    pub struct PromiseId;
    /// Instalments that were agreed.
    pub struct PlanId;
    /// One dunning run, from its scope to its outcome.
    pub struct RunId;
    /// A letter, an e-mail, a call, a visit: out or in.
    pub struct ContactId;
    /// A claim for late payment.
    pub struct ChargeId;
    /// Debts on their way to a solicitor, an agency or a court.
    pub struct ReferralId;
}
