use contracts::api::{CurrencyTotals, ingestion::ReceiptOrigin};
use kernel::{BankAccount, Currency, ImportId, Money, ReceiptId};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::{PgPool, query};
use uuid::Uuid;

/// Where a receipt came from.
pub(crate) async fn receipt_origin(
    pool: &PgPool,
    receipt_id: ReceiptId,
) -> Result<Option<ReceiptOrigin>, Failure> {
    let row = query!(
        r#"select l.source as "source!", l.bank_account as "bank_account!", l.bank_reference,
             l.booked_on as "booked_on!", l.value_on as "value_on!", l.amount as "amount!",
             l.currency as "currency!", l.payer_name, l.payer_account, l.reference,
             l.narrative as "narrative!", l.import_id, i.file_name as "file_name?",
             s.bank_statement_id as "bank_statement_id?", l.line, l.message_id,
             l.recorded_at as "recorded_at!",
             (select substr(o.traceparent, 4, 32) from ingestion.outbox o
              where o.recorded_at = l.recorded_at and o.aggregate_id = l.line_id limit 1)
                 as trace_id
         from ingestion.bank_line l
         left join ingestion.import i on i.import_id = l.import_id
         left join ingestion.statement s on s.statement_id = l.statement_id
         where l.line_id = $1"#,
        receipt_id.as_uuid()
    )
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let narrative = match row.reference {
        Some(reference) if !row.narrative.lines().any(|line| line == reference) => {
            format!("{reference}\n{}", row.narrative)
                .trim_end()
                .to_owned()
        }
        _ => row.narrative,
    };
    Ok(Some(ReceiptOrigin {
        receipt_id,
        source: row.source,
        bank_account: row.bank_account,
        bank_reference: row.bank_reference,
        booked_on: row.booked_on,
        value_on: row.value_on,
        amount: money(row.amount, &row.currency)?,
        payer_name: row.payer_name,
        payer_account: row
            .payer_account
            .map(|key| BankAccount::Other(key).masked()),
        narrative,
        import: row.import_id.map(ImportId::from),
        file_name: row.file_name,
        bank_statement_id: row.bank_statement_id,
        line: row.line,
        message_id: row.message_id.map(|id| id.to_string()),
        recorded_at: row.recorded_at,
        // The outbox keeps no time of publishing, and none is better than a
        // guess.
        published_at: None,
        trace_id: row.trace_id,
    }))
}

/// The receipts that a file brought, in the order of their ids. Lines of a file
/// are recorded while it is read: the index of days narrows that down.
pub(crate) async fn import_receipts(
    pool: &PgPool,
    import_id: ImportId,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<ReceiptId>, Failure> {
    let ids = sqlx::query_scalar!(
        "select l.line_id from ingestion.bank_line l join ingestion.import i using (import_id)
         where l.import_id = $1 and l.direction = 'credit' and l.amount > 0
           and l.recorded_at >= i.opened_at and ($2::uuid is null or l.line_id > $2)
         order by l.line_id limit $3",
        import_id.as_uuid(),
        after,
        limit
    )
    .fetch_all(pool)
    .await?;
    Ok(ids.into_iter().map(ReceiptId::from).collect())
}

/// Receipts and documents by currency, at one moment.
pub(crate) async fn totals(pool: &PgPool) -> Result<Vec<CurrencyTotals>, Failure> {
    let rows = query!(
        r#"select currency as "currency!", sum(receipts)::bigint as "receipts!",
             sum(received) as "received!", sum(documents)::bigint as "documents!",
             sum(billed) as "billed!"
         from (
             select currency, count(*) as receipts, sum(amount) as received,
                 0 as documents, 0 as billed
             from ingestion.bank_line where direction = 'credit' and amount > 0 group by currency
             union all
             select currency, 0, 0, count(*),
                 sum(case when kind = 'credit_note' then -gross else gross end)
             from ingestion.document group by currency
         ) terms
         group by currency order by currency"#
    )
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|row| {
            let received = money(row.received, &row.currency)?;
            let zero = Money::zero(received.currency());
            Ok(CurrencyTotals {
                currency: received.currency(),
                receipts: row.receipts,
                received,
                documents: row.documents,
                billed: money(row.billed, &row.currency)?,
                // What becomes of them is allocation's to know.
                allocated: zero,
                outflows: zero,
                adjusted: zero,
                unallocated: zero,
                open: zero,
                debtors_control: zero,
                unallocated_control: zero,
            })
        })
        .collect()
}

fn money(amount: Decimal, currency: &str) -> Result<Money, Failure> {
    Currency::parse(currency)
        .and_then(|currency| Money::try_new(amount, currency))
        .map_err(Failure::of)
}
