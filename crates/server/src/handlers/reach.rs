//! How a device can be reached, or why not; and waking it.

use super::device_view::presence;
use super::{doctor, wake_credential};
use super::{some, time};
use crate::auth::Caller;
use crate::http::extract::Id;
use crate::problem::Result;
use crate::seam::{LivePath, Way};
use crate::southbound::refusal::Peer;
use crate::state::{State, now};
use api::device::PresenceWord;
use api::doctor::Refusal;
use api::reach::{
    DialAttempt, ManagementPath, QuirkPack, Reach, ReachMethod, SessionContext, WakeAbility, Woken,
};
use axum::Json;
use axum::extract::State as Extract;
use fleet::{DeviceId, Timestamp};
use std::time::Duration;
use store::{DeviceRecord, PathRecord};

/// How far back refused connections explain a silence.
const REFUSALS_SINCE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Refusals shown.
const REFUSALS_MAX: usize = 10;

/// The transport of links that are dialled.
const WEBSOCKET: &str = crate::southbound::usp::WEBSOCKET;

/// The transport of devices that open sessions when they like, or are asked to.
const CWMP: &str = crate::southbound::cwmp::TRANSPORT;

/// The reach panel.
pub async fn show(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Reach>> {
    let id = DeviceId::from(id);
    let tenant = &caller.tenant;
    let record = state.fresh(state.store.device(tenant, id).await?);
    let paths = state.store.path_list(tenant, id).await?;
    let at = now();
    let verdict = presence(&record.device.evidence, at, &state.presence());
    let names = doctor::names(&state, tenant, id).await?;
    let since = at.minus(REFUSALS_SINCE);
    let refusals = doctor::of_device(&state, &caller, &names, since, REFUSALS_MAX).await?;
    let reachable = verdict.word == PresenceWord::Online;
    let (likely_reason, advice) = if reachable {
        (None, None)
    } else {
        let (reason, advice) = why(&record, &paths, &refusals, verdict.word);
        (Some(reason), Some(advice))
    };
    let dialled = paths.iter().any(|path| path.dial_url.is_some());
    let ways = state.south.ways(tenant, id).await;
    let linked = |path: &PathRecord| path.transport != CWMP && connected(path, at);
    let visits =
        !dialled && !paths.iter().any(linked) && paths.iter().any(|path| path.transport == CWMP);
    let usable = ways.iter().filter(|way| way.problem.is_none());
    let mut methods: Vec<&str> = usable.map(|way| way.method.as_str()).collect();
    methods.dedup();
    let wake = match (verdict.word, dialled) {
        _ if visits && !methods.is_empty() => {
            WakeAbility {
                possible: true,
                words: format!(
                    "It is asked to open a session, over {} until it comes.",
                    methods.join(", then ")
                ),
            }
        }
        _ if visits => WakeAbility {
            possible: false,
            words: match ways.iter().find_map(|way| way.problem.as_deref()) {
                Some(why) => format!(
                    "It cannot be asked to come: {why}. It comes by itself, at its interval."
                ),
                None => {
                    "It has not told how it can be asked to come; it comes by itself, at its interval."
                        .to_owned()
                }
            },
        },
        (PresenceWord::Online, _) => WakeAbility {
            possible: true,
            words: "It is connected; waking asks it for a sign of life.".to_owned(),
        },
        (_, true) => WakeAbility {
            possible: true,
            words: "The server dials it at once instead of at the next attempt.".to_owned(),
        },
        (PresenceWord::Silent, _) => WakeAbility {
            possible: true,
            words: "Its connection is open; waking asks it for a sign of life.".to_owned(),
        },
        _ => WakeAbility {
            possible: false,
            words: "It connects to us by itself; nobody can reach it until it does.".to_owned(),
        },
    };
    let wake_credential = wake_credential::shown(&state, tenant, id, &paths).await?;
    let paths = paths
        .iter()
        .enumerate()
        .map(|(index, path)| view(&state, &caller, &record, path, index, &ways))
        .collect();
    Ok(Json(Reach {
        presence: verdict,
        likely_reason,
        advice,
        paths,
        refusals,
        wake,
        wake_credential,
    }))
}

/// Tries to reach the device now.
pub async fn wake(
    Extract(state): Extract<State>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Woken>> {
    let id = DeviceId::from(id);
    state.store.device(&caller.tenant, id).await?;
    Ok(Json(match state.south.wake(&caller.tenant, id).await {
        Ok(words) => Woken { tried: true, words },
        Err(words) => Woken {
            tried: false,
            words,
        },
    }))
}

/// Open, or used lately enough where it is used at intervals.
fn connected(path: &PathRecord, at: Timestamp) -> bool {
    if let Some(by) = path.expected_by {
        return at <= by;
    }
    match (path.connected_at, path.disconnected_at) {
        (Some(up), Some(down)) => up > down,
        (up, _) => up.is_some(),
    }
}

fn view(
    state: &State,
    caller: &Caller,
    record: &DeviceRecord,
    path: &PathRecord,
    index: usize,
    ways: &[Way],
) -> ManagementPath {
    let open = connected(path, now());
    let evidence = &record.device.evidence;
    let all = state.south.live(path.device);
    let live = all
        .iter()
        .find(|link| open && link.transport == path.transport);
    let heard = match (path.expected_by, live) {
        (Some(_), _) => path.heard_at,
        (None, Some(link)) => Some(link.heard).max(path.connected_at),
        // Another server holds it, and writes down when it hears the device over it; where that is later than the device
        // was heard at all, it says that the connection is open in silence.
        (None, None) if path.heard_at.is_some() => {
            let heard = path.heard_at.min(evidence.heard_at);
            heard.max(path.connected_at)
        }
        // What was heard came by another one.
        (None, None) if !open && !all.is_empty() => path.connected_at,
        (None, None) => evidence.heard_at.max(path.connected_at),
    };
    let protocol = match path.transport == CWMP {
        true => "cwmp",
        false => "usp",
    };
    // Links are dialled over their own transport; a CPE is asked to come in several ways.
    let mut attempts = state.south.attempts(&caller.tenant, path.device);
    attempts.retain(|one| match path.transport.as_str() {
        CWMP => one.method != WEBSOCKET,
        transport => one.method == transport,
    });
    let direction = if path.dial_url.is_some() {
        ", dialled by us"
    } else {
        ""
    };
    let broker = path.info["broker"].as_str();
    ManagementPath {
        id: format!("{}-{index}", path.transport),
        protocol: protocol.to_owned(),
        expected_by: path.expected_by.map(time),
        methods: methods(path, open, ways),
        transport: format!("{}{direction}", path.transport),
        identity: path.endpoint_id.clone(),
        connected: open,
        connected_since: path.connected_at.filter(|_| open).map(time),
        disconnected_at: path.disconnected_at.map(time),
        disconnect_reason: some(&path.disconnect_reason).filter(|_| !open),
        // Our own way to the broker says nothing of the device's.
        peer: match broker {
            Some(broker) => Some(Peer::Behind(broker.to_owned()).to_string()),
            None => some(&path.peer),
        },
        used: live.map(|link| is_used(&all, link)),
        choice: live.map(|link| choice(&all, link).to_owned()),
        session_context: live
            .and_then(|link| link.session_context)
            .map(|of| SessionContext {
                up: of.up,
                encrypted: of.encrypted,
            }),
        tls: path.info["tls"].as_bool().filter(|_| broker.is_none()),
        credential: some(&path.authenticated_by).map(|word| credential(&word).to_owned()),
        evidence_at: heard.map(time),
        evidence_source: heard.map(|at| {
            let connected = Some(at) == path.connected_at;
            if path.expected_by.is_some() {
                "session".to_owned()
            } else if connected {
                "connected".to_owned()
            } else {
                "message or pong".to_owned()
            }
        }),
        quirk_packs: quirk_packs(path),
        dial_url: path.dial_url.clone(),
        attempts: attempts
            .into_iter()
            .map(|one| DialAttempt {
                at: time(one.at),
                ok: one.ok,
                method: one.method,
                address: one.address,
                took_ms: u64::try_from(one.took.as_millis()).unwrap_or(u64::MAX),
                words: one.words,
            })
            .collect(),
    }
}

/// The quirk packs that fitted the device when it came last.
fn quirk_packs(path: &PathRecord) -> Vec<QuirkPack> {
    let kept = path.info.get("quirk_packs").cloned();
    kept.and_then(|kept| serde_json::from_value(kept).ok())
        .unwrap_or_default()
}

/// Whether requests go over this one of a device's links.
fn is_used(all: &[LivePath], link: &LivePath) -> bool {
    link.open && all.first() == Some(link)
}

/// Why requests go over this one of a device's links, or do not.
fn choice(all: &[LivePath], link: &LivePath) -> &'static str {
    let open = all.iter().filter(|one| one.open).count();
    match (is_used(all, link), link.open, link.doubted) {
        (_, false, _) => {
            "Nothing can be asked over it yet: the device has not said that it listens, or is being onboarded."
        }
        (true, ..) if open == 1 => "Requests go over it: it is the only one that can be used.",
        (true, _, false) => "Requests go over it: it answers, and it is the first in order.",
        (true, _, true) => {
            "Requests go over it: none of them has answered lately, and it is the first in order."
        }
        (false, _, true) => "It stands by: a request over it was not answered in the last minutes.",
        (false, ..) => "It stands by: requests go over it when the other one fails.",
    }
}

/// The ways in which we can turn to the device on a path.
fn methods(path: &PathRecord, open: bool, ways: &[Way]) -> Vec<ReachMethod> {
    let method = |method: &str, address: Option<String>| ReachMethod {
        method: method.to_owned(),
        address,
        problem: None,
    };
    if path.transport != CWMP {
        let link = open.then(|| method("link", None));
        let dial = path.dial_url.clone();
        let dial = dial.map(|url| method("dial", Some(url)));
        return link.into_iter().chain(dial).collect();
    }
    ways.iter()
        .map(|way| ReachMethod {
            problem: way.problem.clone(),
            ..method(&way.method, Some(way.address.clone()))
        })
        .collect()
}

fn credential(word: &str) -> &str {
    match word {
        "setup_key" => "setup key",
        "device_token" => "its own credential",
        "certificate" => "client certificate",
        "dialled" => "dialled at a known address",
        "broker" => "the word of the broker",
        other => other,
    }
}

/// The likely reason why a device cannot be reached, and what to do.
pub async fn explain(
    state: &State,
    caller: &Caller,
    record: &DeviceRecord,
    word: PresenceWord,
    at: Timestamp,
) -> Result<(String, String)> {
    let tenant = &caller.tenant;
    let paths = state.store.path_list(tenant, record.device.id).await?;
    let names = doctor::names(state, tenant, record.device.id).await?;
    let since = at.minus(REFUSALS_SINCE);
    let refusals = doctor::of_device(state, caller, &names, since, REFUSALS_MAX).await?;
    Ok(why(record, &paths, &refusals, word))
}

/// The likely reason, and what to do.
fn why(
    record: &DeviceRecord,
    paths: &[PathRecord],
    refusals: &[Refusal],
    word: PresenceWord,
) -> (String, String) {
    let since = record.device.evidence.newest();
    let newest = refusals
        .iter()
        .find(|one| since.is_none_or(|since| one.at.unix_ms() > since.as_millis()));
    if let Some(refusal) = newest {
        return (
            format!(
                "It tries to connect and is refused, last at {} from {}.",
                refusal.at, refusal.peer
            ),
            refusal.words.clone(),
        );
    }
    let text = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    if word == PresenceWord::Silent && !record.device.evidence.linked() {
        return text(
            "It did not come when it was expected, and is late.",
            "Wait for it to come, or wake it to know at once.",
        );
    }
    if word == PresenceWord::Silent {
        return text(
            "Its connection seems open, but it has not answered for longer than expected. Its network is probably gone.",
            "Wait for the connection to be closed, or wake it to know at once.",
        );
    }
    let Some(path) = paths.first() else {
        return text(
            "No management path is known for it.",
            "Give it a setup key, or enter where it can be dialled.",
        );
    };
    if let Some(url) = &path.dial_url {
        return (
            format!("The server dials {url} and does not get through."),
            "See the last attempts below; check address, port and firewall.".to_owned(),
        );
    }
    if word == PresenceWord::Never {
        return text(
            "It has never tried to connect to this server, or never got as far as saying who it is.",
            "Check the URL and credential in it, name resolution, and the way through firewalls. The doctor lists refused connections.",
        );
    }
    if path.transport == CWMP {
        return text(
            "It did not come when it was expected, and has not come since.",
            "It is switched off, restarting, or its access is down, or it was told another URL. It comes again by itself when it can; wake it to know whether it can be reached.",
        );
    }
    let reason = match path.disconnect_reason.as_str() {
        "" => "It lost its connection and has not come back.".to_owned(),
        words => format!("Its connection ended ({words}) and it has not come back."),
    };
    (reason, "It is switched off, restarting, or its access is down. It dials again by itself when it can.".to_owned())
}
