use serde_json::json;

use super::*;

fn parse(options: Json) -> Result<ConnectionOptions, Problem> {
    gantry_sdk::config::deserialize(&options)
}

fn problems(options: Json) -> Vec<String> {
    let options = parse(options).unwrap();
    options.check(&[]).iter().map(ToString::to_string).collect()
}

fn configured(options: Json) -> ClientConfig {
    let mut config = ClientConfig::new();
    parse(options).unwrap().apply(&mut config);
    config
}

#[test]
fn brokers_come_as_text_or_list() {
    for servers in [json!("a:1, b:2"), json!(["a:1", "b:2"]), json!(["a:1,b:2"])] {
        let options = parse(json!({ "bootstrap_servers": servers })).unwrap();
        assert_eq!(options.address(), "a:1,b:2");
        assert_eq!(options.check(&[]), []);
    }
    let wrong = parse(json!({ "bootstrap_servers": 9092 })).unwrap_err();
    assert!(wrong.to_string().contains("host:port"), "{wrong}");
    assert!(problems(json!({ "bootstrap_servers": [] }))[0].contains("at least one broker"));
    assert!(problems(json!({ "bootstrap_servers": "a:1,," }))[0].contains("not of the form host:port"));
}

#[test]
fn tls_and_sasl_choose_the_protocol() {
    let sasl = json!({ "mechanism": "SCRAM-SHA-512", "username": "u", "password": "p" });
    let cases = [
        (json!({}), "plaintext"),
        (json!({ "tls": {} }), "ssl"),
        (json!({ "sasl": sasl }), "sasl_plaintext"),
        (json!({ "tls": {}, "sasl": sasl }), "sasl_ssl"),
    ];
    for (mut options, protocol) in cases {
        options["bootstrap_servers"] = json!("a:1");
        let config = configured(options);
        assert_eq!(config.get("security.protocol"), Some(protocol));
        assert_eq!(config.get("sasl.mechanism").is_some(), protocol.starts_with("sasl"));
    }
}

#[test]
fn an_empty_tls_section_does_not_mean_no_tls() {
    let problem = parse(json!({ "bootstrap_servers": "a:1", "tls": null })).unwrap_err();
    assert_eq!(problem.path, "tls".into());
}

#[test]
fn files_and_passwords_reach_librdkafka() {
    let config = configured(json!({
        "bootstrap_servers": "a:1",
        "tls": { "ca_file": "/ca", "certificate_file": "/c", "key_file": "/k", "key_password": "kp", "verify_hostname": false },
        "sasl": { "mechanism": "PLAIN", "username": "u", "password": "p" },
    }));
    let expected = [
        ("ssl.ca.location", "/ca"),
        ("ssl.certificate.location", "/c"),
        ("ssl.key.location", "/k"),
        ("ssl.key.password", "kp"),
        ("ssl.endpoint.identification.algorithm", "none"),
        ("sasl.username", "u"),
        ("sasl.password", "p"),
    ];
    for (name, value) in expected {
        assert_eq!(config.get(name), Some(value), "{name}");
    }
    config.create_native_config().map(drop).expect("librdkafka knows them all");
}

#[test]
fn a_login_needs_its_parts() {
    let with = |sasl: Json| problems(json!({ "bootstrap_servers": "a:1", "tls": {}, "sasl": sasl }));
    assert_eq!(with(json!({ "mechanism": "PLAIN" })).len(), 2);
    assert!(with(json!({ "mechanism": "OAUTHBEARER" }))[0].contains("sasl.token_file"));
    let oidc = json!({ "token_url": "https://id/token", "client_id": "gantry", "client_secret": "s" });
    assert!(with(json!({ "mechanism": "OAUTHBEARER", "oidc": oidc })).is_empty());
    assert_eq!(with(json!({ "mechanism": "OAUTHBEARER", "oidc": oidc, "token_file": "/t" })).len(), 1);
    assert!(
        with(json!({ "mechanism": "PLAIN", "username": "u", "password": "p", "oidc": oidc }))[0].contains("sasl.oidc")
    );
    assert!(with(json!({ "mechanism": "PLAIN", "username": "u", "password": "p" })).is_empty());
    let half = problems(json!({ "bootstrap_servers": "a:1", "tls": { "certificate_file": "/c" } }));
    assert!(half[0].contains("belong together"), "{half:?}");
}

