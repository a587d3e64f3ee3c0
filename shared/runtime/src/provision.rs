//! Creates the database with a role and a schema per service, as `counterfoil migrate` and the local stack need it.
//!
//! For each service there are two roles: `<svc>_owner`, who owns the schema and everything in it and cannot log in
//! (migrations `set role` to it), and `<svc>`, who logs in and may read and write the rows of its own schema, and
//! nothing else in the database.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

use crate::config::{Secret, is_identifier};

/// Held while roles change: `alter role` by two of us at once fails with "tuple concurrently updated".
const LOCK: i64 = 0x636f_756e_7465_7266; // "counterf"

/// A service's role and schema.
#[derive(Debug, Clone)]
pub struct RoleSpec {
    /// The service: lower-case letters, digits and `_`.
    pub name: String,
    /// What `<name>` logs in with.
    pub password: Secret,
    /// Postgres ends its longer statements; zero: never.
    pub statement_timeout: Duration,
    /// Postgres ends its connections that idle in a transaction for longer; zero: never.
    pub idle_in_transaction: Duration,
}

/// Why the database could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProvisionError {
    /// A database or role name that is not plain.
    #[error(
        "`{0}` cannot be the name of a database or of a role: lower-case letters, digits and `_` only"
    )]
    Name(String),
    /// Postgres refused.
    #[error("cannot {doing}")]
    Database {
        /// What we were about to do.
        doing: String,
        /// Its answer.
        #[source]
        source: sqlx::Error,
    },
}

/// Creates what is missing and brings the rest up to date; doing it again changes nothing. `admin` connects to a
/// database that exists already (usually `postgres`), as a role that may create databases and roles.
///
/// # Errors
/// When a name is not plain, or Postgres refuses.
pub async fn provision_database(
    admin: &PgConnectOptions,
    database: &str,
    roles: &[RoleSpec],
) -> Result<(), ProvisionError> {
    for name in std::iter::once(database).chain(roles.iter().map(|role| role.name.as_str())) {
        if !is_identifier(name) {
            return Err(ProvisionError::Name(name.to_owned()));
        }
    }
    let mut server = connect(admin, "connect as the administrator").await?;
    // Advisory locks are per database; this one is in the database that all provisioning connects to.
    sqlx::query("select pg_advisory_lock($1)")
        .bind(LOCK)
        .execute(&mut server)
        .await
        .map_err(failed("take the provisioning lock"))?;
    let done = provision(&mut server, admin, database, roles).await;
    // Closing lets go of the lock, also after an error.
    let _ = server.close().await;
    done
}

async fn provision(
    server: &mut PgConnection,
    admin: &PgConnectOptions,
    database: &str,
    roles: &[RoleSpec],
) -> Result<(), ProvisionError> {
    let exists: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(database)
            .fetch_one(&mut *server)
            .await
            .map_err(failed("look for the database"))?;
    if !exists {
        run(server, format!("create database {database}")).await?;
    }
    run(
        server,
        format!("revoke all on database {database} from public"),
    )
    .await?;
    for role in roles {
        create_roles(server, database, role).await?;
    }
    let mut inside = connect(
        &admin.clone().database(database),
        "connect to the new database",
    )
    .await?;
    let done = schemas(&mut inside, roles).await;
    let _ = inside.close().await;
    done
}

async fn create_roles(
    server: &mut PgConnection,
    database: &str,
    role: &RoleSpec,
) -> Result<(), ProvisionError> {
    let RoleSpec {
        name,
        password,
        statement_timeout,
        idle_in_transaction,
    } = role;
    for (role, kind) in [
        (format!("{name}_owner"), "nologin"),
        (name.clone(), "login"),
    ] {
        let exists: bool =
            sqlx::query_scalar("select exists (select from pg_roles where rolname = $1)")
                .bind(&role)
                .fetch_one(&mut *server)
                .await
                .map_err(failed("look for a role"))?;
        let verb = if exists { "alter" } else { "create" };
        run(
            server,
            format!("{verb} role {role} {kind} nosuperuser nocreatedb nocreaterole"),
        )
        .await?;
    }
    // As a parameter, and executed inside: the password is in no statement text that a log or pg_stat_statements keeps.
    sqlx::query("select set_config('counterfoil.password', $1, false)")
        .bind(password.expose())
        .execute(&mut *server)
        .await
        .map_err(failed("hand over a password"))?;
    run(
        server,
        format!(
            "do $$ begin execute format('alter role {name} password %L', current_setting('counterfoil.password')); end $$"
        ),
    )
    .await?;
    sqlx::query("select set_config('counterfoil.password', '', false)")
        .execute(&mut *server)
        .await
        .map_err(failed("forget a password"))?;
    // Whoever runs the migrations must be able to `set role` to the owner, superuser or not.
    run(server, format!("grant {name}_owner to current_user")).await?;
    run(
        server,
        format!("grant connect on database {database} to {name}, {name}_owner"),
    )
    .await?;
    for (setting, value) in [
        ("search_path", name.clone()),
        (
            "statement_timeout",
            statement_timeout.as_millis().to_string(),
        ),
        (
            "idle_in_transaction_session_timeout",
            idle_in_transaction.as_millis().to_string(),
        ),
    ] {
        run(
            server,
            format!("alter role {name} in database {database} set {setting} = {value}"),
        )
        .await?;
    }
    Ok(())
}

async fn schemas(inside: &mut PgConnection, roles: &[RoleSpec]) -> Result<(), ProvisionError> {
    run(inside, "revoke all on schema public from public".into()).await?;
    for RoleSpec { name, .. } in roles {
        for statement in [
            format!("create schema if not exists {name} authorization {name}_owner"),
            format!("alter schema {name} owner to {name}_owner"),
            format!("revoke all on schema {name} from public"),
            format!("grant usage on schema {name} to {name}"),
            // Functions are open to everybody unless said otherwise, and only globally.
            format!(
                "alter default privileges for role {name}_owner revoke execute on functions from public"
            ),
            format!(
                "alter default privileges for role {name}_owner in schema {name} \
                 grant select, insert, update, delete on tables to {name}"
            ),
            format!(
                "alter default privileges for role {name}_owner in schema {name} grant usage on sequences to {name}"
            ),
            format!(
                "alter default privileges for role {name}_owner in schema {name} grant execute on functions to {name}"
            ),
        ] {
            run(inside, statement).await?;
        }
    }
    // Where it is preloaded (the local stack does), its view is there to be read by `bench` and by people.
    let preloaded: String =
        sqlx::query_scalar("select current_setting('shared_preload_libraries')")
            .fetch_one(&mut *inside)
            .await
            .map_err(failed("read a setting"))?;
    if preloaded.contains("pg_stat_statements") {
        run(
            inside,
            "create extension if not exists pg_stat_statements".into(),
        )
        .await?;
    }
    Ok(())
}

async fn connect(
    options: &PgConnectOptions,
    doing: &'static str,
) -> Result<PgConnection, ProvisionError> {
    PgConnection::connect_with(options)
        .await
        .map_err(failed(doing))
}

/// Runs DDL. Every name in it went through [`is_identifier`].
async fn run(connection: &mut PgConnection, statement: String) -> Result<(), ProvisionError> {
    let doing = statement.clone();
    connection
        .execute(AssertSqlSafe(statement))
        .await
        .map(drop)
        .map_err(failed(doing))
}

fn failed(doing: impl Into<String>) -> impl FnOnce(sqlx::Error) -> ProvisionError {
    |source| ProvisionError::Database {
        doing: doing.into(),
        source,
    }
}
