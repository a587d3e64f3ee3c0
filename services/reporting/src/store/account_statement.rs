//! The books of one account, as far as they move its balance.

use kernel::AccountId;
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    domain::movements::{Books, Document, Line, Receipt},
    serve::AsAt,
};

/// Documents, receipts and lines of one account: beyond it nobody reads a statement.
pub(crate) const MOST: i64 = 20_000;

/// Everything of an account up to a day, as known at a moment.
pub(crate) async fn books(
    conn: &mut PgConnection,
    account: AccountId,
    at: AsAt,
) -> Result<Books, Failure> {
    let account = account.as_uuid();
    let documents = sqlx::query_as!(
        Document,
        "select d.document_id as id, d.document_ref as reference, d.kind, d.issued_on, d.amount, d.currency
         from reporting.document d
         where d.generation = (select l.generation from reporting.live l) and d.account_id = $1
           and d.issued_on <= $2 and d.recorded_at <= $3
         order by d.issued_on, d.document_id limit $4",
        account,
        at.as_of,
        at.known_at,
        MOST + 1
    )
    .fetch_all(&mut *conn)
    .await?;
    let receipts = sqlx::query_as!(
        Receipt,
        r#"with mine as (
             select r.receipt_id from reporting.receipt r
             where r.generation = (select l.generation from reporting.live l) and r.account_id = $1
             union
             select m.receipt_id from reporting.movement m
             where m.generation = (select l.generation from reporting.live l) and m.account_id = $1)
           select r.receipt_id as "id!", coalesce(r.bank_reference, r.payer_name, r.narrative) as "reference!",
             r.booked_on as "booked_on!", r.amount as "amount!", r.currency as "currency!"
           from mine join reporting.receipts_at($2, $3) r using (receipt_id)
           where r.account_id = $1 order by r.booked_on, r.receipt_id limit $4"#,
        account,
        at.as_of,
        at.known_at,
        MOST + 1
    )
    .fetch_all(&mut *conn)
    .await?;
    let of_documents: Vec<Uuid> = documents.iter().map(|one| one.id).collect();
    let of_receipts: Vec<Uuid> = receipts.iter().map(|one| one.id).collect();
    let lines = sqlx::query_as!(
        Line,
        r#"select a.document_id as "document?", a.receipt_id as "receipt?", 'allocation' as "kind!",
             a.contra_of is not null as "undone!", a.effective_on as "on!", a.amount as "amount!"
           from reporting.allocation a
           where a.generation = (select l.generation from reporting.live l) and a.effective_on <= $3
             and a.recorded_at <= $4 and (a.document_id = any($1) or a.receipt_id = any($2))
           union all
           select j.document_id, null::uuid, j.kind, j.contra_of is not null, j.effective_on, j.amount
           from reporting.adjustment j
           where j.generation = (select l.generation from reporting.live l) and j.effective_on <= $3
             and j.recorded_at <= $4 and j.document_id = any($1)
           union all
           select null::uuid, o.receipt_id, o.kind, o.contra_of is not null, o.effective_on, o.amount
           from reporting.outflow o
           where o.generation = (select l.generation from reporting.live l) and o.effective_on <= $3
             and o.recorded_at <= $4 and o.receipt_id = any($2)
           limit $5"#,
        &of_documents,
        &of_receipts,
        at.as_of,
        at.known_at,
        MOST + 1
    )
    .fetch_all(conn)
    .await?;
    Ok(Books {
        documents,
        receipts,
        lines,
    })
}
