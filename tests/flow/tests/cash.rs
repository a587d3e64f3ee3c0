//! From a bank line to a cleared invoice, and back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use contracts::{
    Role,
    allocation::{ReceiptState, Rule},
    api::{
        Page, PageRequest, RefusalClass,
        allocation::{
            AllocateLine, AllocateReceipt, FindOpenItems, GetReceipt, ListReceipts, ReceiptDetail,
            ReceiptQueue, ReceiptView, UndoAllocation,
        },
        dead_letters::{DeadLetterView, ListDeadLetters},
        reporting::{
            AccountKey, AgedDebt, GetAccount, GetAgedDebt, GetTimeline, RebuildProjections,
        },
    },
};
use kernel::{CommandId, Currency, Money};
use messaging::Bus;
use testkit::{
    DEADLINE, Running, Suite, account, assert_conserved, document, eventually, eventually_some,
    receipt, remittance,
};

/// Dropped in this order: nobody works any more when the database goes.
struct Office {
    _services: Vec<Running>,
    gateway: Bus,
    suite: Suite,
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
    }

    async fn pay(&self, words: &str, amount: &str) {
        let receipt = receipt(words, amount);
        self.suite
            .publish_receipt(&receipt.bank_reference, &receipt)
            .await;
    }

    async fn receipts(&self, queue: ReceiptQueue) -> Vec<ReceiptView> {
        let ask = ListReceipts {
            queue,
            ..ListReceipts::default()
        };
        self.gateway.ask(&ask).await.unwrap().items
    }

    /// The one receipt whose words are `words`, once it stands as `state`.
    async fn receipt(&self, words: &str, state: ReceiptState) -> ReceiptDetail {
        let view = eventually_some(
            &format!("{words} is {}", state.name()),
            DEADLINE,
            async || {
                let all = self.receipts(ReceiptQueue::All).await;
                all.into_iter()
                    .find(|r| r.narrative == words && r.state == state)
            },
        )
        .await;
        self.gateway
            .ask(&GetReceipt {
                receipt_id: view.receipt_id,
            })
            .await
            .unwrap()
    }

    async fn open_of(&self, document_ref: &str) -> Option<Money> {
        let ask = FindOpenItems {
            search: Some(document_ref.into()),
            ..FindOpenItems::default()
        };
        let page = self.gateway.ask(&ask).await.unwrap();
        page.items
            .into_iter()
            .find(|item| item.document_ref == document_ref)
            .map(|item| item.open)
    }

    async fn aged(&self, ask: GetAgedDebt) -> AgedDebt {
        self.gateway.ask(&ask).await.unwrap()
    }

    /// What all debtors owe now, as reporting shows it, once it is `amount`.
    async fn owed(&self, amount: &str) {
        let wanted = gbp(amount);
        eventually(&format!("{amount} is owed"), DEADLINE, async || {
            let aged = self.aged(GetAgedDebt::default()).await;
            aged.totals
                .iter()
                .map(|t| t.total)
                .next()
                .unwrap_or(gbp("0.00"))
                == wanted
        })
        .await;
    }

    async fn dead_letters(&self, role: Role) -> Vec<DeadLetterView> {
        let subject = self
            .suite
            .prefix()
            .subject(format_args!("svc.{role}.dead-letters.list"));
        let page: Page<DeadLetterView> = messaging::ask(
            self.gateway.nats(),
            &subject,
            &ListDeadLetters::default(),
            DEADLINE,
        )
        .await
        .unwrap();
        page.items
    }
}

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_pays_and_the_invoice_is_cleared() {
    let office = Office::open().await;
    office
        .suite
        .publish_account("acme", &account("ACME01"))
        .await;
    office.bill("INV-10324", "ACME01", "1250.00").await;
    office.bill("INV-10325", "ACME01", "80.00").await;
    office.owed("1330.00").await;

    office.pay("ACME INV 10324", "1250.00").await;
    let paid = office
        .receipt("ACME INV 10324", ReceiptState::Allocated)
        .await;
    assert_eq!(paid.decision.rule, Rule::DocumentNumber);
    assert_eq!(paid.allocations.len(), 1);
    assert_eq!(paid.allocations[0].line.document_ref, "INV-10324");
    office.owed("80.00").await;
    assert_eq!(office.open_of("INV-10324").await, None);

    let account = office
        .gateway
        .ask(&GetAccount {
            account: AccountKey::Ref("ACME01".into()),
        })
        .await
        .unwrap();
    assert_eq!(account.name, "ACME01 Ltd");
    assert_eq!(account.balances[0].open, gbp("80.00"));
    let timeline = office
        .gateway
        .ask(&GetTimeline {
            account_id: account.account_id,
            page: PageRequest::default(),
        })
        .await
        .unwrap();
    assert!(
        timeline
            .items
            .iter()
            .any(|entry| entry.kind == "allocation"),
        "{timeline:#?}"
    );
    assert_conserved(&office.suite).await;
}

