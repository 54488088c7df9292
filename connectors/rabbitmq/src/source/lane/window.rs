//! How many messages the broker may have on their way: the *effective* prefetch.
//!
//! AMQP's prefetch counts messages, and the client library keeps whatever the broker pushes. So that memory is bounded with
//! bodies of any size, the window begins with a few messages and grows in big steps once their size is known. The aim is
//! window × usual size ≤ the lane's share of what the task may hold (I4), never below one message and never above the
//! prefetch that a person wrote.
//!
//! A change takes round trips, so there are few. Growing waits for a whole window's worth of evidence and for twice the
//! room. Shrinking waits until the window could hold half as much again as the share, and holds half of it.

use std::sync::Arc;

use crate::source::memory::{Learned, QueueMemory};

/// A window begins as if every body were so large. Hardly one is larger, and with the default limits it is four messages.
const LARGE_BODY: usize = 16 << 20;

/// A window grows to so many times its size at once: two or three steps lead from a few messages to any prefetch.
const STEP: u32 = 32;

/// Who asks for no more than this has bounded it in person; the window begins there.
const FEW: u16 = 16;

/// So many messages make the usual size: enough that a mixed load does not flap, few enough to follow a change.
const MOST_WEIGHT: u64 = 256;

/// More than any messages take.
const BOUNDLESS: u64 = u64::MAX / 2;

/// Growing that was put off again and again is tried at least every so many messages.
const MOST_EVIDENCE: u64 = 4096;

/// The window of one lane.
#[derive(Debug)]
pub(super) struct Window {
    /// What a person wrote: never more.
    configured: u16,
    /// Bytes that this lane may have on its way.
    share: u64,
    /// Messages that the consumer may have on their way now.
    current: u16,
    /// The usual size of a message, in bytes.
    average: u64,
    /// Messages that the average stands for, at most [`MOST_WEIGHT`].
    weight: u64,
    /// Messages since the window was last set, or since growing was last tried.
    seen: u64,
    /// So many must have been seen before it grows.
    evidence: u64,
    /// Messages and their bytes that the average does not have yet.
    fresh: (u64, u64),
    /// For the next window of this queue; none of one that stays as it is.
    memory: Option<Arc<QueueMemory>>,
}

impl Window {
    /// A window that adapts to what comes. It begins as the last one of this queue ended.
    pub(super) fn adaptive(configured: u16, share: usize, memory: Arc<QueueMemory>) -> Self {
        let first = u16::try_from((share / LARGE_BODY).clamp(1, usize::from(FEW))).unwrap_or(FEW);
        let first = if configured <= FEW { configured } else { first };
        let last = memory.lock().window;
        let (current, average, weight) = match last {
            Some(Learned { window, average }) => (window.clamp(1, configured), average, MOST_WEIGHT),
            None => (first, 0, 0),
        };
        let (share, memory) = (share as u64, Some(memory));
        Self { share, current, average, weight, evidence: current.into(), memory, ..Self::fixed(configured) }
    }

    /// A window that stays as it was configured: nothing is too much for it.
    pub(super) fn fixed(configured: u16) -> Self {
        Self {
            configured,
            share: BOUNDLESS,
            current: configured,
            average: 0,
            weight: 0,
            seen: 0,
            evidence: configured.into(),
            fresh: (0, 0),
            memory: None,
        }
    }

    /// The effective prefetch.
    pub(super) fn current(&self) -> u16 {
        self.current
    }

    /// The usual size of a message so far, in bytes.
    pub(super) fn average(&self) -> u64 {
        self.average
    }

    /// A message came.
    pub(super) fn note(&mut self, size: usize) {
        self.fresh.0 += 1;
        self.fresh.1 += size as u64;
    }

    /// What the window should become, if it is worth a change with so many messages on their way.
    pub(super) fn wish(&mut self, outstanding: u64) -> Option<u16> {
        self.learn();
        if self.weight == 0 {
            return None;
        }
        let size = self.average.max(1);
        let room = self.share / size;
        let aim = u16::try_from(room.clamp(1, self.configured.into())).unwrap_or(self.configured);
        if aim < self.current && u64::from(self.current) * size > self.share + self.share / 2 {
            return (outstanding.saturating_mul(size) > self.share / 2).then_some(aim);
        }
        let next = u16::try_from((u32::from(self.current) * STEP).min(aim.into())).unwrap_or(aim);
        // The last step up to the prefetch may be small; half as much room again keeps it from being taken back at once.
        let last = next == self.configured && room >= u64::from(next) + u64::from(next) / 2;
        let worth = next > self.current && (last || next / 2 >= self.current);
        (worth && self.seen >= self.evidence).then_some(next)
    }

    /// What the consumer that comes next is given.
    pub(super) fn next(&mut self) -> u16 {
        self.wish(u64::MAX).unwrap_or(self.current)
    }

    /// Whether the next consumer's messages fit beside those that the ones before it left on their way.
    pub(super) fn has_room_beside(&mut self, outstanding: u64) -> bool {
        let together = outstanding + u64::from(self.next());
        outstanding == 0 || together.saturating_mul(self.average) <= self.share
    }

    /// A consumer with this window begins.
    pub(super) fn set(&mut self, messages: u16) {
        self.current = messages;
        self.seen = 0;
        self.evidence = messages.into();
    }

