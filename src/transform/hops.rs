//! Hops: how many bridges a record has passed, in a header, so that bridges in a circle do not echo for ever.
//!
//! An option of the bridge (`hops`), not one of its `transforms`: it comes before all of them, so that an echo costs nothing
//! and nothing is done to it twice. The record goes on with one more than it came with; the one in its dead letter, which is
//! the record as it came, is not counted up, so a replay costs no hop.
//!
//! Whatever is no count is taken for none: a stranger's header must not stop a bridge, and the worst that follows is one more
//! round. RabbitMQ's federation counts the same way and has the same limit by default (`max-hops`).

use std::sync::Arc;

use bytestring::ByteString;
use gantry_sdk::{
    Headers, Result, Transform, Value, Working,
    config::Problem,
    plugin::{TransformConfig, TransformPlugin},
    transform::Verdict,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use tracing::warn;

use super::header_name;

/// Counts the bridges that a record has passed, and stops those that have passed too many.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
pub struct Hops {
    /// The header with the count: an integer. All bridges of a circle name the same one.
    pub header: String,
    /// How many bridges a record may have passed and still be let in. 1 is right for a bridge there and a bridge back.
    #[schemars(range(min = 1, max = 255))]
    pub limit: u8,
    /// What becomes of a record that has passed as many.
    pub on_limit: OnLimit,
}

/// What becomes of a record that has passed too many bridges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum OnLimit {
    /// It is dropped, and counts as filtered. An echo is a copy of what is there already.
    #[default]
    Drop,
    /// It fails: it goes to the dead letter, or stops the bridge when there is none.
    Fail,
}

impl Default for Hops {
    fn default() -> Self {
        Self { header: "x-gantry-hops".to_owned(), limit: 1, on_limit: OnLimit::Drop }
    }
}

impl Hops {
    /// What cannot work.
    pub(crate) fn check(&self) -> Option<Problem> {
        header_name::check("header", &self.header)
    }

    /// The options of the step that does it, for the bridge of this name.
    pub(crate) fn step(&self, bridge: &str) -> Json {
        json!(Step { bridge: bridge.to_owned(), hops: self.clone() })
    }
}

/// The step that counts; not in the registry, because it is an option of a bridge.
pub static PLUGIN: TransformPlugin =
    TransformPlugin::of::<Step>("hops", "Counts the bridges that a record has passed.");

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
struct Step {
    bridge: String,
    hops: Hops,
}

impl TransformConfig for Step {
    fn build(self) -> Result<Box<dyn Transform>> {
        let Hops { header, limit, on_limit } = self.hops;
        Ok(Box::new(Counter {
            header: ByteString::from(header),
            limit: u64::from(limit),
            on_limit,
            bridge: self.bridge.into(),
            told: false,
        }))
    }
}

/// Does it to every record.
struct Counter {
    header: ByteString,
    limit: u64,
    on_limit: OnLimit,
    bridge: Arc<str>,
    /// Headers that are no count were told of.
    told: bool,
}

impl Transform for Counter {
    fn apply(&mut self, batch: &mut Working) {
        let mut garbage = false;
        batch.each(|record| {
            let hops = count(&record.headers, &self.header).unwrap_or_else(|| {
                garbage = true;
                0
            });
            if hops < self.limit {
                // It is below the limit, which is a byte.
                let next = i32::try_from(hops + 1).unwrap_or(i32::MAX);
                record.headers.set(self.header.clone(), Value::I32(next));
                return Ok(Verdict::Keep);
            }
            match self.on_limit {
                OnLimit::Drop => Ok(Verdict::Drop),
                OnLimit::Fail => Err(format!("hops: it has passed {hops} bridge(s), and the limit is {}", self.limit)),
            }
        });
        if garbage && !self.told {
            self.told = true;
            let (bridge, header) = (&self.bridge, &self.header);
            warn!(%bridge, "records have a header \"{header}\" that is no count of hops: they are let in as if they had none");
        }
    }
}

/// The count in the header; the highest when there are several, 0 when there is none, `None` when it is no count.
fn count(headers: &Headers, name: &str) -> Option<u64> {
    let mut counts = headers.iter().filter(|(own, _)| own == name).map(|(_, value)| number(value));
    counts.try_fold(0, |highest, count| Some(highest.max(count?)))
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::I8(count) => u64::try_from(*count).ok(),
        Value::U8(count) => Some(u64::from(*count)),
        Value::I16(count) => u64::try_from(*count).ok(),
        Value::U16(count) => Some(u64::from(*count)),
        Value::I32(count) => u64::try_from(*count).ok(),
        Value::U32(count) => Some(u64::from(*count)),
        Value::I64(count) => u64::try_from(*count).ok(),
        Value::U64(count) => Some(*count),
        // As Kafka headers have it.
        Value::String(text) | Value::Bytes(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
