//! One message in flight.
//!
//! A record is bytes first: nothing is parsed unless a transform or a template asks. It is cheap to clone (every part
//! is shared until it is written to), so the runtime can keep the original for a dead letter.

mod headers;
mod origin;
mod present;
mod properties;
mod value;

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

pub use headers::{Header, Headers, Iter as HeaderIter};
pub use origin::{Detail, Origin};
pub use properties::Properties;
pub use value::{Timestamp, Value};

/// One message, whatever protocol it came by.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// The partitioning or compaction key; AMQP has none, so a sink's template usually makes it.
    pub key: Option<Bytes>,
    /// The body. `None` is a tombstone, not an empty body.
    pub value: Option<Bytes>,
    /// The application's headers, ordered, duplicates allowed, typed.
    pub headers: Headers,
    /// When the message was made, by its producer's clock, in milliseconds since 1970; `None` when it did not say.
    pub timestamp: Option<i64>,
    /// Where it came from.
    pub origin: Origin,
    /// Where a transform wants it to go: a topic, a routing key. `None` leaves the choice to the sink's own template.
    pub destination: Option<ByteString>,
    /// Which record of the source's batch this one came from. Set by the runtime; transforms that make one record
    /// into several copy it.
    pub root: u32,
    /// The message properties, shared between clones; read them by [`Record::properties`].
    pub properties: Option<Arc<Properties>>,
}

static NO_PROPERTIES: Properties = Properties::EMPTY;

impl Record {
    /// The properties that every messaging protocol has under some name.
    pub fn properties(&self) -> &Properties {
        self.properties.as_deref().unwrap_or(&NO_PROPERTIES)
    }

    /// The properties, to write to. Copies them when another clone of the record shares them.
    pub fn properties_mut(&mut self) -> &mut Properties {
        Arc::make_mut(self.properties.get_or_insert_default())
    }

    /// Replaces all properties. Empty ones take no memory.
    pub fn set_properties(&mut self, properties: Properties) {
        self.properties = (properties != Properties::EMPTY).then(|| Arc::new(properties));
    }

    /// Bytes that this record holds, for credit and metrics: key, value and header values; not the allocator's share.
    pub fn size(&self) -> usize {
        self.key.as_ref().map_or(0, Bytes::len) + self.value.as_ref().map_or(0, Bytes::len) + self.headers.size()
    }
}
