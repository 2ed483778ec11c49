//! Management paths: credentials and links.

use fleet::onboarding::TokenStatus;
use fleet::{DeviceId, EventKind, NodeId};
use store::path::{PathEnd, PathLink, PathPatch};
use store::{
    Astray, DevicePatch, Error, EventFilter, EventOrder, Heard, LinkNumber, LostLinks, Store,
};

use crate::world::{NOW, at, event, hash, insert_device, tenant, worlds};

const WS: &str = "websocket";
const MQTT: &str = "mqtt";

fn link(node: &str, seconds: i64) -> PathLink {
    PathLink {
        transport: WS.to_owned(),
        endpoint_id: "os::00256D-S1".to_owned(),
        node: NodeId::parse(node).unwrap(),
        peer: "192.0.2.7:1234".to_owned(),
        authenticated_by: "setup_key".to_owned(),
        setup_key: None,
        info: serde_json::json!({ "version": "1.4" }),
        at: at(seconds),
    }
}

fn heard_over(transport: &'static str, device: DeviceId, seconds: i64) -> Heard {
    Heard {
        device,
        transport,
        at: at(seconds),
    }
}

fn numbered(device: DeviceId, link: u64) -> LinkNumber {
    LinkNumber {
        device,
        transport: WS,
        link,
    }
}

/// Changes how a device of `acme` is reached.
async fn revise(
    store: &Store,
    device: DeviceId,
    dial_url: Option<Option<String>>,
    certificate_required: Option<bool>,
) -> Result<(), Error> {
    let reach = PathPatch {
        transport: WS.to_owned(),
        endpoint_id: format!("os::{device}"),
        dial_url,
        certificate_required,
    };
    let patch = DevicePatch::default();
    store
        .device_revise(&tenant("acme"), device, patch, reach, NOW, vec![])
        .await
}

fn end(link: u64, seconds: i64) -> PathEnd {
    PathEnd {
        transport: WS.to_owned(),
        link,
        reason: "closed".to_owned(),
        at: at(seconds),
        back_by: None,
    }
}

#[tokio::test]
async fn a_credential_goes_from_pending_to_current_to_superseded() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        db.store
            .path_connected(&tenant, device, link("n1", 0), vec![])
            .await
            .unwrap();
        let status = |n| {
            let store = db.store.clone();
            async move {
                store
                    .path_by_credential(&hash(n))
                    .await
                    .unwrap()
                    .map(|found| found.status)
            }
        };
        let pending = |n| {
            db.store
                .path_set_pending(&tenant, device, WS, hash(n), NOW, vec![])
        };
        let confirm = |n| db.store.path_confirm(&tenant, device, WS, hash(n), vec![]);
        pending(7).await.unwrap();
        pending(1).await.unwrap();
        assert_eq!(status(1).await, Some(TokenStatus::Pending));
        pending(2).await.unwrap();
        // The one before may be what the device took, also when the last is told once more; one before that is gone.
        assert_eq!(status(1).await, Some(TokenStatus::Pending));
        pending(2).await.unwrap();
        assert_eq!(status(1).await, Some(TokenStatus::Pending));
        assert_eq!(status(7).await, None);
        assert!(!confirm(7).await.unwrap());
        let path = db.store.path(&tenant, device, WS).await.unwrap().unwrap();
        assert!(!path.has_current);
        db.store
            .path_readmit(&tenant, device, Some(at(9)), vec![])
            .await
            .unwrap();
        assert!(
            db.store
                .path_confirm(&tenant, device, WS, hash(2), vec![])
                .await
                .unwrap()
        );
        assert_eq!(status(2).await, Some(TokenStatus::Current));
        assert_eq!(status(1).await, None);
        let path = db.store.path(&tenant, device, WS).await.unwrap().unwrap();
        assert_eq!(
            (path.has_current, path.pending_at, path.readmit_until),
            (true, None, None)
        );
        pending(3).await.unwrap();
        assert_eq!(status(2).await, Some(TokenStatus::Current));
        db.store
            .path_confirm(&tenant, device, WS, hash(3), vec![])
            .await
            .unwrap();
        assert_eq!(status(2).await, Some(TokenStatus::Superseded));
        db.store
            .path_revoke(&tenant, device, WS, vec![])
            .await
            .unwrap();
        assert_eq!(status(3).await, Some(TokenStatus::Superseded));
    }
}

