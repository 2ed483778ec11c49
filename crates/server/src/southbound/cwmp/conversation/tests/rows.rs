//! Rows that are added and deleted.

use super::super::fake::{Asked, Fake, gateway, old_gateway};
use super::*;
use cwmp::Method;
use dm::mapping::Numbers;

async fn begin(fake: Fake, root: &str) -> (Line, Known, Asked) {
    let (mut line, asked) = fake.line();
    let known = Known::discover(&mut line, root, Numbers::default())
        .await
        .unwrap();
    asked.clear();
    (line, known, asked)
}

const TABLE: &str = "Device.NAT.PortMapping.";

fn mapping(values: &[(&str, &str)]) -> Vec<ObjectSettings> {
    let settings = values
        .iter()
        .map(|(n, v)| Setting::required(*n, *v))
        .collect();
    let object = TABLE.to_owned();
    vec![ObjectSettings { object, settings }]
}

#[tokio::test]
async fn a_row_is_added_with_its_values_and_deleted() {
    let (mut line, mut known, asked) = begin(gateway(), "Device.").await;
    let wanted = mapping(&[("ExternalPort", "8080"), ("Description", "x")]);
    let added = add(&mut line, &mut known, &wanted, false).await.unwrap();
    let row = added[0].result.as_ref().unwrap().path.clone();
    assert_eq!(row, format!("{TABLE}3."));
    assert_eq!(
        asked.get(&format!("{row}ExternalPort")).as_deref(),
        Some("8080")
    );
    assert_eq!(known.tree.rows(TABLE), [1, 3]);
    let gone = delete(&mut line, &mut known, std::slice::from_ref(&row), false)
        .await
        .unwrap();
    assert_eq!(gone[0].result, Ok(vec![row.clone()]));
    assert!(asked.get(&format!("{row}ExternalPort")).is_none());
    // Once more: nothing is there.
    let gone = delete(&mut line, &mut known, &[row], false).await.unwrap();
    assert_eq!(gone[0].result, Ok(vec![]));
}

#[tokio::test]
async fn a_row_that_cannot_be_as_asked_is_deleted_again() {
    let (mut line, mut known, asked) = begin(gateway(), "Device.").await;
    let wanted = mapping(&[("ExternalPort", "8080"), ("Description", "bad")]);
    let no = add(&mut line, &mut known, &wanted, false).await;
    let Err(Failure::Refused { fault, .. }) = no else {
        panic!("{no:?}");
    };
    assert!(fault.message.contains("Description"), "{fault}");
    assert_eq!(known.tree.rows(TABLE), [1]);
    assert_eq!(
        asked.methods().last().map(String::as_str),
        Some("DeleteObject")
    );
    assert!(asked.get(&format!("{TABLE}3.ExternalPort")).is_none());
    // Where a part will do, it stays.
    let some = add(&mut line, &mut known, &wanted, true).await.unwrap();
    let created = some[0].result.as_ref().unwrap();
    assert_eq!(created.faults[0].0, "Description");
}

#[tokio::test]
async fn a_lost_answer_to_an_addition_is_lost_and_it_is_not_asked_again() {
    let (mut line, mut known, asked) = begin(gateway().loses(Method::AddObject), "Device.").await;
    let lost = add(&mut line, &mut known, &mapping(&[]), false).await;
    assert!(matches!(lost, Err(Failure::Lost { .. })), "{lost:?}");
    assert_eq!(asked.methods(), ["AddObject"]);
    let (mut line, mut known, _) =
        begin(gateway().loses(Method::SetParameterValues), "Device.").await;
    let wanted = mapping(&[("ExternalPort", "1")]);
    let lost = add(&mut line, &mut known, &wanted, false).await;
    assert!(matches!(lost, Err(Failure::Lost { .. })), "{lost:?}");
}

#[tokio::test]
async fn a_row_that_cannot_be_taken_away_again_is_told_as_being_there() {
    let fake = gateway().refuses_deletions();
    let (mut line, mut known, asked) = begin(fake, "Device.").await;
    let wanted = mapping(&[("ExternalPort", "8080"), ("Description", "bad")]);
    let added = add(&mut line, &mut known, &wanted, false).await.unwrap();
    let created = added[0].result.as_ref().unwrap();
    assert_eq!(created.path, format!("{TABLE}3."));
    let why = &created
        .faults
        .iter()
        .find(|(name, _)| name == "Description");
    assert!(why.unwrap().1.message.contains("stays"), "{created:?}");
    assert_eq!(known.tree.rows(TABLE), [1, 3]);
    assert!(asked.get(&format!("{TABLE}3.ExternalPort")).is_some());
}

