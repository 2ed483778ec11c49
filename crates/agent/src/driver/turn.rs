//! Many connections, and one of them at a time.

use std::task::Poll;

/// The next of them that is ready, looked for behind the one that was it last, so that one that says a lot keeps nobody
/// from being heard.
pub(super) fn poll_in_turn<T, H>(
    all: &mut [T],
    first: &mut usize,
    mut poll: impl FnMut(&mut T) -> Poll<H>,
) -> Poll<(usize, H)> {
    let count = all.len();
    for turn in 0..count {
        let at = (*first + turn) % count;
        if let Poll::Ready(happened) = poll(&mut all[at]) {
            *first = at + 1;
            return Poll::Ready((at, happened));
        }
    }
    Poll::Pending
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_that_is_ready_has_its_turn() {
        let mut all = [true, false, true, true];
        let mut first = 0;
        let mut next = |all: &mut [bool]| {
            let ready = |one: &mut bool| match *one {
                true => Poll::Ready(()),
                false => Poll::Pending,
            };
            match poll_in_turn(all, &mut first, ready) {
                Poll::Ready((at, ())) => Some(at),
                Poll::Pending => None,
            }
        };
        let turns: Vec<_> = (0..4).map(|_| next(&mut all)).collect();
        assert_eq!(turns, [Some(0), Some(2), Some(3), Some(0)]);
        // Fewer than before.
        assert_eq!(next(&mut all[..1]), Some(0));
        assert_eq!(next(&mut all[1..2]), None);
        assert_eq!(next(&mut []), None);
    }
}