#[tokio::test]
async fn an_old_link_that_ends_late_does_not_take_the_new_one_along() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let linked = || async {
            db.store
                .device(&tenant, device)
                .await
                .unwrap()
                .device
                .evidence
                .linked()
        };
        let first = db
            .store
            .path_connected(&tenant, device, link("n1", 1), vec![])
            .await
            .unwrap();
        let second = db
            .store
            .path_connected(&tenant, device, link("n2", 2), vec![])
            .await
            .unwrap();
        assert!(second > first);
        let ended = db
            .store
            .path_disconnected(&tenant, device, end(first, 3), vec![])
            .await
            .unwrap();
        assert!(!ended);
        assert!(linked().await);
        let sent_away = PathEnd {
            back_by: Some(at(60)),
            ..end(second, 4)
        };
        let ended = db
            .store
            .path_disconnected(&tenant, device, sent_away, vec![])
            .await
            .unwrap();
        assert!(ended);
        assert!(!linked().await);
        let path = db.store.path(&tenant, device, WS).await.unwrap().unwrap();
        assert_eq!(
            (path.node, path.disconnect_reason.as_str()),
            (None, "closed")
        );
        let record = db.store.device(&tenant, device).await.unwrap();
        assert_eq!(
            (record.first_seen_at, record.address.as_str()),
            (Some(at(1)), "192.0.2.7:1234")
        );
        assert_eq!(record.device.evidence.awaited_until(), Some(at(60)));
    }
}

#[tokio::test]
async fn a_node_that_starts_again_has_no_links() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let mine = insert_device(&db.store, &tenant, "S1").await;
        let theirs = insert_device(&db.store, &tenant, "S2").await;
        db.store
            .path_connected(&tenant, mine, link("n1", 1), vec![])
            .await
            .unwrap();
        db.store
            .path_connected(&tenant, theirs, link("n2", 1), vec![])
            .await
            .unwrap();
        let node = NodeId::parse("n1").unwrap();
        let reset = db
            .store
            .path_reset_node(&tenant, &node, &[], "restart".to_owned(), at(5))
            .await
            .unwrap();
        let lost = LostLinks {
            device: mine,
            over: vec![WS.to_owned()],
            still: vec![],
        };
        assert_eq!(reset, [lost]);
        let linked = |id| {
            let (store, tenant) = (db.store.clone(), tenant.clone());
            async move {
                store
                    .device(&tenant, id)
                    .await
                    .unwrap()
                    .device
                    .evidence
                    .linked()
            }
        };
        assert!(!linked(mine).await);
        assert!(linked(theirs).await);
        // What it shares with others it does not have alone.
        let shared = PathLink {
            info: serde_json::json!({ "broker": "north", "tls": true }),
            ..link("n1", 6)
        };
        let made = db.store.path_connected(&tenant, mine, shared, vec![]);
        made.await.unwrap();
        for (broker, lost) in [("north", vec![]), ("nort", vec![mine])] {
            let except = [broker.to_owned()];
            let reason = "restart".to_owned();
            let reset = db
                .store
                .path_reset_node(&tenant, &node, &except, reason, at(7));
            let reset = reset.await.unwrap();
            let reset: Vec<DeviceId> = reset.iter().map(|one| one.device).collect();
            assert_eq!(reset, lost);
        }
    }
}

#[tokio::test]
async fn a_link_of_which_nobody_has_heard_is_written_off_once_and_taken_back_by_who_has_it() {
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        let unheard = insert_device(store, &tenant, "S1").await;
        let heard = insert_device(store, &tenant, "S2").await;
        for device in [unheard, heard] {
            let made = store.path_connected(&tenant, device, link("n1", 1), vec![]);
            assert_eq!(made.await.unwrap(), 1);
        }
        let hear = async |device, seconds| {
            let heard = heard_over(WS, device, seconds);
            store.path_heard(&tenant, vec![heard]).await.unwrap()
        };
        assert_eq!(hear(heard, 5).await, []);
        let lapse = async || store.path_lapse(&tenant, at(4), at(10), 10).await.unwrap();
        assert_eq!(lapse().await, [unheard]);
        assert!(lapse().await.is_empty());
        let linked = async |device| {
            let path = store.path(&tenant, device, WS).await.unwrap().unwrap();
            let record = store.device(&tenant, device).await.unwrap();
            let linked = record.device.evidence.linked();
            assert_eq!(path.node.is_some(), linked);
            linked
        };
        assert!(linked(heard).await && !linked(unheard).await);
        let told = EventFilter {
            device: Some(unheard),
            kinds: vec![EventKind::DeviceDisconnected],
            ..EventFilter::default()
        };
        let page = store.events(&tenant, EventOrder::After(0), &told, 10).await;
        assert_eq!(page.unwrap().events.len(), 1);
        // What was heard before that is no news; what is heard since is.
        assert_eq!(hear(unheard, 9).await, []);
        let last = numbered(unheard, 1);
        assert_eq!(hear(unheard, 11).await, [last]);
        // As long as nobody has taken it back.
        assert_eq!(hear(unheard, 12).await, [last]);
        let node = NodeId::parse("n1").unwrap();
        let relink = async |seconds| {
            let relinked = store.path_relinked(&tenant, last, &node, at(seconds), vec![]);
            relinked.await.unwrap()
        };
        assert_eq!(relink(10).await, Some(2));
        assert!(linked(unheard).await);
        assert_eq!(relink(11).await, None);
        assert_eq!(hear(unheard, 13).await, []);
    }
}

