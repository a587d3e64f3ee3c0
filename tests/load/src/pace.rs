//! How a load is published, and what its times come to.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use async_nats::{
    HeaderMap,
    jetstream::{Context, context::PublishAckFuture},
};
use uuid::Uuid;

use crate::Error;

/// Publishes with at most so many messages that the broker has not
/// acknowledged: the acknowledgements are taken while publishing goes on,
/// because a client holds back when too many are waited for.
pub struct Window {
    context: Context,
    size: usize,
    waiting: VecDeque<PublishAckFuture>,
}

impl Window {
    pub fn new(context: Context, size: usize) -> Self {
        Self {
            context,
            size,
            waiting: VecDeque::with_capacity(size),
        }
    }

    /// # Errors
    /// When the broker did not take this or an earlier message.
    pub async fn publish(&mut self, subject: &str, id: Uuid, payload: String) -> Result<(), Error> {
        if self.waiting.len() >= self.size
            && let Some(oldest) = self.waiting.pop_front()
        {
            oldest.await?;
        }
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", id.to_string());
        let ack = self
            .context
            .publish_with_headers(subject.to_owned(), headers, payload.into())
            .await?;
        self.waiting.push_back(ack);
        Ok(())
    }

    /// Waits until the broker has everything.
    ///
    /// # Errors
    /// When it did not take a message.
    pub async fn drain(&mut self) -> Result<(), Error> {
        for ack in self.waiting.drain(..) {
            ack.await?;
        }
        Ok(())
    }
}

/// Even steps in time; a step that comes late does not move those after it.
pub struct Pace {
    began: Instant,
    per_second: f64,
    steps: u64,
}

impl Pace {
    pub fn new(per_second: f64) -> Self {
        Self {
            began: Instant::now(),
            per_second,
            steps: 0,
        }
    }

    /// Returns when the next step is due.
    pub async fn step(&mut self) {
        let due = self.began + Duration::from_secs_f64(self.steps as f64 / self.per_second);
        self.steps += 1;
        tokio::time::sleep_until(due.into()).await;
    }
}

/// The time under which `share` (0 to 1) of `times` are, by nearest rank; zero
/// of none.
pub fn percentile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    let rank = (times.len() as f64 * share).ceil() as usize;
    times
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let mut times: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&mut times, 0.5), Duration::from_millis(100));
        assert_eq!(percentile(&mut times, 0.99), Duration::from_millis(198));
        assert_eq!(percentile(&mut times, 1.0), Duration::from_millis(200));
        assert_eq!(percentile(&mut [], 0.5), Duration::ZERO);
    }
}
