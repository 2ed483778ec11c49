//! Nobody grants more than they hold, nobody changes somebody who may more, the last administrator stays.

use crate::world::{PASSWORD, World, all_scopes, world, worlds};
use fleet::auth::{Permission, Role};
use reqwest::Method;
use serde_json::{Value, json};

/// Somebody who asks, and the strongest role they can touch; strongest first, as [`Role`] is ordered.
struct Asker {
    name: String,
    credential: (&'static str, String),
    reach: Option<Role>,
}

async fn ask(world: &World, who: &Asker, method: Method, path: &str, body: Option<Value>) -> u16 {
    let request = world.http.request(method, format!("{}{path}", world.url));
    let mut request = request.header(who.credential.0, &who.credential.1);
    if let Some(body) = body {
        request = request.json(&body);
    }
    request.send().await.unwrap().status().as_u16()
}

/// A session of each role, and tokens of an administrator that are cut down to what each role may and to managing
/// users.
async fn askers(world: &World) -> Vec<Asker> {
    let mut all = Vec::new();
    for role in Role::ALL {
        let login = format!("session-{role}");
        let (_, first) = world.user(&login, role.as_str()).await;
        all.push(Asker {
            credential: ("cookie", world.enter(&login, &first, PASSWORD).await),
            reach: (role == Role::Administrator).then_some(role),
            name: login,
        });
    }
    let (_, first) = world.user("root", "administrator").await;
    let cookie = world.enter("root", &first, PASSWORD).await;
    for role in [
        Role::Administrator,
        Role::Operator,
        Role::Support,
        Role::Viewer,
    ]
    .map(Some)
    .into_iter()
    .chain([None])
    {
        let mut scopes = vec!["user:write".to_owned(), "user:read".to_owned()];
        scopes.extend(
            role.into_iter()
                .flat_map(Role::permissions)
                .map(|one| one.as_str().to_owned()),
        );
        let token = world.token(&cookie, scopes).await;
        all.push(Asker {
            name: format!("token {role:?}"),
            credential: ("authorization", format!("Bearer {token}")),
            reach: role,
        });
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_grants_a_role_beyond_their_own_or_changes_somebody_above_them() {
    let world = world().await;
    let askers = askers(&world).await;
    let mut number = 0;
    let mut fresh = || {
        number += 1;
        format!("target{number}")
    };
    for who in &askers {
        for role in Role::ALL {
            let reaches = |role: Role| who.reach.is_some_and(|reach| reach <= role);
            let expect = |ok: u16, role: Role| if reaches(role) { ok } else { 403 };
            let body = json!({"login": fresh(), "role": role.as_str()});
            let made = ask(&world, who, Method::POST, "/api/v1/users", Some(body)).await;
            assert_eq!(made, expect(201, role), "{} creates {role}", who.name);
            let (id, _) = world.user(&fresh(), role.as_str()).await;
            let path = format!("/api/v1/users/{id}");
            for to in Role::ALL {
                let body = json!({"role": to.as_str()});
                let changed = ask(&world, who, Method::PATCH, &path, Some(body)).await;
                let expected = if reaches(role) { expect(200, to) } else { 403 };
                assert_eq!(changed, expected, "{} makes {role} {to}", who.name);
                let back = json!({"role": role.as_str()});
                let request = world.request(Method::PATCH, &path).json(&back);
                assert_eq!(request.send().await.unwrap().status(), 200);
            }
            for body in [json!({"display_name": "X"}), json!({"disabled": true})] {
                let changed = ask(&world, who, Method::PATCH, &path, Some(body.clone())).await;
                assert_eq!(changed, expect(200, role), "{} {body} {role}", who.name);
            }
            let reset = ask(&world, who, Method::POST, &format!("{path}/password"), None).await;
            assert_eq!(reset, expect(200, role), "{} resets {role}", who.name);
            let removed = ask(&world, who, Method::DELETE, &path, None).await;
            assert_eq!(removed, expect(204, role), "{} removes {role}", who.name);
        }
    }
    // A platform administrator is above all of them, whatever the role.
    let users = world.read("/api/v1/users?limit=500").await;
    let users = users["items"].as_array().unwrap();
    let admin = users.iter().find(|one| one["login"] == "admin").unwrap();
    let path = format!("/api/v1/users/{}", admin["id"].as_str().unwrap());
    let tokens = world.read("/api/v1/tokens?limit=500").await;
    let tokens = tokens["items"].as_array().unwrap();
    let token = tokens.iter().find(|one| one["login"] == "admin").unwrap();
    let token = format!("/api/v1/tokens/{}", token["id"].as_str().unwrap());
    for who in &askers {
        for (method, path, body) in [
            (
                Method::PATCH,
                path.clone(),
                Some(json!({"display_name": "X"})),
            ),
            (Method::PATCH, path.clone(), Some(json!({"role": "viewer"}))),
            (Method::POST, format!("{path}/password"), None),
            (Method::DELETE, path.clone(), None),
            (Method::DELETE, token.clone(), None),
        ] {
            let status = ask(&world, who, method.clone(), &path, body).await;
            assert!(
                matches!(status, 403 | 404),
                "{} {method} {path}: {status}",
                who.name
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_makes_no_token_that_may_more_than_itself() {
    let world = world().await;
    let (_, cookie) = world.sign_in("admin", PASSWORD).await;
    let permissions = all_scopes();
    for held in &permissions {
        let token = world
            .token(&cookie, vec!["token:write".to_owned(), held.clone()])
            .await;
        for wanted in &permissions {
            let made = world
                .http
                .post(format!("{}/api/v1/tokens", world.url))
                .bearer_auth(&token)
                .json(&json!({"name": "x", "scopes": [wanted]}))
                .send()
                .await
                .unwrap();
            let verb = ["get", "set", "add", "delete", "operate"]
                .iter()
                .any(|verb| *wanted == format!("operation:{verb}"));
            let may =
                wanted == held || wanted == "token:write" || (held == "operation:run" && verb);
            assert_eq!(
                made.status(),
                if may { 201 } else { 422 },
                "{held} makes {wanted}"
            );
        }
    }
    // Nor does a session of a role.
    for role in Role::ALL {
        let login = format!("role-{role}");
        let (_, first) = world.user(&login, role.as_str()).await;
        let cookie = world.enter(&login, &first, PASSWORD).await;
        for wanted in Permission::ALL {
            let made = world
                .http
                .post(format!("{}/api/v1/tokens", world.url))
                .header("cookie", &cookie)
                .json(&json!({"name": "x", "scopes": [wanted.as_str()]}))
                .send()
                .await
                .unwrap();
            assert_eq!(
                made.status().as_u16(),
                if role.grants(*wanted) { 201 } else { 422 },
                "{role} {wanted}"
            );
        }
    }
}

#[tokio::test]
async fn the_last_administrator_cannot_be_removed_barred_or_demoted_also_at_once() {
    for world in worlds().await {
        let as_other = |method: Method, path: String| {
            world
                .http
                .request(method, format!("{}{path}", world.url))
                .bearer_auth(&world.other)
        };
        let users: Value = as_other(Method::GET, "/api/v1/users".to_owned())
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let boss = users["items"][0]["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/users/{boss}");
        let as_owner = |method: Method, path: &str| {
            world
                .request(method, path)
                .header("Headend-Tenant", "other")
        };
        for request in [
            as_owner(Method::PATCH, &path).json(&json!({"role": "operator"})),
            as_owner(Method::PATCH, &path).json(&json!({"disabled": true})),
            as_owner(Method::DELETE, &path),
            as_other(Method::PATCH, path.clone()).json(&json!({"role": "viewer"})),
        ] {
            let refused = request.send().await.unwrap();
            assert_eq!(refused.status(), 409);
            let problem: Value = refused.json().await.unwrap();
            assert!(
                problem["detail"]
                    .as_str()
                    .unwrap()
                    .contains("last administrator"),
                "{problem}"
            );
        }
        // The platform's as well, though the tenant has another one.
        world.user("second", "administrator").await;
        let admin = world.read("/api/v1/session").await["user"]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let patch = store::UserPatch {
            disabled_at: Some(Some(fleet::Timestamp(1))),
            ..Default::default()
        };
        let tenant = fleet::TenantId::parse("default").unwrap();
        let done = world
            .store()
            .user_update(&tenant, admin.parse().unwrap(), patch, vec![])
            .await;
        assert!(
            matches!(
                done,
                Err(store::Error::LastAdministrator { of: "platform", .. })
            ),
            "{done:?}"
        );
        // Two administrators demote each other at the same moment: one stays.
        let made = as_owner(Method::POST, "/api/v1/users")
            .json(&json!({"login": "b@other", "role": "administrator"}));
        let made: Value = made.send().await.unwrap().json().await.unwrap();
        let second = format!("/api/v1/users/{}", made["user"]["id"].as_str().unwrap());
        let demote = |path: &str| {
            as_owner(Method::PATCH, path)
                .json(&json!({"role": "viewer"}))
                .send()
        };
        let (one, other) = tokio::join!(demote(&path), demote(&second));
        let mut statuses = [
            one.unwrap().status().as_u16(),
            other.unwrap().status().as_u16(),
        ];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    }
}
