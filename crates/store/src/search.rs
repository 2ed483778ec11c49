//! Search terms of devices: what a person may type to find one. Words of names and versions are found by how they
//! begin; serial numbers, MAC addresses and endpoint ids also by how they end, which is how they are read out on the
//! telephone. Not a full-text engine: a term is found from either end, not from its middle.

use std::collections::BTreeSet;

use fleet::{DeviceId, TenantId};

use crate::Store;
use crate::device::ip_of;
use crate::error::Result;
use crate::limits::{SEARCH_LEAD_MAX, SEARCH_TERMS_MAX, SEARCH_WORDS_MAX, TEXT_CHARS_MAX};
use crate::sql::{Bulk, Sql, sql};
use crate::writer::Tx;

/// Starts the terms that are written backwards.
const BACKWARDS: char = '<';

/// Above every character that a term can go on with.
const LAST: char = '\u{10ffff}';

/// The terms of a device: of `words` their beginnings, of `ids` both ends.
pub(crate) fn terms<'a>(
    words: impl IntoIterator<Item = &'a str>,
    ids: impl IntoIterator<Item = &'a str>,
) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for id in ids {
        let id = cut(id);
        for part in parts(&id) {
            if part.chars().count() >= 4 {
                out.insert(backwards(&part));
            }
            out.insert(part);
        }
    }
    for word in words {
        out.extend(parts(&cut(word)));
    }
    out.into_iter().take(SEARCH_TERMS_MAX).collect()
}

/// The whole, its pieces between separators, and its letters and digits alone where that is a MAC address.
fn parts(text: &str) -> Vec<String> {
    let mut out: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|piece| piece.chars().count() >= 2)
        .map(str::to_owned)
        .collect();
    if let Some(mac) = mac(text) {
        out = vec![mac];
    } else if !text.is_empty() {
        out.push(text.to_owned());
    }
    out
}

fn cut(text: &str) -> String {
    text.trim()
        .to_lowercase()
        .chars()
        .take(TEXT_CHARS_MAX)
        .collect()
}

/// Hexadecimal pairs with separators, without them.
fn mac(text: &str) -> Option<String> {
    let separated = text.contains([':', '-', '.']);
    let digits: String = text
        .chars()
        .filter(|c| !matches!(c, ':' | '-' | '.'))
        .collect();
    let hex = digits.len() >= 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let pairs = text
        .split([':', '-', '.'])
        .all(|pair| matches!(pair.len(), 2 | 4));
    (separated && hex && pairs).then_some(digits)
}

fn backwards(term: &str) -> String {
    std::iter::once(BACKWARDS)
        .chain(term.chars().rev())
        .collect()
}

/// A word of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word {
    text: String,
    /// It leads to so few devices that these are looked up; of any other, each device is asked whether it has it.
    leads: bool,
}

/// The words of a search, and which of them leads to few devices, if any does. A database that has to guess this reads
/// every device that has a frequent word, however short the page is.
pub(crate) async fn words(store: &Store, tenant: &TenantId, q: Option<&str>) -> Result<Vec<Word>> {
    let mut words: Vec<Word> = Vec::new();
    for text in q.unwrap_or_default().split_whitespace() {
        let text = cut(text);
        let text = mac(&text).unwrap_or(text);
        if words.len() < SEARCH_WORDS_MAX && words.iter().all(|known| known.text != text) {
            words.push(Word { text, leads: false });
        }
    }
    if words.is_empty() {
        return Ok(words);
    }
    let mut statement = sql("SELECT ");
    for (n, word) in words.iter().enumerate() {
        statement.push(if n == 0 { "(" } else { ", (" });
        // One range after the other: of two at once PostgreSQL reads all before it counts the first.
        for (n, (from, to)) in ranges(&word.text).into_iter().enumerate() {
            statement.push(if n == 0 { "" } else { " + " });
            statement
                .push("(SELECT count(*) FROM (SELECT 1 AS one FROM device_term WHERE tenant = ");
            statement.arg(tenant).push(" AND term >= ").arg(from);
            statement.push(" AND term < ").arg(to).push(" LIMIT ");
            statement.arg(SEARCH_LEAD_MAX + 1).push(") AS counted)");
        }
        statement.push(")");
    }
    let row = store.one(statement).await?;
    let mut columns = row.columns();
    let mut counts = Vec::with_capacity(words.len());
    for _ in &words {
        counts.push(columns.take::<u64>()?);
    }
    let rarest = counts.iter().enumerate().min_by_key(|(_, count)| **count);
    if let Some((n, count)) = rarest
        && *count <= SEARCH_LEAD_MAX
    {
        words[n].leads = true;
    }
    Ok(words)
}

/// Appends the condition that a device (`d.id`) has every word.
pub(crate) fn condition(statement: &mut Sql, tenant: &TenantId, words: &[Word]) {
    for word in words {
        if word.leads {
            statement.push(" AND d.id IN (SELECT device FROM device_term WHERE tenant = ");
            statement.arg(tenant).push(" AND ");
            in_either_range(statement, &word.text);
            statement.push(")");
        } else {
            statement.push(" AND EXISTS (SELECT 1 FROM device_term t WHERE t.tenant = ");
            statement.arg(tenant).push(" AND t.device = d.id AND ");
            in_either_range(statement, &word.text);
            // The offset keeps PostgreSQL from turning this into a join over all devices that have the word.
            statement.push(" LIMIT 1 OFFSET 0)");
        }
    }
}

