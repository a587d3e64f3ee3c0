//! Dead letters: kept whole, shown masked, replayed or discarded by a person.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contracts::{
    Role,
    api::{
        Page,
        dead_letters::{DeadLetterView, ListDeadLetters, PickDeadLetter},
    },
    dead_letters::{
        DeadLetterChanged, DeadLetterState, LetterOfAllocation, LetterOfDisputes, LetterOfDunning,
        LetterOfIngestion, LetterOfReporting, LetterOfWorklist, MONEY_SUBJECTS,
    },
};
use kernel::{Classified, Currency, Money};
use sqlx::{AssertSqlSafe, FromRow};
use uuid::Uuid;

use crate::{Bus, Failure, Meta, Outgoing, Raw, Tx};

pub(crate) async fn bury(
    tx: &mut Tx,
    bus: &Bus,
    raw: &Raw,
    failure: &Failure,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let headers: BTreeMap<String, String> = raw
        .headers
        .iter()
        .filter_map(|(name, values)| Some((name.to_string(), values.first()?.to_string())))
        .collect();
    let id = Uuid::now_v7();
    sqlx::query(AssertSqlSafe(bus.sql().bury.as_str()))
        .bind(id)
        .bind(raw.meta.id)
        .bind(bus.prefix().subject(&raw.meta.subject))
        .bind(raw.event_type())
        .bind(serde_json::to_value(headers)?)
        .bind(raw.payload.as_ref())
        .bind(&raw.stream)
        .bind(raw.meta.sequence as i64)
        .bind(failure.code())
        .bind(failure.class_name())
        .bind(failure.chain())
        .bind(serde_json::to_value(failure.fields())?)
        .bind(failure.line().and_then(|line| i32::try_from(line).ok()))
        .bind(raw.delivered as i32)
        .bind(money_impact(&raw.payload))
        .bind(now)
        .execute(tx.conn())
        .await?;
    bus.metrics().buried(failure.code());
    let there = Settled {
        message_id: raw.meta.id,
        subject: bus.prefix().subject(&raw.meta.subject),
        message_type: raw.event_type().map(str::to_owned),
        code: failure.code().to_owned(),
        class: Some(failure.class_name().to_owned()),
        failed_at: now,
        payload: raw.payload.to_vec(),
    };
    let said = Said {
        id,
        state: DeadLetterState::Waiting,
        actor: &format!("system:{}", bus.role()),
        // The failure's own words may quote the payload.
        reason: failure.code(),
    };
    tell(tx, bus, there, said, now).await
}

/// A letter as it is, for the fact about it.
#[derive(FromRow)]
struct Settled {
    message_id: Uuid,
    subject: String,
    message_type: Option<String>,
    code: String,
    class: Option<String>,
    failed_at: DateTime<Utc>,
    payload: Vec<u8>,
}

/// What became of it.
struct Said<'s> {
    id: Uuid,
    state: DeadLetterState,
    actor: &'s str,
    reason: &'s str,
}

/// Says that a letter with money in it is there, or is settled: somebody must
/// look. Not of what says so itself, or one that worklist cannot handle would
/// make the next.
async fn tell(
    tx: &mut Tx,
    bus: &Bus,
    letter: Settled,
    said: Said<'_>,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    let subject = bus
        .prefix()
        .strip(&letter.subject)
        .unwrap_or(&letter.subject)
        .to_owned();
    let itself = letter
        .message_type
        .as_deref()
        .is_some_and(|kind| kind.contains(&format!(".{}.", DeadLetterChanged::EVENT)));
    if itself || !carries_money(&subject, &letter.payload) {
        return Ok(());
    }
    let version = if said.state == DeadLetterState::Waiting {
        1
    } else {
        2
    };
    let changed = DeadLetterChanged {
        dead_letter_id: said.id,
        version,
        service: bus.role().name().to_owned(),
        state: said.state,
        message_id: letter.message_id,
        subject,
        message_type: letter.message_type,
        code: letter.code,
        class: letter.class.unwrap_or_default(),
        amount: amount(&letter.payload),
        failed_at: letter.failed_at,
        recorded_at: now,
        actor: said.actor.to_owned(),
        reason: said.reason.to_owned(),
    };
    if let Some(event) = outgoing(bus, changed, now)? {
        tx.publish(&[event]).await?;
    }
    Ok(())
}

