//! What every librdkafka client of ours shares: what it says of itself, and how it proves who it is.

mod chatter;
mod token;

pub(crate) use chatter::Chatter;
pub(crate) use token::TokenFile;
