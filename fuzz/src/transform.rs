//! Every built-in transform with any options, on any body.

use bytes::Bytes;
use gantry::registry;
use gantry_sdk::{Working, plugin::TransformPlugin};
use serde_json::{Value as Json, json};

use super::input::{self, SECRET};

pub(super) fn run(data: &[u8]) {
    let (head, body) = input::line(data);
    let Ok(head) = str::from_utf8(head) else { return };
    let (name, options) = head.split_once(' ').unwrap_or((head, "{}"));
    let Some(plugin) = registry::transforms().iter().find(|plugin| plugin.name == name) else { return };
    let Ok(options) = serde_json::from_str::<Json>(options) else { return };

    let sound = (plugin.check)(&options).is_empty();
    let outcome = apply(plugin, &options, body);
    assert_eq!(outcome.is_some(), sound, "check and create differ about {name} {options}");
    let Some(outcome) = outcome else { return };
    if let Outcome::Failed(reason) = &outcome
        && !head.contains(SECRET)
    {
        assert!(!reason.contains(SECRET), "{reason}");
    }
    if name == "filter" {
        assert_turns_round(plugin, &options, body, &outcome);
    }
}

/// What became of the one record: the body that it has now, or its last element.
#[derive(Debug)]
enum Outcome {
    Kept(Option<Bytes>),
    Filtered,
    Failed(String),
}

/// `None` when the options make no transform.
fn apply(plugin: &TransformPlugin, options: &Json, body: &[u8]) -> Option<Outcome> {
    let mut transform = (plugin.create)(options).ok()?;
    let mut batch = Working::new(vec![input::record(body)]);
    transform.apply(&mut batch);
    let (mut kept, filtered, failed) = batch.finish();
    assert!(kept.len() <= 1 || plugin.name == "split", "a record is there twice");
    let places = usize::from(!kept.is_empty()) + filtered as usize + failed.len();
    assert_eq!(places, 1, "a record is lost, or in two places");
    Some(match (kept.pop(), failed.into_iter().next()) {
        (Some(record), _) => Outcome::Kept(record.value),
        (None, Some((_, failure))) => Outcome::Failed(failure.reason.to_string()),
        (None, None) => Outcome::Filtered,
    })
}

/// A filter changes nothing, and the opposite rule does the opposite.
fn assert_turns_round(plugin: &TransformPlugin, options: &Json, body: &[u8], outcome: &Outcome) {
    if let Outcome::Kept(kept) = outcome {
        assert_eq!(kept.as_deref(), Some(body));
    }
    let Some(fields) = options.as_object() else { return };
    let opposite: serde_json::Map<_, _> = fields
        .iter()
        .map(|(key, value)| match key.as_str() {
            key if key.starts_with("keep") => (key.replacen("keep", "drop", 1), value.clone()),
            key if key.starts_with("drop") => (key.replacen("drop", "keep", 1), value.clone()),
            key => (key.to_owned(), value.clone()),
        })
        .collect();
    if opposite.get("on_invalid").is_some_and(|policy| *policy != json!("fail")) {
        return;
    }
    let other = apply(plugin, &opposite.into(), body);
    let opposed = matches!(
        (outcome, &other),
        (Outcome::Kept(_), Some(Outcome::Filtered))
            | (Outcome::Filtered, Some(Outcome::Kept(_)))
            | (Outcome::Failed(_), Some(Outcome::Failed(_)))
    );
    assert!(opposed, "{options}: {outcome:?}, and turned round {other:?}");
}
