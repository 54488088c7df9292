//! The real binary, started with a configuration, watched, steered and killed.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use serde_json::Value as Json;
use tempfile::TempDir;

use super::{SOON, eventually, free_port};

/// A running gantry. Killed when dropped; its log is shown when the test panics.
pub struct Gantry {
    binary: PathBuf,
    child: Child,
    directory: TempDir,
    port: u16,
    starts: u32,
    environment: Vec<(&'static str, String)>,
}

impl Gantry {
    /// Starts the binary on this configuration, without its `control` section: the harness picks a free port.
    pub fn start(yaml: &str) -> Self {
        Self::start_binary(Path::new(env!("CARGO_BIN_EXE_gantry")), yaml)
    }

    /// The same with another binary: one that nobody rebuilds meanwhile.
    pub fn start_binary(binary: &Path, yaml: &str) -> Self {
        Self::start_in(binary, Vec::new(), yaml)
    }

    /// The same as [`Gantry::start`] with these environment variables besides, at every start.
    pub fn start_with(environment: Vec<(&'static str, String)>, yaml: &str) -> Self {
        Self::start_in(Path::new(env!("CARGO_BIN_EXE_gantry")), environment, yaml)
    }

    fn start_in(binary: &Path, environment: Vec<(&'static str, String)>, yaml: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let port = free_port();
        write_config(&directory, port, yaml);
        let child = spawn(binary, &environment, &directory, 0);
        Self { binary: binary.to_owned(), child, directory, port, starts: 1, environment }
    }

    /// Writes another configuration for it to reload; its control port stays.
    pub fn configure(&self, yaml: &str) {
        write_config(&self.directory, self.port, yaml);
    }

    /// The directory of its configuration `gantry.yaml`.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What `gantry check` prints of its configuration, with these arguments besides.
    pub async fn check(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.binary);
        command.arg("check").args(arguments).arg(self.directory().join("gantry.yaml")).envs(self.environment.clone());
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("not cancelled");
        String::from_utf8_lossy(&output.expect("running gantry").stdout).into_owned()
    }

    /// Starts it again on the same configuration, after it has ended.
    pub fn start_again(&mut self) {
        self.child = spawn(&self.binary, &self.environment, &self.directory, self.starts);
        self.starts += 1;
    }

    /// Starts it and waits until every bridge is ready.
    pub async fn ready(yaml: &str) -> Self {
        let gantry = Self::start(yaml);
        gantry.wait_until_ready().await;
        gantry
    }

    /// Waits until every bridge does what is wanted of it.
    pub async fn wait_until_ready(&self) {
        eventually("/readyz says 200", SOON, async || self.get("/readyz").filter(|(status, _)| *status == 200)).await;
    }

    /// Waits until it says of a bridge that it does not do what is wanted of it, in an answer with that text.
    pub async fn wait_until_not_ready(&self, why: &str) {
        let not_ready = |(status, text): &(u16, String)| *status == 503 && text.contains(why);
        eventually("/readyz says 503", SOON, async || self.get("/readyz").filter(not_ready)).await;
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("asking for its end")
    }

    /// The port that its control port has.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A GET on the control port: status and body. `None` when nobody answers.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        self.request("GET", path)
    }

