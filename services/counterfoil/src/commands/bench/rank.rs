//! What an event costs that opens work or ranks it anew, with many open items
//! beside it, and what a plain indexed update costs in the same database.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::bail;
use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    Event,
    disputes::{CaseChanged, CaseId, CaseKind, CaseState},
    dunning::{Instalment, PromiseChanged, PromiseId, PromiseState},
};
use kernel::{AccountId, Clock as _, Currency, Money, SystemClock, london_date};
use uuid::Uuid;

use super::{figures::Figures, rig::Rig};

/// All events are worked on within this time.
const PATIENCE: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(20);
/// Between two events that are timed by themselves: the one before is done.
const APART: Duration = Duration::from_millis(25);
/// Events that are timed by themselves.
const ALONE: u32 = 300;

/// Events in three rounds: cases that are new (each finds an owner, starts a
/// clock, works out a score, and is in the list), the same cases about another
/// amount and promises that were broken, all at once; and cases one by one, for
/// how long one takes.
pub(super) async fn measure(
    rig: &mut Rig,
    events: u32,
    open: u32,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let cases: Vec<Uuid> = (0..events).map(|_| Uuid::now_v7()).collect();
    let began = Instant::now();
    for (n, id) in (0..).zip(&cases) {
        publish(rig, &case(n, *id, 1)).await?;
    }
    until(rig, "dispute", 1, events).await?;
    figures.set("rank_events", events);
    figures.set("rank_open_items", open);
    figures.set("rank_us_per_event", each(began, events));

    let began = Instant::now();
    let today = london_date(SystemClock.now());
    for (n, id) in (0..).zip(&cases) {
        if n % 2 == 0 {
            publish(rig, &case(n, *id, 2)).await?;
        } else {
            publish(rig, &broken(n, today)?).await?;
        }
    }
    until(rig, "dispute", 2, events.div_ceil(2)).await?;
    until(rig, "broken_promise", 1, events / 2).await?;
    let rerank = each(began, events);
    figures.set("rerank_us_per_event", rerank);

    let alone = ALONE.min(events);
    let mut sent: HashMap<Uuid, DateTime<Utc>> = HashMap::new();
    for (n, id) in (0..alone).zip(&cases) {
        sent.insert(*id, SystemClock.now());
        publish(rig, &case(n, *id, 3)).await?;
        tokio::time::sleep(APART).await;
    }
    until(rig, "dispute", 3, alone).await?;
    let ids: Vec<Uuid> = sent.keys().copied().collect();
    let written: Vec<(Uuid, DateTime<Utc>)> = sqlx::query_as(
        "select subject_id, changed_at from worklist.work_item where kind = 'dispute' and subject_id = any($1)",
    )
    .bind(&ids)
    .fetch_all(&mut rig.ledger)
    .await?;
    let mut taken: Vec<f64> = written
        .iter()
        .filter_map(|(id, at)| Some((*at - *sent.get(id)?).as_seconds_f64() * 1e6))
        .collect();
    taken.sort_by(f64::total_cmp);
    // From the publishing to the moment of the decision.
    figures.set("rerank_alone_p50_us", at(&taken, 0.5));
    figures.set("rerank_alone_p99_us", at(&taken, 0.99));

    let plain = plain(rig, alone).await?;
    figures.set("plain_update_p50_us", at(&plain, 0.5));
    figures.set("plain_update_p99_us", at(&plain, 0.99));
    let middle = at(&plain, 0.5).filter(|us| *us > 0.0);
    figures.set("rerank_per_plain_update", middle.map(|us| rerank / us));
    Ok(())
}

fn each(began: Instant, events: u32) -> f64 {
    began.elapsed().as_secs_f64() * 1e6 / f64::from(events.max(1))
}

fn at(sorted: &[f64], share: f64) -> Option<f64> {
    let place = (sorted.len() as f64 * share) as usize;
    sorted
        .get(place.min(sorted.len().saturating_sub(1)))
        .copied()
}

