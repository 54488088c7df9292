//! What the sink says of a record that somebody waits for: where it lies now.

use std::{collections::BTreeMap, sync::Arc};

use gantry_sdk::{
    Batch, Delivered, Epoch, Lane, Ledger, Record, Sink,
    receipt::{self, Outcome, Outlet},
};
use serde_json::json;

use crate::support::{DEADLINE, Topic, context, open, options, record};

/// Puts one batch and waits for its outcome.
async fn outcome(sink: &mut dyn Sink, records: Vec<Record>, wants_answers: bool) -> Outcome {
    let (sender, mut outcomes) = receipt::outcomes();
    let mut ledger = Ledger::new(Lane(0), Epoch(1), sender);
    let sequence = ledger.open(1.into(), ());
    let count = records.len().try_into().unwrap();
    let receipt = ledger.part(sequence, Outlet::Sink(0), count, wants_answers).unwrap();
    sink.put(Batch { records: Arc::new(records), receipt, checkpoint: None }).await.unwrap();
    tokio::time::timeout(DEADLINE, outcomes.recv()).await.expect("an outcome comes").unwrap()
}

/// Each with its own text, to the partition that its key names.
fn records(texts: std::ops::Range<usize>) -> Vec<Record> {
    texts.map(|text| record((text % 3).to_string(), text.to_string())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_record_has_its_place_before_it_is_settled() {
    let topic = Topic::new("answers", 3, &[("max.message.bytes", "2000")]).await;
    let mut sink = open(&options(&topic.name, json!({ "partition": "{key}" })), context()).await;
    let unanswered = outcome(&mut *sink, records(0..10), false).await;
    assert_eq!((unanswered.answers.len(), unanswered.failures.len()), (0, 0));
    let mut wanted = records(10..100);
    wanted.insert(40, record("0", "x".repeat(3_000)));
    let texts: Vec<_> = wanted.iter().map(|record| record.value.clone().unwrap()).collect();
    let Outcome { answers, failures, abandoned, .. } = outcome(&mut *sink, wanted, true).await;
    sink.close().await.unwrap();
    assert_eq!((failures.len(), failures[0].0, abandoned), (1, 40, 0), "the large one is refused");
    let answered: BTreeMap<_, _> = answers
        .into_iter()
        .map(|(index, answer)| {
            let Delivered::Placed { address, partition, offset } = answer else { panic!("{answer:?}") };
            assert_eq!(address, topic.name);
            ((partition.unwrap(), offset.unwrap()), texts[index as usize].to_vec())
        })
        .collect();
    let found = topic.read(100).into_iter();
    let found = found.map(|received| ((received.partition, received.offset), received.value.unwrap()));
    let found: BTreeMap<_, _> = found.filter(|(_, text)| text.len() > 1).collect();
    assert_eq!(answered, found);
}
