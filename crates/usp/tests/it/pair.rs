//! Both sessions against each other, with a clock that only tests move and a link that loses
//! records and breaks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use usp::agent;
use usp::codec::decode_record;
use usp::context::{self, Config, Failure, Mode, Payload, Status};
use usp::controller::{self, PeerError, Sent};
use usp::msg::{self, Notification, Request, Response};
use usp::record::DisconnectRecord;
use usp::{ErrorCode, RetryPolicy, UspError, transcript};

use crate::random::Random;
use crate::support::*;
use crate::toy::Toy;

/// What the agent answers.
pub type Serve = fn(&Request) -> Result<Response, UspError>;

/// A controller and an agent in one thread.
pub struct Pair {
    pub now: Instant,
    start: Instant,
    pub controller: controller::Session,
    pub agent: agent::Session,
    pub serve: Serve,
    /// Percent of records that the link loses.
    pub loss: u64,
    pub random: Random,
    pub open: bool,
    pub controller_events: Vec<controller::Event>,
    pub agent_events: Vec<agent::Event>,
    /// The conversation as text.
    pub log: String,
    contexts: Arc<Config>,
}

impl Pair {
    pub fn new(seed: u64, serve: Serve) -> Self {
        Self::with(seed, serve, Config::default())
    }

    /// Both ends use session contexts.
    pub fn with(seed: u64, serve: Serve, contexts: Config) -> Self {
        let start = Instant::now();
        let contexts = Arc::new(contexts);
        let config = agent::Config {
            contexts: contexts.clone(),
            ..agent::Config::default()
        };
        Self {
            now: start,
            start,
            controller: Self::controller(0xc0, contexts.clone()),
            agent: agent::Session::new(&config, cpe(), acs(), seed),
            serve,
            loss: 0,
            random: Random::new(seed),
            open: false,
            controller_events: Vec::new(),
            agent_events: Vec::new(),
            log: String::new(),
            contexts,
        }
    }

    fn controller(ids: u64, contexts: Arc<Config>) -> controller::Session {
        let config = controller::Config {
            contexts,
            ..controller::Config::default()
        };
        controller::Session::new(Arc::new(config), acs(), cpe(), ids)
    }

    /// A fresh channel; the controller has a session for each.
    pub fn open(&mut self) {
        let ids = 0xc0 + self.random.below(1 << 40);
        self.controller = Self::controller(ids, self.contexts.clone());
        self.agent.channel_opened(self.now, connect());
        self.open = true;
    }

    pub fn close(&mut self) {
        self.agent.channel_closed(self.now);
        self.open = false;
    }

    fn write(&mut self, from: &str, bytes: &[u8], lost: bool) {
        let text = transcript::record(&decode_record(bytes).unwrap());
        let lost = if lost { " (lost)" } else { "" };
        let after = (self.now - self.start).as_secs();
        let mut lines = text.lines();
        self.log += &format!(
            "{after:>4}s {from}{lost}: {}\n",
            lines.next().unwrap_or_default()
        );
        lines.for_each(|line| self.log += &format!("       {line}\n"));
    }

    /// Moves records until both ends are quiet.
    pub fn settle(&mut self) {
        loop {
            let down = self.controller.poll_transmit().filter(|_| self.open);
            if let Some(bytes) = &down {
                let lost = self.random.percent(self.loss);
                self.write("controller", bytes, lost);
                if !lost {
                    self.agent.handle_input(self.now, bytes).unwrap();
                }
            }
            let up = self.agent.poll_transmit();
            if let Some(bytes) = &up {
                let lost = self.random.percent(self.loss);
                self.write("agent", bytes, lost);
                if !lost {
                    self.controller.handle_input(self.now, bytes).unwrap();
                }
            }
            if !self.events() && down.is_none() && up.is_none() {
                break;
            }
        }
    }

    fn events(&mut self) -> bool {
        let before = self.controller_events.len() + self.agent_events.len();
        while let Some(event) = self.controller.poll_event() {
            if let controller::Event::Notified { token, .. } = &event {
                self.controller.acknowledge(*token).unwrap();
            }
            self.controller_events.push(event);
        }
        while let Some(event) = self.agent.poll_event() {
            if let agent::Event::Requested { token, request, .. } = &event {
                self.agent.respond(*token, (self.serve)(request)).unwrap();
            }
            self.agent_events.push(event);
        }
        before != self.controller_events.len() + self.agent_events.len()
    }

    /// Lets time pass, stopping wherever an end wants to be woken.
    pub fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let due = [self.controller.poll_timeout(), self.agent.poll_timeout()]
                .into_iter()
                .flatten()
                .min();
            let next = due.unwrap_or(end).min(end).max(self.now);
            self.now = next;
            self.controller.handle_timeout(next);
            self.agent.handle_timeout(next);
            self.settle();
            if next == end {
                break;
            }
        }
    }
}

