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
    DeadLetter, DeadLetterId, DeadLetters, Error, Lane, Limits, Polled, Position, Result, Source,
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
    context: Context,
    wanted: Marks,
    dead_letters: Option<Box<dyn DeadLetters>>,
    ready: VecDeque<DeadLetter>,
    /// Handed out and not committed, with their numbers.
    out: VecDeque<(u64, DeadLetterId)>,
    given: u64,
    ended: bool,
}

impl SourceConfig for Options {
    fn build(self, context: Context) -> Result<Box<dyn Source>> {
        let wanted = self.letters.parse().map_err(Error::config)?;
        Ok(Box::new(Replay {
            options: self,
            context,
            wanted,
            dead_letters: None,
            ready: VecDeque::new(),
            out: VecDeque::new(),
            given: 0,
            ended: false,
        }))
    }
}

#[async_trait]
impl Source for Replay {
    async fn open(&mut self) -> Result<()> {
        let plugin = registry::sinks().iter().find(|plugin| plugin.name == self.options.sink);
        let plugin = plugin.ok_or_else(|| Error::internal("the dead letter's sink is not in the registry"))?;
        let options = serde_json::from_str(&self.options.options);
        let options =
            options.map_err(|error| Error::internal(format!("reading the dead letter's options: {error}")))?;
        self.dead_letters =
            Some(store::open(&Part { plugin, options, resolver: Arc::new(References) }, self.context.clone()).await?);
        Ok(())
    }

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
        Ok(Polled::Batch { lane: LANE, records, last: Position::from(self.given) })
    }

    async fn commit(&mut self, _lane: Lane, upto: &Position) -> Result<()> {
        let upto = upto.as_u64().ok_or_else(|| Error::internal("a position that is none of the replay's"))?;
        let mut marks = Marks::default();
        let settled = self.out.partition_point(|(number, _)| *number <= upto);
        self.out.drain(..settled).for_each(|(_, id)| marks.insert(&id));
        match &mut self.dead_letters {
            Some(letters) if self.options.mark && !marks.is_empty() => letters.mark(&marks).await,
            _ => Ok(()),
        }
    }

    async fn close(&mut self) -> Result<()> {
        match self.dead_letters.take() {
            Some(mut letters) => letters.close().await,
            None => Ok(()),
        }
    }
}

impl Replay {
    /// The next wanted letter into `ready`, or the end. Cancel-safe.
    async fn fetch(&mut self) -> Result<()> {
        let letters = self.dead_letters.as_mut().ok_or_else(|| Error::internal("the dead letters are not open"))?;
        match letters.next().await? {
            Some(letter) if !self.wanted.contains(&letter.id) => {}
            Some(DeadLetter { fidelity: Fidelity::Unreadable(_), .. }) => {}
            Some(letter) => self.ready.push_back(letter),
            None => self.ended = true,
        }
        Ok(())
    }
}
