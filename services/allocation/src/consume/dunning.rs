//! What dunning says of debts: what is promised or on a plan that is kept is not
//! chased, as far as it is still to come.

use contracts::{
    allocation::TermKind,
    catalogue,
    dunning::{CoveredItem, PlanChanged, PromiseChanged},
};
use kernel::{DocumentId, Money};
use messaging::{Failure, Raw};

use super::chaseable::{ChaseTerms, Word};

/// Reads promises and plans.
#[derive(Debug, Clone, Copy)]
pub struct Dunning;

/// What is left is nothing once a promise or plan is over: dunning says so by
/// the amount.
fn left(items: Vec<CoveredItem>) -> Vec<(DocumentId, Money)> {
    items
        .into_iter()
        .map(|item| (item.document_id, item.left))
        .collect()
}

impl ChaseTerms for Dunning {
    const STREAM: &'static str = catalogue::DUNNING;

    fn word(&self, raw: &Raw) -> Result<Option<Word>, Failure> {
        let event = raw.meta.id.into();
        if raw.is::<PromiseChanged>() {
            let promise: PromiseChanged = raw.json()?;
            return Ok(Some(Word {
                subject: promise.promise_id.as_uuid(),
                kind: TermKind::Promised,
                version: promise.version,
                parts: left(promise.items),
                event,
            }));
        }
        if raw.is::<PlanChanged>() {
            let plan: PlanChanged = raw.json()?;
            return Ok(Some(Word {
                subject: plan.plan_id.as_uuid(),
                kind: TermKind::OnPlan,
                version: plan.version,
                parts: left(plan.items),
                event,
            }));
        }
        Ok(None)
    }
}
