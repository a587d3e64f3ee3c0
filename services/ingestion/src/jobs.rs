//! Reads the files that people upload, one at a time.
//!
//! A file is recorded whole in one transaction, or refused whole. Who dies over
//! a file lets go of it when its lease ends; then it is read again from the
//! beginning, which its keys make harmless.

pub(crate) mod direct_debits;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use contracts::{
    Event,
    api::ingestion::{ImportState, StatementView},
};
use kernel::{Classified, ErrorClass};
use messaging::{Bus, Failure, Meta, Outgoing, Tx};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    consume::direct_debits::{Teller, hear, hear_of_told},
    domain::{
        bacs_news::{MISSING_DAY, News, missing_days},
        chain,
        detect::Format,
        file::{self, Added, Checked, Ledgers, int},
        parse,
        problem::Problem,
        record::{Origin, Told},
    },
    store::{
        self,
        imports::{self, Claimed, Outcome},
        statements,
    },
};

/// A queue that nobody woke is looked at this often: another replica may have
/// taken the upload.
const POLL: Duration = Duration::from_secs(1);
const LEASE: TimeDelta = TimeDelta::seconds(60);
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// A file that killed its readers this often is refused.
const ATTEMPTS_MAX: i32 = 5;
/// A file that lost a race is tried again at once, this often.
const RACES_MAX: u32 = 3;
/// What a report gives to do, shown with its import, at most.
const TO_DO_MAX: usize = 50;
/// Facts put into the outbox at a time.
const FACTS_MAX: usize = 2_000;

/// Tells open pages that an import has changed.
pub(crate) async fn changed(bus: &Bus) {
    bus.notice(&["imports".to_owned()]).await;
}

/// Waits until there may be a file, then reads until there is none.
///
/// `user_number` is our own for Bacs, where it is known: what reports say of
/// others changes no mandate.
pub(crate) async fn read_imports(
    bus: Bus,
    wake: Arc<Notify>,
    user_number: Option<String>,
) -> Result<(), Failure> {
    tokio::select! {
        () = bus.shutdown().cancelled() => return Ok(()),
        () = wake.notified() => {}
        () = tokio::time::sleep(POLL) => {}
    }
    while !bus.shutdown().is_cancelled() {
        let now = bus.now();
        let Some(claimed) = imports::claim(bus.pool(), now, now + LEASE).await? else {
            break;
        };
        changed(&bus).await;
        let done = read_one(&bus, &claimed, user_number.as_deref()).await;
        changed(&bus).await;
        done?;
    }
    Ok(())
}

/// Reads one file; what is wrong with it is its outcome, what is wrong around it
/// puts it back into the queue.
async fn read_one(bus: &Bus, claimed: &Claimed, user_number: Option<&str>) -> Result<(), Failure> {
    let progress = Progress::default();
    let outcome = tokio::select! {
        outcome = try_file(bus, claimed, user_number, &progress) => outcome,
        never = show_progress(bus, claimed, &progress) => match never {},
    };
    let refusal = match outcome {
        Ok(None) => return Ok(()),
        Ok(Some(outcome)) => outcome,
        Err(error) if matches!(error.class(), ErrorClass::Transient | ErrorClass::Conflict) => {
            if let Err(lost) = imports::release(bus.pool(), claimed).await {
                tracing::warn!(
                    import = %claimed.import_id,
                    "the file stays claimed until its lease ends: {}",
                    lost.chain()
                );
            }
            return Err(error);
        }
        // Reading it again would end the same way: a person must see it.
        Err(error) => {
            tracing::error!(
                import = %claimed.import_id,
                code = error.code(),
                "an import failed: {}",
                error.chain()
            );
            refused(vec![Problem::new(error.code(), error.to_string())], None, 0)
        }
    };
    imports::finish(bus.pool(), claimed, &refusal, bus.now()).await
}

/// How far the reading is, for those who look on.
#[derive(Debug, Default)]
struct Progress {
    entries: AtomicUsize,
    recorded: AtomicUsize,
}

async fn show_progress(
    bus: &Bus,
    claimed: &Claimed,
    progress: &Progress,
) -> std::convert::Infallible {
    let mut ticks = tokio::time::interval(SIGN_OF_LIFE);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let shown = imports::progress(
            bus.pool(),
            claimed,
            int(progress.entries.load(Ordering::Relaxed)),
            int(progress.recorded.load(Ordering::Relaxed)),
            bus.now() + LEASE,
        )
        .await;
        match shown {
            Ok(()) => changed(bus).await,
            Err(error) => tracing::warn!(
                import = %claimed.import_id,
                "the progress of an import is not shown: {}",
                error.chain()
            ),
        }
    }
}

