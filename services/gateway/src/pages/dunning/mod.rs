//! Dunning: runs, and what an account owes on paper.

pub(crate) mod agree;
pub(crate) mod agreed;
pub(crate) mod contacts;
mod debts;
mod editions;
pub(crate) mod enclosures;
pub(crate) mod holds;
pub(crate) mod policies;
pub(crate) mod referral;
pub(crate) mod run_letter;
pub(crate) mod runs;
pub(crate) mod statement;
pub(crate) mod templates;

use contracts::api::Call;
use kernel::Money;

use crate::{App, pages::Done, problem::Problem};

/// Fields of the page's address and of its forms, in the order sent.
type Pairs = Vec<(String, String)>;

fn field<'p>(pairs: &'p Pairs, name: &str) -> &'p str {
    pairs
        .iter()
        .find(|(known, _)| known == name)
        .map_or("", |(_, value)| value.trim())
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// Sums as people read them.
fn sums(amounts: &[Money]) -> String {
    let all: Vec<String> = amounts.iter().map(super::show::Uk::uk).collect();
    if all.is_empty() {
        return "–".to_owned();
    }
    all.join(" + ")
}

fn problems(refused: Option<&Problem>) -> Vec<String> {
    refused.map_or_else(Vec::new, |problem| {
        let fields = problem.errors.iter().map(|field| field.detail.clone());
        let mut all = vec![problem.detail.clone()];
        all.extend(fields.filter(|detail| *detail != problem.detail));
        all
    })
}

/// Sends the command of a form; `said` is told at `to` when it is done.
async fn carried<C: Call>(
    app: &App,
    to: String,
    said: &str,
    command: Result<C, Problem>,
) -> Result<Done, Problem> {
    let _: C::Reply = app.bus.ask(&command?).await?;
    Ok(Done {
        to,
        text: said.to_owned(),
    })
}

/// What makes a form that is sent twice count once.
fn form_key(pairs: &Pairs) -> Result<&str, Problem> {
    let key = field(pairs, "key");
    if (1..=200).contains(&key.len()) {
        return Ok(key);
    }
    Err(Problem::invalid(
        "gateway.bad_form",
        "/key",
        "the form has no key: load the page again",
    ))
}
