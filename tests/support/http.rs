//! HTTP by hand, because the tests send what no polite client library sends: empty chunked bodies, bodies where none
//! belong, unknown methods.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value as Json;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The code.
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// Whatever followed the headers.
    pub(crate) body: String,
}

/// One request on a connection of its own. `headers` are whole lines; the body is sent as it is.
///
/// # Panics
/// When nobody answers, or not in HTTP.
pub(crate) fn request(port: u16, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{headers}\r\n");
    raw(port, &(head + body))
}

/// Sends this text; the answer must end with the connection.
///
/// # Panics
/// When nobody answers, or not in HTTP.
pub(crate) fn raw(port: u16, text: &str) -> Answer {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connecting to the control port");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("setting a deadline");
    stream.write_all(text.as_bytes()).expect("sending the request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("reading the answer");
    Answer::parse(&answer)
}

/// A GET.
pub(crate) fn get(port: u16, path: &str) -> Answer {
    request(port, "GET", path, &[], "")
}

/// A request with a body of that type.
pub(crate) fn send(port: u16, method: &str, path: &str, kind: &str, body: &str) -> Answer {
    let headers = [format!("Content-Type: {kind}"), format!("Content-Length: {}", body.len())];
    request(port, method, path, &headers.each_ref().map(String::as_str), body)
}

impl Answer {
    /// Reads one as it came over the wire.
    ///
    /// # Panics
    /// When it is not HTTP.
    pub(crate) fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("not HTTP: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status line");
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Self { status, headers: lines.filter_map(header).collect(), body: body.to_owned() }
    }

    /// The value of a header; its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not.
    pub(crate) fn json(&self) -> Json {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Asserts that it is an error as Kafka Connect words them; returns its message.
    ///
    /// # Panics
    /// When it is not.
    pub(crate) fn refusal(&self, status: u16) -> String {
        let body = self.json();
        assert_eq!((self.status, &body["error_code"]), (status, &Json::from(status)), "{self:?}");
        let message = body["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty(), "{self:?}");
        message.to_owned()
    }
}
