use proptest::prelude::*;
use serde_json::Value as Json;

use super::{scan::DEPTH, *};

fn picked(body: &str, path: &str) -> Result<Option<String>, String> {
    let path: Vec<_> = path.split('.').map(str::to_owned).collect();
    let text = pick(body.as_bytes(), &path)?;
    Ok(text.map(|text| String::from_utf8(text.to_vec()).expect("utf-8")))
}

fn is(text: &str) -> Result<Option<Cow<'_, [u8]>>, String> {
    Ok(Some(Cow::Borrowed(text.as_bytes())))
}

#[test]
fn picks_what_is_there() {
    let body = r#"{"a":{"b":[10,{"c":"x\n"},1.50]},"n":null,"a.b":1,"d":1,"d":{"e":2},"k\u0065y":true,
        "big":12345678901234567890123,"exp":1E5,"wide": { "x" : [ 1, " 2 " ] ,"x":"\u0041" } }"#;
    let cases = [
        ("a.b.0", Some("10")),
        ("a.b.1.c", Some("x\n")),
        ("a.b.2", Some("1.50")),
        ("a.b", Some(r#"[10,{"c":"x\n"},1.50]"#)),
        ("a.b.3", None),
        ("a.b.x", None),
        ("a.b.0.c", None),
        ("a.c", None),
        ("n", None),
        ("n.x", None),
        ("d.e", Some("2")),
        ("key", Some("true")),
        ("key.x", None),
        ("big", Some("12345678901234567890123")),
        ("exp", Some("1E5")),
        ("wide", Some(r#"{"x":[1," 2 "],"x":"\u0041"}"#)),
    ];
    for (path, expected) in cases {
        assert_eq!(picked(body, path), Ok(expected.map(str::to_owned)), "{path}");
    }
}

#[test]
fn what_stands_as_it_is_asked_for_is_not_copied() {
    let body = br#"{"text":"x","number":1.50,"flag":true,"escaped":"\n","list":[1]}"#;
    for (path, is_borrowed) in [("text", true), ("number", true), ("flag", true), ("escaped", false), ("list", false)] {
        let found = pick(body, &[path.to_owned()]).expect("JSON").expect(path);
        assert_eq!(matches!(found, Cow::Borrowed(_)), is_borrowed, "{path}");
    }
}

#[test]
fn no_key_is_special() {
    for key in ["$serde_json::private::Number", "$serde_json::private::RawValue"] {
        let body = format!(r#"{{"a":{{"{key}":"12"}},"{key}":"[1]"}}"#);
        assert_eq!(picked(&body, "a"), Ok(Some(format!(r#"{{"{key}":"12"}}"#))));
        assert_eq!(pick(body.as_bytes(), &[key.to_owned()]), is("[1]"));
        assert_eq!(pick(body.as_bytes(), &["a".to_owned(), key.to_owned()]), is("12"));
        let whole = parse(body.as_bytes()).expect("JSON").value;
        assert_eq!((whole.type_name(), whole.bytes()), ("an object", body.as_bytes()));
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_value() {
    assert_eq!(picked("\u{feff} {\"a\":1} ", "a"), Ok(Some("1".to_owned())));
    let document = parse(b"\xef\xbb\xbf\n[] ").expect("JSON");
    assert_eq!((document.head, document.value.bytes(), document.tail), (&b"\xef\xbb\xbf\n"[..], &b"[]"[..], &b" "[..]));
    for not in ["\u{feff}", "\u{feff}\u{feff}1", "{\u{feff}}", "1\u{feff}"] {
        assert!(parse(not.as_bytes()).is_err(), "{not:?}");
    }
}

#[test]
fn what_is_no_text_is_refused_only_as_text() {
    let body =
        b"{\"a\":1,\"lone\":\"x\\ud800y\",\"low\":\"\\udc00\",\"pair\":\"\\ud83d\\ude00\",\"bytes\":\"caf\xe9\",\
        \"o\":{\"l\":\"\\uD800\"},\"\\ud800\":2}";
    let pick = |path: &str| pick(body, &path.split('.').map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(pick("a"), is("1"));
    assert_eq!(pick("pair"), is("😀"));
    assert_eq!(pick("o"), is(r#"{"l":"\uD800"}"#), "JSON as it stands");
    for path in ["lone", "low", "o.l"] {
        let reason = format!("value.{path} is no text: it holds half of a surrogate pair, which is no text");
        assert_eq!(pick(path), Err(reason));
    }
    assert_eq!(pick("bytes"), Err("value.bytes is no text: it holds bytes that are not UTF-8".to_owned()));
    assert_eq!(pick("\u{fffd}"), Ok(None), "no name can mean what is no text");
}

#[test]
fn depth_has_an_end_and_needs_no_stack() {
    let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
    let reach = vec!["0".to_owned(); 100_000];
    for (depth, fine) in [(DEPTH - 1, true), (DEPTH, false), (1_000_000, false)] {
        let body = nested(depth);
        assert_eq!(picked(&body, "b").is_ok(), fine, "{depth}");
        assert_eq!(parse(body.as_bytes()).is_ok(), fine, "{depth}");
        assert_eq!(pick(body.as_bytes(), &[vec!["a".to_owned()], reach.clone()].concat()).is_ok(), fine, "{depth}");
    }
}

#[test]
fn fields_and_items_keep_every_byte() {
    let whole = parse(b"{ \"a\" : 1 ,\n\"b\":[ 2 ,3],\"a\":{}\t}").expect("JSON").value;
    let parts: Vec<_> = whole.members().map(|m| (m.head, m.value.bytes(), m.tail)).collect();
    let expected: [(&[u8], &[u8], &[u8]); 3] =
        [(b" \"a\" : ", b"1", b" "), (b"\n\"b\":", b"[ 2 ,3]", b""), (b"\"a\":", b"{}", b"\t")];
    assert_eq!(parts, expected);
    let list = whole.get(&["b".to_owned()]).expect("b");
    let parts: Vec<_> = list.items().map(|item| (item.head, item.value.bytes(), item.tail)).collect();
    let expected: [(&[u8], &[u8], &[u8]); 2] = [(b" ", b"2", b" "), (b"", b"3", b"")];
    assert_eq!(parts, expected);
    assert_eq!((list.members().count(), whole.items().count()), (0, 0));
}

#[test]
fn says_what_it_found_instead_and_quotes_nothing() {
    let cases: [(&[u8], &str); 7] = [
        (b"", "found an empty body"),
        (b"secret", "found 6 bytes of text"),
        (b"{\"a\":1", "found 6 bytes of text"),
        (b"{\"a\":1} secret", "trailing characters"),
        (b"\x1f\x8b\x08", "found 3 bytes of gzip"),
        (b"\x28\xb5\x2f\xfd", "found 4 bytes of zstd"),
        (b"\xff\xfe", "found 2 bytes that are not text"),
    ];
    for (body, words) in cases {
        for reason in [parse(body).expect_err(words), pick(body, &["b".to_owned()]).expect_err(words)] {
            assert!(reason.starts_with("the body is not JSON: ") && reason.contains(words), "{reason}");
            assert!(!reason.contains("secret"), "{reason}");
        }
    }
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        ".{0,4}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::btree_map("[a-c]", inner, 0..4)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn finds_what_a_whole_parse_finds(json in any_json(), path in prop::collection::vec("[a-c0-3]", 1..4)) {
        let body = json.to_string();
        let pointer = format!("/{}", path.join("/"));
        let whole: Json = serde_json::from_str(&body).expect("it was written");
        let expected = match whole.pointer(&pointer) {
            None | Some(Json::Null) => None,
            Some(Json::String(text)) => Some(text.clone()),
            Some(other) => Some(other.to_string()),
        };
        prop_assert_eq!(picked(&body, &path.join(".")), Ok(expected));
    }

    /// What serde_json takes this reader takes, and what it refuses is refused: all but what is tolerated.
    #[test]
    fn any_bytes_are_json_or_not(body in text_like_json()) {
        let theirs = serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok();
        prop_assert_eq!(parse(&body).is_ok(), theirs, "{:?}", String::from_utf8_lossy(&body));
        let _ = pick(&body, &["a".to_owned()]);
    }

    #[test]
    fn strings_are_read_as_others_read_them(text in any::<String>(), before in "[a-z]{0,9}") {
        let body = serde_json::to_string(&format!("{before}{text}")).expect("a string");
        let raw = parse(body.as_bytes()).expect("JSON").value;
        prop_assert_eq!(raw.text().expect("a string").expect("text"), format!("{before}{text}"));
        let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        let body = format!("\"{escaped}\"");
        prop_assert!(parse(body.as_bytes()).expect("JSON").value.is(&text));
    }
}

/// Bytes of which many are JSON, and many nearly so.
fn text_like_json() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        "[{}\\[\\],:]",
        "\"[a-b]?\"",
        "-?[0-9]{1,2}(\\.[0-9])?([eE][+-]?[0-9])?",
        "[ \t\r\n]",
        "true|false|null|nul|tru",
        "\"\\\\[bfnrt/\"\\\\uq][0-9a-fA-F]{0,4}\"?",
        "\\PC",
    ];
    let tokens = prop::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat().into_bytes());
    let cut =
        (any_json(), any::<prop::sample::Index>(), any::<u8>(), any::<bool>()).prop_map(|(json, at, byte, cut)| {
            let mut body = json.to_string().into_bytes();
            let at = at.index(body.len());
            if cut {
                body.truncate(at)
            } else {
                body[at] = byte & 0x7f
            }
            body
        });
    prop_oneof![tokens, cut, prop::collection::vec(any::<u8>(), 0..8)]
}
