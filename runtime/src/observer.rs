//! Who hears what tasks do, as it happens. What they have counted is in their [status](crate::status).

use std::{fmt, sync::Arc, time::Duration};

/// Hears of all tasks of the process.
pub trait Observer: fmt::Debug + Send + Sync {
    /// Who hears of that task. A task that starts again goes on with the same.
    fn task(&self, bridge: &str, task: u32) -> Arc<dyn TaskObserver>;

    /// The task has ended for good.
    fn forget(&self, bridge: &str, task: u32);
}

/// Hears of one task. Called on the data path, once a batch.
pub trait TaskObserver: fmt::Debug + Send + Sync {
    /// A batch came in, of so many records and bytes.
    fn received(&self, records: usize, bytes: usize);

    /// Everything of a batch is settled, so long after it came in.
    fn settled(&self, after: Duration);
}

/// For who needs none.
impl Observer for () {
    fn task(&self, _bridge: &str, _task: u32) -> Arc<dyn TaskObserver> {
        Arc::new(())
    }

    fn forget(&self, _bridge: &str, _task: u32) {}
}

impl TaskObserver for () {
    fn received(&self, _records: usize, _bytes: usize) {}

    fn settled(&self, _after: Duration) {}
}
