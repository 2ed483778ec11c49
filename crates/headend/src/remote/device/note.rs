//! What we note about a device, not what it says itself: registering, labels, letting it in again,
//! forgetting it.

use super::{called, find, look};
use crate::remote::confirm::Sure;
use crate::remote::output::say;
use crate::remote::{Connection, client::Client, output, typed};
use anyhow::Result;
use api::device::{DeviceCreate, DeviceCreated, DeviceDetail, DevicePatch};

#[derive(clap::Args)]
pub struct Register {
    /// Its USP endpoint id, like os::00D09E-4C1742000001
    endpoint_id: String,
    /// A name for people
    #[arg(long)]
    label: Option<String>,
    /// A word to group it by; may be repeated
    #[arg(long = "tag")]
    tags: Vec<String>,
    /// The device listens and the server dials it here: ws:// or wss://
    #[arg(long, value_name = "URL")]
    dial: Option<String>,
    /// Only a client certificate with its endpoint id opens it; it gets no credential then
    #[arg(long)]
    require_certificate: bool,
}

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
pub struct Edit {
    /// An id, or anything that finds exactly one
    device: String,
    /// A name for people; empty removes it
    #[arg(long, group = "change")]
    label: Option<String>,
    /// The words to group it by, instead of those it has; may be repeated
    #[arg(long = "tag", group = "change", conflicts_with = "no_tags")]
    tags: Vec<String>,
    /// Remove all tags
    #[arg(long, group = "change")]
    no_tags: bool,
    /// The server dials it here; empty stops dialling
    #[arg(long, group = "change", value_name = "URL")]
    dial: Option<String>,
    /// Whether only a client certificate with its endpoint id opens it, from its next connection on
    #[arg(long, group = "change", value_name = "true|false")]
    require_certificate: Option<bool>,
}

#[derive(clap::Args)]
pub struct Forget {
    /// An id, or anything that finds exactly one
    device: String,
    #[command(flatten)]
    sure: Sure,
}

/// What the fields of the API are called here.
const NAMES: [(&str, &str); 5] = [
    ("endpoint_id", "the endpoint id"),
    ("label", "--label"),
    ("tags", "--tag"),
    ("dial_url", "--dial"),
    ("certificate_required", "--require-certificate"),
];

pub async fn register(args: Register, connection: &Connection) -> Result<()> {
    let body = DeviceCreate {
        endpoint_id: args.endpoint_id,
        label: args.label,
        tags: args.tags,
        dial_url: args.dial,
        certificate_required: args.require_certificate,
    };
    let client = Client::new(connection)?;
    let made = client.submit("device_create", &[], &body).await;
    let made: DeviceCreated = typed::options(made, &NAMES)?;
    if connection.json {
        return output::json(&made);
    }
    look::show(&made.device);
    if let Some(secret) = &made.secret {
        say!("\nIts own credential, which is not shown again: {secret}");
    }
    for url in &made.urls {
        say!("It connects to  {url}");
    }
    Ok(())
}

pub async fn edit(args: Edit, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let id = find(&client, &args.device).await?.id.to_string();
    let body = DevicePatch {
        label: args.label,
        tags: (args.no_tags || !args.tags.is_empty()).then_some(args.tags),
        dial_url: args.dial,
        certificate_required: args.require_certificate,
    };
    let changed = client.submit("device_update", &[&id], &body).await;
    look::print(&typed::options(changed, &NAMES)?, connection.json)
}

pub async fn readmit(device: &str, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let id = find(&client, device).await?.id.to_string();
    let detail: DeviceDetail = client.call("device_readmit", &[&id], &[]).await?;
    if connection.json {
        return output::json(&detail);
    }
    say!("{}: {}", detail.device.name, detail.admission.words);
    Ok(())
}

pub async fn forget(args: Forget, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let device = find(&client, &args.device).await?;
    args.sure.about(&format!(
        "{} is forgotten with its values and operations, and its credential stops working.",
        called(&device)
    ))?;
    client
        .perform("device_delete", &[&device.id.to_string()])
        .await?;
    output::done(connection.json, &format!("forgot {}", called(&device)));
    Ok(())
}
