//! A controller of which only a domain is known (R-DIS.1b): by DNS-SD the name servers of this device say who it is and
//! where (R-DIS.7, PTR, SRV and TXT; its addresses are looked up when it is dialled). Only WebSockets: where a broker is
//! does not say what to tell it.

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::rdata::{PTR, SRV};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::time::timeout;
use usp::EndpointId;

use super::dns_sd::{Kind, Texts};
use crate::limits::{DOMAIN_CHARS_MAX, DOMAIN_LOOKUP_TIME_MAX, DOMAIN_RECORDS_MAX};

/// Why a domain leads to no controller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// Not the name of a host.
    #[error("\"{0}\" is neither a URL nor the name of a host")]
    NoName(String),
    /// The name servers are not known.
    #[error("the name servers of this device are not known: {0}")]
    NoServers(String),
    /// They do not know it, or are not there.
    #[error("{kind} of {name}: {reason}")]
    Unknown {
        /// The type of the record.
        kind: RecordType,
        /// The name that was asked for.
        name: String,
        /// What came of it.
        reason: String,
    },
    /// They say nothing in time.
    #[error("the name servers did not answer in time")]
    Late,
    /// Several, and none of them is the one that is meant.
    #[error("{domain} has {count} controllers, and which one is meant is not said (sub-option 29)")]
    Several {
        /// The domain.
        domain: String,
        /// How many it has.
        count: usize,
    },
    /// Another one.
    #[error("{domain} has no controller {wanted}")]
    Another {
        /// The domain.
        domain: String,
        /// Who is meant.
        wanted: EndpointId,
    },
}

/// Who the controller is, and its URL. `wanted`: who it has to be, where that is known.
pub async fn controller(
    domain: &str,
    wanted: Option<&EndpointId>,
) -> Result<(EndpointId, String), DomainError> {
    // They are read anew: with another lease there are others.
    let resolver = TokioResolver::builder_tokio().and_then(|builder| builder.build());
    let resolver = resolver.map_err(|error| DomainError::NoServers(error.to_string()))?;
    let found = timeout(DOMAIN_LOOKUP_TIME_MAX, find(&resolver, domain, wanted)).await;
    found.unwrap_or(Err(DomainError::Late))
}

async fn find(
    resolver: &TokioResolver,
    domain: &str,
    wanted: Option<&EndpointId>,
) -> Result<(EndpointId, String), DomainError> {
    let no_name = || DomainError::NoName(domain.chars().take(DOMAIN_CHARS_MAX).collect());
    let good = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if domain.len() > DOMAIN_CHARS_MAX || domain.is_empty() || !domain.bytes().all(good) {
        return Err(no_name());
    }
    let domain = domain.trim_end_matches('.');
    let service = format!("{}._tcp.{domain}.", Kind::ControllerWebSocket.label());
    let service = Name::from_ascii(service).map_err(|_| no_name())?;
    let mut instances = Vec::new();
    for data in ask(resolver, &service, RecordType::PTR).await? {
        if let RData::PTR(PTR(instance)) = data
            && service.zone_of(&instance)
            && let Some(id) = instance.iter().next()
            && let Ok(id) = std::str::from_utf8(id)
            && let Ok(id) = EndpointId::parse(id)
        {
            instances.push((id, instance));
        }
    }
    let count = instances.len();
    let mut meant = instances
        .into_iter()
        .filter(|(id, _)| wanted.is_none_or(|wanted| wanted == id));
    let (id, instance) = match (meant.next(), wanted) {
        (Some(one), _) if meant.next().is_none() => one,
        (None, Some(wanted)) => {
            let (domain, wanted) = (domain.to_owned(), wanted.clone());
            return Err(DomainError::Another { domain, wanted });
        }
        _ => {
            let domain = domain.to_owned();
            return Err(DomainError::Several { domain, count });
        }
    };
    let servers = ask(resolver, &instance, RecordType::SRV).await?;
    let servers = servers.into_iter().filter_map(|data| match data {
        RData::SRV(srv) if !srv.target.is_root() => Some(srv),
        _ => None,
    });
    let unknown = |kind, reason: &str| DomainError::Unknown {
        kind,
        name: instance.to_string(),
        reason: reason.to_owned(),
    };
    let SRV { target, port, .. } = servers
        .min_by_key(|srv| (srv.priority, u16::MAX - srv.weight))
        .ok_or_else(|| unknown(RecordType::SRV, "there is no such service"))?;
    let host = target.to_ascii();
    let host = host.trim_end_matches('.');
    if host.is_empty() || !host.bytes().all(good) {
        return Err(unknown(
            RecordType::SRV,
            "its target is not the name of a host",
        ));
    }
    let texts = ask(resolver, &instance, RecordType::TXT).await?;
    let texts = texts.iter().find_map(|data| match data {
        RData::TXT(texts) => Some(Texts::read(texts)),
        _ => None,
    });
    let texts = texts.unwrap_or_default();
    Ok((id, texts.url(host, port)))
}

