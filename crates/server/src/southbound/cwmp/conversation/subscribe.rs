//! Subscriptions as notification attributes: CWMP reports changes of values, and nothing else by
//! request.

use cwmp::fault::{FaultCode, Retry};
use cwmp::rpc::{SetParameterAttributes, SetParameterAttributesStruct};
use dm::Path;
use fleet::southbound::{Failure, Subscription, SubscriptionKind};

use super::super::AskError;
use super::get::fault;
use super::known::Known;
use super::line::Line;

/// Comes at once to report a change.
pub const ACTIVE: u32 = 2;

/// Makes sure that the device reports by itself what a subscription is about.
pub async fn subscribe(
    line: &mut Line,
    known: &Known,
    subscription: &Subscription,
) -> Result<String, Failure> {
    let refused = |words: &str| Failure::Refused {
        fault: fault(FaultCode::METHOD_NOT_SUPPORTED, words),
        paths: Vec::new(),
    };
    match subscription.kind {
        SubscriptionKind::ValueChange => {}
        // What a CPE always reports.
        SubscriptionKind::OperationComplete | SubscriptionKind::Event => {
            return Ok(subscription.id.clone());
        }
        SubscriptionKind::ObjectCreation | SubscriptionKind::ObjectDeletion => {
            return Err(refused("CWMP does not report rows that come and go"));
        }
    }
    let names = names(known, &subscription.paths);
    if names.is_empty() {
        return Err(refused("the device has none of these parameters"));
    }
    match watch(line, &names, ACTIVE).await {
        Ok(()) => Ok(subscription.id.clone()),
        Err(error) => Err(line.failure(error)),
    }
}

/// The names on the device of what these paths mean, as far as it has them.
pub fn names(known: &Known, paths: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for text in paths {
        let Ok(path) = Path::parse(text) else {
            continue;
        };
        match known.mapped(path.as_str()) {
            Some(mapping) => {
                names.extend(mapping.reads(&[&path]).into_iter().map(str::to_owned));
            }
            None if known.tree.has(path.as_str()) => names.push(path.as_str().to_owned()),
            None => {}
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// Sets how changes are reported, as many at once as the device takes.
pub async fn watch(line: &mut Line, names: &[String], notification: u32) -> Result<(), AskError> {
    let mut left = names;
    while !left.is_empty() {
        let (chunk, rest) = left.split_at(left.len().min(line.habits.write_batch));
        let one = |name: &String| SetParameterAttributesStruct {
            name: name.clone(),
            notification_change: true,
            notification,
            access_list_change: false,
            access_list: Vec::new(),
        };
        let parameters = chunk.iter().map(one).collect();
        match line.tell(SetParameterAttributes { parameters }).await {
            Ok(()) => left = rest,
            Err(AskError::Refused(fault))
                if fault.code.retry() == Retry::Smaller && chunk.len() > 1 =>
            {
                line.habits.write_less(chunk.len());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fake::{gateway, old_gateway};
    use super::*;
    use cwmp::Request;
    use dm::mapping::Numbers;

    fn wanted(kind: SubscriptionKind, path: &str) -> Subscription {
        Subscription {
            id: "s".into(),
            kind,
            paths: vec![path.to_owned()],
            persistent: true,
            retry: true,
        }
    }

    #[tokio::test]
    async fn changes_are_subscribed_by_the_devices_own_names() {
        let own = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.SSID";
        let path = "Device.WiFi.SSID.1.SSID";
        for (fake, root, name) in [
            (gateway(), "Device.", path),
            (old_gateway(), "InternetGatewayDevice.", own),
        ] {
            let (mut line, asked) = fake.line();
            let known = Known::discover(&mut line, root, Numbers::default())
                .await
                .unwrap();
            let made = wanted(SubscriptionKind::ValueChange, path);
            let made = subscribe(&mut line, &known, &made).await;
            assert_eq!(made, Ok("s".to_owned()));
            let Some(Request::SetParameterAttributes(set)) = asked.requests().pop() else {
                panic!("{:?}", asked.methods());
            };
            assert_eq!(set.parameters[0].name, name);
            assert_eq!(set.parameters[0].notification, ACTIVE);
        }
    }

    #[tokio::test]
    async fn what_cwmp_cannot_report_is_refused() {
        let (mut line, _asked) = gateway().line();
        let known = Known::discover(&mut line, "Device.", Numbers::default())
            .await
            .unwrap();
        for (kind, path) in [
            (SubscriptionKind::ObjectCreation, "Device.NAT.PortMapping."),
            (SubscriptionKind::ValueChange, "Device.Nothing"),
        ] {
            let no = subscribe(&mut line, &known, &wanted(kind, path)).await;
            assert!(matches!(no, Err(Failure::Refused { .. })), "{no:?}");
        }
        let always = wanted(SubscriptionKind::Event, "Device.Boot!");
        assert!(subscribe(&mut line, &known, &always).await.is_ok());
    }
}
