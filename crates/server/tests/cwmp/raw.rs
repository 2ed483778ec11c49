//! An HTTP client that sends what it is told, byte by byte, and what a CPE sends.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use cwmp::auth::basic;
use cwmp::auth::challenge::{Challenge, challenges};
use cwmp::auth::digest;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::PATIENCE;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.all(name);
        all.next()
    }

    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self
            .headers
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn challenges(&self) -> Vec<Challenge> {
        challenges(self.all("WWW-Authenticate"))
    }

    /// What to send back as `Cookie`.
    pub fn cookie(&self) -> Option<String> {
        let set = self.header("Set-Cookie")?;
        Some(set.split(';').next().unwrap_or_default().to_owned())
    }
}

/// One connection.
pub struct Wire<S = TcpStream> {
    pub stream: S,
    unread: Vec<u8>,
}

impl Wire {
    pub async fn connect(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub fn over(stream: S) -> Self {
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Says that nothing follows.
    pub async fn nothing_follows(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// A POST with these headers beside `Host` and `Content-Length`.
    pub async fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.send(request("HTTP/1.1", path, headers, body)).await;
        self.answer().await
    }

    async fn more(&mut self) -> bool {
        let mut piece = [0; 16 * 1024];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut piece));
        let count = read.await.expect("an answer comes in time").unwrap_or(0);
        self.unread.extend_from_slice(&piece[..count]);
        count > 0
    }

    /// Whether the other end closes within a time.
    pub async fn closes_within(&mut self, time: Duration) -> bool {
        let closed = async { while self.more().await {} };
        tokio::time::timeout(time, closed).await.is_ok()
    }

    async fn head(&mut self) -> Option<(u16, Vec<(String, String)>)> {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            if !self.more().await {
                return None;
            }
        };
        let rest = self.unread.split_off(end + 4);
        let head = String::from_utf8(std::mem::replace(&mut self.unread, rest)).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_owned(), value.trim().to_owned())
        });
        Some((status.parse().unwrap(), headers.collect()))
    }

    /// The status of an interim answer.
    pub async fn interim(&mut self) -> u16 {
        self.head().await.expect("the connection stays open").0
    }

    /// The next answer, which is not an interim one.
    pub async fn answer(&mut self) -> Answer {
        self.maybe().await.expect("the connection stays open")
    }

    /// The next answer; `None` where the connection is closed instead.
    pub async fn maybe(&mut self) -> Option<Answer> {
        loop {
            let (status, headers) = self.head().await?;
            let mut answer = Answer {
                status,
                headers,
                body: Vec::new(),
            };
            if (100..200).contains(&status) {
                continue;
            }
            let length = answer.header("Content-Length").map(|n| n.parse().unwrap());
            let length: usize = length.unwrap_or(0);
            while self.unread.len() < length {
                assert!(self.more().await, "a body is cut");
            }
            let rest = self.unread.split_off(length);
            answer.body = std::mem::replace(&mut self.unread, rest);
            return Some(answer);
        }
    }
}

/// The bytes of a POST.
pub fn request(version: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut out = format!("POST {path} {version}\r\nHost: acs\r\n");
    let has = |name: &str| {
        headers
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(name))
    };
    if !has("Content-Length") && !has("Transfer-Encoding") {
        out.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str("\r\n");
    out.push_str(body);
    out.into_bytes()
}

/// A CPE as its sessions show it.
pub struct Cpe {
    pub to: SocketAddr,
    pub wire: Wire,
    pub path: String,
    pub oui: String,
    pub class: String,
    pub serial: String,
    pub username: String,
    pub password: String,
    pub cookie: Option<String>,
    /// The uses of each nonce.
    counts: HashMap<String, u32>,
}

impl Cpe {
    pub async fn new(to: SocketAddr, serial: &str) -> Self {
        Self {
            to,
            wire: Wire::connect(to).await,
            path: "/".to_owned(),
            oui: "00256D".to_owned(),
            class: "Box".to_owned(),
            serial: serial.to_owned(),
            username: String::new(),
            password: String::new(),
            cookie: None,
            counts: HashMap::new(),
        }
    }

    pub fn with(mut self, username: &str, password: &str) -> Self {
        (self.username, self.password) = (username.to_owned(), password.to_owned());
        self
    }

    pub async fn reconnect(&mut self) {
        self.wire = Wire::connect(self.to).await;
    }

    pub fn inform(&self) -> String {
        inform(&self.oui, &self.class, &self.serial, "2 PERIODIC")
    }

    pub fn basic(&self) -> String {
        basic::authorization(&self.username, &self.password)
    }

