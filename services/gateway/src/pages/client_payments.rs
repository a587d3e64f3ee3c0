//! Payments of client money: somebody asks for one out of what a matter holds, a
//! second person decides, and it is sent or taken back.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use chrono::NaiveDate;
use contracts::{
    api::{
        PageRequest,
        ingestion::ListBankAccounts,
        matters::{
            ClientPaymentView, GetMatter, ListClientPayments, ListMatters, MatterDetail,
            MatterPayment, MatterView, PayClientMoney, TakeBackClientPayment,
        },
    },
    controls::{ClientPaymentId, ClientPaymentState},
    ingestion::Designation,
    matters::{EntryKind, Side},
};
use kernel::{MatterId, Money};

use super::{
    Done, PageProblem, Section, Shell, Visit,
    controls::{Pairs, amount, field, form_command},
    show::{Uk as _, Words as _},
};
use crate::{
    App,
    api::{Path, encoded},
    auth::{Access, Caller},
    problem::Problem,
    routes,
};

const PLACE: &str = "/client-payments";
/// Matters that a search shows.
const FOUND: u16 = 20;
/// Days on which money came onto the ledger, of a matter.
const CAME_IN: usize = 3;

/// What the page shows, as its address says.
#[derive(Debug, Clone, Default)]
struct Place {
    /// Those that are decided, too.
    all: bool,
    search: String,
    cursor: String,
    matter: Option<MatterId>,
}

impl Place {
    fn read(pairs: &Pairs) -> Self {
        Self {
            all: field(pairs, "all") == "true",
            search: field(pairs, "search").to_owned(),
            cursor: field(pairs, "cursor").to_owned(),
            matter: field(pairs, "matter").parse().ok(),
        }
    }

    fn list(&self) -> String {
        let mut href = format!("{PLACE}?all={}", self.all);
        for (name, value) in [("search", &self.search), ("cursor", &self.cursor)] {
            if !value.is_empty() {
                href = format!("{href}&{name}={}", encoded(value));
            }
        }
        href
    }

    fn with(&self, matter: MatterId) -> String {
        format!("{}&matter={matter}", self.list())
    }
}

/// What was typed into a form that was refused.
#[derive(Default)]
struct Typed {
    kind: String,
    amount: String,
    currency: String,
    payee: String,
    bank_account: String,
    reason: String,
}

impl Typed {
    fn read(pairs: &Pairs) -> Self {
        let of = |name| field(pairs, name).to_owned();
        Self {
            kind: of("kind"),
            amount: of("amount"),
            currency: of("currency"),
            payee: of("payee"),
            bank_account: of("bank_account"),
            reason: of("reason"),
        }
    }
}

/// What is held in a currency, and how much of it is asked for already.
struct Holding {
    held: Money,
    asked: Money,
    free: Money,
}

/// A matter, and what stands against a payment out of it.
struct Chosen {
    detail: MatterDetail,
    holdings: Vec<Holding>,
    against: Vec<String>,
}

#[derive(Template)]
#[template(path = "client_payments.html")]
struct ClientPaymentsPage {
    shell: Shell,
    place: Place,
    waiting_href: String,
    all_href: String,
    payments: Vec<MatterPayment>,
    next: Option<String>,
    found: Vec<MatterView>,
    chosen: Option<Chosen>,
    missing: Option<String>,
    /// Our bank accounts that hold client money.
    accounts: Vec<String>,
    typed: Typed,
    problems: Vec<String>,
    may_act: bool,
    may_decide: bool,
}

impl ClientPaymentsPage {
    fn is_current(&self, matter: &MatterId) -> bool {
        let shown = self.chosen.as_ref().map(|c| c.detail.matter.matter_id);
        shown == Some(*matter)
    }

    fn href(&self, matter: &MatterId) -> String {
        self.place.with(*matter)
    }

    fn waits(payment: &ClientPaymentView) -> bool {
        payment.state == ClientPaymentState::Requested
    }

    /// The caller asked for it and cannot approve it too.
    fn own(&self, payment: &ClientPaymentView) -> bool {
        let actor = self.shell.caller.as_ref().map(Caller::actor);
        Some(&payment.requester) == actor.as_ref()
    }
}

/// As people say where a payment stands.
trait Stands {
    fn said(&self) -> &'static str;
}

