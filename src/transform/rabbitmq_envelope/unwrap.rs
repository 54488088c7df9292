//! An envelope to a record. It reads foreign bytes: whatever they are, they are an envelope or a reason why not.

use std::{
    borrow::Cow,
    collections::{HashMap, hash_map::Entry},
    str::FromStr,
};

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use bytestring::ByteString;
use gantry_sdk::{
    Headers, Properties, Record, Timestamp, Value,
    json::{self, Raw},
};

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
    let Some(body) = record.value.clone() else { return Ok(()) };
    let Some(message) = payload(json::parse(&body)?.value)? else {
        record.value = None;
        return Ok(());
    };
    let envelope = message.object("envelope")?;
    let (exchange, routing_key) = (envelope.text("exchange")?, envelope.text("routingKey")?);
    let (properties, mut headers) = match message.nullable("basicProperties")? {
        json if json.is_null() => Default::default(),
        json => basic_properties(&Fields::of("basicProperties", json)?)?,
    };
    let body = match message.nullable("body")? {
        json if json.is_string() => base64("body", &message.text_of("body", json)?)?,
        other => return Err(format!("body is {}, not base64", other.type_name())),
    };
    headers.extend(record.headers.iter().cloned());
    record.value = Some(body);
    record.headers = Headers::from(headers);
    record.set_properties(properties);
    for (name, text) in [("exchange", exchange), ("routing_key", routing_key)] {
        if let Some(text) = text {
            record.origin.set(name, text);
        }
    }
    Ok(())
}

/// The struct, without its schema if it has one; `None` for a null with a schema.
fn payload(json: Raw<'_>) -> Result<Option<Fields<'_>>, String> {
    let fields = Fields::of("", json)?;
    let is_of_schema = |(name, _): &(Raw<'_>, Raw<'_>)| name.is("schema") || name.is("payload");
    let has_schema = fields.get("schema").is_some() && fields.get("payload").is_some();
    if !has_schema || !fields.members.iter().all(is_of_schema) {
        return Ok(Some(fields));
    }
    match fields.nullable("payload")? {
        json if json.is_null() => Ok(None),
        json => Fields::of("payload", json).map(|fields| Some(Fields { path: String::new(), ..fields })),
    }
}

fn basic_properties(fields: &Fields<'_>) -> Result<(Properties, Vec<(ByteString, Value)>), String> {
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
        json if json.is_null() => Vec::new(),
        json => headers(&Fields::of(&fields.at("headers"), json)?)?,
    };
    Ok((properties, headers))
}

