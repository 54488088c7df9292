use tokio::time::advance;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn the_same_trouble_is_told_once_and_summed_up_every_ten_minutes() {
    let mut limiter = LogLimiter::default();
    let mut lines = vec![];
    for attempt in 0..1_500 {
        // Two reasons in turn, with numbers that are never the same.
        let reason = [format!("refused after {attempt} ms"), "no route to 10.0.0.1:5672".to_owned()];
        lines.extend(limiter.failed(&reason[attempt % 2]));
        advance(SECOND).await;
    }
    assert_eq!(
        lines,
        [
            "refused after 0 ms",
            "no route to 10.0.0.1:5672",
            "refused after 600 ms; this has happened 601 times in 10 min",
            "refused after 1200 ms; this has happened 1201 times in 20 min",
        ]
    );
    let recovered = limiter.works().expect("that it works again is told");
    assert_eq!(recovered.after("failed attempt"), "after 1500 failed attempts in 25 min");
}

#[tokio::test(start_paused = true)]
async fn reasons_that_are_never_the_same_do_not_defeat_it() {
    let mut limiter = LogLimiter::default();
    let words = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let told = words.iter().cycle().take(500).filter(|word| limiter.failed(word).is_some()).count();
    assert_eq!(told, REASONS);
}

#[tokio::test(start_paused = true)]
async fn what_comes_and_goes_is_told_there_and_back_and_then_only_when_it_lasts() {
    let mut limiter = LogLimiter::default();
    let mut lines = vec![];
    for _ in 0..100 {
        lines.extend(limiter.failed("cut"));
        advance(SECOND).await;
        lines.extend(limiter.works().map(|recovered| recovered.after("failed attempt")));
        advance(SECOND).await;
        lines.extend(limiter.works().map(|recovered| recovered.after("failed attempt")));
    }
    assert_eq!(lines, ["cut", "after 1 failed attempt in 1 s", "cut"]);
    advance(STEADY).await;
    assert_eq!(limiter.works().expect("now it lasts").attempts, 100);
    assert!(!limiter.is_on() && limiter.works().is_none(), "told once");
    assert_eq!(limiter.failed("cut").as_deref(), Some("cut"), "a new stretch");
}

#[tokio::test(start_paused = true)]
async fn a_failure_after_a_quiet_minute_is_news_even_if_nobody_looked_in_between() {
    let mut limiter = LogLimiter::default();
    assert!(limiter.works().is_none(), "nothing to recover from");
    assert!(limiter.failed("down").is_some());
    assert!(limiter.works().is_some());
    advance(2 * STEADY).await;
    assert!(limiter.failed("down").is_some());
    assert_eq!(limiter.works().expect("it is a stretch of its own").attempts, 1);
}

#[test]
fn lengths_of_time_have_one_unit() {
    let spans = [5, 999, 1_000, 119_000, 120_000, 7_199_000, 7_200_000].map(|ms| span(Duration::from_millis(ms)));
    assert_eq!(spans, ["5 ms", "999 ms", "1 s", "119 s", "2 min", "119 min", "2 h"]);
}
