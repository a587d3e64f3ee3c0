//! Messages with their attributes: CloudEvents 1.0 in binary mode (`ce-*`
//! headers); structured mode is understood too where it comes in.

use std::{fmt::Write as _, sync::LazyLock};

use async_nats::HeaderMap;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use contracts::{Event, Prefix};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::{Bus, Failure, dead_letters::Kept};

/// Names outside ids apart from ours: a feed's `Nats-Msg-Id` need not be a UUID.
static OUTSIDE: LazyLock<Uuid> =
    LazyLock::new(|| Uuid::new_v5(&Uuid::NAMESPACE_OID, b"counterfoil message id"));

/// What is known of a message beside its payload.
#[derive(Debug, Clone)]
pub struct Meta {
    /// `Nats-Msg-Id`, or `ce-id`, or the place in the stream: what the inbox
    /// claims.
    pub id: Uuid,
    /// Without the prefix and the suite's first token, such as
    /// `in.bank.receipts.barclays`.
    pub subject: String,
    pub event_type: Option<String>,
    pub correlation_id: Uuid,
    /// Place in the stream.
    pub sequence: u64,
    /// When it happened, as its publisher says; else when the broker got it.
    pub time: DateTime<Utc>,
    /// W3C trace context of the publisher.
    pub traceparent: Option<String>,
}

impl Meta {
    /// For facts that come from a command or a timer instead of a message.
    pub fn of_command(id: Uuid, now: DateTime<Utc>, traceparent: Option<String>) -> Self {
        Self {
            id,
            subject: String::new(),
            event_type: None,
            correlation_id: id,
            sequence: 0,
            time: now,
            traceparent,
        }
    }

    /// The trace that goes on from here: the publisher's, or a new one named
    /// after the correlation.
    fn trace_on(&self, event: Uuid) -> String {
        let trace = self
            .traceparent
            .as_deref()
            .and_then(|parent| parent.get(3..35))
            .map_or_else(|| self.correlation_id.simple().to_string(), str::to_owned);
        let span = event.simple().to_string();
        format!(
            "00-{trace}-{}-01",
            span.get(16..).unwrap_or("0000000000000001")
        )
    }
}

/// A message whose payload has been understood.
#[derive(Debug, Clone)]
pub struct Incoming<M> {
    pub meta: Meta,
    pub message: M,
}

/// A message as it came.
#[derive(Debug, Clone)]
pub struct Raw {
    pub meta: Meta,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
    pub(crate) stream: String,
    pub(crate) delivered: i64,
}

impl Raw {
    pub(crate) fn of(
        prefix: &Prefix,
        message: &async_nats::jetstream::Message,
    ) -> Result<Self, Failure> {
        let info = message
            .info()
            .map_err(|error| Failure::bug("messaging.not_from_a_stream", error.to_string()))?;
        let headers = message.headers.clone().unwrap_or_default();
        let mut raw = Self {
            meta: Meta {
                id: Uuid::nil(),
                subject: prefix
                    .strip(message.subject.as_str())
                    .unwrap_or(message.subject.as_str())
                    .to_owned(),
                event_type: header(&headers, "ce-type").map(str::to_owned),
                correlation_id: Uuid::nil(),
                sequence: info.stream_sequence,
                time: header(&headers, "ce-time")
                    .and_then(|time| DateTime::parse_from_rfc3339(time).ok())
                    .map_or_else(|| info.published, |time| time.to_utc()),
                traceparent: header(&headers, "traceparent").map(str::to_owned),
            },
            stream: info.stream.to_owned(),
            delivered: info.delivered,
            payload: message.payload.clone(),
            headers,
        };
        if header(&raw.headers, "Content-Type")
            .is_some_and(|t| t.starts_with("application/cloudevents+json"))
        {
            raw.unwrap_structured();
        }
        raw.meta.id = header(&raw.headers, "Nats-Msg-Id")
            .or_else(|| header(&raw.headers, "ce-id"))
            .map_or_else(
                || outside_id(&format!("{}/{}", raw.stream, raw.meta.sequence)),
                |id| {
                    Uuid::parse_str(id)
                        .unwrap_or_else(|_| outside_id(&format!("{}/{id}", raw.meta.subject)))
                },
            );
        raw.meta.correlation_id = header(&raw.headers, "ce-correlationid")
            .and_then(|id| Uuid::parse_str(id).ok())
            .unwrap_or(raw.meta.id);
        Ok(raw)
    }

