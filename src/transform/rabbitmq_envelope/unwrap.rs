//! An envelope to a record. It reads foreign bytes: whatever they are, they are an envelope or a reason why not.

use std::str::FromStr;

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use bytestring::ByteString;
use gantry_sdk::{
    Headers, Properties, Record, Timestamp, Value,
    json::{self, type_name},
};
use serde_json::{Map, Value as Json};

/// Java writes the padding; others may not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How much of a header's name a reason shows.
const SHOWN: usize = 64;

/// Makes the record what the envelope says. Headers that the record has stay, behind those of the envelope. After an error
/// it is as it was.
pub(super) fn unwrap(record: &mut Record) -> Result<(), String> {
    let Some(body) = &record.value else { return Ok(()) };
    let Some(mut message) = payload(json::parse(body)?)? else {
        record.value = None;
        return Ok(());
    };
    let mut envelope = message.object("envelope")?;
    let (exchange, routing_key) = (envelope.text("exchange")?, envelope.text("routingKey")?);
    let (properties, mut headers) = match message.nullable("basicProperties")? {
        Json::Null => Default::default(),
        json => basic_properties(Fields::of("basicProperties", json)?)?,
    };
    let body = match message.nullable("body")? {
        Json::String(text) => base64("body", &text)?,
        other => return Err(format!("body is {}, not base64", type_name(&other))),
    };
    headers.extend(record.headers.iter().cloned());
    record.value = Some(body);
    record.headers = Headers::from(headers);
    record.set_properties(properties);
    let origin = &mut record.origin;
    for (place, text) in [(&mut origin.exchange, exchange), (&mut origin.routing_key, routing_key)] {
        if let Some(text) = text {
            *place = text;
        }
    }
    Ok(())
}

/// The struct, without its schema if it has one; `None` for a null with a schema.
fn payload(json: Json) -> Result<Option<Fields>, String> {
    let mut fields = Fields::of("", json)?;
    let has_schema = fields.map.len() == 2 && fields.map.contains_key("schema") && fields.map.contains_key("payload");
    if !has_schema {
        return Ok(Some(fields));
    }
    match fields.nullable("payload")? {
        Json::Null => Ok(None),
        json => Fields::of("payload", json).map(|fields| Some(Fields { path: String::new(), ..fields })),
    }
}

fn basic_properties(mut fields: Fields) -> Result<(Properties, Vec<(ByteString, Value)>), String> {
    let properties = Properties {
        message_id: fields.text("messageId")?,
        correlation_id: fields.text("correlationId")?,
        reply_to: fields.text("replyTo")?,
        content_type: fields.text("contentType")?,
        content_encoding: fields.text("contentEncoding")?,
        message_type: fields.text("type")?,
        user_id: fields.text("userId")?,
        app_id: fields.text("appId")?,
        expiration: fields.text("expiration")?,
        priority: fields.integer("priority")?,
        delivery_mode: fields.integer("deliveryMode")?,
        timestamp: fields.integer("timestamp")?.map(Timestamp::from_millis),
        cluster_id: None,
    };
    let headers = match fields.optional("headers") {
        Json::Null => Vec::new(),
        json => {
            let headers = Fields::of(&fields.at("headers"), json)?;
            let header = |(name, json): (String, Json)| {
                let shown: String = name.chars().take(SHOWN).collect();
                let value = header(Fields::of(&format!("{}.{shown}", headers.path), json)?)?;
                Ok((name.into(), value))
            };
            headers.map.into_iter().map(header).collect::<Result<_, String>>()?
        }
    };
    Ok((properties, headers))
}

/// A header's value: the field that `type` names.
fn header(mut fields: Fields) -> Result<Value, String> {
    let Some(kind) = fields.text("type")? else { return Err(format!("{} is null", fields.at("type"))) };
    let kind = &*kind;
    Ok(match kind {
        "boolean" => fields.boolean(kind)?.map_or(Value::Null, Value::Bool),
        "int8" => fields.integer(kind)?.map_or(Value::Null, Value::I8),
        "int16" => fields.integer(kind)?.map_or(Value::Null, Value::I16),
        "int32" => fields.integer(kind)?.map_or(Value::Null, Value::I32),
        "int64" => fields.integer(kind)?.map_or(Value::Null, Value::I64),
        "float32" => fields.float(kind)?.map_or(Value::Null, Value::F32),
        "float64" => fields.float(kind)?.map_or(Value::Null, Value::F64),
        "string" => fields.text(kind)?.map_or(Value::Null, Value::text),
        "timestamp" => {
            fields.integer(kind)?.map_or(Value::Null, |millis| Value::Timestamp(Timestamp::from_millis(millis)))
        }
        "bytes" => match fields.text(kind)? {
            None => Value::Null,
            Some(text) => Value::Bytes(base64(&fields.at(kind), &text)?),
        },
        "array" => fields.texts(kind)?.map_or(Value::Null, Value::List),
        _ => return Err(format!("{} is none that the connector has", fields.at("type"))),
    })
}

