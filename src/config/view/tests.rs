use serde_json::json;

use super::*;

/// Options as written and as resolved.
fn options(written: Json, resolved: Json) -> Options {
    Options { quotable: written.clone(), written, resolved }
}

fn schema() -> Json {
    json!({ "properties": {
        "wait": { "type": "string", "pattern": "^[0-9]+s$", "examples": ["5s"] },
        "count": { "type": "integer", "minimum": 3 },
        "name": { "type": "string", "description": "Who it is. More." },
        "to": { "type": "string", "format": "template" },
    } })
}

fn told(options: &Options, find: impl Fn(&Json) -> Vec<Problem>) -> Vec<String> {
    let schema = schema();
    options.view().problems(&Slot::root(&schema), find).iter().map(Problem::to_string).collect()
}

#[test]
fn what_is_said_of_the_value_is_not_told_and_the_rest_is() {
    let concealed = options(json!({ "name": "${env:N}", "wait": "9s" }), json!({ "name": "hunter2", "wait": "9s" }));
    let find = |options: &Json| {
        vec![
            Problem::error("name", format!("{} is nobody", options["name"])),
            Problem::warning("wait", format!("{} is long", options["wait"])),
            Problem::error("wait", format!("is too long for {}", options["name"])),
            Problem::error("", format!("nothing fits {}", options["name"])),
        ]
    };
    assert_eq!(
        told(&concealed, find),
        [
            "name: what ${env:N} brings is not right here; it takes: Who it is",
            "wait: \"9s\" is long",
            "wait: does not go together with what ${env:N} brings",
            "what ${env:N} brings is not right here",
        ]
    );
    // Without references all of it is told.
    let plain = options(json!({ "name": "x", "wait": "9s" }), json!({ "name": "x", "wait": "9s" }));
    assert_eq!(told(&plain, find).first().map(String::as_str), Some("name: \"x\" is nobody"));
}

#[test]
fn a_path_holds_nothing_that_was_brought() {
    let concealed = options(json!({ "name": "${env:N}" }), json!({ "name": "hunter2" }));
    let find =
        |options: &Json| vec![Problem::error(KeyPath::from("map").key(options["name"].as_str().unwrap_or("")), "x")];
    assert_eq!(told(&concealed, find), ["what ${env:N} brings is not right here"]);
}

#[test]
fn a_stand_in_is_of_the_kind_that_its_place_takes() {
    let written =
        json!({ "wait": "${env:W}", "count": "${env:C}", "name": "a-${env:N}", "to": "${env:T}-{key}", "x": "$${y}" });
    let resolved = json!({ "wait": "7s", "count": 7, "name": "a-b", "to": "t-{key}", "x": "${y}" });
    let schema = schema();
    let slot = Slot::root(&schema);
    let options = Options { quotable: quotable(&slot, &written), written, resolved };
    assert_eq!(
        options.view().stand_in(&slot),
        json!({ "wait": "5s", "count": 3, "name": "a-${env:N}", "to": "${{env:T}}-{key}", "x": "${y}" })
    );
}
