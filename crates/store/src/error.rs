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
    #[error("{what}: {max} is the most")]
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
            sqlx::Error::Database(e) => match e.code().map_or(Cause::Ours, |code| cause(&code)) {
                Cause::Machine => Error::Unavailable(e.to_string()),
                Cause::Damage => Error::Damaged(e.to_string()),
                Cause::Ours => Error::Database(Box::new(sqlx::Error::Database(e))),
            },
            other => Error::Database(Box::new(other)),
        }
    }
}

/// What an error of the database comes from.
#[derive(Debug, PartialEq, Eq)]
enum Cause {
    /// The machine, the server or its load: trying again may help.
    Machine,
    /// What is stored is damaged.
    Damage,
    /// The statement.
    Ours,
}

/// SQLSTATE has five characters (PostgreSQL, appendix A); SQLite's extended codes are shorter numbers whose lowest
/// byte is the kind (sqlite.org/rescode.html).
fn cause(code: &str) -> Cause {
    if code.len() == 5 {
        return match code.get(..2) {
            // Connection, transaction to be repeated, no room or memory, asked to stop, the machine beneath it.
            Some("08" | "40" | "53" | "57" | "58") => Cause::Machine,
            Some("XX") if code != "XX000" => Cause::Damage,
            // A standby that only reads, a lock that was not got in time.
            _ if matches!(code, "25006" | "55P03") => Cause::Machine,
            _ => Cause::Ours,
        };
    }
    match code.parse::<u32>().map(|code| code & 0xff) {
        // Busy, locked, no memory, read-only, input or output, full, cannot be opened.
        Ok(5 | 6 | 7 | 8 | 10 | 13 | 14) => Cause::Machine,
        // Corrupt, not a database.
        Ok(11 | 26) => Cause::Damage,
        _ => Cause::Ours,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_does_is_told_from_what_we_did() {
        for (code, expected) in [
            ("13", Cause::Machine),
            ("778", Cause::Machine),
            ("8", Cause::Machine),
            ("1032", Cause::Machine),
            ("53100", Cause::Machine),
            ("57P01", Cause::Machine),
            ("57014", Cause::Machine),
            ("25006", Cause::Machine),
            ("40001", Cause::Machine),
            ("08006", Cause::Machine),
            ("11", Cause::Damage),
            ("XX001", Cause::Damage),
            ("XX000", Cause::Ours),
            ("42601", Cause::Ours),
            ("23505", Cause::Ours),
            ("2067", Cause::Ours),
            ("1", Cause::Ours),
        ] {
            assert_eq!(cause(code), expected, "{code}");
        }
    }
}
