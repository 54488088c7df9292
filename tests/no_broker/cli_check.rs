//! `gantry check`, `list` and `schema` as a person meets them: every kind of mistake gives one clear line with its place.

use serde_json::json;

use crate::support::{Ended, Files};

const GOOD: &str = r#"connections:
  rabbit: { rabbitmq: { urls: ["amqp://guest:${env:PASSWORD}@rabbit1:5672/%2f"] } }
  events: { kafka: { bootstrap_servers: "localhost:9092" } }
bridges:
  orders:
    source: { rabbitmq: { connection: rabbit, queue: orders } }
    transforms:
      - key: { from: "{value.id}" }
    sink: { kafka: { connection: events, topic: orders } }
    errors: { dead_letter: { kafka: { connection: events, topic: orders-dead } } }
"#;

const PASSWORD: &[(&str, &str)] = &[("PASSWORD", "p@ss")];

fn check(text: &str) -> Ended {
    Files::of(&[("gantry.yaml", text)]).gantry(&["check", "gantry.yaml"], PASSWORD)
}

/// The only problem of the good configuration with one change.
fn problem(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    let ended = check(&GOOD.replacen(from, to, 1));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let lines = ended.lines();
    assert_eq!(lines.len(), 2, "one problem and the summary: {lines:#?}");
    assert_eq!(lines[1], "not ok: 1 error, no warnings");
    lines[0].to_owned()
}

#[test]
fn a_good_configuration_passes_and_shows_its_bridges() {
    let ended = check(GOOD);
    assert_eq!(
        ended.lines(),
        ["orders: rabbitmq -> key -> kafka, dead letters -> kafka", "ok: 1 bridge, no errors, no warnings"]
    );
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
}

