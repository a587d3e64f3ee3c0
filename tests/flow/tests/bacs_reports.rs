//! Reports of Bacs, from the file to the ledger: what comes back is owed again as
//! soon as the report is read, once, whatever the bank's statement says before or
//! after.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod imports;

use std::fmt::Write as _;

use chrono::NaiveDate;
use contracts::{
    Role,
    allocation::{DebitState, ReceiptState},
    api::{
        allocation::{
            FindOpenItems, GetReceipt, ListReceipts, ReceiptDetail, ReceiptQueue, TraceReceipt,
        },
        controls::Person,
        dunning::{ListHolds, ListPromises},
        ingestion::{ImportState, ImportView},
        reporting::GetAgedDebt,
        returns::{DebitView, ListDebits},
        worklist::{ListWork, WorkView},
    },
    dunning::{HoldKind, HoldState},
    inbound::{BankReceipt, Direction},
    ingestion::ReturnReport,
};
use kernel::{Currency, ManualClock, Money};
use messaging::Bus;
use rust_decimal::Decimal;
use testkit::{
    DEADLINE, Running, Suite, account, assert_conserved, document, eventually, eventually_some,
    receipt,
};

/// Dropped in this order: nobody works any more when the database goes.
struct Office {
    _services: Vec<Running>,
    gateway: Bus,
    suite: Suite,
}

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// A collection of the mandate `reference`, booked on Tuesday 20 January 2026:
/// Bacs processed it on the Monday, the 19th day of the year.
fn collection(reference: &str, document: &str, amount: &str) -> BankReceipt {
    BankReceipt {
        scheme: Some("dd_collection".into()),
        mandate_reference: Some(reference.into()),
        ..receipt(document, amount)
    }
}

/// A line by which the bank takes money, on the day of the report.
fn taken(amount: &str) -> BankReceipt {
    BankReceipt {
        direction: Direction::Debit,
        scheme: Some("dd_return".into()),
        booked_on: day("2026-01-22"),
        value_on: day("2026-01-22"),
        ..receipt("UNPAID DIRECT DEBITS", amount)
    }
}

/// ARUDD of 22 January 2026 with items of reference, reason and amount.
fn arudd(number: &str, items: &[(&str, &str, &str)]) -> Vec<u8> {
    let mut total = Decimal::ZERO;
    let mut body = String::new();
    for (reference, code, amount) in items {
        total += amount.parse::<Decimal>().unwrap();
        write!(body,
            r#"<ReturnedDebitItem ref="{reference:<18}" transCode="17" returnCode="{code}019" returnDescription="AS SAID" originalProcessingDate="2026-01-19" valueOf="{amount}" currency="GBP"><PayerAccount number="31926819" name="A PAYER" sortCode="60-16-13"/></ReturnedDebitItem>"#
        )
        .unwrap();
    }
    let count = items.len();
    format!(
        r#"<?xml version="1.0" encoding="ISO-8859-1"?>
<BACSDocument><Data><ARUDD><Header reportType="REFT1019" adviceNumber="{number}" currentProcessingDate="2026-01-22"/>
<ServiceLicenseInformation userName="OURS" userNumber="246810"/><Advice><OriginatingAccountRecords><OriginatingAccountRecord>
<OriginatingAccount name="OURS" number="55779911" sortCode="20-00-00"/>{body}<Totals numberOf="{count}" valueOf="{total}" currency="GBP"/>
</OriginatingAccountRecord></OriginatingAccountRecords></Advice></ARUDD></Data></BACSDocument>"#
    )
    .into_bytes()
}

impl Office {
    async fn open() -> Self {
        let clock = ManualClock::new("2026-01-22T07:30:00Z".parse().unwrap());
        let suite = Suite::start_with(clock, |_| {}).await;
        let services = vec![
            suite
                .run(Role::Ingestion, |bus| {
                    ingestion::run(bus, ingestion::Options::default())
                })
                .await,
            suite.run(Role::Allocation, allocation::run).await,
            suite.run(Role::Reporting, reporting::run).await,
            suite.run(Role::Dunning, dunning::run).await,
            suite.run(Role::Worklist, worklist::run).await,
        ];
        let gateway = suite.bus(Role::Gateway).await;
        let office = Self {
            suite,
            gateway,
            _services: services,
        };
        eventually("the services answer", DEADLINE, async || {
            office.gateway.ask(&ListReceipts::default()).await.is_ok()
                && office.gateway.ask(&GetAgedDebt::default()).await.is_ok()
                && office.gateway.ask(&ListPromises::default()).await.is_ok()
        })
        .await;
        office
    }

