//! What is known of the structure of one device: its own names, and for a TR-098 device how they
//! are seen as TR-181. Everything above this speaks of `Device.`; a gateway's own paths are taken,
//! too.

use std::collections::BTreeSet;

use cwmp::fault::Retry;
use dm::mapping::{DEVICE_ROOT, Discovered, GATEWAY_ROOT, Mapping, Numbers};

use super::super::AskError;
use super::super::aside::at_length;
use super::discover::{self, Listed};
use super::limits::{MAPPED_NAMES_MAX, TABLES_LISTED_MAX};
use super::line::Line;
use super::read;
use super::tree::Tree;

/// The structure of one device.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The first segment of its names, with the dot.
    pub root: String,
    /// Its names.
    pub tree: Tree,
    /// How they are seen as TR-181, where they are not that already.
    pub mapping: Option<Box<Mapping>>,
    /// It was found in this session: nothing has changed since.
    pub fresh: bool,
    /// It is not what is kept.
    pub changed: bool,
}

impl Known {
    /// Of a tree that is known.
    pub fn of(root: &str, tree: Tree, numbers: Numbers) -> Self {
        let mapping = (root == GATEWAY_ROOT).then(|| {
            let found = tree
                .iter()
                .map(|(name, writable)| discovered(name, writable));
            at_length(tree.len(), MAPPED_NAMES_MAX, || {
                Mapping::new(found, numbers).ok()
            })
        });
        Self {
            root: root.to_owned(),
            mapping: mapping.flatten().map(Box::new),
            tree,
            fresh: false,
            changed: false,
        }
    }

    /// Asks the device for its structure. Rows keep the numbers that they have.
    pub async fn discover(line: &mut Line, root: &str, numbers: Numbers) -> Result<Self, AskError> {
        let tree = discover::discover(line, root).await?;
        let mut known = Self::of(root, tree, numbers);
        known.fresh = true;
        // What decides which rows there are.
        let names: Vec<String> = known.tree.iter().map(|(name, _)| name.to_owned()).collect();
        let wanted = Mapping::wants(names.iter().map(String::as_str));
        if known.mapping.is_some() && !wanted.is_empty() {
            let values = read::params(line, wanted).await?.texts();
            if let Some(mapping) = &mut known.mapping {
                let found = values
                    .iter()
                    .map(|(name, value)| discovered(name, known.tree.writable(name)).value(value));
                // It held all of these names already.
                let _ = at_length(names.len(), MAPPED_NAMES_MAX, || mapping.extend(found));
            }
        }
        Ok(known)
    }

    /// The numbers of TR-181 rows, to be kept.
    pub fn numbers(&self) -> Option<String> {
        let mapping = self.mapping.as_ref()?;
        Some(mapping.numbers().to_string())
    }

    /// The mapping that stands between this path and the device; none for a path of its own.
    pub fn mapped(&self, path: &str) -> Option<&Mapping> {
        self.mapping
            .as_deref()
            .filter(|_| path.starts_with(DEVICE_ROOT))
    }

    /// Looks which rows a table of the device has now.
    pub async fn list(&mut self, line: &mut Line, table: &str) -> Result<Listed, AskError> {
        let listed = discover::list(line, &mut self.tree, table).await?;
        if let Some(mapping) = &mut self.mapping {
            let went = listed.went.iter().map(String::as_str);
            let names = self.tree.len();
            at_length(names, MAPPED_NAMES_MAX, || mapping.remove_all(went));
        }
        self.take_in(&listed.came);
        self.changed |= !listed.came.is_empty() || !listed.went.is_empty();
        Ok(listed)
    }

    /// Which of these parameters the device does not have: those that discovery has not shown, and
    /// that are not there now where it is asked once more. Some devices break their session off, or
    /// crash, when they are asked for a name that they do not know.
    pub async fn unknown(
        &mut self,
        line: &mut Line,
        names: impl IntoIterator<Item = &str>,
    ) -> Result<BTreeSet<String>, AskError> {
        let hidden = |known: &Self, name: &str| {
            let mut gaps = known.tree.gaps.iter();
            !known.tree.has(name) && !gaps.any(|(object, _)| name.starts_with(object.as_str()))
        };
        // A row that went since is such a name, too.
        let doubtful = |name: &&str| hidden(self, name) || line.habits.is_suspect(name);
        let names = names.into_iter().filter(doubtful).map(str::to_owned);
        let mut names: BTreeSet<String> = names.collect();
        if !self.fresh && !self.tree.is_empty() {
            let place = |name: &String| match hidden(self, name) {
                true => self.tree.around(name),
                false => table_of(name).to_owned(),
            };
            let places: BTreeSet<String> = names.iter().map(place).collect();
            let places = places.into_iter().filter(|object| !object.is_empty());
            for object in places.take(TABLES_LISTED_MAX) {
                self.list(line, &object).await?;
            }
        }
        names.retain(|name| hidden(self, name));
        Ok(names)
    }

