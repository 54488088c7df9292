use std::fs;

use gantry_runtime::{DeadLetterTarget, Tolerance};
use serde_json::json;
use tempfile::TempDir;

use super::*;

const ORDERS: &str = r#"
connections:
  rabbit: { rabbitmq: { urls: ["amqp://guest:${env:CARGO_PKG_NAME}@rabbit1:5672/%2f"] } }
  events: { kafka: { bootstrap_servers: "localhost:9092" } }
bridges:
  orders:
    source: { rabbitmq: { connection: rabbit, queue: orders } }
    sink: { kafka: { connection: events, topic: orders, key: "{message_id}" } }
    errors: { dead_letter: { kafka: { connection: events, topic: orders-dead } } }
"#;

/// A file in a directory of its own; the directory goes with it.
fn file(text: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("gantry.yaml");
    fs::write(&path, text).expect("writing a temporary file");
    (directory, path)
}

fn with(text: &str, variables: &[(&str, &str)], strict: bool) -> Result<Loaded, Vec<String>> {
    let (directory, path) = file(text);
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let shown = |all: Vec<Diagnostic>| {
        let directory = format!("{}/", directory.path().display());
        all.iter().map(|one| one.to_string().replace(&directory, "")).collect()
    };
    let secrets = if strict { Secrets::Required } else { Secrets::Awaited };
    examine(&[path], variables, secrets).map_err(shown)
}

fn good(text: &str) -> Loaded {
    with(text, &[], true).unwrap_or_else(|problems| panic!("{}", problems.join("\n")))
}

fn warnings(text: &str) -> Vec<String> {
    good(text).warnings.iter().map(|warning| format!("{}: {}", warning.path, warning.message)).collect()
}

/// One line of `problems` that starts so.
fn has(problems: &[String], start: &str) -> bool {
    problems.iter().any(|problem| problem.starts_with(start))
}

#[test]
fn a_bridge_is_loaded_with_its_connections_and_without_its_secrets() {
    let loaded = good(ORDERS);
    assert_eq!(loaded.warnings, Vec::new());
    let [orders] = loaded.bridges.as_slice() else { panic!("one bridge") };
    assert_eq!((&*orders.name, orders.tasks), ("orders", 1));
    assert!(orders.file.ends_with("gantry.yaml"));
    assert_eq!(
        orders.source.options,
        json!({
            "connection": { "urls": ["amqp://guest:${env:CARGO_PKG_NAME}@rabbit1:5672/%2f"] },
            "queue": "orders",
        })
    );
    let resolved = orders.source.checked().expect("it is right, and Cargo sets the variable");
    assert_eq!(resolved["connection"]["urls"][0], "amqp://guest:gantry@rabbit1:5672/%2f");
    assert_eq!(orders.sinks[0].sink.options["connection"], json!({ "bootstrap_servers": "localhost:9092" }));
    let dead_letter = orders.errors.dead_letter_sink().expect("it is written");
    assert_eq!(dead_letter.options["topic"], "orders-dead");
    assert_eq!(orders.raw["sink"]["kafka"]["connection"], "events", "raw is what was written");
}

#[test]
fn what_is_not_written_has_the_documented_default() {
    let loaded = good("bridges: { a: { source: { generate: {} }, sink: { console: {} } } }");
    assert_eq!(loaded.settings.control.listen.to_string(), "127.0.0.1:8083");
    assert_eq!(loaded.settings.shutdown_timeout.as_secs(), 30);
    assert_eq!(loaded.settings.log, Log { level: LogLevel::Info, format: LogFormat::Text });
    let bridge = &loaded.bridges[0];
    assert!(bridge.errors.dead_letter.is_none());
    assert_eq!(bridge.errors.retry.timeout, None);
    assert_eq!((bridge.errors.backoff.0.as_secs(), bridge.errors.backoff.1.as_secs()), (1, 60));
    let limits = bridge.limits;
    assert_eq!((limits.in_flight_records, limits.in_flight_bytes), (10_000, 64 << 20));
    assert_eq!((limits.batch_records, limits.batch_bytes), (500, 4 << 20));
}

