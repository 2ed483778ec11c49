//! Digest authentication (RFC 7616, and its ancestors 2617 and 2069) from both ends.
//! Deliberately lenient about the `uri`, which some clients leave empty and proxies change: it is
//! hashed as sent, and whether it is another is the caller's to ask.

use std::fmt;

use md5::Md5;
use sha2::{Digest, Sha256};

use super::challenge::{Challenge, credentials, params, quoted};
use super::nonce::{self, Age};
use super::same;
use crate::value::SecretBytes;

/// A hash, plain or over the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// What every device knows.
    #[default]
    Md5,
    /// With the client's nonce in the first hash.
    Md5Sess,
    /// RFC 7616.
    Sha256,
    /// With the client's nonce in the first hash.
    Sha256Sess,
}

impl Algorithm {
    /// The name in headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Md5Sess => "MD5-sess",
            Self::Sha256 => "SHA-256",
            Self::Sha256Sess => "SHA-256-sess",
        }
    }

    /// Reads a name; no name is MD5.
    pub fn parse(name: Option<&str>) -> Option<Self> {
        let Some(name) = name else {
            return Some(Self::Md5);
        };
        let all = [Self::Md5, Self::Md5Sess, Self::Sha256, Self::Sha256Sess];
        all.into_iter()
            .find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(name.trim()))
    }

    fn hash(self, parts: &[&[u8]]) -> String {
        match self {
            Self::Md5 | Self::Md5Sess => hex(&joined::<Md5>(parts)),
            Self::Sha256 | Self::Sha256Sess => hex(&joined::<Sha256>(parts)),
        }
    }

    const fn is_session(self) -> bool {
        matches!(self, Self::Md5Sess | Self::Sha256Sess)
    }
}

/// The hash of parts with colons between them.
fn joined<H: Digest>(parts: &[&[u8]]) -> Vec<u8> {
    let mut hash = H::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    hash.finalize().to_vec()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What protects the request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Qop {
    /// RFC 2069: nothing but the nonce.
    None,
    /// The client counts and adds a nonce of its own; the texts are as sent.
    Auth { nc: String, cnonce: String },
    /// And hashes the body.
    AuthInt { nc: String, cnonce: String },
}

/// What a client shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub username: String,
    /// The realm, which is to be ours.
    pub realm: String,
    /// The nonce, which is to be ours.
    pub nonce: String,
    /// The request's target, as the client sees it; may be empty.
    pub uri: String,
    /// The hash.
    pub algorithm: Algorithm,
    qop: Qop,
    cnonce: String,
    response: String,
}

impl Credentials {
    /// Reads the value of an `Authorization` header; `None` when it is none of this scheme or has
    /// not what it takes.
    pub fn parse(header: &str) -> Option<Self> {
        let (_, rest) = credentials(header).filter(|(scheme, _)| scheme == "digest")?;
        let params = params(rest);
        let text = |name| params.get(name).unwrap_or_default().to_owned();
        let (nc, cnonce) = (text("nc"), text("cnonce"));
        let qop = match params.get("qop").map(str::trim) {
            None | Some("") => Qop::None,
            Some(qop) if qop.eq_ignore_ascii_case("auth") => Qop::Auth { nc, cnonce },
            Some(qop) if qop.eq_ignore_ascii_case("auth-int") => Qop::AuthInt { nc, cnonce },
            Some(_) => return None,
        };
        Some(Self {
            username: params.get("username")?.to_owned(),
            realm: text("realm"),
            nonce: params.get("nonce")?.to_owned(),
            uri: text("uri"),
            algorithm: Algorithm::parse(params.get("algorithm"))?,
            qop,
            cnonce: text("cnonce"),
            response: params.get("response")?.to_ascii_lowercase(),
        })
    }

    /// The client's count of its uses of the nonce; `None` when it does not count.
    pub fn count(&self) -> Option<u32> {
        match &self.qop {
            Qop::None => None,
            Qop::Auth { nc, .. } | Qop::AuthInt { nc, .. } => {
                u32::from_str_radix(nc.trim(), 16).ok()
            }
        }
    }

    /// Whether the `uri` that the client has hashed is this target of its request: a path or a whole
    /// URL, either of which may stand for the other. An empty one is any.
    pub fn uri_matches(&self, target: &str) -> bool {
        self.uri.is_empty() || path_of(&self.uri) == path_of(target)
    }

