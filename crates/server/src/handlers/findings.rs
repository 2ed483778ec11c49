//! What the doctor says, each thing once: what was seen, when, from where, why, and what to do. The
//! ways in first (listeners, certificate, tenant, setup keys), then who was turned away, or the one
//! device somebody misses.

use super::refusal_words::{advice, is_conduct, what, words};
use super::{
    device_view, doctor, findings_acs, findings_lan, findings_mqtt, findings_pki, reach, time,
};
use crate::auth::Caller;
use crate::limits::DOCTOR_DEVICES_MAX;
use crate::problem::Result;
use crate::southbound::certificate::Certificate;
use crate::state::State;
use api::device::PresenceWord;
use api::doctor::{Finding, Severity};
use fleet::Timestamp;
use mtp::tls::CertificateInfo;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use store::{DeviceFilter, DeviceSort, RefusalRecord, Search};

/// How far back the doctor looks.
const SINCE: Duration = Duration::from_secs(24 * 3600);

/// A certificate that ends within this time should have been renewed.
const RENEW_BEFORE: Duration = Duration::from_secs(14 * 24 * 3600);

/// Everything there is to say; about the device that is missed, where one is.
pub async fn all(
    state: &State,
    caller: &Caller,
    wanted: &str,
    at: Timestamp,
) -> Result<Vec<Finding>> {
    let mut all = listeners(state);
    all.extend(findings_mqtt::listeners(state));
    all.extend(findings_mqtt::brokers(state, at));
    all.extend(findings_acs::listeners(state));
    all.extend(findings_acs::waking(state));
    all.extend(certificates(state, at));
    all.extend(findings_pki::all(state, caller, at).await?);
    all.extend(findings_lan::all(state, caller).await?);
    all.extend(tenant(state, caller).await?);
    all.push(keys(state, caller, at).await?);
    let refused = doctor::read(state, caller, at.minus(SINCE)).await?;
    if wanted.is_empty() {
        all.extend(by_reason(&refused));
        if refused.is_empty() {
            all.push(nobody(state, caller, at).await?);
        }
        return Ok(all);
    }
    let known = known(state, caller, wanted, at).await?;
    let of_it = |one: &&RefusalRecord| {
        let id = one.last.endpoint_id.as_str();
        id.contains(wanted)
            || one.last.peer.contains(wanted)
            || known
                .iter()
                .any(|(_, names)| names.iter().any(|name| name == id))
    };
    let refusals: Vec<_> = refused.iter().filter(of_it).collect();
    all.extend(
        refusals
            .iter()
            .take(DOCTOR_DEVICES_MAX)
            .map(|one| turned_away(one)),
    );
    if known.is_empty() && refusals.is_empty() {
        all.push(finding(
            Severity::Problem,
            "device-unknown",
            format!("Nothing is known of {wanted:?}"),
            "It is not registered in this tenant, and no connection with this name or address was refused in the last day.",
            format!("Check on the device: the URL{}, name resolution, the way through firewalls, and its clock when it uses TLS.", urls(state)),
        ));
        // It may be one of those.
        all.extend(by_reason(&refused));
    }
    // What a refusal says already is not said again.
    let said: Vec<String> = refusals.iter().map(|one| words(&one.last.reason)).collect();
    all.extend(known.into_iter().map(|(mut finding, _)| {
        finding.remedy = finding.remedy.filter(|remedy| !said.contains(remedy));
        finding
    }));
    Ok(all)
}

pub(super) fn finding(
    severity: Severity,
    code: impl Into<String>,
    title: impl Into<String>,
    detail: impl Into<String>,
    remedy: impl Into<String>,
) -> Finding {
    let remedy: String = remedy.into();
    Finding {
        severity,
        code: code.into(),
        title: title.into(),
        detail: detail.into(),
        remedy: Some(remedy).filter(|text| !text.is_empty()),
    }
}

/// Where devices are awaited: ` (wss://...)`, or nothing.
fn urls(state: &State) -> String {
    let bound = &state.bound;
    let url =
        |scheme: &str, addr: Option<SocketAddr>| addr.map(|addr| format!("{scheme}://{addr}/usp/"));
    let all = match &state.config.usp.public_url {
        Some(url) => vec![format!("{}/", url.trim_end_matches('/'))],
        None => [url("wss", bound.usp_tls), url("ws", bound.usp)]
            .into_iter()
            .flatten()
            .collect(),
    };
    match all.len() {
        0 => String::new(),
        _ => format!(" ({} and a key)", all.join(" or ")),
    }
}

