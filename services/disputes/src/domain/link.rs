//! Links for people without an account: an id and a secret of 256 bits that
//! nobody can guess. What is kept is the hash of the secret.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Letters of one comment.
pub const COMMENT_MAX: usize = 2000;
/// Comments by one link.
pub const COMMENTS_MAX: i32 = 20;
/// Seconds between two of them.
pub const COMMENT_EVERY: i64 = 5;

/// What the link says: the id of the nudge and the secret.
pub fn token(nudge: Uuid, secret: &[u8; 32]) -> String {
    format!("{}{}", nudge.simple(), hex::encode(secret))
}

/// What is kept of the secret. The nudge is part of it: a hash serves no other.
pub fn hash(nudge: Uuid, secret: &[u8]) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(b"counterfoil nudge\0");
    hash.update(nudge.as_bytes());
    hash.update(secret);
    hash.finalize().to_vec()
}

/// The id and the hash that a token should have.
pub fn read(token: &str) -> Option<(Uuid, Vec<u8>)> {
    let (id, secret) = token.split_at_checked(32)?;
    let nudge = Uuid::try_parse(id).ok()?;
    let secret = hex::decode(secret).ok()?;
    (secret.len() == 32).then(|| (nudge, hash(nudge, &secret)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_back_and_serves_no_other_nudge() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let link = token(one, &[7; 32]);
        assert_eq!(read(&link), Some((one, hash(one, &[7; 32]))));
        let other = link.replacen(&one.simple().to_string(), &two.simple().to_string(), 1);
        let (nudge, hashed) = read(&other).unwrap();
        assert_eq!(nudge, two);
        assert_ne!(hashed, hash(two, &[8; 32]));
        assert_ne!(hashed, hash(one, &[7; 32]));
        for wrong in ["", "x", &link[..90], &format!("{link}0"), &"é".repeat(60)] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
