//! What is told in a call stops letters at once, what is promised in it is promised,
//! and whom nothing ever reached is looked for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod chasing;

use chasing::{Office, by_mail, day, gbp, person};
use chrono::TimeDelta;
use contracts::{
    api::{
        PageRequest,
        dunning::{
            ContactStep, ContactView, EraseContactNotes, ExpectedPayment, GetPromise, GetStanding,
            HoldStep, ListContacts, ListOutcomes, PromiseTerms, PromisedLine, RecordContact,
            StepContact, StepHold,
        },
    },
    dunning::{Channel, ChaseReason, ContactOutcome, Direction, HoldKind, HoldState},
    inbound::{BankReceipt, BillingAccount, Direction as BankDirection},
};
use kernel::{AccountId, CommandId, DocumentId};
use testkit::{account, document, receipt};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};
use uuid::Uuid;

fn reached(account_ref: &str) -> BillingAccount {
    BillingAccount {
        email: Some(format!("{}@example.test", account_ref.to_lowercase())),
        ..account(account_ref)
    }
}

/// They called, and Ann took the call.
fn told(account_id: AccountId, outcome: ContactOutcome) -> RecordContact {
    RecordContact {
        command_id: CommandId::generate(),
        account_id,
        debtor_ref: None,
        contact_id: None,
        direction: Direction::In,
        channel: Channel::Phone,
        outcome: Some(outcome),
        next_step: None,
        next_on: None,
        none_because: None,
        promise: None,
        documents: Vec::new(),
        at: None,
        note: None,
        person: person("ann", "controller"),
    }
}

/// A mail server that takes everything.
async fn takes_all(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            stream.write_all(b"220 here\r\n").await.unwrap();
            let (mut line, mut in_data) = (String::new(), false);
            while stream.read_line(&mut line).await.is_ok_and(|n| n > 0) {
                let answer: &[u8] = match line.trim_end() {
                    "." if in_data => {
                        in_data = false;
                        b"250 ok\r\n"
                    }
                    _ if in_data => b"",
                    "DATA" => {
                        in_data = true;
                        b"354 go on\r\n"
                    }
                    _ => b"250 ok\r\n",
                };
                stream.write_all(answer).await.unwrap();
                line.clear();
            }
        });
    }
}

async fn contacts(office: &Office, account_id: AccountId) -> Vec<ContactView> {
    let ask = ListContacts {
        account_id,
        contact_id: None,
        person: person("max", "manager"),
        page: PageRequest::default(),
    };
    office.gateway.ask(&ask).await.unwrap().items
}

/// What was told last of a thing: the event's cause, and what it says.
async fn event(office: &Office, about: Uuid, name: &str) -> (Uuid, serde_json::Value) {
    let (cause, payload): (Uuid, String) = sqlx::query_as(
        "select causation_id, payload from dunning.outbox where aggregate_id = $1 and event_type like '%.' || $2 || '.%'
         order by tx desc, seq desc limit 1",
    )
    .bind(about)
    .bind(name)
    .fetch_one(office.suite.admin_pool())
    .await
    .unwrap();
    (cause, serde_json::from_str(&payload).unwrap())
}

