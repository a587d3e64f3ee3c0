//! Files from outside, on their way to ingestion.

use axum::{
    Json,
    extract::{
        Extension, FromRequest, Multipart, Request, State,
        multipart::{Field, MultipartError},
    },
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use contracts::api::ingestion::{
    AppendImport, GetImport, ImportView, ListImports, OpenImport, SubmitImport,
};
use kernel::ImportId;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use utoipa::IntoParams;

use super::{Path, Query, list, page_request};
use crate::{App, auth::Caller, openapi, problem::Problem};

/// Form fields besides the file are short.
const FIELD_MAX: usize = 100;

/// A form with files in it, not yet read.
pub(crate) struct Upload(pub(super) Multipart);

impl<S: Send + Sync> FromRequest<S> for Upload {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Multipart::from_request(request, state).await {
            Ok(form) => Ok(Self(form)),
            Err(rejection) => Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "gateway.not_multipart",
                rejection.body_text(),
            )),
        }
    }
}

impl From<MultipartError> for Problem {
    fn from(error: MultipartError) -> Self {
        if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return too_large();
        }
        Self::new(
            StatusCode::BAD_REQUEST,
            "gateway.upload_broken",
            error.body_text(),
        )
    }
}

fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "gateway.upload_too_large",
        "the file is larger than this installation takes; split it, or raise the limit",
    )
}

fn unusable(pointer: &str, detail: &str) -> Problem {
    Problem::invalid("gateway.upload_unusable", pointer, detail)
}

/// Passes the files of a form on to ingestion, each in pieces as it comes in: a
/// file is never whole in our memory. `format` and `dry_run` count for the files
/// behind them.
pub(crate) async fn receive(
    app: &App,
    caller: &Caller,
    Upload(mut form): Upload,
    files_max: usize,
) -> Result<Vec<ImportView>, Problem> {
    let (mut format, mut dry_run) = (None, false);
    let mut imports = Vec::new();
    while let Some(mut field) = form.next_field().await? {
        match field.name() {
            Some("format") => {
                format = Some(short(&mut field).await?).filter(|format| !format.is_empty());
            }
            Some("dry_run") => {
                dry_run = match short(&mut field).await?.as_str() {
                    "true" | "on" | "1" => true,
                    "false" | "" | "0" => false,
                    _ => return Err(unusable("/dry_run", "`dry_run` is `true` or `false`")),
                }
            }
            Some("file") => {
                let name = file_name(field.file_name().unwrap_or_default());
                if name.is_empty() {
                    // What browsers send where no file was chosen.
                    continue;
                }
                if imports.len() == files_max {
                    return Err(unusable("/file", "too many files at once"));
                }
                let open = OpenImport {
                    file_name: name,
                    format: format.clone(),
                    dry_run,
                    actor: caller.actor(),
                };
                imports.push(pass_on(app, &open, &mut field).await?);
            }
            _ => {}
        }
    }
    if imports.is_empty() {
        return Err(unusable(
            "/file",
            "there is no file in the form field `file`",
        ));
    }
    Ok(imports)
}

async fn pass_on(
    app: &App,
    open: &OpenImport,
    field: &mut Field<'_>,
) -> Result<ImportView, Problem> {
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut piece = 0;
    let mut held = Vec::with_capacity(AppendImport::MAX_BYTES);
    let mut import_id = None;
    loop {
        let chunk = field.chunk().await?;
        if let Some(chunk) = &chunk {
            hash.update(chunk);
            bytes += chunk.len();
            held.extend_from_slice(chunk);
            if bytes > app.options.upload_limit {
                return Err(too_large());
            }
        } else if bytes == 0 {
            return Err(unusable("/file", "the file is empty"));
        }
        while held.len() >= AppendImport::MAX_BYTES || (chunk.is_none() && !held.is_empty()) {
            let import_id = match import_id {
                Some(import_id) => import_id,
                None => *import_id.insert(app.bus.ask(open).await?.import_id),
            };
            let rest = held.split_off(held.len().min(AppendImport::MAX_BYTES));
            app.bus
                .ask(&AppendImport {
                    import_id,
                    piece,
                    base64: BASE64_STANDARD.encode(&held),
                })
                .await?;
            held = rest;
            piece += 1;
        }
        if let (None, Some(import_id)) = (&chunk, import_id) {
            let sha256 = hex::encode(hash.finalize());
            return Ok(app.bus.ask(&SubmitImport { import_id, sha256 }).await?);
        }
    }
}

