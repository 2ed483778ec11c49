//! Whose the queues are that a broker of somebody else keeps for devices. Their names do not say it, and a client may know
//! or choose them: the device that was first asked about with a name has it, whichever node was asked.

use fleet::{TenantId, Timestamp};

use crate::Store;
use crate::error::Result;
use crate::sql::{Sql, sql};

fn owner(queue: &str) -> Sql {
    sql("SELECT tenant, endpoint FROM broker_queue WHERE name = $1").bind(queue)
}

impl Store {
    /// Whether the queue is of one of these endpoints of a tenant; one that is nobody's is the first one's from now on.
    /// Of each endpoint the last `max` are remembered.
    pub async fn broker_queue_belongs(
        &self,
        tenant: &TenantId,
        endpoints: &[String],
        queue: &str,
        at: Timestamp,
        max: usize,
    ) -> Result<bool> {
        let Some(first) = endpoints.first().cloned() else {
            return Ok(false);
        };
        let is = |(whose, endpoint): (TenantId, String)| {
            whose == *tenant && endpoints.contains(&endpoint)
        };
        if let Some(row) = self.optional(owner(queue)).await? {
            let mut row = row.columns();
            return Ok(is((row.take()?, row.take()?)));
        }
        let (whose, queue) = (tenant.clone(), queue.to_owned());
        let found = self.write(tenant, move |tx| {
            Box::pin(async move {
                let insert = sql("INSERT INTO broker_queue (name, tenant, endpoint, at) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (name) DO NOTHING")
                .bind(&queue)
                .bind(&whose)
                .bind(&first)
                .bind(at);
                if tx.execute(insert).await? > 0 {
                    let older = sql("DELETE FROM broker_queue WHERE tenant = $1 AND endpoint = $2 AND name NOT IN \
                         (SELECT name FROM broker_queue WHERE tenant = $1 AND endpoint = $2 \
                         ORDER BY CASE WHEN name = $3 THEN 0 ELSE 1 END, at DESC, name LIMIT $4)")
                    .bind(&whose)
                    .bind(&first)
                    .bind(&queue)
                    .bind(max);
                    tx.execute(older).await?;
                }
                // Another may have been asked about it at the same time.
                tx.optional(owner(&queue)).await
            })
        });
        let Some(row) = found.await? else {
            return Ok(false);
        };
        let mut row = row.columns();
        Ok(is((row.take()?, row.take()?)))
    }
}