#[test]
fn each_mistake_gives_one_line_with_its_place_and_what_to_do() {
    let cases = [
        // An unknown key, on each level.
        ("bridges:", "brigdes:", "gantry.yaml:4:1: error: brigdes: unknown key; did you mean \"bridges\"?"),
        (
            "    errors:",
            "    limit: {}\n    errors:",
            "gantry.yaml:10:5: error: bridges.orders.limit: unknown key; did you mean \"limits\"?",
        ),
        (
            "topic: orders-dead",
            "topic: orders",
            "gantry.yaml:10:59: error: bridges.orders.errors.dead_letter.kafka.topic: the same as the sink's: nobody could \
             tell the dead letters from the good records, and a replay would send those again; give the dead letters a \
             place of their own",
        ),
        (
            "topic: orders }",
            "topic: orders, topik: x }",
            "gantry.yaml:9:57: error: bridges.orders.sink.kafka.topik: unknown key; did you mean \"topic\"?",
        ),
        (
            "topic: orders }",
            "topic: orders, declare: { partition: 3 } }",
            "gantry.yaml:9:68: error: bridges.orders.sink.kafka.declare.partition: unknown key; did you mean \"partitions\"?",
        ),
        // A connector or transform that is not there.
        (
            "source: { rabbitmq:",
            "source: { rabitmq:",
            "gantry.yaml:6:15: error: bridges.orders.source.rabitmq: there is no source of this name; did you mean \
             \"rabbitmq\"?",
        ),
        (
            "- key:",
            "- keys:",
            "gantry.yaml:8:9: error: bridges.orders.transforms[0].keys: there is no transform of this name; did you mean \
             \"key\"?",
        ),
        (
            "source: {",
            "source: { generate: {},",
            "gantry.yaml:6:5: error: bridges.orders.source: names generate and rabbitmq: write exactly one",
        ),
        // A wrong type, a wrong unit, a wrong word.
        (
            "queue: orders",
            "queue: orders, prefetch: lots",
            "gantry.yaml:6:62: error: bridges.orders.source.rabbitmq.prefetch: expected a whole number, found text",
        ),
        (
            "queue: orders",
            "queue: 5",
            "gantry.yaml:6:47: error: bridges.orders.source.rabbitmq.queue: expected text, found a whole number: put it in \
             quotes",
        ),
        (
            "topic: orders }",
            "topic: orders, linger: 5 }",
            "gantry.yaml:9:57: error: bridges.orders.sink.kafka.linger: 5 has no unit: write it like 250ms, 5s, 2m or 1h",
        ),
        (
            "topic: orders }",
            "topic: orders, compression: gzipp }",
            "gantry.yaml:9:57: error: bridges.orders.sink.kafka.compression: \"gzipp\" is not known: did you mean \"gzip\"? \
             It can be none, gzip, snappy, lz4 or zstd",
        ),
        // A missing option, a missing part.
        ("topic: orders }", "}", "gantry.yaml:9:13: error: bridges.orders.sink.kafka: \"topic\" is missing: The topic"),
        ("    sink:", "    # sink:", "gantry.yaml:5:3: error: bridges.orders: \"sink\" is missing: Where records go"),
        // A bad template.
        ("topic: orders }", "topic: '{routing_ky}' }", "gantry.yaml:9:42: error: bridges.orders.sink.kafka.topic: "),
        ("topic: orders }", "topic: 'a{key' }", "gantry.yaml:9:42: error: bridges.orders.sink.kafka.topic: "),
        // Connections.
        (
            "connection: rabbit,",
            "connection: rabit,",
            "gantry.yaml:6:27: error: bridges.orders.source.rabbitmq.connection: there is no connection \"rabit\"; did you \
             mean \"rabbit\"?",
        ),
        ("amqp://guest", "http://guest", "gantry.yaml:2:32: error: connections.rabbit.rabbitmq.urls[0]: "),
        // Secrets.
        (
            "${env:PASSWORD}",
            "${env:PASWORD}",
            "gantry.yaml:2:32: error: connections.rabbit.rabbitmq.urls[0]: the environment variable PASWORD is not set",
        ),
        (
            "${env:PASSWORD}",
            "${file:/nowhere/password}",
            "gantry.yaml:2:32: error: connections.rabbit.rabbitmq.urls[0]: reading the secret file /nowhere/password: no such \
             file",
        ),
        (
            "${env:PASSWORD}",
            "${PASSWORD}",
            "gantry.yaml:2:32: error: connections.rabbit.rabbitmq.urls[0]: ${PASSWORD} is not a reference: write ${env:NAME}",
        ),
        // YAML itself, names and contradictions.
        (
            "    sink:",
            "    sink: { console: {} }\n    sink:",
            "gantry.yaml:10:5: error: the key \"sink\" is written twice",
        ),
        ("  orders:", "  or/ders:", "gantry.yaml:5:3: error: bridges.or/ders: the name of a bridge must not hold '/'"),
        (
            "bridges:",
            "control: { listen: here }\nbridges:",
            "gantry.yaml:4:12: error: control.listen: \"here\" is not an address",
        ),
    ];
    for (from, to, expected) in cases {
        let found = problem(from, to);
        assert!(found.starts_with(expected), "expected {expected}\nfound    {found}");
    }
}

#[test]
fn what_would_break_a_guarantee_is_refused_with_the_reason() {
    for property in ["acks: '1'", "enable.idempotence: 'false'"] {
        let found = problem("topic: orders }", &format!("topic: orders, properties: {{ {property} }} }}"));
        let key = property.split(':').next().unwrap_or_default();
        let path = format!("gantry.yaml:9:71: error: bridges.orders.sink.kafka.properties.{key}: ");
        assert!(found.starts_with(&path), "{found}");
    }
    let found = problem("queue: orders", "queue: orders, prefetch: 0");
    assert!(found.starts_with("gantry.yaml:6:62: error: bridges.orders.source.rabbitmq.prefetch: "), "{found}");
}