/// E37, E79, E99: a death and a vulnerability that are told while a run of somebody
/// else is being sent: their letters stay, the third goes. Until a person confirms
/// it or says that it was not so.
#[tokio::test(flavor = "multi_thread")]
async fn e37_e79_e99_what_is_told_in_a_call_recalls_what_is_queued() {
    // The mail server is away: what is queued stays so.
    let away = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = away.local_addr().unwrap();
    drop(away);
    let options = by_mail(&address.ip().to_string(), address.port());
    let office = Office::open_with("2026-02-10", Some(options)).await;
    let mut ids = Vec::new();
    for account_ref in ["ACME01", "BETA01", "CARE01"] {
        let bill = document(&format!("INV-{account_ref}"), account_ref, "400.00");
        ids.push(office.debtor(&reached(account_ref), &[bill]).await);
    }
    let (acme, beta) = (ids[0], ids[1]);
    for (id, bill) in ids.iter().zip(["INV-ACME01", "INV-BETA01", "INV-CARE01"]) {
        office
            .stands(*id, bill, ChaseReason::ChaseNow, "400.00")
            .await;
    }
    let run = office.propose().await;
    assert_eq!(run.contacts, 3);
    office.approve(&run).await;
    testkit::eventually("the run is being sent", testkit::DEADLINE, async || {
        let rows = office.outcome(&run).await;
        rows.len() == 3 && rows.iter().all(|row| row.1 == "queued")
    })
    .await;

    let mut died = told(acme, ContactOutcome::DeceasedTold);
    died.note = Some("her son says that she died on Sunday".to_owned());
    let contact = office.gateway.ask(&died).await.unwrap();
    // Repeated, it is the same.
    assert_eq!(office.gateway.ask(&died).await.unwrap(), contact);
    assert_eq!(contact.note, None);
    assert!(contact.next_step.as_deref().unwrap().contains("executor"));
    let holds = office.holds(acme, "controller").await;
    let [hold] = holds.as_slice() else {
        panic!("{holds:?}")
    };
    assert_eq!(Some(hold.hold_id), contact.hold_id);
    assert_eq!(
        (hold.kind, hold.unconfirmed, hold.told_in),
        (HoldKind::Deceased, true, Some(contact.contact_id))
    );
    assert_eq!((hold.ends_on, hold.documents.len()), (None, 0));
    assert_eq!(
        (hold.owner.as_str(), hold.reason.as_deref()),
        ("user:ann", None)
    );
    // In the transaction of the contact, and caused by it; nobody reads why.
    let together: bool = sqlx::query_scalar(
        "select c.xmin = h.xmin from dunning.contact c join dunning.hold h using (hold_id) where c.contact_id = $1",
    )
    .bind(contact.contact_id.as_uuid())
    .fetch_one(office.suite.admin_pool())
    .await
    .unwrap();
    assert!(together);
    let (cause, changed) = event(&office, hold.hold_id.as_uuid(), "hold_changed").await;
    assert_eq!(cause, contact.contact_id.as_uuid());
    assert_eq!(changed["cause"], contact.contact_id.to_string());
    assert_eq!(changed["reason"], "restricted");

    // Told again, by somebody else: one hold is enough.
    let again = told(acme, ContactOutcome::DeceasedTold);
    let again = office.gateway.ask(&again).await.unwrap();
    assert_eq!(again.hold_id, None);
    assert_eq!(office.holds(acme, "controller").await.len(), 1);

    // A letter that says it counts when a person has read it.
    let mut letter = told(beta, ContactOutcome::VulnerabilityTold);
    (letter.channel, letter.outcome) = (Channel::Letter, None);
    letter.note = Some("I am in hospital until March".to_owned());
    let letter = office.gateway.ask(&letter).await.unwrap();
    assert_eq!(letter.proposal, Some(ContactOutcome::VulnerabilityTold));
    assert!(office.holds(beta, "manager").await.is_empty());
    let read = StepContact {
        command_id: CommandId::generate(),
        contact_id: letter.contact_id,
        version: Some(letter.version),
        step: ContactStep::ReadAs {
            outcome: ContactOutcome::VulnerabilityTold,
        },
        reason: "he is in hospital".to_owned(),
        person: person("ann", "controller"),
    };
    let read = office.gateway.ask(&read).await.unwrap();
    let (_, recorded) = event(&office, read.contact_id.as_uuid(), "contact_recorded").await;
    assert!(!recorded.to_string().contains("hospital"), "{recorded}");
    let hold = office.holds(beta, "manager").await.remove(0);
    assert_eq!(
        (Some(hold.hold_id), hold.kind, hold.reason.as_deref()),
        (
            read.hold_id,
            HoldKind::Vulnerable,
            Some("he is in hospital")
        )
    );

    // The mail server is back, and it is time to ask it: the last look takes back
    // what was queued.
    let back = TcpListener::bind(address).await.unwrap();
    let server = tokio::spawn(takes_all(back));
    office.clock.advance(TimeDelta::minutes(5));
    office.sent(&run).await;
    let rows = office.outcome(&run).await;
    assert_eq!(
        rows.iter()
            .map(|row| (row.1.as_str(), row.2.as_deref()))
            .collect::<Vec<_>>(),
        [
            ("recalled", Some("on_hold")),
            // A person may still call them, and there is no number.
            ("recalled", Some("no_address")),
            ("sent", None)
        ]
    );
    server.abort();

    // Whoever took the word is to look into it.
    office.day("2026-02-15").await;
    let review = office.work("hold_review").await;
    assert_eq!(
        (review.subject_id, review.account_id),
        (hold.hold_id.as_uuid(), Some(beta))
    );
    let step = |hold_id, step| StepHold {
        command_id: CommandId::generate(),
        hold_id,
        version: None,
        step,
        reason: "looked into it".to_owned(),
        person: person("max", "manager"),
    };
    // It was somebody else: chased again. The other is so, and stays.
    let cancel = step(hold.hold_id, HoldStep::Cancel);
    let cancelled = office.gateway.ask(&cancel).await.unwrap();
    assert_eq!(cancelled.state, HoldState::Cancelled);
    office
        .stands(beta, "INV-BETA01", ChaseReason::ChaseNow, "400.00")
        .await;
    office.no_work("hold_review").await;
    let change = HoldStep::Change {
        ends_on: None,
        review_on: None,
        owner: None,
    };
    let confirmed = step(contact.hold_id.unwrap(), change);
    let confirmed = office.gateway.ask(&confirmed).await.unwrap();
    assert_eq!(
        (confirmed.unconfirmed, confirmed.review_on),
        (false, Some(day("2026-08-16")))
    );
    office
        .stands(acme, "INV-ACME01", ChaseReason::OnHold, "0.00")
        .await;

    // What was said is erased on request: that it was is told, and nothing of it.
    let erase = EraseContactNotes {
        command_id: CommandId::generate(),
        account_id: acme,
        debtor_ref: None,
        reason: "asked for by the family".to_owned(),
        person: person("max", "manager"),
    };
    assert_eq!(office.gateway.ask(&erase).await.unwrap().notes, 1);
    let id = erase.command_id.as_uuid();
    let (_, erased) = event(&office, id, "contact_notes_erased").await;
    assert_eq!(
        (&erased["notes"], &erased["actor"], &erased["reason"]),
        (
            &1.into(),
            &"user:max".into(),
            &"asked for by the family".into()
        )
    );
    assert!(!erased.to_string().contains("Sunday"));
}

