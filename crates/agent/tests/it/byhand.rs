//! USP Services that are made by hand: those that have a lot, and those that do not behave.

use std::collections::BTreeSet;
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use usp::agent::{Event, Session};
use usp::controller::{Event as Heard, Registration};
use usp::msg::set_values;
use usp::proto::msg::{
    self, AddResp, CmdType, CreateStatus, CreateSuccess, CreatedObjectResult, GetSupportedDMResp,
    Register, RegisterResp, RegisterStatus, RegisterSuccess, RegisteredPathResult,
    RegistrationPath, Request, RequestedObjectResult, Response, SupportedCommandResult,
    SupportedObjectResult, SupportedParamResult,
};
use usp::{ErrorCode, UspError};

use crate::desk::{CONTROLLER, Desk, PATIENCE, subscribe};
use crate::meter::{METER, Meter};
use crate::services::{BROKER, House, ROWS, Running};

type Answer = Result<Response, UspError>;

/// A service at the socket of a broker.
pub struct ByHand {
    pub link: mtp::uds::Link,
    pub session: Session,
}

impl ByHand {
    pub async fn connect(house: &House, own: &str) -> ByHand {
        let own: usp::EndpointId = own.parse().unwrap();
        let dial = mtp::uds::DialConfig::new(house.socket(), own.clone());
        let link = mtp::uds::dial(&dial).await.unwrap();
        let mut session = Session::new(&Default::default(), own, BROKER.parse().unwrap(), 1);
        session.channel_opened(Instant::now(), usp::proto::record::UdsConnectRecord {});
        ByHand { link, session }
    }

    pub fn register(&mut self, path: &str) {
        let path = path.to_owned();
        let register = Register {
            allow_partial: false,
            reg_paths: vec![RegistrationPath { path }],
        };
        let now = Instant::now();
        self.session.register(now, register, PATIENCE).unwrap();
    }

    /// Sends what there is, and answers the next record.
    pub async fn step(&mut self, answer: &mut impl FnMut(Request) -> Answer) {
        self.send().await;
        let record = self.link.recv().await.unwrap();
        self.session.handle_input(Instant::now(), &record).unwrap();
        while let Some(event) = self.session.poll_event() {
            if let Event::Requested { token, request, .. } = event {
                self.session.respond(token, answer(request)).unwrap();
            }
        }
        self.send().await;
    }

    async fn send(&mut self) {
        while let Some(record) = self.session.poll_transmit() {
            self.link.send(record).await.unwrap();
        }
    }
}

/// What a service with one object says that it has.
pub fn described(object: &SupportedObjectResult) -> Answer {
    Ok(Response::GetSupportedDmResp(GetSupportedDMResp {
        req_obj_results: vec![RequestedObjectResult {
            supported_objs: vec![object.clone()],
            ..Default::default()
        }],
    }))
}

pub fn object(path: &str, params: &[&str]) -> SupportedObjectResult {
    let param = |name: &&str| SupportedParamResult {
        param_name: (*name).to_owned(),
        access: msg::ParamAccess::READ_WRITE,
        ..Default::default()
    };
    SupportedObjectResult {
        supported_obj_path: path.into(),
        supported_params: params.iter().map(param).collect(),
        ..Default::default()
    }
}

/// More than a session lets wait at once, at a service that cannot take the first now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_three_hundred_commands_of_a_service_is_subscribed_to() {
    const MANY: usize = 300;
    let house = House::open(Vec::new()).await;
    let mut service = ByHand::connect(&house, "self::many").await;
    service.register("Device.X_M.");
    let command = |n| SupportedCommandResult {
        command_name: format!("Go{n}()"),
        command_type: CmdType::ASYNC,
        ..Default::default()
    };
    let object = SupportedObjectResult {
        supported_commands: (0..MANY).map(command).collect(),
        ..object("Device.X_M.", &[])
    };
    let done = CancellationToken::new();
    let (mut asked, mut made) = (0, BTreeSet::new());
    let mut answer = |request: Request| match request {
        Request::GetSupportedDm(_) => described(&object),
        Request::Get(_) => Ok(Response::GetResp(Default::default())),
        Request::Add(add) => {
            asked += 1;
            if asked == 1 {
                let code = ErrorCode::RESOURCES_EXCEEDED;
                return Err(UspError::new(code, "not now"));
            }
            let mut settings = add.create_objs[0].param_settings.iter();
            let reference = settings.find(|one| one.param == "ReferenceList").unwrap();
            assert!(made.insert(reference.value.clone()), "once is enough");
            if made.len() == MANY {
                done.cancel();
            }
            Ok(Response::AddResp(AddResp {
                created_obj_results: vec![CreatedObjectResult {
                    requested_path: add.create_objs[0].obj_path.clone(),
                    oper_status: CreateStatus::OperSuccess(CreateSuccess {
                        instantiated_path: format!("Device.LocalAgent.Subscription.{asked}."),
                        ..Default::default()
                    }),
                }],
            }))
        }
        other => panic!("{other:?}"),
    };
    let talk = async {
        while !done.is_cancelled() {
            service.step(&mut answer).await;
        }
    };
    tokio::time::timeout(PATIENCE, talk)
        .await
        .expect("all of them");
    house.broker.stop().await;
}

