//! `generate`: plays a queue of numbered records.
//!
//! # The contract
//! - Records are numbered from 1. The position of a record is its number; there is one lane.
//! - It is a queue, not a pipe: what was not committed is generated again, equal in every byte but `{now}`, when the
//!   bridge connects anew. What was committed is remembered as long as the process lives, by bridge and task.
//! - For [exactly once](Context::exactly_once) it remembers nothing by itself: it goes on behind the position that the sink
//!   has stored, over restarts of the process too, so each number comes exactly once.
//! - Each task plays a queue of its own.
//! - With a `rate` records fall due one by one; without one it gives as many as it is asked for.

mod committed;
mod options;
mod shape;

use async_trait::async_trait;
use gantry_sdk::{
    Closed, Error, Lane, Limits, Opening, Polled, Position, Result, Source,
    config::{Problem, Size},
    plugin::{Context, SourceConfig},
};
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{pace::Pace, payload};
use committed::Memory;
pub use options::Options;
use shape::Shape;

/// The only lane.
const LANE: Lane = Lane(0);

impl SourceConfig for Options {
    const REPLAYABLE: bool = true;

    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.rate.is_some_and(|rate| !(0.001..=1e9).contains(&rate)) {
            problems.push(Problem::error("rate", "a rate is a number of records a second from 0.001 to 1e9"));
        }
        if self.count == Some(0) {
            problems.push(Problem::error("count", "a count is at least 1; leave it out for a source without an end"));
        }
        if self.size.is_some_and(|size| size.to_usize() < payload::MIN_SIZE) {
            let least = Size(payload::MIN_SIZE as u64);
            problems.push(Problem::error("size", format!("a generated body needs at least {least}")));
        }
        if self.size.is_some() && self.body.is_some() {
            problems.push(Problem::error("size", "a given body has its own size; leave out either size or body"));
        }
        problems
    }

    fn build(self, context: Context) -> Result<Opening<dyn Source>> {
        if let Some(problem) = self.check().into_iter().next() {
            return Err(Error::config(problem.to_string()));
        }
        Ok(Box::pin(async move { Ok(Box::new(Generator::new(self, &context)?) as Box<dyn Source>) }))
    }
}

/// Plays one queue.
#[derive(Debug)]
pub struct Generator {
    shape: Shape,
    lane_key: Arc<str>,
    memory: Memory,
    /// The number of the next record.
    next: u64,
    /// The number of the last record there will be.
    end: u64,
    rate: Option<f64>,
    /// From the first poll on: time spent connecting is not made up for.
    pace: Option<Pace>,
}

impl Generator {
    fn new(options: Options, context: &Context) -> Result<Self> {
        let lane_key: Arc<str> = format!("generate/{}", context.task).into();
        let memory = Memory::of(context, &lane_key)?;
        Ok(Self {
            lane_key,
            next: memory.last_settled().saturating_add(1),
            memory,
            end: options.count.unwrap_or(u64::MAX),
            rate: options.rate,
            pace: None,
            shape: Shape::new(options),
        })
    }

    /// Waits until records are due; says how many. Takes none.
    async fn due(&mut self) -> u64 {
        let Some(rate) = self.rate else {
            // Always ready: without this the task would never let another one run.
            tokio::task::consume_budget().await;
            return u64::MAX;
        };
        self.pace.get_or_insert_with(|| Pace::new(rate)).due().await
    }
}

#[async_trait]
impl Source for Generator {
    async fn poll(&mut self, limits: Limits) -> Result<Polled> {
        if self.next > self.end {
            return Ok(Polled::End);
        }
        let due = self.due().await;
        // From here on nothing waits: a poll that is dropped has taken nothing.
        let left = (self.end - self.next).saturating_add(1);
        let most = left.min(due).min(limits.records as u64).max(1);
        let records = self.shape.batch(self.next, Limits { records: most as usize, ..limits }, now());
        let taken = records.len() as u64;
        self.next += taken;
        if let Some(pace) = &mut self.pace {
            pace.take(taken);
        }
        Ok(Polled::Batch { lane: LANE, records, last: Position::from(self.next - 1), answers: None })
    }

    fn lane_key(&self, _: Lane) -> Arc<str> {
        self.lane_key.clone()
    }

    fn commit(&mut self, _: Lane, upto: &Position) {
        if let Some(number) = upto.as_u64() {
            self.memory.settled(number);
        }
    }

    async fn close(self: Box<Self>) -> Result<Closed> {
        Ok(Closed::default())
    }
}

/// Milliseconds since 1970, asked for once a batch.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
