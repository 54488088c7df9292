//! What is tested without any broker, from outside: the commands, the control port, the documentation's examples, and the fuzz
//! targets over their seeds.

#[path = "../support/check.rs"]
mod support;

mod cli_check;
mod config;
mod connectors;
mod control_api;
mod docs_examples;
mod fuzz_targets;
mod graph;
mod guarantees;
