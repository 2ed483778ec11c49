//! Commands as methods: what starts something that ends later is remembered before it is asked.

use std::collections::BTreeMap;

use cwmp::Request;
use cwmp::fault::FaultCode;
use cwmp::rpc::{
    ChangeDuState, Download, DuOperation, FactoryReset, InstallOpStruct, Method, Reboot,
    ScheduleDownload, ScheduleInform, UninstallOpStruct, UpdateOpStruct, Upload,
};
use cwmp::value::{Timestamp, Url};
use fleet::southbound::{CommandOutcome, Failure, Fault};

use super::super::AskError;
use super::ahead::too_new;
use super::get::fault;
use super::known::Known;
use super::line::{Line, unusable};
use super::memory::{Work, wire_key};
use super::model::STATE;
use super::question;
use super::read;
use super::requests;
use super::windows::windows;
use super::write::{self, Wish};

/// What is to be asked for a command.
#[derive(Debug)]
pub enum Plan {
    /// A method.
    Method(Request, Work),
    /// A transfer of a kind of file that has two names: the one that the device should know, and the
    /// one that it may know.
    Either([Upload; 2], Work),
    /// Values of an object with a state, of which the last one starts it.
    Diagnostics(Vec<Wish>, Work),
    /// A method that changes nothing, and whose answer is the end.
    Question(Request),
    /// It stops a command that runs, by its row.
    Cancel(u32),
    /// It cannot be done.
    No(Fault),
}

/// Arguments of a command.
pub(super) struct Args<'a>(pub(super) &'a BTreeMap<String, String>);

impl Args<'_> {
    fn text(&self, name: &str) -> String {
        self.0.get(name).cloned().unwrap_or_default()
    }

    fn some(&self, name: &str) -> Option<String> {
        self.0.get(name).filter(|text| !text.is_empty()).cloned()
    }

    fn number<N: std::str::FromStr + Default>(&self, name: &str) -> Result<N, Fault> {
        match self.some(name) {
            None => Ok(N::default()),
            Some(text) => text.trim().parse().map_err(|_| {
                let words = format!("{name} is no number that fits: {text}");
                fault(FaultCode::INVALID_ARGUMENTS, words)
            }),
        }
    }

    fn url(&self) -> Result<Url, Fault> {
        match self.some("URL") {
            Some(url) => Ok(url.into()),
            None => Err(fault(FaultCode::INVALID_ARGUMENTS, "it needs a URL")),
        }
    }

    fn is_false(&self, name: &str) -> bool {
        cwmp::value::boolean(&self.text(name)) == Some(false)
    }
}

/// What to do for a command. `firmware` is the one that the device runs.
pub async fn plan(
    line: &mut Line,
    known: &mut Known,
    command: &str,
    key: &str,
    args: &BTreeMap<String, String>,
    firmware: &str,
) -> Result<Plan, AskError> {
    Ok(
        match planned(line, known, command, key, args, firmware).await? {
            // It would be asked for ever and never sent.
            Plan::Method(request, work) => match too_new(&request, line.version()) {
                Some(fault) => Plan::No(fault),
                None => Plan::Method(request, work),
            },
            plan => plan,
        },
    )
}

async fn planned(
    line: &mut Line,
    known: &mut Known,
    command: &str,
    key: &str,
    args: &BTreeMap<String, String>,
    firmware: &str,
) -> Result<Plan, AskError> {
    if let Some(row) = requests::cancelled(command) {
        return Ok(Plan::Cancel(row));
    }
    let Some((object, name)) = fleet::model::split(command) else {
        return Ok(Plan::No(unknown()));
    };
    if object == dm::mapping::DEVICE_ROOT
        && let Some(plan) = question::plan(line, known, name, args).await?
    {
        return Ok(plan);
    }
    let args = Args(args);
    let planned = match (dm::path::supported_text(object).as_str(), name) {
        ("Device.SoftwareModules.DeploymentUnit.{i}.", "Update()" | "Uninstall()") => {
            return unit(line, known, object, name, key, &args).await;
        }
        ("Device.DeviceInfo.VendorConfigFile.{i}.", "Backup()") => {
            return Ok(sent(
                line,
                ["1 Vendor Configuration File", "3 Vendor Configuration File"],
                command,
                key,
                &args,
            ));
        }
        ("Device.DeviceInfo.VendorLogFile.{i}.", "Upload()") => {
            let names = ["2 Vendor Log File", "4 Vendor Log File"];
            return Ok(sent(line, names, command, key, &args));
        }
        (object, name) => method(object, name, key, &args, firmware),
    };
    Ok(match planned {
        Ok(Some((request, work))) => Plan::Method(request, work),
        Ok(None) => diagnostics(known, command, &args),
        Err(fault) => Plan::No(fault),
    })
}

