//! Who may do what: permissions down to the verb, roles, token scopes, platform and tenant.
//!
//! Deciding only; passwords, tokens and sessions live in the server.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::id::{TenantId, TokenId, UserId};

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The right to do one kind of thing.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Permission {
            $($(#[$doc])* $name,)*
        }

        impl Permission {
            /// All permissions.
            pub const ALL: &'static [Permission] = &[$(Self::$name,)*];

            /// Its name in scopes and in the API.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

permissions! {
    /// See devices, their values and models.
    DeviceRead = "device:read",
    /// Register, rename and remove devices.
    DeviceWrite = "device:write",
    /// See operations and their transcripts.
    OperationRead = "operation:read",
    /// Run operations of every verb, and cancel them.
    OperationRun = "operation:run",
    /// Run operations that read from a device (get, discover).
    OperationGet = "operation:get",
    /// Run operations that change values.
    OperationSet = "operation:set",
    /// Run operations that add rows.
    OperationAdd = "operation:add",
    /// Run operations that delete rows.
    OperationDelete = "operation:delete",
    /// Run commands on devices.
    OperationOperate = "operation:operate",
    /// See files and their descriptions.
    FileRead = "file:read",
    /// Get what is in files; backups of devices hold passwords.
    FileDownload = "file:download",
    /// Put, describe and remove files.
    FileWrite = "file:write",
    /// Read the event log and the live stream.
    EventRead = "event:read",
    /// See setup keys (never their secret).
    SetupKeyRead = "setup-key:read",
    /// Make and revoke setup keys.
    SetupKeyWrite = "setup-key:write",
    /// See certificates of devices, and the authority that issues them.
    CertificateRead = "certificate:read",
    /// Issue, rotate and revoke certificates of devices.
    CertificateWrite = "certificate:write",
    /// Make and revoke one's own API tokens.
    TokenWrite = "token:write",
    /// See users.
    UserRead = "user:read",
    /// Make, change and remove users.
    UserWrite = "user:write",
    /// See the tenant.
    TenantRead = "tenant:read",
    /// Change the tenant.
    TenantWrite = "tenant:write",
    /// Make and remove tenants, see what belongs to none.
    PlatformWrite = "platform:write",
    /// See why devices are not seen, and refused connections.
    DoctorRead = "doctor:read",
    /// See version, listeners and limits.
    SystemRead = "system:read",
}

impl FromStr for Permission {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .iter()
            .copied()
            .find(|p| p.as_str() == text)
            .ok_or(())
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an operation does to a device; each verb is a permission of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Read from the device.
    Get,
    /// Change values.
    Set,
    /// Add rows.
    Add,
    /// Delete rows.
    Delete,
    /// Run a command.
    Operate,
}

impl Verb {
    /// All verbs.
    pub const ALL: [Verb; 5] = [Self::Get, Self::Set, Self::Add, Self::Delete, Self::Operate];

    /// The permission it needs.
    pub fn permission(self) -> Permission {
        match self {
            Self::Get => Permission::OperationGet,
            Self::Set => Permission::OperationSet,
            Self::Add => Permission::OperationAdd,
            Self::Delete => Permission::OperationDelete,
            Self::Operate => Permission::OperationOperate,
        }
    }
}

/// A named set of permissions within a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Everything in the tenant.
    Administrator,
    /// Runs the fleet: devices, operations, but no users and no setup keys.
    Operator,
    /// Helps customers: reads, and runs operations.
    Support,
    /// Reads.
    Viewer,
}

impl Role {
    /// All roles, strongest first.
    pub const ALL: [Role; 4] = [
        Self::Administrator,
        Self::Operator,
        Self::Support,
        Self::Viewer,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Operator => "operator",
            Self::Support => "support",
            Self::Viewer => "viewer",
        }
    }

    /// Whether it grants a permission.
    pub fn grants(self, permission: Permission) -> bool {
        use Permission as P;
        match self {
            Self::Administrator => permission != P::PlatformWrite,
            Self::Operator => !matches!(
                permission,
                P::PlatformWrite
                    | P::TenantWrite
                    | P::UserWrite
                    | P::SetupKeyWrite
                    | P::CertificateWrite
            ),
            Self::Support => matches!(
                permission,
                P::DeviceRead
                    | P::OperationRead
                    | P::OperationRun
                    | P::OperationGet
                    | P::OperationSet
                    | P::OperationAdd
                    | P::OperationDelete
                    | P::OperationOperate
                    | P::FileRead
                    | P::EventRead
                    | P::TokenWrite
                    | P::DoctorRead
                    | P::SystemRead
                    | P::TenantRead
            ),
            Self::Viewer => matches!(
                permission,
                P::DeviceRead
                    | P::OperationRead
                    | P::FileRead
                    | P::EventRead
                    | P::TokenWrite
                    | P::DoctorRead
                    | P::SystemRead
                    | P::TenantRead
            ),
        }
    }

    /// The permissions it grants.
    pub fn permissions(self) -> impl Iterator<Item = Permission> {
        Permission::ALL
            .iter()
            .copied()
            .filter(move |p| self.grants(*p))
    }
}

impl FromStr for Role {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|r| r.as_str() == text).ok_or(())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a token may at most do; its user's role still limits it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes(BTreeSet<Permission>);

impl Scopes {
    /// Takes names; the error is the first that is none.
    pub fn parse<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Result<Self, String> {
        let mut set = BTreeSet::new();
        for name in names {
            let name = name.as_ref();
            set.insert(name.parse().map_err(|()| name.to_owned())?);
        }
        Ok(Self(set))
    }

    /// Whether it covers a permission: `operation:run` covers every verb.
    pub fn covers(&self, permission: Permission) -> bool {
        self.0.contains(&permission)
            || (is_verb(permission) && self.0.contains(&Permission::OperationRun))
    }

    /// The permissions in it.
    pub fn iter(&self) -> impl Iterator<Item = Permission> {
        self.0.iter().copied()
    }
}

fn is_verb(permission: Permission) -> bool {
    Verb::ALL.iter().any(|v| v.permission() == permission)
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The tenant the user belongs to.
    pub tenant: TenantId,
    /// The user.
    pub user: UserId,
    /// The user's sign-in name, for the log.
    pub login: String,
    /// The token it asks with, if it is not a session.
    pub token: Option<TokenId>,
    /// The user's role.
    pub role: Role,
    /// Platform administrator: every tenant, everything.
    pub platform: bool,
    /// The token's scopes; `None` for a session.
    pub scopes: Option<Scopes>,
}

/// What a question of access leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allowed,
    /// No, and nothing may show that the thing exists (404).
    Invisible,
    /// No (403).
    Forbidden,
}

