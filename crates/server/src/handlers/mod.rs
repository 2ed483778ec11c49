//! The handlers, one file a resource, bound to the table of operations by id. None of them checks
//! whether the caller may use the operation: the guard has done so. They check only what the
//! content adds, like the verb of an operation on a device.

mod certificate;
mod device;
mod device_match;
pub mod device_view;
mod discovery;
mod doctor;
mod event;
mod event_words;
mod file;
mod findings;
mod findings_acs;
mod findings_lan;
mod findings_mqtt;
mod findings_pki;
mod identified;
mod management_session;
mod model;
mod model_search;
mod model_tree;
mod model_types;
mod operation;
mod operation_plan;
mod operation_view;
mod reach;
mod refusal_words;
mod refusal_words_acs;
mod session;
mod setup_key;
mod stream;
mod system;
mod tenant;
mod token;
mod transfer;
mod user;
mod validate;
mod value;
mod wake_credential;

use crate::state::State;
use api::{Endpoint, Method, Time};
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use fleet::Timestamp;

/// The handler of an operation.
pub fn bind(endpoint: &Endpoint) -> Option<MethodRouter<State>> {
    let to = Binder(match endpoint.method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Put => MethodFilter::PUT,
        Method::Patch => MethodFilter::PATCH,
        Method::Delete => MethodFilter::DELETE,
    });
    Some(match endpoint.id {
        "session_create" => to.handler(session::create),
        "session_show" => to.handler(session::show),
        "session_delete" => to.handler(session::delete),
        "session_password" => to.handler(session::password),
        "token_list" => to.handler(token::list),
        "token_create" => to.handler(token::create),
        "token_show" => to.handler(token::show),
        "token_revoke" => to.handler(token::revoke),
        "tenant_list" => to.handler(tenant::list),
        "tenant_create" => to.handler(tenant::create),
        "tenant_show" => to.handler(tenant::show),
        "tenant_update" => to.handler(tenant::update),
        "user_list" => to.handler(user::list),
        "user_create" => to.handler(user::create),
        "user_show" => to.handler(user::show),
        "user_update" => to.handler(user::update),
        "user_delete" => to.handler(user::delete),
        "user_password_reset" => to.handler(user::reset),
        "role_list" => to.handler(user::roles),
        "setup_key_list" => to.handler(setup_key::list),
        "setup_key_create" => to.handler(setup_key::create),
        "setup_key_show" => to.handler(setup_key::show),
        "setup_key_update" => to.handler(setup_key::update),
        "setup_key_revoke" => to.handler(setup_key::revoke),
        "certificate_list" => to.handler(certificate::list),
        "certificate_issue" => to.handler(certificate::issue),
        "certificate_show" => to.handler(certificate::show),
        "certificate_revoke" => to.handler(certificate::revoke),
        "device_certificate_rotate" => to.handler(certificate::rotate),
        "certificate_authority" => to.handler(certificate::authority),
        "device_list" => to.handler(device::list),
        "device_facets" => to.handler(device::facets),
        "device_create" => to.handler(device::create),
        "device_show" => to.handler(device::show),
        "device_update" => to.handler(device::update),
        "device_delete" => to.handler(device::delete),
        "device_readmit" => to.handler(device::readmit),
        "device_match_list" => to.handler(device_match::list),
        "device_match_accept" => to.handler(device_match::accept),
        "device_match_reject" => to.handler(device_match::reject),
        "device_merge" => to.handler(device_match::merge),
        "device_split" => to.handler(device_match::split),
        "device_sessions" => to.handler(management_session::list),
        "device_session" => to.handler(management_session::show),
        "device_timeline" => to.handler(event::timeline),
        "device_reach" => to.handler(reach::show),
        "device_wake" => to.handler(reach::wake),
        "device_wake_credential_enter" => to.handler(wake_credential::enter),
        "device_wake_credential_remove" => to.handler(wake_credential::remove),
        "device_values" => to.handler(value::list),
        "device_model" => to.handler(model::show),
        "device_model_search" => to.handler(model::search),
        "operation_create" => to.handler(operation::create),
        "operation_list" => to.handler(operation::list),
        "operation_show" => to.handler(operation::show),
        "operation_cancel" => to.handler(operation::cancel),
        "operation_transcript" => to.handler(operation::transcript),
        "file_list" => to.handler(file::list),
        "file_upload" => to.handler(file::upload),
        "file_show" => to.handler(file::show),
        "file_update" => to.handler(file::update),
        "file_delete" => to.handler(file::delete),
        "file_content" => to.handler(file::content),
        "transfer_list" => to.handler(transfer::list),
        "device_download" => to.handler(transfer::download),
        "device_upload" => to.handler(transfer::upload),
        "event_list" => to.handler(event::list),
        "event_show" => to.handler(event::show),
        "event_stream" => to.handler(stream::open),
        "doctor_show" => to.handler(doctor::show),
        "discovery_agents" => to.handler(discovery::agents),
        "refusal_list" => to.handler(doctor::refusals),
        "system_show" => to.handler(system::show),
        "openapi_show" => to.handler(system::openapi),
        _ => return None,
    })
}

struct Binder(MethodFilter);

impl Binder {
    fn handler<H, T>(&self, handler: H) -> MethodRouter<State>
    where
        H: Handler<T, State>,
        T: 'static,
    {
        on(self.0, handler)
    }
}

/// A moment for the wire.
fn time(at: Timestamp) -> Time {
    Time::from_unix_ms(at.as_millis())
}

/// A moment from the wire.
fn stamp(at: Time) -> Timestamp {
    Timestamp::from_millis(at.unix_ms())
}

/// A text that may be missing.
fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_operation_of_the_table_has_a_handler() {
        for endpoint in api::OPERATIONS {
            assert!(
                super::bind(endpoint).is_some(),
                "{} has no handler",
                endpoint.id
            );
        }
    }
}
