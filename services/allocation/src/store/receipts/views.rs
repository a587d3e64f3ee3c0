//! Receipts as pages show them: lists, one with its suggestions, and counts.

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    allocation::MatchScore,
    api::allocation::{
        PastDecision, QueueCount, ReceiptQueue, ReceiptView, SuggestedLine, Suggestion,
    },
};
use kernel::{AccountId, Money, ReceiptId, london_date, london_midnight};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    super::{money, named, workbench::parked},
    StoredLine, decision,
};
use crate::domain::ledger::Held;

struct ViewRow {
    receipt_id: Uuid,
    version: i64,
    bank_account: String,
    bank_reference: Option<String>,
    booked_on: NaiveDate,
    value_on: NaiveDate,
    currency: String,
    amount: Decimal,
    unallocated: Decimal,
    payer_name: Option<String>,
    payer_account: Option<String>,
    narrative: String,
    state: String,
    account_id: Option<Uuid>,
    account_ref: Option<String>,
    account_name: Option<String>,
    suggestions: i16,
    recorded_at: DateTime<Utc>,
    parked_at: Option<DateTime<Utc>>,
    parked_by: Option<String>,
    parked_reason: Option<String>,
    parked_owner: Option<String>,
    parked_until: Option<NaiveDate>,
}

impl TryFrom<ViewRow> for ReceiptView {
    type Error = Failure;

    fn try_from(row: ViewRow) -> Result<Self, Failure> {
        Ok(Self {
            receipt_id: row.receipt_id.into(),
            version: row.version,
            bank_account: row.bank_account,
            bank_reference: row.bank_reference,
            booked_on: row.booked_on,
            value_on: row.value_on,
            amount: money(row.amount, &row.currency)?,
            unallocated: money(row.unallocated, &row.currency)?,
            payer_name: row.payer_name,
            payer_account: row.payer_account.map(|key| masked(&key)),
            narrative: row.narrative,
            state: named(row.state)?,
            account_id: row.account_id.map(AccountId::from),
            account_ref: row.account_ref,
            account_name: row.account_name,
            suggestions: row.suggestions,
            recorded_at: row.recorded_at,
            parked: parked(
                row.parked_at,
                row.parked_by,
                row.parked_reason,
                row.parked_owner,
                row.parked_until,
            ),
        })
    }
}

/// Only the last four characters of a bank account are shown.
pub(crate) fn masked(key: &str) -> String {
    let from = key.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
    format!("••{}", key.get(from..).unwrap_or_default())
}

/// What a search compares text and amounts with.
pub(crate) fn searched(search: Option<&str>) -> (Option<String>, Option<Decimal>) {
    let pattern = search.map(crate::store::pattern);
    let amount = search.and_then(|text| text.replace(['£', ',', ' '], "").parse::<Decimal>().ok());
    (pattern, amount)
}

/// A queue, newest booking first, with one row more than asked for to tell
/// whether there is a next page. `now` tells what is still put aside and what
/// was allocated today.
pub(crate) async fn list(
    conn: &mut PgConnection,
    queue: ReceiptQueue,
    search: Option<&str>,
    before: Option<Uuid>,
    now: DateTime<Utc>,
    rows: i64,
) -> Result<Vec<ReceiptView>, Failure> {
    let (pattern, amount) = searched(search);
    let open_only = !matches!(
        queue,
        ReceiptQueue::Allocated | ReceiptQueue::AllocatedToday | ReceiptQueue::All
    );
    // The open queues read the partial index of receipts with money left, so
    // each is a statement of its own.
    let found = if open_only {
        sqlx::query_as!(
            ViewRow,
            r#"select r.receipt_id, r.version, r.bank_account, r.bank_reference, r.booked_on, r.value_on, r.currency,
                    r.amount, r.unallocated, r.payer_name, r.payer_account, r.narrative, r.state, r.account_id,
                    a.account_ref as "account_ref?", a.name as "account_name?", r.suggestions, r.recorded_at,
                    r.parked_at, r.parked_by, r.parked_reason, r.parked_owner, r.parked_until
             from allocation.receipt r left join allocation.account a using (account_id)
             where r.unallocated > 0
               and (not $1 or r.suggestions > 0) and (not $2 or r.state = 'unidentified')
               and (not $3 or r.state <> 'unidentified')
               and $4 = (r.parked_at is not null and (r.parked_until is null or r.parked_until > $5))
               and (not $10 or r.held = 'on_account') and (not $11 or r.held in ('possible_duplicate', 'duplicate'))
               and (r.held is distinct from 'on_account' or $1 or $4 or $10)
               and ($6::text is null or r.payer_name ilike $6 or r.narrative ilike $6
                    or r.bank_reference ilike $6 or r.amount = $7)
               and ($8::uuid is null or (r.booked_on, r.receipt_id)
                    < ((select b.booked_on from allocation.receipt b where b.receipt_id = $8), $8))
             order by r.booked_on desc, r.receipt_id desc limit $9"#,
            queue == ReceiptQueue::Suggested,
            queue == ReceiptQueue::Unidentified,
            queue == ReceiptQueue::Unallocated,
            queue == ReceiptQueue::Parked,
            london_date(now),
            pattern,
            amount,
            before,
            rows + 1,
            queue == ReceiptQueue::OnAccount,
            queue == ReceiptQueue::PossibleDuplicates
        )
        .fetch_all(conn)
        .await?
    } else {
        sqlx::query_as!(
            ViewRow,
            r#"select r.receipt_id, r.version, r.bank_account, r.bank_reference, r.booked_on, r.value_on, r.currency,
                    r.amount, r.unallocated, r.payer_name, r.payer_account, r.narrative, r.state, r.account_id,
                    a.account_ref as "account_ref?", a.name as "account_name?", r.suggestions, r.recorded_at,
                    r.parked_at, r.parked_by, r.parked_reason, r.parked_owner, r.parked_until
             from allocation.receipt r left join allocation.account a using (account_id)
             where (not $1 or r.unallocated = 0)
               and ($2::timestamptz is null or r.receipt_id in (
                    select l.receipt_id from allocation.allocation l where l.recorded_at >= $2
                    group by l.receipt_id having sum(l.amount) > 0))
               and ($3::text is null or r.payer_name ilike $3 or r.narrative ilike $3
                    or r.bank_reference ilike $3 or r.amount = $4)
               and ($5::uuid is null or (r.booked_on, r.receipt_id)
                    < ((select b.booked_on from allocation.receipt b where b.receipt_id = $5), $5))
             order by r.booked_on desc, r.receipt_id desc limit $6"#,
            queue == ReceiptQueue::Allocated,
            (queue == ReceiptQueue::AllocatedToday).then(|| london_midnight(now)),
            pattern,
            amount,
            before,
            rows + 1
        )
        .fetch_all(conn)
        .await?
    };
    found.into_iter().map(ReceiptView::try_from).collect()
}

