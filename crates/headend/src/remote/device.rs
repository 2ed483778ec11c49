//! `device`: the list, one device, and everything that can be done on it.

mod act;
mod tree;

use super::{Connection, client::Client, output};
use crate::exit::{Exit, Failure};
use anyhow::Result;
use api::Page;
use api::device::{Device, DeviceDetail, DeviceQuery, PresenceWord};

#[derive(clap::Subcommand)]
pub enum Command {
    /// List devices
    List {
        /// Words to look for: label, endpoint id, serial, manufacturer, model, address
        words: Vec<String>,
        /// online, silent, offline or never; may be repeated
        #[arg(long, value_parser = presence)]
        presence: Vec<PresenceWord>,
        /// Only of this model; may be repeated
        #[arg(long)]
        model: Vec<String>,
        /// Only with this software version; may be repeated
        #[arg(long)]
        software_version: Vec<String>,
        /// How many
        #[arg(long, default_value_t = 100)]
        limit: usize,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show a device
    Show {
        /// An id, or anything that finds exactly one: serial, endpoint id, label
        device: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Read parameters from the device
    Get(act::Get),
    /// Set parameters, read back to verify
    Set(act::Set),
    /// Add a row to a table
    Add(act::Add),
    /// Delete rows
    Delete(act::Delete),
    /// Run a command
    Operate(act::Operate),
    /// Show the data model with the last-known values
    Tree(tree::Args),
}

pub async fn run(command: Command) -> Result<()> {
    match command {
        Command::List {
            words,
            presence,
            model,
            software_version,
            limit,
            connection,
        } => {
            let query = DeviceQuery {
                q: (!words.is_empty()).then(|| words.join(" ")),
                presence,
                model,
                software_version,
                ..DeviceQuery::default()
            };
            list(&Client::new(&connection)?, query, limit, connection.json).await
        }
        Command::Show { device, connection } => {
            let client = Client::new(&connection)?;
            let found = find(&client, &device).await?;
            let detail: DeviceDetail = client
                .call("device_show", &[&found.id.to_string()], &[])
                .await?;
            if connection.json {
                return output::json(&detail);
            }
            show(&detail);
            Ok(())
        }
        Command::Get(args) => act::get(args).await,
        Command::Set(args) => act::set(args).await,
        Command::Add(args) => act::add(args).await,
        Command::Delete(args) => act::delete(args).await,
        Command::Operate(args) => act::operate(args).await,
        Command::Tree(args) => tree::run(args).await,
    }
}

/// Fetches pages until there are enough.
async fn list(client: &Client, mut query: DeviceQuery, limit: usize, json: bool) -> Result<()> {
    let mut devices: Vec<Device> = Vec::new();
    loop {
        query.limit = u32::try_from((limit - devices.len()).min(500)).ok();
        let page: Page<Device> = client
            .call("device_list", &[], &api::query_pairs(&query))
            .await?;
        devices.extend(page.items);
        query.cursor = page.next;
        if query.cursor.is_none() || devices.len() >= limit {
            break;
        }
    }
    if json {
        return output::json(&devices);
    }
    let mut table = output::table(&[
        "name",
        "presence",
        "seen",
        "manufacturer",
        "model",
        "software",
        "endpoint id",
    ]);
    for device in &devices {
        table.add_row([
            &device.name,
            &output::word(&device.presence.word),
            &output::ago(device.presence.evidence_at),
            output::or_dash(device.manufacturer.as_deref()),
            output::or_dash(device.model.as_deref()),
            output::or_dash(device.software_version.as_deref()),
            &device.endpoint_ids.join(", "),
        ]);
    }
    println!("{table}");
    if query.cursor.is_some() {
        println!("There are more; narrow the search or raise --limit.");
    }
    Ok(())
}

fn show(detail: &DeviceDetail) {
    let device = &detail.device;
    let mut table = output::table(&["", ""]);
    let presence = format!(
        "{}, {} {}",
        output::word(&device.presence.word),
        device
            .presence
            .evidence_source
            .as_deref()
            .unwrap_or("last seen"),
        output::ago(device.presence.evidence_at)
    );
    let rows = [
        ("name", device.name.clone()),
        ("id", device.id.to_string()),
        ("presence", presence),
        (
            "manufacturer",
            output::or_dash(device.manufacturer.as_deref()).to_owned(),
        ),
        ("model", output::or_dash(device.model.as_deref()).to_owned()),
        (
            "serial",
            output::or_dash(device.serial.as_deref()).to_owned(),
        ),
        (
            "software",
            output::or_dash(device.software_version.as_deref()).to_owned(),
        ),
        ("address", output::or_dash(device.ip.as_deref()).to_owned()),
        ("last boot", output::ago(device.last_boot_at)),
        ("admission", detail.admission.words.clone()),
        (
            "values known",
            format!(
                "{} ({})",
                detail.values_known,
                output::ago(detail.values_at)
            ),
        ),
        ("open operations", detail.open_operations.to_string()),
    ];
    for (key, value) in rows {
        table.add_row([key, &value]);
    }
    for identity in &detail.identities {
        table.add_row([identity.kind.as_str(), &identity.value]);
    }
    println!("{table}");
}

/// The one device that an id, endpoint id, serial or other words mean.
pub async fn find(client: &Client, text: &str) -> Result<Device> {
    if let Ok(id) = text.parse::<uuid::Uuid>() {
        let detail: DeviceDetail = client.call("device_show", &[&id.to_string()], &[]).await?;
        return Ok(detail.device);
    }
    let query = DeviceQuery {
        q: Some(text.to_owned()),
        limit: Some(20),
        ..DeviceQuery::default()
    };
    let page: Page<Device> = client
        .call("device_list", &[], &api::query_pairs(&query))
        .await?;
    let exact = page.items.iter().position(|device| {
        device.serial.as_deref() == Some(text)
            || device.name == text
            || device.endpoint_ids.iter().any(|id| id == text)
    });
    let mut items = page.items;
    match (exact, items.len()) {
        (Some(index), _) => Ok(items.swap_remove(index)),
        (None, 1) => Ok(items.swap_remove(0)),
        (None, 0) => Err(Exit::error(
            Failure::NotFound,
            format!("no device is found by `{text}`; `headend doctor {text}` may say why"),
        )),
        (None, _) => {
            let names: Vec<String> = items.into_iter().map(|device| device.name).collect();
            let words = format!("`{text}` finds several devices: {}", names.join(", "));
            Err(Exit::error(Failure::Refused, words))
        }
    }
}

fn presence(text: &str) -> Result<PresenceWord, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| "there are online, silent, offline and never".to_owned())
}
