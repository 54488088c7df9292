//! `gantry dlq replay`: dead letters through their bridge again.
//!
//! It chooses letters, asks, and runs the bridge with `source` in place of its own source: a bridge like any other, with
//! the same guarantees. At the first error that ends it, it ends: what is left stays a dead letter.

mod progress;

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Args;
use gantry_runtime::{
    Bridges, Budget, Counts, Definition, Part, TaskState,
    definition::{DeadLetterTarget, Tolerance},
};
use gantry_sdk::dead_letters::{Fidelity, Marks};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use self::progress::Bar;
use super::{
    super::{output, runtime},
    ask::confirmed,
    groups::Groups,
    selection::{Fit, Selection},
    source,
    store::{self, Store, Target},
};
use crate::{config::References, registry, telemetry::metrics::Metrics};

/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// An error ends a replay; trying again by itself would send the same letters again and again.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Send dead letters through their bridge again: its transforms and its sink, as they are configured now. Of several sinks it
/// goes to all whose conditions hold, also to those that have the record already.
///
/// A letter is marked as replayed when the sink has confirmed its record, a rule has filtered it, or, if it was refused
/// again, its new dead letter is written; out of a queue of RabbitMQ it is removed then. Killed at any moment it loses
/// nothing; what was not marked is replayed next time, so some records may arrive twice. The service may run meanwhile.
///
/// Exit codes: 0 all were delivered or filtered, or there was nothing to do; 1 not all: some were refused again or cannot be
/// read, or it ended early; 2 it could not start; 130 ended by a signal.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct ReplayArgs {
    #[command(flatten)]
    target: Target,

    #[command(flatten)]
    selection: Selection,

    /// At most so many, the oldest first.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    /// Only say which letters, and what the transforms would do to them. Sends nothing, marks nothing.
    #[arg(long)]
    dry_run: bool,

    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// The letters of a replay.
#[derive(Debug, Default)]
struct Chosen {
    groups: Groups,
    /// Those that can be replayed.
    letters: Marks,
    others: u64,
}

/// How a replay ended.
enum ReplayEnd {
    Finished,
    Failed(Arc<str>),
    Signal,
}

/// Replays.
pub fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let store = args.target.store()?;
    let bar = Bar::new();
    runtime::block_on(&store.settings.log, Some(bar.display()), replay(&store, args, &bar))
}

async fn replay(store: &Store, args: &ReplayArgs, bar: &Bar) -> anyhow::Result<ExitCode> {
    let chosen = choose(store, args).await?;
    let name = &*store.definition.name;
    if chosen.others > 0 {
        output::print(&format!("{} letters of other bridges in the same place are left out", chosen.others))?;
    }
    if chosen.groups.count == 0 {
        output::print("nothing to replay")?;
        return Ok(ExitCode::SUCCESS);
    }
    let count = chosen.groups.count - chosen.groups.unreadable;
    output::print(&format!("{}\n\n{count} letters to replay\n{}", chosen.groups.table(), chosen.groups.notes()))?;
    if count == 0 {
        return Ok(ExitCode::FAILURE);
    }
    let question = || format!("Send {count} letters through \"{name}\" again?");
    if !args.dry_run && !args.yes && !confirmed(&question(), "replay them")? {
        output::print("nothing was replayed")?;
        return Ok(ExitCode::FAILURE);
    }
    let definition = definition(store, &chosen.letters, args.dry_run)?;
    bar.begin(count);
    let (end, counts) = pass(store, definition, bar).await?;
    bar.end();
    report(args.dry_run, &end, &counts, count)?;
    let whole = counts.dead_lettered + counts.dropped + chosen.groups.unreadable == 0;
    Ok(match end {
        ReplayEnd::Finished if whole => ExitCode::SUCCESS,
        ReplayEnd::Finished | ReplayEnd::Failed(_) => ExitCode::FAILURE,
        ReplayEnd::Signal => ExitCode::from(130),
    })
}

async fn choose(store: &Store, args: &ReplayArgs) -> anyhow::Result<Chosen> {
    let mut chosen = Chosen::default();
    let mut letters = store.open().await?;
    while args.limit.is_none_or(|limit| chosen.groups.count < limit)
        && let Some(letter) = store::next(&mut *letters).await?
    {
        match args.selection.fit(&store.definition.name, &letter) {
            Fit::Yes => {
                chosen.groups.add(&letter);
                if !matches!(letter.fidelity, Fidelity::Unreadable(_)) {
                    chosen.letters.insert(&letter.id);
                }
            }
            Fit::No => {}
            Fit::Others => chosen.others += 1,
        }
    }
    let _ = letters.close().await;
    Ok(chosen)
}

