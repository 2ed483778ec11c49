//! Register and Deregister between a USP Service and its broker, both sessions against each other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use usp::agent::{self, RegistrationId};
use usp::controller::{self, Registration};
use usp::limits::REGISTRATIONS_MAX;
use usp::msg::{
    Deregister, DeregisterResp, Register, RegisterResp, RegisterStatus, RegisterSuccess,
    RegisteredPathResult, RegistrationPath, Request, Response,
};
use usp::record::UdsConnectRecord;
use usp::session::Transport;
use usp::{Error, ErrorCode, UspError};

use crate::support::*;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

struct Two {
    now: Instant,
    broker: controller::Session,
    service: agent::Session,
}

fn two(registrations: bool) -> Two {
    let config = controller::Config {
        transport: Transport::Uds,
        registrations,
        ..controller::Config::default()
    };
    let now = Instant::now();
    let mut two = Two {
        now,
        broker: controller::Session::new(Arc::new(config), acs(), cpe(), 1),
        service: agent::Session::new(&agent::Config::default(), cpe(), acs(), 2),
    };
    two.service.channel_opened(now, UdsConnectRecord {});
    two.flow();
    assert!(two.broker.is_connected());
    two
}

impl Two {
    /// Carries records until nobody has any.
    fn flow(&mut self) {
        loop {
            if let Some(record) = self.service.poll_transmit() {
                self.broker.handle_input(self.now, &record).unwrap();
            } else if let Some(record) = self.broker.poll_transmit() {
                self.service.handle_input(self.now, &record).unwrap();
            } else {
                return;
            }
        }
    }

    fn register(&mut self, request: impl Into<Request>) -> Result<RegistrationId, Error> {
        self.service.register(self.now, request, PATIENCE)
    }

    fn asked(&mut self) -> Vec<(controller::RegistrationToken, Registration)> {
        let mut out = Vec::new();
        while let Some(event) = self.broker.poll_event() {
            if let controller::Event::Registering {
                token,
                registration,
            } = event
            {
                out.push((token, registration));
            }
        }
        out
    }

    fn answers(&mut self) -> Vec<(RegistrationId, Result<Response, UspError>)> {
        let mut out = Vec::new();
        while let Some(event) = self.service.poll_event() {
            if let agent::Event::Registered { id, result } = event {
                out.push((id, result));
            }
        }
        out
    }
}

fn register() -> Register {
    Register {
        allow_partial: true,
        reg_paths: vec![RegistrationPath {
            path: "Device.X_A.".into(),
        }],
    }
}

/// R-REG.0
#[test]
fn a_service_asks_and_its_broker_answers() {
    let mut two = two(true);
    let id = two.register(register()).unwrap();
    two.flow();
    let mut asked = two.asked();
    let (token, registration) = asked.pop().unwrap();
    assert_eq!(registration, Registration::Register(register()));
    let response = RegisterResp {
        registered_path_results: vec![RegisteredPathResult {
            requested_path: "Device.X_A.".into(),
            oper_status: RegisterStatus::OperSuccess(RegisterSuccess {
                registered_path: "Device.X_A.".into(),
            }),
        }],
    };
    let response = Response::RegisterResp(response);
    let answer = two.broker.answer_registration(token, Ok(response.clone()));
    assert_eq!(answer, Ok(()));
    two.flow();
    assert_eq!(two.answers(), [(id, Ok(response))]);
    let twice = two
        .broker
        .answer_registration(token, Ok(DeregisterResp::default().into()));
    assert!(matches!(twice, Err(Error::ApiMisuse(_))));

    let id = two.register(Deregister::default()).unwrap();
    two.flow();
    let (token, _) = two.asked().pop().unwrap();
    let error = UspError::new(ErrorCode::REGISTER_FAILURE, "no");
    let answer = two.broker.answer_registration(token, Err(error.clone()));
    assert_eq!(answer, Ok(()));
    two.flow();
    assert_eq!(two.answers(), [(id, Err(error))]);
}

/// R-MSG.1
#[test]
fn a_controller_that_is_no_broker_refuses_and_says_so() {
    let mut two = two(false);
    let id = two.register(register()).unwrap();
    two.flow();
    assert_eq!(two.asked(), []);
    let answers = two.answers();
    let [(answered, Err(error))] = answers.as_slice() else {
        panic!("{answers:?}");
    };
    assert_eq!(*answered, id);
    assert_eq!(error.code, ErrorCode::MESSAGE_NOT_SUPPORTED);
}

#[test]
fn registrations_under_way_are_bounded_at_both_ends() {
    let mut two = two(true);
    for _ in 0..REGISTRATIONS_MAX {
        two.register(register()).unwrap();
    }
    let more = two.register(register());
    assert!(matches!(more, Err(Error::LimitExceeded { .. })), "{more:?}");
    two.flow();
    assert_eq!(two.asked().len(), REGISTRATIONS_MAX);
    // A service that has forgotten what it asked asks again.
    two.service.channel_closed(two.now);
    two.service.channel_opened(two.now, UdsConnectRecord {});
    let id = two.register(register()).unwrap();
    two.flow();
    let answers = two.answers();
    let [(answered, Err(error))] = answers.as_slice() else {
        panic!("{answers:?}");
    };
    assert_eq!((*answered, error.code), (id, ErrorCode::RESOURCES_EXCEEDED));
}

/// What a broker far away was asked may get lost, and so may its answer.
#[test]
fn what_is_not_answered_in_time_is_told() {
    let mut two = two(true);
    let id = two.register(register()).unwrap();
    let lost = two.service.poll_transmit();
    assert!(lost.is_some());
    let start = two.now;
    assert_eq!(two.service.poll_timeout(), Some(start + PATIENCE));
    two.service
        .handle_timeout(start + PATIENCE - Duration::from_millis(1));
    assert_eq!(two.answers(), []);
    two.service.handle_timeout(start + PATIENCE);
    let answers = two.answers();
    let [(answered, Err(error))] = answers.as_slice() else {
        panic!("{answers:?}");
    };
    assert_eq!((*answered, error.code), (id, ErrorCode::INTERNAL_ERROR));
    assert_eq!(two.service.poll_timeout(), None);
}

#[test]
fn an_answer_of_another_kind_is_none() {
    let mut two = two(true);
    let id = two.register(register()).unwrap();
    two.flow();
    let (token, _) = two.asked().pop().unwrap();
    let wrong = Response::DeregisterResp(DeregisterResp::default());
    let answer = two.broker.answer_registration(token, Ok(wrong));
    assert_eq!(answer, Ok(()));
    two.flow();
    let answers = two.answers();
    let [(answered, Err(error))] = answers.as_slice() else {
        panic!("{answers:?}");
    };
    assert_eq!((*answered, error.code), (id, ErrorCode::INTERNAL_ERROR));
}