fn listeners(state: &State) -> Vec<Finding> {
    let (bound, usp) = (&state.bound, &state.config.usp);
    let open = [
        ("usp.tls_listen", bound.usp_tls, "with TLS"),
        ("usp.listen", bound.usp, "without TLS"),
    ];
    let open: Vec<_> = open
        .into_iter()
        .filter_map(|(key, addr, how)| addr.map(|addr| (key, addr, how)))
        .collect();
    if open.is_empty() && findings_mqtt::is_open(state) {
        return Vec::new();
    }
    if open.is_empty() {
        return vec![finding(
            Severity::Problem,
            "no-device-listener",
            "No listener for devices is open",
            "Devices that dial this server find nobody.",
            "Set usp.listen, usp.tls_listen, mqtt.listen, mqtt.tls_listen or usp.brokers in the configuration and start again.",
        )];
    }
    let shown: Vec<_> = open
        .iter()
        .map(|(_, addr, how)| format!("{addr} {how}"))
        .collect();
    let mut all = vec![finding(
        Severity::Ok,
        "device-listener",
        "A listener for devices is open",
        format!("It is bound to {}{}.", shown.join(" and "), urls(state)),
        "",
    )];
    // A proxy on this machine may carry what comes from outside.
    let proxied = usp.public_url.is_some();
    if let (true, Some((key, addr, _))) = (
        !proxied && open.iter().all(|(_, addr, _)| addr.ip().is_loopback()),
        open.first(),
    ) {
        let port = addr.port();
        all.push(finding(
            Severity::Warning,
            "device-listener-local",
            "Only devices on this machine can connect",
            format!("The listener is bound to {addr}."),
            format!("Set {key} to 0.0.0.0:{port} if devices come from elsewhere."),
        ));
    }
    let proxy_speaks_tls = usp
        .public_url
        .as_ref()
        .is_some_and(|url| url.starts_with("wss:"));
    if bound.usp_tls.is_none() && !proxy_speaks_tls {
        all.push(finding(
            Severity::Info,
            "no-device-tls",
            "Devices connect without encryption",
            "Credentials and values can be read on the way.",
            "Set usp.tls_listen, or put a TLS proxy in front and set usp.public_url to its wss:// URL.",
        ));
    }
    all
}

/// What there is to say of the certificates; one that both listeners have is told once.
fn certificates(state: &State, at: Timestamp) -> Vec<Finding> {
    let bound = &state.bound;
    let (usp, acs) = (bound.certificate.as_ref(), bound.cwmp_certificate.as_ref());
    let same =
        |a: &Certificate, b: &Certificate| a.development.is_some() && b.development.is_some();
    let acs = acs.filter(|acs| !usp.is_some_and(|usp| same(usp, acs)));
    let mqtt = bound.mqtt.certificate.as_ref();
    let told = |one: &&Certificate| usp.into_iter().chain(acs).any(|other| same(other, one));
    let mqtt = mqtt.filter(|one| !told(one));
    let listener = |one: &Certificate, files: &str, prefix: &str| {
        let renew =
            format!("Renew it in the files of {files}; they are read again within a minute.");
        let authority = one.development.as_deref().map_or_else(String::new, |ca| {
            let ca = ca.display();
            format!(" Devices have to trust the development authority in {ca}.")
        });
        certificate(
            &one.tls.info(),
            [prefix, "for devices", &renew, &authority],
            at,
        )
    };
    let contexts = bound.context_certificate.as_ref().map(|info| {
        let renew =
            "Renew it in the files of usp.session_context.identity, and restart the server.";
        certificate(info, ["context-", "of session contexts", renew, ""], at)
    });
    let usp = usp.map(|one| listener(one, "usp.tls", ""));
    let acs = acs.map(|one| listener(one, "cwmp.tls", "acs-"));
    let mqtt = mqtt.map(|one| listener(one, "mqtt.tls", "mqtt-"));
    usp.into_iter()
        .chain(acs)
        .chain(mqtt)
        .chain(contexts)
        .collect()
}

