use std::io::Write as _;

use bytes::Bytes;
use flate2::{Compression, write};
use gantry_sdk::{Record, Value};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::transform::tests::{apply_one, problems};

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut out = write::GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(body).and_then(|()| out.finish()).expect("into memory")
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut out = write::ZlibEncoder::new(Vec::new(), Compression::fast());
    out.write_all(body).and_then(|()| out.finish()).expect("into memory")
}

fn raw(body: &[u8]) -> Vec<u8> {
    let mut out = write::DeflateEncoder::new(Vec::new(), Compression::fast());
    out.write_all(body).and_then(|()| out.finish()).expect("into memory")
}

fn zstd(body: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(body, 1).expect("into memory")
}

type Compress = fn(&[u8]) -> Vec<u8>;

const FORMATS: [(&str, Compress); 4] = [("gzip", gzip), ("deflate", zlib), ("deflate", raw), ("zstd", zstd)];

fn record(body: impl Into<Bytes>, encoding: Option<&str>) -> Record {
    let mut record = Record { value: Some(body.into()), ..Record::default() };
    record.properties_mut().content_encoding = encoding.map(Into::into);
    record.properties_mut().content_type = Some("application/json".into());
    record
}

fn decompressed(options: &Json, record: Record) -> Result<Record, String> {
    apply_one("decompress", options, record).map(|record| record.expect("it drops none"))
}

#[test]
fn the_content_encoding_says_how_and_goes() {
    for (name, compress) in FORMATS {
        let found = decompressed(&json!({}), record(compress(b"{\"a\":1}"), Some(name)));
        assert_eq!(found, Ok(record(&b"{\"a\":1}"[..], None)), "{name}");
        let found = decompressed(&json!({ "format": name }), record(compress(b""), None));
        assert_eq!(found, Ok(record(&b""[..], None)), "{name}");
    }
    let twice = decompressed(&json!({}), record(gzip(&zstd(b"x")), Some("zstd, X-GZIP")));
    assert_eq!(twice, Ok(record(&b"x"[..], None)));
}

#[test]
fn a_header_says_it_where_no_property_does() {
    let mut compressed = record(gzip(b"x"), None);
    compressed.headers.push("Content-Encoding", Value::Bytes("gzip".into()));
    compressed.headers.push("other", Value::text("gzip"));
    let found = decompressed(&json!({}), compressed).expect("it is gzip");
    assert_eq!(found.value.as_deref(), Some(&b"x"[..]));
    assert_eq!(found.headers.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["other"]);
}

#[test]
fn what_is_said_to_be_something_else_goes_on_unchanged() {
    for encoding in [None, Some("utf-8"), Some("br"), Some("identity"), Some("gzip, br"), Some("")] {
        let plain = record(&b"plain"[..], encoding);
        assert_eq!(decompressed(&json!({}), plain.clone()), Ok(plain), "{encoding:?}");
    }
    let tombstone = Record { key: Some("k".into()), ..Record::default() };
    assert_eq!(decompressed(&json!({ "format": "gzip" }), tombstone.clone()), Ok(tombstone));
    let forced = decompressed(&json!({ "format": "gzip" }), record(gzip(b"x"), Some("utf-8"))).expect("gzip");
    assert_eq!(forced.properties().content_encoding.as_deref(), Some("utf-8"), "that says something else");
}

#[test]
fn damage_and_remains_fail_and_change_nothing() {
    let text = b"some text that is long enough to be worth it, text that is long enough".repeat(4);
    for (name, compress) in FORMATS {
        let whole = compress(&text);
        let flipped: Vec<u8> =
            whole.iter().enumerate().map(|(at, byte)| if at == 1 { byte ^ 0xff } else { *byte }).collect();
        let cut = &whole[..whole.len() - 1];
        let mut wrongs = vec![cut.to_vec(), [&whole[..], b"x"].concat(), vec![]];
        if whole != raw(&text) {
            // Without a frame there is no checksum, and nearly everything is something.
            wrongs.extend([flipped, b"{\"a\":1}".to_vec()]);
        }
        for wrong in wrongs {
            let wrong = record(wrong, Some(name));
            let reason = decompressed(&json!({}), wrong.clone()).expect_err(name);
            assert!(reason.starts_with("decompress: the body (") && reason.contains(name), "{reason}");
            assert_eq!(decompressed(&json!({ "on_invalid": "keep" }), wrong.clone()), Ok(wrong), "{name}");
        }
    }
    let many = decompressed(&json!({}), record(gzip(b"x"), Some("gzip,gzip,gzip,gzip,gzip"))).expect_err("too many");
    assert_eq!(many, "decompress: 5 content encodings; at most 4 are undone");
}

#[test]
fn a_bomb_fails_before_it_is_large() {
    let zeros = vec![0; 4 << 20];
    for (name, compress) in FORMATS {
        let bomb = compress(&zeros);
        assert!(bomb.len() < 32 << 10, "{name}: {}", bomb.len());
        let options = |max: usize| json!({ "max_size": format!("{max}B") });
        let reason = decompressed(&options(zeros.len() - 1), record(bomb.clone(), Some(name))).expect_err(name);
        assert!(reason.contains("becomes larger than 4194303 bytes"), "{reason}");
        let whole = decompressed(&options(zeros.len()), record(bomb, Some(name))).expect(name);
        assert_eq!(whole.value.map(|body| body.len()), Some(zeros.len()), "{name}");
    }
}

#[test]
fn what_cannot_work_is_found() {
    assert_eq!(problems("decompress", &json!({})), []);
    assert_eq!(problems("decompress", &json!({ "max_size": "0B" }))[0].0, "max_size");
    assert_eq!(problems("decompress", &json!({ "format": "brotli" }))[0].0, "format");
}

proptest! {
    #[test]
    fn what_was_compressed_comes_back_and_nothing_panics(
        body in prop::collection::vec(any::<u8>(), 0..300),
        noise in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        for (name, compress) in FORMATS {
            let back = decompressed(&json!({}), record(compress(&body), Some(name))).expect(name);
            prop_assert_eq!(back.value.as_deref(), Some(&body[..]));
            let _ = decompressed(&json!({ "max_size": "1KiB" }), record(noise.clone(), Some(name)));
        }
    }
}