#[test]
fn a_key_without_a_value_is_as_good_as_not_written() {
    let text = "shutdown_timeout:\nbridges:\n  a:\n    tasks:\n    source: { generate: }\n    transforms:\n    \
                sink: { console: }\n    errors: { dead_letter: , retry: , backoff: { max: } }\n    limits:\n";
    assert_eq!(good(text).bridges.len(), 1);
    let empty = with("bridges: { a: { source: , sink: { console: } } }", &[], true).expect_err("it has no source");
    assert!(has(&empty, "gantry.yaml:1:12: error: bridges.a: \"source\" is missing"), "{empty:?}");
}

#[test]
fn a_section_without_anything_is_not_an_empty_one() {
    for key in ["control", "connections", "bridges", "log", "limits"] {
        let problems = with(&format!("{key}:\n"), &[], false).expect_err(key);
        assert!(
            problems.iter().any(|one| one.contains(&format!("error: {key}: has nothing behind it"))),
            "{problems:?}"
        );
        good(&format!("{key}: {{}}\n"));
    }
}

#[test]
fn a_missing_secret_is_an_error_to_check_and_the_bridges_own_matter_to_run() {
    let text = ORDERS.replace("CARGO_PKG_NAME", "GANTRY_NO_SUCH_VARIABLE");
    let error = "gantry.yaml:3:32: error: connections.rabbit.rabbitmq.urls[0]: the environment variable \
                 GANTRY_NO_SUCH_VARIABLE is not set";
    assert_eq!(with(&text, &[], true).expect_err("check is strict"), [error]);
    let loaded = with(&text, &[], false).expect("to run it is a warning");
    assert_eq!(loaded.bridges.len(), 1);
    assert_eq!(loaded.warnings.len(), 1);
    assert!(loaded.warnings[0].message.starts_with("the environment variable GANTRY_NO_SUCH_VARIABLE is not set;"));
    let failed = loaded.bridges[0].source.checked().expect_err("it is still not set");
    assert_eq!(failed.to_string(), "connection.urls[0]: the environment variable GANTRY_NO_SUCH_VARIABLE is not set");

    // What is needed at once cannot wait.
    for (place, expected) in [
        ("queue: orders", "queue: orders, prefetch: '${env:GANTRY_NO_SUCH_VARIABLE}'"),
        ("    errors: {", "    tasks: '${env:GANTRY_NO_SUCH_VARIABLE}'\n    errors: {"),
        ("    errors: {", "    errors: { retry: { delay: '${env:GANTRY_NO_SUCH_VARIABLE}' },"),
    ] {
        let problems = with(&ORDERS.replace(place, expected), &[], false).expect_err(expected);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].ends_with("GANTRY_NO_SUCH_VARIABLE is not set"), "{problems:?}");
    }
    let listen = with("control: { listen: '${env:GANTRY_NO_SUCH_VARIABLE}' }", &[], false);
    assert!(has(
        &listen.expect_err("it is needed at once"),
        "gantry.yaml:1:12: error: control.listen: the environment"
    ));
}

#[test]
fn variables_take_the_type_of_their_place() {
    let variables = [
        ("GANTRY__BRIDGES__ORDERS__TASKS", "3"),
        ("GANTRY__BRIDGES__ORDERS__SOURCE__RABBITMQ__QUEUE", "007"),
        ("GANTRY__BRIDGES__ORDERS__SOURCE__RABBITMQ__PREFETCH", "100"),
        ("GANTRY__BRIDGES__ORDERS__ERRORS__RETRY__TIMEOUT", "5m"),
        ("GANTRY__CONNECTIONS__RABBIT__RABBITMQ__URLS", "[amqp://a, amqp://b]"),
        ("GANTRY__BRIDGES__ORDERS__ERRORS__DEAD_LETTER", "{ console: {} }"),
        ("GANTRY__CONTROL__LISTEN", "127.0.0.1:0"),
    ];
    let loaded = with(ORDERS, &variables, true).expect("all of it is right");
    let bridge = &loaded.bridges[0];
    assert_eq!(bridge.tasks, 3);
    assert_eq!(bridge.source.options["queue"], "007");
    assert_eq!(bridge.source.options["prefetch"], 100);
    assert_eq!(bridge.source.options["connection"]["urls"], json!(["amqp://a", "amqp://b"]));
    assert_eq!(bridge.errors.retry.timeout.map(|timeout| timeout.as_secs()), Some(300));
    assert_eq!(bridge.errors.dead_letter.as_ref().map(DeadLetterTarget::name), Some("console"));
    assert_eq!(loaded.settings.control.listen.port(), 0);
}

