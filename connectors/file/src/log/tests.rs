use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    sync::atomic::{AtomicBool, Ordering},
};

use super::*;

/// Longer than anything takes here, so that a hang is a failure.
const DEADLINE: Duration = Duration::from_secs(30);

fn log() -> (tempfile::TempDir, Log) {
    let directory = tempfile::tempdir().expect("a directory");
    let log = Log::new(directory.path().join("letters.jsonl"), false);
    (directory, log)
}

fn all(log: &Log) -> Vec<String> {
    read(&mut log.snapshot().expect("the file"))
}

fn read(snapshot: &mut Snapshot) -> Vec<String> {
    let mut lines = snapshot.lines().expect("the file");
    std::iter::from_fn(|| lines.next().expect("a line").map(|(_, line)| String::from_utf8_lossy(line).into_owned()))
        .collect()
}

/// How many descriptors of this process lead to that file.
fn opened(path: &Path) -> usize {
    let links = fs::read_dir("/proc/self/fd").expect("Linux has it").flatten();
    links.filter(|link| fs::read_link(link.path()).is_ok_and(|target| target == path)).count()
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < DEADLINE, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_torn_line_is_ended_before_the_next_and_only_its_owner_reads_the_file() {
    let (_directory, log) = log();
    log.append(b"one\ntwo\n").expect("room");
    OpenOptions::new().append(true).open(&log.path).and_then(|mut file| file.write_all(b"to")).expect("room");
    assert_eq!(all(&log), ["one", "two"]);
    log.append(b"three\n").expect("room");
    assert_eq!(all(&log), ["one", "two", "to", "three"]);
    assert_eq!(log.path.metadata().expect("it is there").permissions().mode() & 0o777, MODE);
}

#[test]
fn what_cannot_be_written_says_what_to_do() {
    let (directory, log) = log();
    let text = |path: PathBuf| Log::new(path, false).probe().expect_err("it must not work").chain();
    assert!(text(directory.path().into()).contains("name a file in it"));
    assert!(
        text(directory.path().join("not/there"))
            .contains(&format!("create the directory {}/not", directory.path().display()))
    );
    assert_eq!(log.snapshot().expect_err("it is not there").kind(), ErrorKind::Missing);
    let full = Log::new("/dev/full".into(), false).append(b"x\n").expect_err("it is full");
    assert!(full.chain().contains("No space left on device; make room there"), "{}", full.chain());
    let null = Log::new("/dev/null".into(), false).append(b"x\n");
    assert!(null.is_err(), "what keeps nothing must not count as written");
    let large = log.explain("appending to", &io::Error::from_raw_os_error(libc::EFBIG)).chain();
    assert!(large.contains("LimitFSIZE"), "{large}");
}

#[test]
fn a_second_writer_waits_for_the_first() {
    let (_directory, log) = log();
    log.append(b"one\n").expect("room");
    let held = File::open(&log.path).expect("it is there");
    held.lock().expect("nobody else has it");
    let other = log.clone();
    let waiting = thread::spawn(move || other.append(b"two\n"));
    assert_eq!(fs::read(&log.path).expect("it is there"), b"one\n");
    held.unlock().expect("it was held");
    waiting.join().expect("no panic").expect("room");
    assert_eq!(all(&log), ["one", "two"]);
}

#[test]
fn who_waited_for_the_lock_of_a_file_that_was_moved_away_writes_to_the_new_one() {
    let (directory, log) = log();
    log.append(b"one\n").expect("room");
    let held = File::open(&log.path).expect("it is there");
    held.lock().expect("nobody else has it");
    let other = log.clone();
    let waiting = thread::spawn(move || other.append(b"two\n"));
    until("the other has it open", || opened(&log.path) == 2);
    // Moved, compressed, removed.
    let moved = directory.path().join("letters.1");
    fs::rename(&log.path, &moved).expect("rotating");
    fs::remove_file(&moved).expect("it is compressed");
    held.unlock().expect("it was held");
    waiting.join().expect("no panic").expect("room");
    assert_eq!(all(&log), ["two"]);
}

#[test]
fn whoever_takes_the_file_away_at_any_moment_gets_every_line_that_counts() {
    const LINES: usize = 300;
    let (directory, log) = log();
    let done = AtomicBool::new(false);
    let mut found = thread::scope(|scope| {
        let rotating = scope.spawn(|| {
            let (moved, mut found) = (directory.path().join("letters.1"), BTreeSet::new());
            while !done.load(Ordering::Relaxed) {
                if fs::metadata(&log.path).is_ok_and(|file| file.len() > 0) && fs::rename(&log.path, &moved).is_ok() {
                    let text = fs::read_to_string(&moved).expect("it is there");
                    fs::remove_file(&moved).expect("it is there");
                    found.extend(text.lines().map(str::to_owned));
                }
                thread::sleep(Duration::from_millis(1));
            }
            found
        });
        for number in 0..LINES {
            // What is moved away too often in a row is an error, and tried again.
            until("it is written", || log.append(format!("{number}\n").as_bytes()).is_ok());
        }
        done.store(true, Ordering::Relaxed);
        rotating.join().expect("no panic")
    });
    if log.path.exists() {
        found.extend(all(&log));
    }
    let missing: Vec<_> = (0..LINES).filter(|number| !found.contains(&number.to_string())).collect();
    assert!(missing.is_empty(), "lost: {missing:?}");
}

#[test]
fn what_is_read_stays_when_the_file_is_moved_away() {
    let (directory, log) = log();
    log.append(b"one\ntwo\n").expect("room");
    let mut snapshot = log.snapshot().expect("the file");
    assert_eq!(read(&mut snapshot), ["one", "two"]);
    fs::rename(&log.path, directory.path().join("letters.1")).expect("rotating");
    log.append(b"three\nfour\nfive\n").expect("room");
    assert_eq!(read(&mut snapshot), ["one", "two"]);
    assert_eq!(all(&log), ["three", "four", "five"]);
}

#[test]
fn a_symbolic_link_is_refused_unless_it_was_asked_for() {
    let (directory, log) = log();
    let link = directory.path().join("link");
    symlink(&log.path, &link).expect("a link");
    log.append(b"one\n").expect("room");
    let (refused, followed) = (Log::new(link.clone(), false), Log::new(link, true));
    for result in [refused.probe(), refused.append(b"two\n"), refused.snapshot().map(drop)] {
        let error = result.expect_err("it is a link");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.chain().contains("it is a symbolic link: name the file itself, or set follow_symlinks"));
    }
    followed.append(b"two\n").expect("room");
    assert_eq!((all(&log), all(&followed)), (vec!["one".into(), "two".into()], vec!["one".into(), "two".into()]));
}
