//! From the first connection to a device that is known.

use fleet::southbound::{Answer, Op};

use crate::rig::{Real, each, until};

#[tokio::test]
async fn a_device_onboards_with_a_setup_key_and_comes_back_with_its_own_token() {
    each(|mut world| async move {
        let agent = Real::dial("S1", &world.own, &world.url(&world.key));
        let record = world.onboarded(&agent.endpoint).await;
        let device = record.device.id;
        assert_eq!(record.device.description.serial, "S1");
        assert_eq!(record.device.description.software_version, "1.0");
        assert!(!record.model_key.is_empty());
        let model = world
            .store
            .model(&world.tenant, &record.model_key)
            .await
            .unwrap()
            .unwrap();
        assert!(model.model.objects.contains_key("Device.WiFi.SSID.{i}."));

        let ssid = ["Device.WiFi.SSID.1.SSID".to_owned()];
        let known = world
            .store
            .value_of(&world.tenant, device, &ssid)
            .await
            .unwrap();
        assert_eq!(known[0].value, "home");
        let secret = ["Device.WiFi.AccessPoint.1.Security.KeyPassphrase".to_owned()];
        let known = world
            .store
            .value_of(&world.tenant, device, &secret)
            .await
            .unwrap();
        assert!(known.iter().all(|known| known.value.is_empty()));

        let store = &world.store;
        until("it comes with its own token", || async {
            let path = store
                .path(&world.tenant, device, "websocket")
                .await
                .unwrap()
                .unwrap();
            (path.has_current && path.authenticated_by == "device_token" && path.node.is_some())
                .then_some(())
        })
        .await;
        world.connected().await;
        let get = Op::Get {
            paths: vec!["Device.WiFi.SSID.1.SSID".into()],
            max_depth: 0,
        };
        let Ok(Answer::Values(values)) = world.ask(device, get).await else {
            panic!()
        };
        assert_eq!(values[0].result.as_ref().unwrap()[0].value, "home");
        agent.stop().await;
    })
    .await;
}
