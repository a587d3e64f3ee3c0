//! Reports: as JSON page by page, or whole as a file.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse as _, Response},
};
use chrono::{DateTime, NaiveDate, Utc};
use contracts::api::{
    PageRequest,
    reporting::{AgeingBasis, GetAgedDebt, GetAgedItems, GetUnallocated},
};
use kernel::{AccountId, Currency};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    Query, list, page_request, search,
    table::{Cell, File, Form, Table, wanted},
    with_next,
};
use crate::{App, openapi, problem::Problem};

/// Rows of one file, at most: more than any ledger that one person reads.
const FILE_ROWS_MAX: usize = 100_000;

#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AgedDebtQuery {
    /// The day that debts age to; today in London when absent.
    pub as_of: Option<NaiveDate>,
    /// What was known at that moment; all that is known now when absent.
    pub known_at: Option<DateTime<Utc>>,
    /// `due` when absent.
    #[serde(default)]
    #[param(required = false, schema_with = openapi::ageing_basis)]
    pub basis: AgeingBasis,
    /// Part of an account's reference or name.
    pub search: Option<String>,
    /// Only accounts of this segment.
    pub segment: Option<String>,
    /// Where the page begins, from `rows.next_cursor`.
    pub cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u16>,
}

impl AgedDebtQuery {
    pub(crate) fn question(self) -> GetAgedDebt {
        GetAgedDebt {
            as_of: self.as_of,
            known_at: self.known_at,
            basis: self.basis,
            search: search(self.search),
            segment: search(self.segment),
            page: page_request(self.cursor, self.limit),
        }
    }
}

/// Aged debt as at a day, and as it was known at a moment. As CSV or a
/// workbook all rows come at once.
#[utoipa::path(
    get, path = "/api/v1/reports/aged-debt", tag = "reports", operation_id = "getAgedDebt", params(AgedDebtQuery),
    responses((status = 200, description = "The report", content(
        (ref("#/components/schemas/AgedDebt") = "application/json"),
        (String = "text/csv"),
        (String = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    )))
)]
pub(crate) async fn aged_debt(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
    Query(query): Query<AgedDebtQuery>,
) -> Result<Response, Problem> {
    Ok(varied(match wanted(&headers)? {
        Form::Json => {
            let report = app.bus.ask(&query.question()).await?;
            with_next(
                &uri,
                report.rows.next_cursor.as_deref(),
                Json(&report).into_response(),
            )
        }
        Form::File(file) => aged_debt_file(&app, query.question(), file).await?,
    }))
}

/// All rows of the aged debt as a file.
pub(crate) async fn aged_debt_file(
    app: &App,
    mut question: GetAgedDebt,
    file: File,
) -> Result<Response, Problem> {
    question.page = whole();
    let mut table: Option<Table> = None;
    loop {
        let report = app.bus.ask(&question).await?;
        let table = table.get_or_insert_with(|| Table {
            name: format!("aged-debt-{}", report.as_of),
            columns: ["account_ref", "name", "segment", "currency"]
                .into_iter()
                .map(str::to_owned)
                .chain(report.buckets.iter().map(|bucket| bucket.title.clone()))
                .chain(["total", "overdue", "unallocated", "oldest_days"].map(str::to_owned))
                .collect(),
            rows: Vec::new(),
        });
        table.rows.extend(report.rows.items.into_iter().map(|row| {
            let before = [
                Cell::Text(row.account_ref),
                Cell::Text(row.name),
                Cell::maybe(row.segment, Cell::Text),
                Cell::text(row.currency.code()),
            ];
            let after = [
                Cell::Amount(row.total),
                Cell::Amount(row.overdue),
                Cell::Amount(row.unallocated),
                Cell::maybe(row.oldest_days, Cell::Count),
            ];
            before
                .into_iter()
                .chain(row.buckets.into_iter().map(Cell::Amount))
                .chain(after)
                .collect()
        }));
        // The pages of one file all show the same moment.
        (question.as_of, question.known_at) = (Some(report.as_of), Some(report.known_at));
        if !turn_page(&mut question.page, report.rows.next_cursor, table)? {
            break;
        }
    }
    table.unwrap_or_else(nothing).into_file(file).await
}

#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AgedItemsQuery {
    /// As for the aged debt.
    pub as_of: Option<NaiveDate>,
    /// As for the aged debt.
    pub known_at: Option<DateTime<Utc>>,
    /// `due` when absent.
    #[serde(default)]
    #[param(required = false, schema_with = openapi::ageing_basis)]
    pub basis: AgeingBasis,
    /// Only items of this account.
    #[param(value_type = Option<String>, format = Uuid)]
    pub account_id: Option<AccountId>,
    /// Only items in this currency (ISO 4217).
    #[param(value_type = Option<String>)]
    pub currency: Option<Currency>,
    /// Index into the buckets of the aged debt; all when absent.
    pub bucket: Option<u8>,
    /// Where the page begins, from `next_cursor`.
    pub cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u16>,
}

impl AgedItemsQuery {
    pub(crate) fn question(self) -> GetAgedItems {
        GetAgedItems {
            as_of: self.as_of,
            known_at: self.known_at,
            basis: self.basis,
            account_id: self.account_id,
            currency: self.currency,
            bucket: self.bucket,
            page: page_request(self.cursor, self.limit),
        }
    }
}

