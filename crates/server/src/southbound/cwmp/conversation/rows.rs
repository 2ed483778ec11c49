//! Add and Delete. AddObject has no values: the row is made, then set, and taken away again when it
//! cannot be as it was asked for.

use std::collections::BTreeMap;

use cwmp::fault::{FaultCode, Retry};
use dm::mapping::RowError;
use fleet::southbound::{
    AddResult, Created, DeleteResult, Failure, Fault, ObjectSettings, Setting,
};

use super::super::AskError;
use super::get::fault;
use super::known::Known;
use super::line::Line;
use super::write::{self, Wish};

/// Add.
pub async fn add(
    line: &mut Line,
    known: &mut Known,
    objects: &[ObjectSettings],
    allow_partial: bool,
) -> Result<Vec<AddResult>, Failure> {
    let mut results: Vec<AddResult> = Vec::new();
    for object in objects {
        let result = match add_one(line, known, object, allow_partial).await {
            Ok(result) => result,
            Err(error) => return Err(line.failure(error)),
        };
        let failed = match &result {
            Ok(created) => lacking(object, created),
            Err(why) => Some(why.clone()),
        };
        results.push(AddResult {
            requested: object.object.clone(),
            result,
        });
        if let Some(why) = failed.filter(|_| !allow_partial) {
            return take_back(line, known, results, why).await;
        }
    }
    Ok(results)
}

/// Why a row is not what was asked for, if a required setting failed.
fn lacking(object: &ObjectSettings, created: &Created) -> Option<Fault> {
    let required = |name: &String| {
        object
            .settings
            .iter()
            .any(|s| s.name == *name && s.required)
    };
    let (name, why) = created.faults.iter().find(|(name, _)| required(name))?;
    Some(Fault::new(why.code, format!("{name}: {}", why.message)))
}

/// Takes the rows that were made away again, since the last object cannot be as it was asked for.
/// The device may refuse that: what stays is told as what it is.
async fn take_back(
    line: &mut Line,
    known: &mut Known,
    mut results: Vec<AddResult>,
    mut why: Fault,
) -> Result<Vec<AddResult>, Failure> {
    let (mut stays, mut gone) = (false, false);
    for one in &mut results {
        let Ok(created) = &mut one.result else {
            continue;
        };
        let own = match known.mapped(&created.path) {
            Some(mapping) => mapping.deletion(&created.path).unwrap_or(&created.path),
            None => &created.path,
        };
        let own = own.to_owned();
        match undo(line, known, &own).await {
            Ok(None) => {
                gone = true;
                one.result = Err(why.clone());
            }
            Ok(Some(refused)) => {
                stays = true;
                for (_, fault) in &mut created.faults {
                    fault.message = format!("{}; the new row stays: {refused}", fault.message);
                }
            }
            Err(error) => return Err(line.failure(error)),
        }
    }
    if stays {
        return Ok(results);
    }
    if gone {
        why.message.push_str("; the new row was deleted again");
    }
    let last = results.pop().map(|one| (one.requested, why.clone()));
    Err(Failure::Refused {
        fault: why,
        paths: last.into_iter().collect(),
    })
}

/// Where a row goes: the table of the device, and the settings that are left to do.
fn target(known: &Known, object: &ObjectSettings) -> Result<(String, Vec<Setting>), Fault> {
    let Some(mapping) = known.mapped(&object.object) else {
        return Ok((object.object.clone(), object.settings.clone()));
    };
    let params: Vec<(&str, &str)> = object
        .settings
        .iter()
        .map(|setting| (setting.name.as_str(), setting.value.as_str()))
        .collect();
    let addition = mapping.addition(&object.object, &params).map_err(no_row)?;
    let left = object.settings.iter();
    let left = left.filter(|setting| !addition.settled.contains(&setting.name));
    Ok((addition.table, left.cloned().collect()))
}

fn no_row(error: RowError) -> Fault {
    let code = match error {
        RowError::Ambiguous { .. } => FaultCode::INVALID_ARGUMENTS,
        RowError::NotARow { .. } => FaultCode::REQUEST_DENIED,
        _ => FaultCode::INVALID_PARAMETER_NAME,
    };
    fault(code, error.to_string())
}

