//! A new file that is wrong changes nothing and says why.

use serde_json::{Value as Json, json};

use crate::{
    http::get,
    life, logged, names, refused, reload,
    support::{eventually, gantry::Gantry},
};

const GOOD: &str = r#"
bridges:
  one: { source: { generate: { rate: 100 } }, sink: { "null": {} } }
  two: { source: { generate: { rate: 100 } }, sink: { "null": {} } }
"#;

/// A gantry that runs `GOOD`, and what of it must not change.
async fn good() -> Gantry {
    Gantry::ready(GOOD).await
}

fn assert_untouched(gantry: &Gantry) {
    let shown = get(gantry.port(), "/connectors").json();
    assert_eq!(shown, json!(["one", "two"]));
    assert_eq!((life(gantry, "one").0, life(gantry, "two").0), (1, 1));
    gantry.check_conservation("one");
    gantry.check_conservation("two");
}

#[tokio::test]
async fn every_error_is_told_with_its_place() {
    let gantry = good().await;
    gantry.configure(
        r#"
bridges:
  one: { source: { generate: { rat: 100 } }, sink: { "null": {} } }
  two: { source: { generate: { rate: 100 } }, sink: { nul: {} }, tasks: 0 }
  three: { source: { generate: {} }, sink: { "null": {} } }
"#,
    );
    let found = refused(&gantry);
    let of = |path: &str| found.iter().find(|one| one["path"] == path).unwrap_or_else(|| panic!("{path}: {found:#?}"));
    let rat = of("bridges.one.source.generate.rat");
    assert_eq!((&rat["severity"], &rat["line"], &rat["column"]), (&json!("error"), &json!(4), &json!(32)), "{rat}");
    assert!(rat["file"].as_str().is_some_and(|file| file.ends_with("gantry.yaml")), "{rat}");
    assert!(rat["message"].as_str().is_some_and(|message| message.contains("rate")), "{rat}");
    of("bridges.two.sink.nul");
    of("bridges.two.tasks");
    assert_untouched(&gantry);

    // SIGHUP says the same in the log.
    gantry.signal("HUP");
    logged(&gantry, "gantry.yaml:4:32: error: bridges.one.source.generate.rat: ", 2).await;
    logged(&gantry, "nothing was changed", 2).await;
    assert_untouched(&gantry);

    gantry.configure(&GOOD.replace("rate: 100", "rate: 50"));
    assert_eq!(names(&reload(&gantry), "restarted"), ["one", "two"]);
}

#[tokio::test]
async fn what_is_no_yaml_or_not_there_changes_nothing() {
    let gantry = good().await;
    for broken in ["bridges: [", "bridges:\n", "bridges: { one: { source: 5 } }\nbridges: {}", "- 1", "\u{0}"] {
        gantry.configure(broken);
        assert!(!refused(&gantry).is_empty(), "{broken:?}");
        assert_untouched(&gantry);
    }
    std::fs::write(gantry.directory().join("gantry.yaml"), [0xFF, 0xFE, 0x00]).expect("writing rubbish");
    assert!(!refused(&gantry).is_empty());
    // Cut off, as one may find it while somebody writes it: not a wish to end every bridge.
    for cut in ["", "\n\t\n", "# one bridge\n"] {
        std::fs::write(gantry.directory().join("gantry.yaml"), cut).expect("writing less");
        assert!(
            refused(&gantry)[0]["message"].as_str().is_some_and(|message| message.contains("bridges: {}")),
            "{cut:?}"
        );
        assert_untouched(&gantry);
    }
    let file = gantry.directory().join("gantry.yaml");
    std::fs::remove_file(&file).expect("removing the file");
    let found = refused(&gantry);
    assert!(found[0]["message"].as_str().is_some_and(|message| message.contains("gantry.yaml")), "{found:?}");
    assert_untouched(&gantry);

    // A pipe whose other end nobody opens holds up neither this reload nor the next.
    let made = std::process::Command::new("mkfifo").arg(&file).status().expect("running mkfifo");
    assert!(made.success());
    let found = refused(&gantry);
    assert!(found[0]["message"].as_str().is_some_and(|message| message.contains("not a regular file")), "{found:?}");
    assert_untouched(&gantry);
    std::fs::remove_file(&file).expect("removing the pipe");
    gantry.configure(GOOD);
    assert_eq!(names(&reload(&gantry), "stayed"), ["one", "two"]);
}

