//! Typed arguments of queues, exchanges, bindings and consumers.
//!
//! AMQP's arguments have types, YAML's values have fewer. What YAML says is taken for the obvious type; where the broker
//! insists on another, a value is written as `{ type: short, value: 5 }`.
//!
//! | YAML | AMQP |
//! |---|---|
//! | `true` | boolean |
//! | `5` | signed 64-bit (`long`), which RabbitMQ accepts wherever it wants an integer |
//! | `0.5` | `double` |
//! | `text` | long string |
//! | a list, a map | array, table |
//! | `null` | void |

use bytes::Bytes;
use bytestring::ByteString;
use gantry_sdk::{Timestamp, Value};
use lapin::types::FieldTable;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value as Json};

use crate::convert::{short_string, to_amqp};

/// Arguments by name, such as `x-queue-type: quorum`; types other than YAML's own as `{ type: short, value: 5 }`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Arguments(Vec<(String, Value)>);

/// What `type:` may say.
const TYPES: [&str; 16] = [
    "boolean",
    "byte",
    "unsigned_byte",
    "short",
    "unsigned_short",
    "int",
    "unsigned_int",
    "long",
    "float",
    "double",
    "decimal",
    "timestamp",
    "string",
    "bytes",
    "list",
    "table",
];

impl Arguments {
    /// The argument of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// As AMQP writes them; the error names the argument.
    pub(crate) fn to_table(&self) -> Result<FieldTable, String> {
        let mut table = FieldTable::default();
        for (name, value) in &self.0 {
            let key = short_string(name).map_err(|reason| format!("the name {name} {reason}"))?;
            table.insert(key, to_amqp(value).map_err(|reason| format!("{name}: {reason}"))?);
        }
        Ok(table)
    }
}

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = |(name, json): (String, Json)| match value(&json) {
            Ok(value) => Ok((name, value)),
            Err(reason) => Err(de::Error::custom(format!("{name}: {reason}"))),
        };
        Map::deserialize(deserializer)?.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

impl JsonSchema for Arguments {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Arguments".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": true })
    }

    fn inline_schema() -> bool {
        true
    }
}

fn value(json: &Json) -> Result<Value, String> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::String(text) => Value::text(text.as_str()),
        Json::Array(items) => list(items)?,
        Json::Object(fields) => match typed(fields) {
            Some((kind, json)) => of_type(kind, json)?,
            None => table(fields)?,
        },
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Value::I64(integer),
            (None, Some(_)) if number.is_u64() => {
                return Err(format!("{number} is above the largest integer of AMQP 0-9-1"));
            }
            (None, Some(float)) => Value::F64(float),
            (None, None) => return Err(format!("{number} is no number that AMQP 0-9-1 can hold")),
        },
    })
}

/// A map of exactly `type`, a text, and `value`. A table that really has these two fields is written with `type: table`.
fn typed(fields: &Map<String, Json>) -> Option<(&str, &Json)> {
    match (fields.get("type"), fields.get("value"), fields.len()) {
        (Some(Json::String(kind)), Some(value), 2) => Some((kind, value)),
        _ => None,
    }
}

fn of_type(kind: &str, json: &Json) -> Result<Value, String> {
    let read = match (kind, json) {
        ("boolean", Json::Bool(value)) => Some(Value::Bool(*value)),
        ("byte", json) => integer(json).map(Value::I8),
        ("unsigned_byte", json) => integer(json).map(Value::U8),
        ("short", json) => integer(json).map(Value::I16),
        ("unsigned_short", json) => integer(json).map(Value::U16),
        ("int", json) => integer(json).map(Value::I32),
        ("unsigned_int", json) => integer(json).map(Value::U32),
        ("long", json) => integer(json).map(Value::I64),
        #[expect(clippy::cast_possible_truncation, reason = "asked for: a float holds fewer digits")]
        ("float", Json::Number(number)) => number.as_f64().map(|value| Value::F32(value as f32)),
        ("double", Json::Number(number)) => number.as_f64().map(Value::F64),
        ("decimal", Json::Number(number)) => decimal(&number.to_string()),
        ("decimal", Json::String(text)) => decimal(text),
        ("timestamp", json) => json.as_u64().map(|seconds| Value::Timestamp(Timestamp::from_seconds(seconds))),
        ("string", Json::String(text)) => Some(Value::text(text.as_str())),
        ("bytes", Json::String(text)) => Some(Value::Bytes(Bytes::copy_from_slice(text.as_bytes()))),
        ("list", Json::Array(items)) => Some(list(items)?),
        ("table", Json::Object(fields)) => Some(table(fields)?),
        (kind, _) if !TYPES.contains(&kind) => {
            return Err(format!("there is no type {kind}; there are {}", TYPES.join(", ")));
        }
        _ => None,
    };
    read.ok_or_else(|| format!("the value is not one that fits the type {kind}"))
}

fn integer<T: TryFrom<i64>>(json: &Json) -> Option<T> {
    T::try_from(json.as_i64()?).ok()
}

