//! How simulated CWMP devices are woken: one HTTP listener for all of them, where the path says
//! which one is meant. What comes over UDP is in [`super::nat`].

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cwmp::auth::digest::{Algorithm, Server as Digest};
use cwmp::limits::HEAD_BYTES_MAX;
use cwmp::reach::server::{Answer, Server, Used};
use cwmp::reach::udp::UdpRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::transfer::File;
use cwmp::fault::FaultCode;

/// How long a request may take to come.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// Connections at the same time; more wait.
const CONNECTIONS_MAX: usize = 256;
/// Orders that wait for one device; more are dropped, as a device would that is busy.
const ORDERS_MAX: usize = 32;
/// Seconds that a nonce is good for.
const NONCE_SECONDS: u64 = 60;

/// What a device is told from outside of its session.
#[derive(Debug)]
pub(super) enum Order {
    ConnectionRequest,
    Mapped(SocketAddr),
    Transferred(u64, Result<File, FaultCode>),
    Poke(String, String),
    PowerCut(Duration),
    Inform,
}

/// The connection request server of a device that is up.
#[derive(Default)]
struct Door {
    username: String,
    password: String,
    used: Used,
    last: Option<UdpRequest>,
}

/// What others hold of one device.
#[derive(Default)]
pub(super) struct Shared {
    orders: Mutex<Vec<Order>>,
    /// Absent while the device is down.
    door: Mutex<Option<Door>>,
    pub(super) notify: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn order(&self, order: Order) {
        let mut orders = lock(&self.orders);
        if orders.len() < ORDERS_MAX {
            orders.push(order);
        }
        self.notify.notify_one();
    }

    pub(super) fn take(&self) -> Vec<Order> {
        std::mem::take(&mut lock(&self.orders))
    }

    /// The device is up, and this is the password.
    pub(super) fn open(&self, (username, password): (String, String)) {
        let mut door = lock(&self.door);
        let door = door.get_or_insert_default();
        (door.username, door.password) = (username, password);
    }

    /// The device is down.
    pub(super) fn close(&self) {
        *lock(&self.door) = None;
    }

    /// Answers a connection request over HTTP; nothing when the device is down.
    fn answer(&self, path: &str, secret: &[u8], bytes: &[u8]) -> Option<Answer> {
        let mut door = lock(&self.door);
        let door = door.as_mut()?;
        let mut server = Server {
            path: path.to_owned(),
            username: door.username.clone(),
            password: door.password.as_str().into(),
            digest: Digest {
                realm: "cpe".to_owned(),
                algorithms: vec![Algorithm::Md5],
                qop: true,
                secret: secret.into(),
                life: NONCE_SECONDS,
            },
            used: std::mem::take(&mut door.used),
        };
        let answer = server.answer(seconds(), rand::random(), bytes, false);
        door.used = server.used;
        Some(answer)
    }

    /// Takes a connection request over UDP; whether it is a new one.
    pub(super) fn takes(&self, datagram: &[u8]) -> bool {
        let mut door = lock(&self.door);
        let Some(door) = door.as_mut() else {
            return false;
        };
        let read = UdpRequest::parse(datagram, &door.username, &door.password);
        match read.filter(|request| request.is_new(door.last.as_ref())) {
            Some(request) => {
                door.last = Some(request);
                true
            }
            None => false,
        }
    }
}

fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// The devices behind one listener, by path.
#[derive(Default)]
pub(super) struct Doors(Mutex<HashMap<String, Arc<Shared>>>);

impl Doors {
    pub(super) fn add(&self, path: String, shared: Arc<Shared>) {
        lock(&self.0).insert(path, shared);
    }

    fn find(&self, path: &str) -> Option<Arc<Shared>> {
        lock(&self.0).get(path).cloned()
    }
}

/// Listens until `shutdown`.
pub(super) async fn listen(listener: TcpListener, doors: Arc<Doors>, shutdown: CancellationToken) {
    let secret: Arc<[u8; 16]> = Arc::new(rand::random());
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => return,
        };
        let (Ok((stream, _)), Ok(slot)) = (accepted, slots.clone().acquire_owned().await) else {
            continue;
        };
        let (doors, secret) = (doors.clone(), secret.clone());
        tokio::spawn(async move {
            let serving = serve(stream, &doors, &*secret);
            // Who says nothing is sent away; who breaks off has gone.
            _ = tokio::time::timeout(REQUEST_WITHIN, serving).await;
            drop(slot);
        });
    }
}

async fn serve(mut stream: TcpStream, doors: &Doors, secret: &[u8]) -> std::io::Result<()> {
    let mut bytes = Vec::with_capacity(512);
    while bytes.len() <= HEAD_BYTES_MAX {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
        let Some(path) = path_in(&bytes) else {
            continue;
        };
        let unknown = Shared::default();
        unknown.open(Default::default());
        let (known, path) = match doors.find(&path) {
            Some(known) => (known, path),
            None => (Arc::new(unknown), String::new()),
        };
        let (text, accepted) = match known.answer(&path, secret, &bytes) {
            Some(Answer::More) => continue,
            Some(Answer::Refused(text)) => (text, false),
            Some(Answer::Accepted(text)) => (text, true),
            None => return Ok(()),
        };
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await?;
        if accepted {
            known.order(Order::ConnectionRequest);
        }
        return Ok(());
    }
    Ok(())
}

/// The path in the first line, once that is there.
fn path_in(bytes: &[u8]) -> Option<String> {
    let line = bytes.split(|byte| *byte == b'\n').next()?;
    if line.len() == bytes.len() {
        return None;
    }
    let line = String::from_utf8_lossy(line);
    let target = line.split_ascii_whitespace().nth(1).unwrap_or_default();
    let path = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    Some(path.to_owned())
}
