//! `user`: the people of a tenant who may sign in, and the roles they can have.

use super::confirm::Sure;
use super::part::Part;
use super::{Connection, client::Client, output, typed};
use crate::exit::{Exit, Failure};
use crate::remote::output::{hint, say};
use anyhow::Result;
use api::user::{Roles, User, UserCreate, UserPatch, UserWithPassword};
use uuid::Uuid;

#[derive(clap::Subcommand)]
pub enum Command {
    /// List the users of the tenant
    List {
        #[command(flatten)]
        part: Part,
    },
    /// Make a user; the one-time password is printed once
    Create {
        /// The login, usually an e-mail address
        login: String,
        /// What the user may do: a role of `headend user roles`
        #[arg(long)]
        role: String,
        /// The name to show [default: the login]
        #[arg(long)]
        name: Option<String>,
    },
    /// Show a user
    Show {
        /// The login or id
        user: String,
    },
    /// Change a user: name, role, whether signing in is barred
    #[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
    Edit {
        /// The login or id
        user: String,
        /// The name to show
        #[arg(long, group = "change")]
        name: Option<String>,
        /// What the user may do: a role of `headend user roles`
        #[arg(long, group = "change")]
        role: Option<String>,
        /// Bar signing in; ends the user's sign-ins and tokens at once
        #[arg(long, group = "change", conflicts_with = "enable")]
        disable: bool,
        /// Let the user sign in again
        #[arg(long, group = "change")]
        enable: bool,
    },
    /// Give a user a new one-time password; ends the user's sign-ins
    ResetPassword {
        /// The login or id
        user: String,
        #[command(flatten)]
        sure: Sure,
    },
    /// Remove a user with the user's sign-ins and tokens
    Delete {
        /// The login or id
        user: String,
        #[command(flatten)]
        sure: Sure,
    },
    /// List roles with what they may do, and all permissions
    Roles,
}

/// What the fields of the API are called here.
const NAMES: [(&str, &str); 4] = [
    ("login", "the login"),
    ("display_name", "--name"),
    ("role", "--role"),
    ("disabled", "--disable"),
];

pub async fn run(command: Command, connection: &Connection) -> Result<()> {
    let client = Client::new(connection)?;
    let json = connection.json;
    match command {
        Command::List { part } => {
            let page = part.fetch(&client, "user_list", &[], &[]).await?;
            let header = ["login", "name", "role", "last sign-in", "state", "id"];
            output::list(&page, json, "users", header, |user: &User| {
                [
                    user.login.clone(),
                    user.display_name.clone(),
                    role(user),
                    output::ago(user.last_sign_in_at),
                    state(user).to_owned(),
                    user.id.to_string(),
                ]
            })
        }
        Command::Create { login, role, name } => {
            let body = UserCreate {
                login,
                display_name: name,
                role,
            };
            let made = client.submit("user_create", &[], &body).await;
            password(&typed::options(made, &NAMES)?, json)
        }
        Command::Show { user } => show(&find(&client, &user).await?, json),
        Command::Edit {
            user,
            name,
            role,
            disable,
            enable,
        } => {
            let id = find(&client, &user).await?.id.to_string();
            let body = UserPatch {
                display_name: name,
                role,
                disabled: (disable || enable).then_some(disable),
            };
            let changed = client.submit("user_update", &[&id], &body).await;
            show(&typed::options(changed, &NAMES)?, json)
        }
        Command::ResetPassword { user, sure } => {
            let user = find(&client, &user).await?;
            sure.about(&format!("This ends the sign-ins of {}.", user.login))?;
            let id = user.id.to_string();
            let reset = client.call("user_password_reset", &[&id], &[]).await?;
            password(&reset, json)
        }
        Command::Delete { user, sure } => {
            let user = find(&client, &user).await?;
            let login = &user.login;
            sure.about(&format!("{login} goes, with all sign-ins and tokens."))?;
            client
                .perform("user_delete", &[&user.id.to_string()])
                .await?;
            output::done(json, &format!("removed {login}"));
            Ok(())
        }
        Command::Roles => {
            let roles: Roles = client.call("role_list", &[], &[]).await?;
            if json {
                return output::json(&roles);
            }
            for role in &roles.roles {
                let may: Vec<&str> = role.permissions.iter().map(|one| one.as_str()).collect();
                say!("{}: {}", role.id, role.description);
                say!("    {}\n", may.join(", "));
            }
            let mut table = output::table(&["permission", "allows to"]);
            for permission in &roles.permissions {
                table.add_row([permission.id.as_str(), permission.description.trim()]);
            }
            output::print(&table);
            Ok(())
        }
    }
}

/// By id, else by login among all users of the tenant.
async fn find(client: &Client, text: &str) -> Result<User> {
    if let Ok(id) = text.parse::<Uuid>() {
        return client.call("user_show", &[&id.to_string()], &[]).await;
    }
    let users = Part::first(usize::MAX)
        .fetch::<User>(client, "user_list", &[], &[])
        .await?;
    let same = |user: &User| user.login.to_lowercase() == text.to_lowercase();
    users.items.into_iter().find(same).ok_or_else(|| {
        let words = format!("no user has the login {text}; see `headend user list`");
        Exit::error(Failure::NotFound, words)
    })
}

fn password(made: &UserWithPassword, json: bool) -> Result<()> {
    if json {
        return output::json(made);
    }
    say!("{}", made.one_time_password);
    hint!(
        "This is the one-time password of {}: it is not shown again and has to be changed at the first sign-in.",
        made.user.login
    );
    Ok(())
}

fn show(user: &User, json: bool) -> Result<()> {
    if json {
        return output::json(user);
    }
    output::facts(&[
        ("login", user.login.clone()),
        ("name", user.display_name.clone()),
        ("role", role(user)),
        ("state", state(user).to_owned()),
        ("last sign-in", output::ago(user.last_sign_in_at)),
        ("made", output::ago(Some(user.created_at))),
        ("id", user.id.to_string()),
    ]);
    Ok(())
}

fn role(user: &User) -> String {
    match user.platform {
        true => format!("{}, platform", user.role),
        false => user.role.clone(),
    }
}

fn state(user: &User) -> &'static str {
    match (user.disabled, user.must_change_password) {
        (true, _) => "disabled",
        (false, true) => "one-time password",
        (false, false) => "active",
    }
}