/// Records the file (`None`), or says what else is its outcome.
async fn try_file(
    bus: &Bus,
    claimed: &Claimed,
    user_number: Option<&str>,
    progress: &Progress,
) -> Result<Option<Outcome>, Failure> {
    if claimed.attempts > ATTEMPTS_MAX {
        return Ok(Some(refused(
            vec![Problem::new(
                "reader_died",
                format!("reading the file was broken off {ATTEMPTS_MAX} times"),
            )],
            None,
            0,
        )));
    }
    let mut races = 0;
    loop {
        // Asked anew after a lost race: it may have been lost to the same bytes.
        if let Some(entries) = imports::recorded_before(bus.pool(), &claimed.sha256).await? {
            return Ok(Some(Outcome {
                state: ImportState::AlreadyKnown,
                format: None,
                entries,
                recorded: 0,
                duplicates: entries,
                problems: Vec::new(),
                statements: Vec::new(),
            }));
        }
        let (format, checked) = match read(bus, claimed).await? {
            Ok(read) => read,
            Err(outcome) => return Ok(Some(outcome)),
        };
        progress.entries.store(checked.entries(), Ordering::Relaxed);
        match record(bus, claimed, user_number, format, checked, progress).await {
            Err(error) if error.class() == ErrorClass::Conflict && races < RACES_MAX => {
                races += 1;
                tracing::debug!(import = %claimed.import_id, races, "an import lost a race");
            }
            done => return done,
        }
    }
}

/// The file, understood; or why it is refused.
async fn read(bus: &Bus, claimed: &Claimed) -> Result<Result<(Format, Checked), Outcome>, Failure> {
    let bytes = imports::whole_file(bus.pool(), claimed.import_id)
        .await?
        .unwrap_or_default();
    let asked = claimed.format.as_deref().and_then(|name| name.parse().ok());
    off_thread(move || {
        let parsed = parse::parse(&bytes, asked)
            .map_err(|error| refused(error.reasons, Some(error.format), 0))?;
        let format = parsed.format;
        if format == Format::Std18 {
            let reason = "files for Bacs are made here, and not imported";
            return Err(refused(
                vec![Problem::new("not_imported", reason)],
                Some(format),
                0,
            ));
        }
        if matches!(format, Format::Camt052 | Format::Camt054) {
            let reason = format!(
                "{format} tells of lines before the day is closed; only end-of-day statements are recorded"
            );
            return Err(refused(
                vec![Problem::new("provisional_format", reason)],
                Some(format),
                0,
            ));
        }
        let entries = parsed.items.len();
        file::check(parsed)
            .map(|checked| (format, checked))
            .map_err(|reasons| refused(reasons, Some(format), entries))
    })
    .await
}

/// Tens of megabytes take seconds: not on a thread that others wait for.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|panic| {
        Failure::bug("ingestion.reader_panicked", "reading the file broke off").caused_by(panic)
    })
}

