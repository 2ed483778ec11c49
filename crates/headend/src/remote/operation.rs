//! `operation`: list, show, follow, cancel.

use super::{Connection, client::Client, output, wait};
use anyhow::Result;
use api::Page;
use api::operation::{Operation, OperationQuery, OperationState};
use api::transcript::TranscriptEntry;
use std::time::Duration;
use uuid::Uuid;

#[derive(clap::Subcommand)]
pub enum Command {
    /// List operations, newest first
    List {
        /// Only of this device: an id, or anything that finds exactly one
        #[arg(long)]
        device: Option<String>,
        /// Only in this state; may be repeated
        #[arg(long, value_parser = state)]
        state: Vec<OperationState>,
        /// How many
        #[arg(long, default_value_t = 50)]
        limit: u32,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show an operation with what came out
    Show {
        id: Uuid,
        /// Wait until it has ended
        #[arg(long)]
        follow: bool,
        /// Show what went over the wire
        #[arg(long)]
        transcript: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Cancel an operation that has not been sent
    Cancel {
        id: Uuid,
        #[command(flatten)]
        connection: Connection,
    },
}

/// Following an operation ends with its expiry at the latest.
const FOLLOW_MAX: Duration = Duration::from_secs(31 * 86_400);

pub async fn run(command: Command) -> Result<()> {
    match command {
        Command::List {
            device,
            state,
            limit,
            connection,
        } => {
            let client = Client::new(&connection)?;
            let device_id = match device {
                Some(text) => Some(super::device::find(&client, &text).await?.id),
                None => None,
            };
            let query = OperationQuery {
                device_id,
                state,
                limit: Some(limit),
                ..OperationQuery::default()
            };
            let page: Page<Operation> = client
                .call("operation_list", &[], &api::query_pairs(&query))
                .await?;
            if connection.json {
                return output::json(&page);
            }
            let mut table = output::table(&["id", "device", "what", "state", "by", "asked for"]);
            for operation in page.items {
                table.add_row([
                    operation.id.to_string(),
                    operation.device_name,
                    operation.summary,
                    output::word(&operation.state),
                    operation.actor.name,
                    output::ago(Some(operation.created_at)),
                ]);
            }
            println!("{table}");
            Ok(())
        }
        Command::Show {
            id,
            follow,
            transcript,
            connection,
        } => {
            let client = Client::new(&connection)?;
            let id = id.to_string();
            let mut operation: Operation = client.call("operation_show", &[&id], &[]).await?;
            if follow {
                operation = wait::until_final(&client, operation, FOLLOW_MAX).await?;
            }
            let entries: Option<Page<TranscriptEntry>> = match transcript {
                true => Some(
                    client
                        .call(
                            "operation_transcript",
                            &[&id],
                            &[("limit".into(), "500".into())],
                        )
                        .await?,
                ),
                false => None,
            };
            if connection.json {
                return match entries {
                    Some(entries) => output::json(&entries),
                    None => output::json(&operation),
                };
            }
            show(&operation);
            for entry in entries.into_iter().flat_map(|page| page.items) {
                let kind = format!("{} {}", output::word(&entry.direction), entry.kind);
                println!("\n{} {kind}\n{}", entry.at, entry.text);
            }
            Ok(())
        }
        Command::Cancel { id, connection } => {
            let client = Client::new(&connection)?;
            let operation: Operation = client
                .call("operation_cancel", &[&id.to_string()], &[])
                .await?;
            if connection.json {
                return output::json(&operation);
            }
            println!("{} is {}", operation.id, output::word(&operation.state));
            Ok(())
        }
    }
}

/// Prints an operation for a person.
pub fn show(operation: &Operation) {
    println!(
        "{}  {}  {}",
        operation.id, operation.device_name, operation.summary
    );
    println!(
        "{}: {} (asked for by {} {}, {} attempt(s), expires {})",
        output::word(&operation.state),
        operation.state_words,
        operation.actor.name,
        output::ago(Some(operation.created_at)),
        operation.attempts,
        operation.expires_at
    );
    for step in &operation.steps {
        println!(
            "\n{}. {}: {}",
            step.index + 1,
            step.summary,
            output::word(&step.state)
        );
        if let Some(error) = &step.error {
            println!("   {}", wait::refusal(error));
        }
        if !step.results.is_empty() {
            let mut table = output::table(&["path", "before", "after", "verified"]);
            for result in &step.results {
                let verified = match (&result.error, result.verified) {
                    (Some(error), _) => wait::refusal(error),
                    (None, Some(true)) => "yes".to_owned(),
                    (None, Some(false)) => "NO".to_owned(),
                    (None, None) => "-".to_owned(),
                };
                table.add_row([
                    result.path.as_str(),
                    output::or_dash(result.before.as_deref()),
                    output::or_dash(result.after.as_deref()),
                    &verified,
                ]);
            }
            println!("{table}");
        }
        for (name, value) in &step.output {
            println!("   {name} = {value}");
        }
    }
}

fn state(text: &str) -> Result<OperationState, String> {
    OperationState::ALL
        .into_iter()
        .find(|state| output::word(state) == text)
        .ok_or_else(|| {
            let known: Vec<String> = OperationState::ALL.iter().map(output::word).collect();
            format!("no such state; there are {}", known.join(", "))
        })
}
