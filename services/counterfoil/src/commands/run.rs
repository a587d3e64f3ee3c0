//! `counterfoil run`: services against servers that somebody else runs.

use std::sync::Arc;

use contracts::Role;
use kernel::SystemClock;
use runtime::{AdminServer, Config, Health, Service, service, telemetry};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::services;

pub(crate) async fn run(config: &Config, roles: &[Role]) -> anyhow::Result<()> {
    let telemetry = telemetry::init(config)?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let health = Health::new();
    let admin = AdminServer::start(config.admin.listen, health.clone()).await?;
    tracing::info!(address = %admin.address(), "the admin server listens");
    let chosen: Vec<Service> = services::all(config, None)
        .into_iter()
        .filter(|service| roles.contains(&service.role))
        .collect();
    let shutdown = on_signal()?;
    service::supervise(config, &chosen, Arc::new(SystemClock), &health, shutdown).await;
    admin.stop().await;
    telemetry.shutdown();
    Ok(())
}

/// Cancelled by Ctrl-C or SIGTERM.
pub(crate) fn on_signal() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let cancelled = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        cancelled.cancel();
    });
    Ok(token)
}
