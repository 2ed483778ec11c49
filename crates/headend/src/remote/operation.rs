//! `operation`: list, show, follow, cancel, and what went over the wire.

use super::part::Part;
use super::{Connection, client::Client, output, wait, when};
use crate::exit;
use crate::remote::output::{hint, say};
use anyhow::Result;
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
        /// Only asked for by this user (an id)
        #[arg(long)]
        user: Option<Uuid>,
        /// Asked for after: a time, a day, or an age like 2h
        #[arg(long, value_parser = when::parse)]
        after: Option<api::Time>,
        /// Asked for before: a time, a day, or an age like 2h
        #[arg(long, value_parser = when::parse)]
        before: Option<api::Time>,
        #[command(flatten)]
        part: Part,
    },
    /// Show an operation with what came out
    Show {
        /// Its id
        id: Uuid,
        /// Wait until it has ended
        #[arg(long)]
        follow: bool,
    },
    /// Show what went over the wire, message by message
    Transcript {
        /// The operation's id
        id: Uuid,
        #[command(flatten)]
        part: Part,
    },
    /// Cancel an operation that has not been sent
    Cancel {
        /// Its id
        id: Uuid,
    },
}

/// Following an operation ends with its expiry at the latest.
const FOLLOW_MAX: Duration = Duration::from_secs(31 * 86_400);

pub async fn run(command: Command, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let json = connection.json;
    match command {
        Command::List {
            device,
            state,
            user,
            after,
            before,
            part,
        } => {
            let device_id = match device {
                Some(text) => Some(super::device::find(&client, &text).await?.id),
                None => None,
            };
            let query = api::query_pairs(&OperationQuery {
                device_id,
                state,
                user_id: user,
                created_after: after,
                created_before: before,
                ..OperationQuery::default()
            });
            let page = part.fetch(&client, "operation_list", &[], &query).await?;
            let header = ["id", "device", "what", "state", "by", "asked for"];
            output::list(
                &page,
                json,
                "operations",
                header,
                |operation: &Operation| {
                    [
                        operation.id.to_string(),
                        operation.device_name.clone(),
                        operation.summary.clone(),
                        output::word(&operation.state),
                        operation.actor.name.clone(),
                        output::ago(Some(operation.created_at)),
                    ]
                },
            )
        }
        Command::Show { id, follow } => {
            let mut operation: Operation = client
                .call("operation_show", &[&id.to_string()], &[])
                .await?;
            if follow {
                operation = wait::until_final(&client, operation, FOLLOW_MAX).await?;
            }
            let ending = match follow {
                true => wait::succeeded(&operation),
                false => Ok(()),
            };
            exit::ending(ending, || {
                if json {
                    return output::json(&operation);
                }
                show(&operation);
                Ok(())
            })
        }
        Command::Transcript { id, part } => {
            let page = part
                .fetch::<TranscriptEntry>(&client, "operation_transcript", &[&id.to_string()], &[])
                .await?;
            if json {
                return output::json(&page);
            }
            if page.items.is_empty() {
                hint!(
                    "no message is written down: none was sent yet, or its server ended before the answer"
                );
            }
            for entry in &page.items {
                let mut kind = format!("{} {}", output::word(&entry.direction), entry.kind);
                if let Some(transport) = &entry.transport {
                    kind = format!("{kind} over {transport}");
                }
                say!("{} {kind}", entry.at);
                println!("{}\n", output::plain(entry.text.trim_end()));
            }
            Ok(())
        }
        Command::Cancel { id } => {
            let operation: Operation = client
                .call("operation_cancel", &[&id.to_string()], &[])
                .await?;
            if json {
                return output::json(&operation);
            }
            say!("{} is {}", operation.id, output::word(&operation.state));
            Ok(())
        }
    }
}

/// Prints an operation for a person.
pub fn show(operation: &Operation) {
    say!(
        "{}  {}  {}",
        operation.id,
        operation.device_name,
        operation.summary
    );
    say!(
        "{}: {} (asked for by {} {}; {})",
        output::word(&operation.state),
        operation.state_words.trim_end_matches('.'),
        operation.actor.name,
        output::ago(Some(operation.created_at)),
        match operation.finished_at {
            Some(at) => format!("ended {at}"),
            None => format!("gives up {}", output::until(Some(operation.expires_at))),
        }
    );
    if operation.attempts > 1 {
        say!("sent {} times", operation.attempts);
    }
    if let Some(note) = &operation.note {
        say!("note: {note}");
    }
    if let Some(transfer) = &operation.transfer {
        say!("file {}: {}", transfer.name, transfer.words);
    }
    for step in &operation.steps {
        let number = match operation.steps.len() {
            1 => String::new(),
            _ => format!("{}. ", step.index + 1),
        };
        say!("\n{number}{}: {}", step.summary, output::word(&step.state));
        if let Some(error) = &step.error {
            say!("   {}", wait::refusal(error));
        }
        if !step.results.is_empty() {
            let mut table = output::table(&["path", "before", "after", "verified"]);
            for result in &step.results {
                let verified = match (&result.error, result.verified) {
                    (Some(error), _) => wait::refusal(error),
                    (None, _) if result.after_restart => "in force after a restart".to_owned(),
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
            output::print(&table);
        }
        for (name, value) in &step.output {
            say!("   {name} = {value}");
        }
    }
}

fn state(text: &str) -> Result<OperationState, String> {
    output::variant(text).ok_or_else(|| {
        let known: Vec<String> = OperationState::ALL.iter().map(output::word).collect();
        format!("there are {}", known.join(", "))
    })
}
