//! Finding out what a device has: all at once where it can tell that, otherwise level by level.
//! What cannot be listed is named as a gap. What a table holds now is looked at by itself.

use std::collections::VecDeque;

use cwmp::fault::Retry;
use cwmp::rpc::ParameterInfoStruct;
use dm::mapping::{DEVICE_ROOT, GATEWAY_ROOT};

use super::super::AskError;
use super::super::core::Stop;
use super::limits::WALK_REQUESTS_MAX;
use super::line::Line;
use super::tree::Tree;
use crate::state::now;

/// The root of a device whose Inform did not tell it.
pub async fn root(line: &mut Line) -> Result<String, AskError> {
    const ROOTS: [&str; 2] = [DEVICE_ROOT, GATEWAY_ROOT];
    // Where there is no asking for one level, the empty path would bring the whole tree.
    if line.quirks.never_lists_empty_path != Some(true) && line.habits.lists_levels {
        match line.names("", true).await {
            Ok(found) => {
                let is = |root: &&&str| found.iter().any(|info| info.name.starts_with(**root));
                if let Some(root) = ROOTS.iter().find(is) {
                    return Ok((*root).to_owned());
                }
            }
            Err(error @ (AskError::Lost(_) | AskError::Unsent(_))) => return Err(error),
            // As many refuse it.
            Err(AskError::Refused(_) | AskError::Garbled(_)) => {}
        }
    }
    for root in ROOTS {
        match level(line, root).await {
            Ok(found) if !found.is_empty() => return Ok(root.to_owned()),
            Ok(_) | Err(AskError::Refused(_) | AskError::Garbled(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(DEVICE_ROOT.to_owned())
}

/// A walk that is not at its end: what it has found, and what it has yet to list.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Walk {
    tree: Tree,
    left: VecDeque<String>,
    /// How many objects it has listed.
    pub listed: usize,
}

impl Walk {
    /// As it is kept: what is left, and what could not be listed at the first try, are gaps.
    pub fn kept(&self) -> Vec<u8> {
        let mut tree = self.tree.clone();
        let left = self.left.iter().cloned();
        tree.gaps.extend(left.map(|object| (object, String::new())));
        tree.kept()
    }

    /// Reads what was kept; `None` when it cannot be read, or nothing is left.
    pub fn of_kept(kept: &[u8]) -> Option<Self> {
        let mut tree = Tree::of_kept(kept)?;
        let gaps = std::mem::take(&mut tree.gaps).into_iter();
        let left: VecDeque<String> = gaps.map(|(object, _)| object).collect();
        let listed = 0;
        (!left.is_empty()).then_some(Self { tree, left, listed })
    }
}

/// The whole tree below `root`. A walk that broke off goes on.
pub async fn discover(line: &mut Line, root: &str) -> Result<Tree, AskError> {
    let mut tree = Tree::default();
    if line.habits.lists_all && line.walk.is_none() {
        match line.names(root, false).await {
            Ok(found) => {
                let room = tree.extend(root, &found);
                if !room {
                    tree.gap(root, "limit TREE_NAMES_MAX: it has more names".to_owned());
                }
                // Nothing but the root itself: it did not understand, or has just that level.
                if tree.len() > 2 {
                    tree.doubt();
                    return Ok(tree);
                }
                line.habits.lists_all = false;
            }
            Err(error @ AskError::Unsent(_)) => return Err(error),
            Err(AskError::Lost(why)) => {
                // Too much for it, or just an accident: level by level works in any case.
                if !Stop::is_ours(&why) {
                    line.habits.broke_over_tree(now());
                }
                return Err(AskError::Lost(why));
            }
            Err(AskError::Refused(_) | AskError::Garbled(_)) => line.habits.lists_all = false,
        }
    }
    metrics::counter!("headend_model_walks_total").increment(1);
    let left = VecDeque::from([root.to_owned()]);
    let listed = 0;
    line.walk.get_or_insert(Walk { tree, left, listed });
    if let Err(error) = walk(line, root).await {
        if let AskError::Refused(_) | AskError::Garbled(_) = error {
            line.walk = None;
        }
        return Err(error);
    }
    let mut tree = line.walk.take().unwrap_or_default().tree;
    tree.doubt();
    Ok(tree)
}

/// Level by level. Wherever it stops, what it has found is in the line.
async fn walk(line: &mut Line, root: &str) -> Result<(), AskError> {
    let mut requests = 0;
    let next = |line: &Line| line.walk.as_ref()?.left.front().cloned();
    while let Some(object) = next(line) {
        let listed = listed(line, root, &object, &mut requests).await?;
        let Some(walk) = &mut line.walk else { break };
        walk.left.pop_front();
        walk.listed += 1;
        match listed {
            Err(why) => walk.tree.gap(&object, why),
            Ok(found) => {
                if !walk.tree.extend(&object, &found) {
                    let why = "limit TREE_NAMES_MAX: it has more names";
                    walk.tree.gap(&object, why.to_owned());
                    return Ok(());
                }
                // One that answers with everything below need not be asked again.
                if !found.iter().any(|info| is_deeper(&object, &info.name)) {
                    let below = found.into_iter().map(|info| info.name);
                    let objects = below.filter(|name| {
                        name.ends_with('.')
                            && name.len() > object.len()
                            && name.starts_with(&object)
                    });
                    walk.left.extend(objects);
                } else {
                    line.habits.lists_levels = false;
                }
            }
        }
    }
    Ok(())
}

/// What is directly in an object of the walk, or why that cannot be told.
async fn listed(
    line: &mut Line,
    root: &str,
    object: &str,
    requests: &mut usize,
) -> Result<Result<Vec<ParameterInfoStruct>, String>, AskError> {
    *requests += 1;
    if *requests > WALK_REQUESTS_MAX {
        let why = "limit WALK_REQUESTS_MAX: listing it took too many requests";
        return Ok(Err(why.to_owned()));
    }
    if object != root && line.habits.is_offender(object) {
        let why = "devices of this model break their session off when they are asked for it";
        return Ok(Err(why.to_owned()));
    }
    match level(line, object).await {
        Ok(found) => Ok(Ok(found)),
        Err(error @ (AskError::Lost(_) | AskError::Unsent(_))) => Err(error),
        Err(error) if object == root => Err(error),
        Err(error) => Ok(Err(line.said(&error.to_string()))),
    }
}

/// Whether a name lies further below than directly in the object.
fn is_deeper(object: &str, name: &str) -> bool {
    let rest = name.strip_prefix(object).unwrap_or_default();
    rest.trim_end_matches('.').contains('.')
}

/// What is directly in an object; with some devices, all below.
pub async fn level(line: &mut Line, object: &str) -> Result<Vec<ParameterInfoStruct>, AskError> {
    if !line.habits.lists_levels {
        return line.names(object, false).await;
    }
    match line.names(object, true).await {
        // Some know no level but all of them.
        Err(AskError::Refused(fault)) if fault.code.retry() == Retry::No => {
            let all = line.names(object, false).await;
            if all.is_ok() {
                line.habits.lists_levels = false;
            }
            all
        }
        other => other,
    }
}

/// What a look at a table found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Rows that were not there before.
    pub came: Vec<String>,
    /// Rows that are not there any more.
    pub went: Vec<String>,
}

/// Looks which rows a table has now, and takes that into the tree.
pub async fn list(line: &mut Line, tree: &mut Tree, table: &str) -> Result<Listed, AskError> {
    let found = match level(line, table).await {
        Ok(found) => found,
        // Empty tables are unknown to some.
        Err(AskError::Refused(fault)) if fault.code.retry() == Retry::ForgetName => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut now = Tree::default();
    now.extend(table, &found);
    let (before, after) = (tree.rows(table), now.rows(table));
    let row = |number: &u32| format!("{table}{number}.");
    let listed = Listed {
        came: after
            .iter()
            .filter(|n| !before.contains(n))
            .map(row)
            .collect(),
        went: before
            .iter()
            .filter(|n| !after.contains(n))
            .map(row)
            .collect(),
    };
    for row in &listed.went {
        tree.remove(row);
    }
    tree.extend(table, &found);
    for row in &listed.came {
        // What a new row has is asked once; without, its parameters are read by name all the same.
        if !tree.params_below(row).any(|_| true) {
            learn(line, tree, row).await?;
        }
    }
    Ok(listed)
}

/// Takes in all that is below an object now.
pub async fn learn(line: &mut Line, tree: &mut Tree, object: &str) -> Result<(), AskError> {
    match line.names(object, false).await {
        Ok(found) => {
            tree.extend(object, &found);
            Ok(())
        }
        Err(error @ (AskError::Lost(_) | AskError::Unsent(_))) => Err(error),
        Err(error) => {
            let why = line.said(&error.to_string());
            tree.gap(object, why);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, gateway};
    use super::*;

    async fn found(fake: Fake) -> (Tree, Line, Vec<String>) {
        let (mut line, asked) = fake.line();
        let tree = discover(&mut line, "Device.").await.unwrap();
        (tree, line, asked.methods())
    }

    #[tokio::test]
    async fn a_device_that_can_tells_its_whole_tree_at_once() {
        let (tree, line, asked) = found(gateway()).await;
        assert_eq!(asked, ["GetParameterNames"]);
        assert!(tree.has("Device.WiFi.SSID.1.SSID") && line.habits.lists_all);
    }

    #[tokio::test]
    async fn a_device_that_cannot_is_asked_level_by_level_and_next_time_at_once_so() {
        let fake = gateway().names_max(20);
        let (tree, mut line, asked) = found(fake).await;
        let (whole, _, _) = found(gateway()).await;
        let names =
            |tree: &Tree| -> Vec<String> { tree.iter().map(|(name, _)| name.to_owned()).collect() };
        assert_eq!(names(&tree), names(&whole));
        let asked_first = asked.len();
        assert!(asked_first > 5 && !line.habits.lists_all);
        let again = discover(&mut line, "Device.").await.unwrap();
        assert_eq!(
            (again, line.questions() as usize),
            (tree, 2 * asked_first - 1)
        );
    }

    #[tokio::test]
    async fn a_device_that_answers_a_level_with_everything_below_is_not_asked_again_for_that() {
        let fake = gateway().names_max(200).ignores_levels();
        let (mut line, asked) = fake.line();
        line.habits.lists_all = false;
        let tree = discover(&mut line, "Device.").await.unwrap();
        assert!(tree.has("Device.WiFi.SSID.1.SSID"));
        assert_eq!(asked.methods().len(), 1);
        assert!(!line.habits.lists_levels);
    }

    #[tokio::test]
    async fn what_cannot_be_listed_is_a_gap_and_the_rest_is_there() {
        let fake = gateway().names_max(20).refuses("Device.Hosts.");
        let (tree, _, _) = found(fake).await;
        assert!(tree.has("Device.WiFi.SSID.1.SSID") && !tree.has("Device.Hosts.Host.1.HostName"));
        assert_eq!(tree.gaps[0].0, "Device.Hosts.");
    }

    #[tokio::test]
    async fn a_session_that_breaks_over_the_whole_tree_is_followed_by_one_that_walks() {
        let (mut line, _) = gateway().loses_above(20).line();
        let lost = discover(&mut line, "Device.").await;
        assert!(matches!(lost, Err(AskError::Lost(_))));
        assert!(!line.habits.lists_all);
    }

    #[tokio::test]
    async fn rows_that_came_and_went_are_seen() {
        let fake = gateway();
        let (mut line, asked) = fake.line();
        let mut tree = discover(&mut line, "Device.").await.unwrap();
        asked.put("Device.Hosts.Host.9.HostName", "new");
        asked.remove("Device.Hosts.Host.1.");
        let listed = list(&mut line, &mut tree, "Device.Hosts.Host.")
            .await
            .unwrap();
        assert_eq!(listed.came, ["Device.Hosts.Host.9."]);
        assert_eq!(listed.went, ["Device.Hosts.Host.1."]);
        assert!(tree.has("Device.Hosts.Host.9.HostName"));
        assert!(!tree.has("Device.Hosts.Host.1.HostName"));
    }
}
