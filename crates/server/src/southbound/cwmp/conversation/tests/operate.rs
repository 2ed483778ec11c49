//! Commands against a scripted CPE.

use std::collections::BTreeMap;

use cwmp::{Method, Request};
use dm::mapping::Numbers;
use fleet::Timestamp;
use fleet::southbound::{CommandOutcome, Failure};

use super::fake::{Asked, Fake, gateway, old_gateway};
use super::known::Known;
use super::limits::{ATTRIBUTES_ASKED_MAX, METHODS_SHOWN_MAX};
use super::line::Line;
use super::memory::{Memory, Work};
use super::operate::{Plan, Taken, ask, plan};
use super::requests::{self, Ended};

const KEY: &str = "0192f0c1-2b3c-7d4e-8f90-a1b2c3d4e5f6";
const WIRE: &str = "AZLwwSs8fU6PkKGyw9Tl9g";
const PING: &str = "Device.IP.Diagnostics.IPPing()";
const UPGRADE: &str = "Device.DeviceInfo.FirmwareImage.1.Download()";

struct Rig {
    line: Line,
    known: Known,
    asked: Asked,
    memory: Memory,
}

async fn rig(fake: Fake, root: &str) -> Rig {
    let (mut line, asked) = fake.line();
    let mut known = Known::discover(&mut line, root, Numbers::default())
        .await
        .unwrap();
    known.fresh = false;
    asked.clear();
    let memory = Memory::default();
    Rig {
        line,
        known,
        asked,
        memory,
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + seconds * 1000)
}

impl Rig {
    async fn run(&mut self, command: &str, args: &[(&str, &str)]) -> Taken {
        let args: BTreeMap<String, String> = args
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        self.line.begin(true);
        let plan = plan(&mut self.line, &mut self.known, command, KEY, &args, "1.0")
            .await
            .unwrap();
        if let Plan::Method(_, work) | Plan::Either(_, work) | Plan::Diagnostics(_, work) = &plan {
            self.memory.begin(command, KEY, work.clone(), at(0));
        }
        let taken = ask(&mut self.line, &mut self.known, plan).await;
        if let Taken::Running = taken {
            self.memory.accepted(KEY);
        }
        taken
    }

    async fn look(&mut self, firmware: &str) -> Vec<Ended> {
        self.looks(firmware, false).await
    }

    /// After the device has said that a diagnostic is over, or has not.
    async fn looks(&mut self, firmware: &str, told: bool) -> Vec<Ended> {
        let Self {
            line,
            known,
            memory,
            ..
        } = self;
        requests::look(line, known, memory, firmware, told, at(60))
            .await
            .unwrap()
    }

    fn last(&self) -> Request {
        self.asked.requests().pop().unwrap()
    }

    fn is_listed(&self) -> bool {
        let paths = [requests::REQUESTS.to_owned()];
        let table = requests::answer(&self.memory, &paths)
            .remove(0)
            .result
            .unwrap();
        table
            .iter()
            .any(|value| value.path.ends_with(".CommandKey") && value.value == KEY)
    }
}

#[tokio::test]
async fn a_reboot_carries_the_key_of_its_operation_in_22_characters() {
    let mut rig = rig(gateway(), "Device.").await;
    assert!(matches!(
        rig.run("Device.Reboot()", &[]).await,
        Taken::Restarts
    ));
    let Request::Reboot(reboot) = rig.last() else {
        panic!("{:?}", rig.last())
    };
    assert_eq!(reboot.command_key, WIRE);
    assert!(matches!(
        rig.run("Device.FactoryReset()", &[]).await,
        Taken::Restarts
    ));
}

