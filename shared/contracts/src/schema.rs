//! The contracts as documents: JSON Schema for every message, the streams, and
//! one AsyncAPI document. `make schemas` writes them to `schemas/`.

use std::collections::BTreeMap;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    Event, Prefix, Role, allocation,
    catalogue::{DURABLES, Outsider, STREAMS, outsider_permissions, service_permissions},
    controls, dead_letters, disputes, dunning, inbound, ingestion, matters, rules, subject,
    worklist,
};

/// Marks a vocabulary that grows: readers outside are told from the first
/// version on to expect choices that they do not know.
pub const OPEN: &str = "x-open";

/// A message type on the broker.
pub struct Message {
    /// Folder in `schemas/messages`.
    pub context: &'static str,
    /// Such as `receipt_recorded.v1`.
    pub name: String,
    /// Where it travels, parameters in braces.
    pub address: String,
    /// Whether it comes from outside.
    pub inbound: bool,
    /// JSON Schema, draft 2020-12.
    pub schema: Value,
    /// Reads a payload and writes it again: what a reader of this version makes
    /// of it.
    pub read: fn(&[u8]) -> Result<Value, serde_json::Error>,
}

fn schema_of<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

fn read<T: serde::de::DeserializeOwned + serde::Serialize>(
    payload: &[u8],
) -> Result<Value, serde_json::Error> {
    serde_json::to_value(serde_json::from_slice::<T>(payload)?)
}

fn event<E: Event>() -> Message {
    Message {
        context: E::CONTEXT.name(),
        name: format!("{}.v{}", E::NAME, E::VERSION),
        address: format!("counterfoil.evt.{}.{}.{{shard}}", E::CONTEXT, E::NAME),
        inbound: false,
        schema: schema_of::<E>(),
        read: read::<E>,
    }
}

fn from_outside<T>(name: &str, address: &str, parameter: &str) -> Message
where
    T: JsonSchema + serde::de::DeserializeOwned + serde::Serialize,
{
    Message {
        context: "inbound",
        name: name.to_owned(),
        address: format!("counterfoil.{address}.{{{parameter}}}"),
        inbound: true,
        schema: schema_of::<T>(),
        read: read::<T>,
    }
}

