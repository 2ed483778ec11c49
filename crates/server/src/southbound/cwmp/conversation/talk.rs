//! One conversation: the way to the device, what is known of it, and where things are written down.

use std::sync::Arc;

use cwmp::Version;
use cwmp::rpc::Inform;
use dm::mapping::Numbers;
use fleet::Timestamp;

use super::super::aside::at_length;
use super::super::{AskError, Cpe};
use super::desk::Desk;
use super::discover::{self, Walk};
use super::habits::Habits;
use super::known::Known;
use super::limits::{MAPPED_NAMES_MAX, UNPACKED_BYTES_MAX, WALK_LIFE};
use super::line::Line;
use super::memory::{HABITS, NUMBERS, TREE, WALK, Walked};
use super::quirks::Quirks;
use super::tree::Tree;
use crate::state::now;

/// One conversation.
pub struct Talk {
    /// Where things are written down.
    pub desk: Arc<Desk>,
    /// The way to the device.
    pub line: Line,
    /// The structure of the device, once somebody needed it.
    known: Option<Known>,
    /// What was known of how to ask when it was first asked; nothing while it was not.
    habits: Option<Habits>,
    /// Under which that is kept.
    kind: String,
    /// How many objects were listed and kept when [`Self::explore`] began; nothing is more before.
    began_at: usize,
}

/// The database does not answer: nothing was asked.
pub fn unsent(error: store::Error) -> AskError {
    AskError::Unsent(format!("the database does not answer: {error}"))
}

