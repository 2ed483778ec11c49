//! Gates, refusal sinks and hand-made peers for the tests.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use mtp::ws::{
    Accepted, Admission, Admitted, DialConfig, Hello, Link, Listener, ListenerConfig, Refusal,
    Refused, dial,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use usp::EndpointId;

/// Nothing here takes long; what has not come by then does not come.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("not done in time")
}

pub fn eid(text: &str) -> EndpointId {
    EndpointId::parse(text).unwrap()
}

type Decision = fn(&Hello) -> Result<(), Refusal>;

/// Lets in by a plain function.
pub struct Gate(pub Decision);

impl Admission for Gate {
    type Ticket = ();

    async fn admit(&self, hello: &Hello) -> Result<Admitted<()>, Refusal> {
        if hello.path == "/hang" {
            std::future::pending::<()>().await;
        }
        (self.0)(hello)?;
        Ok(Admitted {
            own: eid("self::controller"),
            ticket: (),
        })
    }
}

/// A listener whose loop runs in a task: what it accepts and whom it refuses come by channels.
pub struct Running {
    pub addr: SocketAddr,
    pub accepted: mpsc::UnboundedReceiver<Accepted<()>>,
    pub refused: mpsc::UnboundedReceiver<Refused>,
}

impl Running {
    pub async fn next(&mut self) -> Accepted<()> {
        within(self.accepted.recv()).await.unwrap()
    }

    pub async fn next_refused(&mut self) -> Refused {
        within(self.refused.recv()).await.unwrap()
    }
}

pub fn config() -> ListenerConfig {
    ListenerConfig::new(([127, 0, 0, 1], 0).into())
}

pub async fn listen_with(config: ListenerConfig, decision: Decision) -> Running {
    let (tell_refused, refused) = mpsc::unbounded_channel();
    let (tell_accepted, accepted) = mpsc::unbounded_channel();
    let sink = move |one: Refused| drop(tell_refused.send(one));
    let gate = Arc::new(Gate(decision));
    let mut listener = Listener::bind(config, gate, Arc::new(sink)).await.unwrap();
    let addr = listener.local_addr();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                one = listener.accept() => drop(tell_accepted.send(one)),
                () = tell_accepted.closed() => return,
            }
        }
    });
    Running {
        addr,
        accepted,
        refused,
    }
}

pub async fn listen() -> Running {
    listen_with(config(), |_| Ok(())).await
}

pub fn dial_config(addr: SocketAddr) -> DialConfig {
    DialConfig::new(format!("ws://{addr}/usp"), eid("self::agent"))
}

/// Both ends of one plaintext link: the dialler's, the listener's.
pub async fn pair() -> (Link, Link) {
    let mut running = listen().await;
    let dialled = within(dial(&dial_config(running.addr))).await.unwrap();
    (dialled, running.next().await.link)
}

pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// An upgrade request as an agent sends it, with more header lines.
pub fn request(target: &str, more: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{more}\r\n"
    )
}

pub const PROTOCOL: &str = "Sec-WebSocket-Protocol: v1.usp\r\n";

/// A peer that writes what it likes.
pub struct Raw<S>(pub S);

impl Raw<TcpStream> {
    pub async fn connect(addr: SocketAddr) -> Self {
        Self(TcpStream::connect(addr).await.unwrap())
    }

    /// Connects and gets through the upgrade.
    pub async fn upgraded(addr: SocketAddr) -> Self {
        let mut raw = Self::connect(addr).await;
        raw.send(request("/usp?eid=self::raw", PROTOCOL)).await;
        let head = raw.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        raw
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// One masked frame, its first byte given: `0x82` is a whole binary message.
    pub async fn frame(&mut self, first: u8, payload: &[u8]) {
        let mask = [1, 2, 3, 4];
        let mut bytes = vec![first];
        match payload.len() {
            short @ 0..126 => bytes.push(0x80 | short as u8),
            long => {
                bytes.push(0x80 | 127);
                bytes.extend((long as u64).to_be_bytes());
            }
        }
        bytes.extend(mask);
        bytes.extend(
            payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
        self.send(bytes).await;
    }

    /// An HTTP head, byte by byte so that nothing behind it is lost.
    pub async fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(self.0.read_u8()).await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    /// Everything until the other side closes.
    pub async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let _ = within(self.0.read_to_end(&mut rest)).await;
        String::from_utf8_lossy(&rest).into_owned()
    }

    /// The next frame of a server: its first byte and payload.
    pub async fn next(&mut self) -> (u8, Vec<u8>) {
        within(async {
            let first = self.0.read_u8().await.unwrap();
            let length = match self.0.read_u8().await.unwrap() {
                126 => u64::from(self.0.read_u16().await.unwrap()),
                127 => self.0.read_u64().await.unwrap(),
                short @ 0..126 => u64::from(short),
                _ => panic!("a server masks"),
            };
            let mut payload = vec![0; length as usize];
            self.0.read_exact(&mut payload).await.unwrap();
            (first, payload)
        })
        .await
    }

    /// The next frame, which has to be a Close: its code and reason.
    pub async fn close(&mut self) -> (u16, String) {
        let (first, payload) = self.next().await;
        assert_eq!(first, 0x88, "no Close frame but {payload:?}");
        let (code, reason) = payload.split_first_chunk::<2>().unwrap();
        (
            u16::from_be_bytes(*code),
            String::from_utf8(reason.to_vec()).unwrap(),
        )
    }
}

/// A server that answers one upgrade with whatever `answer` makes of the right accept key, and
/// gives the request that came.
pub async fn answering(
    answer: fn(&str) -> String,
) -> (
    SocketAddr,
    tokio::task::JoinHandle<(String, Raw<TcpStream>)>,
) {
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = tcp.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut raw = Raw(tcp.accept().await.unwrap().0);
        let head = raw.head().await;
        let key = head
            .lines()
            .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
            .unwrap();
        raw.send(answer(&derive_accept_key(key.as_bytes()))).await;
        (head, raw)
    });
    (addr, task)
}
