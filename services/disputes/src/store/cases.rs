//! Cases with their parts, history and credit requests.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use contracts::{
    api::disputes::CreditState,
    disputes::{CaseId, CaseKind, CaseState, CreditRequestId, CreditRequested, Resolution},
};
use kernel::{AccountId, Currency, DocumentId, Money};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{known, money};
use crate::domain::{Case, Origin, Part};

/// The next references, such as `Q-000123`.
pub(crate) async fn next_refs(
    conn: &mut PgConnection,
    count: usize,
) -> Result<Vec<String>, Failure> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    let numbers = sqlx::query_scalar!(
        r#"select nextval('disputes.case_number') as "number!" from generate_series(1, $1)"#,
        count
    )
    .fetch_all(conn)
    .await?;
    Ok(numbers
        .into_iter()
        .map(|number| format!("Q-{number:06}"))
        .collect())
}

/// Cases that are about one of these documents.
pub(crate) async fn about(
    conn: &mut PgConnection,
    documents: &[DocumentId],
) -> Result<Vec<CaseId>, Failure> {
    let ids: Vec<Uuid> = documents.iter().map(|id| id.as_uuid()).collect();
    let found = sqlx::query_scalar!(
        "select distinct case_id from disputes.part where document_id = any($1)",
        &ids
    )
    .fetch_all(conn)
    .await?;
    Ok(found.into_iter().map(CaseId::from).collect())
}

/// The documents of cases.
pub(crate) async fn documents(
    conn: &mut PgConnection,
    cases: &[CaseId],
) -> Result<Vec<DocumentId>, Failure> {
    let ids: Vec<Uuid> = cases.iter().map(|id| id.as_uuid()).collect();
    let found = sqlx::query_scalar!(
        "select distinct document_id from disputes.part where case_id = any($1)",
        &ids
    )
    .fetch_all(conn)
    .await?;
    Ok(found.into_iter().map(DocumentId::from).collect())
}

struct Row {
    case_id: Uuid,
    case_ref: String,
    version: i64,
    kind: String,
    state: String,
    since: DateTime<Utc>,
    raised_at: DateTime<Utc>,
    account_id: Uuid,
    account_ref: String,
    currency: String,
    reason_code: Option<String>,
    root_cause: Option<String>,
    preventable: Option<bool>,
    department: Option<String>,
    coordinator: Option<String>,
    processor: Option<String>,
    responsible: Option<String>,
    awaiting: Option<String>,
    resolution: Option<String>,
    under_protest: bool,
    related: Option<Uuid>,
    origin: String,
    cause: Uuid,
    proposal: Option<serde_json::Value>,
    closed_at: Option<DateTime<Utc>>,
}

impl Row {
    fn case(self) -> Result<Case, Failure> {
        Ok(Case {
            id: self.case_id.into(),
            version: self.version,
            case_ref: self.case_ref,
            kind: known(CaseKind::named(&self.kind), &self.kind)?,
            state: known(CaseState::named(&self.state), &self.state)?,
            since: self.since,
            raised_at: self.raised_at,
            account: self.account_id.into(),
            account_ref: self.account_ref,
            currency: Currency::parse(&self.currency).map_err(Failure::of)?,
            reason_code: self.reason_code,
            root_cause: self.root_cause,
            preventable: self.preventable,
            department: self.department,
            coordinator: self.coordinator,
            processor: self.processor,
            responsible: self.responsible,
            awaiting: self.awaiting,
            resolution: self
                .resolution
                .map(|name| known(Resolution::named(&name), &name))
                .transpose()?,
            under_protest: self.under_protest,
            related: self.related.map(CaseId::from),
            origin: known(Origin::named(&self.origin), &self.origin)?,
            cause: self.cause,
            proposal: self.proposal.map(serde_json::from_value).transpose()?,
            closed_at: self.closed_at,
            parts: Vec::new(),
        })
    }
}

/// Locks cases, in the order of their age, with all their parts.
pub(crate) async fn lock(conn: &mut PgConnection, cases: &[CaseId]) -> Result<Vec<Case>, Failure> {
    if cases.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = cases.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        "select case_id, case_ref, version, kind, state, since, raised_at, account_id, account_ref, currency,
           reason_code, root_cause, preventable, department, coordinator, processor, responsible, awaiting, resolution,
           under_protest, related, origin, cause, proposal, closed_at
         from disputes.dispute where case_id = any($1) order by case_id for update",
        &ids
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        found.push(row.case()?);
    }
    add_parts(conn, &mut found).await?;
    Ok(found)
}