/// The numbers of rows, as they are kept; what cannot be read is forgotten.
fn numbers(kept: Option<Vec<u8>>) -> Numbers {
    let text = kept.and_then(|kept| String::from_utf8(kept).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

impl Talk {
    /// A conversation that begins with an Inform.
    pub fn begin(desk: Arc<Desk>, cpe: Cpe, version: Version, inform: &Inform) -> Self {
        let (kind, quirks) = kind(&desk, inform);
        let habits = Habits::of(None, &quirks, now());
        Self {
            line: Line::new(cpe, version, habits, quirks),
            desk,
            known: None,
            habits: None,
            kind,
            began_at: usize::MAX,
        }
    }

    /// Takes up what devices of this kind have taught: to be called before the device is asked. Most
    /// sessions ask nothing.
    pub async fn prepare(&mut self) -> store::Result<()> {
        if self.habits.is_none() {
            let (store, tenant) = (self.desk.store(), &self.desk.tenant);
            let kept = store.model_state_get(tenant, &self.kind, HABITS).await?;
            self.line.habits = Habits::of(kept.as_deref(), &self.line.quirks, now());
            self.habits = Some(self.line.habits.clone());
        }
        Ok(())
    }

    /// The structure of the device: as it is kept, else asked for.
    pub async fn known(&mut self) -> Result<(&mut Line, &mut Known), AskError> {
        let known = match self.known.take() {
            Some(known) => known,
            None => match self.kept().await.map_err(unsent)? {
                Some(known) => known,
                None => self.discovered().await?,
            },
        };
        Ok((&mut self.line, self.known.insert(known)))
    }

    /// The structure, where it is at hand without asking the device.
    pub async fn at_hand(&mut self) -> store::Result<Option<&Known>> {
        if self.known.is_none() {
            self.known = self.kept().await?;
        }
        Ok(self.known.as_ref())
    }

    async fn kept(&self) -> store::Result<Option<Known>> {
        let Desk { tenant, device, .. } = &*self.desk;
        let root = self.desk.memory().root.clone();
        let store = self.desk.store();
        let names = [TREE, NUMBERS];
        let mut kept = store.state_get_all(tenant, *device, &names).await?;
        let Some(tree) = kept.remove(TREE) else {
            return Ok(None);
        };
        let unpacked = at_length(tree.len(), UNPACKED_BYTES_MAX, || Tree::of_kept(&tree));
        let Some(tree) = unpacked.filter(|tree| !tree.is_empty()) else {
            return Ok(None);
        };
        Ok(Some(Known::of(&root, tree, numbers(kept.remove(NUMBERS)))))
    }

    async fn discovered(&mut self) -> Result<Known, AskError> {
        let root = self.desk.memory().root.clone();
        let root = match root.is_empty() {
            true => discover::root(&mut self.line).await?,
            false => root,
        };
        self.desk.memory().root.clone_from(&root);
        let Desk { tenant, device, .. } = &*self.desk;
        let kept = self.desk.store().state_get(tenant, *device, NUMBERS);
        let numbers = numbers(kept.await.map_err(unsent)?);
        let mut known = Known::discover(&mut self.line, &root, numbers).await?;
        known.changed = true;
        Ok(known)
    }

    /// Asks for the structure anew, whatever is known.
    pub async fn discover(&mut self) -> Result<(&mut Line, &mut Known), AskError> {
        let known = self.discovered().await?;
        Ok((&mut self.line, self.known.insert(known)))
    }

    /// The structure, for getting to know the device: what another session has listed of it lately is
    /// not asked again.
    pub async fn explore(&mut self) -> Result<(), AskError> {
        let walked = self.desk.memory().walked.clone();
        let lately = |walked: &Walked| {
            let age = now().since(Timestamp::from_millis(walked.since));
            walked.kind == self.kind && age <= WALK_LIFE
        };
        let walked = walked.filter(lately);
        if walked.as_ref().is_some_and(|walked| walked.done) {
            return self.known().await.map(drop);
        }
        if walked.is_some() {
            let Desk { tenant, device, .. } = &*self.desk;
            let kept = self.desk.store().state_get(tenant, *device, WALK).await;
            self.line.walk = Walk::of_kept(&kept.map_err(unsent)?.unwrap_or_default());
        }
        let begun = Walked {
            kind: self.kind.clone(),
            since: now().as_millis(),
            listed: 0,
            done: false,
        };
        let mut walked = walked.unwrap_or(begun);
        match &mut self.line.walk {
            Some(walk) => walk.listed = walked.listed,
            // What was kept cannot be read: it begins anew.
            None => walked.listed = 0,
        }
        self.began_at = walked.listed;
        self.desk.memory().walked = Some(walked);
        self.discover().await?;
        if let Some(walked) = &mut self.desk.memory().walked {
            walked.done = true;
        }
        // It is not asked again, whatever becomes of this session.
        self.keep().await;
        Ok(())
    }

    /// Whether [`Self::explore`] has come further than the session before, so that the next one goes on
    /// from there: what could not be kept does not count.
    pub fn advanced(&self) -> bool {
        let walked = &self.desk.memory().walked;
        let so_far = walked.as_ref().map(|walked| match walked.done {
            true => usize::MAX,
            false => walked.listed,
        });
        so_far.is_some_and(|listed| listed > self.began_at)
    }

    /// The device is known: the next time it is asked for its structure anew.
    pub async fn settled(&mut self) -> store::Result<()> {
        let walked = self.desk.memory().walked.take();
        // Also one that was left behind by a walk that was not gone on with.
        if walked.is_some() {
            let Desk { tenant, device, .. } = &*self.desk;
            let (store, none) = (self.desk.store(), Vec::new());
            let gone = store.state_change(tenant, *device, WALK, None, now(), none);
            gone.await?;
        }
        Ok(())
    }

    /// Whether what is known of the structure has changed since it was kept.
    pub fn has_changed(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.changed)
    }

    /// What is known is not true any more.
    pub fn forget(&mut self) {
        self.known = None;
    }

    /// Keeps what was learned. Nothing that was promised depends on it.
    pub async fn keep(&mut self) {
        if let Err(error) = self.try_keep().await {
            tracing::warn!(%error, device = %self.desk.device, "what was learned of a device could not be kept; it will be asked again");
        }
    }

    async fn try_keep(&mut self) -> store::Result<()> {
        let Desk { tenant, device, .. } = &*self.desk;
        let store = self.desk.store();
        if let Some(known) = self.known.as_mut().filter(|known| known.changed) {
            let names = known.tree.len();
            let tree = at_length(names, MAPPED_NAMES_MAX, || known.tree.kept());
            // A larger one is asked for each time it is needed.
            if tree.len() <= store::limits::STATE_BYTES_MAX {
                store.state_put(tenant, *device, TREE, tree, now()).await?;
            }
            let numbers = known.numbers().map(String::into_bytes);
            // More than are kept: such a gateway's rows are numbered anew.
            let fits = |numbers: &Vec<u8>| numbers.len() <= store::limits::STATE_BYTES_MAX;
            if let Some(numbers) = numbers.filter(fits) {
                store
                    .state_put(tenant, *device, NUMBERS, numbers, now())
                    .await?;
            }
            known.changed = false;
        }
        self.keep_walk().await?;
        if let Some(habits) = self
            .habits
            .as_mut()
            .filter(|known| **known != self.line.habits)
        {
            let kept = self.line.habits.kept();
            store
                .model_state_put(tenant, &self.kind, HABITS, kept, now())
                .await?;
            habits.clone_from(&self.line.habits);
        }
        self.desk.remember().await
    }

    /// Keeps how far it is listed, for the next session to go on with.
    pub async fn keep_walk(&self) -> store::Result<()> {
        let Desk { tenant, device, .. } = &*self.desk;
        let Some(walk) = &self.line.walk else {
            return Ok(());
        };
        let is_news = |walked: &Walked| !walked.done && walked.listed != walk.listed;
        if !self.desk.memory().walked.as_ref().is_some_and(is_news) {
            return Ok(());
        }
        let kept = walk.kept();
        // A larger one is begun anew each time.
        if kept.len() <= store::limits::STATE_BYTES_MAX {
            let store = self.desk.store();
            store.state_put(tenant, *device, WALK, kept, now()).await?;
            if let Some(walked) = &mut self.desk.memory().walked {
                walked.listed = walk.listed;
            }
        }
        Ok(())
    }
}

/// Under which name what devices of this kind have taught is found, and their quirks: by maker, product
/// class and firmware, as each Inform tells them. So what one device has taught serves the first session
/// of the next one.
fn kind(desk: &Desk, inform: &Inform) -> (String, Quirks) {
    let known = desk.memory().software.clone();
    let software = inform.ending("DeviceInfo.SoftwareVersion");
    let software = software.map(str::trim).filter(|told| !told.is_empty());
    let software = software.unwrap_or(&known);
    let id = &inform.device_id;
    let (oui, class) = (id.oui.trim().to_ascii_uppercase(), id.product_class.trim());
    let kind = match oui.is_empty() && class.is_empty() {
        // Nobody else is meant.
        true => format!("device {}", desk.device),
        false => format!("{oui}|{class}|{software}"),
    };
    (kind, desk.core.quirks.of(&oui, class, software))
}
