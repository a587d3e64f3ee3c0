//! The one program: everything embedded, single services, and the tools of the
//! people who run them.

mod client;
mod commands;
mod demo;
mod services;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use contracts::Role;
use runtime::{Config, StackInfo};

/// Open-source credit control on a message bus.
#[derive(Parser)]
#[command(name = "counterfoil", version, about)]
struct Cli {
    /// Configuration file; `counterfoil.toml` here if there is one.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sets one key of the configuration, such as `messaging.batch_max=500`.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Where the embedded Postgres and NATS keep their data.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Prints results as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything, embedded: a private Postgres and NATS, all services, the web
    /// page.
    Up(commands::up::Up),
    /// One or more services against the configured (or the embedded, running)
    /// Postgres and NATS.
    Run {
        /// Services by name, with commas between them, or `all`.
        #[arg(long, value_delimiter = ',', required = true)]
        roles: Vec<String>,
    },
    /// Brings database and streams up to date.
    Migrate,
    /// Streams and consumers on the broker.
    Jetstream {
        #[command(subcommand)]
        command: Jetstream,
    },
    /// Reads files into the suite; the format is told from the content.
    Import(commands::import::Import),
    /// Takes back all that was allocated by itself of the receipts of an import;
    /// without a reason, only shows it.
    UndoImport(commands::undo_import::UndoImport),
    /// Reads a file and prints what it says; needs no server.
    Parse(commands::parse::Parse),
    /// The causal chain of something across the services.
    Explain(commands::explain::Explain),
    /// Runs the matching over a labelled corpus, and tells precision and rates.
    EvaluateMatching(commands::evaluate_matching::EvaluateMatching),
    /// Matching rules as data: who may write off what, and which rungs post.
    Rules {
        #[command(subcommand)]
        command: commands::rules::Rules,
    },
    /// Messages that could not be handled.
    DeadLetters {
        #[command(subcommand)]
        command: commands::dead_letters::DeadLetters,
    },
    /// Facts that the services have published.
    Outbox {
        #[command(subcommand)]
        command: commands::outbox::Outbox,
    },
    /// What reporting shows, built from the streams.
    Projections {
        #[command(subcommand)]
        command: commands::projections::Projections,
    },
    /// Proves that no money was lost.
    Invariants {
        #[command(subcommand)]
        command: commands::invariants::Invariants,
    },
    /// Looks at everything that must be right for the suite to work.
    Doctor,
    /// The configuration in effect.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Measures, beside the machine's own limits.
    Bench {
        #[command(subcommand)]
        command: commands::bench::Bench,
    },
}

#[derive(Subcommand)]
enum Jetstream {
    /// Creates or updates them, and reads them back.
    Apply,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Prints every key; secrets are masked.
    Dump,
}

/// What all commands have at hand.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) json: bool,
}

impl Context {
    /// Points the configuration at the embedded stack, if one runs in the data
    /// directory.
    pub(crate) fn find_stack(&mut self) -> anyhow::Result<bool> {
        let data_dir = self.config.local.data_dir.clone();
        if !data_dir.exists() {
            return Ok(false);
        }
        let Some(stack) = StackInfo::running(&data_dir)? else {
            return Ok(false);
        };
        stack.configure(&data_dir, &mut self.config)?;
        Ok(true)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match start(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("counterfoil: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli) -> anyhow::Result<ExitCode> {
    let mut config = Config::load(cli.config.as_deref(), &cli.sets)?;
    if let Some(data_dir) = cli.data_dir {
        config.local.data_dir = data_dir;
    }
    let context = Context {
        config,
        json: cli.json,
    };
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(dispatch(cli.command, context))
}

async fn dispatch(command: Command, mut context: Context) -> anyhow::Result<ExitCode> {
    match command {
        Command::Parse(parse) => return parse.run(&context),
        Command::EvaluateMatching(evaluate) => evaluate.run(&context)?,
        Command::Config {
            command: ConfigCommand::Dump,
        } => print!("{}", context.config.dump()?),
        Command::Up(up) => up.run(context).await?,
        Command::Bench { command } => command.run(context).await?,
        Command::Run { roles } => {
            context.find_stack()?;
            commands::run::run(&context.config, &pick(&roles)?).await?;
        }
        Command::Migrate => {
            context.find_stack()?;
            runtime::service::migrate(&context.config, &services::all(&context.config, None))
                .await?;
        }
        Command::Jetstream {
            command: Jetstream::Apply,
        } => {
            context.find_stack()?;
            runtime::service::apply_streams(&context.config).await?;
        }
        Command::Import(import) => return import.run(context).await,
        Command::UndoImport(undo) => undo.run(context).await?,
        Command::Explain(explain) => explain.run(context).await?,
        Command::Rules { command } => command.run(context).await?,
        Command::DeadLetters { command } => command.run(context).await?,
        Command::Outbox { command } => command.run(context).await?,
        Command::Projections { command } => return command.run(context).await,
        Command::Invariants { command } => return command.run(context).await,
        Command::Doctor => return commands::doctor::run(context).await,
    }
    Ok(ExitCode::SUCCESS)
}

fn pick(names: &[String]) -> anyhow::Result<Vec<Role>> {
    if names.iter().any(|name| name == "all") {
        return Ok(Role::ALL.to_vec());
    }
    Ok(names
        .iter()
        .map(|name| name.parse())
        .collect::<Result<_, _>>()?)
}
