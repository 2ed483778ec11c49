//! What is nobody's business: passwords, keys, and the credentials we hand out to devices. The one
//! rule by which everything is masked that people may read: operations, previews, events,
//! transcripts and last-known values, for their owners too.

use std::cmp::Reverse;
use std::ops::Range;

use crate::operation::Request;
use crate::plan::is_secured;
use crate::southbound::Op;

/// Shown instead of a secret.
pub const MASK: &str = "********";

/// How a tenant's setup key begins.
pub const SETUP_KEY: &str = "hes_";

/// How a device's own credential begins.
pub const DEVICE: &str = "hed_";

/// How the link begins with which a device fetches or sends one file.
pub const FILE: &str = "hef_";

/// Characters of a credential after its prefix: 32 of 62 are 190 bits.
pub const CREDENTIAL_CHARS: usize = 32;

/// Names that end so are secrets whatever the published model says: it forgets some.
const ENDINGS: [&str; 11] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "pin",
    "presharedkey",
    "privatekey",
    "networkkey",
    "encryptionkey",
    "wepkey",
];

/// Keys that are none: what a vendor or a command calls a key otherwise is one.
const HARMLESS_KEYS: [&str; 7] = [
    "commandkey",
    "parameterkey",
    "publickey",
    "authorizedkey",
    "uniquekey",
    "foreignkey",
    "primarykey",
];

/// Whether the value of a parameter or argument is a secret, by its name. The path may be relative,
/// a search path, or that of the supported model.
pub fn is_secret(path: &str) -> bool {
    if is_secured(path) {
        return true;
    }
    let name = path.rsplit('.').next().unwrap_or(path).to_ascii_lowercase();
    // The last part of the path is the device's credential, or a setup key.
    if path.ends_with("WebSocket.Path")
        || name.starts_with("presharedkey")
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
    {
        return true;
    }
    name.len() > "key".len()
        && name.ends_with("key")
        && !HARMLESS_KEYS.iter().any(|key| name.ends_with(key))
        && !crate::plan::is_published(path)
}

/// Why a text may not be shown although its name is harmless: it holds one of our credentials.
pub fn holds_credential(text: &str) -> bool {
    credentials(text, CREDENTIAL_CHARS).next().is_some()
}

/// Where credentials of at least this many characters after their prefixes are, without these. Looks
/// at no character more than twice: what a device says can be long.
fn credentials(text: &str, chars_min: usize) -> impl Iterator<Item = Range<usize>> {
    text.match_indices('_').filter_map(move |(at, _)| {
        let start = at + 1;
        let ours = [DEVICE, SETUP_KEY, FILE]
            .iter()
            .any(|prefix| text[..start].ends_with(prefix));
        if !ours {
            return None;
        }
        let chars = text.as_bytes()[start..]
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric())
            .count();
        (chars >= chars_min).then_some(start..start + chars)
    })
}

/// A text without what follows the prefix of a credential, like a URL in an error message. A part
/// of one is taken out too: somebody may have mistyped it.
pub fn without_credentials(text: &str) -> String {
    const PART: usize = 8;
    let mut out = String::with_capacity(text.len());
    let mut rest = 0;
    for found in credentials(text, PART) {
        out.push_str(&text[rest..found.start]);
        out.push_str("...");
        rest = found.end;
    }
    out.push_str(&text[rest..]);
    out
}

/// Whether this value of this parameter may not be shown.
pub fn hides(path: &str, value: &str) -> bool {
    !value.is_empty() && (is_secret(path) || holds_credential(value))
}

/// The value as people may see it: that there is one is no secret.
pub fn shown(path: &str, value: String) -> String {
    if hides(path, &value) {
        MASK.to_owned()
    } else {
        value
    }
}

/// The value as it may be remembered of a device: a secret reads as empty, as it does from a device
/// that keeps to the standard.
pub fn kept(path: &str, value: String) -> String {
    // What was masked before must not be taken for a value.
    if value == MASK || hides(path, &value) {
        String::new()
    } else {
        value
    }
}