#[test]
fn a_wrong_variable_is_named() {
    let variables = [("GANTRY__BRIDGES__ORDERS__TASKS", "many"), ("GANTRY__CONTROLL__LISTEN", "127.0.0.1:0")];
    let problems = with(ORDERS, &variables, true).expect_err("both are wrong");
    assert_eq!(
        problems,
        [
            "environment variable GANTRY__BRIDGES__ORDERS__TASKS: error: bridges.orders.tasks: expected a whole number, \
             found text",
            "environment variable GANTRY__CONTROLL__LISTEN: error: controll: unknown key; did you mean \"control\"?",
        ]
    );
}

#[test]
fn a_reference_can_stand_for_a_number() {
    let (directory, _) = file("");
    let path = directory.path().join("prefetch");
    fs::write(&path, "50\n").expect("writing a temporary file");
    let text = ORDERS.replace("queue: orders", &format!("queue: orders, prefetch: '${{file:{}}}'", path.display()));
    let source = good(&text).bridges[0].source.clone();
    let prefetch = || source.checked().expect("it is there")["prefetch"].clone();
    assert_eq!(prefetch(), 50);
    // It is read at each use, like any other.
    fs::write(&path, "60\n").expect("writing a temporary file");
    assert_eq!(prefetch(), 60);
    fs::write(&path, "a few").expect("writing a temporary file");
    let problems = with(&text, &[], true).expect_err("it is no number");
    assert!(
        has(&problems, "gantry.yaml:7:62: error: bridges.orders.source.rabbitmq.prefetch: expected"),
        "{problems:?}"
    );
}

#[test]
fn a_reference_stands_for_a_single_value_and_is_shown_as_it_is_written() {
    let (directory, _) = file("");
    let path = directory.path().join("brought");
    let reference = format!("${{file:{}}}", path.display());
    let cases = [
        ("queue: orders }", format!("queue: orders, declare: '{reference}' }}"), "{ queue: {} }"),
        ("queue: orders }", format!("queues: '{reference}' }}"), "[a, b]"),
        ("    errors: {", format!("    transforms: '{reference}'\n    errors: {{"), "[]"),
        ("    errors: {", format!("    limits: '{reference}'\n    errors: {{"), "{ batch: 5 }"),
        ("    errors: {", format!("    tasks: '{reference}'\n    errors: {{"), "[2]"),
        ("    errors: {", format!("    tasks: '{reference}'\n    errors: {{"), "~"),
    ];
    for (from, to, brought) in cases {
        fs::write(&path, brought).expect("writing a temporary file");
        let problems = with(&ORDERS.replace(from, &to), &[], false).expect_err(&to);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(!problems[0].contains(brought), "{problems:?}");
    }

    fs::write(&path, "7").expect("writing a temporary file");
    let text = ORDERS.replace("queue: orders }", &format!("queue: orders, prefetch: '{reference}' }}"));
    let text = text.replace("    errors: {", &format!("    tasks: '{reference}'\n    errors: {{"));
    let loaded = with(&text, &[], false).expect("both are numbers");
    assert_eq!(loaded.bridges[0].tasks, 7);
    let shown = redacted(&loaded.bridges[0]);
    assert_eq!((&shown["tasks"], &shown["source"]["rabbitmq"]["prefetch"]), (&json!(reference), &json!(reference)));
    assert_eq!(loaded.bridges[0].source.options["prefetch"], json!(reference), "nothing of it is kept");
}

