//! The server's memory for each idle agent: `headend serve` as a process of its own, its resident
//! memory before and after so many plaintext agents have been onboarded and have nothing to say.
//! The agents are in this process and as small as can be: they answer what onboarding asks with a
//! handful of values and keep quiet.
//! `cargo run --release -p bench-idle [AGENTS]` in `bench/`, or `cargo xtask bench idle`; needs as
//! many open files as agents (`ulimit -n`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mtp::ws::{DialConfig, Incoming, Link, dial};
use rig::{Fault, Server};
use usp::EndpointId;
use usp::agent::{Config, Event, Session};
use usp::msg::*;
use usp::record::WebSocketConnectRecord;

const AGENTS: usize = 10_000;
/// The aim of the project, KiB.
const AIM: f64 = 12.0;
/// Dialling at the same time.
const AT_ONCE: usize = 32;
/// The agents are idle when none was asked anything for this long.
const QUIET: Duration = Duration::from_secs(12);
const ALL_TIME: Duration = Duration::from_secs(900);
/// Onboarded before the first measurement, so that what is shared is there.
const WARM_UP: usize = 50;

/// What happens, over all agents.
#[derive(Default)]
struct Counts {
    connected: AtomicUsize,
    lost: AtomicUsize,
    asked: AtomicUsize,
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let wanted = std::env::args().nth(1).map_or(Ok(AGENTS), |n| n.parse())?;
    let server = Arc::new(Server::start()?);
    let counts = Arc::new(Counts::default());
    let slots = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    start(&server, &counts, &slots, 0..WARM_UP)?;
    idle(&counts, WARM_UP).await?;
    let before = server.resident_kib()?;
    start(&server, &counts, &slots, WARM_UP..wanted + WARM_UP)?;
    idle(&counts, wanted + WARM_UP).await?;
    let after = server.resident_kib()?;
    let each = (after as f64 - before as f64) / wanted as f64;
    let verdict = if each <= AIM { "met" } else { "MISSED" };
    println!(
        "{wanted} idle agents: resident {before} KiB before, {after} KiB after, {each:.1} KiB each (aim {AIM}: {verdict}); {} connections lost on the way",
        counts.lost.load(Ordering::Relaxed)
    );
    Ok(())
}

fn start(
    server: &Arc<Server>,
    counts: &Arc<Counts>,
    slots: &Arc<tokio::sync::Semaphore>,
    numbers: std::ops::Range<usize>,
) -> Result<(), Fault> {
    let controller = EndpointId::parse(&server.endpoint)?;
    for number in numbers {
        let own = EndpointId::parse(&format!("os::00256D-IDLE{number}"))?;
        let url = format!("ws://{}/usp/{}", server.usp, server.setup_key);
        let (controller, counts, slots) = (controller.clone(), counts.clone(), slots.clone());
        tokio::spawn(async move {
            loop {
                let link = {
                    let _slot = slots.acquire().await;
                    dial(&DialConfig::new(url.clone(), own.clone())).await
                };
                match link {
                    Ok(link) => {
                        counts.connected.fetch_add(1, Ordering::Relaxed);
                        let session = Session::new(
                            &Config::default(),
                            own.clone(),
                            controller.clone(),
                            number as u64,
                        );
                        let _ = answer(link, session, &counts, number).await;
                        counts.connected.fetch_sub(1, Ordering::Relaxed);
                        counts.lost.fetch_add(1, Ordering::Relaxed);
                    }
                    // The setup key has a rate.
                    Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                }
            }
        });
    }
    Ok(())
}

