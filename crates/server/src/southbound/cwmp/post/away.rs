//! Who is sent away before the body is read; above all who shows the cookie of a session that is not its own, and proves to
//! be somebody else.

use axum::body::Body;
use http::StatusCode;

use super::super::answers::{Reaction, closing, status};
use super::super::body::{self, Bounds};
use super::super::core::Culprit;
use super::super::door::{self, Denied, Proof};
use super::super::limits::DRAINED_BYTES_MAX;
use super::super::sessions::Handle;
use super::Asking;

impl Asking {
    /// Who shows the cookie of a session, and proves to be somebody else than its device. What proves nothing
    /// changes nothing: the cookie alone is enough.
    pub(super) async fn stranger(&self, session: &Handle) -> Option<Culprit> {
        let (request, whose) = (self.shows(), &session.whose);
        let mark = request.mark().filter(|mark| whose.is_news(mark))?;
        // That of a proxy says nothing of the device.
        let certificate = request.certificate.filter(|_| !self.line.proxied);
        let certificate = certificate.filter(|one| whose.is_of_another(one));
        let proved = door::authenticate(self.core(), &request).await;
        // What cannot be known now, or was right once, may prove something the next time.
        let is_known = matches!(proved, Ok(_) | Err(Denied::Wrong { .. }));
        let shown = proved.ok();
        let proof = shown.as_ref().map(|shown| &shown.proof);
        if certificate.is_none() && !proof.is_some_and(|proof| whose.is_anothers(proof)) {
            if is_known {
                whose.looked_at(mark);
            }
            return None;
        }
        let mut culprit = Culprit::at(self.peer);
        culprit.tenant = proof.and_then(Proof::tenant).cloned();
        culprit.device = proof.and_then(Proof::device);
        let user = shown.map(|shown| shown.user_name());
        let user = user.filter(|user| !user.is_empty());
        let named = || Some(certificate?.names.first()?.clone());
        culprit.name = user.or_else(named).unwrap_or_default();
        Some(culprit)
    }

    /// The session that its cookie names hears nothing of it.
    pub(super) async fn send_away(
        &self,
        session: &Handle,
        stranger: &Culprit,
        body: Body,
    ) -> Reaction {
        let whose = session.whose.name(stranger.tenant.as_ref());
        let whose = whose.unwrap_or_else(|| "another device".to_owned());
        let words = format!("it shows the cookie of a session of {whose}");
        self.core().complain(stranger, "foreign-cookie", words);
        self.dismiss(status(StatusCode::FORBIDDEN), body).await
    }

    /// Answers without the body, which would be in the way of what is sent next on this connection.
    pub(super) async fn dismiss(&self, answer: Reaction, body: Body) -> Reaction {
        let bounds = Bounds {
            time_max: self.core().limits.drain_time_max,
            ..self.bounds(DRAINED_BYTES_MAX)
        };
        match body::drain(body, bounds).await {
            true => answer,
            false => closing(answer),
        }
    }
}