fn serve(request: &Request) -> Result<Response, UspError> {
    match request {
        Request::Get(get) => Ok(msg::GetResp {
            req_path_results: get
                .param_paths
                .iter()
                .map(|path| msg::RequestedPathResult {
                    requested_path: path.clone(),
                    ..Default::default()
                })
                .collect(),
        }
        .into()),
        _ => Err(UspError::new(usp::ErrorCode::REQUEST_DENIED, "only Get")),
    }
}

fn change(number: u64) -> msg::Notify {
    msg::notify(
        "s",
        msg::ValueChange {
            param_path: "Device.X".into(),
            param_value: number.to_string(),
        },
    )
}

/// R-NOT.1 to .4: whatever the link does, what is retried arrives; and every request ends once.
#[test]
fn over_a_bad_link_every_notification_arrives_and_every_request_ends_once() {
    let required = || Config {
        mode: Mode::Require,
        record_bytes_max: 512,
        retransmits_max: Some(5),
        lossy: true,
        ..Config::default()
    };
    for (seed, contexts) in (1..=60).map(|seed| match seed % 2 {
        0 => (seed, required()),
        _ => (seed, Config::default()),
    }) {
        let mut pair = Pair::with(seed, serve, contexts);
        pair.loss = 30;
        let mut asked = BTreeMap::new();
        let mut ended: Vec<String> = Vec::new();
        for round in 0..40 {
            if !pair.open && pair.random.percent(60) {
                // What the old session left unanswered ends with it.
                for (id, sent) in pair.controller.unanswered() {
                    ended.push(pair.controller.msg_id(id));
                    assert!(matches!(sent, Sent::Yes | Sent::No));
                }
                pair.open();
            } else if pair.open && pair.random.percent(10) {
                pair.close();
            }
            pair.agent
                .notify(pair.now, change(round), Some(RetryPolicy::default()))
                .unwrap();
            let id = pair
                .controller
                .request(
                    pair.now,
                    msg::get([format!("Device.{round}.")]),
                    seconds(20),
                )
                .unwrap();
            asked.insert(pair.controller.msg_id(id), round);
            pair.settle();
            pair.advance(seconds(3));
            collect_ended(&mut pair, &mut ended);
        }
        pair.loss = 0;
        for (id, _) in pair.controller.unanswered() {
            ended.push(pair.controller.msg_id(id));
        }
        pair.close();
        pair.open();
        pair.settle();
        pair.advance(seconds(3600));
        collect_ended(&mut pair, &mut ended);

        let arrived: BTreeSet<_> = pair.controller_events.iter().filter_map(value).collect();
        assert_eq!(arrived.len(), 40, "seed {seed}\n{}", pair.log);
        let delivered = |event: &&agent::Event| matches!(event, agent::Event::Delivered { .. });
        assert_eq!(
            pair.agent_events.iter().filter(delivered).count(),
            40,
            "seed {seed}"
        );
        assert_eq!(pair.agent.notifies_pending(), 0);
        ended.sort();
        assert_eq!(
            ended,
            asked.into_keys().collect::<Vec<_>>(),
            "seed {seed}\n{}",
            pair.log
        );
        assert_eq!(pair.controller.poll_timeout(), None);
    }
}

/// What an end that uses session contexts makes of them.
fn used(mode: Mode, payload: Payload) -> Config {
    Config {
        mode,
        payload,
        identity: Some(Arc::new(Toy::new(&cpe()))),
        ..Config::default()
    }
}

/// R-MSG.0a: the answer goes back in the kind of record that the question came in; R-E2E.4
#[test]
fn a_required_context_carries_everything_both_ways() {
    for payload in [Payload::Plaintext, Payload::Tls] {
        let mut pair = Pair::with(5, serve, used(Mode::Require, payload));
        pair.open();
        pair.agent.notify(pair.now, change(1), None).unwrap();
        let asked = pair
            .controller
            .request(pair.now, msg::get(["Device."]), seconds(9));
        pair.settle();
        pair.advance(seconds(8));
        let answered = |event: &controller::Event| matches!(event, controller::Event::Answered { id, result: Ok(_) } if Ok(*id) == asked.clone());
        assert!(pair.controller_events.iter().any(answered), "{}", pair.log);
        assert!(
            pair.controller_events
                .iter()
                .any(|event| value(event).is_some())
        );
        assert_eq!(pair.agent.context_status(), (Status::Up, 0));
        assert_eq!(pair.controller.context_status(), Status::Up);
        let outside = pair
            .log
            .lines()
            .filter(|line| line.contains("s agent: GET_RESP"));
        assert_eq!(outside.count(), 0, "{}", pair.log);
    }
}

