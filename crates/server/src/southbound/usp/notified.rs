//! Notifications of a device over its link: stored, only then acknowledged, and what follows from them.

use fleet::{Fact, Notice, Timestamp};
use usp::controller::NotifyToken;
use usp::msg::Notify;
use usp::{ErrorCode, UspError};

use super::goodbye::End;
use super::link::Running;
use super::notify::{self, Unstored};
use super::onboarding;
use crate::southbound::log_room::{FILLED, NO_ROOM};
use crate::state::now;

impl Running {
    pub(super) async fn notified(
        &mut self,
        token: NotifyToken,
        msg_id: &str,
        notify: Notify,
    ) -> Result<(), End> {
        metrics::counter!("headend_usp_notifications_total").increment(1);
        let (at, store) = (now(), &self.core.store);
        let stored = notify::commit(
            store,
            &self.core.log_room,
            &self.entry.tenant,
            self.entry.device,
            at,
            msg_id,
            notify,
        )
        .await;
        let stored = match stored {
            Ok(stored) => stored,
            Err(Unstored::Failed(error)) => return Err(End::NotStored(error)),
            Err(Unstored::NoRoom(notice)) => {
                self.no_room(at, token, notice).await;
                return Ok(());
            }
        };
        // R-NOT.8, .10: answered after it is stored, and never before.
        if let Err(error) = self.session.acknowledge(token) {
            tracing::error!(%error, "a notification cannot be acknowledged");
        }
        while let Some(record) = self.session.poll_transmit() {
            self.post(record).await?;
        }
        if stored.again {
            metrics::counter!("headend_usp_notifications_repeated_total").increment(1);
        }
        self.told(at, stored).await;
        Ok(())
    }

    /// There is no room for a notification in the log: the device may send it again later. The end of a command is
    /// heard all the same, since the operation keeps it.
    async fn no_room(&mut self, at: Timestamp, token: NotifyToken, notice: Notice) {
        metrics::counter!("headend_usp_notifications_refused_total").increment(1);
        self.complain(FILLED, NO_ROOM.to_owned());
        let error = UspError::new(ErrorCode::RESOURCES_EXCEEDED, NO_ROOM);
        if let Err(error) = self.session.refuse(token, error) {
            tracing::error!(%error, "a notification cannot be refused");
        }
        if matches!(notice, Notice::CommandCompleted { .. }) {
            self.report(Fact::Notified { at, notice }).await;
        }
    }

    /// A notification is stored: what follows from it.
    async fn told(&mut self, at: Timestamp, stored: notify::Stored) {
        let notice = stored.notice;
        let looks_again = onboarding::services::looks_again(&notice);
        if !stored.again {
            let (core, entry) = (&self.core, &self.entry);
            let (store, recorder) = (&core.store, &self.ends.recorder);
            notify::remember(store, recorder, &entry.tenant, entry.device, at, &notice).await;
        }
        if let Notice::OnBoard {
            oui,
            product_class,
            serial,
            ..
        } = &notice
        {
            let told = (oui.clone(), product_class.clone(), serial.clone());
            self.work.get_or_insert_default().introduced = Some(told);
        }
        // A start that is told again is an old one: it must not decide a reboot that was sent since.
        let decides = matches!(notice, Notice::CommandCompleted { .. });
        if !stored.again || decides {
            self.report(Fact::Notified { at, notice }).await;
        }
        if looks_again {
            self.refresh();
        }
    }
}
