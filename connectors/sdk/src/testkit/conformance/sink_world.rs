//! What the checks of a sink need of its system.

use async_trait::async_trait;

use crate::{Context, Opening, Record, Sink, SinkCapabilities};

/// The system that a sink writes to, with a place of its own for one check.
#[async_trait]
pub trait SinkWorld: Send {
    /// What its plugin says that the sink can do: `SINK.capabilities`. It is held to it.
    fn capabilities(&self) -> SinkCapabilities;

    /// What this system, or this world, cannot do.
    fn abilities(&self) -> SinkAbilities {
        SinkAbilities::default()
    }

    /// Opens a sink that writes there. Of the context, what is not the world's own business stays as it is.
    fn open(&mut self, context: Context) -> Opening<dyn Sink>;

    /// A record that arrives there as this number.
    fn record(&mut self, number: u64) -> Record {
        Record { value: Some(number.to_string().into()), ..Record::default() }
    }

    /// A record that can never be delivered there.
    fn refused(&mut self, _number: u64) -> Record {
        unreachable!("this world says that it refuses some records, and has none");
    }

    /// The numbers that have arrived there, all since the world was made, in the order in which they are there. Of transactions only
    /// what was committed.
    async fn arrived(&mut self) -> Vec<u64>;

    /// From now on nothing that the sink starts is settled: the other side is silent, or out of reach. The sink is open.
    async fn block(&mut self) {
        unreachable!("this world says that it can block, and does not");
    }

    /// All is well again.
    async fn unblock(&mut self) {
        unreachable!("this world says that it can unblock, and does not");
    }

    /// Ends the sink's connection, as a broken wire does. The next opening finds the system well.
    async fn cut(&mut self) {
        unreachable!("this world says that it can cut the connection, and does not");
    }
}

/// What a system can do with a sink. Everything, unless it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SinkAbilities {
    /// Some records can never be delivered there.
    pub refuses: bool,
    /// The world can block.
    pub blocks: bool,
    /// The world can unblock, and the sink that is open goes on.
    pub unblocks: bool,
    /// The world can cut the connection.
    pub can_be_cut: bool,
}

impl Default for SinkAbilities {
    fn default() -> Self {
        Self { refuses: true, blocks: true, unblocks: true, can_be_cut: true }
    }
}

impl SinkAbilities {
    /// It takes every record.
    #[must_use]
    pub const fn without_refusals(mut self) -> Self {
        self.refuses = false;
        self
    }

    /// Nothing can stand in its way.
    #[must_use]
    pub const fn without_blocking(mut self) -> Self {
        (self.blocks, self.unblocks) = (false, false);
        self
    }

    /// What was blocked stays so.
    #[must_use]
    pub const fn without_unblocking(mut self) -> Self {
        self.unblocks = false;
        self
    }

    /// There is no connection that could be cut.
    #[must_use]
    pub const fn without_cuts(mut self) -> Self {
        self.can_be_cut = false;
        self
    }
}
