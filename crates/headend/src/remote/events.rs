//! `events tail`: the live stream, taken up again where it broke off.

use super::{Connection, client::Client, output};
use crate::exit::{Exit, Failure};
use anyhow::Result;
use api::event::{Event, StreamQuery};
use futures_util::StreamExt;
use std::time::Duration;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Print events as they happen, until interrupted
    Tail {
        /// Begin after this cursor [default: now]; 0 is the oldest that is kept
        #[arg(long)]
        after: Option<String>,
        /// Only this kind, or with a dot at its end all that begin so; may be repeated
        #[arg(long)]
        kind: Vec<String>,
        /// Only of this device: an id, or anything that finds exactly one
        #[arg(long)]
        device: Option<String>,
        /// Stop after this many events
        #[arg(long)]
        count: Option<u64>,
        #[command(flatten)]
        connection: Connection,
    },
}

/// How long to wait before the stream is opened again.
const REOPEN_AFTER: Duration = Duration::from_secs(2);
/// The longest line of a stream that is read.
const LINE_BYTES_MAX: usize = 1 << 20;

pub async fn run(command: Command) -> Result<()> {
    let Command::Tail {
        after,
        kind,
        device,
        count,
        connection,
    } = command;
    let client = Client::new(&connection)?;
    let device_id = match device {
        Some(text) => Some(super::device::find(&client, &text).await?.id),
        None => None,
    };
    let query = api::query_pairs(&StreamQuery {
        after,
        kind,
        device_id,
        ..StreamQuery::default()
    });
    let mut left = count.unwrap_or(u64::MAX);
    let mut last: Option<String> = None;
    let mut opened_once = false;
    while left > 0 {
        match client.stream("event_stream", &query, last.as_deref()).await {
            Ok(response) => {
                opened_once = true;
                read(response, &connection, &mut last, &mut left).await?;
            }
            Err(error) if opened_once && is_unreachable(&error) => {}
            Err(error) => return Err(error),
        }
        if left > 0 {
            eprintln!("the stream broke off; opening it again");
            tokio::time::sleep(REOPEN_AFTER).await;
        }
    }
    Ok(())
}

async fn read(
    response: reqwest::Response,
    connection: &Connection,
    last: &mut Option<String>,
    left: &mut u64,
) -> Result<()> {
    let mut body = response.bytes_stream();
    let mut buffer: Vec<u8> = Vec::new();
    while let Some(Ok(chunk)) = body.next().await {
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
            *last = Some(event.cursor.clone());
            print(&event, connection.json)?;
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

fn print(event: &Event, json: bool) -> Result<()> {
    if json {
        return output::json_line(event);
    }
    let device = event.device_name.as_deref().unwrap_or("-");
    println!(
        "{}  {:<28} {:<24} {}",
        event.at, event.kind, device, event.summary
    );
    Ok(())
}

fn is_unreachable(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<Exit>()
        .is_some_and(|exit| exit.failure == Failure::Unreachable)
}
