//! Money that comes back, moves on, and is taken apart again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use contracts::{
    Role,
    allocation::{DebitState, ReceiptState, Rule, TermKind},
    api::{
        allocation::{
            AllocateLine, AllocateReceipt, FindOpenItems, GetReceipt, Held, ListReceipts,
            OpenItemView, ReceiptDetail, ReceiptQueue, TraceReceipt,
        },
        reporting::{AccountKey, AccountView, GetAccount, GetAgedDebt, GetTimeline},
        returns::{
            Chaseable, DebitView, GetChaseable, KeepOnAccount, ListDebits, MarkDebitOurs,
            MatchDebit, MoveAllocation, OffsetDocuments, OffsetLine, ReturnReceipt, ReverseDebit,
            Run, SettleDuplicate, TransferReceipt,
        },
        workbench::UndoTogether,
    },
    inbound::{BankAccountRef, BankReceipt, Direction, DocumentKind, Payer},
};
use kernel::{CommandId, Currency, Money};
use messaging::Bus;
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

/// The same line the other way: the bank takes `paid` back.
fn back(paid: &BankReceipt, scheme: &str, code: Option<&str>, days: u64) -> BankReceipt {
    let day = paid.booked_on + chrono::Days::new(days);
    BankReceipt {
        direction: Direction::Debit,
        scheme: Some(scheme.into()),
        return_reason: code.map(str::to_owned),
        bank_reference: format!("RTN-{}", paid.bank_reference),
        booked_on: day,
        value_on: day,
        ..paid.clone()
    }
}

impl Office {
    async fn open() -> Self {
        let suite = Suite::start().await;
        let services = vec![
            suite
                .run(Role::Ingestion, |bus| {
                    ingestion::run(bus, ingestion::Options::default())
                })
                .await,
            suite.run(Role::Allocation, allocation::run).await,
            suite.run(Role::Reporting, reporting::run).await,
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
        })
        .await;
        office
    }

    async fn bill(&self, document_ref: &str, account_ref: &str, gross: &str) {
        self.suite
            .publish_document(document_ref, &document(document_ref, account_ref, gross))
            .await;
        eventually(&format!("{document_ref} is open"), DEADLINE, async || {
            self.item(document_ref).await.is_some()
        })
        .await;
    }

    async fn tell(&self, line: &BankReceipt) {
        self.suite.publish_receipt(&line.bank_reference, line).await;
    }

    async fn item(&self, document_ref: &str) -> Option<OpenItemView> {
        let ask = FindOpenItems {
            search: Some(document_ref.into()),
            ..FindOpenItems::default()
        };
        let page = self.gateway.ask(&ask).await.unwrap();
        page.items
            .into_iter()
            .find(|item| item.document_ref == document_ref)
    }

    async fn owes(&self, document_ref: &str, amount: &str) {
        let item = self.item(document_ref).await;
        assert_eq!(
            item.map(|item| item.open),
            Some(gbp(amount)),
            "{document_ref}"
        );
    }

    /// The receipt with this bank reference, once it stands as `state`.
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

    async fn debit(&self, line: &BankReceipt, state: DebitState) -> DebitView {
        let what = format!("{} is {}", line.bank_reference, state.name());
        eventually_some(&what, DEADLINE, async || {
            let all = self.gateway.ask(&ListDebits::default()).await.unwrap();
            all.items.into_iter().find(|d| {
                d.bank_reference.as_deref() == Some(&line.bank_reference) && d.state == state
            })
        })
        .await
    }

    async fn account(&self, account_ref: &str) -> AccountView {
        let ask = GetAccount {
            account: AccountKey::Ref(account_ref.into()),
        };
        self.gateway.ask(&ask).await.unwrap()
    }

    async fn chaseable(&self, account_ref: &str) -> Chaseable {
        let account_id = self.account(account_ref).await.account_id;
        let ask = GetChaseable {
            account_id,
            items: Vec::new(),
        };
        self.gateway.ask(&ask).await.unwrap()
    }

    async fn allocate(&self, paid: &ReceiptDetail, document_ref: &str, amount: &str) {
        let item = self.item(document_ref).await.unwrap();
        self.gateway
            .ask(&AllocateReceipt {
                command_id: CommandId::generate(),
                receipt_id: paid.receipt.receipt_id,
                expected_version: None,
                lines: vec![AllocateLine {
                    document_id: item.document_id,
                    amount: gbp(amount),
                }],
                actor: "user:jo".into(),
                reason: "as the payer said".into(),
            })
            .await
            .unwrap();
    }
}

