//! The whole face on real servers, with the services behind it played by the
//! test.

#![allow(
    clippy::unwrap_used,
    reason = "what the services played here cannot do fails the test"
)]

mod world;

use std::collections::BTreeMap;

use contracts::api::{RefusalClass, allocation::ReceiptDetail};
use kernel::ImportId;
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use testkit::{DEADLINE, eventually};
use world::World;

const ALLOCATE: &str = "/api/v1/receipts/0198c0de-0000-7000-8000-000000000001/allocations";

fn body() -> Value {
    json!({
        "lines": [{
            "document_id": "0198c0de-0000-7000-8000-000000000002",
            "amount": {"amount": "100.00", "currency": "GBP"},
        }],
        "reason": "as agreed",
    })
}

/// Every route but the few that everybody may use refuses whoever is not
/// signed in, and whoever has none of its roles.
#[tokio::test]
async fn nobody_gets_further_than_their_roles() {
    let world = World::open().await;
    let api: Value = world
        .get("/openapi.json")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let mut checked = 0;
    for (path, methods) in api["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let path = path
                .replace("{id}", "0198c0de-0000-7000-8000-000000000001")
                .replace("{name}", "reminder")
                .replace("{version}", "1")
                .replace("{sha256}", "00");
            let anonymous = world.ask(method.clone(), &path).send().await.unwrap();
            assert_eq!(
                anonymous.status(),
                StatusCode::UNAUTHORIZED,
                "{method} {path}"
            );
            assert_eq!(
                anonymous.headers()[header::CONTENT_TYPE],
                "application/problem+json"
            );
            assert!(
                anonymous.headers().contains_key(header::WWW_AUTHENTICATE),
                "{path}"
            );
            let roles = &operation["x-roles"];
            if roles.is_array() {
                assert!(
                    !roles.as_array().unwrap().contains(&json!("auditor")),
                    "{path}"
                );
                let auditor = world
                    .ask(method.clone(), &path)
                    .basic_auth("auditor", Some(world::PASSWORD));
                let refused = auditor.send().await.unwrap();
                assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{method} {path}");
                let problem: Value = refused.json().await.unwrap();
                assert_eq!(problem["code"], "gateway.forbidden");
                assert_eq!(problem["instance"], path);
                assert!(problem["request_id"].is_string());
            }
            checked += 1;
        }
    }
    assert!(checked >= 18, "only {checked} operations");

    for page in [
        "/",
        "/cash",
        "/accounts",
        "/aged-debt",
        "/imports",
        "/aged-debt/items",
        "/controls",
    ] {
        let sent_away = world.get(page).send().await.unwrap();
        assert_eq!(sent_away.status(), StatusCode::SEE_OTHER, "{page}");
        assert!(
            sent_away.headers()[header::LOCATION]
                .to_str()
                .unwrap()
                .starts_with("/sign-in?next=")
        );
    }
    world.close().await;
}

#[tokio::test]
async fn a_person_signs_in_reads_and_signs_out() {
    let world = World::open().await;
    let wrong = world.sign_in("controller", "guess").await;
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        wrong
            .text()
            .await
            .unwrap()
            .contains("The name or the password is wrong.")
    );

    let welcome = world.sign_in("controller", world::PASSWORD).await;
    assert_eq!(welcome.status(), StatusCode::SEE_OTHER);
    assert_eq!(welcome.headers()[header::LOCATION], "/cash?queue=all");
    let cookie = welcome.headers()[header::SET_COOKIE]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    let session = cookie.split(';').next().unwrap().to_owned();

    let page = world
        .get("/cash")
        .header(header::COOKIE, &session)
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        policy.contains("script-src 'self'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(page.headers()[header::CACHE_CONTROL], "no-store");
    let page = page.text().await.unwrap();
    assert!(
        page.contains("ACME LTD") && page.contains("£250.00"),
        "{page}"
    );

    let missing = world
        .get("/nowhere")
        .header(header::COOKIE, &session)
        .send()
        .await
        .unwrap();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    let missing = missing.text().await.unwrap();
    assert!(
        missing.contains("<h1>Not found</h1>") && missing.contains("<nav id=\"rail\""),
        "{missing}"
    );

    let out = world
        .ask(Method::POST, "/sign-out")
        .header(header::COOKIE, &session)
        .send()
        .await
        .unwrap();
    assert_eq!(out.headers()[header::LOCATION], "/sign-in");
    let over = world
        .get("/cash")
        .header(header::COOKIE, &session)
        .send()
        .await
        .unwrap();
    assert_eq!(
        over.status(),
        StatusCode::SEE_OTHER,
        "the session is over on our side, too"
    );
    world.close().await;
}

