//! Commands that only ask: which methods the device says it has, and what it reports of parameters. Nothing
//! of the device changes, and its answer is the end.

use std::collections::BTreeMap;

use cwmp::fault::FaultCode;
use cwmp::rpc::{GetParameterAttributes, GetRpcMethods};
use cwmp::{Request, Response};
use fleet::southbound::{CommandOutcome, Fault};

use super::super::AskError;
use super::get::fault;
use super::known::Known;
use super::limits::{ATTRIBUTES_ASKED_MAX, METHODS_SHOWN_MAX};
use super::line::Line;
use super::meaning::names;
use super::operate::Plan;
use super::watch::{ACTIVE, OFF, PASSIVE};

/// Which methods the device has.
pub const METHODS: &str = "X_HEADEND_GetRPCMethods()";
/// Which changes of parameters it reports, and who but the ACS may write them.
pub const ATTRIBUTES: &str = "X_HEADEND_GetParameterAttributes()";
/// Of which: parameters, objects and searches, separated by commas.
pub const PATHS: &str = "Paths";

/// What to ask for a command of this name; `None` where it is none of these.
pub async fn plan(
    line: &mut Line,
    known: &mut Known,
    name: &str,
    args: &BTreeMap<String, String>,
) -> Result<Option<Plan>, AskError> {
    match name {
        METHODS => Ok(Some(Plan::Question(GetRpcMethods {}.into()))),
        ATTRIBUTES => attributes(line, known, args).await.map(Some),
        _ => Ok(None),
    }
}

/// The paths that are listed in the arguments, of which there has to be one.
pub fn listed(args: &BTreeMap<String, String>) -> Result<Vec<&str>, Fault> {
    let list = args.get(PATHS).map(String::as_str).unwrap_or_default();
    let paths = list.split(',').map(str::trim);
    let paths: Vec<&str> = paths.filter(|path| !path.is_empty()).collect();
    match paths.is_empty() {
        true => {
            let words = format!("it needs {PATHS}, separated by commas");
            Err(fault(FaultCode::INVALID_ARGUMENTS, words))
        }
        false => Ok(paths),
    }
}

async fn attributes(
    line: &mut Line,
    known: &mut Known,
    args: &BTreeMap<String, String>,
) -> Result<Plan, AskError> {
    let no = |code, words: String| Ok(Plan::No(fault(code, words)));
    let paths = match listed(args) {
        Ok(paths) => paths,
        Err(fault) => return Ok(Plan::No(fault)),
    };
    let mut asked = Vec::new();
    for path in paths {
        let found = match path.ends_with('.') && known.mapped(path).is_none() {
            // All below it.
            true => known.tree.params_below(path).map(str::to_owned).collect(),
            false => names(line, known, path).await?,
        };
        if found.is_empty() {
            let words = format!("the device has nothing at {path}");
            return no(FaultCode::INVALID_PARAMETER_NAME, words);
        }
        asked.extend(found);
    }
    asked.sort_unstable();
    asked.dedup();
    match asked.len() {
        count if count > ATTRIBUTES_ASKED_MAX => {
            let words = format!("limit ATTRIBUTES_ASKED_MAX: these are {count} parameters");
            no(FaultCode::RESOURCES_EXCEEDED, words)
        }
        _ => Ok(Plan::Question(
            GetParameterAttributes { names: asked }.into(),
        )),
    }
}

/// Asks it.
pub async fn ask(line: &mut Line, request: Request) -> Result<CommandOutcome, AskError> {
    let asked = match &request {
        Request::GetParameterAttributes(get) => get.names.clone(),
        _ => Vec::new(),
    };
    let outputs = match line.ask(request).await {
        Ok(Response::GetRpcMethods(answer)) => {
            let methods = answer.methods.iter().take(METHODS_SHOWN_MAX);
            let short = |name: &String| -> String { name.trim().chars().take(64).collect() };
            let methods: Vec<String> = methods.map(short).collect();
            BTreeMap::from([("Methods".to_owned(), methods.join(","))])
        }
        Ok(Response::GetParameterAttributes(answer)) => {
            let each = answer.parameters.iter();
            let each = each.filter(|one| asked.contains(&one.name));
            let each = each.map(|one| {
                let reports = match one.notification {
                    OFF => "not reported".to_owned(),
                    PASSIVE => "reported when it comes the next time".to_owned(),
                    ACTIVE => "reported at once".to_owned(),
                    other => format!("notification {other}"),
                };
                let writers = match one.access_list.join(",") {
                    none if none.is_empty() => reports,
                    some => format!("{reports}; written by {some}, too"),
                };
                (one.name.clone(), line.said(&writers))
            });
            each.collect()
        }
        Ok(other) => {
            let name = other.method().response_name();
            return Err(AskError::Garbled(format!("the answer is a {name}")));
        }
        Err(AskError::Refused(refused)) => {
            let fault: Fault = line.fault(&refused);
            return Ok(CommandOutcome::Failed { fault });
        }
        Err(error) => return Err(error),
    };
    Ok(CommandOutcome::Done { outputs })
}