fn unknown() -> Fault {
    let words = "CWMP has nothing that does this";
    fault(FaultCode::METHOD_NOT_SUPPORTED, words)
}

/// The number of the row that a command is of.
fn row(command: &str) -> &str {
    let object = fleet::model::split(command).map_or("", |(object, _)| object);
    object
        .trim_end_matches('.')
        .rsplit('.')
        .next()
        .unwrap_or_default()
}

pub(super) fn method(
    object: &str,
    name: &str,
    key: &str,
    args: &Args<'_>,
    firmware: &str,
) -> Result<Option<(Request, Work)>, Fault> {
    let command_key = wire_key(key);
    let download = |file_type: &str, work: Work| -> Result<_, Fault> {
        let windows = windows(args.0)?;
        if !windows.is_empty() {
            if args.some("DelaySeconds").is_some() {
                let words = "a download has DelaySeconds or a TimeWindow, not both";
                return Err(fault(FaultCode::INVALID_ARGUMENTS, words));
            }
            let request = ScheduleDownload {
                command_key: command_key.clone(),
                file_type: file_type.to_owned(),
                url: args.url()?,
                username: args.text("Username"),
                password: args.text("Password").into(),
                file_size: args.number("FileSize")?,
                target_file_name: args.text("TargetFileName"),
                windows,
            };
            return Ok(Some((request.into(), work)));
        }
        let request = Download {
            command_key: command_key.clone(),
            file_type: file_type.to_owned(),
            url: args.url()?,
            username: args.text("Username"),
            password: args.text("Password").into(),
            file_size: args.number("FileSize")?,
            target_file_name: args.text("TargetFileName"),
            delay_seconds: args.number("DelaySeconds")?,
            success_url: Url::default(),
            failure_url: Url::default(),
        };
        Ok(Some((request.into(), work)))
    };
    let upload = |file_type: String| -> Result<_, Fault> {
        Ok(Some((upload(file_type, key, args)?.into(), Work::Upload)))
    };
    let other_file = Work::Download { firmware: None };
    let new_firmware = Work::Download {
        firmware: Some(firmware.to_owned()),
    };
    match (object, name) {
        ("Device.", "Reboot()") => Ok(Some((Reboot { command_key }.into(), Work::Reboot))),
        ("Device.", "FactoryReset()") => Ok(Some((FactoryReset {}.into(), Work::FactoryReset))),
        ("Device.", "ScheduleTimer()") => {
            let delay_seconds: u32 = args.number("DelaySeconds")?;
            if delay_seconds == 0 {
                let words = "DelaySeconds has to be at least 1";
                return Err(fault(FaultCode::INVALID_ARGUMENTS, words));
            }
            let request = ScheduleInform {
                delay_seconds,
                command_key,
            };
            Ok(Some((request.into(), Work::Timer)))
        }
        ("Device.DeviceInfo.FirmwareImage.{i}.", "Download()") => {
            // An image that is only kept is another kind of file.
            match args.is_false("AutoActivate") {
                true => download("6 Stored Firmware Image", other_file),
                false => download("1 Firmware Upgrade Image", new_firmware),
            }
        }
        ("Device.DeviceInfo.VendorConfigFile.{i}.", "Restore()") => {
            download("3 Vendor Configuration File", other_file)
        }
        ("Device.", "X_HEADEND_Download()") => match args.some("FileType") {
            Some(kind) if kind.starts_with("1 ") => download(&kind, new_firmware),
            Some(kind) => download(&kind, other_file),
            None => Err(fault(FaultCode::INVALID_ARGUMENTS, "it needs a FileType")),
        },
        ("Device.", "X_HEADEND_Upload()") => match args.some("FileType") {
            Some(kind) => upload(kind),
            None => Err(fault(FaultCode::INVALID_ARGUMENTS, "it needs a FileType")),
        },
        ("Device.SoftwareModules.", "InstallDU()") => {
            let install = InstallOpStruct {
                url: args.url()?,
                uuid: args.some("UUID"),
                username: args.some("Username"),
                password: args.some("Password").map(Into::into),
                execution_env_ref: args.some("ExecutionEnvRef"),
            };
            let request = ChangeDuState {
                operations: vec![DuOperation::Install(install)],
                command_key,
            };
            Ok(Some((request.into(), Work::Modules)))
        }
        _ => Ok(None),
    }
}

