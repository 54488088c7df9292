//! The JSON envelope of another connector: foreign bytes.

use gantry::registry;
use gantry_sdk::{Record, Working, testkit};
use serde_json::{Value as Json, json};

use super::input::{self, SECRET};

pub(super) fn run(data: &[u8]) {
    let record = input::record(data);
    let unwrapped = match apply(&json!({ "do": "unwrap" }), record) {
        Ok(unwrapped) => unwrapped,
        Err(reason) => {
            assert!(!reason.contains(SECRET), "{reason}");
            return;
        }
    };
    // What came out goes in again and comes out the same, in either form.
    for schemas_enable in [false, true] {
        let Some(before) = wrappable(&unwrapped) else { return };
        let wrap = json!({ "do": "wrap", "schemas_enable": schemas_enable });
        let wrapped = apply(&wrap, before.clone()).expect("every record can be wrapped");
        let after = apply(&json!({ "do": "unwrap" }), wrapped).expect("it is an envelope");
        assert_eq!(after.value, before.value);
        assert_eq!(after.properties(), before.properties());
        testkit::assert_same(&after.headers, &before.headers);
    }
}

/// The record with the envelope's headers alone: those of [`input::record`] stand behind them.
fn wrappable(record: &Record) -> Option<Record> {
    let mut record = record.clone();
    let own = input::record(b"").headers.len();
    let count = record.headers.len().checked_sub(own)?;
    record.headers = record.headers.iter().take(count).cloned().collect();
    // A tombstone goes on unchanged, with what it has.
    record.value.is_some().then_some(record)
}

/// The record as the transform leaves it, or the reason why it fails it.
fn apply(options: &Json, record: Record) -> Result<Record, String> {
    let plugin = registry::transforms().iter().find(|plugin| plugin.name == "rabbitmq_envelope").expect("it is there");
    let mut batch = Working::new(vec![record]);
    (plugin.create)(options).expect("the options are right").apply(&mut batch);
    let (mut kept, filtered, mut failed) = batch.finish();
    assert_eq!((kept.len() + failed.len(), filtered), (1, 0), "a record is lost, or there twice");
    failed.pop().map_or_else(|| Ok(kept.remove(0)), |(_, failure)| Err(failure.reason.to_string()))
}
