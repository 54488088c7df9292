//! The schemas of the connector's structs, as `JsonConverter` writes them. The texts for people (`doc`) are left out.

use serde_json::{Value as Json, json};

/// What the names of the structs begin with.
const PACKAGE: &str = "com.github.jcustenborder.kafka.connect.rabbitmq";
/// Connect's logical type of points in time: milliseconds since 1970.
const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";

/// The schema of the value.
pub(super) fn message() -> Json {
    record(
        "Message",
        false,
        [
            ("consumerTag", required("string")),
            ("envelope", envelope()),
            ("basicProperties", basic_properties()),
            ("body", required("bytes")),
        ],
    )
}

/// The schema of the key.
pub(super) fn message_key() -> Json {
    record("MessageKey", false, [("messageId", optional("string"))])
}

fn envelope() -> Json {
    record(
        "Envelope",
        false,
        [
            ("deliveryTag", required("int64")),
            ("isRedeliver", required("boolean")),
            ("exchange", optional("string")),
            ("routingKey", optional("string")),
        ],
    )
}

fn basic_properties() -> Json {
    let headers = json!({
        "type": "map", "keys": required("string"), "values": header_value(), "optional": false,
    });
    record(
        "BasicProperties",
        true,
        [
            ("contentType", optional("string")),
            ("contentEncoding", optional("string")),
            ("headers", headers),
            ("deliveryMode", optional("int32")),
            ("priority", optional("int32")),
            ("correlationId", optional("string")),
            ("replyTo", optional("string")),
            ("expiration", optional("string")),
            ("messageId", optional("string")),
            ("timestamp", timestamp()),
            ("type", optional("string")),
            ("userId", optional("string")),
            ("appId", optional("string")),
        ],
    )
}

fn header_value() -> Json {
    record(
        "BasicProperties.HeaderValue",
        false,
        [
            ("type", required("string")),
            ("timestamp", timestamp()),
            ("array", json!({ "type": "array", "items": required("string"), "optional": true })),
            ("int8", optional("int8")),
            ("int16", optional("int16")),
            ("int32", optional("int32")),
            ("int64", optional("int64")),
            ("float32", optional("float")),
            ("float64", optional("double")),
            ("boolean", optional("boolean")),
            ("string", optional("string")),
            ("bytes", optional("bytes")),
        ],
    )
}

fn record<const COUNT: usize>(name: &str, is_optional: bool, fields: [(&str, Json); COUNT]) -> Json {
    let fields = fields.map(|(name, mut schema)| {
        schema["field"] = name.into();
        schema
    });
    let fields = Json::from(fields.to_vec());
    json!({ "type": "struct", "fields": fields, "optional": is_optional, "name": format!("{PACKAGE}.{name}") })
}

fn required(kind: &str) -> Json {
    json!({ "type": kind, "optional": false })
}

fn optional(kind: &str) -> Json {
    json!({ "type": kind, "optional": true })
}

fn timestamp() -> Json {
    json!({ "type": "int64", "optional": true, "name": TIMESTAMP, "version": 1 })
}
