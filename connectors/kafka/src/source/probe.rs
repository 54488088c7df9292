//! What stands in a source's way.

use gantry_sdk::{Context, Result, probe::Obstacle};

use super::SourceOptions;
use crate::{
    client::ANY_TOPIC,
    probe::{Cluster, Topic, on_a_thread},
};

/// Everything that stands in a source's way.
pub(super) async fn probe(options: SourceOptions, context: Context) -> Result<Vec<Obstacle>> {
    on_a_thread(move || {
        let group = options.group.clone().unwrap_or_else(|| format!("gantry-{}", context.bridge));
        let cluster = Cluster::reach(&options.connection, &context, &group)?;
        let mut found = Vec::new();
        for topic in options.named() {
            match cluster.topic(topic)? {
                Topic::There => found.extend(cluster.reading(topic)?),
                Topic::Missing => found.push(cluster.missing(topic)),
                Topic::Denied => found.push(cluster.denied(topic, "read", "Read")),
            }
        }
        // For exactly once its offsets are only read.
        let right = if context.exactly_once { "Describe" } else { "Read" };
        found.extend(cluster.using_group(&group, right, options.named().next().unwrap_or(ANY_TOPIC))?);
        Ok(found)
    })
    .await
}
