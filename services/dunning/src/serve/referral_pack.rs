//! What a firm is handed: the account as it stands, the documents with what
//! moved on them, every contact with the proof that it was sent, what stood in
//! the way, and the working of interest.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use contracts::api::dunning::{GetLatePayment, GetStatement, Statement};
use kernel::london_date;
use messaging::{Bus, Failure};
use rust_decimal::Decimal;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{claims, statements};
use crate::{
    domain::{
        pack::{self, File, Pack},
        pre_action,
        referral::{Facts, Referral},
        template::Sender,
    },
    store::{self, accounts::Among, referral_history as history},
};

/// Bytes of enclosures that are put into a pack; the others are there by their hash.
const ENCLOSURES_MAX: i64 = 4_000_000;

fn file(name: &str, what: &str, bytes: Vec<u8>) -> File {
    File {
        name: name.to_owned(),
        what: what.to_owned(),
        bytes,
    }
}

fn day(day: NaiveDate) -> String {
    day.to_string()
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn text(value: Option<&str>) -> String {
    value.unwrap_or_default().to_owned()
}

fn amount(amount: Decimal) -> String {
    format!("{:.2}", amount.round_dp(2))
}

fn lines(statement: &Statement, referral: &Referral) -> Vec<u8> {
    let ids = referral.ids();
    let rows: Vec<Vec<String>> = statement
        .lines
        .iter()
        .map(|line| {
            vec![
                line.document_ref.clone(),
                text(line.matter_ref.as_deref()),
                day(line.issued_on),
                day(line.due_on),
                line.days_late.max(0).to_string(),
                amount(line.open.amount()),
                line.open.currency().code().to_owned(),
                if ids.contains(&line.document_id) {
                    "yes".to_owned()
                } else {
                    "no".to_owned()
                },
            ]
        })
        .collect();
    pack::table(
        &[
            "document",
            "matter",
            "issued_on",
            "due_on",
            "days_late",
            "open",
            "currency",
            "handed_over",
        ],
        &rows,
    )
}

/// The documents, and the lines of the ledger that moved them.
async fn documents(conn: &mut PgConnection, referral: &Referral) -> Result<[File; 2], Failure> {
    let ids = referral.ids();
    let billed = history::billed(conn, &ids).await?;
    let rows: Vec<Vec<String>> = billed
        .iter()
        .map(|one| {
            vec![
                one.document_ref.clone(),
                one.document_id.to_string(),
                text(one.matter_ref.as_deref()),
                day(one.issued_on),
                day(one.due_on),
                amount(one.gross),
                amount(one.gross - one.open),
                amount(one.open),
                one.currency.clone(),
            ]
        })
        .collect();
    let listed = pack::table(
        &[
            "document",
            "document_id",
            "matter",
            "issued_on",
            "due_on",
            "billed",
            "settled",
            "open",
            "currency",
        ],
        &rows,
    );
    let moved = history::moved(conn, &ids).await?;
    let name = |id| {
        let found = billed.iter().find(|one| one.document_id == id);
        found
            .map(|one| one.document_ref.clone())
            .unwrap_or_default()
    };
    let rows: Vec<Vec<String>> = moved
        .iter()
        .map(|one| {
            vec![
                name(one.document_id),
                day(one.effective_on),
                one.kind.clone(),
                amount(one.amount),
                one.line_id.to_string(),
                one.receipt_id.map(|id| id.to_string()).unwrap_or_default(),
                time(one.recorded_at),
            ]
        })
        .collect();
    let movements = pack::table(
        &[
            "document",
            "on",
            "kind",
            "amount",
            "ledger_line_id",
            "receipt_id",
            "recorded_at",
        ],
        &rows,
    );
    Ok([
        file(
            "documents.csv",
            "The documents that are handed over",
            listed,
        ),
        file(
            "movements.csv",
            "What was paid, credited or given up on them, by the lines of the ledger",
            movements,
        ),
    ])
}

/// Every contact, and what was sent, byte for byte.
async fn contacts(conn: &mut PgConnection, referral: &Referral) -> Result<Vec<File>, Failure> {
    let contacted = history::contacted(conn, referral.account).await?;
    let mut hashes: Vec<String> = contacted
        .iter()
        .filter_map(|one| one.content_sha256.clone())
        .collect();
    hashes.sort_unstable();
    hashes.dedup();
    let room = i64::try_from(pack::BYTES_MAX).unwrap_or(i64::MAX);
    let archived = history::archived(conn, &hashes, room).await?;
    let mut files = Vec::with_capacity(archived.len() + 1);
    for one in archived {
        let ending = match one.media_type.as_str() {
            "application/pdf" => "pdf",
            "message/rfc822" => "eml",
            _ => "txt",
        };
        files.push(file(
            &format!("letters/{}.{ending}", one.sha256),
            "What was sent, byte for byte; its name is its SHA-256",
            one.bytes,
        ));
    }
    let rows: Vec<Vec<String>> = contacted
        .iter()
        .map(|one| {
            let sha256 = text(one.content_sha256.as_deref());
            let enclosed = files.iter().find(|file| {
                !sha256.is_empty() && file.name.starts_with(&format!("letters/{sha256}."))
            });
            vec![
                time(one.at),
                one.direction.clone(),
                one.channel.clone(),
                one.state.clone(),
                text(one.stage.as_deref()),
                one.documents.join(" "),
                text(one.address.as_deref()),
                one.contact_id.to_string(),
                text(one.provider_reference.as_deref()),
                sha256.clone(),
                enclosed.map(|file| file.name.clone()).unwrap_or_default(),
                text(one.outcome.as_deref()),
                one.actor.clone(),
            ]
        })
        .collect();
    let ids: Vec<Uuid> = contacted.iter().map(|one| one.contact_id).collect();
    files.extend(enclosures(conn, &ids).await?);
    files.push(file(
        "contacts.csv",
        "Every contact, with the proof that it was sent",
        pack::table(
            &[
                "at",
                "direction",
                "channel",
                "state",
                "stage",
                "documents",
                "to",
                "contact_id",
                "provider_reference",
                "content_sha256",
                "file",
                "outcome",
                "by",
            ],
            &rows,
        ),
    ));
    Ok(files)
}

/// What went with the letters: each by its hash, and the forms themselves.
async fn enclosures(conn: &mut PgConnection, contacts: &[Uuid]) -> Result<Vec<File>, Failure> {
    let with = store::enclosures::of_contacts(conn, contacts).await?;
    if with.is_empty() {
        return Ok(Vec::new());
    }
    let mut hashes: Vec<String> = with.iter().map(|one| one.sha256.clone()).collect();
    hashes.sort_unstable();
    hashes.dedup();
    let mut files: Vec<File> = history::archived(conn, &hashes, ENCLOSURES_MAX)
        .await?
        .into_iter()
        .map(|one| {
            file(
                &format!("enclosures/{}.pdf", one.sha256),
                "What was enclosed with a letter; its name is its SHA-256",
                one.bytes,
            )
        })
        .collect();
    let rows: Vec<Vec<String>> = with
        .iter()
        .map(|one| {
            vec![
                one.contact_id.to_string(),
                one.name.clone(),
                one.title.clone(),
                one.version
                    .map(|version| version.to_string())
                    .unwrap_or_default(),
                one.sha256.clone(),
            ]
        })
        .collect();
    files.push(file(
        "enclosures.csv",
        "What was enclosed with each letter",
        pack::table(&["contact_id", "name", "title", "version", "sha256"], &rows),
    ));
    Ok(files)
}

/// What stood in the way of chasing, as far as it may leave the house (E99).
async fn stops(conn: &mut PgConnection, referral: &Referral) -> Result<File, Failure> {
    let mut stops = store::stops::of_account(conn, referral.account).await?;
    stops.retain(|stop| stop.subject != referral.id.as_uuid());
    stops.sort_by_key(|stop| (stop.starts_on, stop.subject));
    let names: std::collections::BTreeMap<_, _> = referral
        .documents
        .iter()
        .map(|one| (one.document, one.document_ref.as_str()))
        .collect();
    let rows: Vec<Vec<String>> = stops
        .iter()
        .map(|stop| {
            let about: Vec<&str> = stop
                .parts
                .iter()
                .filter_map(|part| names.get(&part.document).copied())
                .collect();
            let over = stop.over_from();
            vec![
                pre_action::words(stop),
                text(stop.debtor.as_deref()),
                if stop.parts.is_empty() {
                    "the whole account".to_owned()
                } else {
                    about.join(" ")
                },
                day(stop.starts_on),
                if over < NaiveDate::MAX {
                    day(over)
                } else {
                    String::new()
                },
                stop.subject.to_string(),
            ]
        })
        .collect();
    Ok(file(
        "history.csv",
        "Holds, promises, plans and queries",
        pack::table(
            &["kind", "debtor", "documents", "from", "over_from", "id"],
            &rows,
        ),
    ))
}

/// Those who owe it together, and against whom no step is taken now; nothing where
/// the account owes alone (E97).
async fn debtors(
    conn: &mut PgConnection,
    referral: &Referral,
    facts: &Facts,
    today: NaiveDate,
) -> Result<Option<File>, Failure> {
    let among = Among::one(referral.account);
    let joint = store::debtors::among(conn, among).await?;
    let Some(joint) = joint.into_values().next() else {
        return Ok(None);
    };
    let before = referral.before_claim(facts, today);
    let rows: Vec<Vec<String>> = joint
        .iter()
        .map(|one| {
            let is = before.iter().find(|is| is.debtor_ref == one.debtor_ref);
            let own = format!("{}: ", one.debtor_ref);
            let not = referral
                .not_against
                .iter()
                .filter_map(|spared| spared.strip_prefix(&own))
                .collect::<Vec<_>>();
            vec![
                one.debtor_ref.clone(),
                one.name.clone(),
                text(one.address.as_deref()),
                text(one.email.as_deref()),
                is.and_then(|is| is.letter_on).map(day).unwrap_or_default(),
                is.and_then(|is| is.reply_until)
                    .map(day)
                    .unwrap_or_default(),
                not.join("; "),
            ]
        })
        .collect();
    Ok(Some(file(
        "debtors.csv",
        "Those who owe it together, each the whole; no step is taken against whom something stops",
        pack::table(
            &[
                "debtor",
                "name",
                "address",
                "email",
                "letter_on",
                "reply_until",
                "stopped_by",
            ],
            &rows,
        ),
    )))
}

/// The clocks before a claim, their replies and notice.
fn before_action(referral: &Referral, facts: &Facts, on: NaiveDate) -> File {
    let mut rows = Vec::new();
    for letter in &referral.letters {
        rows.push(vec![
            match &letter.debtor {
                Some(debtor) => format!("letter: {} to {debtor}", letter.stage),
                None => format!("letter: {}", letter.stage),
            },
            day(letter.on),
            letter.contact.to_string(),
            text(letter.sha256.as_deref()),
        ]);
    }
    for reply in &referral.replies {
        rows.push(vec![
            format!("reply: {}", reply.kind.name()),
            day(reply.received_on),
            String::new(),
            reply
                .documents_sent_on
                .map(|on| format!("documents sent on {on}"))
                .unwrap_or_default(),
        ]);
    }
    for (clock, reading) in referral.readings(facts, on) {
        let days = format!("{} days, {} of them stopped", clock.days, reading.paused);
        rows.push(vec![
            format!("clock: {}", clock.code),
            day(clock.from),
            reading.last_on.map(day).unwrap_or_default(),
            days,
        ]);
    }
    if let Some(notice) = referral.notice_on {
        let none = String::new();
        rows.push(vec!["notice".to_owned(), day(notice), none.clone(), none]);
    }
    file(
        "before-action.csv",
        "Letter, replies, clocks and notice before a claim",
        pack::table(&["what", "on", "until_or_id", "detail"], &rows),
    )
}

/// Makes the pack of a referral as things are now.
pub(super) async fn build(
    conn: &mut PgConnection,
    bus: &Bus,
    referral: &Referral,
    sender: &Sender,
) -> Result<Pack, Failure> {
    let today = london_date(bus.now());
    let ask = GetStatement {
        account_id: referral.account,
        red: false,
        as_at: None,
    };
    let statement = statements::statement(conn, bus, &ask).await?;
    let ask = GetLatePayment {
        account_id: referral.account,
        until: Some(today),
    };
    let late = claims::late_payment(conn, &ask, today).await?;
    let mut interest = String::new();
    if let Some(why) = &late.none_because {
        interest = format!("Nothing is claimed: {why}.\n");
    }
    let ids = referral.ids();
    for claim in late
        .claims
        .iter()
        .filter(|claim| ids.contains(&claim.document_id))
    {
        interest.push_str(&claim.working.join("\n"));
        interest.push_str("\n\n");
    }
    let facts = store::referrals::facts(conn, referral).await?;
    let mut files = vec![
        file(
            "statement.pdf",
            "Statement of account",
            statements::on_paper(&statement, sender, &referral.account_ref),
        ),
        file(
            "statement.csv",
            "Statement of account",
            lines(&statement, referral),
        ),
        file(
            "interest.txt",
            "The working of interest and compensation to the day of the pack; a memo unless posted",
            interest.into_bytes(),
        ),
        before_action(referral, &facts, today),
        stops(conn, referral).await?,
    ];
    files.extend(debtors(conn, referral, &facts, today).await?);
    files.extend(documents(conn, referral).await?);
    files.extend(contacts(conn, referral).await?);
    let about = json!({
        "referral": referral.id,
        "account": referral.account_ref,
        "debtor": statement.name,
        "to": referral.handler,
        "as_at": today,
        "law": referral.law,
        "principal": amount(referral.left.principal),
        "interest_posted": amount(referral.left.interest),
        "costs": amount(referral.left.costs),
        "currency": referral.currency.code(),
    });
    pack::pack(&about, files).map_err(Failure::of)
}
