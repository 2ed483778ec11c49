//! Work that takes long at once: off the way of the other sessions of its thread.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Does work of this size. What is larger than `on_the_spot` does not hold up what else the thread has to
/// do.
pub fn at_length<T>(size: usize, on_the_spot: usize, work: impl FnOnce() -> T) -> T {
    let others = |runtime: Handle| runtime.runtime_flavor() == RuntimeFlavor::MultiThread;
    match size > on_the_spot && Handle::try_current().is_ok_and(others) {
        true => tokio::task::block_in_place(work),
        false => work(),
    }
}
