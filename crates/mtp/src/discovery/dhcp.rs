//! The contents of the DHCP options that lead an agent to its controller (R-DIS.1 to R-DIS.1c): what an
//! agent says of itself, and what a server says about the controller. Version 4 has them in the options
//! 124 and 125 (RFC 3925), version 6 in 16 and 17 (RFC 8415, 21.16 and 21.17).

use usp::EndpointId;

use crate::limits::{DHCP_OPTION_BYTES_MAX, DHCP_V4_DATA_BYTES_MAX, PROVISIONING_CODE_CHARS_MAX};

/// The number of the Broadband Forum among enterprises.
pub const ENTERPRISE: u32 = 3561;

/// The class of agents (R-DIS.1).
const CLASS: &[u8] = b"usp";

/// The URL of the controller, or its name.
pub const URL: u16 = 25;
/// The provisioning code.
pub const PROVISIONING_CODE: u16 = 26;
/// `USPNotifRetryMinimumWaitInterval`, seconds.
pub const RETRY_MIN_WAIT: u16 = 27;
/// `USPNotifRetryIntervalMultiplier`, thousandths.
pub const RETRY_MULTIPLIER: u16 = 28;
/// The endpoint id of the controller.
pub const ENDPOINT_ID: u16 = 29;

/// The smallest number and the largest, of [`RETRY_MIN_WAIT`] and [`RETRY_MULTIPLIER`], as the data model says.
const RETRY_MIN_WAITS: (u32, u32) = (1, 65_535);
const RETRY_MULTIPLIERS: (u32, u32) = (1000, 65_535);

/// Which DHCP: they differ in how long their numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// DHCP for IPv4.
    V4,
    /// DHCP for IPv6.
    V6,
}

impl Version {
    /// Bytes of the code of a sub-option, and of its length.
    fn width(self) -> usize {
        match self {
            Version::V4 => 1,
            Version::V6 => 2,
        }
    }

    /// The option in which a client says what it is.
    pub fn class_option(self) -> u16 {
        match self {
            Version::V4 => 124,
            Version::V6 => 16,
        }
    }

    /// The option in which a server answers.
    pub fn offer_option(self) -> u16 {
        match self {
            Version::V4 => 125,
            Version::V6 => 17,
        }
    }
}

/// What a DHCP server says about a controller. All of it is text on the wire, numbers too (R-DIS.1a).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// The URL of the controller, or a host name alone (R-DIS.1b).
    pub url: Option<String>,
    /// What goes to `Controller.{i}.ProvisioningCode`.
    pub provisioning_code: Option<String>,
    /// What goes to `Controller.{i}.USPNotifRetryMinimumWaitInterval`, seconds, 1 to 65535.
    pub retry_min_wait: Option<u32>,
    /// What goes to `Controller.{i}.USPNotifRetryIntervalMultiplier`, thousandths, 1000 to 65535.
    pub retry_multiplier: Option<u32>,
    /// Who the controller is.
    pub endpoint_id: Option<EndpointId>,
}

/// Why the content of an option is no offer, or an offer fits into none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// More bytes than are looked into, or than fit.
    #[error("{bytes} bytes, and at most {most} can be")]
    TooLong {
        /// How many there are.
        bytes: usize,
        /// How many there may be.
        most: usize,
    },
    /// A provisioning code that the data model has no place for.
    #[error("the provisioning code has {chars} characters, and at most {most} can be")]
    LongCode {
        /// How many it has.
        chars: usize,
        /// How many it may have.
        most: usize,
    },
    /// It ends too early.
    #[error("it ends within {0}")]
    Short(&'static str),
    /// Bytes that are no text, or control characters.
    #[error("sub-option {0} is no text")]
    NotText(u16),
    /// The number is none, or out of range.
    #[error("sub-option {code} is \"{text}\", and not a number from {least} to {most}")]
    NotANumber {
        /// Which one.
        code: u16,
        /// What it says.
        text: String,
        /// The smallest number that is allowed.
        least: u32,
        /// The largest.
        most: u32,
    },
    /// Not an endpoint id.
    #[error("sub-option {ENDPOINT_ID}: {0}")]
    EndpointId(String),
    /// One with two values: which one is meant?
    #[error("sub-option {0} is there twice, with different values")]
    Twice(u16),
}

/// What an agent puts into its requests: that it is one (R-DIS.1).
pub fn class(version: Version) -> Vec<u8> {
    let mut content = ENTERPRISE.to_be_bytes().to_vec();
    let text = counted(version.width(), CLASS);
    // In version 4 the data of each enterprise is counted once more.
    match version {
        Version::V4 => content.extend(counted(1, &text)),
        Version::V6 => content.extend(text),
    }
    content
}

/// Bytes with their length, which fits: see the callers.
fn counted(width: usize, bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u32).to_be_bytes();
    [&length[4 - width..], bytes].concat()
}

/// The number in the first `width` bytes, and what follows.
fn number(bytes: &[u8], width: usize) -> Option<(u32, &[u8])> {
    let (first, rest) = bytes.split_at_checked(width)?;
    let number = first.iter().fold(0, |n, byte| n << 8 | u32::from(*byte));
    Some((number, rest))
}

/// As many bytes as a number of `width` bytes before them says, and what follows.
fn take(bytes: &[u8], width: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = number(bytes, width)?;
    rest.split_at_checked(length as usize)
}

