//! What librdkafka says: log lines, told once and then counted, and errors, kept until somebody asks.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{config::RDKafkaLogLevel, error::KafkaError, types::RDKafkaErrorCode};

use super::brokers::Brokers;

/// How long a repeated line is only counted.
const QUIET: Duration = Duration::from_secs(60);
/// Different lines that are remembered; librdkafka has a few dozen that come by themselves.
const LINES: usize = 64;

/// What one client said.
#[derive(Debug)]
pub(crate) struct ClientState {
    who: Arc<str>,
    inner: Mutex<Inner>,
    suspicious: AtomicBool,
    pub brokers: Brokers,
}

#[derive(Debug, Default)]
struct Inner {
    errors: ClientErrors,
    lines: HashMap<String, Line>,
}

#[derive(Debug)]
struct Line {
    told: Instant,
    swallowed: u32,
}

/// The last errors of each kind.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClientErrors {
    /// The connection failed or ended.
    pub transport: Option<String>,
    /// The broker refused us, or we the broker: SASL, TLS.
    pub refusal: Option<String>,
    /// The client will never work again.
    pub fatal: bool,
}

// === impl ClientState ===

impl ClientState {
    /// For the client that `who` names in logs.
    pub(crate) fn new(who: Arc<str>) -> Self {
        Self { who, inner: Mutex::default(), suspicious: AtomicBool::new(false), brokers: Brokers::default() }
    }

    /// What went wrong so far.
    pub(crate) fn errors(&self) -> ClientErrors {
        self.lock().errors.clone()
    }

    /// Forgets what went wrong: it works again.
    pub(crate) fn forgive(&self) {
        self.lock().errors = ClientErrors::default();
    }

    /// Whether an error came since the last call.
    pub(crate) fn take_suspicion(&self) -> bool {
        self.suspicious.swap(false, Ordering::Relaxed)
    }

    /// The cluster is to be asked whether it works.
    pub(crate) fn suspect(&self) {
        self.suspicious.store(true, Ordering::Relaxed);
    }

    /// librdkafka reports an error that belongs to no record.
    pub(crate) fn error(&self, error: &KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
        let mut inner = self.lock();
        match code {
            RDKafkaErrorCode::Fatal => inner.errors.fatal = true,
            RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SSL
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::UnsupportedSASLMechanism
            | RDKafkaErrorCode::ClusterAuthorizationFailed => inner.errors.refusal = Some(tidy(reason)),
            // Only says that every broker failed, not why; the reason came before.
            RDKafkaErrorCode::AllBrokersDown => {
                inner.errors.transport.get_or_insert_with(|| tidy(reason));
            }
            _ => inner.errors.transport = Some(tidy(reason)),
        }
        drop(inner);
        self.suspect();
    }

    /// librdkafka wrote a log line.
    pub(crate) fn line(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        let Some(repeats) = self.repeats(facility, text) else { return };
        let (who, text) = (&*self.who, tidy(text));
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(target: "librdkafka", client = who, facility, repeats, "{text}");
            }
            // A broker that is away is librdkafka's "error", and it keeps trying.
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
                tracing::warn!(target: "librdkafka", client = who, facility, repeats, "{text}");
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "librdkafka", client = who, facility, repeats, "{text}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", client = who, facility, "{text}"),
        }
    }

    /// How often the same line came unheard before this one; `None` when this one is to be swallowed too. Lines that
    /// differ in numbers only (durations, ports, counts) are the same.
    fn repeats(&self, facility: &str, text: &str) -> Option<u32> {
        let key: String = facility.chars().chain(text.chars().filter(|c| !c.is_ascii_digit())).collect();
        let now = Instant::now();
        let mut inner = self.lock();
        if let Some(line) = inner.lines.get_mut(&key) {
            if now.duration_since(line.told) < QUIET {
                line.swallowed += 1;
                return None;
            }
            line.told = now;
            return Some(std::mem::take(&mut line.swallowed));
        }
        if inner.lines.len() >= LINES {
            inner.lines.retain(|_, line| now.duration_since(line.told) < QUIET);
        }
        if inner.lines.len() < LINES {
            inner.lines.insert(key, Line { told: now, swallowed: 0 });
        }
        Some(0)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Texts and counts: usable whatever panicked while holding them.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Without librdkafka's thread name in front (`[thrd:sasl_ssl://host:9093/bootstrap]: …`).
pub(crate) fn without_thread(text: &str) -> &str {
    text.strip_prefix("[thrd:").and_then(|rest| rest.split_once("]: ")).map_or(text, |(_, rest)| rest).trim()
}

fn tidy(text: &str) -> String {
    without_thread(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_line_is_told_once() {
        let client_state = ClientState::new("orders/0".into());
        assert_eq!(client_state.repeats("FAIL", "Connect failed (after 0ms in state CONNECT)"), Some(0));
        assert_eq!(client_state.repeats("FAIL", "Connect failed (after 13ms in state CONNECT)"), None);
        assert_eq!(client_state.repeats("FAIL", "Disconnected"), Some(0));
    }

    #[test]
    fn the_reason_outlives_the_summary() {
        let client_state = ClientState::new("orders/0".into());
        client_state.error(
            &KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure),
            "[thrd:a:1/bootstrap]: a:1/bootstrap: Connection refused",
        );
        client_state.error(&KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        assert_eq!(client_state.errors().transport.as_deref(), Some("a:1/bootstrap: Connection refused"));
        assert!(client_state.take_suspicion());
        assert!(!client_state.take_suspicion());
    }

    #[test]
    fn lines_that_are_remembered_are_bounded() {
        let client_state = ClientState::new("orders/0".into());
        for number in 0..500 {
            let word: String = (0..9).map(|bit| if number >> bit & 1 == 0 { 'a' } else { 'b' }).collect();
            assert_eq!(client_state.repeats("FAIL", &word), Some(0));
        }
        assert_eq!(client_state.lock().lines.len(), LINES);
    }
}
