//! What can be done on a device. Each is an operation: see `how`.

use super::how::{How, ask, finish};
use super::{called, find};
use crate::exit;
use crate::remote::confirm::Sure;
use crate::remote::output::{hint, say};
use crate::remote::typed::Name;
use crate::remote::{Connection, client::Client, output, wait};
use anyhow::Result;
use api::operation::{AddParameter, NotificationKind, Op, SetParameter};

#[derive(clap::Args)]
pub struct Get {
    /// An id, or anything that finds exactly one
    device: String,
    /// Parameters, or objects ending in a dot
    #[arg(required = true)]
    paths: Vec<String>,
    /// How many levels below an object [default: all]
    #[arg(long)]
    depth: Option<u32>,
    #[command(flatten)]
    how: How,
}

#[derive(clap::Args)]
pub struct Set {
    /// An id, or anything that finds exactly one
    device: String,
    /// Device.WiFi.SSID.1.SSID=name
    #[arg(required = true, value_name = "PATH=VALUE", value_parser = pair)]
    parameters: Vec<(String, String)>,
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
    #[arg(value_parser = object)]
    object: String,
    /// Parameters of the new row
    #[arg(value_name = "NAME=VALUE", value_parser = pair)]
    parameters: Vec<(String, String)>,
    #[command(flatten)]
    how: How,
}

#[derive(clap::Args)]
pub struct Delete {
    /// An id, or anything that finds exactly one
    device: String,
    /// Rows, like Device.NAT.PortMapping.3.
    #[arg(required = true, value_parser = object)]
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
    /// The command, like 'Device.Reboot()'
    #[arg(value_parser = command)]
    command: String,
    /// Its arguments
    #[arg(value_name = "NAME=VALUE", value_parser = pair)]
    input: Vec<(String, String)>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    sure: Sure,
}

#[derive(clap::Args)]
pub struct Discover {
    /// An id, or anything that finds exactly one
    device: String,
    /// Below which object
    #[arg(default_value = "Device.", value_parser = object)]
    path: String,
    #[command(flatten)]
    how: How,
}

#[derive(clap::Args)]
pub struct Subscribe {
    /// An id, or anything that finds exactly one
    device: String,
    /// Of what: value-change, object-creation, object-deletion, operation-complete or event
    #[arg(value_parser = notification)]
    notification: NotificationKind,
    /// About which parameters, objects, commands or events
    #[arg(required = true)]
    paths: Vec<String>,
    /// The device forgets the subscription when it restarts
    #[arg(long)]
    until_restart: bool,
    /// The device does not repeat notifications that we do not confirm
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    how: How,
}

pub async fn get(args: Get, connection: &Connection) -> Result<()> {
    let names = each("paths", &args.paths);
    let op = Op::Get {
        paths: args.paths,
        max_depth: args.depth,
    };
    let Some(operation) = ask(&args.device, op, names, &args.how, connection).await? else {
        return Ok(());
    };
    exit::ending(wait::succeeded(&operation), || {
        if connection.json {
            return output::json(&operation);
        }
        for result in operation.steps.iter().flat_map(|step| &step.results) {
            match (&result.error, &result.after) {
                // Told by what follows.
                (Some(_), _) => {}
                (None, Some(value)) => say!("{} = {value}", result.path),
                // An object that was asked for: its parameters follow.
                (None, None) => {}
            }
        }
        if operation.steps.iter().any(|step| step.truncated) {
            hint!("There are more: `headend device values` shows all that was read.");
        }
        Ok(())
    })
}

pub async fn set(args: Set, connection: &Connection) -> Result<()> {
    let names = pairs(&args.parameters, "path");
    let parameters = args.parameters.into_iter();
    let op = Op::Set {
        parameters: parameters
            .map(|(path, value)| SetParameter { path, value })
            .collect(),
        allow_partial: args.allow_partial,
    };
    finish(&args.device, op, names, &args.how, connection).await
}

pub async fn add(args: Add, connection: &Connection) -> Result<()> {
    let mut names = pairs(&args.parameters, "name");
    names.push(("ops[0].object".to_owned(), args.object.clone()));
    let parameters = args.parameters.into_iter();
    let op = Op::Add {
        object: args.object,
        parameters: parameters
            .map(|(name, value)| AddParameter { name, value })
            .collect(),
    };
    finish(&args.device, op, names, &args.how, connection).await
}

pub async fn delete(args: Delete, connection: &Connection) -> Result<()> {
    let names = each("paths", &args.paths);
    let op = Op::Delete {
        paths: args.paths,
        allow_partial: args.allow_partial,
    };
    finish(&args.device, op, names, &args.how, connection).await
}

