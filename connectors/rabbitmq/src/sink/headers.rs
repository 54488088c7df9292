//! Headers as an AMQP table.
//!
//! A table's names are unique. Of headers that share a name `typed` makes one list under it, and names it in
//! [`DUPLICATES`](crate::convert::DUPLICATES), so that the source can make them again; `text` joins them. What
//! [belongs to RabbitMQ](crate::reserved) has another name there, unless the options say otherwise.

use std::borrow::Cow;

use gantry_sdk::{Headers, Value};
use lapin::types::{AMQPValue, FieldArray, FieldTable, ShortString};

use super::{BrokerHeaders, HeaderEncoding};
use crate::{
    convert::{DUPLICATES, short_string, to_amqp},
    reserved,
};

/// The table. Without `broker_headers` every name stays as it is. `take` decides what an error means: a refusal, or one header less.
pub(super) fn table(
    headers: &Headers,
    encoding: HeaderEncoding,
    broker_headers: Option<BrokerHeaders>,
    mut take: impl FnMut(&str, Result<(ShortString, AMQPValue), String>) -> Result<Option<(ShortString, AMQPValue)>, String>,
) -> Result<FieldTable, String> {
    let mut table = FieldTable::default();
    let mut repeated: Vec<ShortString> = Vec::new();
    for (name, value) in headers {
        let written = match broker_headers {
            None => Cow::Borrowed(&**name),
            Some(BrokerHeaders::Keep) => reserved::kept(name),
            // Its own wins: RabbitMQ reads one of each.
            Some(BrokerHeaders::Restore) => {
                reserved::restored(name).filter(|own| headers.get(own).is_none()).unwrap_or(name).into()
            }
        };
        let name = written.as_ref();
        let made = short_string(name).map_err(|reason| format!("its name {reason}"));
        let made = made.and_then(|name| Ok((name, convert(value, encoding)?)));
        let Some((name, value)) = take(name, made)? else { continue };
        let Some(first) = table.inner().get(name.as_str()) else {
            table.insert(name, value);
            continue;
        };
        let listed = repeated.contains(&name);
        let value = match encoding {
            HeaderEncoding::Typed => AMQPValue::FieldArray(appended(first, listed, value)),
            _ => AMQPValue::LongString(joined(first, &value).into()),
        };
        if !listed {
            repeated.push(name.clone());
        }
        table.insert(name, value);
    }
    if encoding == HeaderEncoding::Typed && !repeated.is_empty() {
        repeated.sort_unstable();
        let names: Vec<_> = repeated.iter().map(|name| AMQPValue::LongString(name.as_str().into())).collect();
        table.insert(DUPLICATES.into(), AMQPValue::FieldArray(names.into()));
    }
    Ok(table)
}

fn convert(value: &Value, encoding: HeaderEncoding) -> Result<AMQPValue, String> {
    match encoding {
        HeaderEncoding::Typed => to_amqp(value),
        _ => Ok(value.to_text().map_or(AMQPValue::Void, |text| AMQPValue::LongString(text.as_ref().into()))),
    }
}

/// Refuses what RabbitMQ would close the channel over.
pub(super) fn routes(value: &AMQPValue) -> Result<(), String> {
    match value {
        AMQPValue::FieldArray(_) => Ok(()),
        _ => Err("RabbitMQ takes only a list of routing keys under this name; rename or drop it".to_owned()),
    }
}

fn appended(first: &AMQPValue, listed: bool, value: AMQPValue) -> FieldArray {
    let mut list = match first {
        AMQPValue::FieldArray(list) if listed => list.clone(),
        other => vec![other.clone()].into(),
    };
    list.push(value);
    list
}

fn joined(first: &AMQPValue, second: &AMQPValue) -> Vec<u8> {
    let bytes = |value: &AMQPValue| match value {
        AMQPValue::LongString(text) => text.as_bytes().to_vec(),
        _ => Vec::new(),
    };
    [bytes(first), bytes(second)].join(&b", "[..])
}

#[cfg(test)]
mod tests {
    use bytestring::ByteString;
    use gantry_sdk::testkit::{any_headers, any_value};
    use lapin::{BasicProperties, message::Delivery};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        convert::Converter,
        header_size::{shrink, size},
    };

    fn typed(headers: &Headers) -> FieldTable {
        let strict = |_: &str, made: Result<_, String>| made.map(Some);
        table(headers, HeaderEncoding::Typed, Some(BrokerHeaders::Keep), strict).expect("AMQP can say it")
    }

    /// What the source makes of a table.
    fn read(table: &FieldTable) -> Headers {
        let mut delivery = Delivery::mock(1, "".into(), "q".into(), false, b"x".to_vec());
        delivery.properties = BasicProperties::default().with_headers(table.clone());
        Converter::new("q").record(delivery).headers
    }

    proptest! {
        #[test]
        fn a_table_survives_the_way_to_a_record_and_back(headers in any_headers()) {
            let sent = typed(&headers);
            // By text, because a NaN is not equal to itself.
            prop_assert_eq!(format!("{:?}", typed(&read(&sent))), format!("{sent:?}"));
        }

        #[test]
        fn headers_of_one_name_come_back_in_their_order(values in prop::collection::vec((0_u8..3, any_value()), 0..8)) {
            let named = |(name, value): (u8, Value)| (ByteString::from(format!("h{name}")), value);
            let headers: Headers = values.into_iter().map(named).collect();
            let (sent, back) = (typed(&headers), read(&typed(&headers)));
            prop_assert_eq!(back.len(), headers.len());
            prop_assert_eq!(format!("{:?}", typed(&back)), format!("{sent:?}"));
        }
    }

    #[test]
    fn what_does_not_fit_goes_from_the_largest_on() {
        let mut headers = Headers::EMPTY;
        headers.push("small", Value::I8(1));
        headers.push("large", Value::Bytes(vec![0; 500].into()));
        headers.push("middle", Value::Bytes(vec![0; 50].into()));
        let mut table = typed(&headers);
        assert_eq!(shrink(&mut table, 100), 1);
        assert!(table.contains_key("small") && table.contains_key("middle") && size(&table) <= 100);
    }

    #[test]
    fn as_text_what_shares_a_name_is_joined() {
        let mut headers = Headers::EMPTY;
        headers.push("a", Value::text("x"));
        headers.push("a", Value::I8(-1));
        let strict = |_: &str, made: Result<_, String>| made.map(Some);
        let table = table(&headers, HeaderEncoding::Text, Some(BrokerHeaders::Keep), strict).expect("it is text");
        assert_eq!(table.inner().get("a"), Some(&AMQPValue::LongString("x, -1".into())));
        assert_eq!(table.inner().len(), 1);
    }
}
