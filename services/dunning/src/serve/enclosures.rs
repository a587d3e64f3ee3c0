//! Official forms that go with letters: uploaded by one person, published by another
//! as an edition of its own.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::NaiveDate;
use contracts::api::{
    Page, Refusal,
    dunning::{
        DraftEnclosure, EditionKind, EditionState, EnclosureEdition, EnclosureFile, EnclosureRow,
        FetchEnclosure, ListEnclosures,
    },
};
use kernel::london_date;
use messaging::{Bus, Failure};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;

use super::{
    act::{Act, wrong},
    editions::{draft, no_edition, pick, views},
    text,
};
use crate::{
    domain::{
        edition::{Edition, in_force},
        enclosures::{self, Form},
    },
    store::{self, templates::File},
};

const KIND: EditionKind = EditionKind::Enclosure;
const PDF: &str = "application/pdf";
/// Letters of a file's name.
const NAME_MAX: usize = 200;

fn of_file<'e>(one: &'e Edition, field: &str) -> &'e str {
    one.body
        .get(field)
        .and_then(|value| value.as_str())
        .unwrap_or_default()
}

async fn row(
    conn: &mut PgConnection,
    form: &Form,
    today: NaiveDate,
) -> Result<EnclosureRow, Failure> {
    let known = store::editions::of(conn, KIND, &form.name, false).await?;
    let editions = views(&known, today)
        .into_iter()
        .zip(&known)
        .map(|(edition, one)| EnclosureEdition {
            edition,
            file_name: of_file(one, "file_name").to_owned(),
            sha256: of_file(one, "file_sha256").to_owned(),
            bytes: one
                .body
                .get("bytes")
                .and_then(serde_json::Value::as_i64)
                .unwrap_or_default(),
        })
        .collect();
    Ok(EnclosureRow {
        enclosure: form.name.clone(),
        title: form.title.clone(),
        sources: enclosures::asked_by(&form.name)
            .map(|row| row.source.clone())
            .collect(),
        version: in_force(&known, today),
        editions,
    })
}

pub(crate) async fn list_enclosures(
    _: ListEnclosures,
    bus: Bus,
) -> Result<Page<EnclosureRow>, Refusal> {
    let today = london_date(bus.now());
    let mut tx = bus.begin().await?;
    let mut items = Vec::new();
    for form in enclosures::forms() {
        items.push(row(tx.conn(), form, today).await?);
    }
    Ok(Page {
        items,
        next_cursor: None,
    })
}

fn form(name: &str) -> Result<&'static Form, Failure> {
    enclosures::form(name).ok_or_else(|| no_edition(KIND, name, None))
}

pub(crate) async fn draft_enclosure(
    ask: DraftEnclosure,
    bus: Bus,
) -> Result<EnclosureRow, Refusal> {
    let form = form(&ask.enclosure)?;
    let reason = text(&ask.reason, "/reason")?;
    let file_name = ask.file_name.trim();
    if file_name.is_empty() || file_name.chars().count() > NAME_MAX {
        return Err(wrong("/file", "a file with a name of at most 200 characters").into());
    }
    let bytes = BASE64_STANDARD
        .decode(&ask.base64)
        .map_err(|_| wrong("/file", "the file is not base64"))?;
    if bytes.is_empty() || bytes.len() > DraftEnclosure::MAX_BYTES {
        let most = DraftEnclosure::MAX_BYTES / 1000;
        return Err(wrong(
            "/file",
            &format!("more than nothing, and at most {most} kB"),
        )
        .into());
    }
    let sha256 = hex::encode(Sha256::digest(&bytes));
    if !ask.sha256.trim().eq_ignore_ascii_case(&sha256) {
        let detail = format!("the file that came has the SHA-256 {sha256}: send it again");
        return Err(wrong("/sha256", &detail).into());
    }
    if !bytes.starts_with(b"%PDF-") {
        return Err(wrong("/file", "a PDF, whatever the file is called").into());
    }
    if let Some(mut act) = Act::begin(&bus, ask.command_id).await? {
        let valid_from = ask.valid_from.unwrap_or(act.today);
        if valid_from < act.today {
            return Err(wrong("/valid_from", "not before today").into());
        }
        let (now, id) = (act.now, act.cause.id);
        let conn = act.tx.conn();
        let known = store::editions::of(conn, KIND, &form.name, true).await?;
        let version = known.first().map_or(1, |newest| newest.version + 1);
        let file = File {
            sha256: &sha256,
            media_type: PDF,
            bytes: &bytes,
        };
        store::templates::archive(conn, &[file], now).await?;
        let body = json!({
            "legal": "enclosure",
            "file_name": file_name,
            "file_sha256": sha256,
            "bytes": bytes.len(),
        });
        let new = Edition {
            id,
            kind: KIND,
            name: form.name.clone(),
            version,
            state: EditionState::Draft,
            title: form.title.clone(),
            valid_from,
            sha256: store::editions::sha256(&body),
            body,
            source: String::new(),
            drafted_by: ask.person.actor.clone(),
            drafted_at: now,
            reason: reason.clone(),
            approval: None,
            decided_by: None,
            decided_at: None,
            decision: None,
        };
        draft(&mut act, known, &new, &reason, &ask.person).await?;
        act.finish(&bus).await?;
    }
    let today = london_date(bus.now());
    let mut tx = bus.begin().await?;
    Ok(row(tx.conn(), form, today).await?)
}

pub(crate) async fn fetch_enclosure(
    ask: FetchEnclosure,
    bus: Bus,
) -> Result<EnclosureFile, Refusal> {
    let form = form(&ask.enclosure)?;
    let mut tx = bus.begin().await?;
    let known = store::editions::of(tx.conn(), KIND, &form.name, false).await?;
    let one = pick(&known, KIND, &form.name, ask.version)?;
    let sha256 = of_file(one, "file_sha256").to_owned();
    let bytes = store::enclosures::file(tx.conn(), &sha256)
        .await?
        .ok_or_else(|| no_edition(KIND, &form.name, ask.version))?;
    Ok(EnclosureFile {
        file_name: of_file(one, "file_name").to_owned(),
        media_type: PDF.to_owned(),
        base64: BASE64_STANDARD.encode(bytes),
        sha256,
    })
}
