//! Reading values: as many at once as the device takes, and around those that it refuses.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use cwmp::fault::{FaultCode, Retry};
use cwmp::rpc::ParameterValue;
use cwmp::value::{Value, boolean};
use dm::mapping::GATEWAY_ROOT;
use dm::{BaseType, Schema};
use fleet::southbound::Fault;

use super::super::AskError;
use super::get::fault;
use super::habits::is_too_much;
use super::limits::{READ_BYTES_MAX, VALUES_MAX};
use super::line::{Line, unusable};
use super::tree::Tree;

/// What a read found.
#[derive(Debug, Default)]
pub struct Read {
    /// Values by full name, with the type the device gave.
    pub values: BTreeMap<String, Value>,
    /// Names that it refused, and why.
    pub refused: BTreeMap<String, Fault>,
    /// Bytes of the values and their names.
    bytes: usize,
}

impl Read {
    /// The values as text.
    pub fn texts(&self) -> BTreeMap<String, String> {
        let texts = self.values.iter();
        texts
            .map(|(name, v)| (name.clone(), v.text.clone()))
            .collect()
    }

    fn is_full(&self) -> bool {
        self.values.len() >= VALUES_MAX || self.bytes >= READ_BYTES_MAX
    }

    fn take(&mut self, told: ParameterValue) {
        let bytes = told.name.len() + told.value.text.len();
        if self.values.len() >= VALUES_MAX || self.bytes + bytes > READ_BYTES_MAX {
            self.refused.insert(told.name, too_much());
            return;
        }
        self.bytes += bytes;
        let value = normal(&told.name, told.value);
        self.values.insert(told.name, value);
    }
}

fn too_much() -> Fault {
    let words = "limits VALUES_MAX and READ_BYTES_MAX: it is more than one read holds; ask for less at once";
    fault(FaultCode::RESOURCES_EXCEEDED, words)
}

/// A value in TR-106 form: truth in words, as everywhere here, also where the device calls it text. What
/// it calls it stays: it may be what it takes.
pub fn normal(name: &str, mut value: Value) -> Value {
    if let Some(truth) = boolean(&value.text)
        && (value.base == BaseType::Boolean || value.base == BaseType::String && is_truth(name))
    {
        value.text = Value::boolean(truth).text;
    }
    value
}

/// Whether the standard says that this is a truth value.
fn is_truth(name: &str) -> bool {
    let schema = match name.starts_with(GATEWAY_ROOT) {
        true => Schema::tr098(),
        false => Schema::tr181_cwmp(),
    };
    let param = schema.param(name);
    param.is_some_and(|param| param.ty.base == BaseType::Boolean && !param.ty.is_list())
}

