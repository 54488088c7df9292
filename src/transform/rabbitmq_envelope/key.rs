//! The key of a wrapped record.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes the key of a wrapped record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Key {
    /// It keeps the key that it has.
    #[default]
    Keep,
    /// The connector's struct `MessageKey`: `{"messageId":"m-1"}`. Without a message id all records share a key.
    MessageKey,
}