fn promise(document: DocumentId, parts: &[(&str, &str)]) -> PromiseTerms {
    PromiseTerms {
        lines: vec![PromisedLine {
            document_id: document,
            amount: None,
        }],
        instalments: parts
            .iter()
            .map(|(on, amount)| ExpectedPayment {
                due_on: day(on),
                amount: gbp(amount),
            })
            .collect(),
        method: None,
        promised_by: Some("Sam, accounts".to_owned()),
        replaces: None,
    }
}

/// A promise is taken with the call that it was made in, or both are refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_promise_is_taken_with_its_call_or_neither_is() {
    let office = Office::open("2026-02-10").await;
    let bill = document("INV-ACME01", "ACME01", "400.00");
    let acme = office.debtor(&reached("ACME01"), &[bill]).await;
    let item = office
        .stands(acme, "INV-ACME01", ChaseReason::ChaseNow, "400.00")
        .await;
    let mut call = told(acme, ContactOutcome::Promised);
    call.direction = Direction::Out;
    call.promise = Some(promise(item.document_id, &[("2026-02-13", "300.00")]));
    let refusal = async |call: &RecordContact| {
        let refused = office.gateway.ask(call).await.unwrap_err();
        let field = refused.fields.first().map(|field| field.pointer.clone());
        (refused.code, field.unwrap_or_default())
    };
    let field = |pointer: &str| ("dunning.not_usable".to_owned(), pointer.to_owned());
    assert_eq!(refusal(&call).await, field("/promise/instalments"));
    let mut other = call.clone();
    other.outcome = Some(ContactOutcome::Refuses);
    assert_eq!(refusal(&other).await, field("/promise"));
    let mut unlikely = told(acme, ContactOutcome::NoAnswer);
    unlikely.channel = Channel::Email;
    assert_eq!(refusal(&unlikely).await, field("/outcome"));
    assert!(contacts(&office, acme).await.is_empty());
    let shown = ListOutcomes {
        channel: Some(Channel::Email),
        direction: Some(Direction::In),
    };
    let shown = office.gateway.ask(&shown).await.unwrap().outcomes;
    assert!(
        shown
            .iter()
            .all(|one| one.outcome != ContactOutcome::NoAnswer)
    );

    let parts = [("2026-02-13", "150.00"), ("2026-02-20", "250.00")];
    call.promise = Some(promise(item.document_id, &parts));
    let contact = office.gateway.ask(&call).await.unwrap();
    assert_eq!(office.gateway.ask(&call).await.unwrap(), contact);
    assert_eq!(contact.items[0].document_ref, "INV-ACME01");
    assert!(contact.none_because.is_some());
    let promise_id = contact.promise_id.unwrap();
    let taken = office
        .gateway
        .ask(&GetPromise { promise_id })
        .await
        .unwrap();
    assert_eq!((taken.amount, taken.instalments.len()), (gbp("400.00"), 2));
    assert_eq!(taken.taken_by, "user:ann");
    office
        .stands(acme, "INV-ACME01", ChaseReason::Promised, "0.00")
        .await;
    let (cause, _) = event(&office, promise_id.as_uuid(), "promise_changed").await;
    assert_eq!(cause, contact.contact_id.as_uuid());

    // Promised already: the second call is not written down either.
    call.command_id = CommandId::generate();
    assert_eq!(refusal(&call).await.0, "dunning.promised_already");
    assert_eq!(contacts(&office, acme).await.len(), 1);
    if let Some(terms) = &mut call.promise {
        terms.replaces = Some(promise_id);
    }
    office.gateway.ask(&call).await.unwrap();
    assert_eq!(contacts(&office, acme).await.len(), 2);
}

