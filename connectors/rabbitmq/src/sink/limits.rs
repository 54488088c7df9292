//! What RabbitMQ takes, as far as it is known: from the handshake, and from what it refused.

use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering},
};

/// RabbitMQ's own limit, whatever `max_message_size` says (`rabbit.hrl`, `MAX_MSG_SIZE`).
const MOST_BYTES: usize = 512 << 20;

/// SinkContext by the channels of a sink.
#[derive(Debug)]
pub(super) struct Limits {
    /// Bytes of a body.
    body: AtomicUsize,
    /// The name that we logged in with, where one was sent.
    login: Option<String>,
    /// The only `user_id` that it takes, as it has said itself.
    user: OnceLock<String>,
    /// Bytes of a frame, 0 for any: properties and headers have to fit in one (AMQP 0-9-1 §2.3.5).
    pub frame: usize,
}

impl Limits {
    pub(super) const fn new(frame: usize, login: Option<String>) -> Self {
        Self { body: AtomicUsize::new(MOST_BYTES), login, user: OnceLock::new(), frame }
    }

    pub(super) fn body(&self) -> usize {
        self.body.load(Ordering::Relaxed)
    }

    /// The only `user_id` that it takes, as far as that is known: a token's name is another than the one it was sent with.
    pub(super) fn user(&self) -> Option<&str> {
        self.only_user().or(self.login.as_deref())
    }

    /// The same, only if RabbitMQ itself has refused another: some users may send any (its tag `impersonator`).
    pub(super) fn only_user(&self) -> Option<&str> {
        self.user.get().map(String::as_str)
    }

    /// Takes a limit out of the text with which RabbitMQ closed a channel (`rabbit_channel.erl`); says whether it told one that
    /// was not known.
    pub(super) fn learn(&self, text: &str) -> bool {
        if let Some(size) = text.split("larger than configured max size ").nth(1).and_then(number) {
            return self.body.swap(size, Ordering::Relaxed) != size;
        }
        match text.split("but authenticated user was '").nth(1).and_then(|rest| rest.strip_suffix('\'')) {
            Some(user) => self.user.set(user.to_owned()).is_ok(),
            None => false,
        }
    }
}

fn number(text: &str) -> Option<usize> {
    text.split(|other: char| !other.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_tells_a_limit_once() {
        let limits = Limits::new(131_072, Some("guest".to_owned()));
        assert_eq!((limits.user(), limits.only_user()), (Some("guest"), None));
        let size = "PRECONDITION_FAILED - message size 20000000 is larger than configured max size 16777216";
        assert!(limits.learn(size) && !limits.learn(size));
        assert_eq!(limits.body(), 16_777_216);
        let user = "PRECONDITION_FAILED - user_id property set to 'mallory' but authenticated user was 'o'hara'";
        assert!(limits.learn(user) && !limits.learn(user));
        assert_eq!(limits.user(), Some("o'hara"));
        assert!(!limits.learn("NOT_FOUND - no exchange 'x' in vhost '/'"));
    }
}
