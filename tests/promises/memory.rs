//! Memory is bounded, whatever waits at the source and however long the sink takes nothing.
//!
//! Each test makes far more bytes wait than it lets the process hold, while Kafka is away: a process that buffers what it is
//! given would hold all of them. Then one with a Kafka that is there moves them, and none is missing.

use lapin::BasicProperties;

use crate::support::{
    self, SOON, eventually,
    gantry::Gantry,
    kafka::{self, Stored},
    oracle,
    rabbit::Rabbit,
    unique, while_it_goes_on,
};

const MIB: u64 = 1 << 20;

/// The optimised-a-little binary with its libraries, one connection to each broker and their threads: measured at some
/// 40 MiB. What a bound has above this and the bytes it allows is the allocator's.
const AT_REST: u64 = 60 * MIB;

/// A process with these limits, and bridges that are written below `bridges:`. The connection `kafka` is to the real one.
fn process(limits: &str, bridges: &str) -> String {
    format!(
        r#"limits: {{ {limits} }}
connections:
  rabbit: {{ rabbitmq: {{ urls: ["{}"] }} }}
  events: {{ kafka: {{ bootstrap_servers: "{}" }} }}
bridges:
{bridges}"#,
        support::amqp_url(),
        support::bootstrap_servers(),
    )
}