/// On the subject of this service; the gateway reads nothing and has none.
fn outgoing(
    bus: &Bus,
    changed: DeadLetterChanged,
    now: DateTime<Utc>,
) -> Result<Option<Outgoing>, Failure> {
    let (id, version) = (changed.dead_letter_id, changed.version);
    let cause = Meta::of_command(changed.message_id, now, None);
    let prefix = bus.prefix();
    Ok(Some(match bus.role() {
        Role::Ingestion => Outgoing::new(
            &LetterOfIngestion(changed),
            id,
            version,
            prefix,
            now,
            &cause,
        )?,
        Role::Allocation => Outgoing::new(
            &LetterOfAllocation(changed),
            id,
            version,
            prefix,
            now,
            &cause,
        )?,
        Role::Disputes => {
            Outgoing::new(&LetterOfDisputes(changed), id, version, prefix, now, &cause)?
        }
        Role::Dunning => {
            Outgoing::new(&LetterOfDunning(changed), id, version, prefix, now, &cause)?
        }
        Role::Worklist => {
            Outgoing::new(&LetterOfWorklist(changed), id, version, prefix, now, &cause)?
        }
        Role::Reporting => Outgoing::new(
            &LetterOfReporting(changed),
            id,
            version,
            prefix,
            now,
            &cause,
        )?,
        Role::Gateway => return Ok(None),
    }))
}

