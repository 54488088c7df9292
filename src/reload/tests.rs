use std::time::Duration;

use gantry_runtime::{Bridges, Budget, Definition, Difference, Target, TaskState, TaskStatus};

use super::*;

/// What the bridges of this YAML are.
fn definitions(yaml: &str) -> Vec<Arc<Definition>> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("gantry.yaml");
    std::fs::write(&path, yaml).expect("writing the file");
    config::load(&[path]).unwrap_or_else(|problems| panic!("{problems:#?}")).bridges
}

fn start(yaml: &str) -> Bridges {
    Bridges::start(definitions(yaml), Duration::from_secs(30), Budget::new(1 << 20), Arc::new(()))
}

async fn become_these(bridges: &Bridges, yaml: &str) -> Vec<Arc<str>> {
    let running: Vec<_> = bridges.all().iter().map(|bridge| bridge.definition().clone()).collect();
    bridges.apply(Difference::between(&running, definitions(yaml))).await
}

fn task(bridges: &Bridges, name: &str) -> TaskStatus {
    bridges.get(name).expect("the bridge").task_statuses().remove(0)
}

async fn wait_for(bridges: &Bridges, name: &str, state: TaskState) -> TaskStatus {
    let reached = async {
        while task(bridges, name).state != state {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let reached = tokio::time::timeout(Duration::from_secs(60), reached).await;
    assert!(reached.is_ok(), "{name} is {:?} and should be {state:?}", task(bridges, name));
    task(bridges, name)
}

const TWO: &str = r#"
bridges:
  one: { source: { generate: { rate: 1000 } }, sink: { "null": {} } }
  two: { tasks: 2, source: { generate: { rate: 1000 } }, sink: { "null": {} } }
"#;

#[tokio::test]
async fn only_what_changed_begins_anew() {
    let bridges = start(TWO);
    for name in ["one", "two"] {
        wait_for(&bridges, name, TaskState::Running).await;
    }
    let before = task(&bridges, "one");
    let undrained =
        become_these(&bridges, &TWO.replace("tasks: 2", "tasks: 1").replace("one:", "one: # same\n   ")).await;
    assert!(undrained.is_empty(), "{undrained:?}");
    assert_eq!(bridges.get("two").expect("it is there").task_statuses().len(), 1);
    wait_for(&bridges, "two", TaskState::Running).await;
    let after = task(&bridges, "one");
    assert_eq!((after.epoch, after.since), (before.epoch, before.since));
    assert!(after.counts.records_in >= before.counts.records_in);
    assert!(bridges.shutdown().await);
}

#[tokio::test]
async fn what_a_person_wants_survives_a_change_and_not_a_removal() {
    let bridges = start(TWO);
    assert!(bridges.set_target("one", Target::Stopped) && bridges.set_target("two", Target::Paused));
    assert!(!bridges.set_target("three", Target::Paused));
    wait_for(&bridges, "two", TaskState::Paused).await;
    become_these(&bridges, &TWO.replace("1000", "2000")).await;
    wait_for(&bridges, "one", TaskState::Stopped).await;
    wait_for(&bridges, "two", TaskState::Paused).await;
    assert_eq!(bridges.get("one").expect("it is there").status().target, Target::Stopped);

    become_these(&bridges, "bridges: {}").await;
    assert!(bridges.all().is_empty() && bridges.get("one").is_none());
    become_these(&bridges, TWO).await;
    wait_for(&bridges, "one", TaskState::Running).await;
    assert!(bridges.shutdown().await);
}

#[tokio::test]
async fn it_is_finished_when_all_that_is_there_now_has_finished() {
    let finite = r#"bridges: { few: { source: { generate: { count: 5 } }, sink: { "null": {} } } }"#;
    let bridges = start("bridges: {}");
    let mut finished = Box::pin(bridges.finished());
    let mut is_finished =
        async || tokio::select! { biased; () = &mut finished => true, () = std::future::ready(()) => false };
    assert!(!is_finished().await, "nothing is there: a reload may bring something");
    become_these(&bridges, TWO).await;
    assert!(!is_finished().await);
    become_these(
        &bridges,
        &TWO.replace("bridges:", "bridges:\n  few: { source: { generate: { count: 5 } }, sink: { \"null\": {} } }"),
    )
    .await;
    wait_for(&bridges, "few", TaskState::Finished).await;
    assert!(!is_finished().await, "others go on");
    become_these(&bridges, finite).await;
    assert_eq!(task(&bridges, "few").counts.records_out, 5);
    assert!(is_finished().await);
    assert!(bridges.shutdown().await);
}
