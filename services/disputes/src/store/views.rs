//! Cases as people see them.

use chrono::{DateTime, Utc};
use contracts::{
    api::disputes::{
        CaseLink, CaseQueue, CaseView, CreditRequestView, CreditState, NudgeMail, SentNudge,
        StepView,
    },
    disputes::{CaseId, CaseKind, CaseState, Resolution},
};
use kernel::{AccountId, DocumentId};
use messaging::Failure;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{known, money, pattern};
use crate::domain::words::ERASED;

/// Which cases a list shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) case: Option<CaseId>,
    pub(crate) queue: Option<CaseQueue>,
    pub(crate) kind: Option<CaseKind>,
    pub(crate) account: Option<AccountId>,
    pub(crate) document: Option<DocumentId>,
    pub(crate) reason_code: Option<String>,
    pub(crate) department: Option<String>,
    pub(crate) who: Option<String>,
    pub(crate) search: Option<String>,
    pub(crate) after: Option<Uuid>,
    pub(crate) rows: i64,
}

/// The states of a queue; `None` is all of them.
pub(crate) fn states(queue: CaseQueue) -> Option<Vec<String>> {
    let states: &[CaseState] = match queue {
        CaseQueue::All => return None,
        CaseQueue::Open => {
            return Some(
                CaseState::ALL
                    .iter()
                    .filter(|state| **state != CaseState::Closed)
                    .map(|state| state.name().to_owned())
                    .collect(),
            );
        }
        CaseQueue::Suspected => &[CaseState::Suspected],
        CaseQueue::New => &[CaseState::Confirmed],
        CaseQueue::Working => &[CaseState::Assigned],
        CaseQueue::AwaitingInternal => &[CaseState::AwaitingInternal],
        CaseQueue::AwaitingCustomer => &[CaseState::AwaitingCustomer],
        CaseQueue::Proposed => &[CaseState::Proposed],
        CaseQueue::Resolved => &[CaseState::Resolved],
        CaseQueue::Closed => &[CaseState::Closed],
    };
    Some(states.iter().map(|state| state.name().to_owned()).collect())
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
    account_name: String,
    currency: String,
    reason_code: Option<String>,
    department: Option<String>,
    coordinator: Option<String>,
    processor: Option<String>,
    responsible: Option<String>,
    awaiting: Option<String>,
    resolution: Option<String>,
    under_protest: bool,
    closed_at: Option<DateTime<Utc>>,
    documents: Vec<String>,
    items: i64,
    in_question: Decimal,
    nudged: Option<String>,
    nudged_at: Option<DateTime<Utc>>,
}

/// A page of cases, the newest first. Reasons are put in words by the caller.
pub(crate) async fn list(
    conn: &mut PgConnection,
    filter: &Filter,
    now: DateTime<Utc>,
) -> Result<Vec<CaseView>, Failure> {
    let states = filter.queue.and_then(states);
    let search = filter.search.as_deref().map(pattern);
    let rows = sqlx::query_as!(
        Row,
        r#"select d.case_id, d.case_ref, d.version, d.kind, d.state, d.since, d.raised_at, d.account_id, d.account_ref,
             coalesce(a.name, d.account_ref) as "account_name!", d.currency, d.reason_code, d.department,
             d.coordinator, d.processor, d.responsible, d.awaiting, d.resolution, d.under_protest, d.closed_at,
             p.documents as "documents!", p.items as "items!", p.in_question as "in_question!",
             n.stakeholder as "nudged?", n.asked_at as "nudged_at?"
           from disputes.dispute d
           left join disputes.account a using (account_id)
           cross join lateral (
             select coalesce((array_agg(p.document_ref order by p.due_on, p.document_ref))[1:5], '{}') as documents,
               count(*) as items, coalesce(sum(p.disputed), 0) as in_question
             from disputes.part p where p.case_id = d.case_id) p
           left join lateral (
             select n.stakeholder, n.asked_at from disputes.nudge n where n.case_id = d.case_id
             order by n.asked_at desc limit 1) n on true
           where ($1::uuid is null or d.case_id = $1)
             and ($2::text[] is null or d.state = any($2))
             and ($3::text is null or d.kind = $3)
             and ($4::uuid is null or d.account_id = $4)
             and ($5::uuid is null or exists (
               select from disputes.part q where q.case_id = d.case_id and q.document_id = $5))
             and ($6::text is null or d.reason_code = $6)
             and ($7::text is null or d.department = $7)
             and ($8::text is null or $8 in (d.coordinator, d.processor, d.responsible))
             and ($9::text is null or d.case_ref ilike $9 or d.account_ref ilike $9 or a.name ilike $9 or exists (
               select from disputes.part q where q.case_id = d.case_id and q.document_ref ilike $9))
             and ($10::uuid is null or d.case_id < $10)
           order by d.case_id desc limit $11"#,
        filter.case.map(CaseId::as_uuid),
        states.as_deref(),
        filter.kind.map(CaseKind::name),
        filter.account.map(AccountId::as_uuid),
        filter.document.map(DocumentId::as_uuid),
        filter.reason_code,
        filter.department,
        filter.who,
        search,
        filter.after,
        filter.rows
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| view(row, now)).collect()
}