/// Every message type.
pub fn messages() -> Vec<Message> {
    vec![
        from_outside::<inbound::BankReceipt>("bank_receipt.v1", subject::IN_RECEIPTS, "feed"),
        from_outside::<inbound::BillingAccount>(
            "billing_account.v1",
            subject::IN_ACCOUNTS,
            "source",
        ),
        from_outside::<inbound::BillingDocument>(
            "billing_document.v1",
            subject::IN_DOCUMENTS,
            "source",
        ),
        from_outside::<inbound::Remittance>("remittance.v1", subject::IN_REMITTANCES, "source"),
        from_outside::<inbound::BillingMatter>("billing_matter.v1", subject::IN_MATTERS, "source"),
        from_outside::<inbound::BillingMandate>(
            "billing_mandate.v1",
            subject::IN_MANDATES,
            "source",
        ),
        event::<ingestion::AccountRecorded>(),
        event::<ingestion::MatterRecorded>(),
        event::<ingestion::BankAccountDesignated>(),
        event::<ingestion::DocumentRecorded>(),
        event::<ingestion::ReceiptRecorded>(),
        event::<ingestion::RemittanceRecorded>(),
        event::<ingestion::DebitRecorded>(),
        event::<ingestion::ReturnAdvised>(),
        event::<ingestion::InstructionAdvised>(),
        event::<ingestion::StatementRecorded>(),
        event::<ingestion::MandateChanged>(),
        event::<ingestion::CollectionChanged>(),
        event::<ingestion::RequestedByIngestion>(),
        event::<ingestion::WithdrawnByIngestion>(),
        event::<ingestion::CarriedOutByIngestion>(),
        event::<rules::RulesChanged>(),
        event::<rules::RuleDemoted>(),
        event::<rules::RuleRestored>(),
        event::<allocation::AccountUpdated>(),
        event::<allocation::DocumentPosted>(),
        event::<allocation::ReceiptPosted>(),
        event::<allocation::ReceiptAllocated>(),
        event::<allocation::AllocationUndone>(),
        event::<allocation::ReceiptParked>(),
        event::<allocation::ReceiptUnparked>(),
        event::<matters::MatterUpdated>(),
        event::<matters::ClientMoneyMoved>(),
        event::<matters::BankMoveChanged>(),
        event::<matters::ResidualChanged>(),
        event::<matters::DisbursementChanged>(),
        event::<allocation::ReceiptReduced>(),
        event::<allocation::DebtAdjusted>(),
        event::<controls::ApprovalRequested>(),
        event::<controls::ApprovalWithdrawn>(),
        event::<controls::ApprovalCarriedOut>(),
        event::<controls::ApprovalDecided>(),
        event::<controls::DecidedByAllocation>(),
        event::<controls::RequestedByDisputes>(),
        event::<controls::WithdrawnByDisputes>(),
        event::<controls::CarriedOutByDisputes>(),
        event::<controls::LimitChangeRequested>(),
        event::<controls::LimitChanged>(),
        event::<controls::RefundChanged>(),
        event::<controls::RefundFileOrdered>(),
        event::<controls::RefundFileMade>(),
        event::<allocation::DebitPosted>(),
        event::<allocation::ChaseableChanged>(),
        event::<disputes::CaseChanged>(),
        event::<disputes::CreditRequested>(),
        event::<dunning::HoldChanged>(),
        event::<dunning::PromiseChanged>(),
        event::<dunning::PlanChanged>(),
        event::<dunning::RunChanged>(),
        event::<dunning::ContactChanged>(),
        event::<dunning::ContactRecorded>(),
        event::<dunning::ContactNotesErased>(),
        event::<dunning::ReachChanged>(),
        event::<dunning::CreditStopChanged>(),
        event::<dunning::ChargeChanged>(),
        event::<dunning::ReferralChanged>(),
        event::<dunning::LimitationChanged>(),
        event::<dunning::TemplatePublished>(),
        event::<dunning::PolicyPublished>(),
        event::<dunning::PolicyAssigned>(),
        event::<dunning::RequestedByDunning>(),
        event::<dunning::WithdrawnByDunning>(),
        event::<dunning::CarriedOutByDunning>(),
        event::<worklist::WorkItemChanged>(),
        event::<worklist::WorkEscalated>(),
        Message {
            address: "counterfoil.sla.{level}.{kind}".to_owned(),
            ..event::<worklist::SlaBreach>()
        },
        event::<worklist::PersonChanged>(),
        event::<worklist::CoverChanged>(),
        event::<worklist::PortfolioChanged>(),
        event::<worklist::PolicyChanged>(),
        event::<dead_letters::LetterOfIngestion>(),
        event::<dead_letters::LetterOfAllocation>(),
        event::<dead_letters::LetterOfDisputes>(),
        event::<dead_letters::LetterOfDunning>(),
        event::<dead_letters::LetterOfWorklist>(),
        event::<dead_letters::LetterOfReporting>(),
    ]
}

/// Every generated file by its path below `schemas/`, with its text.
pub fn files() -> BTreeMap<String, String> {
    let messages = messages();
    let mut files = BTreeMap::new();
    let mut put = |path: String, value: &Value| {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        files.insert(path, text + "\n");
    };
    for message in &messages {
        put(
            format!("messages/{}/{}.json", message.context, message.name),
            &message.schema,
        );
    }
    put("streams.json".to_owned(), &streams());
    // YAML 1.2 contains JSON: one writer is enough for both.
    put("asyncapi.yaml".to_owned(), &async_api(&messages));
    files
}

