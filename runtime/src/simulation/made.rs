//! What each instance of a part leaves to the next one, in every simulation: how many they were.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use gantry_sdk::Remembered;

use super::world::World;

/// What a part remembers.
#[derive(Default)]
struct Made {
    part: OnceLock<usize>,
    instances: AtomicU64,
}

/// An instance of that part is made, perhaps in vain. It knows what all those before it have left, and nothing of another part.
pub(super) fn note(world: &World, part: usize, remembered: &Remembered) {
    let own = remembered.get_or_default::<Made>();
    assert_eq!(*own.part.get_or_init(|| part), part, "another part's memory");
    let made = &mut world.state().made[part];
    assert_eq!(own.instances.fetch_add(1, Ordering::Relaxed), *made, "not what the instances before it have left");
    *made += 1;
}
