//! `file`: the files that devices fetch, and those that they have sent.

use super::confirm::Sure;
use super::part::Part;
use super::{Connection, client::Client, output, typed};
use crate::exit::{Exit, Failure};
use crate::remote::output::hint;
use anyhow::{Context, Result};
use api::Page;
use api::file::{File, FileKind, FilePatch, FileQuery, FileUpload};
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Upload a file; its checksum is checked on both sides
    Put(Put),
    /// List files, newest first
    List {
        /// Words in name, vendor, model or version
        words: Vec<String>,
        /// firmware, configuration, upload or other; may be repeated
        #[arg(long, value_parser = kind)]
        kind: Vec<FileKind>,
        #[command(flatten)]
        part: Part,
    },
    /// Show a file
    Show {
        /// Its id, or its name if no other has it
        file: String,
    },
    /// Download what is in a file
    Get {
        /// Its id, or its name if no other has it
        file: String,
        /// Where to write it: a file, a folder, or - for standard output [default: its name, here]
        #[arg(long, short, value_name = "PATH")]
        output: Option<PathBuf>,
        /// Write over a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Change name, kind, vendor, model, version or note
    Edit(Edit),
    /// Remove a file
    Delete {
        /// Its id, or its name if no other has it
        file: String,
        #[command(flatten)]
        sure: Sure,
    },
}

#[derive(clap::Args)]
pub struct Put {
    /// The file to upload
    path: PathBuf,
    /// What it is: firmware, configuration or other
    #[arg(long, value_parser = kind)]
    kind: FileKind,
    /// Its name for devices and people [default: that of the file]
    #[arg(long)]
    name: Option<String>,
    /// Maker of the devices it is for
    #[arg(long)]
    vendor: Option<String>,
    /// Model of the devices it is for
    #[arg(long)]
    model: Option<String>,
    /// Version of what is in it
    #[arg(long)]
    version: Option<String>,
    /// For people
    #[arg(long)]
    note: Option<String>,
}

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
pub struct Edit {
    /// Its id, or its name if no other has it
    file: String,
    /// Its name
    #[arg(long, group = "change")]
    name: Option<String>,
    /// firmware, configuration, upload or other
    #[arg(long, group = "change", value_parser = kind)]
    kind: Option<FileKind>,
    /// Maker of the devices it is for; empty removes it, as with the following
    #[arg(long, group = "change")]
    vendor: Option<String>,
    /// Model of the devices it is for
    #[arg(long, group = "change")]
    model: Option<String>,
    /// Version of what is in it
    #[arg(long, group = "change")]
    version: Option<String>,
    /// For people
    #[arg(long, group = "change")]
    note: Option<String>,
}

const OPTIONS: [(&str, &str); 7] = [
    ("name", "--name"),
    ("kind", "--kind"),
    ("vendor", "--vendor"),
    ("model", "--model"),
    ("version", "--version"),
    ("note", "--note"),
    ("sha256", "the checksum"),
];

pub async fn run(command: Command, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let json = connection.json;
    match command {
        Command::Put(args) => put(&client, args, json).await,
        Command::List { words, kind, part } => {
            let query = FileQuery {
                q: (!words.is_empty()).then(|| words.join(" ")),
                kind,
                ..FileQuery::default()
            };
            let query = api::query_pairs(&query);
            let page = part.fetch(&client, "file_list", &[], &query).await?;
            let header = ["id", "name", "kind", "model", "version", "bytes", "came"];
            output::list(&page, json, "files", header, |file: &File| {
                [
                    file.id.to_string(),
                    file.name.clone(),
                    output::word(&file.kind),
                    output::or_dash(file.model.as_deref()).to_owned(),
                    output::or_dash(file.version.as_deref()).to_owned(),
                    file.size.to_string(),
                    output::ago(Some(file.created_at)),
                ]
            })
        }
        Command::Show { file } => show(&find(&client, &file).await?, json),
        Command::Get {
            file,
            output,
            force,
        } => {
            let file = find(&client, &file).await?;
            get(&client, &file, output, force).await
        }
        Command::Edit(args) => {
            let file = find(&client, &args.file).await?;
            let body = FilePatch {
                name: args.name,
                kind: args.kind,
                vendor: args.vendor,
                model: args.model,
                version: args.version,
                note: args.note,
            };
            let changed = client
                .submit("file_update", &[&file.id.to_string()], &body)
                .await;
            show(&typed::options(changed, &OPTIONS)?, json)
        }
        Command::Delete { file, sure } => {
            let file = find(&client, &file).await?;
            sure.about(&format!("{} is removed for good.", file.name))?;
            client
                .perform("file_delete", &[&file.id.to_string()])
                .await?;
            output::done(json, &format!("removed {}", file.name));
            Ok(())
        }
    }
}

/// The one file that an id or a name means.
pub async fn find(client: &Client, text: &str) -> Result<File> {
    if text.parse::<uuid::Uuid>().is_ok() {
        return client.call("file_show", &[text], &[]).await;
    }
    let query = FileQuery {
        q: Some(text.to_owned()),
        limit: Some(500),
        ..FileQuery::default()
    };
    let page: Page<File> = client
        .call("file_list", &[], &api::query_pairs(&query))
        .await?;
    let mut found = page.items;
    found.retain(|file| file.name == text);
    match found.len() {
        0 => Err(Exit::error(
            Failure::NotFound,
            format!("there is no file {text}; `headend file list` shows them"),
        )),
        1 => Ok(found.swap_remove(0)),
        _ => {
            let ids: Vec<String> = found.iter().map(|file| file.id.to_string()).collect();
            let words = format!("several files are called {text}: {}", ids.join(", "));
            Err(Exit::error(Failure::Refused, words))
        }
    }
}