fn streams() -> Value {
    let prefix = Prefix::default();
    let durables: Vec<Value> = DURABLES
        .iter()
        .map(|d| json!({ "name": d.name(), "service": d.service, "stream": d.stream, "event": d.event }))
        .collect();
    let users: Vec<_> = Role::ALL
        .iter()
        .map(|role| service_permissions(*role, &prefix))
        .chain(
            Outsider::ALL
                .iter()
                .map(|who| outsider_permissions(*who, &prefix)),
        )
        .collect();
    json!({ "streams": STREAMS, "consumers": durables, "users": users })
}

fn async_api(messages: &[Message]) -> Value {
    let mut channels = Map::new();
    let mut operations = Map::new();
    for message in messages {
        let key = format!("{}_{}", message.context, message.name.replace('.', "_"));
        let parameters: Map<String, Value> = message
            .address
            .split(['{', '}'])
            .skip(1)
            .step_by(2)
            .map(|name| {
                let about = match name {
                    "shard" => "two hex digits: see subject::shard_of",
                    "level" => "warning or breached",
                    "kind" => "the kind of work",
                    _ => "the feed or billing system",
                };
                (name.to_owned(), json!({ "description": about }))
            })
            .collect();
        let stream = STREAMS
            .iter()
            .find(|s| {
                s.subjects.iter().any(|subject| {
                    let rest = message
                        .address
                        .strip_prefix("counterfoil.")
                        .unwrap_or_default();
                    rest.starts_with(subject.trim_end_matches('>'))
                })
            })
            .map(|s| s.name);
        channels.insert(key.clone(), json!({
            "address": message.address,
            "parameters": parameters,
            "messages": { "message": {
                "name": message.name,
                "contentType": "application/json",
                "headers": { "$ref": "#/components/schemas/headers" },
                "payload": {
                    "schemaFormat": "application/schema+json;version=draft-2020-12",
                    "schema": { "$ref": format!("./messages/{}/{}.json", message.context, message.name) },
                },
            } },
            "x-jetstream": { "stream": stream },
        }));
        operations.insert(
            format!("{}_{key}", if message.inbound { "receive" } else { "send" }),
            json!({
                "action": if message.inbound { "receive" } else { "send" },
                "channel": { "$ref": format!("#/channels/{key}") },
            }),
        );
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Counterfoil",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Facts and inbound messages of the suite. CloudEvents 1.0 in binary mode: attributes are headers.",
            "license": { "name": "Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": { "schemas": { "headers": headers() } },
    })
}

fn headers() -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    json!({
        "type": "object",
        "properties": {
            "Nats-Msg-Id": text("the message's id, a UUIDv7; the same as ce-id"),
            "ce-id": text("CloudEvents id"),
            "ce-specversion": text("1.0"),
            "ce-type": text("such as counterfoil.ingestion.receipt_recorded.v1"),
            "ce-source": text("such as /counterfoil/ingestion"),
            "ce-subject": text("the aggregate's id"),
            "ce-time": text("when it was recorded, RFC 3339"),
            "ce-partitionkey": text("what the shard was worked out from, percent-encoded"),
            "ce-correlationid": text("the id of the first message of the chain"),
            "ce-causationid": text("the id of the message or command that caused it"),
            "ce-aggregateversion": text("rises by one with every change of the aggregate"),
            "traceparent": text("W3C trace context"),
        },
    })
}

/// What of `new` an old reader or an old message would trip over, in words.
/// Adding optional fields is the only change that nobody trips over.
pub fn incompatibilities(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", old, new, (old, new), &mut found);
    found
}

fn resolve<'v>(value: &'v Value, root: &'v Value) -> &'v Value {
    value
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|path| root.pointer(path.trim_start_matches('#')))
        .unwrap_or(value)
}

/// Whether readers were told from the first version on that choices may be
/// added.
fn is_open(schema: &Value) -> bool {
    schema.get(OPEN) == Some(&Value::Bool(true))
}

/// The values that a vocabulary has, documented or not.
fn choices(schema: &Value) -> Vec<Value> {
    let list = |key: &str| schema.get(key).and_then(Value::as_array);
    let mut found = list("enum").cloned().unwrap_or_default();
    for choice in list("oneOf").into_iter().flatten() {
        found.extend(choices(choice));
        found.extend(choice.get("const").cloned());
    }
    found
}