#[tokio::test]
async fn a_lost_reboot_is_lost_and_asked_once() {
    let mut rig = rig(gateway().loses(Method::Reboot), "Device.").await;
    let taken = rig.run("Device.Reboot()", &[]).await;
    assert!(
        matches!(taken, Taken::Unknown(Failure::Lost { .. })),
        "{taken:?}"
    );
    assert_eq!(rig.asked.methods(), ["Reboot"]);
    // Once the session is over nothing leaves.
    let taken = rig.run("Device.Reboot()", &[]).await;
    assert!(
        matches!(taken, Taken::Unknown(Failure::Unsent { .. })),
        "{taken:?}"
    );
}

#[tokio::test]
async fn firmware_is_fetched_by_a_download_that_ends_later_or_at_once() {
    let url = ("URL", "http://files/f/hef_x/fw.bin");
    let mut late = rig(gateway(), "Device.").await;
    assert!(matches!(
        late.run(UPGRADE, &[url, ("FileSize", "77")]).await,
        Taken::Running
    ));
    let Request::Download(download) = late.last() else {
        panic!("{:?}", late.last())
    };
    assert_eq!(download.file_type, "1 Firmware Upgrade Image");
    assert_eq!(
        (download.command_key.as_str(), download.file_size),
        (WIRE, 77)
    );
    assert!(late.is_listed());
    let mut soon = rig(gateway().at_once(), "Device.").await;
    let taken = soon.run(UPGRADE, &[url]).await;
    assert!(
        matches!(taken, Taken::Ended(CommandOutcome::Done { .. })),
        "{taken:?}"
    );
    for args in [&[][..], &[url, ("FileSize", "many")]] {
        let taken = soon.run(UPGRADE, args).await;
        assert!(
            matches!(taken, Taken::Ended(CommandOutcome::Failed { .. })),
            "{taken:?}"
        );
    }
}

#[tokio::test]
async fn the_kinds_of_files_are_those_of_cwmp() {
    let mut rig = rig(gateway(), "Device.").await;
    let url = ("URL", "http://files/x");
    for (command, extra, kind) in [
        (
            UPGRADE,
            ("AutoActivate", "false"),
            "6 Stored Firmware Image",
        ),
        (
            "Device.DeviceInfo.VendorConfigFile.1.Restore()",
            ("Username", ""),
            "3 Vendor Configuration File",
        ),
        (
            "Device.DeviceInfo.VendorConfigFile.2.Backup()",
            ("Username", ""),
            "3 Vendor Configuration File 2",
        ),
        (
            "Device.DeviceInfo.VendorLogFile.1.Upload()",
            ("Username", ""),
            "4 Vendor Log File 1",
        ),
        (
            "Device.X_HEADEND_Download()",
            ("FileType", "2 Web Content"),
            "2 Web Content",
        ),
        (
            "Device.X_HEADEND_Upload()",
            ("FileType", "X 00256D Dump"),
            "X 00256D Dump",
        ),
    ] {
        assert!(
            matches!(rig.run(command, &[url, extra]).await, Taken::Running),
            "{command}"
        );
        let sent = match rig.last() {
            Request::Download(download) => download.file_type,
            Request::Upload(upload) => upload.file_type,
            other => panic!("{other:?}"),
        };
        assert_eq!(sent, kind);
    }
}

