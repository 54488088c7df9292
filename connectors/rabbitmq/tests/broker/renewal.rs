//! An access token that expires while the connection lives.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use gantry_sdk::plugin::{Context, CurrentOptions};
use gantry_sdk::testkit;
use serde_json::json;

use crate::support::{Management, Proxy, Rabbit, opened, source_with, unique, until};

/// A JWT that is valid for so long.
fn token(valid: Duration) -> String {
    let until = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970") + valid;
    let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}.c2ln", part(json!({ "alg": "none" })), part(json!({ "exp": until.as_secs(), "jti": unique("jti") })))
}

#[tokio::test]
async fn the_broker_gets_the_next_token_before_the_first_expires() {
    let (rabbit, management, proxy) = (Rabbit::connect().await, Management::new(), Proxy::start().await);
    let queue = rabbit.queue("token").await;
    // To this broker it is a password like any other; what the connection says to it is what counts.
    let (user, first) = (unique("user"), token(Duration::from_secs(4)));
    management.user(&user, &first);
    let options = |token: &str| {
        let url = proxy.url().replace("guest:guest@", "");
        json!({ "connection": { "urls": [url], "username": user, "password": token }, "queue": queue.name })
    };
    let now = Arc::new(Mutex::new(options(&first)));
    let read = {
        let now = Arc::clone(&now);
        move || Ok(now.lock().expect("nobody panics").clone())
    };
    let context = Context { options: CurrentOptions::new(read), ..testkit::context() };
    let mut source = opened(source_with(options(&first), context)).await;
    let second = token(Duration::from_secs(3600));
    *now.lock().expect("nobody panics") = options(&second);
    // connection.update-secret, with the token as a long string.
    let length = u32::try_from(second.len()).expect("it is short").to_be_bytes();
    let update = [&[0, 10, 0, 70], &length[..], second.as_bytes()].concat();
    let told = until(true, async || proxy.has_sent(&update).await);
    tokio::select! {
        () = told => {}
        error = source.watch_connection() => assert!(proxy.has_sent(&update).await, "{}", error.chain()),
    }
    // This broker's own users have no tokens that it could renew, so it may end the connection now.
    drop(source.close().await);
    management.delete(&format!("users/{user}"));
}