    /// Three payers, each with a document and a collection that has paid it.
    async fn collected(&self) -> [BankReceipt; 3] {
        let mut lines = Vec::new();
        for (n, amount) in [(1, "100.00"), (2, "250.00"), (3, "75.50")] {
            let (account_ref, number) = (format!("PAYER0{n}"), format!("INV-10{n}"));
            self.suite
                .publish_account(&account_ref, &account(&account_ref))
                .await;
            self.suite
                .publish_document(&number, &document(&number, &account_ref, amount))
                .await;
            self.owes(&number, amount).await;
            let line = collection(&format!("PAYER0{n}-DD"), &number, amount);
            self.tell(&line).await;
            self.receipt(&line, ReceiptState::Allocated).await;
            lines.push(line);
        }
        lines.try_into().unwrap()
    }

    async fn tell(&self, line: &BankReceipt) {
        self.suite.publish_receipt(&line.bank_reference, line).await;
    }

    async fn import(&self, file: &[u8]) -> ImportView {
        imports::import(&self.gateway, file).await
    }

    async fn owes(&self, document_ref: &str, amount: &str) {
        eventually(
            &format!("{document_ref} has {amount} open"),
            DEADLINE,
            async || {
                let ask = FindOpenItems {
                    search: Some(document_ref.into()),
                    ..FindOpenItems::default()
                };
                let page = self.gateway.ask(&ask).await.unwrap();
                let mut items = page.items.into_iter();
                let open = items
                    .find(|item| item.document_ref == document_ref)
                    .map(|item| item.open);
                open == Some(gbp(amount)) || (open.is_none() && amount == "0.00")
            },
        )
        .await;
    }

    async fn receipt(&self, line: &BankReceipt, state: ReceiptState) -> ReceiptDetail {
        let what = format!("{} is {}", line.bank_reference, state.name());
        let view = eventually_some(&what, DEADLINE, async || {
            let ask = ListReceipts {
                queue: ReceiptQueue::All,
                ..ListReceipts::default()
            };
            let all = self.gateway.ask(&ask).await.unwrap().items;
            all.into_iter().find(|r| {
                r.bank_reference.as_deref() == Some(&line.bank_reference) && r.state == state
            })
        })
        .await;
        let receipt_id = view.receipt_id;
        self.gateway.ask(&GetReceipt { receipt_id }).await.unwrap()
    }

    async fn debits(&self) -> Vec<DebitView> {
        self.gateway
            .ask(&ListDebits::default())
            .await
            .unwrap()
            .items
    }

    async fn line(&self, line: &BankReceipt, state: DebitState) -> DebitView {
        let what = format!("{} is {}", line.bank_reference, state.name());
        eventually_some(&what, DEADLINE, async || {
            let mut all = self.debits().await.into_iter();
            all.find(|d| {
                d.bank_reference.as_deref() == Some(&line.bank_reference) && d.state == state
            })
        })
        .await
    }

    async fn item(&self, reference: &str, state: DebitState) -> DebitView {
        let what = format!("the item {reference} is {}", state.name());
        eventually_some(&what, DEADLINE, async || {
            let mut all = self.debits().await.into_iter();
            all.find(|d| {
                let of = d.advised.as_ref();
                of.is_some_and(|item| item.reference == reference) && d.state == state
            })
        })
        .await
    }

    /// What stands on one kind of ledger account.
    async fn balance(&self, of: &str) -> Decimal {
        sqlx::query_scalar(
            "select coalesce(sum(case when debit like $1 then amount else 0 end)
                 - sum(case when credit like $1 then amount else 0 end), 0) from allocation.journal",
        )
        .bind(format!("{of}:%"))
        .fetch_one(self.suite.admin_pool())
        .await
        .unwrap()
    }
}

fn person(role: &str) -> Person {
    Person {
        actor: "user:jo".to_owned(),
        roles: vec![role.to_owned()],
    }
}

