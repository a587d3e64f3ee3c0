//! Payment files of refunds: made, fetched, sent, discarded.

use axum::{Form, extract::State, response::Response};
use contracts::{
    api::{
        PageRequest,
        controls::{
            FetchRefundFile, ListPayable, ListRefundFiles, ListRefunds, OrderRefundFile, Payable,
            RefundFileStep, RefundFileView, StepRefundFile,
        },
    },
    controls::{RefundFileFormat, RefundFileId, RefundState},
};
use kernel::Currency;

use super::{Pairs, field, form_command, told};
use crate::{
    App,
    api::{
        Path,
        controls::person,
        refund_files::{bacs_for, file},
    },
    pages::{PageProblem, Visit, show::Uk as _},
    problem::Problem,
};

/// Files shown at once.
const SHOWN: u16 = 10;

/// What a page shows of payment files.
#[derive(Default)]
pub(super) struct Files {
    /// Each with our account masked.
    pub(super) payable: Vec<(Payable, String)>,
    /// Each with whether it waits for somebody to say that it was sent.
    pub(super) made: Vec<(RefundFileView, bool)>,
}

pub(super) async fn look(app: &App) -> Result<Files, Problem> {
    let page = |limit| PageRequest {
        cursor: None,
        limit: Some(limit),
    };
    let waiting = ListRefunds {
        state: Some(RefundState::InPaymentFile),
        page: page(PageRequest::MAX),
        ..ListRefunds::default()
    };
    let files = ListRefundFiles { page: page(SHOWN) };
    let (payable, waiting, files) = tokio::try_join!(
        app.bus.ask(&ListPayable {}),
        app.bus.ask(&waiting),
        app.bus.ask(&files)
    )?;
    let made = files.items.into_iter().map(|file| {
        let open = waiting
            .items
            .iter()
            .any(|refund| refund.reference.as_ref() == Some(&file.reference));
        (file, open)
    });
    Ok(Files {
        payable: payable
            .items
            .into_iter()
            .map(|payable| {
                let account = masked(&payable.bank_account);
                (payable, account)
            })
            .collect(),
        made: made.collect(),
    })
}

/// The last four characters of an account.
fn masked(key: &str) -> String {
    let from = key.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
    format!("****{}", key.get(from..).unwrap_or_default())
}

const BACK: &str = "/controls?tab=refunds";

/// `POST /controls/refund-files`
pub(crate) async fn order(
    State(app): State<App>,
    visit: Visit,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let done = async {
        let currency = Currency::parse(field(&pairs, "currency")).map_err(|error| {
            Problem::invalid("gateway.bad_currency", "/currency", error.to_string())
        })?;
        let format = RefundFileFormat::named(field(&pairs, "format"));
        let command = OrderRefundFile {
            command_id: form_command(&visit, &pairs)?,
            bank_account: field(&pairs, "bank_account").to_owned(),
            currency,
            debtor_name: field(&pairs, "debtor_name").to_owned(),
            execute_on: field(&pairs, "execute_on").parse().ok(),
            format,
            bacs: bacs_for(&app, format).await?,
            person: person(&visit.caller),
        };
        let ordered = app.bus.ask(&command).await?;
        let left_out = match ordered.left_out.len() {
            0 => String::new(),
            some => format!(" {some} left out: {}.", ordered.left_out[0].why),
        };
        Ok(format!(
            "{} refunds, {} together, are in {}.{left_out}",
            ordered.refunds.len(),
            ordered.total.uk(),
            ordered.reference
        ))
    };
    told(&visit, BACK, done.await)
}

/// `POST /controls/refund-files/{id}/steps`
pub(crate) async fn step(
    State(app): State<App>,
    visit: Visit,
    Path(file_id): Path<RefundFileId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let done = async {
        let (step, words) = match field(&pairs, "step") {
            "sent" => (RefundFileStep::Sent, "The file is sent"),
            _ => (
                RefundFileStep::Discarded,
                "The file is discarded; its refunds may go into another",
            ),
        };
        let command = StepRefundFile {
            command_id: form_command(&visit, &pairs)?,
            file_id,
            step,
            person: person(&visit.caller),
        };
        app.bus.ask(&command).await?;
        Ok(format!("{words}."))
    };
    told(&visit, BACK, done.await)
}

/// `POST /controls/refund-files/{id}/content`
pub(crate) async fn fetch(
    State(app): State<App>,
    visit: Visit,
    Path(file_id): Path<RefundFileId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let fetched = async {
        let command = FetchRefundFile {
            command_id: form_command(&visit, &pairs)?,
            file_id,
            person: person(&visit.caller),
        };
        Ok(app.bus.ask(&command).await?)
    };
    fetched.await.map(file).map_err(visit.give_up::<Problem>())
}
