//! Disbursements: what was spent on a matter, whether the supplier is paid, and
//! how much of it has come back.

use chrono::NaiveDate;
use contracts::matters::{DisbursementKind, DisbursementStep, RecoveryState, Side, SupplierState};
use kernel::{DisbursementId, MatterId, Money};

use super::Refused;

/// A disbursement under lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disbursement {
    pub id: DisbursementId,
    pub version: i64,
    pub matter: MatterId,
    pub kind: DisbursementKind,
    pub supplier: String,
    /// With VAT.
    pub amount: Money,
    pub vat: Money,
    pub incurred_on: NaiveDate,
    pub paid_on: Option<NaiveDate>,
    pub funded_by: Option<Side>,
    pub recoverable_from: Option<String>,
    pub supplier_state: SupplierState,
    pub recovery_state: RecoveryState,
    pub agreed: Option<Money>,
    pub recovered: Money,
    pub refunded: Money,
    pub write_off_requested_by: Option<String>,
}

impl Disbursement {
    /// What it has cost, after what the supplier gave back.
    ///
    /// # Errors
    /// When amounts cannot be added.
    pub fn cost(&self) -> Result<Money, Refused> {
        Ok(self.amount.checked_sub(self.refunded)?)
    }

    /// What came back twice, from the opponent and from the supplier: it is not
    /// the firm's to keep (E92).
    ///
    /// # Errors
    /// When amounts cannot be added.
    pub fn to_pay_on(&self) -> Result<Money, Refused> {
        let over = self.recovered.checked_sub(self.cost()?)?;
        Ok(if over.is_positive() {
            over
        } else {
            Money::zero(over.currency())
        })
    }

    /// Whether something is still to be paid or to come back.
    pub fn is_outstanding(&self) -> bool {
        self.supplier_state != SupplierState::Paid || !self.recovery_state.is_settled()
    }
}

/// Takes a disbursement a step further.
///
/// # Errors
/// When the step does not follow from where it stands, or its amount is wrong.
pub fn step(
    disbursement: &mut Disbursement,
    step: DisbursementStep,
    on: NaiveDate,
    amount: Option<Money>,
    actor: &str,
) -> Result<(), Refused> {
    use RecoveryState as R;
    use SupplierState as S;
    let (supplier, recovery) = (disbursement.supplier_state, disbursement.recovery_state);
    let not_from = |state: &'static str| Refused::Step {
        state,
        step: step.name(),
    };
    let sum = |max: Money| -> Result<Money, Refused> {
        let bad = || Refused::StepAmount(max.display_uk());
        let amount = amount.ok_or_else(bad)?;
        if amount.is_positive() && amount.checked_cmp(max)?.is_le() {
            Ok(amount)
        } else {
            Err(bad())
        }
    };
    match step {
        DisbursementStep::Incurred => return Err(not_from(supplier.name())),
        DisbursementStep::SupplierInvoiced => match supplier {
            S::Incurred => disbursement.supplier_state = S::SupplierInvoiced,
            other => return Err(not_from(other.name())),
        },
        DisbursementStep::NotPaid => match supplier {
            S::SupplierInvoiced => disbursement.supplier_state = S::Unpaid,
            other => return Err(not_from(other.name())),
        },
        // Court fees are paid when they are incurred: no invoice comes before.
        DisbursementStep::Paid | DisbursementStep::PaidByClient => match supplier {
            S::Incurred | S::SupplierInvoiced | S::Unpaid => {
                disbursement.supplier_state = S::Paid;
                disbursement.paid_on = Some(on);
                disbursement.funded_by = Some(if step == DisbursementStep::Paid {
                    Side::Business
                } else {
                    Side::Client
                });
            }
            S::Paid => return Err(not_from(supplier.name())),
        },
        DisbursementStep::Claimed => match recovery {
            R::NotClaimed => disbursement.recovery_state = R::Claimed,
            other => return Err(not_from(other.name())),
        },
        DisbursementStep::Agreed => match recovery {
            R::Claimed => {
                disbursement.agreed = Some(sum(disbursement.amount)?);
                disbursement.recovery_state = R::Agreed;
            }
            other => return Err(not_from(other.name())),
        },
        DisbursementStep::Recovered => match recovery {
            R::NotClaimed | R::Claimed | R::Agreed | R::Shortfall => {
                let missing = disbursement.amount.checked_sub(disbursement.recovered)?;
                let recovered = sum(missing)?;
                disbursement.recovered = disbursement.recovered.checked_add(recovered)?;
                let whole = disbursement.recovered.checked_cmp(disbursement.cost()?)?;
                if whole.is_ge() {
                    disbursement.recovery_state = R::Recovered;
                }
            }
            other => return Err(not_from(other.name())),
        },
        DisbursementStep::Shortfall => match recovery {
            R::Claimed | R::Agreed => disbursement.recovery_state = R::Shortfall,
            other => return Err(not_from(other.name())),
        },
        DisbursementStep::WriteOffRequested => {
            if recovery.is_settled() {
                return Err(not_from(recovery.name()));
            }
            disbursement.write_off_requested_by = Some(actor.to_owned());
        }
        DisbursementStep::WrittenOff => {
            if recovery.is_settled() {
                return Err(not_from(recovery.name()));
            }
            match disbursement.write_off_requested_by.as_deref() {
                None => return Err(Refused::Missing("who asks for the write-off")),
                Some(asked) if asked == actor => return Err(Refused::SamePerson),
                Some(_) => disbursement.recovery_state = R::WrittenOff,
            }
        }
        DisbursementStep::ClientLiable | DisbursementStep::Ate => {
            if recovery.is_settled() {
                return Err(not_from(recovery.name()));
            }
            disbursement.recovery_state = if step == DisbursementStep::Ate {
                R::Ate
            } else {
                R::ClientLiable
            };
        }
        DisbursementStep::SupplierRefunded => match supplier {
            S::Paid => {
                let refunded = sum(disbursement.cost()?)?;
                disbursement.refunded = disbursement.refunded.checked_add(refunded)?;
            }
            other => return Err(not_from(other.name())),
        },
    }
    disbursement.version += 1;
    Ok(())
}

/// Takes back what had come back: the receipt that brought it was undone.
///
/// # Errors
/// When it never came back.
pub fn take_back(disbursement: &mut Disbursement, amount: Money) -> Result<(), Refused> {
    let recovered = disbursement.recovered.checked_sub(amount)?;
    if recovered.is_negative() {
        return Err(Refused::StepAmount(disbursement.recovered.display_uk()));
    }
    disbursement.recovered = recovered;
    if disbursement.recovery_state == RecoveryState::Recovered {
        disbursement.recovery_state = if disbursement.agreed.is_some() {
            RecoveryState::Agreed
        } else {
            RecoveryState::Claimed
        };
    }
    disbursement.version += 1;
    Ok(())
}

/// The age band that a number of days falls into; `bands` rise, the last has no
/// end.
pub fn band(days: i64, bands: &[(Option<i32>, String)]) -> &str {
    bands
        .iter()
        .find(|(up_to, _)| up_to.is_none_or(|up_to| days <= i64::from(up_to)))
        .map_or("", |(_, name)| name)
}