/// E32, E36: two of three collections come back. The report re-opens both, before
/// the bank has said anything; the bank's one line for both clears what is in
/// transit and re-opens nothing; the report again, and longer, changes nothing
/// but what is new.
#[tokio::test(flavor = "multi_thread")]
async fn e32_a_report_reopens_what_came_back_and_the_banks_one_line_clears_it() {
    let office = Office::open().await;
    let [first, second, third] = office.collected().await;
    let two = [("PAYER01-DD", "0", "100.00"), ("PAYER02-DD", "1", "250.00")];
    let view = office.import(&arudd("017", &two)).await;
    assert_eq!(view.state, ImportState::Recorded, "{:?}", view.problems);
    let report = view.report.unwrap();
    assert_eq!((report.kind.as_str(), report.items), ("arudd", 2));
    assert_eq!(report.total, Some(gbp("350.00")));

    let detail = office.receipt(&first, ReceiptState::PaidOut).await;
    assert_eq!(
        detail.decision.evidence[0].detail,
        "£100.00 came back: ARUDD 0 Refer to payer"
    );
    office.receipt(&second, ReceiptState::PaidOut).await;
    office.owes("INV-101", "100.00").await;
    office.owes("INV-102", "250.00").await;
    office.owes("INV-103", "0.00").await;
    let item = office.item("PAYER01-DD", DebitState::Returned).await;
    assert_eq!(item.meaning.as_deref(), Some("Refer to payer"));
    let advised = item.advised.unwrap();
    assert_eq!(advised.report, ReturnReport::Arudd);
    assert_eq!(advised.reported_on, day("2026-01-22"));
    assert_eq!(office.balance("returns_in_transit").await, (-350).into());
    assert_conserved(&office.suite).await;

    let line = taken("350.00");
    office.tell(&line).await;
    let cleared = office.line(&line, DebitState::Paired).await;
    assert_eq!(
        cleared.evidence[0].detail,
        "it is the money of 2 items of a report"
    );
    assert_eq!(office.balance("returns_in_transit").await, Decimal::ZERO);
    assert_eq!(office.balance("bank").await, "75.50".parse().unwrap());
    let item = office.item("PAYER02-DD", DebitState::Returned).await;
    assert_eq!(item.paired_with, Some(cleared.debit_id));
    office.owes("INV-101", "100.00").await;

    // The first link of `explain`: the item, and why.
    let trace = TraceReceipt {
        receipt_id: detail.receipt.receipt_id,
    };
    let trace = office.gateway.ask(&trace).await.unwrap();
    assert_eq!(trace.debits.len(), 1);
    assert!(trace.debits[0].advised.is_some());
    let credited: Vec<&str> = trace.journal.iter().map(|e| e.credit.as_str()).collect();
    assert!(
        credited.contains(&"returns_in_transit:GB:200000-55779911"),
        "{credited:?}"
    );

    // The same bytes, then the same report in another envelope, then a longer one.
    let again = office.import(&arudd("017", &two)).await;
    assert_eq!(again.state, ImportState::AlreadyKnown);
    let again = office
        .import(&[arudd("017", &two), b"\n".to_vec()].concat())
        .await;
    assert_eq!((again.recorded, again.duplicates), (0, 2));
    let longer = [two[0], two[1], ("PAYER03-DD", "B", "75.50")];
    let view = office.import(&arudd("017", &longer)).await;
    assert_eq!((view.recorded, view.duplicates), (1, 2));
    office.receipt(&third, ReceiptState::PaidOut).await;
    office.owes("INV-103", "75.50").await;
    office.owes("INV-101", "100.00").await;
    let single = taken("75.50");
    office.tell(&single).await;
    office.line(&single, DebitState::Paired).await;
    assert_eq!(office.balance("returns_in_transit").await, Decimal::ZERO);
    assert_eq!(office.balance("bank").await, Decimal::ZERO);
    assert_conserved(&office.suite).await;
}

/// The other order: the bank's one line waits, because it could be anything; the
/// report says whose payments it took.
#[tokio::test(flavor = "multi_thread")]
async fn e32_the_banks_one_line_before_its_report_waits_for_it() {
    let office = Office::open().await;
    let [first, second, _] = office.collected().await;
    let line = taken("350.00");
    office.tell(&line).await;
    office.line(&line, DebitState::Unmatched).await;
    office.owes("INV-101", "0.00").await;
    let two = [("PAYER01-DD", "0", "100.00"), ("PAYER02-DD", "1", "250.00")];
    office.import(&arudd("017", &two)).await;
    office.line(&line, DebitState::Paired).await;
    office.receipt(&first, ReceiptState::PaidOut).await;
    office.receipt(&second, ReceiptState::PaidOut).await;
    office.owes("INV-101", "100.00").await;
    office.owes("INV-102", "250.00").await;
    assert_eq!(office.balance("returns_in_transit").await, Decimal::ZERO);
    assert_eq!(office.balance("bank").await, "75.50".parse().unwrap());
    assert_conserved(&office.suite).await;
}