/// Facts arrive in any order: the receipt before its invoice, the invoice
/// before its account.
#[tokio::test(flavor = "multi_thread")]
async fn early_facts_wait_for_the_late_ones() {
    let office = Office::open().await;
    office.pay("LATE-1", "40.00").await;
    office.receipt("LATE-1", ReceiptState::Unidentified).await;

    office.bill("LATE-1", "NEW01", "40.00").await;
    let paid = office.receipt("LATE-1", ReceiptState::Allocated).await;
    assert_eq!(paid.receipt.account_ref.as_deref(), Some("NEW01"));
    assert_eq!(
        paid.receipt.account_name.as_deref(),
        Some("NEW01"),
        "only mentioned so far"
    );

    office.suite.publish_account("new", &account("NEW01")).await;
    eventually("the account has its name", DEADLINE, async || {
        let found = office
            .gateway
            .ask(&GetAccount {
                account: AccountKey::Ref("NEW01".into()),
            })
            .await;
        found.is_ok_and(|account| account.name == "NEW01 Ltd")
    })
    .await;
    assert_conserved(&office.suite).await;
}

/// Manual allocation, one receipt to many and in part; undo as a contra; and
/// the same command twice moves the money once.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_allocates_and_takes_it_back() {
    let office = Office::open().await;
    office.bill("A-1", "ACME01", "70.00").await;
    office.bill("A-2", "ACME01", "50.00").await;
    office.owed("120.00").await;
    office.pay("on account", "100.00").await;
    let before = office
        .receipt("on account", ReceiptState::Unidentified)
        .await;

    let items = office
        .gateway
        .ask(&FindOpenItems {
            search: Some("ACME01".into()),
            ..Default::default()
        })
        .await
        .unwrap();
    let line = |document_ref: &str, amount: &str| AllocateLine {
        document_id: items
            .items
            .iter()
            .find(|i| i.document_ref == document_ref)
            .unwrap()
            .document_id,
        amount: gbp(amount),
    };
    let command = AllocateReceipt {
        command_id: CommandId::generate(),
        receipt_id: before.receipt.receipt_id,
        expected_version: Some(before.receipt.version),
        lines: vec![line("A-1", "70.00"), line("A-2", "20.00")],
        actor: "user:jo".into(),
        reason: "told by phone".into(),
    };
    let after = office.gateway.ask(&command).await.unwrap();
    assert_eq!(after.receipt.unallocated, gbp("10.00"));
    assert_eq!(after.receipt.state, ReceiptState::PartAllocated);
    let again = office.gateway.ask(&command).await.unwrap();
    assert_eq!(again, after, "the same command moves the money once");
    office.owed("30.00").await;
    let known_then = office.suite.clock().now();

    // Somebody with an old page is told, and nothing moves.
    let stale = AllocateReceipt {
        command_id: CommandId::generate(),
        ..command.clone()
    };
    let refused = office.gateway.ask(&stale).await.unwrap_err();
    assert_eq!(
        (refused.class, refused.code.as_str()),
        (RefusalClass::Conflict, "allocation.receipt_moved_on")
    );
    // More than is open is refused whole.
    let greedy = AllocateReceipt {
        command_id: CommandId::generate(),
        expected_version: None,
        lines: vec![line("A-2", "10.00"), line("A-1", "1.00")],
        ..command
    };
    assert_eq!(
        office.gateway.ask(&greedy).await.unwrap_err().code,
        "allocation.more_than_open"
    );

    let wrong = &after
        .allocations
        .iter()
        .find(|a| a.line.document_ref == "A-1")
        .unwrap()
        .line;
    let undo = UndoAllocation {
        command_id: CommandId::generate(),
        allocation_id: wrong.allocation_id,
        actor: "user:jo".into(),
        reason: "wrong invoice".into(),
        cause: None,
    };
    let undone = office.gateway.ask(&undo).await.unwrap();
    assert_eq!(undone.receipt.unallocated, gbp("80.00"));
    let contra = undone
        .allocations
        .iter()
        .find(|a| a.line.contra_of == Some(wrong.allocation_id))
        .unwrap();
    assert_eq!(contra.line.amount, gbp("-70.00"));
    let twice = UndoAllocation {
        command_id: CommandId::generate(),
        ..undo
    };
    assert_eq!(
        office.gateway.ask(&twice).await.unwrap_err().code,
        "allocation.already_undone"
    );
    office.owed("100.00").await;

    // E47, E106: what was known then is printed the same for ever.
    let then = office
        .aged(GetAgedDebt {
            known_at: Some(known_then),
            ..Default::default()
        })
        .await;
    assert_eq!(then.totals[0].total, gbp("30.00"));
    assert_conserved(&office.suite).await;
}

