//! Files, environment variables and secrets, laid over each other by the program itself.

use std::fs;

use crate::support::Files;

const BASE: &str = r"connections:
  rabbit: { rabbitmq: { urls: ['${env:RABBITMQ_URL}'] } }
bridges:
  orders:
    source: { rabbitmq: { connection: rabbit, queue: orders } }
    sink: { console: {} }
";

const URL: (&str, &str) = ("RABBITMQ_URL", "amqp://guest:guest@rabbit1:5672/%2f");

#[test]
fn a_later_file_adds_to_and_overrides_an_earlier_one() {
    let production = "bridges:\n  orders: { sink: null, transforms: [ { key: { from: '{message_id}' } } ] }\n  more:\n    \
                      source: { generate: {} }\n    sink: { 'null': {} }\n";
    let files = Files::of(&[("base.yaml", BASE), ("production.yaml", production)]);
    let ended = files.gantry(&["check", "base.yaml", "production.yaml"], &[URL]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let unset = "base.yaml:4:3: error: bridges.orders: \"sink\" is missing: Where records go";
    assert_eq!(ended.lines()[0], unset, "a key without a value unsets an earlier one");

    let ended = files.gantry(&["check", "production.yaml", "base.yaml"], &[URL]);
    assert_eq!(
        ended.lines(),
        ["orders: rabbitmq -> key -> console", "more: generate -> null", "ok: 2 bridges, no errors, no warnings"],
        "{ended:?}"
    );
}

#[test]
fn a_later_file_puts_several_sinks_in_place_of_one() {
    let several = "bridges:\n  orders:\n    sink:\n    sinks: [ { console: {} }, \
                   { 'null': {}, when: { keep: { field: key, exists: true } } } ]\n";
    let files = Files::of(&[("base.yaml", BASE), ("several.yaml", several)]);
    let ended = files.gantry(&["check", "--strict", "base.yaml", "several.yaml"], &[URL]);
    let line = "orders: rabbitmq -> [console, null if …]; the slowest of its sinks sets the pace, and one that is away holds \
                all of it up";
    assert_eq!(ended.lines(), [line, "ok: 1 bridge, no errors, no warnings"], "{ended:?}");

    let beside = several.replace("    sink:\n", "");
    let files = Files::of(&[("base.yaml", BASE), ("beside.yaml", &beside)]);
    let ended = files.gantry(&["check", "base.yaml", "beside.yaml"], &[URL]);
    assert!(ended.lines()[0].contains("bridges.orders.sinks: stands beside sink: write exactly one"), "{ended:?}");
}

#[test]
fn an_error_names_the_file_that_wrote_the_value() {
    let files = Files::of(&[("base.yaml", BASE), ("more.yaml", "bridges: { orders: { tasks: many } }\n")]);
    let ended = files.gantry(&["check", "base.yaml", "more.yaml"], &[URL]);
    assert_eq!(ended.lines()[0], "more.yaml:1:22: error: bridges.orders.tasks: expected a whole number, found text");
}

#[test]
fn variables_override_files() {
    let files = Files::of(&[("gantry.yaml", BASE)]);
    let variables = [
        URL,
        ("GANTRY__BRIDGES__ORDERS__TASKS", "3"),
        ("GANTRY__BRIDGES__ORDERS__SINK", "{ 'null': {} }"),
        ("GANTRY__CONTROL__LISTEN", "127.0.0.1:18083"),
        // Neither of these is an option.
        ("GANTRY_LOG", "debug"),
        ("GANTRY", "x"),
    ];
    let ended = files.gantry(&["check", "gantry.yaml"], &variables);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("\norders: rabbitmq -> null, 3 tasks\n"), "{}", ended.out);

    let wrong = [URL, ("GANTRY__BRIDGES__ORDERS__SOURCE__RABBITMQ__PREFETCHH", "3")];
    let ended = files.gantry(&["check", "gantry.yaml"], &wrong);
    assert_eq!(
        ended.lines()[0],
        "environment variable GANTRY__BRIDGES__ORDERS__SOURCE__RABBITMQ__PREFETCHH: error: \
         bridges.orders.source.rabbitmq.prefetchh: unknown key; did you mean \"prefetch\"?"
    );
}

