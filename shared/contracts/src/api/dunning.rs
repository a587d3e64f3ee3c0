//! Chasing: what dunning answers. A file for each topic.

mod claims;
mod contacts;
mod editions;
mod policies;
mod promises;
mod referrals;
mod runs;
mod standing;
mod stops;

pub use claims::*;
pub use contacts::*;
pub use editions::*;
pub use policies::*;
pub use promises::*;
pub use referrals::*;
pub use runs::*;
pub use standing::*;
pub use stops::*;
