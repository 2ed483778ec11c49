//! `serve`: the server with its configuration.
use tokio_util::sync::CancellationToken;
#[derive(clap::Args)]
pub struct Args {}
pub async fn run(_args: Args) -> anyhow::Result<()> {
    Ok(())
}
pub fn log(_default: &str) {}
pub fn until_stopped() -> CancellationToken {
    CancellationToken::new()
}
