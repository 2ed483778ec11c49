//! How an operation on a device is asked for: previewed, or stored and waited for.

use super::find;
use crate::exit::{self, Exit, Failure};
use crate::remote::output::say;
use crate::remote::typed::{self, Name};
use crate::remote::{Connection, client::Client, operation, output, wait};
use anyhow::Result;
use api::operation::{
    Mode, Op, Operation, OperationCreate, OperationSubmitted, Preview, PreviewSeverity,
};
use std::time::Duration;

#[derive(clap::Args)]
pub struct How {
    /// Only say what would happen
    #[arg(long)]
    preview: bool,
    /// Print the operation's id and do not wait for it
    #[arg(long, conflicts_with = "preview")]
    no_wait: bool,
    /// Seconds to wait for the end; the operation goes on afterwards
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    wait: u64,
    /// Seconds until the operation gives up waiting for the device [default: a day]
    #[arg(long, value_name = "SECONDS")]
    expires: Option<u32>,
    /// Why, for whoever reads it later
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

impl How {
    /// Look first, or do it.
    pub fn mode(&self) -> Mode {
        if self.preview {
            Mode::Preview
        } else {
            Mode::Apply
        }
    }

    /// Seconds until it gives up.
    pub fn expires(&self) -> Option<u32> {
        self.expires
    }

    /// Why.
    pub fn note(&self) -> Option<String> {
        self.note.clone()
    }

    /// Whether nothing is to happen.
    pub fn is_preview(&self) -> bool {
        self.preview
    }
}

/// Asks, waits, and prints how it ended.
pub async fn finish(
    device: &str,
    op: Op,
    names: Vec<Name>,
    how: &How,
    connection: &Connection,
) -> Result<()> {
    let ended = ask(device, op, names, how, connection).await?;
    end(ended, connection)
}

/// The same for what was asked for already.
pub async fn finish_asked(
    client: &Client,
    submitted: Result<OperationSubmitted>,
    names: Vec<Name>,
    how: &How,
    connection: &Connection,
) -> Result<()> {
    let ended = asked(client, submitted, names, how, connection).await?;
    end(ended, connection)
}

fn end(ended: Option<Operation>, connection: &Connection) -> Result<()> {
    let Some(ended) = ended else {
        return Ok(());
    };
    exit::ending(wait::succeeded(&ended), || {
        match (connection.json, ended.state.is_final()) {
            (true, _) => output::json(&ended)?,
            (false, true) => operation::show(&ended),
            (false, false) => {}
        }
        Ok(())
    })
}

/// Submits the op and waits for its end, or as long as `how` says; `None` when there is nothing to wait for. `names` says
/// what the person typed for the fields of the op.
pub async fn ask(
    device: &str,
    op: Op,
    names: Vec<Name>,
    how: &How,
    connection: &Connection,
) -> Result<Option<Operation>> {
    let client = Client::new(connection)?;
    let device = find(&client, device).await?;
    let body = OperationCreate {
        mode: how.mode(),
        ops: vec![op],
        expires_in_seconds: how.expires,
        note: how.note.clone(),
    };
    let submitted = client
        .submit("operation_create", &[&device.id.to_string()], &body)
        .await;
    asked(&client, submitted, names, how, connection).await
}

async fn asked(
    client: &Client,
    submitted: Result<OperationSubmitted>,
    mut names: Vec<Name>,
    how: &How,
    connection: &Connection,
) -> Result<Option<Operation>> {
    for (field, shown) in [("expires_in_seconds", "--expires"), ("note", "--note")] {
        names.push((field.to_owned(), shown.to_owned()));
    }
    let submitted: OperationSubmitted = typed::named(submitted, &names)?;
    let Some(operation) = submitted.operation else {
        let allowed = match submitted.preview.blocked {
            true => Err(Exit::error(Failure::Refused, "this would be refused")),
            false => Ok(()),
        };
        exit::ending(allowed, || {
            if connection.json {
                return output::json(&submitted.preview);
            }
            show_preview(&submitted.preview);
            Ok(())
        })?;
        return Ok(None);
    };
    if how.no_wait {
        if connection.json {
            output::json(&operation)?;
        } else {
            say!("{}", operation.id);
        }
        return Ok(None);
    }
    let limit = Duration::from_secs(how.wait);
    Ok(Some(wait::until_final(client, operation, limit).await?))
}

fn show_preview(preview: &Preview) {
    say!("{}", preview.summary);
    let mut table = output::table(&["path", "what", "from", "to", "problem"]);
    for item in &preview.items {
        let problem = match (&item.problem, item.severity) {
            (Some(problem), Some(PreviewSeverity::Doubtful)) => format!("perhaps: {problem}"),
            (Some(problem), _) => problem.clone(),
            (None, _) if item.action == "set" && !item.changes => "as it is already".to_owned(),
            (None, _) => "-".to_owned(),
        };
        table.add_row([
            item.path.as_str(),
            item.action.as_str(),
            output::or_dash(item.from.as_deref()),
            output::or_dash(item.to.as_deref()),
            &problem,
        ]);
    }
    output::print(&table);
    for warning in &preview.warnings {
        say!("note: {warning}");
    }
}
