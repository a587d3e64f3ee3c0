//! The workbench against the real ledger: receipts put aside, suggestions
//! accepted by the batch, documents looked up by their numbers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use chrono::{Days, TimeDelta};
use contracts::{
    Role,
    allocation::ReceiptState,
    api::{
        Call, PageRequest, Refusal, RefusalClass,
        allocation::{
            AllocateLine, AllocateReceipt, CountReceipts, FindOpenItems, GetReceipt, ListReceipts,
            ReceiptDetail, ReceiptQueue, UndoAllocation,
        },
        reporting::GetAgedDebt,
        workbench::{
            AcceptSuggestion, Acceptable, GetBatch, ListAcceptable, ListAutomatic, NameItems,
            ParkReceipt, UndoTogether, UnparkReceipt,
        },
    },
};
use kernel::{Clock as _, CommandId, Currency, ManualClock, Money, ReceiptId, london_date};
use messaging::Bus;
use testkit::{DEADLINE, Running, Suite, assert_conserved, document, eventually, receipt};
use uuid::Uuid;

/// Dropped in this order: nobody works any more when the database goes.
struct Office {
    _services: Vec<Running>,
    gateway: Bus,
    clock: ManualClock,
    suite: Suite,
}

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

impl Office {
    async fn open() -> Self {
        let clock = ManualClock::new("2026-03-02T10:00:00Z".parse().unwrap());
        let suite = Suite::start_with(clock.clone(), |_| {}).await;
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
            clock,
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

    async fn ask<C: Call>(&self, call: &C) -> C::Reply {
        self.gateway.ask(call).await.unwrap()
    }

    async fn refused<C: Call>(&self, call: &C) -> Refusal
    where
        C::Reply: std::fmt::Debug,
    {
        self.gateway.ask(call).await.unwrap_err()
    }

    async fn bill(&self, document_ref: &str, gross: &str) {
        self.suite
            .publish_document(document_ref, &document(document_ref, "ACME01", gross))
            .await;
        eventually("the document is billed", DEADLINE, async || {
            let named = self
                .ask(&NameItems {
                    numbers: vec![document_ref.to_owned()],
                    currency: None,
                })
                .await;
            !named.items.is_empty()
        })
        .await;
    }

    /// Money that came in on this day of January.
    async fn pay(&self, words: &str, amount: &str, day: u32) -> ReceiptDetail {
        let mut receipt = receipt(words, amount);
        receipt.booked_on = chrono::NaiveDate::from_ymd_opt(2026, 1, day).unwrap();
        self.suite
            .publish_receipt(&receipt.bank_reference, &receipt)
            .await;
        let view = testkit::eventually_some("the receipt is there", DEADLINE, async || {
            let all = self.queue(ReceiptQueue::All).await;
            all.into_iter().find(|(_, narrative)| narrative == words)
        })
        .await;
        self.receipt(view.0).await
    }

    async fn receipt(&self, receipt_id: ReceiptId) -> ReceiptDetail {
        self.ask(&GetReceipt { receipt_id }).await
    }

    async fn queue(&self, queue: ReceiptQueue) -> Vec<(ReceiptId, String)> {
        let ask = ListReceipts {
            queue,
            ..ListReceipts::default()
        };
        let page = self.ask(&ask).await;
        let named = page.items.into_iter();
        named
            .map(|receipt| (receipt.receipt_id, receipt.narrative))
            .collect()
    }

    async fn words(&self, queue: ReceiptQueue) -> Vec<String> {
        let queue = self.queue(queue).await.into_iter();
        queue.map(|(_, narrative)| narrative).collect()
    }

    /// How many receipts a queue counts, and the money.
    async fn counted(&self, queue: ReceiptQueue) -> (i64, Vec<Money>) {
        let counts = self.ask(&CountReceipts {}).await.queues;
        let count = counts.into_iter().find(|count| count.queue == queue);
        let count = count.unwrap();
        (count.receipts, count.totals)
    }

    async fn acceptable(&self) -> Vec<Acceptable> {
        let ask = ListAcceptable {
            queue: ReceiptQueue::ToReview,
            search: None,
            confidence: "high".into(),
            page: PageRequest::default(),
        };
        self.ask(&ask).await.items
    }

    /// A receipt that was put aside while its document came: the one way in
    /// which a person has to say yes to what is certain.
    async fn waiting_for(&self, document_ref: &str, amount: &str, day: u32) -> ReceiptDetail {
        let before = self.pay(&format!("PAID {document_ref}"), amount, day).await;
        let parked = self.ask(&park(&before)).await;
        self.bill(document_ref, amount).await;
        self.ask(&unpark(&parked)).await
    }
}

fn park(detail: &ReceiptDetail) -> ParkReceipt {
    ParkReceipt {
        command_id: CommandId::generate(),
        receipt_id: detail.receipt.receipt_id,
        expected_version: Some(detail.receipt.version),
        reason: "who is this?".into(),
        owner: Some("Jo".into()),
        until: None,
        actor: "user:jo".into(),
    }
}

fn unpark(detail: &ReceiptDetail) -> UnparkReceipt {
    UnparkReceipt {
        command_id: CommandId::generate(),
        receipt_id: detail.receipt.receipt_id,
        expected_version: Some(detail.receipt.version),
        actor: "user:jo".into(),
        reason: "it is theirs".into(),
    }
}

fn accept(detail: &ReceiptDetail, batch_id: Uuid) -> AcceptSuggestion {
    AcceptSuggestion {
        command_id: CommandId::generate(),
        receipt_id: detail.receipt.receipt_id,
        expected_version: detail.receipt.version,
        rank: 1,
        batch_id: Some(batch_id),
        actor: "user:jo".into(),
        reason: "all clear".into(),
    }
}

/// E48: what a person has put aside is out of the queues for review and nothing
/// but a person moves it; its money stays unallocated; and it is back on its
/// day by itself, or when it is taken up.
#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_put_aside_waits_for_its_day_or_for_a_person() {
    let office = Office::open().await;
    let before = office.pay("PAID INV-77", "100.00", 20).await;
    let tomorrow = london_date(office.clock.now()) + Days::new(1);

