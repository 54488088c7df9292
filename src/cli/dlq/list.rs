//! `gantry dlq list`: how many dead letters, and why.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{
    super::{output, runtime},
    groups::Groups,
    selection::{Fit, Selection},
    store::{self, Store, Target},
};

/// Count the dead letters of a bridge by reason, stage and where they came from.
///
/// Reasons that differ in numbers only are one. What was replayed is not counted any more. Nothing is changed.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct ListArgs {
    #[command(flatten)]
    target: Target,

    #[command(flatten)]
    selection: Selection,

    /// Print JSON, for scripts.
    #[arg(long)]
    json: bool,
}

/// Lists; exit code 0 also when there are none.
pub fn run(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let store = args.target.store()?;
    let (groups, others) = runtime::block_on(&store.settings.log, None, count(&store, &args.selection))?;
    let bridge = &*store.definition.name;
    if args.json {
        let report = json!({
            "bridge": bridge, "letters": groups.count, "lossy": groups.lossy, "unreadable": groups.unreadable,
            "of_other_bridges": others, "groups": groups.json(),
        });
        output::print_json(&report)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = match groups.count {
        0 => format!("no dead letters of \"{bridge}\"\n"),
        count => format!("{}\n\n{count} dead letters of \"{bridge}\"\n{}", groups.table(), groups.notes()),
    };
    if others > 0 {
        text += &format!("{others} letters of other bridges in the same place are left out\n");
    }
    output::print(text.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

async fn count(store: &Store, selection: &Selection) -> anyhow::Result<(Groups, u64)> {
    let mut letters = store.open().await?;
    let (mut groups, mut others) = (Groups::default(), 0);
    while let Some(letter) = store::next(&mut *letters).await? {
        match selection.fit(&store.definition.name, &letter) {
            Fit::Yes => groups.add(&letter),
            Fit::No => {}
            Fit::Others => others += 1,
        }
    }
    let _ = letters.close().await;
    Ok((groups, others))
}
