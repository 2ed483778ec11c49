//! What a device that was let in does wrong, told to the operators. Deliberately no consequence: that is the link's.

use fleet::onboarding::Refusal;
use store::SecretHash;
use usp::context::Status;
use usp::session::Ignored;

use super::goodbye::End;
use super::link::{Running, Stop};
use crate::seam::SessionContext;
use crate::southbound::issued;
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

    pub(super) async fn context(&self, event: usp::context::Event) -> Result<(), End> {
        use usp::context::Event as Context;
        match event {
            Context::Proved(certificate) => self.proved(certificate).await?,
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
        Ok(())
    }

    /// The device has proved who it is between the endpoints themselves. A certificate that does not count any more, or
    /// was issued for the device of another tenant, ends the link, whatever has let it in: somebody in between plays it.
    async fn proved(&self, certificate: SecretHash) -> Result<(), End> {
        let (store, tenant) = (&self.core.store, self.tenant());
        let found = issued::find(store, Some(&certificate)).await;
        let Some(found) = found.map_err(End::Unknown)? else {
            return Ok(());
        };
        let refusal = match issued::standing(&found) {
            standing if standing.revoked => Refusal::CertificateRevoked,
            standing if standing.tenant != tenant => Refusal::CertificateOfAnotherTenant,
            _ => {
                self.entry.proves(certificate);
                let used = issued::used(store, &found, self.device()).await;
                return used.map_err(End::Unknown);
            }
        };
        let refusals = self.core.refusals.over(self.link.transport());
        refusals.take(Complaint {
            tenant: Some(tenant.clone()),
            device: None,
            peer: self.link.whence(),
            endpoint: self.endpoint().as_str().to_owned(),
            reason: refusal.as_str().to_owned(),
            detail: "it showed it in a session context or a signed record".to_owned(),
        });
        Err(End::Stop(Stop::CertificateRefused))
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
                peer: self.link.whence(),
                endpoint: self.endpoint().as_str().to_owned(),
                reason: reason.to_owned(),
                detail,
            });
    }
}
