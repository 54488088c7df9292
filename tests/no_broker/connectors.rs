//! The service knows no connector: what it must know of one, the connector's plugin says.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use regex::Regex;

use crate::support::Files;

/// Names of connectors that mean other things too: JSON's null, a file of the configuration.
const COMMON_WORDS: [&str; 2] = ["file", "null"];

fn connectors() -> BTreeSet<String> {
    let listed = Files::of(&[]).gantry(&["list", "--json"], &[]).json();
    let entries = listed.as_array().expect("it is a list");
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
