//! A reader of the live stream of events.

use crate::rig::{Api, until};
use futures_util::StreamExt;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a stream has brought so far; ends with its server.
#[derive(Clone, Default)]
pub struct Stream {
    events: Arc<Mutex<Vec<Value>>>,
}

impl Stream {
    /// From now on, or from the cursor.
    pub async fn open(api: &Api, after: Option<&str>) -> Stream {
        let query = after
            .map(|after| format!("?after={after}"))
            .unwrap_or_default();
        let request = api.http.get(api.url(&format!("/events/stream{query}")));
        let answer = api.with_token(request).send().await.unwrap();
        assert!(answer.status().is_success());
        let stream = Stream::default();
        let events = stream.events.clone();
        tokio::spawn(async move {
            let mut body = answer.bytes_stream();
            let mut text = Vec::new();
            while let Some(Ok(bytes)) = body.next().await {
                text.extend_from_slice(&bytes);
                while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
                    let message: Vec<u8> = text.drain(..end + 2).collect();
                    let message = String::from_utf8(message).unwrap();
                    let data: String = message
                        .lines()
                        .filter_map(|line| line.strip_prefix("data:"))
                        .map(str::trim_start)
                        .collect();
                    if let Ok(event) = serde_json::from_str::<Value>(&data)
                        && event["cursor"].is_string()
                    {
                        events.lock().unwrap().push(event);
                    }
                }
            }
        });
        stream
    }

    pub fn events(&self) -> Vec<Value> {
        self.events.lock().unwrap().clone()
    }

    /// The first event of this kind about this device, from the `from`th on.
    pub async fn wait(&self, kind: &str, device: &str, from: usize, within: Duration) -> Value {
        self.wait_any(&[kind], device, from, within).await
    }

    /// The same for one of several kinds.
    pub async fn wait_any(
        &self,
        kinds: &[&str],
        device: &str,
        from: usize,
        within: Duration,
    ) -> Value {
        until(&format!("{kinds:?} on the stream"), within, async || {
            let events = self.events.lock().unwrap();
            let mut new = events.iter().skip(from);
            let wanted = |event: &&Value| {
                event["device_id"] == device && kinds.iter().any(|kind| event["kind"] == *kind)
            };
            new.find(wanted).cloned()
        })
        .await
    }

    pub fn len(&self) -> usize {
        self.events.lock().unwrap().len()
    }
}
