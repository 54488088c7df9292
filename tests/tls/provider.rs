//! An identity provider that gives tokens for client credentials (RFC 6749), as small as it can be.

use std::{
    io::{BufRead as _, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use openssl::ssl::{SslAcceptor, SslMethod};
use serde_json::json;

use crate::certificates::Identity;

/// Who may ask, and what proves it.
pub(crate) const CLIENT: (&str, &str) = ("gantry", "hunter2-oidc");

/// A token as Kafka's validator for tests takes it: without a signature.
pub(crate) fn token(subject: &str, seconds: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({ "sub": subject, "iat": now, "exp": now + seconds, "scope": "kafka" });
    format!("{}.{}.", part(json!({ "alg": "none" })), part(claims))
}

/// One that runs until it is dropped.
pub(crate) struct Provider {
    address: SocketAddr,
    scheme: &'static str,
    stop: Arc<AtomicBool>,
    granted: Arc<AtomicUsize>,
    serving: Option<JoinHandle<()>>,
}

impl Provider {
    /// Its tokens are good for so many seconds.
    pub(crate) fn start(seconds: u64) -> Self {
        Self::with(seconds, None)
    }

    /// The same over TLS.
    pub(crate) fn encrypted(seconds: u64, own: &Identity) -> Self {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).expect("OpenSSL has TLS");
        acceptor.set_certificate(&own.certificate).expect("it is a certificate");
        acceptor.set_private_key(&own.key).expect("it is its key");
        Self::with(seconds, Some(acceptor.build()))
    }

    fn with(seconds: u64, acceptor: Option<SslAcceptor>) -> Self {
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (stop, granted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let serving = std::thread::spawn({
            let (stop, granted) = (Arc::clone(&stop), Arc::clone(&granted));
            move || {
                for stream in listener.incoming().take_while(|_| !stop.load(Ordering::Relaxed)).flatten() {
                    let served = match &acceptor {
                        None => serve(stream, seconds),
                        Some(acceptor) => acceptor.accept(stream).ok().and_then(|stream| serve(stream, seconds)),
                    };
                    if served == Some(true) {
                        granted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        Self { address, scheme, stop, granted, serving: Some(serving) }
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}/realms/test/token", self.scheme, self.address)
    }

    /// How many tokens it gave.
    pub(crate) fn granted(&self) -> usize {
        self.granted.load(Ordering::Relaxed)
    }
}

/// One request; whether a token was given. `None`: nobody asked properly.
fn serve(stream: impl Read + Write, seconds: u64) -> Option<bool> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut line) = (Vec::new(), String::new());
    while reader.read_line(&mut line).ok()? > 2 {
        head.push(std::mem::take(&mut line));
    }
    let value = |name: &str| {
        let found = head.iter().filter_map(|line| line.split_once(':')).find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim().to_owned())
    };
    let mut body = vec![0; value("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let form = String::from_utf8(body).ok()?;
    let expected = format!("Basic {}", STANDARD.encode(format!("{}:{}", CLIENT.0, CLIENT.1)));
    let is_post = head.first()?.starts_with("POST /realms/test/token ");
    let is_right = is_post && form.contains("grant_type=client_credentials") && form.contains("scope=kafka");
    let grants = is_right && value("authorization")? == expected;
    let (status, answer) = if grants {
        let token = token("orders", seconds);
        ("200 OK", json!({ "access_token": token, "token_type": "Bearer", "expires_in": seconds }))
    } else {
        let description = "Invalid client or Invalid client credentials";
        ("401 Unauthorized", json!({ "error": "invalid_client", "error_description": description }))
    };
    let answer = answer.to_string();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n");
    write!(reader.get_mut(), "{head}Content-Length: {}\r\n\r\n{answer}", answer.len()).ok()?;
    Some(grants)
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        let serving = self.serving.take().map(JoinHandle::join);
        assert!(serving.is_none_or(|ended| ended.is_ok()) || std::thread::panicking(), "the provider panicked");
    }
}
