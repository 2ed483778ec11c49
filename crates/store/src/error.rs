//! What can go wrong in the store, in terms a caller can act on. It deliberately has no HTTP status and no SQL
//! text: the northbound handlers make their answer from these few words.

/// The result of every function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The row does not exist, or belongs to another tenant: the two are never told apart.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The row would collide with one that is there already.
    #[error("{what} exists already: {detail}")]
    Conflict {
        /// What collided, as a noun ("device identity").
        what: &'static str,
        /// Which one.
        detail: String,
    },
    /// Somebody else holds the lease, or has taken it over since.
    #[error("the lease on {0} is held by somebody else")]
    Fenced(&'static str),
    /// The change would leave nobody who administers the tenant, or the platform.
    #[error("{login} is the last administrator of the {of}; make another one first")]
    LastAdministrator {
        /// Whom the change was about.
        login: String,
        /// `tenant` or `platform`.
        of: &'static str,
    },
    /// A named limit of this crate was reached.
    #[error("{what} is limited to {max}")]
    LimitExceeded {
        /// What is limited.
        what: &'static str,
        /// The limit.
        max: u64,
    },
    /// The caller asked for something that has no meaning (a malformed cursor, an unknown sort column).
    #[error("{0}")]
    Invalid(String),
    /// A stored row cannot be read back: the database was changed by something else, or is damaged.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
    /// The database was written by a newer version of this program.
    #[error(
        "the database has schema {found}, made by a newer version of Headend; this version knows schema {known}. \
         Start the newer version, or restore a backup made before the upgrade"
    )]
    Newer {
        /// The schema of the database.
        found: i64,
        /// The newest schema that this version knows.
        known: i64,
    },
    /// The database cannot be reached or refused the work; the write may or may not have happened.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The database answered with an error that is a defect of ours.
    #[error("database error: {0}")]
    Database(#[source] Box<sqlx::Error>),
}

impl Error {
    /// Whether trying the same call again later may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Error::Unavailable(_))
    }

    /// A conflict on `what`, described by `detail`.
    pub(crate) fn conflict(what: &'static str, detail: impl Into<String>) -> Error {
        Error::Conflict {
            what,
            detail: detail.into(),
        }
    }

    /// Turns a collision with a unique index into a [`Error::Conflict`] on `what`; leaves the others alone.
    pub(crate) fn or_conflict(self, what: &'static str, detail: impl Into<String>) -> Error {
        match &self {
            Error::Database(error)
                if error
                    .as_database_error()
                    .is_some_and(|e| e.is_unique_violation()) =>
            {
                Error::conflict(what, detail)
            }
            _ => self,
        }
    }

    pub(crate) fn damaged(what: impl std::fmt::Display) -> Error {
        Error::Damaged(what.to_string())
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Error {
        match error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Error::Unavailable(error.to_string()),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                Error::Damaged(error.to_string())
            }
            // The server is shutting down, or ended this connection.
            sqlx::Error::Database(e) if e.code().is_some_and(|code| code.starts_with("57P")) => {
                Error::Unavailable(e.to_string())
            }
            other => Error::Database(Box::new(other)),
        }
    }
}
