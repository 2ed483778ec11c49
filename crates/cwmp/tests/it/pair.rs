//! Both ends in one thread with a clock of their own and a link that loses, repeats and breaks at
//! each point: nothing that was acknowledged is lost, nothing that must not happen twice does.

use std::fmt::Write;

use cwmp::acs::{self, PeerError};
use cwmp::cpe;
use cwmp::event::{Cause, EventCode};
use cwmp::fault::{Fault, FaultCode};
use cwmp::rpc::*;
use cwmp::soap::Envelope;
use cwmp::transcript;

use crate::support::*;

/// What happens to one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Good,
    /// The POST does not arrive.
    LosePost,
    /// The POST arrives, its answer does not.
    LoseAnswer,
    /// The POST arrives twice, as from an HTTP client that repeats it by itself.
    Repeat,
    /// The same over another connection.
    RepeatAnew,
    /// The answer is cut in the middle.
    CutAnswer,
}

pub struct Pair {
    clock: Clock,
    pub seconds: u64,
    acs: acs::Session,
    pub cpe: cpe::Session,
    pub log: String,
    /// What the operator still wants.
    pub wanted: Vec<Request>,
    current: Option<Request>,
    /// What the CPE was asked for, in order.
    pub executed: Vec<Request>,
    /// What became of each request of the ACS.
    pub outcomes: Vec<(Method, Result<Response, PeerError>)>,
    /// The reports that the ACS has stored.
    pub stored: Vec<Request>,
    pub informs: Vec<Inform>,
    pub exchanges: usize,
    /// What happens to which exchange.
    pub fault: Option<(usize, Link)>,
    device: fn(&Request) -> Result<Response, Fault>,
}

impl Pair {
    pub fn new(device: fn(&Request) -> Result<Response, Fault>) -> Self {
        Self::with(
            acs::Config::default(),
            cpe::Config::new(device_id()),
            device,
        )
    }

    pub fn with(
        acs: acs::Config,
        cpe: cpe::Config,
        device: fn(&Request) -> Result<Response, Fault>,
    ) -> Self {
        let clock = Clock::new();
        let mut cpe = cpe::Session::new(cpe, 7);
        cpe.set_clock(clock.at(0), 1_767_225_600);
        Self {
            acs: acs_with(&clock, acs),
            clock,
            seconds: 0,
            cpe,
            log: String::new(),
            wanted: vec![],
            current: None,
            executed: vec![],
            outcomes: vec![],
            stored: vec![],
            informs: vec![],
            exchanges: 0,
            fault: None,
            device,
        }
    }

    pub fn now(&self) -> std::time::Instant {
        self.clock.at(self.seconds)
    }

    fn say(&mut self, who: &str, what: &str) {
        let mut lines = what.lines();
        let first = lines.next().unwrap_or_default();
        writeln!(self.log, "{:4}s {who}: {first}", self.seconds).unwrap();
        for line in lines {
            writeln!(self.log, "         {line}").unwrap();
        }
    }

    fn say_body(&mut self, who: &str, body: &[u8], empty: &str) {
        match body {
            [] => self.say(who, empty),
            body => {
                let envelope: Envelope = read(body).masked(&transcript::is_secret_name);
                self.say(who, &transcript::text(&envelope));
            }
        }
    }

    /// Goes on until nothing is left to do but to wait for longer than `horizon` seconds.
    pub fn run(&mut self, horizon: u64) {
        for _ in 0..10_000 {
            if self.step() {
                continue;
            }
            let due = [self.cpe.poll_timeout(), self.acs.poll_timeout()]
                .into_iter()
                .flatten()
                .min();
            let Some(wait) = due.map(|due| due.saturating_duration_since(self.now())) else {
                return;
            };
            let seconds = wait.as_secs_f64().ceil() as u64;
            if self.seconds + seconds > horizon {
                return;
            }
            self.seconds += seconds;
            self.cpe.handle_timeout(self.now());
            self.acs.handle_timeout(self.now());
            self.acs_events();
        }
        panic!("no rest:\n{}", self.log);
    }

