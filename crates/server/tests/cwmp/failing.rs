//! The database fails in the middle: nothing is answered that is not stored, and what was missed is
//! made up for when it is back.

use server::south::Links as _;
use server::state::now;
use store::TenantPatch;

use crate::raw::envelope;
use crate::rig::each;

#[tokio::test]
async fn an_inform_that_cannot_be_stored_is_not_answered_and_the_device_says_it_again() {
    each(|world| async move {
        world.cpe("S1").await.session().await;
        world.quiet().await;
        let gone = "ALTER TABLE device_state RENAME TO device_state_away";
        world.db.run(gone).await.unwrap();
        let mut cpe = world.cpe("S1").await;
        let later = cpe.come().await;
        assert_eq!(later.status, 503);
        assert!(later.header("Retry-After").is_some());
        assert!(later.body.is_empty(), "{}", later.text());
        world.refused("unavailable").await;
        world.quiet().await;
        let back = "ALTER TABLE device_state_away RENAME TO device_state";
        world.db.run(back).await.unwrap();
        cpe.session().await;
    })
    .await;
}

#[tokio::test]
async fn what_a_device_reports_and_cannot_be_stored_gets_8002_and_is_taken_when_it_says_it_again() {
    const TIME: &str = "2026-01-01T00:00:00Z";
    let times = format!("<StartTime>{TIME}</StartTime><CompleteTime>{TIME}</CompleteTime>");
    let well = "<FaultStruct><FaultCode>0</FaultCode><FaultString></FaultString></FaultStruct>";
    let done = format!("<CommandKey>k</CommandKey>{well}{times}");
    let done = envelope(
        "7",
        &format!("<cwmp:TransferComplete>{done}</cwmp:TransferComplete>"),
    );
    each(|world| {
        let done = done.clone();
        async move {
            let mut cpe = world.cpe("S1").await;
            assert_eq!(cpe.come().await.status, 200);
            let gone = "ALTER TABLE event RENAME TO event_away";
            world.db.run(gone).await.unwrap();
            let later = cpe.post(&[], &done).await;
            assert_eq!(later.status, 200, "a fault is an answer");
            let text = later.text();
            assert!(text.contains("<FaultCode>8002</FaultCode>"), "{text}");
            assert!(!text.contains("TransferCompleteResponse"), "{text}");
            let back = "ALTER TABLE event_away RENAME TO event";
            world.db.run(back).await.unwrap();
            cpe.finish().await;
            cpe.cookie = None;
            cpe.reconnect().await;
            assert_eq!(cpe.come().await.status, 200);
            let taken = cpe.post(&[], &done).await.text();
            assert!(taken.contains("TransferCompleteResponse"), "{taken}");
            cpe.finish().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_disabled_tenants_sessions_end_also_when_that_could_not_be_read_at_once() {
    each(|world| async move {
        let mut cpe = world.cpe("S1").await;
        assert_eq!(cpe.come().await.status, 200);
        let device = world.device("Box", "S1").await;
        let disabled = TenantPatch {
            disabled_at: Some(Some(now())),
            ..TenantPatch::default()
        };
        let disable = world.store.tenant_update(&world.tenant, disabled, vec![]);
        disable.await.unwrap();
        let gone = "ALTER TABLE tenant RENAME TO tenant_away";
        world.db.run(gone).await.unwrap();
        world.adapter.tenants_changed();
        // It looks while we do.
        for _ in 0..20 {
            assert!(world.store.tenant_list().await.is_err());
        }
        assert!(world.adapter.is_linked(device));
        let back = "ALTER TABLE tenant_away RENAME TO tenant";
        world.db.run(back).await.unwrap();
        world.quiet().await;
    })
    .await;
}
