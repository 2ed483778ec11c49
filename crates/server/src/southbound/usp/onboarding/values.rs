//! The first values of a device: each top-level object by itself, so that no answer becomes too
//! large for a small device, up to a bound.

use std::collections::BTreeSet;

use fleet::model::{Model, segments};
use store::{ValueSource, ValueUpdate};
use usp::msg::{self, Response};
use usp::outcome;

use super::{Job, Notes, Stopped};
use crate::southbound::usp::limits::FIRST_VALUES_MAX;
use crate::state::now;

/// The top-level objects of a model.
fn objects(model: &Model) -> BTreeSet<String> {
    model
        .objects
        .keys()
        .filter_map(|path| match segments(path).as_slice() {
            [root, object, ..] => Some(format!("{root}.{object}.")),
            _ => None,
        })
        .collect()
}

/// Reads and remembers them.
pub async fn first(job: &Job, model: &Model, notes: &mut Notes) -> Result<(), Stopped> {
    let mut left = FIRST_VALUES_MAX;
    let root = model
        .object("Device.")
        .is_some_and(|root| !root.params.is_empty());
    let whole = objects(model).into_iter().map(|object| (object, 0));
    for (object, depth) in root
        .then(|| ("Device.".to_owned(), 1))
        .into_iter()
        .chain(whole)
    {
        let asked_at = now();
        let read = match job
            .asker
            .ask(msg::get_depth([object.as_str()], depth))
            .await
        {
            Ok(Response::GetResp(response)) => outcome::values(&response),
            Ok(_) => continue,
            Err(error) if error.is_over() => return Err(Stopped::at("values")(error)),
            Err(error) => {
                notes.add(format!("{object} was not read: {error}"));
                continue;
            }
        };
        let mut values = Vec::with_capacity(read.values.len().min(left));
        for (path, value) in read.values {
            let fits = value.len() <= store::limits::VALUE_BYTES_MAX
                && path.len() <= fleet::limits::PATH_BYTES_MAX
                && path.starts_with(&object);
            if !fits {
                continue;
            }
            if left == 0 {
                break;
            }
            left -= 1;
            // Secured parameters read as empty; those that do not are none of our business.
            let value = fleet::secret::kept(&path, value);
            values.push((path, value));
        }
        let mut update = ValueUpdate::of(values, ValueSource::Read, asked_at);
        if depth == 0 && left > 0 {
            update.forget = vec![object.clone()];
        }
        job.store()
            .value_update(&job.tenant, job.device(), update, now())
            .await
            .map_err(Stopped::store("values"))?;
        if left == 0 {
            notes.add("limit FIRST_VALUES_MAX: it has more values than are read at first");
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleet::model::{ModelObject, ObjectAccess};

    #[test]
    fn each_top_level_object_is_read_once_also_as_a_table() {
        let object = ModelObject {
            access: ObjectAccess::ReadOnly,
            multi: false,
            params: Vec::new(),
            commands: Vec::new(),
            events: Vec::new(),
            keys: Vec::new(),
            named_only: false,
        };
        let paths = [
            "Device.",
            "Device.WiFi.",
            "Device.WiFi.SSID.{i}.",
            "Device.X.{i}.",
        ];
        let mut model = Model::default();
        for path in paths {
            model.objects.insert(path.to_owned(), object.clone());
        }
        let found: Vec<String> = objects(&model).into_iter().collect();
        assert_eq!(found, ["Device.WiFi.", "Device.X."]);
    }
}
