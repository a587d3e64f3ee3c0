//! How many statements a batch of a dispatch costs: as many for one account as for
//! fifty, whatever goes with their letters.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use contracts::Role;
use dunning::{MailOptions, Options};
use kernel::ManualClock;
use runtime::local::MailSink;
use sqlx::PgPool;
use testkit::{DEADLINE, Suite, eventually};
use tracing::{
    Event, Subscriber,
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};
use uuid::Uuid;

/// Counts what is asked of the database within the spans of a dispatch.
#[derive(Clone, Default)]
struct Counter {
    running: Arc<Mutex<HashMap<u64, (&'static str, usize)>>>,
    /// The most of one batch, by span.
    most: Arc<Mutex<HashMap<&'static str, usize>>>,
}

const SPANS: [&str; 2] = ["dispatch.claim", "dispatch.mark"];

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Counter {
    fn on_new_span(&self, span: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        let name = span.metadata().name();
        if SPANS.contains(&name) {
            let mut running = self.running.lock().unwrap();
            running.insert(id.into_u64(), (name, 0));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() != "sqlx::query" {
            return;
        }
        let Some(scope) = context.event_scope(event) else {
            return;
        };
        let mut running = self.running.lock().unwrap();
        for span in scope {
            if let Some(known) = running.get_mut(&span.id().into_u64()) {
                known.1 += 1;
            }
        }
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        if let Some((name, count)) = self.running.lock().unwrap().remove(&id.into_u64()) {
            let mut most = self.most.lock().unwrap();
            let known = most.entry(name).or_default();
            *known = count.max(*known);
        }
    }
}

impl Counter {
    fn take(&self) -> HashMap<&'static str, usize> {
        std::mem::take(&mut *self.most.lock().unwrap())
    }
}

async fn run(pool: &PgPool, sql: &'static str, from: i32, to: i32, run: Uuid) {
    sqlx::query(sql)
        .bind(from)
        .bind(to)
        .bind(run)
        .execute(pool)
        .await
        .unwrap();
}

/// Sole traders, each account owed by two together, who had everything before the
/// letter of claim; and a run that is approved to send it by e-mail.
async fn approved(pool: &PgPool, from: i32, to: i32) -> Uuid {
    let id = Uuid::now_v7();
    for sql in [
        "insert into dunning.account (account_id, account_ref, version, name, kind, email, address)
         select md5('a' || n)::uuid, 'A' || n, 1, 'Debtor ' || n, 'sole_trader', 'a' || n || '@example.org',
           n || ' Some Road, Leeds' from generate_series($1, $2) n where $3::uuid is not null",
        "insert into dunning.debtor (account_id, debtor_ref, place, name, email)
         select md5('a' || n)::uuid, 'D' || n || '-' || k, k, 'Person ' || n || '-' || k,
           'd' || n || '-' || k || '@example.org'
         from generate_series($1, $2) n, generate_series(1, 2) k where $3::uuid is not null",
        "insert into dunning.item (document_id, document_ref, kind, account_id, account_ref, issued_on, due_on, currency,
           gross)
         select md5('d' || n)::uuid, 'INV' || n, 'invoice', md5('a' || n)::uuid, 'A' || n, '2026-01-05', '2026-01-31',
           'GBP', 100 from generate_series($1, $2) n where $3::uuid is not null",
        "insert into dunning.reached (account_id, documents, ranks, days, policies, policy_versions)
         select md5('a' || n)::uuid, array[md5('d' || n)::uuid], '{50}', '{2026-04-01}', '{trade_credit}', '{1}'
         from generate_series($1, $2) n where $3::uuid is not null",
        "insert into dunning.run (run_id, version, state, as_of, title, scope, contacts, requester, reason, created_at,
           changed_at)
         values ($3, 5, 'paused', '2026-06-10', 'Claims', '{}', $2 - $1, 'user:jo', 'weekly', now(), now())",
        "insert into dunning.run_account (run_id, account_id, account_ref, state, policy, policy_version, stage, rank,
           template, channel, documents, reasons, ranks_from, ranks_to, chaseable, currencies)
         select $3, md5('a' || n)::uuid, 'A' || n, 'queued', 'trade_credit', 1, 'letter_of_claim', 60, 'letter_of_claim',
           'email', array[md5('d' || n)::uuid], '{chase_now}', '{50}', '{60}', '{100}', '{GBP}'
         from generate_series($1, $2) n",
    ] {
        run(pool, sql, from, to, id).await;
    }
    id
}

/// The official forms, in force.
async fn forms(pool: &PgPool) {
    for form in ["information_sheet", "reply_form", "financial_statement"] {
        sqlx::query(
            "with a as (
               insert into dunning.archive (sha256, media_type, bytes, recorded_at)
               select encode(sha256(b), 'hex'), 'application/pdf', b, now() from convert_to('%PDF-1.7 ' || $1, 'UTF8') b
               returning sha256)
             insert into dunning.edition (edition_id, kind, name, version, state, title, valid_from, body, sha256,
               drafted_by, drafted_at, reason)
             select gen_random_uuid(), 'enclosure', $1, 1, 'published', $1, '2026-01-01',
               jsonb_build_object('file_sha256', a.sha256), a.sha256, 'user:sam', now(), 'the form' from a",
        )
        .bind(form)
        .execute(pool)
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_batch_of_one_costs_as_many_statements_as_one_of_fifty() {
    let counter = Counter::default();
    tracing_subscriber::registry().with(counter.clone()).init();
    let clock = ManualClock::new("2026-06-10T09:00:00Z".parse().unwrap());
    let suite = Suite::start_with(clock, |_| {}).await;
    let dir = tempfile::tempdir().unwrap();
    let sink = MailSink::start(dir.path()).await.unwrap();
    let options = Options {
        mail: Some(MailOptions {
            host: sink.address().ip().to_string(),
            port: sink.address().port(),
            security: mail::Security::default(),
            credentials: None,
            idempotent: true,
            timeout: Duration::from_mins(1),
        }),
        ..Options::default()
    };
    let pool = suite.admin_pool();
    forms(pool).await;
    let _dunning = suite
        .run(Role::Dunning, |bus| dunning::run_with(bus, options))
        .await;
    let mut counts = Vec::new();
    for (from, to) in [(1, 1), (2, 51)] {
        counter.take();
        let run = approved(pool, from, to).await;
        // Everything of it is queued before it begins.
        sqlx::query("update dunning.run set state = 'sending' where run_id = $1")
            .bind(run)
            .execute(pool)
            .await
            .unwrap();
        eventually("the run is sent", DEADLINE, async || {
            let state: String =
                sqlx::query_scalar("select state from dunning.run where run_id = $1")
                    .bind(run)
                    .fetch_one(pool)
                    .await
                    .unwrap();
            state == "sent"
        })
        .await;
        let sent: i64 = sqlx::query_scalar(
            "select count(*) from dunning.contact c where run_id = $1 and state = 'sent'
               and (select count(*) from dunning.contact_enclosure e where e.contact_id = c.contact_id) = 4",
        )
        .bind(run)
        .fetch_one(pool)
        .await
        .unwrap();
        assert_eq!(sent, i64::from(2 * (to - from + 1)));
        counts.push(counter.take());
    }
    println!("statements of a batch of one and of fifty: {counts:?}");
    assert!(counts[0]["dispatch.claim"] > 10, "{counts:?}");
    assert_eq!(counts[0], counts[1]);
}
