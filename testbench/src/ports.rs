//! Ports for whoever is about to listen.

use std::{
    net::{TcpListener, UdpSocket},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
};

/// A port that nobody listens on now, and that no connection of anybody gets by chance: one below those that the system gives
/// to connections. A bridge or a proxy that connects just then would else take it from who is about to listen on it. Nor one of a
/// broker, in any set of brokers, which may be down just now: `scripts/lib/endpoints.sh` gives them the other last three digits.
/// No other test program gets it while this one lives: it holds the port of that number for datagrams, which nobody else wants.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    static HELD: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    const FIRST: u16 = 24_000;
    const PORTS: u16 = 8_000;
    let own = std::process::id().wrapping_mul(97) as u16;
    let ports = (0..PORTS).map(|_| FIRST + own.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS);
    let not_a_brokers = ports.filter(|port| matches!(port % 1000, 0..=89 | 700..=879 | 900..));
    let hold = |port: u16| {
        let held = UdpSocket::bind(("127.0.0.1", port)).ok()?;
        TcpListener::bind(("127.0.0.1", port)).ok().map(|_| (port, held))
    };
    let (port, held) = not_a_brokers.filter_map(hold).next().expect("one of many ports is free");
    HELD.lock().unwrap_or_else(PoisonError::into_inner).push(held);
    port
}
