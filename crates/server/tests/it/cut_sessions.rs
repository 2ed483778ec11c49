//! A CPE that loses its connection over a question, and comes again at once: the new session goes on with what the old
//! one was at.

use std::collections::BTreeMap;

use fleet::operation::Request;
use fleet::southbound::PathValue;
use fleet::{DeviceId, Operation, OperationId, OperationState as State, TenantId};
use serde_json::{Value, json};
use server::state::now;

use crate::raw::{Cpe, envelope, fault};
use crate::world::{World, until, worlds};

const CODE: &str = "Device.DeviceInfo.ProvisioningCode";
const TABLE: &str = "Device.NAT.PortMapping.";

/// What it has: each name, and whether it is writable.
const NAMES: [(&str, bool); 9] = [
    ("Device.", false),
    ("Device.DeviceInfo.", false),
    ("Device.DeviceInfo.SoftwareVersion", false),
    (CODE, true),
    ("Device.NAT.", false),
    ("Device.NAT.PortMappingNumberOfEntries", false),
    (TABLE, true),
    ("Device.NAT.PortMapping.1.", true),
    ("Device.NAT.PortMapping.1.Description", true),
];

fn tenant() -> TenantId {
    TenantId::parse("default").unwrap()
}

/// The text of each element of this name.
fn texts<'a>(message: &'a str, element: &str) -> Vec<&'a str> {
    let open = format!("<{element}");
    let parts = message.split(&open).skip(1);
    let inside = parts.filter_map(|rest| rest.split_once('>'));
    inside
        .map(|(_, rest)| rest.split('<').next().unwrap_or_default())
        .collect()
}

/// Which method it is asked for.
fn method(asked: &str) -> String {
    let body = asked.split("Body>").nth(1).unwrap_or_default();
    let name = body.split("<cwmp:").nth(1).unwrap_or_default();
    let end = name
        .find(|c: char| !c.is_alphanumeric())
        .unwrap_or_default();
    name[..end].to_owned()
}

/// A CPE and what it holds.
struct Box {
    cpe: Cpe,
    code: String,
    /// It has the row of its table.
    row: bool,
    asked: Vec<String>,
}

impl Box {
    /// It comes anew, over another connection.
    async fn comes(&mut self) {
        self.cpe.cookie = None;
        self.cpe.reconnect().await;
        let informed = self.cpe.come().await;
        assert_eq!(informed.status, 200, "{}", informed.text());
    }

    /// The rest of a session, to its end or to where a question of this method has come this often.
    async fn goes_on(&mut self, mut cut: Option<(&str, u32)>) {
        let mut body = String::new();
        loop {
            let answer = self.cpe.post(&[], &body).await;
            if answer.status == 204 {
                assert!(
                    cut.is_none(),
                    "it was not asked for {cut:?}: {:?}",
                    self.asked
                );
                return;
            }
            let asked = answer.text();
            assert_eq!(answer.status, 200, "{asked}");
            let method = method(&asked);
            self.asked.push(method.clone());
            if let Some((at, left)) = &mut cut
                && *at == method
            {
                *left -= 1;
                if *left == 0 {
                    return;
                }
            }
            body = self.answer(&asked, &method);
        }
    }

    fn has(&self, name: &str) -> bool {
        self.row || !name.starts_with("Device.NAT.PortMapping.1.")
    }

