//! One queue into two topics and a queue: each record is settled when all that it goes to have it.

use std::process::Command;

use crate::{
    bridges, from_queue,
    support::{
        SOON, bootstrap_servers, eventually,
        gantry::Gantry,
        kafka::{self, Cluster, Stored},
        oracle,
        rabbit::Rabbit,
        unique,
    },
};

const MESSAGES: u64 = 300;
/// One topic takes no messages that are larger.
const LIMIT: &str = "500000";
const TOO_LARGE: usize = 600_000;
/// The numbers of those that are too large for it.
const REFUSED: std::ops::Range<u64> = 100..110;

/// What the bridge reads and writes.
struct Places {
    input: String,
    all: String,
    some: String,
    copy: String,
    dead: String,
}

impl Places {
    async fn new(rabbit: &Rabbit, limit: &str) -> Self {
        let [input, all, some, copy, dead] =
            ["in", "all", "some", "copy", "dead"].map(|it| unique(&format!("fan-{it}")));
        rabbit.queue(&input).await;
        rabbit.queue(&copy).await;
        kafka::create_topic_with(&all, 1, &[("max.message.bytes", limit)]).await;
        kafka::create_topic(&some, 1).await;
        kafka::create_topic(&dead, 1).await;
        Self { input, all, some, copy, dead }
    }

    fn yaml(&self, when: &str) -> String {
        let Self { input, all, some, copy, dead } = self;
        let sinks = format!(
            "sinks:
      - kafka: {{ connection: events, topic: {all} }}
      - kafka: {{ connection: events, topic: {some} }}
        when: {when}
      - rabbitmq: {{ connection: rabbit, queue: {copy} }}"
        );
        let letters = format!("errors: {{ dead_letter: {{ kafka: {{ connection: events, topic: {dead} }} }} }}");
        bridges(&[("b", &from_queue(input), "SINK", &letters)]).replace("sink: { SINK }", &sinks)
    }

    async fn delete(self, rabbit: &Rabbit) {
        rabbit.delete(&self.input).await;
        rabbit.delete(&self.copy).await;
        for topic in [&self.all, &self.some, &self.dead] {
            kafka::delete_topic(topic).await;
        }
    }
}