#[tokio::test]
async fn guessing_a_password_gets_slow() {
    let world = World::open().await;
    let mut statuses = BTreeMap::new();
    for _ in 0..7 {
        let answer = world.sign_in("manager", "guess").await;
        *statuses.entry(answer.status().as_u16()).or_insert(0) += 1;
    }
    assert_eq!(statuses[&422], 5, "{statuses:?}");
    assert_eq!(statuses[&429], 2, "{statuses:?}");
    assert_eq!(
        world.sign_in("manager", world::PASSWORD).await.status(),
        429,
        "not even the right one"
    );
    assert_eq!(
        world.sign_in("controller", world::PASSWORD).await.status(),
        303,
        "others are not held up"
    );
    world.close().await;
}

#[tokio::test]
async fn a_form_from_another_site_is_not_taken() {
    let world = World::open().await;
    let session = world.session("controller").await;
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://evil.example"),
    ] {
        let refused = world
            .ask(Method::POST, "/cash/undo")
            .header(header::COOKIE, &session)
            .header(name, value)
            .form(&[("key", "k")])
            .send()
            .await
            .unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{name}");
    }
    assert_eq!(world.commands(), 0);
    world.close().await;
}

#[tokio::test]
async fn money_moves_once_however_often_it_is_asked_for() {
    let world = World::open().await;
    let post = |key: Option<&'static str>, body: Value| {
        let request = world
            .ask(Method::POST, ALLOCATE)
            .basic_auth("controller", Some(world::PASSWORD))
            .json(&body);
        match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        }
    };
    assert_eq!(post(None, body()).send().await.unwrap().status(), 400);
    assert_eq!(world.commands(), 0, "without a key nothing is asked");

    let first = post(Some("k1"), body()).send().await.unwrap();
    assert_eq!(first.status(), 200);
    assert!(!first.headers().contains_key("idempotency-replayed"));
    let first: ReceiptDetail = first.json().await.unwrap();
    let again = post(Some("k1"), body()).send().await.unwrap();
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(again.json::<ReceiptDetail>().await.unwrap(), first);
    assert_eq!(world.commands(), 1, "the second time nobody was asked");

    let other = json!({"lines": [], "reason": "something else"});
    let reused = post(Some("k1"), other).send().await.unwrap();
    assert_eq!(reused.status(), 422);
    assert_eq!(
        reused.json::<Value>().await.unwrap()["code"],
        "gateway.idempotency_key_reused"
    );
    assert_eq!(post(Some("k2"), body()).send().await.unwrap().status(), 200);
    let mut ids = world.command_ids();
    ids.dedup();
    assert_eq!(ids.len(), 2, "another key is another command");
    world.close().await;
}

#[tokio::test]
async fn a_refused_or_failed_command_may_be_given_again() {
    let world = World::open().await;
    let post = || {
        world
            .ask(Method::POST, ALLOCATE)
            .basic_auth("controller", Some(world::PASSWORD))
            .header("idempotency-key", "k1")
            .json(&body())
    };
    for (class, status) in [
        (RefusalClass::Conflict, 409),
        (RefusalClass::Unavailable, 503),
    ] {
        world.refuse_with(Some(class));
        let refused = post().send().await.unwrap();
        assert_eq!(refused.status(), status);
        assert_eq!(
            refused.headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );
        assert_eq!(
            refused.json::<Value>().await.unwrap()["code"],
            "allocation.refused"
        );
    }
    // After a failure nobody knows whether the money moved: only the same may
    // be asked again.
    let other = world
        .ask(Method::POST, ALLOCATE)
        .basic_auth("controller", Some(world::PASSWORD))
        .header("idempotency-key", "k1")
        .json(&json!({"lines": [], "reason": "other"}))
        .send()
        .await
        .unwrap();
    assert_eq!(other.status(), 422);
    world.refuse_with(None);
    assert_eq!(post().send().await.unwrap().status(), 200);
    let mut ids = world.command_ids();
    assert_eq!(ids.len(), 3);
    ids.dedup();
    assert_eq!(ids.len(), 1, "all under one command id");
    world.close().await;
}

