//! Liveness and readiness.

use serde_json::json;

use super::{
    ONE_AWAY,
    http::{get, request},
    metric,
    support::{SOON, eventually, gantry::Gantry},
    wait_for,
};

#[tokio::test]
async fn readiness_follows_the_bridges_and_liveness_does_not() {
    let gantry = Gantry::start(ONE_AWAY);
    let port = gantry.port();
    eventually("the port answers", SOON, async || gantry.get("/healthz")).await;
    wait_for(port, "near", "RUNNING", &["RUNNING"]).await;
    wait_for(port, "away", "RUNNING", &["RESTARTING"]).await;

    let not_ready = get(port, "/readyz");
    let body = not_ready.json();
    assert_eq!((not_ready.status, &body["ready"]), (503, &json!(false)), "{body}");
    assert_eq!(body["not_ready"].as_array().map(Vec::len), Some(1), "{body}");
    let away = &body["not_ready"][0];
    assert_eq!((&away["bridge"], &away["tasks"][0]["task"]), (&json!("away"), &json!(0)), "{body}");
    assert!(away["tasks"][0]["reason"].as_str().is_some_and(|reason| reason.contains("127.0.0.1:1")), "{body}");
    assert_eq!(get(port, "/healthz").json(), json!({ "status": "ok" }));
    assert_eq!(get(port, "/health").json()["status"], "healthy");
    assert_eq!(metric(port, "gantry_bridge_ready{bridge=\"away\"}"), 0.0);

    assert_eq!(request(port, "PUT", "/connectors/away/stop", &[], "").status, 204);
    let ready = get(port, "/readyz");
    assert_eq!((ready.status, ready.json()), (200, json!({ "ready": true, "not_ready": [] })));
    assert_eq!(metric(port, "gantry_bridge_ready{bridge=\"away\"}"), 1.0);

    wait_for(port, "away", "STOPPED", &[]).await;
    assert_eq!(request(port, "PUT", "/connectors/away/resume", &[], "").status, 202);
    eventually("not ready again", SOON, async || (get(port, "/readyz").status == 503).then_some(())).await;
}