impl Principal {
    /// Whether role and scopes grant it, in the principal's own tenants. `operation:run` is
    /// granted too when any single verb is: the verb is asked for by [`Principal::allows_verb`].
    pub fn allows(&self, permission: Permission) -> bool {
        let granted = self.platform || self.role.grants(permission);
        let covered = match &self.scopes {
            None => true,
            Some(scopes) => {
                scopes.covers(permission)
                    || (permission == Permission::OperationRun
                        && Verb::ALL.iter().any(|v| scopes.covers(v.permission())))
            }
        };
        granted && covered
    }

    /// Whether it holds a permission in full and so may hand it on: a token that may run one verb
    /// does not hold `operation:run`.
    pub fn holds(&self, permission: Permission) -> bool {
        (self.platform || self.role.grants(permission))
            && self
                .scopes
                .as_ref()
                .is_none_or(|one| one.covers(permission))
    }

    /// Whether it may give a role to somebody, or change somebody who has it: whoever does holds all
    /// that the role grants. The error is the first permission that is missing.
    pub fn may_grant(&self, role: Role) -> Result<(), Permission> {
        match role.permissions().find(|one| !self.holds(*one)) {
            None => Ok(()),
            Some(missing) => Err(missing),
        }
    }

    /// Whether it may run operations of this verb.
    pub fn allows_verb(&self, verb: Verb) -> bool {
        self.allows(verb.permission())
    }

