//! A credit note answers what billing was asked for: by the reference of the
//! case or of the document in it, or by account and amount.

use contracts::{allocation::DocumentPosted, disputes::CaseId};
use kernel::{Money, MoneyError};
use messaging::Meta;

use super::{Changes, follow::Desk};
use crate::{
    domain::{amounts::least, policy::Policy},
    store::cases::{Answer, Request},
};

/// Letters and digits, so that `Q-000123`, `q 000123` and `Q000123` are one.
fn plain(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .collect()
}

/// Whether the credit note names the request, its case or its document.
fn names(note: &DocumentPosted, request: &Request) -> bool {
    let told: Vec<String> = [Some(&note.document_ref), note.payment_reference.as_ref()]
        .into_iter()
        .flatten()
        .map(|text| plain(text))
        .collect();
    let wanted = [
        plain(&request.case_ref),
        plain(&request.document_ref),
        request.id.as_uuid().simple().to_string().to_uppercase(),
    ];
    told.iter().any(|told| {
        wanted
            .iter()
            .any(|wanted| wanted.len() >= 4 && ends(told, wanted))
    })
}

/// `wanted` stands in `told`, and no digit goes on behind it: INV1 is not INV12.
fn ends(told: &str, wanted: &str) -> bool {
    told.match_indices(wanted).any(|(at, _)| {
        let after = told.get(at + wanted.len()..).unwrap_or_default();
        !after.starts_with(|c: char| c.is_ascii_digit())
    })
}

/// Which requests a credit note answers: those that it names, else the one of
/// its account and amount, else all of one case if they add up to it.
fn answered(
    note: &DocumentPosted,
    given: Money,
    requests: &[Request],
    policy: &Policy,
) -> Vec<usize> {
    let mine: Vec<usize> = requests
        .iter()
        .enumerate()
        .filter(|(_, request)| {
            request.account == note.account_id
                && request.amount.currency() == given.currency()
                && request.amount.is_positive()
        })
        .map(|(n, _)| n)
        .collect();
    let of = |n: usize| requests.get(n);
    let named: Vec<usize> = mine
        .iter()
        .copied()
        .filter(|n| of(*n).is_some_and(|request| names(note, request)))
        .collect();
    let exact = |among: &[usize]| {
        among
            .iter()
            .copied()
            .find(|n| of(*n).is_some_and(|request| policy.answers(request.amount, given)))
    };
    if !named.is_empty() {
        return exact(&named).map_or(named, |n| vec![n]);
    }
    if let Some(n) = exact(&mine) {
        return vec![n];
    }
    let mut cases: Vec<CaseId> = Vec::new();
    for n in &mine {
        if let Some(request) = of(*n)
            && !cases.contains(&request.case)
        {
            cases.push(request.case);
        }
    }
    for case in cases {
        let of_case: Vec<usize> = mine
            .iter()
            .copied()
            .filter(|n| of(*n).is_some_and(|request| request.case == case))
            .collect();
        let all = of_case.iter().filter_map(|n| of(*n)).map(|r| r.amount);
        if Money::sum(all, given.currency()).is_ok_and(|all| policy.answers(all, given)) {
            return of_case;
        }
    }
    Vec::new()
}

/// Ends the requests that `note` answers, and lowers those that it answers in
/// part.
pub(super) fn answer<'m>(
    desk: &mut Desk<'m>,
    requests: &mut [Request],
    changes: &mut Changes,
    policy: &Policy,
    meta: &'m Meta,
    note: &DocumentPosted,
) -> Result<(), MoneyError> {
    let mut left = note.amount.neg();
    for n in answered(note, left, requests, policy) {
        let Some(request) = requests.get_mut(n) else {
            continue;
        };
        if !left.is_positive() {
            break;
        }
        let given = least(left, request.amount)?;
        let done = policy.answers(request.amount, given);
        // What is missing within the tolerance is not waited for.
        let asked = if done { request.amount } else { given };
        let words = format!(
            "credit note {} for {}",
            note.document_ref, request.document_ref
        );
        let credited = desk.credited(request.case, request.document, asked, given, words, meta)?;
        let Some(credited) = credited else {
            continue;
        };
        let noted = changes
            .noted
            .entry(request.document)
            .or_insert(Money::zero(credited.currency()));
        *noted = noted.checked_add(credited)?;
        changes.answers.push(Answer {
            request: request.id,
            given,
            done,
            by: note.document_ref.clone(),
        });
        request.amount = request.amount.checked_sub(asked)?;
        left = left.checked_sub(given)?;
    }
    Ok(())
}
