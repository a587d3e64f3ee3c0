//! The dispatch of a run of e-mails: dunning as a process of its own, killed
//! half way, and every e-mail that the provider took counted.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Args;
use contracts::{
    Role,
    api::{
        controls::{ApprovalQueue, DecideApproval, ListApprovals, Person, Verdict},
        dunning::{RunStep, RunView, StepRun},
    },
    dunning::RunState,
};
use kernel::CommandId;
use runtime::local::MailSink;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    task::JoinSet,
};

use super::{
    dunning::{await_run, person, propose},
    figures::Figures,
    progress,
    rig::{Rig, load_average},
};
use crate::{Context, client::Client, commands::run::on_signal};

/// As many connections as dunning's own pool has at most.
const CONNECTIONS: u32 = 10;
/// What the provider alone takes is measured with fewer.
const BARE_SHARE: u32 = 10;
/// No further e-mail came for this long: something is stuck. Longer than a
/// claim of a crashed sender stays its own.
const STUCK: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(100);

#[derive(Args)]
pub(crate) struct Dispatch {
    /// Accounts, each with one overdue item and an e-mail address.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=150_000))]
    emails: u32,
    /// Does not kill the service half way.
    #[arg(long)]
    no_kill: bool,
    /// Keeps the servers' data and the service's log.
    #[arg(long)]
    keep: bool,
}

/// A directory for e-mails that goes when it is not needed any more.
struct Post(PathBuf);

