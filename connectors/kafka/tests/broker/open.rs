//! Opening says what is wrong and what to do: topics, brokers, logins.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use gantry_sdk::{Error, ErrorKind};
use serde_json::{Value as Json, json};

use crate::support::{self, Topic, bootstrap, context, create, options, put, record, unique};

async fn failure(options: &Json) -> Error {
    let opened = tokio::time::timeout(support::DEADLINE, create(options, context())).await.expect("opening ends");
    opened.err().expect("it cannot open")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_says_how_to_create_it() {
    let name = unique("missing");
    let error = failure(&options(&name, json!({}))).await;
    assert_eq!(error.kind(), ErrorKind::Missing);
    let text = error.chain();
    assert!(text.contains(&name) && text.contains("kafka-topics.sh --create") && text.contains("declare"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn declare_creates_the_topic_with_its_settings() {
    let topic = Topic::later("declared", 3);
    let declare =
        json!({ "declare": { "partitions": 3, "replication": 1, "config": { "max.message.bytes": "2000" } } });
    let with = options(&topic.name, declare);
    let mut sink = support::open(&with, context()).await;
    let summary = put(&mut *sink, vec![record("k", "small"), record("k", "x".repeat(3000))]).await;
    sink.close().await.unwrap();
    assert_eq!((summary.delivered, summary.failed.len()), (1, 1));
    assert!(summary.failed[0].reason.contains("max.message.bytes"), "{}", summary.failed[0].reason);
    assert_eq!(topic.read(1)[0].text(), "small");
    // It is there now: declaring it again changes nothing.
    support::open(&with, context()).await.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn declare_creates_topics_of_a_template_when_they_are_first_used() {
    let base = unique("family");
    let topics: Vec<_> = (0..2).map(|n| Topic { name: format!("{base}-{n}"), partitions: 2 }).collect();
    let with = options(&format!("{base}-{{key}}"), json!({ "declare": { "partitions": 2 } }));
    let summary = support::write(&with, vec![record("0", "a"), record("1", "b"), record("0", "c")]).await;
    assert_eq!(summary.delivered, 3);
    let texts = |topic: &Topic, count| topic.read(count).iter().map(support::Received::text).collect::<Vec<_>>();
    assert_eq!(texts(&topics[0], 2), ["a", "c"]);
    assert_eq!(texts(&topics[1], 1), ["b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declaration_that_kafka_refuses_says_why() {
    let name = unique("refused");
    let error = failure(&options(&name, json!({ "declare": { "config": { "cleanup.policy": "nonsense" } } }))).await;
    assert_eq!(error.kind(), ErrorKind::Missing);
    let text = error.chain();
    assert!(text.contains("creating topic") && text.contains("onfig"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unreachable_brokers_are_named_with_the_reason() {
    // Bound and not listening: nobody else gets the port meanwhile, and connections are refused.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let connection =
        json!({ "connection": { "bootstrap_servers": [format!("127.0.0.1:{port}")], "connect_timeout": "1s" } });
    let error = failure(&options("orders", connection)).await;
    assert_eq!(error.kind(), ErrorKind::Disconnected);
    let text = error.chain();
    assert!(text.contains(&format!("connecting to Kafka at 127.0.0.1:{port}")), "{text}");
    assert!(text.contains("Connection refused"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_names_the_user_and_not_the_password() {
    let server = impostor();
    let connection = json!({ "connection": {
        "bootstrap_servers": server,
        "connect_timeout": "600s",
        "sasl": { "mechanism": "PLAIN", "username": "orders", "password": "hunter2" },
    }});
    let begun = Instant::now();
    let error = failure(&options("orders", connection)).await;
    assert_eq!(error.kind(), ErrorKind::Refused);
    let text = error.chain();
    assert!(text.contains("as \"orders\" by PLAIN") && text.contains("Invalid username or password"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    assert!(begun.elapsed() < Duration::from_secs(600), "a refusal does not wait for the deadline");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_to_a_broker_without_it_says_so() {
    let connection = json!({ "connection": { "bootstrap_servers": bootstrap(), "tls": {}, "connect_timeout": "2s" } });
    let error = failure(&options("orders", connection)).await;
    let text = error.chain();
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{text}");
    // librdkafka adds "connecting to a PLAINTEXT broker listener?" when it sees the end in the handshake itself.
    assert!(text.contains("SSL connection closed by peer"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_certificate_file_is_a_configuration_error() {
    let connection =
        json!({ "connection": { "bootstrap_servers": bootstrap(), "tls": { "ca_file": "/nonexistent/ca.pem" } } });
    let error = failure(&options("orders", connection)).await;
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.chain();
    assert!(text.contains("ssl.ca.location") || text.contains("/nonexistent/ca.pem"), "{text}");
}

/// A server that speaks just enough of Kafka's protocol to refuse a SASL login, as a broker does for a wrong password.
fn impostor() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || refuse(client));
        }
    });
    address
}

fn refuse(mut client: TcpStream) -> Option<()> {
    loop {
        let mut length = [0; 4];
        client.read_exact(&mut length).ok()?;
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        client.read_exact(&mut request).ok()?;
        let (api, version) = (request[1], request[3]);
        let answer: &[u8] = match (api, version) {
            // ApiVersions: only version 0, by which the client asks again.
            (18, 1..) => &[0, 35, 0, 0, 0, 0],
            // ApiVersions: Metadata 0, SaslHandshake 1, ApiVersions 0, SaslAuthenticate 0.
            (18, 0) => &[0, 0, 0, 0, 0, 4, 0, 3, 0, 0, 0, 0, 0, 17, 0, 1, 0, 1, 0, 18, 0, 0, 0, 0, 0, 36, 0, 0, 0, 0],
            // SaslHandshake: PLAIN.
            (17, _) => &[0, 0, 0, 0, 0, 1, 0, 5, b'P', b'L', b'A', b'I', b'N'],
            // SaslAuthenticate: SASL_AUTHENTICATION_FAILED.
            (36, _) => b"\0\x3a\0\x3eAuthentication failed: Invalid username or password for orders\0\0\0\0",
            _ => return None,
        };
        let mut response = (answer.len() as u32 + 4).to_be_bytes().to_vec();
        response.extend_from_slice(&request[4..8]);
        response.extend_from_slice(answer);
        client.write_all(&response).ok()?;
    }
}
