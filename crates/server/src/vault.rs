//! The master key, which is kept outside the database: passwords of devices are derived from it, and the few secrets
//! that have to be read back are sealed with it. A copy of the database alone gives none of them away.
//!
//! It is 32 random bytes as 64 hexadecimal digits in a file that its owner alone may read: `master.key` in the data
//! folder, made at the first start, or the file that `secrets.key_file` names, which all nodes of one database share.
//! The database remembers a fingerprint of the key it was used with, so that another one is noticed at the start and
//! not when devices are refused.

use std::fmt;
use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleet::{DeviceId, TenantId, Timestamp};
use rand::Rng as _;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac::{HMAC_SHA256, Key, sign};
use store::{SetupKeyRecord, Store};
use subtle::ConstantTimeEq as _;

use crate::config::Config;

/// The file in the data folder.
const FILE: &str = "master.key";
/// Bytes of the key.
const BYTES: usize = 32;
/// Nobody but the owner reads it.
const OWNER_ONLY: u32 = 0o600;
/// Characters of a derived password: 24 of 62 are 142 bits. Some CPEs cut what is longer than 32.
const PASSWORD_CHARS: usize = 24;
/// How what is sealed begins, so that another form can follow.
const VERSION: u8 = 1;
/// Under which the database keeps the fingerprint.
const FINGERPRINT: &str = "master_key_fingerprint";

/// Why the master key cannot be used, or something sealed not be opened.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The file cannot be read or made.
    #[error("master key {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is not there although the database was used with one.
    #[error(
        "master key {path} is missing, and the database was used with one: bring the file back from a backup, or set \
         secrets.key_file to the file that the other nodes use. Without it no device that has a password of ours can \
         come in"
    )]
    Missing {
        /// The file.
        path: String,
    },
    /// The file that is configured is not there.
    #[error(
        "secrets.key_file {path} is missing: put the master.key of the first node there, or for a new installation 64 \
         random hexadecimal digits"
    )]
    NotThere {
        /// The file.
        path: String,
    },
    /// Others may read it.
    #[error("master key {path} has mode {mode:03o}: others may read it. Set it to 600")]
    Open {
        /// The file.
        path: String,
        /// Its permissions.
        mode: u32,
    },
    /// It is no key.
    #[error("master key {path} is not 64 hexadecimal digits")]
    Malformed {
        /// The file.
        path: String,
    },
    /// It is not the key of this database.
    #[error(
        "master key {path} is another one than the database was used with: bring that one back, or set \
         secrets.key_file to the file that the other nodes use"
    )]
    Another {
        /// The file.
        path: String,
    },
    /// What was sealed cannot be opened: it was changed, or sealed for another purpose or with another key.
    #[error("a sealed secret cannot be opened: it is damaged, or of another master key")]
    Sealed,
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What can be done with the master key. Cloning it is cheap.
#[derive(Clone)]
pub struct Vault(Arc<Keys>);

struct Keys {
    derive: Key,
    seal: LessSafeKey,
    fingerprint: [u8; 32],
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(..)")
    }
}

impl Vault {
    /// Reads the key, or makes it where neither file nor database know one, and compares it with the database.
    pub async fn unlock(config: &Config, store: &Store) -> Result<Vault, VaultError> {
        let known = store.setting(FINGERPRINT).await?;
        let shared = config.secrets.key_file.clone();
        let path = shared.clone().unwrap_or_else(|| config.data_dir.join(FILE));
        let shown = || path.display().to_string();
        let key = match read(&path)? {
            Some(key) => key,
            None if known.is_some() => return Err(VaultError::Missing { path: shown() }),
            None if shared.is_some() => return Err(VaultError::NotThere { path: shown() }),
            None => make(&path)?,
        };
        let vault = Vault::of(&key)?;
        let fingerprint = vault.0.fingerprint.to_vec();
        // Of two nodes that start at once the first one says which key it is.
        let known = store.setting_put_once(FINGERPRINT, fingerprint).await?;
        if bool::from(known.ct_eq(&vault.0.fingerprint)) {
            Ok(vault)
        } else {
            Err(VaultError::Another { path: shown() })
        }
    }

    /// With this key.
    pub fn of(master: &[u8; BYTES]) -> Result<Vault, VaultError> {
        let master = Key::new(HMAC_SHA256, master);
        // One key a purpose, so that what is known of one says nothing of the others.
        let part = |purpose: &str| sign(&master, purpose.as_bytes());
        let seal = UnboundKey::new(&AES_256_GCM, part("headend seal 1").as_ref());
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(part("headend fingerprint 1").as_ref());
        Ok(Vault(Arc::new(Keys {
            derive: Key::new(HMAC_SHA256, part("headend derive 1").as_ref()),
            seal: LessSafeKey::new(seal.map_err(|_| VaultError::Sealed)?),
            fingerprint,
        })))
    }

