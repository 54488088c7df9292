//! `rabbitmq_envelope`: a record as the JSON that jcustenborder's RabbitMQ source connector writes, and back.
//!
//! # The contract
//! - `wrap` makes of a record what that connector and Kafka Connect's `JsonConverter` make of the same message: the struct
//!   `Message`, with the body in base64. Every record can be wrapped: what the original gives up on has a place of its own
//!   (`value.rs`). The record has no headers and no properties any more; they are in the envelope.
//! - `unwrap` takes both of the converter's forms, with and without a schema. What is no envelope fails, and stays as it was.
//! - Wrapped and unwrapped, a message is what it was in everything that the original can say.
//! - A tombstone goes on unchanged.

mod key;
mod schema;
mod unwrap;
mod value;
mod wrap;

use gantry_sdk::{Result, Transform, Working, config::Problem, plugin::TransformConfig, transform::Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::policy::Otherwise;
pub use key::Key;
use wrap::Wrapper;

/// The options of the `rabbitmq_envelope` transform.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// `wrap` makes an envelope of a record, `unwrap` a record of an envelope.
    #[serde(rename = "do")]
    pub action: Action,
    /// For `wrap`: writes the schema into every record, as `JsonConverter` does with `schemas.enable`. `unwrap` takes both
    /// forms.
    #[serde(default)]
    pub schemas_enable: bool,
    /// For `wrap`: what becomes the key.
    #[serde(default)]
    pub key: Key,
    /// For `unwrap`: what becomes of a record whose body is no envelope.
    #[serde(default = "Otherwise::fail")]
    pub on_invalid: Otherwise,
}

/// In which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Action {
    /// A record becomes an envelope.
    Wrap,
    /// An envelope becomes a record.
    Unwrap,
}

impl TransformConfig for Options {
    fn check(&self) -> Vec<Problem> {
        let only_wrap = |option: &'static str| Problem::error(option, "is for do: wrap; unwrap takes what there is");
        let mut problems = Vec::new();
        match self.action {
            Action::Wrap if self.on_invalid != Otherwise::Fail => {
                problems.push(Problem::error("on_invalid", "is for do: unwrap; every record can be wrapped"));
            }
            Action::Wrap => {}
            Action::Unwrap => {
                problems.extend(self.schemas_enable.then(|| only_wrap("schemas_enable")));
                problems.extend((self.key != Key::Keep).then(|| only_wrap("key")));
            }
        }
        problems
    }

    fn build(self) -> Result<Box<dyn Transform>> {
        super::refusal::refuse(&self.check())?;
        Ok(match self.action {
            Action::Wrap => Box::new(Wrapper::new(self.schemas_enable, self.key)),
            Action::Unwrap => Box::new(Unwrap { on_invalid: self.on_invalid }),
        })
    }
}

impl Transform for Wrapper {
    fn apply(&mut self, batch: &mut Working) {
        batch.each(|record| {
            self.wrap(record);
            Ok(Verdict::Keep)
        });
    }
}

/// Unwraps every record.
struct Unwrap {
    on_invalid: Otherwise,
}

impl Transform for Unwrap {
    fn apply(&mut self, batch: &mut Working) {
        batch.each(|record| {
            if let Err(reason) = unwrap::unwrap(record) {
                self.on_invalid.allow(|| format!("rabbitmq_envelope: {reason}"))?;
            }
            Ok(Verdict::Keep)
        });
    }
}

#[cfg(test)]
mod tests;
