//! Controls: what waits for a second person, refunds, write-offs and small
//! balances.

pub(crate) mod files;

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
        allocation::{
            FindOpenItems, GetReceipt, ListReceipts, OpenItemView, ReceiptQueue, ReceiptView,
        },
        controls::{
            ApprovalDetail, ApprovalQueue, ApprovalView, Attachment, ChangeLimit, DecideApproval,
            DraftRefund, GetRefund, LimitView, ListApprovals, ListLimits, ListRecoveries,
            ListRefunds, ListSmallBalances, ListVatRelief, ListWriteOffReasons, ListWriteOffs,
            Payee, ProposeSmallBalances, Recovery, RedraftRefund, RefundContent, RefundDetail,
            RefundStep, RefundView, RequestWriteOff, ReverseWriteOff, RunStep, SmallBalanceRunView,
            StepRefund, StepSmallBalances, Verdict, WriteOffAsk, WriteOffReason, WriteOffView,
        },
    },
    controls::{
        ApprovalId, ApprovalKind, RefundId, RefundState, RunState, SmallBalanceRunId, WriteOffId,
        WriteOffState,
    },
};
use kernel::{AccountNumber, BankAccount, Currency, Iban, Money, ReceiptId, SortCode};
use serde_json::Value;

use super::{
    PageProblem, Section, Shell, Toast, Visit,
    show::{Uk as _, Words as _, typed_amount},
};
use crate::{
    App,
    api::{
        Path,
        controls::{approval, person, vat_relief_file},
        encoded,
        once::command_id,
        table::File,
    },
    auth::{Access, UserRole},
    problem::Problem,
};

/// Pieces of evidence that a form has room for.
const ATTACHMENTS: usize = 3;
/// Receipts or documents offered at once.
const OFFERED: u16 = 25;

pub(super) type Pairs = Vec<(String, String)>;

pub(super) fn field<'p>(pairs: &'p Pairs, name: &str) -> &'p str {
    pairs
        .iter()
        .find(|(known, _)| known == name)
        .map_or("", |(_, value)| value.trim())
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

const TABS: [(&str, &str); 7] = [
    ("waiting", "To approve"),
    ("mine", "Requested by me"),
    ("history", "History"),
    ("refunds", "Refunds"),
    ("write-offs", "Write-offs"),
    ("small", "Small balances"),
    ("policies", "Policies"),
];

struct Tab {
    title: &'static str,
    href: String,
    current: bool,
}

/// A leaf of the frozen content, for reading.
struct Fact {
    name: String,
    value: String,
}

/// The leaves of a content, in its order; amounts are read with their currency.
fn facts(at: &str, value: &Value, found: &mut Vec<Fact>) {
    let below = |name: &str| {
        if at.is_empty() {
            name.words()
        } else {
            format!("{at}, {}", name.replace('_', " "))
        }
    };
    match value {
        Value::Object(members) => {
            if let Ok(money) = serde_json::from_value::<Money>(value.clone()) {
                found.push(Fact {
                    name: at.to_owned(),
                    value: money.uk(),
                });
                return;
            }
            for (name, value) in members {
                // Ids say nothing to people.
                if !name.ends_with("_id") {
                    facts(&below(name), value, found);
                }
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                facts(&format!("{at} {}", index + 1), value, found);
            }
        }
        Value::Null => {}
        Value::Bool(yes) => found.push(Fact {
            name: at.to_owned(),
            value: if *yes { "yes" } else { "no" }.to_owned(),
        }),
        Value::String(text) => found.push(Fact {
            name: at.to_owned(),
            value: text
                .parse::<chrono::NaiveDate>()
                .map_or_else(|_| text.clone(), |day| day.uk()),
        }),
        Value::Number(number) => found.push(Fact {
            name: at.to_owned(),
            value: number.to_string(),
        }),
    }
}

struct Opened {
    detail: ApprovalDetail,
    facts: Vec<Fact>,
}

/// The step that a refund may take next, as a form.
struct Next {
    step: &'static str,
    title: &'static str,
    field: &'static str,
    label: &'static str,
    kind: &'static str,
}