#[test]
fn all_mistakes_come_at_once_in_the_order_of_the_file() {
    let text = r"contrl: {}
bridges:
  one:
    source: { rabbitmq: { queue: a, prefech: 5 } }
    sink: { kafka: { topic: '{nothing}', linger: 5 } }
    limits: { batch: none }
  two:
    source: { generat: {} }
    sink: { console: { color: true } }
    errors: { retry: { delay: soon } }
";
    let ended = check(text);
    assert_eq!(ended.code, Some(1));
    let places: Vec<&str> =
        ended.lines().iter().filter_map(|line| line.split(": error: ").nth(1)?.split(": ").next()).collect();
    assert_eq!(
        places,
        [
            "contrl",
            "bridges.one.source.rabbitmq",
            "bridges.one.source.rabbitmq.prefech",
            "bridges.one.sink.kafka",
            "bridges.one.sink.kafka.topic",
            "bridges.one.sink.kafka.linger",
            "bridges.one.limits.batch",
            "bridges.two.source.generat",
            "bridges.two.sink.console.color",
            "bridges.two.errors.retry.delay",
        ],
        "{}",
        ended.out
    );
    assert_eq!(ended.lines().last(), Some(&"not ok: 10 errors, no warnings"));
}

#[test]
fn files_that_cannot_be_read_are_all_named() {
    let files = Files::of(&[("bad.yaml", "a: [\n"), ("good.yaml", GOOD)]);
    let ended = files.gantry(&["check", "bad.yaml", "nowhere.yaml", "good.yaml"], PASSWORD);
    assert_eq!(ended.code, Some(1));
    assert!(ended.out.contains("bad.yaml:1:4: error: this is no YAML: "), "{}", ended.out);
    assert!(ended.out.contains("error: reading nowhere.yaml: "), "{}", ended.out);
}

#[test]
fn warnings_pass_unless_strict() {
    let files = Files::of(&[("gantry.yaml", &GOOD.replace("    errors:", "    # errors:"))]);
    let ended = files.gantry(&["check", "gantry.yaml"], PASSWORD);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.starts_with("gantry.yaml:5:3: warning: bridges.orders: no errors.dead_letter"), "{}", ended.out);
    assert!(ended.out.ends_with("ok: 1 bridge, no errors, 1 warning\n"), "{}", ended.out);
    let strict = files.gantry(&["check", "--strict", "gantry.yaml"], PASSWORD);
    assert_eq!(strict.code, Some(1), "{strict:?}");
    assert!(
        strict.out.ends_with("not ok: no errors, 1 warning, and --strict takes warnings for errors\n"),
        "{}",
        strict.out
    );
}

#[test]
fn json_is_for_editors() {
    let files = Files::of(&[("gantry.yaml", &GOOD.replace("topic: orders }", "topik: orders }"))]);
    let variables = [("PASSWORD", "p"), ("GANTRY__BRIDGES__ORDERS__TASKS", "none")];
    let ended = files.gantry(&["check", "--json", "gantry.yaml"], &variables);
    assert_eq!(ended.code, Some(1));
    let report = ended.json();
    assert_eq!((&report["ok"], &report["errors"], &report["warnings"]), (&json!(false), &json!(2), &json!(0)));
    let unknown = json!({
        "severity": "error",
        "path": "bridges.orders.sink.kafka.topik",
        "message": "unknown key; did you mean \"topic\"?",
        "file": "gantry.yaml",
        "line": 9,
        "column": 42,
    });
    let variable = json!({
        "severity": "error",
        "path": "bridges.orders.tasks",
        "message": "expected a whole number, found text",
        "variable": "GANTRY__BRIDGES__ORDERS__TASKS",
    });
    let found = report["diagnostics"].as_array().expect("a list");
    assert!(found.contains(&unknown) && found.contains(&variable), "{report:#}");
}

#[test]
fn nothing_is_printed_of_a_secret() {
    let text = GOOD.replace("amqp://guest", "http://guest").replace("topic: orders }", "topic: '{${env:PASSWORD}' }");
    let files = Files::of(&[("gantry.yaml", &text)]);
    for args in [&["check", "gantry.yaml"][..], &["check", "--json", "gantry.yaml"]] {
        let ended = files.gantry(args, &[("PASSWORD", "hunter2hunter2")]);
        assert_eq!(ended.code, Some(1));
        assert!(!ended.out.contains("hunter2") && !ended.err.contains("hunter2"), "{ended:?}");
    }
}

