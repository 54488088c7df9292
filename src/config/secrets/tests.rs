use std::fs;

use serde_json::json;

use super::*;

/// Cargo sets it for every test: the one variable that is there for sure.
const VARIABLE: &str = "CARGO_PKG_NAME";

fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (name, content) in [("plain", "s3cret"), ("line", "p@ss/w:rd\n"), ("windows", "a\r\n"), ("blank", "b\n\n")] {
        fs::write(directory.path().join(name), content).expect("writing a secret");
    }
    fs::write(directory.path().join("binary"), [0xFF, 0xFE]).expect("writing a secret");
    directory
}

fn text(template: &str) -> Result<String, String> {
    resolve(&json!(template)).map(|value| value.as_str().unwrap_or_default().to_owned()).map_err(|e| e.to_string())
}

#[test]
fn references_are_resolved_wherever_they_stand() {
    let directory = directory();
    let path = directory.path().display();
    assert_eq!(text("${env:CARGO_PKG_NAME}").as_deref(), Ok("gantry"));
    assert_eq!(text(&format!("${{file:{path}/plain}}")).as_deref(), Ok("s3cret"));
    assert_eq!(text(&format!("${{dir:{path}:plain}}")).as_deref(), Ok("s3cret"));
    assert_eq!(text(&format!("a ${{dir:{path}:plain}}, ${{env:{VARIABLE}}}!")).as_deref(), Ok("a s3cret, gantry!"));
    let options = json!({ "a": [{ "b": "${env:CARGO_PKG_NAME}" }, 5, null, true], "${env:CARGO_PKG_NAME}": "x" });
    let expected = json!({ "a": [{ "b": "gantry" }, 5, null, true], "${env:CARGO_PKG_NAME}": "x" });
    assert_eq!(resolve(&options), Ok(expected), "keys stay as they are");
}

#[test]
fn one_line_break_at_the_end_of_a_file_is_no_part_of_a_secret() {
    let directory = directory();
    let path = directory.path().display();
    for (name, expected) in [("line", "p@ss/w:rd"), ("windows", "a"), ("blank", "b\n")] {
        assert_eq!(text(&format!("${{file:{path}/{name}}}")).as_deref(), Ok(expected), "{name}");
    }
}

#[test]
fn a_literal_is_escaped() {
    assert_eq!(text("$${env:HOME} costs $5 and {field}").as_deref(), Ok("${env:HOME} costs $5 and {field}"));
    assert_eq!(text("no reference, $ {x} }").as_deref(), Ok("no reference, $ {x} }"));
}

#[test]
fn a_secret_in_the_credentials_of_a_url_is_percent_encoded() {
    let directory = directory();
    let line = format!("${{file:{}/line}}", directory.path().display());
    let encoded = "p%40ss%2Fw%3Ard";
    let cases = [
        (format!("amqp://guest:{line}@h:5672/%2f"), format!("amqp://guest:{encoded}@h:5672/%2f")),
        (format!("amqp://{line}:{line}@h"), format!("amqp://{encoded}:{encoded}@h")),
        (format!("amqp://u:x{line}y@{line}/v"), format!("amqp://u:x{encoded}y@p@ss/w:rd/v")),
        // Not credentials: as they are.
        (format!("https://host/path?key={line}"), "https://host/path?key=p@ss/w:rd".to_owned()),
        (format!("https://host/{line}@x"), "https://host/p@ss/w:rd@x".to_owned()),
        (format!("{line}@host"), "p@ss/w:rd@host".to_owned()),
        (line, "p@ss/w:rd".to_owned()),
    ];
    for (template, expected) in cases {
        assert_eq!(text(&template), Ok(expected), "{template}");
    }
}

