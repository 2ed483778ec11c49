//! Lists: cursors stay put while rows come and go, filters and suggestions.

use crate::world::worlds;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn pages_of_devices_neither_skip_nor_repeat_while_rows_come_and_go() {
    for world in worlds().await {
        let mut ids = Vec::new();
        for number in 0..23 {
            ids.push(world.device(&format!("proto::page{number:02}")).await);
        }
        for sort in ["name", "created", "last_seen", "model"] {
            let mut seen = Vec::new();
            let mut cursor = String::new();
            let mut pages = 0;
            loop {
                let page = world
                    .read(&format!("/api/v1/devices?sort={sort}&limit=5{cursor}"))
                    .await;
                if cursor.is_empty() {
                    assert!(page["total"]["value"].as_u64().unwrap() >= 23);
                }
                for item in page["items"].as_array().unwrap() {
                    seen.push(item["id"].as_str().unwrap().to_owned());
                }
                pages += 1;
                if pages == 2 {
                    // One that comes and one that goes, between two pages.
                    world.device(&format!("proto::late-{sort}")).await;
                    let gone = seen.last().unwrap();
                    let gone = world
                        .request(Method::DELETE, &format!("/api/v1/devices/{gone}"))
                        .send()
                        .await;
                    assert_eq!(gone.unwrap().status(), 204);
                }
                match page["next"].as_str() {
                    Some(next) => cursor = format!("&cursor={}", encode(next)),
                    None => break,
                }
            }
            let unique: BTreeSet<_> = seen.iter().collect();
            assert_eq!(unique.len(), seen.len(), "{sort}: a device came twice");
            ids.retain(|id| {
                let there = unique.contains(id);
                assert!(there, "{sort}: {id} was skipped");
                there
            });
            // The one that went is gone for the next round.
            let left = world.read("/api/v1/devices?limit=500").await;
            let left: BTreeSet<String> = left["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["id"].as_str().unwrap().to_owned())
                .collect();
            ids.retain(|id| left.contains(id));
        }
    }
}

#[tokio::test]
async fn filters_narrow_and_facets_count() {
    for world in worlds().await {
        let first = world.device("proto::alpha").await;
        world.device("proto::beta").await;
        let patch = world
            .request(Method::PATCH, &format!("/api/v1/devices/{first}"))
            .json(&json!({"label": "Attic, north", "tags": ["vip", "north", "vip"]}))
            .send()
            .await
            .unwrap();
        assert_eq!(patch.status(), 200);
        let detail: Value = patch.json().await.unwrap();
        assert_eq!(
            (&detail["name"], &detail["tags"]),
            (&json!("Attic, north"), &json!(["vip", "north"]))
        );
        for (query, count) in [
            ("tag=vip", 1),
            ("tag=vip&tag=nothing", 1),
            ("tag=nothing", 0),
            ("presence=never", 2),
            ("presence=online&presence=silent", 0),
            ("q=attic", 1),
            ("q=beta", 1),
            ("q=proto", 2),
            ("q=attic+beta", 0),
        ] {
            let page = world.read(&format!("/api/v1/devices?{query}")).await;
            assert_eq!(
                page["items"].as_array().unwrap().len(),
                count,
                "{query}: {page}"
            );
            assert_eq!(
                page["total"],
                json!({"value": count, "exact": true}),
                "{query}"
            );
        }
        let facets = world
            .read("/api/v1/devices/facets?field=presence&field=tag")
            .await;
        assert_eq!(facets["facets"][0]["field"], "presence");
        let never = facets["facets"][0]["values"].as_array().unwrap();
        let never = never.iter().find(|one| one["value"] == "never").unwrap();
        assert_eq!(never["count"], 2);
        let tags = facets["facets"][1]["values"].as_array().unwrap();
        assert_eq!(tags.len(), 2);
    }
}

#[tokio::test]
async fn operations_are_paged_newest_first() {
    for world in worlds().await {
        let device = world.device("proto::ops").await;
        let mut made = Vec::new();
        for _ in 0..7 {
            let body = json!({"ops": [{"kind": "get", "paths": ["Device.DeviceInfo."]}]});
            let path = format!("/api/v1/devices/{device}/operations");
            let one: Value = world.post(&path, body).await.json().await.unwrap();
            made.push(one["operation"]["id"].as_str().unwrap().to_owned());
        }
        made.sort();
        made.reverse();
        let first = world.read("/api/v1/operations?limit=4").await;
        let next = first["next"].as_str().unwrap();
        let second = world
            .read(&format!("/api/v1/operations?limit=4&cursor={next}"))
            .await;
        let ids: Vec<_> = first["items"]
            .as_array()
            .unwrap()
            .iter()
            .chain(second["items"].as_array().unwrap())
            .map(|one| one["id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(ids, made);
        assert!(second["next"].is_null());
        let queued = world
            .read(&format!(
                "/api/v1/operations?state=queued&device_id={device}"
            ))
            .await;
        assert_eq!(queued["items"].as_array().unwrap().len(), 7);
        assert_eq!(queued["items"][0]["device_name"], "proto::ops");
    }
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