async fn add_one(
    line: &mut Line,
    known: &mut Known,
    object: &ObjectSettings,
    allow_partial: bool,
) -> Result<Result<Created, Fault>, AskError> {
    let (table, settings) = match target(known, object) {
        Ok(target) => target,
        Err(fault) => return Ok(Err(fault)),
    };
    let number = match line.add(&table).await {
        Ok(number) => number,
        Err(AskError::Refused(refused)) => return Ok(Err(line.fault(&refused))),
        Err(error) => return Err(error),
    };
    let own = format!("{table}{number}.");
    // Whatever it names is set, and deleted when that fails: it has to be a new one.
    if number == 0 || known.tree.has(&own) {
        let why = format!("it says that the new row is {own}, which is none");
        return Err(AskError::Garbled(why));
    }
    // From here on the row is there: whatever breaks off leaves it to be found by looking.
    known.added(line, &own).await?;
    let path = match known.mapped(&object.object) {
        None => own.clone(),
        Some(mapping) => match mapping.row_in(&object.object, &own) {
            Some(row) => row.to_owned(),
            None => {
                let what = match undo(line, known, &own).await? {
                    None => "was deleted again".to_owned(),
                    Some(refused) => format!("stays as {own}: {refused}"),
                };
                let words = format!("the new row has no counterpart in the table, and {what}");
                return Ok(Err(fault(FaultCode::INTERNAL_ERROR, words)));
            }
        },
    };
    let wishes: Vec<Wish> = settings
        .iter()
        .map(|setting| Wish {
            path: format!("{path}{}", setting.name),
            value: setting.value.clone(),
            required: setting.required && !allow_partial,
        })
        .collect();
    let mut faults = Vec::new();
    if !wishes.is_empty() {
        for (full, result) in write::write(line, known, &wishes, allow_partial).await? {
            if let Err(fault) = result {
                let name = full.strip_prefix(&path).unwrap_or(&full).to_owned();
                faults.push((name, fault));
            }
        }
    }
    Ok(Ok(Created {
        path,
        keys: BTreeMap::new(),
        faults,
    }))
}