/// E29, E100: the same line under the same message id, under a new one, and two
/// lines that only look the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_counts_once_however_often_it_comes() {
    let office = Office::open().await;
    office.bill("BILL-1", "ACME01", "10.00").await;
    office.owed("10.00").await;
    let line = receipt("BILL-1", "10.00");
    for id in ["m-1", "m-1", "m-2", "m-3"] {
        office.suite.publish_receipt(id, &line).await;
    }
    // A twin with a bank reference of its own is other money: it names a paid
    // invoice and is held (E5, E6).
    office
        .suite
        .publish_receipt("m-4", &receipt("BILL-1", "10.00"))
        .await;
    eventually("two receipts are there", DEADLINE, async || {
        office.receipts(ReceiptQueue::All).await.len() == 2
    })
    .await;
    let held = office.receipts(ReceiptQueue::ToReview).await;
    assert_eq!(held.len(), 1);
    let held = office
        .gateway
        .ask(&GetReceipt {
            receipt_id: held[0].receipt_id,
        })
        .await
        .unwrap();
    assert!(
        held.decision
            .evidence
            .iter()
            .any(|e| e.kind == "already_paid")
    );
    assert_conserved(&office.suite).await;
}

/// Bad messages in the middle of good ones become dead letters that name what
/// is wrong; the good ones go on.
#[tokio::test(flavor = "multi_thread")]
async fn bad_messages_never_block_the_ones_behind_them() {
    let office = Office::open().await;
    let subject = "in.bank.receipts.test";
    let bad = |field: &str, value: serde_json::Value| {
        let mut message = serde_json::to_value(receipt("BAD", "10.00")).unwrap();
        message[field] = value;
        serde_json::to_vec(&message).unwrap()
    };
    let mut without_account = serde_json::to_value(receipt("BAD", "10.00")).unwrap();
    without_account
        .as_object_mut()
        .unwrap()
        .remove("bank_account");
    let mails: Vec<(&str, Vec<u8>, &str)> = vec![
        ("bad-json", b"{\"feed\": ".to_vec(), "messaging.malformed"),
        ("bad-schema", b"[1, 2]".to_vec(), "messaging.malformed"),
        ("bad-currency", bad("currency", "GBX".into()), "currency"),
        ("bad-decimals", bad("amount", "10.005".into()), "amount"),
        ("bad-sign", bad("amount", "-10.00".into()), "amount"),
        ("bad-zero", bad("amount", "0.00".into()), "amount"),
        (
            "no-account",
            serde_json::to_vec(&without_account).unwrap(),
            "bank_account",
        ),
    ];
    office.pay("GOOD-1", "1.00").await;
    for (id, payload, _) in &mails {
        office.suite.publish(subject, id, payload.clone()).await;
    }
    office.pay("GOOD-2", "2.00").await;
    office.receipt("GOOD-1", ReceiptState::Unidentified).await;
    office.receipt("GOOD-2", ReceiptState::Unidentified).await;
    let letters = eventually_some("every bad message is a dead letter", DEADLINE, async || {
        let letters = office.dead_letters(Role::Ingestion).await;
        (letters.len() == mails.len()).then_some(letters)
    })
    .await;
    for (id, _, told) in &mails {
        let named = letters.iter().any(|l| {
            l.code.contains(told) || l.fields.iter().any(|field| field.pointer.contains(told))
        });
        assert!(named, "no letter tells of {id}: {letters:#?}");
    }
    for letter in &letters {
        assert_eq!(letter.class.as_deref(), Some("permanent"), "{letter:#?}");
        // Those that were no JSON of the kind say on which line reading ended.
        let unread = letter.code == "messaging.malformed";
        assert_eq!(letter.line, unread.then_some(1), "{letter:#?}");
    }
    let costly = letters.iter().filter(|l| l.money_impact.is_some());
    assert_eq!(costly.count(), mails.len() - 2);
    assert_eq!(office.receipts(ReceiptQueue::All).await.len(), 2);
    assert_conserved(&office.suite).await;
}

