//! One member of a group is insolvent: what it owed until the appointment is held,
//! what it was supplied with since is chased, the others are, and a dividend is
//! still allocated.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod chasing;

use chasing::{Office, day, gbp, person};
use contracts::{
    api::{
        allocation::FindOpenItems,
        controls::{ListRecoveries, RequestWriteOff, ReverseWriteOff, WriteOffAsk},
        dunning::{GetStanding, PlaceHold, RecordContact},
    },
    dunning::{Channel, ChaseReason, ContactOutcome, Direction, HoldKind},
    inbound::{BillingAccount, BillingDocument},
};
use kernel::{AccountId, CommandId};
use testkit::{DEADLINE, account, document, eventually, eventually_some};

fn member(account_ref: &str) -> BillingAccount {
    BillingAccount {
        email: Some(format!("{}@group.example", account_ref.to_lowercase())),
        parent_ref: Some("GROUP1".to_owned()),
        ..account(account_ref)
    }
}

fn bill(document_ref: &str, account_ref: &str, gross: &str, issued_on: &str) -> BillingDocument {
    let issued_on = day(issued_on);
    BillingDocument {
        issued_on,
        due_on: issued_on + chrono::Days::new(10),
        ..document(document_ref, account_ref, gross)
    }
}

async fn covers(office: &Office, account: AccountId, documents: usize) {
    eventually("the hold covers them", DEADLINE, async || {
        let holds = office.holds(account, "controller").await;
        holds.len() == 1 && holds[0].documents.len() == documents
    })
    .await;
}

/// E74.
#[tokio::test(flavor = "multi_thread")]
async fn e74_the_insolvency_of_one_member_with_a_cut_off() {
    let office = Office::open("2026-02-10").await;
    let before = bill("INV-I1", "ACME01", "400.00", "2026-01-05");
    let acme = office.debtor(&member("ACME01"), &[before]).await;
    let sister = bill("INV-S1", "BETA01", "300.00", "2026-01-05");
    let beta = office.debtor(&member("BETA01"), &[sister]).await;
    office
        .stands(acme, "INV-I1", ChaseReason::ChaseNow, "400.00")
        .await;

    // Administrators were appointed on 6 February.
    let hold = PlaceHold {
        command_id: CommandId::generate(),
        kind: HoldKind::Insolvency,
        account_id: acme,
        debtor_ref: None,
        documents: Vec::new(),
        starts_on: None,
        ends_on: None,
        review_on: None,
        cut_off_on: Some(day("2026-02-06")),
        owner: None,
        reference: Some("CR-2026-000123".to_owned()),
        reason: "the Gazette of 9 February".to_owned(),
        person: person("jo", "controller"),
    };
    office.gateway.ask(&hold).await.unwrap();
    office
        .stands(acme, "INV-I1", ChaseReason::OnHold, "0.00")
        .await;
    covers(&office, acme, 1).await;
    // One more from before comes to light, and one is supplied to the administrators.
    for late in [
        bill("INV-I2", "ACME01", "50.00", "2026-02-04"),
        bill("INV-I3", "ACME01", "150.00", "2026-02-12"),
    ] {
        office
            .suite
            .publish_document(&late.document_ref, &late)
            .await;
    }
    office.knows(acme, 3).await;
    covers(&office, acme, 2).await;
    // That they say so on the telephone too holds nothing more.
    let call = RecordContact {
        command_id: CommandId::generate(),
        account_id: acme,
        debtor_ref: None,
        contact_id: None,
        direction: Direction::In,
        channel: Channel::Phone,
        outcome: Some(ContactOutcome::InsolvencyTold),
        next_step: None,
        next_on: None,
        none_because: Some("the hold is there".to_owned()),
        promise: None,
        documents: Vec::new(),
        at: None,
        note: None,
        person: person("jo", "controller"),
    };
    assert_eq!(office.gateway.ask(&call).await.unwrap().hold_id, None);

    // What was supplied since is chased when it is late, and so is the sister.
    office.day("2026-02-26").await;
    for held in ["INV-I1", "INV-I2"] {
        office.stands(acme, held, ChaseReason::OnHold, "0.00").await;
    }
    office
        .stands(acme, "INV-I3", ChaseReason::ChaseNow, "150.00")
        .await;
    office
        .stands(beta, "INV-S1", ChaseReason::ChaseNow, "300.00")
        .await;
    let chased: Vec<(String, String)> = office
        .chased()
        .await
        .into_iter()
        .map(|(account_ref, _, amount)| (account_ref, amount))
        .collect();
    let wanted = [("ACME01", "150.00"), ("BETA01", "300.00")];
    assert_eq!(
        chased,
        wanted.map(|(account_ref, amount)| (account_ref.to_owned(), amount.to_owned()))
    );

    // A dividend of ten pence in the pound is allocated to what it is for.
    office.day("2026-03-20").await;
    let dividend = [("INV-I1", "40.00"), ("INV-I2", "5.00")];
    office.paid("DIVIDEND-1", &dividend).await;
    for (document, left) in [("INV-I1", "360.00"), ("INV-I2", "45.00")] {
        eventually("the dividend is allocated", DEADLINE, async || {
            let ask = FindOpenItems {
                search: Some(document.to_owned()),
                ..FindOpenItems::default()
            };
            let items = office.gateway.ask(&ask).await.unwrap().items;
            items.iter().any(|item| item.open == gbp(left))
        })
        .await;
        office
            .stands(acme, document, ChaseReason::OnHold, "0.00")
            .await;
    }
}

