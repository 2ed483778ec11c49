//! A controller of which a lease says only the domain (R-DIS.1b): the name servers are asked who and where it is, at once
//! and from time to time again.

use std::pin::Pin;
use std::time::Duration;

use mtp::discovery::{dhcp::Offer, domain};

use super::Driver;
use crate::limits::{DOMAIN_LOOK_EVERY, DOMAIN_RETRY_EVERY};

type Lookup = Pin<Box<dyn Future<Output = Result<Offer, String>> + Send>>;

/// Whether a lease says the name of a host in place of a URL.
pub(super) fn is_one(offer: &Offer) -> bool {
    let url = offer.url.as_deref();
    url.is_some_and(|url| !url.contains("://"))
}

/// What the lease says, and the question that is under way.
pub(super) struct Domain {
    offer: Offer,
    lookup: Lookup,
    /// Why nobody was found, which is said once.
    reason: Option<String>,
}

impl Domain {
    pub fn new(offer: Offer) -> Domain {
        Domain {
            lookup: look_up(offer.clone(), Duration::ZERO),
            offer,
            reason: None,
        }
    }
}

fn look_up(offer: Offer, wait: Duration) -> Lookup {
    Box::pin(async move {
        tokio::time::sleep(wait).await;
        let domain = offer.url.as_deref().unwrap_or_default();
        let found = domain::controller(domain, offer.endpoint_id.as_ref()).await;
        let (id, url) = found.map_err(|error| error.to_string())?;
        Ok(Offer {
            url: Some(url),
            endpoint_id: Some(id),
            ..offer
        })
    })
}

/// What the name servers say next, where any are asked.
pub(super) async fn next(domain: &mut Option<Domain>) -> Result<Offer, String> {
    let Some(domain) = domain else {
        return std::future::pending().await;
    };
    let found = (&mut domain.lookup).await;
    let wait = match found {
        Ok(_) => DOMAIN_LOOK_EVERY,
        Err(_) => DOMAIN_RETRY_EVERY,
    };
    domain.lookup = look_up(domain.offer.clone(), wait);
    found
}

impl Driver {
    /// Takes up what the name servers say.
    pub(super) fn looked_up(&mut self, found: Result<Offer, String>) {
        let Some(domain) = &mut self.domain else {
            return;
        };
        match found {
            Ok(offer) => {
                domain.reason = None;
                self.take_up_lease(offer);
            }
            Err(reason) => {
                if domain.reason.as_ref() != Some(&reason) {
                    let (agent, name) = (self.engine.endpoint_id(), &domain.offer.url);
                    tracing::warn!(%agent, domain = name, %reason, "the domain of the DHCP lease leads to no controller");
                }
                domain.reason = Some(reason);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_from_a_url() {
        let said = |url: &str| {
            let url = Some(url.to_owned());
            is_one(&Offer {
                url,
                ..Offer::default()
            })
        };
        assert!(said("usp.example.net") && said("not a name"));
        assert!(!said("ws://a/usp") && !said("http://a"));
        assert!(!is_one(&Offer::default()));
    }

    #[tokio::test]
    async fn what_is_no_name_is_said_and_asked_about_later_again() {
        let offer = Offer {
            url: Some("not a name".into()),
            ..Offer::default()
        };
        let mut domain = Some(Domain::new(offer));
        let said = next(&mut domain).await.unwrap_err();
        assert!(said.contains("\"not a name\" is neither a URL"), "{said}");
        let again = tokio::time::timeout(Duration::ZERO, next(&mut domain)).await;
        assert!(again.is_err(), "it is not due");
    }
}
