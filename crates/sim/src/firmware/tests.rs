//! Images from a file server that is really there, and an engine that only holds values.

use super::*;
use std::collections::BTreeMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const IMAGE: &str = "an image\nversion=9.1\n";
const WITHIN: Duration = Duration::from_secs(20);

/// What the engine would hold.
#[derive(Default)]
struct Held(BTreeMap<String, String>);

impl Held {
    fn factory() -> Held {
        let values = [
            (ACTIVE, "Device.DeviceInfo.FirmwareImage.1"),
            (VERSION, "4.2.1"),
            ("Device.DeviceInfo.FirmwareImage.1.Status", "Active"),
            ("Device.DeviceInfo.FirmwareImage.2.Status", "NoImage"),
        ];
        Held(
            values
                .map(|(path, value)| (path.into(), value.into()))
                .into(),
        )
    }

    fn of(&self, image: u32, name: &str) -> &str {
        self.at(&format!("{TABLE}{image}.{name}"))
    }

    fn at(&self, path: &str) -> &str {
        self.0.get(path).map_or("", String::as_str)
    }
}

impl View for Held {
    fn value(&self, path: &str) -> Option<String> {
        self.0.get(path).cloned()
    }
    fn instances(&self, _: &str) -> Vec<u32> {
        vec![1, 2]
    }
}

fn now() -> Now {
    Now {
        at: Instant::now(),
        unix_ms: 0,
    }
}

/// A file server that gives the image to whoever asks, or takes the question and says nothing.
async fn serves(answers: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut question = [0; 4096];
            _ = stream.read(&mut question).await;
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{IMAGE}",
                IMAGE.len()
            );
            if answers {
                _ = stream.write_all(answer.as_bytes()).await;
            }
            kept.push(stream);
        }
    });
    format!("http://{address}/a/image.bin")
}

fn call(id: u32, command: &str, args: &[(&str, &str)]) -> Call {
    let args = args
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()));
    Call {
        id,
        command: format!("{TABLE}{command}"),
        command_key: "key".into(),
        args: args.collect(),
    }
}

/// Ticks until a command has ended, as the engine would; what came of it, and the restart that follows.
async fn end(firmware: &mut Firmware, held: &mut Held) -> (agent::CommandResult, Option<Restart>) {
    let (mut result, mut restart) = (None, None);
    let waits = async {
        while result.is_none() {
            let mut hints = Vec::new();
            firmware.tick(now(), &*held, &mut hints);
            for hint in hints {
                match hint {
                    Hint::Store(path, value) => _ = held.0.insert(path, value),
                    Hint::Completed(_, came) => result = Some(came),
                    Hint::Restart(wanted) => restart = Some(wanted),
                    other => panic!("{other:?}"),
                }
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WITHIN, waits).await.unwrap();
    (result.unwrap(), restart)
}

fn hash() -> String {
    use sha2::Digest;
    hex(&sha2::Sha256::digest(IMAGE))
}

#[tokio::test]
async fn an_image_is_fetched_checked_and_started_by_a_restart() {
    let (mut firmware, mut held) = (Firmware::default(), Held::factory());
    let (url, hash) = (serves(true).await, hash().to_uppercase());
    let args = [
        ("URL", url.as_str()),
        ("AutoActivate", "true"),
        ("CheckSumAlgorithm", "SHA-256"),
        ("CheckSum", &hash),
        ("FileSize", "21"),
    ];
    let begun = firmware.operate(now(), &call(1, "2.Download()", &args), &held);
    assert_eq!(begun, Some(Outcome::Running));
    let (result, restart) = end(&mut firmware, &mut held).await;
    assert_eq!(result, Ok(Vec::new()));
    let restart = restart.unwrap();
    assert!(
        restart.firmware_updated && restart.command_key == "key",
        "{restart:?}"
    );
    assert_eq!((held.at(VERSION), held.of(2, "Version")), ("9.1", "9.1"));
    assert_eq!(
        (held.of(1, "Status"), held.of(2, "Status")),
        ("Available", "Active")
    );
    assert_eq!(held.of(2, "Name"), "image.bin");
    assert_eq!(held.at(ACTIVE), "Device.DeviceInfo.FirmwareImage.2");
}

#[tokio::test]
async fn an_image_that_waits_is_started_by_its_command_and_no_other_one_is() {
    let (mut firmware, mut held) = (Firmware::default(), Held::factory());
    let activate = call(2, "2.Activate()", &[]);
    let refused = firmware.operate(now(), &activate, &held);
    assert!(
        matches!(refused, Some(Outcome::Done(Err(_)))),
        "{refused:?}"
    );
    let url = serves(true).await;
    let args = [("URL", url.as_str()), ("AutoActivate", "false")];
    firmware.operate(now(), &call(1, "2.Download()", &args), &held);
    let (result, restart) = end(&mut firmware, &mut held).await;
    assert!(result.is_ok() && restart.is_none());
    assert_eq!(
        (held.at(VERSION), held.of(2, "Status")),
        ("4.2.1", "Available")
    );
    let begun = firmware.operate(now(), &activate, &held);
    assert_eq!(begun, Some(Outcome::Running));
    let (result, restart) = end(&mut firmware, &mut held).await;
    assert!(result.is_ok() && restart.is_some());
    assert_eq!(held.at(VERSION), "9.1");
}

#[tokio::test]
async fn an_image_that_is_not_what_was_said_is_not_kept() {
    let (mut firmware, mut held) = (Firmware::default(), Held::factory());
    let url = serves(true).await;
    let other = "00".repeat(32);
    for wrong in [("CheckSum", other.as_str()), ("FileSize", "22")] {
        let args = [
            ("URL", url.as_str()),
            ("AutoActivate", "true"),
            ("CheckSumAlgorithm", "SHA-256"),
            wrong,
        ];
        firmware.operate(now(), &call(1, "2.Download()", &args), &held);
        let (result, restart) = end(&mut firmware, &mut held).await;
        assert_eq!(result.unwrap_err().code, 7022, "{wrong:?}");
        assert!(restart.is_none());
        assert_eq!(held.of(2, "Status"), "ValidationFailed");
        assert_eq!(held.at(VERSION), "4.2.1");
    }
}

#[tokio::test]
async fn one_image_is_fetched_at_a_time_until_it_is_given_up_or_the_power_is_gone() {
    let (mut firmware, held) = (Firmware::default(), Held::factory());
    let url = serves(false).await;
    let args = [("URL", url.as_str()), ("AutoActivate", "true")];
    let first = call(1, "2.Download()", &args);
    for given_up in [true, false] {
        let begun = firmware.operate(now(), &first, &held);
        assert_eq!(begun, Some(Outcome::Running), "{given_up}");
        let second = firmware.operate(now(), &call(2, "1.Download()", &args), &held);
        let Some(Outcome::Done(Err(fault))) = second else {
            panic!("{second:?}");
        };
        assert_eq!(fault.code, 7005);
        match given_up {
            true => assert!(!firmware.cancel(2) && firmware.cancel(1)),
            false => {
                let mut held = Held::factory();
                let status = format!("{TABLE}2.Status");
                held.0.insert(status.clone(), "Downloading".into());
                firmware.start(&held);
                let mut hints = Vec::new();
                firmware.tick(now(), &held, &mut hints);
                assert_eq!(hints, [store(status, "DownloadFailed")]);
            }
        }
    }
    assert!(
        firmware
            .operate(now(), &call(3, "2.Download()", &args), &held)
            .is_some()
    );
}