#[tokio::test]
async fn a_number_that_is_no_new_row_is_neither_set_nor_deleted() {
    for number in [0, 1] {
        let fake = gateway().next_row(number);
        let (mut line, mut known, asked) = begin(fake, "Device.").await;
        let wanted = mapping(&[("ExternalPort", "8080"), ("Description", "bad")]);
        let no = add(&mut line, &mut known, &wanted, false).await;
        assert!(matches!(no, Err(Failure::Garbled { .. })), "{no:?}");
        assert_eq!(asked.methods(), ["AddObject"]);
    }
}

#[tokio::test]
async fn what_ends_in_the_middle_of_a_deletion_is_not_told_as_never_begun() {
    let fake = gateway().leaves_after(Method::DeleteObject);
    let (mut line, mut known, _) = begin(fake, "Device.").await;
    let paths = ["Device.NAT.PortMapping.1.", "Device.WiFi.SSID.2."].map(str::to_owned);
    line.begin(true);
    let lost = delete(&mut line, &mut known, &paths, false).await;
    assert!(matches!(lost, Err(Failure::Lost { .. })), "{lost:?}");
    // Another one, of which nothing was done.
    line.begin(true);
    let unsent = delete(&mut line, &mut known, &paths, false).await;
    assert!(matches!(unsent, Err(Failure::Unsent { .. })), "{unsent:?}");
}

#[tokio::test]
async fn a_table_that_takes_no_rows_says_so() {
    let (mut line, mut known, _) = begin(gateway(), "Device.").await;
    let wanted = vec![ObjectSettings {
        object: "Device.WiFi.SSID.".into(),
        settings: vec![],
    }];
    let no = add(&mut line, &mut known, &wanted, false).await;
    assert!(matches!(no, Err(Failure::Refused { .. })), "{no:?}");
}

#[tokio::test]
async fn rows_are_deleted_by_a_search() {
    let (mut line, mut known, _) = begin(gateway(), "Device.").await;
    let path = format!("{TABLE}[Description==\"web\"].");
    let gone = delete(&mut line, &mut known, &[path], false).await.unwrap();
    assert_eq!(gone[0].result, Ok(vec![format!("{TABLE}1.")]));
    assert_eq!(known.tree.rows(TABLE), [] as [u32; 0]);
}

#[tokio::test]
async fn an_old_gateway_gets_and_loses_a_port_mapping_by_its_path_in_tr_181() {
    let (mut line, mut known, asked) = begin(old_gateway(), "InternetGatewayDevice.").await;
    let wanted = mapping(&[
        ("ExternalPort", "8080"),
        ("Description", "x"),
        ("Enable", "true"),
    ]);
    let added = add(&mut line, &mut known, &wanted, false).await.unwrap();
    let created = added[0].result.as_ref().unwrap();
    assert!(
        created.path.starts_with(TABLE) && created.faults.is_empty(),
        "{created:?}"
    );
    let own =
        "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.PortMapping.3.";
    assert_eq!(
        asked
            .get(&format!("{own}PortMappingDescription"))
            .as_deref(),
        Some("x")
    );
    let path = created.path.clone();
    let gone = delete(&mut line, &mut known, std::slice::from_ref(&path), false)
        .await
        .unwrap();
    assert_eq!(gone[0].result, Ok(vec![path]));
    assert!(asked.get(&format!("{own}ExternalPort")).is_none());
}

#[tokio::test]
async fn what_is_no_row_of_an_old_gateway_is_not_added() {
    let (mut line, mut known, asked) = begin(old_gateway(), "InternetGatewayDevice.").await;
    let wanted = vec![ObjectSettings {
        object: "Device.WiFi.SSID.".into(),
        settings: vec![],
    }];
    let no = add(&mut line, &mut known, &wanted, false).await;
    assert!(matches!(no, Err(Failure::Refused { .. })), "{no:?}");
    assert!(asked.methods().is_empty());
}