pub(crate) async fn view(
    conn: &mut PgConnection,
    id: ReceiptId,
) -> Result<Option<(ReceiptView, contracts::allocation::Decision, Option<Held>)>, Failure> {
    let row = sqlx::query_as!(
        ViewRow,
        r#"select r.receipt_id, r.version, r.bank_account, r.bank_reference, r.booked_on, r.value_on, r.currency,
                r.amount, r.unallocated, r.payer_name, r.payer_account, r.narrative, r.state, r.account_id,
                a.account_ref as "account_ref?", a.name as "account_name?", r.suggestions, r.recorded_at,
                r.parked_at, r.parked_by, r.parked_reason, r.parked_owner, r.parked_until
         from allocation.receipt r left join allocation.account a using (account_id) where r.receipt_id = $1"#,
        id.as_uuid()
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let decided = sqlx::query!(
        "select decision, held, twin from allocation.receipt where receipt_id = $1",
        id.as_uuid()
    )
    .fetch_one(conn)
    .await?;
    let held = decided
        .held
        .and_then(|name| Held::of(&name, decided.twin.map(ReceiptId::from)));
    Ok(Some((row.try_into()?, decision(&decided.decision)?, held)))
}

/// Suggestions that can still be accepted: every line is still open that far.
pub(crate) async fn suggestions(
    conn: &mut PgConnection,
    id: ReceiptId,
) -> Result<Vec<Suggestion>, Failure> {
    let rows = sqlx::query!(
        "select s.rank, s.rule, s.confidence, s.account_id, a.account_ref, a.name, s.lines, s.evidence, s.score, s.would
         from allocation.suggestion s join allocation.account a using (account_id)
         where s.receipt_id = $1 order by s.rank",
        id.as_uuid()
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut suggestions = Vec::with_capacity(rows.len());
    let mut best: Option<u16> = None;
    for row in rows {
        let score: Option<MatchScore> = row.score.map(read_score).transpose()?;
        best = best.or(score.map(|score| score.total));
        let stored: Vec<StoredLine> = serde_json::from_value(row.lines).map_err(|e| {
            Failure::bug("allocation.stored_lines", "stored lines cannot be read").caused_by(e)
        })?;
        let ids: Vec<Uuid> = stored.iter().map(|line| line.document.as_uuid()).collect();
        let items = sqlx::query!(
            "select document_id, document_ref, due_on, currency, open from allocation.open_item
             where document_id = any($1)",
            &ids
        )
        .fetch_all(&mut *conn)
        .await?;
        let mut lines = Vec::with_capacity(stored.len());
        for line in &stored {
            let Some(item) = items
                .iter()
                .find(|item| item.document_id == line.document.as_uuid())
            else {
                continue;
            };
            if item.open.abs() < line.amount.amount().abs() {
                continue;
            }
            lines.push(SuggestedLine {
                document_id: line.document,
                document_ref: item.document_ref.clone(),
                open: money(item.open, &item.currency)?,
                amount: line.amount,
                due_on: item.due_on,
            });
        }
        if lines.len() < stored.len() {
            continue;
        }
        suggestions.push(Suggestion {
            rank: row.rank,
            rule: named(row.rule)?,
            confidence: row.confidence,
            account_id: row.account_id.into(),
            account_ref: row.account_ref,
            account_name: row.name,
            lines,
            evidence: serde_json::from_value(row.evidence).map_err(|e| {
                Failure::bug(
                    "allocation.stored_evidence",
                    "stored evidence cannot be read",
                )
                .caused_by(e)
            })?,
            behind: best
                .zip(score)
                .map(|(best, score)| best.saturating_sub(score.total)),
            score,
            would_have_matched: row.would,
        });
    }
    Ok(suggestions)
}

fn read_score(stored: serde_json::Value) -> Result<MatchScore, Failure> {
    serde_json::from_value(stored).map_err(|e| {
        Failure::bug("allocation.stored_score", "a stored score cannot be read").caused_by(e)
    })
}

/// What was decided about a receipt before its present decision, oldest first.
pub(crate) async fn past_decisions(
    conn: &mut PgConnection,
    id: ReceiptId,
) -> Result<Vec<PastDecision>, Failure> {
    let rows = sqlx::query!(
        "select version, decision, allocated_at from allocation.past_decision
         where receipt_id = $1 order by version",
        id.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(PastDecision {
                version: row.version,
                decision: decision(&row.decision)?,
                allocated_at: row.allocated_at,
            })
        })
        .collect()
}

/// How much is in each queue.
pub(crate) async fn counts(
    conn: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<Vec<QueueCount>, Failure> {
    let open = sqlx::query!(
        r#"select currency, parked as "parked!", suggested as "suggested!", identified as "identified!",
               held, count(*) as "receipts!", sum(unallocated) as "total!"
           from (select currency, unallocated, held, suggestions > 0 as suggested,
                     state <> 'unidentified' as identified,
                     parked_at is not null and (parked_until is null or parked_until > $1) as parked
                 from allocation.receipt where unallocated > 0) r
           group by currency, parked, suggested, identified, held order by currency"#,
        london_date(now)
    )
    .fetch_all(&mut *conn)
    .await?;
    let today = sqlx::query!(
        r#"select currency, count(*) as "receipts!", sum(total) as "total!"
           from (select receipt_id, currency, sum(amount) as total from allocation.allocation
                 where recorded_at >= $1 group by receipt_id, currency having sum(amount) > 0) l
           group by currency order by currency"#,
        london_midnight(now)
    )
    .fetch_all(&mut *conn)
    .await?;
    let allocated = sqlx::query!(
        r#"select currency, count(*) as "receipts!", sum(amount) as "total!"
           from allocation.receipt where unallocated = 0 group by currency order by currency"#
    )
    .fetch_all(conn)
    .await?;
    let mut counts = Counts::default();
    for row in open {
        let total = money(row.total, &row.currency)?;
        if row.parked {
            counts.add(ReceiptQueue::Parked, row.receipts, total)?;
            continue;
        }
        if row.suggested {
            counts.add(ReceiptQueue::Suggested, row.receipts, total)?;
        }
        match row.held.as_deref() {
            // A person keeps it there: nobody has to look.
            Some("on_account") => {
                counts.add(ReceiptQueue::OnAccount, row.receipts, total)?;
                continue;
            }
            Some(_) => counts.add(ReceiptQueue::PossibleDuplicates, row.receipts, total)?,
            None => {}
        }
        counts.add(ReceiptQueue::ToReview, row.receipts, total)?;
        let whose = if row.identified {
            ReceiptQueue::Unallocated
        } else {
            ReceiptQueue::Unidentified
        };
        counts.add(whose, row.receipts, total)?;
    }
    for row in today {
        let total = money(row.total, &row.currency)?;
        counts.add(ReceiptQueue::AllocatedToday, row.receipts, total)?;
    }
    for row in allocated {
        let total = money(row.total, &row.currency)?;
        counts.add(ReceiptQueue::Allocated, row.receipts, total)?;
    }
    Ok(counts.0)
}

/// Every queue that is counted, with what has been added so far.
struct Counts(Vec<QueueCount>);

impl Default for Counts {
    fn default() -> Self {
        let queues = [
            ReceiptQueue::ToReview,
            ReceiptQueue::Suggested,
            ReceiptQueue::Unidentified,
            ReceiptQueue::Unallocated,
            ReceiptQueue::OnAccount,
            ReceiptQueue::PossibleDuplicates,
            ReceiptQueue::Parked,
            ReceiptQueue::AllocatedToday,
            ReceiptQueue::Allocated,
        ];
        let empty = |queue| QueueCount {
            queue,
            receipts: 0,
            totals: Vec::new(),
        };
        Self(queues.map(empty).into())
    }
}

impl Counts {
    fn add(&mut self, queue: ReceiptQueue, receipts: i64, total: Money) -> Result<(), Failure> {
        let Some(count) = self.0.iter_mut().find(|count| count.queue == queue) else {
            return Ok(());
        };
        count.receipts += receipts;
        let same = |known: &&mut Money| known.currency() == total.currency();
        match count.totals.iter_mut().find(same) {
            Some(known) => *known = known.checked_add(total).map_err(Failure::of)?,
            None => count.totals.push(total),
        }
        Ok(())
    }
}
