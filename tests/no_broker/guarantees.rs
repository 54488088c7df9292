//! Each promise of docs/guarantees.md names the tests that prove it, or says that there is none; each of those tests is there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use regex::Regex;

/// What stands where a promise has no test.
const NONE: &str = "no test";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(root().join("docs/guarantees.md")).expect("the guarantees")
}

/// Where the code of a program's tests is. A connector's tests with a broker and its unit tests go by the same name.
fn folders(program: &str) -> Vec<PathBuf> {
    let folders = match program {
        "gantry" => vec!["src".to_owned()],
        "runtime" => vec!["runtime/src".to_owned()],
        "sdk" => vec!["connectors/sdk/src".to_owned()],
        "rabbitmq" | "kafka" | "file" | "generate" => {
            ["tests/broker", "tests", "src"].map(|folder| format!("connectors/{program}/{folder}")).into()
        }
        _ => vec![format!("tests/{program}")],
    };
    folders.into_iter().map(|folder| root().join(folder)).collect()
}

/// Whether the test of this name, `program/module::name`, is in the source tree.
fn is_there(name: &str) -> bool {
    let Some((program, path)) = name.split_once('/') else { return false };
    let mut modules: Vec<&str> = path.split("::").collect();
    let Some(test) = modules.pop() else { return false };
    folders(program).into_iter().any(|folder| {
        let folder = folder.join(modules.join("/"));
        let files =
            [folder.with_extension("rs"), folder.join("mod.rs"), folder.join("tests.rs"), folder.join("main.rs")];
        files.iter().filter_map(|file| fs::read_to_string(file).ok()).any(|code| has_test(&code, test))
    })
}

/// Whether the code has a test of this name: a function with the attribute, or an entry of the macro that makes them.
fn has_test(code: &str, test: &str) -> bool {
    let function = Regex::new(&format!(r"#\[(?:tokio::)?test\b[^\n]*\n(?:[ \t]*#[^\n]*\n)*[^\n{{]*\bfn {test}\("));
    let entry = format!("\n    {test}: ");
    function.expect("a name is an expression").is_match(code)
        || (code.contains("macro_rules! tests") && code.contains(&entry))
}

/// The tests that a text names, and whatever else looks like one.
fn named(text: &str) -> Vec<&str> {
    let code = text.split('`').skip(1).step_by(2);
    code.filter(|code| code.contains("::") && !code.contains(' ')).collect()
}

#[test]
fn every_test_that_the_guarantees_name_is_there() {
    let page = page();
    let named: Vec<&str> = named(&page).into_iter().filter(|name| *name != "program/module::name").collect();
    assert!(named.len() > 200, "the page names its tests: {named:?}");
    let gone: Vec<_> = named.iter().filter(|name| !is_there(name)).collect();
    assert!(gone.is_empty(), "docs/guarantees.md names tests that are not there: {gone:#?}");
}

#[test]
fn every_promise_names_its_test_or_says_that_there_is_none() {
    let page = page();
    // Where the column of tests is in the table that is being read.
    let mut column: Option<usize> = None;
    let (mut rows, mut unproved) = (0, Vec::new());
    for line in page.lines() {
        let Some(row) = line.strip_prefix('|') else {
            column = None;
            continue;
        };
        let cells: Vec<&str> = row.trim_end_matches('|').split('|').map(str::trim).collect();
        match column {
            None => column = cells.iter().position(|cell| matches!(*cell, "test" | "proved by")).or(Some(usize::MAX)),
            Some(usize::MAX) => {}
            Some(_) if row.starts_with("---") => {}
            Some(column) => {
                rows += 1;
                let proof = cells.get(column).copied().unwrap_or_default();
                if cells.len() != column + 1 || (named(proof).is_empty() && !proof.contains(NONE)) {
                    unproved.push(line);
                }
            }
        }
    }
    assert!(rows > 150, "the page has tables of promises: {rows}");
    assert!(unproved.is_empty(), "a row ends with its tests, or with \"{NONE}\": {unproved:#?}");
}

#[test]
fn what_is_not_there_is_not_found() {
    assert!(is_there("no_broker/guarantees::what_is_not_there_is_not_found"));
    for wrong in [
        "no_broker/guarantees::another_name",
        "no_broker/connectors::what_is_not_there_is_not_found",
        "promises/guarantees::what_is_not_there_is_not_found",
        "no_broker/guarantees::is_there",
        "guarantees::what_is_not_there_is_not_found",
    ] {
        assert!(!is_there(wrong), "{wrong}");
    }
}