    /// Growing is not needed now: the broker does not fill the window as it is.
    pub(super) fn put_off(&mut self) {
        self.seen = 0;
        self.evidence = (2 * self.evidence).min(MOST_EVIDENCE);
    }

    fn learn(&mut self) {
        let (messages, bytes) = std::mem::take(&mut self.fresh);
        if messages > 0 {
            self.average = (self.average * self.weight + bytes) / (self.weight + messages);
            self.weight = (self.weight + messages).min(MOST_WEIGHT);
            self.seen += messages;
        }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.learn();
        if let (Some(memory), 1..) = (&self.memory, self.weight) {
            memory.lock().window = Some(Learned { window: self.current, average: self.average });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn note(window: &mut Window, messages: usize, size: usize) {
        (0..messages).for_each(|_| window.note(size));
    }

    /// The first of its queue.
    fn adaptive(configured: u16, share: usize) -> Window {
        Window::adaptive(configured, share, Arc::default())
    }

    /// The windows that a load leads to, when every wish is granted at once.
    fn course(window: &mut Window, sizes: impl IntoIterator<Item = usize>) -> Vec<u16> {
        let mut course = vec![window.current()];
        for size in sizes {
            window.note(size);
            if let Some(next) = window.wish(window.current().into()) {
                window.set(next);
                course.push(next);
            }
        }
        course
    }

    #[test]
    fn the_next_window_of_a_queue_begins_where_the_last_one_ended() {
        let memory = Arc::<QueueMemory>::default();
        let next = |configured| Window::adaptive(configured, 64 * MIB, memory.clone());
        drop(next(2000));
        assert_eq!(next(2000).current(), 4, "nothing came");
        course(&mut next(2000), [200; 10_000]);
        assert_eq!(next(2000).current(), 2000);
        assert_eq!(next(100).current(), 100, "a person asks for less now");
    }

    #[test]
    fn small_messages_reach_the_prefetch_in_two_steps() {
        let mut window = adaptive(2000, 64 * MIB);
        assert_eq!(course(&mut window, [200; 10_000]), [4, 128, 2000]);
    }

    #[test]
    fn large_messages_keep_it_small() {
        let mut window = adaptive(2000, 64 * MIB);
        assert_eq!(course(&mut window, [16 * MIB; 1000]), [4]);
        let mut window = adaptive(2000, 64 * MIB);
        assert_eq!(course(&mut window, [MIB; 1000]), [4, 64]);
        let mut window = adaptive(2000, MIB);
        assert_eq!(course(&mut window, [100 * MIB; 100]), [1]);
    }

    #[test]
    fn messages_that_grow_shrink_it_and_small_ones_bring_it_back() {
        let mut window = adaptive(2000, 64 * MIB);
        course(&mut window, [200; 5000]);
        let down = course(&mut window, [8 * MIB; 2000]);
        assert!(down.last() < Some(&12) && down.len() < 15, "{down:?}");
        let up = course(&mut window, [200; 20_000]);
        assert_eq!(up.last(), Some(&2000), "{up:?}");
    }

    #[test]
    fn large_messages_that_leave_as_they_come_need_no_change() {
        let mut window = adaptive(2000, 64 * MIB);
        course(&mut window, [200; 5000]);
        note(&mut window, 10_000, 8 * MIB);
        assert_eq!(window.wish(4), None);
        assert_eq!(window.wish(5), Some(8));
        assert_eq!(window.next(), 8);
    }

    #[test]
    fn a_mixed_load_does_not_flap() {
        let mut window = adaptive(2000, 64 * MIB);
        // A tenth are large, in no regular order.
        let mut random = 1u32;
        let sizes = (0..200_000).map(|_| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if random >> 16 < 6554 { MIB } else { 1000 }
        });
        let course = course(&mut window, sizes);
        assert!(course.len() < 12, "{course:?}");
    }

    #[test]
    fn growing_waits_for_a_whole_window() {
        let mut window = adaptive(2000, 64 * MIB);
        note(&mut window, 3, 200);
        assert_eq!(window.wish(4), None);
        note(&mut window, 1, 200);
        assert_eq!(window.wish(4), Some(128));
        window.put_off();
        note(&mut window, 7, 200);
        assert_eq!(window.wish(4), None);
        note(&mut window, 1, 200);
        assert_eq!(window.wish(4), Some(128));
    }

    #[test]
    fn a_few_are_the_persons_own_bound() {
        for configured in [1, 10, 16] {
            let mut window = adaptive(configured, 64 * MIB);
            assert_eq!(course(&mut window, [200; 1000]), [configured]);
        }
    }

    #[test]
    fn what_is_left_of_the_consumer_before_counts() {
        let mut window = adaptive(2000, 64 * MIB);
        note(&mut window, 4, 200);
        assert!(window.has_room_beside(4));
        let mut window = adaptive(2000, 64 * MIB);
        note(&mut window, 4, MIB);
        assert_eq!(window.next(), 64);
        assert!(window.has_room_beside(0) && !window.has_room_beside(1));
        assert!(Window::fixed(2000).has_room_beside(2000));
    }

    #[test]
    fn fixed_is_fixed() {
        let mut window = Window::fixed(2000);
        assert_eq!(course(&mut window, [16 * MIB; 1000]), [2000]);
    }
}
