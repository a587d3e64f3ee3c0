//! What reporting answers, all of it from its own projections.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use contracts::api::{
    Page,
    reporting::{
        AccountKey, AccountMovement, AccountMovements, AccountStatement, AccountView, AgedDebt,
        AgedItem, AgeingBasis, GetAccount, GetAccountStatement, GetAgedDebt, GetAgedItems,
        GetLedger, GetTimeline, GetUnallocated, LedgerLine, ListAccounts, ProjectionTrace,
        TimelineEntry, TraceProjection, UnallocatedCash,
    },
};
use kernel::{AccountId, london_date};
use messaging::{Bus, Failure};
use serde::{Deserialize, Serialize};

use crate::{
    cursor,
    domain::ageing,
    store::{
        self, account_statement,
        accounts::{self, LedgerPlace},
        aged_debt::{self, AgedPlace, Cell, Filter, ItemPlace},
        generation,
        timeline::{self, TimelinePlace},
        unallocated::{self, UnallocatedPlace},
    },
};

/// Longer words than this are no search.
const SEARCH_CHARS_MAX: usize = 200;

/// As at the end of a day, as known at a moment (E106).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AsAt {
    pub(crate) as_of: NaiveDate,
    pub(crate) known_at: DateTime<Utc>,
}

impl AsAt {
    /// As at today in London, as known now.
    pub(crate) fn now(bus: &Bus) -> Self {
        let now = bus.now();
        Self {
            as_of: london_date(now),
            known_at: now,
        }
    }

    fn asked(
        bus: &Bus,
        as_of: Option<NaiveDate>,
        known_at: Option<DateTime<Utc>>,
    ) -> Result<Self, Failure> {
        let now = Self::now(bus);
        let at = Self {
            as_of: as_of.unwrap_or(now.as_of),
            known_at: known_at.unwrap_or(now.known_at),
        };
        // Beyond these the database has no dates, and nobody has debts.
        for (pointer, year) in [
            ("/as_of", at.as_of.year()),
            ("/known_at", at.known_at.year()),
        ] {
            if !(1900..3000).contains(&year) {
                return Err(invalid(pointer, "must be between 1900 and 2999"));
            }
        }
        Ok(at)
    }
}

/// A place in a report that stays as at the same day and moment on every page.
#[derive(Debug, Serialize, Deserialize)]
struct Pinned<P> {
    at: AsAt,
    basis: AgeingBasis,
    place: P,
}

/// The cursor's own day, moment and place, or those asked for.
fn pinned<P>(
    at: AsAt,
    basis: AgeingBasis,
    cursor: Option<Pinned<P>>,
) -> Result<(AsAt, Option<P>), Failure> {
    match cursor {
        None => Ok((at, None)),
        Some(cursor) if cursor.basis == basis => Ok((cursor.at, Some(cursor.place))),
        Some(_) => Err(invalid("/cursor", "belongs to a report on the other basis")),
    }
}

fn invalid(pointer: &str, detail: &str) -> Failure {
    Failure::permanent("reporting.invalid", format!("{pointer}: {detail}")).at(pointer, detail)
}

/// A word to filter by; blank is none.
fn word<'w>(pointer: &str, word: Option<&'w str>) -> Result<Option<&'w str>, Failure> {
    let word = word.map(str::trim).filter(|word| !word.is_empty());
    match word {
        Some(long) if long.chars().count() > SEARCH_CHARS_MAX => {
            Err(invalid(pointer, "must have at most 200 characters"))
        }
        // Postgres' text holds no NUL.
        Some(text) if text.contains('\0') => {
            Err(invalid(pointer, "must not contain a NUL character"))
        }
        word => Ok(word),
    }
}

pub(crate) async fn list_accounts(
    call: ListAccounts,
    bus: Bus,
) -> Result<Page<AccountView>, Failure> {
    let search = word("/search", call.search.as_deref())?;
    let after: Option<String> = cursor::read(call.page.cursor.as_deref())?;
    let rows = call.page.rows();
    let mut conn = bus.pool().acquire().await?;
    let after = after.unwrap_or_default();
    let found = accounts::list(&mut conn, AsAt::now(&bus), search, &after, rows + 1).await?;
    cursor::page(found, rows, |account| account.account_ref.clone())
}

