//! Every address, who may use it, and who answers it: one table.

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Redirect, Response},
    routing::{MethodRouter, get, post},
};
use std::time::Duration;
use tower_http::{compression::CompressionLayer, csrf::CsrfLayer, timeout::TimeoutLayer};
use utoipa::openapi::path::Paths;
use utoipa_axum::{router::UtoipaMethodRouter, routes};

use crate::{
    App,
    api::{
        self,
        worklist::{MANAGE, WORK},
    },
    assets,
    auth::{Access, Caller, UserRole, identify},
    openapi, pages,
    problem::Problem,
    respond, sse,
};

/// Bytes of a request that is no upload.
const BODY_MAX: usize = 256 * 1024;
/// What a form adds to the file in it.
const FORM_EXTRA: usize = 64 * 1024;
/// An ordinary answer comes within this time.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Who may decide what another has asked for, and whose money a bank account of
/// ours holds.
pub(crate) const DECIDE: Access = Access::Roles(&[
    UserRole::TeamLeader,
    UserRole::Manager,
    UserRole::Approver,
    UserRole::Cfo,
]);

/// Works on cases; which step is whose, the rules of disputes say.
pub(crate) const DISPUTE: Access = Access::Roles(&[
    UserRole::Controller,
    UserRole::PaymentsOfficer,
    UserRole::TeamLeader,
    UserRole::Manager,
    UserRole::Approver,
    UserRole::Cfo,
    UserRole::Integrator,
]);

/// Says who is not chased, and takes a debtor's word.
pub(crate) const CHASE: Access = Access::Roles(&[
    UserRole::Controller,
    UserRole::TeamLeader,
    UserRole::Manager,
    UserRole::Cfo,
    UserRole::Integrator,
]);

/// Writes the words of letters; a second person publishes them.
pub(crate) const WORDS: Access = Access::Roles(&[
    UserRole::Controller,
    UserRole::TeamLeader,
    UserRole::Manager,
    UserRole::Cfo,
]);

/// Writes when who is chased; a second person publishes it.
pub(crate) const RULES: Access =
    Access::Roles(&[UserRole::TeamLeader, UserRole::Manager, UserRole::Cfo]);

/// One method of one address.
pub(crate) struct Entry {
    pub method: Method,
    pub path: String,
    pub access: Access,
    /// How the API describes it.
    pub operation: Option<Paths>,
    handler: MethodRouter<App>,
    size: Size,
}

/// How much may come in, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Ordinary,
    /// A form with one paper in it.
    Paper,
    /// Files: large, and as slow as the sender's line.
    Upload,
    /// Open for as long as the page is.
    Endless,
}

impl Entry {
    fn page(method: Method, path: &str, access: Access, handler: MethodRouter<App>) -> Self {
        Self {
            method,
            path: path.to_owned(),
            access,
            operation: None,
            handler,
            size: Size::Ordinary,
        }
    }

    /// Address and method stand in the handler's description.
    fn api(access: Access, (_, operation, handler): UtoipaMethodRouter<App>) -> Self {
        let (path, item) = operation
            .paths
            .iter()
            .next()
            .map_or_else(Default::default, |(path, item)| {
                (path.clone(), item.clone())
            });
        Self {
            method: if item.post.is_some() {
                Method::POST
            } else {
                Method::GET
            },
            path,
            access,
            operation: Some(operation),
            handler,
            size: Size::Ordinary,
        }
    }

    fn sized(self, size: Size) -> Self {
        Self { size, ..self }
    }
}