#[tokio::test]
async fn a_download_with_time_windows_is_scheduled_where_the_device_speaks_so() {
    let args = [
        ("FileType", "1 Firmware Upgrade Image"),
        ("URL", "http://files/x"),
        ("TimeWindow.1.Start", "3600"),
        ("TimeWindow.1.End", "7200"),
    ];
    let command = "Device.X_HEADEND_Download()";
    let mut device = rig(gateway(), "Device.").await;
    assert!(matches!(device.run(command, &args).await, Taken::Running));
    let Request::ScheduleDownload(download) = device.last() else {
        panic!("{:?}", device.last())
    };
    assert_eq!(download.command_key, WIRE);
    assert_eq!(download.file_type, "1 Firmware Upgrade Image");
    let [window] = &download.windows[..] else {
        panic!("{download:?}")
    };
    assert_eq!((window.start, window.end), (3600, 7200));
    // The version that runs is a proof of it, as of every other firmware.
    assert!(device.is_listed());
    assert_eq!(device.look("2.0").await.len(), 1);
    let failed =
        async |device: &mut Rig, args: &[(&str, &str)]| match device.run(command, args).await {
            Taken::Ended(CommandOutcome::Failed { fault }) => fault.to_string(),
            other => panic!("{other:?}"),
        };
    let both = [&args[..], &[("DelaySeconds", "5")]].concat();
    assert!(failed(&mut device, &both).await.contains("not both"));
    let backwards = [&args[..3], &[("TimeWindow.1.End", "60")]].concat();
    assert!(
        failed(&mut device, &backwards)
            .await
            .contains("TimeWindow.1.")
    );
    let mut old = rig(gateway(), "Device.").await;
    old.line = old.line.speaking(cwmp::Version::V1_1);
    assert!(failed(&mut old, &args).await.contains("no time windows"));
    assert!(old.asked.methods().is_empty());
}

/// `METHODS_SHOWN_MAX`
#[tokio::test]
async fn what_a_device_can_do_and_what_it_reports_can_be_asked() {
    let answer = async |rig: &mut Rig, command: &str, paths: &str| match rig
        .run(command, &[("Paths", paths)])
        .await
    {
        Taken::Ended(outcome) => outcome,
        other => panic!("{other:?}"),
    };
    let mut device = rig(gateway(), "Device.").await;
    let methods = answer(&mut device, "Device.X_HEADEND_GetRPCMethods()", "").await;
    let outputs = |outcome: CommandOutcome| match outcome {
        CommandOutcome::Done { outputs } => outputs,
        other => panic!("{other:?}"),
    };
    let methods = outputs(methods)["Methods"].clone();
    assert!(methods.starts_with("Inform,Reboot,X_ACME_0,"), "{methods}");
    assert_eq!(methods.split(',').count(), METHODS_SHOWN_MAX);
    // It changes nothing: nothing is waited for.
    assert!(!device.is_listed());
    let command = "Device.X_HEADEND_GetParameterAttributes()";
    let paths = "Device.WiFi.SSID.1., Device.WiFi.SSID.*.SSID";
    let told = outputs(answer(&mut device, command, paths).await);
    assert_eq!(told.len(), 4, "{told:?}");
    let reports = &told["Device.WiFi.SSID.2.SSID"];
    assert_eq!(reports, "reported at once; written by Subscriber, too");
    let reports = &told["Device.WiFi.SSID.1.Enable"];
    assert!(reports.starts_with("not reported"), "{reports}");
    for (paths, words) in [
        ("", "it needs Paths"),
        ("Device.Nothing.", "nothing at Device.Nothing."),
        ("Device.WiFi.SSID.1.SSID,Device.WiFi.SSID.7.SSID", "SSID.7"),
    ] {
        let CommandOutcome::Failed { fault } = answer(&mut device, command, paths).await else {
            panic!("{paths}")
        };
        assert!(fault.message.contains(words), "{fault}");
    }
    let root = "InternetGatewayDevice.";
    let mut old = rig(old_gateway(), root).await;
    let told = outputs(answer(&mut old, command, "Device.WiFi.SSID.1.SSID").await);
    let own = format!("{root}LANDevice.1.WLANConfiguration.1.SSID");
    assert!(told.contains_key(&own), "{told:?}");
}

/// `ATTRIBUTES_ASKED_MAX`
#[tokio::test]
async fn attributes_are_asked_of_so_many_parameters() {
    let many = 0..=ATTRIBUTES_ASKED_MAX;
    let fake = many.fold(gateway(), |fake, n| {
        let value = cwmp::value::Value::string("0");
        fake.with_param(&format!("Device.X_Many.Value{n}"), value)
    });
    let mut device = rig(fake, "Device.").await;
    let command = "Device.X_HEADEND_GetParameterAttributes()";
    let taken = device.run(command, &[("Paths", "Device.X_Many.")]).await;
    let Taken::Ended(CommandOutcome::Failed { fault }) = taken else {
        panic!("{taken:?}")
    };
    assert!(fault.message.contains("ATTRIBUTES_ASKED_MAX"), "{fault}");
    assert!(device.asked.methods().is_empty());
}

