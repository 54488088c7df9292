//! What a person writes about the `generate` source.

use std::collections::BTreeMap;

use gantry_sdk::config::Size;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::pattern::Pattern;

/// The default of [`Options::size`].
pub(super) const DEFAULT_SIZE: Size = Size(200);

/// The options of the `generate` source.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Records a second; may be a fraction (`0.5` is one every two seconds). Without it as fast as they are taken.
    #[schemars(range(min = 0.001, max = 1e9))]
    pub rate: Option<f64>,
    /// Records in all; then the source has ended. Without it there is no end.
    #[schemars(range(min = 1))]
    pub count: Option<u64>,
    /// Bytes of the body that is made when `body` is not given, at least `64B`. It is JSON with the record's number,
    /// and every byte of it can be checked. Default: `200B`.
    pub size: Option<Size>,
    /// The body instead, as text: `{n}` becomes the record's number, `{n%100}` its remainder, `{now}` milliseconds
    /// since 1970; other braces stay, so JSON can be written as it is.
    pub body: Option<Pattern>,
    /// The key, with the same parts as `body`. Without it records have no key.
    pub key: Option<Pattern>,
    /// The message id, with the same parts as `body`. Without it records have none.
    pub message_id: Option<Pattern>,
    /// Headers by name; their text has the same parts as `body`.
    pub headers: BTreeMap<String, Pattern>,
}
