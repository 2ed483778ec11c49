//! Two endpoints with certificates of one authority, and what becomes of it when one of them has another.

use std::{path::Path, sync::Arc, time::Duration, time::Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use usp::codec::decode_record;
use usp::context::{Config, Event as ContextEvent, Failure, Mode, Payload, Status};
use usp::msg::{self, Response};
use usp::record::{PayloadSecurity, RecordType, WebSocketConnectRecord};
use usp::session::{Ignored, Signatures};
use usp::{Record, agent, controller};

use super::*;
use crate::tls::authority::{Authority, KeyOf};
use crate::tls::development::DevelopmentCa;

const ACS: &str = "self::acs";
const CPE: &str = "os::00256D-1";

fn eid(id: &str) -> EndpointId {
    EndpointId::parse(id).unwrap()
}

/// Somebody who issues certificates.
struct Site {
    ca: DevelopmentCa,
    dir: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = DevelopmentCa::open_or_create(dir.path()).unwrap();
        Self { ca, dir }
    }

    /// Certificates are made for one side of TLS or the other, and serve both here.
    fn files(&self, id: &str) -> CredentialConfig {
        let issued = match id {
            ACS => self.ca.server(&["acs.example".to_owned()], &eid(id)),
            other => self.ca.client("client", &eid(other)),
        };
        let issued = issued.unwrap();
        CredentialConfig {
            certificate: issued.certificate,
            key: issued.key,
            authorities: self.ca.certificate(),
            pki: None,
        }
    }

    fn credential(&self, id: &str) -> Credential {
        Credential::load(&self.files(id), &eid(id)).unwrap()
    }
}

/// A controller and an agent, both insisting on encrypted contexts, and on records that prove themselves if wanted.
struct Pair {
    controller: controller::Session,
    agent: agent::Session,
    now: Instant,
    records: Vec<Record>,
    ignored: Vec<Ignored>,
    contexts: Vec<ContextEvent>,
    answered: Vec<Response>,
    notified: usize,
}

impl Pair {
    fn new(acs: Credential, cpe: Credential, mode: [Mode; 2], sign: bool) -> Self {
        Self::with(acs, cpe, mode, sign, Payload::Tls)
    }

    /// With a controller that takes such contexts.
    fn with(
        acs: Credential,
        cpe: Credential,
        mode: [Mode; 2],
        sign: bool,
        payload: Payload,
    ) -> Self {
        let signatures = match sign {
            true => Signatures::Demand,
            false => Signatures::Disregard,
        };
        let used = |identity: Credential, mode, payload| {
            Arc::new(Config {
                mode,
                payload,
                record_bytes_max: 2000,
                sign,
                identity: Some(Arc::new(identity)),
                ..Config::default()
            })
        };
        let [of_acs, of_cpe] = mode;
        let config = controller::Config {
            signatures,
            contexts: used(acs, of_acs, payload),
            ..controller::Config::default()
        };
        let agent = agent::Config {
            signatures,
            contexts: used(cpe, of_cpe, Payload::Tls),
            ..agent::Config::default()
        };
        let now = Instant::now();
        let mut pair = Self {
            controller: controller::Session::new(Arc::new(config), eid(ACS), eid(CPE), 1),
            agent: agent::Session::new(&agent, eid(CPE), eid(ACS), 2),
            now,
            records: Vec::new(),
            ignored: Vec::new(),
            contexts: Vec::new(),
            answered: Vec::new(),
            notified: 0,
        };
        pair.agent.channel_opened(now, WebSocketConnectRecord {});
        pair
    }

    /// With an agent that insists on encrypted contexts, and a controller that has been asked nothing else yet.
    fn secured(payload: Payload) -> Self {
        let site = Site::new();
        let (acs, cpe) = (site.credential(ACS), site.credential(CPE));
        let mut pair = Self::with(acs, cpe, [Mode::Allow, Mode::Require], false, payload);
        pair.ask(2);
        assert!(pair.controller.context_is_encrypted());
        assert_eq!(pair.answered.len(), 1);
        (pair.records, pair.contexts) = (Vec::new(), Vec::new());
        pair.now += Duration::from_secs(60);
        pair
    }

    /// Somebody on the way says this in the agent's name.
    fn forge(&mut self, content: impl Into<RecordType>) {
        let record = usp::Record::new(usp::Version::V1_4, &eid(CPE), &eid(ACS), content);
        let bytes = usp::codec::encode_record(&record);
        self.controller.handle_input(self.now, &bytes).unwrap();
    }