/// E37: the bank's own line took the payment and did not say why; the report says
/// that the payer has died, moves nothing, and stops the letters.
#[tokio::test(flavor = "multi_thread")]
async fn e37_a_report_after_the_banks_line_adds_the_reason_and_stops_letters() {
    let office = Office::open().await;
    let [first, second, _] = office.collected().await;
    let line = BankReceipt {
        mandate_reference: Some("PAYER01-DD".into()),
        ..taken("100.00")
    };
    office.tell(&line).await;
    let bare = office.line(&line, DebitState::Returned).await;
    assert_eq!(bare.code, None);
    office.owes("INV-101", "100.00").await;

    let dead = [("PAYER01-DD", "2", "100.00"), ("PAYER02-DD", "2", "250.00")];
    office.import(&arudd("017", &dead)).await;
    let item = office.item("PAYER01-DD", DebitState::Paired).await;
    assert_eq!(item.paired_with, Some(bare.debit_id));
    let line = office.line(&line, DebitState::Returned).await;
    assert_eq!(line.meaning.as_deref(), Some("Payer deceased"));
    let one = office.receipt(&first, ReceiptState::PaidOut).await;
    let two = office.receipt(&second, ReceiptState::PaidOut).await;
    assert_eq!(one.outflows.len(), 1, "it went back once");
    for detail in [one, two] {
        let account_id = detail.receipt.account_id.unwrap();
        eventually("letters are stopped", DEADLINE, async || {
            let ask = ListHolds {
                account_id: Some(account_id),
                state: Some(HoldState::Active),
                person: person("manager"),
                page: contracts::api::PageRequest::default(),
            };
            let holds = office.gateway.ask(&ask).await.unwrap().items;
            holds.iter().any(|hold| hold.kind == HoldKind::Deceased)
        })
        .await;
    }
    // Only the second is still in transit.
    assert_eq!(office.balance("returns_in_transit").await, (-250).into());
    assert_conserved(&office.suite).await;
}

/// E35: an indemnity claim moves nothing and is work with its days; when the bank
/// takes the money the payment is known, and why.
#[tokio::test(flavor = "multi_thread")]
async fn e35_a_claim_is_expected_until_the_bank_takes_it() {
    let office = Office::open().await;
    let [first, ..] = office.collected().await;
    let claim = r"<VocaDocument><Data><Document><ReportDate>2026-01-22</ReportDate>
        <ServiceUserNumber>246810</ServiceUserNumber><NewAdvices><TotalValueOfDebits>100.00</TotalValueOfDebits>
        <DDICAdvice><SeqNo>1</SeqNo><SUReference>PAYER01-DD</SUReference><ReasonCode>2</ReasonCode>
        <PayerName>A PAYER</PayerName><TotalAmount>100.00</TotalAmount><DDCollections><DDCollection>
        <DateOfDirectDebit>2026-01-20</DateOfDirectDebit><Amount>100.00</Amount></DDCollection></DDCollections>
        </DDICAdvice></NewAdvices></Document></Data></VocaDocument>";
    office.import(claim.as_bytes()).await;
    let item = office.item("PAYER01-DD", DebitState::Expected).await;
    let advised = item.advised.unwrap();
    // Nine and fourteen working days after Thursday 22 January.
    assert_eq!(advised.challenge_by, Some(day("2026-02-04")));
    assert_eq!(advised.expected_on, Some(day("2026-02-11")));
    office.receipt(&first, ReceiptState::Allocated).await;
    assert_eq!(office.balance("returns_in_transit").await, Decimal::ZERO);
    let work = async || {
        let ask = ListWork {
            view: WorkView::Team,
            actor: "user:jo".into(),
            kinds: vec!["bacs_report".into()],
            ..ListWork::default()
        };
        office.gateway.ask(&ask).await.unwrap().items
    };
    let todo = eventually_some("the claim is work", DEADLINE, async || work().await.pop()).await;
    assert!(
        todo.detail.contains("challenge by 2026-02-04"),
        "{}",
        todo.detail
    );

    let line = BankReceipt {
        scheme: Some("ddic".into()),
        booked_on: day("2026-02-11"),
        value_on: day("2026-02-11"),
        ..taken("100.00")
    };
    office.tell(&line).await;
    office.line(&line, DebitState::Paired).await;
    office.item("PAYER01-DD", DebitState::Returned).await;
    let detail = office.receipt(&first, ReceiptState::PaidOut).await;
    assert!(
        detail.decision.evidence[0]
            .detail
            .contains("DDICA 2 No advance notice received"),
        "{:?}",
        detail.decision
    );
    office.owes("INV-101", "100.00").await;
    assert_eq!(office.balance("returns_in_transit").await, Decimal::ZERO);
    eventually("the work is done", DEADLINE, async || {
        work().await.is_empty()
    })
    .await;
    assert_conserved(&office.suite).await;
}
