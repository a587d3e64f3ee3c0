//! What the chaseable amount is made of.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use contracts::allocation::TermKind;
use kernel::{AccountId, DocumentId, EventId, Money};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{money, named, receipts::stored_lines};
use crate::domain::chaseable::{Cash, Claim, Credit, Debt, Position};

/// Which of these accounts have been told of as chaseable only in part.
pub(crate) async fn partly(
    conn: &mut PgConnection,
    accounts: &[AccountId],
) -> Result<Vec<AccountId>, Failure> {
    let ids: Vec<Uuid> = accounts.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_scalar!(
        r#"select account_id as "id!" from allocation.chaseable where account_id = any($1) and not trivial
           union
           select i.account_id from allocation.chase_term t join allocation.open_item i using (document_id)
           where i.account_id = any($1)"#,
        &ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(AccountId::from).collect())
}

/// Everything that the figures of these accounts are made of, with the accounts'
/// references.
pub(crate) async fn positions(
    conn: &mut PgConnection,
    accounts: &[AccountId],
) -> Result<BTreeMap<AccountId, (String, Position)>, Failure> {
    let ids: Vec<Uuid> = accounts.iter().map(|id| id.as_uuid()).collect();
    let mut found: BTreeMap<AccountId, (String, Position)> = BTreeMap::new();
    let known = sqlx::query!(
        "select account_id, account_ref from allocation.account where account_id = any($1)",
        &ids
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in known {
        found.insert(
            row.account_id.into(),
            (row.account_ref, Position::default()),
        );
    }
    let items = sqlx::query!(
        r#"select i.document_id, i.document_ref, i.account_id, i.due_on, i.currency, i.open,
             case when i.open < 0 then array(
                 select o.event_id from allocation.outbox o where o.aggregate_id = i.document_id
                     and o.recorded_at between i.recorded_at - interval '1 minute'
                         and i.recorded_at + interval '1 minute')
             else '{}' end as "events!: Vec<Uuid>"
           from allocation.open_item i where i.account_id = any($1) and i.open <> 0
           order by i.due_on, i.document_id"#,
        &ids
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut owner: HashMap<Uuid, Uuid> = HashMap::new();
    for row in items {
        let Some((_, position)) = found.get_mut(&row.account_id.into()) else {
            continue;
        };
        owner.insert(row.document_id, row.account_id);
        let open = money(row.open, &row.currency)?;
        if open.is_negative() {
            position.credits.push(Credit {
                document: row.document_id.into(),
                left: open.abs(),
                events: row.events.into_iter().map(EventId::from).collect(),
            });
        } else {
            position.debts.push(Debt {
                document: row.document_id.into(),
                document_ref: row.document_ref,
                due_on: row.due_on,
                open,
            });
        }
    }
    let documents: Vec<Uuid> = owner.keys().copied().collect();
    let terms = sqlx::query!(
        "select document_id, kind, subject, currency, amount, event_id from allocation.chase_term
         where document_id = any($1)",
        &documents
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in terms {
        let of = owner
            .get(&row.document_id)
            .and_then(|id| found.get_mut(&AccountId::from(*id)));
        if let Some((_, position)) = of {
            position.claims.push(Claim {
                document: row.document_id.into(),
                kind: named(row.kind)?,
                amount: money(row.amount, &row.currency)?,
                subject: row.subject,
                event: row.event_id.into(),
            });
        }
    }
    // Cash of the account, and cash whose best suggestion is the account's. What
    // is known to be paid twice goes back.
    let cash = sqlx::query!(
        r#"select r.receipt_id, r.currency, r.unallocated, r.account_id, s.account_id as "suggested?",
             s.lines as "lines?",
             array(select o.event_id from allocation.outbox o
                 where o.recorded_at = r.recorded_at and o.aggregate_id = r.receipt_id) as "events!: Vec<Uuid>"
           from allocation.receipt r
           left join allocation.suggestion s on s.receipt_id = r.receipt_id and s.rank = 1
           where r.receipt_id = any(array(
               select receipt_id from allocation.receipt where account_id = any($1) and unallocated > 0
               union
               select receipt_id from allocation.suggestion where account_id = any($1) and rank = 1))
             and r.unallocated > 0 and r.held is distinct from 'duplicate'
           order by r.receipt_id"#,
        &ids
    )
    .fetch_all(conn)
    .await?;
    for row in cash {
        let mut of: Vec<Uuid> = row.account_id.into_iter().collect();
        // Money that is somebody else's for certain is not this account's.
        if row.account_id.is_none() {
            of.extend(row.suggested);
        }
        for account in of {
            let Some((_, position)) = found.get_mut(&AccountId::from(account)) else {
                continue;
            };
            let lines = match (&row.lines, row.suggested == Some(account)) {
                (Some(lines), true) => stored_lines(lines.clone())?,
                _ => Vec::new(),
            };
            position.cash.push(Cash {
                receipt: row.receipt_id.into(),
                left: money(row.unallocated, &row.currency)?,
                of_account: row.account_id == Some(account),
                named: lines
                    .into_iter()
                    .filter(|line| line.amount.is_positive())
                    .collect(),
                events: row.events.iter().copied().map(EventId::from).collect(),
            });
        }
    }
    Ok(found)
}

/// What was last told of accounts: version and words.
pub(crate) async fn told(
    conn: &mut PgConnection,
    accounts: &[AccountId],
) -> Result<HashMap<AccountId, (i64, String, bool)>, Failure> {
    let ids: Vec<Uuid> = accounts.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query!(
        "select account_id, version, told, trivial from allocation.chaseable where account_id = any($1)
         order by account_id for update",
        &ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.account_id.into(), (row.version, row.told, row.trivial)))
        .collect())
}

/// What is told of an account now.
pub(crate) struct Told {
    pub(crate) account: AccountId,
    pub(crate) version: i64,
    pub(crate) words: String,
    pub(crate) trivial: bool,
}

pub(crate) async fn put(
    conn: &mut PgConnection,
    rows: &[Told],
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = rows.iter().map(|row| row.account.as_uuid()).collect();
    let versions: Vec<i64> = rows.iter().map(|row| row.version).collect();
    let told: Vec<String> = rows.iter().map(|row| row.words.clone()).collect();
    let trivial: Vec<bool> = rows.iter().map(|row| row.trivial).collect();
    sqlx::query!(
        "insert into allocation.chaseable (account_id, version, told, trivial, recorded_at)
         select t.*, $5 from unnest($1::uuid[], $2::bigint[], $3::text[], $4::boolean[]) as t
         on conflict (account_id) do update set version = excluded.version, told = excluded.told,
             trivial = excluded.trivial, recorded_at = excluded.recorded_at",
        &ids,
        &versions,
        &told,
        &trivial,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// All that a dispute, promise, plan or collection says of debts from now on:
/// it replaces what the same one said before.
#[derive(Debug, Clone)]
pub struct Word {
    pub subject: Uuid,
    pub kind: TermKind,
    /// Rises with every word of a subject: an older one is no news.
    pub version: i64,
    /// What of each document is not chased; positive.
    pub parts: Vec<(DocumentId, Money)>,
    pub event: EventId,
}

/// Takes the words that are news; returns the accounts concerned.
pub(crate) async fn put_words(
    conn: &mut PgConnection,
    words: &[Word],
    now: DateTime<Utc>,
) -> Result<Vec<AccountId>, Failure> {
    let mut newest: BTreeMap<(Uuid, &'static str), &Word> = BTreeMap::new();
    for word in words {
        let known = newest
            .entry((word.subject, word.kind.name()))
            .or_insert(word);
        if known.version < word.version {
            *known = word;
        }
    }
    let subjects: Vec<Uuid> = newest.keys().map(|(subject, _)| *subject).collect();
    let kinds: Vec<&str> = newest.keys().map(|(_, kind)| *kind).collect();
    let versions: Vec<i64> = newest.values().map(|word| word.version).collect();
    let news = sqlx::query!(
        "insert into allocation.chase_word as w (subject, kind, version)
         select * from unnest($1::uuid[], $2::text[], $3::bigint[])
         on conflict (subject, kind) do update set version = excluded.version where w.version < excluded.version
         returning subject, kind",
        &subjects,
        &kinds as &[&str],
        &versions
    )
    .fetch_all(&mut *conn)
    .await?;
    let is_news = |subject: Uuid, kind: &str| {
        news.iter()
            .any(|row| row.subject == subject && row.kind == kind)
    };
    newest.retain(|(subject, kind), _| is_news(*subject, kind));
    let subjects: Vec<Uuid> = newest.keys().map(|(subject, _)| *subject).collect();
    let kinds: Vec<&str> = newest.keys().map(|(_, kind)| *kind).collect();
    let mut documents = sqlx::query_scalar!(
        "delete from allocation.chase_term t using unnest($1::uuid[], $2::text[]) as d(subject, kind)
         where t.subject = d.subject and t.kind = d.kind returning t.document_id",
        &subjects,
        &kinds as &[&str]
    )
    .fetch_all(&mut *conn)
    .await?;
    let parts: Vec<(&Word, DocumentId, Money)> = newest
        .values()
        .flat_map(|word| {
            word.parts
                .iter()
                .map(move |(document, amount)| (*word, *document, *amount))
        })
        .filter(|(.., amount)| amount.is_positive())
        .collect();
    let of_parts: Vec<Uuid> = parts.iter().map(|(_, d, _)| d.as_uuid()).collect();
    let subjects: Vec<Uuid> = parts.iter().map(|(word, ..)| word.subject).collect();
    let kinds: Vec<&str> = parts.iter().map(|(word, ..)| word.kind.name()).collect();
    let events: Vec<Uuid> = parts
        .iter()
        .map(|(word, ..)| word.event.as_uuid())
        .collect();
    let amounts: Vec<Decimal> = parts.iter().map(|(.., amount)| amount.amount()).collect();
    let currencies: Vec<&str> = parts
        .iter()
        .map(|(.., amount)| amount.currency().code())
        .collect();
    sqlx::query!(
        "insert into allocation.chase_term (document_id, kind, subject, event_id, amount, currency, recorded_at)
         select t.*, $7 from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::numeric[], $6::text[]) as t",
        &of_parts,
        &kinds as &[&str],
        &subjects,
        &events,
        &amounts,
        &currencies as &[&str],
        now
    )
    .execute(&mut *conn)
    .await?;
    documents.extend(of_parts);
    let rows = sqlx::query_scalar!(
        "select distinct account_id from allocation.open_item where document_id = any($1)",
        &documents
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(AccountId::from).collect())
}