#[test]
fn secrets_come_from_variables_files_and_directories() {
    let files = Files::of(&[]);
    let directory = files.path().display();
    let text = BASE.replace(
        "'${env:RABBITMQ_URL}'",
        &format!(
            "'amqp://${{env:RABBITMQ_USER}}:${{file:{directory}/password}}@${{dir:{directory}:host}}:5672/%2f', \
             '${{env:RABBITMQ_URL}}'"
        ),
    );
    fs::write(files.path().join("gantry.yaml"), text).expect("writing a configuration");
    fs::write(files.path().join("password"), "p@ss/w:rd#%\n").expect("writing a secret");
    fs::write(files.path().join("host"), "rabbit1").expect("writing a secret");
    let ended = files.gantry(&["check", "gantry.yaml"], &[URL, ("RABBITMQ_USER", "guest")]);
    assert_eq!(ended.lines(), ["orders: rabbitmq -> console", "ok: 1 bridge, no errors, no warnings"], "{ended:?}");

    fs::remove_file(files.path().join("password")).expect("removing a secret");
    let ended = files.gantry(&["check", "gantry.yaml"], &[]);
    assert_eq!(ended.code, Some(1));
    let lines = ended.lines();
    assert_eq!(lines.len(), 3, "each reference is told by itself: {lines:#?}");
    assert!(lines[0].starts_with("gantry.yaml:2:32: error: connections.rabbit.rabbitmq.urls[0]: "), "{lines:#?}");
    assert!(lines[1].ends_with("urls[1]: the environment variable RABBITMQ_URL is not set"), "{lines:#?}");
}

#[test]
fn run_starts_nothing_of_a_configuration_with_errors() {
    let files = Files::of(&[("gantry.yaml", &BASE.replace("queue:", "queu:"))]);
    let ended = files.gantry(&["run", "gantry.yaml"], &[URL]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.err.contains("gantry.yaml:5:47: error: bridges.orders.source.rabbitmq.queu: unknown key"),
        "{}",
        ended.err
    );
}

#[test]
fn a_directory_stands_for_its_yaml_files_in_order() {
    let files = Files::of(&[("readme.txt", "no YAML: ["), (".hidden.yaml", "no YAML: [")]);
    let at = |name: &str| files.path().join(name);
    // As Kubernetes mounts a ConfigMap: each file is a link through ..data into a directory of its own.
    fs::create_dir_all(at("map/..2026_01")).expect("a directory");
    fs::write(at("map/..2026_01/10-base.yaml"), BASE).expect("writing a configuration");
    fs::write(at("map/..2026_01/20-more.yml"), "bridges: { orders: { tasks: 3 } }\n").expect("writing a configuration");
    for (from, to) in
        [("..2026_01", "..data"), ("..data/10-base.yaml", "10-base.yaml"), ("..data/20-more.yml", "20-more.yml")]
    {
        std::os::unix::fs::symlink(from, at("map").join(to)).expect("a link");
    }
    let ended = files.gantry(&["check", "map"], &[URL]);
    assert_eq!(ended.lines()[1], "orders: rabbitmq -> console, 3 tasks", "{ended:?}");

    fs::write(at("map/05-wrong.yaml"), "bridge: {}\n").expect("writing a configuration");
    let ended = files.gantry(&["check", "map"], &[URL]);
    assert!(ended.lines()[0].starts_with("map/05-wrong.yaml:1:1: error: bridge: unknown key"), "{ended:?}");
    fs::create_dir(at("empty")).expect("a directory");
    let ended = files.gantry(&["check", "empty"], &[]);
    assert_eq!(ended.lines()[0], "error: the directory empty holds no file that ends in .yaml or .yml");
}

#[test]
fn what_is_no_file_of_a_reasonable_size_is_an_error_at_once() {
    let files = Files::of(&[]);
    let pipe = files.path().join("pipe.yaml");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("running mkfifo");
    assert!(made.success());
    // Nobody ever opens its other end.
    let ended = files.gantry(&["check", "pipe.yaml"], &[]);
    assert_eq!(ended.lines()[0], "error: reading pipe.yaml: it is not a regular file");
    let ended = files.gantry(&["check", "/dev/zero"], &[]);
    assert_eq!(ended.lines()[0], "error: reading /dev/zero: it is not a regular file");
    fs::write(files.path().join("large.yaml"), "#".repeat((4 << 20) + 1)).expect("writing a large file");
    let ended = files.gantry(&["check", "large.yaml"], &[]);
    assert_eq!(ended.lines()[0], "error: reading large.yaml: it is larger than 4MiB");
}

#[test]
fn a_variable_with_thousands_of_parts_is_an_error() {
    let files = Files::of(&[("gantry.yaml", BASE)]);
    let name = format!("GANTRY__{}", vec!["A"; 20_000].join("__"));
    let ended = files.gantry(&["check", "gantry.yaml"], &[URL, (&name, "1")]);
    assert_eq!(ended.code, Some(1), "{:?}", ended.err);
    assert!(ended.out.contains("its name has more than 100 parts"), "{}", ended.out);
}