    fn step(&mut self) -> bool {
        let now = self.now();
        if let Some(event) = self.cpe.poll_event() {
            match event {
                cpe::Event::Starting => self.cpe.inform(now, forced()).unwrap(),
                cpe::Event::Requested { token, request } => {
                    self.executed.push(request.clone());
                    self.cpe
                        .respond(now, token, (self.device)(&request))
                        .unwrap();
                }
                cpe::Event::Ended {
                    result: Err(why),
                    retry_in,
                } => {
                    let again = retry_in.map_or("it is over".into(), |wait| {
                        format!("again in {} s", wait.as_secs())
                    });
                    self.say("CPE", &format!("({why}; {again})"));
                }
                cpe::Event::Ended { .. } | cpe::Event::Reported { .. } | cpe::Event::Unexpected => {
                }
            }
            return true;
        }
        match self.cpe.poll_transmit() {
            Some(cpe::Transmit::Post(body)) => self.exchange(&body),
            Some(cpe::Transmit::Close) => {
                self.say("CPE", "(closes)");
                self.acs.connection_closed();
                self.acs_events();
            }
            None => return false,
        }
        true
    }

    fn exchange(&mut self, body: &[u8]) {
        self.say_body("CPE", body, "(nothing to ask)");
        let link = match self.fault {
            // Empty and on the same connection it says that the CPE lacks the method: see `acs`.
            Some((_, Link::Repeat)) if body.is_empty() => Link::Good,
            Some((at, link)) if at == self.exchanges => link,
            _ => Link::Good,
        };
        self.exchanges += 1;
        if link == Link::LosePost {
            return self.cpe.connection_failed(self.now());
        }
        let mut reply = self.deliver(body);
        if matches!(link, Link::Repeat | Link::RepeatAnew) {
            if link == Link::RepeatAnew {
                self.acs.connection_closed();
            }
            reply = self.deliver(body);
        }
        self.say_body(
            "ACS",
            &reply.body,
            if reply.status == 204 {
                "(nothing more)"
            } else {
                "(refuses)"
            },
        );
        let now = self.now();
        if link == Link::LoseAnswer {
            self.acs.connection_closed();
            self.acs_events();
            return self.cpe.connection_failed(now);
        }
        let mut body = &*reply.body;
        if link == Link::CutAnswer {
            body = &body[..body.len() / 2];
        }
        let reply = cpe::Reply {
            status: reply.status,
            body,
            content_type: None,
        };
        self.cpe.handle_input(now, reply).unwrap();
    }

    fn deliver(&mut self, body: &[u8]) -> acs::Reply {
        let now = self.now();
        if self.acs.handle_input(now, acs::Post::new(body)).is_err() {
            return acs::Reply::refused();
        }
        self.acs_events();
        self.acs.poll_transmit().expect("each POST is answered")
    }

    fn acs_events(&mut self) {
        let now = self.now();
        while let Some(event) = self.acs.poll_event() {
            match event {
                acs::Event::Informed { token, inform, .. } => {
                    self.informs.push(*inform);
                    self.acs.acknowledge(now, token).unwrap();
                }
                acs::Event::Requested { token, request, .. } => {
                    self.stored.push(request);
                    self.acs.acknowledge(now, token).unwrap();
                }
                acs::Event::Turn => match self.wanted.is_empty() {
                    true => self.acs.finish(now).unwrap(),
                    false => {
                        let request = self.wanted.remove(0);
                        self.current = Some(request.clone());
                        self.acs.request(now, request).unwrap();
                    }
                },
                acs::Event::Answered { result, .. } => {
                    let request = self.current.take().unwrap();
                    let again = match &result {
                        Err(PeerError::NotSent) => true,
                        Err(PeerError::Lost) => request.method().is_repeatable(),
                        _ => false,
                    };
                    if again {
                        self.wanted.insert(0, request);
                    } else {
                        self.outcomes.push((request.method(), result));
                    }
                }
                acs::Event::Ended(why) if why != acs::End::Complete => {
                    self.say("ACS", &format!("(ends: {why:?})"));
                }
                _ => {}
            }
        }
    }
}

/// A device that does all that is asked.
pub fn obedient(request: &Request) -> Result<Response, Fault> {
    Ok(match request {
        Request::GetParameterValues(_) => GetParameterValuesResponse {
            parameters: forced(),
        }
        .into(),
        Request::AddObject(_) => AddObjectResponse {
            instance_number: InstanceNumber(3),
            status: 0,
        }
        .into(),
        Request::Reboot(_) => RebootResponse {}.into(),
        Request::Download(_) => DownloadResponse {
            status: 1,
            ..DownloadResponse::default()
        }
        .into(),
        _ => return Err(Fault::plain(FaultCode::METHOD_NOT_SUPPORTED)),
    })
}

