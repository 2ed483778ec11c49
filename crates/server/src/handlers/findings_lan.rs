//! What the doctor finds of the local network: where agents are looked for, who was heard, and what was passed over.
//! Nothing where nobody looks: it is not wanted.

use api::doctor::{Finding, Severity};

use super::discovery::{self, Whose};
use super::findings::finding;
use crate::auth::Caller;
use crate::limits::DOCTOR_DEVICES_MAX;
use crate::problem::Result;
use crate::southbound::usp::lan::Standing;
use crate::state::State;

/// All there is to say of it.
pub async fn all(state: &State, caller: &Caller) -> Result<Vec<Finding>> {
    let Some(lan) = &state.bound.lan else {
        return Ok(Vec::new());
    };
    let (standing, whose) = discovery::shown(state, caller, lan.standing()).await?;
    let mut all = networks(&standing);
    let agents = standing.agents.iter().zip(&whose);
    let strangers = agents.filter(|(_, whose)| **whose == Whose::Nobodys);
    let strangers = strangers.map(|(agent, _)| {
        let found = &agent.found;
        let place = found.url();
        let place = place.unwrap_or_else(|| format!("over {}", found.kind.transport()));
        format!("{} ({place})", found.endpoint_id)
    });
    all.push(heard(&standing, strangers.collect()));
    all.extend(passed(&standing));
    Ok(all)
}

/// Where it is spoken, and where it cannot be.
fn networks(standing: &Standing) -> Vec<Finding> {
    let mut all = Vec::new();
    for one in &standing.networks {
        if let Some(trouble) = &one.trouble {
            all.push(finding(
                Severity::Warning,
                "lan-trouble",
                format!("Multicast DNS does not work on {}", one.name),
                format!("{trouble}."),
                "Check the interface, its address and the firewall of this host (UDP port 5353, group 224.0.0.251).",
            ));
        }
    }
    let said: Vec<String> = standing.missing.iter().map(ToString::to_string).collect();
    if !said.is_empty() {
        all.push(finding(
            Severity::Warning,
            "lan-missing",
            format!("This host has no address {}", said.join(", ")),
            "So multicast DNS is not spoken there.",
            "Give in discovery.networks addresses that this host has, or none for all networks.",
        ));
    } else if standing.networks.is_empty() {
        all.push(finding(
            Severity::Warning,
            "lan-nowhere",
            "There is no network to look for agents on",
            "No interface is up that has an IPv4 address and takes multicast.",
            "Give the interface an address, or set discovery.mdns to false.",
        ));
    }
    all
}

/// Who was heard, and which of them are no devices here.
fn heard(standing: &Standing, strangers: Vec<String>) -> Finding {
    let networks: Vec<_> = standing.networks.iter().map(|one| &*one.name).collect();
    let place = match networks.is_empty() {
        true => String::new(),
        false => format!(" on {}", networks.join(", ")),
    };
    let tells = match standing.tells {
        true => "Devices are told of this server",
        false => {
            "Devices are not told of this server: no WebSocket listener is open beyond this machine"
        }
    };
    let count = standing.agents.len() + standing.more;
    let (mut detail, more) = (format!("{tells}{place}."), strangers.len());
    let title = match count {
        0 => "No agent was heard on the local network".to_owned(),
        1 => "1 agent was heard on the local network".to_owned(),
        many => format!("{many} agents were heard on the local network"),
    };
    if strangers.is_empty() {
        return finding(Severity::Ok, "lan", title, detail, "");
    }
    let mut named = strangers;
    named.truncate(DOCTOR_DEVICES_MAX);
    let rest = more - named.len();
    let rest = match rest {
        0 => String::new(),
        rest => format!(" and {rest} more"),
    };
    detail.push_str(&format!(
        " No device here has the endpoint id of {}{rest}: what they say is proven by nothing.",
        named.join(", ")
    ));
    finding(
        Severity::Info,
        "lan-strangers",
        title,
        detail,
        "Add those that are yours: see `headend discovery agents`, or Add device, We dial the device.",
    )
}

/// What was said there and not looked into.
fn passed(standing: &Standing) -> Option<Finding> {
    let passed = &standing.passed;
    let parts = [
        (passed.too_many, "packets came too fast"),
        (passed.broken, "packets were broken"),
        (passed.nameless, "records had a name that is no endpoint id"),
        (
            passed.no_room,
            "records told of agents beyond those that have room",
        ),
        (standing.more as u64, "agents are more than are listed"),
    ];
    let said = parts.iter().filter(|(count, _)| *count > 0);
    let said: Vec<String> = said
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    (!said.is_empty()).then(|| {
        finding(
            Severity::Info,
            "lan-passed",
            "Some of what was said on the local network was passed over",
            format!("Since the start: {}.", said.join(", ")),
            "Look who sends that, with avahi-browse or a packet capture on UDP port 5353.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::southbound::usp::lan::Network;

    fn codes(standing: &Standing, strangers: &[&str]) -> Vec<String> {
        let strangers = strangers.iter().map(|one| (*one).to_owned()).collect();
        let mut all = networks(standing);
        all.push(heard(standing, strangers));
        all.extend(passed(standing));
        all.into_iter().map(|one| one.code).collect()
    }

    #[test]
    fn the_local_network_is_quiet_where_all_is_well_and_named_where_it_is_not() {
        let network = |trouble: Option<&str>| Network {
            name: "lan".into(),
            addresses: Vec::new(),
            trouble: trouble.map(str::to_owned),
        };
        let mut standing = Standing {
            networks: vec![network(None)],
            tells: true,
            ..Standing::default()
        };
        assert_eq!(codes(&standing, &[]), ["lan"]);
        assert_eq!(codes(&standing, &["os::1-A"]), ["lan-strangers"]);
        standing.networks[0] = network(Some("no such device"));
        standing.passed.no_room = 1;
        assert_eq!(codes(&standing, &[]), ["lan-trouble", "lan", "lan-passed"]);
        standing.networks.clear();
        standing.passed.no_room = 0;
        assert_eq!(codes(&standing, &[]), ["lan-nowhere", "lan"]);
        standing.missing = vec!["192.0.2.1".parse().unwrap()];
        assert_eq!(codes(&standing, &[]), ["lan-missing", "lan"]);
    }

    #[test]
    fn a_crowd_of_strangers_is_counted_and_a_few_are_named() {
        let many: Vec<String> = (0..20).map(|n| format!("os::1-{n}")).collect();
        let said = heard(&Standing::default(), many);
        assert!(
            said.detail.contains("os::1-4 and 15 more"),
            "{}",
            said.detail
        );
        assert!(
            said.detail.contains("not told of this server"),
            "{}",
            said.detail
        );
    }
}
