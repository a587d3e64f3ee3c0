//! What people say, apart from the history: the history keeps a hash that
//! proves the words while they are there, and tells nothing when they are gone.

use sha2::{Digest as _, Sha256};

/// What is shown in place of words that are gone.
pub const ERASED: &str = "erased";

/// A hash of words with the salt that is kept beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    pub salt: [u8; 16],
    pub sha256: [u8; 32],
}

impl Seal {
    pub fn of(text: &str, salt: [u8; 16]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"counterfoil words\0");
        hash.update(salt);
        hash.update(text.as_bytes());
        Self {
            salt,
            sha256: hash.finalize().into(),
        }
    }

    /// For the history and for events.
    pub fn line(&self) -> String {
        format!("kept in the case, sha256 {}", hex::encode(self.sha256))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_proves_the_words_and_without_its_salt_cannot_be_guessed() {
        let seal = Seal::of("Sam was on leave", [7; 16]);
        assert_eq!(Seal::of("Sam was on leave", seal.salt), seal);
        assert_ne!(Seal::of("Sam was on leave", [8; 16]).sha256, seal.sha256);
        assert_ne!(Seal::of("Sam was on leav", seal.salt).sha256, seal.sha256);
        assert!(!seal.line().contains("Sam"));
    }
}