/// The bridge, with the letters as its source. A dry run has sinks that keep nothing.
fn definition(store: &Store, letters: &Marks, dry_run: bool) -> anyhow::Result<Definition> {
    let mut definition = Definition::clone(&store.definition);
    let options = source::Options {
        sink: store.sink.plugin.name.to_owned(),
        options: source::as_text(&store.sink.options),
        letters: letters.to_string(),
        mark: !dry_run,
    };
    definition.source =
        Part { plugin: &source::PLUGIN, options: serde_json::to_value(options)?, resolver: Arc::new(References) };
    // One reader: each would get all letters.
    definition.tasks = 1;
    definition.errors.backoff = (NEVER, NEVER);
    if dry_run {
        let null = registry::sinks().iter().find(|plugin| plugin.name == "null").context("there is no null sink")?;
        let nowhere = Part { plugin: null, options: json!({}), resolver: Arc::new(()) };
        for branch in &mut definition.sinks {
            branch.sink = nowhere.clone();
        }
        definition.errors.dead_letter = Some(DeadLetterTarget::Sink(nowhere));
        definition.errors.tolerance = Tolerance::All;
    }
    Ok(definition)
}

/// Runs it to its end, or to the first error or signal; then it drains.
async fn pass(store: &Store, definition: Definition, bar: &Bar) -> anyhow::Result<(ReplayEnd, Counts)> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut signalled = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    let budget = Budget::new(store.settings.in_flight_bytes);
    let bridges =
        Bridges::start(vec![Arc::new(definition)], store.settings.shutdown_timeout, budget, Arc::new(Metrics));
    let end = tokio::select! {
        () = bridges.finished() => ReplayEnd::Finished,
        reason = trouble(&bridges, bar) => ReplayEnd::Failed(reason),
        () = signalled() => ReplayEnd::Signal,
    };
    tokio::select! {
        _ = bridges.shutdown() => {}
        () = signalled() => return Ok((ReplayEnd::Signal, counts(&bridges))),
    }
    Ok((end, counts(&bridges)))
}

/// Shows progress until an incarnation has ended with an error; returns it.
async fn trouble(bridges: &Bridges, bar: &Bar) -> Arc<str> {
    loop {
        for status in bridges.all().iter().flat_map(|bridge| bridge.task_statuses()) {
            let Counts { records_out, filtered, dead_lettered, .. } = status.counts;
            bar.show(records_out + filtered + dead_lettered, status.error.as_deref());
            if matches!(status.state, TaskState::BackingOff | TaskState::Failed) {
                return status.error.unwrap_or_default();
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn counts(bridges: &Bridges) -> Counts {
    let first = bridges.all().iter().flat_map(|bridge| bridge.task_statuses()).next();
    first.map(|status| status.counts).unwrap_or_default()
}

fn report(dry_run: bool, end: &ReplayEnd, counts: &Counts, chosen: u64) -> std::io::Result<()> {
    let Counts { records_out, filtered, dropped, dead_lettered, .. } = *counts;
    let done = records_out + filtered + dead_lettered;
    if dry_run {
        return output::print(&format!(
            "dry run: {records_out} would go to the sink, {filtered} would be filtered, {dead_lettered} would be refused by \
             the transforms again; the sink was not asked, and nothing was sent or marked"
        ));
    }
    let mut text = format!("{done} of {chosen} replayed: {records_out} delivered, {} filtered", filtered - dropped);
    if dropped > 0 {
        text += &format!(", {dropped} refused again and dropped");
    }
    if dead_lettered > 0 {
        text += &format!(", {dead_lettered} refused again: they are new dead letters");
    }
    match end {
        ReplayEnd::Finished => {}
        ReplayEnd::Failed(reason) => text += &format!("\nended early: {}", output::printable(reason)),
        ReplayEnd::Signal => text += "\nended by a signal",
    }
    if done < chosen {
        text += &format!("\n{} are dead letters still; replay again once it is mended", chosen - done);
    }
    output::print(&text)
}
