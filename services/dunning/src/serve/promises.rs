//! Promises: taken, withdrawn, replaced, looked at.

use chrono::NaiveDate;
use contracts::{
    api::{
        Page, Refusal,
        controls::Person,
        dunning::{
            GetPromise, GetPromiseFigures, ListPromises, PromiseFigure, PromiseFigures, PromiseTab,
            PromiseTerms, PromiseView, TakePromise, WithdrawPromise,
        },
    },
    dunning::{PromiseId, PromiseState},
};
use kernel::{AccountId, Currency, Money, london_date};
use messaging::{Bus, Failure, Meta};
use rust_decimal::Decimal;

use super::{
    act::{Act, wrong},
    text,
};
use crate::{
    consume::judge,
    domain::{agreed::Books, promise::Promise},
    store,
};

fn no_promise(id: PromiseId) -> Failure {
    Failure::not_found("dunning.no_promise", format!("there is no promise {id}"))
}

fn view(promise: Promise) -> Result<PromiseView, Failure> {
    let money = |amount| Money::try_new(amount, promise.currency).map_err(Failure::of);
    Ok(PromiseView {
        promise_id: promise.id,
        version: promise.version,
        state: promise.state,
        account_id: promise.account,
        items: promise.covered().map_err(Failure::of)?,
        instalments: promise.instalments().map_err(Failure::of)?,
        amount: money(promise.amount())?,
        received: money(promise.received)?,
        judged_on: promise.judged_on(),
        level: promise.level,
        stops_chasing: promise.stops,
        late_reversal: promise.late_reversal,
        replaced_by: promise.replaced_by,
        taken_at: promise.taken_at,
        account_ref: promise.account_ref,
        method: promise.method,
        promised_by: promise.promised_by,
        taken_by: promise.taken_by,
        reason: promise.reason,
    })
}

pub(crate) async fn get_promise(ask: GetPromise, bus: Bus) -> Result<PromiseView, Refusal> {
    let mut tx = bus.begin().await?;
    let promise = store::promises::get(tx.conn(), ask.promise_id)
        .await?
        .ok_or_else(|| no_promise(ask.promise_id))?;
    Ok(view(promise)?)
}

pub(crate) async fn take_promise(ask: TakePromise, bus: Bus) -> Result<PromiseView, Refusal> {
    let reason = text(&ask.reason, "/reason")?;
    let id: PromiseId = ask.command_id.as_uuid().into();
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        return get_promise(GetPromise { promise_id: id }, bus).await;
    };
    let terms = PromiseTerms {
        lines: ask.lines,
        instalments: ask.instalments,
        method: ask.method,
        promised_by: ask.promised_by,
        replaces: ask.replaces,
    };
    let cause = act.cause.clone();
    let promise = take(
        &mut act,
        id,
        ask.account_id,
        terms,
        (&ask.person, &reason, &cause),
    )
    .await?;
    act.finish(&bus).await?;
    Ok(view(promise)?)
}

/// Takes a promise in the transaction of a command: by itself, or with the
/// contact in which it was made.
pub(super) async fn take(
    act: &mut Act,
    id: PromiseId,
    account: AccountId,
    terms: PromiseTerms,
    (person, reason, cause): (&Person, &str, &Meta),
) -> Result<Promise, Failure> {
    let (account_ref, policy) = act.debtor(account).await?;
    let (items, currency) = act.debts(account, &terms.lines).await?;
    let rules = policy.map(|policy| policy.promise);
    let grace = rules.map_or(0, |rules| rules.grace_working_days);
    let payments = act.payments(&terms.instalments, &items, currency, grace)?;
    let others = store::promises::lock_of(act.tx.conn(), &[account]).await?;
    let anywhere = rules.is_some_and(|rules| rules.anywhere);
    let mut replaced = None;
    for other in &others {
        if Some(other.id) == terms.replaces {
            replaced = Some(other.clone());
            continue;
        }
        let same = other
            .items
            .iter()
            .any(|item| items.iter().any(|new| new.document == item.document));
        // Cash is held against one open promise only.
        if other.is_open() && (same || anywhere || other.anywhere) {
            return Err(Failure::conflict(
                "dunning.promised_already",
                "this is promised already: replace or withdraw that promise",
            ));
        }
    }
    if let Some(wanted) = terms.replaces {
        let mut old = replaced.ok_or_else(|| no_promise(wanted))?;
        if !old.is_open() {
            return Err(Failure::conflict(
                "dunning.promise_over",
                "only an open promise can be replaced",
            ));
        }
        old.end(PromiseState::Replaced, act.today);
        old.replaced_by = Some(id);
        old.version += 1;
        let told = judge::Told {
            prefix: &act.prefix,
            now: act.now,
            cause,
            actor: &person.actor,
            reason,
        };
        judge::put_promise(&mut act.tx, &old, Some(PromiseState::Open), told).await?;
    }
    let broken = others
        .iter()
        .filter(|other| other.state == PromiseState::Broken)
        .count();
    let level = u32::try_from(broken).unwrap_or(u32::MAX);
    let stops = rules.is_none_or(|rules| level < rules.levels);
    let mut promise = Promise {
        id,
        version: 1,
        state: PromiseState::Open,
        account,
        account_ref,
        currency,
        items,
        payments,
        received: Decimal::ZERO,
        tolerance: rules.map_or(Decimal::ZERO, |rules| rules.tolerance),
        anywhere,
        stops,
        level,
        method: terms.method,
        promised_by: terms.promised_by,
        was_kept: false,
        late_reversal: false,
        replaced_by: None,
        taken_at: act.now,
        taken_on: act.today,
        taken_by: person.actor.clone(),
        reason: reason.to_owned(),
        ended_on: None,
    };
    let books = store::plans::books(act.tx.conn(), &[account], act.now).await?;
    promise.judge(books.get(&account).unwrap_or(&Books::default()), act.today);
    let told = judge::Told {
        prefix: &act.prefix,
        now: act.now,
        cause,
        actor: &person.actor,
        reason,
    };
    judge::put_promise(&mut act.tx, &promise, None, told).await?;
    Ok(promise)
}

