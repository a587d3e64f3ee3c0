//! Promises and holds, on real servers: what may be chased falls and comes back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use chrono::TimeDelta;
use contracts::{
    Role,
    api::{
        allocation::{FindOpenItems, ListReceipts, OpenItemView},
        controls::Person,
        dunning::{
            ExpectedPayment, GetPromise, GetStanding, HoldStep, ListHolds, ListPromises, PlaceHold,
            PromiseTab, PromiseView, PromisedLine, StepHold, TakePromise,
        },
        returns::GetChaseable,
    },
    dunning::{ChaseReason, HoldKind, HoldState, PromiseState},
};
use kernel::{CommandId, Currency, ManualClock, Money};
use messaging::Bus;
use testkit::{DEADLINE, Running, Suite, account, document, eventually, eventually_some, receipt};

/// Dropped in this order: nobody works any more when the database goes.
struct Office {
    _services: Vec<Running>,
    gateway: Bus,
    suite: Suite,
    clock: ManualClock,
}

fn gbp(text: &str) -> Money {
    Money::parse(text, Currency::GBP).unwrap()
}

fn person(role: &str) -> Person {
    Person {
        actor: "user:jo".to_owned(),
        roles: vec![role.to_owned()],
    }
}

impl Office {
    /// On Sunday 1 February 2026, the day after everything was due.
    async fn open() -> Self {
        let clock = ManualClock::new("2026-02-01T09:00:00Z".parse().unwrap());
        let suite = Suite::start_with(clock.clone(), |_| {}).await;
        let services = vec![
            suite
                .run(Role::Ingestion, |bus| {
                    ingestion::run(bus, ingestion::Options::default())
                })
                .await,
            suite.run(Role::Allocation, allocation::run).await,
            suite.run(Role::Dunning, dunning::run).await,
        ];
        let gateway = suite.bus(Role::Gateway).await;
        let office = Self {
            suite,
            gateway,
            clock,
            _services: services,
        };
        eventually("the services answer", DEADLINE, async || {
            office.gateway.ask(&ListReceipts::default()).await.is_ok()
                && office.gateway.ask(&ListPromises::default()).await.is_ok()
        })
        .await;
        office
            .suite
            .publish_account("acme", &account("ACME01"))
            .await;
        office
    }

    async fn bill(&self, document_ref: &str, gross: &str) -> OpenItemView {
        self.suite
            .publish_document(document_ref, &document(document_ref, "ACME01", gross))
            .await;
        let item = eventually_some("the document is posted", DEADLINE, async || {
            let ask = FindOpenItems {
                search: Some(document_ref.into()),
                ..FindOpenItems::default()
            };
            let found = self.gateway.ask(&ask).await.unwrap().items;
            found.into_iter().find(|i| i.document_ref == document_ref)
        })
        .await;
        eventually("dunning knows it", DEADLINE, async || {
            let ask = GetStanding {
                account_id: item.account_id,
            };
            let standing = self.gateway.ask(&ask).await.unwrap();
            standing
                .items
                .iter()
                .any(|i| i.document_id == item.document_id)
        })
        .await;
        item
    }

    async fn chased(&self, item: &OpenItemView, amount: &str) {
        let wanted = gbp(amount);
        eventually(&format!("{amount} may be chased"), DEADLINE, async || {
            let ask = GetChaseable {
                account_id: item.account_id,
                items: vec![item.document_id],
            };
            let now = self.gateway.ask(&ask).await.unwrap();
            now.items.iter().any(|i| i.chaseable == wanted)
        })
        .await;
    }

    async fn promise(&self, item: &OpenItemView, amount: &str, on: &str) -> PromiseView {
        let ask = TakePromise {
            command_id: CommandId::generate(),
            account_id: item.account_id,
            lines: vec![PromisedLine {
                document_id: item.document_id,
                amount: Some(gbp(amount)),
            }],
            instalments: vec![ExpectedPayment {
                due_on: on.parse().unwrap(),
                amount: gbp(amount),
            }],
            method: Some("cheque".to_owned()),
            promised_by: Some("Sam, accounts".to_owned()),
            replaces: None,
            reason: "they will send a cheque".to_owned(),
            person: person("controller"),
        };
        let taken = self.gateway.ask(&ask).await.unwrap();
        // Repeated, it is the same.
        assert_eq!(self.gateway.ask(&ask).await.unwrap(), taken);
        taken
    }

    async fn becomes(&self, promise: &PromiseView, state: PromiseState) -> PromiseView {
        eventually_some(state.name(), DEADLINE, async || {
            let ask = GetPromise {
                promise_id: promise.promise_id,
            };
            let now = self.gateway.ask(&ask).await.unwrap();
            (now.state == state).then_some(now)
        })
        .await
    }

