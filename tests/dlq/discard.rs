//! `gantry dlq discard`: only what was chosen is gone, wherever letters are, and nothing of it is sent.

use lapin::BasicProperties;

use crate::{
    ONLY_JSON, bridge,
    command::{count, dlq, first_id},
    kafka_letters, rabbit_letters,
    support::{gantry::Gantry, kafka, rabbit::Rabbit, unique},
};

/// Five letters in that place; the first, and two more, are discarded, the others replayed.
async fn discard_some(letters: &str) {
    let (queue, topic) = (unique("discard"), unique("discard"));
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    for number in 0..5 {
        rabbit.publish(&queue, format!("not json {number}").as_bytes(), BasicProperties::default()).await;
    }
    let gantry = Gantry::start(&bridge(&queue, ONLY_JSON, &topic, letters));
    rabbit.wait_until_empty(&queue).await;
    gantry.check_conservation("b");
    let config = gantry.directory().join("gantry.yaml");
    gantry.configure(&bridge(&queue, "", &topic, letters));

    let dry = dlq(&config, &["discard", "--dry-run"]);
    assert!(dry.code == Some(0) && dry.out.contains("5 letters to discard\ndry run"), "{dry:?}");
    let unasked = dlq(&config, &["discard"]);
    assert!(unasked.code == Some(2) && unasked.err.contains("--yes to discard them"), "{unasked:?}");
    assert_eq!(count(&config), 5, "nobody has said yes");
    let none = dlq(&config, &["discard", "--stage", "KAFKA_PRODUCE", "--yes"]);
    assert!(none.code == Some(0) && none.out.contains("nothing to discard"), "{none:?}");
    let one = dlq(&config, &["discard", "--id", &first_id(&config), "--yes"]);
    assert!(one.code == Some(0) && one.out.contains("1 of 1 discarded"), "{one:?}");
    let some = dlq(&config, &["discard", "--reason", "not JSON", "--limit", "2", "--yes"]);
    assert!(some.code == Some(0) && some.out.contains("2 of 2 discarded"), "{some:?}");
    assert_eq!(count(&config), 2);
    let rest = dlq(&config, &["replay", "--yes"]);
    assert!(rest.code == Some(0) && rest.out.contains("2 of 2 replayed: 2 delivered"), "{rest:?}");
    let values: Vec<_> = kafka::read_all(&topic).into_iter().filter_map(|record| record.value).collect();
    assert_eq!(values, [b"not json 3", b"not json 4"]);
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_a_queue_only_what_is_chosen_is_gone() {
    let (dead, rabbit) = (unique("dead"), Rabbit::connect().await);
    discard_some(&rabbit_letters(&dead)).await;
    assert_eq!(rabbit.ready(&dead).await, 0);
    rabbit.delete(&dead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_topic_only_what_is_chosen_is_marked() {
    let dead = unique("dead");
    kafka::create_topic(&dead, 1).await;
    discard_some(&kafka_letters(&dead)).await;
    let bodies = kafka::read_all(&dead).into_iter().filter(|record| record.value.is_some()).count();
    assert_eq!(bodies, 5, "a topic keeps what is discarded");
    kafka::delete_topic(&dead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_file_only_what_is_chosen_is_marked() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("dead.jsonl");
    std::fs::write(&path, "{\"somebody\":\"wrote this\"}\n").expect("writing");
    let letters = format!("{{ file: {{ path: {} }} }}", path.display());
    // A line that is no letter is discarded like one; `list` names it again otherwise.
    let gantry = Gantry::start(&bridge("none", "", "none", &letters));
    let config = gantry.directory().join("gantry.yaml");
    let unreadable = dlq(&config, &["discard", "--yes"]);
    assert!(unreadable.code == Some(0) && unreadable.out.contains("1 of 1 discarded"), "{unreadable:?}");
    assert_eq!(count(&config), 0);
    drop(gantry);
    discard_some(&letters).await;
}
