//! `remittance_recorded`: what a payer says that a payment is for. It waits for
//! the money; money that waited for it is looked at again.

use contracts::ingestion::RemittanceRecorded;
use messaging::Decided;

use super::State;
use crate::domain::{Advice, Changes};

pub(super) fn decide(fact: &RemittanceRecorded, state: &mut State, decided: &mut Decided<Changes>) {
    if !state.known_remittances.insert(fact.remittance_id) {
        return;
    }
    let advice = Advice::of(fact);
    state.books.add_advice(advice.clone());
    decided.changes.new_advices.push(advice);
}
