//! Subscriptions in whole sessions.

use std::collections::BTreeMap;

use cwmp::Request as Rpc;
use cwmp::value::Value;
use fleet::EventKind;
use fleet::operation::{OperationState as State, Request};
use fleet::southbound::PathValue;

use super::super::fake::{Asked, gateway, old_gateway};
use super::super::habits::Habits;
use super::super::limits::{SILENCE_REFUSED_MAX, WATCH_REFUSED_MAX, WRITE_BATCH};
use super::super::memory::HABITS;
use super::super::quirks::Quirks;
use super::super::world::{PERIODIC, World};
use super::*;

/// What the device was told of reporting changes: name and how.
fn told(asked: &Asked) -> Vec<(String, u32)> {
    let requests = asked.requests().into_iter();
    let sets = requests.filter_map(|request| match request {
        Rpc::SetParameterAttributes(set) => Some(set.parameters),
        _ => None,
    });
    sets.flatten()
        .map(|one| (one.name, one.notification))
        .collect()
}

/// The device has this subscription.
async fn subscribed(world: &World, row: Row) {
    let memory = super::super::memory::Memory {
        subscriptions: vec![row],
        complete: true,
        root: "Device.".to_owned(),
        software: "1.0".to_owned(),
        last_row: 1,
        ..Default::default()
    };
    let (tenant, device) = (&world.tenant, world.device);
    let name = super::super::memory::MEMORY;
    let (kept, at) = (memory.kept(), crate::state::now());
    let put = world.store.state_put(tenant, device, name, kept, at);
    put.await.unwrap();
}

fn subscription(kind: &str, paths: &str, more: &[(&str, &str)]) -> Request {
    let values = [
        ("Enable", "true"),
        ("ID", "s"),
        ("NotifType", kind),
        ("ReferenceList", paths),
    ];
    let values = values.iter().chain(more);
    Request::Add {
        object: TABLE.to_owned(),
        values: values
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    }
}

#[tokio::test]
async fn changes_are_subscribed_and_given_up_by_the_devices_own_names() {
    let own = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.SSID";
    let path = "Device.WiFi.SSID.1.SSID";
    for (fake, root, name) in [
        (gateway(), "Device.", path),
        (old_gateway(), "InternetGatewayDevice.", own),
    ] {
        let (world, asked) = World::known(fake, root).await;
        let ask = async |request: Request, state: State| {
            asked.clear();
            let id = world.ask(request).await;
            world.session(asked.again(), PERIODIC).await;
            let operation = world.ends(id, state).await;
            (operation, told(&asked))
        };
        let (made, set) = ask(subscription("ValueChange", path, &[]), State::Succeeded).await;
        assert_eq!(set, [(name.to_owned(), ACTIVE)]);
        let row = made.progress.rows[0].clone();
        assert!(row.starts_with(TABLE));
        // A second one that is content with less changes nothing.
        let more = subscription("ValueChange", path, &[(PASSIVELY, "true")]);
        let (second, set) = ask(more, State::Succeeded).await;
        assert_eq!(set, []);
        // It forgot everything, and is told again.
        world.session(asked.again(), &[("0 BOOTSTRAP", "")]).await;
        assert_eq!(told(&asked), [(name.to_owned(), ACTIVE)]);
        // The first one is off, and what is left is passive.
        let values = vec![PathValue::new(format!("{row}Enable"), "false")];
        let allow_partial = false;
        let off = Request::Set {
            values,
            allow_partial,
        };
        let (_, set) = ask(off, State::Succeeded).await;
        assert_eq!(set, [(name.to_owned(), PASSIVE)]);
        let paths = vec![row, second.progress.rows[0].clone()];
        let gone = Request::Delete {
            paths,
            allow_partial,
        };
        let (_, set) = ask(gone, State::Succeeded).await;
        assert_eq!(set, [(name.to_owned(), OFF)]);
        let paths = vec![TABLE.to_owned()];
        let max_depth = 0;
        let (all, _) = ask(Request::Get { paths, max_depth }, State::Succeeded).await;
        assert!(all.outcome.after.is_empty());
    }
}