    async fn reason(&self, item: &OpenItemView) -> ChaseReason {
        let ask = GetStanding {
            account_id: item.account_id,
        };
        self.gateway.ask(&ask).await.unwrap().items[0].reason
    }
}

/// E82, E85: a promise by cheque, over a weekend and its grace.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_promised_is_not_chased_and_comes_back_when_it_is_broken() {
    let office = Office::open().await;
    let item = office.bill("INV-100", "400.00").await;
    office.chased(&item, "400.00").await;
    // A Friday; two working days of grace end on Tuesday the 10th.
    let first = office.promise(&item, "300.00", "2026-02-06").await;
    assert_eq!(first.judged_on.to_string(), "2026-02-10");
    office.chased(&item, "100.00").await;
    office.clock.advance(TimeDelta::days(9));
    let tab = ListPromises {
        tab: Some(PromiseTab::DueToday),
        ..ListPromises::default()
    };
    assert_eq!(office.gateway.ask(&tab).await.unwrap().items.len(), 1);
    office.clock.advance(TimeDelta::days(1));
    office.becomes(&first, PromiseState::Broken).await;
    office.chased(&item, "400.00").await;

    let second = office.promise(&item, "400.00", "2026-02-13").await;
    assert_eq!((second.level, second.stops_chasing), (1, true));
    office.chased(&item, "0.00").await;
    assert_eq!(office.reason(&item).await, ChaseReason::Promised);
    office.clock.advance(TimeDelta::minutes(5));
    let mut line = receipt("INV-100", "400.00");
    line.booked_on = "2026-02-11".parse().unwrap();
    line.value_on = line.booked_on;
    office
        .suite
        .publish_receipt(&line.bank_reference, &line)
        .await;
    let kept = office.becomes(&second, PromiseState::Kept).await;
    assert_eq!(kept.received, gbp("400.00"));
}

/// E73, E99: a breathing space that covers one debt, and words that are not for
/// everybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_stops_until_its_last_day_and_some_words_are_restricted() {
    let office = Office::open().await;
    let item = office.bill("INV-200", "400.00").await;
    let place = |kind, documents: Vec<_>| PlaceHold {
        command_id: CommandId::generate(),
        kind,
        account_id: item.account_id,
        debtor_ref: None,
        documents,
        starts_on: None,
        ends_on: None,
        review_on: None,
        cut_off_on: None,
        owner: None,
        reference: Some("BS-1".to_owned()),
        reason: "told by the adviser".to_owned(),
        person: person("controller"),
    };
    let space = place(HoldKind::BreathingSpace, vec![item.document_id]);
    let space = office.gateway.ask(&space).await.unwrap();
    assert_eq!(space.ends_on.unwrap().to_string(), "2026-04-01");
    assert!(space.warnings.is_empty());
    assert_eq!(office.reason(&item).await, ChaseReason::OnHold);
    office.clock.advance(TimeDelta::days(60));
    eventually("its last day is over", DEADLINE, async || {
        let ask = ListHolds {
            account_id: Some(item.account_id),
            state: Some(HoldState::Ended),
            person: person("controller"),
            page: contracts::api::PageRequest::default(),
        };
        office.gateway.ask(&ask).await.unwrap().items.len() == 1
    })
    .await;
    assert_ne!(office.reason(&item).await, ChaseReason::OnHold);
    // A second one within 12 months is unusual, and not refused.
    let again = place(HoldKind::BreathingSpace, vec![item.document_id]);
    let again = office.gateway.ask(&again).await.unwrap();
    assert_eq!(again.warnings.len(), 1);
    let cancel = StepHold {
        command_id: CommandId::generate(),
        hold_id: again.hold_id,
        version: Some(again.version),
        step: HoldStep::Cancel,
        reason: "not eligible".to_owned(),
        person: person("controller"),
    };
    let cancelled = office.gateway.ask(&cancel).await.unwrap();
    assert_eq!(cancelled.state, HoldState::Cancelled);
    assert_ne!(office.reason(&item).await, ChaseReason::OnHold);

    let deceased = place(HoldKind::Deceased, Vec::new());
    let deceased = office.gateway.ask(&deceased).await.unwrap();
    assert_eq!((deceased.reason, deceased.reference), (None, None));
    let ask = ListHolds {
        account_id: Some(item.account_id),
        state: Some(HoldState::Active),
        person: person("manager"),
        page: contracts::api::PageRequest::default(),
    };
    let seen = office.gateway.ask(&ask).await.unwrap().items;
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].reason.as_deref(), Some("told by the adviser"));
}
