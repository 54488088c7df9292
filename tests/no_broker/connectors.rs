//! The service knows no connector: what it must know of one, the connector's plugin says. The README's tables of what
//! connectors can do say the same as the plugins.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use regex::Regex;
use serde_json::Value as Json;

use crate::support::Files;

/// Names of connectors that mean other things too: JSON's null, a file of the configuration.
const COMMON_WORDS: [&str; 2] = ["file", "null"];

/// What `gantry list` shows.
fn listed() -> Vec<Json> {
    let listed = Files::of(&[]).gantry(&["list", "--json"], &[]).json();
    listed.as_array().expect("it is a list").clone()
}

fn connectors() -> BTreeSet<String> {
    let entries = listed();
    let of_connectors =
        entries.iter().filter(|entry| ["source", "sink", "connection"].iter().any(|kind| entry["kind"] == *kind));
    of_connectors.map(|entry| entry["name"].as_str().expect("it has a name").to_owned()).collect()
}

/// Every file of code below a directory, without tests.
fn code(below: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(below).expect("the service's code") {
        let path = entry.expect("a directory's entry").path();
        if path.is_dir() {
            code(&path, found);
        } else if path.file_name().is_some_and(|name| name != "tests.rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_connector_is_named_in_the_service() {
    let names = connectors();
    assert!(names.contains("kafka") && names.contains("console"), "{names:?}");
    let text = Regex::new(r#""((?:\\.|[^"\\])*)""#).expect("it is a constant");
    let mut files = Vec::new();
    code(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    assert!(files.len() > 50, "there is code");
    let mut named = Vec::new();
    for file in files {
        let code = fs::read_to_string(&file).expect("code is text");
        let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        for found in lines.flat_map(|line| text.captures_iter(line)) {
            let text = &found[1];
            if names.contains(text) && !COMMON_WORDS.contains(&text) {
                named.push(format!("{}: {text:?}", file.display()));
            }
        }
    }
    assert!(named.is_empty(), "let a plugin say what the service must know: {named:#?}");
}

/// The rows of the README's table whose first heading is this one, as `name: each heading and its cell`.
fn table(heading: &str) -> BTreeSet<String> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("the README");
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let mut lines = readme.lines().skip_while(|line| !line.starts_with(&format!("| {heading} |")));
    let headings = cells(lines.next().expect("the README has the table"));
    let rows = lines.skip(1).take_while(|line| line.starts_with('|')).map(cells);
    let row = |row: Vec<String>| {
        let each = headings.iter().zip(&row).skip(1).map(|(heading, cell)| format!(" {heading}: {cell}"));
        format!("{}:{}", row[0].trim_matches('`'), each.collect::<Vec<_>>().join(","))
    };
    rows.map(row).collect()
}

#[test]
fn the_readme_says_what_connectors_can_do() {
    let entries = listed();
    for kind in ["source", "sink"] {
        let of_kind = entries.iter().filter(|entry| entry["kind"] == kind);
        let row = |entry: &Json| {
            let capabilities = entry["capabilities"].as_object().expect("a connector says what it can do");
            let each = capabilities.iter().map(|(name, can)| {
                format!(" {}: {}", name.replace('_', " "), if *can == Json::Bool(true) { "yes" } else { "no" })
            });
            format!("{}:{}", entry["name"].as_str().expect("a name"), each.collect::<Vec<_>>().join(","))
        };
        assert_eq!(table(kind), of_kind.map(row).collect::<BTreeSet<_>>(), "the README's table of {kind}s");
    }
}