/// It is let go after a while, and nobody else waits for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_does_not_read_keeps_nobody_waiting() {
    let mut house = House::open(Vec::new()).await;
    subscribe(&mut house.talk, "new", "ObjectCreation", ROWS, false).await;
    let mut service = ByHand::connect(&house, "self::slow").await;
    service.register("Device.X_S.");
    let model = object("Device.X_S.", &["Name"]);
    let mut answer = |request: Request| match request {
        Request::GetSupportedDm(_) => described(&model),
        _ => Ok(Response::GetResp(Default::default())),
    };
    let serve = async {
        loop {
            service.step(&mut answer).await;
        }
    };
    let row = tokio::select! {
        () = serve => unreachable!(),
        row = house.row_appears() => row,
    };

    // From now on it reads nothing, and is asked more than anybody keeps for it.
    let large = "x".repeat(600 * 1024);
    let now = Instant::now();
    for value in [large.as_str(), "small", "small"] {
        let set = set_values([("Device.X_S.Name", value)]);
        house.talk.session.request(now, set, PATIENCE).unwrap();
    }
    assert_eq!(house.get(&format!("{row}EndpointID")).await.len(), 1);

    let mut failed = 0;
    while failed < 3 {
        match house.talk.event().await.expect("the connection lasts") {
            Heard::Answered { result, .. } => {
                assert!(result.is_err(), "{result:?}");
                failed += 1;
            }
            Heard::TimedOut { .. } => panic!("not answered"),
            _ => {}
        }
    }
    assert_eq!(house.get(ROWS).await, []);
    house.broker.stop().await;
}

/// They come again by themselves, and nothing of what was under way is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_are_there_again_after_a_restart_of_the_device() {
    let mut house = House::open(Vec::new()).await;
    let (service, row) = house.with_service().await;
    let command = format!("{METER}Measure()");
    let measure = usp::msg::operate(command, "never", usp::Map::new());
    house.talk.ask(measure).await;
    assert!(!house.get("Device.LocalAgent.Request.").await.is_empty());

    // What waits for the service when the device goes down is not answered any more.
    let now = Instant::now();
    let reboot = usp::msg::operate("Device.Reboot()", "", usp::Map::new());
    house.talk.session.request(now, reboot, PATIENCE).unwrap();
    while house.talk.event().await.is_some() {}
    house.talk = house.desk.accept().await;
    house.talk.connected().await;
    let again = house.row_appears().await;
    assert_ne!(again, row, "numbers are used once (R-ARC.8)");
    let name = house.get(&format!("{METER}Name")).await;
    assert_eq!(name[0].1, "meter");
    assert_eq!(house.get("Device.LocalAgent.Request.").await, []);
    service.stop().await;
    house.broker.stop().await;
}

/// A broker need not be on the device.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_registers_over_a_websocket_too() {
    let mut desk = Desk::open().await;
    let mut config = crate::meter::config("self::meter", "/", CONTROLLER);
    config.controllers[0].url = desk.url("/usp");
    let service = Running::start(config, Box::new(Meter::new().unwrap()));
    let mut talk = desk.accept().await;
    let (token, registration) = loop {
        if let Heard::Registering {
            token,
            registration,
        } = talk.event().await.expect("the connection lasts")
        {
            break (token, registration);
        }
    };
    let Registration::Register(asked) = registration else {
        panic!("{registration:?}");
    };
    let paths: Vec<_> = asked.reg_paths.iter().map(|one| &*one.path).collect();
    assert_eq!((paths, asked.allow_partial), (vec![METER], true));
    let response = RegisterResp {
        registered_path_results: vec![RegisteredPathResult {
            requested_path: METER.into(),
            oper_status: RegisterStatus::OperSuccess(RegisterSuccess {
                registered_path: METER.into(),
            }),
        }],
    };
    let response = Ok(Response::RegisterResp(response));
    talk.session.answer_registration(token, response).unwrap();
    assert_eq!(talk.value(&format!("{METER}Name")).await, "meter");
    service.stop().await;
}
