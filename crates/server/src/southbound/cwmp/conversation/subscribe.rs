//! Subscriptions. CWMP has no table of them: its rows are kept here, and what they ask for is told to
//! the device as notification attributes. It reports changes of values by request; ends of commands
//! and its own events it always reports, and rows that come and go never.

use std::collections::BTreeMap;

use cwmp::fault::FaultCode;
use cwmp::value::boolean;
use fleet::southbound::{
    AddResult, Answer, Created, DeleteResult, Failure, Fault, ObjectSettings, Op, PathValue,
    ReadResult, Row as Found, Setting, Subscription, SubscriptionKind, WriteResult,
};
use serde::{Deserialize, Serialize};

use super::super::AskError;
use super::get::{fault, unknown};
use super::known::Known;
use super::limits::{SUBSCRIBED_BELOW_MAX, SUBSCRIPTIONS_BYTES_MAX};
use super::line::Line;
use super::meaning::{may_come, names};
use super::onboard::Notes;
use super::talk::{Talk, unsent};
use super::watch::{ACTIVE, Left, OFF, PASSIVE, goes_on, settle, tell};

/// The table.
pub const TABLE: &str = "Device.LocalAgent.Subscription.";

/// What a row has, and what it is where nobody says.
pub const SETTINGS: [(&str, &str); 8] = [
    ("Alias", ""),
    ("Enable", "false"),
    ("ID", ""),
    ("NotifType", ""),
    ("ReferenceList", ""),
    ("Persistent", "false"),
    ("NotifRetry", "false"),
    // Ours: changes are told when the device comes anyway.
    (PASSIVELY, "false"),
];

const PASSIVELY: &str = "X_HEADEND_Passive";

/// A row.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Row {
    number: u32,
    settings: BTreeMap<String, String>,
    /// The parameters of the device whose changes it is about.
    names: Vec<String>,
}

impl Row {
    fn path(&self) -> String {
        format!("{TABLE}{}.", self.number)
    }

    fn text(&self, name: &str) -> &str {
        self.settings.get(name).map_or("", String::as_str)
    }

    fn is(&self, name: &str) -> bool {
        boolean(self.text(name)) == Some(true)
    }

    fn level(&self) -> u32 {
        match (self.is("Enable"), self.is(PASSIVELY)) {
            (false, _) => OFF,
            (true, true) => PASSIVE,
            (true, false) => ACTIVE,
        }
    }

    fn bytes(&self) -> usize {
        let settings = self.settings.iter().map(|(name, v)| name.len() + v.len());
        let names = self.names.iter().map(|name| name.len() + 4);
        settings.sum::<usize>() + names.sum::<usize>() + 200
    }

    fn set(&mut self, settings: &[Setting]) -> Result<(), Fault> {
        for setting in settings {
            let known = SETTINGS.iter().find(|(name, _)| *name == setting.name);
            let Some((_, usual)) = known else {
                return Err(unknown("a subscription has no such parameter"));
            };
            if *usual == "false" && boolean(&setting.value).is_none() {
                let words = format!("{} is true or false", setting.name);
                return Err(fault(FaultCode::INVALID_PARAMETER_VALUE, words));
            }
            self.settings
                .insert(setting.name.clone(), setting.value.clone());
        }
        Ok(())
    }

    /// Looks what it is about on the device. One that is off is about nothing until it is on again.
    async fn place(
        &mut self,
        line: &mut Line,
        known: &mut Known,
    ) -> Result<Result<(), Fault>, AskError> {
        self.names.clear();
        let no = |code, words: &str| Ok(Err(fault(code, words)));
        match self.text("NotifType") {
            "ValueChange" => {}
            // What a CPE always reports.
            "OperationComplete" | "Event" => return Ok(Ok(())),
            "ObjectCreation" | "ObjectDeletion" => {
                let words = "CWMP does not report rows that come and go";
                return no(FaultCode::METHOD_NOT_SUPPORTED, words);
            }
            _ => return no(FaultCode::INVALID_PARAMETER_VALUE, "no such NotifType"),
        }
        if !self.is("Enable") {
            return Ok(Ok(()));
        }
        let list = self.text("ReferenceList").to_owned();
        let paths = list.split(',').map(str::trim);
        let paths: Vec<&str> = paths.filter(|path| !path.is_empty()).collect();
        for path in &paths {
            let below = known.tree.params_below(path);
            let below = below.take(SUBSCRIBED_BELOW_MAX + 1).count();
            if path.ends_with('.') && below > SUBSCRIBED_BELOW_MAX {
                let words = "limit SUBSCRIBED_BELOW_MAX: the object has too many parameters";
                return no(FaultCode::RESOURCES_EXCEEDED, words);
            }
            let found = names(line, known, path).await?;
            self.names.extend(found);
        }
        self.names.sort_unstable();
        self.names.dedup();
        if self.names.is_empty() && !may_come(known, &paths) {
            let words = "the device has none of these parameters";
            return no(FaultCode::INVALID_PARAMETER_NAME, words);
        }
        Ok(Ok(()))
    }
}