    fn told(&mut self) -> Vec<controller::Event> {
        std::iter::from_fn(|| self.controller.poll_event()).collect()
    }

    /// The agent starts anew, over the same channel.
    fn restart(&mut self, mode: Mode, identity: Option<Credential>) {
        let contexts = Config {
            mode,
            payload: Payload::Tls,
            identity: identity.map(|identity| Arc::new(identity) as _),
            ..Config::default()
        };
        let config = agent::Config {
            signatures: Signatures::Disregard,
            contexts: Arc::new(contexts),
            ..agent::Config::default()
        };
        self.agent = agent::Session::new(&config, eid(CPE), eid(ACS), 3);
        self.agent
            .channel_opened(self.now, WebSocketConnectRecord {});
    }

    /// A question of the controller's, and what comes of it within so many seconds.
    fn ask(&mut self, seconds: u64) {
        let request = msg::get(["Device.DeviceInfo."]);
        let timeout = Duration::from_secs(60);
        self.controller.request(self.now, request, timeout).unwrap();
        for _ in 0..=seconds * 10 {
            self.settle();
            self.now += Duration::from_millis(100);
            self.controller.handle_timeout(self.now);
            self.agent.handle_timeout(self.now);
        }
    }

    fn settle(&mut self) {
        loop {
            let mut busy = false;
            while let Some(bytes) = self.agent.poll_transmit() {
                busy = true;
                self.records.push(decode_record(&bytes).unwrap());
                self.controller.handle_input(self.now, &bytes).unwrap();
            }
            while let Some(bytes) = self.controller.poll_transmit() {
                busy = true;
                self.records.push(decode_record(&bytes).unwrap());
                self.agent.handle_input(self.now, &bytes).unwrap();
            }
            while let Some(event) = self.controller.poll_event() {
                match event {
                    controller::Event::Ignored(why) => self.ignored.push(why),
                    controller::Event::Context(event) => self.contexts.push(event),
                    controller::Event::Answered { result, .. } => {
                        self.answered.extend(result.ok());
                    }
                    controller::Event::Notified { token, .. } => {
                        self.notified += 1;
                        self.controller.acknowledge(token).unwrap();
                    }
                    _ => {}
                }
            }
            while let Some(event) = self.agent.poll_event() {
                match event {
                    agent::Event::Requested { token, .. } => {
                        let value = "a value that is long enough for some records ".repeat(100);
                        let params = usp::Map::from([("Description".to_owned(), value)]);
                        let result = msg::RequestedPathResult {
                            requested_path: "Device.DeviceInfo.".into(),
                            resolved_path_results: vec![msg::ResolvedPathResult {
                                resolved_path: "Device.DeviceInfo.".into(),
                                result_params: params,
                            }],
                            ..msg::RequestedPathResult::default()
                        };
                        let response = msg::GetResp {
                            req_path_results: vec![result],
                        };
                        self.agent.respond(token, Ok(response.into())).unwrap();
                    }
                    agent::Event::Ignored(why) => self.ignored.push(why),
                    agent::Event::Context(event) => self.contexts.push(event),
                    _ => {}
                }
            }
            if !busy {
                break;
            }
        }
    }

    /// What went outside of session contexts.
    fn plain_messages(&self) -> Vec<usp::Msg> {
        let plain = self
            .records
            .iter()
            .filter_map(|record| match &record.record_type {
                RecordType::NoSessionContext(content) => Some(&content.payload),
                _ => None,
            });
        plain
            .map(|payload| usp::codec::decode_msg(payload).unwrap())
            .collect()
    }

    fn tls_failures(&self) -> Vec<String> {
        let failed = self.contexts.iter().filter_map(|event| match event {
            ContextEvent::Failed(Failure::Tls(why)) => Some(why.clone()),
            _ => None,
        });
        failed.collect()
    }

    fn bad_signatures(&self) -> Vec<String> {
        let bad = self.ignored.iter().filter_map(|ignored| match ignored {
            Ignored::BadSignature(why) => Some(why.clone()),
            _ => None,
        });
        bad.collect()
    }
}

