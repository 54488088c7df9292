//! The world as connectors and a transform that a bridge can name. In between the order of calls is checked.

use gantry_sdk::{
    Context, Opening, Record, Result, Sink, Source, Transform, Value, Working,
    plugin::{SinkConfig, SinkPlugin, SourceConfig, SourcePlugin, TransformConfig, TransformPlugin},
    testkit::{OrderedSink, OrderedSource},
    transform::Verdict,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    sink::SimulatedSink,
    source::SimulatedSource,
    world::{World, goes_to, id_of, is_filtered, is_refused_by_transform, pieces_of},
};

pub(super) static SOURCE: SourcePlugin = SourcePlugin::of::<Options>("simulated", "a broker in memory");
pub(super) static SINK: SinkPlugin = SinkPlugin::of::<Options>("simulated", "a destination in memory");
pub(super) static TRANSFORM: TransformPlugin =
    TransformPlugin::of::<Options>("simulated", "filters, refuses and splits some");
pub(super) static CONDITION: TransformPlugin = TransformPlugin::of::<Condition>("condition", "which sink gets what");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct Options {
    world: u64,
    #[serde(default)]
    dead_letter: bool,
    /// Of a sink: which of the bridge's. Of a condition: which sink's.
    #[serde(default)]
    sink: u16,
}

impl SourceConfig for Options {
    const CAN_REJECT: bool = true;

    fn build(self, context: Context) -> Result<Opening<dyn Source>> {
        let opening = SimulatedSource::open(World::of(self.world), context);
        Ok(Box::pin(async { Ok(Box::new(OrderedSource::new(opening.await?)) as Box<dyn Source>) }))
    }
}

impl SinkConfig for Options {
    fn build(self, context: Context) -> Result<Opening<dyn Sink>> {
        assert_eq!(context.dead_letter, self.dead_letter);
        let opening = SimulatedSink::open(World::of(self.world), context, self.sink);
        Ok(Box::pin(async { Ok(Box::new(OrderedSink::new(opening.await?)) as Box<dyn Sink>) }))
    }
}

impl TransformConfig for Options {
    fn build(self) -> Result<Box<dyn Transform>> {
        Ok(Box::new(SimulatedTransform { splits: World::of(self.world).nature.splits }))
    }
}

struct SimulatedTransform {
    splits: bool,
}

impl Transform for SimulatedTransform {
    fn apply(&mut self, batch: &mut Working) {
        batch.each(|record| match id_of(record) {
            id if is_filtered(id) => Ok(Verdict::Drop),
            id if is_refused_by_transform(id) => Err("refused by the transform".to_owned()),
            _ => Ok(Verdict::Keep),
        });
        if self.splits {
            batch
                .split(|record| Ok(Some((0..pieces_of(id_of(record))).map(|piece| numbered(record, piece)).collect())));
        }
    }
}

fn numbered(record: &Record, piece: u8) -> Record {
    let mut record = record.clone();
    record.headers.set("piece", Value::I32(piece.into()));
    record
}

/// Which records go to a sink.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct Condition {
    sink: u16,
}

impl TransformConfig for Condition {
    fn build(self) -> Result<Box<dyn Transform>> {
        Ok(Box::new(self))
    }
}

impl Transform for Condition {
    fn apply(&mut self, batch: &mut Working) {
        batch.each(|record| Ok(if goes_to(id_of(record), self.sink) { Verdict::Keep } else { Verdict::Drop }));
    }
}
