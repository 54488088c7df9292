//! Reload with the real binary: what changed restarts, the rest does not notice, and a bad file changes nothing.

#[allow(dead_code, reason = "this crate uses a part of it")]
#[path = "../support/http.rs"]
mod http;
#[path = "../support/mod.rs"]
mod support;

mod command;
mod dam;
mod drain;
mod flow;
mod refused;
mod set;

use serde_json::Value as Json;

use http::request;
use support::{SOON, eventually, gantry::Gantry};

/// Asks for a reload that must work; returns what it did.
fn reload(gantry: &Gantry) -> Json {
    let answer = request(gantry.port(), "PUT", "/v1/reload", &[], "");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Asks for a reload that must be refused; returns the diagnostics.
fn refused(gantry: &Gantry) -> Vec<Json> {
    let answer = request(gantry.port(), "PUT", "/v1/reload", &[], "");
    assert!(answer.refusal(422).contains("nothing was changed"), "{answer:?}");
    answer.json()["diagnostics"].as_array().expect("diagnostics").clone()
}

/// The names under a key of what a reload did.
fn names<'a>(done: &'a Json, key: &str) -> Vec<&'a str> {
    done[key].as_array().unwrap_or_else(|| panic!("{key} in {done}")).iter().filter_map(Json::as_str).collect()
}

/// Waits until the log holds that text for the n-th time.
async fn logged(gantry: &Gantry, text: &str, times: usize) {
    eventually(&format!("the log says {text:?} {times} times"), SOON, async || {
        (gantry.log().matches(text).count() >= times).then_some(())
    })
    .await;
}

/// The first task's epoch, and how many records came in.
fn life(gantry: &Gantry, bridge: &str) -> (u64, u64) {
    let shown = gantry.bridge(bridge).unwrap_or_else(|| panic!("no bridge {bridge}"));
    let task = &shown["tasks"][0];
    (task["epoch"].as_u64().expect("an epoch"), task["counts"]["records_in"].as_u64().expect("a count"))
}
