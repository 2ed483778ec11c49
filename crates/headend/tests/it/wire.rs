//! The way from devices to their ACS, on which a test listens: it stops a message, lets nobody know the answer
//! to it, or lets no new connection pass.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What is kept of what went by, to find words that come in two pieces.
const TAIL: usize = 256;

/// What becomes of a message on which somebody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It does not arrive.
    Lost,
    /// It arrives, and the answer to it does not.
    Unanswered,
    /// It arrives and is answered; no connection is let through after it.
    Last,
}

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Server,
    Device,
}

struct Watched {
    by: By,
    words: Vec<u8>,
    fate: Fate,
}

struct State {
    watched: Mutex<Option<Watched>>,
    /// How many messages were met on which somebody waited.
    met: watch::Sender<usize>,
    /// The last of them, with what went by just before it.
    heard: Mutex<String>,
    /// Whether new connections pass.
    open: watch::Sender<bool>,
}

/// A way, until the test ends.
pub struct Wire {
    /// Where devices come.
    pub address: String,
    state: Arc<State>,
}

impl Wire {
    /// To the server at `to`.
    pub async fn start(to: &str) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State {
            watched: Mutex::new(None),
            met: watch::Sender::new(0),
            heard: Mutex::default(),
            open: watch::Sender::new(true),
        });
        let (to, shared) = (to.to_owned(), state.clone());
        tokio::spawn(async move {
            while let Ok((device, _)) = listener.accept().await {
                if !*shared.open.borrow() {
                    continue;
                }
                // A server that is gone is a connection that breaks.
                if let Ok(server) = TcpStream::connect(&to).await {
                    tokio::spawn(pass(device, server, shared.clone()));
                }
            }
        });
        Wire { address, state }
    }

    /// The next message of this side with these words in it has this fate; resolves when it is met, or, of one
    /// that is not answered, when its answer is there.
    pub fn meet(&self, by: By, words: &str, fate: Fate) -> impl Future<Output = ()> + use<> {
        let watched = Watched {
            by,
            words: words.as_bytes().to_vec(),
            fate,
        };
        *self.state.watched.lock().unwrap() = Some(watched);
        let mut met = self.state.met.subscribe();
        let before = *met.borrow_and_update();
        let words = words.to_owned();
        async move {
            let met = met.wait_for(|met| *met > before);
            let met = tokio::time::timeout(crate::rig::SOON, met).await;
            met.unwrap_or_else(|_| panic!("waited for {words} on the wire"))
                .unwrap();
        }
    }

    /// The message that was met last: what was read with its words, and a little before that.
    pub fn heard(&self) -> String {
        self.state.heard.lock().unwrap().clone()
    }

    /// New connections break from now on.
    pub fn close(&self) {
        self.state.open.send_replace(false);
    }

    /// And pass again.
    pub fn open(&self) {
        self.state.open.send_replace(true);
    }
}

/// Until either side hangs up.
async fn pass(mut device: TcpStream, mut server: TcpStream, state: Arc<State>) {
    let (mut up, mut down) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    let mut tails = [Vec::new(), Vec::new()];
    // Whose words do not pass any more.
    let (mut mute, mut told) = (None, false);
    loop {
        let (by, read) = tokio::select! {
            read = device.read(&mut up) => (By::Device, read),
            read = server.read(&mut down) => (By::Server, read),
        };
        let Ok(length @ 1..) = read else {
            return;
        };
        if mute == Some(by) {
            if !told {
                told = true;
                state.met.send_modify(|met| *met += 1);
            }
            continue;
        }
        let bytes = match by {
            By::Device => &up[..length],
            By::Server => &down[..length],
        };
        let tail = &mut tails[by as usize];
        tail.extend_from_slice(bytes);
        match met(&state, by, tail) {
            Some(Fate::Lost) => {
                state.met.send_modify(|met| *met += 1);
                (mute, told) = (Some(by), true);
                continue;
            }
            Some(Fate::Unanswered) => {
                let other = match by {
                    By::Device => By::Server,
                    By::Server => By::Device,
                };
                mute = Some(other);
            }
            Some(Fate::Last) => {
                state.open.send_replace(false);
                state.met.send_modify(|met| *met += 1);
            }
            None => {}
        }
        let excess = tail.len().saturating_sub(TAIL);
        tail.drain(..excess);
        let sent = match by {
            By::Device => server.write_all(bytes).await,
            By::Server => device.write_all(bytes).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// The fate of a message with these bytes, if somebody waits for it.
fn met(state: &State, by: By, bytes: &[u8]) -> Option<Fate> {
    let mut watched = state.watched.lock().unwrap();
    let one = watched.take_if(|one| {
        one.by == by
            && bytes
                .windows(one.words.len())
                .any(|some| some == one.words.as_slice())
    })?;
    *state.heard.lock().unwrap() = String::from_utf8_lossy(bytes).into_owned();
    Some(one.fate)
}