impl Offer {
    /// Reads the content of an option: 125 of version 4, or 17 of version 6. `None`: it is about other things.
    pub fn decode(version: Version, content: &[u8]) -> Result<Option<Offer>, OfferError> {
        if content.len() > DHCP_OPTION_BYTES_MAX {
            return Err(OfferError::TooLong {
                bytes: content.len(),
                most: DHCP_OPTION_BYTES_MAX,
            });
        }
        let mut offer = Offer::default();
        let mut rest = content;
        while !rest.is_empty() {
            let (enterprise, after) =
                number(rest, 4).ok_or(OfferError::Short("the number of an enterprise"))?;
            let (data, after) = match version {
                Version::V4 => {
                    take(after, 1).ok_or(OfferError::Short("the data of an enterprise"))?
                }
                Version::V6 => (after, &[][..]),
            };
            if enterprise == ENTERPRISE {
                offer.take(data, version.width())?;
            }
            rest = after;
        }
        Ok(Some(offer).filter(|offer| *offer != Offer::default()))
    }

    /// Takes the sub-options that are ours; others, like those of TR-069, are left alone.
    fn take(&mut self, mut data: &[u8], width: usize) -> Result<(), OfferError> {
        while !data.is_empty() {
            let (code, after) =
                number(data, width).ok_or(OfferError::Short("the code of a sub-option"))?;
            let (value, after) = take(after, width).ok_or(OfferError::Short("a sub-option"))?;
            data = after;
            let code = code as u16;
            match code {
                URL => once(&mut self.url, code, text(code, value)?)?,
                PROVISIONING_CODE => {
                    let text = text(code, value)?;
                    short_enough(text.as_deref())?;
                    once(&mut self.provisioning_code, code, text)?;
                }
                RETRY_MIN_WAIT => {
                    let number = within(code, text(code, value)?, RETRY_MIN_WAITS)?;
                    once(&mut self.retry_min_wait, code, number)?;
                }
                RETRY_MULTIPLIER => {
                    let number = within(code, text(code, value)?, RETRY_MULTIPLIERS)?;
                    once(&mut self.retry_multiplier, code, number)?;
                }
                ENDPOINT_ID => {
                    let id = text(code, value)?
                        .map(|text| EndpointId::parse(&text))
                        .transpose();
                    let id = id.map_err(|error| OfferError::EndpointId(error.to_string()))?;
                    once(&mut self.endpoint_id, code, id)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The sub-options: code and text.
    pub fn parts(&self) -> Vec<(u16, String)> {
        [
            (URL, self.url.clone()),
            (PROVISIONING_CODE, self.provisioning_code.clone()),
            (RETRY_MIN_WAIT, self.retry_min_wait.map(|n| n.to_string())),
            (
                RETRY_MULTIPLIER,
                self.retry_multiplier.map(|n| n.to_string()),
            ),
            (
                ENDPOINT_ID,
                self.endpoint_id.as_ref().map(ToString::to_string),
            ),
        ]
        .into_iter()
        .filter_map(|(code, text)| Some((code, text.filter(|text| !text.is_empty())?)))
        .collect()
    }

    /// The content of the option: 125 of version 4, or 17 of version 6.
    pub fn encode(&self, version: Version) -> Result<Vec<u8>, OfferError> {
        short_enough(self.provisioning_code.as_deref())?;
        let width = version.width();
        let most = match version {
            Version::V4 => DHCP_V4_DATA_BYTES_MAX,
            Version::V6 => DHCP_OPTION_BYTES_MAX - 4,
        };
        let parts = self.parts();
        let bytes = parts.iter().map(|(_, text)| 2 * width + text.len()).sum();
        if bytes > most {
            return Err(OfferError::TooLong { bytes, most });
        }
        let mut data = Vec::with_capacity(bytes);
        for (code, text) in parts {
            data.extend(&u32::from(code).to_be_bytes()[4 - width..]);
            data.extend(counted(width, text.as_bytes()));
        }
        let mut content = ENTERPRISE.to_be_bytes().to_vec();
        match version {
            Version::V4 => content.extend(counted(1, &data)),
            Version::V6 => content.extend(data),
        }
        Ok(content)
    }
}

/// Whether the data model has a place for this provisioning code.
fn short_enough(code: Option<&str>) -> Result<(), OfferError> {
    let (chars, most) = (
        code.unwrap_or_default().chars().count(),
        PROVISIONING_CODE_CHARS_MAX,
    );
    match chars > most {
        true => Err(OfferError::LongCode { chars, most }),
        false => Ok(()),
    }
}

/// The text of a sub-option. NULs at its end are not meant (R-DIS.1c; RFC 2132, 2); an empty one says nothing.
fn text(code: u16, mut value: &[u8]) -> Result<Option<String>, OfferError> {
    while let Some(before) = value.strip_suffix(b"\0") {
        value = before;
    }
    let text = std::str::from_utf8(value).map_err(|_| OfferError::NotText(code))?;
    if text.chars().any(char::is_control) {
        return Err(OfferError::NotText(code));
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

fn within(
    code: u16,
    text: Option<String>,
    (least, most): (u32, u32),
) -> Result<Option<u32>, OfferError> {
    let Some(text) = text else { return Ok(None) };
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
        _ => Err(OfferError::NotANumber {
            code,
            text,
            least,
            most,
        }),
    }
}

fn once<T: PartialEq>(
    place: &mut Option<T>,
    code: u16,
    value: Option<T>,
) -> Result<(), OfferError> {
    if value.is_some() {
        if place.is_some() && *place != value {
            return Err(OfferError::Twice(code));
        }
        *place = value;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
