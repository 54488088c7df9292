//! The bodies of the fuzz targets (`fuzz/src/`) without a fuzzer: over their seeds, and over inputs made from the seeds.
//!
//! The inputs are the same at each run. `GANTRY_FUZZ_CASES=100000` tries more of them; `scripts/fuzz` looks for new ones.

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "there it is a library")]
mod targets;

use std::{fs, path::Path};

use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use targets::TARGETS;

/// What is worth putting in anywhere: the words of the inputs' languages, and where their rules have edges.
const WORDS: [&[u8]; 39] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"'",
    b":",
    b",",
    b".",
    b"*",
    b"|",
    b"=",
    b" ",
    b"\n",
    b"\n\n",
    b"\\",
    b"/",
    b"-",
    b"+",
    b"0",
    b"1",
    b"1e400",
    b"18446744073709551616",
    b"null",
    b"true",
    b"value.",
    b"header.a",
    b"${",
    b"${file:SECRETFILE}",
    b"&a",
    b"<<: *a",
    b"\xff",
    b"\0",
    "ж\u{feff}".as_bytes(),
    b"\xff\xff\xff\xff",
    b"[[[[[[[[",
    b"\\ud800",
    b"\"$serde_json::private::Number\":",
    b"lower(",
];

/// One change of an input.
#[derive(Debug, Clone)]
enum Change {
    Cut(Index, Index),
    Word(Index, Index),
    Byte(Index, u8),
    Twice(Index, Index),
    Splice(Index, Index, Index),
}

fn any_change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        (at(), at()).prop_map(|(from, to)| Change::Cut(from, to)),
        (at(), at()).prop_map(|(place, word)| Change::Word(place, word)),
        (at(), any::<u8>()).prop_map(|(place, byte)| Change::Byte(place, byte)),
        (at(), at()).prop_map(|(from, to)| Change::Twice(from, to)),
        (at(), at(), at()).prop_map(|(place, seed, from)| Change::Splice(place, seed, from)),
    ]
}

impl Change {
    fn apply(&self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let place = |at: &Index, input: &[u8]| at.index(input.len() + 1);
        match self {
            Self::Cut(from, to) => {
                let (from, to) = (place(from, input), place(to, input));
                input.drain(from.min(to)..from.max(to));
            }
            Self::Word(at, word) => {
                let at = place(at, input);
                input.splice(at..at, word.get(&WORDS).iter().copied());
            }
            Self::Byte(at, byte) => {
                if !input.is_empty() {
                    let at = at.index(input.len());
                    input[at] = *byte;
                }
            }
            Self::Twice(from, to) => {
                let (from, to) = (place(from, input), place(to, input));
                let part = input[from.min(to)..from.max(to)].to_vec();
                input.splice(to..to, part);
            }
            Self::Splice(at, seed, from) => {
                let (at, seed) = (place(at, input), seed.get(seeds));
                input.splice(at.., seed[place(from, seed)..].iter().copied());
            }
        }
    }
}

/// The seeds of a target, in the order of their names.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus-seeds").join(target);
    let read = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").path();
    let mut files: Vec<_> =
        fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())).map(read).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a seed")).collect()
}

/// Runs a target over its seeds as they are, then over changed ones.
fn exercise(target: &str, cases: u32) {
    let seeds = seeds(target);
    assert!(!seeds.is_empty(), "{target} has no seeds");
    seeds.iter().for_each(|seed| targets::run(target, seed));

    let cases = std::env::var("GANTRY_FUZZ_CASES").map_or(cases, |text| text.parse().expect("a number"));
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let strategy = (any::<Index>(), prop::collection::vec(any_change(), 1..6));
    let outcome = runner.run(&strategy, |(seed, changes)| {
        let mut input = seed.get(&seeds).clone();
        changes.iter().for_each(|change| change.apply(&mut input, &seeds));
        targets::run(target, &input);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{target}: {error}"));
}

macro_rules! tests {
    ($($target:ident: $cases:literal,)*) => {
        $(
            #[test]
            fn $target() {
                exercise(stringify!($target), $cases);
            }
        )*

        #[test]
        fn every_target_has_its_test_and_its_binary() {
            let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, [$(stringify!($target)),*]);
            let manifest = include_str!("../../fuzz/Cargo.toml");
            let binaries: Vec<_> = manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")).collect();
            assert_eq!(binaries, names.iter().map(|name| format!("{name}.rs\"")).collect::<Vec<_>>());
        }
    };
}

tests! {
    amqp_message: 20_000,
    config: 2_000,
    json_edit: 20_000,
    json_pick: 20_000,
    quantity: 20_000,
    rabbitmq_envelope: 20_000,
    template: 20_000,
    transform: 20_000,
    typed_headers: 20_000,
}
