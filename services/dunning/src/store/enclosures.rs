//! Official forms that are in force, and what went with contacts.

use chrono::NaiveDate;
use messaging::Failure;
use sqlx::PgConnection;
use uuid::Uuid;

use super::contacts::Written;

/// The forms of which an edition is published, each with its first day.
pub(crate) async fn published(
    conn: &mut PgConnection,
) -> Result<Vec<(String, NaiveDate)>, Failure> {
    let rows = sqlx::query!(
        r#"select name, min(valid_from) as "valid_from!" from dunning.edition
           where kind = 'enclosure' and state = 'published' group by name order by name"#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.name, row.valid_from))
        .collect())
}

/// What goes with a letter: a form that is in force, or what was made for it.
#[derive(Debug, Clone)]
pub(crate) struct Enclosed {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) version: Option<i32>,
    pub(crate) sha256: String,
    pub(crate) bytes: Vec<u8>,
}

/// The editions of these forms that are in force on a day, in the order of the names.
pub(crate) async fn in_force(
    conn: &mut PgConnection,
    names: &[String],
    day: NaiveDate,
) -> Result<Vec<Enclosed>, Failure> {
    Ok(sqlx::query_as!(
        Enclosed,
        r#"select e.name, e.title, e.version as "version?", a.sha256, a.bytes
           from unnest($1::text[]) with ordinality n (name, place)
           join lateral (
             select name, title, version, body->>'file_sha256' as file from dunning.edition
             where kind = 'enclosure' and state = 'published' and name = n.name and valid_from <= $2
             order by version desc limit 1) e on true
           join dunning.archive a on a.sha256 = e.file
           order by n.place"#,
        names,
        day
    )
    .fetch_all(conn)
    .await?)
}

/// A file by its hash.
pub(crate) async fn file(
    conn: &mut PgConnection,
    sha256: &str,
) -> Result<Option<Vec<u8>>, Failure> {
    Ok(sqlx::query_scalar!(
        "select bytes from dunning.archive where sha256 = $1",
        sha256
    )
    .fetch_optional(conn)
    .await?)
}

/// Writes what went with contacts.
pub(crate) async fn put(conn: &mut PgConnection, all: &[Written]) -> Result<(), Failure> {
    let with: Vec<(Uuid, i16, &Enclosed)> = all
        .iter()
        .flat_map(|one| {
            let contact = one.event.contact_id.as_uuid();
            (0..)
                .zip(&one.enclosed)
                .map(move |(place, with)| (contact, place, with))
        })
        .collect();
    if with.is_empty() {
        return Ok(());
    }
    fn of<T>(with: &[(Uuid, i16, &Enclosed)], get: impl Fn(&Enclosed) -> T) -> Vec<T> {
        with.iter().map(|(.., one)| get(one)).collect()
    }
    let contacts: Vec<Uuid> = with.iter().map(|(contact, ..)| *contact).collect();
    let places: Vec<i16> = with.iter().map(|(_, place, _)| *place).collect();
    sqlx::query!(
        "insert into dunning.contact_enclosure (contact_id, place, name, title, version, sha256)
         select * from unnest($1::uuid[], $2::smallint[], $3::text[], $4::text[], $5::integer[], $6::text[])",
        &contacts,
        &places,
        &of(&with, |one| one.name.clone()),
        &of(&with, |one| one.title.clone()),
        &of(&with, |one| one.version) as &[Option<i32>],
        &of(&with, |one| one.sha256.clone())
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What went with a contact, without its bytes.
#[derive(Debug, Clone)]
pub(crate) struct With {
    pub(crate) contact_id: Uuid,
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) version: Option<i32>,
    pub(crate) sha256: String,
}

/// Of contacts, in the order in which it was enclosed.
pub(crate) async fn of_contacts(
    conn: &mut PgConnection,
    contacts: &[Uuid],
) -> Result<Vec<With>, Failure> {
    Ok(sqlx::query_as!(
        With,
        "select contact_id, name, title, version, sha256 from dunning.contact_enclosure
         where contact_id = any($1) order by contact_id, place",
        contacts
    )
    .fetch_all(conn)
    .await?)
}