#[tokio::test]
async fn what_cwmp_cannot_report_is_refused_with_the_reason() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    for (kind, path, words) in [
        ("ObjectCreation", "Device.NAT.PortMapping.", "come and go"),
        ("ValueChange", "Device.Nothing", "none of these"),
        ("Weather", "Device.", "NotifType"),
    ] {
        let id = world.ask(subscription(kind, path, &[])).await;
        world.session(asked.again(), PERIODIC).await;
        let operation = world.ends(id, State::Failed).await;
        let why = format!("{:?}", operation.outcome);
        assert!(why.contains(words), "{why}");
    }
    assert!(told(&asked).is_empty());
    // What a CPE always reports needs no word.
    let id = world.ask(subscription("Event", "Device.", &[])).await;
    world.session(asked.again(), PERIODIC).await;
    world.ends(id, State::Succeeded).await;
    assert!(told(&asked).is_empty());
}

#[tokio::test]
async fn a_search_is_what_it_leads_to_when_it_is_subscribed() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    let path = "Device.WiFi.SSID.*.SSID";
    let id = world.ask(subscription("ValueChange", path, &[])).await;
    world.session(asked.again(), PERIODIC).await;
    world.ends(id, State::Succeeded).await;
    let both = ["1", "2"].map(|n| (format!("Device.WiFi.SSID.{n}.SSID"), ACTIVE));
    assert_eq!(told(&asked), both);
}

/// `SUBSCRIBED_BELOW_MAX`
#[tokio::test]
async fn an_object_whose_changes_no_inform_has_room_for_is_not_subscribed_whole() {
    let many = 0..=SUBSCRIBED_BELOW_MAX;
    let fake = many.fold(gateway(), |fake, n| {
        fake.with_param(&format!("Device.X_Many.Value{n}"), Value::string("0"))
    });
    let (world, asked) = World::known(fake, "Device.").await;
    for path in ["Device.X_Many.", "Device."] {
        let id = world.ask(subscription("ValueChange", path, &[])).await;
        world.session(asked.again(), PERIODIC).await;
        let operation = world.ends(id, State::Failed).await;
        let why = format!("{:?}", operation.outcome);
        assert!(why.contains("SUBSCRIBED_BELOW_MAX"), "{why}");
    }
    assert!(told(&asked).is_empty());
}

#[tokio::test]
async fn what_is_gone_keeps_nothing_else_from_being_given_up() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    let names = [
        "Device.Gone",
        "Device.WiFi.SSID.1.SSID",
        "Device.WiFi.SSID.2.SSID",
    ];
    let row = Row {
        number: 1,
        settings: BTreeMap::from([("Enable".to_owned(), "true".to_owned())]),
        names: names.map(str::to_owned).to_vec(),
    };
    subscribed(&world, row).await;
    asked.clear();
    let paths = vec![format!("{TABLE}*.")];
    let allow_partial = false;
    let gone = Request::Delete {
        paths,
        allow_partial,
    };
    let id = world.ask(gone).await;
    world.session(asked.again(), PERIODIC).await;
    world.ends(id, State::Succeeded).await;
    for name in names {
        // Also by itself, or with none that is gone.
        assert_eq!(told(&asked).last().map(|one| one.1), Some(OFF));
        assert!(told(&asked).contains(&(name.to_owned(), OFF)), "{name}");
    }
}

/// `SILENCE_REFUSED_MAX`
#[tokio::test]
async fn what_a_device_goes_on_reporting_is_said_where_a_subscription_is_given_up() {
    const LAST: &str = "Device.WiFi.SSID.1.SSID";
    for kind in ["delete", "set"] {
        let (world, asked) = World::known(gateway(), "Device.").await;
        let gone = 0..SILENCE_REFUSED_MAX + 10;
        let gone = gone.map(|n| format!("Device.A.{n:04}.B"));
        let row = Row {
            number: 1,
            settings: BTreeMap::from([
                ("Enable".to_owned(), "true".to_owned()),
                ("NotifType".to_owned(), "ValueChange".to_owned()),
            ]),
            names: gone.chain([LAST.to_owned()]).collect(),
        };
        subscribed(&world, row).await;
        let allow_partial = false;
        let given_up = match kind {
            "delete" => Request::Delete {
                paths: vec![format!("{TABLE}1.")],
                allow_partial,
            },
            _ => Request::Set {
                values: vec![PathValue::new(format!("{TABLE}1.Enable"), "false")],
                allow_partial,
            },
        };
        let id = world.ask(given_up).await;
        world.session(asked.again(), PERIODIC).await;
        let operation = world.ends(id, State::Partly).await;
        let why = format!("{:?}", operation.outcome);
        let words = "limit SILENCE_REFUSED_MAX: it goes on reporting 11 parameters";
        assert!(why.contains(words), "{why}");
    }
}