#[test]
fn what_a_reference_brought_is_quoted_by_nobody() {
    let (directory, _) = file("");
    let path = directory.path().join("secret");
    let secret = format!("${{file:{}}}", path.display());
    // Whatever asks for it: schemas, options of our own, connectors, what is compared and what is warned of.
    let places = [
        ("", format!("control: {{ listen: \"{secret}\" }}\n")),
        ("", format!("log: {{ format: \"{secret}\" }}\n")),
        ("", format!("shutdown_timeout: \"{secret}\"\n")),
        ("    errors: {", format!("    stall_timeout: \"{secret}\"\n    errors: {{")),
        ("    errors: {", format!("    hops: {{ header: \"{secret}\", limit: \"{secret}\" }}\n    errors: {{")),
        ("    errors: {", format!("    errors: {{ backoff: {{ initial: \"{secret}\" }}, ")),
        ("    errors: {", format!("    errors: {{ backoff: {{ initial: 2m, max: \"{secret}\" }}, ")),
        ("    errors: {", format!("    limits: {{ batch: \"{secret}\", in_flight: 1 }}\n    errors: {{")),
        ("    errors: {", format!("    limits: {{ batch: 1000, in_flight: \"{secret}\" }}\n    errors: {{")),
        ("queue: orders", format!("queue: \"{secret}\"")),
        ("queue: orders", format!("queue: orders, prefetch: \"{secret}\"")),
        ("queue: orders", format!("queue: orders, declare: {{ queue: {{ type: \"{secret}\" }} }}")),
        ("connection: rabbit,", format!("connection: \"{secret}\",")),
        ("topic: orders,", format!("topic: \"{secret}\",")),
        ("topic: orders,", format!("topic: \"{{{secret}}}\",")),
        ("topic: orders,", format!("topic: orders, linger: \"{secret}\",")),
        ("topic: orders,", format!("topic: orders, compression: \"{secret}\",")),
        ("topic: orders,", format!("topic: orders, properties: {{ queue.buffering.max.kbytes: \"{secret}\" }},")),
        ("topic: orders,", format!("topic: orders, header_mapping: {{ encoding: \"{secret}\" }},")),
        ("${env:CARGO_PKG_NAME}@rabbit1:5672", format!("x@rabbit1:{secret}")),
        ("amqp://guest:${env:CARGO_PKG_NAME}@rabbit1:5672/%2f", secret.clone()),
        ("localhost:9092", secret.clone()),
        ("\"localhost:9092\"", format!("\"localhost:9092\", client_id: \"{secret}\", connect_timeout: \"{secret}\"")),
        (
            "    sink:",
            format!("    transforms: [{{ filter: {{ drop: {{ field: \"{secret}\", equals: \"a\" }} }} }}]\n    sink:"),
        ),
        ("    sink:", format!("    transforms: [{{ timestamp: {{ from: \"{secret}\" }} }}]\n    sink:")),
    ];
    for brought in ["ZqW", "ZqW\n\"ZqW\"\\\t{ZqW}", "5ZqW", "[ZqW]", "9973"] {
        fs::write(&path, brought).expect("writing a temporary file");
        for (place, text) in &places {
            let text = if place.is_empty() { format!("{text}{ORDERS}") } else { ORDERS.replacen(place, text, 1) };
            let told = match with(&text, &[], true) {
                Err(problems) => problems,
                Ok(loaded) => loaded.warnings.iter().map(Diagnostic::to_string).collect(),
            };
            for one in told {
                assert!(!one.contains("ZqW") && !one.contains("9973"), "{text}\n{one}");
            }
        }
    }
}

#[test]
fn without_secrets_the_rest_is_checked() {
    let text = ORDERS.replace("CARGO_PKG_NAME", "GANTRY_NO_SUCH_VARIABLE");
    let check = |text: &str| {
        let (_directory, path) = file(text);
        let found = examine(&[path], Vec::new(), Secrets::Unread);
        found
            .map(|loaded| loaded.warnings.len())
            .map_err(|all| all.iter().map(|one| one.message.clone()).collect::<Vec<_>>())
    };
    assert_eq!(check(&text), Ok(0));
    let everywhere = "'${file:/nowhere}'";
    let all = text
        .replace("queue: orders", &format!("queue: {everywhere}, prefetch: {everywhere}"))
        .replace("key:", &format!("linger: {everywhere}, compression: {everywhere}, key:"))
        .replace("\"localhost:9092\"", everywhere)
        .replace(
            "    errors: {",
            &format!("    tasks: {everywhere}\n    errors: {{ retry: {{ delay: {everywhere} }},"),
        );
    assert_eq!(check(&format!("control: {{ listen: {everywhere} }}\n{all}")), Ok(0));
    let wrong = check(&all.replace("topic: orders,", "")).expect_err("the topic is missing");
    assert!(wrong.len() == 1 && wrong[0].contains("\"topic\" is missing"), "{wrong:?}");
    let wrong = check(&all.replace("${file:/nowhere}", "${fil:/nowhere}")).expect_err("it is no reference");
    assert!(wrong.iter().any(|one| one.contains("is not a reference")), "{wrong:?}");
}