/// R-E2E.29 to .43; TP-469 3.4: signatures while keys are exchanged, MACs and encryption afterwards, whoever opens the context.
#[test]
fn endpoints_speak_tls_and_prove_their_records_whoever_opens_the_context() {
    let site = Site::new();
    for mode in [[Mode::Require, Mode::Allow], [Mode::Allow, Mode::Require]] {
        for version in [&TLS13, &TLS12] {
            let mut acs = site.credential(ACS);
            acs.versions = vec![version];
            let mut pair = Pair::new(acs, site.credential(CPE), mode, true);
            pair.ask(2);
            assert_eq!(pair.answered.len(), 1, "{:?}", pair.contexts);
            assert_eq!(pair.ignored, []);
            assert_eq!(pair.controller.context_status(), Status::Up);
            let contexts = pair.records.iter().filter_map(|record| {
                let content = match &record.record_type {
                    RecordType::SessionContext(content) => content,
                    _ => return None,
                };
                assert_eq!(record.payload_security, PayloadSecurity::TLS12);
                let text: Vec<u8> = content.payload.concat();
                let secret = text.windows(6).any(|part| part == b"Device");
                assert!(!secret, "{record:?}");
                Some((record.sender_cert.is_empty(), record.mac_signature.len()))
            });
            let contexts: Vec<_> = contexts.collect();
            let signed = contexts.iter().take_while(|(mac, _)| !mac).count();
            assert!(signed >= 3 && contexts.len() > signed + 3, "{contexts:?}");
            assert!(contexts[signed..].iter().all(|of| *of == (true, 32)));
        }
    }
}

/// R-E2E.43; TP-469 2.7, 3.3, 3.7: certificates are for an endpoint, and issued by somebody who is believed.
#[test]
fn a_certificate_of_another_endpoint_or_authority_opens_no_context() {
    let (site, stranger) = (Site::new(), Site::new());
    for (issuer, id, why) in [
        (&stranger, CPE, "BadSignature"),
        (&site, "os::00256D-2", "not for os::00256D-1"),
    ] {
        for signed in [true, false] {
            let modes = [Mode::Require, Mode::Allow];
            let mut cpe = issuer.credential(id);
            // It believes our authority, as a thief would.
            cpe.trust = site.credential(ACS).trust;
            let mut pair = Pair::new(site.credential(ACS), cpe, modes, signed);
            pair.ask(1);
            assert!(pair.answered.is_empty());
            let told = match signed {
                true => pair.bad_signatures(),
                false => pair.tls_failures(),
            };
            assert!(told.iter().any(|of| of.contains(why)), "{told:?}");
        }
    }
}

/// R-E2E.30, .31
#[test]
fn a_signature_counts_for_what_it_covers_and_who_made_it() {
    let site = Site::new();
    let (cpe, acs) = (site.credential(CPE), site.credential(ACS));
    let signature = cpe.sign(b"covered").unwrap();
    let by = |from: &str, certificate: &[u8], covered: &[u8], signature: &[u8]| {
        acs.verify(&eid(from), certificate, covered, signature)
    };
    let shown = |one: &Credential| Ok(crate::tls::fingerprint(&one.own.cert[0]));
    let signed = by(CPE, cpe.certificate(), b"covered", &signature);
    assert_eq!(signed, shown(&cpe));
    // Who is a server in TLS signs as well.
    let other = acs.sign(b"covered").unwrap();
    let signed = by(ACS, acs.certificate(), b"covered", &other);
    assert_eq!(signed, shown(&acs));
    let mut forged = signature.clone();
    forged[10] ^= 1;
    let mut long = cpe.certificate().to_vec();
    long.resize(SENDER_CERTIFICATE_BYTES_MAX + 1, b' ');
    let chain = cpe.certificate().repeat(SENDER_CERTIFICATES_MAX + 1);
    for (from, certificate, covered, signature, why) in [
        (
            CPE,
            cpe.certificate(),
            &b"coverec"[..],
            &signature,
            "not by the key",
        ),
        (
            CPE,
            cpe.certificate(),
            b"covered",
            &forged,
            "not by the key",
        ),
        (CPE, cpe.certificate(), b"covered", &other, "not by the key"),
        (CPE, acs.certificate(), b"covered", &other, "not for os::"),
        (CPE, b"", b"covered", &signature, "without certificate"),
        (
            CPE,
            &long,
            b"covered",
            &signature,
            "SENDER_CERTIFICATE_BYTES_MAX",
        ),
        (
            CPE,
            &chain,
            b"covered",
            &signature,
            "SENDER_CERTIFICATES_MAX",
        ),
    ] {
        let error = by(from, certificate, covered, signature).unwrap_err();
        assert!(error.contains(why), "{error}, and not {why}");
    }
}

