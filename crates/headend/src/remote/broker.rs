//! `broker`: what a broker of somebody else is told of the devices here.

use super::{Connection, client::Client, output, part::Part};
use anyhow::{Result, bail};
use api::device::Device;
use api::session::Session;
use std::fmt::Write as _;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Print the access control list of Mosquitto (`acl_file`) for the USP devices of a tenant
    ///
    /// Each device gets a user TENANT/DEVICE with its own two topics, and nothing else. Write it to a file, send
    /// Mosquitto SIGHUP, and do it again when devices come or go. Passwords are Mosquitto's business: see
    /// mosquitto_passwd, or client certificates with that user as their common name.
    Mosquitto(Mosquitto),
}

#[derive(clap::Args)]
pub struct Mosquitto {
    /// What all topics begin with
    #[arg(long, default_value = "usp")]
    prefix: String,
    /// The user as whom the server comes; an empty one leaves it out, for all tenants but one
    #[arg(long, default_value = "headend")]
    server_user: String,
}

pub async fn run(command: Command, connection: &Connection) -> Result<()> {
    let Command::Mosquitto(args) = command;
    let client = Client::new(connection)?;
    let session: Session = client.call("session_show", &[], &[]).await?;
    let all = Part::first(usize::MAX);
    let page = all
        .fetch::<Device>(&client, "device_list", &[], &[])
        .await?;
    let devices = page.items.iter().map(|device| {
        let endpoints = device.endpoint_ids.iter().map(String::as_str);
        (device.id.to_string(), endpoints.collect())
    });
    let devices: Vec<(String, Vec<&str>)> = devices.collect();
    let tenant = connection.tenant.as_deref().unwrap_or(&session.tenant.id);
    let acl = acl(&args.prefix, &args.server_user, tenant, &devices)?;
    if connection.json {
        return output::json(&serde_json::json!({ "acl": acl }));
    }
    print!("{acl}");
    Ok(())
}

/// The list. What would mean more than it says is an error: a name with a wildcard reaches others.
fn acl(
    prefix: &str,
    server: &str,
    tenant: &str,
    devices: &[(String, Vec<&str>)],
) -> Result<String> {
    let plain = |text: &str| {
        let wild = |c: char| matches!(c, '+' | '#') || c.is_whitespace() || c.is_control();
        !text.is_empty() && !text.contains(wild)
    };
    if !plain(prefix) || !plain(tenant) {
        bail!("neither prefix nor tenant may have a wildcard or a space: {prefix:?}, {tenant:?}");
    }
    let mut list = String::new();
    if !server.is_empty() {
        if !plain(server) {
            bail!("no user name: {server:?}");
        }
        write!(
            list,
            "user {server}\ntopic read {prefix}/+/controller/+/#\ntopic write {prefix}/+/agent/+/#\n"
        )?;
    }
    for (id, endpoints) in devices {
        if endpoints.is_empty() {
            continue;
        }
        write!(list, "\nuser {tenant}/{id}\n")?;
        for endpoint in endpoints {
            if !plain(endpoint) || endpoint.contains('/') {
                bail!(
                    "Mosquitto cannot be told of the endpoint id {endpoint:?}: it is no plain name"
                );
            }
            write!(
                list,
                "topic write {prefix}/{tenant}/controller/{endpoint}/#\n\
                 topic read {prefix}/{tenant}/agent/{endpoint}/#\n"
            )?;
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_device_has_its_own_topics_and_no_others() {
        let devices = [
            ("d1".to_owned(), vec!["os::012345-A"]),
            ("cwmp-only".to_owned(), vec![]),
        ];
        let list = acl("usp", "headend", "acme", &devices).unwrap();
        assert_eq!(
            list,
            "user headend\ntopic read usp/+/controller/+/#\ntopic write usp/+/agent/+/#\n\
             \nuser acme/d1\ntopic write usp/acme/controller/os::012345-A/#\n\
             topic read usp/acme/agent/os::012345-A/#\n"
        );
        let without = acl("usp", "", "acme", &devices).unwrap();
        assert!(!without.contains("headend"), "{without}");
    }

    #[test]
    fn a_name_that_would_open_more_than_its_own_is_refused() {
        for endpoint in [
            "os::012345-+",
            "os::012345-A/#",
            "os::0 A",
            "a/b",
            "x\ntopic #",
        ] {
            let devices = [("d1".to_owned(), vec![endpoint])];
            assert!(
                acl("usp", "headend", "acme", &devices).is_err(),
                "{endpoint}"
            );
        }
        assert!(acl("usp/#", "headend", "acme", &[]).is_err());
        assert!(acl("usp", "headend\nuser x", "acme", &[]).is_err());
    }
}
