//! The command line: one file a command.

pub mod check;
mod client;
mod connect;
mod display;
pub mod dlq;
mod file_size;
pub mod graph;
pub mod health;
pub mod init;
pub mod list;
pub mod live;
pub mod output;
pub mod pages;
pub mod reload;
pub mod run;
mod runtime;
pub mod schema;
pub mod status;
pub mod steer;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

/// Moves messages between brokers without losing any.
///
/// Write bridges in YAML, check them, run them:
///
///   gantry check bridges.yaml
///   gantry run bridges.yaml
///
/// While it runs, `gantry status` shows every bridge, `gantry pause`, `resume`, `stop` and `restart` steer them, `gantry
/// reload` takes up what you changed in the files, and http://127.0.0.1:8083 speaks Kafka Connect's REST API. `gantry dlq`
/// looks at dead letters and replays them, `gantry graph` draws the bridges.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

// What has no text here shows that of its own options.
#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Init(init::InitArgs),
    /// Say everything that is wrong with these files, and what will hurt.
    Check(check::CheckArgs),
    /// List connectors and transforms, or the options of one of them or of a section.
    List(list::ListArgs),
    /// Print the JSON Schema of the configuration, for editors.
    Schema(schema::SchemaArgs),
    /// Ask a running gantry how its bridges are.
    Status(status::StatusArgs),
    Health(health::HealthArgs),
    Reload(reload::ReloadArgs),
    /// Have bridges of a running gantry stay connected and move nothing.
    Pause(steer::BridgeArgs),
    /// Have paused or stopped bridges run again.
    Resume(steer::BridgeArgs),
    /// Have bridges give back what is in flight, and disconnect.
    Stop(steer::BridgeArgs),
    /// Have bridges drain and start again.
    Restart(steer::RestartArgs),
    /// Look at dead letters, and send them through their bridge again.
    Dlq(dlq::DlqArgs),
    Graph(graph::GraphArgs),
    Completions(pages::CompletionsArgs),
    Man(pages::ManArgs),
}

impl Cli {
    /// Carries out the command. The exit code says how it went; an error is something that nobody expected.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run(args) => run::run(&args),
            Command::Init(args) => init::run(&args),
            Command::Check(args) => check::run(&args),
            Command::List(args) => list::run(&args),
            Command::Schema(args) => schema::run(&args),
            Command::Status(args) => status::run(&args),
            Command::Health(args) => health::run(&args),
            Command::Reload(args) => reload::run(&args),
            Command::Pause(args) => steer::pause(&args),
            Command::Resume(args) => steer::resume(&args),
            Command::Stop(args) => steer::stop(&args),
            Command::Restart(args) => steer::restart(&args),
            Command::Dlq(args) => dlq::run(&args),
            Command::Graph(args) => graph::run(&args),
            Command::Completions(args) => pages::completions(&args, Self::command()),
            Command::Man(args) => pages::man(&args, Self::command()),
        }
    }
}
