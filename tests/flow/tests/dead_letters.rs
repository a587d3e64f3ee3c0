//! A message with money in it that a service cannot handle is work, until it was
//! handled after all or somebody said that it counts for nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use contracts::{
    Event as _, Role,
    api::{
        Refusal,
        dead_letters::{DeadLetterView, PickDeadLetter},
        worklist::{ListPeople, ListWork, WorkRow, WorkView},
    },
    ingestion::DocumentRecorded,
    worklist::WorkState,
};
use kernel::{Currency, Money};
use messaging::Bus;
use testkit::{DEADLINE, Running, Suite, eventually, eventually_some, receipt};
use uuid::Uuid;

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
            suite.run(Role::Worklist, worklist::run).await,
        ];
        let office = Self {
            gateway: suite.bus(Role::Gateway).await,
            suite,
            _services: services,
        };
        eventually("worklist answers", DEADLINE, async || {
            office.gateway.ask(&ListPeople {}).await.is_ok()
        })
        .await;
        office
    }

    async fn work(&self) -> Vec<WorkRow> {
        let ask = ListWork {
            view: WorkView::Team,
            kinds: vec!["dead_letter".into()],
            actor: "user:jo".into(),
            ..ListWork::default()
        };
        self.gateway.ask(&ask).await.unwrap().items
    }

    async fn shown(&self, about: &str) -> WorkRow {
        eventually_some("the letter is work", DEADLINE, async || {
            let work = self.work().await;
            work.into_iter().find(|row| row.detail.contains(about))
        })
        .await
    }

    async fn is_over(&self, row: &WorkRow) {
        eventually("the work is over", DEADLINE, async || {
            let state: String =
                sqlx::query_scalar("select state from worklist.work_item where work_item_id = $1")
                    .bind(row.work_item_id.as_uuid())
                    .fetch_one(self.suite.admin_pool())
                    .await
                    .unwrap();
            state == WorkState::Closed.name()
        })
        .await;
    }

    async fn settle(
        &self,
        role: Role,
        verb: &str,
        letter: Uuid,
    ) -> Result<DeadLetterView, Refusal> {
        let subject = self
            .suite
            .prefix()
            .subject(format_args!("svc.{role}.dead-letters.{verb}"));
        let pick = PickDeadLetter {
            dead_letter_id: letter,
            actor: "user:olly".into(),
            reason: "the sender mended it".into(),
        };
        messaging::ask(self.gateway.nats(), &subject, &pick, DEADLINE).await
    }
}

/// A receipt that cannot be read is work with an amount where one can be read;
/// an account that cannot be is none. Discarded, the work is over.
#[tokio::test(flavor = "multi_thread")]
async fn money_that_cannot_be_read_opens_work_and_discarding_ends_it() {
    let office = Office::open().await;
    let mut bad = serde_json::to_value(receipt("BAD", "10.00")).unwrap();
    bad.as_object_mut().unwrap().remove("bank_account");
    let bad = serde_json::to_vec(&bad).unwrap();
    let suite = &office.suite;
    suite
        .publish("in.billing.accounts.test", "acc", b"{\"name\": 1}".to_vec())
        .await;
    suite.publish("in.bank.receipts.test", "bad", bad).await;
    suite
        .publish("in.bank.receipts.broken", "half", b"{\"feed\": ".to_vec())
        .await;
    let bad = office.shown("in.bank.receipts.test").await;
    assert_eq!(bad.amount, Money::parse("10.00", Currency::GBP).ok());
    assert!(bad.due_at.is_some(), "its clock runs");
    let half = office.shown("in.bank.receipts.broken").await;
    assert_eq!(half.amount, None);
    assert_eq!(office.work().await.len(), 2, "the account is no money");

    for row in [&bad, &half] {
        let letter = row.subject_id;
        let settled = office.settle(Role::Ingestion, "discard", letter).await;
        assert_eq!(settled.unwrap().state, "discarded");
        office.is_over(row).await;
    }
    assert!(office.work().await.is_empty());
    let told: i64 = sqlx::query_scalar(
        "select count(*) from ingestion.outbox where event_type like '%.dead_letter_changed.v1'",
    )
    .fetch_one(office.suite.admin_pool())
    .await
    .unwrap();
    assert_eq!(told, 4, "once each when it is there and when it is settled");
}

/// What allocation cannot handle of what ingestion says, for a defect that is
/// mended later: replayed, it counts, and the work is over. While it still fails,
/// the work stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_fact_is_work_until_it_is_replayed_after_the_mending() {
    let office = Office::open().await;
    let pool = office.suite.admin_pool();
    // Something in the database that refuses this one, as a defect would.
    for sql in [
        "create function allocation.defect() returns trigger language plpgsql as $$
         begin raise exception 'defect'; end $$",
        "create trigger defect before insert on allocation.receipt for each row
         when (new.narrative = 'POISON') execute function allocation.defect()",
    ] {
        sqlx::query(sql).execute(pool).await.unwrap();
    }
    let line = receipt("POISON", "42.00");
    office.suite.publish_receipt("poison", &line).await;
    let row = office.shown("allocation").await;
    assert!(row.subject_ref.contains("receipt_recorded"), "{row:#?}");
    let letter = row.subject_id;
    let failed = office.settle(Role::Allocation, "replay", letter).await;
    assert!(failed.is_err());
    let still = office.work().await;
    assert_eq!(still.len(), 1);
    assert_eq!(still[0].version, row.version, "nothing was said of it");

    sqlx::query("drop trigger defect on allocation.receipt")
        .execute(pool)
        .await
        .unwrap();
    let settled = office
        .settle(Role::Allocation, "replay", letter)
        .await
        .unwrap();
    assert_eq!(settled.state, "replayed");
    office.is_over(&row).await;
    let counted: i64 =
        sqlx::query_scalar("select count(*) from allocation.receipt where narrative = 'POISON'")
            .fetch_one(pool)
            .await
            .unwrap();
    assert_eq!(counted, 1);
    let again = office.settle(Role::Allocation, "replay", letter).await;
    assert!(again.is_err(), "it counts once");
}

/// A letter about a letter would make the next one: it is kept, and says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_worklist_cannot_read_makes_no_other() {
    let office = Office::open().await;
    let kind =
        DocumentRecorded::event_type().replace(DocumentRecorded::NAME, "dead_letter_changed");
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Nats-Msg-Id", Uuid::now_v7().to_string().as_str());
    headers.insert("ce-type", kind.as_str());
    let subject = office
        .suite
        .prefix()
        .subject("evt.ingestion.dead_letter_changed.01");
    let payload = b"{\"amount\": {\"amount\": \"1.00\", \"currency\": \"GBP\"}}";
    office
        .suite
        .jetstream()
        .publish_with_headers(subject, headers, payload.to_vec().into())
        .await
        .unwrap()
        .await
        .unwrap();
    eventually("worklist keeps it", DEADLINE, async || {
        let kept: i64 = sqlx::query_scalar("select count(*) from worklist.dead_letter")
            .fetch_one(office.suite.admin_pool())
            .await
            .unwrap();
        kept == 1
    })
    .await;
    let told: i64 = sqlx::query_scalar(
        "select count(*) from worklist.outbox where event_type like '%dead_letter%'",
    )
    .fetch_one(office.suite.admin_pool())
    .await
    .unwrap();
    assert_eq!(told, 0);
}