pub(crate) async fn get_account(call: GetAccount, bus: Bus) -> Result<AccountView, Failure> {
    let (id, reference) = match &call.account {
        AccountKey::Id(id) => (Some(*id), None),
        AccountKey::Ref(reference) => (None, word("/account", Some(reference))?),
    };
    let mut conn = bus.pool().acquire().await?;
    accounts::find(&mut conn, AsAt::now(&bus), id, reference)
        .await?
        .ok_or_else(|| match call.account {
            AccountKey::Id(id) => no_account(id),
            AccountKey::Ref(reference) => Failure::not_found(
                "reporting.account_not_found",
                format!("there is no account with the reference {reference:?}"),
            ),
        })
}

fn no_account(id: AccountId) -> Failure {
    Failure::not_found(
        "reporting.account_not_found",
        format!("there is no account {id}"),
    )
}

pub(crate) async fn get_ledger(call: GetLedger, bus: Bus) -> Result<Page<LedgerLine>, Failure> {
    let after: Option<LedgerPlace> = cursor::read(call.page.cursor.as_deref())?;
    let rows = call.page.rows();
    let mut conn = bus.pool().acquire().await?;
    let at = AsAt::now(&bus);
    let found = accounts::ledger(
        &mut conn,
        at,
        call.account_id,
        call.open_only,
        after.as_ref(),
        rows + 1,
    )
    .await?;
    if found.is_empty() && !accounts::exists(&mut conn, call.account_id).await? {
        return Err(no_account(call.account_id));
    }
    cursor::page(found, rows, LedgerPlace::of)
}

/// An account between two days. What the books come to by their lines must be
/// what every report says: else nothing is shown.
pub(crate) async fn get_account_statement(
    call: GetAccountStatement,
    bus: Bus,
) -> Result<AccountStatement, Failure> {
    let now = AsAt::now(&bus);
    if call.to > now.as_of {
        return Err(invalid("/to", "must not be after today"));
    }
    let at = AsAt::asked(&bus, Some(call.to), Some(now.known_at))?;
    let before = call.from.pred_opt().filter(|_| call.from <= call.to);
    let before = before.ok_or_else(|| invalid("/from", "must not be after the last day"))?;
    let mut conn = bus.pool().acquire().await?;
    // The lines and the balance that they must come to are of one moment.
    let mut moment = generation::snapshot(&mut conn).await?;
    let account = accounts::find(&mut moment, at, Some(call.account_id), None)
        .await?
        .ok_or_else(|| no_account(call.account_id))?;
    let books = account_statement::books(&mut moment, call.account_id, at).await?;
    let most = usize::try_from(account_statement::MOST).unwrap_or(usize::MAX);
    let largest = books.documents.len().max(books.receipts.len());
    if largest.max(books.lines.len()) > most {
        return Err(invalid("/account_id", "has too many lines for a statement"));
    }
    let moves = books.moves();
    let mut currencies = Vec::new();
    for currency in books.currencies() {
        let opening = books.balance(currency, before);
        let mut balance = opening;
        let mut lines = Vec::new();
        let within = |on| (call.from..=call.to).contains(&on);
        for one in moves
            .iter()
            .filter(|one| one.currency == currency && within(one.on))
        {
            balance += one.amount;
            lines.push(AccountMovement {
                on: one.on,
                kind: one.kind.clone(),
                reference: one.reference.clone(),
                amount: store::money(one.amount, currency)?,
                balance: store::money(balance, currency)?,
                document_id: one.document.map(Into::into),
                receipt_id: one.receipt.map(Into::into),
            });
        }
        let closing = store::money(balance, currency)?;
        let reported = account
            .balances
            .iter()
            .find(|one| one.balance.currency() == closing.currency());
        if reported.map_or(!closing.is_zero(), |one| one.balance != closing) {
            return Err(Failure::bug(
                "reporting.statement_does_not_add_up",
                format!(
                    "account {} comes to {balance} by its lines",
                    call.account_id
                ),
            ));
        }
        currencies.push(AccountMovements {
            opening: store::money(opening, currency)?,
            lines,
            closing,
            unallocated: store::money(books.unallocated(currency, call.to), currency)?,
        });
    }
    Ok(AccountStatement {
        account_id: call.account_id,
        account_ref: account.account_ref,
        name: account.name,
        from: call.from,
        to: call.to,
        known_at: at.known_at,
        currencies,
    })
}