/// Records everything that is new in one transaction, the outcome with it.
async fn record(
    bus: &Bus,
    claimed: &Claimed,
    user_number: Option<&str>,
    format: Format,
    checked: Checked,
    progress: &Progress,
) -> Result<Option<Outcome>, Failure> {
    let now = bus.now();
    let import_id = claimed.import_id;
    let origin = Origin {
        source: claimed.file_name.clone(),
        actor: claimed.actor.clone(),
        message_id: None,
        import_id: Some(import_id),
    };
    let entries = checked.entries();
    let bank_accounts = checked.bank_accounts();

    let mut tx = bus.begin().await?;
    let books = load(&mut tx, &checked, &bank_accounts, now).await?;
    let decider = origin.clone();
    let decided = off_thread(move || file::decide(checked, books, import_id, &decider, now));
    let mut added = match decided.await? {
        Ok(added) => added,
        Err(reasons) => return Ok(Some(refused(reasons, Some(format), entries))),
    };
    store::record(&mut tx, &added.changes, now).await?;
    progress.recorded.store(added.recorded, Ordering::Relaxed);
    statements::record(&mut tx, &added.statements, import_id, now).await?;
    if let Some(news) = &added.report {
        store::bacs::record(&mut tx, news, import_id, now).await?;
    }
    let judged = judge(&mut tx, claimed, &bank_accounts).await?;

    let cause = Meta::of_command(import_id.as_uuid(), now, None);
    let teller = Teller {
        prefix: bus.prefix(),
        actor: &origin.actor,
        cause: &cause,
        now,
    };
    for step in &added.changes.mandates {
        teller.step(&mut tx, step).await?;
    }
    let told = &added.changes.mandates;
    let mut to_do = hear_of_told(&mut tx, |_| Some(teller), user_number, told).await?;
    let advices = added.report.as_ref().map(News::of_mandates);
    let advices = advices.unwrap_or_default();
    let heard = hear(&mut tx, teller, user_number, import_id, &advices).await?;
    to_do.extend(
        advices
            .iter()
            .zip(heard)
            .filter_map(|(advice, heard)| heard.problem(advice)),
    );
    added.problems.extend(to_do.into_iter().take(TO_DO_MAX));
    if let Some(news) = &added.report {
        fill_gap(&mut tx, news).await?;
    }
    publish(&mut tx, bus, &cause, now, &added, &judged, &origin).await?;

    let mut outcome = Outcome {
        state: ImportState::Recorded,
        format: Some(format.name().to_owned()),
        entries: int(entries),
        recorded: int(added.recorded),
        duplicates: int(added.duplicates),
        problems: added.problems.iter().map(Problem::shown).collect(),
        statements: Vec::new(),
    };
    if claimed.dry_run {
        outcome.statements = views(&judged, claimed)?;
        // Without a commit all of it was only a rehearsal.
        drop(tx);
        return Ok(Some(outcome));
    }
    imports::finish(tx.conn(), claimed, &outcome, now).await?;
    tx.commit().await?;
    tracing::info!(
        import = %import_id,
        recorded = added.recorded,
        duplicates = added.duplicates,
        "import {import_id} is recorded"
    );
    bus.notice(&["receipts".to_owned()]).await;
    Ok(None)
}

/// The report of a day that was missing came: the next one says anew which days
/// are missing before it.
async fn fill_gap(tx: &mut Tx, news: &News) -> Result<(), Failure> {
    let Some(came) = news.report.reported_on else {
        return Ok(());
    };
    let (next, imports) = store::bacs::next_after(tx, &news.report, came).await?;
    let Some(next) = next else {
        return Ok(());
    };
    let missing = missing_days(news.report.kind, next, came);
    let missing = missing.as_ref().map(Problem::shown);
    imports::judge_again(tx, &imports, MISSING_DAY, missing.as_ref()).await
}

async fn load(
    tx: &mut Tx,
    checked: &Checked,
    bank_accounts: &BTreeSet<String>,
    now: DateTime<Utc>,
) -> Result<Ledgers, Failure> {
    let mut books = Ledgers {
        reports: store::bacs::load(tx, checked).await?,
        ..Ledgers::default()
    };
    let known = &mut books.known;
    if !bank_accounts.is_empty() {
        store::record_bank_accounts(tx, bank_accounts, now).await?;
        statements::lock_bank_accounts(tx, bank_accounts).await?;
        books.told_by = store::load_told_lines(tx, &checked.line_keys(), known).await?;
    }
    let documents = &checked.documents;
    store::load_documents(
        tx,
        documents
            .iter()
            .map(|d| d.wire.document_ref.as_str())
            .collect(),
        known,
    )
    .await?;
    store::load_accounts(
        tx,
        checked
            .accounts
            .iter()
            .map(|a| a.wire.account_ref.as_str())
            .collect(),
        documents
            .iter()
            .map(|d| d.wire.account_ref.as_str())
            .chain(checked.matters.iter().map(|m| m.wire.account_ref.as_str()))
            .chain(checked.mandates.iter().map(|m| m.wire.account_ref.as_str()))
            .collect(),
        known,
    )
    .await?;
    store::load_matters(
        tx,
        checked
            .matters
            .iter()
            .map(|m| m.wire.matter_ref.as_str())
            .collect(),
        known,
    )
    .await?;
    let mandates = &checked.mandates;
    store::mandates::load(
        tx,
        mandates
            .iter()
            .map(|m| m.wire.mandate_reference.as_str())
            .collect(),
        mandates.iter().map(|m| m.payer_account.as_str()).collect(),
        known,
    )
    .await?;
    Ok(books)
}