#[tokio::test]
async fn a_link_over_which_nothing_is_heard_is_there_for_as_long_as_a_node_says_that_it_holds_it() {
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        let device = insert_device(store, &tenant, "S1").await;
        let made = store.path_connected(&tenant, device, link("n1", 1), vec![]);
        made.await.unwrap();
        let node = |name| NodeId::parse(name).unwrap();
        let held = async |name, seconds| {
            let held = vec![numbered(device, 1)];
            let astray = store
                .path_held(&tenant, &node(name), held, at(seconds))
                .await;
            astray.unwrap()
        };
        let lapse = async |since| {
            let gone = store.path_lapse(&tenant, at(since), at(20), 10).await;
            gone.unwrap()
        };
        assert_eq!(held("n1", 9).await, Astray::default());
        assert!(lapse(9).await.is_empty());
        // Not by one that does not hold it; and the device is no less silent.
        assert_eq!(held("n2", 12).await.replaced, [numbered(device, 1)]);
        let record = store.device(&tenant, device).await.unwrap();
        assert_eq!(record.device.evidence.heard_at, Some(at(1)));
        assert_eq!(lapse(10).await, [device]);
        assert!(lapse(10).await.is_empty());
        // Who holds it takes it back.
        let astray = held("n1", 13).await;
        assert_eq!(astray.replaced, []);
        let [last] = astray.written_off[..] else {
            panic!("{astray:?}")
        };
        let node = node("n1");
        let relinked = store.path_relinked(&tenant, last, &node, at(14), vec![]);
        assert_eq!(relinked.await.unwrap(), Some(2));
        let record = store.device(&tenant, device).await.unwrap();
        assert!(record.device.evidence.linked());
    }
}

#[tokio::test]
async fn a_node_that_still_holds_a_link_does_not_take_a_device_back_that_has_left_another_one() {
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        let device = insert_device(store, &tenant, "S1").await;
        for (node, seconds) in [("n1", 1), ("n2", 2)] {
            let made = store.path_connected(&tenant, device, link(node, seconds), vec![]);
            made.await.unwrap();
        }
        let node = NodeId::parse("n1").unwrap();
        let held = async |seconds| {
            let held = vec![numbered(device, 1)];
            let held = store.path_held(&tenant, &node, held, at(seconds));
            held.await.unwrap()
        };
        let over = Astray {
            replaced: vec![numbered(device, 1)],
            ..Astray::default()
        };
        let path = async || store.path(&tenant, device, WS).await.unwrap().unwrap();
        let before = path().await;
        assert_eq!(held(5).await, over);
        assert_eq!(path().await, before);
        let ended = store.path_disconnected(&tenant, device, end(2, 6), vec![]);
        assert!(ended.await.unwrap());
        // It was in time for the one, and is late for the other.
        let last = numbered(device, 1);
        let relinked = store.path_relinked(&tenant, last, &node, at(7), vec![]);
        assert_eq!(relinked.await.unwrap(), None);
        assert_eq!(held(8).await, over);
        let path = path().await;
        assert_eq!((path.node, path.heard_at), (None, before.heard_at));
        let record = store.device(&tenant, device).await.unwrap();
        assert!(!record.device.evidence.linked());
    }
}