pub async fn operate(mut args: Operate, connection: &Connection) -> Result<()> {
    if args.command.ends_with("FactoryReset()") && !args.how.is_preview() {
        let device = find(&Client::new(connection)?, &args.device).await?;
        args.sure.about(&format!(
            "{} forgets all its settings, and afterwards has to be re-admitted to come back.",
            called(&device)
        ))?;
        // The very one that was confirmed.
        args.device = device.id.to_string();
    }
    let mut names: Vec<Name> = Vec::new();
    for (name, _) in &args.input {
        names.push((format!("ops[0].input.{name}"), name.clone()));
    }
    names.push(("ops[0].command".to_owned(), args.command.clone()));
    names.push(("ops[0].input".to_owned(), "the arguments".to_owned()));
    let op = Op::Operate {
        command: args.command,
        input: args.input.into_iter().collect(),
    };
    finish(&args.device, op, names, &args.how, connection).await
}

pub async fn discover(args: Discover, connection: &Connection) -> Result<()> {
    let names = vec![("ops[0].path".to_owned(), args.path.clone())];
    let op = Op::Discover { path: args.path };
    finish(&args.device, op, names, &args.how, connection).await
}

pub async fn subscribe(args: Subscribe, connection: &Connection) -> Result<()> {
    let names = each("paths", &args.paths);
    let op = Op::Subscribe {
        notification: args.notification,
        paths: args.paths,
        persistent: !args.until_restart,
        confirmed: !args.once,
    };
    finish(&args.device, op, names, &args.how, connection).await
}

fn each(field: &str, texts: &[String]) -> Vec<Name> {
    let texts = texts.iter().enumerate();
    texts
        .map(|(index, text)| (format!("ops[0].{field}[{index}]"), text.clone()))
        .collect()
}

/// Each parameter as it was typed; what is wrong with its path or name alone, by that.
fn pairs(parameters: &[(String, String)], left: &str) -> Vec<Name> {
    let mut names = Vec::new();
    for (index, (name, value)) in parameters.iter().enumerate() {
        let field = format!("ops[0].parameters[{index}]");
        names.push((format!("{field}.{left}"), name.clone()));
        names.push((field, format!("{name}={value}")));
    }
    names
}

/// `NAME=VALUE`, cut at the first `=` outside brackets, since search expressions contain `==`.
fn pair(text: &str) -> Result<(String, String), String> {
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
        _ => Err("there is no `=` between name and value".to_owned()),
    }
}

/// An object or row: its path ends in a dot, which may be left out.
pub fn object(text: &str) -> Result<String, String> {
    match text.ends_with('.') {
        true => Ok(text.to_owned()),
        false => Ok(format!("{text}.")),
    }
}

/// A command ends in brackets, which a shell wants quoted; they may be left out.
fn command(text: &str) -> Result<String, String> {
    match text.ends_with(')') {
        true => Ok(text.to_owned()),
        false => Ok(format!("{text}()")),
    }
}

fn notification(text: &str) -> Result<NotificationKind, String> {
    output::variant(text).ok_or_else(|| {
        "there are value-change, object-creation, object-deletion, operation-complete and event"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_contain_equals_signs_and_a_path_a_search() {
        let text = "Device.WiFi.SSID.[Alias==\"a\"].SSID=x=y";
        let (path, value) = pair(text).unwrap();
        assert_eq!(path, "Device.WiFi.SSID.[Alias==\"a\"].SSID");
        assert_eq!(value, "x=y");
        assert!(pair("no value").is_err() && pair("=x").is_err());
    }

    #[test]
    fn the_dot_of_an_object_and_the_brackets_of_a_command_may_be_left_out() {
        assert_eq!(
            object("Device.NAT.PortMapping"),
            object("Device.NAT.PortMapping.")
        );
        assert_eq!(command("Device.Reboot"), command("Device.Reboot()"));
        assert_eq!(
            notification("value-change"),
            Ok(NotificationKind::ValueChange)
        );
        assert!(notification("everything").is_err());
    }

    #[test]
    fn a_wrong_parameter_is_named_by_its_path_or_as_it_was_typed() {
        let names = pairs(&[("A.B".to_owned(), "1".to_owned())], "path");
        assert_eq!(
            names[0],
            ("ops[0].parameters[0].path".to_owned(), "A.B".to_owned())
        );
        assert_eq!(
            names[1],
            ("ops[0].parameters[0]".to_owned(), "A.B=1".to_owned())
        );
    }
}
