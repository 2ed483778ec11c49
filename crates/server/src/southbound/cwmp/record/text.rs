//! Messages cut to what people read before they are made to text: a device may say five megabytes,
//! of which the first lines tell what it is.

use ::cwmp::rpc::{
    GetParameterAttributesResponse, GetParameterNamesResponse, GetParameterValuesResponse, Inform,
    ParameterValue, Request,
};
use ::cwmp::soap::Body;
use ::cwmp::value::Value;
use ::cwmp::{Response, transcript};
use fleet::secret;

use crate::southbound::cwmp::limits::{RECORD_ITEMS_MAX, RECORD_VALUE_BYTES_MAX};

/// Whether nobody may see the value of a parameter of this name, in whichever model.
pub fn is_secret(name: &str) -> bool {
    secret::is_secret(name) || transcript::is_secret_name(name)
}

/// The first words of something that should be short.
pub fn short(text: &str) -> String {
    text.chars().take(100).collect()
}

/// An Inform with its first parameters, and how many are not in it.
pub fn shortened_inform(inform: &Inform) -> (Inform, usize) {
    let short = Inform {
        device_id: inform.device_id.clone(),
        events: first(&inform.events),
        max_envelopes: inform.max_envelopes,
        current_time: inform.current_time.clone(),
        retry_count: inform.retry_count,
        parameters: values(&inform.parameters),
    };
    (short, beyond(&inform.parameters))
}

/// A message, and how many things of it are not in it.
pub fn shortened(body: &Body) -> (Body, usize) {
    match body {
        Body::Response(response) => shortened_response(response),
        Body::Request(Request::Inform(inform)) => {
            let (inform, left) = shortened_inform(inform);
            (Body::Request(inform.into()), left)
        }
        other => (other.clone(), 0),
    }
}

/// An answer, and how many things of it are not in it.
pub fn shortened_response(response: &Response) -> (Body, usize) {
    let (short, left) = match response {
        Response::GetParameterValues(answer) => {
            let parameters = values(&answer.parameters);
            let left = beyond(&answer.parameters);
            (GetParameterValuesResponse { parameters }.into(), left)
        }
        Response::GetParameterNames(answer) => {
            let parameters = first(&answer.parameters);
            let left = beyond(&answer.parameters);
            (GetParameterNamesResponse { parameters }.into(), left)
        }
        Response::GetParameterAttributes(answer) => {
            let parameters = first(&answer.parameters);
            let left = beyond(&answer.parameters);
            (GetParameterAttributesResponse { parameters }.into(), left)
        }
        other => (other.clone(), 0),
    };
    (Body::Response(short), left)
}

fn first<T: Clone>(all: &[T]) -> Vec<T> {
    all.iter().take(RECORD_ITEMS_MAX).cloned().collect()
}

fn beyond<T>(all: &[T]) -> usize {
    all.len().saturating_sub(RECORD_ITEMS_MAX)
}

/// The first values. One that is long is not cut: what would be left of a secret in it could not
/// be found any more.
fn values(all: &[ParameterValue]) -> Vec<ParameterValue> {
    let first = all.iter().take(RECORD_ITEMS_MAX);
    let short = first.map(|parameter| match parameter.value.text.len() {
        size if size > RECORD_VALUE_BYTES_MAX => {
            let words = format!("({size} bytes)");
            ParameterValue::new(&*parameter.name, Value::new(parameter.value.base, words))
        }
        _ => parameter.clone(),
    });
    short.collect()
}
