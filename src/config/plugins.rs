//! What the four kinds of plugin have in common, for reading their sections.

use gantry_sdk::plugin::{ConnectionPlugin, Plugin, SinkPlugin, SourcePlugin, TransformPlugin};

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

/// A plugin of any kind, as the registry knows it.
pub trait Registered: Plugin + Sized {
    /// What it is for.
    const KIND: Kind;

    /// All of this kind.
    fn all() -> &'static [Self];
    /// One sentence; empty for a connection.
    fn summary(&self) -> &'static str;
    /// What it can do, each by its name; nothing for what is no source and no sink.
    fn capabilities(&self) -> Vec<(&'static str, bool)>;
}

macro_rules! registered {
    ($plugin:ty, $kind:ident, $all:path, $summary:expr, $capabilities:expr) => {
        impl Registered for $plugin {
            const KIND: Kind = Kind::$kind;

            fn all() -> &'static [Self] {
                $all()
            }

            fn summary(&self) -> &'static str {
                let summary: fn(&Self) -> &'static str = $summary;
                summary(self)
            }

            fn capabilities(&self) -> Vec<(&'static str, bool)> {
                let capabilities: fn(&Self) -> Vec<(&'static str, bool)> = $capabilities;
                capabilities(self)
            }
        }
    };
}

registered!(SourcePlugin, Source, registry::sources, |plugin| plugin.summary, |plugin| plugin
    .capabilities
    .each()
    .to_vec());
registered!(SinkPlugin, Sink, registry::sinks, |plugin| plugin.summary, |plugin| plugin.capabilities.each().to_vec());
registered!(TransformPlugin, Transform, registry::transforms, |plugin| plugin.summary, |_| Vec::new());
registered!(ConnectionPlugin, Connection, registry::connections, |_| "", |_| Vec::new());
