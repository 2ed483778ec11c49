//! Register and Deregister at the end that is asked: a USP Broker answers them, any other controller refuses
//! (R-REG.0 to R-DEREG.4). Deliberately no rules of who may have which path: those are the broker's.

use super::{Event, Ignored, Session, excerpt};
use crate::error::{Error, ErrorCode, UspError};
use crate::limits;
use crate::link::Via;
use crate::msg::{
    Deregister, DeregisterResp, DeregisterStatus, DeregisteredPathResult, OperationFailure,
    Register, Request, Response,
};

/// What a USP Service asks its broker for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registration {
    /// To have paths.
    Register(Register),
    /// To have them no longer.
    Deregister(Deregister),
}

/// A registration to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RegistrationToken(u64);

/// One that waits for the caller's answer.
pub(super) struct Unanswered {
    token: u64,
    msg_id: String,
    via: Via,
}

impl Session {
    /// Agents ask a controller that is no broker for nothing but Notify. R-MSG.1
    pub(super) fn other_request(&mut self, msg_id: String, request: Request, via: Via) {
        let registration = match request {
            Request::Register(register) => Registration::Register(register),
            Request::Deregister(deregister) => Registration::Deregister(deregister),
            request => {
                let text = format!("this controller does not serve {:?}", request.msg_type());
                let error = UspError::new(ErrorCode::MESSAGE_NOT_SUPPORTED, text);
                self.link.reply_error(&msg_id, error, via);
                return self.ignore(Ignored::Unsupported { msg_id });
            }
        };
        if !self.config.registrations {
            return self.refuse_registration(msg_id, registration, via);
        }
        // R-MSG.4
        if self
            .registrations
            .iter()
            .any(|known| known.msg_id == msg_id)
        {
            return self.ignore(Ignored::Duplicate {
                msg_id: excerpt(&msg_id),
            });
        }
        if self.registrations.len() >= limits::REGISTRATIONS_MAX {
            let error = UspError::new(ErrorCode::RESOURCES_EXCEEDED, "too many requests at once");
            self.link.reply_error(&msg_id, error, via);
            return self.ignore(Ignored::Limit("REGISTRATIONS_MAX"));
        }
        let token = self.fresh();
        self.registrations.push(Unanswered { token, msg_id, via });
        self.events.push_back(Event::Registering {
            token: RegistrationToken(token),
            registration,
        });
    }

    fn refuse_registration(&mut self, msg_id: String, registration: Registration, via: Via) {
        match registration {
            Registration::Deregister(deregister) => {
                let response = refuse_deregister(deregister);
                self.link.respond(&msg_id, response.into(), via);
            }
            Registration::Register(_) => {
                let text = "this controller does not serve REGISTER";
                let error = UspError::new(ErrorCode::MESSAGE_NOT_SUPPORTED, text);
                self.link.reply_error(&msg_id, error, via);
            }
        }
        self.ignore(Ignored::Unsupported { msg_id });
    }

    /// Answers a registration.
    pub fn answer_registration(
        &mut self,
        token: RegistrationToken,
        result: Result<Response, UspError>,
    ) -> Result<(), Error> {
        let mut all = self.registrations.iter();
        let at = all.position(|known| known.token == token.0);
        let at = at.ok_or(Error::ApiMisuse(
            "a registration is answered once, by its own session",
        ))?;
        let known = self.registrations.swap_remove(at);
        match result {
            Ok(response) => self.link.respond(&known.msg_id, response, known.via),
            Err(error) => self.link.reply_error(&known.msg_id, error, known.via),
        };
        Ok(())
    }
}

/// A Deregister is never answered with an Error. R-DEREG.4
fn refuse_deregister(deregister: Deregister) -> DeregisterResp {
    let refuse = |requested_path| {
        let err_msg = "this controller takes no registrations".to_owned();
        let failure = OperationFailure {
            err_code: ErrorCode::DEREGISTER_FAILURE.0,
            err_msg,
        };
        DeregisteredPathResult {
            requested_path,
            oper_status: DeregisterStatus::OperFailure(failure),
        }
    };
    DeregisterResp {
        deregistered_path_results: deregister.paths.into_iter().map(refuse).collect(),
    }
}
