use std::fs;

use super::*;

fn file(name: &str, text: &str) -> TokenSource {
    let path = std::env::temp_dir().join(format!("gantry-token-{}-{name}", std::process::id()));
    fs::write(&path, text).unwrap();
    at(path)
}

fn at(path: impl Into<PathBuf>) -> TokenSource {
    TokenSource { origin: Origin::File(path.into()), principal: None }
}

fn jwt(claims: &str) -> String {
    format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims))
}

#[test]
fn a_web_token_says_who_and_until_when() {
    let token = file("jwt", &format!("{}\n", jwt(r#"{"sub":"orders","exp":4102444800}"#))).get().unwrap();
    assert_eq!(token.principal_name, "orders");
    assert_eq!(token.lifetime_ms, 4_102_444_800_000);
    assert!(token.token.ends_with(".sig"), "the file's new line is not part of the token");
}

#[test]
fn an_opaque_token_is_read_again_soon() {
    let token = file("opaque", "abc").get().unwrap();
    assert_eq!(token.principal_name, "gantry");
    assert!(token.lifetime_ms > now_ms());
}

#[test]
fn what_came_with_an_opaque_token_says_how_long() {
    let token = at("unused").dated("abc".to_owned(), Some(Duration::from_secs(86_400))).unwrap();
    assert!(token.lifetime_ms > now_ms() + 80_000_000, "{}", token.lifetime_ms);
}

#[test]
fn what_is_wrong_is_said_without_the_token() {
    let expired = file("expired", &jwt(r#"{"sub":"orders","exp":1}"#)).get().err().unwrap();
    assert!(expired.contains("has expired") && !expired.contains("e30"), "{expired}");
    assert!(file("empty", " \n").get().err().unwrap().contains("holds no token"));
    let missing = at("/nonexistent/token").get().err().unwrap();
    assert!(missing.contains("/nonexistent/token"), "{missing}");
    let endless = at("/dev/zero").get().err().unwrap();
    assert!(endless.contains("not a regular file"), "{endless}");
    assert!(file("large", &"x".repeat((1 << 20) + 1)).get().err().unwrap().contains("larger than 1 MiB"));
}
