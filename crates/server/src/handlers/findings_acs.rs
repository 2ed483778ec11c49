//! What the doctor says of the ACS: where it listens, and how CPEs prove who they are.

use super::findings::finding;
use crate::config::OfferBasic;
use crate::state::State;
use api::doctor::{Finding, Severity};
use std::net::SocketAddr;

/// The listeners of the ACS. That there is none is nothing to worry about: many have only USP.
pub(super) fn listeners(state: &State) -> Vec<Finding> {
    let (bound, config) = (&state.bound, &state.config.cwmp);
    let url =
        |scheme: &str, addr: Option<SocketAddr>| addr.map(|addr| format!("{scheme}://{addr}/"));
    let open = [url("https", bound.cwmp_tls), url("http", bound.cwmp)];
    let open: Vec<String> = open.into_iter().flatten().collect();
    if open.is_empty() {
        return vec![finding(
            Severity::Info,
            "no-acs-listener",
            "No listener for TR-069 is open",
            "CPEs that speak TR-069 find nobody.",
            "Set cwmp.listen or cwmp.tls_listen in the configuration and start again.",
        )];
    }
    let known = match &config.public_url {
        Some(url) => format!(" CPEs know it as {url}."),
        None => String::new(),
    };
    let mut all = vec![finding(
        Severity::Ok,
        "acs-listener",
        "The ACS listens for TR-069",
        format!("It is bound to {}.{known}", open.join(" and ")),
        "",
    )];
    let local = |addr: Option<SocketAddr>| addr.is_none_or(|addr| addr.ip().is_loopback());
    if config.public_url.is_none() && local(bound.cwmp) && local(bound.cwmp_tls) {
        let (key, addr) = match (bound.cwmp_tls, bound.cwmp) {
            (Some(addr), _) => ("cwmp.tls_listen", addr),
            (None, Some(addr)) => ("cwmp.listen", addr),
            (None, None) => return all,
        };
        all.push(finding(
            Severity::Warning,
            "acs-listener-local",
            "Only CPEs on this machine can reach the ACS",
            format!("The ACS is bound to {addr}."),
            format!(
                "Set {key} to 0.0.0.0:{} if CPEs come from elsewhere.",
                addr.port()
            ),
        ));
    }
    let proxy_speaks_tls = config
        .public_url
        .as_ref()
        .is_some_and(|url| url.starts_with("https:"));
    if bound.cwmp_tls.is_none() && !proxy_speaks_tls {
        all.push(finding(
            Severity::Info,
            "no-acs-tls",
            "CPEs reach the ACS without encryption",
            "What they say can be read on the way, passwords among it.",
            "Set cwmp.tls_listen, or put a TLS proxy in front and set cwmp.public_url to its https:// URL.",
        ));
    }
    if config.basic == OfferBasic::Always && bound.cwmp.is_some() && !proxy_speaks_tls {
        all.push(finding(
            Severity::Warning,
            "acs-basic-in-the-clear",
            "The ACS asks for passwords in the clear",
            "cwmp.basic is `always`, and one of the listeners has no TLS.",
            "Set cwmp.basic to `tls`: every CPE of the standard knows Digest.",
        ));
    }
    all
}

/// What CPEs are asked to come with, where that is more than HTTP.
pub(super) fn waking(state: &State) -> Vec<Finding> {
    let (waking, config) = (state.south.waking(), &state.config.cwmp);
    let mut all = Vec::new();
    if let Some(bound) = waking.stun {
        let known = waking.bindings;
        all.push(match &config.stun_address {
            Some(address) => finding(
                Severity::Ok,
                "stun-server",
                "The STUN server listens",
                format!(
                    "It is bound to {bound}, and devices are told {address}. It knows where {known} of them are outside of their NAT."
                ),
                "",
            ),
            None => finding(
                Severity::Warning,
                "stun-server-not-told",
                "No device is told of the STUN server",
                format!(
                    "It is bound to {bound} and knows where {known} devices are outside of their NAT."
                ),
                "Set cwmp.stun_address to the address at which devices reach it, like acs.example.net:3478.",
            ),
        });
    } else if let Some(address) = &config.stun_address {
        all.push(finding(
            Severity::Warning,
            "stun-server-elsewhere",
            "Devices are told of a STUN server that is not ours",
            format!(
                "They are told {address}. Requests to devices behind a NAT leave from another port than theirs, which most NATs do not let in."
            ),
            "Set cwmp.stun_listen.",
        ));
    }
    match waking.xmpp {
        Some(Ok(words)) => all.push(finding(
            Severity::Ok,
            "xmpp-account",
            "Devices can be asked to come over XMPP",
            format!("The account is {words}."),
            "",
        )),
        Some(Err(why)) => all.push(finding(
            Severity::Problem,
            "xmpp-account-down",
            "Nobody can be asked to come over XMPP",
            format!("{why}."),
            "Check [cwmp.xmpp]: account, password, host and ca; and that the XMPP server runs. It is tried again by itself.",
        )),
        None => {}
    }
    all
}