/// The records of one type; that there are none is an error.
async fn ask(
    resolver: &TokioResolver,
    name: &Name,
    kind: RecordType,
) -> Result<Vec<RData>, DomainError> {
    let unknown = |reason: String| DomainError::Unknown {
        kind,
        name: name.to_string(),
        reason,
    };
    let found = resolver.lookup(name.clone(), kind).await;
    let found = found.map_err(|error| unknown(error.to_string()))?;
    let records = found.answers().iter().map(|one| &one.data);
    let records = records.filter(|data| data.record_type() == kind).cloned();
    let records: Vec<RData> = records.take(DOMAIN_RECORDS_MAX).collect();
    match records.is_empty() {
        true => Err(unknown("there is none".to_owned())),
        false => Ok(records),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
    use hickory_resolver::proto::rr::Record;
    use hickory_resolver::proto::rr::rdata::TXT;
    use tokio::net::UdpSocket;

    use super::*;

    /// A name server that knows these records, and nothing else.
    async fn name_server(records: Vec<(Name, RData)>) -> TokioResolver {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let own: SocketAddr = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let asked = Message::from_vec(&buffer[..length]).unwrap();
                let mut answer = Message::response(asked.metadata.id, OpCode::Query);
                let query = asked.queries[0].clone();
                for (name, data) in &records {
                    if *name == query.name && data.record_type() == query.query_type {
                        answer.add_answer(Record::from_rdata(name.clone(), 60, data.clone()));
                    }
                }
                if answer.answers.is_empty() {
                    answer.metadata.response_code = ResponseCode::NXDomain;
                }
                answer.add_query(query);
                let bytes = answer.to_vec().unwrap();
                socket.send_to(&bytes, from).await.unwrap();
            }
        });
        let mut connection = ConnectionConfig::udp();
        connection.port = own.port();
        let mut server = NameServerConfig::udp(own.ip());
        server.connections = vec![connection];
        let config = ResolverConfig::from_parts(None, vec![], vec![server]);
        let provider = TokioRuntimeProvider::default();
        let resolver = TokioResolver::builder_with_config(config, provider).build();
        resolver.unwrap()
    }

    fn service() -> Name {
        Name::from_ascii("_usp-ctr-ws._tcp.example.net.").unwrap()
    }

    /// One controller of the domain.
    fn one(id: &str, host: &str, texts: &[&str]) -> Vec<(Name, RData)> {
        let instance = service().prepend_label(id.as_bytes()).unwrap();
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        let host = Name::from_ascii(host).unwrap();
        vec![
            (service(), RData::PTR(PTR(instance.clone()))),
            (instance.clone(), RData::SRV(SRV::new(0, 0, 8443, host))),
            (instance, RData::TXT(TXT::new(texts))),
        ]
    }

    fn id(text: &str) -> EndpointId {
        text.parse().unwrap()
    }

    /// R-DIS.7, TP-469 8.3
    #[tokio::test]
    async fn the_records_of_a_domain_say_who_the_controller_is_and_where() {
        let records = one("self::c.1", "usp.example.net.", &["path=/usp", "encrypt"]);
        let resolver = name_server(records).await;
        let expected = (id("self::c.1"), "wss://usp.example.net:8443/usp".to_owned());
        for wanted in [None, Some(id("self::c.1"))] {
            let found = find(&resolver, "example.net.", wanted.as_ref()).await;
            assert_eq!(found, Ok(expected.clone()));
        }
        let other = find(&resolver, "example.net", Some(&id("self::d"))).await;
        let said = other.unwrap_err().to_string();
        assert_eq!(said, "example.net has no controller self::d");
        let none = find(&resolver, "example.org", None).await;
        let said = none.unwrap_err().to_string();
        assert!(
            said.starts_with("PTR of _usp-ctr-ws._tcp.example.org.: "),
            "{said}"
        );
    }

    #[tokio::test]
    async fn of_several_controllers_the_one_that_is_meant_is_taken() {
        let mut records = one("self::a", "a.example.net.", &[]);
        records.extend(one("self::b", "b.example.net.", &["path=b"]));
        records.extend(one("nonsense", "c.example.net.", &[]));
        let resolver = name_server(records).await;
        let (_, url) = find(&resolver, "example.net", Some(&id("self::b")))
            .await
            .unwrap();
        assert_eq!(url, "ws://b.example.net:8443/b");
        let several = find(&resolver, "example.net", None).await.unwrap_err();
        assert!(several.to_string().contains("2 controllers"), "{several}");
    }

    #[tokio::test]
    async fn what_is_no_host_name_is_neither_asked_for_nor_dialled() {
        let mut records = one("self::a", "a.example.net.", &[]);
        let labels: [&[u8]; 3] = [b"a@b", b"example", b"net"];
        let host = Name::from_labels(labels).unwrap();
        records[1].1 = RData::SRV(SRV::new(0, 0, 8443, host));
        let resolver = name_server(records).await;
        let long = "a".repeat(DOMAIN_CHARS_MAX + 1);
        for domain in ["", "a b", "a/b", "user@a", "a..b", &long] {
            let said = find(&resolver, domain, None).await.unwrap_err();
            assert!(matches!(said, DomainError::NoName(_)), "{domain}: {said}");
        }
        let said = find(&resolver, "example.net", None).await.unwrap_err();
        assert!(said.to_string().contains("its target is not"), "{said}");
        let gone = name_server(one("self::a", ".", &[])).await;
        let said = find(&gone, "example.net", None).await.unwrap_err();
        assert!(said.to_string().contains("no such service"), "{said}");
    }
}
