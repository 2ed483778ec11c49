//! Downloads and uploads.

use crate::acs::{Acs, Visit};
use cwmp::event::{Cause, EventCode};
use cwmp::fault::FaultCode;
use cwmp::rpc::*;
use cwmp::value::Value;
use sim::cwmp::{Fleet, Kind};

fn download(url: String, size: u64, file_type: &str) -> Download {
    Download {
        command_key: "d1".into(),
        file_type: file_type.into(),
        url: cwmp::value::Url(url),
        file_size: size,
        ..Download::default()
    }
}

const FIRMWARE: &str = "1 Firmware Upgrade Image";

/// The code that says how it went.
fn said_code(report: &TransferComplete) -> Option<u32> {
    Some(report.fault.as_ref()?.code?.0)
}

fn reported(visit: &Visit) -> Option<&TransferComplete> {
    visit.said.iter().find_map(|said| match said {
        Request::TransferComplete(report) if visit.complete => Some(report),
        _ => None,
    })
}

#[tokio::test]
async fn a_firmware_is_fetched_and_reported_after_the_restart_with_its_version() {
    let acs = Acs::start(Some("factory")).await;
    let (_fleet, first) = acs.one(Kind::Tr181).await;
    let url = acs.serve_file("/gateway-5.0.1.bin", b"image");
    let mut wanted = download(url, 5, FIRMWARE);
    wanted.password = "factory".into();
    let answer = acs.ask_now(&first, wanted).await.unwrap();
    let Response::Download(answer) = answer else {
        panic!();
    };
    assert_eq!(answer.status, 1);
    let visit = acs
        .visit("the report", |visit| reported(visit).is_some())
        .await;
    assert!(visit.has(&EventCode::Boot) && visit.has(&EventCode::TransferComplete));
    assert!(visit.has(&EventCode::ValueChange));
    assert_eq!(visit.key(&EventCode::Method(Cause::Download)), Some("d1"));
    assert_eq!(
        visit.inform.ending("DeviceInfo.SoftwareVersion"),
        Some("5.0.1")
    );
    let report = reported(&visit).unwrap();
    assert_eq!((&*report.command_key, said_code(report)), ("d1", Some(0)));
}

#[tokio::test]
async fn a_download_that_fails_says_why() {
    let acs = Acs::start(None).await;
    let (_fleet, first) = acs.one(Kind::Tr098).await;
    let there = acs.serve_file("/there", b"12345");
    let nobody = "http://127.0.0.1:9/nobody".to_owned();
    for (url, size, code) in [
        (there, 6, FaultCode::FILE_CORRUPTED),
        (
            format!("http://{}/away", acs.address),
            0,
            FaultCode::FILE_INACCESSIBLE,
        ),
        (nobody, 0, FaultCode::FILE_SERVER_UNREACHABLE),
    ] {
        acs.ask_now(&first, download(url, size, FIRMWARE))
            .await
            .unwrap();
        let visit = acs
            .visit("the report", |visit| reported(visit).is_some())
            .await;
        assert_eq!(said_code(reported(&visit).unwrap()), Some(code.0));
        assert_eq!(
            visit.inform.ending("DeviceInfo.SoftwareVersion"),
            Some("1.0.9")
        );
    }
    let ftp = download("ftp://h/x".into(), 0, FIRMWARE);
    let refused = acs.ask_now(&first, ftp).await.unwrap_err();
    assert_eq!(refused.code, FaultCode::UNSUPPORTED_PROTOCOL);
}