pub(super) fn upload(file_type: String, key: &str, args: &Args<'_>) -> Result<Upload, Fault> {
    Ok(Upload {
        command_key: wire_key(key),
        file_type,
        url: args.url()?,
        username: args.text("Username"),
        password: args.text("Password").into(),
        delay_seconds: args.number("DelaySeconds")?,
    })
}

/// A file of a kind that had another name before CWMP 1.2, when there was one of it only.
fn sent(line: &Line, names: [&str; 2], command: &str, key: &str, args: &Args<'_>) -> Plan {
    let [old, new] = names;
    let mut names = [format!("{new} {}", row(command)), old.to_owned()];
    if line.version() < cwmp::Version::V1_2 {
        names.reverse();
    }
    let [first, second] = names.map(|name| upload(name, key, args));
    match (first, second) {
        (Ok(first), Ok(second)) => Plan::Either([first, second], Work::Upload),
        (Err(fault), _) | (_, Err(fault)) => Plan::No(fault),
    }
}

/// A deployment unit is named by its UUID, which its row tells.
async fn unit(
    line: &mut Line,
    known: &mut Known,
    object: &str,
    name: &str,
    key: &str,
    args: &Args<'_>,
) -> Result<Plan, AskError> {
    let names = ["UUID", "Version", "ExecutionEnvRef"].map(|name| format!("{object}{name}"));
    let there = names
        .iter()
        .map(String::as_str)
        .filter(|name| known.tree.has(name));
    let read = read::params(line, there).await?;
    let told = |name: &String| {
        let value = read.values.get(name).map(|value| value.text.clone());
        value.filter(|text| !text.is_empty())
    };
    let Some(uuid) = told(&names[0]) else {
        let words = "the device does not tell the UUID of this deployment unit";
        return Ok(Plan::No(fault(FaultCode::UNKNOWN_DEPLOYMENT_UNIT, words)));
    };
    let operation = if name == "Update()" {
        DuOperation::Update(UpdateOpStruct {
            uuid: Some(uuid),
            version: None,
            url: args.some("URL").map(Into::into),
            username: args.some("Username"),
            password: args.some("Password").map(Into::into),
        })
    } else {
        DuOperation::Uninstall(UninstallOpStruct {
            uuid,
            version: told(&names[1]),
            execution_env_ref: told(&names[2]),
        })
    };
    let request = ChangeDuState {
        operations: vec![operation],
        command_key: wire_key(key),
    };
    Ok(Plan::Method(request.into(), Work::Modules))
}

fn diagnostics(known: &Known, command: &str, args: &Args<'_>) -> Plan {
    let Some(object) = command.strip_suffix("()").map(|path| format!("{path}.")) else {
        return Plan::No(unknown());
    };
    let state = format!("{object}{STATE}");
    let there = match known.mapped(&state) {
        Some(mapping) => !mapping.to_gateway(&state).is_empty(),
        None => known.tree.has(&state),
    };
    if !there {
        return Plan::No(unknown());
    }
    let wish = |path: String, value: String| Wish {
        path,
        value,
        required: true,
    };
    // Settings alone would stop one that runs; the state comes last and with them.
    let mut wishes: Vec<Wish> = args
        .0
        .iter()
        .map(|(name, value)| wish(format!("{object}{name}"), value.clone()))
        .collect();
    wishes.push(wish(state, "Requested".to_owned()));
    Plan::Diagnostics(wishes, Work::Diagnostics { object })
}

/// How a command was taken.
#[derive(Debug)]
pub enum Taken {
    /// It is done, or will not be done: nothing is waited for.
    Ended(CommandOutcome),
    /// The device works on it.
    Running,
    /// It is done, and that the device starts again is the proof.
    Restarts,
    /// Nobody knows.
    Unknown(Failure),
}

