//! Dead letters as a source like any other, so that a replay goes the way of every record: in-flight ledger, transforms, receipts,
//! sink, and the dead letter again for what is refused again.
//!
//! # The contract
//! - It is finite: it yields the letters that it is told to, and ends.
//! - A commit marks the letters up to there in their store. So a letter is marked only when its record is settled (I1),
//!   and a replay that ends early leaves the others as they were.

use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use gantry_runtime::Part;
use gantry_sdk::{
    Closed, DeadLetter, DeadLetterId, DeadLetters, Error, Lane, Limits, Opening, Polled, Position, Result, Source,
    dead_letters::{Fidelity, Marks},
    plugin::{Context, SourceConfig, SourcePlugin},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::store;
use crate::{config::References, registry};

/// The source of a replay; not in the registry, because nobody writes it in YAML.
pub(super) static PLUGIN: SourcePlugin = SourcePlugin::of::<Options>("replay", "Dead letters of a bridge.");

/// The only lane.
const LANE: Lane = Lane(0);

/// Which letters.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Options {
    /// The dead letter's sink.
    pub(super) sink: String,
    /// Its options as they were written, as the text of [`as_text`].
    pub(super) options: String,
    /// The letters, as [`Marks`] are written.
    pub(super) letters: String,
    /// Whether they are marked when they are settled; a dry run does not.
    pub(super) mark: bool,
}

/// Options as a text whose references are left alone where this source's own options are resolved: they are read when the
/// letters are opened, as those of any sink.
pub(super) fn as_text(options: &Json) -> String {
    options.to_string().replace("${", "$${")
}

struct Replay {
    options: Options,
    wanted: Marks,
    dead_letters: Box<dyn DeadLetters>,
    /// Settled, and not marked yet.
    settled: Marks,
    ready: VecDeque<DeadLetter>,
    /// Handed out and not committed, with their numbers.
    out: VecDeque<(u64, DeadLetterId)>,
    given: u64,
    ended: bool,
}

impl SourceConfig for Options {
    fn build(self, context: Context) -> Result<Opening<dyn Source>> {
        let wanted = self.letters.parse().map_err(Error::config)?;
        Ok(Box::pin(open(self, wanted, context)))
    }
}

async fn open(options: Options, wanted: Marks, context: Context) -> Result<Box<dyn Source>> {
    let plugin = registry::sinks().iter().find(|plugin| plugin.name == options.sink);
    let plugin = plugin.ok_or_else(|| Error::internal("the dead letter's sink is not in the registry"))?;
    let written = serde_json::from_str(&options.options);
    let written = written.map_err(|error| Error::internal(format!("reading the dead letter's options: {error}")))?;
    let part = Part { plugin, options: written, resolver: Arc::new(References) };
    let dead_letters = store::open(&part, context).await?;
    Ok(Box::new(Replay {
        options,
        wanted,
        dead_letters,
        settled: Marks::default(),
        ready: VecDeque::new(),
        out: VecDeque::new(),
        given: 0,
        ended: false,
    }))
}

#[async_trait]
impl Source for Replay {
    async fn poll(&mut self, limits: Limits) -> Result<Polled> {
        // What was taken is in `ready` before anything is awaited again: a dropped call has taken nothing.
        while self.ready.is_empty() && !self.ended {
            self.fetch().await?;
        }
        let (mut records, mut bytes) = (Vec::new(), 0);
        while records.len() < limits.records && bytes < limits.bytes {
            if self.ready.is_empty() && !self.ended {
                // Takes what is there, and waits for no more.
                match self.fetch().now_or_never() {
                    Some(fetched) => fetched?,
                    None => break,
                }
                continue;
            }
            let Some(letter) = self.ready.pop_front() else { break };
            self.given += 1;
            self.out.push_back((self.given, letter.id));
            bytes += letter.record.size();
            records.push(letter.record);
        }
        if records.is_empty() {
            return Ok(Polled::End);
        }
        Ok(Polled::Batch { lane: LANE, records, last: Position::from(self.given), answers: None })
    }

    fn lane_key(&self, _lane: Lane) -> Arc<str> {
        "letters".into()
    }

    fn commit(&mut self, _lane: Lane, upto: &Position) {
        let Some(upto) = upto.as_u64() else { return };
        let settled = self.out.partition_point(|(number, _)| *number <= upto);
        self.out.drain(..settled).for_each(|(_, id)| self.settled.insert(&id));
    }

    async fn sync(&mut self) -> Result<()> {
        if self.options.mark && !self.settled.is_empty() {
            self.dead_letters.mark(&self.settled).await?;
        }
        self.settled = Marks::default();
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<Closed> {
        self.dead_letters.close().await?;
        Ok(Closed::default())
    }
}

impl Replay {
    /// The next wanted letter into `ready`, or the end. Cancel-safe.
    async fn fetch(&mut self) -> Result<()> {
        match self.dead_letters.next().await? {
            Some(letter) if !self.wanted.contains(&letter.id) => {}
            Some(DeadLetter { fidelity: Fidelity::Unreadable(_), .. }) => {}
            Some(letter) => self.ready.push_back(letter),
            None => self.ended = true,
        }
        Ok(())
    }
}
