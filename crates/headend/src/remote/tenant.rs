//! `tenant`: the walls between customers of one installation.

use super::confirm::Sure;
use super::part::Part;
use super::{Connection, client::Client, output, typed};
use anyhow::Result;
use api::tenant::{Tenant, TenantCreate, TenantPatch};

#[derive(clap::Subcommand)]
pub enum Command {
    /// List the tenants you may act in
    List {
        #[command(flatten)]
        part: Part,
    },
    /// Make a tenant; choose it with --tenant or HEADEND_TENANT to act in it
    Create {
        /// Its id for ever: lower-case letters, digits and hyphens, at most 32
        id: String,
        /// The name to show [default: the id]
        #[arg(long)]
        name: Option<String>,
    },
    /// Show a tenant
    Show {
        /// Its id
        id: String,
    },
    /// Give a tenant another name; its id stays
    Rename {
        /// Its id
        id: String,
        /// The name to show
        name: String,
    },
    /// Shut out the tenant's devices and people; nothing is removed
    Disable {
        /// Its id
        id: String,
        #[command(flatten)]
        sure: Sure,
    },
    /// Let the tenant's devices and people in again
    Enable {
        /// Its id
        id: String,
    },
}

pub async fn run(command: Command, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let json = connection.json;
    match command {
        Command::List { part } => {
            let page = part.fetch(&client, "tenant_list", &[], &[]).await?;
            let header = ["id", "name", "state", "made"];
            output::list(&page, json, "tenants", header, |tenant: &Tenant| {
                [
                    tenant.id.clone(),
                    tenant.name.clone(),
                    state(tenant),
                    output::ago(Some(tenant.created_at)),
                ]
            })
        }
        Command::Create { id, name } => {
            let body = TenantCreate {
                name: name.unwrap_or_else(|| id.clone()),
                id,
            };
            let made = client.submit("tenant_create", &[], &body).await;
            let names = [("id", "the id"), ("name", "--name")];
            show(&typed::options(made, &names)?, json)
        }
        Command::Show { id } => show(&client.call("tenant_show", &[&id], &[]).await?, json),
        Command::Rename { id, name } => {
            let body = TenantPatch {
                name: Some(name),
                disabled: None,
            };
            let changed = client.submit("tenant_update", &[&id], &body).await;
            show(&typed::options(changed, &[("name", "the name")])?, json)
        }
        Command::Disable { id, sure } => {
            sure.about(&format!("All devices and people of {id} are shut out."))?;
            show(&bar(&client, &id, true).await?, json)
        }
        Command::Enable { id } => show(&bar(&client, &id, false).await?, json),
    }
}

async fn bar(client: &Client, id: &str, disabled: bool) -> Result<Tenant> {
    let body = TenantPatch {
        name: None,
        disabled: Some(disabled),
    };
    client.submit("tenant_update", &[id], &body).await
}

fn state(tenant: &Tenant) -> String {
    match tenant.disabled_at {
        Some(at) => format!("disabled {}", output::ago(Some(at))),
        None => "active".to_owned(),
    }
}

fn show(tenant: &Tenant, json: bool) -> Result<()> {
    if json {
        return output::json(tenant);
    }
    output::facts(&[
        ("id", tenant.id.clone()),
        ("name", tenant.name.clone()),
        ("state", state(tenant)),
        ("made", output::ago(Some(tenant.created_at))),
    ]);
    Ok(())
}
