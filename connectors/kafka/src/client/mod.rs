//! What every librdkafka client of ours shares: what it says of itself, and how it proves who it is.

mod chatter;
mod handshake;
mod token;
mod voice;

pub(crate) use chatter::Chatter;
pub(crate) use handshake::Trust;
pub(crate) use token::{Oidc, Origin, TokenSource};
pub(crate) use voice::Voice;
