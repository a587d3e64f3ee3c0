//! A new case: find the documents, say what is wrong with them.

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use contracts::{
    api::{
        PageRequest,
        allocation::{FindOpenItems, OpenItemView},
        disputes::{CaseLine, GetTaxonomy, OpenCase, Taxonomy},
    },
    disputes::CaseKind,
};
use kernel::Money;

use super::{Pairs, field, some};
use crate::{
    App,
    api::{controls::person, once::command_id},
    pages::{
        PageProblem, Section, Shell, Toast, Visit,
        show::{Uk as _, typed_amount},
    },
    problem::Problem,
};

#[derive(Template)]
#[template(path = "dispute_new.html")]
struct NewPage {
    shell: Shell,
    search: String,
    items: Vec<OpenItemView>,
    taxonomy: Taxonomy,
    pairs: Pairs,
    problems: Vec<String>,
}

impl NewPage {
    fn typed(&self, name: &str) -> &str {
        field(&self.pairs, name)
    }

    fn ticked(&self, item: &OpenItemView) -> bool {
        let id = item.document_id.to_string();
        self.pairs
            .iter()
            .any(|(name, value)| name == "document" && *value == id)
    }

    fn amount(&self, item: &OpenItemView) -> String {
        let typed = self.typed(&format!("amount:{}", item.document_id));
        if typed.is_empty() {
            item.open.amount().to_string()
        } else {
            typed.to_owned()
        }
    }
}

async fn found(app: &App, search: &str) -> Result<Vec<OpenItemView>, Problem> {
    if search.is_empty() {
        return Ok(Vec::new());
    }
    let ask = FindOpenItems {
        search: some(search),
        page: PageRequest {
            cursor: None,
            limit: Some(100),
        },
        ..FindOpenItems::default()
    };
    let mut items = app.bus.ask(&ask).await?.items;
    items.retain(|item| item.open.is_positive());
    Ok(items)
}

async fn assemble(
    app: &App,
    visit: &Visit,
    pairs: Pairs,
    problems: Vec<String>,
) -> Result<NewPage, Problem> {
    let search = field(&pairs, "search").to_owned();
    Ok(NewPage {
        shell: visit.shell(Section::Disputes, "New case"),
        items: found(app, &search).await?,
        taxonomy: app.bus.ask(&GetTaxonomy {}).await?,
        search,
        pairs,
        problems,
    })
}

/// `GET /disputes/new`
pub(crate) async fn form(
    State(app): State<App>,
    visit: Visit,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let page = assemble(&app, &visit, pairs, Vec::new())
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

async fn open(app: &App, visit: &Visit, pairs: &Pairs) -> Result<(String, String), Problem> {
    let wrong = |pointer: &str, detail: &str| Problem::invalid("gateway.bad_form", pointer, detail);
    let key = field(pairs, "key");
    if key.is_empty() || key.len() > 200 {
        return Err(wrong("/key", "the form has no key: load the page again"));
    }
    let items = found(app, field(pairs, "search")).await?;
    let mut lines = Vec::new();
    for (name, value) in pairs {
        if name != "document" {
            continue;
        }
        let item = items
            .iter()
            .find(|item| item.document_id.to_string() == *value)
            .ok_or_else(|| wrong("/document", "a document that is not open any more"))?;
        let typed = field(pairs, &format!("amount:{value}"));
        let amount = typed_amount(typed)
            .map(|text| Money::parse(&text, item.open.currency()))
            .transpose()
            .map_err(|error| wrong("/amount", &format!("“{typed}” is no amount: {error}")))?;
        lines.push(CaseLine {
            document_id: item.document_id,
            amount,
            lines: some(field(pairs, "lines")).into_iter().collect(),
        });
    }
    let taxonomy = app.bus.ask(&GetTaxonomy {}).await?;
    let reason_code = field(pairs, "reason_code").to_owned();
    let kind = taxonomy
        .reasons
        .iter()
        .find(|reason| reason.code == reason_code)
        .map_or(CaseKind::Dispute, |reason| reason.kind);
    let account_id = items.first().map(|item| item.account_id);
    if lines.is_empty() && kind != CaseKind::Complaint {
        return Err(wrong("/document", "tick the documents that it is about"));
    }
    let ask = OpenCase {
        command_id: command_id(visit.caller.user_id, "new dispute", key),
        kind,
        account_id: account_id.filter(|_| lines.is_empty()),
        lines,
        reason_code,
        reason: field(pairs, "reason").to_owned(),
        raised_at: None,
        processor: some(field(pairs, "processor")),
        linked: None,
        person: person(&visit.caller),
    };
    let opened = app.bus.ask(&ask).await?;
    let case = opened.case;
    Ok((
        case.case_id.to_string(),
        format!(
            "{} is open: {} is not chased.",
            case.case_ref,
            case.disputed.uk()
        ),
    ))
}

/// `POST /disputes/new`
pub(crate) async fn submit(
    State(app): State<App>,
    visit: Visit,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    match open(&app, &visit, &pairs).await {
        Ok((case, text)) => {
            let toast = Toast {
                text,
                warning: false,
                undo: None,
            };
            Ok(visit.go(&format!("/disputes?case={case}"), &toast))
        }
        Err(problem) if problem.status().is_client_error() => {
            let mut problems = vec![problem.detail.clone()];
            let fields = problem.errors.iter().map(|field| field.detail.clone());
            problems.extend(fields.filter(|detail| *detail != problem.detail));
            let page = assemble(&app, &visit, pairs, problems)
                .await
                .map_err(visit.give_up())?;
            Ok(visit.show(problem.status(), &page))
        }
        Err(problem) => Err(visit.give_up()(problem)),
    }
}