/// All of them.
pub(crate) fn table() -> Vec<Entry> {
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    const READ: Access = Access::SignedIn;
    vec![
        // Before sign-in.
        Entry::page(GET, "/sign-in", Access::Public, get(pages::sign_in::form)),
        Entry::page(
            POST,
            "/sign-in",
            Access::Public,
            post(pages::sign_in::submit),
        ),
        Entry::page(
            GET,
            "/assets/{hash}/{name}",
            Access::Public,
            get(assets::serve),
        ),
        Entry::page(GET, "/openapi.json", Access::Public, get(openapi::serve)),
        // Pages.
        Entry::page(POST, "/sign-out", READ, post(pages::sign_in::sign_out)),
        Entry::page(GET, "/", READ, get(|| async { Redirect::to("/cash") })),
        Entry::page(GET, "/today", READ, get(pages::worklist::today::show)),
        Entry::page(POST, "/today/{id}", WORK, post(pages::worklist::today::act)),
        Entry::page(GET, "/team", READ, get(pages::worklist::team::show)),
        Entry::page(POST, "/team", MANAGE, post(pages::worklist::team::act)),
        Entry::page(GET, "/settings", READ, get(pages::worklist::settings::show)),
        Entry::page(
            POST,
            "/settings",
            WORK,
            post(pages::worklist::settings::save),
        ),
        Entry::page(GET, "/cash", READ, get(pages::cash::show)),
        Entry::page(
            POST,
            "/cash/receipts/{id}/allocations",
            Access::ALLOCATE,
            post(pages::cash::allocate),
        ),
        Entry::page(
            POST,
            "/cash/undo",
            Access::ALLOCATE,
            post(pages::cash::undo),
        ),
        Entry::page(
            GET,
            "/cash/undo",
            Access::ALLOCATE,
            get(pages::cash::run::show),
        ),
        Entry::page(
            POST,
            "/cash/undo/lines",
            Access::ALLOCATE,
            post(pages::cash::run::undo),
        ),
        Entry::page(
            POST,
            "/cash/receipts/{id}/paste",
            Access::ALLOCATE,
            post(pages::cash::paste_list),
        ),
        Entry::page(
            POST,
            "/cash/receipts/{id}/park",
            Access::ALLOCATE,
            post(pages::cash::park::park),
        ),
        Entry::page(
            POST,
            "/cash/receipts/{id}/unpark",
            Access::ALLOCATE,
            post(pages::cash::park::unpark),
        ),
        Entry::page(
            GET,
            "/cash/accept",
            Access::ALLOCATE,
            get(pages::cash::batch::show),
        ),
        Entry::page(
            POST,
            "/cash/accept",
            Access::ALLOCATE,
            post(pages::cash::batch::accept),
        ),
        Entry::page(
            GET,
            "/cash/together",
            Access::ALLOCATE,
            get(pages::cash::together::show),
        ),
        Entry::page(
            POST,
            "/cash/together",
            Access::ALLOCATE,
            post(pages::cash::together::allocate),
        ),
        Entry::page(GET, "/accounts", READ, get(pages::accounts::list)),
        Entry::page(GET, "/accounts/{id}", READ, get(pages::accounts::show)),
        Entry::page(GET, "/aged-debt", READ, get(pages::aged_debt::show)),
        Entry::page(GET, "/aged-debt/items", READ, get(pages::aged_debt::items)),
        Entry::page(
            GET,
            "/aged-debt/export.csv",
            READ,
            get(pages::aged_debt::csv),
        ),
        Entry::page(
            GET,
            "/aged-debt/export.xlsx",
            READ,
            get(pages::aged_debt::xlsx),
        ),
        Entry::page(
            GET,
            "/client-payments",
            READ,
            get(pages::client_payments::show),
        ),
        Entry::page(
            POST,
            "/client-payments/matters/{id}",
            Access::ALLOCATE,
            post(pages::client_payments::request),
        ),
        Entry::page(
            POST,
            "/client-payments/{id}/take-back",
            Access::ALLOCATE,
            post(pages::client_payments::take_back),
        ),
        Entry::page(GET, "/residuals", READ, get(pages::residual::show)),
        Entry::page(
            GET,
            "/residuals/{id}/evidence",
            READ,
            get(pages::residual::evidence),
        ),
        Entry::page(
            POST,
            "/residuals/{id}/tracing",
            Access::ALLOCATE,
            post(pages::residual::trace),
        ),
        Entry::page(
            POST,
            "/residuals/{id}/sra",
            Access::ALLOCATE,
            post(pages::residual::sra),
        ),
        Entry::page(
            POST,
            "/residuals/{id}/proposal",
            Access::ALLOCATE,
            post(pages::residual::propose),
        ),
        Entry::page(
            POST,
            "/residuals/{id}/decision",
            DECIDE,
            post(pages::residual::decide),
        ),
        Entry::page(
            POST,
            "/residuals/{id}/take-back",
            Access::ALLOCATE,
            post(pages::residual::take_back),
        ),
        Entry::page(GET, "/disputes", READ, get(pages::disputes::show)),
        Entry::page(
            GET,
            "/disputes/new",
            DISPUTE,
            get(pages::disputes::open::form),
        ),
        Entry::page(
            POST,
            "/disputes/new",
            DISPUTE,
            post(pages::disputes::open::submit),
        ),
        Entry::page(
            GET,
            "/disputes/departments",
            READ,
            get(pages::disputes::report::show),
        ),
        Entry::page(GET, "/disputes/{id}", READ, get(pages::disputes::one)),
        Entry::page(
            POST,
            "/disputes/{id}/steps",
            DISPUTE,
            post(pages::disputes::forms::act),
        ),
        Entry::page(
            GET,
            "/dunning/enclosures",
            READ,
            get(pages::dunning::enclosures::list),
        ),
        Entry::page(
            GET,
            "/dunning/enclosures/{name}",
            READ,
            get(pages::dunning::enclosures::list),
        ),
        Entry::page(
            POST,
            "/dunning/enclosures/{name}/drafts",
            WORDS,
            post(pages::dunning::enclosures::draft),
        )
        .sized(Size::Paper),
        Entry::page(
            POST,
            "/dunning/enclosures/{name}/steps",
            WORDS,
            post(pages::dunning::enclosures::step_one),
        ),
        // Pages that answer a form have its address, and look anew by it.
        Entry::page(
            GET,
            "/dunning/enclosures/{name}/drafts",
            READ,
            get(pages::dunning::enclosures::list),
        ),
        Entry::page(
            GET,
            "/dunning/enclosures/{name}/steps",
            READ,
            get(pages::dunning::enclosures::list),
        ),
        Entry::page(GET, "/disputes/{id}/steps", READ, get(pages::disputes::one)),
        Entry::page(
            GET,
            "/disputes/{id}/nudges",
            READ,
            get(pages::disputes::one),
        ),
        Entry::page(
            POST,
            "/disputes/{id}/nudges",
            DISPUTE,
            post(pages::disputes::forms::nudge),
        ),
        Entry::page(
            GET,
            "/disputes/{id}/evidence",
            READ,
            get(pages::disputes::one),
        ),
        Entry::page(
            POST,
            "/disputes/{id}/evidence",
            DISPUTE,
            post(pages::disputes::forms::evidence),
        )
        .sized(Size::Paper),
        Entry::page(
            GET,
            "/n/{token}",
            Access::Public,
            get(pages::disputes::stakeholder::show),
        ),
        Entry::page(
            POST,
            "/n/{token}",
            Access::Public,
            post(pages::disputes::stakeholder::comment),
        ),
        Entry::page(GET, "/promises", READ, get(pages::dunning::agreed::show)),
        Entry::page(
            POST,
            "/promises/{id}/withdraw",
            CHASE,
            post(pages::dunning::agreed::withdraw),
        ),
        Entry::page(GET, "/plans/{id}", READ, get(pages::dunning::agreed::plan)),
        Entry::page(
            POST,
            "/plans/{id}/steps",
            CHASE,
            post(pages::dunning::agreed::step_plan),
        ),
        Entry::page(GET, "/holds/{id}", READ, get(pages::dunning::holds::show)),
        Entry::page(
            POST,
            "/holds/{id}/steps",
            CHASE,
            post(pages::dunning::holds::step),
        ),
        Entry::page(
            GET,
            "/accounts/{id}/promise",
            CHASE,
            get(pages::dunning::agree::promise),
        ),
        Entry::page(
            POST,
            "/accounts/{id}/promise",
            CHASE,
            post(pages::dunning::agree::take),
        ),
        Entry::page(
            GET,
            "/accounts/{id}/plan",
            CHASE,
            get(pages::dunning::agree::plan),
        ),
        Entry::page(
            POST,
            "/accounts/{id}/plan",
            CHASE,
            post(pages::dunning::agree::open),
        ),
        Entry::page(
            GET,
            "/accounts/{id}/hold",
            CHASE,
            get(pages::dunning::holds::form),
        ),
        Entry::page(
            POST,
            "/accounts/{id}/hold",
            CHASE,
            post(pages::dunning::holds::place),
        ),
        // Pages that answer a form have its address, and look anew by it.
        Entry::page(
            GET,
            "/promises/{id}/withdraw",
            READ,
            get(pages::dunning::agreed::show),
        ),
        Entry::page(
            GET,
            "/plans/{id}/steps",
            READ,
            get(pages::dunning::agreed::plan),
        ),
        Entry::page(
            GET,
            "/holds/{id}/steps",
            READ,
            get(pages::dunning::holds::show),
        ),
        Entry::page(
            GET,
            "/accounts/{id}/contacts",
            READ,
            get(pages::dunning::contacts::show),
        ),
        Entry::page(
            POST,
            "/accounts/{id}/contacts",
            CHASE,
            post(pages::dunning::contacts::record),
        ),
        // A page that answers a form has its address, and looks anew by it.
        Entry::page(
            GET,
            "/accounts/{id}/contacts/steps",
            READ,
            get(pages::dunning::contacts::show),
        ),
        Entry::page(
            POST,
            "/accounts/{id}/contacts/steps",
            CHASE,
            post(pages::dunning::contacts::step),
        ),
        Entry::page(
            GET,
            "/accounts/{id}/reconciliation",
            READ,
            get(pages::account_statement::show),
        ),
        Entry::page(
            GET,
            "/accounts/{id}/statement",
            READ,
            get(pages::dunning::statement::statement),
        ),
        Entry::page(
            GET,
            "/accounts/{id}/referral",
            READ,
            get(pages::dunning::referral::show),
        ),
        Entry::page(
            POST,
            "/accounts/{id}/referral",
            CHASE,
            post(pages::dunning::referral::open),
        ),
        Entry::page(
            POST,
            "/accounts/{id}/referral/steps",
            CHASE,
            post(pages::dunning::referral::step),
        ),
        Entry::page(
            POST,
            "/accounts/{id}/referral/acknowledgments",
            CHASE,
            post(pages::dunning::referral::acknowledge),
        ),
        // Pages that answer a form have its address, and look anew by it.
        Entry::page(
            GET,
            "/accounts/{id}/referral/steps",
            READ,
            get(pages::dunning::referral::show),
        ),
        Entry::page(
            GET,
            "/accounts/{id}/referral/acknowledgments",
            READ,
            get(pages::dunning::referral::show),
        ),
        Entry::page(
            GET,
            "/accounts/{id}/late-payment",
            READ,
            get(pages::dunning::statement::late),
        ),
        Entry::page(
            POST,
            "/accounts/{id}/charges",
            DISPUTE,
            post(pages::dunning::statement::post),
        ),
        Entry::page(
            POST,
            "/accounts/{id}/charges/taking-back",
            DISPUTE,
            post(pages::dunning::statement::take_back),
        ),
        // Pages that answer a form have its address, and look anew by it.
        Entry::page(
            GET,
            "/accounts/{id}/charges",
            READ,
            get(pages::dunning::statement::late),
        ),
        Entry::page(
            GET,
            "/accounts/{id}/charges/taking-back",
            READ,
            get(pages::dunning::statement::late),
        ),
        Entry::page(
            GET,
            "/dunning/policies",
            READ,
            get(pages::dunning::policies::show),
        ),
        Entry::page(
            POST,
            "/dunning/policies/assignments",
            RULES,
            post(pages::dunning::policies::assign),
        ),
        Entry::page(
            GET,
            "/dunning/policies/{name}",
            READ,
            get(pages::dunning::policies::one),
        ),
        Entry::page(
            POST,
            "/dunning/policies/{name}/drafts",
            RULES,
            post(pages::dunning::policies::draft),
        ),
        Entry::page(
            POST,
            "/dunning/policies/{name}/steps",
            RULES,
            post(pages::dunning::policies::step_one),
        ),
        Entry::page(
            GET,
            "/dunning/templates",
            READ,
            get(pages::dunning::templates::list),
        ),
        Entry::page(
            POST,
            "/dunning/templates",
            WORDS,
            post(pages::dunning::templates::create),
        ),
        Entry::page(
            GET,
            "/dunning/templates/{name}",
            READ,
            get(pages::dunning::templates::show),
        ),
        Entry::page(
            GET,
            "/dunning/templates/{name}/letter",
            READ,
            get(pages::dunning::templates::pdf),
        ),
        Entry::page(
            GET,
            "/dunning/templates/{name}/email",
            READ,
            get(pages::dunning::templates::email),
        ),
        Entry::page(
            POST,
            "/dunning/templates/{name}/drafts",
            WORDS,
            post(pages::dunning::templates::draft),
        ),
        Entry::page(
            POST,
            "/dunning/templates/{name}/steps",
            WORDS,
            post(pages::dunning::templates::step_one),
        ),
        // Pages that answer a form have its address, and look anew by it.
        Entry::page(
            GET,
            "/dunning/policies/assignments",
            READ,
            get(pages::dunning::policies::show),
        ),
        Entry::page(
            GET,
            "/dunning/policies/{name}/drafts",
            READ,
            get(pages::dunning::policies::one),
        ),
        Entry::page(
            GET,
            "/dunning/policies/{name}/steps",
            READ,
            get(pages::dunning::policies::one),
        ),
        Entry::page(
            GET,
            "/dunning/templates/{name}/drafts",
            READ,
            get(pages::dunning::templates::show),
        ),
        Entry::page(
            GET,
            "/dunning/templates/{name}/steps",
            READ,
            get(pages::dunning::templates::show),
        ),
        Entry::page(GET, "/dunning/runs", READ, get(pages::dunning::runs::show)),
        Entry::page(
            POST,
            "/dunning/runs",
            DISPUTE,
            post(pages::dunning::runs::propose),
        ),
        Entry::page(
            GET,
            "/dunning/runs/{id}",
            READ,
            get(pages::dunning::runs::one),
        ),
        Entry::page(
            POST,
            "/dunning/runs/{id}/steps",
            DISPUTE,
            post(pages::dunning::runs::step),
        ),
        Entry::page(
            POST,
            "/dunning/runs/{id}/edits",
            DISPUTE,
            post(pages::dunning::runs::edit),
        ),
        // Pages that answer a form have its address, and look anew by it.
        Entry::page(
            GET,
            "/dunning/runs/{id}/steps",
            READ,
            get(pages::dunning::runs::one),
        ),
        Entry::page(
            GET,
            "/dunning/runs/{id}/edits",
            READ,
            get(pages::dunning::runs::one),
        ),
        Entry::page(
            GET,
            "/dunning/statements",
            READ,
            get(pages::dunning::runs::show),
        ),
        Entry::page(
            POST,
            "/dunning/statements",
            DISPUTE,
            post(pages::dunning::runs::propose),
        ),
        Entry::page(
            GET,
            "/dunning/statements/{id}",
            READ,
            get(pages::dunning::runs::one),
        ),
        Entry::page(
            POST,
            "/dunning/statements/{id}/steps",
            DISPUTE,
            post(pages::dunning::runs::step),
        ),
        Entry::page(
            POST,
            "/dunning/statements/{id}/edits",
            DISPUTE,
            post(pages::dunning::runs::edit),
        ),
        Entry::page(
            GET,
            "/dunning/statements/{id}/steps",
            READ,
            get(pages::dunning::runs::one),
        ),
        Entry::page(
            GET,
            "/dunning/statements/{id}/edits",
            READ,
            get(pages::dunning::runs::one),
        ),
        Entry::page(
            GET,
            "/dunning/statements/{id}/letters/{account}",
            READ,
            get(pages::dunning::run_letter::show),
        ),
        Entry::page(GET, "/imports", READ, get(pages::imports::list)),
        Entry::page(
            POST,
            "/imports",
            Access::IMPORT,
            post(pages::imports::upload),
        )
        .sized(Size::Upload),
        Entry::page(GET, "/imports/{id}", READ, get(pages::imports::show)),
        Entry::page(
            GET,
            "/imports/{id}/undo",
            Access::ALLOCATE,
            get(pages::import_undo::show),
        ),
        Entry::page(
            POST,
            "/imports/{id}/undo",
            Access::ALLOCATE,
            post(pages::import_undo::undo),
        ),
        Entry::page(GET, "/controls", READ, get(pages::controls::show)),
        Entry::page(
            GET,
            "/controls/vat-relief.csv",
            READ,
            get(pages::controls::vat_relief_csv),
        ),
        Entry::page(
            POST,
            "/controls/approvals/{id}",
            Access::APPROVE,
            post(pages::controls::decide),
        ),
        Entry::page(
            POST,
            "/controls/refunds",
            Access::ALLOCATE,
            post(pages::controls::refund),
        ),
        Entry::page(
            POST,
            "/controls/refunds/{id}/steps",
            Access::ALLOCATE,
            post(pages::controls::step),
        ),
        Entry::page(
            GET,
            "/controls/refunds/new",
            READ,
            get(pages::controls::new_refund),
        ),
        Entry::page(
            POST,
            "/controls/refunds/{id}/redraft",
            Access::ALLOCATE,
            post(pages::controls::redraft),
        ),
        Entry::page(
            POST,
            "/controls/refund-files",
            Access::PAY,
            post(pages::controls::files::order),
        ),
        Entry::page(
            POST,
            "/controls/refund-files/{id}/steps",
            Access::PAY,
            post(pages::controls::files::step),
        ),
        Entry::page(
            POST,
            "/controls/refund-files/{id}/content",
            Access::PAY,
            post(pages::controls::files::fetch),
        ),
        Entry::page(GET, "/direct-debits", READ, get(pages::direct_debits::show)),
        Entry::page(
            POST,
            "/direct-debits",
            Access::PAY,
            post(pages::direct_debits::propose),
        ),
        Entry::page(
            POST,
            "/direct-debits/runs/{id}/file",
            Access::PAY,
            post(pages::direct_debits::make_file),
        ),
        Entry::page(
            POST,
            "/direct-debits/runs/{id}/discard",
            Access::PAY,
            post(pages::direct_debits::discard),
        ),
        Entry::page(
            POST,
            "/direct-debits/collections/{id}/again",
            Access::PAY,
            post(pages::direct_debits::again),
        ),
        Entry::page(
            POST,
            "/direct-debits/instructions",
            Access::PAY,
            post(pages::direct_debits::instructions),
        ),
        Entry::page(
            POST,
            "/direct-debits/files/{id}/content",
            Access::PAY,
            post(pages::direct_debits::fetch),
        ),
        Entry::page(
            POST,
            "/controls/limits",
            Access::SET_LIMITS,
            post(pages::controls::change_limit),
        ),
        Entry::page(
            POST,
            "/controls/write-offs",
            Access::ALLOCATE,
            post(pages::controls::write_off),
        ),
        Entry::page(
            POST,
            "/controls/write-offs/{id}/reverse",
            Access::ALLOCATE,
            post(pages::controls::reverse),
        ),
        Entry::page(
            POST,
            "/controls/small-balances",
            Access::ALLOCATE,
            post(pages::controls::propose),
        ),
        Entry::page(
            POST,
            "/controls/small-balances/{id}/steps",
            Access::ALLOCATE,
            post(pages::controls::step_run),
        ),
        // The API.
        Entry::api(Access::IMPORT, routes!(api::imports::import)).sized(Size::Upload),
        Entry::api(READ, routes!(api::imports::list_imports)),
        Entry::api(READ, routes!(api::imports::get_import)),
        Entry::api(READ, routes!(api::import_undo::preview)),
        Entry::api(Access::ALLOCATE, routes!(api::import_undo::undo)),
        Entry::api(READ, routes!(api::receipts::list_receipts)),
        Entry::api(READ, routes!(api::receipts::count_receipts)),
        Entry::api(READ, routes!(api::receipts::get_receipt)),
        Entry::api(READ, routes!(api::receipts::list_suggestions)),
        Entry::api(Access::ALLOCATE, routes!(api::receipts::allocate)),
        Entry::api(Access::ALLOCATE, routes!(api::receipts::undo)),
        Entry::api(READ, routes!(api::workbench::list_acceptable)),
        Entry::api(Access::ALLOCATE, routes!(api::workbench::accept)),
        Entry::api(Access::ALLOCATE, routes!(api::workbench::park)),
        Entry::api(Access::ALLOCATE, routes!(api::workbench::unpark)),
        Entry::api(READ, routes!(api::workbench::get_batch)),
        Entry::api(Access::ALLOCATE, routes!(api::workbench::undo_batch)),
        Entry::api(READ, routes!(api::receipts::find_items)),
        Entry::api(READ, routes!(api::rules::list_rule_sets)),
        Entry::api(READ, routes!(api::rules::get_rule_set)),
        Entry::api(Access::DRAFT_RULES, routes!(api::rules::validate)),
        Entry::api(Access::DRAFT_RULES, routes!(api::rules::draft)),
        Entry::api(Access::CHANGE_RULES, routes!(api::rules::promote)),
        Entry::api(Access::CHANGE_RULES, routes!(api::rules::retire)),
        Entry::api(Access::DRAFT_RULES, routes!(api::rules::replay)),
        Entry::api(READ, routes!(api::rules::demoted)),
        Entry::api(Access::CHANGE_RULES, routes!(api::rules::restore)),
        Entry::api(READ, routes!(api::returns::list_debits)),
        Entry::api(READ, routes!(api::returns::get_debit)),
        Entry::api(READ, routes!(api::returns::chaseable)),
        Entry::api(Access::ALLOCATE, routes!(api::returns::return_receipt)),
        Entry::api(Access::ALLOCATE, routes!(api::returns::transfer)),
        Entry::api(Access::ALLOCATE, routes!(api::returns::on_account)),
        Entry::api(Access::ALLOCATE, routes!(api::returns::duplicate)),
        Entry::api(Access::ALLOCATE, routes!(api::returns::undo_run)),
        Entry::api(Access::ALLOCATE, routes!(api::returns::move_allocation)),
        Entry::api(Access::ALLOCATE, routes!(api::returns::offset)),
        Entry::api(Access::ALLOCATE, routes!(api::returns::match_debit)),
        Entry::api(Access::ALLOCATE, routes!(api::returns::debit_ours)),
        Entry::api(Access::ALLOCATE, routes!(api::returns::reverse_debit)),
        Entry::api(READ, routes!(api::accounts::list_accounts)),
        Entry::api(READ, routes!(api::accounts::get_account)),
        Entry::api(READ, routes!(api::accounts::get_ledger)),
        Entry::api(READ, routes!(api::accounts::get_statement)),
        Entry::api(READ, routes!(api::accounts::get_timeline)),
        Entry::api(READ, routes!(api::reports::aged_debt)),
        Entry::api(READ, routes!(api::reports::aged_items)),
        Entry::api(READ, routes!(api::reports::unallocated)),
        Entry::api(READ, routes!(api::controls::list_approvals)),
        Entry::api(READ, routes!(api::controls::get_approval)),
        Entry::api(Access::APPROVE, routes!(api::controls::approve)),
        Entry::api(Access::APPROVE, routes!(api::controls::reject)),
        Entry::api(READ, routes!(api::controls::list_limits)),
        Entry::api(Access::SET_LIMITS, routes!(api::controls::change_limit)),
        Entry::api(READ, routes!(api::controls::list_refunds)),
        Entry::api(READ, routes!(api::controls::get_refund)),
        Entry::api(Access::ALLOCATE, routes!(api::controls::draft_refund)),
        Entry::api(Access::ALLOCATE, routes!(api::controls::redraft_refund)),
        Entry::api(Access::ALLOCATE, routes!(api::controls::step_refund)),
        Entry::api(READ, routes!(api::refund_files::list_files)),
        Entry::api(READ, routes!(api::refund_files::payable)),
        Entry::api(Access::PAY, routes!(api::refund_files::order)),
        Entry::api(Access::PAY, routes!(api::refund_files::step)),
        Entry::api(Access::PAY, routes!(api::refund_files::fetch)),
        Entry::api(READ, routes!(api::direct_debits::list_mandates)),
        Entry::api(READ, routes!(api::direct_debits::get_mandate)),
        Entry::api(
            Access::PAY,
            routes!(api::direct_debits::make_instruction_file),
        ),
        Entry::api(Access::PAY, routes!(api::direct_debits::record_notices)),
        Entry::api(READ, routes!(api::direct_debits::list_runs)),
        Entry::api(Access::PAY, routes!(api::direct_debits::propose)),
        Entry::api(Access::PAY, routes!(api::direct_debits::make_file)),
        Entry::api(Access::PAY, routes!(api::direct_debits::discard)),
        Entry::api(Access::PAY, routes!(api::direct_debits::present_again)),
        Entry::api(READ, routes!(api::direct_debits::list_files)),
        Entry::api(Access::PAY, routes!(api::direct_debits::fetch)),
        Entry::api(READ, routes!(api::controls::list_write_offs)),
        Entry::api(READ, routes!(api::controls::get_write_off)),
        Entry::api(READ, routes!(api::controls::write_off_reasons)),
        Entry::api(READ, routes!(api::controls::recoveries)),
        Entry::api(READ, routes!(api::controls::vat_relief)),
        Entry::api(Access::ALLOCATE, routes!(api::controls::request_write_off)),
        Entry::api(Access::ALLOCATE, routes!(api::controls::reverse_write_off)),
        Entry::api(Access::ALLOCATE, routes!(api::controls::claim_vat_relief)),
        Entry::api(READ, routes!(api::controls::list_small_balances)),
        Entry::api(READ, routes!(api::controls::get_small_balances)),
        Entry::api(
            Access::ALLOCATE,
            routes!(api::controls::propose_small_balances),
        ),
        Entry::api(
            Access::ALLOCATE,
            routes!(api::controls::step_small_balances),
        ),
        Entry::api(READ, routes!(api::matters::list_matters)),
        Entry::api(READ, routes!(api::matters::get_matter)),
        Entry::api(READ, routes!(api::matters::closure)),
        Entry::api(READ, routes!(api::matters::counts)),
        Entry::api(READ, routes!(api::matters::check)),
        Entry::api(Access::ALLOCATE, routes!(api::matters::split)),
        Entry::api(Access::ALLOCATE, routes!(api::matters::transfer)),
        Entry::api(Access::ALLOCATE, routes!(api::matters::pay)),
        Entry::api(READ, routes!(api::matters::list_payments)),
        Entry::api(Access::ALLOCATE, routes!(api::matters::take_back_payment)),
        Entry::api(Access::ALLOCATE, routes!(api::matters::undo_entry)),
        Entry::api(Access::ALLOCATE, routes!(api::matters::hold)),
        Entry::api(READ, routes!(api::matters::list_moves)),
        Entry::api(Access::ALLOCATE, routes!(api::matters::move_done)),
        Entry::api(READ, routes!(api::matters::list_residuals)),
        Entry::api(READ, routes!(api::matters::get_residual)),
        Entry::api(READ, routes!(api::matters::register)),
        Entry::api(Access::ALLOCATE, routes!(api::matters::trace)),
        Entry::api(Access::ALLOCATE, routes!(api::matters::sra)),
        Entry::api(Access::ALLOCATE, routes!(api::matters::propose)),
        Entry::api(DECIDE, routes!(api::matters::decide)),
        Entry::api(Access::ALLOCATE, routes!(api::matters::take_back)),
        Entry::api(READ, routes!(api::matters::list_disbursements)),
        Entry::api(Access::ALLOCATE, routes!(api::matters::record_disbursement)),
        Entry::api(Access::ALLOCATE, routes!(api::matters::move_disbursement)),
        Entry::api(READ, routes!(api::matters::bank_accounts)),
        Entry::api(DECIDE, routes!(api::matters::designate)),
        Entry::api(READ, routes!(api::worklist::list_work)),
        Entry::api(READ, routes!(api::worklist::count_work)),
        Entry::api(READ, routes!(api::worklist::get_work)),
        Entry::api(WORK, routes!(api::worklist::act)),
        Entry::api(READ, routes!(api::worklist::list_kinds)),
        Entry::api(READ, routes!(api::worklist::list_policies)),
        Entry::api(Access::SET_LIMITS, routes!(api::worklist::put_policy)),
        Entry::api(READ, routes!(api::worklist::list_people)),
        Entry::api(MANAGE, routes!(api::worklist::put_person)),
        Entry::api(MANAGE, routes!(api::worklist::plan_absence)),
        Entry::api(MANAGE, routes!(api::worklist::end_cover)),
        Entry::api(READ, routes!(api::worklist::list_portfolio)),
        Entry::api(MANAGE, routes!(api::worklist::put_portfolio)),
        Entry::api(READ, routes!(api::worklist::day_plan)),
        Entry::api(MANAGE, routes!(api::worklist::apply_plan)),
        Entry::api(READ, routes!(api::worklist::list_deadlines)),
        Entry::api(READ, routes!(api::disputes::list_cases)),
        Entry::api(READ, routes!(api::disputes::counts)),
        Entry::api(READ, routes!(api::disputes::taxonomy)),
        Entry::api(READ, routes!(api::disputes::feedback)),
        Entry::api(READ, routes!(api::disputes::get_case)),
        Entry::api(DISPUTE, routes!(api::disputes::open)),
        Entry::api(DISPUTE, routes!(api::disputes::step)),
        Entry::api(DISPUTE, routes!(api::disputes::nudge)),
        Entry::api(DISPUTE, routes!(api::evidence::keep)).sized(Size::Paper),
        Entry::api(READ, routes!(api::evidence::fetch)),
        Entry::api(READ, routes!(api::runs::list_runs)),
        Entry::api(READ, routes!(api::runs::get_run)),
        Entry::api(READ, routes!(api::runs::accounts)),
        Entry::api(READ, routes!(api::runs::preview)),
        Entry::api(DISPUTE, routes!(api::runs::propose)),
        Entry::api(DISPUTE, routes!(api::runs::step)),
        Entry::api(DISPUTE, routes!(api::runs::edit)),
        Entry::api(READ, routes!(api::runs::standing)),
        Entry::api(READ, routes!(api::runs::policies)),
        Entry::api(READ, routes!(api::editions::policy)),
        Entry::api(RULES, routes!(api::editions::draft_policy)),
        Entry::api(RULES, routes!(api::editions::step_policy)),
        Entry::api(READ, routes!(api::editions::assignments)),
        Entry::api(RULES, routes!(api::editions::assign)),
        Entry::api(READ, routes!(api::editions::templates)),
        Entry::api(READ, routes!(api::editions::template)),
        Entry::api(WORDS, routes!(api::editions::draft_template)),
        Entry::api(WORDS, routes!(api::editions::step_template)),
        Entry::api(READ, routes!(api::editions::enclosures)),
        Entry::api(WORDS, routes!(api::editions::draft_enclosure)).sized(Size::Paper),
        Entry::api(WORDS, routes!(api::editions::step_enclosure)),
        Entry::api(READ, routes!(api::editions::enclosure_file)),
        Entry::api(READ, routes!(api::editions::preview)),
        Entry::api(READ, routes!(api::editions::preview_letter)),
        Entry::api(READ, routes!(api::claims::late_payment)),
        Entry::api(DISPUTE, routes!(api::claims::post)),
        Entry::api(DISPUTE, routes!(api::claims::take_back)),
        Entry::api(READ, routes!(api::claims::statement)),
        Entry::api(MANAGE, routes!(api::disputes::erase)),
        Entry::api(READ, routes!(api::referrals::legal)),
        Entry::api(READ, routes!(api::referrals::list_referrals)),
        Entry::api(READ, routes!(api::referrals::get)),
        Entry::api(CHASE, routes!(api::referrals::open)),
        Entry::api(CHASE, routes!(api::referrals::step)),
        Entry::api(CHASE, routes!(api::referrals::pack)),
        Entry::api(CHASE, routes!(api::referrals::acknowledge)),
        Entry::api(READ, routes!(api::holds::list_holds)),
        Entry::api(READ, routes!(api::holds::get_hold)),
        Entry::api(CHASE, routes!(api::holds::place)),
        Entry::api(CHASE, routes!(api::holds::step)),
        Entry::api(READ, routes!(api::contacts::list_contacts)),
        Entry::api(READ, routes!(api::contacts::outcomes)),
        Entry::api(CHASE, routes!(api::contacts::record)),
        Entry::api(CHASE, routes!(api::contacts::step)),
        Entry::api(READ, routes!(api::contacts::reach)),
        Entry::api(MANAGE, routes!(api::contacts::erase)),
        Entry::api(READ, routes!(api::promises::list_promises)),
        Entry::api(READ, routes!(api::promises::calendar)),
        Entry::api(READ, routes!(api::promises::figures)),
        Entry::api(READ, routes!(api::promises::get_promise)),
        Entry::api(CHASE, routes!(api::promises::take)),
        Entry::api(CHASE, routes!(api::promises::withdraw)),
        Entry::api(READ, routes!(api::promises::list_plans)),
        Entry::api(READ, routes!(api::promises::schedule)),
        Entry::api(READ, routes!(api::promises::get_plan)),
        Entry::api(CHASE, routes!(api::promises::open_plan)),
        Entry::api(CHASE, routes!(api::promises::step_plan)),
        Entry::api(READ, routes!(sse::listen)).sized(Size::Endless),
    ]
}

