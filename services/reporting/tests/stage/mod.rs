//! Reporting on real servers, with the test in the part of allocation.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "a module of several test binaries, none of which uses all of it"
)]

use std::collections::HashSet;

use chrono::{DateTime, NaiveDate, TimeZone, Utc};
use contracts::{
    Event, Role,
    allocation::{
        AccountUpdated, AdjustmentKind, AdjustmentLine, AllocationLine, Decision, DocumentPosted,
        ReceiptMoved, ReceiptPosted, ReceiptState, Rule,
    },
    api::{Call, Refusal},
    inbound::DocumentKind,
};
use kernel::{
    AccountId, AdjustmentId, AllocationId, Currency, DocumentId, EventId, ManualClock, Money,
    ReceiptId,
};
use messaging::Bus;
use rust_decimal::Decimal;
use testkit::{DEADLINE, Running, Suite, eventually};

/// The day on which all of these tests play, unless they move the clock.
pub fn now() -> DateTime<Utc> {
    at(2026, 7, 1, 12)
}

pub fn at(year: i32, month: u32, day: u32, hour: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(year, month, day, hour, 0, 0).unwrap()
}

pub fn day(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap()
}

pub fn pounds(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

pub fn pence(n: i64, currency: Currency) -> Money {
    Money::try_new(Decimal::new(n, 2), currency).unwrap()
}

/// Reporting at work, and the way to talk to it.
pub struct Stage {
    pub suite: Suite,
    pub clock: ManualClock,
    gateway: Bus,
    reporting: Option<Running>,
    said: HashSet<EventId>,
}

impl Stage {
    pub async fn start() -> Self {
        let clock = ManualClock::new(now());
        let suite = Suite::start_with(clock.clone(), |_| {}).await;
        let reporting = suite.run(Role::Reporting, reporting::run).await;
        let gateway = suite.bus(Role::Gateway).await;
        Self {
            suite,
            clock,
            gateway,
            reporting: Some(reporting),
            said: HashSet::new(),
        }
    }

    /// Publishes an event of allocation.
    pub async fn say<E: Event>(&mut self, event: &E) {
        self.say_as(EventId::generate(), event).await;
    }

    pub async fn say_as<E: Event>(&mut self, id: EventId, event: &E) {
        let payload = serde_json::to_vec(event).unwrap();
        self.say_raw(
            id,
            &E::event_type(),
            &self.suite.prefix().event(event),
            payload,
        )
        .await;
    }

    pub async fn say_raw(&mut self, id: EventId, kind: &str, subject: &str, payload: Vec<u8>) {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("ce-id", id.to_string());
        headers.insert("ce-type", kind);
        // No `Nats-Msg-Id`: the broker would hold back what the test says twice.
        let sent = self
            .suite
            .jetstream()
            .publish_with_headers(subject.to_owned(), headers, payload.into())
            .await;
        sent.unwrap().await.unwrap();
        self.said.insert(id);
    }

    /// Waits until reporting has taken in everything that was said.
    pub async fn heard(&self) {
        let said = i64::try_from(self.said.len()).unwrap();
        eventually("reporting has heard everything", DEADLINE, async || {
            let heard: i64 = sqlx::query_scalar("select count(*) from reporting.inbox")
                .fetch_one(self.suite.admin_pool())
                .await
                .unwrap();
            heard == said
        })
        .await;
    }

    /// Asks as the gateway does, waiting for the service to be up.
    pub async fn ask<C: Call>(&self, call: &C) -> C::Reply {
        self.try_ask(call).await.unwrap()
    }

    pub async fn try_ask<C: Call>(&self, call: &C) -> Result<C::Reply, Refusal> {
        testkit::eventually_some("reporting answers", DEADLINE, async || {
            match self.gateway.ask(call).await {
                Err(refusal) if refusal.code == "messaging.no_answer" => None,
                answer => Some(answer),
            }
        })
        .await
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Debtor {
    pub id: AccountId,
    pub number: u32,
}

pub fn debtor(number: u32) -> Debtor {
    Debtor {
        id: AccountId::generate(),
        number,
    }
}

impl Debtor {
    pub fn reference(self) -> String {
        format!("C-{:03}", self.number)
    }

    pub fn updated(self, version: i64, name: &str, recorded_at: DateTime<Utc>) -> AccountUpdated {
        AccountUpdated {
            account_id: self.id,
            account_ref: self.reference(),
            version,
            name: name.to_owned(),
            kind: Some(contracts::inbound::AccountKind::Company),
            parent_ref: None,
            terms_days: Some(30),
            currency: Some(Currency::GBP),
            email: None,
            phone: None,
            address: None,
            segment: Some(
                if self.number.is_multiple_of(2) {
                    "even"
                } else {
                    "odd"
                }
                .to_owned(),
            ),
            department: None,
            principal: None,
            debtors: None,
            recorded_at,
            actor: "feed:test".to_owned(),
        }
    }

    /// A document issued on `issued_on`, due 30 days later, recorded at noon of
    /// the day of issue.
    pub fn document(self, reference: &str, issued_on: NaiveDate, amount: Money) -> DocumentPosted {
        DocumentPosted {
            document_id: DocumentId::generate(),
            document_ref: reference.to_owned(),
            kind: if amount.is_negative() {
                DocumentKind::CreditNote
            } else {
                DocumentKind::Invoice
            },
            account_id: self.id,
            account_ref: self.reference(),
            matter_ref: None,
            issued_on,
            due_on: issued_on + chrono::Days::new(30),
            amount,
            payment_reference: None,
            recorded_at: noon(issued_on),
            actor: "feed:test".to_owned(),
        }
    }
}

pub fn noon(day: NaiveDate) -> DateTime<Utc> {
    day.and_hms_opt(12, 0, 0).unwrap().and_utc()
}

fn decided(rule: Rule) -> Decision {
    Decision::because(rule, Vec::new())
}

pub fn line(document: &DocumentPosted, amount: Money, effective_on: NaiveDate) -> AllocationLine {
    AllocationLine {
        allocation_id: AllocationId::generate(),
        document_id: document.document_id,
        document_ref: document.document_ref.clone(),
        account_id: document.account_id,
        amount,
        effective_on,
        contra_of: None,
    }
}

/// `amount` of `document` settled without cash.
pub fn adjusted(
    document: &DocumentPosted,
    kind: AdjustmentKind,
    amount: Money,
    effective_on: NaiveDate,
) -> AdjustmentLine {
    AdjustmentLine {
        adjustment_id: AdjustmentId::generate(),
        kind,
        document_id: document.document_id,
        document_ref: document.document_ref.clone(),
        account_id: document.account_id,
        amount,
        effective_on,
        contra_of: None,
        cause: None,
    }
}

/// The line that undoes `line`.
pub fn contra(line: &AllocationLine, effective_on: NaiveDate) -> AllocationLine {
    AllocationLine {
        allocation_id: AllocationId::generate(),
        amount: line.amount.neg(),
        effective_on,
        contra_of: Some(line.allocation_id),
        ..line.clone()
    }
}

fn state(received: Money, unallocated: Money, debtor: Option<Debtor>) -> ReceiptState {
    if unallocated.is_zero() {
        ReceiptState::Allocated
    } else if unallocated != received {
        ReceiptState::PartAllocated
    } else if debtor.is_some() {
        ReceiptState::Unallocated
    } else {
        ReceiptState::Unidentified
    }
}

/// A receipt of `debtor` (or of nobody known), recorded at noon of its booking.
pub fn posted(
    debtor: Option<Debtor>,
    booked_on: NaiveDate,
    amount: Money,
    lines: Vec<AllocationLine>,
) -> ReceiptPosted {
    let allocated = Money::sum(lines.iter().map(|l| l.amount), amount.currency()).unwrap();
    let unallocated = amount.checked_sub(allocated).unwrap();
    ReceiptPosted {
        receipt_id: ReceiptId::generate(),
        version: 1,
        bank_account: "GB:200000-55779911".to_owned(),
        bank_reference: None,
        booked_on,
        value_on: booked_on,
        amount,
        payer_name: Some("A Payer".to_owned()),
        payer_account: None,
        narrative: "THANK YOU".to_owned(),
        state: state(amount, unallocated, debtor),
        account_id: debtor.map(|d| d.id),
        account_ref: debtor.map(Debtor::reference),
        unallocated,
        decision: decided(if lines.is_empty() {
            Rule::None
        } else {
            Rule::DocumentNumber
        }),
        lines,
        adjustments: Vec::new(),
        suggestions: 0,
        recorded_at: noon(booked_on),
        actor: "matching".to_owned(),
    }
}

/// A move of `receipt`, which had `left` unallocated, recorded at `recorded_at`.
pub fn moved(
    receipt: &ReceiptPosted,
    version: i64,
    left: Money,
    debtor: Option<Debtor>,
    lines: Vec<AllocationLine>,
    recorded_at: DateTime<Utc>,
) -> ReceiptMoved {
    let moved = Money::sum(lines.iter().map(|l| l.amount), left.currency()).unwrap();
    let unallocated = left.checked_sub(moved).unwrap();
    ReceiptMoved {
        receipt_id: receipt.receipt_id,
        version,
        state: state(receipt.amount, unallocated, debtor),
        account_id: debtor.map(|d| d.id),
        account_ref: debtor.map(Debtor::reference),
        unallocated,
        lines,
        adjustments: Vec::new(),
        outflows: Vec::new(),
        returned: None,
        decision: decided(Rule::Manual),
        suggestions: 0,
        recorded_at,
        actor: "pat".to_owned(),
        reason: "a person said so".to_owned(),
    }
}
