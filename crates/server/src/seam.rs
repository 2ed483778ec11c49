//! What the API asks of the side that talks to devices. The southbound adapter and the dispatcher
//! stand behind [`South`]; [`Detached`] stands in where no device listener runs.

use std::net::SocketAddr;
use std::time::Duration;

use fleet::{DeviceId, OperationId, TenantId, Timestamp};
use futures_util::future::BoxFuture;

/// One attempt to reach a device: to dial it, or to ask it to come.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// When.
    pub at: Timestamp,
    /// Whether it worked.
    pub ok: bool,
    /// How: `websocket`, `http`, `udp`, `xmpp`.
    pub method: String,
    /// Where to, without credentials.
    pub address: String,
    /// How long it took.
    pub took: Duration,
    /// What happened, in words.
    pub words: String,
}

/// A way in which a device can be asked to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// How: `http`, `udp`, `xmpp`.
    pub method: String,
    /// Where to, without credentials.
    pub address: String,
    /// Why it cannot be used, in words.
    pub problem: Option<String>,
}

/// The session context that a link is in: USP between the endpoints themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionContext {
    /// Both ends take part; otherwise it is about to be opened.
    pub up: bool,
    /// What it carries is encrypted.
    pub encrypted: bool,
}

/// A link that a device has to this node now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LivePath {
    /// What it runs over.
    pub transport: &'static str,
    /// The device can be asked things over it.
    pub open: bool,
    /// A request over it was not answered in the last minutes.
    pub doubted: bool,
    /// When the device was last heard on it: any record or pong.
    pub heard: Timestamp,
    /// The session context that it is in.
    pub session_context: Option<SessionContext>,
}

/// What devices are asked to come with, beside HTTP.
#[derive(Clone, Debug, Default)]
pub struct Waking {
    /// Where our STUN server is bound; absent is none.
    pub stun: Option<SocketAddr>,
    /// Devices whose address outside of their NAT it knows.
    pub bindings: usize,
    /// How our XMPP account is, in words; the error is what is wrong. Absent is none.
    pub xmpp: Option<Result<String, String>>,
}

/// The side that talks to devices. No call waits for a device; each is a hint, the truth is in
/// the store.
pub trait South: Send + Sync {
    /// An operation was stored for the device.
    fn operation_queued(&self, tenant: &TenantId, device: DeviceId);

    /// A person wants the operation stopped. Queued ones the store has already cancelled.
    fn operation_cancel(&self, tenant: &TenantId, device: DeviceId, operation: OperationId);

    /// Try to reach the device now. Says what is done, or why nothing can be.
    fn wake<'a>(
        &'a self,
        tenant: &'a TenantId,
        device: DeviceId,
    ) -> BoxFuture<'a, Result<String, String>>;

    /// Ask the device to come in these ways, also when it is there over another protocol. Says what is done, or why
    /// nothing can be.
    fn knock<'a>(
        &'a self,
        tenant: &'a TenantId,
        device: DeviceId,
    ) -> BoxFuture<'a, Result<String, String>>;

    /// The ways in which the device can be asked to come, the most promising first.
    fn ways<'a>(&'a self, tenant: &'a TenantId, device: DeviceId) -> BoxFuture<'a, Vec<Way>>;

    /// The device was removed: close its link, stop dialling it.
    fn device_removed(&self, tenant: &TenantId, device: DeviceId);

    /// A tenant was disabled: close its links, stop dialling; or enabled again.
    fn tenants_changed(&self);

    /// A certificate of a device was revoked: close the links that came in with it.
    fn certificates_changed(&self);

    /// Where, or whether, the device is dialled was changed.
    fn dialling_changed(&self, tenant: &TenantId, device: DeviceId);

    /// The last attempts to reach the device, newest first.
    fn attempts(&self, tenant: &TenantId, device: DeviceId) -> Vec<Attempt>;

    /// When a device that is connected to this node was last heard: any record or pong of it. The
    /// store hears of it a little later.
    fn heard(&self, device: DeviceId) -> Option<Timestamp>;

    /// The links of a device that is connected to this node, the one that is asked first.
    fn live(&self, _: DeviceId) -> Vec<LivePath> {
        Vec::new()
    }

    /// Devices connected to this node.
    fn connections(&self) -> u64;

    /// What devices are asked to come with, beside HTTP.
    fn waking(&self) -> Waking {
        Waking::default()
    }
}

/// No devices: used by tests of the API alone.
#[derive(Debug, Default)]
pub struct Detached;

impl South for Detached {
    fn operation_queued(&self, _: &TenantId, _: DeviceId) {}

    fn operation_cancel(&self, _: &TenantId, _: DeviceId, _: OperationId) {}

    fn wake<'a>(&'a self, _: &'a TenantId, _: DeviceId) -> BoxFuture<'a, Result<String, String>> {
        Box::pin(async { Err("this node serves no devices".to_owned()) })
    }

    fn knock<'a>(&'a self, _: &'a TenantId, _: DeviceId) -> BoxFuture<'a, Result<String, String>> {
        Box::pin(async { Err("this node serves no devices".to_owned()) })
    }

    fn ways<'a>(&'a self, _: &'a TenantId, _: DeviceId) -> BoxFuture<'a, Vec<Way>> {
        Box::pin(async { Vec::new() })
    }

    fn device_removed(&self, _: &TenantId, _: DeviceId) {}

    fn tenants_changed(&self) {}

    fn certificates_changed(&self) {}

    fn dialling_changed(&self, _: &TenantId, _: DeviceId) {}

    fn attempts(&self, _: &TenantId, _: DeviceId) -> Vec<Attempt> {
        Vec::new()
    }

    fn heard(&self, _: DeviceId) -> Option<Timestamp> {
        None
    }

    fn connections(&self) -> u64 {
        0
    }
}
