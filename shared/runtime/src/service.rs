//! Services at work: connected, migrated, supervised, stopped in order.
//!
//! One process may run one role or all of them; each has its own database role,
//! broker user, connections and shutdown, so that nothing is different but the
//! process.

use std::{sync::Arc, time::Duration};

use contracts::{
    Prefix, Role,
    catalogue::{self, Outsider},
    subject::BadPrefix,
};
use futures::future::BoxFuture;
use kernel::{Classified, Clock};
use messaging::{Bus, Failure, Settings, topology};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    Config, Health, NatsUser, ProvisionError, RoleSpec, Secret,
    config::{Database, Messaging, SslMode},
    provision_database,
};

/// A role has this long to finish what it has begun when it is stopped.
const DRAIN: Duration = Duration::from_secs(20);
/// A role that fell over is started again after this long, doubled each time.
const RESTART_FIRST: Duration = Duration::from_millis(250);
const RESTART_MAX: Duration = Duration::from_secs(15);

/// One service, as the program that runs it sees it.
#[derive(Clone)]
pub struct Service {
    pub role: Role,
    pub migrator: &'static Migrator,
    run: Arc<dyn Fn(Bus) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync>,
}

impl Service {
    /// `run` works until the bus is shut down.
    pub fn new<F, Fut>(role: Role, migrator: &'static Migrator, run: F) -> Self
    where
        F: Fn(Bus) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        Self {
            role,
            migrator,
            run: Arc::new(move |bus| Box::pin(run(bus))),
        }
    }
}

