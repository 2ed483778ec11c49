//! What a device that was let in does wrong, told to the operators. Deliberately no consequence: that is the link's.

use usp::context::Status;
use usp::session::Ignored;

use super::link::Running;
use crate::seam::SessionContext;
use crate::southbound::refusal::Complaint;

impl Running {
    /// R-MQTT.28 to .32: over MQTT a record that cannot be read is dropped.
    pub(super) fn garbled(&self, error: &usp::Error) {
        metrics::counter!("headend_usp_records_unparsable_total").increment(1);
        self.complain("unparsable-record", error.to_string());
    }

    pub(super) fn ignored(&self, why: &Ignored) {
        metrics::counter!("headend_usp_records_ignored_total").increment(1);
        let reason = match why {
            Ignored::NotForUs { .. } => "misaddressed-record",
            Ignored::FromOurselves | Ignored::WrongSender { .. } => "record-of-another-endpoint",
            Ignored::BrokenRecord(_) | Ignored::BrokenMessage(_) | Ignored::EmptyPayload => {
                "broken-record"
            }
            // Until there is a context, an agent that would take part in one cannot know that it is to.
            Ignored::NoSessionContext if self.session.context_status() != Status::Up => {
                return tracing::debug!(peer = %self.entry.peer, %why, "ignored");
            }
            Ignored::Signed
            | Ignored::SessionContext
            | Ignored::NoSessionContext
            | Ignored::PayloadSecurity(_) => "unsupported-record",
            Ignored::Unsigned | Ignored::BadSignature(_) => "unproven-record",
            Ignored::Version(_) => "incompatible-version",
            Ignored::Limit(_) => "too-many-notifications",
            // Late answers and repetitions are everyday life.
            _ => return tracing::debug!(peer = %self.entry.peer, %why, "ignored"),
        };
        self.complain(reason, why.to_string());
    }

    pub(super) fn context(&self, event: &usp::context::Event) {
        use usp::context::Event as Context;
        match event {
            Context::Opened { .. } => {
                metrics::counter!("headend_usp_session_contexts_total").increment(1);
            }
            Context::Failed(why) => {
                metrics::counter!("headend_usp_session_contexts_failed_total").increment(1);
                self.complain("session-context-failed", why.to_string());
            }
            // What was asked has its own end: by its answer, or by its time.
            _ => tracing::debug!(peer = %self.entry.peer, ?event, "session context"),
        }
    }

    /// For whoever looks at the device.
    pub(super) fn note_context(&self) {
        let status = self.session.context_status();
        let context = (status != Status::Down).then(|| SessionContext {
            up: status == Status::Up,
            encrypted: self.session.context_is_encrypted(),
        });
        self.entry.note_context(context);
    }

    pub(super) fn complain(&self, reason: &str, detail: String) {
        self.core
            .refusals
            .over(self.link.transport())
            .take(Complaint {
                tenant: Some(self.tenant().clone()),
                device: Some(self.device()),
                peer: self.entry.peer,
                endpoint: self.endpoint().as_str().to_owned(),
                reason: reason.to_owned(),
                detail,
            });
    }
}
