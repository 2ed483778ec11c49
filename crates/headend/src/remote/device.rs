//! `device`: the list, one device, and everything that can be done with and on it.

mod act;
mod credential;
mod how;
mod look;
mod note;
mod one;
mod said;
mod transfer;
mod tree;

use super::part::Part;
use super::{Connection, client::Client, output, when};
use crate::exit::{Exit, Failure};
use anyhow::Result;
use api::Page;
use api::device::{
    Device, DeviceDetail, DeviceQuery, DeviceSort, FacetField, FacetQuery, Facets, Order,
    PresenceWord,
};

#[derive(clap::Subcommand)]
pub enum Command {
    /// List devices
    List(Box<List>),
    /// Show which values the filters of `list` can have, with how many devices have them
    Facets {
        /// presence, manufacturer, model, product-class, software-version, protocol or tag;
        /// may be repeated [default: all]
        #[arg(value_parser = facet)]
        field: Vec<FacetField>,
        /// Only values that begin so
        #[arg(long)]
        prefix: Option<String>,
    },
    /// Show a device
    Show {
        /// An id, or anything that finds exactly one: serial, endpoint id, label
        device: String,
    },
    /// Say how a device can be reached, or why not
    Reach {
        /// An id, or anything that finds exactly one
        device: String,
    },
    /// Try to reach a device now
    Wake {
        /// An id, or anything that finds exactly one
        device: String,
    },
    /// Enter the user name and password that a CWMP device has for connection requests, where it keeps its own
    WakeCredential(credential::Enter),
    /// Show what happened to a device, newest first
    Timeline(look::Timeline),
    /// List the sessions in which a CWMP device came, newest first
    Sessions(said::Sessions),
    /// Show what was said in a session of a CWMP device
    Session(said::Session),
    /// Show the last-known values, without asking the device
    Values(look::Values),
    /// Show the data model with the last-known values
    Tree(tree::Tree),
    /// Search the data model and the last-known values
    Search(tree::Search),
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
    /// Ask the device what it supports
    Discover(act::Discover),
    /// Have the device notify us
    Subscribe(act::Subscribe),
    /// Have the device fetch a file: firmware, configuration
    Download(transfer::Download),
    /// Have the device send its configuration or log
    Upload(transfer::Upload),
    /// List the files on their way to and from the device, newest first
    Transfers(transfer::Transfers),
    /// Register a device before it comes, or one that the server dials
    Register(note::Register),
    /// Change label, tags, or where the server dials it
    Edit(note::Edit),
    /// Let a device that lost its credential (factory reset) come with a setup key once more
    Readmit {
        /// An id, or anything that finds exactly one
        device: String,
    },
    /// Make one device of two: the second becomes part of the first
    Merge(one::Merge),
    /// Make a management path a device of its own
    Split(one::Split),
    /// List devices that may be the same one and wait for a decision
    Matches(one::Matches),
    /// Decide whether two devices of `matches` are one
    Match(one::Decide),
    /// Remove a device from the records
    Forget(note::Forget),
}

#[derive(clap::Args)]
pub struct List {
    /// Words to look for: label, endpoint id, serial, manufacturer, model, address
    words: Vec<String>,
    /// online, silent, offline or never; may be repeated
    #[arg(long, value_parser = presence)]
    presence: Vec<PresenceWord>,
    /// Only of this manufacturer; this and the following may be repeated
    #[arg(long)]
    manufacturer: Vec<String>,
    /// Only of this model
    #[arg(long)]
    model: Vec<String>,
    /// Only of this product class
    #[arg(long)]
    product_class: Vec<String>,
    /// Only with this software version
    #[arg(long)]
    software_version: Vec<String>,
    /// Only with this tag
    #[arg(long)]
    tag: Vec<String>,
    /// Only with this serial number
    #[arg(long)]
    serial: Vec<String>,
    /// Only from this address
    #[arg(long)]
    ip: Vec<String>,
    /// Only managed by this protocol, like usp
    #[arg(long)]
    protocol: Vec<String>,
    /// Last sign of life before: a time, a day, or an age like 2h
    #[arg(long, value_parser = when::parse)]
    seen_before: Option<api::Time>,
    /// Last sign of life after
    #[arg(long, value_parser = when::parse)]
    seen_after: Option<api::Time>,
    /// Booted after
    #[arg(long, value_parser = when::parse)]
    booted_after: Option<api::Time>,
    /// name, last-seen, created, manufacturer, model, software-version or serial
    #[arg(long, value_parser = sort)]
    sort: Option<DeviceSort>,
    /// The other way round
    #[arg(long)]
    reverse: bool,
    #[command(flatten)]
    part: Part,
}

pub async fn run(command: Command, connection: &Connection) -> Result<()> {
    match command {
        Command::List(args) => list(*args, connection).await,
        Command::Facets { field, prefix } => facets(field, prefix, connection).await,
        Command::Show { device } => look::detail(&device, connection).await,
        Command::Reach { device } => look::reach(&device, connection).await,
        Command::Wake { device } => look::wake(&device, connection).await,
        Command::WakeCredential(args) => credential::enter(args, connection).await,
        Command::Timeline(args) => look::timeline(args, connection).await,
        Command::Sessions(args) => said::list(args, connection).await,
        Command::Session(args) => said::show(args, connection).await,
        Command::Merge(args) => one::merge(args, connection).await,
        Command::Split(args) => one::split(args, connection).await,
        Command::Matches(args) => one::matches(args, connection).await,
        Command::Match(args) => one::decide(args, connection).await,
        Command::Values(args) => look::values(args, connection).await,
        Command::Tree(args) => tree::tree(args, connection).await,
        Command::Search(args) => tree::search(args, connection).await,
        Command::Get(args) => act::get(args, connection).await,
        Command::Set(args) => act::set(args, connection).await,
        Command::Add(args) => act::add(args, connection).await,
        Command::Delete(args) => act::delete(args, connection).await,
        Command::Operate(args) => act::operate(args, connection).await,
        Command::Discover(args) => act::discover(args, connection).await,
        Command::Subscribe(args) => act::subscribe(args, connection).await,
        Command::Download(args) => transfer::download(args, connection).await,
        Command::Upload(args) => transfer::upload(args, connection).await,
        Command::Transfers(args) => transfer::list(args, connection).await,
        Command::Register(args) => note::register(args, connection).await,
        Command::Edit(args) => note::edit(args, connection).await,
        Command::Readmit { device } => note::readmit(&device, connection).await,
        Command::Forget(args) => note::forget(args, connection).await,
    }
}