    /// The password of a device for a purpose (`acs`: with which it comes to us; `connection_request`: with which we
    /// wake it), letters and digits only. Another generation is another password.
    pub fn device_password(
        &self,
        purpose: &str,
        tenant: &TenantId,
        device: DeviceId,
        generation: u32,
    ) -> String {
        const ALPHABET: &[u8; 62] =
            b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let text = format!("password\n{purpose}\n{tenant}\n{device}\n{generation}");
        let tag = sign(&self.0.derive, text.as_bytes());
        tag.as_ref()
            .iter()
            .take(PASSWORD_CHARS)
            .map(|byte| char::from(ALPHABET[usize::from(*byte) * ALPHABET.len() / 256]))
            .collect()
    }

    /// A key of its own for one purpose, like signing cookies, the same on every node.
    pub fn key(&self, purpose: &str) -> [u8; 32] {
        let mut out = [0; 32];
        let text = format!("key\n{purpose}");
        out.copy_from_slice(sign(&self.0.derive, text.as_bytes()).as_ref());
        out
    }

    /// Seals a secret. It opens only in the same context (what it is and whose), so that it cannot be moved.
    pub fn seal(&self, context: &str, secret: &[u8]) -> Result<Vec<u8>, VaultError> {
        let nonce: [u8; NONCE_LEN] = rand::rng().random();
        let mut text = secret.to_vec();
        self.0
            .seal
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context.as_bytes()),
                &mut text,
            )
            .map_err(|_| VaultError::Sealed)?;
        Ok([&[VERSION][..], &nonce, &text].concat())
    }

    /// Opens what was sealed in this context.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        let parts = sealed
            .split_first()
            .filter(|(version, _)| **version == VERSION)
            .and_then(|(_, rest)| rest.split_first_chunk::<NONCE_LEN>());
        let (nonce, text) = parts.ok_or(VaultError::Sealed)?;
        let mut text = text.to_vec();
        let opened = self.0.seal.open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(context.as_bytes()),
            &mut text,
        );
        opened
            .map(|secret| secret.to_vec())
            .map_err(|_| VaultError::Sealed)
    }

    /// The text of a setup key, sealed for its row.
    pub fn seal_setup_key(
        &self,
        tenant: &TenantId,
        id: fleet::SetupKeyId,
        text: &str,
    ) -> Result<Vec<u8>, VaultError> {
        self.seal(&setup_key(tenant, id), text.as_bytes())
    }

    /// The setup keys of a tenant whose text can be read, for a Digest check: neither revoked nor expired, newest
    /// first, at most [`store::limits::SETUP_KEYS_READABLE_MAX`]. Keys made by an older version have only their
    /// hash: with them a device comes in with Basic or over USP, and not with Digest.
    pub async fn setup_keys(
        &self,
        store: &Store,
        tenant: &TenantId,
        now: Timestamp,
    ) -> Result<Vec<(SetupKeyRecord, String)>, VaultError> {
        let mut out = Vec::new();
        for (record, sealed) in store.setup_key_list_sealed(tenant, now).await? {
            let context = setup_key(tenant, record.id);
            match self.open(&context, &sealed).map(String::from_utf8) {
                Ok(Ok(text)) => out.push((record, text)),
                // One that is damaged does not keep the others out.
                _ => {
                    tracing::error!(%tenant, key = %record.id, "the sealed copy of a setup key cannot be opened");
                }
            }
        }
        Ok(out)
    }
}

fn setup_key(tenant: &TenantId, id: fleet::SetupKeyId) -> String {
    format!("setup_key\n{tenant}\n{id}")
}

/// The key in a file; `None` where there is no file.
fn read(path: &Path) -> Result<Option<[u8; BYTES]>, VaultError> {
    let shown = || path.display().to_string();
    let failed = |source| VaultError::File {
        path: shown(),
        source,
    };
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(VaultError::Open {
            path: shown(),
            mode,
        });
    }
    // A key and the end of its line.
    const SIZE_MAX: u64 = 2 * BYTES as u64 + 2;
    if meta.len() > SIZE_MAX {
        return Err(VaultError::Malformed { path: shown() });
    }
    let text = std::fs::read(path).map_err(failed)?;
    let key = parse(text.trim_ascii());
    key.map(Some)
        .ok_or_else(|| VaultError::Malformed { path: shown() })
}

