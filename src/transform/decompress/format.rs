//! How bodies are compressed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A format, or whatever the record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Format {
    /// As the content encoding says, the property or else the header `content-encoding`: `gzip`, `zstd`, `deflate`, or
    /// several with commas. Without one, or with another one, a record goes on unchanged.
    #[default]
    Auto,
    /// Every body is gzip.
    Gzip,
    /// Every body is zstd.
    Zstd,
    /// Every body is deflate, with or without zlib's frame.
    Deflate,
}