#[test]
fn a_misspelt_section_is_one_mistake() {
    for (from, to) in
        [("connections:", "conections:"), ("    sink:", "    sinc:"), ("topic: orders,", "topik: orders,")]
    {
        let problems = with(&ORDERS.replacen(from, to, 1), &[], true).expect_err(to);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("unknown key; did you mean"), "{problems:?}");
    }
}

#[test]
fn names_that_mean_another_place_are_refused() {
    for name in [".", ".."] {
        let problems = with(&ORDERS.replace("  orders:\n", &format!("  {name}:\n")), &[], true).expect_err(name);
        assert!(problems[0].contains("no bridge can be named"), "{problems:?}");
    }
}

#[test]
fn problems_of_a_named_connection_are_told_once_and_where_they_stand() {
    let text = ORDERS.replace("amqp://guest", "http://guest");
    let text = text.replace(
        "bridges:\n",
        "bridges:\n  more: { source: { rabbitmq: { connection: rabbit, queue: a } }, sink: { console: } }\n",
    );
    let problems = with(&text, &[], true).expect_err("the URL is wrong");
    let errors: Vec<_> = problems.iter().filter(|problem| problem.contains("error:")).collect();
    assert_eq!(errors.len(), 1, "{problems:?}");
    assert!(errors[0].starts_with("gantry.yaml:3:32: error: connections.rabbit.rabbitmq.urls[0]: "), "{problems:?}");
}

#[test]
fn no_message_holds_a_secret() {
    let (directory, _) = file("");
    let path = directory.path().join("secret");
    fs::write(&path, "hunter2{").expect("writing a temporary file");
    let secret = format!("${{file:{}}}", path.display());
    // The secret where a number, a word, a template, a name, a URL and a duration are asked for.
    let text = format!(
        r#"
connections:
  rabbit: {{ rabbitmq: {{ urls: ["http://u:{secret}@h", "{secret}", "amqp://u:plainsecret@@"], password: [plainsecret] }} }}
  events: {{ kafka: {{ bootstrap_servers: "{secret}", properties: {{ sasl.password: plainsecret, "no.such": "{secret}" }} }} }}
bridges:
  orders:
    tasks: "{secret}"
    source: {{ rabbitmq: {{ connection: "{secret}", queue: a, prefetch: "{secret}" }} }}
    sink: {{ kafka: {{ connection: events, topic: "{{{secret}}}", compression: "{secret}", linger: "{secret}" }} }}
log: {{ level: "{secret}" }}
"#
    );
    let problems = with(&text, &[], true).expect_err("all of it is wrong");
    assert!(problems.len() > 6, "{problems:?}");
    for problem in &problems {
        assert!(!problem.contains("hunter2") && !problem.contains("plainsecret"), "{problem}");
    }
}

#[test]
fn what_is_served_of_a_bridge_holds_no_secret() {
    let text = r#"
bridges:
  a:
    source:
      rabbitmq: { connection: { urls: ["amqp://u:plain@h/%2f", "amqp://u:${env:CARGO_PKG_NAME}@h"], password: plain }, queue: q }
    sink: { kafka: { connection: { bootstrap_servers: "h:1", tls: { key_password: plain, certificate_file: c, key_file: k } }, topic: t } }
"#;
    let loaded = with(text, &[], false).unwrap_or_else(|problems| panic!("{problems:?}"));
    let expected = json!({
        "source": { "rabbitmq": {
            "connection": {
                "urls": ["amqp://u:[hidden]@h/%2f", "amqp://u:${env:CARGO_PKG_NAME}@h"],
                "password": "[hidden]",
            },
            "queue": "q",
        } },
        "sink": { "kafka": {
            "connection": { "bootstrap_servers": "h:1", "tls": { "key_password": "[hidden]", "certificate_file": "c", "key_file": "k" } },
            "topic": "t",
        } },
    });
    assert_eq!(redacted(&loaded.bridges[0]), expected);
}

