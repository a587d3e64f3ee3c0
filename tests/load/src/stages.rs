//! The three stages: what each reads from its messages, and the one statement
//! that does its work.

use async_nats::jetstream::Message;
use chrono::NaiveDate;
use serde::Deserialize;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::Error;

/// Parameters of a stage's statement: one array a column.
pub(crate) type Columns = Vec<Box<dyn ToSql + Sync + Send>>;

pub(crate) struct Stage {
    /// Its schema, and its durable consumer.
    pub(crate) name: &'static str,
    pub(crate) stream: &'static str,
    /// Where what its outbox holds is published; the last stage has none.
    pub(crate) next: Option<&'static str>,
    pub(crate) statement: &'static str,
    pub(crate) columns: fn(&[Message]) -> Result<Columns, Error>,
}

pub(crate) const RECEIPTS: &str = "floor.receipts";
const RECORDED: &str = "floor.recorded";
const ALLOCATED: &str = "floor.allocated";

/// Streams with their one subject.
pub(crate) const STREAMS: [(&str, &str); 3] = [
    ("FLOOR_RECEIPTS", RECEIPTS),
    ("FLOOR_RECORDED", RECORDED),
    ("FLOOR_ALLOCATED", ALLOCATED),
];

pub(crate) const STAGES: [Stage; 3] = [
    Stage {
        name: "ingest",
        stream: "FLOOR_RECEIPTS",
        next: Some(RECORDED),
        statement: INGEST,
        columns: ingest,
    },
    Stage {
        name: "allocate",
        stream: "FLOOR_RECORDED",
        next: Some(ALLOCATED),
        statement: ALLOCATE,
        columns: allocate,
    },
    Stage {
        name: "project",
        stream: "FLOOR_ALLOCATED",
        next: None,
        statement: PROJECT,
        columns: project,
    },
];

/// The id of a message is the publisher's.
pub(crate) fn message_id(message: &Message) -> Result<Uuid, Error> {
    let id = message
        .headers
        .as_ref()
        .and_then(|headers| headers.get("Nats-Msg-Id"))
        .ok_or("a message without an id")?;
    Ok(Uuid::parse_str(id.as_str())?)
}

const INGEST: &str = "\
with input as (
    select * from unnest($1::uuid[], $2::text[], $3::date[], $4::text[]::numeric[], $5::text[], $6::text[],
        $7::text[], $8::uuid[], $9::text[])
    as t(message_id, bank_reference, booked_on, amount, currency, payer_name, narrative, event_id, payload)
), claimed as (
    insert into ingest.inbox (message_id) select message_id from input on conflict do nothing returning message_id
), fresh as (
    select * from input join claimed using (message_id)
), recorded as (
    insert into ingest.receipt (receipt_id, bank_reference, booked_on, amount, currency, payer_name, narrative)
    select message_id, bank_reference, booked_on, amount, currency, payer_name, narrative from fresh
)
insert into ingest.outbox (event_id, payload) select event_id, payload from fresh
returning seq, event_id, payload";

#[derive(Deserialize)]
struct Received {
    bank_reference: String,
    booked_on: NaiveDate,
    amount: String,
    currency: String,
    payer: Payer,
    remittance: Remittance,
}

#[derive(Deserialize)]
struct Payer {
    name: String,
    account_number: String,
}

#[derive(Deserialize)]
struct Remittance {
    unstructured: Vec<String>,
}

fn ingest(batch: &[Message]) -> Result<Columns, Error> {
    let mut ids = Vec::with_capacity(batch.len());
    let mut references = Vec::with_capacity(batch.len());
    let mut days = Vec::with_capacity(batch.len());
    let mut amounts = Vec::with_capacity(batch.len());
    let mut currencies = Vec::with_capacity(batch.len());
    let mut payers = Vec::with_capacity(batch.len());
    let mut narratives = Vec::with_capacity(batch.len());
    let mut events = Vec::with_capacity(batch.len());
    let mut payloads = Vec::with_capacity(batch.len());
    for message in batch {
        let id = message_id(message)?;
        let receipt: Received = serde_json::from_slice(&message.payload)?;
        let narrative = receipt.remittance.unstructured.join(" ");
        payloads.push(
            serde_json::json!({
                "receipt_id": id,
                "bank_reference": receipt.bank_reference,
                "booked_on": receipt.booked_on,
                "amount": receipt.amount,
                "currency": receipt.currency,
                "payer_name": receipt.payer.name,
                "payer_account": receipt.payer.account_number,
                "narrative": narrative,
                "source": "feed:bench",
                "actor": "feed:bench",
            })
            .to_string(),
        );
        ids.push(id);
        references.push(receipt.bank_reference);
        days.push(receipt.booked_on);
        amounts.push(receipt.amount);
        currencies.push(receipt.currency);
        payers.push(receipt.payer.name);
        narratives.push(narrative);
        events.push(Uuid::now_v7());
    }
    Ok(vec![
        Box::new(ids),
        Box::new(references),
        Box::new(days),
        Box::new(amounts),
        Box::new(currencies),
        Box::new(payers),
        Box::new(narratives),
        Box::new(events),
        Box::new(payloads),
    ])
}

