//! Configuration files: whatever they hold, loading says what is wrong, and shows no secret.

use std::{io::Write as _, path::Path};

use gantry::{
    config::{self, Diagnostic, Loaded, Place},
    control,
};
use tempfile::NamedTempFile;

use super::input::SECRET;

/// Stands in inputs for the path of a file with a secret: `password: ${file:SECRETFILE}`.
const SECRET_FILE: &str = "SECRETFILE";

pub(super) fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    // Other files of the machine are none of a fuzzer's business: some of them never end.
    if text.contains(SECRET) || text.contains("/dev") || text.contains("/proc") {
        return;
    }
    let secret = file(SECRET);
    let written = text.replace(SECRET_FILE, &secret.path().to_string_lossy());
    let file = file(&written);

    let loaded = load(file.path());
    let again = load(file.path());
    assert_eq!(shown(&loaded), shown(&again), "two answers about one file");
    // YAML breaks lines at a lone carriage return as well, and the end of a file may be the line behind its last.
    let lines = written.matches(['\n', '\r']).count() + 2;
    for diagnostic in diagnostics(&loaded) {
        assert_is_in_place(diagnostic, lines);
    }
    assert!(!shown(&loaded).contains(SECRET), "a secret is shown: {}", shown(&loaded));
    let Ok(loaded) = loaded else { return };
    for bridge in &loaded.bridges {
        let (redacted, map) = (config::redacted(bridge), control::config_map(bridge));
        assert!(!format!("{redacted} {map:?}").contains(SECRET), "a secret is shown: {redacted} {map:?}");
        for key in ["name", "connector.class", "tasks.max"] {
            assert!(map.contains_key(key), "{key} is missing in {map:?}");
        }
    }
    // What is good enough to be checked is good enough to be run.
    assert!(config::load(&[file.path().to_owned()]).is_ok(), "it is checked, and does not load");
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_bytes()).expect("writing a temporary file");
    file
}

fn load(file: &Path) -> Result<Loaded, Vec<Diagnostic>> {
    config::check(&[file.to_owned()], config::Secrets::Required)
}

fn diagnostics(loaded: &Result<Loaded, Vec<Diagnostic>>) -> &[Diagnostic] {
    match loaded {
        Ok(loaded) => &loaded.warnings,
        Err(diagnostics) => diagnostics,
    }
}

/// Everything that is said of it.
fn shown(loaded: &Result<Loaded, Vec<Diagnostic>>) -> String {
    let lines: Vec<_> = diagnostics(loaded).iter().map(Diagnostic::to_string).collect();
    let bridges = loaded.iter().flat_map(|loaded| &loaded.bridges).map(|bridge| bridge.raw.to_string());
    format!("{}: {} {}", loaded.is_ok(), lines.join("\n"), bridges.collect::<Vec<_>>().join("\n"))
}

fn assert_is_in_place(diagnostic: &Diagnostic, lines: usize) {
    assert!(!diagnostic.message.is_empty(), "{diagnostic:?} says nothing");
    if let Some(Place::File { line, column, .. }) = &diagnostic.place {
        assert!((1..=lines).contains(line) && *column >= 1, "{diagnostic} is not in a file of {lines} lines");
    }
}
