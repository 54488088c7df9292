//! Asks before something is done that cannot be undone.

use std::io::IsTerminal as _;

use anyhow::bail;

use super::super::output;

/// Whether the person at the terminal says yes. `doing` is what `--yes` would do.
pub(super) fn confirmed(question: &str, doing: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("there is no terminal to ask on: say --yes to {doing}, or --dry-run to see what would happen");
    }
    output::ask(&format!("{question} [y/N]"))?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