/// The whole face: every request passes, from outside in, tracing, the last
/// touch to the answer, the cross-site check, who it is, and whether they may.
pub(crate) fn router(app: App, csrf: CsrfLayer) -> Router {
    let mut router = Router::new();
    for entry in table() {
        let handler = entry.handler;
        let handler = match entry.size {
            Size::Ordinary => handler
                .route_layer(TimeoutLayer::with_status_code(
                    StatusCode::GATEWAY_TIMEOUT,
                    ANSWER_WITHIN,
                ))
                .route_layer(DefaultBodyLimit::max(BODY_MAX)),
            Size::Paper => handler
                .route_layer(TimeoutLayer::with_status_code(
                    StatusCode::GATEWAY_TIMEOUT,
                    ANSWER_WITHIN,
                ))
                .route_layer(DefaultBodyLimit::max(api::evidence::READ_MAX)),
            Size::Upload => handler.route_layer(DefaultBodyLimit::max(
                app.options.upload_limit.saturating_add(FORM_EXTRA),
            )),
            Size::Endless => handler.route_layer(DefaultBodyLimit::max(BODY_MAX)),
        };
        let handler = handler.route_layer(middleware::from_fn_with_state(entry.access, require));
        router = router.route(&entry.path, handler);
    }
    router
        .fallback(|| async { StatusCode::NOT_FOUND })
        .method_not_allowed_fallback(|| async { StatusCode::METHOD_NOT_ALLOWED })
        .layer(middleware::from_fn_with_state(app.clone(), identify))
        .layer(csrf)
        .layer(middleware::from_fn(respond::finish))
        .layer(middleware::from_fn(respond::trace))
        .layer(CompressionLayer::new())
        .with_state(app)
}

