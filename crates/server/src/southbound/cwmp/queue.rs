//! A bounded queue into a task of its own, whose last work is waited for when nothing more comes.

use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinHandle;

/// The end that takes things.
pub struct Queue<T> {
    /// Until nothing more comes.
    sender: Mutex<Option<mpsc::Sender<T>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl<T: Send + 'static> Queue<T> {
    /// With room for so many, and the task that works on them until no more come.
    pub fn start<F>(max: usize, work: impl FnOnce(mpsc::Receiver<T>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, incoming) = mpsc::channel(max);
        Self {
            sender: Mutex::new(Some(sender)),
            task: Mutex::new(Some(tokio::spawn(work(incoming)))),
        }
    }

    fn sender(&self) -> Option<mpsc::Sender<T>> {
        let sender = self.sender.lock();
        sender.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for room. After the end it is dropped.
    pub async fn send(&self, one: T) {
        if let Some(sender) = self.sender() {
            let _ = sender.send(one).await;
        }
    }

    /// Given back where there is no room, or after the end.
    pub fn try_send(&self, one: T) -> Result<(), T> {
        let Some(sender) = self.sender() else {
            return Err(one);
        };
        sender.try_send(one).map_err(|error| match error {
            TrySendError::Full(one) | TrySendError::Closed(one) => one,
        })
    }

    /// Nothing more comes: returns when the work on all that came is done.
    pub async fn end(&self) {
        drop(
            self.sender
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn what_was_taken_is_worked_on_before_the_end_and_nothing_is_taken_after_it() {
        let done = Arc::new(AtomicU32::new(0));
        let count = done.clone();
        let queue = Queue::start(2, |mut incoming| async move {
            while let Some(one) = incoming.recv().await {
                count.fetch_add(one, Ordering::Relaxed);
            }
        });
        // The task has no turn before the first wait.
        assert_eq!((queue.try_send(1), queue.try_send(2)), (Ok(()), Ok(())));
        assert_eq!(queue.try_send(4), Err(4));
        queue.send(8).await;
        queue.end().await;
        assert_eq!(done.load(Ordering::Relaxed), 11);
        assert_eq!(queue.try_send(16), Err(16));
        queue.send(32).await;
        queue.end().await;
        assert_eq!(done.load(Ordering::Relaxed), 11);
    }
}