#[test]
fn what_will_hurt_is_told() {
    let with_limits = ORDERS.replace("    errors:", "    tasks: 2\n    limits: { batch: 300 }\n    errors:");
    let found = warnings(&with_limits);
    for expected in [
        "bridges.orders.tasks: with more than one task records overtake each other",
        "bridges.orders.limits.batch: is more than a tenth of the source's prefetch (2000)",
    ] {
        assert!(has(&found, expected), "{expected}: {found:?}");
    }

    let two =
        "  again:\n    source: { rabbitmq: { connection: rabbit, queues: [x, orders] } }\n    sink: { console: }\n";
    let found = warnings(&format!("{ORDERS}{two}"));
    assert_eq!(
        found,
        ["bridges.again.source.rabbitmq: the bridge \"orders\" reads the queue \"orders\" too: each message goes to \
             only one of them"]
    );

    let found = warnings(&ORDERS.replace("    errors:", "    # errors:"));
    assert!(has(&found, "bridges.orders: no errors.dead_letter: a poison message will stop this bridge"), "{found:?}");

    let found =
        warnings("control: { listen: '0.0.0.0:8083' }\nconnections: { x: { kafka: { bootstrap_servers: 'a:1' } } }");
    assert!(has(&found, "control.listen: reachable from other machines"), "{found:?}");
    assert!(has(&found, "connections.x: no bridge uses this connection"), "{found:?}");
    assert!(has(&found, ": there are no bridges"), "{found:?}");

    let found = warnings(&ORDERS.replace("${env:CARGO_PKG_NAME}", "guest"));
    assert!(has(&found, "connections.rabbit.rabbitmq.urls[0]: a secret in plain text"), "{found:?}");
}

#[test]
fn what_stands_in_the_place_of_a_section_is_never_passed_over() {
    let bridge = |source: &str, transforms: &str, sink: &str, dead_letter: &str| {
        format!(
            "bridges: {{ a: {{ source: {source}, transforms: {transforms}, sink: {sink}, errors: {{ dead_letter: \
             {dead_letter} }} }} }}"
        )
    };
    assert_eq!(good(&bridge("{ generate: }", "[]", "{ console: }", "{ console: }")).bridges.len(), 1);
    for wrong in ["5", "text", "[]", "[null]", "{}", "{ nowhere: }", "{ generate: 5 }", "{ a: , b: }"] {
        for text in [
            bridge(wrong, "[]", "{ console: }", "{ console: }"),
            bridge("{ generate: }", &format!("[{wrong}]"), "{ console: }", "{ console: }"),
            bridge("{ generate: }", "[]", wrong, "{ console: }"),
            bridge("{ generate: }", "[]", "{ console: }", wrong),
        ] {
            let problems = with(&text, &[], true).expect_err(&text);
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            assert!(!problems[0].contains("bug"), "{text}: {problems:?}");
        }
    }
    let nothing = with(&bridge("{ generate: }", "[null]", "{ console: }", "{ console: }"), &[], true);
    assert!(
        nothing.expect_err("a transform is missing")[0].contains("transforms[0]: expected a transform, found nothing")
    );
}

#[test]
fn a_queue_of_dead_letters_is_a_queue_of_its_own() {
    let bridge = |letters: &str| {
        format!(
            "connections: {{ rabbit: {{ rabbitmq: {{ urls: [\"amqp://rabbit1\"] }} }} }}\n\
             bridges: {{ a: {{ source: {{ generate: }}, sink: {{ rabbitmq: {{ connection: rabbit, queue: orders }} }}, \
             errors: {{ dead_letter: {{ rabbitmq: {{ connection: rabbit, queue: {letters} }} }} }} }} }}"
        )
    };
    assert_eq!(good(&bridge("orders-dead")).bridges.len(), 1);
    let problems = with(&bridge("orders"), &[], true).expect_err("it is the same");
    assert!(problems.len() == 1 && problems[0].contains("rabbitmq.queue: the same as the sink's"), "{problems:?}");
}