#[tokio::test]
async fn a_command_under_way_is_not_given_twice() {
    let world = World::open().await;
    let post = || {
        world
            .ask(Method::POST, ALLOCATE)
            .basic_auth("controller", Some(world::PASSWORD))
            .header("idempotency-key", "k1")
            .json(&body())
            .send()
    };
    let held = world.hold();
    let (first, second) = tokio::join!(post(), async {
        eventually("the first command is under way", DEADLINE, async || {
            world.commands() == 1
        })
        .await;
        let second = post().await;
        held.notify_one();
        second
    });
    assert_eq!(first.unwrap().status(), 200);
    let second = second.unwrap();
    assert_eq!(second.status(), 409);
    assert_eq!(
        second.json::<Value>().await.unwrap()["code"],
        "gateway.command_in_flight"
    );
    assert_eq!(world.commands(), 1);
    world.close().await;
}

#[tokio::test]
async fn a_file_comes_in_by_pieces_and_leaves_no_byte_behind() {
    let world = World::open().await;
    let file: Vec<u8> = (0..1_300_000_u32).map(|n| (n % 251) as u8).collect();
    let form = reqwest::multipart::Form::new()
        .text("dry_run", "true")
        .part(
            "file",
            reqwest::multipart::Part::bytes(file.clone()).file_name("C:\\bank\\nov.xml"),
        );
    let taken = world
        .ask(Method::POST, "/api/v1/imports")
        .basic_auth("ops", Some(world::PASSWORD))
        .multipart(form)
        .send()
        .await
        .unwrap();
    assert_eq!(taken.status(), StatusCode::ACCEPTED);
    let location = taken.headers()[header::LOCATION]
        .to_str()
        .unwrap()
        .to_owned();
    let view: Value = taken.json().await.unwrap();
    assert_eq!(
        location,
        format!("/api/v1/imports/{}", view["import_id"].as_str().unwrap())
    );
    assert_eq!(
        (view["file_name"].as_str(), view["dry_run"].as_bool()),
        (Some("nov.xml"), Some(true))
    );
    assert_eq!(view["actor"], "user:ops");
    assert!(
        world.uploaded() == file,
        "what came in is not what was sent"
    );

    let form = reqwest::multipart::Form::new().part(
        "file",
        reqwest::multipart::Part::bytes(vec![0; 3_000_000]).file_name("big.xml"),
    );
    let too_large = world
        .ask(Method::POST, "/api/v1/imports")
        .basic_auth("ops", Some(world::PASSWORD))
        .multipart(form)
        .send()
        .await
        .unwrap();
    assert_eq!(too_large.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        too_large.json::<Value>().await.unwrap()["code"],
        "gateway.upload_too_large"
    );

    let empty = reqwest::multipart::Form::new().text("format", "camt");
    let nothing = world
        .ask(Method::POST, "/api/v1/imports")
        .basic_auth("ops", Some(world::PASSWORD))
        .multipart(empty);
    assert_eq!(nothing.send().await.unwrap().status(), 422);
    world.close().await;
}

