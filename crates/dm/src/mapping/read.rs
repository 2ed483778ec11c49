//! Get: which gateway parameters to read for TR-181 paths, and what their values are in TR-181.

use std::collections::{BTreeMap, BTreeSet};

use super::{GATEWAY_ROOT, Mapping, convert};
use crate::path::{Path, PathKind, Segment};
use crate::resolve::{Limits, ResolveError, Snapshot, resolve};
use crate::schema::Schema;

impl Mapping {
    /// The gateway parameters that must be read to answer a Get of these paths, each once, in order. Object and search
    /// paths are taken as wide as they can be: which rows an expression selects is only known after reading
    /// ([`Mapping::answer`]). Paths that name nothing here add nothing. Also what to watch for a subscription.
    pub fn reads(&self, paths: &[&Path]) -> Vec<&str> {
        let mut found = BTreeSet::new();
        for path in paths {
            if path.as_str().starts_with(GATEWAY_ROOT) {
                let names = self.tree.keys().map(String::as_str);
                let names = names.filter(|name| !name.ends_with('.'));
                found.extend(Pattern::of(path).select(names, |from| {
                    self.tree
                        .range(from.to_owned()..)
                        .map(|(name, _)| name.as_str())
                }));
            } else {
                let names = self.params.keys().map(String::as_str);
                let selected = Pattern::of(path).select(names, |from| {
                    self.params
                        .range(from.to_owned()..)
                        .map(|(name, _)| name.as_str())
                });
                let params = selected
                    .into_iter()
                    .filter_map(|name| self.params.get(name));
                found.extend(params.flat_map(|param| &param.sources).map(String::as_str));
            }
        }
        found.retain(|name| !name.ends_with('.'));
        found.into_iter().collect()
    }

    /// What gateway values mean: every TR-181 parameter whose sources are all in `read`, and under its own path every
    /// gateway parameter that is part of none of these, so that nothing a device tells is lost. What an Inform tells
    /// alone may be one of several sources; [`Mapping::missing`] names the others. What follows from the instances
    /// alone is in [`Mapping::fixed`].
    pub fn values(&self, read: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        for (path, value) in read {
            let mut is_told = !path.starts_with(GATEWAY_ROOT);
            for device in self.depends.get(path).into_iter().flatten() {
                if values.contains_key(device) {
                    is_told = true;
                } else if let Some(value) = self.value(device, read) {
                    values.insert(device.clone(), value);
                    is_told = true;
                }
            }
            if !is_told {
                values.insert(path.clone(), value.clone());
            }
        }
        values
    }

    /// The gateway parameters that [`Mapping::values`] needs beside `read` to tell every TR-181 parameter that something
    /// in `read` is part of: last-known values, or what is read next. Each once, in order.
    pub fn missing(&self, read: &BTreeMap<String, String>) -> Vec<&str> {
        let depends = read.keys().filter_map(|path| self.depends.get(path));
        let params = depends
            .flatten()
            .filter_map(|device| self.params.get(device));
        let sources = params.flat_map(|param| &param.sources);
        let missing = sources.filter(|source| !read.contains_key(*source));
        let missing: BTreeSet<&str> = missing.map(String::as_str).collect();
        missing.into_iter().collect()
    }

    /// The value of a TR-181 parameter, if `read` has what it takes.
    pub fn value(&self, device: &str, read: &BTreeMap<String, String>) -> Option<String> {
        let param = self.params.get(device)?;
        if let Some(fixed) = &param.fixed {
            return Some(fixed.clone());
        }
        if !param.sources.iter().all(|source| read.contains_key(source)) {
            return None;
        }
        let get = |path: &str| read.get(path).cloned();
        convert::read(self, param.rule?, &param.sources, &get)
    }

    /// The TR-181 parameters that follow from the instances alone (references between layers, counts of rows), with
    /// their values.
    pub fn fixed(&self) -> impl Iterator<Item = (&str, &str)> {
        let params = self.params.iter();
        params.filter_map(|(path, param)| Some((path.as_str(), param.fixed.as_deref()?)))
    }

