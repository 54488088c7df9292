//! AMQP 0-9-1 to records, and values back.
//!
//! Total: every delivery becomes a record, whatever its properties and headers hold. The body is not copied. What costs
//! an allocation is only what is there: a header, a property. The tables are in `docs/connectors/rabbitmq.md`.

mod delivery;
mod value;

use lapin::types::ShortString;

pub(crate) use delivery::Converter;
pub(crate) use value::{from_amqp, to_amqp};

/// A header of ours: the record had no body at all, not an empty one. AMQP cannot say that.
pub(crate) const TOMBSTONE: &str = "gantry.tombstone";
/// A header of ours: the names of those headers whose lists were several headers of one name. AMQP's names are unique.
pub(crate) const DUPLICATES: &str = "gantry.duplicates";

/// A name as AMQP writes it; the error completes a sentence that begins with the name's own name.
pub(crate) fn short_string(text: &str) -> Result<ShortString, String> {
    ShortString::try_new(text).map_err(|_| format!("is {} bytes long; AMQP 0-9-1 allows 255", text.len()))
}
