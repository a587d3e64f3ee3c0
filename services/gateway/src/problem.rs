//! What went wrong, for a program: `application/problem+json` (RFC 9457).

use axum::{
    Json,
    extract::rejection::{PathRejection, QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use contracts::api::{FieldProblem, Refusal, RefusalClass};
use messaging::Failure;
use schemars::JsonSchema;
use serde::Serialize;

/// The body of every answer of the API that is no success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Problem {
    /// Names the kind of problem: `urn:counterfoil:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for every problem with this status.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time, for people.
    pub detail: String,
    /// The path that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Stable, such as `allocation.receipt_not_found`.
    pub code: String,
    /// The fields at fault, as JSON pointers into the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// The `X-Request-Id` of the answer, to be quoted to support.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Seconds until it is worth trying again.
    #[serde(skip)]
    pub retry_after: Option<i64>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:counterfoil:problem:{code}"),
            title: title(status),
            status: status.as_u16(),
            detail: detail.into(),
            instance: None,
            code: code.to_owned(),
            errors: Vec::new(),
            request_id: None,
            retry_after: None,
        }
    }

    /// The request is well-formed but cannot be meant.
    pub fn invalid(code: &str, pointer: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail.clone());
        problem.errors.push(FieldProblem {
            pointer: pointer.to_owned(),
            detail,
        });
        problem
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "gateway.not_found", detail)
    }

    pub fn sign_in_needed() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "gateway.sign_in_needed",
            "sign in first: by the session cookie, or with HTTP Basic as a local user",
        )
    }

    pub fn forbidden() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "gateway.forbidden",
            "none of your roles may do this",
        )
    }

    pub fn too_many_sign_ins(seconds: i64) -> Self {
        let mut problem = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "gateway.too_many_sign_ins",
            format!("too many failed sign-ins: try again in {seconds} s"),
        );
        problem.retry_after = Some(seconds);
        problem
    }

    /// What a layer in between answered with nothing but a status.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::NOT_FOUND => ("gateway.not_found", "there is nothing at this address"),
            StatusCode::METHOD_NOT_ALLOWED => (
                "gateway.method_not_allowed",
                "this address does not take that method",
            ),
            StatusCode::FORBIDDEN => (
                "gateway.cross_site",
                "the request came from another site's page and was not let through",
            ),
            StatusCode::PAYLOAD_TOO_LARGE => (
                "gateway.too_large",
                "the request is larger than is taken here",
            ),
            StatusCode::GATEWAY_TIMEOUT => ("gateway.timeout", "the answer took too long"),
            StatusCode::BAD_REQUEST => ("gateway.bad_request", "the request cannot be read"),
            _ => ("gateway.error", "the request could not be answered"),
        };
        Self::new(status, code, detail)
    }

    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

const fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "The request cannot be read",
        StatusCode::UNAUTHORIZED => "Sign-in needed",
        StatusCode::FORBIDDEN => "Not allowed",
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::METHOD_NOT_ALLOWED => "Method not allowed",
        StatusCode::NOT_ACCEPTABLE => "No such representation",
        StatusCode::CONFLICT => "Conflict",
        StatusCode::PAYLOAD_TOO_LARGE => "Too large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "Unsupported media type",
        StatusCode::UNPROCESSABLE_ENTITY => "The request cannot be carried out as it is",
        StatusCode::TOO_MANY_REQUESTS => "Too many requests",
        StatusCode::SERVICE_UNAVAILABLE => "Not available just now",
        StatusCode::GATEWAY_TIMEOUT => "Took too long",
        _ => "Something went wrong",
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.class {
            RefusalClass::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            RefusalClass::NotFound => StatusCode::NOT_FOUND,
            RefusalClass::Conflict => StatusCode::CONFLICT,
            RefusalClass::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            RefusalClass::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self {
            errors: refusal.fields,
            retry_after: (status == StatusCode::SERVICE_UNAVAILABLE).then_some(2),
            ..Self::new(status, &refusal.code, refusal.detail)
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Refusal::from(failure).into()
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "gateway.bad_query",
            rejection.body_text(),
        )
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        // An id that cannot be one names nothing.
        Self::not_found(rejection.body_text())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // So that the outermost layer can add what only it knows.
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(class: RefusalClass) -> Problem {
        Problem::from(Refusal {
            code: "allocation.receipt_moved_on".into(),
            class,
            detail: "the receipt is at version 4".into(),
            fields: vec![FieldProblem {
                pointer: "/expected_version".into(),
                detail: "is 3".into(),
            }],
        })
    }

    #[test]
    fn the_class_of_a_refusal_decides_the_status() {
        let statuses = [
            (RefusalClass::Invalid, 422),
            (RefusalClass::NotFound, 404),
            (RefusalClass::Conflict, 409),
            (RefusalClass::Unavailable, 503),
            (RefusalClass::Internal, 500),
        ];
        for (class, status) in statuses {
            assert_eq!(of(class).status, status, "{class:?}");
        }
        assert_eq!(of(RefusalClass::Unavailable).retry_after, Some(2));
    }

    #[test]
    fn a_problem_has_the_members_of_rfc_9457_and_the_fields_at_fault() {
        let json = serde_json::to_value(of(RefusalClass::Conflict)).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "type": "urn:counterfoil:problem:allocation.receipt_moved_on",
                "title": "Conflict",
                "status": 409,
                "detail": "the receipt is at version 4",
                "code": "allocation.receipt_moved_on",
                "errors": [{"pointer": "/expected_version", "detail": "is 3"}],
            })
        );
    }

    #[test]
    fn the_answer_says_what_it_is_and_when_to_come_back() {
        let response = Problem::too_many_sign_ins(8).into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );
        assert_eq!(response.headers()[header::RETRY_AFTER], "8");
    }
}