#[tokio::test]
async fn lists_turn_pages_and_reports_come_as_files() {
    let world = World::open().await;
    let get = |path: &str| world.get(path).basic_auth("auditor", Some(world::PASSWORD));
    let first = get("/api/v1/receipts?queue=all&limit=1")
        .send()
        .await
        .unwrap();
    let link = first.headers()[header::LINK].to_str().unwrap().to_owned();
    assert_eq!(
        link,
        "</api/v1/receipts?queue=all&limit=1&cursor=page%202>; rel=\"next\""
    );
    let first: Value = first.json().await.unwrap();
    assert_eq!(
        (
            first["items"].as_array().unwrap().len(),
            &first["next_cursor"]
        ),
        (1, &json!("page 2"))
    );
    let next = link.trim_start_matches('<').split('>').next().unwrap();
    let second: Value = get(next).send().await.unwrap().json().await.unwrap();
    assert_eq!(second["next_cursor"], Value::Null);

    let bad = get("/api/v1/receipts?limit=many").send().await.unwrap();
    assert_eq!(bad.status(), 400);
    let unknown = get("/api/v1/receipts/none").send().await.unwrap();
    assert_eq!(unknown.status(), 404);

    let csv = get("/api/v1/reports/aged-debt")
        .header(header::ACCEPT, "text/csv")
        .send()
        .await
        .unwrap();
    assert!(
        csv.headers()[header::CONTENT_TYPE]
            .to_str()
            .unwrap()
            .starts_with("text/csv")
    );
    assert_eq!(
        csv.headers()[header::VARY]
            .to_str()
            .unwrap()
            .split(',')
            .next(),
        Some("Accept")
    );
    let csv = csv.text().await.unwrap();
    assert_eq!(
        csv,
        "account_ref,name,segment,currency,Not due,1–30,total,overdue,unallocated,oldest_days\r\n\
         A-1,'=CMD(),,GBP,10.00,-2.50,7.50,-2.50,0.00,12\r\n\
         A-2,Beta,,GBP,10.00,-2.50,7.50,-2.50,0.00,12\r\n",
        "both pages, in one file"
    );
    assert_eq!(
        get("/api/v1/reports/aged-debt")
            .header(header::ACCEPT, "image/png")
            .send()
            .await
            .unwrap()
            .status(),
        406
    );
    world.close().await;
}

/// What a stream of events says until one of it tells a notice.
async fn notice_of(stream: &mut reqwest::Response) -> String {
    let mut heard = String::new();
    while !(heard.contains("event: notice") && heard.ends_with("\n\n")) {
        let chunk = stream.chunk().await.unwrap().unwrap();
        heard.push_str(&String::from_utf8_lossy(&chunk));
    }
    heard
}

#[tokio::test]
async fn an_open_page_hears_what_has_changed() {
    let world = World::open().await;
    let session = world.session("auditor").await;
    let get = |path: &str| world.get(path).header(header::COOKIE, &session).send();
    let page = get("/cash").await.unwrap().text().await.unwrap();
    let (_, mark) = page.split_once("data-since=\"").unwrap();
    let (mark, _) = mark.split_once('"').unwrap();

    let mut stream = get("/api/v1/events").await.unwrap();
    assert_eq!(stream.headers()[header::CONTENT_TYPE], "text/event-stream");
    assert_eq!(stream.headers()["x-accel-buffering"], "no");
    let hello = stream.chunk().await.unwrap().unwrap();
    assert!(
        String::from_utf8_lossy(&hello).contains("event: hello"),
        "{hello:?}"
    );
    world.notice(&["receipts", "account:1"]).await;
    let heard = notice_of(&mut stream).await;
    let topics = r#"{"topics":["account:1","receipts"]}"#;
    assert!(heard.contains(topics), "{heard}");

    // A page that was made before, and whose scripts were slow, hears it too.
    let mut late = get(&format!("/api/v1/events?since={mark}")).await.unwrap();
    let heard = notice_of(&mut late).await;
    assert!(heard.contains(topics), "{heard}");
    world.close().await;
}