/// A Direct Debit of Acme's mandate over several invoices.
fn collection(amount: &str, words: &str) -> BankReceipt {
    BankReceipt {
        scheme: Some("dd_collection".into()),
        mandate_reference: Some("ACME-DD-1".into()),
        payer: Payer {
            name: Some("ACME01 Ltd".into()),
            account: BankAccountRef::default(),
        },
        ..receipt(words, amount)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_debit_over_three_invoices_bounces_and_all_three_are_owed_again() {
    let office = Office::open().await;
    office
        .suite
        .publish_account("acme", &account("ACME01"))
        .await;
    for (number, gross) in [
        ("INV-10", "100.00"),
        ("INV-11", "200.00"),
        ("INV-12", "300.00"),
    ] {
        office.bill(number, "ACME01", gross).await;
    }
    let paid = collection("600.00", "INV-10 INV-11 INV-12");
    office.tell(&paid).await;
    let receipt = office.receipt(&paid, ReceiptState::Allocated).await;
    assert_eq!(receipt.allocations.len(), 3);

    // ARUDD 0, refer to payer, three days later.
    let bounced = back(&paid, "dd_return", Some("0"), 3);
    office.tell(&bounced).await;
    let receipt = office.receipt(&paid, ReceiptState::PaidOut).await;
    assert_eq!(receipt.decision.rule, Rule::Returned);
    assert_eq!(
        receipt.allocations.len(),
        6,
        "three lines and their contras"
    );
    assert!(receipt.suggestions.is_empty());
    office.owes("INV-10", "100.00").await;
    office.owes("INV-11", "200.00").await;
    office.owes("INV-12", "300.00").await;
    let debit = office.debit(&bounced, DebitState::Returned).await;
    assert_eq!(debit.receipt_id, Some(receipt.receipt.receipt_id));
    assert_eq!(debit.meaning.as_deref(), Some("Refer to payer"));
    assert!(debit.action.unwrap().contains("presented once more"));

    // The same line again changes nothing.
    office.suite.publish_receipt("again", &bounced).await;
    assert_conserved(&office.suite).await;
    office.owes("INV-10", "100.00").await;
    let account = office.account("ACME01").await;
    assert_eq!(account.balances[0].open, gbp("600.00"));
    let timeline = office
        .gateway
        .ask(&GetTimeline {
            account_id: account.account_id,
            page: contracts::api::PageRequest::default(),
        })
        .await
        .unwrap();
    let said: Vec<_> = timeline.items.iter().map(|entry| &entry.summary).collect();
    assert!(
        said.iter()
            .any(|text| text.contains("returned by the bank")),
        "{said:?}"
    );
    let trace = office
        .gateway
        .ask(&TraceReceipt {
            receipt_id: receipt.receipt.receipt_id,
        })
        .await
        .unwrap();
    assert!(
        trace
            .events
            .iter()
            .any(|event| event.event_type.contains("receipt_reduced"))
    );
    assert!(
        trace
            .journal
            .iter()
            .any(|entry| entry.credit.starts_with("bank:"))
    );
}

/// E31, and E35: an indemnity claim comes months later, the payment after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_return_before_its_payment_waits_and_takes_the_payment_when_it_comes() {
    let office = Office::open().await;
    office
        .suite
        .publish_account("acme", &account("ACME01"))
        .await;
    office.bill("INV-20", "ACME01", "90.00").await;
    let paid = collection("90.00", "INV-20");
    let claimed = back(&paid, "ddic", Some("2"), 120);
    office.tell(&claimed).await;
    let debit = office.debit(&claimed, DebitState::Unmatched).await;
    assert!(debit.candidates.is_empty());

    office.tell(&paid).await;
    let receipt = office.receipt(&paid, ReceiptState::PaidOut).await;
    assert!(receipt.allocations.is_empty(), "it never paid anything");
    office.debit(&claimed, DebitState::Returned).await;
    office.owes("INV-20", "90.00").await;
    assert_conserved(&office.suite).await;
}

/// E41: a part comes back, then again; what it had paid is only suggested.
#[tokio::test(flavor = "multi_thread")]
async fn a_card_dispute_takes_a_part_and_is_won() {
    let office = Office::open().await;
    office
        .suite
        .publish_account("acme", &account("ACME01"))
        .await;
    office.bill("INV-30", "ACME01", "100.00").await;
    let paid = BankReceipt {
        scheme: Some("card".into()),
        end_to_end_id: Some("CARD-TX-1".into()),
        ..receipt("INV-30", "100.00")
    };
    office.tell(&paid).await;
    office.receipt(&paid, ReceiptState::Allocated).await;

    let disputed = BankReceipt {
        amount: "40.00".into(),
        ..back(&paid, "card", Some("13.1"), 60)
    };
    office.tell(&disputed).await;
    let debit = office.debit(&disputed, DebitState::Returned).await;
    assert_eq!(debit.meaning.as_deref(), Some("Cardholder dispute"));
    office.owes("INV-30", "40.00").await;
    assert_conserved(&office.suite).await;

    let won = BankReceipt {
        direction: Direction::Credit,
        return_reason: None,
        bank_reference: "CHARGEBACK-WON".into(),
        ..disputed.clone()
    };
    office.tell(&won).await;
    office.debit(&disputed, DebitState::Reversed).await;
    office.receipt(&won, ReceiptState::PaidOut).await;
    let receipt = office.receipt(&paid, ReceiptState::PartAllocated).await;
    assert_eq!(receipt.receipt.unallocated, gbp("40.00"));
    let best = &receipt.suggestions[0];
    assert_eq!(best.lines[0].document_ref, "INV-30");
    assert_eq!(best.lines[0].amount, gbp("40.00"));
    office.owes("INV-30", "40.00").await;
    assert_conserved(&office.suite).await;
}

/// E41: a person says that the bank gave back what it had taken, with the credit
/// that brought it: the money stands on the payment again, and once.
#[tokio::test(flavor = "multi_thread")]
async fn e41_a_person_reverses_a_debit_with_the_credit_that_gave_it_back() {
    let office = Office::open().await;
    office
        .suite
        .publish_account("acme", &account("ACME01"))
        .await;
    office.bill("INV-35", "ACME01", "100.00").await;
    let paid = collection("100.00", "INV-35");
    office.tell(&paid).await;
    office.receipt(&paid, ReceiptState::Allocated).await;
    let taken = back(&paid, "dd_return", Some("0"), 3);
    office.tell(&taken).await;
    let debit = office.debit(&taken, DebitState::Returned).await;
    office.owes("INV-35", "100.00").await;

    let credit = BankReceipt {
        bank_reference: "BANK-GAVE-BACK".into(),
        ..receipt("RECALL CANCELLED", "100.00")
    };
    office.tell(&credit).await;
    let gave = office.receipt(&credit, ReceiptState::Unidentified).await;
    let reverse = ReverseDebit {
        command_id: CommandId::generate(),
        debit_id: debit.debit_id,
        credit: Some(gave.receipt.receipt_id),
        actor: "user:jo".into(),
        reason: "the bank's letter of today".into(),
    };
    let reversed = office.gateway.ask(&reverse).await.unwrap();
    assert_eq!(reversed.state, DebitState::Reversed);
    assert_eq!(
        office.gateway.ask(&reverse).await.unwrap(),
        reversed,
        "once, however often"
    );
    let again = ReverseDebit {
        command_id: CommandId::generate(),
        ..reverse
    };
    let refused = office.gateway.ask(&again).await.unwrap_err();
    assert_eq!(refused.code, "allocation.debit_settled");
    // The credit is no money of its own; what it had paid is only suggested.
    office.receipt(&credit, ReceiptState::PaidOut).await;
    let stands = office.receipt(&paid, ReceiptState::Unallocated).await;
    assert_eq!(stands.receipt.unallocated, gbp("100.00"));
    assert_eq!(stands.suggestions[0].lines[0].document_ref, "INV-35");
    office.owes("INV-35", "100.00").await;
    assert_conserved(&office.suite).await;
}

/// E31, E100: a payment and its return come in one batch, the return under two
/// message ids: it takes the money once.
#[tokio::test(flavor = "multi_thread")]
async fn e31_e100_the_same_debit_under_two_ids_in_one_batch_with_its_payment_counts_once() {
    let suite = Suite::start().await;
    let gateway = suite.bus(Role::Gateway).await;
    let ingestion = suite
        .run(Role::Ingestion, |bus| {
            ingestion::run(bus, ingestion::Options::default())
        })
        .await;
    suite.publish_account("acme", &account("ACME01")).await;
    suite
        .publish_document("INV-36", &document("INV-36", "ACME01", "100.00"))
        .await;
    let paid = collection("100.00", "INV-36");
    let taken = back(&paid, "dd_return", Some("0"), 3);
    suite.publish_receipt(&paid.bank_reference, &paid).await;
    suite.publish_receipt(&taken.bank_reference, &taken).await;
    let told = async || -> i64 {
        sqlx::query_scalar(
            "select count(*) from ingestion.outbox o, ingestion.relay_cursor c
             where (o.tx, o.seq) <= (c.tx, c.seq)",
        )
        .fetch_one(suite.admin_pool())
        .await
        .unwrap()
    };
    eventually("everything is told", DEADLINE, async || told().await >= 4).await;
    // The fact of the return once more, as its own message.
    let stream = suite.prefix().stream(contracts::catalogue::INGESTION);
    let stream = suite.jetstream().get_stream(stream).await.unwrap();
    let last = stream.cached_info().state.last_sequence;
    for at in 1..=last {
        let Ok(message) = stream.get_raw_message(at).await else {
            continue;
        };
        if message.subject.contains("debit_recorded") {
            let mut headers = message.headers.clone();
            let id = uuid::Uuid::now_v7().to_string();
            headers.insert("Nats-Msg-Id", id.as_str());
            headers.insert("ce-id", id.as_str());
            let sent = suite
                .jetstream()
                .publish_with_headers(message.subject, headers, message.payload)
                .await
                .unwrap();
            sent.await.unwrap();
        }
    }
    // Only now does anybody take them in: all in one batch.
    let office = Office {
        _services: vec![
            ingestion,
            suite.run(Role::Allocation, allocation::run).await,
            suite.run(Role::Reporting, reporting::run).await,
        ],
        gateway,
        suite,
    };
    eventually("the services answer", DEADLINE, async || {
        office.gateway.ask(&ListReceipts::default()).await.is_ok()
            && office.gateway.ask(&GetAgedDebt::default()).await.is_ok()
    })
    .await;
    let receipt = office.receipt(&paid, ReceiptState::PaidOut).await;
    assert_eq!(receipt.outflows.len(), 1, "{:?}", receipt.outflows);
    office.debit(&taken, DebitState::Returned).await;
    let all = office.gateway.ask(&ListDebits::default()).await.unwrap();
    assert_eq!(all.items.len(), 1);
    office.owes("INV-36", "100.00").await;
    assert_conserved(&office.suite).await;
}

/// What nobody knows stays open until a person says what it is; E42: a payment
/// that failed is taken back by a person.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_matches_a_debit_marks_another_ours_and_returns_a_third_by_hand() {
    let office = Office::open().await;
    office
        .suite
        .publish_account("acme", &account("ACME01"))
        .await;
    office.bill("INV-40", "ACME01", "75.00").await;
    let paid = receipt("INV-40", "75.00");
    office.tell(&paid).await;
    let receipt = office.receipt(&paid, ReceiptState::Allocated).await;

    let recalled = BankReceipt {
        reference: Some("RECALL".into()),
        remittance: None,
        ..back(&paid, "fps", None, 2)
    };
    let rent = BankReceipt {
        bank_reference: "RENT-1".into(),
        amount: "900.00".into(),
        ..recalled.clone()
    };
    office.tell(&recalled).await;
    office.tell(&rent).await;
    let debit = office.debit(&recalled, DebitState::Unmatched).await;
    let ours = office.debit(&rent, DebitState::Unmatched).await;
    office.owes_nothing("INV-40").await;
    office
        .gateway
        .ask(&MarkDebitOurs {
            command_id: CommandId::generate(),
            debit_id: ours.debit_id,
            actor: "user:jo".into(),
            reason: "the rent".into(),
        })
        .await
        .unwrap();
    let command = MatchDebit {
        command_id: CommandId::generate(),
        debit_id: debit.debit_id,
        receipt_id: receipt.receipt.receipt_id,
        actor: "user:jo".into(),
        reason: "recalled by the payer's bank".into(),
    };
    let matched = office.gateway.ask(&command).await.unwrap();
    assert_eq!(matched.state, DebitState::Returned);
    // The same command again, and another one, change nothing.
    assert_eq!(office.gateway.ask(&command).await.unwrap(), matched);
    let again = MatchDebit {
        command_id: CommandId::generate(),
        ..command
    };
    let refused = office.gateway.ask(&again).await.unwrap_err();
    assert_eq!(refused.code, "allocation.debit_settled");
    office.owes("INV-40", "75.00").await;

    let failed = testkit::receipt("INV-40", "75.00");
    office.tell(&failed).await;
    let receipt = office.receipt(&failed, ReceiptState::Allocated).await;
    let returned = office
        .gateway
        .ask(&ReturnReceipt {
            command_id: CommandId::generate(),
            receipt_id: receipt.receipt.receipt_id,
            amount: None,
            scheme: None,
            code: None,
            expected_version: Some(receipt.receipt.version),
            actor: "user:jo".into(),
            reason: "the bank says that it failed".into(),
        })
        .await
        .unwrap();
    assert_eq!(returned.receipt.state, ReceiptState::PaidOut);
    office.owes("INV-40", "75.00").await;
    assert_conserved(&office.suite).await;
}