#[tokio::test]
async fn a_parameter_over_which_a_device_fails_when_it_is_to_report_it_teaches_nothing_of_writes() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    let path = "Device.WiFi.SSID.*.SSID";
    let id = world.ask(subscription("ValueChange", path, &[])).await;
    let fails = asked.again().fails_over("Device.WiFi.SSID.2.SSID");
    world.session(fails, PERIODIC).await;
    world.ends(id, State::Failed).await;
    let asks = asked.methods();
    let asks = asks.iter().filter(|name| *name == "SetParameterAttributes");
    assert!(asks.count() > 1, "{:?}", asked.dialog());
    // All or none: what it has taken is taken back.
    let first = ("Device.WiFi.SSID.1.SSID".to_owned(), OFF);
    let taken = taken(&asked, &["Device.WiFi.SSID.2.SSID".to_owned()]);
    assert_eq!(taken.last(), Some(&first));
    let (store, tenant) = (&world.store, &world.tenant);
    let kept = store.model_state_get(tenant, "00256D|Box|1.0", HABITS);
    let kept = kept.await.unwrap();
    let quirks = Quirks::default();
    let habits = Habits::of(kept.as_deref(), &quirks, crate::state::now());
    assert_eq!(habits.write_batch, WRITE_BATCH);
}

/// What the device was told of reporting changes and has taken, where it fails over these.
fn taken(asked: &Asked, fails: &[String]) -> Vec<(String, u32)> {
    let requests = asked.requests().into_iter();
    let sets = requests.filter_map(|request| match request {
        Rpc::SetParameterAttributes(set) => Some(set.parameters),
        _ => None,
    });
    let taken = sets.filter(|set| !set.iter().any(|one| fails.contains(&one.name)));
    let one = taken.flatten().map(|one| (one.name, one.notification));
    one.collect()
}

#[tokio::test]
async fn one_name_that_is_refused_keeps_no_other_subscription_from_being_told_again() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    for path in ["Device.WiFi.SSID.*.SSID", "Device.X_ACME_Thing.Level"] {
        let id = world.ask(subscription("ValueChange", path, &[])).await;
        world.session(asked.again(), PERIODIC).await;
        world.ends(id, State::Succeeded).await;
    }
    asked.clear();
    let bad = "Device.WiFi.SSID.1.SSID".to_owned();
    let fails = asked.again().fails_over(&bad);
    world.session(fails, &[("0 BOOTSTRAP", "")]).await;
    let taken = taken(&asked, &[bad]);
    for name in ["Device.WiFi.SSID.2.SSID", "Device.X_ACME_Thing.Level"] {
        assert!(taken.contains(&(name.to_owned(), ACTIVE)), "{taken:?}");
    }
    let told = world.told(EventKind::DeviceOnboarded).await;
    let notes = told.last().unwrap()["notes"].to_string();
    let words = "the subscription s: 1 refused, like Device.WiFi.SSID.1.SSID";
    assert!(notes.contains(words), "{notes}");
}

/// `WATCH_REFUSED_MAX`
#[tokio::test]
async fn a_device_that_refuses_to_report_anything_is_not_asked_for_all_of_it() {
    let many = 0..2 * WATCH_REFUSED_MAX;
    let names: Vec<String> = many.map(|n| format!("Device.X_Many.V{n:03}")).collect();
    let fake = names.iter().fold(gateway(), |fake, name| {
        fake.with_param(name, Value::string("0"))
    });
    let (world, asked) = World::known(fake, "Device.").await;
    let list = names.join(",");
    let id = world.ask(subscription("ValueChange", &list, &[])).await;
    world.session(asked.again(), PERIODIC).await;
    world.ends(id, State::Succeeded).await;
    asked.clear();
    let fails = names
        .iter()
        .fold(asked.again(), |fake, name| fake.fails_over(name));
    world.session(fails, &[("0 BOOTSTRAP", "")]).await;
    let alone = asked.requests().into_iter().filter(
        |request| matches!(request, Rpc::SetParameterAttributes(set) if set.parameters.len() == 1),
    );
    assert_eq!(alone.count(), WATCH_REFUSED_MAX);
    let done = world.told(EventKind::DeviceOnboarded).await;
    assert_eq!(done.len(), 2);
    let notes = done.last().unwrap()["notes"].to_string();
    assert!(notes.contains("64 not told yet"), "{notes}");
    // What it was not told is told the next time that its rows are looked at.
    asked.put("Device.Hosts.Host.9.HostName", "new");
    asked.clear();
    let paths = vec!["Device.Hosts.Host.".to_owned()];
    let max_depth = 0;
    let id = world.ask(Request::Get { paths, max_depth }).await;
    world.session(asked.again(), PERIODIC).await;
    world.ends(id, State::Succeeded).await;
    let told: Vec<String> = told(&asked).into_iter().map(|one| one.0).collect();
    assert_eq!(told, names[WATCH_REFUSED_MAX..]);
}

