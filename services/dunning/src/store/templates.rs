//! Templates, as they were written.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use contracts::api::dunning::{EditionKind, EditionState};
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::{edition::Edition, template::Template};

/// Versions that are kept in mind.
const ALL_MAX: i64 = 5000;

/// Published templates, and which version each run takes.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    /// By name, the newest first.
    all: Vec<(Template, NaiveDate)>,
    of_runs: HashMap<Uuid, BTreeMap<String, i32>>,
    day: NaiveDate,
}

impl Templates {
    /// The version that is in force on the day.
    pub(crate) fn now(&self, name: &str) -> Option<&Template> {
        self.all
            .iter()
            .find(|(one, from)| one.template == name && *from <= self.day)
            .map(|(one, _)| one)
    }

    /// The version that a run took when it began; one that was not there yet, now.
    pub(crate) fn of_run(&self, run: Uuid, name: &str) -> Option<&Template> {
        let taken = self.of_runs.get(&run).and_then(|taken| taken.get(name));
        let taken = taken.and_then(|version| {
            let is =
                |one: &&(Template, NaiveDate)| one.0.template == name && one.0.version == *version;
            self.all.iter().find(is)
        });
        taken.map(|(one, _)| one).or_else(|| self.now(name))
    }
}

/// The published ones of the firm itself, as runs and a day see them.
pub(crate) async fn published(
    conn: &mut PgConnection,
    runs: &[Uuid],
    day: NaiveDate,
) -> Result<Templates, Failure> {
    let rows = sqlx::query!(
        "select body, valid_from from dunning.template where state = 'published' and principal = ''
         order by template, version desc limit $1",
        ALL_MAX
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        all.push((serde_json::from_value(row.body)?, row.valid_from));
    }
    let rows = sqlx::query!(
        "select run_id, templates from dunning.run where run_id = any($1)",
        runs
    )
    .fetch_all(conn)
    .await?;
    let mut of_runs = HashMap::new();
    for row in rows {
        of_runs.insert(row.run_id, serde_json::from_value(row.templates)?);
    }
    Ok(Templates { all, of_runs, day })
}

/// Those in force on a day.
pub(crate) async fn in_force(
    conn: &mut PgConnection,
    day: NaiveDate,
) -> Result<Vec<Template>, Failure> {
    let rows = sqlx::query_scalar!(
        "select distinct on (template) body from dunning.template
         where state = 'published' and principal = '' and valid_from <= $1 order by template, version desc",
        day
    )
    .fetch_all(conn)
    .await?;
    let read: Result<Vec<Template>, _> = rows.into_iter().map(serde_json::from_value).collect();
    Ok(read?)
}

/// A run takes the versions that are in force on its day, and keeps them.
pub(crate) async fn take(
    conn: &mut PgConnection,
    run: Uuid,
    day: NaiveDate,
) -> Result<(), Failure> {
    sqlx::query!(
        "update dunning.run set templates = coalesce((select jsonb_object_agg(template, version) from (
           select distinct on (template) template, version from dunning.template
           where state = 'published' and principal = '' and valid_from <= $2 order by template, version desc) newest), '{}')
         where run_id = $1",
        run,
        day
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes the built-in ones that are not there yet. A version that is there is
/// never written over.
pub(crate) async fn seed(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<(), Failure> {
    for template in Template::shipped().map_err(Failure::of)? {
        let body = serde_json::to_value(&template)?;
        let shipped = shipped(
            EditionKind::Template,
            &template.template,
            template.version,
            &template.title,
            body,
        );
        super::editions::seed(&mut *conn, &shipped, now).await?;
    }
    Ok(())
}

/// A version that the program comes with.
pub(super) fn shipped(
    kind: EditionKind,
    name: &str,
    version: i32,
    title: &str,
    body: serde_json::Value,
) -> Edition {
    let day = body
        .get("valid_from")
        .and_then(|day| day.as_str()?.parse().ok());
    Edition {
        id: Edition::shipped_id(kind, name, version),
        kind,
        name: name.to_owned(),
        version,
        state: EditionState::Published,
        title: title.to_owned(),
        valid_from: day.unwrap_or(FIRST),
        sha256: super::editions::sha256(&body),
        body,
        source: String::new(),
        drafted_by: "system:dunning".to_owned(),
        drafted_at: DateTime::UNIX_EPOCH,
        reason: "comes with the program".to_owned(),
        approval: None,
        decided_by: Some("system:dunning".to_owned()),
        decided_at: Some(DateTime::UNIX_EPOCH),
        decision: None,
    }
}

/// From when on built-in templates are in force.
const FIRST: NaiveDate = match NaiveDate::from_ymd_opt(2026, 1, 1) {
    Some(day) => day,
    None => NaiveDate::MIN,
};

/// Who a text is tried on.
pub(crate) struct Tried {
    pub(crate) account_id: Uuid,
    pub(crate) name: String,
    pub(crate) address: Option<String>,
}

pub(crate) async fn tried(
    conn: &mut PgConnection,
    account_ref: &str,
) -> Result<Option<Tried>, Failure> {
    Ok(sqlx::query_as!(
        Tried,
        "select account_id, name, address from dunning.account where account_ref = $1",
        account_ref
    )
    .fetch_optional(conn)
    .await?)
}

/// A file as it is kept.
pub(crate) struct File<'a> {
    pub(crate) sha256: &'a str,
    pub(crate) media_type: &'static str,
    pub(crate) bytes: &'a [u8],
}

/// Keeps files by their hash.
pub(crate) async fn archive(
    conn: &mut PgConnection,
    files: &[File<'_>],
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let hashes: Vec<String> = files.iter().map(|file| file.sha256.to_owned()).collect();
    let types: Vec<String> = files
        .iter()
        .map(|file| file.media_type.to_owned())
        .collect();
    let bytes: Vec<&[u8]> = files.iter().map(|file| file.bytes).collect();
    sqlx::query!(
        "insert into dunning.archive (sha256, media_type, bytes, recorded_at)
         select sha256, media_type, bytes, $4 from unnest($1::text[], $2::text[], $3::bytea[]) w (sha256, media_type, bytes)
         order by sha256
         on conflict do nothing",
        &hashes,
        &types,
        &bytes as &[&[u8]],
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}