/// Asks for it.
pub async fn ask(line: &mut Line, known: &mut Known, plan: Plan) -> Taken {
    match plan {
        Plan::No(fault) => Taken::Ended(CommandOutcome::Failed { fault }),
        Plan::Cancel(_) => Taken::Ended(CommandOutcome::Failed { fault: unknown() }),
        Plan::Question(request) => match question::ask(line, request).await {
            Ok(outcome) => Taken::Ended(outcome),
            Err(error) => Taken::Unknown(line.failure(error)),
        },
        Plan::Method(request, _) => {
            let answer = line.ask(request.clone()).await;
            taken(line, request.method(), answer)
        }
        Plan::Either([first, second], _) => {
            let answer = match line.ask(first).await {
                Err(AskError::Refused(fault)) if fault.code == FaultCode::INVALID_ARGUMENTS => {
                    line.ask(second).await
                }
                answer => answer,
            };
            taken(line, Method::Upload, answer)
        }
        Plan::Diagnostics(wishes, _) => match write::write(line, known, &wishes, false).await {
            Ok(done) => match done.into_values().find_map(Result::err) {
                Some(fault) => Taken::Ended(CommandOutcome::Failed { fault }),
                None => Taken::Running,
            },
            Err(error) => Taken::Unknown(line.failure(error)),
        },
    }
}

fn taken(line: &Line, asked: Method, answer: Result<cwmp::Response, AskError>) -> Taken {
    use cwmp::Response;
    let over = |start: &Timestamp, end: &Timestamp| {
        let outputs = times(start, end);
        Taken::Ended(CommandOutcome::Done { outputs })
    };
    match answer {
        Ok(Response::Reboot(_) | Response::FactoryReset(_)) => Taken::Restarts,
        Ok(Response::Download(answer)) if answer.status == 0 => {
            over(&answer.start_time, &answer.complete_time)
        }
        Ok(Response::Upload(answer)) if answer.status == 0 => {
            over(&answer.start_time, &answer.complete_time)
        }
        Ok(answer) if answer.method() == asked => Taken::Running,
        Ok(other) => {
            let why = format!("the answer is a {}", other.method().response_name());
            let reason = unusable(&why);
            Taken::Unknown(Failure::Garbled { reason })
        }
        Err(AskError::Refused(fault)) => {
            let fault = line.fault(&fault);
            Taken::Ended(CommandOutcome::Failed { fault })
        }
        Err(error) => Taken::Unknown(line.failure(error)),
    }
}

/// When a transfer began and ended, as far as the device says.
pub fn times(start: &Timestamp, end: &Timestamp) -> BTreeMap<String, String> {
    [("StartTime", start), ("CompleteTime", end)]
        .into_iter()
        .filter(|(_, time)| time.time().is_some())
        .map(|(name, time)| (name.to_owned(), time.0.trim().to_owned()))
        .collect()
}

/// How a diagnostic stands.
#[derive(Debug)]
pub enum Examined {
    /// The device does not tell.
    Untold,
    /// It was begun.
    Running,
    /// It is over, with these results, or this is why not.
    Over(Result<BTreeMap<String, String>, Fault>),
}

/// Whether a diagnostic is over, and how: what its object tells.
pub async fn examined(
    line: &mut Line,
    known: &mut Known,
    object: &str,
) -> Result<Examined, AskError> {
    let results = super::get::get(line, known, &[object.to_owned()], 0).await?;
    let Some(Ok(values)) = results.into_iter().next().map(|one| one.result) else {
        return Ok(Examined::Untold);
    };
    let mut outputs: BTreeMap<String, String> = values
        .into_iter()
        .filter_map(|one| Some((one.path.strip_prefix(object)?.to_owned(), one.value)))
        .collect();
    let Some(state) = outputs.remove(STATE) else {
        return Ok(Examined::Untold);
    };
    Ok(match state.as_str() {
        "Requested" => Examined::Running,
        state if state.starts_with("Complete") => {
            outputs.insert("Status".to_owned(), "Complete".to_owned());
            Examined::Over(Ok(outputs))
        }
        // A restart, or somebody who changed its settings, has stopped it.
        "None" | "Canceled" | "" => {
            let words = format!("it was stopped: {STATE} is {state}");
            Examined::Over(Err(fault(FaultCode::REQUEST_DENIED, words)))
        }
        // Its word for what went wrong, without a code.
        error => Examined::Over(Err(Fault::new(0, line.said(error)))),
    })
}
