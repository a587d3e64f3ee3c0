//! The browser's files, embedded by `build.rs`, under an address that changes
//! with their content.

use axum::{
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};

use crate::problem::Problem;

const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Changes whenever a byte of any file does.
pub(crate) const HASH: &str = env!("GATEWAY_ASSETS_HASH");

/// Whether the third-party files were there when the program was built.
pub(crate) fn complete() -> bool {
    env!("GATEWAY_ASSETS_COMPLETE") == "true"
}

/// Where a page finds a file.
pub(crate) fn url(name: &str) -> String {
    format!("/assets/{HASH}/{name}")
}

/// `GET /assets/{hash}/{name}`
pub(crate) async fn serve(
    Path((hash, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let found = FILES.iter().find(|(file, _)| *file == name);
    let (Some((_, bytes)), true) = (found, hash == HASH) else {
        return Problem::not_found("there is no such file").into_response();
    };
    let etag = format!("\"{HASH}\"");
    let cached = [
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        ),
        (
            header::ETAG,
            HeaderValue::from_str(&etag).unwrap_or_else(|_| HeaderValue::from_static("\"\"")),
        ),
    ];
    if headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == etag.as_bytes())
    {
        return (StatusCode::NOT_MODIFIED, cached).into_response();
    }
    (
        cached,
        [(header::CONTENT_TYPE, content_type(&name))],
        *bytes,
    )
        .into_response()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(hash: &str, name: &str, headers: HeaderMap) -> Response {
        serve(Path((hash.to_owned(), name.to_owned())), headers).await
    }

    #[tokio::test]
    async fn files_are_cached_for_ever_under_their_hash_alone() {
        let response = get(HASH, "app.css", HeaderMap::new()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "text/css; charset=utf-8"
        );
        assert!(
            response.headers()[header::CACHE_CONTROL]
                .to_str()
                .unwrap()
                .contains("immutable")
        );
        assert_eq!(get("0000", "app.css", HeaderMap::new()).await.status(), 404);
        assert_eq!(
            get(HASH, "../Cargo.toml", HeaderMap::new()).await.status(),
            404
        );
    }

    #[tokio::test]
    async fn a_known_file_is_not_sent_again() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::IF_NONE_MATCH,
            format!("\"{HASH}\"").parse().unwrap(),
        );
        assert_eq!(get(HASH, "app.css", headers).await.status(), 304);
    }

    #[test]
    fn no_file_reaches_for_another_host() {
        for (name, bytes) in FILES {
            let text = String::from_utf8_lossy(bytes);
            for line in text.lines().filter(|_| !name.starts_with("htmx")) {
                let at = line.trim_start();
                let said = line.contains("http://www.w3.org/")
                    || at.starts_with("//")
                    || at.starts_with('*');
                assert!(
                    said || !(line.contains("http://") || line.contains("https://")),
                    "{name}: {line}"
                );
            }
        }
    }
}