/// The secrets that an op tells the device.
pub fn told(op: &Op) -> Vec<&str> {
    match op {
        Op::Set { objects, .. } | Op::Add { objects, .. } => objects
            .iter()
            .flat_map(|object| object.settings.iter().map(move |setting| (object, setting)))
            .filter(|(object, setting)| {
                let row = if matches!(op, Op::Add { .. }) {
                    "1."
                } else {
                    ""
                };
                hides(
                    &format!("{}{row}{}", object.object, setting.name),
                    &setting.value,
                )
            })
            .map(|(_, setting)| setting.value.as_str())
            .collect(),
        Op::Operate { args, .. } => args
            .iter()
            .filter(|(name, value)| hides(name, value))
            .map(|(_, value)| value.as_str())
            .collect(),
        _ => Vec::new(),
    }
}

/// Takes out of a request the secrets that it tells the device: when it has ended nobody needs them
/// any more. That there were some stays visible.
pub fn forget(request: &mut Request) {
    let forget = |path: &str, value: &mut String| {
        if hides(path, value) {
            MASK.clone_into(value);
        }
    };
    match request {
        Request::Set { values, .. } => {
            for one in values {
                forget(&one.path, &mut one.value);
            }
        }
        Request::Add { object, values } => {
            for (name, value) in values {
                forget(&format!("{object}1.{name}"), value);
            }
        }
        Request::Operate { args, .. } => {
            for (name, value) in args {
                forget(name, value);
            }
        }
        Request::Get { .. } | Request::Delete { .. } | Request::Discover { .. } => {}
    }
}

/// A text of the device (the reason of a refusal) that may repeat what it was told: without these
/// secrets, and without credentials.
pub fn scrubbed<'a>(text: &str, secrets: impl IntoIterator<Item = &'a str>) -> String {
    /// Shorter ones are part of many words; a device that repeats them gives nothing away.
    const SHORTEST: usize = 4;
    // One secret may be a part of another, of which the rest would stay.
    let mut secrets: Vec<&str> = secrets.into_iter().collect();
    secrets.sort_unstable_by_key(|secret| Reverse(secret.len()));
    let mut out = without_credentials(text);
    for secret in secrets {
        if secret.len() >= SHORTEST && out.contains(secret) {
            out = out.replace(secret, MASK);
        }
    }
    out
}