/// Whether an operation is about nothing but this table.
pub fn is_about(op: &Op) -> bool {
    let all = |paths: &[String]| !paths.is_empty() && paths.iter().all(|p| p.starts_with(TABLE));
    match op {
        Op::Get { paths, .. } | Op::Instances { paths, .. } | Op::Delete { paths, .. } => {
            all(paths)
        }
        Op::Set { objects, .. } | Op::Add { objects, .. } => {
            let mut paths = objects.iter();
            !objects.is_empty() && paths.all(|object| object.object.starts_with(TABLE))
        }
        Op::Subscribe { .. } => true,
        _ => false,
    }
}

/// Does it.
pub async fn run(talk: &mut Talk, op: &Op) -> Result<Answer, Failure> {
    let before = talk.desk.memory().subscriptions.clone();
    match op {
        Op::Get { paths, .. } => Ok(Answer::Values(read(&before, paths))),
        Op::Instances { paths, .. } => Ok(Answer::Instances(listed(&before, paths))),
        Op::Add { objects, .. } => {
            let made = add(talk, before, objects).await?;
            let made = made
                .into_iter()
                .zip(objects)
                .map(|(path, object)| AddResult {
                    requested: object.object.clone(),
                    result: Ok(Created {
                        path,
                        keys: BTreeMap::new(),
                        faults: Vec::new(),
                        after_restart: false,
                    }),
                });
            Ok(Answer::Added(made.collect()))
        }
        Op::Subscribe { subscription } => {
            let settings = settings(subscription);
            let object = TABLE.to_owned();
            let wanted = [ObjectSettings { object, settings }];
            let made = add(talk, before, &wanted).await?;
            Ok(Answer::Subscribed(made.into_iter().collect()))
        }
        Op::Set { objects, .. } => set(talk, before, objects).await.map(Answer::Set),
        Op::Delete { paths, .. } => delete(talk, before, paths).await.map(Answer::Deleted),
        Op::Operate { .. } | Op::Discover { .. } => Err(Failure::Unsent {
            reason: "this is asked another way".to_owned(),
        }),
    }
}

fn settings(wanted: &Subscription) -> Vec<Setting> {
    let kind = match wanted.kind {
        SubscriptionKind::ValueChange => "ValueChange",
        SubscriptionKind::ObjectCreation => "ObjectCreation",
        SubscriptionKind::ObjectDeletion => "ObjectDeletion",
        SubscriptionKind::OperationComplete => "OperationComplete",
        SubscriptionKind::Event => "Event",
    };
    [
        ("Enable", "true".to_owned()),
        ("ID", wanted.id.clone()),
        ("NotifType", kind.to_owned()),
        ("ReferenceList", wanted.paths.join(",")),
        ("Persistent", wanted.persistent.to_string()),
        ("NotifRetry", wanted.retry.to_string()),
    ]
    .map(|(name, value)| Setting::required(name, value))
    .to_vec()
}

fn read(rows: &[Row], paths: &[String]) -> Vec<ReadResult<PathValue>> {
    let values = rows.iter().flat_map(|row| {
        let path = row.path();
        let values = row.settings.iter();
        values.map(move |(name, value)| PathValue::new(format!("{path}{name}"), value))
    });
    let values: Vec<PathValue> = values.collect();
    let of = |path: &String| {
        let prefix = path.trim_end_matches("*.");
        let found = values.iter().filter(|value| match prefix.ends_with('.') {
            true => value.path.starts_with(prefix),
            false => value.path == prefix,
        });
        let found: Vec<PathValue> = found.cloned().collect();
        let is_table = prefix == TABLE;
        ReadResult {
            requested: path.clone(),
            result: match found.is_empty() && !is_table {
                true => Err(unknown("there is no such subscription")),
                false => Ok(found),
            },
        }
    };
    paths.iter().map(of).collect()
}

