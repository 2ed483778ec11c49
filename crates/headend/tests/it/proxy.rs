//! A way to a server that breaks when it is told to: every request passes, or its answer is lost.

use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It is answered.
    Open,
    /// The server gets it, and its answer is lost.
    Lost,
    /// Only the head of the answer arrives.
    Cut,
    /// The server does not get it; this is the answer.
    Says(&'static str),
}

/// Listens for requests, one a connection.
pub struct Proxy {
    pub url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Before the server at `base`; `way` sees the head of each request and may take its time.
    pub async fn start(base: &str, way: impl FnMut(&str) -> Way + Send + 'static) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = base.trim_start_matches("http://").to_owned();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        let way = Arc::new(Mutex::new(way));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (way, seen, server) = (way.clone(), seen.clone(), server.clone());
                tokio::spawn(async move {
                    let _ = pass(client, &server, |head| {
                        seen.lock().unwrap().push(head.to_owned());
                        (way.lock().unwrap())(head)
                    })
                    .await;
                });
            }
        });
        Proxy { url, heads }
    }

    /// The heads of the requests so far that begin so.
    pub fn heads(&self, begin: &str) -> Vec<String> {
        let heads = self.heads.lock().unwrap();
        let wanted = heads.iter().filter(|head| head.starts_with(begin));
        wanted.cloned().collect()
    }
}

/// The value of a header, in small letters as clients send its name.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
}

async fn pass(
    mut client: TcpStream,
    server: &str,
    way: impl FnOnce(&str) -> Way,
) -> std::io::Result<()> {
    let (head, mut body) = head_of(&mut client).await?;
    let length = header(&head, "content-length").map_or(0, |text| text.parse().unwrap());
    while body.len() < length {
        client.read_buf(&mut body).await?;
    }
    let way = tokio::task::block_in_place(|| way(&head));
    if let Way::Says(answer) = way {
        return client.write_all(answer.as_bytes()).await;
    }
    let mut upstream = TcpStream::connect(server).await?;
    let (first, rest) = head.split_once("\r\n").unwrap();
    let request = format!("{first}\r\nconnection: close\r\n{rest}");
    upstream.write_all(request.as_bytes()).await?;
    upstream.write_all(&body).await?;
    match way {
        Way::Open => _ = tokio::io::copy(&mut upstream, &mut client).await?,
        Way::Lost => _ = tokio::io::copy(&mut upstream, &mut tokio::io::sink()).await?,
        Way::Cut => {
            let (head, _) = head_of(&mut upstream).await?;
            client.write_all(head.as_bytes()).await?;
        }
        Way::Says(_) => {}
    }
    Ok(())
}

/// Everything up to the empty line, and what came with it.
async fn head_of(stream: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok((String::from_utf8(bytes).unwrap(), rest));
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}