    let today = ParkReceipt {
        until: Some(london_date(office.clock.now())),
        ..park(&before)
    };
    assert_eq!(office.refused(&today).await.code, "allocation.park_until");
    let silent = ParkReceipt {
        reason: "  ".into(),
        ..park(&before)
    };
    assert_eq!(
        office.refused(&silent).await.code,
        "allocation.reason_needed"
    );

    let command = ParkReceipt {
        until: Some(tomorrow),
        ..park(&before)
    };
    let parked = office.ask(&command).await;
    assert_eq!(office.ask(&command).await, parked, "once, however often");
    let said = parked.receipt.parked.clone().unwrap();
    assert_eq!(
        (said.reason.as_str(), said.owner.as_deref(), said.until),
        ("who is this?", Some("Jo"), Some(tomorrow))
    );
    assert_eq!(said.by, "user:jo");
    assert_eq!(parked.receipt.version, before.receipt.version + 1);
    assert_eq!(parked.receipt.unallocated, gbp("100.00"));

    // An old page is told.
    let stale = office.refused(&park(&before)).await;
    assert_eq!(
        (stale.class, stale.code.as_str()),
        (RefusalClass::Conflict, "allocation.receipt_moved_on")
    );

    for queue in [
        ReceiptQueue::ToReview,
        ReceiptQueue::Suggested,
        ReceiptQueue::Unidentified,
        ReceiptQueue::Unallocated,
    ] {
        assert_eq!(office.words(queue).await, [""; 0], "{queue:?}");
        assert_eq!(office.counted(queue).await, (0, vec![]), "{queue:?}");
    }
    assert_eq!(office.words(ReceiptQueue::Parked).await, ["PAID INV-77"]);
    assert_eq!(
        office.counted(ReceiptQueue::Parked).await,
        (1, vec![gbp("100.00")])
    );

