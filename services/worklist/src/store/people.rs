//! People, absences, covers and portfolios.

use chrono::NaiveDate;
use contracts::{
    api::worklist::CoverView,
    worklist::{Absence, AbsenceId, CoverDigest, CoverId, CoverState, Person, PortfolioRule},
};
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{read, written};
use crate::domain::owner::{Cover, Staff};

/// Everybody, whose accounts are whose, and who covers for whom now.
pub(crate) async fn staff(conn: &mut PgConnection, today: NaiveDate) -> Result<Staff, Failure> {
    let mut people = sqlx::query_scalar!("select body from worklist.person order by actor")
        .fetch_all(&mut *conn)
        .await?
        .into_iter()
        .map(read::<Person>)
        .collect::<Result<Vec<_>, _>>()?;
    let absences = sqlx::query!(
        "select absence_id, actor, from_on, to_on, reason from worklist.absence where not cancelled \
         and to_on >= $1 order by from_on",
        today
    )
    .fetch_all(&mut *conn)
    .await?;
    for row in absences {
        if let Some(person) = people.iter_mut().find(|person| person.actor == row.actor) {
            person.absences.push(Absence {
                absence_id: row.absence_id.into(),
                from: row.from_on,
                to: row.to_on,
                reason: row.reason,
            });
        }
    }
    let rules = rules(conn, None).await?;
    let covers = sqlx::query!(
        "select cover_id, owner, covered_by from worklist.cover where state = 'active' order by begun_at, cover_id"
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(|row| Cover {
        id: row.cover_id.into(),
        owner: row.owner,
        covered_by: row.covered_by,
    })
    .collect();
    Ok(Staff {
        people,
        rules,
        covers,
    })
}

pub(crate) async fn put_person(conn: &mut PgConnection, person: &Person) -> Result<(), Failure> {
    // Absences have rows of their own.
    let body = Person {
        absences: Vec::new(),
        ..person.clone()
    };
    sqlx::query!(
        "insert into worklist.person (actor, version, body) values ($1, $2, $3) \
         on conflict (actor) do update set version = excluded.version, body = excluded.body",
        person.actor,
        person.version,
        written(&body)?
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Locks what commands about people change, so that two are one after another.
pub(crate) async fn lock(conn: &mut PgConnection) -> Result<(), Failure> {
    sqlx::query!("select pg_advisory_xact_lock(hashtext('worklist people'))")
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn put_absence(
    conn: &mut PgConnection,
    actor: &str,
    absence: &Absence,
) -> Result<(), Failure> {
    sqlx::query!(
        "insert into worklist.absence (absence_id, actor, from_on, to_on, reason) values ($1, $2, $3, $4, $5)",
        absence.absence_id.as_uuid(),
        actor,
        absence.from,
        absence.to,
        absence.reason
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn cancel_absence(conn: &mut PgConnection, id: AbsenceId) -> Result<(), Failure> {
    sqlx::query!(
        "update worklist.absence set cancelled = true where absence_id = $1",
        id.as_uuid()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A cover as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct StoredCover {
    pub cover_id: CoverId,
    pub version: i64,
    pub owner: String,
    pub covered_by: String,
    pub absence_id: Option<AbsenceId>,
    pub from: NaiveDate,
    pub to: NaiveDate,
    pub state: CoverState,
    pub reason: String,
    pub begun_at: Option<chrono::DateTime<chrono::Utc>>,
    pub ended_at: Option<chrono::DateTime<chrono::Utc>>,
    pub moved: i64,
    pub digest: Option<CoverDigest>,
}

impl StoredCover {
    pub(crate) fn view(&self) -> CoverView {
        CoverView {
            cover_id: self.cover_id,
            owner: self.owner.clone(),
            covered_by: self.covered_by.clone(),
            from: self.from,
            to: self.to,
            state: self.state,
            digest: self.digest.clone(),
            reason: self.reason.clone(),
        }
    }
}

/// Covers whose day has come: to begin or to end; or one by its id. Locked.
pub(crate) async fn covers(
    conn: &mut PgConnection,
    one: Option<CoverId>,
    due_on: Option<NaiveDate>,
) -> Result<Vec<StoredCover>, Failure> {
    let rows = sqlx::query!(
        "select * from worklist.cover where ($1::uuid is null or cover_id = $1) \
         and ($2::date is null or (state = 'planned' and from_on <= $2) or (state = 'active' and to_on < $2)) \
         order by from_on desc, cover_id limit 200 for update",
        one.map(CoverId::as_uuid),
        due_on
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(StoredCover {
                cover_id: row.cover_id.into(),
                version: row.version,
                owner: row.owner,
                covered_by: row.covered_by,
                absence_id: row.absence_id.map(Into::into),
                from: row.from_on,
                to: row.to_on,
                state: CoverState::named(&row.state).unwrap_or(CoverState::Ended),
                reason: row.reason,
                begun_at: row.begun_at,
                ended_at: row.ended_at,
                moved: row.moved,
                digest: row.digest.map(read).transpose()?,
            })
        })
        .collect()
}

pub(crate) async fn put_cover(conn: &mut PgConnection, cover: &StoredCover) -> Result<(), Failure> {
    let digest = cover.digest.as_ref().map(written).transpose()?;
    sqlx::query!(
        "insert into worklist.cover (cover_id, version, owner, covered_by, absence_id, from_on, to_on, state, reason, \
           begun_at, ended_at, moved, digest) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
         on conflict (cover_id) do update set version = excluded.version, to_on = excluded.to_on, \
           state = excluded.state, begun_at = excluded.begun_at, ended_at = excluded.ended_at, \
           moved = excluded.moved, digest = excluded.digest",
        cover.cover_id.as_uuid(),
        cover.version,
        cover.owner,
        cover.covered_by,
        cover.absence_id.map(AbsenceId::as_uuid),
        cover.from,
        cover.to,
        cover.state.name(),
        cover.reason,
        cover.begun_at,
        cover.ended_at,
        cover.moved,
        digest
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What happened to an owner's items in a time: step, item and words.
pub(crate) async fn steps_between(
    conn: &mut PgConnection,
    owner: &str,
    from: chrono::DateTime<chrono::Utc>,
    limit: i64,
) -> Result<Vec<(String, String)>, Failure> {
    let rows = sqlx::query!(
        r#"select s.step, format('%s %s %s: %s', to_char(s.recorded_at at time zone 'Europe/London', 'DD Mon HH24:MI'),
               replace(i.kind, '_', ' '), i.subject_ref, replace(s.step, '_', ' ')
               || case when s.reason = '' then '' else ' – ' || s.reason end) as "words!"
           from worklist.work_item i join worklist.work_step s using (work_item_id)
           where i.owner = $1 and i.changed_at >= $2 and s.recorded_at >= $2
             and s.step not in ('moved')
           order by s.recorded_at desc limit $3"#,
        owner,
        from,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.step, row.words)).collect())
}

/// Portfolio rules in the order in which they were made.
pub(crate) async fn rules(
    conn: &mut PgConnection,
    owner: Option<&str>,
) -> Result<Vec<PortfolioRule>, Failure> {
    let rows = sqlx::query_scalar!(
        "select body from worklist.portfolio_rule where not ended and ($1::text is null or owner = $1) order by made",
        owner
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(read).collect()
}

pub(crate) async fn put_rule(conn: &mut PgConnection, rule: &PortfolioRule) -> Result<(), Failure> {
    sqlx::query!(
        "insert into worklist.portfolio_rule (rule_id, owner, body, ended) values ($1, $2, $3, $4) \
         on conflict (rule_id) do update set owner = excluded.owner, body = excluded.body, ended = excluded.ended",
        rule.rule_id,
        rule.owner,
        written(rule)?,
        rule.ended
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether it was done for that day or a later one.
pub(crate) async fn is_done(
    conn: &mut PgConnection,
    what: &str,
    today: NaiveDate,
) -> Result<bool, Failure> {
    let last = sqlx::query_scalar!("select done_on from worklist.daily where what = $1", what)
        .fetch_optional(conn)
        .await?;
    Ok(last.is_some_and(|last| last >= today))
}

/// Begins what is done once a day: `None` when it is done, else the day of the
/// last time. Others wait until the transaction ends.
pub(crate) async fn begin_day(
    conn: &mut PgConnection,
    what: &str,
    today: NaiveDate,
) -> Result<Option<Option<NaiveDate>>, Failure> {
    let last = sqlx::query_scalar!(
        "select done_on from worklist.daily where what = $1 for update",
        what
    )
    .fetch_optional(&mut *conn)
    .await?;
    if last.is_some_and(|last| last >= today) {
        return Ok(None);
    }
    sqlx::query!(
        "insert into worklist.daily (what, done_on) values ($1, $2) \
         on conflict (what) do update set done_on = excluded.done_on",
        what,
        today
    )
    .execute(conn)
    .await?;
    Ok(Some(last))
}

/// The work item of a subject, if there is one.
pub(crate) async fn about(
    conn: &mut PgConnection,
    subjects: &[Uuid],
) -> Result<Vec<(Uuid, Uuid)>, Failure> {
    let rows = sqlx::query!(
        "select subject_id, work_item_id from worklist.work_item where subject_id = any($1) and version > 0",
        subjects
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.subject_id, row.work_item_id))
        .collect())
}