impl Drop for Post {
    fn drop(&mut self) {
        // What stays behind is in a directory for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Dispatch {
    pub(crate) async fn run(self, mut context: Context) -> anyhow::Result<()> {
        let interrupted = on_signal()?;
        let post =
            Post(Path::new("/var/tmp").join(format!("counterfoil-post-{}", std::process::id())));
        let sink = MailSink::start(&post.0.join("runs")).await?;
        let mail = &mut context.config.mail;
        mail.host = sink.address().ip().to_string();
        mail.port = sink.address().port();
        mail.tls = false;
        mail.idempotent = true;
        let mut rig = Rig::start(context).await?;
        let done = tokio::select! {
            done = self.measure(&mut rig, &sink, &post.0) => done,
            () = interrupted.cancelled() => Err(anyhow::anyhow!("interrupted")),
        };
        let ended = rig.end(self.keep).await;
        done.and(ended)
    }

    async fn measure(&self, rig: &mut Rig, sink: &MailSink, post: &Path) -> anyhow::Result<()> {
        let load = load_average()?;
        progress("a ledger");
        seed(rig, self.emails).await?;
        rig.tidy().await?;
        let mut roles = rig.start_these(&[Role::Dunning]).await?;
        let client = Client::connect(&mut rig.context).await?;
        progress("a run over it");
        let (_, run) = propose(&client, "e-mails").await?;
        let began = approve(rig, &client, &run).await?;

        progress("its dispatch");
        let mut outage = Duration::ZERO;
        if !self.no_kill {
            self.until(rig, u64::from(self.emails) / 2).await?;
            let killed = Instant::now();
            roles.kill().await?;
            roles = rig.start_these(&[Role::Dunning]).await?;
            outage = killed.elapsed();
        }
        self.until(rig, u64::from(self.emails)).await?;
        let spent = began.elapsed();
        await_run(&client, run.run_id, RunState::Sent).await?;

        progress("the provider alone");
        let taken = sink.messages()?;
        let like = taken.first().context("no e-mail came")?.clone();
        let bare = bare(&post.join("bare"), &like, self.emails.div_ceil(BARE_SHARE)).await?;

        let counts = self.count(rig, &taken).await?;
        let rate = f64::from(self.emails) / spent.as_secs_f64();
        let mut figures = Figures::default();
        figures.set("emails", self.emails);
        figures.set("seconds", spent.as_secs_f64());
        figures.set("emails_per_second", rate);
        figures.set("provider_alone_per_second", bare);
        figures.set("ratio_to_provider_alone", rate / bare);
        figures.set("killed", !self.no_kill);
        figures.set("outage_ms", outage.as_secs_f64() * 1000.0);
        figures.set("handed_again_and_dropped", sink.handed_again());
        figures.set("lost", counts.lost);
        figures.set("doubled", counts.doubled);
        figures.set("ledger_says_sent", counts.sent);
        let peaks = roles.peak_rss_mib()?;
        figures.set("peak_rss_mib", peaks.get(&Role::Dunning).copied());
        roles.stop().await?;
        figures.set("load_average", load);
        figures.print(rig.context.json)?;
        if counts.lost + counts.doubled > 0 || counts.sent != u64::from(self.emails) {
            bail!("not every e-mail was sent exactly once");
        }
        Ok(())
    }

    /// Waits until the ledger says of so many that they were sent.
    async fn until(&self, rig: &mut Rig, count: u64) -> anyhow::Result<()> {
        let mut moved = (0, Instant::now());
        loop {
            let sent = sent(rig).await?;
            if sent >= count {
                return Ok(());
            }
            if sent > moved.0 {
                moved = (sent, Instant::now());
            } else if moved.1.elapsed() > STUCK {
                bail!(
                    "{sent} of {} e-mails were sent, and no more came",
                    self.emails
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// What the provider has, by whom it is for.
    async fn count(&self, rig: &mut Rig, taken: &[String]) -> anyhow::Result<Counts> {
        let mut to: HashMap<&str, u64> = HashMap::new();
        for message in taken {
            let line = message.lines().find_map(|line| line.strip_prefix("To: "));
            *to.entry(line.context("an e-mail is for nobody")?)
                .or_default() += 1;
        }
        Ok(Counts {
            lost: u64::from(self.emails).saturating_sub(to.len() as u64),
            doubled: to.values().map(|times| times - 1).sum(),
            sent: sent(rig).await?,
        })
    }
}

struct Counts {
    lost: u64,
    doubled: u64,
    sent: u64,
}

async fn sent(rig: &mut Rig) -> anyhow::Result<u64> {
    let sent: i64 = sqlx::query_scalar("select count(*) from dunning.contact where state = 'sent'")
        .fetch_one(&mut rig.ledger)
        .await?;
    Ok(sent.unsigned_abs())
}

async fn seed(rig: &mut Rig, accounts: u32) -> anyhow::Result<()> {
    let statements = [
        "insert into dunning.account (account_id, account_ref, version, name, kind, email)
         select md5('account' || n)::uuid, 'B' || n, 1, 'Bench ' || n, 'company', n || '@example.invalid'
         from generate_series(1, $1::int) n",
        "insert into dunning.item (document_id, document_ref, kind, account_id, account_ref, issued_on, due_on, currency,
           gross)
         select md5('item' || n)::uuid, 'I' || n, 'invoice', md5('account' || n)::uuid, 'B' || n, current_date - 40,
           current_date - 10, 'GBP', 100 + n % 900
         from generate_series(1, $1::int) n",
    ];
    for statement in statements {
        sqlx::query(statement)
            .bind(i32::try_from(accounts)?)
            .execute(&mut rig.ledger)
            .await?;
    }
    Ok(())
}

/// A second person says yes, through worklist, which then goes home. When it was
/// said: from then on it is sent.
async fn approve(rig: &Rig, client: &Client, run: &RunView) -> anyhow::Result<Instant> {
    let worklist = rig.start_these(&[Role::Worklist]).await?;
    client
        .ask(&StepRun {
            command_id: CommandId::generate(),
            run_id: run.run_id,
            version: None,
            step: RunStep::Request,
            reason: "bench".to_owned(),
            person: person(),
        })
        .await?;
    let second = Person {
        actor: "user:second".to_owned(),
        roles: vec!["cfo".to_owned()],
    };
    let began = Instant::now();
    let asked = loop {
        let waiting = client
            .ask(&ListApprovals {
                queue: ApprovalQueue::default(),
                person: second.clone(),
                page: contracts::api::PageRequest::default(),
            })
            .await?;
        if let Some(asked) = waiting.items.into_iter().next() {
            break asked;
        }
        if began.elapsed() > STUCK {
            bail!("worklist was not asked");
        }
        tokio::time::sleep(POLL).await;
    };
    client
        .ask(&DecideApproval {
            command_id: CommandId::generate(),
            approval_id: asked.approval_id,
            verdict: Verdict::Approve,
            reason: "bench".to_owned(),
            person: second,
        })
        .await?;
    let approved = Instant::now();
    worklist.stop().await?;
    Ok(approved)
}

/// E-mails per second that a sink takes of nobody but us, over as many
/// connections and of the same words.
async fn bare(dir: &Path, like: &str, count: u32) -> anyhow::Result<f64> {
    let sink = MailSink::start(dir).await?;
    let address = sink.address();
    let body = like.split_once("\r\n\r\n").map_or(like, |(_, body)| body);
    let began = Instant::now();
    let mut talks = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let body = body.to_owned();
        let share = (connection..count).step_by(CONNECTIONS as usize);
        talks.spawn(async move { talk(address, &body, share).await });
    }
    while let Some(done) = talks.join_next().await {
        done??;
    }
    let spent = began.elapsed().as_secs_f64();
    if sink.messages()?.len() != count as usize {
        bail!("the sink lost e-mails");
    }
    Ok(f64::from(count) / spent)
}

async fn talk(
    address: SocketAddr,
    body: &str,
    share: impl Iterator<Item = u32>,
) -> anyhow::Result<()> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    answer(&mut stream).await?;
    for n in share {
        for line in [
            "MAIL FROM:<bench@example.invalid>\r\n",
            "RCPT TO:<bench@example.invalid>\r\n",
            "DATA\r\n",
        ] {
            stream.write_all(line.as_bytes()).await?;
            answer(&mut stream).await?;
        }
        let message = format!("Message-ID: <{n}@bench>\r\n\r\n{body}\r\n.\r\n");
        stream.write_all(message.as_bytes()).await?;
        answer(&mut stream).await?;
    }
    Ok(())
}

async fn answer(stream: &mut BufReader<TcpStream>) -> anyhow::Result<()> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    if !line.starts_with(['2', '3']) {
        bail!("the sink says: {line}");
    }
    Ok(())
}