impl Office {
    async fn owes_nothing(&self, document_ref: &str) {
        assert!(self.item(document_ref).await.is_none(), "{document_ref}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_decision_is_undone_whole_and_a_line_moves_to_another_document() {
    let office = Office::open().await;
    office
        .suite
        .publish_account("acme", &account("ACME01"))
        .await;
    office.bill("INV-50", "ACME01", "100.00").await;
    office.bill("INV-51", "ACME01", "50.00").await;
    let paid = receipt("INV-50 INV-51", "150.00");
    office.tell(&paid).await;
    let receipt = office.receipt(&paid, ReceiptState::Allocated).await;
    let undo = UndoTogether {
        command_id: CommandId::generate(),
        receipt_id: receipt.receipt.receipt_id,
        allocation_ids: Vec::new(),
        run: Some(Run::DecidedAt(receipt.allocations[0].recorded_at)),
        automatic: false,
        cause: None,
        actor: "user:jo".into(),
        reason: "the wrong payer".into(),
    };
    let undone = office.gateway.ask(&undo).await.unwrap();
    assert_eq!(undone.receipt.unallocated, gbp("150.00"));
    assert_eq!(undone.allocations.len(), 4);
    let again = UndoTogether {
        command_id: CommandId::generate(),
        ..undo
    };
    let refused = office.gateway.ask(&again).await.unwrap_err();
    assert_eq!(refused.code, "allocation.nothing_stands");

    office.allocate(&undone, "INV-50", "100.00").await;
    office.bill("INV-52", "ACME01", "70.00").await;
    let detail = office.receipt(&paid, ReceiptState::PartAllocated).await;
    let line = detail.allocations.last().unwrap().line.clone();
    let moved = office
        .gateway
        .ask(&MoveAllocation {
            command_id: CommandId::generate(),
            allocation_id: line.allocation_id,
            document_id: office.item("INV-52").await.unwrap().document_id,
            amount: Some(gbp("60.00")),
            actor: "user:jo".into(),
            reason: "meant for the newer one".into(),
        })
        .await
        .unwrap();
    assert_eq!(moved.receipt.unallocated, gbp("50.00"));
    office.owes("INV-50", "60.00").await;
    office.owes("INV-52", "10.00").await;
    assert_conserved(&office.suite).await;
}

/// E22: what a person keeps on account is offered for a new document, not taken.
#[tokio::test(flavor = "multi_thread")]
async fn money_on_account_is_not_taken_for_a_document_that_arrives() {
    let office = Office::open().await;
    office
        .suite
        .publish_account("acme", &account("ACME01"))
        .await;
    office.bill("INV-60", "ACME01", "500.00").await;
    let paid = receipt("DEPOSIT INV-61", "80.00");
    office.tell(&paid).await;
    let receipt = office.receipt(&paid, ReceiptState::Unidentified).await;
    let account_id = office.item("INV-60").await.unwrap().account_id;
    let kept = office
        .gateway
        .ask(&TransferReceipt {
            command_id: CommandId::generate(),
            receipt_id: receipt.receipt.receipt_id,
            account_id,
            on_account: true,
            expected_version: None,
            actor: "user:jo".into(),
            reason: "a deposit of Acme's".into(),
        })
        .await
        .unwrap();
    assert_eq!(kept.receipt.state, ReceiptState::OnAccount);
    assert_eq!(kept.held, Some(Held::OnAccount));
    assert_eq!(kept.receipt.account_ref.as_deref(), Some("ACME01"));

    office.bill("INV-61", "ACME01", "80.00").await;
    let offered = eventually_some("it is offered", DEADLINE, async || {
        let detail = office.receipt(&paid, ReceiptState::OnAccount).await;
        (!detail.suggestions.is_empty()).then_some(detail)
    })
    .await;
    assert_eq!(offered.receipt.unallocated, gbp("80.00"));
    assert_eq!(offered.suggestions[0].lines[0].document_ref, "INV-61");

    // The letter for INV-61 would not be written: the money is here.
    let chaseable = office.chaseable("ACME01").await;
    let of = |number: &str| {
        let mut items = chaseable.items.iter();
        items.find(|item| item.document_ref == number).unwrap()
    };
    assert_eq!(of("INV-61").chaseable, gbp("0.00"));
    assert_eq!(of("INV-61").terms[0].kind, TermKind::LikelyTheirs);
    assert_eq!(
        of("INV-61").terms[0].subject,
        receipt.receipt.receipt_id.as_uuid()
    );
    assert_eq!(of("INV-61").terms[0].events.len(), 1);
    assert_eq!(of("INV-60").chaseable, gbp("500.00"));

    let freed = office
        .gateway
        .ask(&KeepOnAccount {
            command_id: CommandId::generate(),
            receipt_id: receipt.receipt.receipt_id,
            on_account: false,
            expected_version: None,
            actor: "user:jo".into(),
            reason: "no deposit after all".into(),
        })
        .await
        .unwrap();
    assert_eq!(freed.receipt.state, ReceiptState::Unallocated);
    assert_conserved(&office.suite).await;
}

/// E5, E6: the third equal payment is held, and not spread over older invoices.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_of_a_paid_invoice_is_held_as_a_possible_duplicate() {
    let office = Office::open().await;
    office
        .suite
        .publish_account("acme", &account("ACME01"))
        .await;
    office.bill("INV-70", "ACME01", "100.00").await;
    office.bill("INV-71", "ACME01", "300.00").await;
    let payer = || Payer {
        name: Some("ACME01 Ltd".into()),
        account: BankAccountRef::default(),
    };
    let first = BankReceipt {
        payer: payer(),
        ..receipt("INV-70", "100.00")
    };
    office.tell(&first).await;
    let paid = office.receipt(&first, ReceiptState::Allocated).await;
    let second = BankReceipt {
        payer: payer(),
        ..receipt("INV-70", "100.00")
    };
    office.tell(&second).await;
    let held = eventually_some("it is held", DEADLINE, async || {
        let ask = ListReceipts {
            queue: ReceiptQueue::PossibleDuplicates,
            ..ListReceipts::default()
        };
        let found = office.gateway.ask(&ask).await.unwrap().items.pop()?;
        let receipt_id = found.receipt_id;
        Some(
            office
                .gateway
                .ask(&GetReceipt { receipt_id })
                .await
                .unwrap(),
        )
    })
    .await;
    let twin = paid.receipt.receipt_id;
    assert_eq!(held.held, Some(Held::PossibleDuplicate { twin }));
    assert!(held.suggestions.is_empty());
    office.owes("INV-71", "300.00").await;

    let settle = |duplicate| SettleDuplicate {
        command_id: CommandId::generate(),
        receipt_id: held.receipt.receipt_id,
        duplicate,
        expected_version: None,
        actor: "user:jo".into(),
        reason: "asked the payer".into(),
    };
    let duplicate = office.gateway.ask(&settle(true)).await.unwrap();
    assert_eq!(duplicate.held, Some(Held::Duplicate { twin }));
    // Money that goes back stops nobody from chasing.
    let chaseable = office.chaseable("ACME01").await;
    assert_eq!(chaseable.totals[0].chaseable, gbp("300.00"));
    let none = office.gateway.ask(&settle(false)).await.unwrap();
    assert_eq!(none.held, None);
    assert_conserved(&office.suite).await;
}

/// E14: a credit note meets an invoice, and no cash moves.
#[tokio::test(flavor = "multi_thread")]
async fn a_credit_note_is_offset_and_stops_counting_against_what_is_chased() {
    let office = Office::open().await;
    office
        .suite
        .publish_account("acme", &account("ACME01"))
        .await;
    office.bill("INV-80", "ACME01", "100.00").await;
    let mut credit = document("CN-80", "ACME01", "30.00");
    credit.kind = DocumentKind::CreditNote;
    office.suite.publish_document("CN-80", &credit).await;
    let note = eventually_some("the credit note is open", DEADLINE, async || {
        office.item("CN-80").await
    })
    .await;
    let invoice = office.item("INV-80").await.unwrap();
    let chaseable = office.chaseable("ACME01").await;
    assert_eq!(chaseable.items[0].chaseable, gbp("70.00"));
    assert_eq!(chaseable.items[0].terms[0].kind, TermKind::UnappliedCredit);

    let offset = |taken: &str| OffsetDocuments {
        command_id: CommandId::generate(),
        account_id: invoice.account_id,
        lines: vec![
            OffsetLine {
                document_id: invoice.document_id,
                amount: gbp(taken),
            },
            OffsetLine {
                document_id: note.document_id,
                amount: gbp("-30.00"),
            },
        ],
        actor: "user:jo".into(),
        reason: "credited for INV-80".into(),
    };
    let refused = office.gateway.ask(&offset("29.99")).await.unwrap_err();
    assert_eq!(refused.code, "allocation.offset_not_nil");
    let command = offset("30.00");
    let done = office.gateway.ask(&command).await.unwrap();
    assert_eq!(done.lines.len(), 2);
    assert_eq!(office.gateway.ask(&command).await.unwrap().lines.len(), 2);
    office.owes("INV-80", "70.00").await;
    office.owes_nothing("CN-80").await;
    let chaseable = office.chaseable("ACME01").await;
    assert_eq!(chaseable.items[0].chaseable, gbp("70.00"));
    assert!(chaseable.items[0].terms.is_empty());
    assert_conserved(&office.suite).await;
}
