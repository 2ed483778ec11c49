//! The layout of topics: `<prefix>/<tenant>/agent/<endpoint id>` to an agent,
//! `<prefix>/<tenant>/controller/<endpoint id>` from that agent and from nobody else. Pure.

use mtp::mqtt::topic;
use usp::EndpointId;

use crate::limits::PREFIX_BYTES_MAX;

/// The layout of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    prefix: String,
}

impl Default for Topics {
    fn default() -> Self {
        Self {
            prefix: "usp".to_owned(),
        }
    }
}

impl Topics {
    /// Below this prefix; says what is wrong with it where it cannot be one.
    pub fn new(prefix: &str) -> Result<Self, String> {
        let good = topic::is_name(prefix)
            && !prefix.starts_with(['/', '$'])
            && !prefix.ends_with('/')
            && prefix.len() <= PREFIX_BYTES_MAX;
        match good {
            true => Ok(Self {
                prefix: prefix.to_owned(),
            }),
            false => Err(format!(
                "a prefix of topics is at most {PREFIX_BYTES_MAX} bytes, like usp, without wildcards and without a slash or $ at an end"
            )),
        }
    }

    /// The prefix.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether one of the prefixes begins with the levels of the other, where a dot may divide levels, too (AMQP).
    pub fn meet(&self, other: &Self) -> bool {
        fn levels(of: &Topics) -> impl Iterator<Item = &str> {
            of.prefix.split(['/', '.'])
        }
        levels(self)
            .zip(levels(other))
            .all(|(one, other)| one == other)
    }

    /// Tenant and endpoint id of the agent whose topic towards the controller this is, and what stands below it.
    pub fn sender<'a>(&self, topic: &'a str) -> Option<(&'a str, &'a str, Option<&'a str>)> {
        let rest = topic.strip_prefix(&self.prefix)?.strip_prefix('/')?;
        let (tenant, rest) = rest.split_once('/')?;
        let rest = rest.strip_prefix("controller/")?;
        let (endpoint, below) = match rest.split_once('/') {
            Some((endpoint, below)) => (endpoint, Some(below)),
            None => (rest, None),
        };
        Some((tenant, endpoint, below))
    }

    /// Tenant and endpoint id of the agent to which this topic, or what is below it, belongs.
    pub fn receiver<'a>(&self, topic: &'a str) -> Option<(&'a str, &'a str)> {
        let rest = topic.strip_prefix(&self.prefix)?.strip_prefix('/')?;
        let (tenant, rest) = rest.split_once('/')?;
        let endpoint = rest.strip_prefix("agent/")?;
        Some((tenant, endpoint.split('/').next().unwrap_or(endpoint)))
    }

    /// What belongs to one agent. `tenant` is one level: no slash, no wildcard.
    pub fn area(&self, tenant: &str, endpoint: &EndpointId) -> Area {
        let (agent, controller) = self.named(tenant, endpoint.as_str());
        Area { agent, controller }
    }

    /// The topics to and from an agent of this name, for people too.
    pub fn named(&self, tenant: &str, endpoint: &str) -> (String, String) {
        let prefix = &self.prefix;
        (
            format!("{prefix}/{tenant}/agent/{endpoint}"),
            format!("{prefix}/{tenant}/controller/{endpoint}"),
        )
    }
}

/// The topics of one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// To it; what is below is its own, too.
    pub agent: String,
    /// From it.
    pub controller: String,
}

impl Area {
    /// Whether it may subscribe to a filter: its own topic and what is below.
    pub fn may_subscribe(&self, filter: &str) -> bool {
        topic::is_filter(filter) && topic::covers(&format!("{}/#", self.agent), filter)
    }

    /// Whether it may publish to a topic, the reply topic of 3.1.1 taken off.
    pub fn may_publish(&self, topic: &str) -> bool {
        topic == self.controller
    }

