//! USP Services at the engine: who gets which path, what a role sees of it, and what a service that does not behave can
//! do. Deliberately no sockets: services answer by hand.

use usp::msg::{get, required, set_values};
use usp::proto::msg::{
    self, AddResp, CreateStatus, CreateSuccess, CreatedObjectResult, Deregister, DeregisterStatus,
    GetResp, GetSupportedDMResp, Notification, ObjAccess, OperateResp, OperationResp,
    OperationResult, ParamAccess, Register, RegisterStatus, RegistrationPath, Request,
    RequestedObjectResult, RequestedPathResult, ResolvedPathResult, Response,
    SupportedCommandResult, SupportedObjectResult, SupportedParamResult,
};
use usp::{ErrorCode, Map, UspError};

mod again;
mod bounds;
mod honest;
mod runs;
mod searching;

use super::rig::{CONTROLLER, OTHER, Rig};
use crate::limits::{
    SERVICE_JOBS_MAX, SERVICE_MODEL_ELEMENTS_MAX, SERVICE_PATHS_MAX, SERVICE_SUBSCRIPTIONS_MAX,
    SERVICES_MAX,
};
use crate::{Effect, Handled};

const ROWS: &str = "Device.USPServices.USPService.";

type Answer = Result<Response, UspError>;

struct Stage {
    rig: Rig,
    /// Requests of controllers that were answered.
    answered: Vec<(u64, Answer)>,
    notified: Vec<msg::Notify>,
    /// What services were asked and have not answered.
    open: Vec<(u32, u64, Request)>,
    roles: u32,
}

impl Stage {
    fn new() -> Stage {
        Stage {
            rig: Rig::new(),
            answered: Vec::new(),
            notified: Vec::new(),
            open: Vec::new(),
            roles: 0,
        }
    }

    fn connect(&mut self, id: &str) -> u32 {
        self.rig
            .engine
            .service_connected(&id.parse().unwrap())
            .unwrap()
    }

    /// Codes by path; 0 is a success.
    fn register(&mut self, service: u32, paths: &[&str]) -> Vec<u32> {
        let register = register(true, paths);
        let resp = self.rig.engine.register(service, &register).unwrap();
        resp.registered_path_results
            .into_iter()
            .map(|one| match one.oper_status {
                RegisterStatus::OperSuccess(_) => 0,
                RegisterStatus::OperFailure(failure) => failure.err_code,
            })
            .collect()
    }

    /// A service with `Device.X_A.` as its model, there for controllers.
    fn with_service(id: &str) -> (Stage, u32) {
        let mut stage = Stage::new();
        let service = stage.connect(id);
        assert_eq!(stage.register(service, &["Device.X_A."]), [0]);
        stage.serve(usual);
        assert_eq!(stage.rig.values(&format!("{ROWS}{service}.")).len(), 4);
        (stage, service)
    }

    fn effects(&mut self) {
        for effect in self.rig.effects() {
            match effect {
                Effect::AskService {
                    service,
                    ask,
                    request,
                } => self.open.push((service, ask, *request)),
                Effect::Answer { job, result } => self.answered.push((job, *result)),
                Effect::Notify(outgoing) => self.notified.push(outgoing.notify),
                _ => {}
            }
        }
    }

    /// Lets services answer until nothing is asked any more.
    fn serve(&mut self, mut answer: impl FnMut(&Request) -> Answer) {
        loop {
            self.effects();
            if self.open.is_empty() {
                return;
            }
            let (_, ask, request) = self.open.remove(0);
            let now = self.rig.now;
            self.rig.engine.service_answered(now, ask, answer(&request));
        }
    }

    fn begin(&mut self, who: &str, request: impl Into<Request>) -> Handled {
        let who = who.parse().unwrap();
        self.rig.engine.begin(self.rig.now, &who, request.into())
    }

    /// Asks as a controller, with services that answer so.
    fn ask(
        &mut self,
        who: &str,
        request: impl Into<Request>,
        answer: impl FnMut(&Request) -> Answer,
    ) -> Answer {
        match self.begin(who, request) {
            Handled::Now(result) => result,
            Handled::Later(job) => {
                self.serve(answer);
                let (answered, result) = self.answered.pop().expect("an answer");
                assert_eq!(answered, job);
                result
            }
        }
    }

