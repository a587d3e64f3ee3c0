//! The continuous conservation check.

use std::{sync::LazyLock, time::Duration};

use contracts::api::{
    Refusal,
    allocation::GetAllocationTotals,
    ingestion::GetIngestionTotals,
    reporting::{CheckInvariants, InvariantCheck, InvariantReport},
};
use messaging::{Bus, Failure};
use opentelemetry::{KeyValue, global, metrics::Gauge};
use tokio::time::Instant;

use crate::{
    domain::invariants::{self, Reading},
    rebuild, store,
};

/// How often the books are held side by side.
pub(crate) const EVERY: Duration = Duration::from_mins(1);

/// How long services that differ may take to agree. Whoever asks gives up after
/// ten seconds, and the last reading takes its time too.
const PATIENCE: Duration = Duration::from_secs(7);
const PAUSE: Duration = Duration::from_millis(500);

static HOLDS: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    global::meter("counterfoil")
        .u64_gauge("counterfoil_invariant_holds")
        .with_description(
            "1 while an invariant of the ledger holds over all services, 0 when it is broken",
        )
        .build()
});

/// Reads all services until they agree, or until it is clear that they do not.
///
/// The readings are of different moments, so while money moves they differ
/// without anything being wrong: what differs is read again.
pub(crate) async fn check_invariants(
    _: CheckInvariants,
    bus: Bus,
) -> Result<InvariantReport, Failure> {
    let deadline = Instant::now() + PATIENCE;
    let mut before: Option<Reading> = None;
    loop {
        let reading = read(&bus).await?;
        let checks = invariants::checks(&reading);
        let holds = checks.iter().all(|check| check.holds);
        if holds || Instant::now() >= deadline || bus.shutdown().is_cancelled() {
            return Ok(InvariantReport {
                checked_at: bus.now(),
                holds,
                settled: holds || (reading.at_rest() && before.as_ref() == Some(&reading)),
                checks,
            });
        }
        before = Some(reading);
        tokio::time::sleep(PAUSE).await;
    }
}

async fn read(bus: &Bus) -> Result<Reading, Failure> {
    let own = async {
        let consumer = rebuild::live_consumer(bus).await?;
        let mut tx = bus.pool().begin().await?;
        store::prepare_report(&mut tx).await?;
        let totals = store::control::totals(&mut tx).await?;
        let violations = store::control::violations(&mut tx).await?;
        tx.commit().await?;
        Ok((
            totals,
            violations,
            consumer.num_pending + consumer.num_ack_pending as u64,
        ))
    };
    let ingestion = async {
        bus.ask(&GetIngestionTotals {})
            .await
            .map_err(|e| unanswered("ingestion", &e))
    };
    let allocation = async {
        bus.ask(&GetAllocationTotals {})
            .await
            .map_err(|e| unanswered("allocation", &e))
    };
    let ((own, own_violations, lag), ingestion, allocation) =
        tokio::try_join!(own, ingestion, allocation)?;
    Ok(Reading {
        own,
        own_violations,
        ingestion,
        allocation,
        lag,
    })
}

fn unanswered(who: &str, refusal: &Refusal) -> Failure {
    Failure::transient(
        "reporting.control_totals",
        format!("{who} does not tell its totals: {}", refusal.detail),
    )
}

/// Checks, and tells whoever watches.
pub(crate) async fn watch_invariants(bus: Bus) -> Result<(), Failure> {
    let report = check_invariants(CheckInvariants {}, bus).await?;
    if !report.settled {
        tracing::info!("the services were too busy to be compared");
        return Ok(());
    }
    for invariant in 1..=4_u8 {
        let broken: Vec<&InvariantCheck> = report
            .checks
            .iter()
            .filter(|check| check.invariant == invariant && !check.holds)
            .collect();
        HOLDS.record(
            u64::from(broken.is_empty()),
            &[KeyValue::new("invariant", i64::from(invariant))],
        );
        for check in broken {
            tracing::error!(
                invariant,
                check.what,
                check.detail,
                "an invariant of the ledger is broken"
            );
        }
    }
    Ok(())
}
