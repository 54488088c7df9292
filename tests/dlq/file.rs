//! Dead letters in a local file, for when no broker will take them.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
    process::Command,
};

use lapin::BasicProperties;

use crate::{
    ONLY_JSON, bridge,
    command::{count, dlq},
    properties,
    support::{SOON, eventually, gantry::Gantry, kafka, rabbit::Rabbit, unique},
};

fn file_letters(path: &Path) -> String {
    format!("{{ file: {{ path: {}, follow_symlinks: {} }} }}", path.display(), path.is_symlink())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_in_a_file_comes_back_as_it_was() {
    let (queue, topic) = (unique("file"), unique("file"));
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("dead.jsonl");
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    rabbit.publish(&queue, b"not json", properties("m-1")).await;
    rabbit.publish(&queue, b"\xff\x00", BasicProperties::default()).await;
    let gantry = Gantry::start(&bridge(&queue, ONLY_JSON, &topic, &file_letters(&path)));
    rabbit.wait_until_empty(&queue).await;
    gantry.check_conservation("b");
    let config = gantry.directory().join("gantry.yaml");
    // A crash in the middle of a line, and the service goes on.
    fs::write(&path, [fs::read(&path).expect("the letters"), br#"{"id":"cut"#.to_vec()].concat()).expect("writing");
    rabbit.publish(&queue, b"third", BasicProperties::default()).await;
    rabbit.wait_until_empty(&queue).await;
    assert_eq!(count(&config), 3);
    let listed = dlq(&config, &["list"]);
    assert!(listed.err.contains("line 3 is left out") && listed.out.contains("3 dead letters"), "{listed:?}");
    // The service runs while they are replayed.
    gantry.configure(&bridge(&queue, "", &topic, &file_letters(&path)));
    let replayed = dlq(&config, &["replay", "--yes"]);
    assert!(replayed.code == Some(0) && replayed.out.contains("3 of 3 replayed"), "{replayed:?}");
    assert!(dlq(&config, &["replay", "--yes"]).out.contains("nothing to replay"));
    let stored = kafka::read_all(&topic);
    let values: Vec<_> = stored.iter().filter_map(|record| record.value.as_deref()).collect();
    assert_eq!(values, [b"not json".as_slice(), b"\xff\x00", b"third"]);
    assert_eq!(stored[0].header("gantry.types").as_deref().map(|types| types.contains("h")), Some(true));
    assert_eq!(stored[0].header("amqp.correlation_id").as_deref(), Some("c-1"));
    gantry.check_conservation("b");
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_holds_the_bridge_and_skips_nothing() {
    let (queue, topic) = (unique("full"), unique("full"));
    let directory = tempfile::tempdir().expect("a directory");
    let (link, real) = (directory.path().join("dead.jsonl"), directory.path().join("real.jsonl"));
    symlink("/dev/full", &link).expect("a link");
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    for body in ["{\"a\":1}", "not json", "{\"a\":2}", "nor this", "{\"a\":3}"] {
        rabbit.publish(&queue, body.as_bytes(), BasicProperties::default()).await;
    }
    let gantry = Gantry::start(&bridge(&queue, ONLY_JSON, &topic, &file_letters(&link)));
    let why = eventually("the bridge says why it holds", SOON, async || {
        gantry.task("b").map(|(_, error)| error).filter(|error| error.contains("No space left"))
    })
    .await;
    assert!(why.contains(&link.display().to_string()) && why.contains("make room"), "{why}");
    assert_eq!(gantry.metric("gantry_records_dead_lettered_total", "b"), Some(0.0));
    gantry.check_conservation("b");

    let mended = directory.path().join("new");
    symlink(&real, &mended).expect("a link");
    fs::rename(&mended, &link).expect("repointing the link");
    rabbit.wait_until_empty(&queue).await;
    let config = gantry.directory().join("gantry.yaml");
    assert_eq!(count(&config), 2);
    gantry.check_conservation("b");
    gantry.configure(&bridge(&queue, "", &topic, &file_letters(&link)));
    assert_eq!(dlq(&config, &["replay", "--yes"]).code, Some(0));
    let mut values: Vec<_> = kafka::read_all(&topic).into_iter().filter_map(|record| record.value).collect();
    values.sort();
    values.dedup();
    assert_eq!(values.len(), 5, "nothing is lost, nothing skipped");
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}

/// Starts gantry under a limit of file sizes, in KiB, that may be raised again.
fn limited(directory: &Path, limit: u64) -> std::path::PathBuf {
    let script = directory.join("limited");
    let gantry = env!("CARGO_BIN_EXE_gantry");
    // In POSIX's shell the unit is 512 bytes.
    fs::write(&script, format!("#!/bin/sh\nulimit -S -f {}\nexec {gantry} \"$@\"\n", limit * 2)).expect("a script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).expect("its mode");
    script
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_file_sizes_holds_the_bridge_and_ends_nothing() {
    const LIMIT: u64 = 256;
    let (queue, topic) = (unique("limit"), unique("limit"));
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("dead.jsonl");
    // There already, almost full, and open to everybody.
    fs::write(&path, format!("{}\n", "x".repeat(LIMIT as usize * 1024 - 101))).expect("writing");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("its mode");
    let rabbit = Rabbit::connect().await;
    rabbit.queue(&queue).await;
    kafka::create_topic(&topic, 1).await;
    rabbit.publish(&queue, b"not json", BasicProperties::default()).await;
    let script = limited(directory.path(), LIMIT);
    let mut gantry = Gantry::start_binary(&script, &bridge(&queue, ONLY_JSON, &topic, &file_letters(&path)));
    let why = eventually("the bridge says why it holds", SOON, async || {
        gantry.task("b").map(|(_, error)| error).filter(|error| error.contains("File too large"))
    })
    .await;
    assert!(why.contains(&path.display().to_string()) && why.contains("LimitFSIZE"), "{why}");
    assert!(gantry.ended().is_none(), "the signal ends it");
    assert_eq!(fs::metadata(&path).expect("it is there").len(), LIMIT * 1024 - 100, "half a line is taken back");
    let log = gantry.log();
    assert!(log.contains("every user of this machine may read and write it (mode 0666)"), "{log}");

    let raised = Command::new("prlimit").args(["--fsize=unlimited:", "--pid", &gantry.pid().to_string()]).status();
    assert!(raised.expect("util-linux has it").success());
    rabbit.wait_until_empty(&queue).await;
    assert!(fs::read_to_string(&path).expect("the letters").contains("not json"));
    gantry.check_conservation("b");
    rabbit.delete(&queue).await;
    kafka::delete_topic(&topic).await;
}
