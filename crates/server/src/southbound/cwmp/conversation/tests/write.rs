//! Sets against a scripted CPE.

use dm::mapping::Numbers;
use fleet::southbound::Setting;

use super::super::fake::{Asked, Fake, gateway, old_gateway};
use super::super::habits::Habits;
use super::*;

async fn begin(fake: Fake, root: &str) -> (Line, Known, Asked) {
    let (mut line, asked) = fake.line();
    let known = Known::discover(&mut line, root, Numbers::default())
        .await
        .unwrap();
    asked.clear();
    (line, known, asked)
}

fn settings(all: &[(&str, &str)]) -> Vec<ObjectSettings> {
    let one = |(path, value): &(&str, &str)| {
        let (object, name) = fleet::model::split(path).unwrap();
        ObjectSettings {
            object: object.to_owned(),
            settings: vec![Setting::required(name, *value)],
        }
    };
    all.iter().map(one).collect()
}

async fn done(
    (line, known, _): &mut (Line, Known, Asked),
    all: &[(&str, &str)],
    allow_partial: bool,
) -> Result<Vec<WriteResult>, Failure> {
    set(line, known, &settings(all), allow_partial).await
}

const HOME: &str = "Device.WiFi.SSID.1.SSID";
const GUEST: &str = "Device.WiFi.SSID.2.SSID";
const ENABLE: &str = "Device.WiFi.SSID.1.Enable";
const BSSID: &str = "Device.WiFi.SSID.1.BSSID";

fn codes(results: &[WriteResult]) -> Vec<(&str, Option<u32>)> {
    let code = |one: &WriteResult| one.result.as_ref().err().map(|fault| fault.code);
    results
        .iter()
        .map(|one| (one.path.as_str(), code(one)))
        .collect()
}

#[tokio::test]
async fn several_values_are_written_at_once_in_their_types() {
    let mut device = begin(gateway().strict_types(), "Device.").await;
    let wanted = [
        (HOME, "den"),
        (ENABLE, "0"),
        ("Device.X_ACME_Thing.Level", "7"),
    ];
    let results = done(&mut device, &wanted, false).await.unwrap();
    assert!(results.iter().all(|one| one.result.is_ok()));
    assert_eq!(device.2.get(HOME).as_deref(), Some("den"));
    assert_eq!(device.2.get(ENABLE).as_deref(), Some("false"));
    assert_eq!(
        device.2.get("Device.X_ACME_Thing.Level").as_deref(),
        Some("7")
    );
    let sets = device.2.methods();
    assert_eq!(
        sets.iter().filter(|m| *m == "SetParameterValues").count(),
        1
    );
}

#[tokio::test]
async fn all_or_nothing_is_nothing_when_one_is_refused_and_says_why_of_each() {
    let mut device = begin(gateway(), "Device.").await;
    let wanted = [(HOME, "den"), (BSSID, "x"), (GUEST, "bad")];
    let Err(Failure::Refused { paths, .. }) = done(&mut device, &wanted, false).await else {
        panic!("it was not refused");
    };
    let why: Vec<_> = paths
        .iter()
        .map(|(path, fault)| (path.as_str(), fault.code))
        .collect();
    assert!(
        why.contains(&(BSSID, 9008)) && why.contains(&(GUEST, 9007)),
        "{why:?}"
    );
    assert_eq!(device.2.get(HOME).as_deref(), Some("home"));
}

#[tokio::test]
async fn a_set_that_may_be_partial_writes_what_can_be_written() {
    let mut device = begin(gateway(), "Device.").await;
    let wanted = [(HOME, "den"), (BSSID, "x")];
    let results = done(&mut device, &wanted, true).await.unwrap();
    assert_eq!(codes(&results), [(BSSID, Some(9008)), (HOME, None)]);
    assert_eq!(device.2.get(HOME).as_deref(), Some("den"));
}

#[tokio::test]
async fn a_search_path_sets_all_that_it_leads_to() {
    let mut device = begin(gateway(), "Device.").await;
    let wanted = [("Device.WiFi.SSID.*.SSID", "same")];
    let results = done(&mut device, &wanted, false).await.unwrap();
    assert_eq!(codes(&results), [(HOME, None), (GUEST, None)]);
    assert_eq!(device.2.get(GUEST).as_deref(), Some("same"));
}

#[tokio::test]
async fn more_than_the_device_takes_is_written_piece_by_piece_from_then_on() {
    let mut device = begin(gateway().writes_max(2), "Device.").await;
    let wanted = [
        (HOME, "a"),
        (GUEST, "b"),
        (ENABLE, "0"),
        ("Device.WiFi.SSID.2.Enable", "1"),
    ];
    let results = done(&mut device, &wanted, false).await.unwrap();
    assert!(results.len() == 4 && results.iter().all(|one| one.result.is_ok()));
    assert_eq!(device.2.get(GUEST).as_deref(), Some("b"));
    assert_eq!(device.0.habits.write_batch, 2);
}

#[tokio::test]
async fn a_piece_of_which_all_is_refused_is_not_written_empty() {
    let mut device = begin(gateway().writes_max(1), "Device.").await;
    let wanted = [(HOME, "den"), (GUEST, "bad"), (ENABLE, "0")];
    let results = done(&mut device, &wanted, true).await.unwrap();
    assert_eq!(
        codes(&results),
        [(ENABLE, None), (HOME, None), (GUEST, Some(9007))]
    );
    let empty = |asked: &cwmp::Request| matches!(asked, cwmp::Request::SetParameterValues(set) if set.parameters.is_empty());
    assert!(!device.2.requests().iter().any(empty));
}