    // Its document comes, and the machine leaves it alone. What comes after the
    // document shows that the document has been dealt with.
    office.bill("INV-77", "100.00").await;
    office.pay("LATER", "5.00", 20).await;
    let still = office.receipt(before.receipt.receipt_id).await;
    assert_eq!(still, parked);

    // The day comes, and with it the receipt, without anybody's doing.
    office.clock.advance(TimeDelta::hours(20));
    assert_eq!(office.words(ReceiptQueue::Parked).await, [""; 0]);
    assert!(
        office
            .words(ReceiptQueue::ToReview)
            .await
            .contains(&"PAID INV-77".to_owned())
    );
    assert_eq!(
        office.counted(ReceiptQueue::ToReview).await,
        (2, vec![gbp("105.00")])
    );

    // Put aside anew, without a day; and taken up again by a person.
    let again = office.ask(&park(&still)).await;
    assert_eq!(office.words(ReceiptQueue::Parked).await, ["PAID INV-77"]);
    let back = office.ask(&unpark(&again)).await;
    assert_eq!(back.receipt.parked, None);
    assert_eq!(
        back.suggestions[0].lines[0].document_ref, "INV-77",
        "what came meanwhile is suggested"
    );
    assert_eq!(back.receipt.state, ReceiptState::Unidentified);
    assert_eq!(
        office.refused(&unpark(&back)).await.code,
        "allocation.not_parked"
    );
    assert_conserved(&office.suite).await;
}

/// Each suggestion is accepted by itself: one that is after the same money of
/// the same document is refused, the other stays done, and the batch knows its
/// lines.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_accepts_what_it_can_and_is_found_again() {
    let office = Office::open().await;
    let one = office.waiting_for("INV-1001", "70.00", 20).await;
    let two = office.waiting_for("INV-1002", "30.00", 21).await;
    let found = office.acceptable().await;
    let ids: Vec<ReceiptId> = found.iter().map(|found| found.receipt.receipt_id).collect();
    assert_eq!(
        ids,
        [two.receipt.receipt_id, one.receipt.receipt_id],
        "the newest booking first"
    );
    assert_eq!(found[0].suggestion.confidence, "high");

    // Somebody else pays INV-1002 by hand meanwhile.
    let other = office.pay("SOMEBODY ELSE", "30.00", 22).await;
    let items = office
        .ask(&FindOpenItems {
            search: Some("INV-1002".into()),
            ..Default::default()
        })
        .await;
    let by_hand = AllocateReceipt {
        command_id: CommandId::generate(),
        receipt_id: other.receipt.receipt_id,
        expected_version: None,
        lines: vec![AllocateLine {
            document_id: items.items[0].document_id,
            amount: gbp("30.00"),
        }],
        actor: "user:al".into(),
        reason: "told by phone".into(),
    };
    office.ask(&by_hand).await;

    let batch = Uuid::now_v7();
    let yes = accept(&one, batch);
    let accepted = office.ask(&yes).await;
    assert_eq!(accepted.receipt.state, ReceiptState::Allocated);
    assert_eq!(office.ask(&yes).await, accepted, "once, however often");
    let refused = office.refused(&accept(&two, batch)).await;
    assert_eq!(
        (refused.class, refused.code.as_str()),
        (RefusalClass::Conflict, "allocation.no_suggestion")
    );
    let stale = office.refused(&accept(&one, batch)).await;
    assert_eq!(stale.code, "allocation.receipt_moved_on");

    let view = office.ask(&GetBatch { batch_id: batch }).await;
    assert_eq!(view.lines.len(), 1);
    let line = &view.lines[0].allocation;
    assert_eq!(
        (line.line.document_ref.as_str(), line.reason.as_str()),
        ("INV-1001", "all clear")
    );
    assert!(!line.undone);
    let undo = UndoAllocation {
        command_id: CommandId::generate(),
        cause: None,
        allocation_id: line.line.allocation_id,
        actor: "user:jo".into(),
        reason: "the wrong batch".into(),
    };
    office.ask(&undo).await;
    let view = office.ask(&GetBatch { batch_id: batch }).await;
    assert!(
        view.lines[0].allocation.undone,
        "and it tells what is undone"
    );
    let nothing = GetBatch {
        batch_id: Uuid::now_v7(),
    };
    assert_eq!(office.refused(&nothing).await.class, RefusalClass::NotFound);

    // 30 of today's 100 are still allocated: what was undone does not count.
    assert_eq!(
        office.counted(ReceiptQueue::AllocatedToday).await,
        (1, vec![gbp("30.00")])
    );
    assert_eq!(
        office.words(ReceiptQueue::AllocatedToday).await,
        ["SOMEBODY ELSE"]
    );
    assert_conserved(&office.suite).await;
}