fn busy() -> Pair {
    let mut pair = Pair::new(obedient);
    pair.wanted = vec![
        GetParameterValues {
            names: vec!["Device.".into()],
        }
        .into(),
        AddObject {
            object_name: "Device.X.".into(),
            ..AddObject::default()
        }
        .into(),
        Download::default().into(),
        SetVouchers::default().into(),
        GetParameterValues {
            names: vec!["Device.Y.".into()],
        }
        .into(),
    ];
    pair.cpe.boot(pair.now(), true).unwrap();
    for (key, cause) in [("a", Cause::Download), ("b", Cause::Upload)] {
        let report = TransferComplete {
            command_key: key.into(),
            ..TransferComplete::default()
        };
        pair.cpe
            .transfer_complete(pair.now(), report, cause)
            .unwrap();
    }
    pair
}

/// What must hold whatever the link did.
fn check(pair: &Pair, when: &str) {
    let log = &pair.log;
    for key in ["a", "b"] {
        let stored = pair.stored.iter().filter(|report| {
            matches!(report, Request::TransferComplete(report) if report.command_key == key)
        });
        assert!(stored.count() >= 1, "{when}: {key} was not stored\n{log}");
    }
    assert_eq!(
        (
            pair.cpe.reports_pending(),
            pair.cpe.events_pending().count()
        ),
        (0, 0),
        "{when}\n{log}"
    );
    assert_eq!(pair.cpe.retry_count(), 0, "{when}\n{log}");
    let bootstrapped = pair
        .informs
        .iter()
        .any(|inform| inform.has(&EventCode::Bootstrap));
    assert!(bootstrapped, "{when}\n{log}");
    for method in [Method::AddObject, Method::Download] {
        let executed = pair
            .executed
            .iter()
            .filter(|request| request.method() == method)
            .count();
        let (_, outcome) = pair
            .outcomes
            .iter()
            .find(|(known, _)| *known == method)
            .unwrap();
        assert!(
            executed <= 1,
            "{when}: {method} was done {executed} times\n{log}"
        );
        match outcome {
            Ok(_) => assert_eq!(executed, 1, "{when}\n{log}"),
            // Either may be true: who asked has to look.
            Err(error) => assert!(error.may_have_happened(), "{when}: {error}\n{log}"),
        }
    }
    let read = pair
        .outcomes
        .iter()
        .filter(|(method, _)| *method == Method::GetParameterValues);
    assert_eq!(
        read.filter(|(_, outcome)| outcome.is_ok()).count(),
        2,
        "{when}\n{log}"
    );
    assert!(pair.wanted.is_empty(), "{when}\n{log}");
}

#[test]
fn a_good_link_does_everything_once() {
    let mut pair = busy();
    pair.run(1000);
    check(&pair, "good");
    assert_eq!(
        (pair.informs.len(), pair.stored.len(), pair.outcomes.len()),
        (1, 2, 5)
    );
    assert_eq!(pair.exchanges, 9);
}

#[test]
fn nothing_is_lost_or_done_twice_wherever_the_link_fails() {
    for link in [
        Link::LosePost,
        Link::LoseAnswer,
        Link::Repeat,
        Link::RepeatAnew,
        Link::CutAnswer,
    ] {
        for at in 0..9 {
            let mut pair = busy();
            pair.fault = Some((at, link));
            pair.run(1000);
            // When the session broke under the last requests, the next contact brings the rest.
            for seconds in [2000, 3000] {
                pair.seconds = seconds;
                pair.cpe
                    .raise(pair.now(), EventStruct::new(EventCode::ConnectionRequest))
                    .unwrap();
                pair.run(seconds + 900);
            }
            check(&pair, &format!("{link:?} at {at}"));
        }
    }
}

#[test]
fn a_held_cpe_reports_after_the_acs_has_asked() {
    let config = acs::Config {
        hold_requests: true,
        ..acs::Config::default()
    };
    let mut pair = Pair::with(config, cpe::Config::new(device_id()), obedient);
    let template = busy();
    pair.wanted = template.wanted;
    pair.cpe.boot(pair.now(), false).unwrap();
    pair.cpe
        .report(pair.now(), RequestDownload::default())
        .unwrap();
    pair.run(1000);
    assert_eq!(
        (pair.informs.len(), pair.outcomes.len(), pair.stored.len()),
        (1, 5, 1)
    );
    assert_eq!(pair.cpe.reports_pending(), 0);
}
