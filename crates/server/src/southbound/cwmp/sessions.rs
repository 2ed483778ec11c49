//! The sessions of this node by number, and the cookie that carries the number. Only the table: a
//! session lives in its own task.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use ::cwmp::auth::cookie;
use fleet::NodeId;
use tokio::sync::{Notify, mpsc};

use super::conversation::quirks::Cookies;
use super::core::Owner;
use super::door::Proof;
use super::session::Input;
use super::whose::Whose;

/// The name of the cookie; what the field has seen most.
const COOKIE: &str = "session";

/// The way to a session.
#[derive(Clone, Debug)]
pub struct Handle {
    /// Its number.
    pub number: u64,
    /// The user name it began with; may be empty.
    pub user: Arc<str>,
    /// Whose share it takes.
    pub owner: Owner,
    /// To its task.
    pub inbox: mpsc::Sender<Input>,
    /// Messages that are on their way to it.
    pub coming: Arc<AtomicUsize>,
    /// How its device wants its cookie, once it has said who it is and that is known.
    pub cookies: Arc<OnceLock<Cookies>>,
    /// Whose it is: others that show its cookie are sent away.
    pub whose: Arc<Whose>,
    /// The connection that it began on, as a proxy of ours tells it, and what was proved there: with
    /// the same proof, it stands for that connection.
    pub from: Option<(SocketAddr, Arc<Proof>)>,
}

impl Handle {
    /// A message is on its way until this is dropped.
    pub fn coming(&self) -> Coming {
        self.coming.fetch_add(1, Ordering::Relaxed);
        Coming(self.coming.clone())
    }
}

/// See [`Handle::coming`].
pub struct Coming(Arc<AtomicUsize>);

impl Drop for Coming {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The sessions.
#[derive(Default)]
pub struct Sessions {
    open: Mutex<Open>,
    emptied: Notify,
}

#[derive(Default)]
struct Open {
    of: HashMap<u64, Handle>,
    /// Those that began on connections to proxies, the last one of each.
    from: HashMap<SocketAddr, u64>,
}

impl Open {
    /// Nobody is taken for this one by where he comes from any more.
    fn by_itself(&mut self, handle: &Handle) {
        if let Some((from, _)) = &handle.from
            && self.from.get(from) == Some(&handle.number)
        {
            self.from.remove(from);
        }
    }
}

/// Gives back what a mass return has taken.
fn shrink<K: Eq + std::hash::Hash, V>(map: &mut HashMap<K, V>) {
    if map.capacity() > 64 && map.len() * 4 < map.capacity() {
        map.shrink_to_fit();
    }
}

/// What a request's cookies say.
#[derive(Debug)]
pub enum Cookie {
    /// There is none of ours.
    None,
    /// It names a session of this node that is open.
    Open(Handle),
    /// It names a session that is over.
    Over,
    /// It names a session of another node.
    Elsewhere(String),
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more.
    pub fn enter(&self, handle: Handle) {
        let mut open = self.lock();
        if let Some((from, _)) = &handle.from {
            open.from.insert(*from, handle.number);
        }
        open.of.insert(handle.number, handle);
    }

