//! Paging of lists that are short enough to be read whole: the cursor is the key of the last item
//! of the page before.

use crate::problem::{Fail, Result};
use api::{Count, FieldProblem, Page};

/// How many items a caller wants, within a maximum.
pub fn limit(wanted: Option<u32>, max: u32) -> Result<usize> {
    match wanted {
        None => Ok(api::limits::PAGE_DEFAULT as usize),
        Some(count) if (1..=max).contains(&count) => Ok(count as usize),
        Some(count) => Err(Fail::malformed(vec![FieldProblem::query(
            "limit",
            format!("is {count}; 1 to {max} is possible"),
        )])),
    }
}

/// A cursor; an empty one is none.
pub fn given(cursor: Option<&str>) -> Option<&str> {
    cursor.filter(|text| !text.is_empty())
}

/// The page after the cursor, of items ordered by their keys. A cursor whose item is gone still
/// has its place in the order, so nothing is skipped or shown twice.
pub fn cut<T>(
    mut items: Vec<T>,
    query: &api::page::PageQuery,
    order: Order,
    key: impl Fn(&T) -> String,
) -> Result<Page<T>> {
    let limit = limit(query.limit, api::limits::PAGE_MAX)?;
    let total = Some(Count {
        value: items.len() as u64,
        exact: true,
    });
    items.sort_by_cached_key(&key);
    if order == Order::Falling {
        items.reverse();
    }
    if let Some(cursor) = given(query.cursor.as_deref()) {
        items.retain(|item| match order {
            Order::Rising => key(item).as_str() > cursor,
            Order::Falling => key(item).as_str() < cursor,
        });
    }
    let more = items.len() > limit;
    items.truncate(limit);
    let next = more.then(|| items.last().map(&key)).flatten();
    Ok(Page { items, next, total })
}

/// Which way a list goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest key first.
    Rising,
    /// Greatest key first: ids, and so the newest.
    Falling,
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::page::PageQuery;

    #[test]
    fn pages_follow_one_another_even_when_the_last_item_seen_is_gone() {
        for order in [Order::Rising, Order::Falling] {
            let mut items: Vec<u32> = (0..7).collect();
            let mut query = PageQuery {
                cursor: Some(String::new()),
                limit: Some(3),
            };
            let mut seen = Vec::new();
            loop {
                let page = cut(items.clone(), &query, order, u32::to_string).unwrap();
                let last = page.items.last().copied();
                seen.extend(page.items);
                items.retain(|item| Some(*item) != last);
                match page.next {
                    Some(next) => query.cursor = Some(next),
                    None => break,
                }
            }
            seen.sort_unstable();
            assert_eq!(seen, (0..7).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_impossible_limit_is_named() {
        for count in [0, 501] {
            let query = PageQuery {
                cursor: None,
                limit: Some(count),
            };
            let fail = cut(vec![1], &query, Order::Rising, u32::to_string).unwrap_err();
            assert_eq!(fail.0.errors[0].field, "limit");
        }
    }
}
