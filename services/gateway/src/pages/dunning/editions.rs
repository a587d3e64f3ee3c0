//! What the pages of templates and policies share.

use chrono::NaiveDate;
use contracts::api::{
    Refusal,
    dunning::{EditionKind, EditionStep, EditionView, StepEdition},
};

use super::{Pairs, field, form_key};
use crate::{
    App,
    api::{controls::person, once::command_id},
    pages::{Toast, Visit},
    problem::Problem,
};

/// A day of a form; nothing where none is given.
pub(super) fn day(pairs: &Pairs, name: &str) -> Result<Option<NaiveDate>, Problem> {
    match field(pairs, name) {
        "" => Ok(None),
        day => day.parse().map(Some).map_err(|_| {
            let pointer = format!("/{name}");
            Problem::invalid("gateway.bad_date", &pointer, "Give the day.")
        }),
    }
}

/// Asks a second person for a version, or takes that back.
pub(super) async fn step(
    app: &App,
    visit: &Visit,
    kind: EditionKind,
    name: &str,
    pairs: &Pairs,
) -> Result<(i32, Toast), Problem> {
    let unread = || {
        Problem::invalid(
            "gateway.bad_form",
            "/step",
            "the form is not complete: load the page again",
        )
    };
    let step = EditionStep::named(field(pairs, "step")).ok_or_else(unread)?;
    let version = field(pairs, "version").parse().map_err(|_| unread())?;
    let command = StepEdition {
        command_id: command_id(visit.caller.user_id, "page", form_key(pairs)?),
        kind,
        name: name.to_owned(),
        version,
        step,
        reason: field(pairs, "reason").to_owned(),
        person: person(&visit.caller),
    };
    let sent: Result<EditionView, Refusal> = app.bus.ask(&command).await;
    sent?;
    let text = match step {
        EditionStep::Request => "Asked for: a second person decides.",
        EditionStep::Withdraw => "The request is taken back.",
    };
    let toast = Toast {
        text: text.to_owned(),
        warning: false,
        undo: None,
    };
    Ok((version, toast))
}
