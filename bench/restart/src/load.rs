//! Callers that change devices without a break, and remember what the API has taken.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rig::{Api, Fault, Server};
use serde_json::{Value, json};

/// Callers at the same time.
const CALLERS: usize = 4;
/// Between two calls of one, and after one that was not answered.
const PAUSE: Duration = Duration::from_millis(20);
const PATH: &str = "Device.WiFi.SSID.1.SSID";

/// Callers at work.
pub struct Load {
    shared: Arc<Shared>,
    callers: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    devices: Vec<String>,
    next: AtomicUsize,
    stop: AtomicBool,
    taken: Mutex<Vec<String>>,
}

impl Load {
    /// Starts them, each with a token of its own.
    pub fn start(server: &Server) -> Result<Self, Fault> {
        let devices = all(&mut server.api()?, "/devices?limit=500")?;
        let devices = devices.iter().filter_map(id).collect();
        let shared = Arc::new(Shared {
            devices,
            ..Shared::default()
        });
        let callers = (0..CALLERS).map(|_| {
            let (shared, api) = (shared.clone(), server.caller()?);
            Ok(std::thread::spawn(move || shared.work(api)))
        });
        let callers = callers.collect::<Result<_, Fault>>()?;
        Ok(Self { shared, callers })
    }

    /// How many operations were taken.
    pub fn taken(&self) -> usize {
        self.shared.lock().len()
    }

    /// Stops them; the ids of all that were taken.
    pub fn stop(self) -> Result<Vec<String>, Fault> {
        self.shared.stop.store(true, Ordering::Relaxed);
        for caller in self.callers {
            caller.join().map_err(|_| "a caller broke down")?;
        }
        Ok(self.shared.lock().clone())
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, mut api: Api) {
        while !self.stop.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let device = &self.devices[number % self.devices.len()];
            let set = json!({"kind": "set", "parameters": [{"path": PATH, "value": format!("load {number}")}]});
            let path = format!("/devices/{device}/operations");
            match api.call("POST", &path, Some(&json!({"ops": [set]}))) {
                // Answered: from here on it is the server's promise.
                Ok(made) => self.lock().extend(id(&made["operation"])),
                Err(_) => {
                    let _ = api.reconnect();
                }
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// How they ended.
pub struct Ends {
    states: BTreeMap<String, usize>,
    /// Taken, and not there any more.
    pub lost: Vec<String>,
    /// Without an end.
    pub open: usize,
}

impl Ends {
    /// How many ended in which state.
    pub fn words(&self) -> String {
        let states = self.states.iter();
        let words: Vec<_> = states
            .map(|(state, count)| format!("{count} {state}"))
            .collect();
        words.join(", ")
    }
}

/// Waits until what was taken has ended.
pub fn ends(api: &mut Api, taken: &[String], late: Duration) -> Result<Ends, Fault> {
    // It was idle for longer than the server keeps a connection.
    api.reconnect()?;
    let end = Instant::now() + late;
    let open = "/operations?limit=500&state=queued&state=running&state=verifying";
    while Instant::now() < end && !all(api, open)?.is_empty() {
        std::thread::sleep(Duration::from_secs(1));
    }
    let mut missing: HashSet<&str> = taken.iter().map(String::as_str).collect();
    let mut ends = Ends {
        states: BTreeMap::new(),
        lost: Vec::new(),
        open: 0,
    };
    for operation in all(api, "/operations?limit=500")? {
        if !id(&operation).is_some_and(|id| missing.remove(id.as_str())) {
            continue;
        }
        let state = operation["state"].as_str().unwrap_or_default();
        ends.open += usize::from(matches!(state, "queued" | "running" | "verifying"));
        *ends.states.entry(state.to_owned()).or_default() += 1;
    }
    ends.lost = missing.into_iter().map(str::to_owned).collect();
    Ok(ends)
}

/// All pages of a list.
fn all(api: &mut Api, path: &str) -> Result<Vec<Value>, Fault> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let mut page = match api.call("GET", &format!("{path}{cursor}"), None) {
            // Lists may be asked for so often and no oftener.
            Err(error) if error.to_string().contains(": 429 ") => {
                std::thread::sleep(Duration::from_secs(1));
                continue;
            }
            page => page?,
        };
        if let Some(more) = page["items"].as_array_mut() {
            items.append(more);
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(items),
        }
    }
}

fn id(value: &Value) -> Option<String> {
    Some(value["id"].as_str()?.to_owned())
}
