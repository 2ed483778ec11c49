//! Waiting for an operation with progress on a terminal, and saying how it ended.

use super::{client::Client, output};
use crate::exit::{self, Exit, Failure};
use anyhow::Result;
use api::operation::{Operation, OperationState, StepError, Who};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How often the server is asked at first; it doubles up to the second.
const POLL_FIRST: Duration = Duration::from_millis(100);
const POLL_LAST: Duration = Duration::from_secs(2);

/// Waits until the operation has ended, `limit` is over or Ctrl C is pressed; it goes on either way. Returns what was
/// last known of it. A server that cannot be reached for a while is asked again: it keeps the operation.
pub async fn until_final(
    client: &Client,
    mut operation: Operation,
    limit: Duration,
) -> Result<Operation> {
    let began = Instant::now();
    let mut pause = POLL_FIRST;
    let progress = if std::io::stderr().is_terminal() {
        indicatif::ProgressBar::new_spinner()
    } else {
        indicatif::ProgressBar::hidden()
    };
    progress.enable_steady_tick(Duration::from_millis(100));
    let id = operation.id.to_string();
    while !operation.state.is_final() {
        progress.set_message(format!(
            "{}: {}",
            output::word(&operation.state),
            operation.state_words
        ));
        let look = async {
            tokio::time::sleep(pause).await;
            client.call("operation_show", &[&id], &[]).await
        };
        let left = limit.saturating_sub(began.elapsed());
        let looked: Result<Operation> = tokio::select! {
            looked = tokio::time::timeout(left, look) => match looked {
                Ok(looked) => looked,
                Err(_) => break,
            },
            _ = tokio::signal::ctrl_c() => break,
        };
        match looked {
            Ok(newer) => operation = newer,
            Err(error) if exit::is_unreachable(&error) => {}
            Err(error) => {
                progress.finish_and_clear();
                return Err(error.context(format!("operation {id} goes on")));
            }
        }
        pause = (pause * 2).min(POLL_LAST);
    }
    progress.finish_and_clear();
    Ok(operation)
}

fn still_open(operation: &Operation) -> anyhow::Error {
    let words = format!(
        "operation {id} is still {}: {}. It goes on: `headend operation show {id}` tells how, \
         `headend operation cancel {id}` stops it",
        output::word(&operation.state),
        operation.state_words.trim_end_matches('.'),
        id = operation.id,
    );
    Exit::error(Failure::StillOpen, words)
}

/// An error when the operation did not succeed, or has not yet.
pub fn succeeded(operation: &Operation) -> Result<()> {
    if operation.state == OperationState::Succeeded {
        return Ok(());
    }
    if !operation.state.is_final() {
        return Err(still_open(operation));
    }
    let mut words = format!(
        "operation {} ended {}: {}",
        operation.id,
        output::word(&operation.state),
        operation.state_words
    );
    for step in &operation.steps {
        if let Some(error) = &step.error {
            words.push_str(&format!("\n  {}: {}", step.summary, refusal(error)));
        }
        for result in &step.results {
            if let Some(error) = &result.error {
                words.push_str(&format!("\n  {}: {}", result.path, refusal(error)));
            }
        }
    }
    Err(Exit::error(Failure::NotSucceeded, words))
}

/// Who refused, and why.
pub fn refusal(error: &StepError) -> String {
    let who = match error.who {
        Who::Headend => "the server",
        Who::Device => "the device",
        Who::Network => "the connection",
    };
    let code = error
        .code
        .map(|code| format!(" {code}"))
        .unwrap_or_default();
    format!("{who} says{code}: {}", error.message)
}
