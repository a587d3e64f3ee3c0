//! Chasing: what dunning answers. A file for each topic.

mod claims;
mod policies;
mod runs;
mod standing;

pub use claims::*;
pub use policies::*;
pub use runs::*;
pub use standing::*;
