//! Whether something was written since it was last read: what is read early may be used later as long as it was not.
//! Only of this process; two sessions of a device on two nodes are kept apart by the cookies and the claims.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the writes of one kind of document.
#[derive(Debug, Default)]
pub struct Writing {
    begun: AtomicU64,
    done: AtomicU64,
}

/// When something was read. Taken before the read begins.
#[derive(Debug, Clone, Copy)]
pub struct Mark(u64);

impl Writing {
    /// A read begins.
    pub fn mark(&self) -> Mark {
        Mark(self.done.load(Ordering::SeqCst))
    }

    /// Whether no write was under way when the read began, and none has begun since.
    pub fn is_unchanged(&self, mark: Mark) -> bool {
        self.begun.load(Ordering::SeqCst) == mark.0
    }

    /// A write begins; it is done when this is dropped.
    pub fn begin(&self) -> Written<'_> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        Written(self)
    }
}

/// A write.
#[derive(Debug)]
pub struct Written<'w>(&'w Writing);

impl Drop for Written<'_> {
    fn drop(&mut self) {
        self.0.done.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_good_until_a_write_begins_and_never_while_one_is_under_way() {
        let writing = Writing::default();
        let before = writing.mark();
        assert!(writing.is_unchanged(before));
        let one = writing.begin();
        let two = writing.begin();
        assert!(!writing.is_unchanged(before));
        drop(one);
        let between = writing.mark();
        assert!(!writing.is_unchanged(between));
        drop(two);
        assert!(
            !writing.is_unchanged(between),
            "it may have read the old one"
        );
        assert!(writing.is_unchanged(writing.mark()));
    }
}