/// R-E2E.40b
#[test]
fn a_credential_that_no_peer_would_accept_is_refused_at_once() {
    let site = Site::new();
    let mut files = site.files(CPE);
    let load = |files: &CredentialConfig| {
        let loaded = Credential::load(files, &eid(CPE));
        loaded.err().unwrap().to_string()
    };
    assert!(load(&site.files(ACS)).contains("urn:bbf:usp:id:os::00256D-1"));
    let put = |name: &str, pair: &KeyPair| {
        let path = site.dir.path().join(name);
        std::fs::write(&path, pair.serialize_pem()).unwrap();
        path
    };
    files.key = put(
        "p384",
        &KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(),
    );
    assert!(load(&files).contains("P-256"), "{}", load(&files));
    files.key = put("another", &KeyPair::generate().unwrap());
    assert!(load(&files).contains("the key of the certificate"));
    files.key = Path::new("/nowhere/at/all").to_owned();
    assert!(load(&files).contains("/nowhere"));
}

/// Whoever reads it ends the context then.
#[test]
fn bytes_that_are_no_tls_or_end_it_are_an_error() {
    let site = Site::new();
    for client in [true, false] {
        let credential = site.credential(ACS);
        let mut channel = credential.channel(client, &eid(CPE)).unwrap();
        assert!(channel.read(b"GET / HTTP/1.1\r\n\r\n").is_err());
        let mut channel = credential.channel(client, &eid(CPE)).unwrap();
        // A fatal alert: handshake_failure.
        assert!(channel.read(&[21, 3, 3, 0, 2, 2, 40]).is_err());
        assert_eq!(channel.mac(b"covered"), None);
    }
}

/// TP-469 2.8
#[test]
fn a_certificate_that_has_expired_counts_for_nothing() {
    let site = Site::new();
    let (acs, cpe) = (site.credential(ACS), site.credential(CPE));
    let leaf = &cpe.own.cert[0];
    let judge = acs.trust.judge(&eid(CPE));
    let day = Duration::from_secs(24 * 3600);
    let in_days = |days: u32| {
        let at = rustls_pki_types::UnixTime::now().as_secs();
        rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_secs(at) + day * days)
    };
    assert_eq!(judge.verify(leaf, &[], in_days(1)), Ok(()));
    let expired = judge.verify(leaf, &[], in_days(1000)).unwrap_err();
    assert!(expired.to_string().contains("expired"), "{expired}");
}

/// A MAC stands for a signature, so one that nobody can look at must count for nothing: not as the end of the context there
/// is, and not as a sign of life.
#[test]
fn a_record_with_a_mac_and_a_session_id_out_of_nowhere_changes_nothing() {
    let site = Site::new();
    let (acs, cpe) = (site.credential(ACS), site.credential(CPE));
    let mut pair = Pair::new(acs, cpe, [Mode::Require, Mode::Allow], true);
    pair.ask(2);
    assert_eq!(pair.controller.context_status(), Status::Up);
    let sealed = |record: &&Record| record.from_id == CPE && record.sender_cert.is_empty();
    let genuine = pair.records.iter().rfind(sealed).unwrap().clone();
    let heard = pair.controller.heard();
    assert!(heard.is_some());
    pair.contexts.clear();
    pair.now += Duration::from_secs(1);
    for (session_id, sequence_id) in [(0, 1), (1, 1), (7, 1), (u64::MAX, 1), (8, 2)] {
        let mut forged = genuine.clone();
        let RecordType::SessionContext(content) = &mut forged.record_type else {
            panic!("{forged:?}");
        };
        (content.session_id, content.sequence_id) = (session_id, sequence_id);
        let forged = usp::codec::encode_record(&forged);
        pair.controller.handle_input(pair.now, &forged).unwrap();
    }
    // Nor one of ours whose signature is another's.
    let connect = WebSocketConnectRecord {};
    let mut connect = usp::Record::new(usp::Version::V1_4, &eid(CPE), &eid(ACS), connect);
    connect.mac_signature = vec![1; 64];
    connect.sender_cert = b"nobody".to_vec();
    let connect = usp::codec::encode_record(&connect);
    pair.controller.handle_input(pair.now, &connect).unwrap();
    assert_eq!(pair.controller.heard(), heard);
    pair.ask(2);
    assert_eq!(pair.contexts, []);
    assert_eq!(pair.answered.len(), 2);
    assert!(pair.controller.heard() > heard);
}

