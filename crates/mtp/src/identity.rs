//! Which endpoint a WebSocket peer says it is: the `eid` of the query (R-WS.10b), the parameter of
//! the deprecated extension (R-WS.10a), the subject alternative names of its certificate
//! (R-SEC.0a), and whether these agree.
//!
//! Not here: `from_id` of the Records; comparing that is the session's business.

use http::{HeaderMap, header::SEC_WEBSOCKET_EXTENSIONS};
use usp::EndpointId;

use crate::ws::{Refusal, RefusalReason};

/// The name of the deprecated extension.
pub const EXTENSION: &str = "bbf-usp-protocol";

/// The endpoint id in the query of a request URI, percent-decoded once (R-WS.10c).
pub fn from_query(query: Option<&str>) -> Result<Option<EndpointId>, Refusal> {
    let mut values = query
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| *name == "eid")
        .map(|(_, value)| value);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.any(|other| other != value) {
        return Err(bad("the query gives eid twice"));
    }
    let decoded = percent_decoded(value).ok_or_else(|| bad("eid is not percent-encoded text"))?;
    match EndpointId::parse(&decoded) {
        Ok(eid) => Ok(Some(eid)),
        Err(error) => Err(bad(format!("eid {decoded:?} in the query: {error}"))),
    }
}

/// The deprecated extension, if it is offered or answered: `Some(parameter)`.
pub fn from_extension(headers: &HeaderMap) -> Option<Option<String>> {
    headers
        .get_all(SEC_WEBSOCKET_EXTENSIONS)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| split_outside_quotes(value, ','))
        .find_map(|extension| {
            let mut parts = split_outside_quotes(extension, ';').into_iter();
            if !parts.next()?.trim().eq_ignore_ascii_case(EXTENSION) {
                return None;
            }
            Some(parts.find_map(|parameter| {
                let (name, value) = parameter.split_once('=')?;
                let value = value.trim().trim_matches('"');
                name.trim()
                    .eq_ignore_ascii_case("eid")
                    .then(|| value.to_owned())
            }))
        })
}

/// The value of the header that offers or answers the deprecated extension (R-WS.11a).
pub fn extension_value(own: &EndpointId) -> String {
    format!("{EXTENSION}; eid=\"{own}\"")
}

/// The endpoint id all sources agree on, in the order query, extension, certificate.
pub fn agreed(
    query: Option<EndpointId>,
    extension: Option<&str>,
    certificate_ids: &[EndpointId],
) -> Result<Option<EndpointId>, Refusal> {
    let offered = match (
        extension.map(|text| (text, EndpointId::parse(text))),
        &query,
    ) {
        (Some((_, Ok(eid))), _) => Some(eid),
        // R-WS.11c: whatever is wrong with the old extension, the query outranks it.
        (None, _) | (Some(_), Some(_)) => None,
        (Some((text, Err(error))), None) => {
            return Err(bad(format!("eid {text:?} in the extension: {error}")));
        }
    };
    if let (Some(query), Some(offered)) = (&query, &offered)
        && query != offered
    {
        return Err(conflict(format!(
            "the query says {query}, the extension {offered}"
        )));
    }
    let claimed = query.or(offered);
    match (claimed, certificate_ids) {
        (Some(claimed), [_, ..]) if !certificate_ids.contains(&claimed) => {
            let named: Vec<String> = certificate_ids.iter().map(ToString::to_string).collect();
            let named = named.join(", ");
            Err(conflict(format!(
                "it says {claimed}, its certificate is for {named}"
            )))
        }
        (None, [only]) => Ok(Some(only.clone())),
        (claimed, _) => Ok(claimed),
    }
}

fn bad(detail: impl Into<String>) -> Refusal {
    Refusal::new(RefusalReason::BadEndpointId, detail)
}

fn conflict(detail: String) -> Refusal {
    Refusal::new(RefusalReason::EndpointIdConflict, detail)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first != b'%' {
            out.push(*first);
            rest = tail;
            continue;
        }
        let (digits, tail) = tail.split_first_chunk::<2>()?;
        let high = (digits[0] as char).to_digit(16)?;
        let low = (digits[1] as char).to_digit(16)?;
        out.push((high * 16 + low) as u8);
        rest = tail;
    }
    String::from_utf8(out).ok()
}

