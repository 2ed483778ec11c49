//! The HTTP servers of CPEs, good and odd, each connection by its script.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use cwmp::auth::digest::{Algorithm, Server as Digest};
use cwmp::reach::server::{Answer, Server as Cpe, Used};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a server does with one connection, after it has read the head of a request.
#[derive(Clone, Debug)]
pub enum Do {
    /// Writes this and closes.
    Say(&'static str),
    /// Writes this byte by byte.
    Drip(&'static str),
    /// Writes this again and again.
    Forever(&'static str),
    /// Writes this and keeps the connection open.
    Hold(&'static str),
    /// Closes without a word.
    Close,
    /// Closes before it has read anything.
    CloseAtOnce,
    /// Says nothing.
    Silence,
}

/// A server with a script.
pub struct Scripted {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// One entry for each connection; the last one for all that follow.
    pub async fn new(script: &[Do]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (script, heard) = (script.to_vec(), asked.clone());
        tokio::spawn(async move {
            let mut at = 0;
            while let Ok((stream, _)) = listener.accept().await {
                let what = script[at.min(script.len() - 1)].clone();
                at += 1;
                tokio::spawn(serve(stream, what, heard.clone()));
            }
        });
        Self { address, asked }
    }

    pub fn url(&self) -> String {
        format!("http://{}/cr", self.address)
    }

    /// The heads of the requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Reads up to the first empty line.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte).await, Ok(1)) {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

// Errors are those of clients that have heard enough.
async fn serve(mut stream: TcpStream, what: Do, asked: Arc<Mutex<Vec<String>>>) {
    if matches!(what, Do::CloseAtOnce) {
        return;
    }
    let question = head(&mut stream).await;
    asked.lock().unwrap().push(question);
    match what {
        Do::Say(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
        }
        Do::Drip(text) => {
            let _ = stream.set_nodelay(true);
            for byte in text.bytes() {
                let _ = stream.write_all(&[byte]).await;
                let _ = stream.flush().await;
                tokio::task::yield_now().await;
            }
        }
        Do::Forever(text) => while stream.write_all(text.as_bytes()).await.is_ok() {},
        Do::Hold(text) => {
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.read_u8().await;
        }
        Do::Silence => {
            let _ = stream.read_u8().await;
        }
        Do::Close | Do::CloseAtOnce => {}
    }
}

/// A CPE that does what the standard says; `came` is called when it would open a session.
pub async fn cpe(username: &str, password: &str, came: impl Fn() + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = Cpe {
        path: "/cr".into(),
        username: username.into(),
        password: password.into(),
        digest: Digest {
            realm: "cpe".into(),
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            qop: true,
            secret: b"secret".into(),
            life: 60,
        },
        used: Used::default(),
    };
    tokio::spawn(async move {
        let mut random = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            random += 1;
            let question = head(&mut stream).await;
            match server.answer(1000, random, question.as_bytes(), false) {
                Answer::More => {}
                Answer::Refused(answer) => {
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
                Answer::Accepted(answer) => {
                    let _ = stream.write_all(answer.as_bytes()).await;
                    drop(stream);
                    came();
                }
            }
        }
    });
    address
}
