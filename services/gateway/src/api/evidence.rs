//! Files as evidence of a case: in by a form, out as an attachment.

use axum::{
    extract::{Extension, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use contracts::{
    api::disputes::{EvidenceFile, FetchEvidence, KeepEvidence},
    disputes::CaseId,
};
use kernel::CommandId;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    Path,
    controls::person,
    encoded,
    imports::Upload,
    once::{Answers, answered},
};
use crate::{App, auth::Caller, problem::Problem};

/// Bytes that are read of a form before it is too large to be answered: above
/// what is kept, so that the answer can say which field it is.
pub(crate) const READ_MAX: usize = 4 * KeepEvidence::MAX_BYTES;
/// Fields beside the file, and letters of each.
const FIELDS_MAX: usize = 40;
const FIELD_MAX: usize = 10_000;

/// A form with one file, as it came in.
#[derive(Default)]
pub(crate) struct Sent {
    pub(crate) pairs: Vec<(String, String)>,
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

fn unusable(pointer: &str, detail: impl Into<String>) -> Problem {
    Problem::invalid("gateway.upload_unusable", pointer, detail)
}

fn too_large() -> Problem {
    let most = KeepEvidence::MAX_BYTES / 1000;
    unusable(
        "/file",
        format!("the file is too large: at most {most} kB are kept"),
    )
}

impl Sent {
    pub(crate) async fn read(Upload(mut form): Upload) -> (Self, Result<(), Problem>) {
        let mut sent = Self::default();
        let read = sent.fill(&mut form).await.map_err(|problem| {
            if problem.status() == StatusCode::PAYLOAD_TOO_LARGE {
                too_large()
            } else {
                problem
            }
        });
        (sent, read)
    }

    async fn fill(&mut self, form: &mut axum::extract::Multipart) -> Result<(), Problem> {
        while let Some(mut field) = form.next_field().await? {
            let of = field.name().unwrap_or_default().to_owned();
            if of == "file" {
                let name = field.file_name().unwrap_or_default().to_owned();
                let mut size = 0;
                while let Some(chunk) = field.chunk().await? {
                    size += chunk.len();
                    if size <= KeepEvidence::MAX_BYTES {
                        self.bytes.extend_from_slice(&chunk);
                    }
                }
                if size > KeepEvidence::MAX_BYTES {
                    return Err(too_large());
                }
                self.name = name;
                continue;
            }
            let mut text = Vec::new();
            while let Some(chunk) = field.chunk().await? {
                text.extend_from_slice(&chunk);
                if text.len() > FIELD_MAX {
                    return Err(unusable(&format!("/{of}"), "this field is too long"));
                }
            }
            if self.pairs.len() == FIELDS_MAX {
                return Err(unusable("", "the form has too many fields"));
            }
            let text = String::from_utf8_lossy(&text).into_owned();
            self.pairs.push((of, text));
        }
        Ok(())
    }

    pub(crate) fn field(&self, name: &str) -> &str {
        self.pairs
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value.trim())
    }

    /// The command that the form is.
    ///
    /// # Errors
    /// When there is no file in it, or its version is none.
    pub(crate) fn command(
        &self,
        command_id: CommandId,
        case_id: CaseId,
        caller: &Caller,
    ) -> Result<KeepEvidence, Problem> {
        if self.name.trim().is_empty() {
            return Err(unusable("/file", "choose a file"));
        }
        let version = match self.field("version") {
            "" => None,
            text => Some(
                text.parse()
                    .map_err(|_| unusable("/version", "a version is a number"))?,
            ),
        };
        let or = |given: &str, other: String| {
            if given.is_empty() {
                other
            } else {
                given.to_owned()
            }
        };
        Ok(KeepEvidence {
            command_id,
            case_id,
            version,
            label: or(self.field("label"), self.name.clone()),
            file_name: self.name.clone(),
            sha256: or(
                self.field("sha256"),
                hex::encode(Sha256::digest(&self.bytes)),
            ),
            base64: BASE64_STANDARD.encode(&self.bytes),
            reason: self.field("reason").to_owned(),
            person: person(caller),
        })
    }
}

/// Keeps a file as evidence: PDF, PNG, JPEG or text by what is in it, at most
/// 2,000 kB, and 50 of a case. `label` is the file's name when absent; `sha256`,
/// when it is sent, must be that of the file.
#[utoipa::path(
    post, path = "/api/v1/disputes/{id}/evidence", tag = "disputes", operation_id = "keepEvidence",
    params(
        ("id" = String, Path, format = Uuid, description = "The case"),
        ("Idempotency-Key" = String, Header, description = "New for every command, the same for every repetition of it"),
    ),
    request_body(content_type = "multipart/form-data", content = inline(crate::openapi::EvidenceForm)),
    responses((status = 200, description = "The case as it is now", body = ref("#/components/schemas/CaseDetail")))
)]
pub(crate) async fn keep(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(case_id): Path<CaseId>,
    uri: Uri,
    headers: HeaderMap,
    upload: Upload,
) -> Result<Response, Problem> {
    let (sent, read) = Sent::read(upload).await;
    read?;
    // What separates the parts of a form is new every time it is sent.
    let ask = sent.command(CommandId::from(Uuid::nil()), case_id, &caller)?;
    let said = serde_json::to_vec(&(&ask.label, &ask.file_name, &ask.sha256, &ask.reason))
        .map_err(messaging::Failure::from)?;
    let path = uri.path().as_bytes();
    let route = "keep_evidence";
    answered(
        Answers::Anew,
        &app,
        &caller,
        route,
        &headers,
        [path, &said],
        async |command_id| Ok(app.bus.ask(&KeepEvidence { command_id, ..ask }).await?),
    )
    .await
}