fn split_outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(|c: char| {
        quoted ^= c == '"';
        !quoted && c == separator
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn eid(text: &str) -> EndpointId {
        EndpointId::parse(text).unwrap()
    }

    fn reason(refused: Result<Option<EndpointId>, Refusal>) -> RefusalReason {
        refused.unwrap_err().reason
    }

    #[test]
    fn percent_signs_of_the_endpoint_id_are_encoded_once_more_in_the_query() {
        // R-WS.10c
        let id = eid("ops::00256D-Box%2D1-0001");
        let query = format!("x=1&eid={}", id.to_query());
        assert!(query.ends_with("Box%252D1-0001"), "{query}");
        assert_eq!(from_query(Some(&query)).unwrap(), Some(id));
        assert_eq!(
            from_query(Some("eid=self%3A%3Aa")).unwrap(),
            Some(eid("self::a"))
        );
    }

    #[test]
    fn no_eid_in_the_query_is_no_error_and_a_bad_one_is() {
        assert_eq!(from_query(None).unwrap(), None);
        assert_eq!(from_query(Some("a=b&xeid=self::a")).unwrap(), None);
        for bad in [
            "eid=",
            "eid=nonsense",
            "eid=self::a%2",
            "eid=self::a%zz",
            "eid=self::a%ff",
            "eid=self::a&eid=self::b",
        ] {
            assert_eq!(
                reason(from_query(Some(bad))),
                RefusalReason::BadEndpointId,
                "{bad}"
            );
        }
    }

    #[test]
    fn the_old_extension_is_found_among_others_quoted_or_not() {
        let mut headers = HeaderMap::new();
        assert_eq!(from_extension(&headers), None);
        headers.append(
            SEC_WEBSOCKET_EXTENSIONS,
            "permessage-deflate; x=\"a,b\"".parse().unwrap(),
        );
        assert_eq!(from_extension(&headers), None);
        headers.append(
            SEC_WEBSOCKET_EXTENSIONS,
            "foo, BBF-USP-Protocol ; eid = \"self::a\"".parse().unwrap(),
        );
        assert_eq!(from_extension(&headers), Some(Some("self::a".into())));
        headers.insert(
            SEC_WEBSOCKET_EXTENSIONS,
            "bbf-usp-protocol;eid=self::b".parse().unwrap(),
        );
        assert_eq!(from_extension(&headers), Some(Some("self::b".into())));
        headers.insert(
            SEC_WEBSOCKET_EXTENSIONS,
            "bbf-usp-protocol".parse().unwrap(),
        );
        assert_eq!(from_extension(&headers), Some(None));
    }

    #[test]
    fn query_extension_and_certificate_must_agree() {
        let (a, b) = (eid("self::a"), eid("self::b"));
        let ok = |query: Option<&EndpointId>, extension, certificate: &[EndpointId]| {
            agreed(query.cloned(), extension, certificate).unwrap()
        };
        assert_eq!(ok(None, None, &[]), None);
        assert_eq!(
            ok(Some(&a), Some("self::a"), &[b.clone(), a.clone()]),
            Some(a.clone())
        );
        assert_eq!(ok(None, Some("self::a"), &[]), Some(a.clone()));
        assert_eq!(ok(None, None, std::slice::from_ref(&b)), Some(b.clone()));
        assert_eq!(ok(None, None, &[a.clone(), b.clone()]), None);
        assert_eq!(ok(Some(&a), Some("nonsense"), &[]), Some(a.clone()));
        let conflict = RefusalReason::EndpointIdConflict;
        assert_eq!(
            reason(agreed(Some(a.clone()), Some("self::b"), &[])),
            conflict
        );
        assert_eq!(
            reason(agreed(Some(a.clone()), None, std::slice::from_ref(&b))),
            conflict
        );
        assert_eq!(reason(agreed(None, Some("self::a"), &[b])), conflict);
        assert_eq!(
            reason(agreed(None, Some("nonsense"), &[])),
            RefusalReason::BadEndpointId
        );
    }
}