/// Whether it is about money: by where it came in, or because an amount with a
/// currency is somewhere in it.
fn carries_money(subject: &str, payload: &[u8]) -> bool {
    fn found(value: &serde_json::Value) -> bool {
        match value {
            serde_json::Value::Object(fields) => {
                (fields.contains_key("amount") && fields.contains_key("currency"))
                    || fields.values().any(found)
            }
            serde_json::Value::Array(values) => values.iter().any(found),
            _ => false,
        }
    }
    let by_subject = MONEY_SUBJECTS.iter().any(|money| {
        subject
            .strip_prefix(money)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    by_subject || serde_json::from_slice(payload).is_ok_and(|value| found(&value))
}

/// The amount of the message, if it is one: an amount that no currency allows is
/// shown by [`money_impact`] alone.
fn amount(payload: &[u8]) -> Option<Money> {
    let text = money_impact(payload)?;
    let (amount, currency) = text.rsplit_once(' ')?;
    Money::parse(amount, Currency::parse(currency).ok()?).ok()
}

/// The amount in a message that could not be handled, as far as it can be read:
/// tells an operator which letters to open first.
fn money_impact(payload: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(payload).ok()?;
    let text = |v: &serde_json::Value| match v {
        serde_json::Value::String(s) => Some(s.clone()),
        serde_json::Value::Number(n) => Some(n.to_string()),
        _ => None,
    };
    let amount = value.get("amount").or_else(|| value.get("gross"))?;
    if let Some(inner) = amount.get("amount") {
        return Some(format!(
            "{} {}",
            text(inner)?,
            text(amount.get("currency")?)?
        ));
    }
    let currency = value.get("currency").and_then(text).unwrap_or_default();
    Some(
        format!("{} {currency}", text(amount)?)
            .trim_end()
            .chars()
            .take(60)
            .collect(),
    )
}

#[derive(FromRow)]
struct Row {
    dead_letter_id: Uuid,
    message_id: Uuid,
    subject: String,
    message_type: Option<String>,
    code: String,
    class: Option<String>,
    detail: String,
    fields: serde_json::Value,
    line: Option<i32>,
    attempts: i32,
    state: String,
    failed_at: DateTime<Utc>,
    settled_at: Option<DateTime<Utc>>,
    money_impact: Option<String>,
    payload: Vec<u8>,
}

impl Row {
    fn view(self, service: &str, with_payload: bool) -> DeadLetterView {
        DeadLetterView {
            dead_letter_id: self.dead_letter_id,
            service: service.to_owned(),
            subject: self.subject,
            message_id: self.message_id,
            message_type: self.message_type,
            code: self.code,
            class: self.class,
            detail: self.detail,
            // Written by ourselves; of an older letter there are none.
            fields: serde_json::from_value(self.fields).unwrap_or_default(),
            line: self.line,
            attempts: self.attempts,
            state: self.state,
            failed_at: self.failed_at,
            settled_at: self.settled_at,
            money_impact: self.money_impact,
            payload: with_payload.then(|| masked(&self.payload)),
        }
    }
}

/// Bank details by their digits: of any run of six or more digits only the last
/// four are shown.
fn masked(payload: &[u8]) -> String {
    let text = String::from_utf8_lossy(payload);
    let mut out = String::with_capacity(text.len());
    let mut digits = String::new();
    for c in text.chars().chain(std::iter::once('\0')) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if digits.len() >= 6 {
            let keep = digits.len() - 4;
            out.extend(std::iter::repeat_n('•', keep));
            out.push_str(&digits[keep..]);
        } else {
            out.push_str(&digits);
        }
        digits.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

pub(crate) async fn list(ask: ListDeadLetters, bus: Bus) -> Result<Page<DeadLetterView>, Failure> {
    let after = match &ask.page.cursor {
        Some(cursor) => Some(Uuid::parse_str(cursor).map_err(|e| {
            Failure::permanent("messaging.bad_cursor", "the cursor is not one of ours")
                .at("/cursor", e.to_string())
        })?),
        None => None,
    };
    let limit = ask.page.rows();
    let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(bus.sql().letters.as_str()))
        .bind(ask.code)
        .bind(ask.all)
        .bind(after)
        .bind(limit + 1)
        .fetch_all(bus.pool())
        .await?;
    let more = rows.len() as i64 > limit;
    let items: Vec<_> = rows
        .into_iter()
        .take(limit as usize)
        .map(|row| row.view(bus.role().name(), false))
        .collect();
    let next_cursor = if more {
        items.last().map(|l| l.dead_letter_id.to_string())
    } else {
        None
    };
    Ok(Page { items, next_cursor })
}

pub(crate) async fn get(pick: PickDeadLetter, bus: Bus) -> Result<DeadLetterView, Failure> {
    let row: Option<Row> = sqlx::query_as(AssertSqlSafe(bus.sql().letter.as_str()))
        .bind(pick.dead_letter_id)
        .fetch_optional(bus.pool())
        .await?;
    row.map(|row| row.view(bus.role().name(), true))
        .ok_or_else(|| missing(&pick))
}

fn missing(pick: &PickDeadLetter) -> Failure {
    Failure::not_found(
        "messaging.no_dead_letter",
        format!("there is no dead letter {} here", pick.dead_letter_id),
    )
}

/// Hands the message to this service's own consumer again, through `replays`.
pub(crate) async fn replay(
    pick: PickDeadLetter,
    bus: Bus,
    replays: &Replays,
) -> Result<DeadLetterView, Failure> {
    let kept: Option<Kept> = sqlx::query_as(AssertSqlSafe(bus.sql().kept_letter.as_str()))
        .bind(pick.dead_letter_id)
        .fetch_optional(bus.pool())
        .await?;
    let raw = Raw::kept(&bus, kept.ok_or_else(|| missing(&pick))?);
    replays(raw, pick.clone()).await?;
    get(pick, bus).await
}

/// The first part of the transaction that handles a dead letter again: it is
/// settled, and its id is free to be claimed once more.
pub(crate) async fn take_back(
    tx: &mut Tx,
    bus: &Bus,
    pick: &PickDeadLetter,
    raw: &Raw,
) -> Result<(), Failure> {
    settle(tx, bus, pick, DeadLetterState::Replayed).await?;
    sqlx::query(AssertSqlSafe(bus.sql().unclaim.as_str()))
        .bind(raw.meta.id)
        .execute(tx.conn())
        .await?;
    Ok(())
}

pub(crate) async fn discard(pick: PickDeadLetter, bus: Bus) -> Result<DeadLetterView, Failure> {
    if pick.reason.trim().is_empty() {
        return Err(Failure::permanent(
            "messaging.reason_needed",
            "a dead letter is discarded with a reason",
        )
        .at("/reason", "must not be empty"));
    }
    let mut tx = bus.begin().await?;
    settle(&mut tx, &bus, &pick, DeadLetterState::Discarded).await?;
    tx.commit().await?;
    get(pick, bus).await
}

/// Handles one dead letter outside its stream.
pub(crate) type Replays = std::sync::Arc<
    dyn Fn(Raw, PickDeadLetter) -> futures::future::BoxFuture<'static, Result<(), Failure>>
        + Send
        + Sync,
>;

/// A dead letter's message as it was kept.
#[derive(FromRow)]
pub(crate) struct Kept {
    pub(crate) message_id: Uuid,
    pub(crate) subject: String,
    pub(crate) headers: serde_json::Value,
    pub(crate) payload: Vec<u8>,
    pub(crate) stream: String,
    pub(crate) stream_sequence: i64,
}

async fn settle(
    tx: &mut Tx,
    bus: &Bus,
    pick: &PickDeadLetter,
    state: DeadLetterState,
) -> Result<(), Failure> {
    let now = bus.now();
    let settled: Option<Settled> = sqlx::query_as(AssertSqlSafe(bus.sql().settle_letter.as_str()))
        .bind(pick.dead_letter_id)
        .bind(state.name())
        .bind(now)
        .bind(&pick.actor)
        .bind(&pick.reason)
        .fetch_optional(tx.conn())
        .await?;
    let letter = settled.ok_or_else(|| missing(pick))?;
    let said = Said {
        id: pick.dead_letter_id,
        state,
        actor: &pick.actor,
        reason: &pick.reason,
    };
    tell(tx, bus, letter, said, now).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bank_details_are_masked() {
        assert_eq!(
            masked(br#"{"account_number":"55779911","sort_code":"20-00-00","amount":"12345.67"}"#),
            r#"{"account_number":"••••9911","sort_code":"20-00-00","amount":"12345.67"}"#
        );
    }

    #[test]
    fn money_impact_is_read_as_far_as_it_goes() {
        assert_eq!(
            money_impact(br#"{"amount":"1.234","currency":"GBP"}"#).as_deref(),
            Some("1.234 GBP")
        );
        assert_eq!(
            money_impact(br#"{"amount":{"amount":"5.00","currency":"EUR"}}"#).as_deref(),
            Some("5.00 EUR")
        );
        assert_eq!(money_impact(b"{").as_deref(), None);
    }

    #[test]
    fn money_is_known_by_where_it_came_in_or_by_an_amount_anywhere() {
        let deep = br#"{"items":[{"disputed":{"amount":"5.00","currency":"EUR"}}]}"#;
        assert!(carries_money("evt.disputes.case_changed.01", deep));
        assert!(carries_money("in.bank.receipts.barclays", b"{broken"));
        assert!(!carries_money("in.bank.receiptsx", b"{broken"));
        assert!(!carries_money(
            "in.billing.accounts.erp",
            br#"{"account_ref":"ACME01","currency":"GBP"}"#
        ));
    }

    #[test]
    fn an_amount_that_no_currency_allows_is_not_told_as_one() {
        assert_eq!(
            amount(br#"{"amount":"12.00","currency":"GBP"}"#),
            Money::parse("12.00", Currency::GBP).ok()
        );
        assert_eq!(amount(br#"{"amount":"1.234","currency":"GBP"}"#), None);
        assert_eq!(amount(br#"{"gross":"5","currency":"???"}"#), None);
    }
}