/// The beginning of a text of any length, scrubbed, and whether that is not all of it. What the
/// cut may have left of a secret is not in it.
pub fn excerpt(text: &str, secrets: &[&str], chars_max: usize) -> (String, bool) {
    /// Masks may be shorter than what they stand for: so much more is looked at.
    const MORE: usize = 4;
    let end = |text: &str, chars: usize| text.char_indices().nth(chars).map(|(at, _)| at);
    let first = end(text, chars_max.saturating_mul(MORE));
    let mut out = scrubbed(
        &text[..first.unwrap_or(text.len())],
        secrets.iter().copied(),
    );
    if first.is_some() {
        let longest = secrets.iter().map(|secret| secret.len()).max();
        let whole = out.len().saturating_sub(longest.unwrap_or_default());
        out.truncate(out.floor_char_boundary(whole));
    }
    let cut = end(&out, chars_max);
    out.truncate(cut.unwrap_or(out.len()));
    (out, cut.or(first).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_keys_and_credentials_are_secrets_by_their_names() {
        for path in [
            "Device.WiFi.AccessPoint.1.Security.KeyPassphrase",
            "Device.WiFi.AccessPoint.*.Security.KeyPassphrase",
            "Device.WiFi.AccessPoint.[Alias==\"a.b\"].Security.PreSharedKey",
            "Device.WiFi.AccessPoint.{i}.Security.SAEPassphrase",
            "Device.ManagementServer.Password",
            "Device.ManagementServer.ConnectionRequestPassword",
            "Device.Users.User.1.Password",
            "Device.Thread.MLE.1.Dataset.1.NetworkKey",
            "Device.LocalAgent.Controller.1.MTP.2.WebSocket.Path",
            "MTP.2.WebSocket.Path",
            "Device.X_ACME_Portal.AdminPassword",
            "Device.X_ACME_Cloud.ApiKey",
            "Device.X_ACME_Cloud.AccessToken",
            "Password",
            "SessionKey",
        ] {
            assert!(is_secret(path), "{path}");
        }
    }

    #[test]
    fn harmless_names_stay_readable() {
        for path in [
            "Device.WiFi.SSID.1.SSID",
            "Device.Boot!.CommandKey",
            "CommandKey",
            "Key",
            "Device.SSH.AuthorizedKey.1.Key",
            "Device.ManagementServer.ParameterKey",
            "Device.DNS.SD.Service.1.TextRecord.1.Key",
            "Device.X_ACME_Vpn.PublicKey",
            "Device.LocalAgent.Controller.1.EndpointID",
            "Device.IP.Diagnostics.IPPing()",
        ] {
            assert!(!is_secret(path), "{path}");
        }
    }

    #[test]
    fn a_credential_is_found_wherever_it_stands() {
        let token = format!("{DEVICE}{}", "a1".repeat(CREDENTIAL_CHARS / 2));
        let url = format!("wss://host/usp/{token}?eid=1");
        assert!(hides("Device.X_Test.Url", &url));
        assert_eq!(shown("Device.X_Test.Url", url.clone()), MASK);
        assert_eq!(kept("Device.X_Test.Url", url.clone()), "");
        assert_eq!(kept("Device.X_Test.Url", MASK.to_owned()), "");
        assert_eq!(without_credentials(&url), "wss://host/usp/hed_...?eid=1");
        let link = format!("http://files:7548/f/{FILE}{}/fw.bin", "b2".repeat(16));
        assert_eq!(shown("URL", link.clone()), MASK);
        assert_eq!(
            without_credentials(&link),
            "http://files:7548/f/hef_.../fw.bin"
        );
        assert!(!holds_credential(
            "hed_ is a prefix, shed_builder123456 is not"
        ));
        assert_eq!(without_credentials("the_shed_is"), "the_shed_is");
    }

    #[test]
    fn nothing_is_shown_as_nothing() {
        assert_eq!(shown("Device.Users.User.1.Password", String::new()), "");
    }

    #[test]
    fn a_reason_does_not_repeat_the_secret_it_refuses() {
        let reason = "hunter22 is too short, says hunter22's checker";
        let shown = scrubbed(reason, ["hunter22", "is"]);
        assert_eq!(shown, "******** is too short, says ********'s checker");
    }

    #[test]
    fn of_a_secret_that_begins_with_another_one_nothing_is_left() {
        let shown = scrubbed("password1 is too short", ["pass", "password1"]);
        assert_eq!(shown, "******** is too short");
    }

    #[test]
    fn a_text_as_long_as_a_message_may_be_is_looked_through_once() {
        const MESSAGE: usize = 5 << 20;
        let begun = std::time::Instant::now();
        for piece in ["hed_aaaaaaaa ", "hes_hed_", "hed_aaaaaaaahed_", "hed_", "_"] {
            let text = piece.repeat(MESSAGE / piece.len());
            let out = without_credentials(&text);
            assert!(!out.contains("aaaaaaaa"), "{piece}");
            assert!(!holds_credential(&text), "{piece}");
        }
        // A pass for each find would take the better part of an hour.
        assert!(begun.elapsed() < std::time::Duration::from_secs(60));
    }

    #[test]
    fn a_credential_that_stands_behind_another_one_is_taken_out_too() {
        let two = "hed_aaaaaaaahed_bbbbbbbb";
        assert_eq!(without_credentials(two), "hed_..._...");
    }

    #[test]
    fn an_excerpt_is_of_the_beginning_and_ends_in_no_part_of_a_secret() {
        assert_eq!(excerpt("short", &[], 5), ("short".to_owned(), false));
        assert_eq!(excerpt("longer", &[], 5), ("longe".to_owned(), true));
        let secret = "correct horse battery staple, correct horse battery staple";
        let text = format!("{secret}{secret}");
        let (out, cut) = excerpt(&text, &[secret], 20);
        assert!(cut && !out.contains("correct"), "{out}");
        let long = "hed_aaaaaaaa ".repeat(1 << 16);
        assert_eq!(excerpt(&long, &[], 100).0.chars().count(), 100);
    }
}
