//! What every librdkafka client of ours shares: what it says of itself, and how it proves who it is.

mod brokers;
mod client_context;
mod client_state;
mod handshake;
mod token;

use std::time::Duration;

pub(crate) use brokers::ask_for_statistics;
pub(crate) use client_context::BaseContext;
pub(crate) use client_state::{ClientState, without_thread};
pub(crate) use handshake::Trust;
pub(crate) use token::{Oidc, Origin, TokenSource};

/// A topic to ask for when any answer will do. No cluster creates it by being asked: that is switched off.
pub(crate) const ANY_TOPIC: &str = "__consumer_offsets";

/// A login that fails for so long will not come back by itself: a new instance reads passwords and files anew.
pub(crate) const LOCKED_OUT: Duration = Duration::from_secs(10);