/// One case as it is.
pub(crate) async fn look_at(
    conn: &mut PgConnection,
    case: CaseId,
) -> Result<Option<Case>, Failure> {
    let row = sqlx::query_as!(
        Row,
        "select case_id, case_ref, version, kind, state, since, raised_at, account_id, account_ref, currency,
           reason_code, root_cause, preventable, department, coordinator, processor, responsible, awaiting, resolution,
           under_protest, related, origin, cause, proposal, closed_at
         from disputes.dispute where case_id = $1",
        case.as_uuid()
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let mut found = vec![row.case()?];
    add_parts(conn, &mut found).await?;
    Ok(found.pop())
}

async fn add_parts(conn: &mut PgConnection, cases: &mut [Case]) -> Result<(), Failure> {
    let ids: Vec<Uuid> = cases.iter().map(|case| case.id.as_uuid()).collect();
    let rows = sqlx::query!(
        "select case_id, document_id, document_ref, due_on, lines, original, disputed, paid, credited, cleared,
           written_off, released, credit_due
         from disputes.part where case_id = any($1) order by due_on, document_ref, document_id",
        &ids
    )
    .fetch_all(conn)
    .await?;
    let mut place: HashMap<Uuid, &mut Case> = cases
        .iter_mut()
        .map(|case| (case.id.as_uuid(), case))
        .collect();
    for row in rows {
        let Some(case) = place.get_mut(&row.case_id) else {
            continue;
        };
        let code = case.currency.code();
        let part = Part {
            document: row.document_id.into(),
            document_ref: row.document_ref,
            due_on: row.due_on,
            lines: row.lines,
            original: money(row.original, code)?,
            disputed: money(row.disputed, code)?,
            paid: money(row.paid, code)?,
            credited: money(row.credited, code)?,
            cleared: money(row.cleared, code)?,
            written_off: money(row.written_off, code)?,
            released: money(row.released, code)?,
            credit_due: money(row.credit_due, code)?,
        };
        case.parts.push(part);
    }
    Ok(())
}

/// A step of a case that is to be written.
#[derive(Debug, Clone)]
pub(crate) struct Noted {
    pub(crate) case: Case,
    pub(crate) from: Option<CaseState>,
    pub(crate) step: String,
    pub(crate) detail: String,
    pub(crate) actor: String,
    pub(crate) cause: Uuid,
}

/// Writes cases as they are after a step each, with the step.
pub(crate) async fn put(
    conn: &mut PgConnection,
    noted: &[Noted],
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    if noted.is_empty() {
        return Ok(());
    }
    fn of<'n, T>(noted: &'n [Noted], get: impl Fn(&'n Noted) -> T) -> Vec<T> {
        noted.iter().map(get).collect()
    }
    let proposals = noted
        .iter()
        .map(|n| {
            n.case
                .proposal
                .as_ref()
                .map(serde_json::to_value)
                .transpose()
        })
        .collect::<Result<Vec<_>, _>>()?;
    sqlx::query!(
        "insert into disputes.dispute (case_id, case_ref, version, kind, state, since, raised_at, account_id,
           account_ref, currency, reason_code, root_cause, preventable, department, coordinator, processor, responsible,
           awaiting, resolution, under_protest, related, origin, cause, proposal, closed_at)
         select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[],
           $7::timestamptz[], $8::uuid[], $9::text[], $10::text[], $11::text[], $12::text[], $13::boolean[], $14::text[],
           $15::text[], $16::text[], $17::text[], $18::text[], $19::text[], $20::boolean[], $21::uuid[], $22::text[],
           $23::uuid[], $24::jsonb[], $25::timestamptz[])
         on conflict (case_id) do update set version = excluded.version, kind = excluded.kind, state = excluded.state,
           since = excluded.since, raised_at = excluded.raised_at, reason_code = excluded.reason_code,
           root_cause = excluded.root_cause, preventable = excluded.preventable, department = excluded.department,
           coordinator = excluded.coordinator, processor = excluded.processor, responsible = excluded.responsible,
           awaiting = excluded.awaiting, resolution = excluded.resolution, under_protest = excluded.under_protest,
           related = excluded.related, proposal = excluded.proposal, closed_at = excluded.closed_at",
        &of(noted, |n| n.case.id.as_uuid()),
        &of(noted, |n| n.case.case_ref.clone()),
        &of(noted, |n| n.case.version),
        &of(noted, |n| n.case.kind.name().to_owned()),
        &of(noted, |n| n.case.state.name().to_owned()),
        &of(noted, |n| n.case.since),
        &of(noted, |n| n.case.raised_at),
        &of(noted, |n| n.case.account.as_uuid()),
        &of(noted, |n| n.case.account_ref.clone()),
        &of(noted, |n| n.case.currency.code().to_owned()),
        &of(noted, |n| n.case.reason_code.clone()) as &[Option<String>],
        &of(noted, |n| n.case.root_cause.clone()) as &[Option<String>],
        &of(noted, |n| n.case.preventable) as &[Option<bool>],
        &of(noted, |n| n.case.department.clone()) as &[Option<String>],
        &of(noted, |n| n.case.coordinator.clone()) as &[Option<String>],
        &of(noted, |n| n.case.processor.clone()) as &[Option<String>],
        &of(noted, |n| n.case.responsible.clone()) as &[Option<String>],
        &of(noted, |n| n.case.awaiting.clone()) as &[Option<String>],
        &of(noted, |n| n.case.resolution.map(|r| r.name().to_owned())) as &[Option<String>],
        &of(noted, |n| n.case.under_protest),
        &of(noted, |n| n.case.related.map(CaseId::as_uuid)) as &[Option<Uuid>],
        &of(noted, |n| n.case.origin.name().to_owned()),
        &of(noted, |n| n.case.cause),
        &proposals as &[Option<serde_json::Value>],
        &of(noted, |n| n.case.closed_at) as &[Option<DateTime<Utc>>],
    )
    .execute(&mut *conn)
    .await?;
    put_parts(conn, noted).await?;
    sqlx::query!(
        "insert into disputes.step (case_id, version, step, from_state, to_state, detail, actor, cause, recorded_at)
         select *, $9 from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
           $8::uuid[])",
        &of(noted, |n| n.case.id.as_uuid()),
        &of(noted, |n| n.case.version),
        &of(noted, |n| n.step.clone()),
        &of(noted, |n| n.from.map(|state| state.name().to_owned())) as &[Option<String>],
        &of(noted, |n| n.case.state.name().to_owned()),
        &of(noted, |n| n.detail.clone()),
        &of(noted, |n| n.actor.clone()),
        &of(noted, |n| n.cause),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn put_parts(conn: &mut PgConnection, noted: &[Noted]) -> Result<(), Failure> {
    let cases: Vec<Uuid> = noted.iter().map(|n| n.case.id.as_uuid()).collect();
    let parts: Vec<(Uuid, &Part)> = noted
        .iter()
        .flat_map(|n| n.case.parts.iter().map(|part| (n.case.id.as_uuid(), part)))
        .collect();
    fn of<'p, T>(parts: &[(Uuid, &'p Part)], get: impl Fn(&'p Part) -> T) -> Vec<T> {
        parts.iter().map(|(_, part)| get(part)).collect()
    }
    let case_ids: Vec<Uuid> = parts.iter().map(|(id, _)| *id).collect();
    let document_ids = of(&parts, |p| p.document.as_uuid());
    // Parts that left a case: taken out, or found to be no query.
    sqlx::query!(
        "delete from disputes.part p where p.case_id = any($1) and not exists (
           select from unnest($2::uuid[], $3::uuid[]) k(case_id, document_id)
           where k.case_id = p.case_id and k.document_id = p.document_id)",
        &cases,
        &case_ids,
        &document_ids
    )
    .execute(&mut *conn)
    .await?;
    let lines: Vec<String> = parts
        .iter()
        .map(|(_, part)| serde_json::to_string(&part.lines))
        .collect::<Result<_, _>>()?;
    let of_amount = |get: fn(&Part) -> Money| -> Vec<Decimal> {
        parts.iter().map(|(_, part)| get(part).amount()).collect()
    };
    sqlx::query!(
        "insert into disputes.part (case_id, document_id, document_ref, due_on, lines, original, disputed, paid,
           credited, cleared, written_off, released, credit_due)
         select case_id, document_id, document_ref, due_on,
           array(select jsonb_array_elements_text(lines::jsonb)), original, disputed, paid, credited, cleared,
           written_off, released, credit_due
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::date[], $5::text[], $6::numeric[], $7::numeric[],
           $8::numeric[], $9::numeric[], $10::numeric[], $11::numeric[], $12::numeric[], $13::numeric[])
           n(case_id, document_id, document_ref, due_on, lines, original, disputed, paid, credited, cleared,
             written_off, released, credit_due)
         on conflict (case_id, document_id) do update set lines = excluded.lines, original = excluded.original,
           disputed = excluded.disputed, paid = excluded.paid, credited = excluded.credited,
           cleared = excluded.cleared, written_off = excluded.written_off, released = excluded.released,
           credit_due = excluded.credit_due",
        &case_ids,
        &document_ids,
        &of(&parts, |p| p.document_ref.clone()),
        &of(&parts, |p| p.due_on) as &[NaiveDate],
        &lines,
        &of_amount(|p| p.original),
        &of_amount(|p| p.disputed),
        &of_amount(|p| p.paid),
        &of_amount(|p| p.credited),
        &of_amount(|p| p.cleared),
        &of_amount(|p| p.written_off),
        &of_amount(|p| p.released),
        &of_amount(|p| p.credit_due),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A credit that billing is asked for: what of it is still missing.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) id: CreditRequestId,
    pub(crate) case: CaseId,
    pub(crate) case_ref: String,
    pub(crate) account: AccountId,
    pub(crate) document: DocumentId,
    pub(crate) document_ref: String,
    pub(crate) amount: Money,
}