#[derive(Debug, Deserialize)]
pub(crate) struct EvidencePath {
    id: CaseId,
    evidence_id: Uuid,
}

/// A file that is kept as evidence, as an attachment; its SHA-256 was compared
/// with what was kept, and stands in `Repr-Digest`.
#[utoipa::path(
    get, path = "/api/v1/disputes/{id}/evidence/{evidence_id}", tag = "disputes", operation_id = "fetchEvidence",
    params(
        ("id" = String, Path, format = Uuid, description = "The case"),
        ("evidence_id" = String, Path, format = Uuid, description = "The piece of evidence"),
    ),
    responses((status = 200, description = "The file, byte for byte", content_type = "application/octet-stream"))
)]
pub(crate) async fn fetch(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(path): Path<EvidencePath>,
) -> Result<Response, Problem> {
    let ask = FetchEvidence {
        case_id: path.id,
        evidence_id: path.evidence_id,
        person: person(&caller),
    };
    attachment(app.bus.ask(&ask).await?)
}

/// A file that is kept, as an attachment with its digest.
pub(crate) fn attachment(file: EvidenceFile) -> Result<Response, Problem> {
    let broken =
        || messaging::Failure::bug("gateway.file_broken", "the file did not come as it is kept");
    let bytes = BASE64_STANDARD.decode(&file.base64).map_err(|_| broken())?;
    let digest = Sha256::digest(&bytes);
    if hex::encode(digest) != file.sha256 {
        return Err(broken().into());
    }
    // Old clients read the first name, which is plain; others the second.
    let plain: String = file
        .name
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' | ' ' => c,
            _ => '_',
        })
        .collect();
    let named = format!(
        "attachment; filename=\"{plain}\"; filename*=UTF-8''{}",
        encoded(&file.name)
    );
    let digest = format!("sha-256=:{}:", BASE64_STANDARD.encode(digest));
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, file.media_type),
        (header::CONTENT_DISPOSITION, named),
        (header::HeaderName::from_static("repr-digest"), digest),
    ] {
        headers.insert(name, HeaderValue::try_from(value).map_err(|_| broken())?);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> EvidenceFile {
        EvidenceFile {
            name: "Liefer\"schein é.pdf".to_owned(),
            media_type: "application/pdf".to_owned(),
            sha256: hex::encode(Sha256::digest(bytes)),
            base64: BASE64_STANDARD.encode(bytes),
        }
    }

    #[test]
    fn a_file_is_an_attachment_with_a_harmless_name_and_its_digest() {
        let response = attachment(file(b"%PDF-1.7")).unwrap();
        let headers = response.headers();
        assert_eq!(
            headers[header::CONTENT_DISPOSITION],
            "attachment; filename=\"Liefer_schein _.pdf\"; filename*=UTF-8''Liefer%22schein%20%C3%A9.pdf"
        );
        assert_eq!(headers[header::CONTENT_TYPE], "application/pdf");
        assert!(
            headers["repr-digest"]
                .to_str()
                .unwrap()
                .starts_with("sha-256=:")
        );
    }

    #[test]
    fn a_file_that_is_not_what_was_kept_is_not_given_out() {
        let wrong = EvidenceFile {
            base64: BASE64_STANDARD.encode(b"other"),
            ..file(b"%PDF-1.7")
        };
        assert_eq!(attachment(wrong).unwrap_err().status, 500);
    }
}