/// A controller that allows session contexts speaks in them from when the agent opened one, and not before.
#[test]
fn an_allowed_context_is_used_once_the_agent_has_opened_one() {
    let mut pair = Pair::with(5, serve, used(Mode::Allow, Payload::Plaintext));
    pair.open();
    pair.controller
        .request(pair.now, msg::get(["Device.A."]), seconds(9))
        .unwrap();
    pair.settle();
    assert!(pair.log.contains("GET_RESP"));
    assert!(!pair.log.contains("session context"), "{}", pair.log);
    pair.agent.reset_context(pair.now);
    pair.settle();
    pair.log.clear();
    pair.controller
        .request(pair.now, msg::get(["Device.B."]), seconds(9))
        .unwrap();
    pair.settle();
    let heads: Vec<_> = pair
        .log
        .lines()
        .filter(|line| !line.starts_with("  "))
        .collect();
    assert!(
        heads.is_empty() || heads.iter().all(|line| line.contains("session context")),
        "{}",
        pair.log
    );
    assert!(pair.log.contains("GET_RESP"), "{}", pair.log);
}

/// A request that an agent refuses for its record is asked once more in a session context: it may not have opened one.
#[test]
fn a_request_refused_outside_of_a_context_is_asked_inside() {
    let mut pair = Pair::with(5, serve, used(Mode::Allow, Payload::Plaintext));
    pair.open();
    // From now on it requires what nobody has opened.
    let required = used(Mode::Require, Payload::Plaintext);
    pair.settle();
    pair.agent.set_contexts(Arc::new(required));
    let asked = pair
        .controller
        .request(pair.now, msg::get(["Device.A."]), seconds(9))
        .unwrap();
    pair.settle();
    pair.advance(seconds(5));
    assert!(pair.log.contains("failed 7101"), "{}", pair.log);
    let answered = |event: &&controller::Event| matches!(event, controller::Event::Answered { id, result: Ok(_) } if *id == asked);
    assert_eq!(
        pair.controller_events.iter().filter(answered).count(),
        1,
        "{}",
        pair.log
    );
}

/// An end that requires session contexts serves nothing outside of one, and says so; R-E2E.6a
#[test]
fn outside_of_a_required_context_nothing_is_served() {
    let mut pair = Pair::new(5, serve);
    pair.agent
        .set_contexts(Arc::new(used(Mode::Require, Payload::Plaintext)));
    pair.open();
    pair.controller
        .request(pair.now, msg::get(["Device.A."]), seconds(9))
        .unwrap();
    pair.settle();
    assert!(pair.log.contains("failed 7101"), "{}", pair.log);
    assert!(pair.log.contains("disconnect 7106"), "{}", pair.log);
    assert!(!pair.log.contains("GET_RESP"), "{}", pair.log);
}

/// R-E2E.6b: the context is over, the channel is not, and what was asked in it is told as lost.
#[test]
fn a_peer_that_ends_a_context_ends_nothing_else() {
    let mut pair = Pair::with(5, serve, used(Mode::Allow, Payload::Plaintext));
    pair.open();
    pair.agent.reset_context(pair.now);
    pair.settle();
    assert_eq!(pair.controller.context_status(), Status::Up);
    let asked = pair
        .controller
        .request(pair.now, msg::get(["Device.A."]), seconds(9))
        .unwrap();
    assert!(pair.controller.poll_transmit().is_some());
    let ended = DisconnectRecord::new(ErrorCode::SESSION_CONTEXT_ENDED, "enough");
    let ended = bytes(&from_cpe(ended));
    pair.controller.handle_input(pair.now, &ended).unwrap();
    let events: Vec<_> = std::iter::from_fn(|| pair.controller.poll_event()).collect();
    let lost = controller::Event::Answered {
        id: asked,
        result: Err(PeerError::Disconnected),
    };
    let over = context::Event::Failed(Failure::Terminated("enough".into()));
    assert!(events.contains(&lost), "{events:?}");
    assert!(
        events.contains(&controller::Event::Context(over)),
        "{events:?}"
    );
    assert!(pair.controller.is_connected());
    assert_eq!(pair.controller.context_status(), Status::Down);
}

/// Moves the ids of requests that ended out of the events.
fn collect_ended(pair: &mut Pair, ended: &mut Vec<String>) {
    for event in std::mem::take(&mut pair.controller_events) {
        match event {
            controller::Event::Answered { id, .. } | controller::Event::TimedOut { id, .. } => {
                ended.push(pair.controller.msg_id(id));
            }
            kept => pair.controller_events.push(kept),
        }
    }
}

fn value(event: &controller::Event) -> Option<String> {
    let controller::Event::Notified { notify, .. } = event else {
        return None;
    };
    let Notification::ValueChange(change) = &notify.notification else {
        return None;
    };
    Some(change.param_value.clone())
}

/// Two strict ends must not answer each other's errors for ever.
#[test]
fn errors_are_never_answered_with_errors() {
    let mut pair = Pair::new(1, serve);
    pair.open();
    pair.controller
        .request(pair.now, msg::delete(false, ["Device.X.1."]), seconds(5))
        .unwrap();
    pair.agent.notify(pair.now, change(1), None).unwrap();
    pair.settle();
    pair.advance(seconds(60));
    assert!(pair.log.lines().count() < 20, "{}", pair.log);
}
