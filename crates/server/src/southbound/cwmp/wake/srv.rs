//! Where the XMPP server of a domain is (RFC 6120, 3.2): its SRV records say so, and where there are none it is at the
//! domain itself. Whoever it is has to show a certificate of the domain, so that DNS is not believed.

use std::net::IpAddr;
use std::sync::Arc;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;
use tokio::time::timeout;

use super::limits::{XMPP_LOOKUP_TIME, XMPP_PLACES_MAX};

/// A host name or address, and a port.
pub type Place = (String, u16);

/// What one SRV record says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    priority: u16,
    weight: u16,
    place: Place,
}

/// Asks the name servers of this machine.
#[derive(Clone)]
pub struct Finder(Option<Arc<TokioResolver>>);

impl Finder {
    /// Those that the system is configured with.
    pub fn system() -> Self {
        let made = TokioResolver::builder_tokio().and_then(|builder| builder.build());
        let made = made.map(Arc::new);
        Self(
            made.inspect_err(|error| {
                tracing::warn!(%error, "the name servers of this machine are not known; SRV records are not looked up");
            })
            .ok(),
        )
    }

    /// These.
    #[cfg(test)]
    pub fn of(resolver: TokioResolver) -> Self {
        Self(Some(Arc::new(resolver)))
    }

    /// The places to try, in this order; the error is that there is no server, in words.
    pub async fn places(&self, domain: &str, direct_tls: bool) -> Result<Vec<Place>, String> {
        let (service, port) = match direct_tls {
            true => ("_xmpps-client", 5223),
            false => ("_xmpp-client", 5222),
        };
        let itself = vec![(domain.to_owned(), port)];
        let is_address = domain.parse::<IpAddr>().is_ok();
        let Some(resolver) = self.0.as_ref().filter(|_| !is_address) else {
            return Ok(itself);
        };
        let name = format!("{service}._tcp.{}.", domain.trim_end_matches('.'));
        let looked = timeout(XMPP_LOOKUP_TIME, resolver.srv_lookup(name.as_str())).await;
        let found = match looked {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::debug!(name, %error, "no SRV record of the XMPP server was found");
                return Ok(itself);
            }
            Err(_) => {
                tracing::debug!(
                    name,
                    "the SRV record of the XMPP server was not found in time"
                );
                return Ok(itself);
            }
        };
        let records = found.answers().iter().filter_map(|one| match &one.data {
            RData::SRV(srv) => Some(Record {
                priority: srv.priority,
                weight: srv.weight,
                place: (srv.target.to_utf8(), srv.port),
            }),
            _ => None,
        });
        let records: Vec<Record> = records.take(XMPP_PLACES_MAX).collect();
        // RFC 2782: the root as the one target says that there is no such service.
        if let [only] = &*records
            && only.place.0 == "."
        {
            return Err(format!("{domain} says that it has no such server (SRV)"));
        }
        let places = in_order(records, rand::random);
        Ok(if places.is_empty() { itself } else { places })
    }
}

/// The lowest priority first, and those of one priority by chance, the heavier ones more often.
fn in_order(mut records: Vec<Record>, mut random: impl FnMut() -> u32) -> Vec<Place> {
    let mut places = Vec::new();
    // Of no weight first, so that they too have a chance.
    records.sort_by_key(|one| (one.priority, one.weight));
    while let Some(first) = records.first() {
        let same = records
            .iter()
            .take_while(|one| one.priority == first.priority);
        let weights: Vec<u64> = same.map(|one| u64::from(one.weight)).collect();
        let all: u64 = weights.iter().sum();
        let mut at = u64::from(random()) % (all + 1);
        let chosen = weights.iter().position(|weight| {
            let is_it = at <= *weight;
            at = at.saturating_sub(*weight);
            is_it
        });
        let (host, port) = records.remove(chosen.unwrap_or_default()).place;
        places.push((host.trim_end_matches('.').to_owned(), port));
    }
    places
}

#[cfg(test)]
pub mod tests {
    use std::net::SocketAddr;

    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
    use hickory_resolver::proto::rr::rdata::SRV;
    use hickory_resolver::proto::rr::{Name, Record as Answer};
    use tokio::net::UdpSocket;

    use super::*;

    /// A name server that knows these records of one service, and nothing else.
    pub async fn name_server(service: &str, records: &[(u16, u16, u16, &str)]) -> Finder {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let own: SocketAddr = socket.local_addr().unwrap();
        let service = Name::from_utf8(service).unwrap();
        let records: Vec<SRV> = records
            .iter()
            .map(|(priority, weight, port, target)| {
                SRV::new(*priority, *weight, *port, Name::from_utf8(target).unwrap())
            })
            .collect();
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let asked = Message::from_vec(&buffer[..length]).unwrap();
                let mut answer = Message::response(asked.metadata.id, OpCode::Query);
                let query = asked.queries[0].clone();
                if *query.name() == service {
                    for srv in &records {
                        let data = RData::SRV(srv.clone());
                        answer.add_answer(Answer::from_rdata(service.clone(), 60, data));
                    }
                } else {
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
        Finder::of(resolver.unwrap())
    }

    fn place(host: &str, port: u16) -> Place {
        (host.to_owned(), port)
    }

    #[tokio::test]
    async fn the_records_of_the_domain_say_where_its_server_is() {
        let records = [
            (20, 0, 5299, "spare.example.net."),
            (10, 5, 5222, "chat.example.net."),
        ];
        let finder = name_server("_xmpp-client._tcp.example.net.", &records).await;
        let found = finder.places("example.net", false).await;
        let expected = [
            place("chat.example.net", 5222),
            place("spare.example.net", 5299),
        ];
        assert_eq!(found.unwrap(), expected);
        // Without records, or with those of the other way only, it is the domain itself.
        let found = finder.places("example.net", true).await;
        assert_eq!(found.unwrap(), [place("example.net", 5223)]);
        let found = finder.places("example.org", false).await;
        assert_eq!(found.unwrap(), [place("example.org", 5222)]);
        let found = finder.places("192.0.2.1", false).await;
        assert_eq!(found.unwrap(), [place("192.0.2.1", 5222)]);
    }

    #[tokio::test]
    async fn a_domain_that_says_it_has_none_is_believed() {
        let finder = name_server("_xmpp-client._tcp.example.net.", &[(0, 0, 0, ".")]).await;
        let refused = finder.places("example.net", false).await.unwrap_err();
        assert!(refused.contains("example.net"), "{refused}");
    }

    /// `XMPP_PLACES_MAX`
    #[tokio::test]
    async fn so_many_places_are_tried() {
        let records: Vec<_> = (0..20)
            .map(|n| (n, 0, 5222 + n, "h.example.net."))
            .collect();
        let finder = name_server("_xmpp-client._tcp.example.net.", &records).await;
        let found = finder.places("example.net", false).await.unwrap();
        assert_eq!(found.len(), XMPP_PLACES_MAX);
    }

    #[test]
    fn the_heavier_one_is_first_more_often_and_the_others_follow() {
        let record = |priority, weight, host: &str| Record {
            priority,
            weight,
            place: place(host, 1),
        };
        let all = || vec![record(1, 90, "a."), record(1, 10, "b."), record(0, 0, "z.")];
        let mut first = 0;
        for chance in 0..101 {
            let order = in_order(all(), || chance);
            let order: Vec<&str> = order.iter().map(|(host, _)| host.as_str()).collect();
            assert_eq!(order[0], "z");
            assert_eq!(order.len(), 3);
            first += u32::from(order[1] == "a");
        }
        assert!((85..95).contains(&first), "{first}");
    }
}
