//! The description of the API (OpenAPI 3.1), made from the same table that
//! routes requests and from the same types that travel on the broker.

use std::collections::HashMap;

use axum::{
    Json,
    http::header,
    response::{IntoResponse, Response},
};
use contracts::{
    api::{
        Page, allocation, controls, direct_debits, disputes, dunning, ingestion, matters,
        reporting, returns, rules, workbench, worklist,
    },
    rules::RuleSet,
    worklist as work,
};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};
use utoipa::{
    ToSchema,
    openapi::{InfoBuilder, Object, ObjectBuilder, OpenApiBuilder, schema::Type},
};

use crate::{api, auth::Access, problem::Problem, routes};

/// The form of an upload.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only described, never made: the form is read as a stream"
)]
pub(crate) struct ImportForm {
    /// One of the formats that ingestion reads; detected from the content when
    /// absent. Comes before the file.
    format: Option<String>,
    /// Read and report, but record nothing. Comes before the file.
    dry_run: Option<bool>,
    /// The file.
    #[schema(format = Binary, content_media_type = "application/octet-stream")]
    file: String,
}

/// The form of a piece of evidence.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "only described, never made: the form is read as a stream"
)]
pub(crate) struct EvidenceForm {
    /// What it is; the file's name when absent.
    label: Option<String>,
    /// What it shows.
    reason: String,
    /// The version of the case that you saw; refused when it is another now.
    version: Option<i64>,
    /// Of the file, hex; refused when it differs.
    sha256: Option<String>,
    /// The file.
    #[schema(format = Binary, content_media_type = "application/octet-stream")]
    file: String,
}

/// A query parameter with few values.
fn one_of<const N: usize>(values: [&'static str; N], default: &'static str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(values))
        .default(Some(json!(default)))
        .build()
}

pub(crate) fn receipt_queue() -> Object {
    one_of(
        [
            "to_review",
            "suggested",
            "unidentified",
            "unallocated",
            "on_account",
            "possible_duplicates",
            "parked",
            "allocated_today",
            "allocated",
            "all",
        ],
        "to_review",
    )
}

pub(crate) fn rule_set_state() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["draft", "shadow", "live", "retired"]))
        .build()
}

pub(crate) fn approval_queue() -> Object {
    one_of(["waiting", "mine", "history", "all"], "waiting")
}

pub(crate) fn case_queue() -> Object {
    one_of(
        [
            "open",
            "suspected",
            "new",
            "working",
            "awaiting_internal",
            "awaiting_customer",
            "proposed",
            "resolved",
            "closed",
            "all",
        ],
        "open",
    )
}

/// Optional: it has no default.
pub(crate) fn debit_state() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some([
            "unmatched",
            "returned",
            "reversed",
            "ours",
            "paired",
            "expected",
            "withdrawn",
        ]))
        .build()
}

pub(crate) fn ageing_basis() -> Object {
    one_of(["due", "document"], "due")
}

pub(crate) fn work_view() -> Object {
    one_of(["mine", "team", "unowned", "snoozed", "ended"], "mine")
}

/// Optional: it has no default.
pub(crate) fn sla_state() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some([
            "none", "running", "paused", "warned", "breached", "met",
        ]))
        .build()
}

/// Adds the schema of `T`, and of all that it holds, to the components.
fn component<T: JsonSchema>(generator: &mut SchemaGenerator) {
    generator.subschema_for::<T>();
}