/// Reads parameters, each once.
pub async fn params<'a>(
    line: &mut Line,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<Read, AskError> {
    let wanted: BTreeSet<&str> = names.into_iter().collect();
    let mut read = Read::default();
    let mut queue: VecDeque<Vec<String>> = VecDeque::new();
    let is_offender = |name: &&str| line.habits.is_offender(name);
    let (never, wanted): (Vec<&str>, Vec<&str>) = wanted.into_iter().partition(is_offender);
    let words = "devices of this model break their session off when they are asked for it";
    let why = fault(FaultCode::REQUEST_DENIED, words);
    let never = never.into_iter().map(|name| (name.to_owned(), why.clone()));
    read.refused.extend(never);
    let is_suspect = |name: &&str| line.habits.is_suspect(name);
    let (suspects, wanted): (Vec<&str>, Vec<&str>) = wanted.into_iter().partition(is_suspect);
    // By themselves, and first: what was read is lost where the session breaks.
    queue.extend(suspects.into_iter().map(|name| vec![name.to_owned()]));
    let wanted: Vec<String> = wanted.into_iter().map(str::to_owned).collect();
    for chunk in wanted.chunks(line.habits.read_batch) {
        queue.push_back(chunk.to_vec());
    }
    while let Some(chunk) = queue.pop_front() {
        if chunk.len() > line.habits.read_batch {
            let smaller = chunk.chunks(line.habits.read_batch).rev();
            smaller.for_each(|part| queue.push_front(part.to_vec()));
            continue;
        }
        if read.is_full() {
            let left = chunk.into_iter().map(|name| (name, too_much()));
            read.refused.extend(left);
            continue;
        }
        if chunk.is_empty() {
            continue;
        }
        let answer = line.values(chunk.clone()).await;
        match answer {
            Ok(told) => {
                let asked = chunk.len();
                let mut left: BTreeSet<String> = chunk.into_iter().collect();
                for one in told {
                    if left.remove(&one.name) {
                        read.take(one);
                    }
                }
                // Some cut their answers, and some leave out what they cannot tell: asked again.
                let left: Vec<String> = left.into_iter().collect();
                match (left.len(), asked) {
                    (0, _) => {}
                    (_, 1) => {
                        let why = unusable("it was left out of the answer");
                        let why = fault(FaultCode::INTERNAL_ERROR, why);
                        read.refused
                            .extend(left.into_iter().map(|name| (name, why.clone())));
                    }
                    (rest, asked) if rest < asked => queue.push_front(left),
                    _ => halve(left, "", &mut queue),
                }
            }
            Err(AskError::Refused(refused)) if chunk.len() == 1 => {
                let told = line.fault(&refused);
                read.refused
                    .extend(chunk.into_iter().map(|name| (name, told.clone())));
            }
            Err(AskError::Refused(refused)) => {
                if is_too_much(refused.code, chunk.len()) {
                    line.habits.read_less(chunk.len());
                }
                halve(chunk, &refused.text, &mut queue);
            }
            Err(AskError::Garbled(why)) if chunk.len() == 1 => {
                let told = fault(FaultCode::INTERNAL_ERROR, line.said(&unusable(&why)));
                read.refused
                    .extend(chunk.into_iter().map(|name| (name, told.clone())));
            }
            Err(AskError::Garbled(_)) => {
                line.habits.read_less(chunk.len());
                halve(chunk, "", &mut queue);
            }
            Err(error @ (AskError::Lost(_) | AskError::Unsent(_))) => return Err(error),
        }
    }
    Ok(read)
}

/// Two questions out of one; what the fault names is asked by itself.
fn halve(chunk: Vec<String>, words: &str, queue: &mut VecDeque<Vec<String>>) {
    let (named, rest): (Vec<String>, Vec<String>) = chunk
        .into_iter()
        .partition(|name| cwmp::fault::names(words, name));
    if !named.is_empty() && !rest.is_empty() {
        queue.push_front(rest);
        named
            .into_iter()
            .for_each(|name| queue.push_front(vec![name]));
        return;
    }
    let mut all = if named.is_empty() { rest } else { named };
    let second = all.split_off(all.len() / 2);
    queue.push_front(second);
    queue.push_front(all);
}

/// Reads all below an object: at once where the device can, else by the names it has. `None` when
/// the device has no such object.
pub async fn object(
    line: &mut Line,
    tree: &mut Tree,
    object: &str,
) -> Result<Option<Read>, AskError> {
    // What it says of one of its names.
    let mut doubtful = false;
    if line.habits.reads_objects {
        match line.values(vec![object.to_owned()]).await {
            Ok(told) => {
                let mut read = Read::default();
                let below = told
                    .into_iter()
                    .filter(|one| one.name.starts_with(object) && !one.name.ends_with('.'));
                for one in below {
                    if !tree.has(&one.name) {
                        // A row that has come since.
                        tree.insert(&one.name, None);
                    }
                    read.take(one);
                }
                // Some answer with nothing, or with the object itself: they do not know partial paths.
                if !read.values.is_empty() || !tree.params_below(object).any(|_| true) {
                    return Ok(Some(read));
                }
                line.habits.reads_objects = false;
            }
            Err(AskError::Refused(fault)) => match fault.code.retry() {
                // Many say so of every partial path.
                Retry::ForgetName if tree.has(object) => doubtful = true,
                Retry::ForgetName => return Ok(None),
                // Too much, this time: smaller objects may do.
                Retry::Smaller => {}
                _ => line.habits.reads_objects = false,
            },
            Err(AskError::Garbled(_)) => {}
            Err(error @ (AskError::Lost(_) | AskError::Unsent(_))) => return Err(error),
        }
    }
    if !tree.has(object) {
        super::discover::learn(line, tree, object).await?;
        if !tree.has(object) {
            return Ok(None);
        }
    }
    let names: Vec<String> = tree.params_below(object).map(str::to_owned).collect();
    if doubtful {
        let first = params(line, names.first().map(String::as_str)).await?;
        if first.values.is_empty() {
            return Ok(None);
        }
        line.habits.reads_objects = false;
    }
    let read = params(line, names.iter().map(String::as_str)).await?;
    Ok(Some(read))
}

