use proptest::prelude::*;

use super::*;

/// A record's most bytes in these tests.
const RECORD: usize = 50;

#[test]
fn a_task_alone_gets_the_whole() {
    let budget = Budget::new(1000);
    let share = budget.join();
    assert_eq!(share.reserve(10_000).ok(), Some(500), "its share first");
    share.take(500);
    assert_eq!(share.reserve(10_000).ok(), Some(500), "then the pool");
    share.take(500);
    assert!(share.reserve(1).is_err());
    share.give_back(300);
    assert_eq!(share.reserve(10_000).ok(), Some(300));
}

#[test]
fn who_fills_the_pool_leaves_every_other_its_share() {
    let budget = Budget::new(1000);
    let (stuck, other) = (budget.join(), budget.join());
    stuck.take(250);
    stuck.take(500);
    assert!(stuck.reserve(100).is_err());
    assert_eq!(other.reserve(1000).ok(), Some(250));
    other.take(250);
    assert!(other.reserve(1).is_err(), "there is no more than its share");
}

#[test]
fn idle_tasks_set_nothing_of_the_pool_aside() {
    let budget = Budget::new(1000);
    let idle: Vec<_> = (0..9).map(|_| budget.join()).collect();
    let busy = budget.join();
    assert!(idle.iter().all(|share| share.reserve(1000).ok() == Some(50)));
    busy.take(50);
    assert_eq!(busy.reserve(1000).ok(), Some(500), "the whole pool");
}

#[test]
fn a_task_that_holds_nothing_may_take_one_record_however_full_it_is() {
    let budget = Budget::new(100);
    let first = budget.join();
    first.take(100);
    let late = budget.join();
    assert_eq!(late.reserve(1000).ok(), Some(1), "one byte: one record");
    late.take(40);
    assert!(late.reserve(1000).is_err(), "but not a second one, although its share is not full");
    first.give_back(100);
    assert_eq!(late.reserve(1000).ok(), Some(35), "its share is full: what is left of the pool");
    drop(first);
    assert_eq!(budget.held(), 75);
}

#[test]
fn what_is_set_aside_and_not_used_goes_back() {
    let budget = Budget::new(100);
    let (one, other) = (budget.join(), budget.join());
    for share in [&one, &other] {
        share.take(25);
    }
    assert_eq!(one.reserve(1000).ok(), Some(50));
    assert!(other.reserve(1).is_err());
    one.rest();
    assert_eq!(other.reserve(1000).ok(), Some(50));
    other.take(10);
    assert_eq!(one.reserve(1000).ok(), Some(40));
}

#[test]
fn a_lower_limit_takes_nothing_away_and_lets_nothing_in() {
    let budget = Budget::new(1000);
    let share = budget.join();
    share.take(800);
    budget.set_limit(100);
    assert!(share.reserve(1).is_err());
    share.give_back(750);
    assert_eq!(share.reserve(1000).ok(), Some(50));
}

#[test]
fn who_is_refused_is_woken_by_whatever_makes_room() {
    let wakers: [fn(&Budget, Share); 4] = [
        |_, share| share.give_back(1),
        |_, share| share.rest(),
        |_, share| drop(share),
        |budget, _| budget.set_limit(1000),
    ];
    for wake in wakers {
        let budget = Budget::new(100);
        let (holder, waiter) = (budget.join(), budget.join());
        holder.take(25);
        assert_eq!(holder.reserve(49).ok(), Some(49));
        waiter.take(26);
        let Err(refused) = waiter.reserve(1) else { panic!("the pool is full") };
        let mut woken = is_done(refused.freed());
        assert!(!woken(), "nothing came back yet");
        wake(&budget, holder);
        assert!(woken());
        assert!(waiter.reserve(1).is_ok());
    }
}

/// Says at each call whether the future is done.
fn is_done(future: impl Future<Output = ()> + 'static) -> impl FnMut() -> bool {
    let mut future = Box::pin(future);
    move || {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        future.as_mut().poll(&mut context).is_ready()
    }
}

/// What random tasks do.
#[derive(Debug, Clone)]
enum Step {
    Join,
    Leave(usize),
    Reserve(usize, usize),
    /// A poll ends: it brought records of these sizes, as many as the room allows.
    Bring(usize, Vec<usize>),
    Settle(usize, usize),
    Rest(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let task = 0..8usize;
    prop_oneof![
        1 => Just(Step::Join),
        1 => task.clone().prop_map(Step::Leave),
        6 => (task.clone(), 1..400usize).prop_map(|(task, wanted)| Step::Reserve(task, wanted)),
        6 => (task.clone(), prop::collection::vec(1..=RECORD, 1..12)).prop_map(|(task, sizes)| Step::Bring(task, sizes)),
        5 => (task.clone(), 1..300usize).prop_map(|(task, bytes)| Step::Settle(task, bytes)),
        1 => task.prop_map(Step::Rest),
    ]
}

/// A task as the event loop would be: what it holds, and the room of the poll that goes on.
struct Task {
    share: Share,
    held: usize,
    room: Option<usize>,
}

proptest! {
    #[test]
    fn i4_no_overrun_no_starvation_and_everything_comes_back(
        limit in 1..1000usize,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let budget = Budget::new(limit);
        let mut tasks: Vec<Task> = Vec::new();
        for step in steps {
            let count = tasks.len();
            let task = |index: usize| (count > 0).then(|| index % count);
            match step {
                Step::Join => tasks.push(Task { share: budget.join(), held: 0, room: None }),
                Step::Leave(index) => drop(task(index).map(|index| tasks.swap_remove(index))),
                Step::Reserve(index, wanted) => if let Some(index) = task(index) {
                    let task = &mut tasks[index];
                    task.room = task.share.reserve(wanted).ok();
                    prop_assert!(task.room.is_none_or(|room| (1..=wanted).contains(&room)));
                    prop_assert!(task.held > 0 || task.room.is_some(), "a task with nothing is never refused");
                },
                Step::Bring(index, sizes) => if let Some(index) = task(index)
                    && let Some(room) = tasks[index].room.take()
                {
                    let mut bytes = 0;
                    for size in sizes {
                        if bytes < room {
                            bytes += size;
                        }
                    }
                    tasks[index].share.take(bytes);
                    tasks[index].held += bytes;
                },
                Step::Settle(index, bytes) => if let Some(index) = task(index) {
                    let bytes = bytes.min(tasks[index].held);
                    tasks[index].share.give_back(bytes);
                    tasks[index].held -= bytes;
                },
                Step::Rest(index) => if let Some(index) = task(index) {
                    tasks[index].room = None;
                    tasks[index].share.rest();
                },
            }
            let held: usize = tasks.iter().map(|task| task.held).sum();
            prop_assert!(held < limit + tasks.len().max(1) * RECORD, "{held} of {limit} in {} tasks", tasks.len());
            prop_assert!(budget.held() >= held);
        }
        // Whatever the others hold, everyone gets on, and in the end nothing is missing.
        for task in &mut tasks {
            task.share.give_back(task.held);
            task.share.rest();
        }
        prop_assert_eq!(budget.held(), 0);
        for task in &tasks {
            prop_assert!(task.share.reserve(usize::MAX).is_ok_and(|room| room >= limit / 2 / tasks.len()));
            task.share.rest();
        }
        drop(tasks);
        prop_assert_eq!(budget.held(), 0);
        let (share, half) = (budget.join(), limit / 2);
        share.take(half);
        prop_assert_eq!(share.reserve(usize::MAX).ok(), Some(limit - half), "the pool is whole again");
    }
}