/// The schemas that operations refer to.
fn components() -> Value {
    let settings = || {
        SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
    };
    let mut answers = settings().for_serialize().into_generator();
    component::<Page<allocation::ReceiptView>>(&mut answers);
    component::<Page<allocation::Suggestion>>(&mut answers);
    component::<Page<allocation::OpenItemView>>(&mut answers);
    component::<allocation::QueueCounts>(&mut answers);
    component::<allocation::ReceiptDetail>(&mut answers);
    component::<Page<workbench::Acceptable>>(&mut answers);
    component::<workbench::BatchView>(&mut answers);
    component::<api::workbench::BatchOutcome>(&mut answers);
    component::<ingestion::ImportView>(&mut answers);
    component::<Page<ingestion::ImportView>>(&mut answers);
    component::<reporting::AccountView>(&mut answers);
    component::<Page<reporting::AccountView>>(&mut answers);
    component::<Page<reporting::LedgerLine>>(&mut answers);
    component::<Page<reporting::TimelineEntry>>(&mut answers);
    component::<reporting::AgedDebt>(&mut answers);
    component::<Page<reporting::AgedItem>>(&mut answers);
    component::<reporting::UnallocatedCash>(&mut answers);
    component::<Page<rules::RuleSetView>>(&mut answers);
    component::<rules::RuleSetDetail>(&mut answers);
    component::<rules::RuleSetCheck>(&mut answers);
    component::<rules::ReplayReport>(&mut answers);
    component::<rules::DemotedRungs>(&mut answers);
    component::<Page<controls::ApprovalView>>(&mut answers);
    component::<controls::ApprovalDetail>(&mut answers);
    component::<Page<controls::LimitView>>(&mut answers);
    component::<Page<controls::RefundView>>(&mut answers);
    component::<controls::RefundDetail>(&mut answers);
    component::<Page<controls::Payable>>(&mut answers);
    component::<Page<controls::RefundFileView>>(&mut answers);
    component::<controls::OrderedFile>(&mut answers);
    component::<Page<direct_debits::MandateView>>(&mut answers);
    component::<direct_debits::MandateDetail>(&mut answers);
    component::<direct_debits::NoticesRecorded>(&mut answers);
    component::<Page<direct_debits::CollectionRunView>>(&mut answers);
    component::<direct_debits::Proposed>(&mut answers);
    component::<Page<direct_debits::BacsFileView>>(&mut answers);
    component::<Page<controls::WriteOffView>>(&mut answers);
    component::<controls::WriteOffDetail>(&mut answers);
    component::<Page<controls::WriteOffReason>>(&mut answers);
    component::<Page<controls::Recovery>>(&mut answers);
    component::<Page<controls::VatRelief>>(&mut answers);
    component::<Page<controls::SmallBalanceRunView>>(&mut answers);
    component::<controls::SmallBalanceRun>(&mut answers);
    component::<Page<matters::MatterView>>(&mut answers);
    component::<matters::MatterDetail>(&mut answers);
    component::<matters::ClosureGate>(&mut answers);
    component::<matters::MatterCounts>(&mut answers);
    component::<matters::MatterCheck>(&mut answers);
    component::<Page<matters::BankMoveView>>(&mut answers);
    component::<Page<matters::MatterPayment>>(&mut answers);
    component::<Page<matters::ResidualView>>(&mut answers);
    component::<matters::ResidualDetail>(&mut answers);
    component::<Page<matters::CharityPayment>>(&mut answers);
    component::<Page<matters::DisbursementView>>(&mut answers);
    component::<Page<ingestion::BankAccountView>>(&mut answers);
    component::<Page<returns::DebitView>>(&mut answers);
    component::<returns::Offset>(&mut answers);
    component::<returns::Chaseable>(&mut answers);
    component::<Page<disputes::CaseView>>(&mut answers);
    component::<disputes::CaseDetail>(&mut answers);
    component::<disputes::CaseCounts>(&mut answers);
    component::<disputes::Taxonomy>(&mut answers);
    component::<disputes::Feedback>(&mut answers);
    component::<disputes::Nudged>(&mut answers);
    component::<Page<dunning::RunView>>(&mut answers);
    component::<reporting::AccountStatement>(&mut answers);
    component::<Page<dunning::RunAccount>>(&mut answers);
    component::<dunning::RunPreview>(&mut answers);
    component::<dunning::Standing>(&mut answers);
    component::<Page<dunning::DunningPolicyView>>(&mut answers);
    component::<dunning::DunningPolicyDetail>(&mut answers);
    component::<Page<dunning::PolicyAssignment>>(&mut answers);
    component::<dunning::PolicyAssignment>(&mut answers);
    component::<Page<dunning::TemplateRow>>(&mut answers);
    component::<Page<dunning::EnclosureRow>>(&mut answers);
    component::<dunning::EnclosureRow>(&mut answers);
    component::<dunning::TemplateDetail>(&mut answers);
    component::<dunning::TemplatePreview>(&mut answers);
    component::<dunning::EditionView>(&mut answers);
    component::<dunning::LatePayment>(&mut answers);
    component::<dunning::Statement>(&mut answers);
    component::<disputes::Erased>(&mut answers);
    component::<Page<dunning::HoldView>>(&mut answers);
    component::<dunning::LegalView>(&mut answers);
    component::<Page<dunning::ReferralView>>(&mut answers);
    component::<dunning::HoldView>(&mut answers);
    component::<Page<dunning::ContactView>>(&mut answers);
    component::<dunning::ContactView>(&mut answers);
    component::<dunning::Reach>(&mut answers);
    component::<dunning::Outcomes>(&mut answers);
    component::<dunning::ErasedNotes>(&mut answers);
    component::<Page<dunning::PromiseView>>(&mut answers);
    component::<dunning::PromiseView>(&mut answers);
    component::<dunning::PromiseFigures>(&mut answers);
    component::<Page<dunning::PlanView>>(&mut answers);
    component::<dunning::PlanView>(&mut answers);
    component::<dunning::ProposedPlan>(&mut answers);
    component::<Page<worklist::WorkRow>>(&mut answers);
    component::<worklist::WorkCounts>(&mut answers);
    component::<worklist::WorkDetail>(&mut answers);
    component::<worklist::Acted>(&mut answers);
    component::<Page<worklist::KindView>>(&mut answers);
    component::<Page<work::SlaPolicy>>(&mut answers);
    component::<worklist::Team>(&mut answers);
    component::<work::Person>(&mut answers);
    component::<worklist::AbsencePlanned>(&mut answers);
    component::<worklist::CoverView>(&mut answers);
    component::<Page<work::PortfolioRule>>(&mut answers);
    component::<worklist::PortfolioPut>(&mut answers);
    component::<worklist::DayPlan>(&mut answers);
    component::<Page<worklist::DeadlineView>>(&mut answers);
    component::<api::import_undo::ImportUndo>(&mut answers);
    component::<Problem>(&mut answers);
    let mut requests = settings().into_generator();
    component::<api::AllocationRequest>(&mut requests);
    component::<api::UndoRequest>(&mut requests);
    component::<api::workbench::ParkRequest>(&mut requests);
    component::<api::workbench::UnparkRequest>(&mut requests);
    component::<api::workbench::AcceptRequest>(&mut requests);
    component::<RuleSet>(&mut requests);
    component::<rules::ReplayRules>(&mut requests);
    component::<api::rules::DraftRequest>(&mut requests);
    component::<api::rules::StepRequest>(&mut requests);
    component::<api::rules::RestoreRequest>(&mut requests);
    component::<api::controls::DecisionRequest>(&mut requests);
    component::<api::controls::LimitRequest>(&mut requests);
    component::<api::controls::RefundRequest>(&mut requests);
    component::<api::controls::RedraftRequest>(&mut requests);
    component::<controls::RefundStep>(&mut requests);
    component::<api::refund_files::RefundFileRequest>(&mut requests);
    component::<api::refund_files::RefundFileStepRequest>(&mut requests);
    component::<api::direct_debits::InstructionFileRequest>(&mut requests);
    component::<api::direct_debits::NoticesRequest>(&mut requests);
    component::<api::direct_debits::CollectionsRequest>(&mut requests);
    component::<api::direct_debits::DiscardRequest>(&mut requests);
    component::<api::direct_debits::AgainRequest>(&mut requests);
    component::<api::controls::WriteOffRequest>(&mut requests);
    component::<api::controls::ReversalRequest>(&mut requests);
    component::<api::controls::ClaimRequest>(&mut requests);
    component::<api::controls::SmallBalancesRequest>(&mut requests);
    component::<api::controls::RunStepRequest>(&mut requests);
    component::<api::matters::MatterCheckRequest>(&mut requests);
    component::<api::matters::SplitRequest>(&mut requests);
    component::<api::matters::TransferRequest>(&mut requests);
    component::<api::matters::ClientPaymentRequest>(&mut requests);
    component::<api::matters::HoldRequest>(&mut requests);
    component::<api::matters::MoveDoneRequest>(&mut requests);
    component::<api::matters::TracingRequest>(&mut requests);
    component::<api::matters::SraRequest>(&mut requests);
    component::<api::matters::RouteRequest>(&mut requests);
    component::<api::matters::DecisionRequest>(&mut requests);
    component::<api::matters::TakeBackRequest>(&mut requests);
    component::<api::matters::DisbursementRequest>(&mut requests);
    component::<api::matters::DisbursementStepRequest>(&mut requests);
    component::<api::matters::DesignationRequest>(&mut requests);
    component::<api::returns::ReturnRequest>(&mut requests);
    component::<api::returns::TransferRequest>(&mut requests);
    component::<api::returns::OnAccountRequest>(&mut requests);
    component::<api::returns::DuplicateRequest>(&mut requests);
    component::<api::returns::UndoRunRequest>(&mut requests);
    component::<api::returns::MoveRequest>(&mut requests);
    component::<api::returns::OffsetRequest>(&mut requests);
    component::<api::returns::MatchDebitRequest>(&mut requests);
    component::<api::returns::DebitOursRequest>(&mut requests);
    component::<api::returns::ReverseDebitRequest>(&mut requests);
    component::<api::disputes::CaseRequest>(&mut requests);
    component::<api::disputes::CaseStepRequest>(&mut requests);
    component::<api::disputes::NudgeRequest>(&mut requests);
    component::<api::runs::DunningRunRequest>(&mut requests);
    component::<api::claims::ChargeRequest>(&mut requests);
    component::<api::claims::ChargeBackRequest>(&mut requests);
    component::<api::runs::DunningRunStepRequest>(&mut requests);
    component::<api::editions::TemplateDraftRequest>(&mut requests);
    component::<api::editions::EnclosureDraftRequest>(&mut requests);
    component::<api::editions::PolicyDraftRequest>(&mut requests);
    component::<api::editions::EditionStepRequest>(&mut requests);
    component::<api::editions::PolicyAssignmentRequest>(&mut requests);
    component::<api::runs::DunningRunEditRequest>(&mut requests);
    component::<api::disputes::ErasureRequest>(&mut requests);
    component::<api::referrals::ReferralRequest>(&mut requests);
    component::<api::referrals::ReferralStepRequest>(&mut requests);
    component::<api::referrals::AcknowledgmentRequest>(&mut requests);
    component::<api::holds::HoldRequest>(&mut requests);
    component::<api::holds::HoldStepRequest>(&mut requests);
    component::<api::contacts::ContactRequest>(&mut requests);
    component::<api::contacts::ContactStepRequest>(&mut requests);
    component::<api::contacts::NotesErasureRequest>(&mut requests);
    component::<api::promises::PromiseRequest>(&mut requests);
    component::<api::promises::WithdrawRequest>(&mut requests);
    component::<api::promises::PlanRequest>(&mut requests);
    component::<api::promises::PlanStepRequest>(&mut requests);
    component::<api::worklist::WorkActionRequest>(&mut requests);
    component::<api::worklist::PolicyRequest>(&mut requests);
    component::<api::worklist::PersonRequest>(&mut requests);
    component::<api::worklist::AbsenceRequest>(&mut requests);
    component::<api::worklist::WorkReason>(&mut requests);
    component::<api::worklist::PortfolioRequest>(&mut requests);

    let mut schemas = requests.take_definitions(true);
    // What both hold (such as money) reads the same either way.
    schemas.extend(answers.take_definitions(true));
    named_pages(Value::Object(schemas))
}