    /// The rights of [`OTHER`] from now on: targets, and what is allowed of them.
    fn allow_other(&mut self, rights: &[(&str, [&str; 4])]) {
        self.roles += 1;
        let name = format!("role-{}", self.roles);
        let settings = [("Name", name.as_str()), ("Enable", "true")];
        let role = "Device.LocalAgent.ControllerTrust.Role.";
        let role = self.rig.add(role, &settings).unwrap();
        for (order, (targets, rights)) in rights.iter().enumerate() {
            let order = (order + 1).to_string();
            let settings = [
                ("Enable", "true"),
                ("Order", order.as_str()),
                ("Targets", *targets),
                ("Param", rights[0]),
                ("Obj", rights[1]),
                ("InstantiatedObj", rights[2]),
                ("CommandEvent", rights[3]),
            ];
            let table = format!("{role}Permission.");
            self.rig.add(&table, &settings).unwrap();
        }
        let assigned = "Device.LocalAgent.Controller.2.AssignedRole";
        self.rig.set(assigned, &role).unwrap();
    }

    /// A subscription of some controller.
    fn subscribe(
        &mut self,
        who: &str,
        id: &str,
        kind: &str,
        references: &str,
    ) -> Result<(), ErrorCode> {
        let settings = vec![
            required("ID", id),
            required("Enable", "true"),
            required("NotifType", kind),
            required("ReferenceList", references),
        ];
        let table = "Device.LocalAgent.Subscription.".to_owned();
        match self.begin(who, usp::msg::add(false, [(table, settings)])) {
            Handled::Now(result) => result.map(drop).map_err(|error| error.code),
            later => panic!("{later:?}"),
        }
    }

    /// The ids of the subscriptions by which something is told, since it was asked last.
    fn told(&mut self) -> Vec<String> {
        self.effects();
        let told = std::mem::take(&mut self.notified).into_iter();
        let mut told: Vec<String> = told.map(|one| one.subscription_id).collect();
        told.sort();
        told
    }

    fn get(&mut self, who: &str, path: &str) -> RequestedPathResult {
        match self.ask(who, get([path]), usual) {
            Ok(Response::GetResp(mut resp)) => resp.req_path_results.remove(0),
            other => panic!("{other:?}"),
        }
    }
}

fn register(allow_partial: bool, paths: &[&str]) -> Register {
    let path = |path: &&str| RegistrationPath {
        path: (*path).to_owned(),
    };
    Register {
        allow_partial,
        reg_paths: paths.iter().map(path).collect(),
    }
}

