//! What the four kinds of plugin have in common, for reading their sections.

use gantry_sdk::{
    config::Problem,
    plugin::{ConnectionPlugin, SinkPlugin, SourcePlugin, TransformPlugin},
};
use schemars::Schema;
use serde_json::Value as Json;

use crate::registry;

/// What a plugin is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Where records come from.
    Source,
    /// Where they go.
    Sink,
    /// What happens to them on the way.
    Transform,
    /// A broker by name.
    Connection,
}

impl Kind {
    /// The word for it, in messages and in `gantry list`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sink => "sink",
            Self::Transform => "transform",
            Self::Connection => "connection",
        }
    }
}

/// A plugin of any kind.
pub trait Plugin: Sized + 'static {
    /// What it is for.
    const KIND: Kind;

    /// All of this kind.
    fn all() -> &'static [Self];
    /// The key that selects it in YAML.
    fn name(&self) -> &'static str;
    /// One sentence; empty for a connection.
    fn summary(&self) -> &'static str;
    /// Its options.
    fn schema(&self) -> Schema;
    /// What is wrong with these options, without I/O.
    fn check(&self, options: &Json) -> Vec<Problem>;
}

macro_rules! plugin {
    ($plugin:ty, $kind:ident, $all:path, $summary:expr) => {
        impl Plugin for $plugin {
            const KIND: Kind = Kind::$kind;

            fn all() -> &'static [Self] {
                $all()
            }

            fn name(&self) -> &'static str {
                self.name
            }

            fn summary(&self) -> &'static str {
                let summary: fn(&Self) -> &'static str = $summary;
                summary(self)
            }

            fn schema(&self) -> Schema {
                (self.schema)()
            }

            fn check(&self, options: &Json) -> Vec<Problem> {
                (self.check)(options)
            }
        }
    };
}

plugin!(SourcePlugin, Source, registry::sources, |plugin| plugin.summary);
plugin!(SinkPlugin, Sink, registry::sinks, |plugin| plugin.summary);
plugin!(TransformPlugin, Transform, registry::transforms, |plugin| plugin.summary);
plugin!(ConnectionPlugin, Connection, registry::connections, |_| "");