/// The headers in order; of those with one name the last counts, as everywhere.
fn headers(fields: &Fields<'_>) -> Result<Vec<(ByteString, Value)>, String> {
    let mut places: HashMap<Cow<'_, str>, usize> = HashMap::new();
    let mut headers: Vec<(ByteString, Raw<'_>)> = Vec::with_capacity(fields.members.len());
    for (name, json) in &fields.members {
        let Some(Ok(name)) = name.text() else {
            return Err(format!("{} has a header whose name is no text", fields.path));
        };
        match places.entry(name) {
            Entry::Occupied(place) => headers[*place.get()].1 = *json,
            Entry::Vacant(place) => {
                headers.push((place.key().as_ref().into(), *json));
                place.insert(headers.len() - 1);
            }
        }
    }
    let value = |(name, json): (ByteString, Raw<'_>)| {
        let shown: String = name.chars().take(SHOWN).collect();
        let value = header(&Fields::of(&format!("{}.{shown}", fields.path), json)?)?;
        Ok((name, value))
    };
    headers.into_iter().map(value).collect()
}

/// A header's value: the field that `type` names.
fn header(fields: &Fields<'_>) -> Result<Value, String> {
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

/// The fields of an object.
struct Fields<'a> {
    /// Where the object stands in the envelope, for reasons.
    path: String,
    /// Names and values.
    members: Vec<(Raw<'a>, Raw<'a>)>,
}

impl<'a> Fields<'a> {
    fn of(path: &str, json: Raw<'a>) -> Result<Self, String> {
        if json.is_object() {
            let members = json.members().map(|member| (member.name, member.value)).collect();
            return Ok(Self { path: path.to_owned(), members });
        }
        let what = if path.is_empty() { "the body" } else { path };
        Err(format!("{what} is {}, not an object", json.type_name()))
    }

    /// The last field of that name.
    fn get(&self, name: &str) -> Option<Raw<'a>> {
        self.members.iter().rev().find(|(own, _)| own.is(name)).map(|(_, value)| *value)
    }

    fn at(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn wrong(&self, name: &str, found: Raw<'_>, expected: &str) -> String {
        format!("{} is {}, not {expected}", self.at(name), found.type_name())
    }

    fn too_large(&self, name: &str) -> String {
        format!("{} is a number that does not fit there", self.at(name))
    }

    /// A field that is as good as null when it is not there.
    fn optional(&self, name: &str) -> Raw<'a> {
        self.get(name).unwrap_or(Raw::NULL)
    }

    /// A field that has to be there; it may be null.
    fn nullable(&self, name: &str) -> Result<Raw<'a>, String> {
        self.get(name).ok_or_else(|| format!("the body is no envelope: it has no {}", self.at(name)))
    }

    fn object(&self, name: &str) -> Result<Self, String> {
        Self::of(&self.at(name), self.nullable(name)?)
    }

    fn text(&self, name: &str) -> Result<Option<ByteString>, String> {
        match self.optional(name) {
            json if json.is_null() => Ok(None),
            json => self.text_of(name, json).map(|text| Some(text.into_owned().into())),
        }
    }

    /// The text of a field.
    fn text_of(&self, name: &str, json: Raw<'a>) -> Result<Cow<'a, str>, String> {
        let text = json.text().ok_or_else(|| self.wrong(name, json, "a string"))?;
        text.map_err(|reason| format!("{} is no text: {reason}", self.at(name)))
    }

    fn boolean(&self, name: &str) -> Result<Option<bool>, String> {
        match self.optional(name) {
            json if json.is_null() => Ok(None),
            json => json.as_bool().map(Some).ok_or_else(|| self.wrong(name, json, "a boolean")),
        }
    }

    /// A whole number that fits.
    fn integer<T: TryFrom<i64>>(&self, name: &str) -> Result<Option<T>, String> {
        let json = self.optional(name);
        if json.is_null() {
            return Ok(None);
        }
        let digits = json.as_number().ok_or_else(|| self.wrong(name, json, "a number"))?;
        let value = digits.parse::<i64>().ok().and_then(|whole| T::try_from(whole).ok());
        value.map(Some).ok_or_else(|| self.too_large(name))
    }

    /// A number, or the Java name of one that JSON does not have.
    fn float<T: FromStr + Copy + Into<f64>>(&self, name: &str) -> Result<Option<T>, String> {
        let json = self.optional(name);
        if json.is_null() {
            return Ok(None);
        }
        let value = if let Some(digits) = json.as_number() {
            digits.parse().ok().filter(|value: &T| (*value).into().is_finite())
        } else if let Some(word) = ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| json.is(word)) {
            word.parse().ok()
        } else {
            return Err(self.wrong(name, json, "a number"));
        };
        value.map(Some).ok_or_else(|| self.too_large(name))
    }

    fn texts(&self, name: &str) -> Result<Option<Vec<Value>>, String> {
        let json = self.optional(name);
        if json.is_null() {
            return Ok(None);
        }
        if !json.is_list() {
            return Err(self.wrong(name, json, "a list"));
        }
        let text = |item: Raw<'a>| match item.text() {
            Some(Ok(text)) => Ok(Value::text(text.into_owned())),
            Some(Err(reason)) => Err(format!("{} has an item that is no text: {reason}", self.at(name))),
            None => Err(self.wrong(name, item, "a list of strings alone")),
        };
        json.items().map(|item| text(item.value)).collect::<Result<_, _>>().map(Some)
    }
}
