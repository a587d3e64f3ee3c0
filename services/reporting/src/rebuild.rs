//! Building the projections anew from the stream, beside the live ones (E104).
//!
//! The other generation is filled by the very code that fills the live one.
//! Then the live consumer is held for the moment that it takes to read the
//! stream's last few events, and both generations are compared as they stood at
//! that moment. Pages go on reading the live generation all the while.

use std::time::Duration;

use async_nats::jetstream::{
    self,
    consumer::{DeliverPolicy, pull},
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
    consume::{Payload, fact, gather},
    store::{facts, generation},
};

/// Events written in one transaction.
const CHUNK: usize = 1000;
/// The broker is taken for gone when nothing comes for this long although more
/// is there.
const SILENCE: Duration = Duration::from_secs(30);

fn broker(what: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::transient("reporting.rebuild_broker", what).caused_by(error)
}

/// Starts a rebuild; one runs at a time, whichever process was asked.
pub(crate) async fn start(command: RebuildProjections, bus: Bus) -> Result<RebuildView, Failure> {
    let stream = Source::open(&bus).await?;
    if stream.first > 1 && !command.verify {
        return Err(Failure::conflict(
            "reporting.stream_incomplete",
            format!(
                "the stream begins at message {}: what came before is only in the live projection, \
                 which is therefore not replaced",
                stream.first
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
    let rebuild_id = kernel::EventId::generate().as_uuid();
    let total = i64::try_from(stream.messages).unwrap_or(i64::MAX);
    generation::begin(&mut conn, rebuild_id, command.verify, &command.actor, total, bus.now()).await?;
    tracing::info!(verify = command.verify, actor = command.actor, events = total, "rebuilding the projections");

    tokio::spawn(async move {
        let outcome = tokio::select! {
            outcome = rebuild(&bus, &mut conn, rebuild_id, command.verify, stream) => outcome,
            // The lock goes with the connection, which tells that it failed.
            () = bus.shutdown().cancelled() => return,
        };
        let (state, differences) = outcome.unwrap_or_else(|error| {
            tracing::error!(code = error.code(), "rebuilding the projections failed: {}", error.chain());
            ("failed", vec![error.chain()])
        });
        tracing::info!(state, "the projections were rebuilt: {}", differences.join("; "));
        // On a connection of the pool: the rebuild's own may be what failed.
        if let Err(error) = conclude(&bus, conn, rebuild_id, state, &differences).await {
            tracing::error!(code = error.code(), "the end of a rebuild is not written down: {}", error.chain());
        }
    });
    status(GetRebuild {}, bus_of(&status_bus)).await
}
