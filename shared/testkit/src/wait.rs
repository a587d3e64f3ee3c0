//! Waiting for a state, never for a time.

use std::time::{Duration, Instant};

use contracts::{Role, api::reporting::CheckInvariants};

use crate::{Suite, must};

/// Long enough for anything on a busy machine; a test that passes never waits for it.
pub const DEADLINE: Duration = Duration::from_secs(30);

const POLL: Duration = Duration::from_millis(20);

/// Waits until `check` holds.
///
/// # Panics
/// With `what`, when it does not within `deadline`.
pub async fn eventually(what: &str, deadline: Duration, mut check: impl AsyncFnMut() -> bool) {
    eventually_some(what, deadline, async || check().await.then_some(())).await;
}

/// Waits until `look` finds something.
///
/// # Panics
/// With `what`, when it does not within `deadline`.
pub async fn eventually_some<T>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let until = Instant::now() + deadline;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            Instant::now() < until,
            "not within {} s: {what}",
            deadline.as_secs()
        );
        tokio::time::sleep(POLL).await;
    }
}

/// Waits until everything has arrived everywhere, then asserts that no penny was lost or made on the way: the
/// invariants as reporting checks them, which must be running, as must ingestion and allocation.
///
/// # Panics
/// With the checks that do not hold.
pub async fn assert_conserved(suite: &Suite) {
    let gateway = suite.bus(Role::Gateway).await;
    let report = eventually_some("the services have settled", DEADLINE, async || {
        let report = gateway.ask(&CheckInvariants {}).await;
        let report = must(
            "check the invariants",
            report.map_err(|refusal| anyhow::anyhow!("[{}] {}", refusal.code, refusal.detail)),
        );
        report.settled.then_some(report)
    })
    .await;
    let broken: Vec<_> = report.checks.iter().filter(|check| !check.holds).collect();
    assert!(report.holds && broken.is_empty(), "{broken:#?}");
}