/// Whether its content may be written anew: not once it is in a payment file.
fn may_be_redrafted(state: RefundState) -> bool {
    !matches!(
        state,
        RefundState::InPaymentFile | RefundState::Sent | RefundState::Paid
    )
}

fn next_steps(state: RefundState) -> Vec<Next> {
    let step = |step, title, field, label, kind| Next {
        step,
        title,
        field,
        label,
        kind,
    };
    let cancel = step("cancel", "Cancel the refund", "reason", "Why", "text");
    match state {
        RefundState::Draft => vec![step("submit", "Submit for approval", "", "", ""), cancel],
        RefundState::Submitted => vec![cancel],
        RefundState::Approved => vec![
            step("verify", "Bank details verified", "how", "How", "text"),
            cancel,
        ],
        RefundState::Verified => vec![
            step(
                "into_payment_file",
                "In payment file",
                "reference",
                "File",
                "text",
            ),
            cancel,
        ],
        RefundState::InPaymentFile => {
            vec![step(
                "sent",
                "File sent to the bank",
                "reference",
                "File",
                "text",
            )]
        }
        RefundState::Sent => vec![
            step("paid", "Paid by the bank", "paid_on", "On", "date"),
            step("returned", "Returned", "code", "ARUCS code", "text"),
        ],
        RefundState::Paid => vec![step("returned", "Returned", "code", "ARUCS code", "text")],
        _ => Vec::new(),
    }
}

#[derive(Default)]
struct Refunds {
    list: Vec<RefundView>,
    files: files::Files,
    /// The refund that is drafted anew, in the form.
    again: Option<RefundDetail>,
    open: Option<(RefundDetail, Vec<Next>)>,
    search: String,
    found: Vec<ReceiptView>,
    /// The receipt that a refund is drafted of.
    of: Option<ReceiptView>,
}

#[derive(Default)]
struct WriteOffs {
    list: Vec<(WriteOffView, bool)>,
    recoveries: Vec<Recovery>,
    search: String,
    found: Vec<OpenItemView>,
    reasons: Vec<WriteOffReason>,
}

/// The limits in force, and the words of a form for another.
#[derive(Default)]
struct Policies {
    limits: Vec<LimitView>,
    kinds: Vec<&'static str>,
    roles: Vec<&'static str>,
}

#[derive(Default)]
struct Small {
    list: Vec<(SmallBalanceRunView, Option<&'static str>)>,
}

#[derive(Template)]
#[template(path = "controls.html")]
struct ControlsPage {
    shell: Shell,
    tabs: Vec<Tab>,
    tab: &'static str,
    may_request: bool,
    may_pay: bool,
    may_set_limits: bool,
    approvals: Vec<ApprovalView>,
    opened: Option<Opened>,
    /// The address names the request that is open: only then may the page follow
    /// it by itself, and never put another under the fingers of who decides.
    pinned: bool,
    refunds: Refunds,
    write_offs: WriteOffs,
    small: Small,
    policies: Policies,
    older: Option<String>,
}

impl ControlsPage {
    fn is_redraftable(&self, detail: &RefundDetail) -> bool {
        self.may_request && may_be_redrafted(detail.refund.state)
    }