/// Neither where it was loaded nor where it is read again, whatever it holds.
#[tokio::test]
async fn what_a_reference_brings_is_shown_nowhere() {
    let secrets = tempfile::tempdir().expect("a temporary directory");
    let secret = secrets.path().join("linger");
    let yaml = format!(
        "bridges:\n  one:\n    source: {{ generate: {{ rate: 1 }} }}\n    sink: {{ kafka: {{ connection: {{ \
         bootstrap_servers: \"127.0.0.1:1\" }}, topic: t, linger: \"${{file:{}}}\" }} }}\n",
        secret.display()
    );
    let gantry = Gantry::start(&yaml);
    gantry.wait_for_state("one", "failed").await;
    let (port, pause) = (gantry.port(), std::time::Duration::from_secs(20));
    for brought in ["hunter2\"\n\\{hunter2}\n", "h2", "hunter2 5s"] {
        std::fs::write(&secret, brought).expect("writing the secret");
        gantry.request("POST", "/connectors/one/restart").expect("an answer");
        let status = eventually("the error is shown", pause, async || {
            Some(get(port, "/connectors/one/status").body).filter(|status| status.contains("write it like 250ms"))
        })
        .await;
        let mut shown = vec![status, gantry.log(), serde_json::to_string(&refused(&gantry)).expect("it is JSON")];
        let paths = ["/readyz", "/v1/bridges", "/connectors/one/config", "/connectors?expand=info&expand=status"];
        shown.extend(paths.map(|path| get(port, path).body));
        let check = std::process::Command::new(env!("CARGO_BIN_EXE_gantry"))
            .arg("check")
            .arg(gantry.directory().join("gantry.yaml"))
            .output()
            .expect("running gantry check");
        shown.push(String::from_utf8_lossy(&check.stdout).into_owned());
        for text in shown {
            assert!(!text.contains("hunter2") && !text.contains("\"h2") && !text.contains("h2\\"), "{text}");
        }
    }
}

/// At the start a bridge without its secret fails alone. At a reload it must not take the place of one that works.
#[tokio::test]
async fn a_bridge_whose_secret_is_missing_does_not_replace_one_that_runs() {
    let gantry = good().await;
    let secret = gantry.directory().join("secret");
    let keyed = GOOD.replacen("rate: 100", &format!("rate: 100, key: \"${{file:{}}}\"", secret.display()), 1);
    gantry.configure(&keyed);
    let found = refused(&gantry);
    let message = |one: &Json| one["message"].as_str().unwrap_or_default().to_owned();
    assert!(message(&found[0]).contains(&secret.display().to_string()), "{found:?}");
    assert_eq!(
        (&found[0]["severity"], &found[0]["path"]),
        (&json!("error"), &json!("bridges.one.source.generate.key"))
    );
    assert_untouched(&gantry);

    std::fs::write(&secret, "first").expect("writing the secret");
    assert_eq!(names(&reload(&gantry), "restarted"), ["one"]);
    // Rotated, it is the same bridge; it takes the new one at its next connect.
    std::fs::write(&secret, "second").expect("writing the secret");
    assert_eq!(names(&reload(&gantry), "stayed"), ["one", "two"]);
    // Missing, it concerns only those who would start: `one` runs.
    std::fs::remove_file(&secret).expect("removing the secret");
    gantry.configure(&keyed.replace("two:", "three:"));
    let done = reload(&gantry);
    assert_eq!((names(&done, "started"), names(&done, "stayed")), (vec!["three"], vec!["one"]), "{done}");
    assert!(
        done["warnings"].as_array().is_some_and(|all| all.iter().any(|one| message(one).contains("secret"))),
        "{done}"
    );
}
