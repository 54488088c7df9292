use serde_json::{Value as Json, json};

use super::*;

fn read(text: &str) -> (Option<Json>, Vec<String>) {
    let (root, problems) = parse_file(Path::new("f.yaml"), text);
    (root.map(|root| root.to_json()), problems.iter().map(Diagnostic::to_string).collect())
}

fn value(text: &str) -> Json {
    let (root, problems) = read(text);
    assert_eq!(problems, Vec::<String>::new(), "{text}");
    root.expect(text)
}

#[test]
fn scalars_follow_yaml_1_2() {
    let text = "a: 1\nb: -2\nc: 1.5\nd: true\ne: yes\nf: ~\ng:\nh: '1'\ni: \"true\"\nj: 0x10\nk: 1e3\nl: .inf\n\
                m: 5s\nn: 2024-01-01\no: !!str 7\np: 18446744073709551616\nq: |\n  two\n  lines\n";
    let expected = json!({
        "a": 1, "b": -2, "c": 1.5, "d": true, "e": "yes", "f": null, "g": null, "h": "1", "i": "true", "j": 16,
        "k": 1000.0, "l": ".inf", "m": "5s", "n": "2024-01-01", "o": "7", "p": 18446744073709551616_i128,
        "q": "two\nlines\n",
    });
    assert_eq!(value(text), expected);
}

#[test]
fn keys_keep_their_order_and_their_dots() {
    let root = value("z.y: 1\nLinger.MS: 2\n5: 3\ntrue: 4\na: { c: 1, b: 2 }\n");
    assert_eq!(root.to_string(), r#"{"z.y":1,"Linger.MS":2,"5":3,"true":4,"a":{"c":1,"b":2}}"#);
}

#[test]
fn anchors_aliases_and_merges() {
    let text = "base: &base { a: 1, b: 2 }\nlist: &list [1, *base]\nuse: { <<: *base, b: 3 }\nsame: *list\n";
    let expected = json!({
        "base": { "a": 1, "b": 2 },
        "list": [1, { "a": 1, "b": 2 }],
        "use": { "b": 3, "a": 1 },
        "same": [1, { "a": 1, "b": 2 }],
    });
    assert_eq!(value(text), expected);
}

#[test]
fn an_empty_file_is_an_empty_configuration() {
    for text in ["", "\n", "# nothing\n", "---\n", "\u{feff}"] {
        assert_eq!(value(text), json!({}), "{text:?}");
    }
}

#[test]
fn every_key_that_is_written_twice_is_found() {
    let (root, problems) = read("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n");
    assert_eq!(
        problems,
        [
            "f.yaml:4:3: error: the key \"c\" is written twice (first in line 3)",
            "f.yaml:5:1: error: the key \"a\" is written twice (first in line 1)",
        ]
    );
    assert_eq!(root, Some(json!({ "a": 1, "b": { "c": 1 } })), "the first one stands, so that the rest can be checked");
}

#[test]
fn what_is_no_configuration_is_refused_with_its_place() {
    let cases = [
        ("a: [1\nb: 2\n", "f.yaml:1:4: error: this is no YAML: the [ here is not closed before line 2"),
        ("a:\n  b: { c: { d: 2 }\n  e: { f: {} }\n", "f.yaml:2:6: error: this is no YAML: the { here is not closed"),
        ("a: {\n  b: [1, 2]\n", "f.yaml:1:4: error: this is no YAML: the { here is not closed"),
        ("a: b: c\n", "f.yaml:1:5: error: this is no YAML"),
        ("a: 'open\n", "f.yaml:"),
        ("- a\n- b\n", "f.yaml:1:1: error: a configuration is a map"),
        ("just text\n", "f.yaml:1:1: error: a configuration is a map"),
        ("a: 1\n---\nb: 1\n", "f.yaml:2:1: error: a second YAML document begins here"),
        ("? [a]\n: 1\n", "f.yaml:1:3: error: a key must be"),
        ("a: !thing 5\n", "f.yaml:1:11: error: the tag !thing means nothing here"),
        ("a: *nowhere\n", "f.yaml:1:4: error: this is no YAML"),
        ("a: &a [*a]\n", "f.yaml:1:8: error: this alias holds itself"),
        ("a: { <<: 5 }\n", "f.yaml:1:10: error: `<<` takes a map"),
    ];
    for (text, expected) in cases {
        let (_, problems) = read(text);
        assert_eq!(problems.len(), 1, "{text:?}: {problems:?}");
        assert!(problems[0].starts_with(expected), "{text:?}: {problems:?}");
    }
}

#[test]
fn aliases_cannot_grow_without_end() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..9 {
        let before = n - 1;
        text += &format!("a{n}: &a{n} [*a{before}, *a{before}, *a{before}, *a{before}, *a{before}, *a{before}]\n");
    }
    let (root, problems) = read(&text);
    assert_eq!(root, None);
    assert!(problems[0].contains("more than 100000 values"), "{problems:?}");
}

#[test]
fn aliases_of_a_long_text_are_counted_in_bytes() {
    let aliases = vec!["*a"; 95_000].join(",");
    let (root, problems) = read(&format!("a: &a {}\nb: [{aliases}]\n", "x".repeat(300_000)));
    assert_eq!(root, None);
    assert!(problems[0].contains("more than 16 MiB of text, aliases expanded"), "{problems:?}");
    // Each of these keeps what is in it once more.
    let nested: String = (0..90).map(|n| format!("&a{n} [")).collect();
    let (root, problems) = read(&format!("a: {nested}{}{}", "x".repeat(1 << 20), "]".repeat(90)));
    assert_eq!(root, None);
    assert!(problems[0].contains("of text, aliases expanded"), "{problems:?}");
}

#[test]
fn nesting_cannot_exhaust_the_stack() {
    let text = format!("a: {}{}", "[".repeat(5_000), "]".repeat(5_000));
    let (root, problems) = read(&text);
    assert_eq!(root, None);
    assert_eq!(problems.len(), 1);
}

#[test]
fn a_single_value_is_read_like_in_a_file() {
    let read = |text: &str| parse_value(text).map(|value| value.to_json());
    assert_eq!(read("5"), Some(json!(5)));
    assert_eq!(read("[a, b]"), Some(json!(["a", "b"])));
    assert_eq!(read("{console: {}}"), Some(json!({ "console": {} })));
    assert_eq!(read("[a"), None);
}
