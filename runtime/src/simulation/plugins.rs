//! The world as connectors and a transform that a bridge can name.

use gantry_sdk::{
    Context, Result, Sink, Source, Transform, Working,
    plugin::{SinkConfig, SinkPlugin, SourceConfig, SourcePlugin, TransformConfig, TransformPlugin},
    transform::Verdict,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    sink::SimulatedSink,
    source::SimulatedSource,
    world::{World, id_of, is_filtered, is_refused_by_transform},
};

pub(super) static SOURCE: SourcePlugin = SourcePlugin::of::<Options>("simulated", "a broker in memory");
pub(super) static SINK: SinkPlugin = SinkPlugin::of::<Options>("simulated", "a destination in memory");
pub(super) static TRANSFORM: TransformPlugin = TransformPlugin::of::<Options>("simulated", "filters and refuses some");

#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct Options {
    world: u64,
    #[serde(default)]
    dead_letter: bool,
}

impl SourceConfig for Options {
    const CAN_REJECT: bool = true;

    fn build(self, _: Context) -> Result<Box<dyn Source>> {
        Ok(Box::new(SimulatedSource::new(World::of(self.world))))
    }
}

impl SinkConfig for Options {
    fn build(self, context: Context) -> Result<Box<dyn Sink>> {
        assert_eq!(context.dead_letter, self.dead_letter);
        Ok(Box::new(SimulatedSink::new(World::of(self.world), context.health, self.dead_letter)))
    }
}

impl TransformConfig for Options {
    fn build(self) -> Result<Box<dyn Transform>> {
        Ok(Box::new(SimulatedTransform))
    }
}

struct SimulatedTransform;

impl Transform for SimulatedTransform {
    fn apply(&mut self, batch: &mut Working) {
        batch.each(|record| match id_of(record) {
            id if is_filtered(id) => Ok(Verdict::Drop),
            id if is_refused_by_transform(id) => Err("refused by the transform".to_owned()),
            _ => Ok(Verdict::Keep),
        });
    }
}