#[test]
fn limits_that_contradict_each_other_are_errors() {
    let text = ORDERS.replace(
        "    errors: {",
        "    limits: { batch: 20000, batch_bytes: 65MiB }\n    errors: { backoff: { initial: 2m }, retry: { delay: 2m },",
    );
    let problems = with(&text, &[], true).expect_err("they contradict each other");
    for expected in
        ["limits.batch: is more", "limits.batch_bytes: is more", "errors.backoff.initial", "errors.retry.delay"]
    {
        assert!(problems.iter().any(|problem| problem.contains(&format!("bridges.orders.{expected}"))), "{problems:?}");
    }
    assert_eq!(problems.len(), 4, "{problems:?}");
}

#[test]
fn the_schema_is_right_by_its_own_rules_and_takes_what_loading_takes() {
    let schema = schema();
    assert!(jsonschema::meta::is_valid(&schema));
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    let with_references = ORDERS.replace(
        "    errors:",
        "    tasks: '${env:TASKS}'\n    limits: { in_flight_bytes: '${env:SIZE}' }\n    errors:",
    );
    let with_references = with_references.replace("key:", "compression: '${env:CODEC}', linger: '${env:LINGER}', key:");
    for text in [ORDERS, &with_references, "bridges: { a: { source: { generate: }, sink: { console: } } }", "{}"] {
        let value = yaml::parse_value(text).expect("it is YAML").to_json();
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{text}");
    }
    for text in [
        ORDERS.replace("topic:", "topik:"),
        ORDERS.replace("rabbitmq: {", "rabitmq: {"),
        ORDERS.replace("bridges:", "bridge:"),
        ORDERS.replace("    errors:", "    tasks: many\n    errors:"),
        ORDERS.replace("  orders:", "  or/ders:"),
    ] {
        let value = yaml::parse_value(&text).expect("it is YAML").to_json();
        assert!(!validator.is_valid(&value), "{text}");
    }
}

#[test]
fn every_option_has_a_description() {
    let mut without = Vec::new();
    for entry in catalog::entries() {
        let rows = catalog::options(&entry);
        let bare = rows.iter().filter(|row| row.description.trim().is_empty());
        without.extend(bare.map(|row| format!("{} {}: {}", entry.kind, entry.name, row.path)));
    }
    assert_eq!(without, Vec::<String>::new());
}

#[test]
fn tolerance_follows_the_dead_letter_unless_it_is_written() {
    let bridge = |errors: &str| {
        let text =
            format!("bridges: {{ a: {{ source: {{ generate: }}, sink: {{ console: }}, errors: {{ {errors} }} }} }}");
        let loaded = good(&text);
        let policy = &loaded.bridges[0].errors;
        let letter = policy.dead_letter.as_ref().map(DeadLetterTarget::name);
        (policy.tolerance, letter, policy.dead_letter_in_use().is_some(), loaded.warnings.len())
    };
    assert_eq!(bridge(""), (Tolerance::None, None, false, 0));
    assert_eq!(bridge("dead_letter: { 'null': }"), (Tolerance::All, Some("null"), true, 0));
    assert_eq!(bridge("tolerance: none"), (Tolerance::None, None, false, 0));
    assert_eq!(bridge("tolerance: all"), (Tolerance::All, None, false, 1), "what is dropped is warned of");
    assert_eq!(bridge("tolerance: none, dead_letter: { 'null': }"), (Tolerance::None, Some("null"), false, 1));
}

#[test]
fn reject_is_for_sources_that_can_and_is_warned_of_without_an_exchange() {
    let reject = ORDERS
        .replace("dead_letter: { kafka: { connection: events, topic: orders-dead } }", "dead_letter: { reject: }");
    let loaded = good(&reject);
    let errors = &loaded.bridges[0].errors;
    assert_eq!(
        (errors.tolerance, errors.dead_letter.as_ref().map(DeadLetterTarget::name)),
        (Tolerance::All, Some("reject"))
    );
    let told = warnings(&reject);
    assert!(has(&told, "bridges.orders.errors.dead_letter.reject: RabbitMQ drops a rejected message"), "{told:?}");
    let declared = "queue: orders, declare: { queue: { arguments: { x-dead-letter-exchange: dead } } }";
    assert_eq!(warnings(&reject.replace("queue: orders", declared)), Vec::<String>::new());

    let wrong = |text: &str| with(text, &[], true).expect_err("it cannot work");
    let options = wrong(&reject.replace("reject:", "reject: { requeue: true }"));
    assert!(options[0].ends_with("errors.dead_letter.reject: takes no options: write { reject: {} }"), "{options:?}");
    let two = wrong(&reject.replace("reject:", "reject: , console:"));
    assert!(two[0].contains("write exactly one"), "{two:?}");
    let source =
        wrong("bridges: { a: { source: { generate: }, sink: { console: }, errors: { dead_letter: { reject: } } } }");
    assert!(source[0].contains("the source generate has no dead letter of its own"), "{source:?}");
}