/// R-E2E.18, .19, .43: where signatures are not demanded, what is in plain text may be anybody's on the way. It does not
/// take the place of what the peer has encrypted, nor does it come beside that, whatever the policy allows at first.
#[test]
fn what_was_encrypted_once_is_not_replaced_by_plain_text() {
    for payload in [Payload::Tls, Payload::Either] {
        let site = Site::new();
        let (acs, cpe) = (site.credential(ACS), site.credential(CPE));
        let modes = [Mode::Allow, Mode::Require];
        let mut pair = Pair::with(acs, cpe, modes, false, payload);
        pair.ask(2);
        assert!(pair.controller.context_is_encrypted());
        assert_eq!(pair.answered.len(), 1);
        pair.contexts.clear();
        let request = usp::Msg::request("1", msg::get(["Device."]));
        let request = usp::codec::encode_msg(&request);
        let forged = |content: RecordType| {
            let record = usp::Record::new(usp::Version::V1_4, &eid(CPE), &eid(ACS), content);
            usp::codec::encode_record(&record)
        };
        let context = |session_id| {
            let content = usp::record::SessionContextRecord {
                session_id,
                sequence_id: 1,
                expected_id: 1,
                payload: vec![request.clone()],
                ..Default::default()
            };
            forged(RecordType::SessionContext(content))
        };
        pair.now += Duration::from_secs(60);
        for session_id in [0, 1, 7, u64::MAX] {
            let forged = context(session_id);
            pair.controller.handle_input(pair.now, &forged).unwrap();
        }
        let beside = usp::record::NoSessionContextRecord::new(request.clone());
        let beside = forged(RecordType::NoSessionContext(beside));
        pair.controller.handle_input(pair.now, &beside).unwrap();
        let told = pair.told();
        let refused = controller::Event::Ignored(Ignored::NoSessionContext);
        assert_eq!(told, [refused], "{payload:?}");
        pair.settle();
        assert!(pair.controller.context_is_encrypted());
        // Somebody ends it, or goes on until it ends: the next one is encrypted, too.
        let end = usp::record::DisconnectRecord::new(usp::ErrorCode::SESSION_CONTEXT_ENDED, "x");
        let end = forged(RecordType::Disconnect(end));
        let many: Vec<_> = (0..2 * usp::limits::CONTEXT_LATE_MAX)
            .map(|n| context(u64::from(n) + 2))
            .collect();
        for forged in [vec![end], many] {
            pair.records.clear();
            let before = pair.answered.len();
            for forged in forged {
                pair.controller.handle_input(pair.now, &forged).unwrap();
            }
            pair.ask(30);
            assert_eq!(
                pair.answered.len(),
                before + 1,
                "{payload:?} {:?}",
                pair.contexts
            );
            assert!(pair.controller.context_is_encrypted());
            assert!(
                pair.records
                    .iter()
                    .all(|record| { record.payload_security == PayloadSecurity::TLS12 })
            );
        }
    }
}

/// R-E2E.18, .19: who forges one record, a Connect or a Disconnect, does not have the rest in plain text.
#[test]
fn what_was_encrypted_once_stays_so_when_somebody_says_that_the_agent_leaves_or_starts() {
    let connect = || RecordType::from(WebSocketConnectRecord {});
    let leave = usp::record::DisconnectRecord::new(usp::ErrorCode::REQUEST_DENIED, "x");
    for payload in [Payload::Tls, Payload::Either] {
        for said in [vec![connect()], vec![leave.clone().into(), connect()]] {
            let mut pair = Pair::secured(payload);
            for content in said {
                pair.forge(content);
                let request = usp::codec::encode_msg(&usp::Msg::request("1", msg::get(["A."])));
                let plain = usp::record::NoSessionContextRecord::new(request);
                pair.forge(plain);
            }
            let told = pair.told();
            let refused = controller::Event::Ignored(Ignored::NoSessionContext);
            assert!(told.contains(&refused), "{told:?}");
            pair.ask(30);
            assert_eq!(pair.answered.len(), 2, "{payload:?} {:?}", pair.contexts);
            assert!(pair.controller.context_is_encrypted());
            let plain = pair.plain_messages();
            // What was forged is answered as it came: that it is refused.
            assert!(
                plain
                    .iter()
                    .all(|msg| matches!(msg.body, usp::msg::Body::Error(_))),
                "{plain:?}"
            );
        }
    }
}