fn compare(path: &str, old: &Value, new: &Value, roots: (&Value, &Value), found: &mut Vec<String>) {
    let (old, new) = (resolve(old, roots.0), resolve(new, roots.1));
    for key in ["type", "format", "pattern", "const"] {
        if old.get(key) != new.get(key) {
            found.push(format!("{path}: `{key}` changed"));
        }
    }
    let list = |value: &Value, key: &str| {
        value
            .get(key)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    for name in list(new, "required") {
        if !list(old, "required").contains(&name) {
            found.push(format!(
                "{path}/{}: is required now",
                name.as_str().unwrap_or_default()
            ));
        }
    }
    for name in list(old, "required") {
        if !list(new, "required").contains(&name) {
            found.push(format!(
                "{path}/{}: is no longer always there",
                name.as_str().unwrap_or_default()
            ));
        }
    }
    if is_open(old) {
        let (before, after) = (choices(old), choices(new));
        for gone in before.iter().filter(|choice| !after.contains(choice)) {
            found.push(format!("{path}: the choice {gone} is gone"));
        }
        return;
    }
    for word in ["enum", "oneOf", "anyOf"] {
        if list(old, word).len() != list(new, word).len()
            || (word == "enum" && list(old, word) != list(new, word))
        {
            found.push(format!("{path}: the choices of `{word}` changed"));
        }
        for (n, (old, new)) in list(old, word).iter().zip(&list(new, word)).enumerate() {
            if word != "enum" {
                compare(&format!("{path}/{word}/{n}"), old, new, roots, found);
            }
        }
    }
    if let (Some(old), Some(new)) = (old.get("items"), new.get("items")) {
        compare(&format!("{path}/items"), old, new, roots, found);
    }
    let empty = Map::new();
    let properties = |value: &'_ Value| {
        value
            .get("properties")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or(empty.clone())
    };
    let fresh = properties(new);
    for (name, old) in properties(old) {
        match fresh.get(&name) {
            None => found.push(format!("{path}/{name}: is gone")),
            Some(new) => compare(&format!("{path}/{name}"), &old, new, roots, found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(properties: Value, required: &[&str]) -> Value {
        json!({ "type": "object", "properties": properties, "required": required })
    }

    #[test]
    fn an_open_vocabulary_may_grow_and_never_shrink() {
        let of = |choices: &[&str]| json!({ "enum": choices, OPEN: true });
        let old = schema(json!({ "k": of(&["x", "y"]) }), &["k"]);
        let grown = schema(json!({ "k": of(&["y", "z", "x"]) }), &["k"]);
        let shrunk = schema(json!({ "k": of(&["y", "z"]) }), &["k"]);
        assert!(incompatibilities(&old, &grown).is_empty());
        assert_eq!(
            incompatibilities(&old, &shrunk),
            ["/k: the choice \"x\" is gone"]
        );
    }

    #[test]
    fn only_optional_additions_are_compatible() {
        let old = schema(
            json!({ "a": { "type": "string" }, "k": { "enum": ["x", "y"] } }),
            &["a"],
        );
        let trips = |properties: Value, required: &[&str]| {
            incompatibilities(&old, &schema(properties, required))
        };
        let k = json!({ "enum": ["x", "y"] });
        assert!(
            trips(
                json!({ "a": { "type": "string" }, "k": k, "b": { "type": "string" } }),
                &["a"]
            )
            .is_empty()
        );
        assert!(trips(json!({ "a": { "type": "string" } }), &["a"])[0].contains("/k: is gone"));
        assert!(
            trips(json!({ "a": { "type": "integer" }, "k": k }), &["a"])[0]
                .contains("`type` changed")
        );
        assert!(
            trips(json!({ "a": { "type": "string" }, "k": k }), &["a", "k"])[0]
                .contains("required now")
        );
        assert!(
            trips(
                json!({ "a": { "type": "string" }, "k": { "enum": ["x"] } }),
                &["a"]
            )[0]
            .contains("enum")
        );
    }
}
