//! `gantry dlq show`: dead letters with everything in them.

use std::{fmt::Write as _, process::ExitCode};

use clap::Args;
use gantry_sdk::{Letter, Properties, Value, letters::Fidelity};

use super::{
    super::output,
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
    let shown = store::block_on(&store.settings, None, show(&store, args))?;
    let ids = args.selection.ids().len() as u64;
    if shown < ids.min(args.limit.unwrap_or(ids)) {
        eprintln!("gantry: {} of these letters are not there: they were replayed, or never existed", ids - shown);
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

fn describe(letter: &Letter, most: usize) -> String {
    let mut text = format!("letter {}\n", letter.id);
    let mut tell = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:24} {value}");
    };
    if let Some(written) = letter.written.and_then(|time| jiff::Timestamp::try_from(time).ok()) {
        tell("written", &format!("{written:.3}"));
    }
    match &letter.fidelity {
        Fidelity::Exact => {}
        Fidelity::Lossy(why) => tell("not exact", why),
        Fidelity::Unreadable(why) => tell("cannot be read", why),
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
    let kind = match value {
        Value::Null => return "null".to_owned(),
        Value::Bool(_) => "bool",
        Value::I8(_) => "i8",
        Value::U8(_) => "u8",
        Value::I16(_) => "i16",
        Value::U16(_) => "u16",
        Value::I32(_) => "i32",
        Value::U32(_) => "u32",
        Value::I64(_) => "i64",
        Value::U64(_) => "u64",
        Value::F32(_) => "f32",
        Value::F64(_) => "f64",
        Value::Decimal { .. } => "decimal",
        Value::Timestamp(_) => "timestamp",
        Value::String(_) => "string",
        Value::Bytes(_) => "bytes",
        Value::List(_) => "list",
        Value::Table(_) => "table",
    };
    format!("{} ({kind})", text::short(&value.to_text().unwrap_or_default()))
}

/// Those that are set.
fn properties(properties: &Properties) -> Vec<(&'static str, String)> {
    let text = |text: &Option<bytestring::ByteString>| text.as_deref().map(str::to_owned);
    let all = [
        ("message_id", text(&properties.message_id)),
        ("correlation_id", text(&properties.correlation_id)),
        ("reply_to", text(&properties.reply_to)),
        ("content_type", text(&properties.content_type)),
        ("content_encoding", text(&properties.content_encoding)),
        ("type", text(&properties.message_type)),
        ("user_id", text(&properties.user_id)),
        ("app_id", text(&properties.app_id)),
        ("expiration", text(&properties.expiration)),
        ("priority", properties.priority.map(|number| number.to_string())),
        ("delivery_mode", properties.delivery_mode.map(|number| number.to_string())),
        ("timestamp", properties.timestamp.map(|time| time.to_string())),
        ("cluster_id", text(&properties.cluster_id)),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}