#[tokio::test]
async fn what_the_device_does_not_have_fails_with_its_word() {
    let mut rig = rig(gateway().lacks(Method::Upload), "Device.").await;
    let args = [("URL", "http://x"), ("FileType", "4 Vendor Log File 1")];
    let taken = rig.run("Device.X_HEADEND_Upload()", &args).await;
    let Taken::Ended(CommandOutcome::Failed { fault }) = taken else {
        panic!("{taken:?}")
    };
    assert_eq!(fault.code, 9000);
    assert!(rig.line.lacks(Method::Upload));
    let taken = rig.run("Device.Dance()", &[]).await;
    assert!(
        matches!(taken, Taken::Ended(CommandOutcome::Failed { .. })),
        "{taken:?}"
    );
}

#[tokio::test]
async fn a_diagnostic_is_set_going_and_its_results_are_read_when_it_is_over() {
    let own = "InternetGatewayDevice.IPPingDiagnostics.";
    for (fake, root, object) in [
        (gateway(), "Device.", "Device.IP.Diagnostics.IPPing."),
        (old_gateway(), "InternetGatewayDevice.", own),
    ] {
        let mut rig = rig(fake, root).await;
        let taken = rig.run(PING, &[("Host", "192.0.2.9")]).await;
        assert!(matches!(taken, Taken::Running), "{taken:?}");
        let state = format!("{object}DiagnosticsState");
        assert_eq!(rig.asked.get(&state).as_deref(), Some("Requested"));
        assert_eq!(
            rig.asked.get(&format!("{object}Host")).as_deref(),
            Some("192.0.2.9")
        );
        assert!(rig.look("1.0").await.is_empty() && rig.is_listed());
        rig.asked.put(&state, "Complete");
        rig.asked.put(&format!("{object}SuccessCount"), "3");
        let ended = rig.look("1.0").await;
        let outputs = ended[0].1.as_ref().unwrap();
        assert_eq!(outputs["SuccessCount"], "3");
        assert_eq!(outputs["Status"], "Complete");
        assert!(!rig.is_listed());
    }
}

#[tokio::test]
async fn a_diagnostic_that_fails_says_how_and_one_that_was_stopped_too() {
    for (state, word) in [
        ("Error_CannotResolveHostName", "Resolve"),
        ("None", "stopped"),
    ] {
        let mut rig = rig(gateway(), "Device.").await;
        rig.run(PING, &[("Host", "nowhere")]).await;
        rig.asked
            .put("Device.IP.Diagnostics.IPPing.DiagnosticsState", state);
        let ended = rig.look("1.0").await;
        let why = ended[0].1.as_ref().unwrap_err();
        assert!(why.message.contains(word), "{why}");
    }
}

#[tokio::test]
async fn the_results_of_an_older_run_are_none_of_a_diagnostic_whose_answer_was_lost() {
    let state = "Device.IP.Diagnostics.IPPing.DiagnosticsState";
    for (state_now, told, ended, listed) in [
        // It never began: what is there is of yesterday.
        ("Complete", false, 0, false),
        ("Error_Internal", false, 0, false),
        // It had the question after all.
        ("Requested", false, 0, true),
        ("Complete", true, 1, false),
    ] {
        let mut lost = rig(gateway().loses(Method::SetParameterValues), "Device.").await;
        let taken = lost.run(PING, &[("Host", "192.0.2.9")]).await;
        assert!(matches!(taken, Taken::Unknown(Failure::Lost { .. })));
        let memory = lost.memory.clone();
        let mut next = rig(lost.asked.again(), "Device.").await;
        next.memory = memory;
        next.asked.put(state, state_now);
        assert_eq!(next.looks("1.0", told).await.len(), ended, "{state_now}");
        assert_eq!(next.is_listed(), listed, "{state_now} {told}");
        if listed {
            next.asked.put(state, "Complete");
            assert_eq!(next.look("1.0").await.len(), 1);
        }
    }
}