/// Judges every statement of the accounts concerned anew: this file may have
/// filled a gap before one that came earlier. Gives back this import's
/// statements and those that are judged differently now.
async fn judge(
    tx: &mut Tx,
    claimed: &Claimed,
    bank_accounts: &BTreeSet<String>,
) -> Result<Vec<statements::Row>, Failure> {
    if bank_accounts.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows = statements::of_accounts(tx, bank_accounts).await?;
    let mut judged = BTreeSet::new();
    for chain in rows.chunk_by_mut(|a, b| a.chain() == b.chain()) {
        let links = chain
            .iter()
            .map(statements::Row::link)
            .collect::<Result<_, _>>()?;
        for link in chain::judge(links) {
            if let Some(row) = chain.iter_mut().find(|row| row.id() == link.statement_id) {
                row.judged(&link, claimed.import_id);
                judged.insert(link.statement_id);
            }
        }
    }
    let changed: Vec<&statements::Row> = rows
        .iter()
        .filter(|row| judged.contains(&row.id()))
        .collect();
    statements::update_judgements(tx, &changed).await?;
    rows.retain(|row| judged.contains(&row.id()) || row.came_with(claimed.import_id));
    rows.extend(statements::superseded_of(tx, claimed.import_id).await?);
    Ok(rows)
}

fn views(judged: &[statements::Row], claimed: &Claimed) -> Result<Vec<StatementView>, Failure> {
    judged
        .iter()
        .filter(|row| row.came_with(claimed.import_id))
        .map(statements::Row::view)
        .collect()
}

async fn publish(
    tx: &mut Tx,
    bus: &Bus,
    cause: &Meta,
    now: DateTime<Utc>,
    added: &Added,
    judged: &[statements::Row],
    origin: &Origin,
) -> Result<(), Failure> {
    fn of<E: Event>(
        bus: &Bus,
        cause: &Meta,
        now: DateTime<Utc>,
        fact: &E,
        about: Uuid,
        version: i64,
    ) -> Result<Outgoing, Failure> {
        Outgoing::new(fact, about, version, bus.prefix(), now, cause)
    }
    let mut events = Vec::new();
    for fact in &added.accounts {
        let about = fact.account_id.as_uuid();
        events.push(of(bus, cause, now, fact, about, fact.version)?);
    }
    for fact in &added.matters {
        let about = fact.matter_id.as_uuid();
        events.push(of(bus, cause, now, fact, about, fact.version)?);
    }
    for row in judged {
        let fact = row.fact(&origin.actor, now)?;
        let about = fact.statement_id.as_uuid();
        events.push(of(bus, cause, now, &fact, about, row.version())?);
    }
    tx.publish(&events).await?;
    if let Some(news) = &added.report {
        let mut events = Vec::new();
        for fact in &news.returns {
            events.push(of(bus, cause, now, fact, fact.record_id.as_uuid(), 1)?);
        }
        for fact in &news.advices {
            events.push(of(bus, cause, now, fact, fact.record_id.as_uuid(), 1)?);
        }
        for events in events.chunks(FACTS_MAX) {
            tx.publish(events).await?;
        }
    }
    // Bit by bit: a large file need not be in memory twice.
    for documents in added.changes.documents.chunks(FACTS_MAX) {
        let events = documents
            .iter()
            .map(|new| {
                of(
                    bus,
                    cause,
                    now,
                    &new.fact,
                    new.fact.document_id.as_uuid(),
                    1,
                )
            })
            .collect::<Result<Vec<_>, _>>()?;
        tx.publish(&events).await?;
    }
    for lines in added.changes.lines.chunks(FACTS_MAX) {
        let events = lines
            .iter()
            .filter_map(|new| {
                let about = new.line.receipt.receipt_id.as_uuid();
                Some(match new.line.fact()? {
                    Told::Receipt(fact) => of(bus, cause, now, fact, about, 1),
                    Told::Debit(fact) => of(bus, cause, now, fact.as_ref(), about, 1),
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        tx.publish(&events).await?;
    }
    Ok(())
}

fn refused(reasons: Vec<Problem>, format: Option<Format>, entries: usize) -> Outcome {
    Outcome {
        state: ImportState::Refused,
        format: format
            .filter(|format| *format != Format::Unknown)
            .map(|format| format.name().to_owned()),
        entries: int(entries),
        recorded: 0,
        duplicates: 0,
        problems: reasons.iter().map(Problem::shown).collect(),
        statements: Vec::new(),
    }
}