impl Stands for ClientPaymentState {
    fn said(&self) -> &'static str {
        match self {
            Self::Requested => "Waits for a second person",
            Self::Paid => "Sent",
            Self::Rejected => "Rejected",
            Self::Expired => "Nobody decided in time",
            Self::Voided => "Not sent: too little was held, or it was paid already",
            Self::TakenBack => "Taken back",
        }
    }
}

/// `GET /client-payments`
pub(crate) async fn show(
    State(app): State<App>,
    visit: Visit,
    Query(pairs): Query<Pairs>,
) -> Result<Response, PageProblem> {
    let page = assemble(&app, &visit, Place::read(&pairs), Typed::default(), None)
        .await
        .map_err(visit.give_up())?;
    Ok(visit.show(StatusCode::OK, &page))
}

async fn assemble(
    app: &App,
    visit: &Visit,
    place: Place,
    typed: Typed,
    refused: Option<&Problem>,
) -> Result<ClientPaymentsPage, Problem> {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let ask = ListClientPayments {
        state: (!place.all).then_some(ClientPaymentState::Requested),
        page: PageRequest {
            cursor: some(&place.cursor),
            limit: None,
        },
    };
    let (listed, ours) = tokio::try_join!(app.bus.ask(&ask), app.bus.ask(&ListBankAccounts {}))?;
    let mut found = Vec::new();
    if let Some(search) = some(&place.search) {
        let ask = ListMatters {
            search: Some(search),
            status: None,
            page: PageRequest {
                cursor: None,
                limit: Some(FOUND),
            },
        };
        found = app.bus.ask(&ask).await?.items;
    }
    let first = match found.as_slice() {
        [only] => Some(only.matter_id),
        [] => listed.items.first().map(|first| first.matter_id),
        _ => None,
    };
    let (mut chosen, mut missing) = (None, None);
    if let Some(matter_id) = place.matter.or(first) {
        let asked = app.bus.ask(&GetMatter { matter_id }).await;
        match asked.map_err(Problem::from) {
            Ok(detail) => chosen = Some(choose(detail)),
            Err(problem) if problem.status() == StatusCode::NOT_FOUND => {
                missing = Some(problem.detail);
            }
            Err(problem) => return Err(problem),
        }
    }
    let accounts = ours
        .items
        .into_iter()
        .filter(|account| account.designation == Designation::Client)
        .map(|account| account.bank_account)
        .collect();
    let problems = refused.map_or_else(Vec::new, |problem| {
        let fields = problem.errors.iter().map(|field| field.detail.clone());
        let mut all = vec![problem.detail.clone()];
        all.extend(fields.filter(|detail| *detail != problem.detail));
        all
    });
    let plain = Place {
        search: place.search.clone(),
        ..Place::default()
    };
    Ok(ClientPaymentsPage {
        shell: visit.shell(Section::Residuals, "Client payments"),
        waiting_href: plain.list(),
        all_href: Place { all: true, ..plain }.list(),
        next: listed.next_cursor.map(|cursor| {
            Place {
                cursor,
                ..place.clone()
            }
            .list()
        }),
        payments: listed.items,
        found,
        chosen,
        missing,
        accounts,
        typed,
        problems,
        may_act: Access::ALLOCATE.allows(&visit.caller.roles),
        may_decide: routes::DECIDE.allows(&visit.caller.roles),
        place,
    })
}

