//! A provider of e-mail that sends nothing anywhere: every message becomes a
//! file. It drops a Message-ID that it has already, so that a sender may send
//! again what it does not know the fate of.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// The longest message and line, in bytes.
const MESSAGE_MAX: usize = 10_000_000;
/// Messages that are kept: more are refused, so that the disk does not fill up.
const KEPT_MAX: usize = 200_000;

/// The sink at work. Dropping it ends it; the files stay.
pub struct MailSink {
    address: SocketAddr,
    kept: Arc<Kept>,
    task: JoinHandle<()>,
}

struct Kept {
    dir: PathBuf,
    messages: AtomicUsize,
    again: AtomicUsize,
}

impl MailSink {
    /// Listens on any free port of this machine and writes into `dir`.
    ///
    /// # Errors
    /// When there is no port, or the directory cannot be made.
    pub async fn start(dir: &Path) -> io::Result<Self> {
        tokio::fs::create_dir_all(dir).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let there = std::fs::read_dir(dir)?.count();
        let kept = Arc::new(Kept {
            dir: dir.to_owned(),
            messages: AtomicUsize::new(there),
            again: AtomicUsize::new(0),
        });
        let into = kept.clone();
        let task = tokio::spawn(async move {
            let mut talks = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    Some(_) = talks.join_next() => {}
                    talk = listener.accept() => if let Ok((stream, _)) = talk {
                        let into = into.clone();
                        talks.spawn(async move {
                            // A client that breaks off tries again.
                            let _ = talk_with(stream, &into).await;
                        });
                    }
                }
            }
        });
        Ok(Self {
            address,
            kept,
            task,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often it was handed what it had already, and dropped it.
    pub fn handed_again(&self) -> usize {
        self.kept.again.load(Ordering::Relaxed)
    }

    /// The messages that it has, one a file.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn messages(&self) -> io::Result<Vec<String>> {
        std::fs::read_dir(&self.kept.dir)?
            .filter_map(Result::ok)
            .filter(|entry| entry.path().extension().is_some_and(|e| e == "eml"))
            .map(|entry| std::fs::read_to_string(entry.path()))
            .collect()
    }
}

impl Drop for MailSink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn talk_with(stream: TcpStream, kept: &Kept) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 sink ESMTP\r\n").await?;
    let mut line = Vec::new();
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 || line.len() > MESSAGE_MAX {
            return Ok(());
        }
        let word = String::from_utf8_lossy(&line).to_uppercase();
        let answer: &[u8] = match word.split_whitespace().next().unwrap_or_default() {
            "EHLO" => b"250-sink\r\n250 8BITMIME\r\n",
            "HELO" | "MAIL" | "RCPT" | "NOOP" | "RSET" => b"250 ok\r\n",
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let Some(message) = message(&mut stream).await? else {
                    return Ok(());
                };
                if kept.keep(&message).await? {
                    b"250 kept\r\n"
                } else {
                    b"452 the sink is full\r\n"
                }
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => b"502 not here\r\n",
        };
        stream.write_all(answer).await?;
    }
}

/// What stands between DATA and the dot; nothing when it is too long.
async fn message(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await? == 0
            || message.len() + line.len() > MESSAGE_MAX
        {
            return Ok(None);
        }
        if line == b".\r\n" {
            return Ok(Some(message));
        }
        let from = usize::from(line.starts_with(b"."));
        message.extend_from_slice(line.get(from..).unwrap_or_default());
    }
}

impl Kept {
    /// Writes it as a file that is named by its Message-ID. Whether it has it now.
    async fn keep(&self, message: &[u8]) -> io::Result<bool> {
        let text = String::from_utf8_lossy(message);
        let id: String = text
            .lines()
            .take_while(|line| !line.is_empty())
            .find_map(|line| line.strip_prefix("Message-ID:"))
            .unwrap_or("without")
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '@'))
            .take(150)
            .collect();
        let file = self.dir.join(format!("{id}.eml"));
        if tokio::fs::try_exists(&file).await? {
            self.again.fetch_add(1, Ordering::Relaxed);
            return Ok(true);
        }
        if self.messages.fetch_add(1, Ordering::Relaxed) >= KEPT_MAX {
            return Ok(false);
        }
        // Whole or not at all, also when we are killed.
        let part = file.with_extension("part");
        tokio::fs::write(&part, message).await?;
        tokio::fs::rename(&part, &file).await?;
        Ok(true)
    }
}
