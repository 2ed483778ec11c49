//! What the puppets of both protocols expect of the tests they are in.

use std::time::Duration;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What comes of this, once it does.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    let within = tokio::time::timeout(PATIENCE, what).await;
    within.expect("nothing happened")
}