#[cfg(test)]
mod tests {
    use super::super::discover::discover;
    use super::super::fake::{Fake, gateway};
    use super::super::limits::BATCH_BLAMED_MIN;
    use super::*;

    async fn all(fake: Fake) -> (Read, Line, usize) {
        let (mut line, asked) = fake.line();
        let names = asked.params();
        let read = params(&mut line, names.iter().map(String::as_str))
            .await
            .unwrap();
        let count = asked.methods().len();
        (read, line, count)
    }

    #[tokio::test]
    async fn values_are_read_in_one_request_as_far_as_it_goes() {
        let (read, _, requests) = all(gateway()).await;
        assert_eq!(
            (
                read.values["Device.WiFi.SSID.1.SSID"].text.as_str(),
                requests
            ),
            ("home", 1)
        );
        assert!(read.refused.is_empty());
    }

    #[tokio::test]
    async fn a_device_that_takes_less_is_asked_for_less_from_then_on() {
        let (read, line, _) = all(gateway().values_max(5)).await;
        let (whole, _, _) = all(gateway()).await;
        assert_eq!(read.values, whole.values);
        assert!(line.habits.read_batch <= 5, "{}", line.habits.read_batch);
    }

    #[tokio::test]
    async fn a_name_over_which_a_device_fails_does_not_make_its_model_be_asked_one_by_one() {
        let bad = "Device.WiFi.SSID.1.BSSID";
        let (read, line, _) = all(gateway().fails_over(bad)).await;
        let (whole, _, _) = all(gateway()).await;
        assert_eq!(read.values.len(), whole.values.len() - 1);
        assert_eq!(read.refused[bad].said_code(), Some(9002));
        let batch = line.habits.read_batch;
        assert!(batch >= BATCH_BLAMED_MIN / 2, "{batch}");
    }

    #[tokio::test]
    async fn one_name_that_is_not_there_costs_no_other_its_value() {
        let (mut line, asked) = gateway().line();
        let mut names = asked.params();
        names.push("Device.WiFi.SSID.7.SSID".to_owned());
        let read = params(&mut line, names.iter().map(String::as_str))
            .await
            .unwrap();
        assert_eq!(read.values.len(), names.len() - 1);
        assert_eq!(read.refused["Device.WiFi.SSID.7.SSID"].code, 9005);
        // It was not too much.
        assert_eq!(line.habits, super::super::habits::Habits::default());
    }

    #[tokio::test]
    async fn a_session_that_breaks_over_a_read_is_followed_by_smaller_ones() {
        let (mut line, asked) = gateway().loses_above(10).line();
        let names = asked.params();
        let lost = params(&mut line, names.iter().map(String::as_str)).await;
        assert!(matches!(lost, Err(AskError::Lost(_))));
        assert!(line.habits.read_batch <= names.len() / 2);
    }

    #[tokio::test]
    async fn an_object_is_read_by_its_names_where_the_device_cannot_do_it_at_once() {
        for fake in [
            gateway(),
            gateway().no_partial_paths(),
            gateway().hollow_objects(),
            gateway().values_max(3),
        ] {
            let (mut line, _) = fake.line();
            let mut tree = discover(&mut line, "Device.").await.unwrap();
            let read = object(&mut line, &mut tree, "Device.WiFi.")
                .await
                .unwrap()
                .unwrap();
            assert_eq!(read.values["Device.WiFi.SSID.2.SSID"].text, "guest");
            assert!(
                !read
                    .values
                    .contains_key("Device.DeviceInfo.SoftwareVersion")
            );
        }
    }

