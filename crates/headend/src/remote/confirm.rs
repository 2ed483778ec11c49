//! Asking before something that cannot be taken back.

use crate::exit::{Exit, Failure};
use crate::remote::output::line;
use anyhow::Result;
use std::io::IsTerminal;

#[derive(clap::Args)]
pub struct Sure {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Sure {
    /// Returns when the person means it. Without a terminal there is nobody to ask: `--yes` is
    /// needed then.
    pub fn about(&self, what: &str) -> Result<()> {
        if self.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            let words = format!("{what} Say --yes to do it without being asked.");
            return Err(Exit::error(Failure::Usage, words));
        }
        eprint!("{} Go on? [y/N] ", line(what));
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Exit::error(Failure::Other, "nothing was done")),
        }
    }
}
