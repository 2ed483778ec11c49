//! The server's end: owns a socket file, lets processes in that may open it, and shakes hands.

use std::{
    io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{UnixListener, UnixSocket, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};
use usp::EndpointId;

use super::{
    error::{BindError, LinkError},
    link::{Credentials, Link, Pipe},
};
use crate::limits::{
    ACCEPT_PAUSE, UDS_BACKLOG, UDS_CONNECTIONS_MAX, UDS_HANDSHAKE_TIME_MAX, UDS_SOCKET_MODE,
};

/// A socket file and who may open it.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Where it is. Its directory has to exist.
    pub path: PathBuf,
    /// Its permissions: whoever may write it may connect.
    pub mode: u32,
    /// The group it belongs to, by number; the process's own when absent.
    pub gid: Option<u32>,
    /// Connections at the same time, those in their handshake included.
    pub connections_max: usize,
    /// How long a handshake may take.
    pub handshake_time_max: Duration,
}

impl ListenerConfig {
    /// For processes of the same user.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            mode: UDS_SOCKET_MODE,
            gid: None,
            connections_max: UDS_CONNECTIONS_MAX,
            handshake_time_max: UDS_HANDSHAKE_TIME_MAX,
        }
    }
}

/// Who wants in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The endpoint it says it is.
    pub endpoint_id: EndpointId,
    /// The process it is.
    pub credentials: Credentials,
}

/// Decides who comes in, quickly. An error is told to the peer and ends the connection.
pub trait Admission: Send + Sync + 'static {
    /// Our endpoint id for this peer, or why not.
    fn admit(&self, hello: &Hello) -> Result<EndpointId, String>;

    /// Somebody was not let in, or did not behave.
    fn refused(&self, credentials: Option<Credentials>, why: &str) {
        tracing::info!(?credentials, why, "a local connection was refused");
    }
}

/// A peer that was let in.
#[derive(Debug)]
pub struct Accepted {
    /// The connection.
    pub link: Link,
    /// What it said.
    pub hello: Hello,
}

/// See the module's words. Removes its file when it goes.
pub struct Listener<A> {
    unix: UnixListener,
    file: SocketFile,
    admission: Arc<A>,
    seats: Arc<Semaphore>,
    time_max: Duration,
    handshakes: JoinSet<Option<Accepted>>,
}

/// A socket file that is ours, as long as nobody has put another in its place.
struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = std::fs::symlink_metadata(&self.path);
        if ours.is_ok_and(|file| (file.dev(), file.ino()) == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl<A: Admission> Listener<A> {
    /// Makes the socket file. One that a dead process has left behind is replaced.
    pub async fn bind(config: ListenerConfig, admission: Arc<A>) -> Result<Self, BindError> {
        let path = config.path;
        let name = path.display().to_string();
        let failed = |reason| BindError::Io {
            path: name.clone(),
            reason,
        };
        clear(&path, &name).await?;
        let socket = UnixSocket::new_stream().map_err(failed)?;
        socket.bind(&path).map_err(failed)?;
        let file = std::fs::symlink_metadata(&path).map_err(failed)?;
        let inode = (file.dev(), file.ino());
        let file = SocketFile { path, inode };
        // Nobody can connect before `listen`, so nobody comes in before the permissions are right.
        let mode = std::fs::Permissions::from_mode(config.mode);
        std::fs::set_permissions(&file.path, mode).map_err(failed)?;
        if config.gid.is_some() {
            chown(&file.path, None, config.gid).map_err(failed)?;
        }
        Ok(Self {
            unix: socket.listen(UDS_BACKLOG).map_err(failed)?,
            file,
            admission,
            seats: Arc::new(Semaphore::new(config.connections_max)),
            time_max: config.handshake_time_max,
            handshakes: JoinSet::new(),
        })
    }

    /// The socket file.
    pub fn path(&self) -> &Path {
        &self.file.path
    }

    /// The next peer that was let in. Cancel-safe. Nothing is accepted while nobody awaits this.
    pub async fn accept(&mut self) -> Accepted {
        loop {
            tokio::select! {
                Some(done) = self.handshakes.join_next() => match done {
                    Ok(Some(accepted)) => return accepted,
                    Ok(None) => {}
                    Err(error) => tracing::error!(%error, "a local handshake broke down"),
                },
                incoming = self.unix.accept() => match incoming {
                    Ok((stream, _)) => self.begin(stream),
                    Err(error) => {
                        tracing::warn!(%error, socket = %self.file.path.display(), "cannot accept");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
    }

    fn begin(&mut self, stream: UnixStream) {
        let Ok(seat) = self.seats.clone().try_acquire_owned() else {
            // A flood is not answered.
            let known = Pipe::new(stream).credentials().ok();
            let why = "limit UDS_CONNECTIONS_MAX: too many connections";
            return self.admission.refused(known, why);
        };
        let (admission, time_max) = (self.admission.clone(), self.time_max);
        let shaking = handshake(admission, stream, seat, time_max);
        self.handshakes.spawn(shaking);
    }
}

/// Makes room for a socket, but never by removing anything else.
async fn clear(path: &Path, name: &str) -> Result<(), BindError> {
    let failed = |reason| BindError::Io {
        path: name.to_owned(),
        reason,
    };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
        Ok(file) if !file.file_type().is_socket() => Err(BindError::NotASocket(name.to_owned())),
        Ok(_) => match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path).map_err(failed)
            }
            // Whether it listens or cannot be asked: it is not ours to remove.
            _ => Err(BindError::InUse(name.to_owned())),
        },
    }
}

async fn handshake<A: Admission>(
    admission: Arc<A>,
    stream: UnixStream,
    seat: OwnedSemaphorePermit,
    time_max: Duration,
) -> Option<Accepted> {
    let mut pipe = Pipe::new(stream);
    let credentials = pipe.credentials().ok()?;
    let answered = timeout(time_max, pipe.introduction()).await;
    let verdict = match answered {
        Err(_) => Err("no handshake in time".to_owned()),
        Ok(Err(LinkError::Refused(_) | LinkError::Gone)) => return None,
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(told)) => EndpointId::parse(&told)
            .map_err(|error| format!("the handshake names no endpoint: {error}"))
            .and_then(|endpoint_id| {
                let hello = Hello {
                    endpoint_id,
                    credentials,
                };
                let own = admission.admit(&hello)?;
                if own == hello.endpoint_id {
                    return Err("this is our own endpoint id".to_owned());
                }
                Ok((own, hello))
            }),
    };
    match verdict {
        Ok((own, hello)) => {
            // R-UDS.17
            pipe.introduce(&own).await.ok()?;
            let link = Link::new(pipe, hello.endpoint_id.clone(), credentials, Some(seat));
            Some(Accepted { link, hello })
        }
        Err(why) => {
            admission.refused(Some(credentials), &why);
            pipe.refuse(&why).await; // R-UDS.21
            None
        }
    }
}