pub(crate) async fn withdraw_promise(
    ask: WithdrawPromise,
    bus: Bus,
) -> Result<PromiseView, Refusal> {
    let reason = text(&ask.reason, "/reason")?;
    let id = ask.promise_id;
    let Some(mut act) = Act::begin(&bus, ask.command_id).await? else {
        return get_promise(GetPromise { promise_id: id }, bus).await;
    };
    let account = store::promises::get(act.tx.conn(), id)
        .await?
        .ok_or_else(|| no_promise(id))?
        .account;
    let all = store::promises::lock_of(act.tx.conn(), &[account]).await?;
    let mut promise = all
        .into_iter()
        .find(|promise| promise.id == id)
        .ok_or_else(|| no_promise(id))?;
    if !promise.is_open() {
        return Err(Failure::conflict(
            "dunning.promise_over",
            "only an open promise can be withdrawn",
        )
        .into());
    }
    promise.end(PromiseState::Withdrawn, act.today);
    promise.version += 1;
    let told = judge::Told {
        prefix: &act.prefix,
        now: act.now,
        cause: &act.cause,
        actor: &ask.person.actor,
        reason: &reason,
    };
    judge::put_promise(&mut act.tx, &promise, Some(PromiseState::Open), told).await?;
    act.finish(&bus).await?;
    Ok(view(promise)?)
}

pub(crate) async fn promise_figures(
    ask: GetPromiseFigures,
    bus: Bus,
) -> Result<PromiseFigures, Refusal> {
    let mut tx = bus.begin().await?;
    let tallies = store::promises::tallies(tx.conn(), ask.from, ask.to).await?;
    let count = |n| u32::try_from(n).unwrap_or(u32::MAX);
    let row = |tally: store::promises::Tally| {
        let currency = Currency::parse(&tally.currency).map_err(Failure::of)?;
        let money = |amount| Money::try_new(amount, currency).map_err(Failure::of);
        Ok::<_, Failure>(PromiseFigure {
            kept: count(tally.kept),
            partly_kept: count(tally.partly_kept),
            broken: count(tally.broken),
            promised: money(tally.promised)?,
            received: money(tally.received)?,
            taken_by: tally.taken_by,
        })
    };
    let rows = tallies.into_iter().map(row).collect::<Result<_, _>>()?;
    Ok(PromiseFigures { rows })
}

fn place(text: Option<&str>) -> Result<Option<store::promises::Place>, Failure> {
    let Some(text) = text else {
        return Ok(None);
    };
    let found = text.split_once('_').and_then(|(day, id)| {
        let day: NaiveDate = day.parse().ok()?;
        Some((day, id.parse().ok()?))
    });
    found
        .map(Some)
        .ok_or_else(|| wrong("/cursor", "the cursor is not one of ours"))
}

pub(crate) async fn list_promises(
    ask: ListPromises,
    bus: Bus,
) -> Result<Page<PromiseView>, Refusal> {
    let rows = ask.page.rows();
    let after = place(ask.page.cursor.as_deref())?;
    let mut tx = bus.begin().await?;
    let mut found = store::promises::list(
        tx.conn(),
        ask.tab.unwrap_or(PromiseTab::All),
        ask.account_id,
        london_date(bus.now()),
        after,
        rows + 1,
    )
    .await?;
    let more = found.len() as i64 > rows;
    found.truncate(usize::try_from(rows).unwrap_or(usize::MAX));
    let next_cursor = found
        .last()
        .filter(|_| more)
        .map(|last| format!("{}_{}", last.due_on(), last.id));
    Ok(Page {
        items: found.into_iter().map(view).collect::<Result<_, _>>()?,
        next_cursor,
    })
}
