//! `events`: the log, and the live stream, taken up again where it broke off.

use super::{Connection, client::Client, output};
use crate::exit::{self, Exit, Failure};
use crate::remote::output::{hint, say};
use anyhow::Result;
use api::device::Order;
use api::event::{Event, EventLog, EventQuery, StreamQuery};
use api::operation::ActorKind;
use futures_util::StreamExt;
use std::time::Duration;
use uuid::Uuid;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Print events as they happen, until interrupted; with --json one event a line
    Tail {
        /// Begin after this cursor [default: now]; 0 is the oldest that is kept
        #[arg(long)]
        after: Option<String>,
        #[command(flatten)]
        about: About,
        /// Stop after this many events
        #[arg(long)]
        count: Option<u64>,
    },
    /// Print one event with its details
    Show {
        /// Its cursor, as `events list --json` names it
        cursor: String,
    },
    /// Print what happened, newest first
    List {
        #[command(flatten)]
        about: About,
        /// Oldest first, from the oldest that is kept
        #[arg(long)]
        oldest_first: bool,
        /// Only what came after this cursor (oldest first)
        #[arg(long, requires = "oldest_first")]
        after: Option<String>,
        /// Only what came before this cursor
        #[arg(long, conflicts_with = "oldest_first")]
        before: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = 50, conflicts_with = "all")]
        limit: usize,
        /// All there are
        #[arg(long)]
        all: bool,
    },
}

/// Which events.
#[derive(clap::Args)]
pub struct About {
    /// Only this kind, like device.connected; with a dot at its end all that begin so, like
    /// `user.`; may be repeated
    #[arg(long)]
    kind: Vec<String>,
    /// Only of this device: an id, or anything that finds exactly one
    #[arg(long)]
    device: Option<String>,
    /// Only of this operation
    #[arg(long)]
    operation: Option<Uuid>,
}

impl About {
    async fn device_id(&self, client: &Client) -> Result<Option<Uuid>> {
        match &self.device {
            Some(text) => Ok(Some(super::device::find(client, text).await?.id)),
            None => Ok(None),
        }
    }
}

/// A stream that says nothing for so long is broken: the server's heartbeat comes every 15 seconds.
const SILENCE_MAX: Duration = Duration::from_secs(50);
/// How long to wait before the stream is opened again.
const REOPEN_AFTER: Duration = Duration::from_secs(2);
/// The longest line of a stream that is read.
const LINE_BYTES_MAX: usize = 1 << 20;
/// The largest page of the log.
const PAGE_MAX: usize = 500;

pub async fn run(command: Command, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    match command {
        Command::Tail {
            after,
            about,
            count,
        } => {
            let device_id = about.device_id(&client).await?;
            let query = StreamQuery {
                after,
                kind: about.kind,
                device_id,
                operation_id: about.operation,
                tenant: None,
            };
            tail(&client, &query, count.unwrap_or(u64::MAX), connection.json).await
        }
        Command::Show { cursor } => show(&client, &cursor, connection.json).await,
        Command::List {
            about,
            oldest_first,
            after,
            before,
            limit,
            all,
        } => {
            let device_id = about.device_id(&client).await?;
            let query = EventQuery {
                order: Some(if oldest_first {
                    Order::Asc
                } else {
                    Order::Desc
                }),
                after,
                before,
                kind: about.kind,
                device_id,
                operation_id: about.operation,
                limit: None,
            };
            let most = if all { usize::MAX } else { limit };
            list(&client, query, most, connection.json).await
        }
    }
}

async fn show(client: &Client, cursor: &str, json: bool) -> Result<()> {
    let event: Event = client.call("event_show", &[cursor], &[]).await?;
    if json {
        return output::json(&event);
    }
    print(&event, false)?;
    output::json(&event.data)
}

async fn list(client: &Client, mut query: EventQuery, most: usize, json: bool) -> Result<()> {
    let mut log = EventLog {
        items: Vec::new(),
        next: String::new(),
        head: String::new(),
    };
    while log.items.len() < most {
        let limit = (most - log.items.len()).min(PAGE_MAX);
        query.limit = u32::try_from(limit).ok();
        let page: EventLog = client
            .call("event_list", &[], &api::query_pairs(&query))
            .await?;
        let last = page.items.is_empty() || page.next.is_empty() || page.next == page.head;
        log.items.extend(page.items);
        (log.next, log.head) = (page.next, page.head);
        if last {
            break;
        }
        let place = match query.order {
            Some(Order::Asc) => &mut query.after,
            _ => &mut query.before,
        };
        *place = Some(log.next.clone());
    }
    if json {
        return output::json(&log);
    }
    if log.items.is_empty() {
        hint!("no events");
    }
    for event in &log.items {
        print(event, false)?;
    }
    Ok(())
}

async fn tail(client: &Client, query: &StreamQuery, count: u64, json: bool) -> Result<()> {
    // "Now" is a place in the log, so that a stream that breaks off before its first event is taken up there again.
    let mut last = match &query.after {
        Some(after) => after.clone(),
        None => head(client).await?,
    };
    let query = api::query_pairs(query);
    let mut left = count;
    let mut opened_once = false;
    while left > 0 {
        match client.stream("event_stream", &query, Some(&last)).await {
            Ok(response) => {
                opened_once = true;
                read(response, json, &mut last, &mut left).await?;
            }
            Err(error) if opened_once && exit::is_unreachable(&error) => {}
            Err(error) => return Err(error),
        }
        if left > 0 {
            if !json {
                hint!("the stream broke off; opening it again");
            }
            tokio::time::sleep(REOPEN_AFTER).await;
        }
    }
    Ok(())
}

/// The newest place in the log.
async fn head(client: &Client) -> Result<String> {
    let query = EventQuery {
        order: Some(Order::Desc),
        limit: Some(1),
        ..EventQuery::default()
    };
    let log: EventLog = client
        .call("event_list", &[], &api::query_pairs(&query))
        .await?;
    Ok(log.head)
}

/// Prints events until there are enough, or the stream ends, breaks or falls silent.
async fn read(
    response: reqwest::Response,
    json: bool,
    last: &mut String,
    left: &mut u64,
) -> Result<()> {
    let mut body = response.bytes_stream();
    let mut buffer: Vec<u8> = Vec::new();
    while let Ok(Some(Ok(chunk))) = tokio::time::timeout(SILENCE_MAX, body.next()).await {
        buffer.extend_from_slice(&chunk);
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let Some(data) = line.strip_prefix("data:") else {
                continue;
            };
            let Ok(event) = serde_json::from_str::<Event>(data.trim()) else {
                continue;
            };
            *last = event.cursor.clone();
            print(&event, json)?;
            *left -= 1;
            if *left == 0 {
                return Ok(());
            }
        }
        if buffer.len() > LINE_BYTES_MAX {
            return Err(Exit::error(
                Failure::Other,
                "the stream sent a line without an end",
            ));
        }
    }
    Ok(())
}

/// Prints an event on a line.
pub fn print(event: &Event, json: bool) -> Result<()> {
    if json {
        return output::json_line(event);
    }
    let device = event.device_name.as_deref().unwrap_or("-");
    let actor = match &event.actor {
        Some(actor) if matches!(actor.kind, ActorKind::User | ActorKind::Token) => {
            format!(" ({})", actor.name)
        }
        _ => String::new(),
    };
    say!(
        "{}  {:<26} {:<20} {}{actor}",
        event.at,
        event.kind,
        device,
        event.summary
    );
    Ok(())
}
