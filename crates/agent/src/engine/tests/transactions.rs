//! Random messages against a naive model of the same table: what is answered is what is there, and a refused message
//! changes nothing.

use std::collections::BTreeMap;

use proptest::prelude::*;
use usp::msg::required;
use usp::proto::msg::{self, CreateStatus, Response};

use super::rig::{Rig, create, update};

const TABLE: &str = "Device.LocalAgent.Controller.1.BootParameter.";

#[derive(Debug, Clone)]
enum Step {
    Add(Vec<(u8, bool)>),
    Set(Vec<(u32, u8, bool)>),
    Delete(Vec<u32>),
    PowerCut,
}

fn step() -> impl Strategy<Value = Step> {
    // Few names, so that keys collide; an `Enable` that is no boolean fails its object.
    prop_oneof![
        3 => prop::collection::vec((0u8..6, prop::bool::weighted(0.85)), 1..4).prop_map(Step::Add),
        3 => prop::collection::vec((1u32..8, 0u8..6, prop::bool::weighted(0.85)), 1..4).prop_map(Step::Set),
        2 => prop::collection::vec(1u32..8, 1..3).prop_map(Step::Delete),
        1 => Just(Step::PowerCut),
    ]
}

fn name(n: u8) -> String {
    format!("Device.P{n}")
}

fn settings(n: u8, good: bool) -> Vec<msg::ParamSetting> {
    vec![
        required("ParameterName", name(n)),
        required("Enable", if good { "true" } else { "perhaps" }),
    ]
}

/// The rows as the engine shows them: number and name.
fn rows(rig: &mut Rig) -> BTreeMap<u32, String> {
    let values = rig.values(&format!("{TABLE}*.ParameterName"));
    values
        .into_iter()
        .map(|(path, value)| {
            (
                path.strip_prefix(TABLE)
                    .unwrap()
                    .split('.')
                    .next()
                    .unwrap()
                    .parse()
                    .unwrap(),
                value,
            )
        })
        .collect()
}

fn distinct(rows: &BTreeMap<u32, String>) -> bool {
    let mut names: Vec<&String> = rows.values().collect();
    names.sort();
    names.windows(2).all(|pair| pair[0] != pair[1])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn messages_are_transactions(steps in prop::collection::vec(step(), 1..25)) {
        let mut rig = Rig::new();
        let mut model: BTreeMap<u32, String> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Add(objects) => {
                    let create_objs = objects.iter().map(|(n, good)| create(TABLE, settings(*n, *good))).collect();
                    let mut after = model.clone();
                    let fine = objects.iter().all(|(n, good)| {
                        let free = !after.values().any(|known| *known == name(*n));
                        after.insert(u32::MAX - after.len() as u32, name(*n));
                        *good && free
                    });
                    match rig.ask(msg::Add { allow_partial: false, create_objs }) {
                        Ok(Response::AddResp(resp)) => {
                            prop_assert!(fine);
                            for (result, (n, _)) in resp.created_obj_results.iter().zip(&objects) {
                                let CreateStatus::OperSuccess(success) = &result.oper_status else { panic!() };
                                let number = success.instantiated_path.strip_prefix(TABLE).unwrap();
                                let number: u32 = number.trim_end_matches('.').parse().unwrap();
                                prop_assert!(model.insert(number, name(*n)).is_none(), "a number was given twice");
                            }
                        }
                        Ok(other) => panic!("{other:?}"),
                        Err(_) => prop_assert!(!fine),
                    }
                }
                Step::Set(objects) => {
                    let update_objs = objects
                        .iter()
                        .map(|(row, n, good)| update(&format!("{TABLE}{row}."), settings(*n, *good)))
                        .collect();
                    let mut after = model.clone();
                    let mut fine = true;
                    for (row, n, good) in &objects {
                        fine &= *good && after.contains_key(row);
                        after.insert(*row, name(*n));
                    }
                    fine &= distinct(&after);
                    let result = rig.ask(msg::Set { allow_partial: false, update_objs });
                    prop_assert_eq!(result.is_ok(), fine, "{:?}", result);
                    if fine {
                        model = after;
                    }
                }
                Step::Delete(numbers) => {
                    rig.ask(usp::msg::delete(false, numbers.iter().map(|n| format!("{TABLE}{n}.")))).unwrap();
                    numbers.iter().for_each(|n| _ = model.remove(n));
                }
                Step::PowerCut => rig = Rig::on(rig.flash.clone(), rig.now),
            }
            prop_assert_eq!(rows(&mut rig), model.clone());
        }
    }
}