/// The many kinds of [`Page`] come out numbered; here each gets the name of
/// what is on it, such as `Page_for_ReceiptView`.
fn named_pages(schemas: Value) -> Value {
    let name = |(number, schema): (&String, &Value)| {
        let item = schema
            .pointer("/properties/items/items/$ref")?
            .as_str()?
            .rsplit('/')
            .next()?;
        let is_page = number
            .trim_start_matches("Page")
            .bytes()
            .all(|b| b.is_ascii_digit());
        (is_page && number.starts_with("Page"))
            .then(|| (number.clone(), format!("Page_for_{item}")))
    };
    let names: HashMap<String, String> = schemas
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(name)
        .collect();
    renamed(schemas, &names)
}

fn renamed(value: Value, names: &HashMap<String, String>) -> Value {
    const AT: &str = "#/components/schemas/";
    match value {
        Value::Object(members) => members
            .into_iter()
            .map(|(key, value)| {
                (
                    names.get(&key).cloned().unwrap_or(key),
                    renamed(value, names),
                )
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(|item| renamed(item, names)).collect(),
        Value::String(text) => match text.strip_prefix(AT).and_then(|number| names.get(number)) {
            Some(name) => Value::String(format!("{AT}{name}")),
            None => Value::String(text),
        },
        other => other,
    }
}

/// The whole description.
pub fn document() -> Value {
    let mut described = OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Counterfoil")
                .version("1")
                .description(Some(
                    "Credit control: receipts in, cleared ledgers out. Money is a decimal string with an ISO 4217 \
                     code; dates are ISO 8601; moments are RFC 3339 in UTC. Lists have cursors: follow `next_cursor` \
                     or the `Link` header. Errors are `application/problem+json`. Requests that move money need an \
                     `Idempotency-Key`.",
                ))
                .build(),
        )
        .build();
    let mut guarded = Vec::new();
    for entry in routes::table() {
        if let Some(operation) = entry.operation {
            guarded.push((entry.path, entry.method, entry.access));
            described.merge(OpenApiBuilder::new().paths(operation).build());
        }
    }
    let mut document = serde_json::to_value(described).unwrap_or_default();
    for (path, method, access) in guarded {
        let operation = &mut document["paths"][path.as_str()][method.as_str().to_ascii_lowercase()];
        operation["responses"]["default"] = json!({
            "description": "Anything that is no success",
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        });
        match access {
            Access::Public => {}
            Access::SignedIn => operation["x-roles"] = json!("any"),
            Access::Roles(roles) => {
                operation["x-roles"] = roles.iter().map(|role| role.name()).collect();
            }
        }
    }
    document["components"] = json!({
        "schemas": components(),
        "securitySchemes": {
            "session": {"type": "apiKey", "in": "cookie", "name": crate::auth::SESSION_COOKIE},
            "basic": {"type": "http", "scheme": "basic"},
        },
    });
    document["security"] = json!([{"basic": []}, {"session": []}]);
    document["servers"] = json!([{"url": "/"}]);
    document
}

/// The description as it is committed and served.
pub fn text() -> String {
    let mut text = serde_json::to_string_pretty(&document()).unwrap_or_default();
    text.push('\n');
    text
}

/// `GET /openapi.json`
pub(crate) async fn serve() -> Response {
    (
        [(header::CACHE_CONTROL, "public, max-age=300")],
        Json(document()),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every string under a `$ref`.
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(target)) = members.get("$ref") {
                    found.insert(target.clone());
                }
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn the_document_is_openapi_3_1_and_refers_to_nothing_that_is_not_there() {
        let document = document();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 20, "{found:?}");
        for target in found {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{target} is nowhere");
        }
    }

    #[test]
    fn every_api_route_is_described_and_operation_ids_are_unique() {
        let document = document();
        let mut ids = BTreeSet::new();
        for entry in routes::table() {
            if !entry.path.starts_with("/api/") {
                continue;
            }
            let operation =
                &document["paths"][entry.path.as_str()][entry.method.as_str().to_ascii_lowercase()];
            let id = operation["operationId"]
                .as_str()
                .unwrap_or_else(|| panic!("{} is not described", entry.path));
            assert!(ids.insert(id.to_owned()), "{id} twice");
            assert!(operation["responses"]["default"].is_object(), "{id}");
            assert!(
                operation["x-roles"].is_string() || operation["x-roles"].is_array(),
                "{id}"
            );
        }
    }

    #[test]
    fn moving_money_needs_a_key() {
        let document = document();
        for path in [
            "/api/v1/receipts/{id}/allocations",
            "/api/v1/allocations/{id}/undo",
            "/api/v1/receipts/{id}/park",
            "/api/v1/receipts/{id}/unpark",
            "/api/v1/receipts/accept",
            "/api/v1/batches/{id}/undo",
            "/api/v1/approvals/{id}/approve",
            "/api/v1/refunds",
            "/api/v1/refunds/{id}/steps",
            "/api/v1/write-offs/{id}/reverse",
            "/api/v1/small-balances/{id}/steps",
        ] {
            let parameters = document["paths"][path]["post"]["parameters"]
                .as_array()
                .unwrap();
            let key = parameters
                .iter()
                .find(|p| p["name"] == "Idempotency-Key")
                .unwrap();
            assert_eq!(
                (key["in"].as_str(), key["required"].as_bool()),
                (Some("header"), Some(true))
            );
        }
    }
}