/// The open documents behind a cell of the aged debt.
#[utoipa::path(
    get, path = "/api/v1/reports/aged-debt/items", tag = "reports", operation_id = "getAgedItems", params(AgedItemsQuery),
    responses((status = 200, description = "A page of documents", content(
        (ref("#/components/schemas/Page_for_AgedItem") = "application/json"),
        (String = "text/csv"),
        (String = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    )))
)]
pub(crate) async fn aged_items(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
    Query(query): Query<AgedItemsQuery>,
) -> Result<Response, Problem> {
    let mut question = query.question();
    let Form::File(file) = wanted(&headers)? else {
        return Ok(varied(list(&uri, &app.bus.ask(&question).await?)));
    };
    question.known_at = question.known_at.or_else(|| Some(app.bus.now()));
    question.page = whole();
    let mut table = Table {
        name: "aged-debt-items".to_owned(),
        columns: [
            "document_ref",
            "kind",
            "account_ref",
            "account_name",
            "issued_on",
            "due_on",
            "days",
            "currency",
            "amount",
            "open",
        ]
        .map(str::to_owned)
        .into(),
        rows: Vec::new(),
    };
    loop {
        let page = app.bus.ask(&question).await?;
        table.rows.extend(page.items.into_iter().map(|item| {
            vec![
                Cell::Text(item.document_ref),
                Cell::text(item.kind.name()),
                Cell::Text(item.account_ref),
                Cell::Text(item.account_name),
                Cell::Date(item.issued_on),
                Cell::Date(item.due_on),
                Cell::Count(item.days),
                Cell::text(item.open.currency().code()),
                Cell::Amount(item.amount),
                Cell::Amount(item.open),
            ]
        }));
        if !turn_page(&mut question.page, page.next_cursor, &table)? {
            return Ok(varied(table.into_file(file).await?));
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UnallocatedQuery {
    /// As at this day; today in London when absent.
    pub as_of: Option<NaiveDate>,
    /// What was known at that moment; all that is known now when absent.
    pub known_at: Option<DateTime<Utc>>,
    /// Where the page begins, from `rows.next_cursor`.
    pub cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u16>,
}

/// Cash that pays nothing yet, oldest first. As CSV or a workbook all
/// rows come at once.
#[utoipa::path(
    get, path = "/api/v1/reports/unallocated", tag = "reports", operation_id = "getUnallocated", params(UnallocatedQuery),
    responses((status = 200, description = "The report", content(
        (ref("#/components/schemas/UnallocatedCash") = "application/json"),
        (String = "text/csv"),
        (String = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    )))
)]
pub(crate) async fn unallocated(
    State(app): State<App>,
    uri: Uri,
    headers: HeaderMap,
    Query(query): Query<UnallocatedQuery>,
) -> Result<Response, Problem> {
    let mut question = GetUnallocated {
        as_of: query.as_of,
        known_at: query.known_at,
        page: page_request(query.cursor, query.limit),
    };
    let Form::File(file) = wanted(&headers)? else {
        let report = app.bus.ask(&question).await?;
        return Ok(varied(with_next(
            &uri,
            report.rows.next_cursor.as_deref(),
            Json(&report).into_response(),
        )));
    };
    question.page = whole();
    let mut table: Option<Table> = None;
    loop {
        let report = app.bus.ask(&question).await?;
        let table = table.get_or_insert_with(|| Table {
            name: format!("unallocated-{}", report.as_of),
            columns: [
                "receipt_id",
                "booked_on",
                "age_days",
                "currency",
                "amount",
                "unallocated",
                "payer_name",
                "narrative",
                "state",
                "account_ref",
            ]
            .map(str::to_owned)
            .into(),
            rows: Vec::new(),
        });
        table.rows.extend(report.rows.items.into_iter().map(|row| {
            vec![
                Cell::text(row.receipt_id.to_string()),
                Cell::Date(row.booked_on),
                Cell::Count(row.age_days),
                Cell::text(row.amount.currency().code()),
                Cell::Amount(row.amount),
                Cell::Amount(row.unallocated),
                Cell::maybe(row.payer_name, Cell::Text),
                Cell::Text(row.narrative),
                Cell::text(row.state.name()),
                Cell::maybe(row.account_ref, Cell::Text),
            ]
        }));
        (question.as_of, question.known_at) = (Some(report.as_of), Some(report.known_at));
        if !turn_page(&mut question.page, report.rows.next_cursor, table)? {
            break;
        }
    }
    Ok(varied(table.unwrap_or_else(nothing).into_file(file).await?))
}

/// The longest pages, from the first.
fn whole() -> PageRequest {
    PageRequest {
        cursor: None,
        limit: Some(PageRequest::MAX),
    }
}

/// Whether there is a further page; `page` asks for it then.
fn turn_page(page: &mut PageRequest, next: Option<String>, table: &Table) -> Result<bool, Problem> {
    if next.is_some() && table.rows.len() >= FILE_ROWS_MAX {
        return Err(Problem::invalid(
            "gateway.file_too_long",
            "",
            format!("the file would have more than {FILE_ROWS_MAX} rows: narrow it down"),
        ));
    }
    page.cursor = next;
    Ok(page.cursor.is_some())
}

fn nothing() -> Table {
    Table {
        name: "empty".to_owned(),
        columns: Vec::new(),
        rows: Vec::new(),
    }
}

/// The same address has several forms: caches must not mix them up.
pub(super) fn varied(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}