/// What dunning has of a document: open, and what was given up of it in all.
async fn booked(office: &Office, document: &str) -> (String, String) {
    sqlx::query_as(
        "select i.open::text, coalesce(sum(m.amount) filter (where m.kind = 'written_off'), 0)::text
         from dunning.item i left join dunning.movement m using (document_id)
         where i.document_ref = $1 group by i.open",
    )
    .bind(document)
    .fetch_one(office.suite.admin_pool())
    .await
    .unwrap()
}

async fn comes_to(office: &Office, document: &str, open: &str, given_up: &str) {
    let wanted = (open.to_owned(), given_up.to_owned());
    let mut last = None;
    eventually("dunning knows what is left", DEADLINE, async || {
        let booked = booked(office, document).await;
        if last.as_ref() != Some(&booked) {
            println!("{document}: {booked:?}");
            last = Some(booked.clone());
        }
        booked == wanted
    })
    .await;
}

/// E74: the rest was given up, and then dividends come: each takes back as much of the
/// write-off as it pays; nobody is chased for it, and what is owed again because the
/// write-off was wrong is still held.
#[tokio::test(flavor = "multi_thread")]
async fn e74_a_dividend_after_the_write_off() {
    let office = Office::open("2026-02-10").await;
    let before = bill("INV-I1", "ACME01", "400.00", "2026-01-05");
    let acme = office.debtor(&member("ACME01"), &[before]).await;
    let told = PlaceHold {
        command_id: CommandId::generate(),
        kind: HoldKind::Insolvency,
        account_id: acme,
        debtor_ref: None,
        documents: Vec::new(),
        starts_on: None,
        ends_on: None,
        review_on: None,
        cut_off_on: Some(day("2026-02-06")),
        owner: None,
        reference: Some("CR-2026-000123".to_owned()),
        reason: "the Gazette of 9 February".to_owned(),
        person: person("jo", "controller"),
    };
    office.gateway.ask(&told).await.unwrap();
    office
        .stands(acme, "INV-I1", ChaseReason::OnHold, "0.00")
        .await;
    let item = FindOpenItems {
        search: Some("INV-I1".to_owned()),
        ..FindOpenItems::default()
    };
    let item = office.gateway.ask(&item).await.unwrap().items.remove(0);
    let give_up = RequestWriteOff {
        command_id: CommandId::generate(),
        reason_code: "insolvency".to_owned(),
        reason: "the liquidator sees no dividend".to_owned(),
        lines: vec![WriteOffAsk {
            document_id: item.document_id,
            amount: None,
            part: None,
        }],
        person: person("jo", "controller"),
    };
    let given_up = office.gateway.ask(&give_up).await.unwrap().write_off;
    office.say_yes(given_up.approval_id.unwrap()).await;
    comes_to(&office, "INV-I1", "0.00", "400.00").await;

    for (n, on, amount, left) in [
        (1, "2026-03-20", "40.00", "360.00"),
        (2, "2026-04-21", "10.00", "350.00"),
    ] {
        office.day(on).await;
        let reference = format!("DIVIDEND-{n}");
        office.paid(&reference, &[("INV-I1", amount)]).await;
        let found = eventually_some("it is seen what it is for", DEADLINE, async || {
            let found = office.gateway.ask(&ListRecoveries {}).await.ok()?.items;
            found
                .into_iter()
                .find(|one| one.write_off_id == given_up.write_off_id)
        })
        .await;
        let back = ReverseWriteOff {
            command_id: CommandId::generate(),
            write_off_id: given_up.write_off_id,
            receipt_id: Some(found.receipt_id),
            reason: "a dividend came after all".to_owned(),
            person: person("jo", "controller"),
        };
        office.gateway.ask(&back).await.unwrap();
        comes_to(&office, "INV-I1", "0.00", left).await;
        // Nothing of it is asked for, and nothing of it was: the rest stays given up.
        let standing = office.gateway.ask(&GetStanding { account_id: acme }).await;
        assert!(standing.unwrap().items.is_empty());
        assert_eq!(office.propose().await.contacts, 0);
    }

    // It was given up wrongly: what no dividend paid is owed again, and held.
    let back = ReverseWriteOff {
        command_id: CommandId::generate(),
        write_off_id: given_up.write_off_id,
        receipt_id: None,
        reason: "it was secured".to_owned(),
        person: person("jo", "controller"),
    };
    office.gateway.ask(&back).await.unwrap();
    comes_to(&office, "INV-I1", "350.00", "0.00").await;
    office
        .stands(acme, "INV-I1", ChaseReason::OnHold, "0.00")
        .await;
    assert_eq!(office.propose().await.contacts, 0);
}