pub(crate) async fn ask_credits(
    conn: &mut PgConnection,
    requests: &[CreditRequested],
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    for request in requests {
        sqlx::query!(
            "insert into disputes.credit_request (credit_request_id, case_id, account_id, document_id, document_ref,
               currency, amount, requested_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
            request.credit_request_id.as_uuid(),
            request.case_id.as_uuid(),
            request.account_id.as_uuid(),
            request.document_id.as_uuid(),
            request.document_ref,
            request.amount.currency().code(),
            request.amount.amount(),
            now
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// Requests of these accounts that no credit note has answered, the oldest first.
pub(crate) async fn open_requests(
    conn: &mut PgConnection,
    accounts: &[AccountId],
) -> Result<Vec<Request>, Failure> {
    let ids: Vec<Uuid> = accounts.iter().map(|id| id.as_uuid()).collect();
    let rows = sqlx::query!(
        r#"select r.credit_request_id, r.case_id, d.case_ref, r.account_id, r.document_id, r.document_ref, r.currency,
           r.amount - r.given as "amount!"
         from disputes.credit_request r join disputes.dispute d using (case_id)
         where r.account_id = any($1) and r.state = 'open' order by r.requested_at, r.credit_request_id"#,
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Request {
                id: row.credit_request_id.into(),
                case: row.case_id.into(),
                case_ref: row.case_ref,
                account: row.account_id.into(),
                document: row.document_id.into(),
                document_ref: row.document_ref,
                amount: money(row.amount, &row.currency)?,
            })
        })
        .collect()
}

/// What a credit note gives of a request, and whether nothing is missing then.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) request: CreditRequestId,
    pub(crate) given: Money,
    pub(crate) done: bool,
    /// The credit note's reference.
    pub(crate) by: String,
}