#[test]
fn list_shows_every_connector_and_transform_and_their_options() {
    let files = Files::of(&[]);
    let all = files.gantry(&["list"], &[]);
    assert_eq!(all.code, Some(0));
    for name in
        ["rabbitmq", "generate", "kafka", "console", "null", "filter", "route", "headers", "key", "json", "timestamp"]
    {
        assert!(
            all.lines().iter().any(|line| line.trim_start().starts_with(&format!("{name} "))),
            "{name}: {}",
            all.out
        );
    }
    let one = files.gantry(&["list", "rabbitmq"], &[]);
    assert_eq!(one.code, Some(0));
    assert!(one.out.contains("source rabbitmq: ") && one.out.contains("connection rabbitmq"), "{}", one.out);
    assert!(one.lines().contains(&"  prefetch (a whole number, default 2000)"), "{}", one.out);
    assert!(one.lines().contains(&"keeps order, can reject"), "{}", one.out);
    assert!(one.lines().contains(&"  urls (a list of: secret text, required)"), "{}", one.out);
    let kafka = files.gantry(&["list", "kafka"], &[]);
    assert!(kafka.lines().contains(&"  topic (template, required)"), "{}", kafka.out);
    assert!(kafka.lines().contains(&"  linger (text like 250ms or 5s, default 5ms)"), "{}", kafka.out);
    assert!(kafka.lines().contains(&"  declare.partitions (a whole number)"), "{}", kafka.out);

    let json = files.gantry(&["list", "--json", "generate"], &[]).json();
    assert_eq!((&json[0]["kind"], &json[0]["name"]), (&json!("source"), &json!("generate")));
    let capabilities = json!({ "keeps_order": true, "can_reject": false, "replayable": true, "wants_answers": false });
    assert_eq!(json[0]["capabilities"], capabilities);
    assert!(json[0]["schema"]["properties"].is_object());

    for (section, option) in [
        ("control", "  listen (text, default 127.0.0.1:8083)"),
        ("control", "  max_connections (a whole number, default 64)"),
        ("log", "  level (off, error, warn, info, debug or trace, default info)"),
        ("errors", "  retry.delay (text like 250ms or 5s, default 300ms)"),
        ("limits", "  in_flight (a whole number, default 10000)"),
        ("limits", "  in_flight_bytes (text like 512B or 64KiB, default 256MiB)"),
        ("hops", "  limit (a whole number, default 1)"),
        ("bridges", "  errors.give_back_after (text like 250ms or 5s, default 10m)"),
    ] {
        let listed = files.gantry(&["list", section], &[]);
        assert!(listed.lines().contains(&option), "{section}: {}", listed.out);
    }

    let unknown = files.gantry(&["list", "kafak"], &[]);
    assert_eq!(unknown.code, Some(2));
    assert_eq!(unknown.err, "gantry: there is no connector, transform or section \"kafak\"; did you mean \"kafka\"?\n");
}

/// What a file says moves no cursor and makes no line of its own.
#[test]
fn text_of_a_file_is_escaped() {
    let ended = check("bridges: {}\n\"a\\nok: 1 bridge\\e[2K\": 1\n");
    assert_eq!((ended.code, ended.lines().len()), (Some(1), 2), "{ended:?}");
    assert!(ended.out.contains(r"a\nok: 1 bridge\u{1b}[2K") && !ended.out.contains('\u{1b}'), "{ended:?}");
    let json = Files::of(&[("gantry.yaml", "bridges: {}\n\"\\e\\x9b\": 1\n")])
        .gantry(&["check", "--json", "gantry.yaml"], &[]);
    assert!(!json.out.contains(['\u{1b}', '\u{9b}']), "{json:?}");
    assert_eq!(json.json()["diagnostics"].as_array().map(Vec::len), Some(1), "{json:?}");
}

