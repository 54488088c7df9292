//! What can go wrong in the world, and how likely it is.

/// A call into a connector, that may never return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Call {
    OpenSink,
    OpenSource,
    Poll,
    Put,
    PutDeadLetter,
    Commit,
    CommitTransaction,
    Hold,
    Reject,
    Suspend,
    Resume,
    GiveBack,
    CloseSource,
    CloseSink,
}

impl Call {
    pub(super) const ALL: [Self; 14] = [
        Self::OpenSink,
        Self::OpenSource,
        Self::Poll,
        Self::Put,
        Self::PutDeadLetter,
        Self::Commit,
        Self::CommitTransaction,
        Self::Hold,
        Self::Reject,
        Self::Suspend,
        Self::Resume,
        Self::GiveBack,
        Self::CloseSource,
        Self::CloseSink,
    ];
}

/// One in how many times each happens; 0: never.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Misfortune {
    /// The broker refuses a connection.
    pub(super) refused_source: usize,
    /// What it is asked for is not there, or not for us.
    pub(super) not_there: usize,
    /// The destination refuses a connection.
    pub(super) refused_sink: usize,
    /// The connection ends at a poll.
    pub(super) cut: usize,
    /// It ends while nobody polls.
    pub(super) cut_unpolled: usize,
    /// A connector panics.
    pub(super) panic: usize,
    /// A record fails for now, and everything behind it.
    pub(super) broken: usize,
    /// A receipt is dropped without an answer.
    pub(super) forgotten: usize,
    /// A receipt is kept for ever.
    pub(super) lost: usize,
    /// The destination ends a put.
    pub(super) failed_put: usize,
    /// A transaction is not committed, or is, and nobody is told.
    pub(super) failed_commit: usize,
    /// The source cannot give back and stay open.
    pub(super) one_way: usize,
    /// The destination goes out of reach for a while.
    pub(super) outage: usize,
    /// A call never returns; more often for those that are rare.
    hang: usize,
}

impl Misfortune {
    /// Everything, with `hangs` also what only a stall time-out ends.
    pub(super) const fn all(hangs: bool) -> Self {
        Self {
            refused_source: 10,
            not_there: 20,
            refused_sink: 15,
            cut: 60,
            cut_unpolled: 20,
            panic: 200,
            broken: 700,
            forgotten: 150,
            lost: if hangs { 700 } else { 0 },
            failed_put: 200,
            failed_commit: 40,
            one_way: 3,
            outage: 150,
            hang: if hangs { 400 } else { 0 },
        }
    }

    pub(super) const fn hang(&self, call: Call) -> usize {
        match call {
            Call::Poll | Call::Put | Call::Commit => self.hang,
            Call::Resume => self.hang / 100,
            _ => self.hang / 10,
        }
    }
}
