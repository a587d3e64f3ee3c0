//! Putting a receipt aside "to check", and taking it up again.

use axum::{Form, extract::State, response::Response};
use chrono::NaiveDate;
use contracts::api::workbench::{ParkReceipt, UnparkReceipt};
use kernel::ReceiptId;

use super::{Pairs, Place, Toast, Visit, field, form_key, reason};
use crate::{
    App,
    api::{Path, once::command_id},
    pages::{PageProblem, show::Uk as _},
    problem::Problem,
};

fn version(pairs: &Pairs) -> Option<i64> {
    field(pairs, "version").and_then(|version| version.parse().ok())
}

/// `POST /cash/receipts/{id}/park`
pub(crate) async fn park(
    State(app): State<App>,
    visit: Visit,
    Path(receipt_id): Path<ReceiptId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let place = Place {
        receipt: Some(receipt_id),
        ..Place::read(&pairs)
    };
    let parked = put_aside(&app, &visit, receipt_id, &pairs).await;
    let text = match parked {
        Ok(Some(until)) => format!("Put aside until {}.", until.uk()),
        Ok(None) => "Put aside until somebody takes it up again.".to_owned(),
        Err(problem) => return refused(&visit, &place, receipt_id, problem, "Not put aside"),
    };
    // Like one that is done, it makes way for the next.
    let next = field(&pairs, "next").and_then(|next| next.parse().ok());
    let toast = Toast {
        text,
        warning: false,
        undo: None,
    };
    Ok(visit.go(&place.with(next.unwrap_or(receipt_id)), &toast))
}

async fn put_aside(
    app: &App,
    visit: &Visit,
    receipt_id: ReceiptId,
    pairs: &Pairs,
) -> Result<Option<NaiveDate>, Problem> {
    let stated = reason(pairs, "");
    if stated.is_empty() {
        let detail = "Say what is to be checked.";
        return Err(Problem::invalid(
            "gateway.reason_missing",
            "/reason",
            detail,
        ));
    }
    let until = match field(pairs, "until").map(str::trim) {
        None | Some("") => None,
        Some(text) => Some(text.parse().map_err(|_| {
            Problem::invalid("gateway.bad_date", "/until", format!("“{text}” is no date"))
        })?),
    };
    let command = ParkReceipt {
        command_id: command_id(visit.caller.user_id, "page", form_key(pairs)?),
        receipt_id,
        expected_version: version(pairs),
        reason: stated,
        owner: field(pairs, "owner").map(str::to_owned),
        until,
        actor: visit.caller.actor(),
    };
    app.bus.ask(&command).await?;
    Ok(until)
}

/// `POST /cash/receipts/{id}/unpark`
pub(crate) async fn unpark(
    State(app): State<App>,
    visit: Visit,
    Path(receipt_id): Path<ReceiptId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let place = Place {
        receipt: Some(receipt_id),
        ..Place::read(&pairs)
    };
    let key = form_key(&pairs).map_err(visit.give_up())?;
    let command = UnparkReceipt {
        command_id: command_id(visit.caller.user_id, "page", key),
        receipt_id,
        expected_version: version(&pairs),
        actor: visit.caller.actor(),
        reason: reason(&pairs, "Taken up again on the workbench"),
    };
    match app.bus.ask(&command).await.map_err(Problem::from) {
        Ok(_) => {
            let toast = Toast {
                text: "Taken up again: it is back in review.".to_owned(),
                warning: false,
                undo: None,
            };
            Ok(visit.go(&place.with(receipt_id), &toast))
        }
        Err(problem) => refused(&visit, &place, receipt_id, problem, "Not taken up"),
    }
}

/// Says on the page why not; what the person can do nothing about is a page of
/// its own.
fn refused(
    visit: &Visit,
    place: &Place,
    receipt_id: ReceiptId,
    problem: Problem,
    what: &str,
) -> Result<Response, PageProblem> {
    if !problem.status().is_client_error() {
        return Err(visit.give_up()(problem));
    }
    let detail = problem.detail.trim_end_matches('.');
    let toast = Toast {
        text: format!("{what}: {detail}."),
        warning: true,
        undo: None,
    };
    Ok(visit.go(&place.with(receipt_id), &toast))
}
