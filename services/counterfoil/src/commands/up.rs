//! `counterfoil up`: everything in one process, with servers of its own.

use std::{
    io::IsTerminal as _,
    net::SocketAddr,
    path::Path,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Args;
use kernel::{Clock as _, SystemClock};
use runtime::{
    AdminServer, Config, Health, LocalStack, MailSink, StackOptions, service, telemetry,
};
use tokio_util::sync::CancellationToken;

use super::{import, run};
use crate::{Context, client::Client, demo::Demo, services};

/// The demo ledger is the same everywhere.
const DEMO_SEED: u64 = 2026;
/// The demo's bank feed publishes one receipt in this time.
const DEMO_FEED: Duration = Duration::from_secs(4);
/// Written once everything answers; read by `--detach`.
const READY: &str = "ready";
/// All services must answer by then.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Args)]
pub(crate) struct Up {
    /// Loads the demo ledger at the first start, and keeps a bank feed going.
    #[arg(long)]
    demo: bool,
    /// Where the web page listens.
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,
    /// Returns once everything answers, and goes on in the background.
    #[arg(long)]
    detach: bool,
}

impl Up {
    pub(crate) async fn run(self, mut context: Context) -> anyhow::Result<()> {
        let config = &mut context.config;
        config.demo.enabled |= self.demo;
        config.http.listen = self.http.unwrap_or(config.http.listen);
        std::fs::create_dir_all(&config.local.data_dir)
            .with_context(|| format!("cannot make {}", config.local.data_dir.display()))?;
        config.local.data_dir = config.local.data_dir.canonicalize()?;
        if self.detach {
            detach(config).await
        } else {
            up(context).await
        }
    }
}

/// Starts this program again in the background and waits until it is ready.
async fn detach(config: &Config) -> anyhow::Result<()> {
    use std::os::unix::process::CommandExt as _;
    let data_dir = &config.local.data_dir;
    let ready = data_dir.join(READY);
    let _ = std::fs::remove_file(&ready);
    let log = data_dir.join("counterfoil.log");
    let file = std::fs::File::create(&log)?;
    let mut command = std::process::Command::new(std::env::current_exe()?);
    // Its own arguments again, all but the one that made it come here.
    command.args(std::env::args_os().skip(1).filter(|arg| arg != "--detach"));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .process_group(0)
        .spawn()?;
    let began = Instant::now();
    loop {
        if let Ok(words) = std::fs::read_to_string(&ready) {
            print!("{words}");
            println!(
                "It goes on in the background as process {} and writes to {}",
                child.id(),
                log.display()
            );
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            bail!("it did not start ({status}); see {}", log.display());
        }
        // The demo ledger is loaded before it is ready.
        if began.elapsed() > PATIENCE * 5 {
            bail!("it is not ready yet; see {}", log.display());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn up(mut context: Context) -> anyhow::Result<()> {
    let telemetry = telemetry::init(&context.config)?;
    let data_dir = context.config.local.data_dir.clone();
    let ready = data_dir.join(READY);
    let mut stack = start_stack(&context.config, true).await?;
    stack.configure(&mut context.config);
    let sink = mail_sink(&mut context.config, &data_dir).await?;
    for warning in context.config.warnings() {
        tracing::warn!("{warning}");
    }
    let config = context.config.clone();
    let (bound, address) = tokio::sync::oneshot::channel();
    let services = services::all(&config, Some(bound));
    service::migrate(&config, &services).await?;

    let shutdown = run::on_signal()?;
    let health = Health::new();
    let admin = AdminServer::start(config.admin.listen, health.clone()).await;
    let admin = match admin {
        Ok(admin) => Some(admin),
        // A second stack on one machine is no reason not to start.
        Err(error) => {
            tracing::warn!("no admin server: {error}");
            None
        }
    };
    let supervisor = {
        let (config, health, shutdown) = (config.clone(), health.clone(), shutdown.clone());
        tokio::spawn(async move {
            service::supervise(&config, &services, Arc::new(SystemClock), &health, shutdown).await;
        })
    };
    let begun = welcome(&mut context, address, &health, &ready, shutdown.clone()).await;
    if let Err(error) = begun {
        eprintln!("counterfoil: {error:#}");
        shutdown.cancel();
    }
    watch(&mut stack, &shutdown).await;
    let _ = std::fs::remove_file(&ready);
    supervisor.await?;
    if let Some(admin) = admin {
        admin.stop().await;
    }
    drop(sink);
    stack.stop().await?;
    telemetry.shutdown();
    Ok(())
}

/// Where no provider of e-mail is configured, one that keeps everything as files.
async fn mail_sink(config: &mut Config, data_dir: &Path) -> anyhow::Result<Option<MailSink>> {
    if !config.mail.host.is_empty() {
        return Ok(None);
    }
    let dir = data_dir.join("mail");
    let sink = MailSink::start(&dir).await?;
    config.mail.host = sink.address().ip().to_string();
    config.mail.port = sink.address().port();
    config.mail.tls = false;
    config.mail.idempotent = true;
    tracing::info!("e-mails go nowhere: they are kept in {}", dir.display());
    Ok(Some(sink))
}

/// A private Postgres and NATS in the configured data directory.
pub(crate) async fn start_stack(config: &Config, durable: bool) -> anyhow::Result<LocalStack> {
    let options = StackOptions {
        nats_users: service::nats_users(config)?,
        nats_monitoring: config.local.nats_monitoring,
        nats_server: config.local.nats_server.clone(),
        postgres_bin: config.local.postgres_bin.clone(),
        shared_buffers_mb: config.local.shared_buffers_mb,
        durable,
        ..StackOptions::default()
    };
    let stack = LocalStack::start(&config.local.data_dir, options).await?;
    for role in contracts::Role::ALL {
        stack.postgres_password(role.name())?;
    }
    Ok(stack)
}

/// Starts a server again that has died, until shutdown.
async fn watch(stack: &mut LocalStack, shutdown: &CancellationToken) {
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
        }
        let Some(server) = stack.failed_server() else {
            continue;
        };
        tracing::error!(server, "died and is started again");
        let again = if server.contains("nats") {
            stack.restart_nats().await
        } else {
            stack.restart_postgres().await
        };
        if let Err(error) = again {
            tracing::error!(server, "cannot be started again: {error}");
        }
    }
}

/// Waits until everything answers, loads the demo, and says where to go.
async fn welcome(
    context: &mut Context,
    address: tokio::sync::oneshot::Receiver<SocketAddr>,
    health: &Health,
    ready: &Path,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let everything = async {
        health.wait_ready().await;
        address.await
    };
    let address = tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        address = tokio::time::timeout(PATIENCE, everything) => address.context("the services did not become ready")??,
    };
    let client = Client::connect(context).await?;
    let mut words = String::new();
    if context.config.demo.enabled {
        let demo = Demo::generate(DEMO_SEED, SystemClock.today());
        crate::demo::people::put(&client).await;
        load_demo(&client, &demo, &context.config.local.data_dir).await?;
        let prefix = client.prefix.clone();
        let feed = service::nats(
            &context.config,
            contracts::catalogue::Outsider::BankFeed.name(),
        )
        .await?;
        tokio::spawn(crate::demo::requests::ask(client, shutdown.clone()));
        tokio::spawn(feed_demo(feed, prefix, demo, shutdown));
        words.push_str("Demo sign-ins (password for all: ");
        words.push_str(gateway::DEMO_PASSWORD);
        words.push_str("):\n");
        for (user, _) in gateway::DEMO_USERS {
            words.push_str("  ");
            words.push_str(user);
            words.push('\n');
        }
    }
    words.insert_str(0, &format!("Counterfoil is ready: http://{address}/\n"));
    print!("{words}");
    std::fs::write(ready, words)?;
    Ok(())
}

/// Loads the demo ledger through the same door as real files, once.
async fn load_demo(client: &Client, demo: &Demo, data_dir: &Path) -> anyhow::Result<()> {
    let known = client
        .ask(&contracts::api::ingestion::ListImports {
            page: contracts::api::PageRequest::default(),
        })
        .await?;
    if !known.items.is_empty() {
        return Ok(());
    }
    let directory = data_dir.join("demo");
    std::fs::create_dir_all(&directory)?;
    let files = demo.write_files(&directory)?;
    let show = std::io::stderr().is_terminal();
    for (n, file) in files.iter().enumerate() {
        if show {
            eprint!(
                "\rloading the demo ledger: file {} of {}",
                n + 1,
                files.len()
            );
        }
        let view = import::send(client, file, None, false, "demo").await?;
        if !view.problems.is_empty() {
            tracing::info!(file = %file.display(), problems = view.problems.len(), "loaded with remarks");
        }
    }
    if show {
        eprintln!();
    }
    demo.hold_client_money(client).await
}

/// The demo's bank: publishes receipts until shutdown.
async fn feed_demo(
    nats: async_nats::Client,
    prefix: contracts::Prefix,
    demo: Demo,
    shutdown: CancellationToken,
) {
    let jetstream = async_nats::jetstream::new(nats);
    for receipt in demo.live_feed() {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(DEMO_FEED) => {}
        }
        let subject = prefix.subject(format_args!(
            "{}.{}",
            contracts::subject::IN_RECEIPTS,
            receipt.feed
        ));
        let mut headers = async_nats::HeaderMap::new();
        headers.insert(
            "Nats-Msg-Id",
            format!("{}/{}", receipt.booked_on, receipt.bank_reference),
        );
        let Ok(payload) = serde_json::to_vec(&receipt) else {
            return;
        };
        if let Err(error) = jetstream
            .publish_with_headers(subject, headers, payload.into())
            .await
        {
            tracing::debug!(%error, "the demo's bank could not publish");
        }
    }
}
