//! What the `record` and `message` targets check. A file of its own because the ordinary tests of `usp` replay the
//! seeds through the same functions.

use std::sync::Arc;
use std::time::Instant;

use usp::codec::{decode_msg, decode_record, encode_msg, encode_record, peek_msg};
use usp::record::WebSocketConnectRecord;
use usp::{EndpointId, Record, Version, agent, controller, transcript};

/// The ids that the seeds are addressed with: controller and agent.
pub const IDS: [&str; 2] = ["self::acs", "os::00256D-1"];

/// Reads a record, checks that it is written as it was read, and gives it to both ends of a conversation, which must
/// come to rest. Says whether it is a record.
pub fn record(data: &[u8]) -> bool {
    let [Ok(acs), Ok(cpe)] = IDS.map(EndpointId::parse) else {
        return false;
    };
    let now = Instant::now();
    let mut controller = controller::Session::new(Arc::default(), acs.clone(), cpe.clone(), 1);
    let connect = Record::new(Version::V1_4, &cpe, &acs, WebSocketConnectRecord {});
    assert_eq!(
        controller.handle_input(now, &encode_record(&connect)),
        Ok(())
    );
    let read = controller.handle_input(now, data).is_ok();
    rest(|| controller.poll_event().is_some() || controller.poll_transmit().is_some());

    let mut agent = agent::Session::new(&agent::Config::default(), cpe, acs, 1);
    agent.channel_opened(now, WebSocketConnectRecord {});
    assert_eq!(agent.handle_input(now, data).is_ok(), read);
    rest(|| agent.poll_event().is_some() || agent.poll_transmit().is_some());

    let Ok(record) = decode_record(data) else {
        return false;
    };
    assert!(read);
    assert_eq!(decode_record(&encode_record(&record)).as_ref(), Ok(&record));
    true
}

/// Reads a message, checks that it is written as it was read and can be shown, and looks at what does not decode.
/// Says whether it is a message.
pub fn message(data: &[u8]) -> bool {
    let peek = peek_msg(data);
    let Ok(msg) = decode_msg(data) else {
        return false;
    };
    assert_eq!(peek.msg_id.unwrap_or_default(), msg.header.msg_id);
    assert_eq!(decode_msg(&encode_msg(&msg)).as_ref(), Ok(&msg));
    assert!(!transcript::msg(&msg).is_empty());
    true
}

/// One input has a bounded number of consequences.
fn rest(mut step: impl FnMut() -> bool) {
    assert!((0..100).any(|_| !step()));
}
