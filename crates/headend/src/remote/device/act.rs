//! What can be done on a device. Each is an operation: previewed or stored, then waited for.

use super::{Connection, find};
use crate::exit::{Exit, Failure};
use crate::remote::{client::Client, operation, output, wait};
use anyhow::{Result, bail};
use api::operation::{
    AddParameter, Mode, Op, Operation, OperationCreate, OperationSubmitted, Preview, SetParameter,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// How an operation is asked for and waited for.
#[derive(clap::Args)]
pub struct How {
    /// Only say what would happen
    #[arg(long)]
    preview: bool,
    /// Print the operation's id and do not wait for it
    #[arg(long, conflicts_with = "preview")]
    no_wait: bool,
    /// Seconds to wait for the end; the operation goes on afterwards
    #[arg(long, default_value_t = 60)]
    wait: u64,
    /// Seconds until the operation gives up waiting for the device
    #[arg(long)]
    expires: Option<u32>,
    /// Why, for whoever reads it later
    #[arg(long)]
    note: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(clap::Args)]
pub struct Get {
    /// An id, or anything that finds exactly one
    device: String,
    /// Parameters, or objects ending in a dot
    #[arg(required = true)]
    paths: Vec<String>,
    /// Show the last-known values instead of asking the device
    #[arg(long)]
    known: bool,
    #[command(flatten)]
    how: How,
}

#[derive(clap::Args)]
pub struct Set {
    /// An id, or anything that finds exactly one
    device: String,
    /// Device.WiFi.SSID.1.SSID=name
    #[arg(required = true, value_name = "PATH=VALUE")]
    parameters: Vec<String>,
    /// Set the rest when one of them cannot be set
    #[arg(long)]
    allow_partial: bool,
    #[command(flatten)]
    how: How,
}

#[derive(clap::Args)]
pub struct Add {
    /// An id, or anything that finds exactly one
    device: String,
    /// The table, like Device.NAT.PortMapping.
    object: String,
    /// Parameters of the new row
    #[arg(value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    #[command(flatten)]
    how: How,
}

#[derive(clap::Args)]
pub struct Delete {
    /// An id, or anything that finds exactly one
    device: String,
    /// Rows, like Device.NAT.PortMapping.3.
    #[arg(required = true)]
    paths: Vec<String>,
    /// Delete the rest when one of them cannot be deleted
    #[arg(long)]
    allow_partial: bool,
    #[command(flatten)]
    how: How,
}

#[derive(clap::Args)]
pub struct Operate {
    /// An id, or anything that finds exactly one
    device: String,
    /// The command, like Device.Reboot()
    command: String,
    /// Its arguments
    #[arg(value_name = "NAME=VALUE")]
    input: Vec<String>,
    #[command(flatten)]
    how: How,
}

pub async fn get(args: Get) -> Result<()> {
    if args.known {
        return known(&args).await;
    }
    let op = Op::Get {
        paths: args.paths,
        max_depth: None,
    };
    let Some(operation) = ask(&args.device, op, &args.how).await? else {
        return Ok(());
    };
    if !args.how.connection.json {
        for result in operation.steps.iter().flat_map(|step| &step.results) {
            match (&result.error, &result.after) {
                (Some(error), _) => println!("{}: {}", result.path, wait::refusal(error)),
                (None, Some(value)) => println!("{} = {value}", result.path),
                // An object that was asked for: its parameters follow.
                (None, None) => {}
            }
        }
        if operation.steps.iter().any(|step| step.truncated) {
            println!("There are more; see `headend device get --known`.");
        }
    }
    wait::succeeded(&operation)
}

async fn known(args: &Get) -> Result<()> {
    let client = Client::new(&args.how.connection)?;
    let id = find(&client, &args.device).await?.id.to_string();
    let mut all = Vec::new();
    for path in &args.paths {
        let mut query = api::value::ValueQuery {
            path: Some(path.clone()),
            limit: Some(1000),
            ..Default::default()
        };
        loop {
            let page: api::Page<api::value::Value> = client
                .call("device_values", &[&id], &api::query_pairs(&query))
                .await?;
            all.extend(page.items);
            query.cursor = page.next;
            if query.cursor.is_none() {
                break;
            }
        }
    }
    if args.how.connection.json {
        return output::json(&all);
    }
    for value in all {
        println!(
            "{} = {}  ({} {})",
            value.path,
            value.value,
            value.source,
            output::ago(Some(value.at))
        );
    }
    Ok(())
}

pub async fn set(args: Set) -> Result<()> {
    let parameters = pairs(&args.parameters)?
        .into_iter()
        .map(|(path, value)| SetParameter { path, value })
        .collect();
    let op = Op::Set {
        parameters,
        allow_partial: args.allow_partial,
    };
    finish(&args.device, op, &args.how).await
}

pub async fn add(args: Add) -> Result<()> {
    let parameters = pairs(&args.parameters)?
        .into_iter()
        .map(|(name, value)| AddParameter { name, value })
        .collect();
    let op = Op::Add {
        object: args.object,
        parameters,
    };
    finish(&args.device, op, &args.how).await
}

pub async fn delete(args: Delete) -> Result<()> {
    let op = Op::Delete {
        paths: args.paths,
        allow_partial: args.allow_partial,
    };
    finish(&args.device, op, &args.how).await
}

pub async fn operate(args: Operate) -> Result<()> {
    let op = Op::Operate {
        command: args.command,
        input: pairs(&args.input)?.into_iter().collect::<BTreeMap<_, _>>(),
    };
    finish(&args.device, op, &args.how).await
}

async fn finish(device: &str, op: Op, how: &How) -> Result<()> {
    let Some(ended) = ask(device, op, how).await? else {
        return Ok(());
    };
    if !how.connection.json {
        operation::show(&ended);
    }
    wait::succeeded(&ended)
}

/// Submits the op; `None` when there is nothing to wait for.
async fn ask(device: &str, op: Op, how: &How) -> Result<Option<Operation>> {
    let client = Client::new(&how.connection)?;
    let device = find(&client, device).await?;
    let body = OperationCreate {
        mode: if how.preview {
            Mode::Preview
        } else {
            Mode::Apply
        },
        ops: vec![op],
        expires_in_seconds: how.expires,
        note: how.note.clone(),
    };
    let submitted: OperationSubmitted = client
        .submit("operation_create", &[&device.id.to_string()], &body)
        .await?;
    let Some(operation) = submitted.operation else {
        if how.connection.json {
            output::json(&submitted.preview)?;
        } else {
            show_preview(&submitted.preview);
        }
        return match submitted.preview.blocked {
            true => Err(Exit::error(Failure::Refused, "this would be refused")),
            false => Ok(None),
        };
    };
    if how.no_wait {
        if how.connection.json {
            output::json(&operation)?;
        } else {
            println!("{}", operation.id);
        }
        return Ok(None);
    }
    let ended = wait::until_final(&client, operation, Duration::from_secs(how.wait)).await?;
    if how.connection.json {
        output::json(&ended)?;
    }
    Ok(Some(ended))
}

fn show_preview(preview: &Preview) {
    println!("{}", preview.summary);
    let mut table = output::table(&["path", "what", "from", "to", "problem"]);
    for item in &preview.items {
        table.add_row([
            item.path.as_str(),
            item.action.as_str(),
            output::or_dash(item.from.as_deref()),
            output::or_dash(item.to.as_deref()),
            output::or_dash(item.problem.as_deref()),
        ]);
    }
    println!("{table}");
    for warning in &preview.warnings {
        println!("note: {warning}");
    }
}

/// `NAME=VALUE`, cut at the first `=` outside brackets, since search expressions contain `==`.
fn pairs(texts: &[String]) -> Result<Vec<(String, String)>> {
    texts
        .iter()
        .map(|text| {
            let mut depth = 0usize;
            let cut = text.char_indices().find(|(_, character)| {
                match character {
                    '[' => depth += 1,
                    ']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                *character == '=' && depth == 0
            });
            match cut {
                Some((at, _)) if at > 0 => Ok((text[..at].to_owned(), text[at + 1..].to_owned())),
                _ => bail!("`{text}` is not of the form NAME=VALUE"),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_contain_equals_signs_and_a_path_a_search() {
        let texts = ["Device.WiFi.SSID.[Alias==\"a\"].SSID=x=y".to_owned()];
        assert_eq!(
            pairs(&texts).unwrap(),
            [(
                "Device.WiFi.SSID.[Alias==\"a\"].SSID".to_owned(),
                "x=y".to_owned()
            )]
        );
        assert!(pairs(&["no value".to_owned()]).is_err());
    }
}
