//! Building the projections anew from the stream, beside the live ones (E104).
//!
//! The other generation is filled by the very code that fills the live one.
//! Then the live consumer is held for the moment that it takes to read the
//! stream's last few events, and both generations are compared as they stood at
//! that moment. Pages go on reading the live generation all the while.

use std::time::Duration;

use async_nats::jetstream::{
    Message,
    consumer::{DeliverPolicy, pull},
    stream::Stream,
};
use contracts::{
    Role,
    api::reporting::{GetRebuild, RebuildProjections, RebuildView},
    catalogue::{self, Durable},
};
use futures::StreamExt as _;
use kernel::Classified as _;
use messaging::{Bus, Failure};
use serde::de::DeserializeOwned;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::{
    consume::{Fact, Payload, fact, gather},
    store::{self, facts, generation},
};

/// Events written in one transaction.
const CHUNK: usize = 1000;
/// The broker is taken for gone when it sends nothing for this long although
/// there is more.
const SILENCE: Duration = Duration::from_secs(15);

/// Starts a rebuild; one runs at a time, whichever process was asked.
pub(crate) async fn start(command: RebuildProjections, bus: Bus) -> Result<RebuildView, Failure> {
    let mut source = Source::open(&bus).await?;
    let state = source.state().await?;
    if state.first > 1 && !command.verify {
        return Err(Failure::conflict(
            "reporting.stream_incomplete",
            format!(
                "the stream begins at message {}; what came before is only in the live projection, \
                 which is therefore not replaced",
                state.first
            ),
        ));
    }
    // A connection of its own, because its locks last as long as it does.
    let mut conn = bus.pool().acquire().await?.detach();
    if !generation::lock_rebuild(&mut conn).await? {
        return Err(Failure::conflict(
            "reporting.rebuild_running",
            "the projections are already being rebuilt",
        ));
    }
    let mut rebuild = Rebuild {
        id: kernel::EventId::generate().as_uuid(),
        verify: command.verify,
        events: 0,
        events_total: state.messages,
        floor: 0,
        recent: Vec::new(),
    };
    generation::begin(
        &mut conn,
        rebuild.id,
        command.verify,
        &command.actor,
        count(state.messages),
        bus.now(),
    )
    .await?;
    tracing::info!(
        verify = command.verify,
        actor = command.actor,
        "rebuilding the projections"
    );

    let view_bus = bus.clone();
    tokio::spawn(async move {
        let outcome = tokio::select! {
            outcome = rebuild.run(&bus, &mut conn, &mut source) => outcome,
            // Its lock goes with the connection, which tells that it was cut off.
            () = bus.shutdown().cancelled() => return,
        };
        let (state, differences) = outcome.unwrap_or_else(|error| {
            tracing::error!(
                code = error.code(),
                "rebuilding the projections failed: {}",
                error.chain()
            );
            ("failed", vec![error.chain()])
        });
        tracing::info!(
            state,
            events = rebuild.events,
            "the projections were rebuilt: {}",
            differences.join("; ")
        );
        if let Err(error) = rebuild.conclude(&bus, state, &differences).await {
            tracing::error!(
                code = error.code(),
                "the end of a rebuild is not written down: {}",
                error.chain()
            );
        }
        // Only now, so that nobody takes it for dead in between. If the
        // connection is what failed, its locks are gone with it.
        if let Err(error) = generation::unlock_all(&mut conn).await {
            tracing::debug!(
                "the locks of a rebuild went with its connection: {}",
                error.chain()
            );
        }
    });
    status(GetRebuild {}, view_bus).await
}

/// How far the latest rebuild is.
pub(crate) async fn status(_: GetRebuild, bus: Bus) -> Result<RebuildView, Failure> {
    let mut conn = bus.pool().acquire().await?;
    let Some(rebuild) = generation::latest(&mut conn).await? else {
        return Ok(RebuildView {
            state: "idle".to_owned(),
            events: 0,
            events_total: 0,
            seconds: 0.0,
            differences: Vec::new(),
        });
    };
    let until = rebuild.finished_at.unwrap_or_else(|| bus.now());
    Ok(RebuildView {
        state: rebuild.state,
        events: rebuild.events,
        events_total: rebuild.events_total,
        seconds: (until - rebuild.started_at).num_milliseconds() as f64 / 1000.0,
        differences: rebuild.differences,
    })
}

