//! Built-in transforms: what may happen to records between source and sink.
//!
//! # The contract
//! - A record stays bytes until a field of its body is asked for.
//! - A transform that cannot do to a record what it was told to *fails* the record, with the reason; it never does half
//!   of it. Options (`missing`, `on_invalid`, `no_match`) say where a record may go on unchanged instead.
//! - Reasons name fields, types and sizes, never values: a body may hold secrets, and reasons reach logs and headers.
//! - What cannot work (no operation, two that contradict each other) is found by `check`, before any record.
//!
//! In reading order: the transforms [`filter`], [`route`], [`headers`], [`key`], [`json`], [`split`], [`timestamp`],
//! [`decompress`] and [`rabbitmq_envelope`], then what they share: `field`, `regex`, `policy`, `refusal`, `header_name`. Adding one
//! is a file and a line in [`PLUGINS`]. [`hops`] is the bridge's own.

pub mod decompress;
mod field;
pub mod filter;
mod header_name;
pub mod headers;
pub mod hops;
pub mod json;
pub mod key;
mod policy;
pub mod rabbitmq_envelope;
mod refusal;
mod regex;
pub mod route;
pub mod split;
pub mod timestamp;

use gantry_sdk::plugin::TransformPlugin;

/// Every built-in transform, by the name that selects it in YAML.
pub static PLUGINS: &[TransformPlugin] = &[
    TransformPlugin::of::<filter::Options>(
        filter::NAME,
        "Keeps or drops records by their headers, key, topic or body.",
    ),
    TransformPlugin::of::<route::Options>(
        route::NAME,
        "Says where a record goes (topic, routing key), by template or regular expression.",
    ),
    TransformPlugin::of::<headers::Options>("headers", "Decodes, merges, copies, renames, drops and sets headers."),
    TransformPlugin::of::<key::Options>("key", "Sets the key from a template."),
    TransformPlugin::of::<json::Options>("json", "Extracts, renames, drops, masks and inserts fields of a JSON body."),
    TransformPlugin::of::<split::Options>("split", "Makes one record of each element of a JSON list."),
    TransformPlugin::of::<timestamp::Options>("timestamp", "Sets the timestamp from a field."),
    TransformPlugin::of::<decompress::Options>("decompress", "Decompresses bodies of gzip, zstd or deflate."),
    TransformPlugin::of::<rabbitmq_envelope::Options>(
        "rabbitmq_envelope",
        "Wraps a record in the JSON envelope of jcustenborder's RabbitMQ connector, or takes it out.",
    ),
];

#[cfg(test)]
mod tests;
