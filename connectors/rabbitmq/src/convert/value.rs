//! Field values: AMQP 0-9-1's typed values to ours, and back.
//!
//! From AMQP nothing is lost. What the client library's table has lost before we see it: the order of a table's fields
//! (they come sorted by name) and all but the last of those that share a name.
//!
//! To AMQP, what it cannot hold:
//!
//! | value | becomes |
//! |---|---|
//! | unsigned 64-bit above `i64::MAX` | an error: RabbitMQ reads both of AMQP's 64-bit types as signed |
//! | a timestamp's fraction of a second | nothing: AMQP counts whole seconds |
//! | fields of a table that share a name | the first of them, the one that [`Headers::get`](gantry_sdk::Headers::get) finds |
//! | a field name of more than 255 bytes | an error |

use std::collections::BTreeMap;

use bytes::Bytes;
use bytestring::ByteString;
use gantry_sdk::{Timestamp, Value};
use lapin::types::{AMQPValue, DecimalValue, FieldArray, FieldTable};

use super::short_string;

/// Total over everything that AMQP 0-9-1 can say.
pub(crate) fn from_amqp(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(value) => Value::Bool(*value),
        AMQPValue::ShortShortInt(value) => Value::I8(*value),
        AMQPValue::ShortShortUInt(value) => Value::U8(*value),
        AMQPValue::ShortInt(value) => Value::I16(*value),
        AMQPValue::ShortUInt(value) => Value::U16(*value),
        AMQPValue::LongInt(value) => Value::I32(*value),
        AMQPValue::LongUInt(value) => Value::U32(*value),
        AMQPValue::LongLongInt(value) => Value::I64(*value),
        AMQPValue::Float(value) => Value::F32(*value),
        AMQPValue::Double(value) => Value::F64(*value),
        AMQPValue::DecimalValue(decimal) => Value::Decimal { scale: decimal.scale, unscaled: decimal.value },
        AMQPValue::ShortString(text) => Value::text(text.as_str()),
        AMQPValue::LongString(text) => Value::String(Bytes::copy_from_slice(text.as_bytes())),
        AMQPValue::ByteArray(bytes) => Value::Bytes(Bytes::copy_from_slice(bytes.as_slice())),
        AMQPValue::Timestamp(seconds) => Value::Timestamp(Timestamp::from_seconds(*seconds)),
        AMQPValue::FieldArray(items) => Value::List(items.as_slice().iter().map(from_amqp).collect()),
        AMQPValue::FieldTable(fields) => {
            Value::Table(fields.inner().iter().map(|(name, value)| (name.as_str().into(), from_amqp(value))).collect())
        }
        AMQPValue::Void => Value::Null,
    }
}

/// The error says what AMQP 0-9-1 cannot hold.
pub(crate) fn to_amqp(value: &Value) -> Result<AMQPValue, String> {
    Ok(match value {
        Value::Null => AMQPValue::Void,
        Value::Bool(value) => AMQPValue::Boolean(*value),
        Value::I8(value) => AMQPValue::ShortShortInt(*value),
        Value::U8(value) => AMQPValue::ShortShortUInt(*value),
        Value::I16(value) => AMQPValue::ShortInt(*value),
        Value::U16(value) => AMQPValue::ShortUInt(*value),
        Value::I32(value) => AMQPValue::LongInt(*value),
        Value::U32(value) => AMQPValue::LongUInt(*value),
        Value::I64(value) => AMQPValue::LongLongInt(*value),
        Value::U64(value) => AMQPValue::LongLongInt(
            i64::try_from(*value).map_err(|_| format!("{value} is above the largest integer of AMQP 0-9-1"))?,
        ),
        Value::F32(value) => AMQPValue::Float(*value),
        Value::F64(value) => AMQPValue::Double(*value),
        Value::Decimal { scale, unscaled } => AMQPValue::DecimalValue(DecimalValue { scale: *scale, value: *unscaled }),
        Value::Timestamp(timestamp) => AMQPValue::Timestamp(timestamp.seconds.cast_unsigned()),
        Value::String(text) => AMQPValue::LongString(text.as_ref().into()),
        Value::Bytes(bytes) => AMQPValue::ByteArray(bytes.as_ref().into()),
        Value::List(items) => {
            AMQPValue::FieldArray(FieldArray::from(items.iter().map(to_amqp).collect::<Result<Vec<_>, _>>()?))
        }
        Value::Table(fields) => AMQPValue::FieldTable(table_of(fields)?),
    })
}

fn table_of(fields: &[(ByteString, Value)]) -> Result<FieldTable, String> {
    let mut table = BTreeMap::new();
    for (name, value) in fields {
        let name = short_string(name).map_err(|reason| format!("a field's name {reason}"))?;
        let value = to_amqp(value)?;
        table.entry(name).or_insert(value);
    }
    Ok(table.into())
}

#[cfg(test)]
mod tests {
    use gantry_sdk::testkit::{any_value, same};
    use lapin::types::{ByteArray, LongString, ShortString};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_amqp_can_say_survives_the_way_there_and_back(value in any_value()) {
            let amqp = to_amqp(&value).expect("the strategy makes only what AMQP can say");
            let back = from_amqp(&amqp);
            prop_assert!(same(&value, &back), "{value:?} came back as {back:?}");
        }
    }

    #[test]
    fn a_string_is_bytes_and_bytes_are_not_a_string() {
        let latin1 = AMQPValue::LongString(LongString::from(vec![0xe9]));
        assert_eq!(from_amqp(&latin1), Value::String(Bytes::from_static(&[0xe9])));
        let bytes = AMQPValue::ByteArray(ByteArray::from(vec![0xe9]));
        assert_eq!(from_amqp(&bytes), Value::Bytes(Bytes::from_static(&[0xe9])));
        let short = AMQPValue::ShortString(ShortString::from("é"));
        assert_eq!(from_amqp(&short), Value::text("é"));
    }

    #[test]
    fn unsigned_64_bit_fits_up_to_the_signed_maximum() {
        assert_eq!(to_amqp(&Value::U64(i64::MAX as u64)), Ok(AMQPValue::LongLongInt(i64::MAX)));
        let error = to_amqp(&Value::List(vec![Value::U64(1 << 63)])).expect_err("too large");
        assert_eq!(error, "9223372036854775808 is above the largest integer of AMQP 0-9-1");
    }

    #[test]
    fn a_timestamp_loses_its_fraction_and_keeps_its_sign_bit() {
        let value = Value::Timestamp(Timestamp { seconds: 7, nanos: 999_999_999 });
        assert_eq!(to_amqp(&value), Ok(AMQPValue::Timestamp(7)));
        assert_eq!(to_amqp(&from_amqp(&AMQPValue::Timestamp(u64::MAX))), Ok(AMQPValue::Timestamp(u64::MAX)));
    }

    #[test]
    fn of_fields_with_one_name_the_first_stays() {
        let table = Value::Table(vec![("a".into(), Value::I8(1)), ("a".into(), Value::I8(2))]);
        let back = from_amqp(&to_amqp(&table).expect("it can be said"));
        assert_eq!(back, Value::Table(vec![("a".into(), Value::I8(1))]));
    }

    #[test]
    fn a_name_too_long_for_amqp_is_an_error_not_a_panic() {
        let table = Value::Table(vec![("n".repeat(256).into(), Value::Null)]);
        assert_eq!(to_amqp(&table), Err("a field's name is 256 bytes long; AMQP 0-9-1 allows 255".to_owned()));
    }
}