/// Lets through who may come in. A person at a page is sent to sign in first.
async fn require(State(access): State<Access>, request: Request, next: Next) -> Response {
    if access == Access::Public {
        return next.run(request).await;
    }
    let caller = request.extensions().get::<Caller>();
    let allowed = caller.is_some_and(|caller| access.allows(&caller.roles));
    if allowed {
        return next.run(request).await;
    }
    let api = request.uri().path().starts_with("/api/");
    match caller {
        Some(_) if api => Problem::forbidden().into_response(),
        Some(caller) => pages::error_page(&Problem::forbidden(), Some(caller)),
        None if api => {
            let mut response = Problem::sign_in_needed().into_response();
            // A browser would open its own dialogue over our page.
            if !request.headers().contains_key("sec-fetch-mode") {
                let basic = header::HeaderValue::from_static(
                    "Basic realm=\"counterfoil\", charset=\"UTF-8\"",
                );
                response
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, basic);
            }
            response
        }
        None => pages::sign_in::first(&request),
    }
}

/// Where a person wanted to go, as far as going there again is safe.
pub(crate) fn destination(method: &Method, uri: &Uri) -> String {
    if method == Method::GET {
        uri.path_and_query()
            .map_or_else(|| "/".to_owned(), ToString::to_string)
    } else {
        "/".to_owned()
    }
}