pub(crate) async fn get_timeline(
    call: GetTimeline,
    bus: Bus,
) -> Result<Page<TimelineEntry>, Failure> {
    let after: Option<TimelinePlace> = cursor::read(call.page.cursor.as_deref())?;
    let rows = call.page.rows();
    let mut conn = bus.pool().acquire().await?;
    let found = timeline::of_account(&mut conn, call.account_id, after.as_ref(), rows + 1).await?;
    if found.is_empty() && !accounts::exists(&mut conn, call.account_id).await? {
        return Err(no_account(call.account_id));
    }
    let page = cursor::page(found, rows, |(place, _)| place.clone())?;
    Ok(Page {
        items: page.items.into_iter().map(|(_, entry)| entry).collect(),
        next_cursor: page.next_cursor,
    })
}

pub(crate) async fn get_aged_debt(call: GetAgedDebt, bus: Bus) -> Result<AgedDebt, Failure> {
    let filter = Filter {
        search: word("/search", call.search.as_deref())?,
        segment: word("/segment", call.segment.as_deref())?,
    };
    let asked = AsAt::asked(&bus, call.as_of, call.known_at)?;
    let cursor: Option<Pinned<AgedPlace>> = cursor::read(call.page.cursor.as_deref())?;
    let (at, after) = pinned(asked, call.basis, cursor)?;
    let rows = call.page.rows();
    let mut tx = bus.pool().begin().await?;
    store::prepare_report(&mut tx).await?;
    let (totals, found) =
        aged_debt::report(&mut tx, at, call.basis, filter, after.as_ref(), rows + 1).await?;
    tx.commit().await?;
    Ok(AgedDebt {
        as_of: at.as_of,
        known_at: at.known_at,
        basis: call.basis,
        buckets: ageing::buckets(call.basis),
        totals,
        rows: cursor::page(found, rows, |row| Pinned {
            at,
            basis: call.basis,
            place: AgedPlace::of(row),
        })?,
    })
}

pub(crate) async fn get_aged_items(
    call: GetAgedItems,
    bus: Bus,
) -> Result<Page<AgedItem>, Failure> {
    if call
        .bucket
        .is_some_and(|band| usize::from(band) >= ageing::bands(call.basis).len())
    {
        return Err(invalid("/bucket", "this basis has fewer buckets"));
    }
    let asked = AsAt::asked(&bus, call.as_of, call.known_at)?;
    let cursor: Option<Pinned<ItemPlace>> = cursor::read(call.page.cursor.as_deref())?;
    let (at, after) = pinned(asked, call.basis, cursor)?;
    let cell = Cell {
        account_id: call.account_id,
        currency: call.currency,
        band: call.bucket,
    };
    let rows = call.page.rows();
    let mut tx = bus.pool().begin().await?;
    store::prepare_report(&mut tx).await?;
    let found = aged_debt::items(&mut tx, at, call.basis, cell, after.as_ref(), rows + 1).await?;
    tx.commit().await?;
    cursor::page(found, rows, |item| Pinned {
        at,
        basis: call.basis,
        place: ItemPlace::of(item, call.basis),
    })
}

pub(crate) async fn get_unallocated(
    call: GetUnallocated,
    bus: Bus,
) -> Result<UnallocatedCash, Failure> {
    let asked = AsAt::asked(&bus, call.as_of, call.known_at)?;
    let cursor: Option<Pinned<UnallocatedPlace>> = cursor::read(call.page.cursor.as_deref())?;
    let (at, after) = pinned(asked, AgeingBasis::Document, cursor)?;
    let rows = call.page.rows();
    let mut tx = bus.pool().begin().await?;
    store::prepare_report(&mut tx).await?;
    let (totals, found) = unallocated::report(&mut tx, at, after.as_ref(), rows + 1).await?;
    tx.commit().await?;
    Ok(UnallocatedCash {
        as_of: at.as_of,
        known_at: at.known_at,
        totals,
        rows: cursor::page(found, rows, |row| Pinned {
            at,
            basis: AgeingBasis::Document,
            place: UnallocatedPlace::of(row),
        })?,
    })
}

pub(crate) async fn trace_projection(
    call: TraceProjection,
    bus: Bus,
) -> Result<ProjectionTrace, Failure> {
    let mut conn = bus.pool().acquire().await?;
    timeline::of_receipt(&mut conn, call.receipt_id)
        .await?
        .ok_or_else(|| {
            Failure::not_found(
                "reporting.receipt_not_found",
                format!("reporting has not seen receipt {}", call.receipt_id),
            )
        })
}
