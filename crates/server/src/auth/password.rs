//! Passwords of people: argon2id, hashed on blocking threads, a few at a time, the queue bounded.

use crate::limits;
use crate::problem::{Fail, Result, internal};
use api::ProblemKind;
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Hashes and checks passwords.
#[derive(Clone, Debug)]
pub struct Passwords {
    working: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    decoy: Arc<tokio::sync::OnceCell<String>>,
}

impl Passwords {
    /// Nothing is being hashed yet.
    pub fn new() -> Self {
        Self {
            working: Arc::new(Semaphore::new(limits::HASHES_AT_ONCE)),
            waiting: Arc::new(Semaphore::new(limits::HASHES_WAITING_MAX)),
            decoy: Arc::default(),
        }
    }

    /// The PHC string of a password.
    pub async fn hash(&self, password: String) -> Result<String> {
        self.work(move || {
            Argon2::default()
                .hash_password(password.as_bytes())
                .map(|hash: PasswordHash| hash.to_string())
        })
        .await?
        .map_err(internal)
    }

    /// Whether a password belongs to a PHC string. With none, it takes as long and is wrong: the
    /// time of an answer does not tell which logins exist.
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool> {
        let known = stored.is_some();
        let stored = match stored {
            Some(stored) => stored,
            None => self.decoy().await?,
        };
        let fits = self
            .work(move || {
                let hash = PasswordHash::new(&stored).map_err(|error| error.to_string())?;
                match Argon2::default().verify_password(password.as_bytes(), &hash) {
                    Ok(()) => Ok(true),
                    Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                    Err(error) => Err(error.to_string()),
                }
            })
            .await?
            .map_err(|error: String| internal(error))?;
        Ok(fits && known)
    }

    async fn decoy(&self) -> Result<String> {
        let made = self
            .decoy
            .get_or_try_init(|| self.hash(crate::secret::one_time_password()))
            .await?;
        Ok(made.clone())
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let busy = || {
            let mut fail = Fail::new(
                ProblemKind::Unavailable,
                "Too many people are signing in at this moment.",
            );
            fail.0.retry_after_seconds = Some(2);
            fail
        };
        let _queued = self
            .waiting
            .clone()
            .try_acquire_owned()
            .map_err(|_| busy())?;
        let turn = self
            .working
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| busy())?;
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        })
        .await
        .map_err(internal)
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

/// What is wrong with a new password, if anything.
pub fn weakness(password: &str, login: &str) -> Option<String> {
    let chars = password.chars().count();
    if chars < api::limits::PASSWORD_CHARS_MIN {
        return Some(format!(
            "has {chars} characters; {} is the least",
            api::limits::PASSWORD_CHARS_MIN
        ));
    }
    if chars > api::limits::PASSWORD_CHARS_MAX {
        return Some(format!(
            "has {chars} characters; {} is the most",
            api::limits::PASSWORD_CHARS_MAX
        ));
    }
    let lower = password.to_lowercase();
    let mut kinds: Vec<char> = lower.chars().collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.len() < 5 {
        return Some("repeats the same few characters".to_owned());
    }
    (!login.is_empty() && login.len() > 3 && lower.contains(&login.to_lowercase()))
        .then(|| "contains the login".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_hash_and_no_other() {
        let passwords = Passwords::new();
        let hash = passwords.hash("correct horse".into()).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(
            passwords
                .verify("correct horse".into(), Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .verify("wrong horse".into(), Some(hash))
                .await
                .unwrap()
        );
        assert!(!passwords.verify("anything".into(), None).await.unwrap());
    }

    #[tokio::test]
    async fn beyond_the_queue_signing_in_is_unavailable_instead_of_piling_up() {
        let passwords = Passwords::new();
        let _full = passwords
            .waiting
            .acquire_many(limits::HASHES_WAITING_MAX as u32)
            .await
            .unwrap();
        let fail = passwords.hash("whatever it is".into()).await.unwrap_err();
        assert_eq!(fail.0.kind, ProblemKind::Unavailable);
    }

    #[tokio::test]
    async fn so_many_passwords_are_hashed_at_once_and_the_next_waits() {
        let passwords = Passwords::new();
        let all = u32::try_from(limits::HASHES_AT_ONCE).unwrap();
        let busy = passwords.working.clone().acquire_many_owned(all).await;
        let mut waiting = Box::pin(passwords.hash("whatever it is".into()));
        let early = tokio::time::timeout(std::time::Duration::from_millis(50), &mut waiting);
        assert!(early.await.is_err());
        drop(busy);
        assert!(waiting.await.is_ok());
    }

    #[test]
    fn weak_passwords_are_named() {
        for (password, word) in [
            ("short", "least"),
            ("aaaaaaaaaaaaaaaa", "repeats"),
            ("my-admin-password", "login"),
        ] {
            assert!(
                weakness(password, "admin").unwrap().contains(word),
                "{password}"
            );
        }
        assert!(
            weakness(&"long enough ".repeat(30), "admin")
                .unwrap()
                .contains("most")
        );
        assert_eq!(weakness("a quiet long sentence", "admin"), None);
    }
}
