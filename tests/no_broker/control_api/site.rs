//! Web pages of other sites, which ask through the browser of someone inside.

use super::{
    TWO,
    http::{get, raw, request},
    support::gantry::Gantry,
    two,
};

fn state(port: u16) -> serde_json::Value {
    get(port, "/connectors/letters/status").json()["connector"]["state"].clone()
}

/// DNS rebinding: the attacker's name leads to this port.
#[tokio::test]
async fn a_foreign_host_is_refused() {
    let (gantry, port) = two().await;
    for request in [
        "PUT /connectors/letters/stop HTTP/1.1\r\nHost: evil.example",
        "GET /metrics HTTP/1.1\r\nHost: evil.example:8083",
        "GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost",
        "GET /healthz HTTP/1.1\r\nHost: 10.9.8.7",
    ] {
        let message = raw(port, &format!("{request}\r\nConnection: close\r\n\r\n")).refusal(403);
        assert!(message.contains("control.hosts"), "{request}: {message}");
    }
    assert_eq!(state(port), "RUNNING");
    assert!(gantry.log().contains("evil.example"), "the operator is told: {}", gantry.log());
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]"] {
        assert_eq!(raw(port, &format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).status, 200);
    }
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    let (_gantry, port) = two().await;
    let epoch = || get(port, "/v1/bridges/letters").json()["tasks"][0]["epoch"].clone();
    let before = epoch();
    for header in ["Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"] {
        for (method, path) in [
            ("POST", "/connectors/letters/restart?includeTasks=true"),
            ("PUT", "/connectors/letters/stop"),
            ("GET", "/"),
        ] {
            request(port, method, path, &[header], "").refusal(403);
        }
    }
    assert_eq!((state(port), epoch()), ("RUNNING".into(), before));
    let own = format!("Origin: http://127.0.0.1:{port}");
    assert_eq!(
        request(port, "PUT", "/connectors/letters/pause", &[&own, "Sec-Fetch-Site: same-origin"], "").status,
        202
    );
}

#[tokio::test]
async fn configured_names_are_answered() {
    let names = vec![("GANTRY__CONTROL__HOSTS", "[Gantry, ops.example.org]".to_owned())];
    let gantry = Gantry::start_with(names, TWO);
    gantry.wait_until_ready().await;
    let asks =
        |head: &str| raw(gantry.port(), &format!("GET / HTTP/1.1\r\n{head}\r\nConnection: close\r\n\r\n")).status;
    assert_eq!(asks("Host: gantry:8083"), 200);
    assert_eq!(asks("Host: gantry:8083\r\nOrigin: https://ops.example.org"), 200);
    assert_eq!(asks("Host: other:8083"), 403);
}

#[tokio::test]
async fn a_command_that_is_refused_says_what_to_configure() {
    let (_gantry, port) = two().await;
    // It leads to loopback, and is no address of it.
    let url = format!("http://0.0.0.0:{port}");
    for command in ["status", "health"] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_gantry")).args([command, "--url", &url]).output();
        let told = String::from_utf8(output.expect("starting gantry").stderr).expect("text");
        assert!(told.contains("403") && told.contains("control.hosts"), "{command}: {told}");
    }
}
