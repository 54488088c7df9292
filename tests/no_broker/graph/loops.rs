//! Which circles `gantry check` warns of, and which not.

use super::{THERE_AND_BACK, gantry};

/// The warnings about circles.
fn circles(yaml: &str) -> Vec<String> {
    let ended = gantry("check", yaml, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.lines().into_iter().filter(|line| line.contains("for ever")).map(str::to_owned).collect()
}

#[test]
fn a_bridge_there_and_a_bridge_back_are_told_with_what_to_do() {
    let found = circles(THERE_AND_BACK);
    assert_eq!(
        found,
        [
            "gantry.yaml:5:3: warning: bridges.there: records go round for ever: \"there\" writes the topic \"orders\", which \
          \"back\" reads; \"back\" writes the queue \"orders\", which \"there\" reads. Give each of them hops: {}, which ends \
          a record's way after one bridge"
        ]
    );
    let counted = THERE_AND_BACK.replace("    errors:", "    hops: {}\n    errors:");
    assert_eq!(circles(&counted), [""; 0]);
}

#[test]
fn a_name_that_only_records_know_is_no_circle() {
    let routed = THERE_AND_BACK.replace("topic: orders }", "topic: \"{routing_key}\" }");
    assert_eq!(
        circles(&routed.replacen(
            "source: { kafka: { connection: events, topic: \"{routing_key}\" } }",
            "source: { kafka: { connection: events, topic: orders } }",
            1
        )),
        [""; 0]
    );
}

#[test]
fn a_route_leaves_the_exchange_and_its_bindings_what_they_are() {
    let to_exchange = THERE_AND_BACK
        .replace("sink: { rabbitmq: { connection: rabbit, queue: orders } }", "transforms: [{ route: { to: \"{key|none}\" } }]\n    sink: { rabbitmq: { connection: rabbit, exchange: shop } }")
        .replace("queue: orders } }", "queue: orders, declare: { bindings: [{ exchange: shop, routing_key: \"#\" }] } } }");
    let found = circles(&to_exchange);
    assert_eq!(found.len(), 1, "{found:?}");
    let drawn = gantry("graph", &to_exchange, &["--format", "dot"]).out;
    assert!(drawn.contains("shop") && !drawn.contains("{destination|shop}"), "{drawn}");
    let by_key = to_exchange.replace("exchange: shop }", "exchange: \"\", routing_key: orders }");
    assert_eq!(circles(&by_key), [""; 0], "a destination is the queue there");
    assert!(gantry("graph", &by_key, &["--format", "dot"]).out.contains("{destination|orders}"));
}

#[test]
fn a_mirror_between_clusters_is_no_circle_and_one_within_is() {
    let mirror = r#"connections:
  east: { kafka: { bootstrap_servers: "east1:9092,east2:9092" } }
  west: { kafka: { bootstrap_servers: "west1:9092" } }
  # The same cluster under another name.
  again: { kafka: { bootstrap_servers: ["east2:9092", "east3:9092"] } }
bridges:
  mirror:
    source: { kafka: { connection: east, topics_regex: "^orders" } }
    sink: { kafka: { connection: TO, topic: orders-copy } }
    errors: { dead_letter: { kafka: { connection: west, topic: dead } } }
"#;
    assert_eq!(circles(&mirror.replace("TO", "west").replace("  again:", "  # again:")), [""; 0]);
    let found = circles(&mirror.replace("TO", "again"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("\"mirror\" writes the topic \"orders-copy\", which \"mirror\" reads"), "{found:?}");
}

#[test]
fn dead_letters_that_come_back_are_told() {
    let poison = THERE_AND_BACK.replace("topic: back-dead", "topic: orders");
    let found = circles(&poison.replace("    errors:", "    hops: {}\n    errors:"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("bridges.back.errors.dead_letter"), "{found:?}");
    assert!(
        found[0].contains("the dead letters of \"back\" go to the topic \"orders\", which \"back\" reads"),
        "{found:?}"
    );
}

#[test]
fn two_bridges_in_one_group_share_and_two_groups_do_not() {
    let two = |group: &str| {
        format!(
            r#"connections: {{ events: {{ kafka: {{ bootstrap_servers: "kafka1:9092" }} }} }}
bridges:
  one: {{ source: {{ kafka: {{ connection: events, topic: orders, group: shared }} }}, sink: {{ console: {{}} }} }}
  two: {{ source: {{ kafka: {{ connection: events, topics: [x, orders]{group} }} }}, sink: {{ console: {{}} }}, tasks: 3 }}
"#
        )
    };
    let warnings = |yaml: &str| {
        gantry("check", yaml, &[])
            .lines()
            .iter()
            .filter(|line| line.contains(": warning: "))
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    // No warning of `tasks` either: partitions keep their order.
    assert_eq!(warnings(&two("")), [""; 0]);
    let found = warnings(&two(", group: shared"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("the bridge \"one\" reads the topic \"orders\" too in the group \"shared\""),
        "{found:?}"
    );
}
