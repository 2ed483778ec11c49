//! Files to and from a device: having it fetch or send one, and what became of that.

use super::find;
use super::how::{How, finish_asked};
use crate::remote::part::Part;
use crate::remote::typed::Name;
use crate::remote::{Connection, client::Client, file, output};
use anyhow::Result;
use api::transfer::{DownloadCreate, Transfer, UploadCreate, UploadType};

#[derive(clap::Args)]
pub struct Download {
    /// An id, or anything that finds exactly one
    device: String,
    /// The file: its id, or its name if no other has it
    file: String,
    /// TR-069's word for what it is, like "1 Firmware Upgrade Image" [default: by the kind of the file]
    #[arg(long = "type", value_name = "TYPE")]
    file_type: Option<String>,
    /// The command that fetches it [default: by the kind of the file]
    #[arg(long)]
    command: Option<String>,
    /// Do not start a firmware when it is there
    #[arg(long)]
    no_activate: bool,
    #[command(flatten)]
    how: How,
}

#[derive(clap::Args)]
pub struct Upload {
    /// An id, or anything that finds exactly one
    device: String,
    /// What it shall send: config or log
    #[arg(long = "type", default_value = "config", value_name = "TYPE", value_parser = what)]
    what: UploadType,
    /// TR-069's word for what it is, like "2 Vendor Log File" [default: by what it shall send]
    #[arg(long)]
    file_type: Option<String>,
    /// The command that sends it [default: by what it shall send]
    #[arg(long)]
    command: Option<String>,
    /// The name of the file that comes of it [default: of the device and the time]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    how: How,
}

#[derive(clap::Args)]
pub struct Transfers {
    /// An id, or anything that finds exactly one
    device: String,
    #[command(flatten)]
    part: Part,
}

pub async fn download(args: Download, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let device = find(&client, &args.device).await?;
    let file = file::find(&client, &args.file).await?;
    let body = DownloadCreate {
        mode: args.how.mode(),
        file_id: file.id,
        command: args.command,
        file_type: args.file_type,
        activate: args.no_activate.then_some(false),
        expires_in_seconds: args.how.expires(),
        note: args.how.note(),
    };
    let names = names(&[("file_id", &args.file), ("file_type", "--type")]);
    let id = device.id.to_string();
    let submitted = client.submit("device_download", &[&id], &body).await;
    finish_asked(&client, submitted, names, &args.how, connection).await
}

pub async fn upload(args: Upload, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let device = find(&client, &args.device).await?;
    let body = UploadCreate {
        mode: args.how.mode(),
        what: args.what,
        command: args.command,
        file_type: args.file_type,
        name: args.name,
        expires_in_seconds: args.how.expires(),
        note: args.how.note(),
    };
    let names = names(&[("type", "--type"), ("file_type", "--file-type")]);
    let id = device.id.to_string();
    let submitted = client.submit("device_upload", &[&id], &body).await;
    finish_asked(&client, submitted, names, &args.how, connection).await
}

pub async fn list(args: Transfers, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let device = find(&client, &args.device).await?;
    let id = device.id.to_string();
    let page = args
        .part
        .fetch(&client, "transfer_list", &[&id], &[])
        .await?;
    let header = ["given", "what", "file", "state", "operation"];
    output::list(
        &page,
        connection.json,
        "transfers",
        header,
        |one: &Transfer| {
            [
                output::ago(Some(one.created_at)),
                output::word(&one.direction),
                one.name.clone(),
                one.words.clone(),
                one.operation_id.to_string(),
            ]
        },
    )
}

fn names(own: &[(&str, &str)]) -> Vec<Name> {
    let shared = [
        ("command", "--command"),
        ("ops[0].command", "--command"),
        ("ops[0].input.FileType", "--type"),
        ("ops[0].input", "the command"),
        ("name", "--name"),
    ];
    let all = own.iter().chain(&shared);
    all.map(|(field, shown)| ((*field).to_owned(), (*shown).to_owned()))
        .collect()
}

fn what(text: &str) -> Result<UploadType, String> {
    output::variant(text).ok_or_else(|| "there are config and log".to_owned())
}
