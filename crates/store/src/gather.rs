//! Lookups that are asked for at the same time share one statement: where thousands of devices come back at once, the
//! way to the database and back costs more than the rows.

use std::collections::HashMap;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, Result};
use crate::limits::{GATHER_MAX, GATHER_QUEUE_MAX, GATHER_TIME_MAX};
use crate::transaction::BoxFuture;

/// What was found under each key, or why a row cannot be read.
pub(crate) type Found<K, V> = HashMap<K, Result<V, String>>;

type Asked<K, V> = (K, oneshot::Sender<Result<Option<V>>>);

/// Where one asks.
#[derive(Clone)]
pub(crate) struct Gather<K, V> {
    queue: mpsc::Sender<Asked<K, V>>,
}

impl<K, V> Gather<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Starts the task that looks; it ends when nobody can ask any more.
    pub(crate) fn start(
        look: impl Fn(Vec<K>) -> BoxFuture<'static, Result<Found<K, V>>> + Send + Sync + 'static,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(GATHER_QUEUE_MAX);
        tokio::spawn(run(waiting, look));
        Gather { queue }
    }

    /// What is there under a key. What is written before this is called is found.
    pub(crate) async fn ask(&self, key: K) -> Result<Option<V>> {
        let closed = || Error::Unavailable("the store is closed".to_owned());
        let (reply, answer) = oneshot::channel();
        let sent = self.queue.send((key, reply)).await;
        sent.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

async fn run<K, V>(
    mut waiting: mpsc::Receiver<Asked<K, V>>,
    look: impl Fn(Vec<K>) -> BoxFuture<'static, Result<Found<K, V>>>,
) where
    K: Clone + Eq + Hash,
    V: Clone,
{
    let mut asked = Vec::new();
    while let Some(first) = waiting.recv().await {
        asked.push(first);
        // Whoever is about to ask joins.
        tokio::task::yield_now().await;
        while asked.len() < GATHER_MAX
            && let Ok(more) = waiting.try_recv()
        {
            asked.push(more);
        }
        let keys = asked.iter().map(|(key, _)| key.clone()).collect();
        let found = guarded(&look, keys).await;
        for (key, reply) in asked.drain(..) {
            let answer = match &found {
                Ok(found) => match found.get(&key) {
                    Some(Ok(value)) => Ok(Some(value.clone())),
                    Some(Err(why)) => Err(Error::Damaged(why.clone())),
                    None => Ok(None),
                },
                Err(Error::Damaged(why)) => Err(Error::Damaged(why.clone())),
                Err(error) => Err(Error::Unavailable(error.to_string())),
            };
            // Who went away does not need it.
            let _ = reply.send(answer);
        }
    }
}

/// Looks. One that panics or never ends is one that failed, and the next is tried.
async fn guarded<K, V>(
    look: &impl Fn(Vec<K>) -> BoxFuture<'static, Result<Found<K, V>>>,
    keys: Vec<K>,
) -> Result<Found<K, V>> {
    let looking = AssertUnwindSafe(async { look(keys).await }).catch_unwind();
    match tokio::time::timeout(GATHER_TIME_MAX, looking).await {
        Ok(Ok(found)) => found,
        Ok(Err(_)) => Err(Error::Unavailable("a lookup panicked".to_owned())),
        Err(_) => Err(Error::Unavailable(format!(
            "limit GATHER_TIME_MAX: a lookup took more than {GATHER_TIME_MAX:?}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// `GATHER_MAX`
    #[tokio::test]
    async fn what_is_asked_at_the_same_time_is_looked_up_at_once_and_each_is_answered_its_own() {
        let looks = Arc::new(Mutex::new(Vec::new()));
        let told = looks.clone();
        let gather = Gather::start(move |keys: Vec<usize>| {
            told.lock().unwrap().push(keys.len());
            let found = keys.into_iter().filter(|key| key % 3 > 0);
            let found = found.map(|key| match key {
                1 => (key, Err("broken".to_owned())),
                _ => (key, Ok(key * 2)),
            });
            let found: Found<usize, usize> = found.collect();
            Box::pin(async move { Ok(found) })
        });
        let asked = (0..GATHER_MAX + 3).map(|key| gather.ask(key));
        let answers = futures_util::future::join_all(asked).await;
        for (key, answer) in answers.into_iter().enumerate() {
            match (key, answer) {
                (1, answer) => assert!(matches!(answer, Err(Error::Damaged(_)))),
                (key, answer) if key % 3 == 0 => assert_eq!(answer.unwrap(), None),
                (key, answer) => assert_eq!(answer.unwrap(), Some(key * 2)),
            }
        }
        assert_eq!(*looks.lock().unwrap(), [GATHER_MAX, 3]);
    }

    /// `GATHER_TIME_MAX`
    #[tokio::test(start_paused = true)]
    async fn a_look_that_fails_panics_or_never_ends_is_answered_to_all_and_the_next_is_tried() {
        let tries = Arc::new(Mutex::new(0));
        let gather = Gather::start(move |keys: Vec<u8>| {
            let nth = {
                let mut tries = tries.lock().unwrap();
                *tries += 1;
                *tries
            };
            Box::pin(async move {
                match nth {
                    1 => Err(Error::Unavailable("no disk".to_owned())),
                    2 => panic!("a defect"),
                    3 => std::future::pending().await,
                    _ => Ok(keys.into_iter().map(|key| (key, Ok(key))).collect()),
                }
            })
        });
        for _ in 0..3 {
            let (one, two) = tokio::join!(gather.ask(1), gather.ask(2));
            assert!(one.unwrap_err().is_transient() && two.unwrap_err().is_transient());
        }
        assert_eq!(gather.ask(3).await.unwrap(), Some(3));
    }
}