/// The newest booking first, whatever came in first, also across pages.
#[tokio::test(flavor = "multi_thread")]
async fn queues_show_the_newest_booking_first() {
    let office = Office::open().await;
    for (words, day) in [("C", 20), ("A", 22), ("D", 3), ("B", 21)] {
        office.pay(words, "1.00", day).await;
    }
    for queue in [ReceiptQueue::ToReview, ReceiptQueue::All] {
        let mut seen = Vec::new();
        let mut cursor = None;
        loop {
            let page = office
                .ask(&ListReceipts {
                    queue,
                    search: None,
                    page: PageRequest {
                        cursor,
                        limit: Some(3),
                    },
                })
                .await;
            seen.extend(page.items.into_iter().map(|receipt| receipt.narrative));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, ["A", "B", "C", "D"], "{queue:?}");
    }
}

/// Lines with a credit note among them cannot be taken apart one by one: for a
/// moment there would be less than nothing, or more than the receipt. Together
/// they can, as one move.
#[tokio::test(flavor = "multi_thread")]
async fn lines_with_a_credit_note_are_undone_together() {
    let office = Office::open().await;
    office.bill("INV-1", "100.00").await;
    let mut credit = document("CN-1", "ACME01", "20.00");
    credit.kind = contracts::inbound::DocumentKind::CreditNote;
    office.suite.publish_document("CN-1", &credit).await;
    let paid = office.pay("LESS CREDIT", "80.00", 20).await;
    let numbers = vec!["inv 1".to_owned(), "CN-1".to_owned(), "NONE-9".to_owned()];
    let named = testkit::eventually_some("both are known", DEADLINE, async || {
        let ask = NameItems {
            numbers: numbers.clone(),
            currency: Some(Currency::GBP),
        };
        let named = office.ask(&ask).await.items;
        (named.len() == 2).then_some(named)
    })
    .await;
    let of = |number: &str| named.iter().find(|n| n.number == number).unwrap();
    assert_eq!(of("inv 1").item.document_ref, "INV-1", "as people write it");
    let line = |number: &str, amount: &str| AllocateLine {
        document_id: of(number).item.document_id,
        amount: gbp(amount),
    };
    let command = AllocateReceipt {
        command_id: CommandId::generate(),
        receipt_id: paid.receipt.receipt_id,
        expected_version: None,
        lines: vec![line("inv 1", "100.00"), line("CN-1", "-20.00")],
        actor: "user:jo".into(),
        reason: "less the credit note".into(),
    };
    let done = office.ask(&command).await;
    assert!(done.receipt.unallocated.is_zero());
    let undo = |document_ref: &str| UndoAllocation {
        command_id: CommandId::generate(),
        cause: None,
        allocation_id: done
            .allocations
            .iter()
            .find(|view| view.line.document_ref == document_ref)
            .unwrap()
            .line
            .allocation_id,
        actor: "user:jo".into(),
        reason: "wrong".into(),
    };
    for alone in ["CN-1", "INV-1"] {
        let refused = office.refused(&undo(alone)).await;
        assert_eq!(
            (refused.class, refused.code.as_str()),
            (RefusalClass::Conflict, "allocation.undo_together"),
            "{alone}"
        );
    }
    let together = UndoTogether {
        command_id: CommandId::generate(),
        receipt_id: paid.receipt.receipt_id,
        allocation_ids: ["CN-1", "INV-1"]
            .map(|alone| undo(alone).allocation_id)
            .into(),
        run: None,
        automatic: false,
        cause: None,
        actor: "user:jo".into(),
        reason: "wrong".into(),
    };
    let back = office.ask(&together).await;
    assert_eq!(office.ask(&together).await, back, "once, however often");
    assert_eq!(back.receipt.unallocated, gbp("80.00"));
    assert_eq!(back.receipt.version, done.receipt.version + 1, "one move");
    assert_eq!(back.allocations.len(), 4);
    // Paid documents are named too, and say what is open.
    let ask = NameItems {
        numbers: vec!["INV-1".into()],
        currency: None,
    };
    assert_eq!(office.ask(&ask).await.items[0].item.open, gbp("100.00"));
    assert_conserved(&office.suite).await;
}

