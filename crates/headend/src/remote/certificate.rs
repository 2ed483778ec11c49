//! `pki issue`, `list`, `show`, `rotate`, `revoke` and `export`: certificates of devices.

use super::confirm::Sure;
use super::device::find;
use super::part::Part;
use super::{Alone, Connection, client::Client, output, typed};
use crate::exit::{Exit, Failure};
use crate::remote::output::hint;
use anyhow::Result;
use api::certificate::{
    Certificate, CertificateAuthority, CertificateDetail, CertificateIssue, CertificateIssued,
    CertificateRevoke, CertificateRotate, CertificateRotated,
};
use std::path::{Path, PathBuf};
use uuid::Uuid;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Issue a certificate for a device, and write it with its key into files
    Issue(Alone<Issue>),
    /// List certificates of devices, newest first
    List(Alone<List>),
    /// Show a certificate
    Show(Alone<Show>),
    /// Give a device a new certificate in the place of the one it has, for the same key, over USP
    Rotate(Alone<Rotate>),
    /// Revoke a certificate: it opens no door any more, and what it has opened is closed
    Revoke(Alone<Revoke>),
    /// Print the certificate of the authority, for whoever has to believe it
    Export(Connection),
}

#[derive(clap::Args)]
pub struct Issue {
    /// The endpoint id of the device, like os::00256D-S1
    #[arg(long, value_name = "ID")]
    endpoint: String,
    /// Days for which it is good [default: pki.days of the server's configuration]
    #[arg(long)]
    days: Option<u32>,
    /// A signing request (PKCS #10, PEM) with the device's own key; without it a key is made
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// Folder for certificate.pem, key.pem and authority.pem
    #[arg(long, short, value_name = "FOLDER", default_value = ".")]
    output: PathBuf,
}

#[derive(clap::Args)]
pub struct List {
    /// Only of this endpoint
    #[arg(long, value_name = "ID")]
    endpoint: Option<String>,
    /// Only of this device
    #[arg(long, value_name = "ID")]
    device: Option<Uuid>,
    /// Only revoked ones
    #[arg(long)]
    revoked: bool,
    /// Only those that are not revoked and end within so many days, or have ended
    #[arg(long, value_name = "DAYS", conflicts_with = "revoked")]
    ends_within: Option<u32>,
    #[command(flatten)]
    part: Part,
}

#[derive(clap::Args)]
pub struct Show {
    /// Its id
    id: Uuid,
}

#[derive(clap::Args)]
pub struct Rotate {
    /// The device: its id, or a part of its name, serial number or endpoint id
    device: String,
    /// Days for which it is good [default: pki.days of the server's configuration]
    #[arg(long)]
    days: Option<u32>,
}

#[derive(clap::Args)]
pub struct Revoke {
    /// Its id
    id: Uuid,
    /// Why
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    sure: Sure,
}

impl Command {
    /// Which server, as whom, and how to print.
    pub fn connection(&self) -> &Connection {
        match self {
            Command::Issue(alone) => &alone.connection,
            Command::List(alone) => &alone.connection,
            Command::Show(alone) => &alone.connection,
            Command::Rotate(alone) => &alone.connection,
            Command::Revoke(alone) => &alone.connection,
            Command::Export(connection) => connection,
        }
    }
}

pub async fn run(command: Command) -> Result<()> {
    let client = Client::new(command.connection())?;
    let json = command.connection().json;
    match command {
        Command::Issue(alone) => issue(&client, alone.args, json).await,
        Command::List(alone) => list(&client, alone.args, json).await,
        Command::Show(alone) => {
            let id = alone.args.id.to_string();
            let shown: CertificateDetail = client.call("certificate_show", &[&id], &[]).await?;
            if json {
                return output::json(&shown);
            }
            facts(&shown.certificate);
            print!("{}", shown.pem);
            Ok(())
        }
        Command::Rotate(alone) => {
            let device = find(&client, &alone.args.device).await?.id.to_string();
            let body = CertificateRotate {
                days: alone.args.days,
                ..CertificateRotate::default()
            };
            let path = [device.as_str()];
            let rotated = client.submit("device_certificate_rotate", &path, &body);
            let rotated: CertificateRotated = typed::options(rotated.await, &[("days", "--days")])?;
            if json {
                return output::json(&rotated);
            }
            facts(&rotated.certificate);
            hint!(
                "Operation {} brings it to the device; the old one ends when the device has shown the new one.",
                rotated.operation.id
            );
            Ok(())
        }
        Command::Revoke(alone) => {
            let Revoke { id, reason, sure } = alone.args;
            sure.about("The device that has this certificate is shut out at once.")?;
            let (id, body) = (id.to_string(), CertificateRevoke { reason });
            let revoked = client.submit("certificate_revoke", &[&id], &body).await;
            let revoked: Certificate = typed::options(revoked, &[("reason", "--reason")])?;
            if json {
                return output::json(&revoked);
            }
            facts(&revoked);
            Ok(())
        }
        Command::Export(_) => {
            let authority: CertificateAuthority =
                client.call("certificate_authority", &[], &[]).await?;
            if json {
                return output::json(&authority);
            }
            print!("{}", authority.pem);
            Ok(())
        }
    }
}