/// What is held, what is asked for already, and what a person must look at before
/// asking for more. Whether it can be paid, allocation says when it is asked.
fn choose(detail: MatterDetail) -> Chosen {
    let held = &detail.matter.client_money;
    let waits = |currency| {
        let waiting = detail
            .payments
            .iter()
            .filter(|p| ClientPaymentsPage::waits(p) && p.amount.currency() == currency);
        Money::sum(waiting.map(|p| p.amount), currency).ok()
    };
    let holdings: Vec<Holding> = held
        .iter()
        .filter_map(|held| {
            let asked = waits(held.currency())?;
            Some(Holding {
                held: *held,
                asked,
                free: held.checked_sub(asked).ok()?,
            })
        })
        .collect();
    let mut against = Vec::new();
    for holding in holdings.iter().filter(|one| !one.asked.is_zero()) {
        against.push(format!(
            "{} is asked for already: {} is free.",
            holding.asked.uk(),
            holding.free.uk()
        ));
    }
    let moves = detail.bank_moves.iter();
    for due in moves.filter(|due| due.to == Side::Client && due.done_on.is_none()) {
        against.push(format!(
            "{} of it is on a business account still: it must be moved by {}.",
            due.amount.uk(),
            due.due_by.uk()
        ));
    }
    if let Some(why) = &detail.matter.hold_reason {
        against.push(format!(
            "It is held until {}: {}.",
            detail.matter.hold_until.uk(),
            why.trim_end_matches('.')
        ));
    }
    let mut came: BTreeMap<NaiveDate, Vec<Money>> = BTreeMap::new();
    for line in &detail.entries {
        let entry = &line.entry;
        if entry.kind == EntryKind::Received && entry.amount.is_positive() && !line.undone {
            came.entry(entry.effective_on)
                .or_default()
                .push(entry.amount);
        }
    }
    for (day, amounts) in came.iter().rev().take(CAME_IN) {
        against.push(format!(
            "{} came onto the client ledger on {}: see that it has cleared at the bank.",
            amounts.uk(),
            day.uk()
        ));
    }
    Chosen {
        detail,
        holdings,
        against,
    }
}

/// Shows the page again with what was typed, when the form was refused.
async fn settle(
    app: &App,
    visit: &Visit,
    place: Place,
    pairs: &Pairs,
    done: Result<Done, Problem>,
) -> Result<Response, PageProblem> {
    match visit.settle(done)? {
        Ok(response) => Ok(response),
        Err(problem) => {
            let page = assemble(app, visit, place, Typed::read(pairs), Some(&problem))
                .await
                .map_err(visit.give_up())?;
            Ok(visit.show(problem.status(), &page))
        }
    }
}

/// `POST /client-payments/matters/{id}`
pub(crate) async fn request(
    State(app): State<App>,
    visit: Visit,
    Path(matter_id): Path<MatterId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let place = Place {
        matter: Some(matter_id),
        ..Place::read(&pairs)
    };
    let done = async {
        let kind = match field(&pairs, "kind") {
            "returned" => EntryKind::Returned,
            "paid_out" => EntryKind::PaidOut,
            _ => {
                return Err(Problem::invalid(
                    "gateway.bad_form",
                    "/kind",
                    "Choose to whom it is paid.",
                ));
            }
        };
        let currency = field(&pairs, "currency");
        let amount = amount(field(&pairs, "amount"), currency, "/amount")?
            .ok_or_else(|| Problem::invalid("gateway.bad_amount", "/amount", "Give the amount."))?;
        let bank_account = field(&pairs, "bank_account").to_owned();
        let ask = PayClientMoney {
            command_id: form_command(&visit, &pairs)?,
            matter_id,
            kind,
            amount,
            payee: field(&pairs, "payee").to_owned(),
            disbursement_id: None,
            bank_account: Some(bank_account).filter(|account| !account.is_empty()),
            actor: visit.caller.actor(),
            reason: field(&pairs, "reason").to_owned(),
        };
        app.bus.ask(&ask).await?;
        Ok(Done {
            to: place.with(matter_id),
            text: format!("{} is asked for: a second person decides.", amount.uk()),
        })
    };
    let done = done.await;
    settle(&app, &visit, place, &pairs, done).await
}

/// `POST /client-payments/{id}/take-back`
pub(crate) async fn take_back(
    State(app): State<App>,
    visit: Visit,
    Path(payment_id): Path<ClientPaymentId>,
    Form(pairs): Form<Pairs>,
) -> Result<Response, PageProblem> {
    let place = Place::read(&pairs);
    let done = async {
        let ask = TakeBackClientPayment {
            command_id: form_command(&visit, &pairs)?,
            payment_id,
            actor: visit.caller.actor(),
            reason: field(&pairs, "reason").to_owned(),
        };
        let matter = app.bus.ask(&ask).await?.matter;
        Ok(Done {
            to: place.with(matter.matter_id),
            text: "Taken back: nobody need decide it.".to_owned(),
        })
    };
    let done = done.await;
    settle(&app, &visit, place, &pairs, done).await
}