fn base64(path: &str, text: &str) -> Result<Bytes, String> {
    let bytes = BASE64.decode(text).map_err(|_| format!("{path} is not base64 ({} bytes)", text.len()))?;
    Ok(bytes.into())
}

/// The fields of an object, taken out one after the other.
struct Fields {
    /// Where the object stands in the envelope, for reasons.
    path: String,
    map: Map<String, Json>,
}

impl Fields {
    fn of(path: &str, json: Json) -> Result<Self, String> {
        match json {
            Json::Object(map) => Ok(Self { path: path.to_owned(), map }),
            other => {
                let what = if path.is_empty() { "the body" } else { path };
                Err(format!("{what} is {}, not an object", type_name(&other)))
            }
        }
    }

    fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn wrong(&self, name: &str, found: &Json, expected: &str) -> String {
        format!("{} is {}, not {expected}", self.at(name), type_name(found))
    }

    fn too_large(&self, name: &str) -> String {
        format!("{} is a number that does not fit there", self.at(name))
    }

    /// A field that is as good as null when it is not there.
    fn optional(&mut self, name: &str) -> Json {
        self.map.get_mut(name).map(Json::take).unwrap_or_default()
    }

    /// A field that has to be there; it may be null.
    fn nullable(&mut self, name: &str) -> Result<Json, String> {
        match self.map.get_mut(name) {
            Some(json) => Ok(json.take()),
            None => Err(format!("the body is no envelope: it has no {}", self.at(name))),
        }
    }

    fn object(&mut self, name: &str) -> Result<Self, String> {
        let json = self.nullable(name)?;
        Self::of(&self.at(name), json)
    }

    fn text(&mut self, name: &str) -> Result<Option<ByteString>, String> {
        match self.optional(name) {
            Json::Null => Ok(None),
            Json::String(text) => Ok(Some(text.into())),
            other => Err(self.wrong(name, &other, "a string")),
        }
    }

    fn boolean(&mut self, name: &str) -> Result<Option<bool>, String> {
        match self.optional(name) {
            Json::Null => Ok(None),
            Json::Bool(value) => Ok(Some(value)),
            other => Err(self.wrong(name, &other, "a boolean")),
        }
    }

    /// A whole number that fits.
    fn integer<T: TryFrom<i64>>(&mut self, name: &str) -> Result<Option<T>, String> {
        match self.optional(name) {
            Json::Null => Ok(None),
            Json::Number(number) => {
                let value = number.as_i64().and_then(|whole| T::try_from(whole).ok());
                value.map(Some).ok_or_else(|| self.too_large(name))
            }
            other => Err(self.wrong(name, &other, "a number")),
        }
    }

    /// A number, or the Java name of one that JSON does not have.
    fn float<T: FromStr + Copy + Into<f64>>(&mut self, name: &str) -> Result<Option<T>, String> {
        let value = match self.optional(name) {
            Json::Null => return Ok(None),
            Json::Number(number) => number.to_string().parse().ok().filter(|value: &T| (*value).into().is_finite()),
            Json::String(text) if matches!(&*text, "NaN" | "Infinity" | "-Infinity") => text.parse().ok(),
            other => return Err(self.wrong(name, &other, "a number")),
        };
        value.map(Some).ok_or_else(|| self.too_large(name))
    }

    fn texts(&mut self, name: &str) -> Result<Option<Vec<Value>>, String> {
        let items = match self.optional(name) {
            Json::Null => return Ok(None),
            Json::Array(items) => items,
            other => return Err(self.wrong(name, &other, "a list")),
        };
        let text = |item| match item {
            Json::String(text) => Ok(Value::text(text)),
            other => Err(self.wrong(name, &other, "a list of strings alone")),
        };
        items.into_iter().map(text).collect::<Result<_, _>>().map(Some)
    }
}