    fn expected(&self, method: &str, body: &[u8], password: &str) -> String {
        let user = [
            self.username.as_bytes(),
            self.realm.as_bytes(),
            password.as_bytes(),
        ];
        let hash = |parts: &[&[u8]]| self.algorithm.hash(parts);
        let mut first = hash(&user);
        if self.algorithm.is_session() {
            first = hash(&[
                first.as_bytes(),
                self.nonce.as_bytes(),
                self.cnonce.as_bytes(),
            ]);
        }
        let (method, uri) = (method.as_bytes(), self.uri.as_bytes());
        let (nonce, first) = (self.nonce.as_bytes(), first.as_bytes());
        let (second, nc, cnonce, qop) = match &self.qop {
            Qop::None => return hash(&[first, nonce, hash(&[method, uri]).as_bytes()]),
            Qop::Auth { nc, cnonce } => (hash(&[method, uri]), nc, cnonce, "auth"),
            Qop::AuthInt { nc, cnonce } => {
                let body = hash(&[body]);
                (
                    hash(&[method, uri, body.as_bytes()]),
                    nc,
                    cnonce,
                    "auth-int",
                )
            }
        };
        let middle = [nc.as_bytes(), cnonce.as_bytes(), qop.as_bytes()];
        hash(&[
            first,
            nonce,
            middle[0],
            middle[1],
            middle[2],
            second.as_bytes(),
        ])
    }
}

/// The path and query of a request's target, which some clients write as a whole URL.
pub(crate) fn path_of(target: &str) -> &str {
    match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?']) => {
            rest.find('/').map_or("/", |at| &rest[at..])
        }
        _ => target,
    }
}

/// Why credentials do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Right, but with a nonce that is too old: challenge with `stale`.
    #[error("the nonce is too old")]
    Stale,
    /// With a nonce that is not ours, as after the secret was changed.
    #[error("the nonce is not ours")]
    Foreign,
    /// For another realm.
    #[error("the realm is another")]
    Realm,
    /// With a hash that we did not offer.
    #[error("the algorithm was not offered")]
    Algorithm,
    /// Wrong.
    #[error("the password is wrong")]
    Password,
}

/// What a server asks for.
#[derive(Clone, Debug)]
pub struct Server {
    /// The realm; changing it makes devices ask their user again.
    pub realm: String,
    /// What is offered, best first; a device that knows one hash takes the first challenge.
    pub algorithms: Vec<Algorithm>,
    /// Whether `qop` is offered; some devices know only RFC 2069. Both are taken.
    pub qop: bool,
    /// Shared by all nodes.
    pub secret: SecretBytes,
    /// Seconds that a nonce is good for.
    pub life: u64,
}

impl Server {
    /// The values of `WWW-Authenticate` headers for an answer with status 401. `now` in seconds of
    /// a clock that all nodes share, and a random number.
    pub fn challenges(&self, now: u64, random: u64, stale: bool) -> Vec<String> {
        let nonce = nonce::issue(&self.secret.0, now, random);
        let realm = quoted(&self.realm);
        let qop = if self.qop { ", qop=\"auth\"" } else { "" };
        let stale = if stale { ", stale=true" } else { "" };
        let one = |algorithm: &Algorithm| {
            let name = algorithm.as_str();
            format!("Digest realm={realm}{qop}, nonce=\"{nonce}\", algorithm={name}{stale}")
        };
        self.algorithms.iter().map(one).collect()
    }

    /// Judges what takes no password to judge: the realm, the hash, and whether the nonce is ours.
    pub fn judge(&self, now: u64, credentials: &Credentials) -> Result<Age, Denied> {
        if credentials.realm != self.realm {
            return Err(Denied::Realm);
        }
        if !self.algorithms.contains(&credentials.algorithm) {
            return Err(Denied::Algorithm);
        }
        match nonce::check(&self.secret.0, &credentials.nonce, now, self.life) {
            Age::Foreign => Err(Denied::Foreign),
            ours => Ok(ours),
        }
    }

