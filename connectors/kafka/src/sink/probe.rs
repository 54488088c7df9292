//! What stands in a sink's way.

use gantry_sdk::{Context, Result, probe::Obstacle};

use super::SinkOptions;
use crate::probe::{Cluster, Topic, on_a_thread};

/// Everything that stands in a sink's way.
pub(super) async fn probe(options: SinkOptions, context: Context) -> Result<Vec<Obstacle>> {
    on_a_thread(move || {
        let cluster = Cluster::reach(&options.connection, &context, "gantry-check")?;
        let Some(topic) = options.topic.as_literal() else { return Ok(Vec::new()) };
        Ok(match cluster.topic(topic)? {
            Topic::There => cluster.writing(topic)?.into_iter().collect(),
            Topic::Missing if options.declare.is_some() => Vec::new(),
            Topic::Missing => vec![cluster.missing(topic)],
            Topic::Denied => vec![cluster.denied(topic, "write", "Write")],
        })
    })
    .await
}
