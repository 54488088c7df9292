//! Refusals: each is JSON with its code and a message, whoever refuses.

use super::{
    http::{Answer, get, request, send},
    two,
};

#[tokio::test]
async fn every_error_is_json_with_its_code_and_a_message() {
    let (_gantry, port) = two().await;
    let kind = "application/json";
    let too_long = "x".repeat((1 << 20) + 1);
    let refusals: Vec<(u16, &str, Answer)> = vec![
        (404, "HTTP 404 Not Found", get(port, "/nothing/here")),
        (404, "HTTP 404 Not Found", get(port, "/connectors/numbers/tasks-config")),
        (404, "HTTP 404 Not Found", get(port, "/connectors/numbers/tasks/abc/status")),
        (404, "Connector nobody not found", get(port, "/connectors/nobody")),
        (404, "Connector nobody not found", get(port, "/connectors/nobody/config")),
        (404, "Connector nobody not found", get(port, "/connectors/nobody/tasks")),
        (404, "Connector a b→c not found", get(port, "/connectors/a%20b%E2%86%92c")),
        (404, "No status found for connector nobody", get(port, "/connectors/nobody/status")),
        (404, "No status found for task nobody-0", get(port, "/connectors/nobody/tasks/0/status")),
        (404, "No status found for task numbers-7", get(port, "/connectors/numbers/tasks/7/status")),
        (404, "Unknown connector nobody", request(port, "PUT", "/connectors/nobody/pause", &[], "")),
        (404, "Unknown connector nobody", request(port, "PUT", "/connectors/nobody/resume", &[], "")),
        (404, "Unknown connector nobody", request(port, "PUT", "/connectors/nobody/stop", &[], "")),
        (405, "HTTP 405 Method Not Allowed", request(port, "DELETE", "/connectors", &[], "")),
        (405, "HTTP 405 Method Not Allowed", request(port, "BREW", "/metrics", &[], "")),
        (415, "HTTP 415 Unsupported Media Type", send(port, "POST", "/connectors", "text/plain", "{}")),
        (415, "HTTP 415 Unsupported Media Type", send(port, "PUT", "/connectors/numbers/pause", "text/plain", "x")),
        (400, "HTTP 400 Bad Request", get(port, "/connectors/%FF")),
        (413, "HTTP 413 Payload Too Large", send(port, "POST", "/connectors", kind, &too_long)),
    ];
    for (status, message, answer) in refusals {
        assert_eq!(answer.refusal(status), message);
    }
    for body in ["", "null", "[]", "{", r#"{"config":{}}"#, r#"{"name":"  "}"#] {
        send(port, "POST", "/connectors", kind, body).refusal(400);
    }
    for name in ["a%2Fb", "a%5cb", "a%25b"] {
        get(port, &format!("/connectors/{name}")).refusal(400);
    }
    let paused = get(port, "/connectors/numbers/status").json();
    assert_eq!(paused["connector"]["state"], "RUNNING", "a refused request changes nothing");
}

#[tokio::test]
async fn methods_are_told() {
    let (_gantry, port) = two().await;
    let refused = request(port, "DELETE", "/connectors", &[], "");
    assert!(
        refused.header("allow").is_some_and(|allow| allow.contains("GET") && allow.contains("POST")),
        "{refused:?}"
    );
    let options = request(port, "OPTIONS", "/connectors/numbers/pause", &[], "");
    assert_eq!((options.status, options.header("allow")), (200, Some("PUT,OPTIONS")));
}