    fn is_open(&self, approval: &ApprovalView) -> bool {
        self.opened
            .as_ref()
            .is_some_and(|opened| opened.detail.approval.approval_id == approval.approval_id)
    }
}

fn page(cursor: &str) -> PageRequest {
    PageRequest {
        cursor: some(cursor),
        limit: None,
    }
}

/// `GET /controls`
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let page = assemble(&app, &visit, &pairs)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

/// `GET /controls/refunds/new?receipt=ID`: where other pages send people to.
pub(crate) async fn new_refund(
    State(app): State<App>,
    visit: Visit,
    Query(mut pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    pairs.retain(|(name, _)| name != "tab");
    pairs.push(("tab".to_owned(), "refunds".to_owned()));
    let page = assemble(&app, &visit, &pairs)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

async fn assemble(app: &App, visit: &Visit, pairs: &Pairs) -> Result<ControlsPage, Problem> {
    let tab = TABS
        .into_iter()
        .map(|(name, _)| name)
        .find(|name| *name == field(pairs, "tab"))
        .unwrap_or("waiting");
    let cursor = field(pairs, "cursor");
    let mut shown = ControlsPage {
        shell: visit.shell(Section::Controls, "Controls"),
        tabs: TABS
            .into_iter()
            .map(|(name, title)| Tab {
                title,
                href: format!("/controls?tab={name}"),
                current: name == tab,
            })
            .collect(),
        tab,
        may_request: Access::ALLOCATE.allows(&visit.caller.roles),
        may_pay: Access::PAY.allows(&visit.caller.roles),
        may_set_limits: Access::SET_LIMITS.allows(&visit.caller.roles),
        approvals: Vec::new(),
        opened: None,
        pinned: false,
        refunds: Refunds::default(),
        write_offs: WriteOffs::default(),
        small: Small::default(),
        policies: Policies::default(),
        older: None,
    };
    let next = match tab {
        "refunds" => refunds(app, pairs, &mut shown).await?,
        "write-offs" => write_offs(app, pairs, &mut shown).await?,
        "small" => {
            let found = app
                .bus
                .ask(&ListSmallBalances { page: page(cursor) })
                .await?;
            shown.small.list = found
                .items
                .into_iter()
                .map(|run| {
                    let next = match run.state {
                        RunState::Proposed => Some("submit"),
                        RunState::Posted => Some("undo"),
                        _ => None,
                    };
                    (run, next)
                })
                .collect();
            found.next_cursor
        }
        "policies" => {
            shown.policies = Policies {
                limits: app.bus.ask(&ListLimits {}).await?.items,
                kinds: ApprovalKind::ALL.iter().map(|kind| kind.name()).collect(),
                roles: UserRole::ALL.iter().map(|role| role.name()).collect(),
            };
            None
        }
        _ => approvals(app, visit, pairs, &mut shown).await?,
    };
    shown.older = next.map(|next| format!("/controls?tab={tab}&cursor={}", encoded(&next)));
    Ok(shown)
}

async fn approvals(
    app: &App,
    visit: &Visit,
    pairs: &Pairs,
    shown: &mut ControlsPage,
) -> Result<Option<String>, Problem> {
    let queue = match shown.tab {
        "mine" => ApprovalQueue::Mine,
        "history" => ApprovalQueue::History,
        _ => ApprovalQueue::Waiting,
    };
    let found = app
        .bus
        .ask(&ListApprovals {
            queue,
            person: person(&visit.caller),
            page: page(field(pairs, "cursor")),
        })
        .await?;
    let chosen = field(pairs, "approval").parse().ok();
    shown.pinned = chosen.is_some();
    let chosen = chosen.or_else(|| found.items.first().map(|first| first.approval_id));
    if let Some(approval_id) = chosen {
        let detail = approval(app, &visit.caller, approval_id).await?;
        let mut list = Vec::new();
        facts("", &detail.content, &mut list);
        shown.opened = Some(Opened {
            detail,
            facts: list,
        });
    }
    shown.approvals = found.items;
    Ok(found.next_cursor)
}

async fn refunds(
    app: &App,
    pairs: &Pairs,
    shown: &mut ControlsPage,
) -> Result<Option<String>, Problem> {
    let found = app
        .bus
        .ask(&ListRefunds {
            page: page(field(pairs, "cursor")),
            ..ListRefunds::default()
        })
        .await?;
    shown.refunds.list = found.items;
    shown.refunds.files = files::look(app).await?;
    if let Ok(refund_id) = field(pairs, "refund").parse() {
        let detail = app.bus.ask(&GetRefund { refund_id }).await?;
        let next = next_steps(detail.refund.state);
        if field(pairs, "again") == "yes" && may_be_redrafted(detail.refund.state) {
            let receipt_id = detail.refund.receipt_id;
            let ask = GetReceipt { receipt_id };
            shown.refunds.of = Some(app.bus.ask(&ask).await?.receipt);
            shown.refunds.again = Some(detail);
        } else {
            shown.refunds.open = Some((detail, next));
        }
    }
    if let Ok(receipt_id) = field(pairs, "receipt").parse() {
        let detail = app.bus.ask(&GetReceipt { receipt_id }).await?;
        shown.refunds.of = Some(detail.receipt);
    }
    let search = field(pairs, "search");
    search.clone_into(&mut shown.refunds.search);
    if !search.is_empty() {
        let ask = ListReceipts {
            queue: ReceiptQueue::ToReview,
            search: some(search),
            page: PageRequest {
                cursor: None,
                limit: Some(OFFERED),
            },
        };
        shown.refunds.found = app.bus.ask(&ask).await?.items;
    }
    Ok(found.next_cursor)
}

async fn write_offs(
    app: &App,
    pairs: &Pairs,
    shown: &mut ControlsPage,
) -> Result<Option<String>, Problem> {
    let ask = ListWriteOffs {
        page: page(field(pairs, "cursor")),
        ..ListWriteOffs::default()
    };
    let (found, recoveries, reasons) = tokio::try_join!(
        app.bus.ask(&ask),
        app.bus.ask(&ListRecoveries {}),
        app.bus.ask(&ListWriteOffReasons {})
    )?;
    shown.write_offs.list = found
        .items
        .into_iter()
        .map(|found| {
            let in_force = matches!(
                found.state,
                WriteOffState::Posted | WriteOffState::PartReversed
            );
            (found, in_force)
        })
        .collect();
    shown.write_offs.recoveries = recoveries.items;
    shown.write_offs.reasons = reasons.items;
    let search = field(pairs, "search");
    search.clone_into(&mut shown.write_offs.search);
    if !search.is_empty() {
        let ask = FindOpenItems {
            search: some(search),
            page: PageRequest {
                cursor: None,
                limit: Some(OFFERED),
            },
            ..FindOpenItems::default()
        };
        let items = app.bus.ask(&ask).await?.items;
        shown.write_offs.found = items
            .into_iter()
            .filter(|item| item.open.is_positive())
            .collect();
    }
    Ok(found.next_cursor)
}

/// What makes a form that is sent twice count once.
pub(super) fn form_command(visit: &Visit, pairs: &Pairs) -> Result<kernel::CommandId, Problem> {
    let key = field(pairs, "key");
    if !(1..=200).contains(&key.len()) {
        return Err(Problem::invalid(
            "gateway.bad_form",
            "/key",
            "the form has no key: load the page again",
        ));
    }
    Ok(command_id(visit.caller.user_id, "page", key))
}

/// Back to `to`, with what was done or why not.
pub(super) fn told(
    visit: &Visit,
    to: &str,
    done: Result<String, Problem>,
) -> Result<Response, PageProblem> {
    let toast = match done {
        Ok(text) => Toast {
            text,
            warning: false,
            undo: None,
        },
        Err(problem) if problem.status().is_client_error() => Toast {
            text: format!("Not done: {}.", problem.detail),
            warning: true,
            undo: None,
        },
        Err(problem) => return Err(visit.give_up()(problem)),
    };
    Ok(visit.go(to, &toast))
}

/// `POST /controls/approvals/{id}`
pub(crate) async fn decide(
    State(app): State<App>,
    visit: Visit,
    Path(approval_id): Path<ApprovalId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let done = async {
        let verdict = match field(&pairs, "verdict") {
            "reject" => Verdict::Reject,
            _ => Verdict::Approve,
        };
        let command = DecideApproval {
            command_id: form_command(&visit, &pairs)?,
            approval_id,
            verdict,
            reason: field(&pairs, "reason").to_owned(),
            person: person(&visit.caller),
        };
        let decided = app.bus.ask(&command).await?.approval;
        Ok(match (verdict, decided.state.name()) {
            (Verdict::Approve, "pending") => {
                format!(
                    "Approved by you; another person must approve: {}.",
                    decided.title
                )
            }
            (_, state) => format!("{}: {}.", state.words(), decided.title),
        })
    };
    let back = format!("/controls?approval={approval_id}");
    told(&visit, &back, done.await)
}

fn bank_account(pairs: &Pairs) -> Result<BankAccount, Problem> {
    let wrong = |error: kernel::BankError| {
        Problem::invalid(
            "gateway.bad_bank_account",
            "/account_number",
            error.to_string(),
        )
    };
    let iban = field(pairs, "iban");
    if iban.is_empty() {
        Ok(BankAccount::Uk {
            sort_code: SortCode::parse(field(pairs, "sort_code")).map_err(wrong)?,
            account_number: AccountNumber::parse(field(pairs, "account_number")).map_err(wrong)?,
        })
    } else {
        Ok(BankAccount::Iban(Iban::parse(iban).map_err(wrong)?))
    }
}

pub(super) fn amount(text: &str, currency: &str, pointer: &str) -> Result<Option<Money>, Problem> {
    let wrong = |error: String| Problem::invalid("gateway.bad_amount", pointer, error);
    typed_amount(text)
        .map(|text| {
            let currency = Currency::parse(currency).map_err(|e| wrong(e.to_string()))?;
            Money::parse(&text, currency).map_err(|e| wrong(e.to_string()))
        })
        .transpose()
}

/// What shows why, as a form says it: numbered label, reference and hash.
fn attachments(pairs: &Pairs) -> Vec<Attachment> {
    let mut found = Vec::new();
    for number in 1..=ATTACHMENTS {
        let text = |name: &str| field(pairs, &format!("{name}.{number}"));
        let (label, reference, sha256) = (text("label"), text("reference"), text("sha256"));
        if reference.is_empty() && sha256.is_empty() {
            continue;
        }
        found.push(Attachment {
            label: some(label).unwrap_or_else(|| "Evidence".to_owned()),
            reference: some(reference),
            sha256: some(&sha256.to_lowercase()),
        });
    }
    found
}

fn refund_content(pairs: &Pairs) -> Result<RefundContent, Problem> {
    let payee = match field(pairs, "payee_name") {
        "" => None,
        name => Some(Payee {
            name: name.to_owned(),
            account: bank_account(pairs)?,
            reason: field(pairs, "payee_reason").to_owned(),
        }),
    };
    Ok(RefundContent {
        amount: amount(field(pairs, "amount"), field(pairs, "currency"), "/amount")?,
        reason: field(pairs, "reason").to_owned(),
        payee,
        evidence: attachments(pairs),
    })
}

fn asked(refund: &RefundView) -> String {
    format!(
        "Asked for a refund of {}. The money is reserved.",
        refund.amount.uk()
    )
}

/// `POST /controls/refunds`
pub(crate) async fn refund(
    State(app): State<App>,
    visit: Visit,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let receipt = field(&pairs, "receipt");
    let back = format!("/controls/refunds/new?receipt={}", encoded(receipt));
    let done = async {
        let receipt_id: ReceiptId = receipt.parse().map_err(|_| {
            Problem::invalid("gateway.bad_form", "/receipt", "the form names no receipt")
        })?;
        let command = DraftRefund {
            command_id: form_command(&visit, &pairs)?,
            receipt_id,
            content: refund_content(&pairs)?,
            submit: true,
            person: person(&visit.caller),
        };
        Ok(app.bus.ask(&command).await?.refund)
    };
    match done.await {
        Ok(refund) => {
            let to = format!("/controls?tab=refunds&refund={}", refund.refund_id);
            told(&visit, &to, Ok(asked(&refund)))
        }
        Err(problem) => told(&visit, &back, Err(problem)),
    }
}

/// `POST /controls/refunds/{id}/redraft`
pub(crate) async fn redraft(
    State(app): State<App>,
    visit: Visit,
    Path(refund_id): Path<RefundId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let done = async {
        let command = RedraftRefund {
            command_id: form_command(&visit, &pairs)?,
            refund_id,
            content: refund_content(&pairs)?,
            submit: true,
            person: person(&visit.caller),
        };
        Ok(asked(&app.bus.ask(&command).await?.refund))
    };
    let done = done.await;
    let again = if done.is_ok() { "" } else { "&again=yes" };
    let back = format!("/controls?tab=refunds&refund={refund_id}{again}");
    told(&visit, &back, done)
}

/// `POST /controls/limits`
pub(crate) async fn change_limit(
    State(app): State<App>,
    visit: Visit,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let done = async {
        let wrong =
            |pointer: &str, text: &str| Problem::invalid("gateway.bad_limit", pointer, text);
        let kind = ApprovalKind::named(field(&pairs, "kind"))
            .ok_or_else(|| wrong("/kind", "choose what the limit is for"))?;
        let limit = amount(field(&pairs, "limit"), field(&pairs, "currency"), "/limit")?
            .ok_or_else(|| wrong("/limit", "enter the new limit"))?;
        let command = ChangeLimit {
            command_id: form_command(&visit, &pairs)?,
            kind,
            role: field(&pairs, "role").to_owned(),
            limit,
            valid_from: field(&pairs, "valid_from").parse().ok(),
            reason: field(&pairs, "reason").to_owned(),
            person: person(&visit.caller),
        };
        let asked = app.bus.ask(&command).await?.approval;
        Ok(format!("Asked for it: {}.", asked.title))
    };
    told(&visit, "/controls?tab=policies", done.await)
}

/// `POST /controls/refunds/{id}/steps`
pub(crate) async fn step(
    State(app): State<App>,
    visit: Visit,
    Path(refund_id): Path<RefundId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let text = |name: &str| field(&pairs, name).to_owned();
    let today = kernel::london_date(visit.now);
    let step = match field(&pairs, "step") {
        "submit" => RefundStep::Submit,
        "verify" => RefundStep::Verify { how: text("how") },
        "into_payment_file" => RefundStep::IntoPaymentFile {
            reference: text("reference"),
        },
        "sent" => RefundStep::Sent {
            reference: text("reference"),
        },
        "paid" => RefundStep::Paid {
            paid_on: field(&pairs, "paid_on").parse().unwrap_or(today),
        },
        "returned" => RefundStep::Returned {
            code: text("code"),
            returned_on: today,
        },
        _ => RefundStep::Cancel {
            reason: text("reason"),
        },
    };
    let done = async {
        let command = StepRefund {
            command_id: form_command(&visit, &pairs)?,
            refund_id,
            step,
            person: person(&visit.caller),
        };
        let refund = app.bus.ask(&command).await?.refund;
        Ok(format!(
            "The refund is {}.",
            refund.state.name().replace('_', " ")
        ))
    };
    let back = format!("/controls?tab=refunds&refund={refund_id}");
    told(&visit, &back, done.await)
}

/// `POST /controls/write-offs`
pub(crate) async fn write_off(
    State(app): State<App>,
    visit: Visit,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let done = async {
        let mut lines = Vec::new();
        for (name, value) in &pairs {
            let Some(document_id) = name.strip_prefix("a.").and_then(|id| id.parse().ok()) else {
                continue;
            };
            let currency = field(&pairs, &format!("c.{document_id}"));
            if let Some(amount) = amount(value, currency, &format!("/{name}"))? {
                lines.push(WriteOffAsk {
                    document_id,
                    amount: Some(amount),
                    part: None,
                });
            }
        }
        if lines.is_empty() {
            return Err(Problem::invalid(
                "gateway.nothing_written_off",
                "",
                "enter an amount beside at least one document",
            ));
        }
        let command = RequestWriteOff {
            command_id: form_command(&visit, &pairs)?,
            reason_code: field(&pairs, "reason_code").to_owned(),
            reason: field(&pairs, "reason").to_owned(),
            lines,
            person: person(&visit.caller),
        };
        let asked = app.bus.ask(&command).await?.write_off;
        Ok(format!(
            "Asked to write off {} of {}.",
            asked.amount.uk(),
            asked.account_ref
        ))
    };
    let search = encoded(field(&pairs, "search"));
    let back = format!("/controls?tab=write-offs&search={search}");
    told(&visit, &back, done.await)
}

/// `POST /controls/write-offs/{id}/reverse`
pub(crate) async fn reverse(
    State(app): State<App>,
    visit: Visit,
    Path(write_off_id): Path<WriteOffId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let done = async {
        let command = ReverseWriteOff {
            command_id: form_command(&visit, &pairs)?,
            write_off_id,
            receipt_id: field(&pairs, "receipt").parse().ok(),
            reason: field(&pairs, "reason").to_owned(),
            person: person(&visit.caller),
        };
        let found = app.bus.ask(&command).await?.write_off;
        Ok(format!(
            "Took {} of the write-off of {} back.",
            found.reversed.uk(),
            found.account_ref
        ))
    };
    told(&visit, "/controls?tab=write-offs", done.await)
}

/// `POST /controls/small-balances`
pub(crate) async fn propose(
    State(app): State<App>,
    visit: Visit,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let done = async {
        let currency = Currency::parse(field(&pairs, "currency")).map_err(|error| {
            Problem::invalid("gateway.bad_currency", "/currency", error.to_string())
        })?;
        let command = ProposeSmallBalances {
            command_id: form_command(&visit, &pairs)?,
            currency,
            submit: true,
            reason: field(&pairs, "reason").to_owned(),
            person: person(&visit.caller),
        };
        let run = app.bus.ask(&command).await?.run;
        Ok(format!(
            "Asked to clear {} small balances, {} together.",
            run.lines,
            run.amount.uk()
        ))
    };
    told(&visit, "/controls?tab=small", done.await)
}

/// `POST /controls/small-balances/{id}/steps`
pub(crate) async fn step_run(
    State(app): State<App>,
    visit: Visit,
    Path(run_id): Path<SmallBalanceRunId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let done = async {
        let command = StepSmallBalances {
            command_id: form_command(&visit, &pairs)?,
            run_id,
            step: match field(&pairs, "step") {
                "submit" => RunStep::Submit,
                _ => RunStep::Undo,
            },
            reason: field(&pairs, "reason").to_owned(),
            person: person(&visit.caller),
        };
        let run = app.bus.ask(&command).await?.run;
        Ok(format!("The run is {}.", run.state.name()))
    };
    told(&visit, "/controls?tab=small", done.await)
}

/// `GET /controls/vat-relief.csv`
pub(crate) async fn vat_relief_csv(
    State(app): State<App>,
    visit: Visit,
) -> Result<Response, PageProblem> {
    vat_relief_file(&app, ListVatRelief::default(), File::CsvForPeople)
        .await
        .map_err(visit.give_up())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn frozen_content_reads_as_words_and_money() {
        let mut found = Vec::new();
        facts(
            "",
            &json!({
                "account_ref": "ACME01",
                "receipt_id": "0198c0de-0000-7000-8000-000000000001",
                "amount": {"amount": "1234.50", "currency": "GBP"},
                "payee": {"to_source": true, "reason": null},
                "lines": [{"due_on": "2026-01-31"}],
            }),
            &mut found,
        );
        let read: Vec<(&str, &str)> = found
            .iter()
            .map(|fact| (fact.name.as_str(), fact.value.as_str()))
            .collect();
        for wanted in [
            ("Account ref", "ACME01"),
            ("Amount", "£1,234.50"),
            ("Payee, to source", "yes"),
            ("Lines 1, due on", "31 Jan 2026"),
        ] {
            assert!(read.contains(&wanted), "{wanted:?} in {read:?}");
        }
        assert_eq!(read.len(), 4, "{read:?}");
    }

    #[test]
    fn a_refund_that_is_over_takes_no_step() {
        assert!(next_steps(RefundState::Rejected).is_empty());
        let sent: Vec<&str> = next_steps(RefundState::Sent)
            .iter()
            .map(|n| n.step)
            .collect();
        assert_eq!(sent, ["paid", "returned"]);
    }
}
