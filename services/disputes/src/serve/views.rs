//! Cases as people see them.

use chrono::{DateTime, Days, TimeDelta, Utc};
use contracts::api::{
    Page, Refusal,
    disputes::{
        CaseCounts, CaseDetail, CaseItemView, CaseKey, CaseQueue, CaseView, CountCases, Feedback,
        GetCase, GetFeedback, GetTaxonomy, ListCases, ProposalView, ReasonView, RootCauseView,
        Taxonomy,
    },
};
use contracts::disputes::CaseId;
use kernel::{Money, london_date};
use messaging::{Bus, Failure};
use sqlx::PgConnection;
use uuid::Uuid;

use super::no_case;
use crate::{
    domain::policy::Policy,
    store::{self, views::Filter},
};

const SEARCH_MAX: usize = 100;

fn cursor(text: Option<&str>) -> Result<Option<Uuid>, Failure> {
    text.map(Uuid::parse_str).transpose().map_err(|e| {
        Failure::permanent("disputes.bad_cursor", "the cursor is not one of ours")
            .at("/cursor", e.to_string())
    })
}

/// What was typed, trimmed and bounded.
fn typed(text: Option<&String>) -> Option<String> {
    text.map(|text| text.trim().chars().take(SEARCH_MAX).collect::<String>())
        .filter(|text| !text.is_empty())
}

pub(crate) async fn list_cases(ask: ListCases, bus: Bus) -> Result<Page<CaseView>, Refusal> {
    let now = bus.now();
    let rows = ask.page.rows();
    let filter = Filter {
        case: None,
        queue: Some(ask.queue.unwrap_or(CaseQueue::Open)),
        kind: ask.kind,
        account: ask.account_id,
        document: ask.document_id,
        reason_code: typed(ask.reason_code.as_ref()),
        department: typed(ask.department.as_ref()),
        who: typed(ask.who.as_ref()),
        search: typed(ask.search.as_ref()),
        after: cursor(ask.page.cursor.as_deref())?,
        rows: rows + 1,
    };
    let mut tx = bus.begin().await?;
    let mut items = store::views::list(tx.conn(), &filter, now).await?;
    let more = items.len() as i64 > rows;
    items.truncate(usize::try_from(rows).unwrap_or(usize::MAX));
    let policy = Policy::on(london_date(now));
    for case in &mut items {
        say(case, &policy);
    }
    let next_cursor = more
        .then(|| items.last().map(|case| case.case_id.to_string()))
        .flatten();
    Ok(Page { items, next_cursor })
}

/// Puts the reason in words.
fn say(case: &mut CaseView, policy: &Policy) {
    case.reason = case.reason_code.as_ref().map(|code| {
        policy
            .reason(code)
            .map_or_else(|| code.clone(), |reason| reason.words.to_owned())
    });
}

pub(crate) async fn get_case(ask: GetCase, bus: Bus) -> Result<CaseDetail, Refusal> {
    let mut tx = bus.look().await?;
    let id = match ask.case {
        CaseKey::Id(id) => id,
        CaseKey::Ref(case_ref) => store::views::by_ref(tx.conn(), case_ref.trim())
            .await?
            .ok_or_else(|| no_case(&case_ref))?,
    };
    Ok(detail(tx.conn(), id, bus.now()).await?)
}

/// A case with all that is known of it.
pub(crate) async fn detail(
    conn: &mut PgConnection,
    id: CaseId,
    now: DateTime<Utc>,
) -> Result<CaseDetail, Failure> {
    let filter = Filter {
        case: Some(id),
        rows: 1,
        ..Filter::default()
    };
    let mut view = store::views::list(conn, &filter, now)
        .await?
        .pop()
        .ok_or_else(|| no_case(id))?;
    let case = store::cases::look_at(conn, id)
        .await?
        .ok_or_else(|| no_case(id))?;
    say(&mut view, &Policy::on(london_date(now)));
    let documents: Vec<_> = case.parts.iter().map(|part| part.document).collect();
    let known = store::items::look_at(conn, &documents).await?;
    let mut items = Vec::with_capacity(case.parts.len());
    for part in &case.parts {
        let open = known
            .get(&part.document)
            .map_or(Ok(Money::zero(case.currency)), |known| {
                known.standing.open()
            })
            .map_err(Failure::of)?;
        items.push(CaseItemView {
            item: case.item(part),
            in_question: part.disputed,
            released: part.released,
            credit_due: part.credit_due,
            open,
            lines: part.lines.clone(),
        });
    }
    Ok(CaseDetail {
        case: view,
        items,
        root_cause: case.root_cause,
        preventable: case.preventable,
        origin: case.origin.name().to_owned(),
        cause: case.cause,
        related: case.related,
        proposal: case.proposal.map(|proposal| ProposalView {
            approval: proposal.approval,
            resolution: proposal.resolution,
            credits: proposal.credits,
            words: proposal.words,
            by: proposal.by,
            at: proposal.at,
        }),
        credits: store::views::credits(conn, id).await?,
        evidence: store::evidence::list(conn, id).await?,
        nudges: store::views::nudges(conn, id).await?,
        links: store::views::links(conn, id).await?,
        history: store::views::history(conn, id).await?,
    })
}

pub(crate) async fn count_cases(ask: CountCases, bus: Bus) -> Result<CaseCounts, Refusal> {
    let who = typed(ask.who.as_ref());
    let mut tx = bus.begin().await?;
    Ok(CaseCounts {
        queues: store::reports::counts(tx.conn(), who.as_deref()).await?,
    })
}

pub(crate) async fn get_taxonomy(_: GetTaxonomy, bus: Bus) -> Result<Taxonomy, Refusal> {
    let policy = Policy::on(london_date(bus.now()));
    Ok(Taxonomy {
        reasons: policy
            .reasons
            .iter()
            .map(|reason| ReasonView {
                code: reason.code.to_owned(),
                words: reason.words.to_owned(),
                kind: reason.kind,
                department: reason.department.to_owned(),
            })
            .collect(),
        root_causes: policy
            .root_causes
            .iter()
            .map(|cause| RootCauseView {
                code: cause.code.to_owned(),
                words: cause.words.to_owned(),
                preventable: cause.preventable,
            })
            .collect(),
        departments: policy.departments(),
    })
}

/// Days of the report when nobody says which.
const FEEDBACK_DAYS: TimeDelta = TimeDelta::days(90);

pub(crate) async fn get_feedback(ask: GetFeedback, bus: Bus) -> Result<Feedback, Refusal> {
    let now = bus.now();
    let midnight = |day: chrono::NaiveDate| {
        // Noon of the London day names the day; its midnight begins it.
        kernel::london_midnight(
            day.and_time(chrono::NaiveTime::MIN).and_utc() + TimeDelta::hours(12),
        )
    };
    let from = ask
        .from
        .map_or(kernel::london_midnight(now - FEEDBACK_DAYS), midnight);
    let to = ask
        .to
        .and_then(|day| day.checked_add_days(Days::new(1)))
        .map_or(now + TimeDelta::seconds(1), midnight);
    let policy = Policy::on(london_date(now));
    let mut tx = bus.begin().await?;
    let mut rows = store::reports::feedback(tx.conn(), from, to, now).await?;
    for row in &mut rows {
        row.reason = row
            .reason_code
            .as_deref()
            .and_then(|code| policy.reason(code))
            .map(|reason| reason.words.to_owned());
        if let Some(cause) = row.root_cause.as_deref().and_then(|c| policy.root_cause(c)) {
            row.root_cause = Some(cause.words.to_owned());
        }
    }
    Ok(Feedback { rows })
}
