//! Looking at one device: what it is, how it can be reached, what happened to it, what it said.

use super::{act, find};
use crate::remote::output::{hint, say};
use crate::remote::part::Part;
use crate::remote::{Connection, client::Client, events, output};
use anyhow::Result;
use api::device::{Device, DeviceDetail, Presence};
use api::event::{Event, TimelineQuery};
use api::reach::{QuirkPack, Reach, ReachMethod, WakeCredential, WakeCredentialSource, Woken};
use api::value::{Value, ValueQuery};

#[derive(clap::Args)]
pub struct Timeline {
    /// An id, or anything that finds exactly one
    device: String,
    /// Only this kind, or with a dot at its end all that begin so; may be repeated
    #[arg(long)]
    kind: Vec<String>,
    #[command(flatten)]
    part: Part,
}

#[derive(clap::Args)]
pub struct Values {
    /// An id, or anything that finds exactly one
    device: String,
    /// A parameter, or an object with everything below it [default: everything]
    path: Option<String>,
    /// Only where path or value contain this
    #[arg(long)]
    search: Option<String>,
    #[command(flatten)]
    part: Part,
}

pub async fn detail(device: &str, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let found = find(&client, device).await?;
    let detail = client
        .call("device_show", &[&found.id.to_string()], &[])
        .await?;
    print(&detail, connection.json)
}

pub async fn reach(device: &str, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let found = find(&client, device).await?;
    let reach: Reach = client
        .call("device_reach", &[&found.id.to_string()], &[])
        .await?;
    if connection.json {
        return output::json(&reach);
    }
    say!("{}: {}", found.name, in_words(&reach.presence));
    if let Some(reason) = &reach.likely_reason {
        say!("{reason}");
    }
    if let Some(advice) = &reach.advice {
        say!("-> {advice}");
    }
    for path in &reach.paths {
        match path.protocol == path.transport {
            true => say!("\n{}", path.protocol),
            false => say!("\n{} over {}", path.protocol, path.transport),
        }
        let state = match (path.connected, path.connected_since, path.disconnected_at) {
            (true, since, _) => format!("open since {}", output::ago(since)),
            (false, _, Some(at)) => format!("closed {}", output::ago(Some(at))),
            (false, _, None) => "never open".to_owned(),
        };
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let mut rows = vec![
            ("identity", path.identity.clone()),
            ("state", state),
            ("peer", text(&path.peer)),
            ("credential", text(&path.credential)),
            (
                "encrypted",
                path.tls.map_or("not known", output::yes).to_owned(),
            ),
        ];
        if let Some(choice) = &path.choice {
            rows.push(("requests", choice.clone()));
        }
        if let Some(of) = &path.session_context {
            let up = if of.up {
                "in use"
            } else {
                "about to be opened"
            };
            let end_to_end = if of.encrypted {
                ", encrypted end to end"
            } else {
                ""
            };
            rows.push(("session context", format!("{up}{end_to_end}")));
        }
        if let Some(why) = &path.disconnect_reason {
            rows.push(("closed because", why.clone()));
        }
        if path.expected_by.is_some() {
            rows.push(("last came", output::ago(path.evidence_at)));
            rows.push(("expected", output::until(path.expected_by)));
        }
        let words = |one: &ReachMethod| match &one.address {
            Some(address) => format!("{} at {address}", one.method),
            None => one.method.clone(),
        };
        let usable = path.methods.iter().filter(|one| one.problem.is_none());
        let methods: Vec<String> = usable.map(words).collect();
        if !methods.is_empty() {
            rows.push(("reached by", methods.join(", ")));
        }
        for method in &path.methods {
            if let Some(problem) = &method.problem {
                rows.push(("not reached by", format!("{}: {problem}", words(method))));
            }
        }
        for pack in &path.quirk_packs {
            rows.push(("quirk pack", quirk_pack(pack)));
        }
        if let Some(url) = &path.dial_url {
            rows.push(("dialled at", url.clone()));
        }
        for attempt in &path.attempts {
            let words = format!(
                "{}, {} to {} ({} ms): {}",
                output::ago(Some(attempt.at)),
                attempt.method,
                attempt.address,
                attempt.took_ms,
                attempt.words
            );
            rows.push(("attempt", words));
        }
        output::facts(&rows);
    }
    for refusal in &reach.refusals {
        say!(
            "\nturned away {} from {}: {}",
            output::ago(Some(refusal.at)),
            refusal.peer,
            refusal.words
        );
    }
    say!("\nwake: {}", reach.wake.words);
    if let Some(credential) = &reach.wake_credential {
        say!("asked with: {}", asked_with(credential));
    }
    Ok(())
}

fn quirk_pack(pack: &QuirkPack) -> String {
    let own = if pack.shipped { "" } else { " (your own)" };
    let mut words = format!("{}{own}: {}", pack.name, pack.says.join(", "));
    words.push_str(&format!("; {}", pack.why));
    for link in &pack.source {
        words.push_str(&format!(" <{link}>"));
    }
    words
}