/// R-MSG.0a: the message ids of requests can be guessed.
#[test]
fn an_answer_in_plain_text_is_none_to_what_was_asked_in_an_encrypted_context() {
    let mut pair = Pair::secured(Payload::Either);
    let timeout = Duration::from_secs(60);
    let request = msg::get(["Device.DeviceInfo."]);
    let asked = pair.controller.request(pair.now, request, timeout).unwrap();
    let sent: Vec<_> = std::iter::from_fn(|| pair.controller.poll_transmit()).collect();
    let id = pair.controller.msg_id(asked);
    let answer = usp::Msg::response(id.clone(), msg::GetResp::default());
    let error = usp::UspError::new(usp::ErrorCode::SECURE_SESSION_REQUIRED, "x");
    let mut broken = usp::codec::encode_msg(&answer);
    // A field that is cut off.
    broken.extend([0x12, 0x7f]);
    let error = usp::codec::encode_msg(&usp::Msg::error(id, error));
    for payload in [usp::codec::encode_msg(&answer), error, broken] {
        pair.forge(usp::record::NoSessionContextRecord::new(payload));
        let told = pair.told();
        let answered =
            |event: &controller::Event| matches!(event, controller::Event::Answered { .. });
        assert!(!told.iter().any(answered), "{told:?}");
    }
    assert_eq!(
        pair.controller.unanswered(),
        [(asked, controller::Sent::Yes)]
    );
    for bytes in sent {
        pair.agent.handle_input(pair.now, &bytes).unwrap();
    }
    // What the agent is asked, and what it answers.
    pair.settle();
    pair.settle();
    assert_eq!(pair.answered.len(), 2, "{:?}", pair.contexts);
}

/// R-MSG.0a: somebody else's answer would keep a notification from being sent until its controller has it.
#[test]
fn an_answer_in_plain_text_is_none_to_a_notification_that_went_encrypted() {
    let site = Site::new();
    let (acs, cpe) = (site.credential(ACS), site.credential(CPE));
    let modes = [Mode::Require, Mode::Allow];
    let mut pair = Pair::with(acs, cpe, modes, false, Payload::Tls);
    pair.ask(2);
    assert!(pair.controller.context_is_encrypted());
    let changed = msg::ValueChange {
        param_path: "Device.X".into(),
        param_value: "1".into(),
    };
    let note = msg::notify("s", changed);
    let retry = Some(usp::retry::RetryPolicy::default());
    pair.agent.notify(pair.now, note, retry).unwrap();
    let sent: Vec<_> = std::iter::from_fn(|| pair.agent.poll_transmit()).collect();
    for bytes in sent {
        pair.controller.handle_input(pair.now, &bytes).unwrap();
    }
    let heard = pair.told().into_iter().find_map(|event| match event {
        controller::Event::Notified { token, msg_id, .. } => Some((token, msg_id)),
        _ => None,
    });
    let (token, msg_id) = heard.unwrap();
    let answer = msg::NotifyResp {
        subscription_id: "s".into(),
    };
    let error = usp::UspError::new(usp::ErrorCode::REQUEST_DENIED, "x");
    for forged in [
        usp::Msg::response(msg_id.clone(), answer),
        usp::Msg::error(msg_id, error),
    ] {
        let forged = usp::record::NoSessionContextRecord::new(usp::codec::encode_msg(&forged));
        let forged = usp::Record::new(usp::Version::V1_4, &eid(ACS), &eid(CPE), forged);
        let forged = usp::codec::encode_record(&forged);
        pair.agent.handle_input(pair.now, &forged).unwrap();
        let told: Vec<_> = std::iter::from_fn(|| pair.agent.poll_event()).collect();
        let refused = agent::Event::Ignored(Ignored::NoSessionContext);
        assert_eq!(told, [refused]);
        assert_eq!(pair.agent.notifies_pending(), 1);
    }
    pair.controller.acknowledge(token).unwrap();
    pair.settle();
    assert_eq!(pair.agent.notifies_pending(), 0);
}