/// Why services could not be set up or started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    #[error("the configuration has no password for `{0}`")]
    NoPassword(String),
    #[error("cannot connect to Postgres at {0}")]
    Postgres(String, #[source] sqlx::Error),
    #[error("cannot connect to NATS at {0}")]
    Nats(String, #[source] async_nats::ConnectError),
    #[error("the database cannot be set up")]
    Provision(#[from] ProvisionError),
    #[error("the tables of `{0}` cannot be brought up to date")]
    Migrate(Role, #[source] MigrateError),
    #[error("the messaging tables of `{0}` cannot be made")]
    Tables(Role, #[source] sqlx::Error),
    #[error("the streams cannot be applied")]
    Streams(#[source] Failure),
    #[error(transparent)]
    Prefix(#[from] BadPrefix),
}

impl Messaging {
    /// The limits and times of the message pipeline.
    pub fn settings(&self) -> Settings {
        Settings {
            batch_max: self.batch_max as usize,
            ack_wait: self.ack_wait(),
            max_deliver: i64::from(self.max_deliver),
            relay_window: self.relay_window as usize,
            retention: Duration::from_hours(24 * u64::from(self.retention_days)),
            ..Settings::default()
        }
    }
}

/// The users of the broker with what each may do; passwords as configured, or
/// to be made where there is none.
pub fn nats_users(config: &Config) -> Result<Vec<NatsUser>, ServiceError> {
    let prefix = Prefix::try_new(&config.nats.prefix)?;
    let services = Role::ALL
        .into_iter()
        .map(|role| catalogue::service_permissions(role, &prefix));
    let outsiders = Outsider::ALL
        .into_iter()
        .map(|who| catalogue::outsider_permissions(who, &prefix));
    Ok(services
        .chain(outsiders)
        .map(|may| NatsUser {
            password: config
                .nats
                .users
                .get(&may.user)
                .cloned()
                .unwrap_or_default(),
            name: may.user,
            publish_allow: may.publish,
            subscribe_allow: may.subscribe,
        })
        .collect())
}

fn options(database: &Database, user: &str, password: &Secret) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host(&database.host)
        .port(database.port)
        .database(&database.name)
        .username(user)
        .password(password.expose())
        .ssl_mode(match database.ssl_mode {
            SslMode::Disable => PgSslMode::Disable,
            SslMode::Allow => PgSslMode::Allow,
            SslMode::Prefer => PgSslMode::Prefer,
            SslMode::Require => PgSslMode::Require,
            SslMode::VerifyCa => PgSslMode::VerifyCa,
            SslMode::VerifyFull => PgSslMode::VerifyFull,
        })
        .application_name(&format!("counterfoil-{user}"))
}

/// A pool of `role`'s connections. Opens none yet: a database that is not there
/// is waited for by those who use it.
pub fn pool(config: &Config, role: Role) -> Result<PgPool, ServiceError> {
    let password = config
        .database
        .passwords
        .get(role.name())
        .ok_or_else(|| ServiceError::NoPassword(role.name().to_owned()))?;
    Ok(PgPoolOptions::new()
        .max_connections(config.database.pool_max)
        .acquire_timeout(config.database.pool_acquire())
        // A broken connection shows when it is used, and the batch is tried
        // again; asking first would cost a round trip each time.
        .test_before_acquire(false)
        .connect_lazy_with(options(&config.database, role.name(), password)))
}

/// Connects to the broker as `user`.
pub async fn nats(config: &Config, user: &str) -> Result<async_nats::Client, ServiceError> {
    let password = config
        .nats
        .users
        .get(user)
        .ok_or_else(|| ServiceError::NoPassword(user.to_owned()))?;
    let who = user.to_owned();
    async_nats::ConnectOptions::new()
        .user_and_password(user.to_owned(), password.expose().to_owned())
        .name(format!("counterfoil-{user}"))
        .custom_inbox_prefix(catalogue::inbox_prefix(user))
        .ping_interval(Duration::from_secs(15))
        .event_callback(move |event| {
            let who = who.clone();
            async move { tracing::info!(user = who, "broker: {event}") }
        })
        .connect(&config.nats.url)
        .await
        .map_err(|source| ServiceError::Nats(config.nats.url.clone(), source))
}

/// Everything that a role needs to work.
pub async fn connect(
    config: &Config,
    role: Role,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> Result<Bus, ServiceError> {
    Ok(Bus::new(
        role,
        Prefix::try_new(&config.nats.prefix)?,
        pool(config, role)?,
        nats(config, role.name()).await?,
        clock,
        config.messaging.settings(),
        shutdown,
    ))
}

/// Brings database and streams up to date: roles and schemas, messaging's
/// tables, each service's migrations (as the schema's owner), streams and
/// consumers. Doing it again changes nothing.
pub async fn migrate(config: &Config, services: &[Service]) -> Result<(), ServiceError> {
    migrate_database(config, services).await?;
    apply_streams(config).await
}

/// The database half of [`migrate`].
pub async fn migrate_database(config: &Config, services: &[Service]) -> Result<(), ServiceError> {
    let database = &config.database;
    let admin = options(database, &database.admin_user, &database.admin_password);
    let roles = services
        .iter()
        .map(|service| {
            let name = service.role.name();
            Ok(RoleSpec {
                name: name.to_owned(),
                password: database
                    .passwords
                    .get(name)
                    .cloned()
                    .ok_or_else(|| ServiceError::NoPassword(name.to_owned()))?,
                statement_timeout: database.statement_timeout(),
                idle_in_transaction: database.idle_in_transaction(),
            })
        })
        .collect::<Result<Vec<_>, ServiceError>>()?;
    provision_database(&admin.clone().database("postgres"), &database.name, &roles).await?;
    for service in services {
        let role = service.role;
        let owner = admin.clone().options([("role", format!("{role}_owner"))]);
        let mut conn = PgConnection::connect_with(&owner)
            .await
            .map_err(|e| ServiceError::Postgres(database.host.clone(), e))?;
        sqlx::raw_sql(AssertSqlSafe(format!(
            "set client_min_messages = warning; {}",
            messaging::migration_sql(role)
        )))
        .execute(&mut conn)
        .await
        .map_err(|e| ServiceError::Tables(role, e))?;
        service
            .migrator
            .run(&mut conn)
            .await
            .map_err(|e| ServiceError::Migrate(role, e))?;
    }
    Ok(())
}

/// The broker half of [`migrate`].
pub async fn apply_streams(config: &Config) -> Result<(), ServiceError> {
    let platform = nats(config, Outsider::Platform.name()).await?;
    let prefix = Prefix::try_new(&config.nats.prefix)?;
    topology::apply(
        &async_nats::jetstream::new(platform),
        &prefix,
        &config.messaging.settings(),
    )
    .await
    .map_err(ServiceError::Streams)
}

/// Runs `services` until `shutdown`: a role that falls over is started again,
/// and at the end the roles stop in turn, the face for people first and the
/// owners of facts last, so that what was accepted is carried through.
pub async fn supervise(
    config: &Config,
    services: &[Service],
    clock: Arc<dyn Clock>,
    health: &Health,
    shutdown: CancellationToken,
) {
    let mut roles: Vec<(Role, CancellationToken, tokio::task::JoinHandle<()>)> = Vec::new();
    for service in services {
        let stop = CancellationToken::new();
        let keeping = keep(
            config.clone(),
            service.clone(),
            clock.clone(),
            health.register(service.role.name()),
            stop.clone(),
        );
        roles.push((service.role, stop, tokio::spawn(keeping)));
    }
    shutdown.cancelled().await;
    health.drain();
    roles.sort_by_key(|(role, ..)| std::cmp::Reverse(*role));
    for (role, stop, running) in roles {
        stop.cancel();
        if tokio::time::timeout(DRAIN, running).await.is_err() {
            tracing::warn!(%role, "did not stop in time; the broker delivers again what it had begun");
        }
    }
}

/// Runs one role, again and again until it is told to stop.
async fn keep(
    config: Config,
    service: Service,
    clock: Arc<dyn Clock>,
    component: crate::Component,
    stop: CancellationToken,
) {
    let role = service.role;
    let mut wait = RESTART_FIRST;
    while !stop.is_cancelled() {
        component.starting();
        let began = tokio::time::Instant::now();
        let reason = match connect(&config, role, clock.clone(), stop.child_token()).await {
            Err(error) => chain(&error),
            Ok(bus) => {
                let mut running = JoinSet::new();
                running.spawn((service.run)(bus.clone()));
                let ended = tokio::select! {
                    ended = running.join_next() => ended,
                    () = bus.answering() => {
                        component.ready();
                        tracing::info!(%role, "at work");
                        running.join_next().await
                    }
                };
                bus.pool().close().await;
                match ended {
                    Some(Ok(Ok(()))) | None => "it ended".to_owned(),
                    Some(Ok(Err(failure))) => format!("[{}] {}", failure.code(), failure.chain()),
                    Some(Err(panic)) => panic.to_string(),
                }
            }
        };
        if stop.is_cancelled() {
            break;
        }
        component.failing(&reason);
        if began.elapsed() > RESTART_MAX {
            wait = RESTART_FIRST;
        }
        tracing::error!(%role, wait_ms = wait.as_millis() as u64, "fell over and is started again: {reason}");
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(RESTART_MAX);
    }
    component.draining();
    tracing::info!(%role, "stopped");
}

/// An error with its sources, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