#[tokio::test]
async fn a_configuration_that_was_uploaded_can_be_taken_back() {
    let acs = Acs::start(None).await;
    let (_fleet, first) = acs.one(Kind::Tr181).await;
    let path = "Device.WiFi.SSID.1.SSID";
    let set = |value: &str| SetParameterValues {
        parameters: vec![ParameterValue::new(path, Value::string(value))],
        parameter_key: "k".into(),
    };
    acs.ask_now(&first, set("before")).await.unwrap();
    let upload = Upload {
        command_key: "u1".into(),
        file_type: "1 Vendor Configuration File".into(),
        url: cwmp::value::Url(format!("http://{}/backup", acs.address)),
        ..Upload::default()
    };
    acs.ask_now(&first, upload).await.unwrap();
    let visit = acs
        .visit("the report", |visit| reported(visit).is_some())
        .await;
    assert_eq!(visit.key(&EventCode::Method(Cause::Upload)), Some("u1"));
    let backup = acs.uploaded("/backup").unwrap();
    assert!(String::from_utf8_lossy(&backup).contains("SSID.1.SSID=before"));

    acs.ask_now(&first, set("after")).await.unwrap();
    let url = acs.serve_file("/backup", &backup);
    let restore = download(url, backup.len() as u64, "3 Vendor Configuration File");
    acs.ask_now(&first, restore).await.unwrap();
    acs.visit("the report", |visit| reported(visit).is_some())
        .await;
    let get = GetParameterValues {
        names: vec![path.into()],
    };
    let Response::GetParameterValues(read) = acs.ask_now(&first, get).await.unwrap() else {
        panic!();
    };
    assert_eq!(read.parameters[0].value.text, "before");
}

#[tokio::test]
async fn a_device_that_never_reports_has_its_new_version_all_the_same() {
    let acs = Acs::start(None).await;
    let mut config = acs.fleet(Kind::Tr098, 1);
    config.troubles = "silent-transfers".parse().unwrap();
    let _fleet = Fleet::start(config).await.unwrap();
    let first = acs.visit("the device", |visit| visit.complete).await;
    let url = acs.serve_file("/fw-2.0.0", b"image");
    acs.ask_now(&first, download(url, 0, FIRMWARE))
        .await
        .unwrap();
    let back = |visit: &Visit| visit.has(&EventCode::Boot) && visit.complete;
    let visit = acs.visit("the restart", back).await;
    assert!(!visit.has(&EventCode::TransferComplete) && visit.said.is_empty());
    assert_eq!(
        visit.inform.ending("DeviceInfo.SoftwareVersion"),
        Some("2.0.0")
    );
}

#[tokio::test]
async fn a_transfer_that_waits_is_listed_and_can_be_cancelled() {
    let acs = Acs::start(None).await;
    let (_fleet, first) = acs.one(Kind::Tr181).await;
    let mut later = download("http://127.0.0.1:9/x".into(), 0, FIRMWARE);
    later.delay_seconds = 3600;
    let cancel = CancelTransfer {
        command_key: "d1".into(),
    };
    let requests = vec![
        later.into(),
        GetAllQueuedTransfers {}.into(),
        cancel.into(),
        GetAllQueuedTransfers {}.into(),
    ];
    let answers = acs.ask_all(&first, requests).await;
    let counts = answers.iter().filter_map(|answer| match answer {
        Ok(Response::GetAllQueuedTransfers(list)) => Some(list.transfers.len()),
        _ => None,
    });
    assert_eq!(counts.collect::<Vec<_>>(), [1, 0]);
}

/// A download between these seconds from now.
fn scheduled(command_key: &str, url: String, windows: &[(u32, u32)]) -> ScheduleDownload {
    let window = |&(start, end): &(u32, u32)| TimeWindowStruct {
        start,
        end,
        mode: "1 At Any Time".into(),
        ..TimeWindowStruct::default()
    };
    ScheduleDownload {
        command_key: command_key.into(),
        file_type: FIRMWARE.into(),
        url: cwmp::value::Url(url),
        file_size: 5,
        target_file_name: "image.bin".into(),
        windows: windows.iter().map(window).collect(),
        ..ScheduleDownload::default()
    }
}