/// What a certificate is, and whether it holds: what its code begins with, whose it is, how to renew it, and what else
/// there is to say.
pub fn certificate(info: &CertificateInfo, words: [&str; 4], at: Timestamp) -> Finding {
    let [prefix, of, renew, more] = words;
    let seconds = |time: i64| Timestamp::from_millis(time.saturating_mul(1000));
    let (from, until) = (seconds(info.not_before), seconds(info.not_after));
    let names = match info.names.is_empty() {
        true => String::new(),
        false => format!(", for {}", info.names.join(", ")),
    };
    let detail = format!("It is {info}{names}.{more}");
    let (severity, code, is, remedy) = if until <= at {
        (
            Severity::Problem,
            "certificate-expired",
            "has expired",
            renew,
        )
    } else if from > at {
        (
            Severity::Problem,
            "certificate-not-yet",
            "is not valid yet",
            "Compare the clock of this machine; else wait, or install another one.",
        )
    } else if until <= at.plus(RENEW_BEFORE) {
        (Severity::Warning, "certificate-ends", "ends soon", renew)
    } else {
        (Severity::Ok, "certificate", "is in force", "")
    };
    finding(
        severity,
        format!("{prefix}{code}"),
        format!("The certificate {of} {is}"),
        detail,
        remedy,
    )
}

async fn tenant(state: &State, caller: &Caller) -> Result<Option<Finding>> {
    let tenant = state.store.tenant(&caller.tenant).await?;
    Ok(tenant.disabled_at.map(|since| {
        finding(
            Severity::Problem,
            "tenant-disabled",
            "This tenant is disabled",
            format!("Since {} its devices are refused.", time(since)),
            "A platform administrator enables it again.",
        )
    }))
}

async fn keys(state: &State, caller: &Caller, at: Timestamp) -> Result<Finding> {
    let keys = state.store.setup_key_list(&caller.tenant).await?;
    let count =
        |what: &dyn Fn(&store::SetupKeyRecord) -> bool| keys.iter().filter(|k| what(k)).count();
    let revoked = count(&|key| key.revoked_at.is_some());
    let expired =
        count(&|key| key.revoked_at.is_none() && key.expires_at.is_some_and(|end| end <= at));
    let used_up = count(&|key| {
        key.revoked_at.is_none()
            && key.expires_at.is_none_or(|end| end > at)
            && key.uses_max.is_some_and(|max| key.uses >= max)
    });
    let left = keys.len() - revoked - expired - used_up;
    let detail = format!(
        "{} in force, {revoked} revoked, {expired} expired, {used_up} used up.",
        match left {
            1 => "1 setup key is".to_owned(),
            many => format!("{many} setup keys are"),
        }
    );
    Ok(match left {
        0 => finding(
            Severity::Warning,
            "no-setup-key",
            "There is no setup key that new devices could use",
            detail,
            "Create a setup key, or register the device beforehand.",
        ),
        _ => finding(
            Severity::Ok,
            "setup-key",
            "New devices can come in with a setup key",
            detail,
            "",
        ),
    })
}

/// The same things that were refused, each reason once.
fn by_reason(refused: &[RefusalRecord]) -> Vec<Finding> {
    let mut reasons: BTreeMap<&str, (u64, &RefusalRecord)> = BTreeMap::new();
    for one in refused {
        let entry = reasons.entry(one.last.reason.as_str()).or_insert((0, one));
        entry.0 += one.times;
        if one.last.at > entry.1.last.at {
            entry.1 = one;
        }
    }
    let each = reasons.into_iter().map(|(reason, (times, last))| {
        let times = match times {
            1 => "Once".to_owned(),
            many => format!("{many} times"),
        };
        finding(
            Severity::Warning,
            format!("refused-{}", reason.replace('_', "-")),
            what(reason),
            format!("{times} in the last day; the last at {}", seen(last)),
            advice(reason).unwrap_or_default(),
        )
    });
    each.collect()
}

/// When, from where, as whom, and the detail.
fn seen(one: &RefusalRecord) -> String {
    let last = &one.last;
    let mut text = format!("{} from {}", time(last.at), last.peer);
    if !last.endpoint_id.is_empty() {
        text.push_str(&format!(" as {}", last.endpoint_id));
    }
    match last.detail.as_str() {
        "" => text.push('.'),
        detail => text.push_str(&format!(": {}.", detail.trim_end_matches('.'))),
    }
    text
}

