//! The servers, and the database that every test gets a copy of.

use std::{env, path::Path};

use anyhow::{Context as _, Result};
use contracts::{Role, catalogue::Outsider};
use runtime::{Config, LocalStack, NatsUser, Service, StackInfo, StackOptions, service};
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, migrate::Migrator, postgres::PgConnectOptions,
};
use tempfile::TempDir;

/// Names the data directory of the shared stack to the tests.
const STACK: &str = "COUNTERFOIL_TEST_STACK";
/// All schemas and no rows; copying it is much quicker than migrating.
const TEMPLATE: &str = "counterfoil_template";
const SERVICES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../services");

/// A Postgres and a nats-server for tests: the users of production, but everybody may do everything on the broker,
/// since prefixes come and go. Nothing survives a crash of the machine, which makes it quick.
pub struct Cluster {
    config: Config,
    own: Option<(LocalStack, TempDir)>,
}

impl Cluster {
    /// The servers that `test-stack` started, or new ones.
    pub(crate) async fn find() -> Result<Self> {
        let Some(directory) = env::var_os(STACK) else {
            return Self::start().await;
        };
        let directory = Path::new(&directory);
        let mut config = Config::defaults()?;
        StackInfo::running(directory)?
            .with_context(|| format!("no stack is running where {STACK} says"))?
            .configure(directory, &mut config)?;
        Ok(Self { config, own: None })
    }

    /// Starts servers in a temporary directory, and prepares the database that is copied.
    ///
    /// # Errors
    /// When a server is not installed or does not start, or a migration fails.
    pub async fn start() -> Result<Self> {
        let directory = TempDir::with_prefix("counterfoil-test-")?;
        let names = Role::ALL
            .map(Role::name)
            .into_iter()
            .chain(Outsider::ALL.map(Outsider::name));
        let everything = || vec![">".to_owned()];
        let options = StackOptions {
            nats_users: names
                .map(|name| NatsUser {
                    name: name.to_owned(),
                    publish_allow: everything(),
                    subscribe_allow: everything(),
                    ..NatsUser::default()
                })
                .collect(),
            shared_buffers_mb: 128,
            max_connections: 500,
            durable: false,
            ..StackOptions::default()
        };
        let stack = LocalStack::start(directory.path(), options).await?;
        for role in Role::ALL {
            stack.postgres_password(role.name())?;
        }
        let mut config = Config::defaults()?;
        stack.configure(&mut config);
        let cluster = Self {
            config,
            own: Some((stack, directory)),
        };
        cluster.make_template().await?;
        Ok(cluster)
    }

    /// As production migrates, with the migrations of the services that are there at run time: testkit must not
    /// import them.
    async fn make_template(&self) -> Result<()> {
        let mut services = Vec::new();
        for role in Role::ALL {
            let path = Path::new(SERVICES).join(role.name()).join("migrations");
            let mut migrator = Migrator::new(path.as_path())
                .await
                .with_context(|| format!("the migrations of {role} cannot be read"))?;
            migrator.dangerous_set_table_name(format!("{role}._sqlx_migrations"));
            // A `Service` holds its migrations for ever; ours are read once in a process.
            services.push(Service::new(
                role,
                Box::leak(Box::new(migrator)),
                |_| async { Ok(()) },
            ));
        }
        let mut config = self.config.clone();
        TEMPLATE.clone_into(&mut config.database.name);
        service::migrate_database(&config, &services).await?;
        // A template can only be copied while nobody is connected to it.
        self.execute(&format!(
            "alter database {TEMPLATE} is_template true allow_connections false"
        ))
        .await
    }

    pub(crate) async fn create_database(&self, name: &str) -> Result<()> {
        self.execute(&format!("create database {name} template {TEMPLATE}"))
            .await
    }

    pub(crate) async fn drop_database(&self, name: &str) -> Result<()> {
        self.execute(&format!("drop database if exists {name} with (force)"))
            .await
    }

    /// Runs DDL as the superuser.
    async fn execute(&self, statement: &str) -> Result<()> {
        let mut server = PgConnection::connect_with(&self.admin("postgres")).await?;
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut server)
            .await?;
        server.close().await?;
        Ok(())
    }

    /// How the superuser connects to `database`.
    pub(crate) fn admin(&self, database: &str) -> PgConnectOptions {
        let at = &self.config.database;
        PgConnectOptions::new_without_pgpass()
            .host(&at.host)
            .port(at.port)
            .username(&at.admin_user)
            .password(at.admin_password.expose())
            .database(database)
    }

    /// Where the servers are and what everybody's password is.
    pub fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.own.is_none()
    }

    /// What a child process needs in its environment for its tests to use these servers, and two addresses for
    /// programs that are no tests of ours.
    ///
    /// # Errors
    /// When the servers are not ours.
    pub fn environment(&self) -> Result<Vec<(&'static str, String)>> {
        let (stack, directory) = self
            .own
            .as_ref()
            .context("these servers are not ours to share")?;
        let platform = Outsider::Platform.name();
        let password = stack.nats_password(platform)?;
        Ok(vec![
            (STACK, directory.path().display().to_string()),
            (
                "COUNTERFOIL_TEST_PG",
                stack.admin_dsn("postgres")?.expose().to_owned(),
            ),
            (
                "COUNTERFOIL_TEST_NATS",
                format!(
                    "nats://{platform}:{}@127.0.0.1:{}",
                    password.expose(),
                    stack.nats_port()
                ),
            ),
        ])
    }

    /// Stops the servers if they are ours, and removes every trace of them.
    ///
    /// # Errors
    /// When their files cannot be removed.
    pub async fn destroy(mut self) -> Result<()> {
        if let Some((stack, _directory)) = self.own.take() {
            stack.destroy().await?;
        }
        Ok(())
    }
}