#[tokio::test]
async fn what_is_scheduled_for_later_is_in_both_lists_until_it_is_cancelled() {
    let acs = Acs::start(None).await;
    let (_fleet, first) = acs.one(Kind::Tr181).await;
    let url = || format!("http://{}/never", acs.address);
    let mut later = download(url(), 7, "3 Vendor Configuration File");
    later.delay_seconds = 3600;
    let cancel = |key: &str| CancelTransfer {
        command_key: key.into(),
    };
    let windows = [(3600, 7200), (9000, 9600)];
    let before = vec![
        GetQueuedTransfers {}.into(),
        GetAllQueuedTransfers {}.into(),
        scheduled("s1", url(), &windows).into(),
        later.into(),
    ];
    let mut answers = acs.ask_all(&first, before).await;
    // In a session of its own: what was due would have begun.
    let after = vec![
        GetQueuedTransfers {}.into(),
        GetAllQueuedTransfers {}.into(),
        cancel("s1").into(),
        GetQueuedTransfers {}.into(),
        cancel("d1").into(),
        GetAllQueuedTransfers {}.into(),
    ];
    answers.extend(acs.ask_all(&first, after).await);
    let answers: Vec<Response> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers[2], ScheduleDownloadResponse {}.into());
    let queued = |keys: &[&str]| {
        let of_key = |key: &&str| QueuedTransferStruct {
            command_key: (*key).into(),
            // It has not begun.
            state: 1,
        };
        let transfers = keys.iter().map(of_key).collect();
        Response::from(GetQueuedTransfersResponse { transfers })
    };
    assert_eq!(answers[0], queued(&[]));
    assert_eq!(answers[4], queued(&["s1", "d1"]));
    assert_eq!(answers[7], queued(&["d1"]));
    let all = |transfers| Response::from(GetAllQueuedTransfersResponse { transfers });
    assert_eq!(answers[1], all(vec![]));
    assert_eq!(answers[9], all(vec![]));
    let firmware = AllQueuedTransferStruct {
        command_key: "s1".into(),
        state: 1,
        is_download: true,
        file_type: FIRMWARE.into(),
        file_size: 5,
        target_file_name: "image.bin".into(),
    };
    let configuration = AllQueuedTransferStruct {
        command_key: "d1".into(),
        file_type: "3 Vendor Configuration File".into(),
        file_size: 7,
        target_file_name: String::new(),
        ..firmware.clone()
    };
    assert_eq!(answers[5], all(vec![firmware, configuration]));
}

#[tokio::test]
async fn a_scheduled_download_runs_as_its_window_opens_and_is_reported_as_what_it_was() {
    let acs = Acs::start(None).await;
    let (_fleet, first) = acs.one(Kind::Tr181).await;
    let url = acs.serve_file("/gateway-5.0.1.bin", b"image");
    // Without a time in which it may run there is nothing to wait for.
    for windows in [&[][..], &[(5, 5)], &[(9, 3)]] {
        let wrong = scheduled("s0", url.clone(), windows);
        let refused = acs.ask_now(&first, wrong).await.unwrap_err();
        assert_eq!(refused.code, FaultCode::INVALID_ARGUMENTS, "{windows:?}");
    }
    let wanted = scheduled("s1", url, &[(1, 3600)]);
    acs.ask_now(&first, wanted).await.unwrap();
    let visit = acs
        .visit("the report", |visit| reported(visit).is_some())
        .await;
    let report = reported(&visit).unwrap();
    assert_eq!((&*report.command_key, said_code(report)), ("s1", Some(0)));
    let cause = EventCode::Method(Cause::ScheduleDownload);
    assert_eq!(visit.key(&cause), Some("s1"));
    assert!(!visit.has(&EventCode::Method(Cause::Download)));
    assert_eq!(
        visit.inform.ending("DeviceInfo.SoftwareVersion"),
        Some("5.0.1")
    );
    let left = acs.ask_now(&first, GetAllQueuedTransfers {}).await.unwrap();
    assert_eq!(
        left,
        GetAllQueuedTransfersResponse { transfers: vec![] }.into()
    );
}