/// The projections are what the stream says: built anew they are the same.
#[tokio::test(flavor = "multi_thread")]
async fn projections_rebuild_to_the_same_rows() {
    let office = Office::open().await;
    for n in 1..=20 {
        office
            .bill(&format!("RCPT-{n}"), &format!("ACC{}", n % 3), "10.00")
            .await;
    }
    for n in 1..=10 {
        office.pay(&format!("RCPT-{n}"), "10.00").await;
    }
    office.owed("100.00").await;
    let mut view = office
        .gateway
        .ask(&RebuildProjections {
            verify: true,
            actor: "test".into(),
        })
        .await
        .unwrap();
    eventually("the rebuild has ended", DEADLINE, async || {
        view = office
            .gateway
            .ask(&contracts::api::reporting::GetRebuild {})
            .await
            .unwrap();
        view.state != "running"
    })
    .await;
    assert_eq!(view.state, "same", "{view:#?}");
    assert!(view.events >= 30);
}

/// What the payer says apart from the money: before it, after it, twice, and for
/// a receipt that a person has touched already (E48).
#[tokio::test(flavor = "multi_thread")]
async fn an_advice_meets_its_receipt_in_either_order() {
    let office = Office::open().await;
    for (number, gross) in [("INV-1", "70.00"), ("INV-2", "50.00"), ("INV-3", "120.00")] {
        office.bill(number, "ACME01", gross).await;
    }
    office.owed("240.00").await;
    let told = [("INV-1", "70.00"), ("INV-2", "50.00")];

    // A person has decided about this one: its advice changes nothing.
    office.pay("RUN-0000009", "120.00").await;
    let held = office
        .receipt("RUN-0000009", ReceiptState::Unidentified)
        .await;
    let items = office
        .gateway
        .ask(&FindOpenItems {
            search: Some("INV-3".into()),
            ..Default::default()
        })
        .await
        .unwrap();
    let command = AllocateReceipt {
        command_id: CommandId::generate(),
        receipt_id: held.receipt.receipt_id,
        expected_version: None,
        lines: vec![AllocateLine {
            document_id: items.items[0].document_id,
            amount: gbp("10.00"),
        }],
        actor: "user:jo".into(),
        reason: "told by phone".into(),
    };
    let touched = office.gateway.ask(&command).await.unwrap();
    let theirs = remittance("RUN-0000009", "110.00", &[("INV-3", "110.00")]);
    office.suite.publish_remittance("theirs", &theirs).await;

    // The money first, then the advice, which comes twice.
    office.pay("RUN-0000001", "120.00").await;
    office
        .receipt("RUN-0000001", ReceiptState::Unidentified)
        .await;
    let advice = remittance("RUN-0000001", "120.00", &told);
    office.suite.publish_remittance("one", &advice).await;
    office.suite.publish_remittance("two", &advice).await;
    let paid = office.receipt("RUN-0000001", ReceiptState::Allocated).await;
    assert_eq!(paid.decision.rule, Rule::Remittance);
    assert_eq!(paid.allocations.len(), 2);
    assert!(paid.decision.remittance_id.is_some());
    assert!(paid.decision.score.is_some());

    // The advice first, and what it lists last.
    let early = remittance("RUN-0000002", "33.00", &[("INV-4", "33.00")]);
    office.suite.publish_remittance("early", &early).await;
    office.pay("RUN-0000002", "33.00").await;
    office
        .receipt("RUN-0000002", ReceiptState::Unidentified)
        .await;
    office.bill("INV-4", "ACME01", "33.00").await;
    let paid = office.receipt("RUN-0000002", ReceiptState::Allocated).await;
    assert_eq!(paid.decision.rule, Rule::Remittance);

    let still = office
        .gateway
        .ask(&GetReceipt {
            receipt_id: held.receipt.receipt_id,
        })
        .await
        .unwrap();
    assert_eq!(still, touched, "a person's decision stands");
    assert_eq!(office.dead_letters(Role::Ingestion).await, []);
    assert_eq!(office.dead_letters(Role::Allocation).await, []);
    assert_conserved(&office.suite).await;
}
