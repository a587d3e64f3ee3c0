//! `/api/v1`: questions and commands to the services, as HTTP.
//!
//! Nothing is decided here: a handler asks one service and writes down its
//! answer.

pub(crate) mod accounts;
pub(crate) mod asked;
pub(crate) mod claims;
pub(crate) mod contacts;
pub(crate) mod controls;
pub(crate) mod direct_debits;
pub(crate) mod disputes;
pub(crate) mod editions;
pub(crate) mod evidence;
pub(crate) mod holds;
pub(crate) mod import_undo;
pub(crate) mod imports;
pub(crate) mod matters;
pub(crate) mod once;
pub(crate) mod promises;
pub(crate) mod receipts;
pub(crate) mod referrals;
pub(crate) mod refund_files;
pub(crate) mod reports;
pub(crate) mod returns;
pub(crate) mod rules;
pub(crate) mod runs;
pub(crate) mod table;
pub(crate) mod workbench;
pub(crate) mod worklist;

pub(crate) use receipts::{AllocationRequest, UndoRequest};

use axum::{
    Json,
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use contracts::api::{Page, PageRequest};
use serde::{Serialize, de::DeserializeOwned};

use crate::problem::Problem;

/// Query parameters; what cannot be read is a problem, not a text.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub(crate) struct Query<T>(pub T);

/// Path parameters; an id that cannot be one names nothing.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub(crate) struct Path<T>(pub T);

/// The page that is asked for; a longer page than the longest is the longest.
pub(crate) fn page_request(cursor: Option<String>, limit: Option<u16>) -> PageRequest {
    PageRequest {
        cursor: cursor.filter(|cursor| !cursor.is_empty()),
        limit: limit.map(|limit| limit.clamp(1, PageRequest::MAX)),
    }
}

/// What a person typed into a search box; nothing typed is no search.
pub(crate) fn search(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

/// A page of a list, with a link to the next.
fn list<T: Serialize>(uri: &Uri, page: &Page<T>) -> Response {
    with_next(uri, page.next_cursor.as_deref(), Json(page).into_response())
}

/// Adds `Link: <…>; rel="next"`.
fn with_next(uri: &Uri, cursor: Option<&str>, mut response: Response) -> Response {
    if let Some(value) = cursor.and_then(|cursor| next_link(uri, cursor)) {
        response.headers_mut().insert(header::LINK, value);
    }
    response
}

fn next_link(uri: &Uri, cursor: &str) -> Option<HeaderValue> {
    let others = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let query: Vec<String> = others
        .map(str::to_owned)
        .chain([format!("cursor={}", encoded(cursor))])
        .collect();
    HeaderValue::from_str(&format!(
        "<{}?{}>; rel=\"next\"",
        uri.path(),
        query.join("&")
    ))
    .ok()
}

/// `text` as it may stand in a query.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes()
        .fold(String::with_capacity(text.len()), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                out.push(char::from(byte));
            } else {
                out.push('%');
                out.push_str(&hex::encode_upper([byte]));
            }
            out
        })
}

/// A JSON body; what is wrong with it is told with a pointer to the place.
fn json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Problem> {
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"));
    if !is_json {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "gateway.not_json",
            "the body must be application/json",
        ));
    }
    let value: serde_json::Value = serde_json::from_slice(body).map_err(|error| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "gateway.bad_json",
            format!("the body is no JSON: {error}"),
        )
    })?;
    serde_path_to_error::deserialize(value).map_err(|error| {
        let pointer = pointer(error.path());
        Problem::invalid("gateway.bad_body", &pointer, error.into_inner().to_string())
    })
}

/// The JSON pointer of a place.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { .. } | Segment::Unknown => String::new(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_link_keeps_the_question_and_replaces_the_cursor() {
        let uri: Uri = "/api/v1/receipts?queue=all&cursor=old&limit=10"
            .parse()
            .unwrap();
        assert_eq!(
            next_link(&uri, "a b/+=").unwrap(),
            "</api/v1/receipts?queue=all&limit=10&cursor=a%20b%2F%2B%3D>; rel=\"next\""
        );
        let bare: Uri = "/api/v1/receipts".parse().unwrap();
        assert_eq!(
            next_link(&bare, "x").unwrap(),
            "</api/v1/receipts?cursor=x>; rel=\"next\""
        );
    }

    #[test]
    fn pages_are_never_longer_than_the_longest() {
        assert_eq!(page_request(None, Some(5000)).limit, Some(200));
        assert_eq!(
            page_request(Some(String::new()), None),
            PageRequest::default()
        );
    }

    #[test]
    fn a_bad_body_names_the_place() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            "application/json; charset=utf-8".parse().unwrap(),
        );
        let id = "0198c0de-0000-7000-8000-000000000001";
        let body = format!(
            r#"{{"reason":"x","lines":[{{"document_id":"{id}","amount":{{"amount":12.5,"currency":"GBP"}}}}]}}"#
        );
        let problem = json::<AllocationRequest>(&headers, body.as_bytes())
            .err()
            .unwrap();
        assert_eq!(
            (problem.status, problem.errors[0].pointer.as_str()),
            (422, "/lines/0/amount/amount")
        );
        assert_eq!(
            json::<AllocationRequest>(&headers, b"{")
                .err()
                .unwrap()
                .status,
            400
        );
        assert_eq!(
            json::<AllocationRequest>(&HeaderMap::new(), b"{}")
                .err()
                .unwrap()
                .status,
            415
        );
    }
}
