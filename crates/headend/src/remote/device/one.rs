//! `device merge`, `split`, `matches`, `match`: devices that are one, or two.

use super::super::confirm::Sure;
use super::super::part::Part;
use super::super::{Connection, client::Client, output, typed};
use super::{called, find, look};
use anyhow::Result;
use api::Page;
use api::device::DeviceDetail;
use api::device_match::{DeviceMatch, DeviceMerge, DeviceSplit, MatchQuery, MatchSide};
use uuid::Uuid;

#[derive(clap::Args)]
pub struct Merge {
    /// The device that stays: an id, or anything that finds exactly one
    device: String,
    /// The one that becomes part of it, and is gone
    other: String,
    #[command(flatten)]
    sure: Sure,
}

#[derive(clap::Args)]
pub struct Split {
    /// An id, or anything that finds exactly one
    device: String,
    /// The transport of the path that becomes a device of its own: cwmp or websocket
    #[arg(long)]
    path: String,
    #[command(flatten)]
    sure: Sure,
}

#[derive(clap::Args)]
pub struct Matches {
    /// Also those of which somebody has said that they are two
    #[arg(long)]
    rejected: bool,
    #[command(flatten)]
    part: Part,
}

#[derive(clap::Args)]
pub struct Decide {
    /// The id of the pair, as `matches` lists it
    id: Uuid,
    /// They are one: merge them
    #[arg(long, conflicts_with = "reject", required_unless_present = "reject")]
    accept: bool,
    /// They are two: do not ask again
    #[arg(long)]
    reject: bool,
    #[command(flatten)]
    sure: Sure,
}

pub async fn merge(args: Merge, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let into = find(&client, &args.device).await?;
    let from = find(&client, &args.other).await?;
    args.sure.about(&format!(
        "{} becomes part of {} and is gone as a device of its own.",
        called(&from),
        called(&into)
    ))?;
    let body = DeviceMerge { device_id: from.id };
    let merged = client
        .submit("device_merge", &[&into.id.to_string()], &body)
        .await;
    let names = [("device_id", "the second device")];
    let merged: DeviceDetail = typed::options(merged, &names)?;
    look::print(&merged, connection.json)
}

pub async fn split(args: Split, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let device = find(&client, &args.device).await?;
    args.sure.about(&format!(
        "The {} path of {} becomes a device of its own.",
        args.path,
        called(&device)
    ))?;
    let body = DeviceSplit {
        transport: args.path,
    };
    let made = client
        .submit("device_split", &[&device.id.to_string()], &body)
        .await;
    let made: DeviceDetail = typed::options(made, &[("transport", "--path")])?;
    look::print(&made, connection.json)
}

pub async fn matches(args: Matches, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let query = api::query_pairs(&MatchQuery {
        rejected: args.rejected.then_some(true),
        ..MatchQuery::default()
    });
    let page = args.part.fetch(&client, "device_match_list", &[], &query);
    let page = page.await?;
    let header = ["id", "device", "may be", "because of", "noticed", "decided"];
    output::list(
        &page,
        connection.json,
        "pairs",
        header,
        |one: &DeviceMatch| {
            [
                one.id.to_string(),
                side(&one.device),
                side(&one.other),
                one.identity.clone(),
                output::ago(Some(one.created_at)),
                match &one.rejected_by {
                    Some(who) => format!("two, says {who}"),
                    None => "-".to_owned(),
                },
            ]
        },
    )
}

/// The pair of this id, if it is among the ones that are listed first.
async fn pair(client: &Client, id: Uuid) -> Result<Option<DeviceMatch>> {
    let query = api::query_pairs(&MatchQuery {
        rejected: Some(true),
        limit: Some(api::limits::PAGE_MAX),
        ..MatchQuery::default()
    });
    let page: Page<DeviceMatch> = client.call("device_match_list", &[], &query).await?;
    Ok(page.items.into_iter().find(|pair| pair.id == id))
}

pub async fn decide(args: Decide, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let id = args.id.to_string();
    if args.accept {
        let pair = pair(&client, args.id).await?;
        let words = match &pair {
            Some(pair) => format!(
                "{} becomes part of {} and is gone as a device of its own.",
                side(&pair.other),
                side(&pair.device)
            ),
            None => format!("The devices of the pair {id} become one for good."),
        };
        args.sure.about(&words)?;
        let merged: DeviceDetail = client.call("device_match_accept", &[&id], &[]).await?;
        return look::print(&merged, connection.json);
    }
    client.perform("device_match_reject", &[&id]).await?;
    output::done(connection.json, "they are two");
    Ok(())
}

fn side(one: &MatchSide) -> String {
    format!("{} ({})", one.name, one.protocols.join(" and "))
}
