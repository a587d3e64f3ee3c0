//! Two tenants owe one account together: one is insolvent and the other is written to;
//! both are when it is over; a payment of either closes it for both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod chasing;

use chasing::{Office, person};
use contracts::{
    api::{
        PageRequest,
        dunning::{
            DebtorReach, EraseContactNotes, GetReach, GetStanding, GetStatement, HoldStep,
            ListContacts, RecordContact, StepHold,
        },
    },
    dunning::{Channel, ChaseReason, ContactOutcome, Direction, HoldKind},
    inbound::{AccountKind, BillingAccount, JointDebtor},
};
use kernel::{AccountId, CommandId};
use testkit::{DEADLINE, account, document, eventually};

fn tenant(debtor_ref: &str, name: &str) -> JointDebtor {
    JointDebtor {
        debtor_ref: debtor_ref.to_owned(),
        name: name.to_owned(),
        kind: Some(AccountKind::Individual),
        email: Some(format!("{}@tenants.example", debtor_ref.to_lowercase())),
        phone: None,
        address: None,
    }
}

fn owed_by(account_ref: &str, debtors: Vec<JointDebtor>) -> BillingAccount {
    BillingAccount {
        kind: AccountKind::Individual,
        address: Some("7 Shared House, Leeds, LS1 1AA".to_owned()),
        debtors: Some(debtors),
        ..account(account_ref)
    }
}

fn call(account_id: AccountId, debtor: Option<&str>, outcome: ContactOutcome) -> RecordContact {
    RecordContact {
        command_id: CommandId::generate(),
        account_id,
        debtor_ref: debtor.map(str::to_owned),
        contact_id: None,
        direction: Direction::In,
        channel: Channel::Phone,
        outcome: Some(outcome),
        next_step: None,
        next_on: None,
        none_because: Some("nothing to do".to_owned()),
        promise: None,
        documents: Vec::new(),
        at: None,
        note: Some("she rang".to_owned()),
        person: person("jo", "controller"),
    }
}

async fn debtors(office: &Office, account_id: AccountId) -> Vec<DebtorReach> {
    let reach = office.gateway.ask(&GetReach { account_id }).await;
    reach.unwrap().debtors
}

/// To whom something was sent about an account, and at which stage.
async fn sent(office: &Office, account_ref: &str) -> Vec<(String, Option<String>, String)> {
    sqlx::query_as(
        "select stage, debtor_ref, address from dunning.contact
         where account_ref = $1 and run_id is not null and state = 'sent' order by at, debtor_ref",
    )
    .bind(account_ref)
    .fetch_all(office.suite.admin_pool())
    .await
    .unwrap()
}

fn to(stage: &str, debtor: &str) -> (String, Option<String>, String) {
    let address = format!("{}@tenants.example", debtor.to_lowercase());
    (stage.to_owned(), Some(debtor.to_owned()), address)
}

/// E73: a breathing space of one protects both, on the account that they owe together
/// and on nobody else's.
#[tokio::test(flavor = "multi_thread")]
async fn e73_a_breathing_space_of_one_tenant_protects_both() {
    let office = Office::open("2026-02-10").await;
    let (ann, ben) = (
        tenant("TEN-ANN", "Ann Smith"),
        tenant("TEN-BEN", "Ben Jones"),
    );
    let house = owed_by("HOUSE7", vec![ann, ben.clone()]);
    let house = office
        .debtor(&house, &[document("RENT-1", "HOUSE7", "400.00")])
        .await;
    let shop = owed_by("SHOP9", vec![ben]);
    let shop = office
        .debtor(&shop, &[document("RENT-2", "SHOP9", "50.00")])
        .await;
    let told = call(house, Some("TEN-ANN"), ContactOutcome::BreathingSpaceTold);
    office.gateway.ask(&told).await.unwrap();
    office
        .stands(house, "RENT-1", ChaseReason::OnHold, "0.00")
        .await;
    office
        .stands(shop, "RENT-2", ChaseReason::ChaseNow, "50.00")
        .await;
    office.chased().await;
    assert_eq!(sent(&office, "HOUSE7").await, []);
    assert_eq!(sent(&office, "SHOP9").await, [to("reminder", "TEN-BEN")]);
}

