//! The link that a device gets: made when a command is sent, for one file or one place, for one
//! device, for a day. In the database is its hash; in an operation, a transcript and the log stands
//! what it stands for.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use fleet::model::{split, supported};
use fleet::southbound::Op;
use fleet::transfer::{Named, named};
use fleet::{DeviceId, Direction, FileId, FileKind, OperationId, Protocol, TenantId, TransferId};
use store::NewTransfer;
use store::file::ContentHash;

use super::Files;
use super::folder::hex;
use super::limits::{LINK_LIFE, LINK_NAME_CHARS_MAX};
use crate::secret;
use crate::state::now;

/// A link, and what is known of the file behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where to fetch or send.
    pub url: String,
    /// Bytes of the file to fetch.
    pub size: Option<u64>,
    /// Hash of what is in it.
    pub sha256: Option<ContentHash>,
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// There cannot be one, now or later.
    #[error("{0}")]
    Impossible(String),
    /// The database does not answer.
    #[error(transparent)]
    Store(store::Error),
}

impl From<store::Error> for LinkError {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NotFound(what) => Self::Impossible(format!("there is no such {what}")),
            error => Self::Store(error),
        }
    }
}

impl Files {
    /// A link to fetch a file with, for a device, because of an operation. The link that was made
    /// for the same operation before ends.
    pub async fn transfer_for(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        operation: OperationId,
        file: FileId,
    ) -> Result<Link, LinkError> {
        let file = match self.store.file(tenant, file).await {
            Ok(record) => record.file,
            Err(store::Error::NotFound(_)) => {
                let words = "the file it names is not there (any more)";
                return Err(LinkError::Impossible(words.to_owned()));
            }
            Err(error) => return Err(error.into()),
        };
        let offer = Offer {
            device,
            operation,
            direction: Direction::Download,
            file: Some(file.id),
            name: file.name,
            kind: file.kind,
            size: Some(file.size),
        };
        Ok(Link {
            url: self.offer(tenant, offer).await?,
            size: Some(file.size),
            sha256: Some(file.sha256),
        })
    }

    /// A link to send a file to. What comes gets this name, or one of the device and the time.
    pub async fn upload_for(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        operation: OperationId,
        kind: FileKind,
        name: &str,
    ) -> Result<Link, LinkError> {
        let name = match name {
            "" => self.name_for(tenant, device, kind).await?,
            given => given.to_owned(),
        };
        let offer = Offer {
            device,
            operation,
            direction: Direction::Upload,
            file: None,
            name,
            kind,
            size: None,
        };
        Ok(Link {
            url: self.offer(tenant, offer).await?,
            size: None,
            sha256: None,
        })
    }

    /// Puts links where the arguments of a command name files and places, with what the command
    /// takes beside over the protocol it goes over: size, checksum, an empty user.
    pub async fn fill(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        over: Protocol,
        op: &mut Op,
    ) -> Result<(), LinkError> {
        let Op::Operate { command, key, args } = op else {
            return Ok(());
        };
        let mut names = args
            .iter()
            .filter(|(_, value)| named(value).is_some())
            .map(|(name, _)| name.clone());
        let Some(name) = names.next() else {
            return Ok(());
        };
        let impossible = |words: &str| LinkError::Impossible(words.to_owned());
        if names.next().is_some() {
            return Err(impossible("a command fetches or sends one file"));
        }
        let operation = key
            .parse::<OperationId>()
            .map_err(|_| impossible("it belongs to no operation"))?;
        let value = args.get(&name).cloned().unwrap_or_default();
        let link = match named(&value) {
            Some(Named::File(id)) => {
                let id = id
                    .parse()
                    .map_err(|_| impossible("the name of the file is no id"))?;
                self.transfer_for(tenant, device, operation, id).await?
            }
            Some(Named::Upload(name)) => {
                let what = args
                    .get("FileType")
                    .map_or(command.as_str(), String::as_str);
                let configuration = ["VendorConfigFile", "Configuration File"];
                let kind = match configuration.iter().any(|word| what.contains(word)) {
                    true => FileKind::Configuration,
                    false => FileKind::Upload,
                };
                self.upload_for(tenant, device, operation, kind, name)
                    .await?
            }
            None => return Ok(()),
        };
        let mut more = vec![("Username", String::new()), ("Password", String::new())];
        if let Some(size) = link.size.and_then(|size| u32::try_from(size).ok()) {
            more.push(("FileSize", size.to_string()));
        }
        if let Some(hash) = link.sha256.filter(|_| !args.contains_key("CheckSum")) {
            more.push(("CheckSumAlgorithm", "SHA-256".to_owned()));
            more.push(("CheckSum", hex(&hash)));
        }
        let taken = self.inputs(tenant, device, over, command).await?;
        for (name, value) in more {
            if taken.iter().any(|one| one == name) {
                args.entry(name.to_owned()).or_insert(value);
            }
        }
        args.insert(name, link.url);
        Ok(())
    }

    /// The arguments that a command takes: as the device says, else as published.
    async fn inputs(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        over: Protocol,
        command: &str,
    ) -> store::Result<Vec<String>> {
        let Some((owner, name)) = split(command) else {
            return Ok(Vec::new());
        };
        let shape = supported(owner);
        let record = self.store.device(tenant, device).await?;
        let model = match record.models.over(over) {
            "" => None,
            key => self.store.model(tenant, key).await?,
        };
        let told = model
            .as_ref()
            .and_then(|known| known.model.objects.get(&shape))
            .and_then(|object| object.commands.iter().find(|one| one.name == name));
        if let Some(told) = told {
            return Ok(told.inputs.clone());
        }
        let published = dm::Schema::tr181()
            .object(&shape)
            .and_then(|object| object.command(name));
        Ok(published.map_or_else(Vec::new, |one| {
            one.inputs.iter().map(|arg| arg.name.to_string()).collect()
        }))
    }