fn listed(rows: &[Row], paths: &[String]) -> Vec<ReadResult<Found>> {
    let of = |path: &String| ReadResult {
        requested: path.clone(),
        result: match path == TABLE {
            true => Ok(rows
                .iter()
                .map(|row| Found {
                    path: row.path(),
                    keys: BTreeMap::new(),
                })
                .collect()),
            false => Err(unknown("only the table has rows")),
        },
    };
    paths.iter().map(of).collect()
}

fn refused(path: &str, fault: Fault) -> Failure {
    let paths = vec![(path.to_owned(), fault.clone())];
    Failure::Refused { fault, paths }
}

/// Adds rows, all of them or none; their paths.
async fn add(
    talk: &mut Talk,
    before: Vec<Row>,
    objects: &[ObjectSettings],
) -> Result<Vec<String>, Failure> {
    let mut after = before.clone();
    let mut made = Vec::new();
    for object in objects {
        let number = talk.desk.memory().next_row();
        let usual = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut row = Row {
            number,
            settings: BTreeMap::from(usual),
            names: Vec::new(),
        };
        if object.object != TABLE {
            let why = unknown("rows are added to the table of subscriptions");
            return Err(refused(&object.object, why));
        }
        row.set(&object.settings)
            .map_err(|why| refused(&object.object, why))?;
        placed(talk, &mut row, &object.object).await?;
        made.push(row.path());
        after.push(row);
    }
    change(talk, before, after).await?;
    Ok(made)
}

async fn placed(talk: &mut Talk, row: &mut Row, path: &str) -> Result<(), Failure> {
    let (line, known) = match talk.known().await {
        Ok(known) => known,
        Err(error) => return Err(talk.line.failure(error)),
    };
    match row.place(line, known).await {
        Ok(placed) => placed.map_err(|why| refused(path, why)),
        Err(error) => Err(line.failure(error)),
    }
}

/// Sets parameters of rows, all of them or none.
async fn set(
    talk: &mut Talk,
    before: Vec<Row>,
    objects: &[ObjectSettings],
) -> Result<Vec<WriteResult>, Failure> {
    let mut after = before.clone();
    let mut results = Vec::new();
    for object in objects {
        let Some(row) = after.iter_mut().find(|row| row.path() == object.object) else {
            let why = unknown("there is no such subscription");
            return Err(refused(&object.object, why));
        };
        row.set(&object.settings)
            .map_err(|why| refused(&object.object, why))?;
        placed(talk, row, &object.object).await?;
        results.extend(object.settings.iter().map(|setting| WriteResult {
            path: format!("{}{}", object.object, setting.name),
            result: Ok(None),
            after_restart: false,
        }));
    }
    let goes_on = change(talk, before, after).await?;
    results.extend(goes_on.map(|(path, why)| WriteResult {
        path,
        result: Err(why),
        after_restart: false,
    }));
    Ok(results)
}

/// Takes rows away; `*` is all of them.
async fn delete(
    talk: &mut Talk,
    before: Vec<Row>,
    paths: &[String],
) -> Result<Vec<DeleteResult>, Failure> {
    let mut after = before.clone();
    let mut results = Vec::new();
    for path in paths {
        let is_meant = |row: &Row| row.path() == *path || *path == format!("{TABLE}*.");
        let meant = after.iter().filter(|row| is_meant(row));
        let gone: Vec<String> = meant.map(Row::path).collect();
        after.retain(|row| !is_meant(row));
        results.push(DeleteResult {
            requested: path.clone(),
            result: Ok(gone),
            faults: Vec::new(),
            after_restart: Vec::new(),
        });
    }
    let goes_on = change(talk, before, after).await?;
    if let Some(last) = results.last_mut() {
        last.faults.extend(goes_on);
    }
    Ok(results)
}

