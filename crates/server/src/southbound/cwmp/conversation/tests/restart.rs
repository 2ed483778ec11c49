//! What a device has taken and has not put in force yet: people read so.

use std::collections::BTreeMap;

use fleet::operation::{OperationState as State, Request};
use fleet::southbound::PathValue;

use super::fake::gateway;
use super::world::{PERIODIC, World};

#[tokio::test]
async fn the_transcript_of_a_change_says_that_it_is_in_force_after_a_restart() {
    let table = "Device.NAT.PortMapping.";
    let set = Request::Set {
        values: vec![PathValue::new("Device.WiFi.SSID.1.SSID", "den")],
        allow_partial: false,
    };
    let add = Request::Add {
        object: table.to_owned(),
        values: BTreeMap::new(),
    };
    let delete = Request::Delete {
        paths: vec![format!("{table}1.")],
        allow_partial: false,
    };
    for (request, answer) in [
        (set, "SetParameterValuesResponse"),
        (add, "AddObjectResponse"),
        (delete, "DeleteObjectResponse"),
    ] {
        for waits in [true, false] {
            let (world, asked) = World::known(gateway(), "Device.").await;
            let id = world.ask(request.clone()).await;
            let fake = match waits {
                true => asked.again().needs_restart(),
                false => asked.again(),
            };
            world.session(fake, PERIODIC).await;
            world.ends(id, State::Succeeded).await;
            let transcript = world.store.transcript_list(&world.tenant, id);
            let transcript = transcript.await.unwrap();
            let at = transcript.iter().position(|entry| entry.what == answer);
            let next = &transcript.get(at.expect(answer) + 1);
            let ended = world.store.operation(&world.tenant, id).await.unwrap();
            let outcome = ended.operation.outcome;
            let noted = outcome.paths.iter().any(|path| path.after_restart);
            assert_eq!(noted, waits, "{answer}: {outcome:?}");
            let words = outcome.cause.as_deref() == Some("in force after a restart");
            assert_eq!(words, waits, "{answer}: {outcome:?}");
            let says = next.is_some_and(|next| next.text.contains("in force after a restart"));
            assert_eq!(says, waits, "{answer}: {transcript:?}");
        }
    }
}