/// One statement by the primary key, in a transaction of its own, of the same
/// columns: what the database asks for the least that an event can be.
async fn plain(rig: &mut Rig, times: u32) -> anyhow::Result<Vec<f64>> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select work_item_id from worklist.work_item where kind = 'unallocated_receipt' limit $1::int",
    )
    .bind(times as i32)
    .fetch_all(&mut rig.ledger)
    .await?;
    let mut taken = Vec::with_capacity(ids.len());
    for id in ids {
        let began = Instant::now();
        sqlx::query(
            "update worklist.work_item set score = score + 1, version = version + 1 where work_item_id = $1",
        )
        .bind(id)
        .execute(&mut rig.ledger)
        .await?;
        taken.push(began.elapsed().as_secs_f64() * 1e6);
    }
    taken.sort_by(f64::total_cmp);
    Ok(taken)
}

async fn publish<E: Event>(rig: &Rig, event: &E) -> anyhow::Result<()> {
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Nats-Msg-Id", Uuid::now_v7().to_string().as_str());
    headers.insert("ce-type", E::event_type().as_str());
    let payload = serde_json::to_vec(event)?;
    // Acknowledged by what is counted afterwards.
    drop(
        rig.js
            .publish_with_headers(rig.prefix.event(event), headers, payload.into())
            .await?,
    );
    Ok(())
}

/// Until so many items of a kind have heard of this version of their subject.
async fn until(rig: &mut Rig, kind: &str, version: i64, wanted: u32) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let there: i64 = sqlx::query_scalar(
            "select count(*) from worklist.work_item where kind = $1 and subject_version >= $2",
        )
        .bind(kind)
        .bind(version)
        .fetch_one(&mut rig.ledger)
        .await?;
        if there >= i64::from(wanted) {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            bail!("{there} of {wanted} events about {kind} came to work");
        }
        tokio::time::sleep(POLL).await;
    }
}

fn account(n: u32) -> (AccountId, String) {
    let id = AccountId::from(Uuid::from_u128(u128::from(n % 500) + 1));
    (id, format!("BENCH{:05}", n % 500))
}

fn case(n: u32, id: Uuid, version: i64) -> CaseChanged {
    let now = SystemClock.now();
    let (account_id, account_ref) = account(n);
    let disputed = Money::parse(&format!("{}.00", 1000 * version), Currency::GBP);
    CaseChanged {
        case_id: CaseId::from(id),
        version,
        case_ref: format!("Q-{n:06}"),
        kind: CaseKind::Dispute,
        state: CaseState::Confirmed,
        from: None,
        step: "opened".into(),
        account_id,
        account_ref,
        items: Vec::new(),
        disputed: disputed.unwrap_or_else(|_| Money::zero(Currency::GBP)),
        reason_code: Some("price".into()),
        coordinator: None,
        processor: None,
        responsible: None,
        department: None,
        resolution: None,
        raised_at: now,
        since: now,
        related: None,
        cause: None,
        recorded_at: now,
        actor: "user:bench".into(),
        reason: "bench".into(),
    }
}

fn broken(n: u32, on: NaiveDate) -> anyhow::Result<PromiseChanged> {
    let (account_id, account_ref) = account(n);
    let (amount, nothing) = (
        Money::parse("500.00", Currency::GBP)?,
        Money::zero(Currency::GBP),
    );
    Ok(PromiseChanged {
        promise_id: PromiseId::from(Uuid::now_v7()),
        version: 2,
        state: PromiseState::Broken,
        from: Some(PromiseState::Open),
        account_id,
        account_ref,
        items: Vec::new(),
        instalments: vec![Instalment {
            due_on: on,
            amount,
            received: nothing,
        }],
        amount,
        received: nothing,
        judged_on: on,
        level: 0,
        method: None,
        promised_by: None,
        late_reversal: false,
        replaced_by: None,
        cause: None,
        recorded_at: SystemClock.now(),
        actor: "user:bench".into(),
        reason: "bench".into(),
    })
}