async fn issue(client: &Client, args: Issue, json: bool) -> Result<()> {
    let request = match &args.request {
        None => None,
        Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
            Exit::error(
                Failure::Usage,
                format!("--request {}: {error}", path.display()),
            )
        })?),
    };
    let made_here = request.is_none();
    let at = |name: &str| args.output.join(name);
    let files = [at("certificate.pem"), at("key.pem"), at("authority.pem")];
    // Before anything is issued: a key that cannot be written is lost.
    if !json {
        std::fs::create_dir_all(&args.output).map_err(|error| unwritten(&args.output, &error))?;
        if let Some(path) = files.iter().find(|path| path.exists()) {
            let words = format!("{} is there already; name another folder", path.display());
            return Err(Exit::error(Failure::Usage, words));
        }
    }
    let body = CertificateIssue {
        endpoint_id: args.endpoint,
        days: args.days,
        request,
    };
    let names = [
        ("endpoint_id", "--endpoint"),
        ("days", "--days"),
        ("request", "--request"),
    ];
    let issued = client.submit("certificate_issue", &[], &body).await;
    let issued: CertificateIssued = typed::options(issued, &names)?;
    if json {
        return output::json(&issued);
    }
    let key = issued.key.unwrap_or_default();
    let [certificate, private, authority] = &files;
    for (path, text) in [
        (certificate, &issued.pem),
        (private, &key),
        (authority, &issued.authority),
    ] {
        if path != private || made_here {
            let written = mtp::tls::write_private(path, text);
            written.map_err(|error| Exit::error(Failure::Other, error.to_string()))?;
            hint!("{}", path.display());
        }
    }
    facts(&issued.certificate);
    for url in &issued.urls {
        hint!("The device connects to  {url}");
    }
    if made_here {
        hint!("Its key is kept nowhere else.");
    }
    Ok(())
}

fn unwritten(path: &Path, error: &std::io::Error) -> anyhow::Error {
    Exit::error(
        Failure::Usage,
        format!("--output {}: {error}", path.display()),
    )
}

async fn list(client: &Client, args: List, json: bool) -> Result<()> {
    let mut query: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: String| query.push((name.to_owned(), value));
    if let Some(endpoint) = args.endpoint {
        add("endpoint_id", endpoint);
    }
    if let Some(device) = args.device {
        add("device_id", device.to_string());
    }
    if args.revoked {
        add("revoked", "true".to_owned());
    }
    if let Some(days) = args.ends_within {
        add("ends_within_days", days.to_string());
        add("revoked", "false".to_owned());
    }
    let page = args
        .part
        .fetch(client, "certificate_list", &[], &query)
        .await?;
    let header = [
        "id",
        "endpoint",
        "state",
        "serial",
        "issued",
        "ends",
        "first used",
    ];
    output::list(&page, json, "certificates", header, |one: &Certificate| {
        [
            one.id.to_string(),
            one.endpoint_id.clone(),
            output::word(&one.state),
            one.serial.clone(),
            output::ago(Some(one.created_at)),
            output::until(Some(one.not_after)),
            output::ago(one.first_used_at),
        ]
    })
}

fn facts(one: &Certificate) {
    output::facts(&[
        ("id", one.id.to_string()),
        ("endpoint", one.endpoint_id.clone()),
        (
            "device",
            one.device_id.map_or(String::new(), |id| id.to_string()),
        ),
        ("state", output::word(&one.state)),
        ("serial", one.serial.clone()),
        ("fingerprint", one.fingerprint.clone()),
        ("issuer", one.issuer.clone()),
        ("issued", output::ago(Some(one.created_at))),
        ("issued by", one.created_by.clone()),
        ("ends", output::until(Some(one.not_after))),
        ("first used", output::ago(one.first_used_at)),
        ("revoked", output::ago(one.revoked_at)),
        ("revoked by", one.revoked_by.clone().unwrap_or_default()),
        ("reason", one.reason.clone().unwrap_or_default()),
    ]);
}
