//! What an Inform says, in the domain's words: starts, signs of life, changes, ends of timers, and
//! values.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use cwmp::event::{Cause, EventCode};
use cwmp::rpc::{EventStruct, Inform};
use dm::mapping::{DEVICE_ROOT, Discovered, GATEWAY_ROOT, Mapping, Numbers};
use fleet::Protocol;
use fleet::southbound::{Boot, Notice};

use super::limits::{CHANGES_TOLD_MAX, VALUES_MAX};
use super::memory::{Memory, Work, own_key};
use super::quirks::Quirks;
use super::read::normal;
use super::requests::Ended;

/// What an Inform says.
#[derive(Debug, Default)]
pub struct Heard {
    /// For the log, in order.
    pub notices: Vec<Notice>,
    /// Commands that ended with it.
    pub ended: Vec<Ended>,
    /// Its parameters by their names on the device, where they are not the same as last time.
    pub news: BTreeMap<String, String>,
    /// Those of them that are only a part of values in TR-181, where it has not told the other parts.
    pub parts: BTreeMap<String, String>,
    /// The device forgot what it was told, or never heard it.
    pub bootstrap: bool,
    /// It did so since it came the last time.
    pub reset: bool,
    /// A diagnostic is over: its results can be read.
    pub diagnostics: bool,
    /// It tells changes.
    pub changed: bool,
    /// It was asked to come.
    pub called: bool,
    /// It runs another firmware than the one that is known.
    pub upgraded: bool,
    /// It says what counts once for each time that it happens, however often it is said.
    pub once: bool,
    /// What of it could not be kept, for people.
    pub left_out: Option<String>,
}

/// Reads an Inform. What it changes of the memory is to be stored before the Inform is answered.
pub fn hear(inform: &Inform, memory: &mut Memory, quirks: &Quirks) -> Heard {
    let software = inform.ending("DeviceInfo.SoftwareVersion");
    let software = software
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty());
    let upgraded = software
        .as_ref()
        .is_some_and(|now| !memory.software.is_empty() && memory.software != *now);
    let mut heard = Heard {
        bootstrap: inform.has(&EventCode::Bootstrap),
        diagnostics: inform.has(&EventCode::DiagnosticsComplete),
        changed: inform.has(&EventCode::ValueChange),
        called: inform.has(&EventCode::ConnectionRequest),
        upgraded,
        ..Heard::default()
    };
    if let Some(root) = inform.root().map(|root| format!("{root}."))
        && (root == DEVICE_ROOT || root == GATEWAY_ROOT)
    {
        memory.root = root;
    }
    let boot = boot(inform, memory, quirks, upgraded);
    let counts =
        |event: &EventStruct| by_itself(&event.code).is_some_and(|one| one != Notice::Periodic);
    heard.once = boot.is_some() || inform.events.iter().any(counts);
    let again = is_again(inform, memory, heard.once);
    heard.reset = heard.bootstrap && !again;
    if let Some(boot) = boot.filter(|_| !again) {
        heard.notices.push(Notice::Boot(boot));
    }
    if quirks.no_transfer_complete == Some(true)
        && let Some(software) = &software
    {
        heard
            .ended
            .extend(super::requests::proved(memory, software));
    }
    for event in &inform.events {
        if event.code == EventCode::Method(Cause::ScheduleInform)
            && let Some(pending) = memory.end(&own_key(&event.command_key))
        {
            heard.ended.push((pending, Ok(BTreeMap::new())));
        }
        heard
            .notices
            .extend(by_itself(&event.code).filter(|_| !again));
    }
    news(inform, memory, &mut heard);
    heard
}

/// Whether it says once more what it said before: it has not heard our answer. The time it tells is
/// no help, since many have no clock. What does not count for each time that it happens is not remembered: it comes
/// with every session, and would have to be written with every one.
fn is_again(inform: &Inform, memory: &mut Memory, once: bool) -> bool {
    if !once {
        memory.events = Default::default();
        return false;
    }
    let mut hasher = DefaultHasher::new();
    for event in &inform.events {
        event.code.hash(&mut hasher);
        event.command_key.hash(&mut hasher);
    }
    let events = (hasher.finish(), inform.retry_count);
    let before = std::mem::replace(&mut memory.events, events);
    before.0 == events.0 && before.1 < events.1
}

