//! Prints the description of the API: `cargo run -p gateway --example openapi`.

use std::io::Write as _;

fn main() -> std::io::Result<()> {
    std::io::stdout().write_all(gateway::openapi::text().as_bytes())
}
