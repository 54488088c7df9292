//! Chance that can be repeated: the same seed gives the same choices.

/// SplitMix64 (Steele, Lea and Flood 2014): good enough to choose faults, and small.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Begins at this seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `from` up to and without `to`.
    pub const fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from)
    }

    /// True so many times in ten thousand.
    pub const fn chance(&mut self, in_ten_thousand: u64) -> bool {
        self.between(0, 10_000) < in_ten_thousand
    }

    /// One of them.
    pub fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let index = usize::try_from(self.between(0, choices.len() as u64)).expect("an index fits");
        &choices[index]
    }
}
