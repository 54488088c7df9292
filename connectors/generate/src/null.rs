//! `null`: every record counts as delivered at once.

use async_trait::async_trait;
use gantry_sdk::{
    Batch, Opening, Result, Sink,
    plugin::{Context, SinkConfig},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// The options of the `null` sink: there are none.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {}

impl SinkConfig for Options {
    const CAN_REFUSE: bool = false;

    fn build(self, _: Context) -> Result<Opening<dyn Sink>> {
        Ok(Box::pin(async { Ok(Box::new(Null) as Box<dyn Sink>) }))
    }
}

/// Takes everything, keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Null;

#[async_trait]
impl Sink for Null {
    fn start(&mut self, batch: Batch) {
        batch.receipt.settle(batch.receipt.unsettled());
    }

    async fn ready(&mut self) -> Result<()> {
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    async fn close(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gantry_sdk::{Record, testkit::Courier};

    use super::*;

    #[tokio::test]
    async fn settles_every_record() {
        let mut courier = Courier::new();
        let mut sink = Null;
        for size in [1, 7, 500] {
            sink.put(courier.batch(vec![Record::default(); size])).await.unwrap();
        }
        let summary = courier.outcomes(Duration::from_secs(5)).await;
        assert_eq!((summary.delivered, summary.failed.len(), summary.abandoned), (508, 0, 0));
    }
}
