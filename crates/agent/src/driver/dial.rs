//! How each kind of controller is dialled. Deliberately not when, nor what becomes of it.

use std::time::Duration;

use super::Driver;
use super::peer::Channel;
use super::wire::{Wire, WireError, client_tls};
use crate::Reach;
use crate::limits::MQTT_WEBSOCKET_PATH;

impl Driver {
    pub(super) fn begin_dial(&mut self, at: usize) {
        let own = self.engine.endpoint_id().clone();
        let peer = &mut self.peers[at];
        let (reach, tls) = (peer.config.reach.clone(), self.tls.clone());
        let (peer_eid, proves) = (peer.config.endpoint_id.clone(), peer.config.proves);
        let tls = reach
            .is_encrypted()
            .then(|| client_tls(tls, peer_eid.clone(), proves));
        let tls = tls.transpose();
        peer.tls = tls.as_ref().ok().cloned().flatten();
        peer.channel = match reach {
            Reach::Awaited | Reach::Local => return,
            Reach::Socket(path) => Channel::Dialing(Box::pin(async move {
                let mut config = mtp::uds::DialConfig::new(path, own);
                config.peer = Some(peer_eid);
                Ok(Wire::from(mtp::uds::dial(&config).await?))
            })),
            Reach::WebSocket(url) => Channel::Dialing(Box::pin(async move {
                let mut config = mtp::ws::DialConfig::new(url, own);
                config.tls = tls?;
                let dialled = mtp::ws::dial(&config).await;
                Ok(Wire::from(dialled.map_err(WireError::dialling)?))
            })),
            Reach::Mqtt(link) => Channel::Dialing(Box::pin(async move {
                let given = |text: String| Some(text).filter(|text| !text.is_empty());
                let config = mtp::mqtt::DialConfig {
                    tls: tls?,
                    websocket: link.websocket.then(|| MQTT_WEBSOCKET_PATH.to_owned()),
                    version: link.version,
                    client_id: link.client_id,
                    username: given(link.username),
                    password: given(link.password),
                    keep_alive: link.keep_alive,
                    clean: link.clean,
                    subscriptions: link.subscriptions,
                    response_topic: given(link.response_topic),
                    qos: link.qos,
                    ..mtp::mqtt::DialConfig::new(link.host, link.port, own, link.topic)
                };
                Ok(Wire::from(mtp::mqtt::dial(&config).await?))
            })),
            Reach::Stomp(link) => Channel::Dialing(Box::pin(async move {
                let given = |text: String| Some(text).filter(|text| !text.is_empty());
                let beat = |ms: u32| Duration::from_millis(ms.into());
                let config = mtp::stomp::DialConfig {
                    tls: tls?,
                    virtual_host: given(link.virtual_host),
                    login: given(link.username),
                    passcode: given(link.password),
                    heart_beat: link
                        .heart_beat
                        .map(|(ours, theirs)| (beat(ours), beat(theirs))),
                    own_destination: given(link.own_destination),
                    ..mtp::stomp::DialConfig::new(link.host, link.port, own, link.destination)
                };
                Ok(Wire::from(mtp::stomp::dial(&config).await?))
            })),
        };
    }
}
