//! `counterfoil bench`.

use clap::Subcommand;

use crate::Context;

#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Receipts per second from published to projected.
    Pipeline,
}

impl Bench {
    pub(crate) async fn run(self, _context: Context) -> anyhow::Result<()> {
        anyhow::bail!("not built yet")
    }
}
