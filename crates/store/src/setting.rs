//! The few values that belong to the whole installation, by name. It does not know what they mean.

use crate::Store;
use crate::error::{Error, Result};
use crate::sql::sql;

impl Store {
    /// A value, if it was set.
    pub async fn setting(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let statement = sql("SELECT value FROM setting WHERE name = $1").bind(name);
        let row = self.optional(statement).await?;
        row.map(|row| row.columns().take()).transpose()
    }

    /// Sets a value where there is none yet; the one that holds from now on, whoever set it.
    pub async fn setting_put_once(&self, name: &str, value: Vec<u8>) -> Result<Vec<u8>> {
        let name = name.to_owned();
        self.write_global(move |tx| {
            Box::pin(async move {
                let insert = sql(
                    "INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
                )
                .bind(&name)
                .bind(value);
                tx.execute(insert).await?;
                let statement = sql("SELECT value FROM setting WHERE name = $1").bind(name);
                let row = tx.optional(statement).await?;
                row.ok_or(Error::NotFound("setting"))?.columns().take()
            })
        })
        .await
    }
}
