mod stage;
use std::time::Instant;
use contracts::{Event, Role, allocation::*, api::reporting::*};
use stage::*;
use testkit::Suite;
use kernel::SystemClock;

fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
}

async fn push<E: Event>(suite: &Suite, acks: &mut Vec<async_nats::jetstream::context::PublishAckFuture>, e: &E) {
    let mut h = async_nats::HeaderMap::new();
    let id = kernel::EventId::generate().to_string();
    h.insert("Nats-Msg-Id", id.as_str()); h.insert("ce-id", id.as_str()); h.insert("ce-type", E::event_type().as_str());
    acks.push(suite.jetstream().publish_with_headers(suite.prefix().event(e), h, serde_json::to_vec(e).unwrap().into()).await.unwrap());
    if acks.len() >= 500 { for a in acks.drain(..) { a.await.unwrap(); } }
}

#[tokio::test(flavor = "multi_thread")]
async fn probe() {
    let suite = Suite::start_with(SystemClock, |_| {}).await;
    let debtors: Vec<Debtor> = (1..=2000).map(debtor).collect();
    let n = 100_000u32;
    let mut acks = Vec::new();
    for d in &debtors { push(&suite, &mut acks, &d.updated(1, "Acme Ltd", at(2026,1,1,1))).await; }
    let mut docs = Vec::new();
    for i in 0..n { let d = debtors[i as usize % 2000].document(&format!("INV-{i}"), day(2026,1,1 + i % 28), pounds("100.00")); push(&suite, &mut acks, &d).await; docs.push(d); }
    for a in acks.drain(..) { a.await.unwrap(); }
    let count = async |s: &Suite| -> i64 { sqlx::query_scalar("select count(*) from reporting.inbox").fetch_one(s.admin_pool()).await.unwrap() };
    let running = suite.run(Role::Reporting, reporting::run).await;
    let t = Instant::now(); let c = cpu();
    while count(&suite).await < i64::from(n) + 2000 { tokio::time::sleep(std::time::Duration::from_millis(100)).await; }
    println!("documents: {:.0}/s wall, own cpu {:.2}s", (f64::from(n)+2000.0)/t.elapsed().as_secs_f64(), cpu()-c);
    running.stop().await;
    for d in &docs {
        let l = vec![line(d, pounds("90.00"), day(2026,2,1))];
        let r = posted(Some(debtors[0]), day(2026,2,1), pounds("90.00"), l);
        push(&suite, &mut acks, &r).await;
    }
    for a in acks.drain(..) { a.await.unwrap(); }
    let t = Instant::now(); let c = cpu();
    let running = suite.run(Role::Reporting, reporting::run).await;
    while count(&suite).await < 2*i64::from(n) + 2000 { tokio::time::sleep(std::time::Duration::from_millis(100)).await; }
    println!("receipts: {:.0}/s wall, own cpu {:.2}s", f64::from(n)/t.elapsed().as_secs_f64(), cpu()-c);
    let g = suite.bus(Role::Gateway).await;
    for _ in 0..3 {
        let t = Instant::now();
        let r = g.ask(&GetAgedDebt::default()).await.unwrap();
        println!("aged {:?} {}", t.elapsed(), r.totals[0].total);
    }
    let c = cpu();
    g.ask(&RebuildProjections{verify:true, actor:"x".into()}).await.unwrap();
    loop { let v = g.ask(&GetRebuild{}).await.unwrap(); if v.state != "running" { println!("{v:?} {:.0}/s cpu {:.2}", v.events as f64 / v.seconds, cpu()-c); break } tokio::time::sleep(std::time::Duration::from_millis(100)).await; }
    running.stop().await;
}