/// `12.50` is 1250 with two digits after the point.
fn decimal(text: &str) -> Option<Value> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let unscaled = format!("{whole}{fraction}").parse().ok()?;
    Some(Value::Decimal { scale: u8::try_from(fraction.len()).ok()?, unscaled })
}

fn list(items: &[Json]) -> Result<Value, String> {
    items.iter().map(value).collect::<Result<_, _>>().map(Value::List)
}

fn table(fields: &Map<String, Json>) -> Result<Value, String> {
    let field = |(name, json): (&String, &Json)| Ok((ByteString::from(name.as_str()), value(json)?));
    fields.iter().map(field).collect::<Result<_, String>>().map(Value::Table)
}

#[cfg(test)]
mod tests {
    use gantry_sdk::config::deserialize;
    use serde_json::json;

    use super::*;

    fn argument(json: Json) -> Result<Value, String> {
        let arguments: Arguments = deserialize(&json!({ "x": json })).map_err(|problem| problem.message)?;
        Ok(arguments.get("x").expect("it is the only one").clone())
    }

    #[test]
    fn plain_yaml_has_the_obvious_type() {
        assert_eq!(argument(json!(true)), Ok(Value::Bool(true)));
        assert_eq!(argument(json!(5)), Ok(Value::I64(5)));
        assert_eq!(argument(json!(-5)), Ok(Value::I64(-5)));
        assert_eq!(argument(json!(0.5)), Ok(Value::F64(0.5)));
        assert_eq!(argument(json!("quorum")), Ok(Value::text("quorum")));
        assert_eq!(argument(json!(null)), Ok(Value::Null));
        assert_eq!(argument(json!([1, "a"])), Ok(Value::List(vec![Value::I64(1), Value::text("a")])));
        assert_eq!(argument(json!({ "a": 1 })), Ok(Value::Table(vec![("a".into(), Value::I64(1))])));
    }

    #[test]
    fn every_type_can_be_asked_for() {
        let cases = [
            ("boolean", json!(false), Value::Bool(false)),
            ("byte", json!(-128), Value::I8(-128)),
            ("unsigned_byte", json!(255), Value::U8(255)),
            ("short", json!(5), Value::I16(5)),
            ("unsigned_short", json!(65535), Value::U16(65535)),
            ("int", json!(-1), Value::I32(-1)),
            ("unsigned_int", json!(4_294_967_295u32), Value::U32(u32::MAX)),
            ("long", json!(i64::MIN), Value::I64(i64::MIN)),
            ("float", json!(0.5), Value::F32(0.5)),
            ("double", json!(1), Value::F64(1.0)),
            ("decimal", json!("12.50"), Value::Decimal { scale: 2, unscaled: 1250 }),
            ("timestamp", json!(1_700_000_000), Value::Timestamp(Timestamp::from_seconds(1_700_000_000))),
            ("string", json!("5"), Value::text("5")),
            ("bytes", json!("ab"), Value::Bytes(Bytes::from_static(b"ab"))),
            ("list", json!([]), Value::List(vec![])),
            (
                "table",
                json!({ "type": { "type": "byte", "value": 1 } }),
                Value::Table(vec![("type".into(), Value::I8(1))]),
            ),
        ];
        assert_eq!(cases.len(), TYPES.len());
        for (kind, json, expected) in cases {
            assert_eq!(argument(json!({ "type": kind, "value": json })), Ok(expected), "{kind}");
        }
    }

    #[test]
    fn what_does_not_fit_says_so_with_its_name() {
        let error = argument(json!({ "type": "byte", "value": 128 })).expect_err("too large");
        assert_eq!(error, "x: the value is not one that fits the type byte");
        let error = argument(json!({ "type": "short-int", "value": 1 })).expect_err("no such type");
        assert!(error.starts_with("x: there is no type short-int; there are boolean, byte"), "{error}");
        assert!(argument(json!(u64::MAX)).expect_err("too large").contains("above the largest"));
        assert!(argument(json!({ "type": "decimal", "value": "-1" })).is_err(), "AMQP decimals have no sign here");
    }

    #[test]
    fn a_map_with_more_than_type_and_value_is_a_table() {
        let value = argument(json!({ "type": "a", "value": 1, "more": 2 })).expect("it is a table");
        assert!(matches!(value, Value::Table(fields) if fields.len() == 3));
    }

    #[test]
    fn they_become_a_table_of_amqp() {
        let arguments: Arguments =
            deserialize(&json!({ "x-queue-type": "quorum", "x-delivery-limit": 5 })).expect("they parse");
        let table = arguments.to_table().expect("they fit");
        assert!(table.contains_key("x-queue-type") && table.contains_key("x-delivery-limit"));
        let long: Arguments = deserialize(&json!({ "n".repeat(256): 1 })).expect("it parses");
        assert!(long.to_table().expect_err("too long").contains("255"));
    }
}
