use serde_json::json;

use super::*;

fn hidden(schema: &Json, value: &Json) -> Json {
    let mut shown = value.clone();
    each_plain_secret(&Slot::root(schema), &mut shown, |_, text, hidden| *text = hidden);
    shown
}

#[test]
fn a_secret_in_plain_text_is_hidden_and_a_reference_is_shown() {
    let schema = json!({ "properties": { "x": { "type": "string", "writeOnly": true } } });
    let cases = [
        ("hunter2", "[hidden]"),
        ("${env:PASSWORD}", "${env:PASSWORD}"),
        ("${dir:/run/secrets:a} ${env:B}", "${dir:/run/secrets:a} ${env:B}"),
        ("prefix${env:PASSWORD}", "[hidden]"),
        ("${env:broken", "[hidden]"),
        ("", ""),
        ("amqp://guest:guest@h:5672/%2f", "amqp://guest:[hidden]@h:5672/%2f"),
        ("amqp://guest:${env:P}@h/v", "amqp://guest:${env:P}@h/v"),
        ("amqp://guest:${file:/a/b@c}@h/v", "amqp://guest:${file:/a/b@c}@h/v"),
        ("amqp://guest:a${env:P}@${env:H}/v", "amqp://guest:[hidden]@${env:H}/v"),
        ("amqp://guest:a@b:c@h/v", "amqp://guest:[hidden]@h/v"),
        ("amqp://h:5672", "amqp://h:5672"),
        // No password, no secret.
        ("amqp://guest@h:5672", "amqp://guest@h:5672"),
        ("amqps://gantry@h1/v?heartbeat=7&channel_max=9", "amqps://gantry@h1/v?heartbeat=7&channel_max=9"),
        ("amqp://h?password=x&heartbeat=7", "amqp://h?password=[hidden]&heartbeat=7"),
        ("amqp://h?password=${env:P}", "amqp://h?password=${env:P}"),
        ("https://token@h", "https://[hidden]@h"),
        ("https://h/path?password=x&a=b", "https://h/path?[hidden]"),
        ("amqp://guest:with/slash@h", "[hidden]"),
        ("amqp://a:b@h1,amqp://c:d@h2", "amqp://a:[hidden]@h1,amqp://c:[hidden]@h2"),
    ];
    for (written, expected) in cases {
        assert_eq!(hidden(&schema, &json!({ "x": written })), json!({ "x": expected }), "{written}");
    }
}

#[test]
fn in_an_open_map_the_key_tells() {
    let schema = json!({ "properties": {
        "properties": { "type": "object", "additionalProperties": { "type": ["string", "number"] } },
        "headers": { "type": "object", "additionalProperties": { "type": "string", "format": "template" } },
        "token_field": { "type": "string" },
    } });
    let written = json!({
        "properties": {
            "sasl.password": "a", "ssl.key.pem": "b", "sasl.jaas.config": "c", "client.secret": 5, "linger.ms": "5",
            "url": "http://u:p@h", "sasl.oauthbearer.client.secret": "${env:X}",
            "Authorization": "Bearer abc", "auth": "u:p", "x-auth": "abc", "Cookie": "a=b", "set_cookie": "a=b",
            "author": "me", "group.authors": "x",
        },
        "headers": { "auth-token": "{header.token}" },
        "token_field": "header.token",
    });
    let shown = json!({
        "properties": {
            "sasl.password": "[hidden]", "ssl.key.pem": "[hidden]", "sasl.jaas.config": "[hidden]",
            "client.secret": "[hidden]", "linger.ms": "5", "url": "http://u:[hidden]@h",
            "sasl.oauthbearer.client.secret": "${env:X}",
            "Authorization": "[hidden]", "auth": "[hidden]", "x-auth": "[hidden]", "Cookie": "[hidden]",
            "set_cookie": "[hidden]", "author": "me", "group.authors": "x",
        },
        "headers": { "auth-token": "{header.token}" },
        "token_field": "header.token",
    });
    assert_eq!(hidden(&schema, &written), shown);
}

#[test]
fn what_a_secret_holds_is_secret() {
    let schema = json!({ "properties": { "keys": { "type": "array", "writeOnly": true } } });
    let shown = hidden(&schema, &json!({ "keys": ["a", { "b": "c", "d": "${env:X}" }] }));
    assert_eq!(shown, json!({ "keys": ["[hidden]", { "b": "[hidden]", "d": "${env:X}" }] }));
}
