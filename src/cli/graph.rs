//! `gantry graph`: the bridges of a configuration as a picture.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context as _, bail};
use clap::Args;
use gantry_runtime::definition::{Definition, Part};
use gantry_sdk::{endpoint::Route, plugin::ConnectionPlugin};
use serde_json::Value as Json;

use super::output;
use crate::{
    config::{self, References},
    graph::{
        DeadLetterTarget, Flow, FlowEnd,
        diagram::{Diagram, Format},
    },
    registry,
};

/// Draw the bridges of these files: what they read, what they write, where dead letters go.
///
///   gantry graph bridges.yaml                         Mermaid, for Markdown
///   gantry graph bridges.yaml --format svg > map.svg
///
/// Nothing is connected to, unless --management-url asks RabbitMQ how its exchanges lead to the queues.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct GraphArgs {
    /// The files of the configuration; a later one overrides an earlier one.
    #[arg(required = true, value_name = "CONFIG")]
    files: Vec<PathBuf>,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = Format::Mermaid)]
    format: Format,
    /// RabbitMQ's management API, like http://rabbit1:15672: its bindings are drawn too. User and password, if the URL has
    /// none, are the connection's. With several brokers, it is asked of the one with the URL's host; may be given for each.
    #[arg(long, value_name = "URL")]
    management_url: Vec<String>,
}

/// Draws; exit code 0 when it did, 1 when the configuration is wrong.
pub fn run(args: &GraphArgs) -> anyhow::Result<ExitCode> {
    let loaded = match config::load(&args.files) {
        Ok(loaded) => loaded,
        Err(diagnostics) => {
            output::tell_diagnostics(&diagnostics);
            return Ok(ExitCode::FAILURE);
        }
    };
    let brokers = if args.management_url.is_empty() { Vec::new() } else { brokers(&loaded.flows, &loaded.bridges) };
    let routes = args.management_url.iter().map(|url| ask(url, &brokers)).collect::<anyhow::Result<Vec<_>>>()?;
    let diagram = Diagram::new(&loaded.flows, &routes.concat());
    output::print(&diagram.write(args.format))?;
    Ok(ExitCode::SUCCESS)
}

/// A broker that can be asked.
struct Broker<'a> {
    end: &'a FlowEnd,
    plugin: &'static ConnectionPlugin,
    /// The options of its source or sink, connection and all, secrets as placeholders.
    options: &'a Json,
}

/// The brokers of these bridges that can be asked, each once.
fn brokers<'a>(flows: &'a [Flow], bridges: &'a [Arc<Definition>]) -> Vec<Broker<'a>> {
    let ends = flows.iter().zip(bridges).flat_map(|(flow, bridge)| {
        let letters = match (&flow.dead_letter, bridge.errors.dead_letter_sink()) {
            (Some(DeadLetterTarget::Sink(end)), Some(part)) => Some((end, &part.options)),
            _ => None,
        };
        let sinks = flow.sinks.iter().zip(&bridge.sinks).map(|(flow, branch)| (&flow.end, &branch.sink.options));
        std::iter::once((&flow.source, &bridge.source.options)).chain(sinks).chain(letters)
    });
    let mut each = BTreeMap::new();
    for (end, options) in ends {
        let plugin = registry::connections().iter().find(|plugin| plugin.name == end.connector);
        if let Some(plugin) = plugin.filter(|plugin| plugin.routes.is_some()) {
            each.entry((plugin.name, &end.description.broker)).or_insert(Broker { end, plugin, options });
        }
    }
    each.into_values().collect()
}

/// What those brokers answer that the URL is of.
fn ask(url: &str, brokers: &[Broker<'_>]) -> anyhow::Result<Vec<(FlowEnd, Vec<Route>)>> {
    // Neither here nor below is the URL shown: it may hold a password.
    let parsed: ureq::http::Uri = url.parse().ok().context("--management-url: not a URL: write http://HOST:15672")?;
    let host = parsed.host().context("--management-url: the URL names no host: write http://HOST:15672")?;
    let is_of = |address: &String| address.strip_prefix(host).is_some_and(|rest| rest.starts_with(':'));
    let of_host: Vec<_> = brokers.iter().filter(|broker| broker.end.description.broker.iter().any(is_of)).collect();
    let asked = match (of_host.as_slice(), brokers) {
        (_, []) => bail!("--management-url: no bridge of these files uses a broker that has a management API"),
        ([], [only]) => vec![only],
        ([], _) => {
            bail!("--management-url: no bridge uses a broker at {host}, and there are several that it could be of")
        }
        _ => of_host,
    };
    asked.into_iter().map(|broker| Ok((FlowEnd::clone(broker.end), broker.routes(url)?))).collect()
}

impl Broker<'_> {
    fn routes(&self, url: &str) -> anyhow::Result<Vec<Route>> {
        let Some(routes) = self.plugin.routes else { return Ok(Vec::new()) };
        let connection =
            Part { plugin: self.plugin, options: self.options["connection"].clone(), resolver: Arc::new(References) };
        let answer = match connection.make(|_| Ok(())) {
            // The URL brings its own user and password.
            Err(_) if url.contains('@') => routes(&connection.options, url),
            Err(error) => bail!("--management-url: {}", error.chain()),
            Ok(()) => connection.checked().and_then(|options| routes(&options, url)),
        };
        answer.map_err(|error| anyhow::anyhow!("{}", error.chain()))
    }
}