/// What a file's receipts were allocated to by themselves is taken back as a
/// whole; what a person decided stays, and no rule allocates it again (E48).
#[tokio::test(flavor = "multi_thread")]
async fn e48_all_that_came_about_by_itself_is_undone_and_stays_undone() {
    let office = Office::open().await;
    office.bill("INV-101", "100.00").await;
    office.bill("INV-102", "50.00").await;
    let own = office.pay("INV-101 AND INV-102", "150.00", 5).await;
    assert!(own.receipt.unallocated.is_zero(), "{own:?}");
    office.bill("INV-103", "70.00").await;
    let by_hand = office.pay("SOMETHING ELSE", "70.00", 6).await;
    let allocate = AllocateReceipt {
        command_id: CommandId::generate(),
        receipt_id: by_hand.receipt.receipt_id,
        expected_version: None,
        lines: vec![AllocateLine {
            document_id: office
                .ask(&NameItems {
                    numbers: vec!["INV-103".into()],
                    currency: None,
                })
                .await
                .items[0]
                .item
                .document_id,
            amount: gbp("70.00"),
        }],
        actor: "user:jo".into(),
        reason: "known from the phone".into(),
    };
    office.ask(&allocate).await;
    let both = ListAutomatic {
        receipt_ids: vec![own.receipt.receipt_id, by_hand.receipt.receipt_id],
    };
    let found = office.ask(&both).await.receipts;
    let [found] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(found.receipt_id, own.receipt.receipt_id);
    assert_eq!((found.lines, found.amount), (2, gbp("150.00")));

    let undo = UndoTogether {
        command_id: CommandId::generate(),
        receipt_id: own.receipt.receipt_id,
        allocation_ids: Vec::new(),
        run: None,
        automatic: true,
        cause: None,
        actor: "user:jo".into(),
        reason: "the wrong file".into(),
    };
    let undone = office.ask(&undo).await;
    assert_eq!(office.ask(&undo).await, undone, "once, however often");
    assert_eq!(undone.receipt.unallocated, gbp("150.00"));
    assert_eq!(undone.allocations.len(), 4, "contras, nothing deleted");
    assert!(office.ask(&both).await.receipts.is_empty());
    let again = UndoTogether {
        command_id: CommandId::generate(),
        ..undo.clone()
    };
    assert_eq!(
        office.refused(&again).await.code,
        "allocation.nothing_stands"
    );
    let neither = UndoTogether {
        command_id: CommandId::generate(),
        automatic: false,
        ..undo
    };
    assert_eq!(
        office.refused(&neither).await.code,
        "allocation.what_to_undo"
    );
    // A document that its words name comes once more: nothing moves by itself.
    office.bill("INV-104", "10.00").await;
    let later = office.receipt(own.receipt.receipt_id).await;
    assert_eq!(later.receipt.unallocated, gbp("150.00"));
    assert_conserved(&office.suite).await;
}