#[tokio::test]
async fn a_link_is_written_off_though_its_device_is_heard_over_another_one() {
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        let device = insert_device(store, &tenant, "S1").await;
        let over = |transport: &str, node| PathLink {
            transport: transport.to_owned(),
            ..link(node, 1)
        };
        let mut number = 0;
        for (transport, node) in [(WS, "n1"), (MQTT, "n2")] {
            let made = store.path_connected(&tenant, device, over(transport, node), vec![]);
            number = made.await.unwrap();
        }
        let heard = vec![heard_over(MQTT, device, 9)];
        assert!(store.path_heard(&tenant, heard).await.unwrap().is_empty());
        let lapse = async |since| {
            let gone = store.path_lapse(&tenant, at(since), at(10), 10).await;
            gone.unwrap()
        };
        assert!(lapse(1).await.is_empty());
        assert_eq!(lapse(5).await, [device]);
        assert!(lapse(5).await.is_empty());
        let node = async |transport| {
            let path = store.path(&tenant, device, transport).await;
            path.unwrap().unwrap().node
        };
        assert_eq!((node(WS).await, node(MQTT).await.is_some()), (None, true));
        let linked = async || {
            let record = store.device(&tenant, device).await.unwrap();
            record.device.evidence.linked()
        };
        assert!(linked().await);
        let told = EventFilter {
            kinds: vec![EventKind::DeviceDisconnected],
            ..EventFilter::default()
        };
        let page = store.events(&tenant, EventOrder::After(0), &told, 10).await;
        let events = page.unwrap().events;
        assert_eq!(events.len(), 1);
        let data = &events[0].event.data;
        assert_eq!(
            (&data["transport"], &data["still"][0]),
            (&WS.into(), &MQTT.into())
        );
        // The end of the other one is the end of the last one.
        let end = PathEnd {
            transport: MQTT.to_owned(),
            ..end(number, 11)
        };
        let ended = store.path_disconnected(&tenant, device, end, vec![]);
        assert!(ended.await.unwrap() && !linked().await);
    }
}

#[tokio::test]
async fn a_device_that_keeps_another_link_when_a_node_starts_again_stays_linked() {
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        let device = insert_device(store, &tenant, "S1").await;
        for (transport, node) in [(WS, "n1"), (MQTT, "n2")] {
            let link = PathLink {
                transport: transport.to_owned(),
                ..link(node, 1)
            };
            store
                .path_connected(&tenant, device, link, vec![])
                .await
                .unwrap();
        }
        let node = NodeId::parse("n1").unwrap();
        let reset = store.path_reset_node(&tenant, &node, &[], "restart".to_owned(), at(5));
        let lost = LostLinks {
            device,
            over: vec![WS.to_owned()],
            still: vec![MQTT.to_owned()],
        };
        assert_eq!(reset.await.unwrap(), [lost]);
        let record = store.device(&tenant, device).await.unwrap();
        assert!(record.device.evidence.linked());
    }
}

#[tokio::test]
async fn a_device_that_counts_as_linked_without_any_path_is_written_off() {
    for db in worlds().await {
        let (store, tenant) = (&db.store, tenant("acme"));
        let device = insert_device(store, &tenant, "S1").await;
        let made = store.path_connected(&tenant, device, link("n1", 1), vec![]);
        made.await.unwrap();
        store
            .path_delete(&tenant, device, WS, vec![])
            .await
            .unwrap();
        let lapse = async || store.path_lapse(&tenant, at(4), at(10), 10).await.unwrap();
        assert_eq!(lapse().await, [device]);
        assert!(lapse().await.is_empty());
        let record = store.device(&tenant, device).await.unwrap();
        assert!(!record.device.evidence.linked());
    }
}

#[tokio::test]
async fn the_devices_we_dial_are_listed() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let mut devices = Vec::new();
        for n in 0..5 {
            let device = insert_device(&db.store, &tenant, &format!("S{n}")).await;
            let url = (n != 2).then(|| format!("ws://192.0.2.{n}/"));
            revise(&db.store, device, Some(url), None).await.unwrap();
            if n != 2 {
                devices.push(device);
            }
        }
        let first = db.store.path_list_dialled(&tenant, None, 3).await.unwrap();
        let rest = db
            .store
            .path_list_dialled(&tenant, Some(first[2].device), 3)
            .await
            .unwrap();
        let all: Vec<_> = first.iter().chain(&rest).map(|path| path.device).collect();
        assert_eq!(all, devices);
        db.store
            .path_delete(&tenant, devices[0], WS, vec![])
            .await
            .unwrap();
        assert!(
            db.store
                .path_list(&tenant, devices[0])
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test]
async fn how_a_device_is_reached_changes_only_where_it_is_named_and_together_with_the_device() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let path = async || {
            let path = db.store.path(&tenant, device, WS).await.unwrap().unwrap();
            (path.dial_url, path.certificate_required)
        };
        revise(&db.store, device, None, Some(true)).await.unwrap();
        assert_eq!(path().await, (None, true));
        let url = Some("ws://192.0.2.1/".to_owned());
        // Two changes, each of which was right when it was asked for.
        let both = revise(&db.store, device, Some(url.clone()), None).await;
        assert!(matches!(both, Err(Error::Invalid(_))), "{both:?}");
        assert_eq!(path().await, (None, true));
        revise(&db.store, device, None, Some(false)).await.unwrap();
        revise(&db.store, device, Some(url.clone()), None)
            .await
            .unwrap();
        revise(&db.store, device, None, Some(false)).await.unwrap();
        assert_eq!(path().await, (url.clone(), false));
        // All or nothing, the event too.
        let patch = DevicePatch {
            name: Some("new".to_owned()),
            ..DevicePatch::default()
        };
        let reach = PathPatch {
            transport: WS.to_owned(),
            certificate_required: Some(true),
            ..PathPatch::default()
        };
        let told = vec![event(&tenant, EventKind::DeviceUpdated)];
        let before = db.store.event_head(&tenant).await.unwrap();
        let refused = db
            .store
            .device_revise(&tenant, device, patch, reach, NOW, told);
        refused.await.unwrap_err();
        let record = db.store.device(&tenant, device).await.unwrap();
        assert_eq!(record.device.name, "");
        assert_eq!(db.store.event_head(&tenant).await.unwrap(), before);
    }
}

