//! `pki`: the certificate authority for devices. `init` and `import` touch the files of a server and run beside them,
//! whether it runs or not; everything else asks a server.

use crate::exit::{Exit, Failure};
use crate::place::Place;
use crate::remote;
use anyhow::Result;
use mtp::tls::authority::Authority;
use std::path::PathBuf;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Make an authority in the folder of the server: it issues certificates for devices from then on
    Init(Init),
    /// Take over an authority of your own
    Import(Import),
    #[command(flatten)]
    Remote(Box<remote::certificate::Command>),
}

#[derive(clap::Args)]
pub struct Init {
    #[command(flatten)]
    place: Place,
    /// Name of the authority, as it stands in every certificate
    #[arg(long, default_value = "Headend device CA")]
    name: String,
    /// Days for which it is good
    #[arg(long, default_value_t = 7300, value_parser = clap::value_parser!(u32).range(1..=36500))]
    days: u32,
}

#[derive(clap::Args)]
pub struct Import {
    #[command(flatten)]
    place: Place,
    /// Its certificate (PEM), followed by those above it if it has any
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// Its key (PEM); without it, certificates that it issues elsewhere are believed and none are issued here
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

pub async fn run(command: Command) -> Result<()> {
    let (folder, made) = match command {
        Command::Remote(command) => return remote::certificate::run(*command).await,
        Command::Init(Init { place, name, days }) => {
            let folder = place.configuration(Vec::new())?.pki_folder();
            let made = Authority::create(&folder, &name, days);
            (folder, made)
        }
        Command::Import(Import {
            place,
            certificate,
            key,
        }) => {
            let folder = place.configuration(Vec::new())?.pki_folder();
            let made = Authority::import(&folder, &certificate, key.as_deref());
            (folder, made)
        }
    };
    let made = made.map_err(|error| Exit::error(Failure::Other, error.to_string()))?;
    let file = Authority::certificate_file(&folder);
    crate::exit::tell(&format!("{}", file.display()));
    eprintln!(
        "{}, until {}. The server believes it within a minute{}.",
        made.info.subject,
        mtp::tls::day(made.info.not_after),
        match made.can_issue() {
            true => ", and issues certificates: headend pki issue --endpoint ID",
            false => "; it issues nothing, since its key is elsewhere",
        }
    );
    if made.can_issue() {
        eprintln!("Back up the folder, and let nobody else read ca.key.");
    }
    Ok(())
}