const ALLOCATE: &str = "\
with input as (
    select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]::numeric[], $5::uuid[], $6::uuid[], $7::uuid[],
        $8::uuid[], $9::uuid[])
    as t(message_id, receipt_id, reference, amount, event_id, allocation_id, debit_id, credit_id, audit_id)
), claimed as (
    insert into allocate.inbox (message_id) select message_id from input on conflict do nothing returning message_id
), matched as (
    select input.*, item.document_id, item.account_id
    from input join claimed using (message_id)
    join allocate.open_item item on item.reference = input.reference and item.open = input.amount
), paid as (
    update allocate.open_item item set open = item.open - matched.amount
    from matched where item.document_id = matched.document_id
), allocated as (
    insert into allocate.allocation (allocation_id, receipt_id, document_id, amount)
    select allocation_id, receipt_id, document_id, amount from matched
), booked as (
    insert into allocate.journal (entry_id, account, amount, allocation_id)
    select debit_id, 'bank', amount, allocation_id from matched
    union all select credit_id, account_id::text, -amount, allocation_id from matched
), audited as (
    insert into allocate.audit (audit_id, about, actor, what)
    select audit_id, allocation_id, 'system', 'allocated by the document number ' || reference from matched
)
insert into allocate.outbox (event_id, payload)
select event_id, json_build_object('receipt_id', receipt_id, 'allocation_id', allocation_id,
    'document_id', document_id, 'document_ref', reference, 'account_id', account_id, 'amount', amount::text,
    'currency', 'GBP', 'state', 'allocated', 'rule', 'document_number',
    'evidence', 'the text has the number of ' || reference || ' and the amount is exactly what is open',
    'actor', 'system')::text
from matched
returning seq, event_id, payload";

#[derive(Deserialize)]
struct Recorded {
    receipt_id: Uuid,
    amount: String,
    narrative: String,
}

/// The document number in a payer's words.
fn reference(narrative: &str) -> Option<&str> {
    narrative
        .split_whitespace()
        .find(|word| word.starts_with("INV-"))
}

fn allocate(batch: &[Message]) -> Result<Columns, Error> {
    let mut ids = Vec::with_capacity(batch.len());
    let mut receipts = Vec::with_capacity(batch.len());
    let mut references = Vec::with_capacity(batch.len());
    let mut amounts = Vec::with_capacity(batch.len());
    for message in batch {
        let fact: Recorded = serde_json::from_slice(&message.payload)?;
        ids.push(message_id(message)?);
        receipts.push(fact.receipt_id);
        references.push(reference(&fact.narrative).map(str::to_owned));
        amounts.push(fact.amount);
    }
    let new_ids = || -> Vec<Uuid> { batch.iter().map(|_| Uuid::now_v7()).collect() };
    Ok(vec![
        Box::new(ids),
        Box::new(receipts),
        Box::new(references),
        Box::new(amounts),
        Box::new(new_ids()),
        Box::new(new_ids()),
        Box::new(new_ids()),
        Box::new(new_ids()),
        Box::new(new_ids()),
    ])
}

const PROJECT: &str = "\
with input as (
    select * from unnest($1::uuid[], $2::uuid[], $3::text[]::numeric[]) as t(message_id, account_id, amount)
), claimed as (
    insert into project.inbox (message_id) select message_id from input on conflict do nothing returning message_id
)
insert into project.balance as known (account_id, receipts, allocated)
select account_id, count(*), sum(amount) from input join claimed using (message_id)
group by account_id order by account_id
on conflict (account_id) do update
    set receipts = known.receipts + excluded.receipts, allocated = known.allocated + excluded.allocated";

#[derive(Deserialize)]
struct Allocated {
    receipt_id: Uuid,
    account_id: Uuid,
    amount: String,
}

fn project(batch: &[Message]) -> Result<Columns, Error> {
    let mut ids = Vec::with_capacity(batch.len());
    let mut accounts = Vec::with_capacity(batch.len());
    let mut amounts = Vec::with_capacity(batch.len());
    for message in batch {
        let event: Allocated = serde_json::from_slice(&message.payload)?;
        ids.push(message_id(message)?);
        accounts.push(event.account_id);
        amounts.push(event.amount);
    }
    Ok(vec![Box::new(ids), Box::new(accounts), Box::new(amounts)])
}

/// The receipts that a batch of the last stage was about.
pub(crate) fn receipts_of(batch: &[Message]) -> Result<Vec<Uuid>, Error> {
    batch
        .iter()
        .map(|message| Ok(serde_json::from_slice::<Allocated>(&message.payload)?.receipt_id))
        .collect()
}