fn object(path: &str, params: &[&str]) -> SupportedObjectResult {
    SupportedObjectResult {
        supported_obj_path: path.into(),
        access: ObjAccess::ADD_DELETE,
        is_multi_instance: path.ends_with("{i}."),
        supported_params: params
            .iter()
            .map(|name| SupportedParamResult {
                param_name: (*name).to_owned(),
                access: ParamAccess::READ_WRITE,
                ..Default::default()
            })
            .collect(),
        supported_commands: vec![SupportedCommandResult {
            command_name: "Go()".into(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn described(objects: Vec<SupportedObjectResult>) -> Answer {
    Ok(Response::GetSupportedDmResp(GetSupportedDMResp {
        req_obj_results: vec![RequestedObjectResult {
            supported_objs: objects,
            ..Default::default()
        }],
    }))
}

fn values(path: &str, objects: &[(&str, &[(&str, &str)])]) -> RequestedPathResult {
    RequestedPathResult {
        requested_path: path.into(),
        resolved_path_results: objects
            .iter()
            .map(|(object, values)| ResolvedPathResult {
                resolved_path: (*object).to_owned(),
                result_params: values.iter().copied().collect(),
            })
            .collect(),
        ..Default::default()
    }
}

/// A service with `Device.X_A.` and its rows, which also speaks of what is not its own.
fn usual(request: &Request) -> Answer {
    match request {
        Request::GetSupportedDm(gsdm) => described(vec![
            object(&gsdm.obj_paths[0], &["Name"]),
            object(&format!("{}Row.{{i}}.", gsdm.obj_paths[0]), &["Key"]),
            object("Device.DeviceInfo.", &["SerialNumber"]),
        ]),
        Request::Get(get) => {
            let all = get.param_paths.iter().map(|path| {
                values(
                    path,
                    &[
                        ("Device.X_A.", &[("Name", "a")]),
                        ("Device.X_A.Row.1.", &[("Key", "k")]),
                        ("Device.DeviceInfo.", &[("SerialNumber", "forged")]),
                    ],
                )
            });
            Ok(Response::GetResp(GetResp {
                req_path_results: all.collect(),
            }))
        }
        Request::Add(add) => Ok(Response::AddResp(AddResp {
            created_obj_results: vec![CreatedObjectResult {
                requested_path: add.create_objs[0].obj_path.clone(),
                oper_status: CreateStatus::OperSuccess(CreateSuccess {
                    instantiated_path: format!("{}7.", add.create_objs[0].obj_path),
                    ..Default::default()
                }),
            }],
        })),
        Request::Operate(operate) => Ok(Response::OperateResp(OperateResp {
            operation_results: vec![OperationResult {
                executed_command: operate.command.clone(),
                operation_resp: Some(OperationResp::ReqObjPath(
                    "Device.LocalAgent.Request.9.".into(),
                )),
            }],
        })),
        _ => Err(UspError::new(ErrorCode::INTERNAL_ERROR, "not today")),
    }
}

/// R-REG.0, R-REG.2
#[test]
fn a_path_is_had_by_one_service_and_not_where_this_agent_has_something_itself() {
    let mut stage = Stage::new();
    let (one, two) = (stage.connect("self::one"), stage.connect("self::two"));
    assert_eq!(stage.register(one, &["Device.X_A.B."]), [0]);
    let paths = [
        ("Device.X_A.B.", 7029),
        ("Device.X_A.", 7029),
        ("Device.X_A.B.C.", 7029),
        ("Device.X_A.B.Name", 7029),
        ("Device.WiFi.", 7029),
        ("Device.LocalAgent.", 7029),
        ("Device.LocalAgent.X_C.", 7029),
        ("Device.USPServices.X_C.", 7029),
        ("Device.DeviceInfo.SerialNumber", 7029),
        ("Device.Reboot()", 7029),
        ("Device.", 7028),
        ("Other.", 7028),
        ("Device.X_C.1.", 7028),
        ("Device.X_C.{i}.", 7028),
        ("Device.X_C.*.", 7028),
        ("Device.WiFi.SSID.X_C", 7028),
        ("Device..", 7008),
        ("Device.DeviceInfo.X_Temperature", 0),
        ("Device.X_C.", 0),
        ("Device.X_C.", 0),
        ("Device.X_C.D.", 7028),
    ];
    for (path, code) in paths {
        assert_eq!(stage.register(two, &[path]), [code], "{path}");
    }
}

/// What a controller says to `ChallengeResponse()` is for this agent alone, whether it has the command or not.
#[test]
fn the_agents_own_objects_are_not_to_be_had_where_it_leaves_something_out() {
    let mut stage = Stage::new();
    let one = stage.connect("self::one");
    for path in [
        "Device.LocalAgent.ControllerTrust.RequestChallenge()",
        "Device.LocalAgent.ControllerTrust.ChallengeResponse()",
        "Device.LocalAgent.ControllerTrust.Challenge.",
        "Device.LocalAgent.TransferCompletePolicy.",
        "Device.LocalAgent.X_C",
        "Device.MQTT.Broker.",
        "Device.STOMP.X_C.",
        "Device.USPServices.X_C.",
        "Device.UnixDomainSockets.X_C!",
        "Device.Boot!",
        "Device.ScheduleTimer()",
    ] {
        assert_eq!(stage.register(one, &[path]), [7029], "{path}");
    }
}

/// R-REG.1
#[test]
fn without_allow_partial_one_failure_registers_nothing() {
    let mut stage = Stage::new();
    let one = stage.connect("self::one");
    let both = register(false, &["Device.X_A.", "Device.WiFi."]);
    let error = stage.rig.engine.register(one, &both).unwrap_err();
    assert_eq!(error.code.0, 7029);
    let two = stage.connect("self::two");
    assert_eq!(stage.register(two, &["Device.X_A."]), [0]);
}

/// R-DEREG.1, .2, .4
#[test]
fn only_own_paths_are_given_back_and_an_empty_one_is_all_of_them() {
    let (mut stage, one) = Stage::with_service("self::one");
    let two = stage.connect("self::two");
    let now = stage.rig.now;
    let mut deregister = |service, paths: &[&str]| {
        let request = Deregister {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        };
        let resp = stage.rig.engine.deregister(now, service, &request);
        match resp.deregistered_path_results.into_iter().next() {
            Some(one) => match one.oper_status {
                DeregisterStatus::OperFailure(failure) => Err(failure.err_code),
                DeregisterStatus::OperSuccess(success) => Ok(success.deregistered_path.len()),
            },
            None => panic!("no result"),
        }
    };
    assert_eq!(deregister(two, &["Device.X_A."]), Err(7031));
    assert_eq!(deregister(one, &["Device.X_B."]), Err(7030));
    assert_eq!(deregister(one, &[""]), Ok(1));
    assert_eq!(deregister(one, &[]), Ok(0));
    assert_eq!(stage.get(CONTROLLER, "Device.X_A.").err_code, 7026);
    assert_eq!(stage.register(two, &["Device.X_A."]), [0]);
}

#[test]
fn a_service_is_seen_once_it_has_described_what_it_registered() {
    let mut stage = Stage::new();
    let one = stage.connect("self::one");
    assert_eq!(
        stage.register(one, &["Device.X_A.", "Device.DeviceInfo.X_T"]),
        [0, 0]
    );
    assert_eq!(stage.get(CONTROLLER, "Device.X_A.").err_code, 7026);
    stage.serve(|request| match request {
        Request::GetSupportedDm(gsdm) if gsdm.obj_paths == ["Device.DeviceInfo."] => {
            assert!(gsdm.first_level_only);
            described(vec![object("Device.DeviceInfo.", &["X_T", "SerialNumber"])])
        }
        other => usual(other),
    });
    assert_eq!(stage.get(CONTROLLER, "Device.X_A.").err_code, 0);
    let Ok(Response::GetSupportedDmResp(resp)) = stage
        .rig
        .ask(usp::msg::get_supported_dm(["Device.DeviceInfo."], false))
    else {
        panic!("no answer");
    };
    let params = &resp.req_obj_results[0].supported_objs[0].supported_params;
    let named = |name| params.iter().filter(|one| one.param_name == name).count();
    assert_eq!((named("X_T"), named("SerialNumber")), (1, 1));

    // One that does not, or describes too much, is not seen.
    let rows: Vec<String> = (0..SERVICE_MODEL_ELEMENTS_MAX)
        .map(|n| format!("P{n}"))
        .collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    for objects in [vec![], vec![object("Device.X_B.", &rows)]] {
        let two = stage.connect("self::two");
        assert_eq!(stage.register(two, &["Device.X_B."]), [0]);
        stage.serve(|request| match request {
            Request::GetSupportedDm(_) => described(objects.clone()),
            other => usual(other),
        });
        assert_eq!(stage.get(CONTROLLER, "Device.X_B.").err_code, 7026);
        assert_eq!(stage.register(two, &["Device.X_B."]), [0]);
        stage.rig.engine.service_gone(stage.rig.now, two);
    }
}

#[test]
fn each_of_several_elements_of_one_object_is_supported() {
    let mut stage = Stage::new();
    let one = stage.connect("self::one");
    let paths = ["Device.DeviceInfo.X_T", "Device.DeviceInfo.X_U"];
    assert_eq!(stage.register(one, &paths), [0, 0]);
    stage.serve(|request| match request {
        Request::GetSupportedDm(_) => {
            described(vec![object("Device.DeviceInfo.", &["X_T", "X_U"])])
        }
        other => usual(other),
    });
    for path in paths {
        let Ok(Response::GetSupportedDmResp(resp)) =
            stage.rig.ask(usp::msg::get_supported_dm([path], false))
        else {
            panic!("no answer");
        };
        assert_eq!(resp.req_obj_results[0].err_code, 0, "{path}");
        stage.rig.subscribe("ValueChange", path, &[("ID", path)]);
    }
}

#[test]
fn a_service_speaks_for_its_own_paths_alone() {
    let (mut stage, service) = Stage::with_service("self::one");
    let got = stage.get(CONTROLLER, "Device.X_A.");
    let paths: Vec<_> = got
        .resolved_path_results
        .iter()
        .map(|one| &one.resolved_path)
        .collect();
    assert_eq!(paths, ["Device.X_A.", "Device.X_A.Row.1."]);
    let serial = stage.get(CONTROLLER, "Device.DeviceInfo.SerialNumber");
    assert_eq!(
        serial.resolved_path_results[0]
            .result_params
            .get("SerialNumber"),
        Some("S1")
    );
    let Ok(Response::GetSupportedDmResp(resp)) = stage
        .rig
        .ask(usp::msg::get_supported_dm(["Device.X_A."], false))
    else {
        panic!("no answer");
    };
    assert_eq!(resp.req_obj_results[0].supported_objs.len(), 2);

    // Notifications likewise, and only those of subscriptions that were made.
    stage
        .rig
        .subscribe("ValueChange", "Device.X_A.", &[("ID", "mine")]);
    stage
        .rig
        .subscribe("ValueChange", "Device.WiFi.", &[("ID", "wifi")]);
    stage.serve(usual);
    stage.notified.clear();
    let now = stage.rig.now;
    for (id, path) in [
        ("headend-broker-9", "Device.X_A.Name"),
        ("headend-broker-1", "Device.WiFi.SSID.1.SSID"),
        ("headend-broker-3", "Device.WiFi.SSID.1.SSID"),
        ("headend-broker-3", "Device.X_A.Name"),
    ] {
        let change = msg::ValueChange {
            param_path: path.into(),
            param_value: "new".into(),
        };
        let notify = usp::msg::notify(id, change);
        stage.rig.engine.service_notified(now, service, notify);
    }
    stage.effects();
    let heard: Vec<_> = stage
        .notified
        .iter()
        .map(|one| one.subscription_id.as_str())
        .collect();
    assert_eq!(heard, ["mine"]);
}

/// TP-469 chapter 2, for what a service has: it knows of no roles.
#[test]
fn roles_hold_for_what_services_have() {
    let (mut stage, service) = Stage::with_service("self::one");
    // Nobody without a role sees anything.
    assert_eq!(stage.get(OTHER, "Device.X_A.").err_code, 7026);
    stage.allow_other(&[
        ("Device.X_A.", ["r--n", "r---", "r---", "----"]),
        ("Device.X_A.Row.1.", ["rw--", "r---", "r---", "----"]),
        ("Device.X_A.Name", ["----", "r---", "----", "----"]),
        ("Device.X_A.Row.*.Secret", ["----", "r---", "----", "----"]),
    ]);
    let got = stage.get(OTHER, "Device.X_A.");
    let objects = &got.resolved_path_results;
    assert_eq!(objects[0].result_params.len(), 0, "{objects:?}");
    assert_eq!(objects[1].result_params.get("Key"), Some("k"));

    let never = |request: &Request| -> Answer { panic!("asked {request:?}") };
    let mut refused = |request: Request| match stage.ask(OTHER, request, never) {
        Err(error) => error.code.0,
        Ok(Response::GetResp(resp)) => resp.req_path_results[0].err_code,
        Ok(Response::OperateResp(resp)) => match &resp.operation_results[0].operation_resp {
            Some(OperationResp::CmdFailure(failure)) => failure.err_code,
            other => panic!("{other:?}"),
        },
        Ok(other) => panic!("{other:?}"),
    };
    let set = |path: &str| Request::from(set_values([(path, "x")]));
    assert_eq!(refused(set("Device.X_A.Name")), 7006);
    // One row may be written, but not each that a search may find.
    assert_eq!(refused(set("Device.X_A.Row.2.Key")), 7006);
    assert_eq!(refused(set("Device.X_A.Row.*.Key")), 7006);
    let add = usp::msg::add(
        false,
        [("Device.X_A.Row.".to_owned(), vec![required("Key", "x")])],
    );
    assert_eq!(refused(add.into()), 7006);
    assert_eq!(
        refused(usp::msg::delete(false, ["Device.X_A.Row.1."]).into()),
        7006
    );
    assert_eq!(
        refused(usp::msg::operate("Device.X_A.Go()", "", Map::new()).into()),
        7006
    );
    // R-GIN.0: what is not to be read is not to be searched by.
    let hidden = "Device.X_A.Row.[Secret==\"a\"].Key";
    assert_eq!(refused(get([hidden]).into()), 7006);
    let allowed = stage.begin(OTHER, set("Device.X_A.Row.1.Key"));
    assert!(matches!(allowed, Handled::Later(_)), "{allowed:?}");
    let _ = service;
}

#[test]
fn a_service_that_does_not_answer_or_goes_fails_what_it_was_asked_and_nothing_else() {
    let (mut stage, service) = Stage::with_service("self::one");
    let both = get(["Device.X_A.", "Device.DeviceInfo.SerialNumber"]);
    let Handled::Later(job) = stage.begin(CONTROLLER, both.clone()) else {
        panic!("answered at once");
    };
    stage.effects();
    stage.rig.engine.service_gone(stage.rig.now, service);
    stage.effects();
    let (answered, result) = stage.answered.pop().unwrap();
    let Ok(Response::GetResp(resp)) = result else {
        panic!("{result:?}");
    };
    assert_eq!(answered, job);
    let codes: Vec<u32> = resp
        .req_path_results
        .iter()
        .map(|one| one.err_code)
        .collect();
    assert_eq!(codes, [7003, 0]);
    // An answer that comes after all changes nothing.
    let (_, ask, _) = stage.open.remove(0);
    let late = usual(&both.into());
    stage.rig.engine.service_answered(stage.rig.now, ask, late);
    stage.effects();
    assert!(stage.answered.is_empty());

    let (mut stage, _) = Stage::with_service("self::one");
    let refuses = |_: &Request| Err(UspError::new(ErrorCode::RESOURCES_EXCEEDED, "busy"));
    let set = set_values([("Device.X_A.Name", "x")]);
    let whole = stage.ask(CONTROLLER, set.clone(), refuses);
    assert_eq!(whole.unwrap_err().code.0, 7005);
    let wrong = stage.ask(CONTROLLER, set, |_| usual(&get(["Device.X_A."]).into()));
    assert_eq!(wrong.unwrap_err().code.0, 7003);
}

#[test]
fn one_key_runs_one_command_at_a_time_in_a_service_too() {
    let (mut stage, service) = Stage::with_service("self::one");
    let go = usp::msg::operate("Device.X_A.Go()", "key", Map::new());
    let outcome = |stage: &mut Stage| match stage.ask(CONTROLLER, go.clone(), usual) {
        Ok(Response::OperateResp(mut resp)) => resp.operation_results.remove(0).operation_resp,
        other => panic!("{other:?}"),
    };
    let begun = outcome(&mut stage);
    assert_eq!(
        begun,
        Some(OperationResp::ReqObjPath(
            "Device.LocalAgent.Request.1.".into()
        ))
    );
    let again = outcome(&mut stage);
    assert!(matches!(again, Some(OperationResp::CmdFailure(f)) if f.err_code == 7022));
    stage
        .rig
        .subscribe("OperationComplete", "Device.X_A.", &[("ID", "done")]);
    stage.serve(usual);
    let complete = msg::OperationComplete {
        obj_path: "Device.X_A.".into(),
        command_name: "Go()".into(),
        command_key: "key".into(),
        completion: None,
    };
    let now = stage.rig.now;
    let notify = usp::msg::notify("headend-broker-1", complete);
    stage.rig.engine.service_notified(now, service, notify);
    stage.effects();
    let done = stage.notified.iter().filter(
        |one| matches!(&one.notification, Notification::OperComplete(c) if c.command_key == "key"),
    );
    assert_eq!(done.count(), 1);
    assert!(outcome(&mut stage).is_some_and(|one| one != OperationResp::ReqObjPath(String::new())));
}

#[test]
fn subscriptions_at_a_service_are_as_few_as_can_be_and_go_again() {
    let (mut stage, _) = Stage::with_service("self::one");
    let asked = |stage: &mut Stage| {
        let mut asked = Vec::new();
        stage.serve(|request| {
            match request {
                Request::Add(add) => asked.extend(
                    add.create_objs[0]
                        .param_settings
                        .iter()
                        .filter(|one| one.param == "ReferenceList")
                        .map(|one| one.value.clone()),
                ),
                Request::Delete(delete) => asked.extend(delete.obj_paths.iter().cloned()),
                other => panic!("{other:?}"),
            }
            usual(request)
        });
        asked
    };
    let wide = stage
        .rig
        .subscribe("ValueChange", "Device.", &[("ID", "1")]);
    assert_eq!(asked(&mut stage), ["Device.X_A."]);
    stage
        .rig
        .subscribe("ValueChange", "Device.X_A.Name", &[("ID", "2")]);
    assert_eq!(asked(&mut stage), [""; 0]);
    stage.rig.ask(usp::msg::delete(false, [wide])).unwrap();
    let mut changed = asked(&mut stage);
    changed.sort();
    assert_eq!(
        changed,
        ["Device.LocalAgent.Subscription.7.", "Device.X_A.Name"]
    );

    // A service that takes none is not asked again and again.
    stage
        .rig
        .subscribe("ObjectCreation", "Device.X_A.", &[("ID", "3")]);
    let mut asked = 0;
    stage.serve(|_| {
        asked += 1;
        Err(UspError::new(ErrorCode::RESOURCES_EXCEEDED, "full"))
    });
    assert_eq!(asked, 1);
}

#[test]
fn what_an_earlier_connection_left_at_a_service_is_cleared_away() {
    let mut stage = Stage::new();
    let service = stage.connect("self::one");
    stage.register(service, &["Device.X_A."]);
    let mut deleted = Vec::new();
    stage.serve(|request| match request {
        Request::Get(get) if get.param_paths == ["Device.LocalAgent.Subscription."] => {
            let left = values(
                &get.param_paths[0],
                &[
                    ("Device.LocalAgent.Subscription.1.", &[("ID", "somebody's")]),
                    (
                        "Device.LocalAgent.Subscription.4.",
                        &[("ID", "headend-broker-2")],
                    ),
                ],
            );
            Ok(Response::GetResp(GetResp {
                req_path_results: vec![left],
            }))
        }
        Request::Delete(delete) => {
            deleted.extend(delete.obj_paths.iter().cloned());
            usual(request)
        }
        other => usual(other),
    });
    assert_eq!(deleted, ["Device.LocalAgent.Subscription.4."]);
}

#[test]
fn services_their_paths_and_what_waits_for_them_are_bounded() {
    let (mut stage, service) = Stage::with_service("self::one");
    for n in 1..SERVICES_MAX {
        stage.connect(&format!("self::more-{n}"));
    }
    let id = "self::too-many".parse().unwrap();
    let more = stage.rig.engine.service_connected(&id);
    assert_eq!(more.unwrap_err().code, 7005);

    let paths: Vec<String> = (1..=SERVICE_PATHS_MAX)
        .map(|n| format!("Device.X_P{n}."))
        .collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let codes = stage.register(service, &paths);
    assert_eq!(
        codes.iter().filter(|code| **code == 0).count(),
        SERVICE_PATHS_MAX - 1
    );
    assert_eq!(codes.last(), Some(&7005));
    stage.serve(|request| match request {
        Request::GetSupportedDm(gsdm) => described(vec![object(&gsdm.obj_paths[0], &["A"])]),
        other => usual(other),
    });

    for _ in 0..SERVICE_JOBS_MAX {
        let begun = stage.begin(CONTROLLER, get(["Device.X_A.Name"]));
        assert!(matches!(begun, Handled::Later(_)));
    }
    match stage.begin(CONTROLLER, get(["Device.X_A.Name"])) {
        Handled::Now(Err(error)) => assert_eq!(error.code.0, 7005),
        other => panic!("{other:?}"),
    }
    let own = stage.begin(CONTROLLER, get(["Device.DeviceInfo."]));
    assert!(matches!(own, Handled::Now(Ok(_))));
    stage.serve(usual);
    assert_eq!(stage.answered.len(), SERVICE_JOBS_MAX);

    // Subscriptions: many references, none above another.
    let references: Vec<String> = (0..SERVICE_SUBSCRIPTIONS_MAX + 9)
        .map(|n| format!("Device.X_A.Row.{}.Key", n + 1))
        .collect();
    stage
        .rig
        .subscribe("ValueChange", &references.join(","), &[("ID", "many")]);
    let mut asked = 0;
    stage.serve(|request| {
        asked += 1;
        usual(request)
    });
    // Besides those for commands, of which each path has at least one.
    let commands = SERVICE_PATHS_MAX + 1;
    assert_eq!(asked, SERVICE_SUBSCRIPTIONS_MAX - commands);
}
