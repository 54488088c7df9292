//! What every scrape must hold.

use super::{
    VERSION,
    http::{get, request},
    support::{SOON, eventually, gantry::Gantry},
    two, value, wait_for,
};

/// I6, as anyone can see it: in each of 200 scrapes under full load, every record is in exactly one place.
#[tokio::test]
async fn records_are_conserved_in_every_scrape() {
    let gantry = Gantry::ready(
        r#"
bridges:
  flood: { tasks: 2, source: { generate: { size: 64B } }, sink: { "null": {} } }
"#,
    )
    .await;
    let port = gantry.port();
    let mut last_in = 0.0;
    for scrape in 0..200 {
        let text = get(port, "/metrics").body;
        for task in 0..2 {
            let value = |name: &str| value(&text, &format!("gantry_{name}{{bridge=\"flood\",task=\"{task}\"}}"));
            let came = value("records_in_total") - value("records_returned_total");
            let aside = value("records_filtered_total") + value("records_dead_lettered_total");
            let out = value("records_out_total");
            let in_flight = value("records_in_flight");
            assert!(came == out + aside + in_flight, "scrape {scrape}: {came} != {out} + {aside} + {in_flight}");
        }
        if scrape == 100 {
            // Some of what is in flight goes back, or is drained: the balance holds through that, too.
            assert_eq!(request(port, "POST", "/connectors/flood/restart?includeTasks=true", &[], "").status, 202);
        }
        last_in = value(&text, "gantry_records_in_total{bridge=\"flood\",task=\"0\"}");
    }
    assert!(last_in > 1000.0, "there was no load: {last_in} records");
}

#[tokio::test]
async fn metrics_go_on_while_a_bridge_is_stopped() {
    let (gantry, port) = two().await;
    eventually("records have passed", SOON, async || {
        gantry.metric("gantry_records_out_total", "letters").filter(|n| *n > 0.0)
    })
    .await;
    assert_eq!(request(port, "PUT", "/connectors/letters/stop", &[], "").status, 204);
    wait_for(port, "letters", "STOPPED", &[]).await;
    let scrape = get(port, "/metrics");
    assert_eq!(scrape.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let of_letters = |name: &str| value(&scrape.body, &format!("gantry_{name}{{bridge=\"letters\",task=\"0\"}}"));
    assert!(of_letters("records_out_total") > 0.0);
    assert_eq!(of_letters("records_in_flight"), 0.0);
    assert_eq!(value(&scrape.body, "gantry_task_state{bridge=\"letters\",task=\"0\",state=\"stopped\"}"), 1.0);
    assert_eq!(value(&scrape.body, &format!("gantry_build_info{{version=\"{VERSION}\"}}")), 1.0);
}
