//! What each department caused, to be given back to it.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use chrono::{Days, NaiveDate};
use contracts::api::disputes::{FeedbackRow, GetFeedback};
use kernel::london_date;

use super::{Pairs, field};
use crate::{
    App,
    pages::{PageProblem, Section, Shell, Visit, show::Uk as _},
};

/// Days of the report when nobody says which.
const DAYS: Days = Days::new(90);

#[derive(Template)]
#[template(path = "dispute_report.html")]
struct ReportPage {
    shell: Shell,
    from: NaiveDate,
    to: NaiveDate,
    rows: Vec<FeedbackRow>,
}

impl ReportPage {
    /// Days a case took, on average.
    fn average(row: &FeedbackRow) -> i64 {
        row.days.checked_div(row.cases).unwrap_or_default()
    }
}

/// `GET /disputes/departments`
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let today = london_date(visit.now);
    let day = |name| field(&pairs, name).parse::<NaiveDate>().ok();
    let to = day("to").unwrap_or(today);
    let from = day("from")
        .or_else(|| to.checked_sub_days(DAYS))
        .unwrap_or(to);
    let ask = GetFeedback {
        from: Some(from),
        to: Some(to),
    };
    let report = app.bus.ask(&ask).await.map_err(visit.give_up())?;
    let page = ReportPage {
        shell: visit.shell(Section::Disputes, "Disputes by department"),
        from,
        to,
        rows: report.rows,
    };
    Ok(visit.show(StatusCode::OK, &page))
}
