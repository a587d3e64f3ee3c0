//! Undoing what a file's receipts were allocated to by themselves: shown first.

use askama::Template;
use axum::{Form, extract::State, http::StatusCode, response::Response};
use contracts::api::ingestion::GetImport;
use kernel::ImportId;
use serde::Deserialize;

use super::{PageProblem, Section, Shell, Toast, Visit, show::Uk as _};
use crate::{
    App,
    api::{
        Path,
        import_undo::{ImportUndo, automatic, undo_all},
        once::command_id,
        receipts::stated,
    },
    problem::Problem,
};

#[derive(Template)]
#[template(path = "import_undo.html")]
struct UndoPage {
    shell: Shell,
    file_name: String,
    undo: ImportUndo,
    problem: Option<String>,
}

async fn assemble(
    app: &App,
    visit: &Visit,
    import_id: ImportId,
    problem: Option<String>,
) -> Result<UndoPage, Problem> {
    let import = app.bus.ask(&GetImport { import_id }).await?;
    let (found, more) = automatic(app, import_id).await?;
    Ok(UndoPage {
        shell: visit.shell(Section::Imports, "Undo an import"),
        file_name: import.file_name,
        undo: ImportUndo::of(import_id, &found, more),
        problem,
    })
}

/// `GET /imports/{id}/undo`
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Path(import_id): Path<ImportId>,
) -> Result<Response, PageProblem> {
    let page = assemble(&app, &visit, import_id, None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

#[derive(Deserialize)]
pub(crate) struct UndoForm {
    key: String,
    #[serde(default)]
    reason: String,
}

/// `POST /imports/{id}/undo`
pub(crate) async fn undo(
    State(app): State<App>,
    visit: Visit,
    Path(import_id): Path<ImportId>,
    Form(form): Form<UndoForm>,
) -> Result<Response, PageProblem> {
    let reason: String = match stated(&form.reason) {
        Ok(reason) => reason,
        Err(problem) => {
            let (status, said) = (problem.status(), problem.detail);
            let page = assemble(&app, &visit, import_id, Some(said))
                .await
                .map_err(visit.give_up())?;
            return Ok(visit.show(status, &page));
        }
    };
    let (found, more) = automatic(&app, import_id).await.map_err(visit.give_up())?;
    let command = command_id(visit.caller.user_id, "undo-import", &form.key);
    let outcome = undo_all(&app, &visit.caller, command, &found, &reason).await;
    let (done, failed) = (outcome.done(), outcome.failed());
    let refused = match failed {
        0 => String::new(),
        some => format!(" {some} were refused."),
    };
    let text = format!(
        "Took back {} of {done} receipts.{refused}",
        outcome.totals().uk()
    );
    let toast = Toast {
        text,
        warning: failed > 0,
        undo: None,
    };
    let to = if more || failed > 0 {
        format!("/imports/{import_id}/undo")
    } else {
        format!("/imports/{import_id}")
    };
    Ok(visit.go(&to, &toast))
}
