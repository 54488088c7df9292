//! What waits in the queues, said now and then.

use gantry_sdk::{Depth, QueueDepth, plugin::Context, testkit};
use serde_json::json;

use crate::support::{Rabbit, closed, opened, source_with, tending, until, within};

#[tokio::test]
async fn the_first_task_says_how_many_messages_wait_in_each_queue() {
    let rabbit = Rabbit::connect().await;
    let (full, empty) = (rabbit.queue("deep").await, rabbit.queue("empty").await);
    rabbit.publish_numbers(&full, 0..10).await;
    let options = json!({ "queues": [full.name, empty.name], "prefetch": 1 });
    let (depth, of_other) = (Depth::default(), Depth::default());
    let context = |task, depth: &Depth| Context { task, depth: depth.clone(), ..testkit::context() };
    let mut source = opened(source_with(options.clone(), context(0, &depth))).await;
    let said = |queue: &str, records| QueueDepth { queue: queue.into(), records };
    // The consumer holds one.
    let expected = vec![said(&full.name, 9), said(&empty.name, 0)];
    tending(&mut *source, until(expected, async || depth.get())).await;

    let mut other = opened(source_with(options, context(1, &of_other))).await;
    assert!(
        within("tending", async {
            tokio::time::timeout(std::time::Duration::from_millis(300), other.watch_connection()).await
        })
        .await
        .is_err()
    );
    assert_eq!(of_other.get(), []);
    closed(other.close()).await;
    closed(source.close()).await;
    assert_eq!(depth.get(), [], "nobody knows any more");
}
