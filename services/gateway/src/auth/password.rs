//! Passwords: argon2id, always on a thread of its own.

use std::sync::OnceLock;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use messaging::Failure;

/// The shortest password that a user may be given.
pub const MIN_LENGTH: usize = 12;
/// Longer ones are refused before any work is done on them.
pub const MAX_LENGTH: usize = 256;

/// The PHC string of a password, with a new salt.
///
/// # Errors
/// When the machine gives no random bytes.
pub async fn hash(password: &str) -> Result<String, Failure> {
    let password = password.to_owned();
    on_its_own_thread(move || hash_now(&password)).await?
}

fn hash_now(password: &str) -> Result<String, Failure> {
    let hash: PasswordHash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|error| {
            Failure::bug(
                "gateway.password_hash",
                format!("the password cannot be hashed: {error}"),
            )
        })?;
    Ok(hash.to_string())
}

/// Whether `password` is the one behind `phc`. Without a `phc` (an unknown
/// user) the same work is done for nothing, so that the time taken does not
/// tell whether the user exists.
pub async fn verify(password: &str, phc: Option<&str>) -> Result<bool, Failure> {
    if password.len() > MAX_LENGTH {
        return Ok(false);
    }
    let (password, phc) = (password.to_owned(), phc.map(str::to_owned));
    on_its_own_thread(move || {
        let known = phc.is_some();
        let Some(phc) = phc.or_else(nobodys_hash) else {
            return false;
        };
        let right = Argon2::default()
            .verify_password(password.as_bytes(), phc.as_str())
            .is_ok();
        right && known
    })
    .await
}

/// A hash that no password answers to.
fn nobodys_hash() -> Option<String> {
    static HASH: OnceLock<Option<String>> = OnceLock::new();
    HASH.get_or_init(|| hash_now(&hex::encode(rand::random::<[u8; 32]>())).ok())
        .clone()
}

async fn on_its_own_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Failure::bug("gateway.password_thread", "checking a password panicked").caused_by(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_passes() {
        let phc = hash("correct horse battery").await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$"), "{phc}");
        assert!(verify("correct horse battery", Some(&phc)).await.unwrap());
        assert!(!verify("Correct horse battery", Some(&phc)).await.unwrap());
        assert!(!verify("correct horse battery", None).await.unwrap());
        assert!(
            !verify(&"x".repeat(MAX_LENGTH + 1), Some(&phc))
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn two_hashes_of_one_password_differ() {
        assert_ne!(
            hash("the same password").await.unwrap(),
            hash("the same password").await.unwrap()
        );
    }
}