fn asked_with(credential: &WakeCredential) -> String {
    let user = credential.username.as_deref().unwrap_or_default();
    match credential.source {
        WakeCredentialSource::Ours => format!("a password of ours, as user {user}"),
        WakeCredentialSource::Entered => {
            let by = credential.entered_by.as_ref();
            format!(
                "the device's own password, as user {user}, entered {} by {}",
                output::ago(credential.entered_at),
                by.map_or("somebody", |by| by.name.as_str())
            )
        }
        WakeCredentialSource::None => {
            "no password: it has none of ours (yet), and nobody entered its own".to_owned()
        }
    }
}

pub async fn wake(device: &str, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let id = find(&client, device).await?.id.to_string();
    let woken: Woken = client.call("device_wake", &[&id], &[]).await?;
    if connection.json {
        return output::json(&woken);
    }
    say!("{}", woken.words);
    Ok(())
}

pub async fn timeline(args: Timeline, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let id = find(&client, &args.device).await?.id.to_string();
    let query = api::query_pairs(&TimelineQuery {
        kind: args.kind,
        ..TimelineQuery::default()
    });
    let page = args
        .part
        .fetch::<Event>(&client, "device_timeline", &[&id], &query)
        .await?;
    if connection.json {
        return output::json(&page);
    }
    if page.items.is_empty() {
        hint!("no events");
    }
    for event in &page.items {
        events::print(event, false)?;
    }
    Ok(())
}

pub async fn values(args: Values, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let id = find(&client, &args.device).await?.id.to_string();
    let query = |path: Option<String>| {
        api::query_pairs(&ValueQuery {
            path,
            q: args.search.clone(),
            ..ValueQuery::default()
        })
    };
    let asked = query(args.path.clone());
    let mut page = args
        .part
        .fetch::<Value>(&client, "device_values", &[&id], &asked)
        .await?;
    // An object whose dot was left out looks like a parameter that has no value.
    if let (true, Some(path)) = (page.items.is_empty(), &args.path) {
        let asked = query(act::object(path).ok());
        page = args
            .part
            .fetch(&client, "device_values", &[&id], &asked)
            .await?;
    }
    let header = ["path", "value", "read", "how"];
    output::list(&page, connection.json, "values", header, |value: &Value| {
        [
            value.path.clone(),
            output::or_dash(Some(&value.value)).to_owned(),
            output::ago(Some(value.at)),
            value.source.clone(),
        ]
    })
}

/// Prints a device with everything known about it but its values.
pub fn print(detail: &DeviceDetail, json: bool) -> Result<()> {
    if json {
        return output::json(detail);
    }
    show(detail);
    Ok(())
}

/// The same for people.
pub fn show(detail: &DeviceDetail) {
    let device = &detail.device;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let values = match detail.values_known {
        0 => "none".to_owned(),
        known => format!("{known}, the newest {}", output::ago(detail.values_at)),
    };
    let mut rows = vec![
        ("name", device.name.clone()),
        ("id", device.id.to_string()),
        ("presence", in_words(&device.presence)),
        ("manufacturer", text(&device.manufacturer)),
        ("model", text(&device.model)),
        ("serial", text(&device.serial)),
        ("software", text(&device.software_version)),
        ("address", text(&device.ip)),
        ("last boot", booted(device)),
        ("protocol", spoken(detail)),
        ("tags", device.tags.join(", ")),
        ("admission", detail.admission.words.clone()),
        ("values known", values),
        ("open operations", detail.open_operations.to_string()),
    ];
    if let Some(url) = &detail.dial_url {
        rows.push(("dialled at", url.clone()));
    }
    if detail.admission.certificate_required {
        rows.push(("certificate", "required".to_owned()));
    }
    for identity in &detail.identities {
        rows.push((identity.kind.as_str(), identity.shown.clone()));
    }
    output::facts(&rows);
}

fn spoken(detail: &DeviceDetail) -> String {
    let names: Vec<String> = detail
        .device
        .protocols
        .iter()
        .map(|name| name.to_uppercase())
        .collect();
    match (names.as_slice(), &detail.protocol_version) {
        ([], _) => "not known".to_owned(),
        ([one], Some(version)) => format!("{one} {version}"),
        (all, _) => all.join(", "),
    }
}

fn booted(device: &Device) -> String {
    match device.last_boot_at {
        Some(at) => output::ago(Some(at)),
        None => "not known".to_owned(),
    }
}

fn in_words(presence: &Presence) -> String {
    let word = output::word(&presence.word);
    match (presence.evidence_at, presence.evidence_source.as_deref()) {
        (None, _) => word,
        (at, source) => format!(
            "{word}, {} {}",
            source.unwrap_or("last seen"),
            output::ago(at)
        ),
    }
}
