//! What the checks of a source need of its system.

use std::ops::RangeInclusive;

use async_trait::async_trait;

use crate::{Context, Opening, Source, SourceCapabilities};

/// The system that a source reads, with a place of its own for one check.
#[async_trait]
pub trait SourceWorld: Send {
    /// What its plugin says that the source can do: `SOURCE.capabilities`. It is held to it.
    fn capabilities(&self) -> SourceCapabilities;

    /// What this system, or this world, cannot do.
    fn abilities(&self) -> SourceAbilities {
        SourceAbilities::default()
    }

    /// Puts records whose bodies are these numbers, in decimal, where the source reads. They are there when it returns. The records of
    /// a lane are in order; where there are several lanes each gets some. The first number is 1, each call goes on behind the last.
    async fn put(&mut self, numbers: RangeInclusive<u64>);

    /// Opens a source that reads there, the next one behind what the last one has committed. Of the context, what is not the world's
    /// own business stays as it is.
    fn open(&mut self, context: Context) -> Opening<dyn Source>;

    /// Ends the source's connection, as a broken wire does. The next opening finds the system well.
    async fn cut(&mut self) {
        unreachable!("this world says that it can cut the connection, and does not");
    }

    /// The source's connection stays, and nothing passes any more.
    async fn fall_silent(&mut self) {
        unreachable!("this world says that it can fall silent, and does not");
    }
}

/// What a system can do with a source. Everything, unless it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceAbilities {
    /// What is not committed comes again from the next source.
    pub replays: bool,
    /// What is put while a source is open reaches it.
    pub is_live: bool,
    /// The world can cut the connection, and the source ends by it.
    pub can_be_cut: bool,
    /// The world can make the other side fall silent.
    pub can_fall_silent: bool,
}

impl Default for SourceAbilities {
    fn default() -> Self {
        Self { replays: true, is_live: true, can_be_cut: true, can_fall_silent: true }
    }
}

impl SourceAbilities {
    /// What is not committed is gone.
    #[must_use]
    pub const fn without_replay(mut self) -> Self {
        self.replays = false;
        self
    }

    /// A source sees what was there when it was opened.
    #[must_use]
    pub const fn without_life(mut self) -> Self {
        self.is_live = false;
        self
    }

    /// There is no connection that could be cut, or its end is not the source's.
    #[must_use]
    pub const fn without_cuts(mut self) -> Self {
        self.can_be_cut = false;
        self
    }

    /// There is nobody who could fall silent.
    #[must_use]
    pub const fn without_silence(mut self) -> Self {
        self.can_fall_silent = false;
        self
    }
}
