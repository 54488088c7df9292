//! Names that are not UTF-8, which the client library cannot read.

use gantry_sdk::Value;
use lapin::{options::QueueBindOptions, types::FieldTable};
use serde_json::json;

use crate::support::{Rabbit, closed, commit, open, publish_raw, raw, records};

#[tokio::test]
async fn i5_a_message_whose_names_are_not_utf8_arrives_in_its_place() {
    let rabbit = Rabbit::connect().await;
    let queue = rabbit.queue("escape").await;
    // The client library binds with UTF-8 only; a fanout takes whatever key.
    let (name, exchange) = (queue.name.as_str().into(), "amq.fanout".into());
    let bound =
        rabbit.channel.queue_bind(name, exchange, "".into(), QueueBindOptions::default(), FieldTable::default());
    bound.await.expect("both are there");
    rabbit.publish_numbers(&queue, 0..3).await;
    let field = [&raw::short(b"t\xffx")[..], b"S", &raw::long(b"\xfe\xff")].concat();
    // Headers, delivery mode, message id.
    let flags: u16 = 1 << 13 | 1 << 12 | 1 << 7;
    let properties = [&flags.to_be_bytes()[..], &raw::long(&field), &[2], &raw::short(b"caf\xe9")].concat();
    publish_raw(b"amq.fanout", b"\xff\xfe.50%", &properties, b"odd").await;
    rabbit.publish_numbers(&queue, 3..6).await;

    let mut source = open(json!({ "queue": queue.name })).await;
    let (all, last) = records(&mut *source, 7).await;
    let bodies: Vec<_> = all.iter().map(|record| record.value.clone().expect("it has a body")).collect();
    assert_eq!(bodies, ["0", "1", "2", "odd", "3", "4", "5"]);
    let odd = &all[3];
    assert_eq!(odd.origin.text("routing_key").map(|text| &**text), Some("%FF%FE.50%25"));
    assert_eq!(odd.properties().message_id.as_deref(), Some("caf%E9"));
    assert_eq!(odd.headers.get("t%FFx"), Some(&Value::String(b"\xfe\xff".as_slice().into())));
    commit(&mut *source, 0, &last).await;
    closed(source.close()).await;
    assert_eq!(rabbit.ready(&queue).await, 0);
}
