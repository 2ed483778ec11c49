//! The promises of the dispatcher, in the world: without bad luck, with crashes at every single point, and in
//! seeded histories of mischief.

use super::{Luck, World};
use fleet::operation::{OperationState as State, Request};
use fleet::southbound::PathValue;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn requests() -> Vec<Request> {
    vec![
        Request::Set {
            values: vec![PathValue::new("Device.S", "one")],
            allow_partial: false,
        },
        Request::Add {
            object: "Device.T.".into(),
            values: BTreeMap::from([("Name".to_owned(), "a".to_owned())]),
        },
        Request::Operate {
            command: "Device.Async()".into(),
            args: BTreeMap::new(),
        },
        Request::Operate {
            command: "Device.Sync()".into(),
            args: BTreeMap::new(),
        },
        Request::Operate {
            command: "Device.Reboot()".into(),
            args: BTreeMap::new(),
        },
        Request::Get {
            paths: vec!["Device.S".into()],
            max_depth: 0,
        },
        Request::Set {
            values: vec![PathValue::new("Device.S", "two")],
            allow_partial: false,
        },
    ]
}

#[test]
fn everything_succeeds_in_a_world_without_bad_luck() {
    let mut world = World::new(1, 3, Luck::GOOD);
    for device in 0..3 {
        for request in requests() {
            world.ask(device, request);
        }
    }
    world.settle();
    assert!(
        world.states().all(|s| s == State::Succeeded),
        "{:?}",
        world.summary()
    );
}

#[test]
fn a_crash_at_every_point_sends_nothing_twice_and_loses_nothing() {
    let steps = {
        let mut world = World::new(2, 1, Luck::GOOD);
        requests().into_iter().for_each(|r| world.ask(0, r));
        world.settle()
    };
    assert!(steps > 30, "{steps}");
    for crash_at in 0..steps {
        for link_too in [false, true] {
            let mut world = World::new(2, 1, Luck::GOOD);
            requests().into_iter().for_each(|r| world.ask(0, r));
            world.run(crash_at);
            if link_too {
                world.unlink(0);
            }
            world.crash(0);
            world.crash(1);
            world.settle();
            world.check_end();
            for state in world.states() {
                assert!(
                    matches!(state, State::Succeeded | State::Unconfirmed | State::Failed),
                    "crash at {crash_at}: {:?}",
                    world.summary()
                );
            }
        }
    }
}

#[test]
fn an_operation_waits_for_its_device_and_runs_when_it_returns() {
    let mut world = World::new(3, 1, Luck::GOOD);
    world.unlink(0);
    world.ask(0, requests().remove(0));
    world.run(50);
    assert_eq!(world.states().collect::<Vec<_>>(), [State::Queued]);
    world.settle();
    assert_eq!(world.states().collect::<Vec<_>>(), [State::Succeeded]);
}

#[test]
fn seeded_histories_keep_the_promises() {
    for seed in 0..400 {
        history(World::new(seed, 2, Luck::BAD), &[]);
    }
}

#[test]
fn seeded_histories_keep_the_promises_while_the_clock_is_set() {
    for seed in 0..400 {
        history(World::new(seed, 2, Luck::BAD_CLOCK), &[]);
    }
}

#[test]
fn seeded_histories_of_devices_with_two_protocols_keep_the_promises() {
    for seed in 0..100 {
        history(World::dual(seed, 2, Luck::BAD), &[]);
        history(World::dual(seed, 2, Luck::BAD_CLOCK), &[]);
    }
}

#[test]
fn what_went_over_one_protocol_succeeds_while_links_of_the_other_come_and_go() {
    for seed in 0..200 {
        let mut world = World::dual(seed, 1, Luck::GOOD);
        for request in requests() {
            world.ask(0, request);
            for _ in 0..world.random(8) {
                match world.random(2) {
                    0 => world.link_one(0),
                    _ => world.unlink_one(0),
                }
                let steps = world.random(6);
                world.run(steps);
            }
        }
        world.settle();
        world.check_end();
        let all = world.states().all(|state| state == State::Succeeded);
        assert!(all, "{seed}: {:?}", world.summary());
    }
}

/// One history: requests and mischief by the seed, then quiet; the world checks each step.
fn history(mut world: World, extra: &[usize]) {
    let all = requests();
    for round in 0..24 {
        let pick = extra
            .get(round)
            .copied()
            .unwrap_or_else(|| world.random(all.len() + 4));
        let device = world.random(2);
        match pick {
            n if n < all.len() => world.ask(device, all[n].clone()),
            n if n == all.len() => world.unlink_one(device),
            n if n == all.len() + 1 => {
                let node = world.random(2);
                world.crash(node);
            }
            n if n == all.len() + 2 => world.cancel_one(),
            _ => world.link_one(device),
        }
        let steps = world.random(12);
        world.run(steps);
    }
    world.settle();
    world.check_end();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_mischief_keeps_the_promises(
        seed in any::<u64>(),
        acts in prop::collection::vec(0usize..11, 24),
    ) {
        history(World::new(seed, 2, Luck::BAD), &acts);
        history(World::dual(seed, 2, Luck::BAD), &acts);
    }
}