/// Takes a row of the device away that we have just made. Why it stays, if it does.
async fn undo(line: &mut Line, known: &mut Known, own: &str) -> Result<Option<String>, AskError> {
    match line.delete(own).await {
        Err(AskError::Refused(refused)) if refused.code.retry() != Retry::ForgetName => {
            Ok(Some(line.said(&refused.to_string())))
        }
        Ok(()) | Err(AskError::Refused(_)) => {
            known.removed(own);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Delete.
pub async fn delete(
    line: &mut Line,
    known: &mut Known,
    paths: &[String],
    allow_partial: bool,
) -> Result<Vec<DeleteResult>, Failure> {
    let mut results: Vec<DeleteResult> = Vec::with_capacity(paths.len());
    for requested in paths {
        let one = match delete_one(line, known, requested).await {
            Ok(one) => one,
            Err(error) => return Err(line.failure(error)),
        };
        let (gone, faults) = match one {
            Ok((gone, faults)) => (Ok(gone), faults),
            Err(fault) => (Err(fault), Vec::new()),
        };
        let refused = gone
            .as_ref()
            .err()
            .or(faults.first().map(|(_, fault)| fault))
            .cloned();
        results.push(DeleteResult {
            requested: requested.clone(),
            result: gone,
            faults,
        });
        let Some(why) = refused.filter(|_| !allow_partial) else {
            continue;
        };
        let touched = results
            .iter()
            .any(|one| one.result.as_ref().is_ok_and(|gone| !gone.is_empty()));
        if !touched {
            let paths = vec![(requested.clone(), why.clone())];
            return Err(Failure::Refused { fault: why, paths });
        }
        // CWMP takes no row back: those that follow stay, and that is said of them.
        let words = "not deleted: another row before it was refused";
        let left = paths.iter().skip(results.len());
        let left: Vec<DeleteResult> = left
            .map(|path| DeleteResult {
                requested: path.clone(),
                result: Err(fault(FaultCode::REQUEST_DENIED, words)),
                faults: Vec::new(),
            })
            .collect();
        results.extend(left);
        break;
    }
    Ok(results)
}

type Gone = (Vec<String>, Vec<(String, Fault)>);

async fn delete_one(
    line: &mut Line,
    known: &mut Known,
    requested: &str,
) -> Result<Result<Gone, Fault>, AskError> {
    let rows = match write::expand(line, known, requested).await? {
        Ok(rows) => rows,
        Err(fault) => return Ok(Err(fault)),
    };
    let (mut gone, mut faults) = (Vec::new(), Vec::new());
    let single = rows.len() == 1 && rows.first().is_some_and(|row| row == requested);
    for row in rows {
        let own = match known.mapped(&row).map(|mapping| mapping.deletion(&row)) {
            Some(Ok(own)) => own.to_owned(),
            // Nothing to delete is as good as deleted.
            Some(Err(RowError::NotThere { .. })) => continue,
            Some(Err(error)) if single => return Ok(Err(no_row(error))),
            Some(Err(error)) => {
                faults.push((row, no_row(error)));
                continue;
            }
            None => row.clone(),
        };
        match line.delete(&own).await {
            Ok(()) => {
                known.removed(&own);
                gone.push(row);
            }
            Err(AskError::Refused(refused)) if refused.code.retry() == Retry::ForgetName => {
                known.removed(&own);
            }
            Err(AskError::Refused(refused)) if single => return Ok(Err(line.fault(&refused))),
            Err(AskError::Refused(refused)) => {
                let why = line.fault(&refused);
                faults.push((row, why));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Ok((gone, faults)))
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Asked, Fake, gateway, old_gateway};
    use super::*;
    use cwmp::Method;
    use dm::mapping::Numbers;

    async fn begin(fake: Fake, root: &str) -> (Line, Known, Asked) {
        let (mut line, asked) = fake.line();
        let known = Known::discover(&mut line, root, Numbers::default())
            .await
            .unwrap();
        asked.clear();
        (line, known, asked)
    }

    const TABLE: &str = "Device.NAT.PortMapping.";

    fn mapping(values: &[(&str, &str)]) -> Vec<ObjectSettings> {
        let settings = values
            .iter()
            .map(|(n, v)| Setting::required(*n, *v))
            .collect();
        let object = TABLE.to_owned();
        vec![ObjectSettings { object, settings }]
    }

    #[tokio::test]
    async fn a_row_is_added_with_its_values_and_deleted() {
        let (mut line, mut known, asked) = begin(gateway(), "Device.").await;
        let wanted = mapping(&[("ExternalPort", "8080"), ("Description", "x")]);
        let added = add(&mut line, &mut known, &wanted, false).await.unwrap();
        let row = added[0].result.as_ref().unwrap().path.clone();
        assert_eq!(row, format!("{TABLE}3."));
        assert_eq!(
            asked.get(&format!("{row}ExternalPort")).as_deref(),
            Some("8080")
        );
        assert_eq!(known.tree.rows(TABLE), [1, 3]);
        let gone = delete(&mut line, &mut known, std::slice::from_ref(&row), false)
            .await
            .unwrap();
        assert_eq!(gone[0].result, Ok(vec![row.clone()]));
        assert!(asked.get(&format!("{row}ExternalPort")).is_none());
        // Once more: nothing is there.
        let gone = delete(&mut line, &mut known, &[row], false).await.unwrap();
        assert_eq!(gone[0].result, Ok(vec![]));
    }

    #[tokio::test]
    async fn a_row_that_cannot_be_as_asked_is_deleted_again() {
        let (mut line, mut known, asked) = begin(gateway(), "Device.").await;
        let wanted = mapping(&[("ExternalPort", "8080"), ("Description", "bad")]);
        let no = add(&mut line, &mut known, &wanted, false).await;
        let Err(Failure::Refused { fault, .. }) = no else {
            panic!("{no:?}");
        };
        assert!(fault.message.contains("Description"), "{fault}");
        assert_eq!(known.tree.rows(TABLE), [1]);
        assert_eq!(
            asked.methods().last().map(String::as_str),
            Some("DeleteObject")
        );
        assert!(asked.get(&format!("{TABLE}3.ExternalPort")).is_none());
        // Where a part will do, it stays.
        let some = add(&mut line, &mut known, &wanted, true).await.unwrap();
        let created = some[0].result.as_ref().unwrap();
        assert_eq!(created.faults[0].0, "Description");
    }

    #[tokio::test]
    async fn a_lost_answer_to_an_addition_is_lost_and_it_is_not_asked_again() {
        let (mut line, mut known, asked) =
            begin(gateway().loses(Method::AddObject), "Device.").await;
        let lost = add(&mut line, &mut known, &mapping(&[]), false).await;
        assert!(matches!(lost, Err(Failure::Lost { .. })), "{lost:?}");
        assert_eq!(asked.methods(), ["AddObject"]);
        let (mut line, mut known, _) =
            begin(gateway().loses(Method::SetParameterValues), "Device.").await;
        let wanted = mapping(&[("ExternalPort", "1")]);
        let lost = add(&mut line, &mut known, &wanted, false).await;
        assert!(matches!(lost, Err(Failure::Lost { .. })), "{lost:?}");
    }

    #[tokio::test]
    async fn a_row_that_cannot_be_taken_away_again_is_told_as_being_there() {
        let fake = gateway().refuses_deletions();
        let (mut line, mut known, asked) = begin(fake, "Device.").await;
        let wanted = mapping(&[("ExternalPort", "8080"), ("Description", "bad")]);
        let added = add(&mut line, &mut known, &wanted, false).await.unwrap();
        let created = added[0].result.as_ref().unwrap();
        assert_eq!(created.path, format!("{TABLE}3."));
        let why = &created
            .faults
            .iter()
            .find(|(name, _)| name == "Description");
        assert!(why.unwrap().1.message.contains("stays"), "{created:?}");
        assert_eq!(known.tree.rows(TABLE), [1, 3]);
        assert!(asked.get(&format!("{TABLE}3.ExternalPort")).is_some());
    }

    #[tokio::test]
    async fn a_number_that_is_no_new_row_is_neither_set_nor_deleted() {
        for number in [0, 1] {
            let fake = gateway().next_row(number);
            let (mut line, mut known, asked) = begin(fake, "Device.").await;
            let wanted = mapping(&[("ExternalPort", "8080"), ("Description", "bad")]);
            let no = add(&mut line, &mut known, &wanted, false).await;
            assert!(matches!(no, Err(Failure::Garbled { .. })), "{no:?}");
            assert_eq!(asked.methods(), ["AddObject"]);
        }
    }

    #[tokio::test]
    async fn what_ends_in_the_middle_of_a_deletion_is_not_told_as_never_begun() {
        let fake = gateway().leaves_after(Method::DeleteObject);
        let (mut line, mut known, _) = begin(fake, "Device.").await;
        let paths = ["Device.NAT.PortMapping.1.", "Device.WiFi.SSID.2."].map(str::to_owned);
        line.begin(true);
        let lost = delete(&mut line, &mut known, &paths, false).await;
        assert!(matches!(lost, Err(Failure::Lost { .. })), "{lost:?}");
        // Another one, of which nothing was done.
        line.begin(true);
        let unsent = delete(&mut line, &mut known, &paths, false).await;
        assert!(matches!(unsent, Err(Failure::Unsent { .. })), "{unsent:?}");
    }

    #[tokio::test]
    async fn a_table_that_takes_no_rows_says_so() {
        let (mut line, mut known, _) = begin(gateway(), "Device.").await;
        let wanted = vec![ObjectSettings {
            object: "Device.WiFi.SSID.".into(),
            settings: vec![],
        }];
        let no = add(&mut line, &mut known, &wanted, false).await;
        assert!(matches!(no, Err(Failure::Refused { .. })), "{no:?}");
    }

    #[tokio::test]
    async fn rows_are_deleted_by_a_search() {
        let (mut line, mut known, _) = begin(gateway(), "Device.").await;
        let path = format!("{TABLE}[Description==\"web\"].");
        let gone = delete(&mut line, &mut known, &[path], false).await.unwrap();
        assert_eq!(gone[0].result, Ok(vec![format!("{TABLE}1.")]));
        assert_eq!(known.tree.rows(TABLE), [] as [u32; 0]);
    }

    #[tokio::test]
    async fn an_old_gateway_gets_and_loses_a_port_mapping_by_its_path_in_tr_181() {
        let (mut line, mut known, asked) = begin(old_gateway(), "InternetGatewayDevice.").await;
        let wanted = mapping(&[
            ("ExternalPort", "8080"),
            ("Description", "x"),
            ("Enable", "true"),
        ]);
        let added = add(&mut line, &mut known, &wanted, false).await.unwrap();
        let created = added[0].result.as_ref().unwrap();
        assert!(
            created.path.starts_with(TABLE) && created.faults.is_empty(),
            "{created:?}"
        );
        let own = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.PortMapping.3.";
        assert_eq!(
            asked
                .get(&format!("{own}PortMappingDescription"))
                .as_deref(),
            Some("x")
        );
        let path = created.path.clone();
        let gone = delete(&mut line, &mut known, std::slice::from_ref(&path), false)
            .await
            .unwrap();
        assert_eq!(gone[0].result, Ok(vec![path]));
        assert!(asked.get(&format!("{own}ExternalPort")).is_none());
    }

    #[tokio::test]
    async fn what_is_no_row_of_an_old_gateway_is_not_added() {
        let (mut line, mut known, asked) = begin(old_gateway(), "InternetGatewayDevice.").await;
        let wanted = vec![ObjectSettings {
            object: "Device.WiFi.SSID.".into(),
            settings: vec![],
        }];
        let no = add(&mut line, &mut known, &wanted, false).await;
        assert!(matches!(no, Err(Failure::Refused { .. })), "{no:?}");
        assert!(asked.methods().is_empty());
    }
}
