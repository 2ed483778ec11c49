//! Who a client of a broker that asks says it is.

use broker::Login;
use usp::EndpointId;

/// The name of a user who has nothing but a setup key.
pub(super) const SETUP: &str = "setup";

/// The reason of a client whose user name and client identifier say that it is two.
pub(super) const CONFLICT: &str = "endpoint-id-conflict";

/// What a user name says, and the client identifier beside it.
pub(super) struct User {
    pub login: Login,
    pub endpoint: Option<EndpointId>,
    /// Its client identifier is its endpoint id alone, which a device of another tenant may have, too.
    pub bare: bool,
}

impl User {
    /// Says what is wrong, by name and in words.
    pub fn parse(username: &str, client_id: &str) -> Result<Self, (&'static str, String)> {
        let (name, told) = match username.split_once("/setup/") {
            Some((tenant, endpoint)) => (&username[..tenant.len() + "/setup".len()], endpoint),
            None => (username, ""),
        };
        let login = Login::parse(name);
        let login = login.ok_or_else(|| ("bare-username", "a broker asked for it".to_owned()))?;
        let scoped = client_id.strip_prefix(login.tenant.as_str());
        let scoped = scoped.and_then(|rest| rest.strip_prefix('/'));
        let named = match (told, client_id) {
            ("", id) => scoped.unwrap_or(id),
            (told, "") => told,
            (told, id) if scoped.unwrap_or(id) == told => told,
            _ => {
                let detail =
                    format!("its user name is {username}, its client identifier {client_id}");
                return Err((CONFLICT, detail));
            }
        };
        let endpoint = match named {
            // A protocol without it: a device's own credential says which device it is.
            "" => None,
            id => Some(EndpointId::parse(id).map_err(|error| {
                let detail = format!(
                    "its user name is {username}, and its client identifier has to be one: {error}"
                );
                ("bad-endpoint-id", detail)
            })?),
        };
        Ok(Self {
            login,
            endpoint,
            bare: !client_id.is_empty() && scoped.is_none(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_name_and_a_client_identifier_say_together_who_comes() {
        let said = |username: &str, id: &str| {
            let user = User::parse(username, id).map_err(|(reason, _)| reason)?;
            let endpoint = user.endpoint.map(|endpoint| endpoint.to_string());
            let login = format!("{}/{}", user.login.tenant, user.login.name);
            Ok::<_, &str>((login, endpoint.unwrap_or_default(), user.bare))
        };
        let is =
            |login: &str, endpoint: &str, bare| Ok((login.to_owned(), endpoint.to_owned(), bare));
        let eid = "os::012345-A";
        assert_eq!(said("acme/setup", eid), is("acme/setup", eid, true));
        assert_eq!(
            said("acme/setup", "acme/os::012345-A"),
            is("acme/setup", eid, false)
        );
        assert_eq!(
            said("acme/setup/os::012345-A", ""),
            is("acme/setup", eid, false)
        );
        assert_eq!(
            said("acme/setup/os::012345-A", eid),
            is("acme/setup", eid, true)
        );
        assert_eq!(said("acme/0193", ""), is("acme/0193", "", false));
        for (username, id, reason) in [
            ("acme", eid, "bare-username"),
            ("acme/x/os::012345-A", "", "bare-username"),
            ("acme/setup", "other/os::012345-A", "bad-endpoint-id"),
            ("acme/setup/os::012345-A", "os::012345-B", CONFLICT),
            ("acme/setup/what", "", "bad-endpoint-id"),
        ] {
            assert_eq!(said(username, id), Err(reason), "{username} {id}");
            // Who tried is told.
            let told = User::parse(username, id).err().map(|(_, detail)| detail);
            let told = told.unwrap_or_default();
            assert!(
                told.contains(username) || reason == "bare-username",
                "{told}"
            );
        }
    }
}
