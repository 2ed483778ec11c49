//! Topics: which filter takes which topic, and where USP says answers go. Pure.

/// What stands before the reply topic in MQTT 3.1.1 (R-MQTT.24).
const REPLY_TO: &str = "/reply-to=";

/// Whether text is a topic that can be published to: no wildcards, not empty.
pub fn is_name(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['+', '#', '\0'])
}

/// Whether text is a filter: wildcards only as whole levels, `#` only as the last.
pub fn is_filter(filter: &str) -> bool {
    let mut levels = filter.split('/').peekable();
    let mut good = !filter.is_empty() && !filter.contains('\0');
    while let Some(level) = levels.next() {
        good &= match level {
            "#" => levels.peek().is_none(),
            "+" => true,
            _ => !level.contains(['+', '#']),
        };
    }
    good
}

/// Whether a filter takes a topic (MQTT 5, 4.7): `a/#` takes `a`, too, and wildcards in the first
/// level do not take topics that begin with `$`.
pub fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            (Some("#"), _) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// Whether everything that `narrow` takes is taken by `wide`, too (R-MQTT.15).
pub fn covers(wide: &str, narrow: &str) -> bool {
    let (mut wide, mut narrow) = (wide.split('/'), narrow.split('/'));
    loop {
        match (wide.next(), narrow.next()) {
            (Some("#"), _) => return true,
            (Some("+"), Some(level)) if level != "#" => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// A topic of MQTT 3.1.1 that says where answers go (R-MQTT.24): only `/` is escaped.
pub fn with_reply(topic: &str, reply: &str) -> String {
    format!("{topic}{REPLY_TO}{}", reply.replace('/', "%2F"))
}

/// A topic of MQTT 3.1.1 without where answers go, and that (R-MQTT.25): what follows the last
/// `/reply-to=`, `%2F` turned back and every other escape left alone.
pub fn split_reply(topic: &str) -> (&str, Option<String>) {
    match topic.rsplit_once(REPLY_TO) {
        Some((topic, reply)) => (topic, Some(reply.replace("%2F", "/").replace("%2f", "/"))),
        None => (topic, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_take_topics_level_by_level() {
        for (filter, topic) in [
            ("a/b", "a/b"),
            ("a/+", "a/b"),
            ("a/#", "a"),
            ("a/#", "a/b/c"),
            ("#", "a"),
            ("+/+", "/a"),
        ] {
            assert!(matches(filter, topic), "{filter} {topic}");
        }
        for (filter, topic) in [
            ("a/b", "a/B"),
            ("a/+", "a"),
            ("a/+", "a/b/c"),
            ("+", "$SYS"),
            ("#", "$SYS/x"),
            ("a", "a/"),
        ] {
            assert!(!matches(filter, topic), "{filter} {topic}");
        }
    }

    #[test]
    fn a_filter_covers_what_it_takes_all_of() {
        // R-MQTT.15
        for (wide, narrow) in [("a/#", "a/b/#"), ("a/+", "a/+"), ("a/#", "a"), ("#", "+/b")] {
            assert!(covers(wide, narrow), "{wide} {narrow}");
        }
        for (wide, narrow) in [("a/+", "a/#"), ("a/b", "a/+"), ("a", "a/#")] {
            assert!(!covers(wide, narrow), "{wide} {narrow}");
        }
    }

    #[test]
    fn the_reply_topic_rides_on_the_topic_with_nothing_but_slashes_escaped() {
        // R-MQTT.24, R-MQTT.25
        let topic = with_reply("usp/a", "usp/controllers/os::0-A%2DB");
        assert_eq!(topic, "usp/a/reply-to=usp%2Fcontrollers%2Fos::0-A%2DB");
        let (topic, reply) = split_reply(&topic);
        assert_eq!(topic, "usp/a");
        assert_eq!(reply.as_deref(), Some("usp/controllers/os::0-A%2DB"));
        let (topic, reply) = split_reply("a/reply-to=b/reply-to=c%2Fd");
        assert_eq!((topic, reply.as_deref()), ("a/reply-to=b", Some("c/d")));
        assert_eq!(split_reply("a/b"), ("a/b", None));
    }

    #[test]
    fn names_and_filters_are_told_from_nonsense() {
        assert!(is_name("a/b") && !is_name("") && !is_name("a/+") && !is_name("a/#"));
        assert!(is_filter("a/+/#") && is_filter("+") && is_filter("#"));
        assert!(!is_filter("a+") && !is_filter("a/#/b") && !is_filter("") && !is_filter("a#"));
    }
}