    /// Judges credentials for a request. That a count is new is the caller's to know: see
    /// [`nonce::Window`].
    pub fn check(
        &self,
        now: u64,
        credentials: &Credentials,
        method: &str,
        body: &[u8],
        password: &str,
    ) -> Result<(), Denied> {
        let age = self.judge(now, credentials)?;
        let expected = credentials.expected(method, body, password);
        match (
            same(expected.as_bytes(), credentials.response.as_bytes()),
            age,
        ) {
            (false, _) => Err(Denied::Password),
            (true, Age::Stale) => Err(Denied::Stale),
            (true, _) => Ok(()),
        }
    }
}

/// A client's side of one request. Its `Debug` shows neither password nor body.
#[derive(Clone, Copy)]
pub struct Client<'a> {
    /// The user.
    pub username: &'a str,
    /// The password.
    pub password: &'a str,
    /// `GET` or `POST`.
    pub method: &'a str,
    /// The request's target, with its query.
    pub uri: &'a str,
    /// A random text of its own.
    pub cnonce: &'a str,
    /// How often the nonce was used, this time included.
    pub count: u32,
    /// The body, for servers that offer nothing but `auth-int`.
    pub body: &'a [u8],
}

impl fmt::Debug for Client<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, method, uri) = (self.username, self.method, self.uri);
        write!(f, "{method} {uri} by {name:?}, use {}", self.count)
    }
}

impl Client<'_> {
    /// The value of an `Authorization` header; `None` when the challenge asks for what we do not
    /// know.
    pub fn answer(&self, challenge: &Challenge) -> Option<String> {
        if challenge.scheme != "digest" {
            return None;
        }
        let params = &challenge.params;
        let algorithm = Algorithm::parse(params.get("algorithm"))?;
        let (nc, cnonce) = (format!("{:08x}", self.count), self.cnonce.to_owned());
        let offered = |wanted: &str| {
            let list = params.get("qop").unwrap_or_default();
            list.split([',', ' '])
                .any(|qop| qop.eq_ignore_ascii_case(wanted))
        };
        let qop = match params.get("qop").map(str::trim) {
            None | Some("") => Qop::None,
            Some(_) if offered("auth") => Qop::Auth { nc, cnonce },
            Some(_) if offered("auth-int") => Qop::AuthInt { nc, cnonce },
            Some(_) => return None,
        };
        let text = |name| params.get(name).unwrap_or_default().to_owned();
        let mut credentials = Credentials {
            username: self.username.to_owned(),
            realm: text("realm"),
            nonce: params.get("nonce")?.to_owned(),
            uri: self.uri.to_owned(),
            algorithm,
            qop,
            cnonce: self.cnonce.to_owned(),
            response: String::new(),
        };
        credentials.response = credentials.expected(self.method, self.body, self.password);
        Some(credentials.header(params.get("algorithm").is_some(), params.get("opaque")))
    }
}

impl Credentials {
    fn header(&self, names_algorithm: bool, opaque: Option<&str>) -> String {
        let mut out = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{}\"",
            quoted(&self.username),
            quoted(&self.realm),
            quoted(&self.nonce),
            quoted(&self.uri),
            self.response
        );
        // What the server did not say, old servers do not read.
        if names_algorithm {
            out.push_str(&format!(", algorithm={}", self.algorithm.as_str()));
        }
        if let Some(opaque) = opaque {
            out.push_str(&format!(", opaque={}", quoted(opaque)));
        }
        let (name, nc) = match &self.qop {
            Qop::None if self.algorithm.is_session() => {
                out.push_str(&format!(", cnonce={}", quoted(&self.cnonce)));
                return out;
            }
            Qop::None => return out,
            Qop::Auth { nc, .. } => ("auth", nc),
            Qop::AuthInt { nc, .. } => ("auth-int", nc),
        };
        out.push_str(&format!(
            ", qop={name}, nc={nc}, cnonce={}",
            quoted(&self.cnonce)
        ));
        out
    }
}

/// The challenge to answer: Digest with the best hash that we know, or Basic when that is allowed
/// and there is nothing else.
pub fn choose(challenges: &[Challenge], basic: bool) -> Option<&Challenge> {
    let rank = |challenge: &&Challenge| match &*challenge.scheme {
        "digest" => Algorithm::parse(challenge.params.get("algorithm")).map(|hash| 1 + hash as u8),
        "basic" if basic => Some(0),
        _ => None,
    };
    challenges
        .iter()
        .filter(|challenge| rank(challenge).is_some())
        .max_by_key(rank)
}

#[cfg(test)]
mod tests;