/// One who was turned away, or who misbehaves.
fn turned_away(one: &RefusalRecord) -> Finding {
    let last = &one.last;
    let who = match last.endpoint_id.as_str() {
        "" => last.peer.as_str(),
        endpoint => endpoint,
    };
    let verb = if is_conduct(&last.reason) {
        "breaks the protocol"
    } else {
        "was refused"
    };
    let times = match one.times {
        1 => "Once".to_owned(),
        many => format!("{many} times since {}", time(one.first_at)),
    };
    finding(
        Severity::Problem,
        format!("device-{}", last.reason.replace('_', "-")),
        format!("{who} {verb}: {}", what(&last.reason)),
        format!("{times}; the last at {}", seen(one)),
        advice(&last.reason).unwrap_or_default(),
    )
}

/// Nobody was refused: either all is well, or nobody gets here.
async fn nobody(state: &State, caller: &Caller, at: Timestamp) -> Result<Finding> {
    let search = Search {
        filter: DeviceFilter {
            heard_after: Some(at.minus(SINCE)),
            ..DeviceFilter::default()
        },
        now: at,
        presence: state.presence(),
    };
    let (heard, more) = state.store.device_count(&caller.tenant, &search).await?;
    if heard > 0 {
        let more = if more { "More than " } else { "" };
        return Ok(finding(
            Severity::Ok,
            "no-refusals",
            "No connection was refused in the last day",
            format!("{more}{heard} devices were heard in that time."),
            "",
        ));
    }
    Ok(finding(
        Severity::Warning,
        "nobody-came",
        "No device has reached this server in the last day",
        format!(
            "None was heard and none was refused; the server runs since {}.",
            time(state.started_at)
        ),
        format!(
            "Check the way to the listener: the URL in the devices{}, name resolution, firewalls.",
            urls(state)
        ),
    ))
}

/// The devices somebody may mean, as they stand, each with its names.
async fn known(
    state: &State,
    caller: &Caller,
    wanted: &str,
    at: Timestamp,
) -> Result<Vec<(Finding, Vec<String>)>> {
    let search = Search {
        filter: DeviceFilter {
            q: Some(wanted.to_owned()),
            ..DeviceFilter::default()
        },
        now: at,
        presence: state.presence(),
    };
    let devices = state
        .store
        .device_list(
            &caller.tenant,
            &search,
            DeviceSort::default(),
            None,
            DOCTOR_DEVICES_MAX,
        )
        .await?;
    let mut all = Vec::with_capacity(devices.devices.len());
    for record in devices.devices {
        let presence = device_view::presence(&record.device.evidence, at, &state.presence());
        let word = match presence.word {
            PresenceWord::Online => "online",
            PresenceWord::Silent => "silent",
            PresenceWord::Offline => "offline",
            PresenceWord::Never => "has never come",
        };
        let since = presence.since.map(|since| format!(" since {since}"));
        let title = format!(
            "{} is registered and {word}{}",
            device_view::name(&record),
            since.unwrap_or_default()
        );
        let mut detail = match (&presence.evidence_at, record.address.as_str()) {
            (None, _) => "There is no sign of life of it.".to_owned(),
            (Some(at), "") => format!("Its last sign of life: {at}."),
            (Some(at), from) => format!("Its last sign of life: {at}, from {from}."),
        };
        let online = presence.word == PresenceWord::Online;
        let mut remedy = String::new();
        if !online {
            let (reason, advice) =
                reach::explain(state, caller, &record, presence.word, at).await?;
            detail = format!("{detail} {reason}");
            remedy = advice;
        }
        let (severity, code) = match presence.word {
            PresenceWord::Online => (Severity::Ok, "device-online"),
            PresenceWord::Silent => (Severity::Warning, "device-silent"),
            PresenceWord::Offline => (Severity::Warning, "device-offline"),
            PresenceWord::Never => (Severity::Warning, "device-never-seen"),
        };
        let names = doctor::names(state, &caller.tenant, record.device.id).await?;
        all.push((finding(severity, code, title, detail, remedy), names));
    }
    Ok(all)
}
