//! Making local users.

use chrono::{DateTime, Utc};
use messaging::Failure;
use sqlx::PgPool;
use uuid::Uuid;

use super::{UserRole, password};
use crate::store::users::{self, LocalUser};

/// The password of every demo user. Demo users exist only where the service
/// was started as a demo.
pub const DEMO_PASSWORD: &str = "counterfoil-demo";

/// Name and roles of the demo users.
pub const DEMO_USERS: [(&str, &[UserRole]); 6] = [
    ("controller", &[UserRole::Controller]),
    ("payments", &[UserRole::PaymentsOfficer]),
    ("manager", &[UserRole::Manager]),
    ("cfo", &[UserRole::Cfo]),
    ("auditor", &[UserRole::Auditor]),
    ("ops", &[UserRole::Ops, UserRole::Integrator]),
];

/// Makes a local user.
///
/// # Errors
/// When the name is no user name or is taken, the password is too short or too
/// long, or no role is given.
pub async fn create_user(
    pool: &PgPool,
    name: &str,
    password: &str,
    roles: &[UserRole],
    now: DateTime<Utc>,
) -> Result<Uuid, Failure> {
    let name = name.to_lowercase();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if !name.bytes().next().is_some_and(plain)
        || name.len() > 64
        || !name.bytes().all(|b| plain(b) || b"._@-".contains(&b))
    {
        return Err(Failure::permanent(
            "gateway.user_name",
            "a user name begins with a letter or digit and has at most 64 of a-z, 0-9, `.`, `_`, `@` and `-`",
        ));
    }
    if !(password::MIN_LENGTH..=password::MAX_LENGTH).contains(&password.len()) {
        return Err(Failure::permanent(
            "gateway.password_length",
            format!(
                "a password has {} to {} bytes",
                password::MIN_LENGTH,
                password::MAX_LENGTH
            ),
        ));
    }
    if roles.is_empty() {
        return Err(Failure::permanent(
            "gateway.user_roles",
            "a user needs at least one role",
        ));
    }
    let user = LocalUser {
        user_id: Uuid::now_v7(),
        password_hash: password::hash(password).await?,
        roles: roles.to_vec(),
        name,
    };
    if users::insert(pool, &user, false, now).await? {
        Ok(user.user_id)
    } else {
        Err(Failure::conflict(
            "gateway.user_exists",
            format!("there is a user called `{}` already", user.name),
        ))
    }
}

/// Lets the demo users in, or keeps them out.
pub(crate) async fn settle_demo(
    pool: &PgPool,
    demo: bool,
    now: DateTime<Utc>,
) -> Result<(), Failure> {
    if !demo {
        return users::disable_demo(pool, now).await;
    }
    for (name, roles) in DEMO_USERS {
        if users::demo_exists(pool, name).await? {
            continue;
        }
        let user = LocalUser {
            user_id: Uuid::now_v7(),
            name: name.to_owned(),
            password_hash: password::hash(DEMO_PASSWORD).await?,
            roles: roles.to_vec(),
        };
        if !users::insert(pool, &user, true, now).await? {
            tracing::warn!(
                name,
                "a real user has the name of a demo user: it stays as it is"
            );
        }
    }
    users::enable_demo(pool).await?;
    tracing::warn!("demo users may sign in with a password that everybody knows");
    Ok(())
}