    fn answer(&mut self, asked: &str, method: &str) -> String {
        let id = texts(asked, "cwmp:ID")[0].to_owned();
        let said = match method {
            "GetParameterNames" => {
                let path = texts(asked, "ParameterPath")[0];
                let next = matches!(texts(asked, "NextLevel")[0], "1" | "true");
                let depth = |name: &str| name.trim_end_matches('.').matches('.').count();
                let found = NAMES.iter().filter(|(name, _)| {
                    self.has(name)
                        && match (path, next) {
                            ("", true) => *name == "Device.",
                            (_, true) => {
                                name.starts_with(path)
                                    && *name != path
                                    && depth(name) == path.matches('.').count()
                            }
                            (_, false) => name.starts_with(path),
                        }
                });
                let list: Vec<String> = found
                    .map(|(name, writable)| {
                        let writable = u8::from(*writable);
                        format!("<ParameterInfoStruct><Name>{name}</Name><Writable>{writable}</Writable></ParameterInfoStruct>")
                    })
                    .collect();
                array("ParameterList", "ParameterInfoStruct", &list)
            }
            "GetParameterValues" => {
                let mut list = Vec::new();
                for wanted in texts(asked, "string") {
                    let is = |name: &&str| {
                        *name == wanted || wanted.ends_with('.') && name.starts_with(wanted)
                    };
                    let names = NAMES.iter().map(|(name, _)| *name);
                    let found =
                        names.filter(|name| self.has(name) && !name.ends_with('.') && is(name));
                    let before = list.len();
                    list.extend(found.map(|name| {
                        let value = match name {
                            CODE => self.code.as_str(),
                            "Device.NAT.PortMappingNumberOfEntries" => "1",
                            _ => "x",
                        };
                        format!(r#"<ParameterValueStruct><Name>{name}</Name><Value xsi:type="xsd:string">{value}</Value></ParameterValueStruct>"#)
                    }));
                    if list.len() == before {
                        return fault(&id, 9005);
                    }
                }
                array("ParameterList", "ParameterValueStruct", &list)
            }
            "SetParameterValues" => {
                for (name, value) in texts(asked, "Name").into_iter().zip(texts(asked, "Value")) {
                    if name == CODE {
                        value.clone_into(&mut self.code);
                    }
                }
                "<Status>0</Status>".to_owned()
            }
            "DeleteObject" => {
                self.row = false;
                "<Status>0</Status>".to_owned()
            }
            "GetAllQueuedTransfers" => array("TransferList", "AllQueuedTransferStruct", &[]),
            _ => return fault(&id, 9000),
        };
        envelope(
            &id,
            &format!("<cwmp:{method}Response>{said}</cwmp:{method}Response>"),
        )
    }
}

fn array(name: &str, of: &str, list: &[String]) -> String {
    let (count, list) = (list.len(), list.concat());
    format!(r#"<{name} soap-enc:arrayType="cwmp:{of}[{count}]">{list}</{name}>"#)
}

async fn asked(world: &World, device: DeviceId, request: Request) -> OperationId {
    let id = OperationId(uuid::Uuid::now_v7());
    let expires = now().plus(fleet::limits::EXPIRY_DEFAULT);
    let operation = Operation::new(id, tenant(), device, request, "test", now(), expires);
    let (store, tenant) = (world.store(), tenant());
    let inserted = store.operation_insert(&tenant, operation, None, vec![]);
    inserted.await.unwrap();
    id
}

fn set() -> Request {
    Request::Set {
        values: vec![PathValue::new(CODE, "new")],
        allow_partial: false,
    }
}

fn add() -> Request {
    Request::Add {
        object: TABLE.to_owned(),
        values: BTreeMap::new(),
    }
}

fn delete() -> Request {
    Request::Delete {
        paths: vec!["Device.NAT.PortMapping.1.".to_owned()],
        allow_partial: false,
    }
}

fn get() -> Request {
    Request::Get {
        paths: vec![CODE.to_owned()],
        max_depth: 0,
    }
}

fn download() -> Request {
    let args = [("URL", "http://files/x"), ("FileType", "2 Web Content")];
    let args = args.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Request::Operate {
        command: "Device.X_HEADEND_Download()".to_owned(),
        args: args.into(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_session_was_asked_and_did_not_answer_is_gone_on_with_in_the_one_that_comes_at_once()
{
    for world in worlds().await {
        let made = world.post("/api/v1/setup-keys", json!({"name": "van"}));
        let key: Value = made.await.json().await.unwrap();
        let key = key["secret"].as_str().unwrap();
        for (n, (request, cut, state, again)) in [
            (get(), ("GetParameterValues", 1), State::Succeeded, true),
            // Before the change, the change, and the look at what it made.
            (set(), ("GetParameterValues", 1), State::Succeeded, true),
            (set(), ("SetParameterValues", 1), State::Succeeded, true),
            (set(), ("GetParameterValues", 2), State::Succeeded, true),
            (delete(), ("DeleteObject", 1), State::Succeeded, true),
            // These are never asked for again.
            (add(), ("AddObject", 1), State::Unconfirmed, false),
            (download(), ("Download", 1), State::Unconfirmed, false),
        ]
        .into_iter()
        .enumerate()
        {
            let serial = format!("CUT{n}");
            let cpe = Cpe::new(world.cwmp.unwrap(), &serial).await;
            let mut cpe = Box {
                cpe: cpe.with("default", key),
                code: "old".to_owned(),
                row: true,
                asked: Vec::new(),
            };
            cpe.comes().await;
            cpe.goes_on(None).await;
            let found = world.read(&format!("/api/v1/devices?q={serial}")).await;
            let device: DeviceId = found["items"][0]["id"].as_str().unwrap().parse().unwrap();
            let operation = asked(&world, device, request).await;
            cpe.asked.clear();
            cpe.comes().await;
            cpe.goes_on(Some(cut)).await;
            let first = std::mem::take(&mut cpe.asked);
            cpe.comes().await;
            // What is said to the session that is over comes to this one: the first two are at their end, and told of.
            until("the session that was cut is over", async || {
                let (store, tenant) = (world.store(), tenant());
                let listed = store.management_session_list(&tenant, device, None, 10);
                listed.await.unwrap().len() >= 2
            })
            .await;
            cpe.goes_on(None).await;
            let record = async || {
                let record = world.store().operation(&tenant(), operation).await;
                record.unwrap().operation
            };
            until("the operation ends", async || {
                record().await.state.is_final()
            })
            .await;
            let ended = record().await;
            let told = format!("{cut:?}: {first:?}, then {:?}: {ended:?}", cpe.asked);
            assert_eq!(ended.state, state, "{told}");
            assert_eq!(cpe.asked.iter().any(|one| one == cut.0), again, "{told}");
        }
        world.stop().await;
    }
}
