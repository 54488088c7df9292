//! gantry's control port.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use crate::process::{Process, eventually};

/// How long all bridges may take to be ready.
const READY_DEADLINE: Duration = Duration::from_secs(120);
/// How long a bridge may take to pause.
const PAUSE_DEADLINE: Duration = Duration::from_secs(60);

/// The control port of a gantry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Control {
    port: u16,
}

impl Control {
    /// On a port that nobody has just now.
    pub(crate) fn new() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("looking for a free port")?;
        Ok(Self { port: listener.local_addr()?.port() })
    }

    pub(crate) const fn port(self) -> u16 {
        self.port
    }

    /// Returns when all bridges are.
    pub(crate) async fn ready(self, gantry: &mut Process) -> Result<()> {
        eventually("all bridges are ready", READY_DEADLINE, async || {
            gantry.check()?;
            Ok(self.get("/readyz").ok().filter(|answer| succeeded(answer)).map(drop))
        })
        .await
    }

    /// Returns when the bridge has paused.
    pub(crate) async fn pause(self, bridge: &str) -> Result<()> {
        self.put(&format!("/connectors/{bridge}/pause"))?;
        eventually("the bridge has paused", PAUSE_DEADLINE, async || {
            // The state of its only task.
            let status = self.get(&format!("/connectors/{bridge}/tasks/0/status"))?;
            Ok(status.contains("\"PAUSED\"").then_some(()))
        })
        .await
    }

    /// Asks it to go on.
    pub(crate) fn resume(self, bridge: &str) -> Result<()> {
        self.put(&format!("/connectors/{bridge}/resume"))
    }

    /// A whole HTTP answer.
    pub(crate) fn get(self, path: &str) -> Result<String> {
        self.ask("GET", path)
    }

    fn put(self, path: &str) -> Result<()> {
        let answer = self.ask("PUT", path)?;
        ensure!(succeeded(&answer), "PUT {path}: {answer}");
        Ok(())
    }

    fn ask(self, method: &str, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        let length = if method == "PUT" { "Content-Length: 0\r\n" } else { "" };
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{length}Connection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

fn succeeded(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 2")
}