fn view(row: Row, now: DateTime<Utc>) -> Result<CaseView, Failure> {
    let kind = known(CaseKind::named(&row.kind), &row.kind)?;
    let state = known(CaseState::named(&row.state), &row.state)?;
    let in_question = money(row.in_question, &row.currency)?;
    let holds =
        kind != CaseKind::Complaint && !matches!(state, CaseState::Suspected | CaseState::Closed);
    let disputed = if holds {
        in_question
    } else {
        money(Decimal::ZERO, &row.currency)?
    };
    let until = row.closed_at.unwrap_or(now);
    Ok(CaseView {
        case_id: row.case_id.into(),
        version: row.version,
        case_ref: row.case_ref,
        kind,
        state,
        since: row.since,
        raised_at: row.raised_at,
        account_id: row.account_id.into(),
        account_ref: row.account_ref,
        account_name: row.account_name,
        documents: row.documents,
        items: row.items,
        disputed,
        in_question,
        reason_code: row.reason_code,
        reason: None,
        department: row.department,
        coordinator: row.coordinator,
        processor: row.processor,
        responsible: row.responsible,
        awaiting: row.awaiting,
        resolution: row
            .resolution
            .map(|name| known(Resolution::named(&name), &name))
            .transpose()?,
        under_protest: row.under_protest,
        nudged: row.nudged,
        nudged_at: row.nudged_at,
        age_days: (until - row.raised_at).num_days().max(0),
    })
}

/// The id of a reference.
pub(crate) async fn by_ref(
    conn: &mut PgConnection,
    case_ref: &str,
) -> Result<Option<CaseId>, Failure> {
    let found = sqlx::query_scalar!(
        "select case_id from disputes.dispute where case_ref = upper($1)",
        case_ref
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.map(CaseId::from))
}

/// What happened, the oldest first. The newest thousand at most.
pub(crate) async fn history(
    conn: &mut PgConnection,
    case: CaseId,
) -> Result<Vec<StepView>, Failure> {
    let rows = sqlx::query!(
        r#"select s.version, s.step, s.from_state, s.to_state, s.recorded_at,
             case when w.case_id is null then s.detail else coalesce(w.text, $2) end as "detail!",
             case when n.nudge_id is null then s.actor else 'link:' || n.stakeholder end as "actor!"
           from disputes.step s
           left join disputes.words w on w.case_id = s.case_id and w.version = s.version
           left join disputes.nudge n on n.case_id = s.case_id and s.actor = 'link:' || n.nudge_id
           where s.case_id = $1 order by s.version desc limit 1000"#,
        case.as_uuid(),
        ERASED
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .rev()
        .map(|row| {
            Ok(StepView {
                version: row.version,
                step: row.step,
                from: row
                    .from_state
                    .map(|name| known(CaseState::named(&name), &name))
                    .transpose()?,
                to: known(CaseState::named(&row.to_state), &row.to_state)?,
                detail: row.detail,
                actor: row.actor,
                at: row.recorded_at,
            })
        })
        .collect()
}

pub(crate) async fn credits(
    conn: &mut PgConnection,
    case: CaseId,
) -> Result<Vec<CreditRequestView>, Failure> {
    let rows = sqlx::query!(
        "select credit_request_id, document_id, document_ref, currency, amount, state, requested_at, answered_at,
           answered_by
         from disputes.credit_request where case_id = $1 order by requested_at, document_ref",
        case.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(CreditRequestView {
                credit_request_id: row.credit_request_id.into(),
                document_id: row.document_id.into(),
                document_ref: row.document_ref,
                amount: money(row.amount, &row.currency)?,
                state: known(CreditState::named(&row.state), &row.state)?,
                requested_at: row.requested_at,
                answered_at: row.answered_at,
                answered_by: row.answered_by,
            })
        })
        .collect()
}

pub(crate) async fn nudges(
    conn: &mut PgConnection,
    case: CaseId,
) -> Result<Vec<SentNudge>, Failure> {
    let rows = sqlx::query!(
        "select stakeholder, question, asked_by, asked_at, expires_at, comments, email, mail_state
         from disputes.nudge where case_id = $1 order by asked_at limit 500",
        case.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| SentNudge {
            stakeholder: row.stakeholder,
            question: row.question,
            by: row.asked_by,
            at: row.asked_at,
            expires_at: row.expires_at,
            comments: row.comments,
            email: row.email,
            mail: row.mail_state.as_deref().and_then(NudgeMail::named),
        })
        .collect())
}

pub(crate) async fn links(conn: &mut PgConnection, case: CaseId) -> Result<Vec<CaseLink>, Failure> {
    let rows = sqlx::query!(
        "select d.case_id, d.case_ref, d.kind, d.state from disputes.link l
           join disputes.dispute d on d.case_id = l.other_id
         where l.case_id = $1 order by d.case_id limit 100",
        case.as_uuid()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(CaseLink {
                case_id: row.case_id.into(),
                case_ref: row.case_ref,
                kind: known(CaseKind::named(&row.kind), &row.kind)?,
                state: known(CaseState::named(&row.state), &row.state)?,
            })
        })
        .collect()
}

/// The name of an account, if it is known.
pub(crate) async fn account(
    conn: &mut PgConnection,
    account: AccountId,
) -> Result<Option<(String, String)>, Failure> {
    let row = sqlx::query!(
        "select account_ref, name from disputes.account where account_id = $1",
        account.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.account_ref, row.name)))
}