/// Waits until all are connected and nothing was asked for a while.
async fn idle(counts: &Counts, wanted: usize) -> Result<(), Fault> {
    let end = Instant::now() + ALL_TIME;
    let (mut asked, mut since) = (usize::MAX, Instant::now());
    while Instant::now() < end {
        let now = counts.asked.load(Ordering::Relaxed);
        if now != asked || counts.connected.load(Ordering::Relaxed) < wanted {
            (asked, since) = (now, Instant::now());
        }
        if since.elapsed() >= QUIET {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let there = counts.connected.load(Ordering::Relaxed);
    Err(format!("{there} of {wanted} agents are connected, and they do not come to rest").into())
}

async fn answer(
    mut link: Link,
    mut session: Session,
    counts: &Counts,
    number: usize,
) -> Result<(), Fault> {
    session.channel_opened(Instant::now(), WebSocketConnectRecord {});
    loop {
        while let Some(event) = session.poll_event() {
            if let Event::Requested { token, request, .. } = event {
                counts.asked.fetch_add(1, Ordering::Relaxed);
                session.respond(token, reply(request, number))?;
            }
        }
        while let Some(record) = session.poll_transmit() {
            link.send(record).await?;
        }
        match link.recv().await? {
            Incoming::Record(record) => session.handle_input(Instant::now(), &record)?,
            Incoming::Closed(_) => return Ok(()),
        }
    }
}

const PARAMETERS: [(&str, &str); 6] = [
    ("Manufacturer", "Bench"),
    ("ManufacturerOUI", "00256D"),
    ("ProductClass", "Idle"),
    ("ModelName", "Idle"),
    ("SoftwareVersion", "1"),
    ("HardwareVersion", "1"),
];
const OBJECT: &str = "Device.DeviceInfo.";

/// The least that a device can say.
fn reply(request: Request, number: usize) -> Result<Response, usp::UspError> {
    Ok(match request {
        Request::Get(get) => {
            let results = get.param_paths.into_iter().map(|path| value(path, number));
            GetResp {
                req_path_results: results.collect(),
            }
            .into()
        }
        Request::GetSupportedDm(get) => {
            let params = PARAMETERS
                .iter()
                .map(|(name, _)| *name)
                .chain(["SerialNumber"]);
            let params = params.map(|name| SupportedParamResult {
                param_name: name.to_owned(),
                value_type: ParamValueType::STRING,
                ..Default::default()
            });
            let object = SupportedObjectResult {
                supported_obj_path: OBJECT.to_owned(),
                supported_params: params.collect(),
                ..Default::default()
            };
            let results = get.obj_paths.into_iter().map(|path| RequestedObjectResult {
                req_obj_path: path,
                supported_objs: vec![object.clone()],
                ..Default::default()
            });
            GetSupportedDMResp {
                req_obj_results: results.collect(),
            }
            .into()
        }
        Request::Set(set) => {
            let results = set
                .update_objs
                .into_iter()
                .map(|object| UpdatedObjectResult {
                    oper_status: UpdateStatus::OperSuccess(UpdateSuccess {
                        updated_inst_results: vec![UpdatedInstanceResult {
                            affected_path: object.obj_path.clone(),
                            ..Default::default()
                        }],
                    }),
                    requested_path: object.obj_path,
                });
            SetResp {
                updated_obj_results: results.collect(),
            }
            .into()
        }
        Request::Add(add) => {
            let results = add
                .create_objs
                .into_iter()
                .map(|object| CreatedObjectResult {
                    oper_status: CreateStatus::OperSuccess(CreateSuccess {
                        instantiated_path: format!("{}1.", object.obj_path),
                        ..Default::default()
                    }),
                    requested_path: object.obj_path,
                });
            AddResp {
                created_obj_results: results.collect(),
            }
            .into()
        }
        Request::GetInstances(get) => {
            let results = get.obj_paths.into_iter().map(|path| InstancesPathResult {
                requested_path: path,
                ..Default::default()
            });
            GetInstancesResp {
                req_path_results: results.collect(),
            }
            .into()
        }
        _ => {
            return Err(usp::UspError::new(
                usp::ErrorCode(7004),
                "not in this bench",
            ));
        }
    })
}

fn value(path: String, number: usize) -> RequestedPathResult {
    let known = |name: &str| {
        let found = PARAMETERS.iter().find(|(known, _)| *known == name);
        let serial = (name == "SerialNumber").then(|| format!("IDLE{number}"));
        found.map(|(_, value)| (*value).to_owned()).or(serial)
    };
    let mut result_params = usp::Map::default();
    if OBJECT.starts_with(&path) || path == OBJECT {
        for name in PARAMETERS
            .iter()
            .map(|(name, _)| *name)
            .chain(["SerialNumber"])
        {
            result_params.insert(name, known(name).unwrap_or_default());
        }
    } else if let Some(name) = path.strip_prefix(OBJECT)
        && let Some(value) = known(name)
    {
        result_params.insert(name, value);
    }
    let resolved = ResolvedPathResult {
        resolved_path: OBJECT.to_owned(),
        result_params,
    };
    let there = !resolved.result_params.is_empty();
    RequestedPathResult {
        requested_path: path,
        resolved_path_results: if there { vec![resolved] } else { Vec::new() },
        ..Default::default()
    }
}