struct Rebuild {
    id: Uuid,
    verify: bool,
    events: u64,
    events_total: u64,
    /// The live consumer had settled everything up to here when we began.
    floor: u64,
    /// Events behind `floor`: the live projection may not have them yet.
    recent: Vec<Uuid>,
}

impl Rebuild {
    async fn run(
        &mut self,
        bus: &Bus,
        conn: &mut PgConnection,
        source: &mut Source,
    ) -> Result<(&'static str, Vec<String>), Failure> {
        let live = generation::live(conn).await?;
        let rebuilt = 1 - live;
        generation::empty(conn, rebuilt).await?;

        // A rebuild that is cut off is thrown away: no commit has to wait for
        // the disk until the end.
        generation::durable(conn, false).await?;
        self.floor = source.live_floor(bus).await?;
        let mut events = source.read().await?;
        let mut read = 0;
        loop {
            let state = source.state().await?;
            self.events_total = state.messages;
            if state.last.saturating_sub(read) <= CHUNK as u64 {
                break;
            }
            read = self.copy(conn, rebuilt, &mut events, state.last).await?;
        }
        generation::durable(conn, true).await?;

        generation::block_live(conn).await?;
        let last = source.state().await?.last;
        if last > read {
            self.copy(conn, rebuilt, &mut events, last).await?;
        }
        if !self.verify {
            generation::flip(conn, rebuilt).await?;
        }
        // Whoever writes again from here on is not seen by this transaction.
        let mut moment = generation::snapshot(conn).await?;
        let pending = generation::unclaimed(&mut moment, &self.recent).await?;
        generation::unblock_live(&mut moment).await?;
        store::prepare_report(&mut moment).await?;
        let differences = generation::differences(&mut moment, rebuilt, live, &pending).await?;
        moment.commit().await?;

        if let Err(error) = generation::empty(conn, if self.verify { rebuilt } else { live }).await
        {
            tracing::warn!(
                code = error.code(),
                "the other generation stays until the next rebuild: {}",
                error.chain()
            );
        }
        let state = match (self.verify, differences.is_empty()) {
            (true, true) => "same",
            (true, false) => "different",
            (false, _) => "replaced",
        };
        Ok((state, differences))
    }

    /// Copies events up to stream sequence `last` and tells the place reached.
    async fn copy(
        &mut self,
        conn: &mut PgConnection,
        rebuilt: i16,
        events: &mut Events,
        last: u64,
    ) -> Result<u64, Failure> {
        let mut read = 0;
        let mut more = true;
        while more {
            let mut chunk = Vec::with_capacity(CHUNK);
            while more && chunk.len() < CHUNK {
                let event = next(events).await?;
                // `pending` too, for a stream whose last messages were deleted.
                (read, more) = (event.sequence, event.sequence < last && event.pending > 0);
                chunk.push(event);
            }
            self.write(conn, rebuilt, &chunk).await?;
        }
        Ok(read)
    }

    async fn write(
        &mut self,
        conn: &mut PgConnection,
        rebuilt: i16,
        chunk: &[Replayed],
    ) -> Result<(), Failure> {
        let mut facts: Vec<(Uuid, Fact)> = Vec::with_capacity(chunk.len());
        for event in chunk {
            if event.sequence > self.floor {
                self.recent.push(event.id);
            }
            match fact(event) {
                Ok(Some(fact)) => facts.push((event.id, fact)),
                Ok(None) => {}
                // A dead letter of the live consumer for the same reason.
                Err(error) => {
                    tracing::warn!(event = %event.id, "a rebuild leaves an event out: {}", error.chain());
                }
            }
        }
        let gathered = gather(facts.iter().map(|(id, fact)| (*id, fact)));
        self.events += chunk.len() as u64;
        let mut tx = conn.begin().await?;
        facts::insert(&mut tx, Some(rebuilt), gathered.facts).await?;
        generation::progress(
            &mut tx,
            self.id,
            count(self.events),
            count(self.events_total.max(self.events)),
        )
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Writes down how it ended. On a connection of the pool, because the
    /// rebuild's own may be what failed.
    async fn conclude(
        &self,
        bus: &Bus,
        state: &str,
        differences: &[String],
    ) -> Result<(), Failure> {
        let mut conn = bus.pool().acquire().await?;
        generation::finish(&mut conn, self.id, state, differences, bus.now()).await
    }
}

type Events = pull::Ordered;

/// The stream that the projections come from.
struct Source(Stream);

/// Where a stream begins and ends.
struct Extent {
    first: u64,
    last: u64,
    messages: u64,
}

impl Source {
    async fn open(bus: &Bus) -> Result<Self, Failure> {
        let name = bus.prefix().stream(catalogue::ALLOCATION);
        let stream = bus.jetstream().get_stream(name).await;
        Ok(Self(
            stream.map_err(|e| broker("the stream cannot be read", e))?,
        ))
    }