    /// Whether it may do something in a tenant. Another tenant's things do not exist for it.
    pub fn decide(&self, tenant: &TenantId, permission: Permission) -> Decision {
        if !self.sees(tenant) {
            Decision::Invisible
        } else if self.allows(permission) {
            Decision::Allowed
        } else {
            Decision::Forbidden
        }
    }

    /// Whether a tenant exists for it.
    pub fn sees(&self, tenant: &TenantId) -> bool {
        self.platform || self.tenant == *tenant
    }

    /// How the log names it.
    pub fn actor(&self) -> String {
        match self.token {
            Some(token) => format!("user:{} token:{token}", self.login),
            None => format!("user:{}", self.login),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(role: Role, platform: bool, scopes: Option<&[&str]>) -> Principal {
        Principal {
            tenant: TenantId::parse("acme").unwrap(),
            user: UserId(uuid::Uuid::nil()),
            login: "ann".into(),
            token: None,
            role,
            platform,
            scopes: scopes.map(|s| Scopes::parse(s).unwrap()),
        }
    }

    #[test]
    fn another_tenants_things_do_not_exist() {
        let other = TenantId::parse("other").unwrap();
        let ann = principal(Role::Administrator, false, None);
        assert_eq!(
            ann.decide(&other, Permission::DeviceRead),
            Decision::Invisible
        );
        assert_eq!(
            ann.decide(&ann.tenant.clone(), Permission::DeviceRead),
            Decision::Allowed
        );
        let root = principal(Role::Administrator, true, None);
        assert_eq!(
            root.decide(&other, Permission::DeviceRead),
            Decision::Allowed
        );
    }

    #[test]
    fn only_platform_administrators_touch_the_platform() {
        for role in Role::ALL {
            assert!(!principal(role, false, None).allows(Permission::PlatformWrite));
        }
        assert!(principal(Role::Viewer, true, None).allows(Permission::PlatformWrite));
    }

    #[test]
    fn each_role_grants_no_more_than_the_one_above() {
        for pair in Role::ALL.windows(2) {
            for permission in pair[1].permissions() {
                assert!(pair[0].grants(permission), "{} {permission}", pair[0]);
            }
        }
        for verb in Verb::ALL {
            assert!(!Role::Viewer.grants(verb.permission()));
        }
    }

    #[test]
    fn scopes_only_take_away() {
        let viewer = principal(Role::Viewer, false, Some(&["operation:run", "device:read"]));
        assert!(!viewer.allows(Permission::OperationRun));
        assert!(viewer.allows(Permission::DeviceRead));
        assert!(!viewer.allows(Permission::EventRead));
        let root = principal(Role::Administrator, true, Some(&["device:read"]));
        assert!(!root.allows(Permission::PlatformWrite));
        assert_eq!(Scopes::parse(["device:red"]), Err("device:red".to_owned()));
    }

    #[test]
    fn a_token_can_be_cut_down_to_one_verb() {
        let token = principal(Role::Administrator, false, Some(&["operation:get"]));
        assert!(token.allows(Permission::OperationRun));
        assert!(token.allows_verb(Verb::Get));
        assert!(!token.allows_verb(Verb::Set));
        let token = principal(Role::Administrator, false, Some(&["operation:run"]));
        assert!(token.allows_verb(Verb::Operate));
    }

    #[test]
    fn nobody_grants_more_than_they_hold() {
        for role in Role::ALL {
            let who = principal(role, false, None);
            for other in Role::ALL {
                // Strongest first.
                assert_eq!(
                    who.may_grant(other).is_ok(),
                    role <= other,
                    "{role} {other}"
                );
            }
        }
        let token = principal(
            Role::Administrator,
            true,
            Some(&["operation:get", "user:write"]),
        );
        assert!(token.allows(Permission::OperationRun) && !token.holds(Permission::OperationRun));
        assert!(token.holds(Permission::OperationGet));
        assert_eq!(token.may_grant(Role::Viewer), Err(Permission::DeviceRead));
    }

    #[test]
    fn names_read_back() {
        for p in Permission::ALL {
            assert_eq!(p.as_str().parse(), Ok(*p));
        }
        for r in Role::ALL {
            assert_eq!(r.as_str().parse(), Ok(r));
        }
    }
}