/// An agent that does not insist on session contexts opens none by itself when it starts anew.
#[test]
fn an_agent_that_starts_anew_over_the_same_channel_is_encrypted_with_again() {
    let site = Site::new();
    for insists in [Mode::Allow, Mode::Require] {
        let (acs, cpe) = (site.credential(ACS), site.credential(CPE));
        let modes = [Mode::Allow, Mode::Require];
        let mut pair = Pair::with(acs, cpe, modes, false, Payload::Either);
        pair.ask(2);
        pair.restart(insists, Some(site.credential(CPE)));
        let changed = msg::ValueChange {
            param_path: "Device.X".into(),
            param_value: "1".into(),
        };
        let note = msg::notify("s", changed);
        let retry = Some(usp::retry::RetryPolicy::default());
        pair.agent.notify(pair.now, note, retry).unwrap();
        pair.records.clear();
        pair.ask(30);
        assert_eq!(pair.answered.len(), 2, "{:?}", pair.contexts);
        assert!(pair.controller.context_is_encrypted());
        assert_eq!((pair.notified, pair.agent.notifies_pending()), (1, 0));
    }
}

/// Its link is to the broker: it stays when the agent comes back with other settings.
#[test]
fn an_agent_behind_a_broker_may_come_back_without_encryption() {
    let mut pair = Pair::secured(Payload::Either);
    pair.controller.channel_outlives_agent();
    pair.restart(Mode::Forbid, None);
    pair.ask(2);
    assert_eq!(pair.answered.len(), 2, "{:?}", pair.contexts);
    assert_eq!(pair.controller.context_status(), Status::Down);
}

/// They issue for others than devices as well.
#[test]
fn those_above_the_authority_for_devices_prove_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let ca = |name: &str| {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        (params, KeyPair::generate().unwrap())
    };
    let (params, key) = ca("above");
    let root = params.self_signed(&key).unwrap().pem();
    let above = Issuer::new(params, key);
    let (params, key) = ca("ours");
    let ours = params.signed_by(&key, &above).unwrap().pem();
    std::fs::write(at("chain.pem"), ours + &root).unwrap();
    std::fs::write(at("ours.key"), key.serialize_pem()).unwrap();
    let folder = at("pki");
    let ours = Authority::import(&folder, &at("chain.pem"), Some(&at("ours.key"))).unwrap();
    let good = ours.issue(&eid(CPE), 30, KeyOf::Fresh).unwrap();
    let good = CertificateDer::from_pem_slice(good.pem.as_bytes()).unwrap();
    let mut params = CertificateParams::new(vec![]).unwrap();
    let urn = eid(CPE).to_urn().try_into().unwrap();
    params.subject_alt_names.push(SanType::URI(urn));
    let key = KeyPair::generate().unwrap();
    let theirs = params.signed_by(&key, &above).unwrap().der().clone();

    let file = Authority::certificate_file(&folder);
    std::os::unix::fs::symlink(&file, at("link.pem")).unwrap();
    let counts = |authorities: &Path, pki: Option<&Path>, leaf| {
        let trust = Arc::new(Trust::load(authorities, pki).unwrap());
        trust.judge(&eid(CPE)).judge(leaf, &[]).is_ok()
    };
    for file in [&file, &at("link.pem")] {
        assert!(counts(file, Some(&folder.join("ca.pem")), &good));
        assert!(!counts(file, Some(&folder.join("ca.pem")), &theirs));
    }
    // Where the operator names them himself, they count.
    assert!(counts(&at("chain.pem"), Some(&file), &theirs));
    assert!(counts(&file, None, &theirs));
}

/// R-E2E.29; TP-469 3.2: who demands signatures hears nothing else, and answers nothing.
#[test]
fn an_unsigned_record_is_not_answered_where_signatures_are_demanded() {
    let site = Site::new();
    let (acs, cpe) = (site.credential(ACS), site.credential(CPE));
    let mut pair = Pair::new(acs, cpe, [Mode::Allow, Mode::Allow], true);
    let careless = controller::Session::new(Arc::default(), eid(ACS), eid(CPE), 1);
    pair.controller = careless;
    let connect = usp::Record::new(
        usp::Version::V1_4,
        &eid(CPE),
        &eid(ACS),
        WebSocketConnectRecord {},
    );
    let connect = usp::codec::encode_record(&connect);
    pair.controller.handle_input(pair.now, &connect).unwrap();
    pair.ask(1);
    assert!(
        pair.ignored.contains(&Ignored::Unsigned),
        "{:?}",
        pair.ignored
    );
    assert!(pair.answered.is_empty());
}