#[tokio::test]
async fn accepting_on_the_page_moves_money_tells_so_and_can_be_undone() {
    let world = World::open().await;
    let session = world.session("controller").await;
    let receipt = world::RECEIPT;
    let form = [
        ("key", "form-1".to_owned()),
        ("version", "1".to_owned()),
        ("currency", "GBP".to_owned()),
        ("queue", "to_review".to_owned()),
        (world::DOCUMENT_FIELD, "£100.00".to_owned()),
    ];
    let path = format!("/cash/receipts/{receipt}/allocations");
    let send = || {
        world
            .ask(Method::POST, &path)
            .header(header::COOKIE, &session)
            .form(&form)
            .send()
    };
    let moved = send().await.unwrap();
    assert_eq!(
        moved.status(),
        StatusCode::SEE_OTHER,
        "{}",
        moved.text().await.unwrap()
    );
    assert_eq!(
        moved.headers()[header::LOCATION].to_str().unwrap(),
        format!("/cash?queue=to_review&receipt={receipt}")
    );
    let toast = moved.headers()[header::SET_COOKIE]
        .to_str()
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    send().await.unwrap();
    let mut ids = world.command_ids();
    ids.dedup();
    assert_eq!(ids.len(), 1, "a form sent twice is one command");

    let both = format!("{session}; {toast}");
    let refresh = world
        .get("/cash")
        .header(header::COOKIE, &both)
        .header("x-counterfoil-refresh", "1")
        .send()
        .await
        .unwrap();
    assert!(
        !refresh.headers().contains_key(header::SET_COOKIE),
        "a refresh leaves the message for the person"
    );
    let page = world
        .get("/cash")
        .header(header::COOKIE, &both)
        .send()
        .await
        .unwrap();
    assert!(
        page.headers()[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .contains("Max-Age=0"),
        "told once"
    );
    let page = page.text().await.unwrap();
    assert!(
        page.contains("Allocated £100.00 to 1 document.") && page.contains("data-key=\"undo\""),
        "{page}"
    );

    let undo = [
        ("key", "form-2"),
        ("allocation", world::ALLOCATION),
        ("receipt", receipt),
        ("reason", ""),
    ];
    let undone = world
        .ask(Method::POST, "/cash/undo")
        .header(header::COOKIE, &session)
        .form(&undo)
        .send()
        .await
        .unwrap();
    assert_eq!(undone.status(), StatusCode::SEE_OTHER);
    assert_eq!(world.undone(), [world::ALLOCATION]);

    world.refuse_with(Some(RefusalClass::Conflict));
    let refused = send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    assert_eq!(refused.headers()["hx-push-url"], "false");
    let refused = refused.text().await.unwrap();
    assert!(
        refused.contains("role=\"alert\"") && refused.contains("value=\"£100.00\""),
        "{refused}"
    );
    world.close().await;
}

#[tokio::test]
async fn demo_users_stay_out_where_there_is_no_demo() {
    let world = World::open().await;
    assert_eq!(
        world.sign_in("controller", world::PASSWORD).await.status(),
        303
    );
    let world = world.reopen_without_demo().await;
    let out = world.sign_in("controller", world::PASSWORD).await;
    assert_eq!(out.status(), 422);
    assert!(
        !out.text().await.unwrap().contains(world::PASSWORD),
        "the page does not give the password away"
    );

    let user = gateway::create_user(
        &world.pool(),
        "Jo.Bloggs",
        "a long enough password",
        &[gateway::auth::UserRole::Cfo],
        world.now(),
    )
    .await;
    user.unwrap();
    assert_eq!(
        world
            .sign_in("jo.bloggs", "a long enough password")
            .await
            .status(),
        303
    );
    let again = gateway::create_user(
        &world.pool(),
        "jo.bloggs",
        "a long enough password",
        &[gateway::auth::UserRole::Cfo],
        world.now(),
    )
    .await;
    assert_eq!(
        kernel::Classified::code(&again.unwrap_err()),
        "gateway.user_exists"
    );
    let short = gateway::create_user(
        &world.pool(),
        "al",
        "short",
        &[gateway::auth::UserRole::Cfo],
        world.now(),
    )
    .await;
    assert_eq!(
        kernel::Classified::code(&short.unwrap_err()),
        "gateway.password_length"
    );
    world.close().await;
}

/// Sends a form as a signed-in browser does.
async fn form(
    world: &World,
    session: &str,
    path: &str,
    fields: &[(&str, &str)],
) -> (StatusCode, String) {
    let answer = world
        .ask(Method::POST, path)
        .header(header::COOKIE, session)
        .form(fields)
        .send()
        .await
        .unwrap();
    let status = answer.status();
    let told = answer.headers().get(header::LOCATION).cloned();
    let text = match told {
        Some(address) => address.to_str().unwrap().to_owned(),
        None => answer.text().await.unwrap(),
    };
    (status, text)
}

#[tokio::test]
async fn a_receipt_is_put_aside_with_a_reason_once() {
    let world = World::open().await;
    let session = world.session("controller").await;
    let path = format!("/cash/receipts/{}/park", world::RECEIPT);
    let fields = |reason| {
        [
            ("key", "p-1"),
            ("version", "1"),
            ("queue", "suggested"),
            ("reason", reason),
            ("owner", "Jo"),
            ("until", "2030-01-02"),
        ]
    };
    let back = format!("/cash?queue=suggested&receipt={}", world::RECEIPT);
    assert_eq!(
        form(&world, &session, &path, &fields(" ")).await,
        (StatusCode::SEE_OTHER, back.clone())
    );
    assert!(world.parked().is_empty(), "not without a reason");
    for _ in 0..2 {
        assert_eq!(
            form(&world, &session, &path, &fields("who is it?")).await,
            (StatusCode::SEE_OTHER, back.clone())
        );
    }
    let parked = world.parked();
    assert_eq!(parked.len(), 2);
    assert_eq!(
        parked[0].command_id, parked[1].command_id,
        "a form sent twice is one command"
    );
    assert_eq!(
        (parked[0].reason.as_str(), parked[0].owner.as_deref()),
        ("who is it?", Some("Jo"))
    );
    assert_eq!(parked[0].until.unwrap().to_string(), "2030-01-02");
    assert_eq!(
        (parked[0].expected_version, parked[0].actor.as_str()),
        (Some(1), "user:controller")
    );

    // The same by the API, with its own key; a repetition is answered from
    // memory.
    let path = format!("/api/v1/receipts/{}/park", world::RECEIPT);
    let ask = || {
        world
            .ask(Method::POST, &path)
            .basic_auth("controller", Some(world::PASSWORD))
            .header("idempotency-key", "k-1")
            .json(&json!({"reason": "who is it?", "until": "2030-01-02"}))
            .send()
    };
    let first = ask().await.unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    let body: Value = first.json().await.unwrap();
    assert_eq!(body["receipt"]["parked"]["until"], "2030-01-02");
    let again = ask().await.unwrap();
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(world.parked().len(), 3);
    world.close().await;
}

#[tokio::test]
async fn a_batch_says_of_each_what_became_of_it() {
    let world = World::open().await;
    let session = world.session("controller").await;
    let page = world
        .get("/cash/accept?queue=suggested")
        .header(header::COOKIE, &session)
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let page = page.text().await.unwrap();
    assert!(page.contains("<strong data-ticked>2</strong> of 2 receipts, <strong class=\"num\" data-ticked-sum>£200.00</strong>"), "{page}");
    assert!(world.accepted().is_empty(), "looking accepts nothing");

    let (one, two) = (
        format!("{}.1.1", world::RECEIPT),
        format!("{}.1.1", world::OTHER_RECEIPT),
    );
    assert!(page.contains(&format!("value=\"{one}\"")), "{page}");
    let label = format!("t.{}", world::OTHER_RECEIPT);
    let fields = [
        ("key", "b-1"),
        ("queue", "suggested"),
        ("pick", one.as_str()),
        ("pick", two.as_str()),
        ("pick", two.as_str()),
        (label.as_str(), "Beta, INV-2"),
    ];
    for _ in 0..2 {
        let (status, done) = form(&world, &session, "/cash/accept", &fields).await;
        assert_eq!(status, StatusCode::OK);
        assert!(
            done.contains("Accepted 1 of 2 suggestions, £100.00."),
            "{done}"
        );
        assert!(
            done.contains("Beta, INV-2</a>")
                && done.contains("Not done:</span> as the test wants it"),
            "{done}"
        );
        assert!(done.contains("Undo all of it"), "{done}");
    }
    let accepted = world.accepted();
    assert_eq!(accepted.len(), 4, "none twice in one batch");
    assert_eq!(
        accepted[0].command_id, accepted[2].command_id,
        "each once, however often the form is sent"
    );
    assert_ne!(
        accepted[0].command_id, accepted[1].command_id,
        "each under its own key"
    );
    assert_eq!(accepted[0].batch_id, accepted[1].batch_id);
    assert_eq!((accepted[0].expected_version, accepted[0].rank), (1, 1));

    let (status, page) = form(&world, &session, "/cash/accept", &[("key", "b-2")]).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.contains("Tick at least one receipt."), "{page}");

    let answer = world
        .ask(Method::POST, "/api/v1/receipts/accept")
        .basic_auth("controller", Some(world::PASSWORD))
        .header("idempotency-key", "k-9")
        .json(&json!({"reason": "all clear", "picks": [
            {"receipt_id": world::RECEIPT, "expected_version": 1, "rank": 1},
            {"receipt_id": world::OTHER_RECEIPT, "expected_version": 1, "rank": 1},
        ]}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let outcome: Value = answer.json().await.unwrap();
    assert_eq!(
        outcome["outcomes"][0]["amount"],
        json!({"amount": "100.00", "currency": "GBP"})
    );
    assert_eq!(
        outcome["outcomes"][1]["refused"]["code"],
        "allocation.refused"
    );
    let batch = outcome["batch_id"].as_str().unwrap();
    let undo = world
        .ask(Method::POST, &format!("/api/v1/batches/{batch}/undo"))
        .basic_auth("controller", Some(world::PASSWORD))
        .header("idempotency-key", "k-10")
        .json(&json!({"reason": "too soon"}))
        .send()
        .await
        .unwrap();
    assert_eq!(undo.status(), StatusCode::OK);
    assert_eq!(world.undone(), [world::ALLOCATION]);
    world.close().await;
}

#[tokio::test]
async fn an_import_is_undone_once_after_its_money_was_shown() {
    let world = World::open().await;
    let import = ImportId::generate();
    let api = format!("/api/v1/imports/{import}/undo");
    let preview = world
        .ask(Method::GET, &api)
        .basic_auth("controller", Some(world::PASSWORD))
        .send()
        .await
        .unwrap();
    assert_eq!(preview.status(), StatusCode::OK);
    let preview: Value = preview.json().await.unwrap();
    assert_eq!(
        (&preview["receipts"], &preview["lines"], &preview["more"]),
        (&json!(1), &json!(2), &json!(false))
    );
    assert_eq!(
        preview["totals"],
        json!([{"amount": "100.00", "currency": "GBP"}])
    );
    assert!(world.undone().is_empty(), "shown, not done");
    let undo = async |reason: &str| {
        world
            .ask(Method::POST, &api)
            .basic_auth("controller", Some(world::PASSWORD))
            .header("idempotency-key", "k-20")
            .json(&json!({"reason": reason}))
            .send()
            .await
            .unwrap()
    };
    assert_eq!(undo("").await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(undo("the wrong file").await.status(), StatusCode::OK);
    let once = [format!("all automatic of {}", world::RECEIPT)];
    assert_eq!(world.undone(), once);
    let again = undo("the wrong file").await;
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(world.undone(), once, "once, however often");

    let session = world.session("controller").await;
    let at = format!("/imports/{import}");
    let read = async |path: &str| {
        let page = world.get(path).header(header::COOKIE, &session).send();
        page.await.unwrap().text().await.unwrap()
    };
    let page = read(&at).await;
    assert!(page.contains(&format!("href=\"{at}/undo\"")), "{page}");
    let page = read(&format!("{at}/undo")).await;
    assert!(page.contains("Undo £100.00"), "{page}");
    let (status, _) = form(&world, &session, &format!("{at}/undo"), &[("key", "i-1")]).await;
    assert_eq!(
        status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "a reason is needed"
    );
    let said = [("key", "i-1"), ("reason", "the wrong file")];
    let (status, _) = form(&world, &session, &format!("{at}/undo"), &said).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(world.undone().len(), 2);
    world.close().await;
}

#[tokio::test]
async fn a_run_is_shown_before_it_is_undone_and_needs_a_reason() {
    let world = World::open().await;
    let session = world.session("controller").await;
    let run = format!(
        "receipt={}&at=2026-11-22T09%3A41%3A07.000000Z",
        world::RECEIPT
    );
    let page = world
        .get(&format!("/cash/undo?queue=all&{run}"))
        .header(header::COOKIE, &session)
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let page = page.text().await.unwrap();
    assert!(
        page.contains(&format!("name=\"line\" value=\"{}\"", world::ALLOCATION)),
        "{page}"
    );
    assert!(
        page.contains(
            "of 1 lines of 1 receipt, <strong class=\"num\" data-ticked-sum>£100.00</strong>"
        ),
        "{page}"
    );
    let of = |reason| {
        [
            ("key", "u-1"),
            ("receipt", world::RECEIPT),
            ("at", "2026-11-22T09:41:07Z"),
            ("line", world::ALLOCATION),
            ("reason", reason),
        ]
    };
    let (status, page) = form(&world, &session, "/cash/undo/lines", &of("")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        page.contains("Say why") && world.undone().is_empty(),
        "{page}"
    );
    let (status, page) = form(
        &world,
        &session,
        "/cash/undo/lines",
        &of("the wrong customer"),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        page.contains("Undid 1 allocation, £100.00.") && page.contains("INV-104 of ACME LTD"),
        "{page}"
    );
    assert_eq!(world.undone(), [world::ALLOCATION]);
    // A line of another run is not undone under this one's name.
    let other = [
        ("key", "u-2"),
        ("receipt", world::RECEIPT),
        ("at", "2026-11-22T10:00:00Z"),
        ("line", world::ALLOCATION),
        ("reason", "x"),
    ];
    let (status, _) = form(&world, &session, "/cash/undo/lines", &other).await;
    assert_eq!((status, world.undone().len()), (StatusCode::NOT_FOUND, 1));
    world.close().await;
}

#[tokio::test]
async fn a_pasted_list_is_compared_before_anything_moves() {
    let world = World::open().await;
    let session = world.session("controller").await;
    let path = format!("/cash/receipts/{}/paste", world::RECEIPT);
    let list = "Document\tAmount\nINV-104\t£90.00\nINV-9\t5.00\n";
    let answer = world
        .ask(Method::POST, &path)
        .header(header::COOKIE, &session)
        .form(&[("list", list)])
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["hx-push-url"], "false");
    let page = answer.text().await.unwrap();
    assert!(
        page.contains("Line 3: no document is called “INV-9”"),
        "{page}"
    );
    assert!(
        page.contains("INV-104: the list says £90.00 of £100.00 open, which leaves £10.00"),
        "{page}"
    );
    assert!(
        page.contains(&format!(
            "name=\"{}\" value=\"90.00\"",
            world::DOCUMENT_FIELD
        )),
        "{page}"
    );
    assert!(page.contains("data-remainder>£60.00<"), "{page}");
    assert_eq!(world.commands(), 0);

    let (status, page) = form(&world, &session, &path, &[("list", "no numbers here")]).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        page.contains("No line of the list has a document number.")
            && page.contains("no numbers here</textarea>"),
        "{page}"
    );
    world.close().await;
}

#[tokio::test]
async fn several_receipts_pay_one_document_each_by_its_own_command() {
    let world = World::open().await;
    let session = world.session("controller").await;
    let address = format!("/cash/together?pick={}&items=INV", world::RECEIPT);
    let page = world
        .get(&address)
        .header(header::COOKIE, &session)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let amount = format!("m.{}", world::RECEIPT);
    assert!(
        page.contains(&format!("name=\"{amount}\" value=\"150.00\"")),
        "all that is left: {page}"
    );
    let document = world::DOCUMENT_FIELD.trim_start_matches("a.");
    let fields = |money| {
        [
            ("key", "t-1"),
            ("items", "INV"),
            ("pick", world::RECEIPT),
            ("document", document),
            (amount.as_str(), money),
        ]
    };
    let (status, page) = form(&world, &session, "/cash/together", &fields("150.00")).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        page.contains("Together £150.00, which is more than the £100.00 that is open of INV-104."),
        "{page}"
    );
    assert_eq!(
        world.commands(),
        0,
        "what the ledger would refuse is not sent"
    );
    let (status, to) = form(&world, &session, "/cash/together", &fields("60.00")).await;
    assert_eq!(
        (status, to.as_str(), world.commands()),
        (StatusCode::SEE_OTHER, "/cash?queue=to_review", 1)
    );
    world.refuse_with(Some(RefusalClass::Conflict));
    let (status, page) = form(&world, &session, "/cash/together", &fields("50.00")).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        page.contains("Allocated 0 of 1 receipt to INV-104.")
            && page.contains("as the test wants it"),
        "{page}"
    );
    world.close().await;
}
