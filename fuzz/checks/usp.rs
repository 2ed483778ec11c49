//! What the `record`, `message` and `context` targets check. A file of its own because the ordinary tests of `usp` replay the
//! seeds through the same functions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use usp::codec::{decode_msg, decode_record, encode_msg, encode_record, peek_msg};
use usp::context::{Config, Mode, Payload};
use usp::record::{PayloadSecurity, SarState, SessionContextRecord, WebSocketConnectRecord};
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

/// Gives records of session contexts to an end that takes part in them: how each one differs from the one before is
/// read from six bytes. The end must come to rest, and what it keeps is bounded. Says how many there were.
pub fn context(data: &[u8]) -> usize {
    let [Ok(acs), Ok(cpe)] = IDS.map(EndpointId::parse) else {
        return 0;
    };
    let contexts = Arc::new(Config {
        mode: Mode::Allow,
        payload: Payload::Either,
        record_bytes_max: 512,
        retransmits_max: Some(2),
        ..Config::default()
    });
    let config = Arc::new(controller::Config {
        contexts,
        ..controller::Config::default()
    });
    let mut now = Instant::now();
    let mut session = controller::Session::new(config, acs.clone(), cpe.clone(), 1);
    let connect = Record::new(Version::V1_4, &cpe, &acs, WebSocketConnectRecord {});
    assert_eq!(session.handle_input(now, &encode_record(&connect)), Ok(()));
    let mut content = SessionContextRecord {
        session_id: 7,
        expected_id: 1,
        ..SessionContextRecord::default()
    };
    let steps = data.chunks_exact(6);
    let count = steps.len();
    for step in steps {
        let [session_id, sequence, expected, retransmit, states, payload] = *step else {
            continue;
        };
        let far = |by: u8| (i64::from(by as i8) << ((by & 1) * 7)) as u64;
        content.session_id = content.session_id.wrapping_add(far(session_id));
        content.sequence_id = content
            .sequence_id
            .wrapping_add(1)
            .wrapping_add(far(sequence));
        content.expected_id = content.expected_id.wrapping_add(far(expected));
        content.retransmit_id = retransmit.into();
        content.payload_sar_state = SarState(i32::from(states & 7));
        content.payloadrec_sar_state = SarState(i32::from(states >> 3 & 7));
        let whole = encode_msg(&usp::Msg::request("x", usp::msg::get(["Device."])));
        content.payload = match payload {
            0 => Vec::new(),
            1 => vec![whole],
            2 => vec![Vec::new(); 3],
            len => vec![vec![len; usize::from(len)]],
        };
        let mut record = Record::new(Version::V1_4, &cpe, &acs, content.clone());
        record.payload_security = PayloadSecurity(i32::from(states >> 6));
        assert_eq!(session.handle_input(now, &encode_record(&record)), Ok(()));
        rest(|| session.poll_event().is_some() || session.poll_transmit().is_some());
        now += Duration::from_millis(u64::from(retransmit) * 10);
        session.handle_timeout(now);
    }
    count
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
    assert!((0..2000).any(|_| !step()));
}
