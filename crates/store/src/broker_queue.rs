//! Whose the queues are that a broker of somebody else keeps for devices. Their names do not say it, and a client may know
//! or choose them: the device that was first asked about with a name has it, whichever node was asked.

use fleet::{DeviceId, TenantId, Timestamp};

use crate::Store;
use crate::error::Result;
use crate::limits::{BROKER_QUEUE_KEPT, BROKER_QUEUE_USED_EVERY};
use crate::sql::{Row, Sql, sql};
use crate::writer::Tx;

fn owner(queue: &str) -> Sql {
    sql("SELECT tenant, endpoint, at FROM broker_queue WHERE name = $1").bind(queue)
}

/// In place of the endpoint, once its device is removed: what lies in the queue at the broker is its tenant's still.
const REMOVED: &str = "";

/// Who has a queue.
struct Owner {
    tenant: TenantId,
    endpoint: String,
    at: Timestamp,
}

impl Owner {
    fn read(row: &Row) -> Result<Self> {
        let mut c = row.columns();
        Ok(Self {
            tenant: c.take()?,
            endpoint: c.take()?,
            at: c.take()?,
        })
    }

    fn is(&self, tenant: &TenantId, endpoints: &[String]) -> bool {
        let free = self.endpoint == REMOVED;
        self.tenant == *tenant && (free || endpoints.contains(&self.endpoint))
    }

    /// Whether anybody may have it.
    fn is_over(&self, at: Timestamp) -> bool {
        self.endpoint == REMOVED && at >= self.at.plus(BROKER_QUEUE_KEPT)
    }
}

/// The queues of a device that is removed are nobody's from now on, and stay its tenant's for [`BROKER_QUEUE_KEPT`].
pub(crate) async fn of_removed(
    tx: &mut Tx,
    tenant: &TenantId,
    device: DeviceId,
    now: Timestamp,
) -> Result<()> {
    let queues = sql(
        "UPDATE broker_queue SET endpoint = $3, at = $4 WHERE tenant = $1 AND endpoint IN \
         (SELECT value FROM identity WHERE tenant = $1 AND device = $2 AND kind = 'usp_endpoint')",
    )
    .bind(tenant)
    .bind(device)
    .bind(REMOVED)
    .bind(now);
    // In the same order as who is asked about them.
    tx.alone().await?;
    tx.execute(queues).await.map(drop)
}

impl Store {
    /// Whether the queue is of one of these endpoints of a tenant; one that is nobody's is the first one's from now on, and
    /// so is one of a removed device, of another tenant only after [`BROKER_QUEUE_KEPT`]. Of each endpoint the `max` that
    /// were asked about last are remembered.
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
        if let Some(row) = self.optional(owner(queue)).await? {
            let owner = Owner::read(&row)?;
            let lately = at < owner.at.plus(BROKER_QUEUE_USED_EVERY);
            match owner.is(tenant, endpoints) {
                true if lately && owner.endpoint != REMOVED => return Ok(true),
                false if !owner.is_over(at) => return Ok(false),
                _ => {}
            }
        }
        let (whose, queue, names) = (tenant.clone(), queue.to_owned(), endpoints.to_vec());
        self.write(tenant, move |tx| {
            Box::pin(async move {
                // Names that clients choose: two tenants that take them in turn would wait for each other.
                tx.alone().await?;
                // Another may have been asked about it at the same time.
                if let Some(row) = tx.optional(owner(&queue)).await? {
                    let owner = Owner::read(&row)?;
                    if !owner.is(&whose, &names) && !owner.is_over(at) {
                        return Ok(false);
                    }
                    if owner.endpoint != REMOVED {
                        let used = sql("UPDATE broker_queue SET at = $2 WHERE name = $1 AND at < $2");
                        tx.execute(used.bind(&queue).bind(at)).await?;
                        return Ok(true);
                    }
                }
                let over = sql("DELETE FROM broker_queue WHERE name = $1 OR (tenant = $2 AND endpoint = $3 AND at <= $4)")
                    .bind(&queue)
                    .bind(&whose)
                    .bind(REMOVED)
                    .bind(at.minus(BROKER_QUEUE_KEPT));
                tx.execute(over).await?;
                let insert = sql("INSERT INTO broker_queue (name, tenant, endpoint, at) VALUES ($1, $2, $3, $4)")
                    .bind(&queue)
                    .bind(&whose)
                    .bind(&first)
                    .bind(at);
                tx.execute(insert).await?;
                let older = sql("DELETE FROM broker_queue WHERE tenant = $1 AND endpoint = $2 AND name NOT IN \
                     (SELECT name FROM broker_queue WHERE tenant = $1 AND endpoint = $2 \
                     ORDER BY CASE WHEN name = $3 THEN 0 ELSE 1 END, at DESC, name LIMIT $4)")
                .bind(&whose)
                .bind(&first)
                .bind(&queue)
                .bind(max);
                tx.execute(older).await?;
                Ok(true)
            })
        })
        .await
    }
}