async fn put(client: &Client, args: Put, json: bool) -> Result<()> {
    let shown = args.path.display().to_string();
    let (size, sha256) = digest(&args.path).await.with_context(|| shown.clone())?;
    let own = args.path.file_name().and_then(|name| name.to_str());
    let query = FileUpload {
        name: args.name.or(own.map(str::to_owned)).unwrap_or_default(),
        kind: Some(args.kind),
        vendor: args.vendor,
        model: args.model,
        version: args.version,
        note: args.note,
        sha256: Some(sha256),
    };
    let query = api::query_pairs(&query);
    // A server that refuses hangs up in the middle of the bytes: who may not is told before.
    let few = [("limit".to_owned(), "1".to_owned())];
    let _: Page<File> = client.call("file_list", &[], &few).await?;
    let file = tokio::fs::File::open(&args.path).await.context(shown)?;
    let bar = progress(size);
    let counted = bar.clone();
    let bytes = futures_util::stream::unfold(file, move |mut file| {
        let bar = counted.clone();
        async move {
            let mut chunk = vec![0; CHUNK];
            match file.read(&mut chunk).await {
                Ok(0) => None,
                Ok(read) => {
                    chunk.truncate(read);
                    bar.inc(read as u64);
                    Some((Ok(chunk), file))
                }
                Err(error) => Some((Err(error), file)),
            }
        }
    });
    let body = reqwest::Body::wrap_stream(bytes);
    let made = client.send_bytes("file_upload", &query, size, body).await;
    bar.finish_and_clear();
    show(&typed::options(made, &OPTIONS)?, json)
}

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

async fn digest(path: &Path) -> Result<(u64, String)> {
    let mut file = tokio::fs::File::open(path).await?;
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = file.read(&mut chunk).await?;
        if read == 0 {
            return Ok((size, hex(&hash.finalize())));
        }
        hash.update(&chunk[..read]);
        size += read as u64;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn progress(size: u64) -> indicatif::ProgressBar {
    match std::io::stderr().is_terminal() {
        true => indicatif::ProgressBar::new(size),
        false => indicatif::ProgressBar::hidden(),
    }
}

async fn get(client: &Client, file: &File, output: Option<PathBuf>, force: bool) -> Result<()> {
    let mut bytes = client
        .bytes("file_content", &[&file.id.to_string()])
        .await?
        .bytes_stream();
    let mut hash = Sha256::new();
    if output.as_deref() == Some(Path::new("-")) {
        while let Some(chunk) = bytes.next().await {
            let chunk = chunk.context("the answer broke off")?;
            hash.update(&chunk);
            std::io::stdout().write_all(&chunk)?;
        }
        std::io::stdout().flush()?;
        return same(file, hash);
    }
    let path = match output {
        Some(path) if path.is_dir() => path.join(&file.name),
        Some(path) => path,
        None => PathBuf::from(&file.name),
    };
    let shown = path.display().to_string();
    if path.exists() && !force {
        let words = format!("{shown} is there already; --force writes over it");
        return Err(Exit::error(Failure::Usage, words));
    }
    // Whole or not at all: half a firmware must not look like one.
    let beside = path.with_file_name(format!(".{}.part", file.name));
    let mut into = tokio::fs::File::create(&beside)
        .await
        .with_context(|| beside.display().to_string())?;
    let bar = progress(file.size);
    let written = async {
        while let Some(chunk) = bytes.next().await {
            let chunk = chunk.context("the answer broke off")?;
            hash.update(&chunk);
            into.write_all(&chunk).await?;
            bar.inc(chunk.len() as u64);
        }
        into.sync_all().await?;
        same(file, hash)?;
        tokio::fs::rename(&beside, &path).await?;
        Ok(())
    }
    .await;
    bar.finish_and_clear();
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    } else {
        hint!("{shown}: {} bytes", file.size);
    }
    written
}

fn same(file: &File, hash: Sha256) -> Result<()> {
    let came = hex(&hash.finalize());
    match came == file.sha256 {
        true => Ok(()),
        false => {
            let words = format!(
                "what came is damaged: its SHA-256 is {came}, not {}",
                file.sha256
            );
            Err(Exit::error(Failure::Other, words))
        }
    }
}

fn show(file: &File, json: bool) -> Result<()> {
    if json {
        return output::json(file);
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let by = match (&file.created_by, file.device_id) {
        (Some(by), _) => by.clone(),
        (None, Some(device)) => format!("device {device}"),
        (None, None) => String::new(),
    };
    output::facts(&[
        ("id", file.id.to_string()),
        ("name", file.name.clone()),
        ("kind", output::word(&file.kind)),
        ("vendor", text(&file.vendor)),
        ("model", text(&file.model)),
        ("version", text(&file.version)),
        ("note", text(&file.note)),
        ("bytes", file.size.to_string()),
        ("sha256", file.sha256.clone()),
        ("came", output::ago(Some(file.created_at))),
        ("from", by),
    ]);
    Ok(())
}

fn kind(text: &str) -> Result<FileKind, String> {
    output::variant(text)
        .ok_or_else(|| "there are firmware, configuration, upload and other".to_owned())
}