    /// A request without a body on the control port.
    pub fn request(&self, method: &str, path: &str) -> Option<(u16, String)> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(10)))
            .build()
            .into();
        let mut response = match method {
            "PUT" => agent.put(&url).send_empty(),
            "POST" => agent.post(&url).send_empty(),
            _ => agent.get(&url).call(),
        }
        .ok()?;
        let status = response.status().as_u16();
        Some((status, response.body_mut().read_to_string().unwrap_or_default()))
    }

    /// The bridge as `/v1/bridges/NAME` shows it.
    pub fn bridge(&self, name: &str) -> Option<Json> {
        let (_, body) = self.get(&format!("/v1/bridges/{name}")).filter(|(status, _)| *status == 200)?;
        serde_json::from_str(&body).ok()
    }

    /// The first task's state and error.
    pub fn task(&self, name: &str) -> Option<(String, String)> {
        let bridge = self.bridge(name)?;
        let task = bridge["tasks"].get(0)?;
        Some((task["state"].as_str()?.to_owned(), task["error"].as_str().unwrap_or_default().to_owned()))
    }

    /// Waits until the bridge's first task is in that state; returns its error text.
    pub async fn wait_for_state(&self, bridge: &str, state: &str) -> String {
        let what = format!("bridge {bridge} is {state}");
        eventually(&what, SOON, async || self.task(bridge).filter(|(own, _)| own == state)).await.1
    }

    /// A metric of a bridge, summed over its tasks.
    pub fn metric(&self, name: &str, bridge: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics")?;
        let label = format!("bridge=\"{bridge}\"");
        let of_bridge = text
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{')) && line.contains(&label));
        let values = of_bridge.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.map(Some).reduce(|a, b| Some(a? + b?)).flatten()
    }

    /// The law of conservation, in one scrape: what came in and was not given back is somewhere.
    ///
    /// # Panics
    /// When it is not.
    pub fn check_conservation(&self, bridge: &str) {
        let (_, text) = self.get("/metrics").expect("metrics");
        let label = format!("bridge=\"{bridge}\"");
        let value = |name: &str| -> f64 {
            let line = text.lines().find(|line| line.starts_with(&format!("{name}{{")) && line.contains(&label));
            let line = line.unwrap_or_else(|| panic!("no {name} for {bridge} in:\n{text}"));
            line.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("a number")
        };
        let came = value("gantry_records_in_total") - value("gantry_records_returned_total");
        let out = value("gantry_records_out_total");
        let aside = value("gantry_records_dead_lettered_total") + value("gantry_records_filtered_total");
        let in_flight = value("gantry_records_in_flight");
        assert!(came == out + aside + in_flight, "{came} != {out} + {aside} + {in_flight}");
    }

    /// Asks it to stop as an init system does, and waits for its end.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait().await
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> ExitStatus {
        let child = std::cell::RefCell::new(&mut self.child);
        eventually("gantry ends", SOON, async || child.borrow_mut().try_wait().expect("asking for its end")).await
    }

    /// Ends it without a word: `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().expect("killing it");
        self.child.wait().expect("waiting for its end");
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success(), "sending {name}");
    }

    /// What it has logged so far, over all its starts.
    pub fn log(&self) -> String {
        (0..self.starts)
            .map(|start| std::fs::read_to_string(log_path(&self.directory, start)).unwrap_or_default())
            .collect()
    }

    /// Bytes of memory that it holds now.
    pub fn resident_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most bytes of memory that it ever held.
    pub fn peak_bytes(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// What its tasks count now, and the states that they are in; of tasks that have counted anything.
    fn counts(&self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let told = |line: &&str| {
            ["gantry_records", "gantry_task_state", "gantry_reconnects"].iter().any(|start| line.starts_with(start))
                && !line.ends_with(" 0")
        };
        Ok(answer.lines().filter(told).fold(String::new(), |text, line| text + line + "\n"))
    }

    fn memory(&self, what: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("its /proc entry");
        let line = status.lines().find_map(|line| line.strip_prefix(what)).expect("Linux counts it");
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") * 1024
    }
}

impl Drop for Gantry {
    fn drop(&mut self) {
        let panicking = std::thread::panicking();
        if panicking {
            match self.child.try_wait() {
                Ok(Some(status)) => eprintln!("--- gantry had ended by itself: {status} ---"),
                _ => eprintln!("--- gantry's counts ---\n{}", self.counts().unwrap_or_default()),
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if panicking {
            // Of a hundred bridges the warnings would push out of sight what happened.
            let log = self.log();
            let lines = log.lines().filter(|line| !line.contains(" warning: "));
            let lines = lines.fold(String::new(), |text, line| text + line + "\n");
            eprintln!(
                "--- gantry's log, without the warnings of its configuration ---\n{lines}--- end of gantry's log ---"
            );
        }
    }
}

fn spawn(binary: &Path, environment: &[(&'static str, String)], directory: &TempDir, start: u32) -> Child {
    let log = File::create(log_path(directory, start)).expect("creating the log");
    Command::new(binary)
        .arg("run")
        .arg(directory.path().join("gantry.yaml"))
        .envs(environment.iter().cloned())
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("sharing the log"))
        .stderr(log)
        .spawn()
        .expect("starting gantry")
}

fn write_config(directory: &TempDir, port: u16, yaml: &str) {
    let whole = format!("control: {{ listen: \"127.0.0.1:{port}\" }}\n{yaml}");
    std::fs::write(directory.path().join("gantry.yaml"), whole).expect("writing the configuration");
}

fn log_path(directory: &TempDir, start: u32) -> PathBuf {
    directory.path().join(format!("gantry-{start}.log"))
}
