//! JSON bodies: parsing them whole, or picking one field without building the rest.

use std::fmt;

use bytes::Bytes;
use serde::{
    Deserialize as _, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value as Json;

/// The whole body. The error says why it is not JSON and what it is instead.
pub fn parse(body: &[u8]) -> Result<Json, String> {
    serde_json::from_slice(body).map_err(|error| not_json(body, &error))
}

/// One field of the body as text: strings without quotes, the rest as JSON. `None` when it is not there or null.
pub fn pick(body: &[u8], path: &[String]) -> Result<Option<Bytes>, String> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let found = Pick(path).deserialize(&mut json).and_then(|found| json.end().map(|()| found));
    Ok(match found.map_err(|error| not_json(body, &error))? {
        None | Some(Json::Null) => None,
        Some(Json::String(text)) => Some(text.into()),
        Some(other) => Some(other.to_string().into()),
    })
}

/// What a JSON value is, for reasons: never the value itself.
pub const fn type_name(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

fn not_json(body: &[u8], error: &serde_json::Error) -> String {
    format!("the body is not JSON: {error}; found {}", describe(body))
}

/// What bytes look like, for reasons: never the bytes themselves.
fn describe(body: &[u8]) -> String {
    let kind = match body {
        [] => return "an empty body".to_owned(),
        [0x1f, 0x8b, ..] => "bytes of gzip",
        [0xef, 0xbb, 0xbf, ..] => "bytes that begin with a byte order mark",
        _ if str::from_utf8(body).is_ok() => "bytes of text",
        _ => "bytes that are not text",
    };
    format!("{} {kind}", body.len())
}

/// Walks down a path, skipping everything beside it.
struct Pick<'p>(&'p [String]);

impl<'de> DeserializeSeed<'de> for Pick<'_> {
    type Value = Option<Json>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        if self.0.is_empty() { Json::deserialize(json).map(Some) } else { json.deserialize_any(self) }
    }
}

impl<'de> Visitor<'de> for Pick<'_> {
    type Value = Option<Json>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut fields: M) -> Result<Self::Value, M::Error> {
        let mut found = None;
        while let Some(ours) = fields.next_key_seed(Is(&self.0[0]))? {
            if ours {
                // The last of several wins, as when the whole body is parsed.
                found = fields.next_value_seed(Pick(&self.0[1..]))?;
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Self::Value, S::Error> {
        let wanted = self.0[0].parse::<usize>().ok();
        let mut found = None;
        for at in 0.. {
            let item = if Some(at) == wanted {
                items.next_element_seed(Pick(&self.0[1..]))?.map(|inner| found = inner)
            } else {
                items.next_element::<IgnoredAny>()?.map(drop)
            };
            if item.is_none() {
                break;
            }
        }
        Ok(found)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Whether a key is this one, without a copy of it.
struct Is<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<bool, D::Error> {
        key.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn picked(body: &str, path: &str) -> Result<Option<String>, String> {
        let path: Vec<_> = path.split('.').map(str::to_owned).collect();
        let text = pick(body.as_bytes(), &path)?;
        Ok(text.map(|text| String::from_utf8(text.to_vec()).expect("utf-8")))
    }

    #[test]
    fn picks_what_is_there() {
        let body = r#"{"a":{"b":[10,{"c":"x\n"},1.50]},"n":null,"a.b":1,"d":1,"d":{"e":2},"k\u0065y":true,
            "big":12345678901234567890123}"#;
        let cases = [
            ("a.b.0", Some("10")),
            ("a.b.1.c", Some("x\n")),
            ("a.b.2", Some("1.50")),
            ("a.b", Some(r#"[10,{"c":"x\n"},1.50]"#)),
            ("a.b.3", None),
            ("a.b.x", None),
            ("a.b.0.c", None),
            ("a.c", None),
            ("n", None),
            ("n.x", None),
            ("d.e", Some("2")),
            ("key", Some("true")),
            ("key.x", None),
            ("big", Some("12345678901234567890123")),
        ];
        for (path, expected) in cases {
            assert_eq!(picked(body, path), Ok(expected.map(str::to_owned)), "{path}");
        }
    }

    #[test]
    fn says_what_it_found_instead_and_quotes_nothing() {
        let cases: [(&[u8], &str); 7] = [
            (b"", "found an empty body"),
            (b"secret", "found 6 bytes of text"),
            (b"{\"a\":1", "found 6 bytes of text"),
            (b"{\"a\":1} secret", "trailing characters"),
            (b"\x1f\x8b\x08", "found 3 bytes of gzip"),
            (b"\xef\xbb\xbf{}", "found 5 bytes that begin with a byte order mark"),
            (b"\xff\xfe", "found 2 bytes that are not text"),
        ];
        for (body, words) in cases {
            for reason in [parse(body).expect_err(words), pick(body, &["b".to_owned()]).expect_err(words)] {
                assert!(reason.starts_with("the body is not JSON: ") && reason.contains(words), "{reason}");
                assert!(!reason.contains("secret"), "{reason}");
            }
        }
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            ".{0,4}".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::btree_map("[a-c]", inner, 0..4)
                    .prop_map(|fields| Json::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn finds_what_a_whole_parse_finds(json in any_json(), path in prop::collection::vec("[a-c0-3]", 1..4)) {
            let body = json.to_string();
            let pointer = format!("/{}", path.join("/"));
            let whole: Json = serde_json::from_str(&body).expect("it was written");
            let expected = match whole.pointer(&pointer) {
                None | Some(Json::Null) => None,
                Some(Json::String(text)) => Some(text.clone()),
                Some(other) => Some(other.to_string()),
            };
            prop_assert_eq!(picked(&body, &path.join(".")), Ok(expected));
        }

        #[test]
        fn any_bytes_are_json_or_not(body in prop::collection::vec(any::<u8>(), 0..32)) {
            let _ = parse(&body);
            let _ = pick(&body, &["a".to_owned()]);
        }
    }
}