#[test]
fn schema_describes_the_whole_configuration() {
    let ended = Files::of(&[]).gantry(&["schema"], &[]);
    assert_eq!(ended.code, Some(0));
    let schema = ended.json();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(jsonschema::meta::is_valid(&schema));
    let bridge = &schema["properties"]["bridges"]["additionalProperties"];
    for (pointer, expected) in [
        ("/properties/tasks/default", json!(1)),
        ("/properties/limits/properties/in_flight_bytes/default", json!("64MiB")),
        ("/properties/errors/properties/retry/properties/max_delay/default", json!("1m")),
        ("/properties/source/properties/rabbitmq/properties/prefetch/default", json!(2000)),
        ("/properties/source/maxProperties", json!(1)),
        ("/properties/source/additionalProperties", json!(false)),
        ("/additionalProperties", json!(false)),
    ] {
        assert_eq!(bridge.pointer(pointer), Some(&expected), "{pointer}");
    }
}

#[test]
fn a_file_is_never_shown_by_a_reference_to_it() {
    let text = GOOD.replace("    sink:", "    stall_timeout: \"${file:/etc/passwd}\"\n    sink:");
    let ended = check(&text);
    assert_eq!(ended.code, Some(1));
    assert!(!ended.out.contains("root:"), "{}", ended.out);
    let line = ended.lines()[0];
    assert!(
        line.ends_with("what ${file:/etc/passwd} brings is not right: write it like 250ms, 5s, 2m or 1h"),
        "{line}"
    );
    let two = Files::of(&[("gantry.yaml", &text.replace("/etc/passwd", "two")), ("two", "ab")]);
    let ended = two.gantry(&["check", "--json", "gantry.yaml"], PASSWORD);
    assert!(ended.code == Some(1) && !ended.out.contains("\\\"ab"), "{}", ended.out);
}

#[test]
fn ci_checks_without_secrets() {
    let text = GOOD.replace("${env:PASSWORD}", "${file:/run/secrets/nowhere}");
    let files = Files::of(&[("gantry.yaml", &text), ("wrong.yaml", &text.replace("queue:", "queu:"))]);
    assert_eq!(files.gantry(&["check", "gantry.yaml"], &[]).code, Some(1));
    let ended = files.gantry(&["check", "--strict", "--no-secrets", "gantry.yaml"], &[]);
    assert_eq!(ended.lines()[1], "ok: 1 bridge, no errors, no warnings; what references bring was not looked at");
    let ended = files.gantry(&["check", "--no-secrets", "wrong.yaml"], &[]);
    assert!(ended.code == Some(1) && ended.lines().len() == 2, "{ended:?}");
}

#[test]
fn init_writes_a_start_that_passes_the_check() {
    let files = Files::of(&[]);
    let all = files.gantry(&["list", "--json"], &[]).json();
    let of = |kind: &str| -> Vec<String> {
        let names = all.as_array().expect("a list").iter().filter(|one| one["kind"] == kind);
        names.map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
    };
    for source in of("source") {
        for sink in of("sink") {
            let name = format!("{source}-{sink}.yaml");
            let ended = files.gantry(&["init", &source, &sink, "--output", &name], &[]);
            assert_eq!(ended.code, Some(0), "{ended:?}");
            let ended = files.gantry(&["check", "--strict", &name], &[("RABBITMQ_PASSWORD", "guest")]);
            assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
        }
    }
    let again = files.gantry(&["init", "rabbitmq", "kafka", "-o", "rabbitmq-kafka.yaml"], &[]);
    assert!(again.code == Some(2) && again.err.contains("writing rabbitmq-kafka.yaml: File exists"), "{again:?}");
    let printed = files.gantry(&["init", "rabbitmq", "kafka"], &[]);
    assert!(printed.out.contains("\n# ") || printed.out.starts_with("# "), "{}", printed.out);
    let unknown = files.gantry(&["init", "rabbit", "kafka"], &[]);
    assert!(unknown.err.contains("there is no source \"rabbit\"; did you mean \"rabbitmq\"?"), "{unknown:?}");
}

#[test]
fn a_file_of_mistakes_is_told_by_its_first() {
    let unknown: String = (0..60_000).map(|n| format!("k{n}: 1\n")).collect();
    let ended = check(&format!("{unknown}{GOOD}"));
    assert_eq!(ended.code, Some(1));
    let lines = ended.lines();
    assert!(lines.len() < 60 && lines.iter().any(|line| line.ends_with("… and 59950 more unknown keys")), "{lines:#?}");
}