async fn list(args: List, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let query = api::query_pairs(&DeviceQuery {
        q: (!args.words.is_empty()).then(|| args.words.join(" ")),
        presence: args.presence,
        manufacturer: args.manufacturer,
        model: args.model,
        product_class: args.product_class,
        software_version: args.software_version,
        tag: args.tag,
        serial: args.serial,
        ip: args.ip,
        protocol: args.protocol,
        seen_before: args.seen_before,
        seen_after: args.seen_after,
        booted_after: args.booted_after,
        sort: args.sort,
        order: args.reverse.then_some(Order::Desc),
        ..DeviceQuery::default()
    });
    let page = args.part.fetch(&client, "device_list", &[], &query).await?;
    let header = [
        "name",
        "presence",
        "seen",
        "manufacturer",
        "model",
        "software",
        "endpoint id",
    ];
    output::list(
        &page,
        connection.json,
        "devices",
        header,
        |device: &Device| {
            [
                device.name.clone(),
                output::word(&device.presence.word),
                output::ago(device.presence.evidence_at),
                output::or_dash(device.manufacturer.as_deref()).to_owned(),
                output::or_dash(device.model.as_deref()).to_owned(),
                output::or_dash(device.software_version.as_deref()).to_owned(),
                device.endpoint_ids.join(", "),
            ]
        },
    )
}

async fn facets(
    field: Vec<FacetField>,
    prefix: Option<String>,
    connection: &Connection,
) -> Result<()> {
    let query = FacetQuery {
        field,
        prefix,
        limit: None,
    };
    let facets: Facets = Client::new(connection)?
        .call("device_facets", &[], &api::query_pairs(&query))
        .await?;
    if connection.json {
        return output::json(&facets);
    }
    let mut table = output::table(&["field", "value", "devices"]);
    for facet in &facets.facets {
        for value in &facet.values {
            let field = output::word(&facet.field).replace(' ', "-");
            table.add_row([field, value.value.clone(), value.count.to_string()]);
        }
    }
    output::print(&table);
    Ok(())
}

/// So many devices that some words find are looked at, to tell whether they mean exactly one.
const FOUND_MAX: u32 = 500;
/// So many of them are named when they do not.
const NAMED_MAX: usize = 10;

/// The one device that an id, endpoint id, serial or other words mean. An endpoint id is of one device alone; names and
/// serials may be of several, and then none of them is meant.
pub async fn find(client: &Client, text: &str) -> Result<Device> {
    if let Ok(id) = text.parse::<uuid::Uuid>() {
        let detail: DeviceDetail = client.call("device_show", &[&id.to_string()], &[]).await?;
        return Ok(detail.device);
    }
    let query = DeviceQuery {
        q: Some(text.to_owned()),
        limit: Some(FOUND_MAX),
        ..DeviceQuery::default()
    };
    let page: Page<Device> = client
        .call("device_list", &[], &api::query_pairs(&query))
        .await?;
    let more = page.next.is_some();
    let mut found = page.items;
    let own = |device: &Device| device.endpoint_ids.iter().any(|id| id == text);
    if let Some(at) = found.iter().position(own) {
        return Ok(found.swap_remove(at));
    }
    let exact = |device: &Device| {
        let named = [device.serial.as_deref(), device.ip.as_deref()].contains(&Some(text));
        named || device.name == text
    };
    if found.iter().any(exact) {
        found.retain(exact);
    }
    if found.is_empty() {
        return Err(Exit::error(
            Failure::NotFound,
            format!("no device is found by `{text}`; `headend doctor {text}` may say why"),
        ));
    }
    if found.len() == 1 && !more {
        return Ok(found.swap_remove(0));
    }
    let mut names: Vec<String> = found.iter().take(NAMED_MAX).map(called).collect();
    if more || found.len() > NAMED_MAX {
        names.push("and more".to_owned());
    }
    let words = format!(
        "`{text}` finds several devices: {}; an endpoint id says which",
        names.join(", ")
    );
    Err(Exit::error(Failure::Refused, words))
}

/// A device by its name and endpoint id, so that nobody takes it for another.
pub fn called(device: &Device) -> String {
    match device.endpoint_ids.first() {
        Some(id) if *id != device.name => format!("{} ({id})", device.name),
        _ => device.name.clone(),
    }
}

fn presence(text: &str) -> Result<PresenceWord, String> {
    output::variant(text).ok_or_else(|| "there are online, silent, offline and never".to_owned())
}

fn sort(text: &str) -> Result<DeviceSort, String> {
    output::variant(text).ok_or_else(|| {
        "there are name, last-seen, created, manufacturer, model, software-version and serial"
            .to_owned()
    })
}

fn facet(text: &str) -> Result<FacetField, String> {
    output::variant(text).ok_or_else(|| {
        "there are presence, manufacturer, model, product-class, software-version, protocol and tag"
            .to_owned()
    })
}
