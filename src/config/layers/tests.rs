use std::fs;

use serde_json::json;

use super::*;

fn tree(files: &[&str], variables: &[(&str, &str)]) -> (Tree, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let paths: Vec<PathBuf> = (0..files.len()).map(|number| directory.path().join(format!("{number}.yaml"))).collect();
    for (path, text) in paths.iter().zip(files) {
        fs::write(path, text).expect("writing a temporary file");
    }
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let (tree, problems) = collect(&paths, variables);
    assert_eq!(problems, Vec::new());
    (tree.expect("the files are YAML"), directory.path().to_owned())
}

fn place(tree: &Tree, directory: &std::path::Path, path: impl Into<KeyPath>) -> String {
    let place = tree.place(&path.into()).map(|place| place.to_string()).unwrap_or_default();
    place.replace(&format!("{}/", directory.display()), "")
}

#[test]
fn later_files_win_key_by_key_and_replace_lists() {
    let first = "bridges:\n  a: { tasks: 1, list: [1, 2] }\n  b: { tasks: 1 }\n";
    let second = "bridges:\n  a: { list: [3] }\n  c: {}\nlog: { level: warn }\n";
    let (tree, directory) = tree(&[first, second], &[]);
    let expected = json!({
        "bridges": { "a": { "tasks": 1, "list": [3] }, "b": { "tasks": 1 }, "c": {} },
        "log": { "level": "warn" },
    });
    assert_eq!(tree.root().to_json(), expected);
    assert_eq!(place(&tree, &directory, "bridges.a"), "0.yaml:2:3");
    assert_eq!(place(&tree, &directory, "bridges.a.tasks"), "0.yaml:2:8");
    assert_eq!(place(&tree, &directory, "bridges.a.list"), "1.yaml:2:8");
    assert_eq!(place(&tree, &directory, KeyPath::from("bridges.a.list").index(0)), "1.yaml:2:15");
    assert_eq!(place(&tree, &directory, "bridges.c.source.rabbitmq"), "1.yaml:3:3", "what is not there: the nearest");
    assert_eq!(place(&tree, &directory, ""), "");
}

#[test]
fn a_place_is_found_by_keys_with_dots() {
    let (tree, directory) = tree(&["p:\n  linger: { ms: 1 }\n  linger.ms: 2\n  linger.ms.x: [ { a.b: 1 } ]\n"], &[]);
    let p = KeyPath::from("p");
    assert_eq!(place(&tree, &directory, "p.linger"), "0.yaml:2:3");
    assert_eq!(place(&tree, &directory, "p.linger.ms"), "0.yaml:2:13");
    assert_eq!(place(&tree, &directory, p.key("linger.ms")), "0.yaml:3:3");
    assert_eq!(place(&tree, &directory, p.key("linger.ms.x").index(0).key("a.b")), "0.yaml:4:20");
}

#[test]
fn variables_win_over_files_and_find_their_keys_in_any_case() {
    let file = "bridges:\n  Orders:\n    sink: { kafka: { headers: { X-Tenant: a }, properties: { linger.ms: 1 } } }\n";
    let variables = [
        ("GANTRY__BRIDGES__ORDERS__SINK__KAFKA__HEADERS__X-TENANT", "b"),
        ("GANTRY__BRIDGES__ORDERS__SINK__KAFKA__HEADERS__Trace", "c"),
        ("GANTRY__BRIDGES__ORDERS__SINK__KAFKA__PROPERTIES__LINGER.MS", "7"),
        ("GANTRY__CONTROL__LISTEN", "0.0.0.0:1"),
    ];
    let (tree, directory) = tree(&[file], &variables);
    let expected = json!({
        "bridges": { "Orders": { "sink": { "kafka": {
            "headers": { "X-Tenant": "b", "Trace": "c" },
            "properties": { "linger.ms": "7" },
        } } } },
        "control": { "listen": "0.0.0.0:1" },
    });
    assert_eq!(tree.root().to_json(), expected);
    assert_eq!(place(&tree, &directory, "control.listen"), "environment variable GANTRY__CONTROL__LISTEN");
    let place = |path: &'static str| tree.place(&path.into()).cloned();
    let headers = "bridges.Orders.sink.kafka.headers";
    assert!(matches!(place("bridges.Orders.sink.kafka.headers.Trace"), Some(Place::Variable(_))));
    assert!(matches!(place(headers), Some(Place::File { .. })));
}

#[test]
fn the_default_of_an_image_is_below_files_and_variables() {
    let default = ("GANTRY_DEFAULT_LISTEN", "0.0.0.0:8083");
    let listen = |tree: &Tree| tree.root().to_json()["control"]["listen"].clone();
    let (alone, directory) = tree(&["control: { hosts: [a] }\n"], &[default]);
    assert_eq!((listen(&alone), alone.listens_by_default()), (json!("0.0.0.0:8083"), true));
    assert_eq!(place(&alone, &directory, "control.listen"), "environment variable GANTRY_DEFAULT_LISTEN");
    let (below_file, _) = tree(&["control: { listen: '127.0.0.1:1' }\n"], &[default]);
    assert_eq!((listen(&below_file), below_file.listens_by_default()), (json!("127.0.0.1:1"), false));
    let (below_variable, _) = tree(&["a: 1\n"], &[default, ("GANTRY__CONTROL__LISTEN", "127.0.0.1:2")]);
    assert_eq!(listen(&below_variable), json!("127.0.0.1:2"));
}

#[test]
fn a_variable_can_replace_what_is_no_map() {
    let (tree, _) = tree(&["a: { connection: name }\n"], &[("GANTRY__A__CONNECTION__URLS", "x"), ("GANTRY__B", "")]);
    assert_eq!(tree.root().to_json(), json!({ "a": { "connection": { "urls": "x" } }, "b": "" }));
}

#[test]
fn a_variable_with_an_empty_part_is_an_error() {
    let (_, problems) = collect(&[], vec![("GANTRY__A____B".to_owned(), "x".to_owned())]);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].message.contains("GANTRY__A____B"), "{problems:?}");
}

#[test]
fn every_file_that_cannot_be_read_is_named() {
    let (tree, problems) = collect(&[PathBuf::from("/nowhere/a.yaml"), PathBuf::from("/nowhere/b.yaml")], Vec::new());
    assert!(tree.is_none());
    let texts: Vec<String> = problems.iter().map(Diagnostic::to_string).collect();
    assert_eq!(texts.len(), 2);
    assert!(texts[0].contains("/nowhere/a.yaml") && texts[1].contains("/nowhere/b.yaml"), "{texts:?}");
}

#[test]
fn a_variable_with_thousands_of_parts_is_an_error() {
    let name = format!("GANTRY__{}", vec!["A"; 20_000].join("__"));
    let (_, problems) = collect(&[], vec![(name, "x".to_owned())]);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].message.contains("more than 100 parts"), "{problems:?}");
    assert!(problems[0].message.len() < 200, "{problems:?}");
}