/// The terms that a word is the beginning or, from three characters on, the end of.
fn ranges(word: &str) -> Vec<(String, String)> {
    let range = |word: String| (word.clone(), format!("{word}{LAST}"));
    let mut ranges = vec![range(word.to_owned())];
    if word.chars().count() >= 3 {
        ranges.push(range(backwards(word)));
    }
    ranges
}

fn in_either_range(statement: &mut Sql, word: &str) {
    for (n, (from, to)) in ranges(word).into_iter().enumerate() {
        statement.push(if n == 0 {
            "((term >= "
        } else {
            " OR (term >= "
        });
        statement.arg(from).push(" AND term < ").arg(to).push(")");
    }
    statement.push(")");
}

/// Brings the terms of a device in line with the address it now comes from, where they are not yet: most devices come
/// again from where they were, and that costs one look.
pub(crate) async fn came_from(
    tx: &mut Tx,
    tenant: &TenantId,
    device: DeviceId,
    before: &str,
    address: &str,
) -> Result<()> {
    let ip = ip_of(address);
    if ip.is_empty() && ip_of(before).is_empty() {
        return Ok(());
    }
    let term = parts(&cut(&ip)).pop().unwrap_or_default();
    let known =
        sql("SELECT 1 AS one FROM device_term WHERE tenant = $1 AND device = $2 AND term = $3")
            .bind(tenant)
            .bind(device)
            .bind(term);
    if ip_of(before) == ip && tx.optional(known).await?.is_some() {
        return Ok(());
    }
    reindex(tx, tenant, device).await
}

/// Brings the terms of a device in line with its row and identities.
pub(crate) async fn reindex(tx: &mut Tx, tenant: &TenantId, device: DeviceId) -> Result<()> {
    let statement = sql("SELECT name, tags, manufacturer, model_name, product_class, software_version, external_ip, \
         address, serial, endpoint_id FROM device WHERE tenant = $1 AND id = $2")
    .bind(tenant)
    .bind(device);
    let Some(row) = tx.optional(statement).await? else {
        return Ok(());
    };
    let mut c = row.columns();
    let name: String = c.take()?;
    let mut words = vec![name];
    words.extend(crate::sql::from_json_or_empty::<Vec<String>>(
        &c.take::<String>()?,
        "tags of a device",
    ));
    for _ in 0..4 {
        words.push(c.take()?);
    }
    let (told, address): (String, String) = (c.take()?, c.take()?);
    words.push(if told.is_empty() {
        ip_of(&address)
    } else {
        told
    });
    let mut ids: Vec<String> = vec![c.take()?, c.take()?];
    let statement = sql("SELECT value FROM identity WHERE tenant = $1 AND device = $2")
        .bind(tenant)
        .bind(device);
    for row in tx.all(statement).await? {
        ids.push(row.columns().take()?);
    }
    let wanted = terms(
        words.iter().map(String::as_str),
        ids.iter().map(String::as_str),
    );
    let statement = sql("SELECT term FROM device_term WHERE tenant = $1 AND device = $2")
        .bind(tenant)
        .bind(device);
    let mut there = BTreeSet::new();
    for row in tx.all(statement).await? {
        there.insert(row.columns().take::<String>()?);
    }
    for term in there.difference(&wanted) {
        let delete = sql("DELETE FROM device_term WHERE tenant = $1 AND term = $2 AND device = $3")
            .bind(tenant)
            .bind(term)
            .bind(device);
        tx.execute(delete).await?;
    }
    let new: Vec<String> = wanted.difference(&there).cloned().collect();
    let rows = new
        .into_iter()
        .map(|term| (tenant.clone(), term, device))
        .collect();
    let insert = Bulk::insert("INSERT INTO device_term (tenant, term, device) VALUES ", 3);
    tx.bulk(insert, rows, |(tenant, term, device), args| {
        args.extend([(&tenant).into(), term.into(), device.into()]);
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_the_words_of_its_name_and_both_ends_of_its_ids() {
        let terms = terms(["Smith kitchen"], ["os::00256D-X123", "00:25:6d:aa:bb:cc"]);
        let expected = [
            "00256d",
            "00256daabbcc",
            "<321x",
            "<321x-d65200::so",
            "<ccbbaad65200",
            "<d65200",
            "kitchen",
            "os",
            "os::00256d-x123",
            "smith",
            "smith kitchen",
            "x123",
        ];
        assert_eq!(terms, expected.map(str::to_owned).into());
    }

    #[test]
    fn a_device_has_at_most_so_many_terms() {
        let ids: Vec<String> = (0..1_000).map(|n| format!("id{n}")).collect();
        assert_eq!(
            terms([], ids.iter().map(String::as_str)).len(),
            SEARCH_TERMS_MAX
        );
    }
}