    /// A message that was kept as a dead letter, ready to be handled again.
    pub(crate) fn kept(bus: &Bus, kept: Kept) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in kept.headers.as_object().into_iter().flatten() {
            if let Some(value) = value.as_str() {
                headers.insert(name.as_str(), value);
            }
        }
        Self {
            meta: Meta {
                id: kept.message_id,
                subject: bus
                    .prefix()
                    .strip(&kept.subject)
                    .unwrap_or(&kept.subject)
                    .to_owned(),
                event_type: header(&headers, "ce-type").map(str::to_owned),
                correlation_id: header(&headers, "ce-correlationid")
                    .and_then(|id| Uuid::parse_str(id).ok())
                    .unwrap_or(kept.message_id),
                sequence: kept.stream_sequence.unsigned_abs(),
                time: bus.now(),
                traceparent: header(&headers, "traceparent").map(str::to_owned),
            },
            headers,
            payload: kept.payload.into(),
            stream: kept.stream,
            delivered: 1,
        }
    }

    /// Structured mode: the attributes stand beside the data in the payload. An
    /// envelope that cannot be read is left as it is, to fail in `decode` with
    /// the reason.
    fn unwrap_structured(&mut self) {
        let Ok(mut envelope) =
            serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&self.payload)
        else {
            return;
        };
        let text = |name: &str| {
            envelope
                .get(name)
                .and_then(|v| v.as_str())
                .map(str::to_owned)
        };
        if let Some(id) = text("id")
            && header(&self.headers, "Nats-Msg-Id").is_none()
        {
            self.headers.insert("ce-id", id);
        }
        if let Some(kind) = text("type") {
            self.meta.event_type = Some(kind);
        }
        if let Some(parent) = text("traceparent") {
            self.meta.traceparent = Some(parent);
        }
        if let Some(time) = text("time").and_then(|t| DateTime::parse_from_rfc3339(&t).ok()) {
            self.meta.time = time.to_utc();
        }
        if let Some(data) = envelope.remove("data")
            && let Ok(bytes) = serde_json::to_vec(&data)
        {
            self.payload = bytes.into();
        }
    }

    /// The payload as `T`.
    ///
    /// # Errors
    /// A permanent failure that says where in the payload it stopped making
    /// sense.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.payload).map_err(|error| {
            // Only on the way to a dead letter: read again, slowly, to name the
            // field.
            let mut reader = serde_json::Deserializer::from_slice(&self.payload);
            let pointer = match serde_path_to_error::deserialize::<_, T>(&mut reader) {
                Err(tracked) => pointer(tracked.path(), &error),
                Ok(_) => String::new(),
            };
            let failure = Failure::permanent(
                "messaging.malformed",
                format!("the payload is not what its subject promises, at `{pointer}`: {error}"),
            )
            .at(pointer, error.to_string());
            match error.line() {
                0 => failure,
                line => failure.on_line(line),
            }
        })
    }

    pub fn event_type(&self) -> Option<&str> {
        self.meta.event_type.as_deref()
    }

    /// Whether this is an `E`, by its CloudEvents type.
    pub fn is<E: Event>(&self) -> bool {
        self.event_type()
            .is_some_and(|kind| kind == E::event_type())
    }
}

/// The place of `error` in a payload as a JSON pointer (RFC 6901). A field that
/// is not there has no place on the path: only the words name it.
fn pointer(path: &serde_path_to_error::Path, error: &serde_json::Error) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        let step = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
            // A variant is no place of its own in the JSON.
            Segment::Enum { .. } | Segment::Unknown => continue,
        };
        pointer.push('/');
        pointer.push_str(&step);
    }
    let words = error.to_string();
    if let Some((missing, _)) = words
        .strip_prefix("missing field `")
        .and_then(|rest| rest.split_once('`'))
    {
        pointer.push('/');
        pointer.push_str(missing);
    }
    pointer
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(async_nats::HeaderValue::as_str)
}

fn outside_id(text: &str) -> Uuid {
    Uuid::new_v5(&OUTSIDE, text.as_bytes())
}

/// A fact on its way into the outbox.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub(crate) event_id: Uuid,
    pub(crate) aggregate_id: Uuid,
    pub(crate) aggregate_version: i64,
    pub(crate) subject: String,
    pub(crate) event_type: String,
    pub(crate) partition_key: String,
    pub(crate) correlation_id: Uuid,
    pub(crate) causation_id: Uuid,
    pub(crate) traceparent: String,
    pub(crate) payload: String,
    pub(crate) recorded_at: DateTime<Utc>,
}