#[tokio::test]
async fn a_certificate_is_required_and_a_key_taken_again_on_each_way_to_a_device() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        for transport in [WS, "cwmp"] {
            let link = PathLink {
                transport: transport.to_owned(),
                ..link("n1", 0)
            };
            let connected = db.store.path_connected(&tenant, device, link, vec![]);
            connected.await.unwrap();
        }
        revise(&db.store, device, None, Some(true)).await.unwrap();
        let until = Some(at(9));
        let readmitted = db.store.path_readmit(&tenant, device, until, vec![]).await;
        readmitted.unwrap();
        let paths = db.store.path_list(&tenant, device).await.unwrap();
        assert_eq!(paths.len(), 2);
        for path in paths {
            assert!(path.certificate_required, "{}", path.transport);
            assert_eq!(path.readmit_until, until, "{}", path.transport);
        }
    }
}

#[tokio::test]
async fn a_credential_of_its_own_ends_the_readmission_on_each_way_of_its_protocol() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        for transport in [WS, "mqtt", "cwmp"] {
            let link = PathLink {
                transport: transport.to_owned(),
                ..link("n1", 0)
            };
            let connected = db.store.path_connected(&tenant, device, link, vec![]);
            connected.await.unwrap();
        }
        let until = Some(at(9));
        let readmitted = db.store.path_readmit(&tenant, device, until, vec![]).await;
        readmitted.unwrap();
        let open = async || {
            let paths = db.store.path_list(&tenant, device).await.unwrap();
            let mut open: Vec<_> = paths
                .into_iter()
                .filter(|path| path.readmit_until.is_some())
                .map(|path| path.transport)
                .collect();
            open.sort();
            open
        };
        let confirmed = async |transport: &str, n: u64| {
            let (store, at) = (&db.store, at(1));
            let pending = store.path_set_pending(&tenant, device, transport, hash(n), at, vec![]);
            pending.await.unwrap();
            let wrong = store.path_confirm(&tenant, device, transport, hash(n + 1), vec![]);
            assert!(!wrong.await.unwrap());
            let before = open().await;
            let right = store.path_confirm(&tenant, device, transport, hash(n), vec![]);
            assert!(right.await.unwrap());
            before
        };
        assert_eq!(confirmed("mqtt", 1).await, ["cwmp", "mqtt", WS]);
        assert_eq!(open().await, ["cwmp"]);
        confirmed("cwmp", 3).await;
        assert!(open().await.is_empty());
    }
}

#[tokio::test]
async fn a_device_that_has_a_way_is_given_no_other_but_to_be_dialled() {
    for db in worlds().await {
        let tenant = tenant("acme");
        let device = insert_device(&db.store, &tenant, "S1").await;
        let link = PathLink {
            transport: "cwmp".to_owned(),
            ..link("n1", 0)
        };
        let connected = db.store.path_connected(&tenant, device, link, vec![]);
        connected.await.unwrap();
        let count = async || db.store.path_list(&tenant, device).await.unwrap().len();
        revise(&db.store, device, Some(None), Some(false))
            .await
            .unwrap();
        assert_eq!(count().await, 1);
        let url = Some(Some("ws://192.0.2.1/".to_owned()));
        revise(&db.store, device, url, None).await.unwrap();
        assert_eq!(count().await, 2);
    }
}
