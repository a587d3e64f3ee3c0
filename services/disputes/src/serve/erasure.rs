//! A person's data is erased, and the ledger stays as it was (E103).

use contracts::{
    api::{
        Refusal,
        disputes::{ErasePerson, Erased},
    },
    disputes::{CaseId, CaseState},
};
use messaging::{Bus, Failure};

use super::{Act, text};
use crate::{domain::Refused, store};

/// Cases and lines of one request.
const MOST: usize = 200;

fn wrong(pointer: &str, detail: &str) -> Failure {
    Failure::permanent("disputes.bad_erasure", "say what is to be erased").at(pointer, detail)
}

pub(crate) async fn erase_person(ask: ErasePerson, bus: Bus) -> Result<Erased, Refusal> {
    let reason = text(&ask.reason, "/reason")?;
    let stakeholder = ask
        .stakeholder
        .as_deref()
        .map(str::trim)
        .filter(|name| !name.is_empty());
    if stakeholder.is_none() && ask.lines.is_empty() {
        return Err(wrong("/stakeholder", "a name, or lines of cases").into());
    }
    if ask.lines.len() > MOST {
        return Err(wrong("/lines", "at most 200 lines at once").into());
    }
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        return Ok(Erased::default());
    };
    if !act.policy.may("erase", &ask.person, None) {
        return Err(Failure::of(Refused::NotYours).into());
    }
    let lines: Vec<_> = ask
        .lines
        .iter()
        .map(|line| (line.case_id, line.version))
        .collect();
    let found = store::words::ask(act.tx.conn(), stakeholder, &lines, act.now).await?;
    if found.len() > MOST {
        return Err(wrong("/stakeholder", "it is in more than 200 cases").into());
    }
    let (cases, _) = act.take_up(&found, &[]).await?;
    let closed: Vec<CaseId> = cases
        .iter()
        .filter(|case| case.state == CaseState::Closed)
        .map(|case| case.id)
        .collect();
    store::words::erase(act.tx.conn(), &closed, act.now).await?;
    let mut erased = Erased::default();
    for case in cases {
        let case_ref = case.case_ref.clone();
        let step = if closed.contains(&case.id) {
            erased.erased_in.push(case_ref);
            "words_erased"
        } else {
            erased.waits_for.push(case_ref);
            "erasure_waits"
        };
        act.put(case.clone(), Some(&case), step, reason.clone(), &ask.person)
            .await?;
    }
    act.finish(&bus).await?;
    Ok(erased)
}
