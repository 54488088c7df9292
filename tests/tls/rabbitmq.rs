//! RabbitMQ over TLS.

use tempfile::tempdir;

use crate::{
    amqps,
    certificates::{Authority, PASSWORD, ca_file},
    imposter::Imposter,
    journey::{delivers, host_asked_for, rabbitmq_hints, rabbitmq_refuses, says},
    rabbit_user,
    support::{self, brokers::rabbitmqctl, unique},
};

fn kafka() -> String {
    format!("bootstrap_servers: \"{}\"", support::bootstrap_servers())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_and_a_password_over_an_encrypted_connection() {
    let user = unique("plain");
    rabbit_user(&user, "hunter2@/%").await;
    // By its name: the certificate holds both.
    let place = amqps().replace("127.0.0.1", "localhost");
    let rabbitmq = format!(
        "urls: [\"amqps://{place}\"], username: {user}, password: \"hunter2@/%\", tls: {{ ca_file: {} }}",
        ca_file()
    );
    delivers(&rabbitmq, &kafka(), &["hunter2"]).await;
    rabbitmqctl(&["delete_user", &user]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_logs_in_from_pem_and_from_pkcs12() {
    let (user, directory) = (unique("external"), tempdir().expect("a temporary directory"));
    rabbit_user(&user, "unused").await;
    let files = Authority::of_the_brokers().client(&user).write(directory.path(), "client");
    let ways = [
        format!("certificate_file: {}, key_file: {}", files.certificate, files.key),
        format!("pkcs12_file: {}, pkcs12_password: {PASSWORD}", files.pkcs12),
    ];
    for way in ways {
        let rabbitmq = format!(
            "urls: [\"amqps://{}\"], auth_mechanism: external, tls: {{ ca_file: {}, {way} }}",
            amqps(),
            ca_file()
        );
        delivers(&rabbitmq, &kafka(), &[PASSWORD, "PRIVATE KEY"]).await;
    }
    rabbitmqctl(&["delete_user", &user]).await;
}

async fn refused_by(imposter: &Imposter, more: &str) -> String {
    let url = format!("amqps://u:hunter2@127.0.0.1:{}", imposter.port());
    let error = rabbitmq_refuses(&format!("urls: [\"{url}\"], {more}"), "failed", &["hunter2"]).await;
    says(&error, &[&format!("127.0.0.1:{}", imposter.port())]);
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_refused() {
    let imposter = Imposter::showing(&Authority::of_the_brokers().expired_server());
    let error = refused_by(&imposter, &format!("tls: {{ ca_file: {} }}", ca_file())).await;
    says(&error, &["the broker's certificate has expired", "renew it"]);
    assert_eq!(imposter.asked_for(), Vec::<String>::new(), "not a word is said");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_host_is_refused() {
    let imposter = Imposter::showing(&Authority::of_the_brokers().server_elsewhere());
    let error = refused_by(&imposter, &format!("tls: {{ ca_file: {} }}", ca_file())).await;
    says(&error, &["the broker's certificate is for another host"]);
    assert_eq!(imposter.asked_for(), Vec::<String>::new(), "not a word is said");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let imposter = Imposter::showing(&Authority::unknown().server());
    for tls in [format!("tls: {{ ca_file: {} }}", ca_file()), "vhost: /".to_owned()] {
        let error = refused_by(&imposter, &tls).await;
        says(&error, &["an authority that is not trusted", "tls.ca_file"]);
    }
    assert_eq!(imposter.asked_for(), Vec::<String>::new(), "not a word is said");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_asked_for_and_missing_is_told() {
    let imposter = Imposter::asking(&Authority::of_the_brokers().server());
    let error = refused_by(&imposter, &format!("tls: {{ ca_file: {} }}", ca_file())).await;
    says(&error, &["asks for a certificate", "tls.certificate_file"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_rabbitmq_does_not_know_is_told() {
    let directory = tempdir().expect("a temporary directory");
    let files = Authority::unknown().client("guest").write(directory.path(), "client");
    let connection = format!(
        "urls: [\"amqps://{}\"], auth_mechanism: external, tls: {{ ca_file: {}, certificate_file: {}, key_file: {} }}",
        amqps(),
        ca_file(),
        files.certificate,
        files.key
    );
    let error = rabbitmq_refuses(&connection, "failed", &["PRIVATE KEY"]).await;
    says(&error, &["by certificate", "refuses this client's certificate", "does not know the authority"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_without_a_user_and_a_wrong_password_are_told() {
    let (nobody, directory) = (unique("nobody"), tempdir().expect("a temporary directory"));
    let files = Authority::of_the_brokers().client(&nobody).write(directory.path(), "client");
    let external = format!(
        "auth_mechanism: external, tls: {{ ca_file: {}, certificate_file: {}, key_file: {} }}",
        ca_file(),
        files.certificate,
        files.key
    );
    let plain = format!("username: guest, password: hunter2, tls: {{ ca_file: {} }}", ca_file());
    for login in [external, plain] {
        let connection = format!("urls: [\"amqps://{}\"], {login}", amqps());
        let error = rabbitmq_refuses(&connection, "failed", &["hunter2"]).await;
        says(&error, &["403 ACCESS_REFUSED", &amqps()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_to_log_in_that_rabbitmq_does_not_offer_is_told() {
    let connection =
        format!("urls: [\"amqps://{}?auth_mechanism=anonymous\"], tls: {{ ca_file: {} }}", amqps(), ca_file());
    // RabbitMQ says nothing and hangs up, as one does that stops: so it is tried again.
    let error = rabbitmq_refuses(&connection, "backing_off", &["hunter2"]).await;
    says(&error, &["does not offer ANONYMOUS", "auth_mechanisms"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_at_a_plain_port_and_the_other_way_round_are_told() {
    let plain = format!("urls: [\"amqps://{}\"]", support::amqp_address());
    says(&rabbitmq_refuses(&plain, "failed", &["hunter2"]).await, &["does not speak TLS", "amqp://"]);
    let encrypted = format!("urls: [\"amqp://{}\"]", amqps());
    // Whether it is sure of it depends on what is read first: the alert or the reset behind it.
    says(&rabbitmq_hints(&encrypted, "TLS port", &["hunter2"]).await, &["amqps://"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_is_named_in_the_handshake() {
    let imposter = Imposter::showing(&Authority::of_the_brokers().server());
    let source = format!(
        "rabbitmq: {{ connection: {{ urls: [\"amqps://localhost:{}\"], tls: {{ ca_file: {} }} }}, queue: q }}",
        imposter.port(),
        ca_file()
    );
    assert_eq!(host_asked_for(&imposter, &source, "\"null\": {}").await, "localhost");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_do_not_fit_are_told_before_connecting() {
    let directory = tempdir().expect("a temporary directory");
    let authority = Authority::of_the_brokers();
    let (one, other) = (
        authority.client("one").write(directory.path(), "one"),
        authority.client("other").write(directory.path(), "other"),
    );
    let cases = [
        (format!("certificate_file: {}, key_file: {}", one.certificate, other.key), "not the key of"),
        (format!("pkcs12_file: {}, pkcs12_password: hunter2", one.pkcs12), "does not open it"),
        (format!("pkcs12_file: {}", one.key), "no PKCS#12 file"),
        ("ca_file: /dev/zero".to_owned(), "not a regular file"),
    ];
    for (tls, expected) in cases {
        let connection = format!("urls: [\"amqps://{}\"], tls: {{ {tls} }}", amqps());
        says(&rabbitmq_refuses(&connection, "failed", &["hunter2"]).await, &[expected, "tls."]);
    }
}
