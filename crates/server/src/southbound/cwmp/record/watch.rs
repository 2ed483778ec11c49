//! What the record of a session hears of the protocol's events.

use ::cwmp::Response;
use ::cwmp::acs::{Ignored, PeerError, RequestId};
use ::cwmp::soap::Oddities;

use crate::southbound::cwmp::session::Running;

impl Running {
    /// A question was answered, or will not be.
    pub(in crate::southbound::cwmp) fn record_answer(
        &mut self,
        id: RequestId,
        result: &Result<Response, PeerError>,
        odd: Oddities,
        why: &str,
    ) {
        let body = self.body.take();
        let Some(record) = &mut self.record else {
            return;
        };
        let id = self.session.wire_id(id);
        match result {
            Ok(response) => record.answered(&id, response, odd),
            Err(PeerError::Fault(fault)) => record.refused(&id, fault, odd),
            // What came is written down already: nothing.
            Err(error @ PeerError::Empty) => record.unanswered(&error.to_string()),
            Err(PeerError::Lost | PeerError::NotSent) => record.unanswered(why),
            Err(error) => {
                if let Some(body) = body {
                    record.raw("answer", &body);
                }
                record.unanswered(&error.to_string());
            }
        }
    }

    /// Something changed nothing, or less than it should.
    pub(in crate::southbound::cwmp) fn record_ignored(&mut self, why: &Ignored) {
        let Some(record) = &mut self.record else {
            return;
        };
        let (what, words, oddities) = match why {
            Ignored::Probe => return,
            Ignored::Duplicate { .. } => {
                self.body = None;
                return record.note("the same message came again, and gets the same answer");
            }
            Ignored::Unmatched { name, id, oddities } => {
                let words = format!("nobody asked for {name} with the id `{id}`");
                ("answer", words, *oddities)
            }
            Ignored::Malformed(error) => {
                let what = match error.is_unserved_request() {
                    true => "request",
                    false => "broken",
                };
                (what, error.to_string(), Oddities::default())
            }
            Ignored::Unserved { name, oddities } => {
                let words = format!("{name:.100} is no method of this server");
                ("request", words, *oddities)
            }
            Ignored::Unanswered => {
                return record.note("the server did not come to answer in time");
            }
        };
        if let Some(body) = self.body.take() {
            record.raw(what, &body);
        }
        record.note(&words);
        for odd in oddities.texts() {
            record.note(&format!("the sender {odd}"));
        }
    }
}
