//! Imports: bring in files, and see what became of them.

use askama::Template;
use axum::{
    extract::{Extension, Query, State},
    http::StatusCode,
    response::Response,
};
use contracts::api::ingestion::{GetImport, ImportState, ImportView, ListImports};
use kernel::ImportId;
use serde::Deserialize;

use super::{
    PageProblem, Section, Shell, Toast, Visit,
    show::{Named as _, Uk as _, Words as _},
};
use crate::{
    App,
    api::{
        Path, encoded,
        imports::{Upload, receive},
        page_request,
    },
    auth::{Access, Caller},
    problem::Problem,
};

/// Files of one form, at most.
const FILES_MAX: usize = 20;

#[derive(Deserialize)]
pub(crate) struct ListQuery {
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "imports.html")]
struct ImportsPage {
    shell: Shell,
    imports: Vec<ImportView>,
    next: Option<String>,
    first: bool,
    may_import: bool,
    limit: String,
    problem: Option<Problem>,
}

/// `GET /imports`
pub(crate) async fn list(
    State(app): State<App>,
    visit: Visit,
    Query(query): Query<ListQuery>,
) -> Result<Response, PageProblem> {
    let page = assemble(&app, &visit, query.cursor, None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

async fn assemble(
    app: &App,
    visit: &Visit,
    cursor: Option<String>,
    problem: Option<Problem>,
) -> Result<ImportsPage, Problem> {
    let first = cursor.is_some();
    let found = app
        .bus
        .ask(&ListImports {
            page: page_request(cursor, None),
        })
        .await?;
    Ok(ImportsPage {
        shell: visit.shell(Section::Imports, "Imports"),
        imports: found.items,
        next: found
            .next_cursor
            .map(|cursor| format!("/imports?cursor={}", encoded(&cursor))),
        first,
        may_import: Access::IMPORT.allows(&visit.caller.roles),
        limit: size(app.options.upload_limit as u64),
        problem,
    })
}

/// Bytes for people: `64 MB`, `3.2 kB`.
fn size(bytes: u64) -> String {
    const STEP: u64 = 1024;
    match bytes {
        0..STEP => format!("{bytes} B"),
        STEP..1_048_576 => format!("{}.{} kB", bytes / STEP, bytes % STEP * 10 / STEP),
        _ => format!(
            "{}.{} MB",
            bytes / 1_048_576,
            bytes % 1_048_576 * 10 / 1_048_576
        ),
    }
    .replace(".0 ", " ")
}

fn size_of(view: &ImportView) -> String {
    size(u64::try_from(view.bytes).unwrap_or(0))
}

/// `POST /imports`
pub(crate) async fn upload(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    visit: Visit,
    upload: Result<Upload, Problem>,
) -> Result<Response, PageProblem> {
    let received = match upload {
        Ok(upload) => receive(&app, &caller, upload, FILES_MAX).await,
        Err(problem) => Err(problem),
    };
    match received {
        Ok(imports) => {
            let toast = Toast {
                text: match imports.as_slice() {
                    [one] => format!("{} is here and will be read.", one.file_name),
                    many => format!("{} files are here and will be read.", many.len()),
                },
                warning: false,
                undo: None,
            };
            let to = match imports.as_slice() {
                [one] => format!("/imports/{}", one.import_id),
                _ => "/imports".to_owned(),
            };
            Ok(visit.go(&to, &toast))
        }
        Err(problem) if problem.status().is_client_error() => {
            let status = problem.status();
            let page = assemble(&app, &visit, None, Some(problem))
                .await
                .map_err(visit.give_up())?;
            Ok(visit.show(status, &page))
        }
        Err(problem) => Err(visit.give_up()(problem)),
    }
}

#[derive(Template)]
#[template(path = "import.html")]
struct ImportPage {
    shell: Shell,
    import: ImportView,
    may_undo: bool,
}

impl ImportPage {
    /// Whether there is nothing more to wait for.
    fn over(&self) -> bool {
        matches!(
            self.import.state,
            ImportState::Recorded | ImportState::Refused | ImportState::AlreadyKnown
        )
    }

    fn size(&self) -> String {
        size_of(&self.import)
    }
}

/// `GET /imports/{id}`
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(import_id): Path<ImportId>,
) -> Result<Response, PageProblem> {
    let import = app
        .bus
        .ask(&GetImport { import_id })
        .await
        .map_err(visit.give_up())?;
    let page = ImportPage {
        shell: visit.shell(Section::Imports, import.file_name.clone()),
        may_undo: Access::ALLOCATE.allows(&visit.caller.roles)
            && import.state == ImportState::Recorded
            && !import.dry_run,
        import,
    };
    Ok(visit.show(StatusCode::OK, &page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_say_them() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1024), "1 kB");
        assert_eq!(size(3300), "3.2 kB");
        assert_eq!(size(64 * 1024 * 1024), "64 MB");
    }
}