/// Tells the device what is to be reported from now on, and keeps it. The first parameter that it
/// goes on reporting though nobody wants that, if there are such, and why.
async fn change(
    talk: &mut Talk,
    before: Vec<Row>,
    after: Vec<Row>,
) -> Result<Option<(String, Fault)>, Failure> {
    let bytes = |rows: &[Row]| rows.iter().map(Row::bytes).sum::<usize>();
    if bytes(&after) > bytes(&before).max(SUBSCRIPTIONS_BYTES_MAX) {
        let words = "limit SUBSCRIPTIONS_BYTES_MAX: the device has too many subscriptions";
        return Err(refused(TABLE, fault(FaultCode::RESOURCES_EXCEEDED, words)));
    }
    let line = &mut talk.line;
    let (was, wanted) = (levels(&before), levels(&after));
    let reporting = match tell(line, &was, &wanted).await {
        Ok(reporting) => reporting,
        Err(error) => {
            if let AskError::Refused(_) = error {
                // It may have taken some of it, of which nothing is wanted now.
                _ = settle(line, &wanted, &was).await;
            }
            return Err(line.failure(error));
        }
    };
    talk.desk.memory().subscriptions = after;
    if let Err(error) = talk.desk.remember().await {
        // It is asked once more, and is no second row then.
        talk.desk.memory().subscriptions = before;
        return Err(talk.line.failure(unsent(error)));
    }
    let why = fault(FaultCode::RESOURCES_EXCEEDED, goes_on(reporting.len()));
    Ok(reporting.into_iter().next().map(|name| (name, why)))
}

/// How each parameter is to be reported: as much as any row asks.
fn levels(rows: &[Row]) -> BTreeMap<&str, u32> {
    let mut levels: BTreeMap<&str, u32> = BTreeMap::new();
    for row in rows {
        for name in &row.names {
            let level = levels.entry(name).or_default();
            *level = row.level().max(*level);
        }
    }
    levels.retain(|_, level| *level != OFF);
    levels
}

/// A device that forgot what it was told, or runs another firmware, is told once more.
pub async fn repeat(talk: &mut Talk, notes: &mut Notes) -> Result<(), AskError> {
    follow(talk, Vec::new(), notes).await
}

/// Rows of its tables came or went: what subscriptions are about follows them.
pub async fn renew(talk: &mut Talk) -> Result<(), AskError> {
    let before = talk.desk.memory().subscriptions.clone();
    let mut notes = Notes::default();
    // It was looked at just now.
    let (_, known) = talk.known().await?;
    let fresh = std::mem::replace(&mut known.fresh, true);
    let followed = follow(talk, before, &mut notes).await;
    let (_, known) = talk.known().await?;
    known.fresh = fresh;
    for note in notes.all() {
        tracing::debug!(device = %talk.desk.device, note, "a subscription is not told in full");
    }
    followed
}

/// Looks anew what the subscriptions are about, and tells the device what changes: row by row, since
/// one that it refuses is no reason to leave out the others. `before`: what it was told of them.
async fn follow(talk: &mut Talk, before: Vec<Row>, notes: &mut Notes) -> Result<(), AskError> {
    let mut rows = talk.desk.memory().subscriptions.clone();
    if rows.is_empty() {
        return Ok(());
    }
    let (line, known) = talk.known().await?;
    let mut bytes = 0;
    for row in &mut rows {
        if let Err(why) = row.place(line, known).await? {
            notes.add(format!("the subscription {}: {why}", row.text("ID")));
        }
        if bytes + row.bytes() > SUBSCRIPTIONS_BYTES_MAX {
            // It means more than it did.
            row.names.clear();
            let why = "limit SUBSCRIPTIONS_BYTES_MAX: the device has too many subscriptions";
            notes.add(format!("the subscription {}: {why}", row.text("ID")));
        }
        bytes += row.bytes();
    }
    let mut was = levels(&before);
    // What is not there any more reports nothing.
    was.retain(|name, _| known.tree.has(name));
    let Left {
        refused,
        untold,
        reporting,
    } = match settle(line, &was, &levels(&rows)).await {
        Err(AskError::Refused(refused)) => {
            notes.add(line.said(&format!("subscriptions are refused: {refused}")));
            Left::default()
        }
        done => done?,
    };
    if !reporting.is_empty() {
        notes.add(goes_on(reporting.len()));
    }
    for row in &mut rows {
        let of = |one: &&(String, cwmp::Fault)| row.names.binary_search(&one.0).is_ok();
        let count = refused.iter().filter(of).count();
        if let Some((name, why)) = refused.iter().find(of) {
            let words = format!("{count} refused, like {name}: {why}");
            notes.add(line.said(&format!("the subscription {}: {words}", row.text("ID"))));
        }
        let all = row.names.len();
        row.names.retain(|name| untold.binary_search(name).is_err());
        let more = all - row.names.len();
        if more > 0 {
            // It is told them the next time.
            let why = "not told yet, limit WATCH_REFUSED_MAX: the device refused too many others";
            notes.add(format!("the subscription {}: {more} {why}", row.text("ID")));
        }
    }
    talk.desk.memory().subscriptions = rows;
    Ok(())
}

#[cfg(test)]
#[path = "tests/subscribe.rs"]
mod tests;