/// A bridge that writes to the real Kafka, or to one that is not.
fn bridge(name: &str, queue: &str, (connection, sink): (&str, &str), limits: &str) -> String {
    format!(
        r#"  {name}:
    source: {{ rabbitmq: {{ connection: rabbit, queue: {queue} }} }}
    sink: {{ kafka: {{ connection: {connection}, {sink} }} }}
    limits: {{ {limits} }}
"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_a_queue_that_grows_without_end_stays_in_rabbitmq() {
    const MESSAGES: u64 = 100_000;
    let (queue, topic) = (unique("endless"), unique("endless"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    let (away, sink) = (kafka::Mock::start(&[&topic], 1), format!("topic: {topic}"));
    let yaml = |connection: &str| {
        process("in_flight_bytes: 64MiB", &bridge("b", &queue, (connection, &sink), "in_flight: 10000"))
    };
    let mut gantry = Gantry::ready(&yaml(&away.connection())).await;
    away.go_away();
    // All the while the bridge could take them.
    rabbit.publish_sequence(&queue, 0, MESSAGES, 100).await;
    let ready = u64::from(rabbit.ready(&queue).await);
    // RabbitMQ counts a prefetch anew when the source raises it, so it is twice that at most.
    assert!(ready >= MESSAGES - 2 * 2_000, "no more than the prefetch has left the queue: {ready} are ready");
    // A delivery with its properties takes about 1 KiB in the client and 1 KiB in the record: all of them some 200 MiB, a
    // prefetch of them 4 MiB.
    assert_peak(&gantry, AT_REST + 60 * MIB);
    gantry.check_conservation("b");
    gantry.kill();

    let gantry = Gantry::start(&yaml("events"));
    rabbit.wait_until_empty(&queue).await;
    oracle::assert_nothing_lost(&kafka::read_all(&topic), MESSAGES);
    assert_peak(&gantry, AT_REST + 60 * MIB);
    gantry.check_conservation("b");
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}

#[track_caller]
fn assert_peak(gantry: &Gantry, at_most: u64) {
    let peak = gantry.peak_bytes();
    println!("{} of {} MiB", peak / MIB, at_most / MIB);
    assert!(peak < at_most, "{} MiB, and {} are allowed", peak / MIB, at_most / MIB);
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_huge_bodies_are_bounded_by_their_bytes() {
    const MESSAGES: u64 = 40;
    // All bodies together are 640 MiB. Held at a time are three of them, each once here and once in librdkafka, and as many
    // on their way in from RabbitMQ.
    const BOUND: u64 = AT_REST + 200 * MIB;
    let (queue, topic) = (unique("huge"), unique("huge"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic_with(&topic, 1, &[("max.message.bytes", "20000000")]).await;
    let away = kafka::Mock::start(&[&topic], 1);
    let sink = format!("topic: {topic}, properties: {{ message.max.bytes: 20000000 }}");
    let yaml = |connection: &str| {
        process("in_flight_bytes: 256MiB", &bridge("b", &queue, (connection, &sink), "in_flight_bytes: 32MiB"))
    };
    let mut gantry = Gantry::ready(&yaml(&away.connection())).await;
    away.go_away();
    rabbit.publish_sequence(&queue, 0, MESSAGES, 16 << 20).await;
    let in_flight = eventually("some are in flight", SOON, async || {
        gantry.metric("gantry_bytes_in_flight", "b").filter(|bytes| *bytes > 0.0)
    })
    .await;
    // What may be in flight, and the last record of a poll.
    assert!(in_flight <= (32 + 17) as f64 * MIB as f64, "{in_flight} bytes are in flight");
    assert_peak(&gantry, BOUND);
    gantry.check_conservation("b");
    gantry.kill();

    let gantry = Gantry::start(&yaml("events"));
    rabbit.wait_until_empty(&queue).await;
    assert_peak(&gantry, BOUND);
    oracle::assert_nothing_lost(&kafka::read_each(&topic, without_padding), MESSAGES);
    gantry.check_conservation("b");
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}

/// The same record with a body that is looked at and fits in memory.
fn without_padding(record: Stored) -> Stored {
    let size = record.value.as_ref().map_or(0, Vec::len);
    let sequence = oracle::sequence_of(&record);
    assert_eq!(record.value.as_deref(), Some(oracle::body(sequence, size).as_slice()));
    Stored { value: Some(oracle::body(sequence, 0)), ..record }
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_a_hundred_bridges_share_one_budget_and_all_move() {
    const BRIDGES: u64 = 100;
    const EACH: u64 = 200;
    const SIZE: usize = 20 << 10;
    let topic = unique("hundred");
    let rabbit = Rabbit::connect().await;
    let partitions = i32::try_from(BRIDGES).expect("few");
    kafka::create_topic(&topic, partitions).await;
    let away = kafka::Mock::start(&[&topic], partitions);
    let queues: Vec<_> = (0..BRIDGES).map(|_| unique("hundred")).collect();
    for queue in &queues {
        rabbit.queue(queue).await;
    }
    let yaml = |connection: &str| {
        let bridge = |(number, queue): (usize, &String)| {
            bridge(&format!("b{number}"), queue, (connection, &format!("topic: {topic}, partition: \"{number}\"")), "")
        };
        process("in_flight_bytes: 32MiB", &queues.iter().enumerate().map(bridge).collect::<String>())
    };
    let mut gantry = Gantry::ready(&yaml(&away.connection())).await;
    away.go_away();
    let at_rest = gantry.peak_bytes();
    for (number, queue) in (0..).zip(&queues) {
        rabbit.publish_sequence(queue, number * EACH, (number + 1) * EACH, SIZE).await;
    }
    eventually("every bridge holds something", SOON, async || {
        let (_, metrics) = gantry.get("/metrics")?;
        let held = of_all(&metrics, "gantry_bytes_in_flight{");
        let most = 32 * MIB + BRIDGES * SIZE as u64 * 2;
        assert!(held.iter().sum::<f64>() <= most as f64, "the whole, and one record for each: {held:?}");
        (held.len() as u64 == BRIDGES && held.iter().all(|bytes| *bytes > 0.0)).then_some(())
    })
    .await;
    // 400 MiB wait. 32 MiB of them are in flight, each once here and once in librdkafka, and as many more are on their way
    // in from RabbitMQ. At rest a hundred connections to each broker take much more than that.
    assert_peak(&gantry, at_rest + 120 * MIB);
    gantry.kill();

    let gantry = Gantry::start(&yaml("events"));
    let all = i64::try_from(BRIDGES * EACH).expect("few");
    while_it_goes_on("all are settled", SOON, all, async || {
        let (_, metrics) = gantry.get("/metrics")?;
        Some(of_all(&metrics, "gantry_records_out_total{").iter().sum::<f64>() as i64)
    })
    .await;
    for (number, queue) in queues.iter().enumerate() {
        gantry.check_conservation(&format!("b{number}"));
        rabbit.delete(queue).await;
    }
    oracle::assert_nothing_lost(&kafka::read_each(&topic, without_padding), BRIDGES * EACH);
    kafka::delete_topic(&topic).await;
}

/// The values of all series that begin so.
fn of_all(metrics: &str, start: &str) -> Vec<f64> {
    let lines = metrics.lines().filter(|line| line.starts_with(start));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_a_bridge_whose_sink_is_down_starves_no_other() {
    const MESSAGES: u64 = 2_000;
    let (queue, topic) = (unique("moving"), unique("moving"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    let (away, sink) = (kafka::Mock::start(&[&topic], 1), format!("topic: {topic}"));
    // It makes as much as it may, at once, and no limit of its own is below the whole.
    let stuck = format!(
        r#"  stuck:
    source: {{ generate: {{ size: 20KiB, count: {MESSAGES} }} }}
    sink: {{ kafka: {{ connection: {}, {sink} }} }}
"#,
        away.connection()
    );
    let moving = bridge("moving", &queue, ("events", &sink), "");
    let gantry = Gantry::start(&process("in_flight_bytes: 4MiB", &(moving + &stuck)));
    // As soon as it is open: what was delivered by then does not matter.
    eventually("the bridge runs", SOON, async || gantry.task("stuck").filter(|(state, _)| state == "running")).await;
    away.go_away();
    let held = async || gantry.metric("gantry_bytes_in_flight", "stuck");
    // Its share is 1 MiB and the pool 2 MiB.
    let full = 2.9 * MIB as f64;
    eventually("it has filled its share and the pool", SOON, async || held().await.filter(|held| *held > full)).await;

    rabbit.publish_sequence(&queue, 0, MESSAGES, 20 << 10).await;
    rabbit.wait_until_empty(&queue).await;
    assert_eq!(oracle::assert_nothing_lost(&kafka::read_all(&topic), MESSAGES).duplicates, 0);
    let held = held().await.expect("a number");
    assert!((full..=3.1 * MIB as f64).contains(&held), "its share and the pool all the while, and not more: {held}");

    away.come_back();
    eventually("the other one goes on", SOON, async || {
        (gantry.metric("gantry_records_out_total", "stuck") == Some(MESSAGES as f64)).then_some(())
    })
    .await;
    for bridge in ["stuck", "moving"] {
        gantry.check_conservation(bridge);
    }
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_a_body_larger_than_all_limits_still_moves() {
    let (queue, topic) = (unique("larger"), unique("larger"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    rabbit.publish_sequence(&queue, 0, 20, 500_000).await;
    let bridge =
        bridge("b", &queue, ("events", &format!("topic: {topic}")), "in_flight_bytes: 1KiB, batch_bytes: 1KiB");
    let gantry = Gantry::start(&process("in_flight_bytes: 1KiB", &bridge));
    rabbit.wait_until_empty(&queue).await;
    assert_eq!(oracle::assert_nothing_lost(&kafka::read_all(&topic), 20).duplicates, 0);
    gantry.check_conservation("b");
    rabbit.publish(&queue, b"", BasicProperties::default()).await;
    rabbit.wait_until_empty(&queue).await;
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}