/// Why it started, if it did.
fn boot(inform: &Inform, memory: &mut Memory, quirks: &Quirks, upgraded: bool) -> Option<Boot> {
    let rebooted = inform
        .events
        .iter()
        .find(|event| event.code == EventCode::Method(Cause::Reboot));
    let bootstrap = inform.has(&EventCode::Bootstrap);
    if rebooted.is_none() && !bootstrap && !inform.has(&EventCode::Boot) {
        return None;
    }
    let asked = |memory: &Memory, work: &Work| {
        let found = memory
            .last(|known| known == work)
            .filter(|pending| pending.sure);
        found.map(|pending| pending.key.clone())
    };
    let reset = asked(memory, &Work::FactoryReset);
    let reboot = asked(memory, &Work::Reboot);
    let (cause, command_key) = match (rebooted, reset, reboot) {
        (Some(event), _, _) => ("RemoteReboot", own_key(&event.command_key)),
        // CWMP has no key for this one, so that ours is put in its place.
        (None, Some(key), _) if bootstrap => ("RemoteFactoryReset", key),
        (None, None, _) if bootstrap && memory.complete => ("FactoryReset", String::new()),
        (None, _, Some(key)) if quirks.no_reboot_event == Some(true) => ("RemoteReboot", key),
        // It did what we asked, or somebody pulled the plug just then.
        (None, _, Some(_)) => ("RemoteReboot", String::new()),
        _ => ("LocalReboot", String::new()),
    };
    // Whatever it was: these do not outlive a start. Diagnostics do not either, which is seen when
    // they are looked at.
    memory.pending.retain(|pending| {
        !(pending.sure && matches!(pending.work, Work::Reboot | Work::FactoryReset))
    });
    Some(Boot {
        command_key,
        cause: cause.to_owned(),
        reason: String::new(),
        firmware_updated: upgraded,
        parameters: Vec::new(),
        over: Some(Protocol::Cwmp),
    })
}

/// What an event says that has no meaning of its own here.
fn by_itself(code: &EventCode) -> Option<Notice> {
    let named = |name: &str| {
        Some(Notice::Event {
            object: DEVICE_ROOT.to_owned(),
            name: format!("{name}!"),
            params: BTreeMap::new(),
        })
    };
    match code {
        EventCode::Periodic | EventCode::Heartbeat => Some(Notice::Periodic),
        EventCode::Wakeup => named("Wakeup"),
        EventCode::Other(text) => {
            let text: String = text
                .chars()
                .take(64)
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
                .collect();
            named(text.trim_matches('_'))
        }
        _ => None,
    }
}

/// What its parameters say that the last Inform did not.
fn news(inform: &Inform, memory: &mut Memory, heard: &mut Heard) {
    let mut hasher = DefaultHasher::new();
    for parameter in &inform.parameters {
        parameter.name.hash(&mut hasher);
        parameter.value.text.hash(&mut hasher);
    }
    let told = hasher.finish();
    if told == memory.told && !inform.has(&EventCode::ValueChange) {
        return;
    }
    memory.told = told;
    for parameter in inform.parameters.iter().take(VALUES_MAX) {
        let fits = parameter.value.text.len() <= store::limits::VALUE_BYTES_MAX
            && parameter.name.len() <= fleet::limits::PATH_BYTES_MAX;
        if fits {
            let value = normal(&parameter.name, parameter.value.clone());
            heard.news.insert(parameter.name.clone(), value.text);
        }
    }
}