fn numbers(stored: &[Stored]) -> Vec<u64> {
    stored.iter().map(oracle::sequence_of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_reaches_two_topics_and_a_queue_each_once_in_order() {
    let rabbit = Rabbit::connect().await;
    let places = Places::new(&rabbit, "1048588").await;
    rabbit.publish_sequence(&places.input, 0, MESSAGES, 200).await;
    let mut gantry = Gantry::start(&places.yaml("{ keep: { field: value.seq, less_than: 100 } }"));
    rabbit.wait_until_empty(&places.input).await;
    gantry.check_conservation("b");
    for (metric, expected) in [("out", MESSAGES), ("filtered", 0), ("dead_lettered", 0)] {
        let counted = gantry.metric(&format!("gantry_records_{metric}_total"), "b").unwrap_or_default();
        assert_eq!(counted, expected as f64, "{metric}: a record counts once, however many sinks have it");
    }
    let view = gantry.bridge("b").expect("the bridge");
    assert_eq!(view["sink"], "kafka");
    assert_eq!(view["sinks"][1], serde_json::json!({ "name": "kafka", "conditional": true }));
    assert_eq!(view["sinks"][2], serde_json::json!({ "name": "rabbitmq", "conditional": false }));
    assert!(gantry.terminate().await.success());

    assert_eq!(oracle::assert_nothing_lost(&kafka::read_all(&places.all), MESSAGES).duplicates, 0);
    assert_eq!(oracle::assert_nothing_lost(&rabbit.take_stored(&places.copy).await, MESSAGES).duplicates, 0);
    assert_eq!(numbers(&kafka::read_all(&places.some)), (0..100).collect::<Vec<_>>());
    assert_eq!(kafka::read_all(&places.dead).len(), 0);
    places.delete(&rabbit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_sink_refuses_is_one_dead_letter_and_a_replay_goes_to_all_again() {
    let rabbit = Rabbit::connect().await;
    let places = Places::new(&rabbit, LIMIT).await;
    rabbit.publish_sequence(&places.input, 0, REFUSED.start, 200).await;
    rabbit.publish_sequence(&places.input, REFUSED.start, REFUSED.end, TOO_LARGE).await;
    rabbit.publish_sequence(&places.input, REFUSED.end, MESSAGES, 200).await;
    let gantry = Gantry::start(&places.yaml("{ drop: { field: value.seq, equals: 105 } }"));
    rabbit.wait_until_empty(&places.input).await;
    gantry.check_conservation("b");
    let refused = REFUSED.end - REFUSED.start;
    for (metric, expected) in [("out", MESSAGES - refused), ("dead_lettered", refused)] {
        assert_eq!(gantry.metric(&format!("gantry_records_{metric}_total"), "b"), Some(expected as f64), "{metric}");
    }

    let verdict = oracle::judge(&kafka::read_all(&places.all), MESSAGES);
    assert_eq!((verdict.missing, verdict.duplicates, verdict.reordered), (REFUSED.collect(), 0, 0));
    let verdict = oracle::judge(&kafka::read_all(&places.some), MESSAGES);
    assert_eq!((verdict.missing, verdict.duplicates, verdict.reordered), (vec![105], 0, 0));
    assert_eq!(oracle::assert_nothing_lost(&rabbit.take_stored(&places.copy).await, MESSAGES).duplicates, 0);
    let letters = kafka::read_all(&places.dead);
    assert_eq!(numbers(&letters), REFUSED.collect::<Vec<_>>());
    assert!(letters.iter().all(|letter| letter.header("__connect.errors.class.name").as_deref() == Some("kafka")));

    // Mended, the letters go to all sinks again.
    let config = gantry.directory().join("gantry.yaml");
    let replay = |option: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gantry"));
        command.args(["dlq", "replay", "b", option, "-c"]).arg(&config);
        let output = command.output().expect("running gantry");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    Cluster::at(&bootstrap_servers(), 1).alter_topic(&places.all, &[("max.message.bytes", "1048588")]).await;
    assert!(replay("--dry-run").contains("10 would go to the sink"));
    assert_eq!(kafka::count(&places.some), Some(299), "a dry run sends nothing, to none of the sinks");
    assert!(replay("--yes").contains("10 delivered"));
    let verdict = oracle::judge(&kafka::read_all(&places.all), MESSAGES);
    assert_eq!((verdict.missing.len(), verdict.duplicates), (0, 0));
    assert_eq!(oracle::judge(&kafka::read_all(&places.some), MESSAGES).duplicates, 9);
    assert_eq!(numbers(&rabbit.take_stored(&places.copy).await), REFUSED.collect::<Vec<_>>());
    drop(gantry);
    places.delete(&rabbit).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_is_away_holds_up_what_the_others_have_and_gets_it_when_it_is_back() {
    let (input, copy, away) = (unique("fan-in"), unique("fan-copy"), unique("fan-away"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&input).await;
    rabbit.queue(&copy).await;
    let elsewhere = kafka::Mock::start(&[&away], 1);
    let sinks = format!(
        "sinks:\n      - kafka: {{ connection: {}, topic: {away} }}\n      - rabbitmq: {{ connection: rabbit, queue: {copy} }}",
        elsewhere.connection()
    );
    let yaml = bridges(&[("b", &from_queue(&input), "SINK", "")]).replace("sink: { SINK }", &sinks);
    let gantry = Gantry::ready(&yaml).await;
    elsewhere.go_away();
    rabbit.publish_sequence(&input, 0, MESSAGES, 200).await;
    eventually("the other sink has all of it", SOON, async || {
        (rabbit.ready(&copy).await == MESSAGES as u32).then_some(())
    })
    .await;
    gantry.check_conservation("b");
    let out = gantry.metric("gantry_records_out_total", "b").unwrap_or_default();
    assert_eq!(out, 0.0, "nothing is settled that one of the sinks does not have");
    gantry.wait_until_not_ready("sinks[0] unreachable").await;

    elsewhere.come_back();
    rabbit.wait_until_empty(&input).await;
    gantry.check_conservation("b");
    assert_eq!(oracle::assert_nothing_lost(&elsewhere.read_all(&away), MESSAGES).duplicates, 0);
    assert_eq!(oracle::assert_nothing_lost(&rabbit.take_stored(&copy).await, MESSAGES).duplicates, 0);
    rabbit.delete(&input).await;
    rabbit.delete(&copy).await;
}
