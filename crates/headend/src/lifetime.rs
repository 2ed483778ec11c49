//! When a program of ours ends: on a signal, or with the program that started it.

use tokio_util::sync::CancellationToken;

/// The exit code of a program that was interrupted, as shells have it.
const INTERRUPTED: i32 = 130;

/// Cancelled by SIGTERM or Ctrl C. Who asks a second time does not want to wait for goodbyes.
pub fn until_stopped() -> CancellationToken {
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        asked().await;
        tracing::info!("stopping");
        stop.cancel();
        asked().await;
        std::process::exit(INTERRUPTED);
    });
    token
}

async fn asked() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

/// Cancels the token when standard input ends: whoever holds its other end is gone then, however
/// it went. A thread of its own, since reading standard input cannot be interrupted.
pub fn with_stdin(token: &CancellationToken) {
    let token = token.clone();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        token.cancel();
    });
}
