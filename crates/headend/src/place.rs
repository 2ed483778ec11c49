//! Which server a command is about that touches its files instead of asking it.

use crate::serve;
use anyhow::Result;
use server::config::{Config, Override};
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Place {
    /// Configuration file of the server
    #[arg(
        long,
        env = "HEADEND_CONFIG",
        hide_env_values = true,
        value_name = "FILE"
    )]
    config: Option<PathBuf>,
    /// Folder of the server, as with `serve` [default: headend-data]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

impl Place {
    /// The configuration as `serve` reads it, with what is given beside it.
    pub fn configuration(&self, given: Vec<Override>) -> Result<Config> {
        let mut overrides = Override::from_env(serve::environment()?.into_iter());
        overrides.extend(given);
        let mut config =
            Config::load(self.config.as_deref(), &overrides).map_err(serve::misread)?;
        if let Some(data) = &self.data {
            config.data_dir.clone_from(data);
        }
        Ok(config)
    }
}