impl Outgoing {
    /// `event`, caused by `cause`, about the aggregate `about` in its `version`.
    ///
    /// # Errors
    /// When the event cannot be written as JSON, which is a bug.
    pub fn new<E: Event>(
        event: &E,
        about: Uuid,
        version: i64,
        prefix: &Prefix,
        now: DateTime<Utc>,
        cause: &Meta,
    ) -> Result<Self, Failure> {
        let event_id = Uuid::now_v7();
        Ok(Self {
            event_id,
            aggregate_id: about,
            aggregate_version: version,
            subject: prefix.event(event),
            event_type: E::event_type(),
            partition_key: event.partition_key().to_owned(),
            correlation_id: cause.correlation_id,
            causation_id: cause.id,
            traceparent: cause.trace_on(event_id),
            payload: serde_json::to_string(event)?,
            recorded_at: now,
        })
    }

    /// The same on a subject of its own, such as [`Prefix::sla`]; below what the
    /// service may publish to, or the relay would stand still.
    #[must_use]
    pub fn on(mut self, subject: String) -> Self {
        self.subject = subject;
        self
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let id = self.event_id.to_string();
        headers.insert("Nats-Msg-Id", id.as_str());
        headers.insert("ce-id", id);
        headers.insert("ce-specversion", "1.0");
        headers.insert("ce-type", self.event_type.as_str());
        // counterfoil.<context>.…: the context is the source.
        let context = self.event_type.split('.').nth(1).unwrap_or_default();
        headers.insert("ce-source", format!("/counterfoil/{context}"));
        headers.insert("ce-subject", self.aggregate_id.to_string());
        headers.insert(
            "ce-time",
            self.recorded_at
                .to_rfc3339_opts(SecondsFormat::Micros, true),
        );
        headers.insert("ce-partitionkey", header_text(&self.partition_key));
        headers.insert("ce-correlationid", self.correlation_id.to_string());
        headers.insert("ce-causationid", self.causation_id.to_string());
        headers.insert("ce-aggregateversion", self.aggregate_version.to_string());
        headers.insert("traceparent", self.traceparent.as_str());
        headers
    }
}

/// Header values are one line of ASCII; anything else is percent-encoded, as
/// the CloudEvents HTTP binding does.
fn header_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' && byte != b'"' {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_key_fits_into_a_header() {
        assert_eq!(
            header_text("ACME 01%\r\nX: y é"),
            "ACME%2001%25%0D%0AX:%20y%20%C3%A9"
        );
    }

    #[test]
    fn what_is_wrong_with_a_payload_is_told_by_place_and_line() {
        #[derive(Debug, serde::Deserialize)]
        struct Told {
            #[allow(dead_code, reason = "only its type matters")]
            lines: Vec<Line>,
        }
        #[derive(Debug, serde::Deserialize)]
        struct Line {
            #[allow(dead_code, reason = "only its type matters")]
            amount: u8,
        }
        let failed = |payload: &str| {
            let raw = Raw {
                meta: Meta::of_command(Uuid::nil(), DateTime::UNIX_EPOCH, None),
                headers: HeaderMap::new(),
                payload: payload.to_owned().into(),
                stream: String::new(),
                delivered: 1,
            };
            let failure = raw.json::<Told>().unwrap_err();
            (failure.fields()[0].pointer.clone(), failure.line())
        };
        let wrong = failed("{\"lines\": [\n{\"amount\": 1},\n{\"amount\": -1}]}");
        assert_eq!(wrong, ("/lines/1/amount".to_owned(), Some(3)));
        let missing = failed("{\"lines\": [{}]}");
        assert_eq!(missing, ("/lines/0/amount".to_owned(), Some(1)));
        assert_eq!(failed("{").0, "");
    }

    #[test]
    fn the_trace_goes_on_from_the_publisher_or_from_the_correlation() {
        let mut meta = Meta::of_command(Uuid::from_u128(7), DateTime::UNIX_EPOCH, None);
        let event = Uuid::from_u128(0x1122_3344_5566_7788_99aa_bbcc_ddee_ff00);
        assert_eq!(
            meta.trace_on(event),
            "00-00000000000000000000000000000007-99aabbccddeeff00-01"
        );
        meta.traceparent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into());
        assert_eq!(
            meta.trace_on(event),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-99aabbccddeeff00-01"
        );
    }
}