#[tokio::test]
async fn what_is_about_a_table_that_is_empty_now_follows_the_rows_that_come() {
    for (fake, root) in [
        (gateway(), "Device."),
        (old_gateway(), "InternetGatewayDevice."),
    ] {
        let (world, asked) = World::known(fake.without_rows(), root).await;
        let path = "Device.Hosts.Host.*.HostName".to_owned();
        let id = world.ask(subscription("ValueChange", &path, &[])).await;
        world.session(asked.again(), PERIODIC).await;
        world.ends(id, State::Succeeded).await;
        assert_eq!(told(&asked), []);
        let table = match root {
            "Device." => "Device.Hosts.Host.",
            _ => "InternetGatewayDevice.LANDevice.1.Hosts.Host.",
        };
        // And once more, with rows that were there before it began anew.
        for number in [4, 7] {
            let name = format!("{table}{number}.HostName");
            asked.put(&name, "laptop");
            asked.clear();
            let paths = vec!["Device.Hosts.Host.".to_owned()];
            let id = world
                .ask(Request::Get {
                    paths,
                    max_depth: 0,
                })
                .await;
            world.session(asked.again(), PERIODIC).await;
            world.ends(id, State::Succeeded).await;
            assert_eq!(told(&asked), [(name, ACTIVE)], "{:?}", asked.dialog());
            // That is no part of what was asked.
            let transcript = world.store.transcript_list(&world.tenant, id);
            let transcript = transcript.await.unwrap();
            let said = |what: &str| transcript.iter().any(|entry| entry.what.contains(what));
            assert!(said("GetParameter") && !said("SetParameterAttributes"));
            asked.remove(&format!("{table}{number}."));
            asked.clear();
            world.session(asked.again(), &[("0 BOOTSTRAP", "")]).await;
            assert_eq!(told(&asked), []);
        }
    }
}

#[tokio::test]
async fn a_subscription_whose_parameters_are_gone_can_be_switched_off() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    let gone = "Device.Gone";
    let settings = [
        ("Enable", "true"),
        ("NotifType", "ValueChange"),
        ("ReferenceList", gone),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let row = Row {
        number: 1,
        settings: BTreeMap::from(settings),
        names: vec![gone.to_owned()],
    };
    subscribed(&world, row).await;
    let set = async |value: &str, state: State| {
        let values = vec![PathValue::new(format!("{TABLE}1.Enable"), value)];
        let allow_partial = false;
        let id = world
            .ask(Request::Set {
                values,
                allow_partial,
            })
            .await;
        world.session(asked.again(), PERIODIC).await;
        world.ends(id, state).await
    };
    set("false", State::Succeeded).await;
    let again = set("true", State::Failed).await;
    let why = format!("{:?}", again.outcome);
    assert!(why.contains("none of these"), "{why}");
}

/// `SUBSCRIPTIONS_BYTES_MAX`
#[tokio::test]
async fn a_device_has_room_for_so_many_subscriptions() {
    let (world, asked) = World::known(gateway(), "Device.").await;
    let row = Row {
        number: 1,
        settings: BTreeMap::from([("Alias".to_owned(), "x".repeat(SUBSCRIPTIONS_BYTES_MAX))]),
        names: Vec::new(),
    };
    subscribed(&world, row).await;
    let id = world.ask(subscription("Event", "Device.", &[])).await;
    world.session(asked.again(), PERIODIC).await;
    let operation = world.ends(id, State::Failed).await;
    let why = format!("{:?}", operation.outcome);
    assert!(why.contains("SUBSCRIPTIONS_BYTES_MAX"), "{why}");
}