    async fn name_for(
        &self,
        tenant: &TenantId,
        device: DeviceId,
        kind: FileKind,
    ) -> store::Result<String> {
        let record = self.store.device(tenant, device).await?;
        let at = time::OffsetDateTime::now_utc();
        let device = match record.device.description.serial.as_str() {
            "" => device.to_string(),
            serial => serial.to_owned(),
        };
        let (what, end) = match kind {
            FileKind::Configuration => ("config", "cfg"),
            _ => ("upload", "bin"),
        };
        Ok(format!(
            "{device}-{what}-{:04}{:02}{:02}-{:02}{:02}{:02}.{end}",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second()
        ))
    }

    async fn offer(&self, tenant: &TenantId, offer: Offer) -> Result<String, LinkError> {
        let base = self.base(tenant, offer.device).await?;
        let token = secret::new(secret::FILE);
        let at = now();
        let way = match offer.direction {
            Direction::Download => "f",
            Direction::Upload => "u",
        };
        let url = format!("{base}/{way}/{token}/{}", link_name(&offer.name));
        let new = NewTransfer {
            id: TransferId::new(at, secret::id_bits()),
            device: offer.device,
            operation: offer.operation,
            direction: offer.direction,
            file: offer.file,
            name: offer.name,
            kind: offer.kind,
            size: offer.size,
            token_hash: secret::hash(&token),
            created_at: at,
            expires_at: at.plus(LINK_LIFE),
        };
        self.store.transfer_offer(tenant, new).await?;
        Ok(url)
    }

    /// The URL under which a device reaches a listener: the configured one; else the listener's
    /// address, with the name under which devices find this server, or the address of this host on
    /// the way to the device.
    async fn base(&self, tenant: &TenantId, device: DeviceId) -> Result<String, LinkError> {
        let config = &self.config;
        if let Some(url) = &config.files.public_url {
            return Ok(url.trim_end_matches('/').to_owned());
        }
        // Devices do not know a development authority: with one, plaintext goes first.
        let real = config.files.tls.is_some();
        let (secure, plain) = (
            self.bound.tls.map(|addr| ("https", addr)),
            self.bound.plain.map(|addr| ("http", addr)),
        );
        let chosen = match real {
            true => secure.or(plain),
            false => plain.or(secure),
        };
        let Some((scheme, addr)) = chosen else {
            let words = "this server serves no files (files.listen)";
            return Err(LinkError::Impossible(words.to_owned()));
        };
        if !addr.ip().is_unspecified() {
            return Ok(format!("{scheme}://{addr}"));
        }
        let named = [
            &config.cwmp.public_url,
            &config.usp.public_url,
            &config.http.public_url,
        ]
        .into_iter()
        .flatten()
        .find_map(|url| Some(url.parse::<http::Uri>().ok()?.host()?.to_owned()));
        if let Some(host) = named {
            return Ok(format!("{scheme}://{host}:{}", addr.port()));
        }
        let paths = self.store.path_list(tenant, device).await?;
        let peer = paths
            .iter()
            .filter_map(|path| Some((path.connected_at, path.peer.parse().ok()?)))
            .max_by_key(|(at, _)| *at)
            .map(|(_, peer)| peer);
        let host = peer
            .and_then(address_towards)
            .unwrap_or(IpAddr::from([127, 0, 0, 1]));
        Ok(format!("{scheme}://{}", SocketAddr::new(host, addr.port())))
    }
}

struct Offer {
    device: DeviceId,
    operation: OperationId,
    direction: Direction,
    file: Option<FileId>,
    name: String,
    kind: FileKind,
    size: Option<u64>,
}

/// The address of this host from which it would send to a peer. Nothing is sent.
fn address_towards(peer: SocketAddr) -> Option<IpAddr> {
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port().max(1));
    let any: IpAddr = match peer.ip() {
        IpAddr::V4(_) => IpAddr::from([0, 0, 0, 0]),
        IpAddr::V6(_) => IpAddr::from([0u16; 8]),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(peer).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// A name that every device understands at the end of a URL, with its ending kept.
pub fn link_name(name: &str) -> String {
    let safe = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' => c,
        _ => '_',
    };
    let all: Vec<char> = name.chars().map(safe).collect();
    let from = all.len().saturating_sub(LINK_NAME_CHARS_MAX);
    let kept: String = all[from..].iter().collect();
    // A name of dots alone means a folder to many.
    match kept.trim_matches('.') {
        "" => "file".to_owned(),
        _ => kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_link_is_short_and_plain_and_keeps_its_ending() {
        assert_eq!(link_name("fw 2.1 (ä).bin"), "fw_2.1____.bin");
        assert_eq!(link_name("../../etc/passwd"), ".._.._etc_passwd");
        assert_eq!(link_name(".."), "file");
        assert_eq!(link_name(""), "file");
        let long = format!("{}.bin", "x".repeat(300));
        let short = link_name(&long);
        assert_eq!(short.len(), LINK_NAME_CHARS_MAX);
        assert!(short.ends_with(".bin"));
    }

    #[test]
    fn the_address_towards_a_device_on_this_host_is_this_host() {
        let towards = |peer: &str| address_towards(peer.parse().unwrap());
        assert_eq!(towards("127.0.0.1:9"), Some(IpAddr::from([127, 0, 0, 1])));
        assert_eq!(
            towards("[::ffff:127.0.0.1]:9"),
            Some(IpAddr::from([127, 0, 0, 1]))
        );
    }
}
