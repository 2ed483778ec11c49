//! Which part of a list: the options that every `list` has, and fetching page after page.

use super::client::Client;
use anyhow::Result;
use api::Page;
use serde::de::DeserializeOwned;

/// The largest page that every list of the API gives.
const PAGE_MAX: usize = 500;

#[derive(clap::Args)]
pub struct Part {
    /// How many at most
    #[arg(long, default_value_t = 100, value_parser = at_least_one, conflicts_with = "all")]
    limit: usize,
    /// All there are
    #[arg(long)]
    all: bool,
    /// Go on from here: the `next` of the last answer under --json
    #[arg(long)]
    cursor: Option<String>,
}

impl Part {
    /// This many from the beginning.
    pub fn first(limit: usize) -> Part {
        Part {
            limit,
            all: false,
            cursor: None,
        }
    }

    /// As many as may be wanted.
    pub fn most(&self) -> usize {
        if self.all { usize::MAX } else { self.limit }
    }

    /// Fetches pages of an operation until there are enough; one page to the caller.
    pub async fn fetch<T: DeserializeOwned>(
        &self,
        client: &Client,
        id: &str,
        path: &[&str],
        query: &[(String, String)],
    ) -> Result<Page<T>> {
        let mut whole: Page<T> = Page {
            items: Vec::new(),
            next: self.cursor.clone(),
            total: None,
        };
        loop {
            let mut query = query.to_vec();
            let limit = (self.most() - whole.items.len()).min(PAGE_MAX);
            query.push(("limit".to_owned(), limit.to_string()));
            if let Some(cursor) = whole.next.take() {
                query.push(("cursor".to_owned(), cursor));
            }
            let page: Page<T> = client.call(id, path, &query).await?;
            whole.items.extend(page.items);
            whole.total = whole.total.or(page.total);
            whole.next = page.next;
            if whole.next.is_none() || whole.items.len() >= self.most() {
                return Ok(whole);
            }
        }
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1".to_owned()),
        Ok(limit) => Ok(limit),
        Err(error) => Err(format!("{error}")),
    }
}