async fn short(field: &mut Field<'_>) -> Result<String, Problem> {
    let mut text = Vec::new();
    while let Some(chunk) = field.chunk().await? {
        text.extend_from_slice(&chunk);
        if text.len() > FIELD_MAX {
            return Err(unusable(
                "",
                "a form field is longer than anything it may say",
            ));
        }
    }
    Ok(String::from_utf8_lossy(&text).trim().to_owned())
}

/// The last part of a path, without what has no business in a name.
fn file_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    last.chars()
        .filter(|c| !c.is_control())
        .take(255)
        .collect::<String>()
        .trim()
        .to_owned()
}

/// Brings in a file: `multipart/form-data` with `file` and, before it, `format`
/// (detected when absent) and `dry_run`. The file is read afterwards; see the
/// import under `Location`.
#[utoipa::path(
    post, path = "/api/v1/imports", tag = "imports", operation_id = "importFile",
    request_body(content_type = "multipart/form-data", content = inline(openapi::ImportForm)),
    responses((status = 202, description = "The file is here and will be read", body = ref("#/components/schemas/ImportView"),
        headers(("Location" = String, description = "Where to see how far the import is"))))
)]
pub(crate) async fn import(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    upload: Upload,
) -> Result<Response, Problem> {
    let view = receive(&app, &caller, upload, 1).await?.swap_remove(0);
    let location = HeaderValue::from_str(&format!("/api/v1/imports/{}", view.import_id));
    let mut response = (StatusCode::ACCEPTED, Json(view)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImportsQuery {
    /// Where the page begins, from `next_cursor`.
    cursor: Option<String>,
    /// 50 when absent, at most 200.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// Imports, newest first.
#[utoipa::path(
    get, path = "/api/v1/imports", tag = "imports", operation_id = "listImports", params(ImportsQuery),
    responses((status = 200, description = "A page of imports", body = ref("#/components/schemas/Page_for_ImportView")))
)]
pub(crate) async fn list_imports(
    State(app): State<App>,
    uri: Uri,
    Query(query): Query<ImportsQuery>,
) -> Result<Response, Problem> {
    let page = app
        .bus
        .ask(&ListImports {
            page: page_request(query.cursor, query.limit),
        })
        .await?;
    Ok(list(&uri, &page))
}

/// How far an import is, what it brought, and what was wrong with it.
#[utoipa::path(
    get, path = "/api/v1/imports/{id}", tag = "imports", operation_id = "getImport",
    params(("id" = String, Path, format = Uuid, description = "The import")),
    responses((status = 200, description = "The import", body = ref("#/components/schemas/ImportView")))
)]
pub(crate) async fn get_import(
    State(app): State<App>,
    Path(import_id): Path<ImportId>,
) -> Result<Response, Problem> {
    Ok(Json(app.bus.ask(&GetImport { import_id }).await?).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_no_path_and_holds_no_control_characters() {
        assert_eq!(file_name("C:\\bank\\nov.mt940"), "nov.mt940");
        assert_eq!(file_name("../../etc/passwd"), "passwd");
        assert_eq!(file_name("a\r\nb\u{0}.csv "), "ab.csv");
        assert_eq!(file_name("/"), "");
        assert_eq!(file_name(&"x".repeat(1000)).len(), 255);
    }
}
