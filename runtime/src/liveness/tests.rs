use tokio::time::advance;

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn liveness(stall_timeout: Duration) -> Liveness {
    Liveness::new(Some(stall_timeout), None)
}

/// So many records are in flight, `oldest` for longest.
fn seen(held: usize, oldest: Option<Instant>, down: bool) -> Snapshot {
    let out_of_reach = down.then(|| ("sink".into(), "gone".into()));
    Snapshot { held, out_of_reach, draining: false, flow: Some(Flow { oldest, gives: held == 0 && !down }) }
}

fn in_flight() -> Snapshot {
    seen(1, None, false)
}

fn idle() -> Snapshot {
    seen(0, None, false)
}

/// Minutes until records in flight without an outcome are a stall.
async fn minutes_without_an_outcome(liveness: &mut Liveness) -> u64 {
    liveness.begin();
    for minutes in 1.. {
        advance(MINUTE).await;
        if let Err(broken) = liveness.check(&in_flight()) {
            assert_eq!(broken, Broken::Settling { held: 1, still: MINUTE * minutes });
            return minutes.into();
        }
    }
    unreachable!("it counts for ever")
}

#[tokio::test(start_paused = true)]
async fn a_repeated_stall_is_given_twice_the_time_up_to_an_hour() {
    let mut liveness = liveness(5 * MINUTE);
    for expected in [5, 10, 20, 40, 60, 60] {
        assert_eq!(minutes_without_an_outcome(&mut liveness).await, expected);
    }
    liveness.settled();
    assert_eq!(minutes_without_an_outcome(&mut liveness).await, 5);
    liveness.received(true);
    assert_eq!(minutes_without_an_outcome(&mut liveness).await, 10, "records that come are no outcomes");
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_sink_does_not_count_as_a_stall() {
    let mut liveness = liveness(MINUTE);
    for _ in 0..100 {
        advance(MINUTE).await;
        assert_eq!(liveness.check(&seen(1, None, true)), Ok(false));
    }
    advance(MINUTE / 2).await;
    assert_eq!(liveness.check(&in_flight()), Ok(false));
    advance(MINUTE / 2).await;
    assert_eq!(liveness.check(&in_flight()), Err(Broken::Settling { held: 1, still: MINUTE }));
}

#[tokio::test(start_paused = true)]
async fn neither_draining_nor_a_call_under_way_is_a_stall() {
    let mut liveness = liveness(MINUTE);
    advance(10 * MINUTE).await;
    assert_eq!(liveness.check(&Snapshot { draining: true, ..in_flight() }), Ok(false));
    assert_eq!(liveness.check(&Snapshot { flow: None, ..in_flight() }), Ok(false));
}

/// Minutes until a batch that came at once is held up for too long, while others come and go.
async fn minutes_held(liveness: &mut Liveness) -> u64 {
    liveness.begin();
    let oldest = Some(Instant::now());
    for minutes in 1.. {
        advance(MINUTE).await;
        liveness.settled();
        if let Err(broken) = liveness.check(&seen(1, oldest, false)) {
            assert_eq!(broken, Broken::Holding { held: 1, still: MINUTE * minutes });
            return minutes.into();
        }
    }
    unreachable!("it counts for ever")
}

#[tokio::test(start_paused = true)]
async fn one_batch_that_is_never_settled_is_a_stall_whatever_others_do() {
    let mut liveness = liveness(5 * MINUTE);
    for expected in [5, 10, 20, 40, 60, 60] {
        assert_eq!(minutes_held(&mut liveness).await, expected);
    }
    for _ in 0..100 {
        advance(MINUTE).await;
        liveness.settled();
        assert_eq!(liveness.check(&seen(1, Some(Instant::now()), false)), Ok(false), "what goes through is young");
    }
    assert_eq!(minutes_held(&mut liveness).await, 5);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_held_up_only_while_its_outcome_could_come() {
    let mut liveness = liveness(MINUTE);
    let oldest = Some(Instant::now());
    for _ in 0..100 {
        advance(MINUTE).await;
        assert_eq!(liveness.check(&seen(1, oldest, true)), Ok(false));
        liveness.settled();
        assert_eq!(liveness.check(&in_flight()), Ok(false));
    }
    advance(MINUTE / 2).await;
    liveness.settled();
    assert_eq!(liveness.check(&seen(1, oldest, false)), Ok(false));
    advance(MINUTE / 2).await;
    liveness.settled();
    assert_eq!(liveness.check(&seen(1, oldest, false)), Err(Broken::Holding { held: 1, still: MINUTE }));
}

/// Looks every second; returns the seconds until it is a stall and how often the broker was asked.
async fn seconds_without_a_record(liveness: &mut Liveness, backlog: impl Fn(u64) -> u64) -> Option<(u64, u32)> {
    liveness.begin();
    let mut asked = 0;
    for second in 1..5_000 {
        advance(Duration::from_secs(1)).await;
        if liveness.check(&idle()).expect("nothing is in flight") {
            asked += 1;
            if liveness.waiting(backlog(second)).is_err() {
                return Some((second, asked));
            }
        }
    }
    None
}

#[tokio::test(start_paused = true)]
async fn a_backlog_at_two_looks_a_quarter_apart_and_no_record_is_a_stall() {
    let mut liveness = liveness(Duration::from_secs(100));
    assert_eq!(seconds_without_a_record(&mut liveness, |_| 7).await, Some((100, 2)));
    assert_eq!(seconds_without_a_record(&mut liveness, |_| 7).await, Some((200, 2)), "then twice the time");
    liveness.received(true);
    assert_eq!(seconds_without_a_record(&mut liveness, |second| second / 90).await, Some((125, 3)));
    assert_eq!(seconds_without_a_record(&mut liveness, |_| 0).await, None, "an empty queue is no stall");
}

#[tokio::test(start_paused = true)]
async fn without_a_timeout_nothing_is_a_stall() {
    let mut liveness = Liveness::new(None, None);
    liveness.begin();
    let oldest = Some(Instant::now());
    advance(10_000 * MINUTE).await;
    assert_eq!(liveness.check(&seen(1, oldest, false)), Ok(false));
    assert_eq!((liveness.check(&idle()), liveness.waiting(9), liveness.waiting(9)), (Ok(false), Ok(()), Ok(())));
}

#[tokio::test(start_paused = true)]
async fn an_outage_counts_while_records_are_held_and_nothing_is_settled() {
    let mut liveness = Liveness::new(None, Some(10 * MINUTE));
    // Also while a call is under way.
    let mut lasts = |held, down| liveness.check(&Snapshot { flow: None, ..seen(held, None, down) });
    assert_eq!(lasts(0, true), Ok(false));
    advance(20 * MINUTE).await;
    assert_eq!(lasts(1, true), Ok(false), "nothing was held before");
    advance(9 * MINUTE).await;
    assert_eq!(lasts(1, false), Ok(false), "up, for a moment");
    assert_eq!(lasts(1, true), Ok(false));
    advance(MINUTE).await;
    assert_eq!(lasts(1, false), Ok(false), "up");
    let (part, reason, still) = ("sink".into(), "gone".into(), 10 * MINUTE);
    let broken = Broken::OutOfReach { part, reason, held: 1, still };
    assert_eq!(lasts(1, true), Err(broken), "down again without an outcome in between");
    liveness.committed();
    assert_eq!(liveness.check(&seen(1, None, true)), Ok(false));
}

#[tokio::test(start_paused = true)]
async fn an_outage_without_a_limit_never_ends() {
    let mut liveness = Liveness::new(None, None);
    assert_eq!(liveness.check(&seen(1, None, true)), Ok(false));
    advance(10_000 * MINUTE).await;
    assert_eq!(liveness.check(&seen(1, None, true)), Ok(false));
}
