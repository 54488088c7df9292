//! `gantry dlq show`: dead letters with everything in them.

use std::{fmt::Write as _, process::ExitCode};

use clap::Args;
use gantry_sdk::{DeadLetter, Properties, Value, dead_letters::Fidelity};
use serde_json::Value as Json;

use super::{
    super::{output, runtime},
    selection::{Fit, Selection},
    store::{self, Store, Target},
    text,
};

/// So much of a body is enough to see what it is, when nobody asked for that one letter.
const GLANCE: usize = 4 << 10;

/// Show dead letters with everything in them: reason, properties, headers with their types, body.
///
/// Bodies are shown as JSON, text or hex. They are messages, and may hold secrets.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct ShowArgs {
    #[command(flatten)]
    target: Target,

    #[command(flatten)]
    selection: Selection,

    /// At most so many, the oldest first. Default: 10, and all that --id names.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

/// Shows; exit code 1 when a letter that was asked for by its id is not there.
pub fn run(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let store = args.target.store()?;
    let shown = runtime::block_on(&store.settings.log, None, show(&store, args))?;
    let ids = args.selection.ids().len() as u64;
    if shown < ids.min(args.limit.unwrap_or(ids)) {
        let missing = ids - shown;
        output::tell(format!("gantry: {missing} of these letters are not there: they were replayed, or never existed"));
        return Ok(ExitCode::FAILURE);
    }
    if shown == 0 {
        output::print("no dead letters")?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(store: &Store, args: &ShowArgs) -> anyhow::Result<u64> {
    let ids = args.selection.ids().len() as u64;
    let limit = args.limit.unwrap_or(if ids > 0 { ids } else { 10 });
    let most = if ids > 0 { usize::MAX } else { GLANCE };
    let mut letters = store.open().await?;
    let mut shown = 0;
    while shown < limit
        && let Some(letter) = store::next(&mut *letters).await?
    {
        if args.selection.fit(&store.definition.name, &letter) == Fit::Yes {
            output::print(&describe(&letter, most))?;
            shown += 1;
        }
    }
    let _ = letters.close().await;
    Ok(shown)
}

fn describe(letter: &DeadLetter, most: usize) -> String {
    let mut text = format!("letter {}\n", letter.id);
    let mut tell = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:24} {value}");
    };
    if let Some(written) = letter.written.and_then(|time| jiff::Timestamp::try_from(time).ok()) {
        tell("written", &format!("{written:.3}"));
    }
    match &letter.fidelity {
        Fidelity::Exact => {}
        Fidelity::Lossy(why) => tell("not exact", &text::escaped(why)),
        Fidelity::Unreadable(why) => tell("cannot be read", &text::escaped(why)),
    }
    for (name, value) in &letter.reason.fields {
        tell(&text::escaped(name), &text::escaped(value));
    }
    let record = &letter.record;
    if let Some(key) = &record.key {
        tell("key", &text::short(key));
    }
    if let Some(time) = record.timestamp {
        tell("timestamp", &gantry_sdk::Timestamp::from_millis(time).to_string());
    }
    for (name, value) in properties(record.properties()) {
        tell(&format!("property {name}"), &text::escaped(&value));
    }
    for (name, value) in &record.headers {
        tell(&format!("header {}", text::escaped(name)), &header(value));
    }
    match &record.value {
        None => tell("body", "none: a tombstone"),
        Some(body) => tell("body", &text::body(body, most)),
    }
    text
}

fn header(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        value => format!("{} ({})", text::short(&value.to_text().unwrap_or_default()), value.type_name()),
    }
}

/// Those that are set.
fn properties(properties: &Properties) -> Vec<(String, String)> {
    let text = |value| match value {
        Json::String(text) => text,
        other => other.to_string(),
    };
    let all = properties.to_object(|time| time.to_string().into());
    all.into_iter().map(|(name, value)| (name, text(value))).collect()
}