    /// Whether answers may go to this topic: the controller publishes into nobody else's.
    pub fn may_be_answered_at(&self, reply: &str) -> bool {
        topic::is_name(reply) && self.may_subscribe(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_has_its_own_topics_and_no_others() {
        let topics = Topics::new("usp").unwrap();
        let eid = EndpointId::parse("os::012345-A").unwrap();
        let area = topics.area("acme", &eid);
        assert_eq!(area.agent, "usp/acme/agent/os::012345-A");
        for filter in ["", "/#", "/+", "/a/b"] {
            assert!(
                area.may_subscribe(&format!("{}{filter}", area.agent)),
                "{filter}"
            );
        }
        for filter in [
            "#",
            "usp/#",
            "usp/acme/#",
            "usp/acme/agent/+",
            "usp/+/agent/os::012345-A",
            "usp/acme/agent/os::012345-AB",
            "usp/acme/controller/os::012345-A",
            "usp/other/agent/os::012345-A",
            "$share/g/usp/acme/agent/os::012345-A",
            "$SYS/#",
            "",
        ] {
            assert!(!area.may_subscribe(filter), "{filter}");
            assert!(!area.may_be_answered_at(filter), "{filter}");
        }
        assert!(area.may_be_answered_at("usp/acme/agent/os::012345-A/x"));
        assert!(!area.may_be_answered_at("usp/acme/agent/os::012345-A/#"));
        assert!(area.may_publish("usp/acme/controller/os::012345-A"));
        assert!(!area.may_publish("usp/acme/controller/os::012345-A/x"));
        assert!(!area.may_publish(&area.agent));
    }

    #[test]
    fn the_topic_says_who_sent() {
        let topics = Topics::new("isp/usp").unwrap();
        let own = ("acme", "os::0-A", None);
        assert_eq!(topics.sender("isp/usp/acme/controller/os::0-A"), Some(own));
        let below = ("acme", "os::0-A", Some("node/n1"));
        let topic = "isp/usp/acme/controller/os::0-A/node/n1";
        assert_eq!(topics.sender(topic), Some(below));
        for other in [
            "isp/usp/acme/agent/os::0-A",
            "isp/uspacme/controller/os::0-A",
            "isp/usp/a/b/controller/os::0-A",
            "usp/acme/controller/os::0-A",
            "isp/usp/acme/controller",
        ] {
            assert_eq!(topics.sender(other), None, "{other}");
        }
    }

    #[test]
    fn the_topic_says_who_is_sent_something() {
        let topics = Topics::new("usp").unwrap();
        for below in ["", "/x", "/reply-to=usp%2Facme%2Fcontroller"] {
            let topic = format!("usp/acme/agent/os::0-A{below}");
            assert_eq!(topics.receiver(&topic), Some(("acme", "os::0-A")));
        }
        for other in ["usp/acme/controller/os::0-A", "usp/acme/agent", "x"] {
            assert_eq!(topics.receiver(other), None, "{other}");
        }
    }

    #[test]
    fn prefixes_meet_where_one_stands_below_the_other() {
        let of = |prefix: &str| Topics::new(prefix).unwrap();
        for (one, other, meet) in [
            ("usp", "usp", true),
            ("usp", "usp/x", true),
            ("isp.usp", "isp/usp", true),
            ("isp.usp/x", "isp", true),
            ("usp", "uspm", false),
            ("isp/usp", "isp/stomp", false),
        ] {
            assert_eq!(of(one).meet(&of(other)), meet, "{one} {other}");
            assert_eq!(of(other).meet(&of(one)), meet, "{other} {one}");
        }
    }

    #[test]
    fn a_prefix_is_plain_levels() {
        assert!(Topics::new("isp/usp").is_ok());
        for bad in [
            "",
            "/usp",
            "usp/",
            "u+",
            "#",
            "$SYS",
            &"x".repeat(PREFIX_BYTES_MAX + 1),
        ] {
            assert!(Topics::new(bad).is_err(), "{bad}");
        }
    }
}
