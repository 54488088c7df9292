//! Kafka over TLS, and its ways to log in.

use tempfile::tempdir;

use crate::{
    certificates::{Authority, PASSWORD, ca_file},
    imposter::Imposter,
    journey::{self, Journey, delivers, host_asked_for, kafka_refuses, says},
    kafka_secure, kafka_secure_behind_proxy, kafka_tls,
    provider::{CLIENT, Provider, token},
    scram_user,
    support::{self, SOON, eventually, unique},
};

fn rabbitmq() -> String {
    format!("urls: [\"{}\"]", support::amqp_url())
}

/// A connection to the listener that asks for a log-in.
fn secure(sasl: &str) -> String {
    format!("bootstrap_servers: \"{}\", tls: {{ ca_file: {} }}, sasl: {{ {sasl} }}", kafka_secure(), ca_file())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_shown_from_pem_and_from_pkcs12() {
    let directory = tempdir().expect("a temporary directory");
    let files = Authority::of_the_brokers().client("gantry").write(directory.path(), "client");
    let ways = [
        format!("certificate_file: {}, key_file: {}", files.certificate, files.key),
        format!("pkcs12_file: {}, pkcs12_password: {PASSWORD}", files.pkcs12),
    ];
    for way in ways {
        let kafka = format!("bootstrap_servers: \"{}\", tls: {{ ca_file: {}, {way} }}", kafka_tls(), ca_file());
        delivers(&rabbitmq(), &kafka, &[PASSWORD, "PRIVATE KEY"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_and_scram_log_in() {
    let user = unique("scram");
    scram_user(&user, "hunter2-scram").await;
    for (mechanism, user, password) in [
        ("PLAIN", "bridge", "bridge-secret"),
        ("SCRAM-SHA-256", user.as_str(), "hunter2-scram"),
        ("SCRAM-SHA-512", user.as_str(), "hunter2-scram"),
    ] {
        let kafka = secure(&format!("mechanism: {mechanism}, username: {user}, password: {password}"));
        delivers(&rabbitmq(), &kafka, &[password]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_from_a_file_logs_in() {
    let (directory, token) = (tempdir().expect("a temporary directory"), token("orders", 3600));
    let path = journey::file(directory.path(), "token", &token);
    delivers(&rabbitmq(), &secure(&format!("mechanism: OAUTHBEARER, token_file: {path}")), &[&token]).await;
}

fn oidc(url: &str, secret: &str) -> String {
    let client = CLIENT.0;
    secure(&format!(
        "mechanism: OAUTHBEARER, oidc: {{ token_url: \"{url}\", client_id: {client}, client_secret: {secret}, scope: kafka }}"
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_from_an_identity_provider_logs_in_and_is_renewed_in_time() {
    let provider = Provider::start(5);
    let mut journey = Journey::begin(&rabbitmq(), &oidc(&provider.url(), CLIENT.1), &[CLIENT.1]).await;
    let before = provider.granted();
    eventually("a new token is fetched", SOON, async || (provider.granted() > before).then_some(())).await;
    journey.goes_on().await;
    journey.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_provider_is_asked_over_tls_and_verified() {
    let authority = Authority::of_the_brokers();
    let encrypted = |provider: &Provider| {
        let trusts = format!("ca_file: {}, token_url", ca_file());
        oidc(&provider.url(), CLIENT.1).replace("token_url", &trusts)
    };
    let good = Provider::encrypted(3600, &authority.server());
    delivers(&rabbitmq(), &encrypted(&good), &[CLIENT.1]).await;
    let expired = Provider::encrypted(3600, &authority.expired_server());
    let error = kafka_refuses(&encrypted(&expired), "failed", &[CLIENT.1]).await;
    says(&error, &[&expired.url(), "certificate"]);
    assert_eq!(expired.granted(), 0, "the client's secret goes to nobody who is not trusted");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_provider_that_gives_no_token_is_told() {
    let provider = Provider::start(60);
    let error = kafka_refuses(&oidc(&provider.url(), "hunter2-wrong"), "failed", &["hunter2"]).await;
    says(&error, &[&provider.url(), "401", "invalid_client"]);
    let nobody = format!("http://127.0.0.1:{}/token", support::free_port());
    let error = kafka_refuses(&oidc(&nobody, CLIENT.1), "failed", &[CLIENT.1]).await;
    says(&error, &[&nobody]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_without_it() {
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let sasl = format!("mechanism: {mechanism}, username: bridge, password: hunter2");
        let error = kafka_refuses(&secure(&sasl), "failed", &["hunter2"]).await;
        says(&error, &["bridge", mechanism, "Authentication failed"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_to_log_in_that_kafka_does_not_offer_is_told() {
    let servers = kafka_secure_behind_proxy();
    let sasl = "mechanism: PLAIN, username: bridge, password: hunter2";
    let connection = format!("bootstrap_servers: \"{servers}\", tls: {{ ca_file: {} }}, sasl: {{ {sasl} }}", ca_file());
    let error = kafka_refuses(&connection, "failed", &["hunter2"]).await;
    says(&error, &["PLAIN", "SCRAM-SHA-512", "Unsupported"]);
}

async fn refused_by(imposter: &Imposter, tls: &str) -> String {
    let connection = format!("bootstrap_servers: \"127.0.0.1:{}\", tls: {{ {tls} }}", imposter.port());
    let error = kafka_refuses(&connection, "failed", &["hunter2"]).await;
    says(&error, &[&format!("127.0.0.1:{}", imposter.port())]);
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_refused() {
    let imposter = Imposter::showing(&Authority::of_the_brokers().expired_server());
    let error = refused_by(&imposter, &format!("ca_file: {}", ca_file())).await;
    says(&error, &["the broker's certificate has expired", "renew it"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_host_is_refused() {
    let imposter = Imposter::showing(&Authority::of_the_brokers().server_elsewhere());
    let error = refused_by(&imposter, &format!("ca_file: {}", ca_file())).await;
    says(&error, &["the broker's certificate is for another host"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let imposter = Imposter::showing(&Authority::unknown().server());
    for tls in [format!("ca_file: {}", ca_file()), String::new()] {
        let error = refused_by(&imposter, &tls).await;
        says(&error, &["an authority that is not trusted", "tls.ca_file"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_missing_or_not_known_is_told() {
    let directory = tempdir().expect("a temporary directory");
    let files = Authority::unknown().client("gantry").write(directory.path(), "client");
    let unknown = format!(", certificate_file: {}, key_file: {}", files.certificate, files.key);
    for (more, expected) in [("", "asks for"), (unknown.as_str(), "refuses this client's certificate")] {
        let connection = format!("bootstrap_servers: \"{}\", tls: {{ ca_file: {}{more} }}", kafka_tls(), ca_file());
        let error = kafka_refuses(&connection, "failed", &["PRIVATE KEY"]).await;
        says(&error, &[expected, &kafka_tls()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_at_a_plain_port_and_the_other_way_round_are_told() {
    let tls = format!("bootstrap_servers: \"{}\", tls: {{ ca_file: {} }}", support::bootstrap_servers(), ca_file());
    says(&kafka_refuses(&tls, "backing_off", &["hunter2"]).await, &["PLAINTEXT"]);
    let plain = format!("bootstrap_servers: \"{}\"", kafka_tls());
    says(&kafka_refuses(&plain, "backing_off", &["hunter2"]).await, &["TLS port", "tls is missing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_is_named_in_the_handshake() {
    let imposter = Imposter::showing(&Authority::of_the_brokers().server());
    let sink = format!(
        "kafka: {{ connection: {{ bootstrap_servers: \"localhost:{}\", tls: {{ ca_file: {} }} }}, topic: t }}",
        imposter.port(),
        ca_file()
    );
    assert_eq!(host_asked_for(&imposter, "generate: { count: 1 }", &sink).await, "localhost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_of_a_pkcs12_file_is_told() {
    let directory = tempdir().expect("a temporary directory");
    let files = Authority::of_the_brokers().client("gantry").write(directory.path(), "client");
    let tls = format!("ca_file: {}, pkcs12_file: {}, pkcs12_password: hunter2", ca_file(), files.pkcs12);
    let connection = format!("bootstrap_servers: \"{}\", tls: {{ {tls} }}", kafka_tls());
    let error = kafka_refuses(&connection, "failed", &["hunter2"]).await;
    says(&error, &["keystore"]);
}