    /// The answer to a challenge.
    pub fn digest(&mut self, challenge: &Challenge) -> String {
        let nonce = challenge.params.get("nonce").unwrap_or_default().to_owned();
        let count = self.counts.entry(nonce).or_insert(0);
        *count += 1;
        let client = digest::Client {
            username: &self.username,
            password: &self.password,
            method: "POST",
            uri: &self.path,
            cnonce: "0a4f113b",
            count: *count,
            body: b"",
        };
        client.answer(challenge).unwrap()
    }

    /// Posts with the cookie, if there is one, and these headers.
    pub async fn post(&mut self, headers: &[(&str, &str)], body: &str) -> Answer {
        let cookie = self.cookie.clone();
        let mut all = headers.to_vec();
        if let Some(cookie) = &cookie {
            all.push(("Cookie", cookie));
        }
        let answer = self.wire.post(&self.path, &all, body).await;
        if let Some(cookie) = answer.cookie() {
            self.cookie = Some(cookie);
        }
        answer
    }

    /// An Inform that shows its password at once.
    pub async fn come(&mut self) -> Answer {
        let (basic, inform) = (self.basic(), self.inform());
        self.post(&[("Authorization", &basic)], &inform).await
    }

    /// A session from the Inform to the empty answer.
    pub async fn session(&mut self) {
        let informed = self.come().await;
        assert_eq!(informed.status, 200, "{}", informed.text());
        let text = informed.text();
        assert!(text.contains("InformResponse"), "{text}");
        self.finish().await;
    }

    /// The rest of a session: whatever is asked is not answered well.
    pub async fn finish(&mut self) {
        let mut body = String::new();
        for _ in 0..100 {
            let answer = self.post(&[], &body).await;
            if answer.status == 204 {
                return;
            }
            assert_eq!(answer.status, 200, "{}", answer.text());
            let asked = answer.text();
            let id = asked.split("</cwmp:ID>").next().unwrap_or_default();
            let id = id.rsplit('>').next().unwrap_or_default();
            body = fault(id, 9002);
        }
        panic!("the session does not end");
    }
}

const ENVELOPE: &str = r#"<soap-env:Envelope xmlns:soap-env="http://schemas.xmlsoap.org/soap/envelope/" xmlns:soap-enc="http://schemas.xmlsoap.org/soap/encoding/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:cwmp="urn:dslforum-org:cwmp-1-2">"#;

/// An envelope with this id around a body.
pub fn envelope(id: &str, body: &str) -> String {
    format!(
        r#"{ENVELOPE}<soap-env:Header><cwmp:ID soap-env:mustUnderstand="1">{id}</cwmp:ID></soap-env:Header><soap-env:Body>{body}</soap-env:Body></soap-env:Envelope>"#
    )
}

/// The same with a header that nobody knows and that must be understood.
pub fn insisting(envelope: &str) -> String {
    let header =
        r#"<x:New xmlns:x="urn:x" soap-env:mustUnderstand="1">1</x:New></soap-env:Header>"#;
    envelope.replacen("</soap-env:Header>", header, 1)
}

/// A fault of a CPE.
pub fn fault(id: &str, code: u32) -> String {
    let body = format!(
        "<soap-env:Fault><faultcode>Server</faultcode><faultstring>CWMP fault</faultstring><detail><cwmp:Fault><FaultCode>{code}</FaultCode><FaultString>no</FaultString></cwmp:Fault></detail></soap-env:Fault>"
    );
    envelope(id, &body)
}

/// An Inform.
pub fn inform(oui: &str, class: &str, serial: &str, event: &str) -> String {
    let body = format!(
        r#"<cwmp:Inform><DeviceId><Manufacturer>Maker</Manufacturer><OUI>{oui}</OUI><ProductClass>{class}</ProductClass><SerialNumber>{serial}</SerialNumber></DeviceId><Event soap-enc:arrayType="cwmp:EventStruct[1]"><EventStruct><EventCode>{event}</EventCode><CommandKey></CommandKey></EventStruct></Event><MaxEnvelopes>1</MaxEnvelopes><CurrentTime>2026-01-01T00:00:00Z</CurrentTime><RetryCount>0</RetryCount><ParameterList soap-enc:arrayType="cwmp:ParameterValueStruct[2]"><ParameterValueStruct><Name>Device.DeviceInfo.SoftwareVersion</Name><Value xsi:type="xsd:string">1.0</Value></ParameterValueStruct><ParameterValueStruct><Name>Device.DeviceInfo.HardwareVersion</Name><Value xsi:type="xsd:string">A</Value></ParameterValueStruct></ParameterList></cwmp:Inform>"#
    );
    envelope("1", &body)
}
