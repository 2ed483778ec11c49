//! A client that is no agent: it speaks WebSocket, and then whatever a test wants.

use crate::rig::Server;
use futures_util::{SinkExt, StreamExt};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use usp::record::{Record, WebSocketConnectRecord};
use usp::{EndpointId, Version, codec};

const ANSWER_TIME: Duration = Duration::from_secs(20);

pub struct Raw {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    own: EndpointId,
    controller: EndpointId,
}

impl Raw {
    /// Dials with the last part of the path and an endpoint id; else the HTTP status of the refusal.
    pub async fn dial(server: &Server, key: &str, endpoint: &str) -> Result<Raw, u16> {
        let found = Raw::reach(&server.usp, &server.endpoint, key, endpoint).await;
        found.expect("no answer to the handshake")
    }

    /// The same for an address where perhaps nobody is: nothing then.
    pub async fn reach(
        address: &str,
        controller: &str,
        key: &str,
        endpoint: &str,
    ) -> Option<Result<Raw, u16>> {
        let url = format!("ws://{address}/usp/{key}?eid={endpoint}");
        let mut request = url.into_client_request().unwrap();
        let protocol = HeaderValue::from_static("v1.usp");
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", protocol);
        match tokio_tungstenite::connect_async(request).await {
            Ok((socket, _)) => Some(Ok(Raw {
                socket,
                own: EndpointId::parse(endpoint).unwrap(),
                controller: EndpointId::parse(controller).unwrap(),
            })),
            Err(Error::Http(answer)) => Some(Err(answer.status().as_u16())),
            Err(_) => None,
        }
    }

    /// Says hello as an agent does.
    pub async fn connect(&mut self) {
        let hello = WebSocketConnectRecord {};
        let record = Record::new(Version::V1_3, &self.own, &self.controller, hello);
        self.send(Message::Binary(codec::encode_record(&record).into()))
            .await;
    }

    pub async fn send(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    /// Sends a record; false when the link is gone.
    pub async fn send_record(&mut self, record: Vec<u8>) -> bool {
        self.socket
            .send(Message::Binary(record.into()))
            .await
            .is_ok()
    }

    /// The next record; nothing when the link is gone.
    pub async fn record(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.socket.next().await?.ok()? {
                Message::Binary(bytes) => return Some(bytes.to_vec()),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// The close code the server ends with, and the records it sent before.
    pub async fn closed(mut self) -> (u16, Vec<Record>) {
        let mut records = Vec::new();
        let read = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Binary(bytes))) => {
                        records.push(codec::decode_record(&bytes).unwrap());
                    }
                    Some(Ok(Message::Close(Some(frame)))) => return u16::from(frame.code),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    other => panic!("no close: {other:?}"),
                }
            }
        };
        let code = tokio::time::timeout(ANSWER_TIME, read)
            .await
            .expect("no close in time");
        (code, records)
    }

    /// Announces a message of so many bytes without sending it; the code of the close frame.
    pub async fn announces(self, bytes: u64) -> u16 {
        let MaybeTlsStream::Plain(mut tcp) = self.socket.into_inner() else {
            panic!("not plaintext");
        };
        // FIN and binary; masked with a 64-bit length; a mask of zeros.
        let mut frame = vec![0x82, 0xFF];
        frame.extend(bytes.to_be_bytes());
        frame.extend([0; 4]);
        tcp.write_all(&frame).await.unwrap();
        let read = async {
            loop {
                let [first, length] = [tcp.read_u8().await.unwrap(), tcp.read_u8().await.unwrap()];
                let mut payload = vec![0; usize::from(length & 0x7F)];
                // Only short frames are expected here.
                assert!(payload.len() < 126);
                tcp.read_exact(&mut payload).await.unwrap();
                if first & 0x0F == 8 {
                    return u16::from_be_bytes([payload[0], payload[1]]);
                }
            }
        };
        tokio::time::timeout(ANSWER_TIME, read)
            .await
            .expect("no close in time")
    }
}
