//! `key`: the key from a template.

use gantry_sdk::{Result, Template, Transform, Working, plugin::TransformConfig, transform::Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::field;

/// The options of the `key` transform.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The new key, as a template: `{value.order.id}`.
    pub from: Template,
    /// What becomes of a record that lacks a field of the template.
    #[serde(default)]
    pub missing: Missing,
}

/// What becomes of a record from which no key can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Missing {
    /// It fails: it goes to the dead letter, or stops the bridge when there is none.
    #[default]
    Fail,
    /// It keeps the key that it has.
    Keep,
    /// It goes on without a key.
    Clear,
}

impl TransformConfig for Options {
    fn build(self) -> Result<Box<dyn Transform>> {
        Ok(Box::new(Key(self)))
    }
}

/// Sets the key of every record.
#[derive(Debug)]
struct Key(Options);

impl Transform for Key {
    fn apply(&mut self, batch: &mut Working) {
        let Options { from, missing } = &self.0;
        batch.each(|record| {
            match (from.render(record), missing) {
                (Some(key), _) => record.key = Some(key),
                (None, Missing::Keep) => {}
                (None, Missing::Clear) => record.key = None,
                (None, Missing::Fail) => return Err(format!("key: {}", field::lacking(from, record))),
            }
            Ok(Verdict::Keep)
        });
    }
}

#[cfg(test)]
mod tests {
    use gantry_sdk::Record;
    use serde_json::json;

    use crate::transform::tests::apply_one;

    #[test]
    fn sets_keeps_clears_or_fails() {
        let record = Record { key: Some("old".into()), value: Some(r#"{"id":7}"#.into()), ..Record::default() };
        let cases = [
            (json!({ "from": "order-{value.id}" }), Ok(Some("order-7"))),
            (json!({ "from": "{value}" }), Ok(Some(r#"{"id":7}"#))),
            (json!({ "from": "{value.no|none}" }), Ok(Some("none"))),
            (json!({ "from": "{value.no}", "missing": "keep" }), Ok(Some("old"))),
            (json!({ "from": "{value.no}", "missing": "clear" }), Ok(None)),
            (json!({ "from": "{value.no}-{header.x}" }), Err("key: the record has no {value.no}, {header.x}")),
        ];
        for (options, expected) in cases {
            let key = apply_one("key", &options, record.clone()).map(|record| record.expect("kept").key);
            assert_eq!(key, expected.map(|key| key.map(Into::into)).map_err(str::to_owned), "{options}");
        }
    }
}
