//! How much goes wrong in a world.

/// How often things go wrong, in percent.
#[derive(Clone, Copy)]
pub struct Luck {
    pub(super) lost: usize,
    pub(super) unsent: usize,
    pub(super) unlink: usize,
    pub(super) store: usize,
    pub(super) clock: usize,
}

impl Luck {
    /// Nothing goes wrong.
    pub const GOOD: Luck = Luck {
        lost: 0,
        unsent: 0,
        unlink: 0,
        store: 0,
        clock: 0,
    };
    /// Much goes wrong.
    pub const BAD: Luck = Luck {
        lost: 8,
        unsent: 4,
        unlink: 4,
        store: 6,
        clock: 0,
    };
    /// Much goes wrong, and the clock is set all the time.
    pub const BAD_CLOCK: Luck = Luck {
        clock: 5,
        ..Self::BAD
    };
}
