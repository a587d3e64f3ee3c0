//! Debtor accounts.

use axum::{
    Json,
    extract::State,
    http::Uri,
    response::{IntoResponse as _, Response},
};
use chrono::NaiveDate;
use contracts::api::reporting::{
    AccountKey, AccountView, GetAccount, GetAccountStatement, GetLedger, GetTimeline, ListAccounts,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Path, Query, list, page_request, search};
use crate::{App, problem::Problem};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AccountsQuery {
    /// Part of the reference or the name.
    search: Option<String>,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Debtor accounts and where they stand.
#[utoipa::path(
    get, path = "/api/v1/accounts", tag = "accounts", operation_id = "listAccounts", params(AccountsQuery),
    responses((status = 200, description = "A page of accounts", body = ref("#/components/schemas/Page_for_AccountView")))
)]
pub(crate) async fn list_accounts(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<AccountsQuery>,
) -> Result<Response, Problem> {
    let page = app
        .bus
        .ask(&ListAccounts {
            search: search(query.search),
            page: page_request(query.cursor, query.limit),
        })
        .await?;
    Ok(list(&uri, &page))
}

/// An account by its id or by the billing system's reference. A reference that
/// looks like an id is taken for one.
pub(crate) async fn find(app: &App, id: String) -> Result<AccountView, Problem> {
    let account = id
        .parse()
        .map_or_else(|_| AccountKey::Ref(id), AccountKey::Id);
    Ok(app.bus.ask(&GetAccount { account }).await?)
}

/// An account and where it stands today.
#[utoipa::path(
    get, path = "/api/v1/accounts/{id}", tag = "accounts", operation_id = "getAccount",
    params(("id" = String, Path, description = "The account's id or its reference")),
    responses((status = 200, description = "The account", body = ref("#/components/schemas/AccountView")))
)]
pub(crate) async fn get_account(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    Ok(Json(find(&app, id).await?).into_response())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LedgerQuery {
    /// Only what is still open.
    #[serde(default)]
    open_only: bool,
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Documents and receipts of an account, newest first.
#[utoipa::path(
    get, path = "/api/v1/accounts/{id}/ledger", tag = "accounts", operation_id = "getLedger",
    params(("id" = String, Path, description = "The account's id or its reference"), LedgerQuery),
    responses((status = 200, description = "A page of the ledger", body = ref("#/components/schemas/Page_for_LedgerLine")))
)]
pub(crate) async fn get_ledger(
    State(app): State<App>,
    Path(id): Path<String>,
    uri: Uri,
    Query(query): Query<LedgerQuery>,
) -> Result<Response, Problem> {
    let account = find(&app, id).await?;
    let page = app
        .bus
        .ask(&GetLedger {
            account_id: account.account_id,
            open_only: query.open_only,
            page: page_request(query.cursor, query.limit),
        })
        .await?;
    Ok(list(&uri, &page))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatementQuery {
    /// The first day.
    from: NaiveDate,
    /// The last day: today at the latest.
    to: NaiveDate,
}

/// An account between two days: the opening balance, everything that moved it, and
/// the closing balance. It adds up to the penny, or is not shown.
#[utoipa::path(
    get, path = "/api/v1/accounts/{id}/reconciliation", tag = "accounts", operation_id = "getAccountStatement",
    params(("id" = String, Path, description = "The account's id or its reference"), StatementQuery),
    responses((status = 200, description = "The statement", body = ref("#/components/schemas/AccountStatement")))
)]
pub(crate) async fn get_statement(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(query): Query<StatementQuery>,
) -> Result<Response, Problem> {
    let account = find(&app, id).await?;
    let ask = GetAccountStatement {
        account_id: account.account_id,
        from: query.from,
        to: query.to,
    };
    Ok(Json(app.bus.ask(&ask).await?).into_response())
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TimelineQuery {
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Everything that happened to an account, newest first.
#[utoipa::path(
    get, path = "/api/v1/accounts/{id}/timeline", tag = "accounts", operation_id = "getTimeline",
    params(("id" = String, Path, description = "The account's id or its reference"), TimelineQuery),
    responses((status = 200, description = "A page of the timeline", body = ref("#/components/schemas/Page_for_TimelineEntry")))
)]
pub(crate) async fn get_timeline(
    State(app): State<App>,
    Path(id): Path<String>,
    uri: Uri,
    Query(query): Query<TimelineQuery>,
) -> Result<Response, Problem> {
    let account = find(&app, id).await?;
    let page = app
        .bus
        .ask(&GetTimeline {
            account_id: account.account_id,
            page: page_request(query.cursor, query.limit),
        })
        .await?;
    Ok(list(&uri, &page))
}