pub(crate) async fn answer_requests(
    conn: &mut PgConnection,
    answers: &[Answer],
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    // One after the other: two credit notes of a batch may answer one request.
    for answer in answers {
        sqlx::query!(
            "update disputes.credit_request set given = given + $2, answered_by = $3,
               state = case when $4 then $6 else state end, answered_at = case when $4 then $5::timestamptz end
             where credit_request_id = $1 and state = 'open'",
            answer.request.as_uuid(),
            answer.given.amount(),
            answer.by,
            answer.done,
            now,
            CreditState::Answered.name()
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

pub(crate) async fn cancel_requests(
    conn: &mut PgConnection,
    case: CaseId,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    sqlx::query!(
        "update disputes.credit_request set state = $3, answered_at = $2 where case_id = $1 and state = 'open'",
        case.as_uuid(),
        now,
        CreditState::Cancelled.name()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Two cases belong together.
pub(crate) async fn link(
    conn: &mut PgConnection,
    case: CaseId,
    other: CaseId,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into disputes.link (case_id, other_id) values ($1, $2), ($2, $1) on conflict do nothing",
        case.as_uuid(),
        other.as_uuid()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Rejected cases that nobody paid and that were settled before this moment.
pub(crate) async fn settled_before(
    conn: &mut PgConnection,
    before: DateTime<Utc>,
    rows: i64,
) -> Result<Vec<CaseId>, Failure> {
    let found = sqlx::query_scalar!(
        "select d.case_id from disputes.dispute d where d.state = 'resolved' and d.since < $1 and not exists (
           select from disputes.part p where p.case_id = d.case_id and p.credit_due > 0)
         order by d.since limit $2",
        before,
        rows
    )
    .fetch_all(conn)
    .await?;
    Ok(found.into_iter().map(CaseId::from).collect())
}