    #[tokio::test]
    async fn an_object_that_is_not_there_is_none() {
        let (mut line, _) = gateway().line();
        let mut tree = discover(&mut line, "Device.").await.unwrap();
        let read = object(&mut line, &mut tree, "Device.Nothing.")
            .await
            .unwrap();
        assert!(read.is_none());
    }

    #[tokio::test]
    async fn an_object_that_is_refused_as_unknown_is_read_by_the_names_that_it_has() {
        let (mut line, asked) = gateway().knows_no_paths().line();
        let mut tree = discover(&mut line, "Device.").await.unwrap();
        let wifi = object(&mut line, &mut tree, "Device.WiFi.").await.unwrap();
        assert_eq!(
            wifi.unwrap().values["Device.WiFi.SSID.2.SSID"].text,
            "guest"
        );
        assert!(!line.habits.reads_objects);
        // One that is gone is not asked for name by name.
        line.habits.reads_objects = true;
        asked.remove("Device.Hosts.Host.1.");
        asked.clear();
        let host = object(&mut line, &mut tree, "Device.Hosts.Host.1.").await;
        assert!(host.unwrap().is_none() && line.habits.reads_objects);
        assert_eq!(asked.methods().len(), 2);
    }

    #[tokio::test]
    async fn what_is_left_out_of_an_answer_is_asked_again_and_is_no_unknown_name() {
        let (read, _, requests) = all(gateway().cuts_answers(20)).await;
        let (whole, _, _) = all(gateway()).await;
        assert_eq!(read.values, whole.values);
        assert!(
            requests <= whole.values.len().div_ceil(20) + 1,
            "{requests}"
        );
        let name = "Device.WiFi.SSID.1.SSID";
        let (mut line, asked) = gateway().leaves_out(name).line();
        let names = asked.params();
        let read = params(&mut line, names.iter().map(String::as_str)).await;
        let read = read.unwrap();
        assert_eq!(read.values.len(), names.len() - 1);
        let why = &read.refused[name];
        assert_eq!((why.code, why.said_code()), (9002, None));
        let words = "its answer cannot be used: it was left out of the answer";
        assert_eq!(why.to_string(), words);
    }

    /// `READ_BYTES_MAX`
    #[tokio::test]
    async fn a_read_holds_so_many_bytes_and_says_of_the_rest_that_it_is_too_much() {
        let (mut line, asked) = gateway().line();
        let names = asked.params();
        let most = READ_BYTES_MAX / 4;
        for name in &names[..8] {
            asked.put(name, &"x".repeat(most));
        }
        line.habits.read_batch = 2;
        let read = params(&mut line, names.iter().map(String::as_str)).await;
        let read = read.unwrap();
        assert!(read.bytes <= READ_BYTES_MAX && read.bytes > READ_BYTES_MAX / 2);
        assert_eq!(read.values.len() + read.refused.len(), names.len());
        assert!(read.refused[&names[7]].message.contains("READ_BYTES_MAX"));
    }

    #[test]
    fn truth_is_read_as_words() {
        let name = "Device.X_ACME_Own";
        let of = |base, text: &str| normal(name, Value::new(base, text)).text;
        assert_eq!(of(BaseType::Boolean, "1"), "true");
        assert_eq!(of(BaseType::Boolean, "FALSE"), "false");
        assert_eq!(of(BaseType::Boolean, "maybe"), "maybe");
        assert_eq!(of(BaseType::UnsignedInt, "1"), "1");
        assert_eq!(of(BaseType::String, "1"), "1");
        for (name, text) in [
            ("Device.WiFi.SSID.1.Enable", "true"),
            (
                "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.Enable",
                "true",
            ),
            ("Device.WiFi.SSID.1.SSID", "1"),
            ("Device.Time.NTPServer1", "1"),
        ] {
            let read = normal(name, Value::string("1"));
            assert_eq!(read, Value::string(text), "{name}");
        }
    }
}