#[tokio::test]
async fn a_session_that_ends_between_two_pieces_is_not_told_as_never_begun() {
    for (fake, value) in [
        (gateway().writes_max(1), "x"),
        (gateway().silent_faults(), "bad"),
    ] {
        let fake = fake.leaves_after(cwmp::Method::SetParameterValues);
        let mut device = begin(fake, "Device.").await;
        let wanted = [(ENABLE, "1"), (HOME, "den"), (GUEST, value)];
        let lost = done(&mut device, &wanted, true).await;
        assert!(matches!(lost, Err(Failure::Lost { .. })), "{lost:?}");
    }
}

#[tokio::test]
async fn a_few_values_that_belong_together_are_not_torn_apart_over_an_internal_error() {
    let mut device = begin(gateway().breaks_over_values(), "Device.").await;
    let wanted = [(HOME, "den"), (GUEST, "bad")];
    let no = done(&mut device, &wanted, false).await;
    assert!(matches!(no, Err(Failure::Refused { .. })), "{no:?}");
    assert_eq!(device.2.get(HOME).as_deref(), Some("home"));
    assert_eq!(device.0.habits, Default::default());
    // Where a part will do, each is tried.
    let some = done(&mut device, &wanted, true).await.unwrap();
    assert_eq!(codes(&some), [(HOME, None), (GUEST, Some(9002))]);
}

fn sets(asked: &Asked) -> Vec<usize> {
    let count = |asked: &cwmp::Request| match asked {
        cwmp::Request::SetParameterValues(set) => Some(set.parameters.len()),
        _ => None,
    };
    asked.requests().iter().filter_map(count).collect()
}

#[tokio::test]
async fn more_than_a_pack_allows_is_never_sent_at_once() {
    let mut device = begin(gateway(), "Device.").await;
    device.0.quirks.write_batch = Some(2);
    device.0.habits = Habits::of(None, &device.0.quirks, crate::state::now());
    let wanted = [(HOME, "a"), (GUEST, "b"), (ENABLE, "0")];
    done(&mut device, &wanted, false).await.unwrap();
    assert_eq!(sets(&device.2), [2, 1]);
}

#[tokio::test]
async fn a_session_that_breaks_over_a_large_write_is_followed_by_smaller_ones() {
    let fake = gateway().loses(cwmp::Method::SetParameterValues);
    let mut device = begin(fake, "Device.").await;
    let names: Vec<String> = device.2.params().into_iter().take(20).collect();
    let wanted: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let lost = done(&mut device, &wanted, false).await;
    assert!(matches!(lost, Err(Failure::Lost { .. })), "{lost:?}");
    assert_eq!(device.0.habits.write_batch, 10);
    let habits = device.0.habits.clone();
    let mut next = begin(device.2.again(), "Device.").await;
    next.0.habits = habits;
    let writable = ["Device.WiFi.SSID.1.Enable", HOME].map(|name| (name, "0"));
    done(&mut next, &writable, false).await.unwrap();
    done(&mut next, &wanted, true).await.unwrap();
    assert!(
        sets(&next.2).iter().all(|count| *count <= 10),
        "{:?}",
        sets(&next.2)
    );
}

#[tokio::test]
async fn a_lost_answer_is_lost() {
    let fake = gateway().loses(cwmp::Method::SetParameterValues);
    let mut device = begin(fake, "Device.").await;
    let lost = done(&mut device, &[(HOME, "den")], false).await;
    assert!(matches!(lost, Err(Failure::Lost { .. })), "{lost:?}");
    device.0.begin(true);
    let unsent = done(&mut device, &[(HOME, "den")], false).await;
    assert!(matches!(unsent, Err(Failure::Unsent { .. })), "{unsent:?}");
}

#[tokio::test]
async fn an_old_gateway_is_written_by_paths_of_tr_181_and_by_its_own() {
    let wlan = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.";
    let mut device = begin(old_gateway().strict_types(), "InternetGatewayDevice.").await;
    let own = format!("{wlan}Channel");
    let wanted = [(HOME, "den"), (own.as_str(), "11")];
    let results = done(&mut device, &wanted, false).await.unwrap();
    assert!(results.iter().all(|one| one.result.is_ok()), "{results:?}");
    assert_eq!(device.2.get(&format!("{wlan}SSID")).as_deref(), Some("den"));
    assert_eq!(device.2.get(&own).as_deref(), Some("11"));
    let wanted = [("Device.WiFi.SSID.1.BSSID", "x")];
    let no = done(&mut device, &wanted, false).await;
    assert!(matches!(no, Err(Failure::Refused { .. })), "{no:?}");
}

#[tokio::test]
async fn a_secret_is_not_repeated_from_a_refusal() {
    let (mut line, mut known, _) = begin(gateway(), "Device.").await;
    let wanted = settings(&[(HOME, "bad")]);
    line.keep_secret(vec!["not bad".to_owned()]);
    let no = set(&mut line, &mut known, &wanted, false).await;
    let Err(Failure::Refused { paths, .. }) = no else {
        panic!("it was not refused");
    };
    assert!(!paths[0].1.message.contains("not bad"), "{paths:?}");
}

#[test]
fn a_path_that_takes_several_writes_is_not_done_when_one_of_them_is_refused() {
    let path = "Device.WiFi.AccessPoint.1.Security.ModeEnabled";
    let write = Write {
        path: "InternetGatewayDevice.X".into(),
        value: String::new(),
        base: BaseType::String,
        because: vec![path.into()],
    };
    let done = Done::from([(path.to_owned(), Ok(false))]);
    let why = fault(FaultCode::REQUEST_DENIED, "no");
    assert!(all_refused(vec![write], done, &why)[path].is_err());
}
