//! Chasing: what dunning answers. A file for each topic.

mod claims;
mod editions;
mod contacts;
mod policies;
mod promises;
mod runs;
mod standing;
mod stops;

pub use claims::*;
pub use editions::*;
pub use contacts::*;
pub use policies::*;
pub use promises::*;
pub use runs::*;
pub use standing::*;
pub use stops::*;
