//! Writes that wait for a writer: what one has to be able to do. How they are run and committed is in `writer`.

use fleet::TenantId;
use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::writer::{BoxFuture, Tx};

/// A write that waits for its turn.
pub(crate) trait Job: Send {
    /// The tenant whose rows it touches; `None` for the few tables that stand above tenants.
    fn tenant(&self) -> Option<&TenantId>;
    /// Whether it changes rows at once, so that a failure needs something to be undone in the database.
    fn touches_rows(&self) -> bool {
        true
    }
    /// Does the work. Called once.
    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> BoxFuture<'t, Result<()>>;
    /// Tells the caller how it ended. Called once, after the commit.
    fn done(self: Box<Self>, outcome: Result<()>);
}

/// The usual one: a closure, and somebody who waits for what it returns.
pub(crate) struct Closure<T, F> {
    pub(crate) tenant: Option<TenantId>,
    pub(crate) work: Option<F>,
    /// What it returned, once it was run.
    pub(crate) value: Option<T>,
    pub(crate) reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Job for Closure<T, F>
where
    T: Send + 'static,
    F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
{
    fn tenant(&self) -> Option<&TenantId> {
        self.tenant.as_ref()
    }

    fn run<'t>(&'t mut self, tx: &'t mut Tx) -> BoxFuture<'t, Result<()>> {
        Box::pin(async move {
            if let Some(work) = self.work.take() {
                self.value = Some(work(tx).await?);
            }
            Ok(())
        })
    }

    fn done(self: Box<Self>, outcome: Result<()>) {
        let answer = match (outcome, self.value) {
            (Ok(()), Some(value)) => Ok(value),
            (Ok(()), None) => Err(Error::Unavailable("the write was not run".to_owned())),
            (Err(error), _) => Err(error),
        };
        // The caller may have gone away; the write stands all the same.
        let _ = self.reply.send(answer);
    }
}
