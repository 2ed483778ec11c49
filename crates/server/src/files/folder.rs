//! The folder with what is in the files: under tenant and SHA-256, each content once. A file is
//! written under another name, and gets its own when all of it is on the disk; whatever happens,
//! nothing half-written has the name of a content.
//!
//! Not here: which files there are (the store), and who may have them.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fleet::TenantId;
use sha2::{Digest, Sha256};
use store::Store;
use store::file::ContentHash;
use tokio::fs;
use tokio::io::AsyncWriteExt;
use tokio::sync::RwLock;

use super::limits::ORPHAN_AGE;
use crate::secret;

/// Where nodes write what is not whole yet; no tenant is called so.
const INCOMING: &str = ".incoming";

/// The folder.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    incoming: PathBuf,
    /// Held for reading between a content's name and its row, for writing while a content that
    /// seems unwanted is removed.
    turn: RwLock<()>,
}

/// What is known of a content when all of it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Bytes.
    pub size: u64,
    /// Hash.
    pub sha256: ContentHash,
}

/// A content that is being written. Dropped, it leaves nothing.
#[derive(Debug)]
pub struct Incoming {
    file: Option<fs::File>,
    path: PathBuf,
    hash: Sha256,
    size: u64,
}

impl Folder {
    /// Opens the folder for a node, which nobody else is meanwhile, and makes it if there is none.
    /// What an earlier life of the node left half-written goes.
    pub async fn open(root: &Path, node: &str) -> io::Result<Self> {
        let incoming = root.join(INCOMING).join(node);
        if fs::try_exists(&incoming).await? {
            fs::remove_dir_all(&incoming).await?;
        }
        make_dir(&incoming).await?;
        Ok(Self {
            root: root.to_owned(),
            incoming,
            turn: RwLock::new(()),
        })
    }

    /// Where a content lies, or would.
    pub fn path(&self, tenant: &TenantId, content: &ContentHash) -> PathBuf {
        let name = hex(content);
        self.root.join(tenant.as_str()).join(&name[..2]).join(name)
    }

    /// Bytes that are free on the disk.
    pub fn free(&self) -> io::Result<u64> {
        let stat = nix::sys::statvfs::statvfs(&self.root)?;
        Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
    }

    /// Begins to write a content.
    pub async fn receive(&self) -> io::Result<Incoming> {
        let path = self.incoming.join(secret::new(""));
        let file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .await?;
        Ok(Incoming {
            file: Some(file),
            path,
            hash: Sha256::new(),
            size: 0,
        })
    }

    /// Gives a content its name and makes its row; both or neither. Where another node removes the name in between,
    /// because it looked before the row was there, it is given once more.
    pub async fn keep<T, F>(
        &self,
        store: &Store,
        tenant: &TenantId,
        mut incoming: Incoming,
        row: impl FnOnce(Content) -> F,
    ) -> store::Result<T>
    where
        F: Future<Output = store::Result<T>>,
    {
        let broken = |error: io::Error| store::Error::Unavailable(format!("files: {error}"));
        incoming.sync().await.map_err(broken)?;
        let turn = self.turn.read().await;
        let content = incoming.content();
        let path = self.path(tenant, &content.sha256);
        incoming.place(&path).await.map_err(broken)?;
        let made = row(content).await;
        if made.is_ok() && !fs::try_exists(&path).await.map_err(broken)? {
            incoming.place(&path).await.map_err(broken)?;
        }
        drop(turn);
        if made.is_err() {
            self.drop_unwanted(store, tenant, &content.sha256).await;
        }
        made
    }

    /// Removes a content that no file has any more.
    pub async fn drop_unwanted(&self, store: &Store, tenant: &TenantId, content: &ContentHash) {
        let turn = self.turn.write().await;
        let removed = self.remove_unwanted(store, tenant, content).await;
        drop(turn);
        if let Err(error) = removed {
            // The next cleaning finds it.
            tracing::warn!(%error, %tenant, "what was in a removed file could not be removed yet");
        }
    }