#[test]
fn a_dead_letter_that_could_not_be_replayed_is_refused_and_the_same_sink_is_not() {
    let confluent = "header_mapping: { encoding: confluent }";
    let letter = ORDERS.replace("topic: orders-dead", &format!("topic: orders-dead, {confluent}"));
    let found = with(&letter, &[], true).expect_err("it cannot be replayed");
    let at = "bridges.orders.errors.dead_letter.kafka.header_mapping.encoding: a dead letter in encoding confluent";
    assert!(found[0].contains(at) && found.len() == 1, "{found:?}");
    let sink = ORDERS.replace("topic: orders,", &format!("topic: orders, {confluent},"));
    assert_eq!(warnings(&sink), Vec::<String>::new());
}

#[test]
fn the_limit_of_the_process_is_checked_against_its_tasks() {
    let text = |limit: &str, tasks: u32| {
        format!(
            "limits: {{ in_flight_bytes: {limit} }}\nbridges: {{ a: {{ tasks: {tasks}, source: {{ generate: }}, sink: {{ console: }} }} }}"
        )
    };
    assert_eq!(
        good("bridges: { a: { source: { generate: }, sink: { console: } } }").settings.in_flight_bytes,
        256 << 20
    );
    assert_eq!(good(&text("1GiB", 1)).settings.in_flight_bytes, 1 << 30);
    assert!(!has(&warnings(&text("50MiB", 100)), "limits.in_flight_bytes"));
    assert!(has(&warnings(&text("49MiB", 100)), "limits.in_flight_bytes: one half of it is divided among 100 task(s)"));
    let zero = with(&text("0B", 1), &[], true).expect_err("nothing would move");
    assert!(has(&zero, "gantry.yaml:1:11: error: limits.in_flight_bytes: must be at least 1B"), "{zero:?}");
    let attempts = |count: u32| ORDERS.replace("errors: {", &format!("errors: {{ retry: {{ max_attempts: {count} }},"));
    for (count, expected) in [(0, "0 would refuse every record"), (3, "the sink kafka does not count tries")] {
        let refused = with(&attempts(count), &[], true).expect_err("it has no effect that anybody wants");
        let says = |text: &String| text.contains(&format!("errors.retry.max_attempts: {expected}"));
        assert!(refused.iter().any(says), "{refused:?}");
    }
    let timeout = ORDERS.replace("errors: {", "errors: { retry: { timeout: 0s },");
    let timeout = with(&timeout, &[], true).expect_err("everything would be given up");
    assert!(timeout[0].contains("errors.retry.timeout: 0s would give up every record"), "{timeout:?}");
}

#[test]
fn what_is_wrong_is_told_of_each_bridge_whatever_dots_its_name_holds() {
    let bridge = |rate: u32, batch: u32| {
        format!(
            "{{ source: {{ generate: {{ rate: {rate} }} }}, sink: {{ console: {{}} }}, limits: {{ batch: {batch} }} }}"
        )
    };
    let text = format!("bridges:\n  a.b: {0}\n  a: {1}\n  'a[0]': {0}\n", bridge(0, 500), bridge(1, 20_000));
    let problems = with(&text, &[], true).expect_err("all of them are wrong");
    let expected = [
        "gantry.yaml:2:32: error: bridges.a.b.source.generate.rate: ",
        "gantry.yaml:3:76: error: bridges.a.limits.batch: ",
        "gantry.yaml:4:35: error: bridges.a[0].source.generate.rate: ",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    assert!(expected.iter().all(|start| has(&problems, start)), "{problems:?}");
}
