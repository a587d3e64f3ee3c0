//! Matching rules over HTTP: who may do what, and that two people are two.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::net::SocketAddr;

use contracts::{
    Role,
    api::rules::{ListDemotedRungs, RuleSetDetail},
    rules::RuleSetState,
};
use gateway::auth::{UserRole, users};
use reqwest::{Client, Method, RequestBuilder, StatusCode, redirect::Policy};
use serde_json::{Value, json};
use testkit::{DEADLINE, Suite, eventually};
use tokio::sync::oneshot;

const PASSWORD: &str = "long enough for anybody";

struct Web {
    client: Client,
    address: SocketAddr,
}

impl Web {
    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("http://{}/api/v1{path}", self.address))
    }

    fn post(&self, path: &str, key: &str, body: &Value) -> RequestBuilder {
        self.ask(Method::POST, path)
            .header("Idempotency-Key", key)
            .json(body)
    }

    /// A session cookie, as a browser sends it; a new one every time.
    async fn session(&self, name: &str) -> String {
        let form = [("name", name), ("password", PASSWORD), ("next", "/cash")];
        let answer = self
            .client
            .post(format!("http://{}/sign-in", self.address))
            .form(&form)
            .send()
            .await
            .unwrap();
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }
}

/// The author is refused at every door: by name and password, in one session and
/// in another. A second person is not, and an auditor looks but changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_author_is_refused_in_every_session() {
    let suite = Suite::start().await;
    let _allocation = suite.run(Role::Allocation, allocation::run).await;
    let _worklist = suite.run(Role::Worklist, worklist::run).await;
    let pool = suite.pool(Role::Gateway);
    for (name, role) in [
        ("anna", UserRole::Manager),
        ("ben", UserRole::Approver),
        ("audra", UserRole::Auditor),
    ] {
        users::create_user(&pool, name, PASSWORD, &[role], suite.clock().now())
            .await
            .unwrap();
    }
    let (bound, address) = oneshot::channel();
    let options = gateway::Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        bound: Some(bound),
        ..gateway::Options::default()
    };
    let _gateway = suite
        .run(Role::Gateway, |bus| gateway::run(bus, options))
        .await;
    let web = Web {
        client: Client::builder().redirect(Policy::none()).build().unwrap(),
        address: address.await.unwrap(),
    };
    let asking = suite.bus(Role::Gateway).await;
    eventually("allocation answers", DEADLINE, async || {
        asking.ask(&ListDemotedRungs {}).await.is_ok()
    })
    .await;

    let mut rules = serde_json::to_value(allocation::domain::rules::shipped().unwrap()).unwrap();
    rules["name"] = "Ours".into();
    let draft = json!({ "rule_set": rules, "reason": "a budget of our own" });
    let no_right = web
        .post("/matching/rules", "k-0", &draft)
        .basic_auth("audra", Some(PASSWORD))
        .send()
        .await
        .unwrap();
    assert_eq!(no_right.status(), StatusCode::FORBIDDEN);
    // A misspelt limit is refused, not ignored.
    let mut misspelt = rules.clone();
    misspelt["tolerence"] = json!({});
    let refused = web
        .post("/matching/rules/validate", "k-1", &misspelt)
        .basic_auth("anna", Some(PASSWORD))
        .send()
        .await
        .unwrap();
    assert!(refused.status().is_client_error(), "{}", refused.status());

    let mut versions = Vec::new();
    // The same command twice is one draft.
    for _ in 0..2 {
        let stored = web
            .post("/matching/rules", "k-2", &draft)
            .basic_auth("anna", Some(PASSWORD))
            .send()
            .await
            .unwrap();
        assert_eq!(stored.status(), StatusCode::OK);
        let stored: RuleSetDetail = stored.json().await.unwrap();
        assert_eq!(stored.view.author, "user:anna");
        versions.push(stored.view.version);
    }
    assert_eq!(versions[0], versions[1]);
    let promote = format!("/matching/rules/{}/promote", versions[0]);
    let why = json!({ "reason": "looked at it" });
    let (one, two) = (web.session("anna").await, web.session("anna").await);
    assert_ne!(one, two);
    let shadow = web.post(&promote, "k-3", &why).header("cookie", &one);
    let shadow: RuleSetDetail = shadow.send().await.unwrap().json().await.unwrap();
    assert_eq!(shadow.view.state, RuleSetState::Shadow);
    let asked = web.post(&promote, "k-4", &why).header("cookie", &two);
    let asked: RuleSetDetail = asked.send().await.unwrap().json().await.unwrap();
    assert_eq!(asked.view.state, RuleSetState::Shadow);
    let approval = asked.view.approval_id.unwrap();
    let approve = format!("/approvals/{approval}/approve");
    let approve = |key| web.post(&approve, key, &why);
    eventually("worklist was asked", DEADLINE, async || {
        let view = web.ask(Method::GET, &format!("/approvals/{approval}"));
        let view = view.basic_auth("ben", Some(PASSWORD));
        view.send().await.unwrap().status() == StatusCode::OK
    })
    .await;
    for (key, cookie) in [("k-5", &one), ("k-6", &two)] {
        let own = approve(key).header("cookie", cookie);
        let own = own.send().await.unwrap();
        assert!(own.status().is_client_error(), "{}", own.status());
    }
    let own = approve("k-7").basic_auth("anna", Some(PASSWORD));
    assert!(own.send().await.unwrap().status().is_client_error());
    let yes = approve("k-8").basic_auth("ben", Some(PASSWORD));
    assert_eq!(yes.send().await.unwrap().status(), StatusCode::OK);
    eventually("the rules are live", DEADLINE, async || {
        let now = web
            .ask(Method::GET, &format!("/matching/rules/{}", versions[0]))
            .basic_auth("ben", Some(PASSWORD));
        let now: RuleSetDetail = now.send().await.unwrap().json().await.unwrap();
        now.view.state == RuleSetState::Live
    })
    .await;

    let seen = web
        .ask(Method::GET, "/matching/rules?state=live")
        .basic_auth("audra", Some(PASSWORD));
    let seen: Value = seen.send().await.unwrap().json().await.unwrap();
    assert_eq!(seen["items"].as_array().unwrap().len(), 1);
    assert_eq!(seen["items"][0]["approver"], "user:ben");
    let replay = web
        .ask(Method::POST, "/matching/rules/replay")
        .json(&json!({ "version": 1 }))
        .basic_auth("anna", Some(PASSWORD));
    let replay: Value = replay.send().await.unwrap().json().await.unwrap();
    assert_eq!(replay["receipts"], 0);
    assert_eq!(replay["changed"], 0);
}