#[test]
fn what_is_missing_is_named_with_its_path_and_nothing_else() {
    let directory = directory();
    let path = directory.path().display();
    let options = json!({ "connection": { "urls": ["x", "${env:GANTRY_NO_SUCH_VARIABLE}"] } });
    let problem = resolve(&options).expect_err("it is not set");
    assert_eq!(problem.path.to_string(), "connection.urls[1]");
    assert_eq!(problem.message, "the environment variable GANTRY_NO_SUCH_VARIABLE is not set");
    let missing = text(&format!("${{file:{path}/nowhere}}")).expect_err("it is not there");
    assert!(missing.contains("/nowhere: no such file"), "{missing}");
    let binary = text(&format!("${{dir:{path}:binary}}")).expect_err("it is no text");
    assert!(binary.contains("/binary is not UTF-8 text"), "{binary}");
}

#[test]
fn what_is_no_file_or_too_large_is_an_error_and_never_read_whole() {
    let directory = directory();
    fs::write(directory.path().join("large"), vec![b'x'; (1 << 20) + 1]).expect("writing a large file");
    fs::write(directory.path().join("limit"), vec![b'x'; 1 << 20]).expect("writing a large file");
    std::os::unix::fs::symlink("/proc/self/environ", directory.path().join("environment")).expect("a link");
    let path = directory.path().display();
    for (file, expected) in [
        ("/dev/zero".to_owned(), "it leads into /dev"),
        ("/proc/self/environ".to_owned(), "it leads into /proc"),
        (format!("{path}/environment"), "it leads into /proc"),
        (path.to_string(), "not a regular file"),
        (format!("{path}/large"), "larger than 1MiB"),
    ] {
        let error = text(&format!("${{file:{file}}}")).expect_err(&file);
        assert!(error.contains(expected), "{file}: {error}");
    }
    assert_eq!(text(&format!("${{file:{path}/limit}}")).map(|text| text.len()), Ok(1 << 20));
}

#[test]
fn a_key_does_not_lead_out_of_its_directory() {
    let directory = directory();
    let path = directory.path().display();
    std::fs::create_dir(directory.path().join("below")).expect("a directory");
    for key in ["../plain", "..", ".", "/etc/passwd", "below/../plain", "plain/", "./plain"] {
        let error = text(&format!("${{dir:{path}/below:{key}}}")).expect_err(key);
        assert!(error.contains("the name of one file in that directory"), "{key}: {error}");
    }
    // As Kubernetes mounts a secret: the file is a link through another one.
    std::fs::create_dir(directory.path().join("below/..2026")).expect("a directory");
    std::fs::write(directory.path().join("below/..2026/password"), "s3cret").expect("writing a secret");
    for (from, to) in [("..2026", "below/..data"), ("..data/password", "below/password")] {
        std::os::unix::fs::symlink(from, directory.path().join(to)).expect("a link");
    }
    assert_eq!(text(&format!("${{dir:{path}/below:password}}")).as_deref(), Ok("s3cret"));
}

#[test]
fn a_secret_that_was_rotated_is_read_anew() {
    let directory = directory();
    let reference = format!("${{file:{}/plain}}", directory.path().display());
    assert_eq!(text(&reference).as_deref(), Ok("s3cret"));
    fs::write(directory.path().join("plain"), "another").expect("rotating the secret");
    assert_eq!(text(&reference).as_deref(), Ok("another"));
}

#[test]
fn what_is_no_reference_says_how_to_write_one() {
    for wrong in
        ["${env:}", "${file:}", "${dir:/x}", "${dir::k}", "${dir:/x:}", "${open", "${message_id}", "${1}", "${}"]
    {
        let error = text(wrong).expect_err(wrong);
        assert!(error.contains("${env:NAME}, ${file:/path} or ${dir:/path:key}"), "{wrong}: {error}");
    }
}

#[test]
fn a_reference_reads_back_as_it_was_written() {
    let written = "a${env:X}b${file:/p:q}${dir:/d:e:k}$${z";
    let parts = parse(written).expect("it is right");
    let shown: String = parts
        .iter()
        .map(|part| match part {
            Part::Literal(literal) => literal.replace("${", "$${"),
            Part::Reference(reference) => reference.to_string(),
        })
        .collect();
    assert_eq!(shown, written);
}
