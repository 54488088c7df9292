//! What docs/operations/graph.md shows is what the program prints, and every example can be drawn.

use std::{fs, path::Path};

use super::{Files, THERE_AND_BACK, gantry};

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations/graph.md");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The first fence of this kind.
fn fence(page: &str, kind: &str) -> String {
    let begin = format!("```{kind}\n");
    let (_, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("no {kind} fence"));
    rest.split_once("\n```").expect("the fence is closed").0.to_owned()
}

#[test]
fn the_page_shows_what_the_program_prints() {
    let page = page();
    let ended = gantry("graph", &fence(&page, "yaml"), &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.out.trim_end(), fence(&page, "mermaid"), "docs/operations/graph.md has it otherwise");
}

#[test]
fn the_examples_can_be_drawn_in_every_format() {
    let example = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        fs::read_to_string(path).expect("the example is there")
    };
    for yaml in [example("hello.yaml"), example("orders/gantry.yaml"), THERE_AND_BACK.to_owned()] {
        for (format, begin, end) in
            [("mermaid", "flowchart LR", ""), ("dot", "digraph gantry {", "}"), ("svg", "<svg ", "</svg>")]
        {
            let ended = gantry("graph", &yaml, &["--format", format]);
            assert_eq!(ended.code, Some(0), "{ended:?}");
            assert!(ended.out.starts_with(begin) && ended.out.trim_end().ends_with(end), "{ended:?}");
        }
    }
}

#[test]
fn a_secret_that_is_not_there_does_not_hide_the_broker() {
    let yaml = THERE_AND_BACK.replace("RABBITMQ_PASSWORD", "NOT_THERE");
    let ended = gantry("graph", &yaml, &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("rabbitmq rabbit1:5672"), "{ended:?}");
}

#[test]
fn a_url_that_is_a_reference_shows_the_broker() {
    let with = |variable: &str| {
        let url = THERE_AND_BACK
            .replace("amqp://gantry:${env:RABBITMQ_PASSWORD}@rabbit1:5672", &format!("${{env:{variable}}}"));
        let files = Files::of(&[("gantry.yaml", &url)]);
        files
            .gantry(
                &["graph", "gantry.yaml", "--format", "dot"],
                &[("RABBIT_URL", "amqp://gantry:hunter2@rabbit7:5672")],
            )
            .out
    };
    let (known, unknown) = (with("RABBIT_URL"), with("NOT_THERE"));
    assert!(known.contains("rabbitmq rabbit7:5672") && !known.contains("hunter2"), "{known}");
    assert!(unknown.contains("rabbitmq ${env:NOT_THERE}"), "{unknown}");
}

#[test]
fn a_wrong_configuration_is_told_and_not_drawn() {
    let ended = gantry("graph", &THERE_AND_BACK.replace("topic:", "topik:"), &[]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.err.contains("did you mean \"topic\"?"), "{ended:?}");
}