    /// Learns all that is below an object of the device now, and forgets what was.
    pub async fn learn(&mut self, line: &mut Line, object: &str) -> Result<(), AskError> {
        let mut now = Tree::default();
        discover::learn(line, &mut now, object).await?;
        if !now.gaps.is_empty() {
            return Ok(());
        }
        let mut gone: Vec<String> = Vec::new();
        for name in self.tree.below(object).filter(|name| !now.has(name)) {
            // What is below a row that went goes with it.
            let with = |row: &String| row.ends_with('.') && name.starts_with(row.as_str());
            if !gone.last().is_some_and(with) {
                gone.push(name.to_owned());
            }
        }
        self.changed |= !gone.is_empty();
        for name in &gone {
            self.tree.remove(name);
        }
        if let Some(mapping) = &mut self.mapping {
            let gone = gone.iter().map(String::as_str);
            let names = self.tree.len();
            at_length(names, MAPPED_NAMES_MAX, || mapping.remove_all(gone));
        }
        let mut fresh = Vec::new();
        for (name, writable) in now.iter() {
            if !self.tree.has(name) {
                fresh.push(name.to_owned());
            }
            self.tree.insert(name, writable);
        }
        self.changed |= !fresh.is_empty();
        if let Some(mapping) = &mut self.mapping
            && !fresh.is_empty()
        {
            let found = fresh
                .iter()
                .map(|name| discovered(name, self.tree.writable(name)));
            let names = self.tree.len();
            let _ = at_length(names, MAPPED_NAMES_MAX, || mapping.extend(found));
        }
        Ok(())
    }

    /// Objects that are in the tree and were not before: the mapping sees them too.
    fn take_in(&mut self, objects: &[String]) {
        let Some(mapping) = self.mapping.as_mut().filter(|_| !objects.is_empty()) else {
            return;
        };
        let names = objects.iter().flat_map(|object| self.tree.below(object));
        let found: Vec<Discovered<'_>> = names
            .map(|name| discovered(name, self.tree.writable(name)))
            .collect();
        // A tree with more is not mapped further.
        let names = self.tree.len();
        let _ = at_length(names, MAPPED_NAMES_MAX, || mapping.extend(found));
    }

    /// A row of the device that was added, with what it has.
    pub async fn added(&mut self, line: &mut Line, row: &str) -> Result<(), AskError> {
        self.changed = true;
        self.tree.insert(row, Some(true));
        discover::learn(line, &mut self.tree, row).await?;
        self.take_in(&[row.to_owned()]);
        Ok(())
    }

    /// A row that comes with a restart of the device, which does not list it before: it has what another
    /// row of its table has, until it is listed.
    pub fn expect(&mut self, table: &str, row: &str) {
        if self.tree.params_below(row).next().is_some() {
            return;
        }
        let other = self.tree.rows(table).into_iter();
        let mut other = other.map(|number| format!("{table}{number}."));
        let Some(other) = other.find(|other| other != row) else {
            return;
        };
        let names = self.tree.params_below(&other);
        let names: Vec<(String, Option<bool>)> = names
            .map(|name| {
                (
                    format!("{row}{}", &name[other.len()..]),
                    self.tree.writable(name),
                )
            })
            .collect();
        for (name, writable) in names {
            self.tree.insert(&name, writable);
        }
        self.tree.gaps.retain(|(object, _)| object != row);
        self.take_in(&[row.to_owned()]);
    }

    /// Parameters that the device has refused as unknown, though it has listed them: each is looked
    /// for once more, and what is not listed any more is gone. The others only cannot be read.
    pub async fn doubt(&mut self, line: &mut Line, names: &[&str]) -> Result<(), AskError> {
        let object = |name: &str| name.rfind('.').map_or(0, |dot| dot + 1);
        let objects: BTreeSet<&str> = names.iter().map(|name| &name[..object(name)]).collect();
        for place in objects.into_iter().take(TABLES_LISTED_MAX) {
            let listed = match discover::level(line, place).await {
                Ok(listed) => listed,
                Err(AskError::Refused(fault)) if fault.code.retry() == Retry::ForgetName => {
                    self.removed(place);
                    continue;
                }
                Err(AskError::Refused(_) | AskError::Garbled(_)) => continue,
                Err(error) => return Err(error),
            };
            let of = names.iter().filter(|name| &name[..object(name)] == place);
            let is_listed = |name: &str| listed.iter().any(|info| info.name == name);
            let gone: Vec<&str> = of.copied().filter(|name| !is_listed(name)).collect();
            self.changed |= !gone.is_empty();
            gone.iter().for_each(|name| self.tree.remove(name));
            if let Some(mapping) = &mut self.mapping {
                let names = self.tree.len();
                at_length(names, MAPPED_NAMES_MAX, || mapping.remove_all(gone));
            }
        }
        Ok(())
    }

    /// A row of the device that is gone.
    pub fn removed(&mut self, row: &str) {
        self.changed = true;
        self.tree.remove(row);
        if let Some(mapping) = &mut self.mapping {
            let names = self.tree.len();
            at_length(names, MAPPED_NAMES_MAX, || mapping.remove(row));
        }
    }
}

/// The innermost table that a name leads through; empty where there is none.
fn table_of(name: &str) -> &str {
    let mut end = name.len();
    for part in name.rsplit('.') {
        let at = end - part.len();
        if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
            return &name[..at];
        }
        end = at.saturating_sub(1);
    }
    ""
}

fn discovered(name: &str, writable: Option<bool>) -> Discovered<'_> {
    let found = Discovered::new(name);
    match writable {
        Some(writable) => found.writable(writable),
        None => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `MAPPED_NAMES_MAX`
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_large_tree_is_mapped_without_holding_up_other_sessions() {
        let mapped = tokio::spawn(async {
            let mut tree = Tree::default();
            let hosts = format!("{GATEWAY_ROOT}LANDevice.1.Hosts.Host.");
            for row in 0..2 * MAPPED_NAMES_MAX {
                tree.insert(&format!("{hosts}{row}.HostName"), None);
            }
            let (done, mut other) = tokio::sync::oneshot::channel();
            tokio::spawn(async move { done.send(()) });
            let known = Known::of(GATEWAY_ROOT, tree, Numbers::default());
            assert!(known.mapping.is_some());
            other.try_recv()
        });
        assert_eq!(mapped.await.unwrap(), Ok(()));
    }
}