fn parse(text: &[u8]) -> Option<[u8; BYTES]> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut key = [0; BYTES];
    if text.len() != 2 * BYTES {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(text.chunks_exact(2)) {
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(key)
}

/// Makes a key and its file. The file is there whole or not at all.
fn make(path: &Path) -> Result<[u8; BYTES], VaultError> {
    let failed = |source| VaultError::File {
        path: path.display().to_string(),
        source,
    };
    let key: [u8; BYTES] = rand::rng().random();
    let mut text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    text.push('\n');
    let fresh = PathBuf::from(format!("{}.new", path.display()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(OWNER_ONLY)
        .open(&fresh)
        .map_err(failed)?;
    // A left-over of an earlier try may have had another mode.
    file.set_permissions(Permissions::from_mode(OWNER_ONLY))
        .and_then(|()| file.write_all(text.as_bytes()))
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&fresh, path))
        .map_err(failed)?;
    if let Some(folder) = path.parent() {
        // The name survives a power cut too, or the database would wait for a key that is gone.
        std::fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed)?;
    }
    tracing::info!(path = %path.display(), "a master key was made; back it up with the database, and apart from it");
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(byte: u8) -> Vault {
        Vault::of(&[byte; BYTES]).unwrap()
    }

    async fn unlock(
        folder: &Path,
        shared: Option<&Path>,
        store: &Store,
    ) -> Result<Vault, VaultError> {
        let mut config = Config {
            data_dir: folder.to_owned(),
            ..Config::default()
        };
        config.secrets.key_file = shared.map(Path::to_owned);
        Vault::unlock(&config, store).await
    }

    #[test]
    fn a_password_is_of_one_device_purpose_and_generation() {
        let (acme, other) = (
            TenantId::parse("acme").unwrap(),
            TenantId::parse("other").unwrap(),
        );
        let device = |n| DeviceId::new(Timestamp(1), [n; 10]);
        let password = vault(1).device_password("acs", &acme, device(1), 1);
        assert_eq!(password.len(), PASSWORD_CHARS);
        assert!(password.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_eq!(
            password,
            vault(1).device_password("acs", &acme, device(1), 1)
        );
        for another in [
            vault(2).device_password("acs", &acme, device(1), 1),
            vault(1).device_password("connection_request", &acme, device(1), 1),
            vault(1).device_password("acs", &other, device(1), 1),
            vault(1).device_password("acs", &acme, device(2), 1),
            vault(1).device_password("acs", &acme, device(1), 2),
        ] {
            assert_ne!(password, another);
        }
        assert_ne!(vault(1).key("cookie"), vault(1).key("nonce"));
    }

    #[test]
    fn what_is_sealed_opens_only_in_its_context_unchanged_and_with_its_key() {
        let sealed = vault(1).seal("a", b"hes_secret").unwrap();
        assert!(!sealed.windows(10).any(|part| part == b"hes_secret"));
        assert_ne!(sealed, vault(1).seal("a", b"hes_secret").unwrap());
        assert_eq!(vault(1).open("a", &sealed).unwrap(), b"hes_secret");
        assert!(vault(1).open("b", &sealed).is_err());
        assert!(vault(2).open("a", &sealed).is_err());
        for n in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[n] ^= 1;
            assert!(vault(1).open("a", &changed).is_err(), "byte {n}");
            assert!(vault(1).open("a", &sealed[..n]).is_err(), "cut at {n}");
        }
    }

    #[tokio::test]
    async fn the_first_start_makes_a_key_that_later_starts_find() {
        let database = store::testing::sqlite().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let first = unlock(folder.path(), None, &database.store).await.unwrap();
        let path = folder.path().join(FILE);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, OWNER_ONLY);
        let again = unlock(folder.path(), None, &database.store).await.unwrap();
        let sealed = first.seal("a", b"x").unwrap();
        assert_eq!(again.open("a", &sealed).unwrap(), b"x");
        // Another node of the same database uses the same file.
        let elsewhere = tempfile::tempdir().unwrap();
        let shared = unlock(elsewhere.path(), Some(&path), &database.store);
        let sealed = shared.await.unwrap().seal("a", b"y").unwrap();
        assert_eq!(first.open("a", &sealed).unwrap(), b"y");
        let lost = unlock(elsewhere.path(), None, &database.store).await;
        let words = lost.unwrap_err().to_string();
        assert!(
            words.contains("is missing") && words.contains("secrets.key_file"),
            "{words}"
        );
    }

    #[tokio::test]
    async fn a_key_that_is_open_malformed_or_another_one_is_named() {
        let database = store::testing::sqlite().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let words = async || {
            let refused = unlock(folder.path(), None, &database.store).await;
            refused.unwrap_err().to_string()
        };
        unlock(folder.path(), None, &database.store).await.unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(words().await.contains("mode 640"), "{}", words().await);
        std::fs::set_permissions(&path, Permissions::from_mode(OWNER_ONLY)).unwrap();
        for short in [
            "",
            "00",
            &"g".repeat(64),
            &"a".repeat(65),
            &"a".repeat(1000),
        ] {
            std::fs::write(&path, short).unwrap();
            assert!(words().await.contains("64 hexadecimal"), "{short}");
        }
        std::fs::write(&path, "a".repeat(64)).unwrap();
        assert!(words().await.contains("another one"), "{}", words().await);
        let nowhere = folder.path().join("nowhere.key");
        let fresh = store::testing::sqlite().await.unwrap();
        let missing = unlock(folder.path(), Some(&nowhere), &fresh.store).await;
        let missing = missing.unwrap_err().to_string();
        assert!(missing.contains("nowhere.key is missing"), "{missing}");
    }
}