#[tokio::test]
async fn a_kind_of_file_is_asked_for_by_the_name_that_the_device_knows() {
    for (version, refused, names) in [
        (
            cwmp::Version::V1_2,
            "",
            &["3 Vendor Configuration File 1"][..],
        ),
        (cwmp::Version::V1_1, "", &["1 Vendor Configuration File"]),
        (
            cwmp::Version::V1_4,
            "3 ",
            &[
                "3 Vendor Configuration File 1",
                "1 Vendor Configuration File",
            ],
        ),
        (
            cwmp::Version::V1_0,
            "1 ",
            &[
                "1 Vendor Configuration File",
                "3 Vendor Configuration File 1",
            ],
        ),
    ] {
        let fake = gateway().knows_no_file(refused);
        let mut rig = rig(fake, "Device.").await;
        rig.line = rig.line.speaking(version);
        let command = "Device.DeviceInfo.VendorConfigFile.1.Backup()";
        let taken = rig.run(command, &[("URL", "http://files/up")]).await;
        assert!(matches!(taken, Taken::Running), "{taken:?}");
        let asked = rig.asked.requests().into_iter();
        let asked: Vec<String> = asked
            .map(|request| match request {
                Request::Upload(upload) => upload.file_type,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(asked, names);
    }
}

#[tokio::test]
async fn a_diagnostic_with_a_bad_argument_is_not_waited_for() {
    let mut rig = rig(gateway(), "Device.").await;
    let taken = rig.run(PING, &[("Host", "bad")]).await;
    assert!(
        matches!(taken, Taken::Ended(CommandOutcome::Failed { .. })),
        "{taken:?}"
    );
}

#[tokio::test]
async fn a_download_whose_answer_was_lost_is_found_in_the_queue_or_is_not_there() {
    let url = [("URL", "http://files/fw.bin")];
    for queued in [true, false] {
        let mut fake = gateway().loses(Method::Download);
        let mut lost = rig(fake, "Device.").await;
        let taken = lost.run(UPGRADE, &url).await;
        assert!(
            matches!(taken, Taken::Unknown(Failure::Lost { .. })),
            "{taken:?}"
        );
        assert!(lost.is_listed());
        fake = lost.asked.again();
        if queued {
            fake = fake.queued(WIRE);
        }
        let memory = lost.memory.clone();
        let mut next = rig(fake, "Device.").await;
        next.memory = memory;
        assert!(next.look("1.0").await.is_empty());
        assert_eq!(next.is_listed(), queued);
    }
}

#[tokio::test]
async fn a_device_of_the_first_version_is_asked_for_its_queue_as_it_knows_it() {
    let mut lost = rig(gateway().loses(Method::Download), "Device.").await;
    lost.run(UPGRADE, &[("URL", "http://files/fw.bin")]).await;
    let mut next = rig(lost.asked.again().queued(WIRE), "Device.").await;
    next.memory = lost.memory.clone();
    next.line = next.line.speaking(cwmp::Version::V1_0);
    assert!(next.look("1.0").await.is_empty() && next.is_listed());
    let asked = next.asked.requests();
    let asked: Vec<Method> = asked.iter().map(Request::method).collect();
    assert_eq!(asked, [Method::GetQueuedTransfers]);
    // What came with a later version is not asked, and said at once.
    let unit = [("URL", "http://x/a.ipk")];
    let taken = next.run("Device.SoftwareModules.InstallDU()", &unit).await;
    let Taken::Ended(CommandOutcome::Failed { fault }) = &taken else {
        panic!("{taken:?}");
    };
    assert_eq!(fault.message, "CWMP 1.0 has no ChangeDUState");
    let row = next.memory.pending[0].row;
    let stopped = requests::cancel(&mut next.line, &mut next.known, &mut next.memory, row).await;
    let (outcome, ended) = stopped.unwrap();
    assert!(matches!(outcome, CommandOutcome::Failed { .. }) && ended.is_none());
}

#[tokio::test]
async fn a_download_that_nobody_reports_is_proved_by_the_version() {
    let lacking = || {
        gateway()
            .lacks(Method::GetAllQueuedTransfers)
            .lacks(Method::GetQueuedTransfers)
    };
    let mut rig = rig(lacking(), "Device.").await;
    rig.run(UPGRADE, &[("URL", "http://files/fw.bin")]).await;
    assert!(rig.look("1.0").await.is_empty() && rig.is_listed());
    let ended = rig.look("2.0").await;
    assert_eq!(ended[0].1.as_ref().unwrap()["SoftwareVersion"], "2.0");
    assert!(!rig.is_listed());
}

#[tokio::test]
async fn a_running_command_is_stopped_where_cwmp_can() {
    let mut rig = rig(gateway(), "Device.").await;
    rig.run(UPGRADE, &[("URL", "http://files/fw.bin")]).await;
    let row = rig.memory.pending[0].row;
    let command = format!("{}Cancel()", requests::path(row));
    assert_eq!(requests::cancelled(&command), Some(row));
    let Rig {
        line,
        known,
        memory,
        ..
    } = &mut rig;
    let (outcome, ended) = requests::cancel(line, known, memory, row).await.unwrap();
    assert!(matches!(outcome, CommandOutcome::Done { .. }));
    assert_eq!(ended.unwrap().1.unwrap_err().code, 7023);
    rig.memory
        .begin("Device.ScheduleTimer()", "t", Work::Timer, at(0));
    let row = rig.memory.last_row;
    let Rig {
        line,
        known,
        memory,
        ..
    } = &mut rig;
    let (outcome, ended) = requests::cancel(line, known, memory, row).await.unwrap();
    assert!(matches!(outcome, CommandOutcome::Failed { .. }) && ended.is_none());
}

#[tokio::test]
async fn software_modules_are_changed_by_the_uuid_of_their_row() {
    let mut rig = rig(gateway(), "Device.").await;
    let unit = "Device.SoftwareModules.DeploymentUnit.1.";
    rig.asked.put(&format!("{unit}UUID"), "u-1");
    rig.known
        .learn(&mut rig.line, "Device.SoftwareModules.")
        .await
        .unwrap();
    for (command, args) in [
        (
            "Device.SoftwareModules.InstallDU()",
            &[("URL", "http://x/a.ipk")][..],
        ),
        ("Device.SoftwareModules.DeploymentUnit.1.Update()", &[]),
        ("Device.SoftwareModules.DeploymentUnit.1.Uninstall()", &[]),
    ] {
        assert!(
            matches!(rig.run(command, args).await, Taken::Running),
            "{command}"
        );
        assert!(matches!(rig.last(), Request::ChangeDuState(_)));
    }
    let taken = rig
        .run("Device.SoftwareModules.DeploymentUnit.9.Uninstall()", &[])
        .await;
    assert!(
        matches!(taken, Taken::Ended(CommandOutcome::Failed { .. })),
        "{taken:?}"
    );
}

#[tokio::test]
async fn a_timer_needs_a_time() {
    let mut rig = rig(gateway(), "Device.").await;
    assert!(matches!(
        rig.run("Device.ScheduleTimer()", &[("DelaySeconds", "60")])
            .await,
        Taken::Running
    ));
    let taken = rig.run("Device.ScheduleTimer()", &[]).await;
    assert!(
        matches!(taken, Taken::Ended(CommandOutcome::Failed { .. })),
        "{taken:?}"
    );
}
