//! Clients that hang, in numbers: they take a bounded part of the process, and who asks for health gets an answer.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    time::Duration,
};

use tempfile::TempDir;

use super::{
    TWO,
    http::{Answer, get, raw, send},
    support::{SOON, eventually, gantry::Gantry},
    two,
};

/// The binary under that limit of a shell.
fn limited(limit: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let script = directory.path().join("gantry");
    let text = format!("#!/bin/sh\nulimit {limit}\nexec {} \"$@\"\n", env!("CARGO_BIN_EXE_gantry"));
    std::fs::write(&script, text).expect("writing the script");
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("making it a program");
    (directory, script)
}

fn connect(port: u16, text: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connecting");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("setting a deadline");
    // It may have been closed already.
    let _ = stream.write_all(text);
    stream
}

fn descriptors(gantry: &Gantry) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", gantry.pid())).expect("its descriptors").count()
}

#[tokio::test]
async fn half_sent_requests_stop_neither_health_nor_bridges() {
    let (_directory, binary) = limited("-n 256");
    let gantry = Gantry::start_binary(&binary, TWO);
    gantry.wait_until_ready().await;
    let quiet = descriptors(&gantry);
    let hanging: Vec<_> = (0..300).map(|_| connect(gantry.port(), b"GET /healthz HTT")).collect();
    assert_eq!(get(gantry.port(), "/healthz").status, 200);
    eventually("most are closed", SOON, async || (descriptors(&gantry) < quiet + 80).then_some(())).await;
    let out = || gantry.metric("gantry_records_out_total", "letters");
    let before = out().expect("a count");
    eventually("records move", SOON, async || out().filter(|now| *now > before)).await;
    drop(hanging);
}

#[tokio::test]
async fn the_limit_of_open_files_is_raised_at_the_start() {
    let (_directory, binary) = limited("-S -n 100");
    let gantry = Gantry::start_binary(&binary, TWO);
    gantry.wait_until_ready().await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", gantry.pid())).expect("its limits");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("Linux tells it");
    let values: Vec<_> = line.split_whitespace().collect();
    assert_eq!(values[0], values[1], "soft and hard: {line}");
}

#[tokio::test]
async fn bodies_that_never_end_share_what_there_is() {
    let (_gantry, port) = two().await;
    let mut text = b"POST /connectors HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\n".to_vec();
    text.resize(text.len() + (1 << 20) - 1, b' ');
    let hanging: Vec<_> = (0..8).map(|_| connect(port, &text)).collect();
    // 4 MiB is for all of them.
    let refused = |stream: &TcpStream| {
        stream.set_nonblocking(true).expect("asking without waiting");
        match stream.peek(&mut [0; 12]) {
            Ok(seen) => seen > 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    };
    let all = || hanging.iter().filter(|stream| refused(stream)).count();
    eventually("half of them are refused", SOON, async || (all() >= 4).then_some(())).await;
    assert_eq!(get(port, "/healthz").status, 200);
    drop(hanging);
    let create = || send(port, "POST", "/connectors", "application/json", r#"{"name":"letters"}"#).status;
    eventually("there is room again", SOON, async || (create() == 409).then_some(())).await;
}

#[tokio::test]
async fn no_body_is_awaited_where_none_is_used() {
    let (_gantry, port) = two().await;
    let mut stream = connect(port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[tokio::test]
async fn who_sends_no_whole_request_in_time_is_cut_off() {
    let patience = vec![("GANTRY__CONTROL__CLIENT_TIMEOUT", "300ms".to_owned())];
    let gantry = Gantry::start_with(patience, TWO);
    gantry.wait_until_ready().await;
    let port = gantry.port();
    let ended = |text: &str| {
        let mut rest = String::new();
        connect(port, text.as_bytes()).read_to_string(&mut rest).expect("it is closed");
        rest
    };
    assert_eq!(ended(""), "");
    assert_eq!(ended("GET /healthz HTTP/1.1\r\nHost: localh"), "");
    assert!(ended("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").starts_with("HTTP/1.1 200"), "then it is idle");
    for path in ["POST /connectors", "PUT /connectors/letters/pause"] {
        let half = ended(&format!("{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf"));
        assert_eq!(Answer::parse(&half).refusal(408), "HTTP 408 Request Timeout");
    }
    assert_eq!(raw(port, "GET / HTTP/1.0\r\n\r\n").status, 200);
}