    /// The answer to a Get of `paths` after reading [`Mapping::reads`]: parameters and values. What does not exist, or
    /// was not read, is not in it.
    pub fn answer(
        &self,
        paths: &[&Path],
        read: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, ResolveError> {
        let mut all = self.values(read);
        all.extend(
            self.fixed()
                .map(|(path, value)| (path.to_owned(), value.to_owned())),
        );
        let own = read
            .iter()
            .filter(|(path, _)| path.starts_with(GATEWAY_ROOT));
        all.extend(own.map(|(path, value)| (path.clone(), value.clone())));
        let tree = Snapshot::new(Schema::tr181_cwmp(), &all);
        let mut answer = BTreeMap::new();
        for path in paths {
            for found in resolve(path, &tree, Limits::default())? {
                if found.ends_with('.') {
                    let below = all.range(found.clone()..);
                    let below = below.take_while(|(path, _)| path.starts_with(&found));
                    answer.extend(below.map(|(path, value)| (path.clone(), value.clone())));
                } else if let Some(value) = all.get(&found) {
                    answer.insert(found, value.clone());
                }
            }
        }
        Ok(answer)
    }
}

/// A path as wide as it can be.
struct Pattern<'a> {
    kind: PathKind,
    /// The text up to the first segment that can be several things.
    literal: &'a str,
    segments: Vec<Segment<'a>>,
}

impl<'a> Pattern<'a> {
    fn of(path: &'a Path) -> Pattern<'a> {
        let text = path.as_str();
        // Before a reference the name of its holder is cut off, too.
        let open = text.find(['*', '[', '{', '+', '#']);
        let literal = open.map_or(text, |at| {
            text[..at].rfind('.').map_or("", |dot| &text[..=dot])
        });
        Pattern {
            kind: path.kind(),
            literal,
            segments: path.segments().collect(),
        }
    }

    /// The names that the path, or an expression in it, can mean. `all` are in order and `from` starts among them.
    fn select<'n, I: Iterator<Item = &'n str>>(
        &self,
        all: impl Iterator<Item = &'n str> + Clone,
        from: impl Fn(&str) -> I,
    ) -> Vec<&'n str> {
        let below = || from(self.literal).take_while(|name| name.starts_with(self.literal));
        let follow = self
            .segments
            .iter()
            .position(|s| matches!(s, Segment::Follow(_)));
        let mut found: Vec<&'n str> = Vec::new();
        match follow {
            None => found.extend(below().filter(|name| self.holds(&self.segments, name))),
            Some(at) => {
                // The reference itself, and whatever it can lead to.
                let holder = &self.segments[..at];
                found.extend(below().filter(|name| matches(holder, name) == Some(true)));
                let rest: Vec<_> = self.segments[at..]
                    .rsplit(|segment| matches!(segment, Segment::Follow(_)))
                    .next()
                    .unwrap_or_default()
                    .to_vec();
                found.extend(all.clone().filter(|name| self.leads_to(&rest, name)));
            }
        }
        for (at, segment) in self.segments.iter().enumerate() {
            let Segment::Keys(keys) = segment else {
                continue;
            };
            for key in *keys {
                let relative = key.path.as_str();
                let is_operand = |name: &&str| match relative.split_once(['+', '#']) {
                    None => {
                        tail(&self.segments[..=at], name).is_some_and(|tail| tail == relative)
                            || follow.is_some_and(|follow| follow < at)
                                && name.ends_with(&format!(".{relative}"))
                    }
                    Some((holder, rest)) => {
                        let last = rest.rsplit(['+', '.']).next().unwrap_or(rest);
                        tail(&self.segments[..=at], name).is_some_and(|tail| tail == holder)
                            || name.rsplit('.').next() == Some(last)
                    }
                };
                found.extend(all.clone().filter(is_operand));
            }
        }
        found
    }

    fn holds(&self, segments: &[Segment<'_>], name: &str) -> bool {
        match self.kind {
            PathKind::Object => matches(segments, name).is_some(),
            PathKind::Parameter => matches(segments, name) == Some(true),
            PathKind::Command | PathKind::Event => false,
        }
    }

    /// `rest` stands somewhere in `name`: at its end for a parameter.
    fn leads_to(&self, rest: &[Segment<'_>], name: &str) -> bool {
        let starts = name.match_indices('.').map(|(dot, _)| &name[dot + 1..]);
        starts.into_iter().any(|tail| self.holds(rest, tail))
    }
}

/// `name` starts with `segments`; `Some(true)` if there is nothing more of it.
fn matches(segments: &[Segment<'_>], name: &str) -> Option<bool> {
    tail(segments, name).map(str::is_empty)
}

/// What is left of `name` behind `segments`.
fn tail<'n>(segments: &[Segment<'_>], name: &'n str) -> Option<&'n str> {
    let mut rest = name;
    for segment in segments {
        let (part, after) = rest.split_once('.').unwrap_or((rest, ""));
        let is_number = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let fits = match segment {
            Segment::Name(name) => *name == part,
            Segment::Instance(number) => part.parse() == Ok(*number),
            Segment::Any | Segment::Keys(_) | Segment::Template => is_number,
            Segment::Follow(_) => false,
        };
        if !fits {
            return None;
        }
        rest = after;
    }
    Some(rest)
}