/// E73, E97.
#[tokio::test(flavor = "multi_thread")]
async fn e97_one_of_two_tenants_is_insolvent() {
    let office = Office::open("2026-02-10").await;
    let (ann, ben) = (
        tenant("TEN-ANN", "Ann Smith"),
        tenant("TEN-BEN", "Ben Jones"),
    );
    let house = owed_by("HOUSE7", vec![ann.clone(), ben]);
    let house = office
        .debtor(&house, &[document("RENT-1", "HOUSE7", "400.00")])
        .await;
    let garage = owed_by("GARAGE7", vec![ann]);
    let garage = office
        .debtor(&garage, &[document("RENT-2", "GARAGE7", "50.00")])
        .await;
    office
        .stands(house, "RENT-1", ChaseReason::ChaseNow, "400.00")
        .await;

    // A way is somebody's: nobody guesses whose.
    let vague = call(house, None, ContactOutcome::OptedOut);
    assert!(office.gateway.ask(&vague).await.is_err());
    let stranger = call(house, Some("TEN-CAT"), ContactOutcome::InsolvencyTold);
    assert!(office.gateway.ask(&stranger).await.is_err());
    // Ann says so on the telephone: it is hers alone, and on her garage too.
    let told = call(house, Some("TEN-ANN"), ContactOutcome::InsolvencyTold);
    let told = office.gateway.ask(&told).await.unwrap();
    assert_eq!(told.debtor_ref.as_deref(), Some("TEN-ANN"));
    let held = office.holds(house, "controller").await;
    assert_eq!(held.len(), 1);
    assert_eq!(Some(held[0].hold_id), told.hold_id);
    assert_eq!(held[0].debtor_ref.as_deref(), Some("TEN-ANN"));
    office
        .stands(garage, "RENT-2", ChaseReason::OnHold, "0.00")
        .await;
    office
        .stands(house, "RENT-1", ChaseReason::ChaseNow, "400.00")
        .await;
    let reach = debtors(&office, house).await;
    assert_eq!(reach[0].holds, [HoldKind::Insolvency]);
    assert_eq!(reach[0].other_accounts, ["GARAGE7"]);
    assert!(reach[1].holds.is_empty());

    let chased = office.chased().await;
    let all = ("HOUSE7", "reminder", "400.00");
    let all = [(all.0.to_owned(), all.1.to_owned(), all.2.to_owned())];
    assert_eq!(chased, all);
    assert_eq!(sent(&office, "HOUSE7").await, [to("reminder", "TEN-BEN")]);
    let letter = office.post.messages().unwrap().pop().unwrap();
    // Each letter names all who owe it, and says nothing of the hold.
    for said in ["Ann Smith", "Ben Jones", "RENT-1"] {
        assert!(letter.contains(said), "{letter}");
    }
    assert!(!letter.to_lowercase().contains("insolven"));
    let reach = debtors(&office, house).await;
    assert_eq!((reach[0].contacts, reach[1].contacts), (0, 1));

    // It ends: her clock goes on where it stood, and both get the next one.
    office.day("2026-02-16").await;
    for account in [house, garage] {
        for hold in office.holds(account, "controller").await {
            let end = StepHold {
                command_id: CommandId::generate(),
                hold_id: hold.hold_id,
                version: None,
                step: HoldStep::End,
                reason: "the arrangement failed".to_owned(),
                person: person("jo", "controller"),
            };
            office.gateway.ask(&end).await.unwrap();
        }
    }
    office.day("2026-02-27").await;
    office.chased().await;
    let second = "second_reminder";
    assert_eq!(
        sent(&office, "HOUSE7").await,
        [
            to("reminder", "TEN-BEN"),
            to(second, "TEN-ANN"),
            to(second, "TEN-BEN")
        ]
    );
    // At most one for each document, stage and debtor, also against a second writer.
    let again = sqlx::query(
        "insert into dunning.contact_item (contact_id, document_id, account_id, document_ref, rank, amount, currency,
           debtor_ref)
         select contact_id, document_id, account_id, document_ref || ' again', rank, amount, currency, debtor_ref
         from dunning.contact_item where account_id = $1 and rank is not null limit 1",
    )
    .bind(house.as_uuid())
    .execute(office.suite.admin_pool())
    .await;
    assert!(again.is_err());

    // Ben pays, and nobody is asked for anything any more.
    office.paid("BEN-PAYS", &[("RENT-1", "400.00")]).await;
    eventually("it is closed for both", DEADLINE, async || {
        let ask = GetStanding { account_id: house };
        office.gateway.ask(&ask).await.unwrap().items.is_empty()
    })
    .await;
    // The statement of a day before that has what was open then.
    let before = GetStatement {
        account_id: house,
        red: false,
        as_at: Some("2026-02-26".parse().unwrap()),
    };
    let now = GetStatement {
        as_at: None,
        ..before.clone()
    };
    let before = office.gateway.ask(&before).await.unwrap();
    assert_eq!(before.totals, [chasing::gbp("400.00")]);
    let now = office.gateway.ask(&now).await.unwrap();
    assert!(now.lines.is_empty());
    office.day("2026-03-20").await;
    let chased = office.chased().await;
    assert!(
        chased
            .iter()
            .all(|(account_ref, ..)| account_ref == "GARAGE7")
    );

    // Ann asks to be forgotten: what she said and how she is reached, not Ben's.
    let erase = EraseContactNotes {
        command_id: CommandId::generate(),
        account_id: house,
        debtor_ref: Some("TEN-ANN".to_owned()),
        reason: "she asked for it".to_owned(),
        person: person("max", "manager"),
    };
    let erased = office.gateway.ask(&erase).await.unwrap();
    assert_eq!((erased.notes, erased.details), (1, true));
    let reach = debtors(&office, house).await;
    assert_eq!((reach[0].name.as_str(), reach[0].erased), ("erased", true));
    assert_eq!(reach[1].name, "Ben Jones");
    let contacts = ListContacts {
        account_id: house,
        contact_id: None,
        person: person("max", "manager"),
        page: PageRequest::default(),
    };
    let contacts = office.gateway.ask(&contacts).await.unwrap().items;
    assert!(contacts.iter().all(|contact| contact.note.is_none()));
}
