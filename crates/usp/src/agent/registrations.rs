//! What a USP Service asks its broker for: paths (Register) and their return (Deregister). Deliberately not repeated
//! and not kept across channels: with the channel goes what was registered, and the service registers anew.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Event, Session};
use crate::codec;
use crate::error::{Error, ErrorCode, UspError};
use crate::limits;
use crate::msg::{Msg, MsgType, Request, Response};

/// A registration that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistrationId(u64);

/// Those that are not answered yet.
pub(super) struct Registrations {
    prefix: u64,
    next: u64,
    waiting: VecDeque<Asked>,
}

struct Asked {
    id: RegistrationId,
    /// Until it is sent.
    payload: Option<Vec<u8>>,
    answer: MsgType,
    /// Until when it can be answered.
    due: Instant,
}

impl Registrations {
    pub fn new(seed: u64) -> Self {
        Self {
            prefix: seed,
            next: 1,
            waiting: VecDeque::new(),
        }
    }

    pub fn clear(&mut self) {
        self.waiting = VecDeque::new();
    }

    fn msg_id(&self, id: RegistrationId) -> String {
        format!("{:x}-r{}", self.prefix, id.0)
    }
}

impl Session {
    /// Asks the broker for paths (Register) or gives them back (Deregister). The answer is an [`Event::Registered`], an
    /// error when it has not come within `time_max`, for what is sent may get lost; when the channel closes first, there
    /// is none.
    pub fn register(
        &mut self,
        now: Instant,
        request: impl Into<Request>,
        time_max: Duration,
    ) -> Result<RegistrationId, Error> {
        let request = request.into();
        if !matches!(request, Request::Register(_) | Request::Deregister(_)) {
            return Err(Error::ApiMisuse("only Register and Deregister are asked"));
        }
        let all = &mut self.registrations;
        if all.waiting.len() >= limits::REGISTRATIONS_MAX {
            return Err(Error::LimitExceeded {
                limit: "REGISTRATIONS_MAX",
                max: limits::REGISTRATIONS_MAX,
            });
        }
        let id = RegistrationId(all.next);
        let answer = request.response_type();
        let payload = codec::encode_msg(&Msg::request(all.msg_id(id), request));
        codec::check_size(payload.len() + 1024)?;
        all.next += 1;
        all.waiting.push_back(Asked {
            id,
            payload: Some(payload),
            answer,
            due: now + time_max,
        });
        Ok(id)
    }

    /// Whether this answers a registration.
    pub(super) fn registered(&mut self, msg_id: &str, result: Result<Response, UspError>) -> bool {
        let all = &mut self.registrations;
        let known = |asked: &Asked| asked.payload.is_none() && all.msg_id(asked.id) == msg_id;
        let Some(at) = all.waiting.iter().position(known) else {
            return false;
        };
        let Some(asked) = all.waiting.remove(at) else {
            return false;
        };
        let result = match result {
            Ok(response) if response.msg_type() != asked.answer => {
                let text = format!("the broker answers with {:?}", response.msg_type());
                Err(UspError::new(ErrorCode::INTERNAL_ERROR, text))
            }
            result => result,
        };
        let id = asked.id;
        self.events.push_back(Event::Registered { id, result });
        true
    }

    /// Gives up what is over time.
    pub(super) fn expire_registrations(&mut self, now: Instant) {
        let all = &mut self.registrations.waiting;
        while let Some(at) = all.iter().position(|asked| asked.due <= now)
            && let Some(Asked { id, .. }) = all.remove(at)
        {
            let error = UspError::new(ErrorCode::INTERNAL_ERROR, "the broker does not answer");
            let result = Err(error);
            self.events.push_back(Event::Registered { id, result });
        }
    }

    pub(super) fn registrations_due(&self) -> Option<Instant> {
        let all = self.registrations.waiting.iter();
        all.map(|asked| asked.due).min()
    }

    pub(super) fn next_registration(&mut self) -> Option<Bytes> {
        let mut all = self.registrations.waiting.iter_mut();
        let payload = all.find_map(|asked| asked.payload.take())?;
        self.link.send(payload)
    }
}
