//! `gantry dlq discard`: dead letters that nobody wants any more.
//!
//! It marks them as dealt with in their store, as a replay does, and sends them nowhere. Exactly the letters that it has shown: the
//! store is opened once, and what is written later stays.

use std::process::ExitCode;

use clap::Args;
use gantry_sdk::{DeadLetters, dead_letters::Marks};

use super::{
    super::{output, runtime},
    ask::confirmed,
    groups::Groups,
    selection::{Fit, Selection},
    store::{self, Store, Target},
};

/// Discard dead letters: they are gone for `list`, `show` and `replay`, and are sent nowhere.
///
/// Out of a queue of RabbitMQ they are removed. In a topic or a file they are marked: what they hold stays there until the topic's
/// retention or somebody removes it. There is no way back but by hand.
///
/// Exit codes: 0 they are discarded, or there was nothing to do; 1 not all; 2 it could not start.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct DiscardArgs {
    #[command(flatten)]
    target: Target,

    #[command(flatten)]
    selection: Selection,

    /// At most so many, the oldest first.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    /// Only say which letters. Discards nothing.
    #[arg(long)]
    dry_run: bool,

    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// The letters that are meant.
#[derive(Debug, Default)]
struct Chosen {
    groups: Groups,
    letters: Marks,
    others: u64,
}

/// Discards.
pub fn run(args: &DiscardArgs) -> anyhow::Result<ExitCode> {
    let store = args.target.store()?;
    runtime::block_on(&store.settings.log, None, discard(&store, args))
}

async fn discard(store: &Store, args: &DiscardArgs) -> anyhow::Result<ExitCode> {
    let mut letters = store.open().await?;
    let done = discard_from(&mut *letters, store, args).await;
    // What is not discarded goes back to where it was.
    let _ = letters.close().await;
    done
}

async fn discard_from(letters: &mut dyn DeadLetters, store: &Store, args: &DiscardArgs) -> anyhow::Result<ExitCode> {
    let bridge = &*store.definition.name;
    let Chosen { groups, letters: chosen, others } = choose(letters, bridge, args).await?;
    if others > 0 {
        output::print(&format!("{others} letters of other bridges in the same place are left out"))?;
    }
    let count = groups.count;
    if count == 0 {
        output::print("nothing to discard")?;
        return Ok(ExitCode::SUCCESS);
    }
    output::print(&format!("{}\n\n{count} letters to discard", groups.table()))?;
    if args.dry_run {
        output::print("dry run: nothing was discarded")?;
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes && !confirmed(&format!("Discard {count} letters of \"{bridge}\" for good?"), "discard them")? {
        output::print("nothing was discarded")?;
        return Ok(ExitCode::FAILURE);
    }
    if let Err(error) = letters.mark(&chosen).await {
        output::print(&format!("ended early: {}\nsome may be discarded; `list` says what is left", error.chain()))?;
        return Ok(ExitCode::FAILURE);
    }
    output::print(&format!("{count} of {count} discarded"))?;
    Ok(ExitCode::SUCCESS)
}

/// Those that cannot be read are among them: this is the way to be rid of them.
async fn choose(letters: &mut dyn DeadLetters, bridge: &str, args: &DiscardArgs) -> anyhow::Result<Chosen> {
    let mut chosen = Chosen::default();
    while args.limit.is_none_or(|limit| chosen.groups.count < limit)
        && let Some(letter) = store::next(letters).await?
    {
        match args.selection.fit(bridge, &letter) {
            Fit::Yes => {
                chosen.groups.add(&letter);
                chosen.letters.insert(&letter.id);
            }
            Fit::No => {}
            Fit::Others => chosen.others += 1,
        }
    }
    Ok(chosen)
}
