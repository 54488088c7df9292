//! `gantry completions` and `gantry man`: for packages, and for who installs by hand.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use super::output;

/// Print completions for a shell.
///
///   gantry completions bash > ~/.local/share/bash-completion/completions/gantry
///   gantry completions zsh > ~/.zfunc/_gantry
///   gantry completions fish > ~/.config/fish/completions/gantry.fish
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct CompletionsArgs {
    /// For which shell.
    shell: Shell,
}

/// Print the man page, or write one a command.
///
///   gantry man | man -l -
///   gantry man --directory /usr/local/share/man/man1
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct ManArgs {
    /// Write gantry.1 and a page for each command there, instead of printing.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

/// Prints the script.
pub fn completions(args: &CompletionsArgs, mut program: Command) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "gantry", &mut script);
    output::print_as_it_is(String::from_utf8(script)?.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the page, or writes all of them.
pub fn man(args: &ManArgs, program: Command) -> anyhow::Result<ExitCode> {
    if let Some(directory) = &args.directory {
        let written = clap_mangen::generate_to(program, directory);
        written.with_context(|| format!("writing man pages to {}", directory.display()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut page = Vec::new();
    Man::new(program).render(&mut page)?;
    output::print_as_it_is(String::from_utf8(page)?.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