    async fn remove_unwanted(
        &self,
        store: &Store,
        tenant: &TenantId,
        content: &ContentHash,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        if store.file_wants(tenant, content).await? {
            return Ok(());
        }
        let path = self.path(tenant, content);
        let aside = self.incoming.join(secret::new("gone-"));
        match fs::rename(&path, &aside).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            moved => moved?,
        }
        // On another node a file with this content may have come in just now.
        match store.file_wants(tenant, content).await {
            Ok(false) => fs::remove_file(&aside).await?,
            Ok(true) => fs::rename(&aside, &path).await?,
            Err(error) => {
                fs::rename(&aside, &path).await?;
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Removes what no file has as its content: of tenants that are gone, and of files that came
    /// in while the server died. How many.
    pub async fn clean(&self, store: &Store, now: SystemTime) -> io::Result<usize> {
        let mut removed = 0;
        let mut tenants = fs::read_dir(&self.root).await?;
        while let Some(entry) = tenants.next_entry().await? {
            let name = entry.file_name();
            let Some(tenant) = name.to_str().and_then(|name| TenantId::parse(name).ok()) else {
                continue;
            };
            if !entry.file_type().await?.is_dir() {
                continue;
            }
            let mut parts = fs::read_dir(entry.path()).await?;
            while let Some(part) = parts.next_entry().await? {
                let mut contents = fs::read_dir(part.path()).await?;
                while let Some(one) = contents.next_entry().await? {
                    let Some(content) = one.file_name().to_str().and_then(unhex) else {
                        continue;
                    };
                    let age = one
                        .metadata()
                        .await?
                        .modified()
                        .map(|at| now.duration_since(at));
                    if !matches!(age, Ok(Ok(age)) if age >= ORPHAN_AGE) {
                        continue;
                    }
                    self.drop_unwanted(store, &tenant, &content).await;
                    if !fs::try_exists(one.path()).await? {
                        removed += 1;
                    }
                }
            }
        }
        Ok(removed)
    }
}

impl Incoming {
    /// Writes the next bytes.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        file.write_all(bytes).await?;
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hash of the bytes so far.
    pub fn sha256(&self) -> ContentHash {
        self.hash.clone().finalize().into()
    }

    /// Brings everything to the disk.
    async fn sync(&mut self) -> io::Result<()> {
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        file.flush().await?;
        file.sync_all().await?;
        self.file = None;
        Ok(())
    }

    /// What is known of it.
    fn content(&self) -> Content {
        Content {
            size: self.size,
            sha256: self.sha256(),
        }
    }

    /// Gives it its name, and keeps it under its own, too, where the file system knows several names of a file.
    async fn place(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        make_dir(folder).await?;
        let twin = self.path.with_extension("twin");
        let from = match fs::hard_link(&self.path, &twin).await {
            Ok(()) => &twin,
            Err(_) => &self.path,
        };
        fs::rename(from, path).await?;
        fs::File::open(folder).await?.sync_all().await
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // It has its name by now, or nobody wants it.
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_file(self.path.with_extension("twin"));
    }
}

/// Makes a folder that only we read; what it is in, too.
async fn make_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .await
}

/// As hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A hash from its hexadecimal digits.
pub fn unhex(text: &str) -> Option<ContentHash> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut out = [0; 32];
    for (n, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * n..2 * n + 2], 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(path: &Path) -> usize {
        let mut count = 0;
        for entry in std::fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            count += if path.is_dir() { entries(&path) } else { 1 };
        }
        count
    }

    async fn world() -> (Store, store::testing::TestDatabase, TenantId) {
        let database = store::testing::sqlite().await.unwrap();
        let tenant = TenantId::parse("acme").unwrap();
        let record = store::TenantRecord {
            id: tenant.clone(),
            name: "Acme".to_owned(),
            created_at: fleet::Timestamp(1),
            disabled_at: None,
        };
        let store = database.store.clone();
        store.tenant_insert(record, vec![]).await.unwrap();
        (store, database, tenant)
    }

    #[tokio::test]
    async fn what_is_not_kept_leaves_nothing_and_what_is_has_its_hash_for_a_name() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _database, tenant) = world().await;
        let folder = Folder::open(dir.path(), "n1").await.unwrap();
        let mut given_up = folder.receive().await.unwrap();
        given_up.write(b"half of ").await.unwrap();
        assert_eq!(entries(dir.path()), 1);
        drop(given_up);
        assert_eq!(entries(dir.path()), 0);
        let mut refused = folder.receive().await.unwrap();
        refused.write(b"abc").await.unwrap();
        let no = async |_| Err::<(), _>(store::Error::NotFound("transfer"));
        assert!(folder.keep(&store, &tenant, refused, no).await.is_err());
        assert_eq!(entries(dir.path()), 0);
        let mut kept = folder.receive().await.unwrap();
        kept.write(b"abc").await.unwrap();
        let content = folder
            .keep(&store, &tenant, kept, async |content| Ok(content))
            .await
            .unwrap();
        let name = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(&content.sha256), name);
        assert_eq!(unhex(name), Some(content.sha256));
        let path = folder.path(&tenant, &content.sha256);
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
        // It has no row, and is as old as one that never got it.
        let later = SystemTime::now() + 2 * ORPHAN_AGE;
        assert_eq!(folder.clean(&store, SystemTime::now()).await.unwrap(), 0);
        assert_eq!(folder.clean(&store, later).await.unwrap(), 1);
        assert_eq!(entries(dir.path()), 0);
    }

    #[tokio::test]
    async fn what_another_node_removes_while_its_row_is_made_is_there_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _database, tenant) = world().await;
        let folder = Folder::open(dir.path(), "n1").await.unwrap();
        let mut coming = folder.receive().await.unwrap();
        coming.write(b"abc").await.unwrap();
        let place = |content: &Content| folder.path(&tenant, &content.sha256);
        let kept = folder.keep(&store, &tenant, coming, async |content| {
            std::fs::remove_file(place(&content)).unwrap();
            Ok(content)
        });
        let content = kept.await.unwrap();
        assert_eq!(std::fs::read(place(&content)).unwrap(), b"abc");
        assert_eq!(entries(dir.path()), 1);
    }

    #[tokio::test]
    async fn a_node_that_comes_back_removes_what_it_left_half_written_and_nothing_of_others() {
        let dir = tempfile::tempdir().unwrap();
        for node in ["n1", "n2"] {
            let folder = Folder::open(dir.path(), node).await.unwrap();
            let mut half = folder.receive().await.unwrap();
            half.write(b"half").await.unwrap();
            // As a server that is killed.
            std::mem::forget(half);
        }
        assert_eq!(entries(dir.path()), 2);
        Folder::open(dir.path(), "n1").await.unwrap();
        assert_eq!(entries(dir.path()), 1);
    }
}