#[test]
fn a_token_url_holds_no_secret_and_is_encrypted() {
    let with = |url: &str| {
        let oidc = json!({ "token_url": url, "client_id": "gantry", "client_secret": "s" });
        let sasl = json!({ "mechanism": "OAUTHBEARER", "oidc": oidc });
        problems(json!({ "bootstrap_servers": "a:1", "tls": {}, "sasl": sasl }))
    };
    for (url, expected) in [
        ("id.example/token", "sasl.oidc.token_url: is not of the form"),
        ("https://", "sasl.oidc.token_url: is not of the form"),
        ("https://u:hunter2@id.example/token", "sasl.oidc.token_url: holds a user name"),
        ("http://id.example/token", "sasl.oidc.token_url: http:// sends"),
    ] {
        let found = with(url);
        assert!(
            found.len() == 1 && found[0].starts_with(expected) && !found[0].contains("hunter2"),
            "{url}: {found:?}"
        );
    }
}

#[test]
fn a_client_certificate_comes_from_one_place() {
    let with = |tls: Json| problems(json!({ "bootstrap_servers": "a:1", "tls": tls }));
    assert!(with(json!({ "pkcs12_file": "/p", "pkcs12_password": "s" })).is_empty());
    let both = with(json!({ "pkcs12_file": "/p", "certificate_file": "/c", "key_file": "/k" }));
    assert!(both.len() == 1 && both[0].contains("not beside"), "{both:?}");
    assert_eq!(with(json!({ "pkcs12_password": "s" })).len(), 1);
    let config =
        configured(json!({ "bootstrap_servers": "a:1", "tls": { "pkcs12_file": "/p", "pkcs12_password": "s" } }));
    assert_eq!(config.get("ssl.keystore.location"), Some("/p"));
    assert_eq!(config.get("ssl.keystore.password"), Some("s"));
}

#[test]
fn properties_are_checked_by_librdkafka_itself() {
    let found = problems(json!({ "bootstrap_servers": "a:1", "properties": {
        "socket.timeout.ms": 5000,
        "socket.nagle.disable": false,
        "no.such.thing": 1,
        "socket.keepalive.enable": "maybe",
        "reconnect.backoff.ms": -7,
    }}));
    assert_eq!(
        found,
        [
            "properties.no.such.thing: librdkafka has no property \"no.such.thing\"",
            "properties.reconnect.backoff.ms: Configuration property \"reconnect.backoff.ms\" value -7 is outside allowed range 0..3600000",
            "properties.socket.keepalive.enable: Expected bool value for \"socket.keepalive.enable\": true or false",
        ]
    );
}

#[test]
fn what_has_an_option_or_would_be_shown_is_refused_without_the_value() {
    let found = problems(json!({ "bootstrap_servers": "a:1", "properties": {
        "sasl.password": "hunter2",
        "ssl.keystore.password": "hunter2",
        "broker.address.family": "hunter2",
    }}));
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|text| !text.contains("hunter2")), "{found:?}");
    assert!(found[1].contains("set sasl.password instead"), "{found:?}");
    assert!(found[2].contains("set tls.pkcs12_password instead"), "{found:?}");
}

#[test]
fn options_never_show_a_secret() {
    let options = parse(json!({
        "bootstrap_servers": "a:1",
        "sasl": { "mechanism": "PLAIN", "username": "u", "password": "hunter2" },
        "properties": { "client.rack": "hunter2" },
    }));
    let shown = format!("{options:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
}