    /// One is over.
    pub fn leave(&self, number: u64) {
        let mut open = self.lock();
        if let Some(handle) = open.of.remove(&number) {
            open.by_itself(&handle);
        }
        shrink(&mut open.of);
        shrink(&mut open.from);
        if open.of.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().of.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them.
    pub fn all(&self) -> Vec<Handle> {
        self.lock().of.values().cloned().collect()
    }

    /// The one that began on this connection to a proxy of ours, if it still lives and its device has
    /// not shown its cookie. Nobody sees that connection end, and somebody else may have it next: who
    /// goes on with it has to prove the same.
    pub fn from(&self, from: SocketAddr) -> Option<Handle> {
        let open = self.lock();
        let handle = open.of.get(open.from.get(&from)?)?;
        (!handle.inbox.is_closed()).then(|| handle.clone())
    }

    fn of(&self, number: u64) -> Option<Handle> {
        self.lock().of.get(&number).cloned()
    }

    /// Its device has shown its cookie.
    pub fn shown(&self, handle: &Handle) {
        self.lock().by_itself(handle);
    }

    /// Returns when there is none.
    pub async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// What the cookies of a request say; `now` in seconds.
    pub fn find<'a>(
        &self,
        secret: &[u8],
        node: &NodeId,
        headers: impl Iterator<Item = &'a str>,
        now: u64,
    ) -> Cookie {
        let life = super::limits::COOKIE_LIFE.as_secs();
        let mut best = Cookie::None;
        for header in headers {
            for value in cookie::find(header, COOKIE) {
                let Some(content) = cookie::verify(secret, value, now, life) else {
                    let old = cookie::verify(secret, value, now, u64::MAX).is_some();
                    if old && matches!(best, Cookie::None) {
                        best = Cookie::Over;
                    }
                    continue;
                };
                let Some((at, number)) = content.rsplit_once('/') else {
                    continue;
                };
                if at != node.as_str() {
                    best = Cookie::Elsewhere(at.to_owned());
                    continue;
                }
                let number = u64::from_str_radix(number, 16).ok();
                match number.and_then(|number| self.of(number)) {
                    Some(handle) => return Cookie::Open(handle),
                    None => best = Cookie::Over,
                }
            }
        }
        best
    }
}

/// The value of the `Set-Cookie` header for a session of this node; `now` in seconds.
pub fn set_cookie(
    secret: &[u8],
    node: &NodeId,
    number: u64,
    now: u64,
    cookies: Option<Cookies>,
) -> String {
    let content = format!("{node}/{number:x}");
    let is_plain = matches!(cookies, Some(Cookies::Plain | Cookies::Each));
    let path = (!is_plain).then_some("/");
    cookie::set(COOKIE, &cookie::sign(secret, &content, now), path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> NodeId {
        NodeId::parse(name).unwrap()
    }

    #[tokio::test]
    async fn a_cookie_leads_to_its_session_and_to_no_other() {
        let sessions = Sessions::default();
        let handle = |number| Handle {
            number,
            user: Arc::from(""),
            owner: None,
            coming: Arc::default(),
            inbox: mpsc::channel(1).0,
            cookies: Arc::default(),
            whose: Arc::new(Whose::new(None, None, None)),
            from: None,
        };
        sessions.enter(handle(7));
        let find = |value: &str, at: u64| {
            let header = format!("other=1; {value}");
            sessions.find(b"s", &node("node-1"), [header.as_str()].into_iter(), at)
        };
        let made = |name: &str, number| set_cookie(b"s", &node(name), number, 100, None);
        assert!(
            matches!(find(&made("node-1", 7), 101), Cookie::Open(handle) if handle.number == 7)
        );
        assert!(matches!(find(&made("node-1", 8), 101), Cookie::Over));
        let elsewhere = find(&made("node-2", 7), 101);
        assert!(matches!(elsewhere, Cookie::Elsewhere(name) if name == "node-2"));
        let late = 101 + super::super::limits::COOKIE_LIFE.as_secs();
        // However old: it is one of ours.
        assert!(matches!(find(&made("node-1", 7), late), Cookie::Over));
        assert!(matches!(find(&made("node-2", 7), late), Cookie::Over));
        let forged = made("node-1", 7).replace("session=", "session=x");
        assert!(matches!(find(&forged, 101), Cookie::None));
        // An older one beside it does not hide it.
        let both = format!("{}; {}", made("node-1", 8), made("node-1", 7));
        assert!(matches!(find(&both, 101), Cookie::Open(_)));
        sessions.leave(7);
        sessions.emptied().await;
        assert!(matches!(find(&made("node-1", 7), 101), Cookie::Over));
    }

    #[test]
    fn a_connection_to_a_proxy_leads_to_the_last_session_that_began_on_it_while_that_lives() {
        let sessions = Sessions::default();
        let (at, other) = ("192.0.2.1:5001".parse().unwrap(), "192.0.2.1:5002".parse());
        let (inbox, taken) = mpsc::channel(1);
        let handle = |number| Handle {
            number,
            user: Arc::from(""),
            owner: None,
            coming: Arc::default(),
            inbox: inbox.clone(),
            cookies: Arc::default(),
            whose: Arc::new(Whose::new(None, None, None)),
            from: Some((at, Arc::new(Proof::Certificate { tenant: None }))),
        };
        let found = |from| sessions.from(from).map(|handle| handle.number);
        sessions.enter(handle(7));
        assert_eq!((found(at), found(other.unwrap())), (Some(7), None));
        sessions.enter(handle(8));
        sessions.leave(7);
        assert_eq!(found(at), Some(8));
        // One that keeps its cookie is found by that alone.
        let cookie = set_cookie(b"s", &node("node-1"), 8, 100, None);
        let by_cookie = sessions.find(b"s", &node("node-1"), [&*cookie].into_iter(), 101);
        let Cookie::Open(kept) = by_cookie else {
            panic!("{by_cookie:?}");
        };
        // Not before it is known that it was its device that showed it.
        assert_eq!((kept.number, found(at)), (8, Some(8)));
        sessions.shown(&kept);
        assert_eq!(found(at), None);
        sessions.enter(handle(8));
        assert_eq!(found(at), Some(8));
        drop(taken);
        assert_eq!(found(at), None);
        sessions.leave(8);
        assert!(sessions.lock().from.is_empty());
    }
}
