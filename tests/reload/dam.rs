//! A dam in front of a real Kafka: while it is closed no request passes, and nothing is confirmed.
//!
//! Clients go on to the addresses that a broker names, so the answers are changed on their way: the broker's port becomes
//! the dam's. Both are four bytes behind the same host, so that nothing else moves.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
};

use crate::support;

/// Open at first.
pub(crate) struct Dam {
    gate: Arc<(Mutex<bool>, Condvar)>,
    port: u16,
}

impl Dam {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binding to any port");
        let port = listener.local_addr().expect("its address").port();
        let gate = Arc::new((Mutex::new(true), Condvar::new()));
        let own = gate.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let broker = TcpStream::connect(support::bootstrap_servers()).expect("connecting to Kafka");
                let (from, to) = (client.try_clone().expect("a socket"), broker.try_clone().expect("a socket"));
                let gate = own.clone();
                thread::spawn(move || requests(from, to, &gate));
                thread::spawn(move || answers(broker, client, port));
            }
        });
        Self { gate, port }
    }

    /// What a connection names.
    pub(crate) fn bootstrap_servers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Lets no request pass from now on.
    pub(crate) fn close(&self) {
        *self.gate.0.lock().expect("nobody panics with it") = false;
    }
}

fn requests(mut client: TcpStream, mut broker: TcpStream, (open, opened): &(Mutex<bool>, Condvar)) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(read @ 1..) = client.read(&mut buffer) {
        let guard = open.lock().expect("nobody panics with it");
        drop(opened.wait_while(guard, |open| !*open).expect("nobody panics with it"));
        if broker.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // An error says that it is closed already.
    let _ = broker.shutdown(std::net::Shutdown::Both);
}

/// Kafka's answers are a length in four bytes and so many bytes.
fn answers(mut broker: TcpStream, mut client: TcpStream, port: u16) {
    let servers = support::bootstrap_servers();
    let (host, real) = servers.rsplit_once(':').expect("HOST:PORT");
    let named = |port: u16| [host.as_bytes(), &u32::from(port).to_be_bytes()].concat();
    let (real, own) = (named(real.parse().expect("a port")), named(port));
    let mut length = [0; 4];
    while broker.read_exact(&mut length).is_ok() {
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        if broker.read_exact(&mut answer).is_err() {
            break;
        }
        while let Some(at) = answer.windows(real.len()).position(|part| part == real) {
            answer[at..at + own.len()].copy_from_slice(&own);
        }
        if client.write_all(&length).and_then(|()| client.write_all(&answer)).is_err() {
            break;
        }
    }
    let _ = client.shutdown(std::net::Shutdown::Both);
}