/// E66: whom nothing ever reached is work once they owe, until an address comes.
#[tokio::test(flavor = "multi_thread")]
async fn e66_an_address_that_never_was_is_work_until_there_is_one() {
    let office = Office::open("2026-02-10").await;
    let bill = document("INV-ACME01", "ACME01", "400.00");
    // The bill may come before its account, and an account without a debt is no work.
    office.suite.publish_document("INV-ACME01", &bill).await;
    office
        .suite
        .publish_account("IDLE01", &account("IDLE01"))
        .await;
    let acme = office.debtor(&account("ACME01"), &[bill]).await;
    let work = office.work("address_missing").await;
    assert_eq!(work.account_id, Some(acme));
    office
        .stands(acme, "INV-ACME01", ChaseReason::NoAddress, "400.00")
        .await;
    let told: Vec<String> = sqlx::query_scalar(
        "select partition_key from dunning.outbox where event_type like '%reach_changed%'",
    )
    .fetch_all(office.suite.admin_pool())
    .await
    .unwrap();
    assert_eq!(told, ["ACME01"]);
    office
        .suite
        .publish_account("ACME01-found", &reached("ACME01"))
        .await;
    office.no_work("address_missing").await;
    // Who pays meanwhile is not looked for, until they owe again.
    let bill = document("INV-PAID01", "PAID01", "60.00");
    office.debtor(&account("PAID01"), &[bill]).await;
    office.work("address_missing").await;
    office.paid("PAYS-ALL", &[("INV-PAID01", "60.00")]).await;
    office.no_work("address_missing").await;
    let bill = document("INV-PAID02", "PAID01", "70.00");
    office.suite.publish_document("INV-PAID02", &bill).await;
    office.work("address_missing").await;
    office
        .stands(acme, "INV-ACME01", ChaseReason::ChaseNow, "400.00")
        .await;
}

/// E37: a collection comes back because the payer has died. Nobody is chased, before
/// anybody has read of it.
#[tokio::test(flavor = "multi_thread")]
async fn e37_a_collection_that_comes_back_because_of_a_death_stops_everything() {
    let office = Office::open_with("2026-02-10", None).await;
    let bill = document("INV-DORA01", "DORA01", "400.00");
    let dora = office.debtor(&reached("DORA01"), &[bill]).await;
    office
        .stands(dora, "INV-DORA01", ChaseReason::ChaseNow, "400.00")
        .await;
    let collected = BankReceipt {
        scheme: Some("dd_collection".into()),
        booked_on: day("2026-02-05"),
        value_on: day("2026-02-05"),
        ..receipt("INV-DORA01", "400.00")
    };
    office.suite.publish_receipt("collected", &collected).await;
    testkit::eventually("it is paid", testkit::DEADLINE, async || {
        let ask = GetStanding { account_id: dora };
        office.gateway.ask(&ask).await.unwrap().items.is_empty()
    })
    .await;
    let back = BankReceipt {
        direction: BankDirection::Debit,
        scheme: Some("dd_return".into()),
        return_reason: Some("2".into()),
        bank_reference: format!("RTN-{}", collected.bank_reference),
        booked_on: day("2026-02-09"),
        value_on: day("2026-02-09"),
        ..collected
    };
    office.suite.publish_receipt("back", &back).await;
    let item = office
        .stands(dora, "INV-DORA01", ChaseReason::OnHold, "0.00")
        .await;
    assert_eq!(item.hold, Some(HoldKind::Deceased));
}