/// The values in TR-181: through the mapping of the device where it is at hand, else as far as
/// names alone tell it.
pub fn in_tr181(
    news: &BTreeMap<String, String>,
    mapping: Option<&Mapping>,
) -> BTreeMap<String, String> {
    if !news.keys().any(|name| name.starts_with(GATEWAY_ROOT)) {
        return news.clone();
    }
    if let Some(mapping) = mapping {
        return mapping.values(news);
    }
    // What has no rows around it has its place whatever else there is.
    let single: BTreeMap<String, String> = news
        .iter()
        .filter(|(name, _)| !dm::path::supported_text(name).contains("{i}"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let names = single.keys().map(|name| Discovered::new(name));
    match Mapping::new(names, Numbers::default()) {
        Ok(mapping) => mapping.values(&single),
        Err(_) => BTreeMap::new(),
    }
}

/// Whether the values can only be placed by the device's own mapping.
pub fn needs_mapping(news: &BTreeMap<String, String>) -> bool {
    news.keys().any(|name| {
        name.starts_with(GATEWAY_ROOT) && dm::path::supported_text(name).contains("{i}")
    })
}

/// The changes among values, of which the log hears. `known` are those from before.
pub fn changes(values: &BTreeMap<String, String>, known: &BTreeMap<String, String>) -> Vec<Notice> {
    let changed = values
        .iter()
        .filter(|(path, value)| known.get(*path) != Some(value));
    changed
        .take(CHANGES_TOLD_MAX)
        .map(|(path, value)| Notice::ValueChange {
            path: path.clone(),
            value: value.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cwmp::rpc::{DeviceId, EventStruct, ParameterValue};
    use cwmp::value::Value;
    use fleet::Timestamp;

    fn inform(events: &[(&str, &str)], parameters: &[(&str, &str)]) -> Inform {
        let event =
            |(code, key): &(&str, &str)| EventStruct::with_key(EventCode::parse(code), *key);
        let parameter =
            |(name, value): &(&str, &str)| ParameterValue::new(*name, Value::string(*value));
        Inform {
            device_id: DeviceId::default(),
            events: events.iter().map(event).collect(),
            max_envelopes: 1,
            current_time: cwmp::value::Timestamp::unknown(),
            retry_count: 0,
            parameters: parameters.iter().map(parameter).collect(),
        }
    }

    fn boot_of(memory: &mut Memory, quirks: &Quirks, events: &[(&str, &str)]) -> (String, String) {
        let heard = hear(&inform(events, &[]), memory, quirks);
        match &heard.notices[..] {
            [Notice::Boot(boot), ..] => (boot.cause.clone(), boot.command_key.clone()),
            other => panic!("{other:?}"),
        }
    }

    fn asked(work: Work) -> Memory {
        let mut memory = Memory {
            complete: true,
            ..Memory::default()
        };
        memory.begin(
            "Device.Reboot()",
            "our-key",
            work,
            Timestamp::from_millis(1),
        );
        memory.accepted("our-key");
        memory
    }

    #[test]
    fn a_start_says_why_it_was() {
        let plain = Quirks::default();
        let wire = "AZLwwSs8fU6PkKGyw9Tl9g";
        let key = "0192f0c1-2b3c-7d4e-8f90-a1b2c3d4e5f6";
        let none = String::new;
        let of = |memory: &mut Memory, events: &[(&str, &str)]| boot_of(memory, &plain, events);
        let rebooted = [("1 BOOT", ""), ("M Reboot", wire)];
        let new = &mut Memory::default();
        assert_eq!(of(new, &rebooted), ("RemoteReboot".into(), key.into()));
        assert_eq!(of(new, &[("1 BOOT", "")]), ("LocalReboot".into(), none()));
        let first = [("0 BOOTSTRAP", ""), ("1 BOOT", "")];
        assert_eq!(of(new, &first), ("LocalReboot".into(), none()));
        let mut known = asked(Work::Upload);
        assert_eq!(of(&mut known, &first), ("FactoryReset".into(), none()));
        let mut reset = asked(Work::FactoryReset);
        assert_eq!(
            of(&mut reset, &first),
            ("RemoteFactoryReset".into(), "our-key".into())
        );
        assert!(reset.pending.is_empty());
    }

    #[test]
    fn an_inform_that_is_said_again_starts_nothing_again() {
        let mut memory = Memory::default();
        let mut boot = inform(&[("1 BOOT", "")], &[]);
        let told = |memory: &mut Memory, inform: &Inform| {
            hear(inform, memory, &Quirks::default()).notices.len()
        };
        assert_eq!(told(&mut memory, &boot), 1);
        boot.retry_count = 1;
        assert_eq!(told(&mut memory, &boot), 0);
        boot.retry_count = 2;
        assert_eq!(told(&mut memory, &boot), 0);
        // Another start, which says the same.
        boot.retry_count = 0;
        assert_eq!(told(&mut memory, &boot), 1);
    }

    #[test]
    fn a_sign_of_life_leaves_nothing_to_be_remembered_but_that_what_was_said_before_is_heard() {
        let quirks = Quirks::default();
        let mut memory = Memory::default();
        let heard = hear(&inform(&[("1 BOOT", "")], &[]), &mut memory, &quirks);
        assert!(heard.once && memory.events != Default::default());
        let periodic = inform(&[("2 PERIODIC", "")], &[]);
        let heard = hear(&periodic, &mut memory, &quirks);
        assert!(!heard.once && heard.notices == [Notice::Periodic]);
        assert_eq!(memory.events, Default::default());
        let before = memory.clone();
        for events in [&[("2 PERIODIC", "")], &[("6 CONNECTION REQUEST", "")]] {
            hear(&inform(events, &[]), &mut memory, &quirks);
            assert_eq!(memory, before);
        }
    }

    #[test]
    fn a_device_that_forgets_to_say_that_we_asked_is_believed_to_have_done_it() {
        let boot = [("1 BOOT", "")];
        let mut memory = asked(Work::Reboot);
        let told = boot_of(&mut memory, &Quirks::default(), &boot);
        assert_eq!(told, ("RemoteReboot".into(), String::new()));
        let quirks = Quirks {
            no_reboot_event: Some(true),
            ..Quirks::default()
        };
        let told = boot_of(&mut asked(Work::Reboot), &quirks, &boot);
        assert_eq!(told, ("RemoteReboot".into(), "our-key".into()));
        // Not when nobody knows whether it was asked.
        let mut unsure = Memory::default();
        unsure.begin(
            "Device.Reboot()",
            "k",
            Work::Reboot,
            Timestamp::from_millis(1),
        );
        let told = boot_of(&mut unsure, &quirks, &boot);
        assert_eq!(told.0, "LocalReboot");
    }

    #[test]
    fn a_periodic_inform_is_a_sign_of_life_and_no_news_when_it_says_the_same() {
        let mut memory = Memory::default();
        let parameters = [("Device.DeviceInfo.SoftwareVersion", "1.0")];
        let periodic = inform(&[("2 PERIODIC", "")], &parameters);
        let first = hear(&periodic, &mut memory, &Quirks::default());
        assert_eq!(first.news.len(), 1);
        assert_eq!(memory.root, "Device.");
        let again = hear(&periodic, &mut memory, &Quirks::default());
        assert!(again.news.is_empty());
        assert_eq!(again.notices, [Notice::Periodic]);
    }

    #[test]
    fn another_firmware_is_noticed_and_proves_a_download_of_a_device_that_never_says_so() {
        let mut memory = Memory {
            software: "1.0".into(),
            ..Memory::default()
        };
        let firmware = Some("1.0".to_owned());
        memory.begin(
            "X.Download()",
            "k",
            Work::Download { firmware },
            Timestamp::from_millis(1),
        );
        let boot = inform(
            &[("1 BOOT", "")],
            &[("InternetGatewayDevice.DeviceInfo.SoftwareVersion", "2.0")],
        );
        let mut other = memory.clone();
        assert!(hear(&boot, &mut other, &Quirks::default()).ended.is_empty());
        let quirks = Quirks {
            no_transfer_complete: Some(true),
            ..Quirks::default()
        };
        let heard = hear(&boot, &mut memory, &quirks);
        assert!(heard.upgraded && heard.ended.len() == 1 && memory.pending.is_empty());
    }

    #[test]
    fn a_timer_ends_with_its_key_and_strangers_events_are_told() {
        let mut memory = Memory::default();
        memory.begin(
            "Device.ScheduleTimer()",
            "k",
            Work::Timer,
            Timestamp::from_millis(1),
        );
        let events = [
            ("3 SCHEDULED", ""),
            ("M ScheduleInform", "k"),
            ("X 00256D Door open", ""),
        ];
        let heard = hear(&inform(&events, &[]), &mut memory, &Quirks::default());
        assert_eq!(heard.ended.len(), 1);
        let [Notice::Event { name, .. }] = &heard.notices[..] else {
            panic!("{heard:?}")
        };
        assert_eq!(name, "X_00256D_Door_open!");
    }

    #[test]
    fn values_of_an_old_gateway_are_told_in_tr_181_also_before_its_tree_is_known() {
        let news = BTreeMap::from([
            ("InternetGatewayDevice.DeviceInfo.SoftwareVersion".to_owned(), "2.0".to_owned()),
            ("InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.ExternalIPAddress".to_owned(), "192.0.2.1".to_owned()),
        ]);
        let told = in_tr181(&news, None);
        assert_eq!(told["Device.DeviceInfo.SoftwareVersion"], "2.0");
        assert!(needs_mapping(&news));
        let names = news.keys().map(|name| Discovered::new(name));
        let mapping = Mapping::new(names, Numbers::default()).unwrap();
        let told = in_tr181(&news, Some(&mapping));
        assert!(told.values().any(|value| value == "192.0.2.1"));
    }

    #[test]
    fn only_what_changed_is_told_as_a_change_and_only_so_much() {
        let values: BTreeMap<String, String> = (0..2 * CHANGES_TOLD_MAX)
            .map(|n| (format!("Device.P{n}"), "1".to_owned()))
            .collect();
        let known = BTreeMap::from([("Device.P0".to_owned(), "1".to_owned())]);
        let told = changes(&values, &known);
        assert_eq!(told.len(), CHANGES_TOLD_MAX);
        assert!(!told.iter().any(
            |notice| matches!(notice, Notice::ValueChange { path, .. } if path == "Device.P0")
        ));
    }
}
