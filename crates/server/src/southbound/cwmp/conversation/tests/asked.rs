//! What happened to the CPE of tests, and what happens to it beside its sessions.

use cwmp::Request;
use cwmp::value::Value;

use super::{Asked, Fake, Param, Ways};

impl Asked {
    /// Names of the methods that were asked, in order.
    pub fn methods(&self) -> Vec<String> {
        let state = self.0.lock().unwrap();
        state
            .asked
            .iter()
            .map(|one| one.method().name().to_owned())
            .collect()
    }

    /// What was asked.
    pub fn requests(&self) -> Vec<Request> {
        self.0.lock().unwrap().asked.clone()
    }

    /// What was asked and answered, a line each.
    pub fn dialog(&self) -> Vec<String> {
        self.0.lock().unwrap().dialog.clone()
    }

    /// How many questions hang.
    pub fn hanging(&self) -> usize {
        self.0.lock().unwrap().parked.len()
    }

    /// The session of these questions is over.
    pub fn let_go(&self) {
        self.0.lock().unwrap().parked.clear();
    }

    /// Forgets what was asked.
    pub fn clear(&self) {
        self.0.lock().unwrap().asked.clear();
    }

    /// Names of all parameters it has now.
    pub fn params(&self) -> Vec<String> {
        self.0.lock().unwrap().params.keys().cloned().collect()
    }

    /// A value.
    pub fn get(&self, name: &str) -> Option<String> {
        let state = self.0.lock().unwrap();
        state.params.get(name).map(|param| param.value.text.clone())
    }

    /// It has this now.
    pub fn put(&self, name: &str, value: &str) {
        let param = Param {
            value: Value::string(value),
            writable: true,
        };
        self.0.lock().unwrap().params.insert(name.to_owned(), param);
    }

    /// It has this no more.
    pub fn remove(&self, object: &str) {
        self.0
            .lock()
            .unwrap()
            .params
            .retain(|name, _| !name.starts_with(object));
    }

    /// It starts anew: what it has taken is in force.
    pub fn start(&self) {
        let state = &mut *self.0.lock().unwrap();
        if let Some(later) = state.later.take() {
            state.params = later;
        }
    }

    /// Another session with the same device.
    pub fn again(&self) -> Fake {
        Fake {
            state: self.0.clone(),
            ways: Ways::default(),
        }
    }
}