    async fn state(&mut self) -> Result<Extent, Failure> {
        let state = &self
            .0
            .info()
            .await
            .map_err(|e| broker("the stream cannot be read", e))?
            .state;
        Ok(Extent {
            first: state.first_sequence,
            last: state.last_sequence,
            messages: state.messages,
        })
    }

    /// The place up to which the live consumer has settled everything.
    async fn live_floor(&self, bus: &Bus) -> Result<u64, Failure> {
        Ok(live_consumer(bus).await?.ack_floor.stream_sequence)
    }

    /// Everything from the first message, in order and without gaps, through a
    /// consumer that is gone when it is no longer read.
    async fn read(&self) -> Result<Events, Failure> {
        let config = pull::OrderedConfig {
            description: Some("rebuilds reporting's projections".to_owned()),
            deliver_policy: DeliverPolicy::All,
            ..pull::OrderedConfig::default()
        };
        let consumer = self.0.create_consumer(config).await;
        let consumer =
            consumer.map_err(|e| broker("the stream cannot be read from its beginning", e))?;
        consumer
            .messages()
            .await
            .map_err(|e| broker("the stream cannot be read from its beginning", e))
    }
}

/// How far the live consumer is, as the broker knows it.
pub(crate) async fn live_consumer(
    bus: &Bus,
) -> Result<async_nats::jetstream::consumer::Info, Failure> {
    let durable = Durable {
        service: Role::Reporting,
        stream: catalogue::ALLOCATION,
        event: None,
    };
    let consumer: async_nats::jetstream::consumer::PullConsumer = bus
        .jetstream()
        .get_consumer_from_stream(durable.name(), bus.prefix().stream(durable.stream))
        .await
        .map_err(|e| broker("the live consumer cannot be read", e))?;
    Ok(consumer.cached_info().clone())
}

/// An event read again.
struct Replayed {
    id: Uuid,
    sequence: u64,
    pending: u64,
    message: Message,
}

impl Payload for Replayed {
    fn event_type(&self) -> Option<&str> {
        header(&self.message, "ce-type")
    }

    fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.message.payload).map_err(|e| {
            Failure::permanent(
                "reporting.malformed",
                "the event is not what its type promises",
            )
            .caused_by(e)
        })
    }
}

fn header<'m>(message: &'m Message, name: &str) -> Option<&'m str> {
    message
        .headers
        .as_ref()?
        .get(name)
        .map(async_nats::HeaderValue::as_str)
}

async fn next(events: &mut Events) -> Result<Replayed, Failure> {
    let silent = || {
        Failure::transient(
            "reporting.rebuild_broker",
            "the broker went silent before the stream's end",
        )
    };
    let message = tokio::time::timeout(SILENCE, events.next())
        .await
        .map_err(|_| silent())?
        .ok_or_else(silent)?
        .map_err(|e| broker("the stream cannot be read on", e))?;
    let info = message
        .info()
        .map_err(|e| Failure::bug("reporting.rebuild_broker", e.to_string()))?;
    let id = header(&message, "Nats-Msg-Id")
        .or_else(|| header(&message, "ce-id"))
        .and_then(|id| Uuid::parse_str(id).ok())
        .ok_or_else(|| {
            Failure::permanent(
                "reporting.unnamed_event",
                format!(
                    "message {} of the stream has no UUID as its id",
                    info.stream_sequence
                ),
            )
        })?;
    Ok(Replayed {
        id,
        sequence: info.stream_sequence,
        pending: info.pending,
        message,
    })
}

fn broker(what: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::transient("reporting.rebuild_broker", what).caused_by(error)
}

fn count(events: u64) -> i64 {
    i64::try_from(events).unwrap_or(i64::MAX)
}
