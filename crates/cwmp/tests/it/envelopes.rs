//! An ACS and envelopes that say more than it understands: what is refused, what is only noted.

use cwmp::acs::{Event, Ignored};
use cwmp::fault::FaultCode;
use cwmp::rpc::*;
use cwmp::soap::Oddities;

use crate::support::*;

/// Answered by the session itself, it is told all the same: what was odd about it is for the record.
#[test]
fn what_the_session_answers_itself_is_told_with_what_had_to_be_forgiven() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    informed(&mut acs, clock.at(0));
    let body = "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope' \
        xmlns:c='urn:dslforum-org:cwmp-9-9'><s:Header><c:ID>7</c:ID></s:Header>\
        <s:Body><c:GetRPCMethods/></s:Body></s:Envelope>";
    let reply = post(&mut acs, clock.at(0), body.as_bytes()).unwrap();
    assert_eq!(method(&reply), "GetRPCMethodsResponse");
    let Event::Served { request, oddities } = only(events(&mut acs)) else {
        panic!();
    };
    assert_eq!(request, GetRpcMethods {}.into());
    assert!(oddities.has(Oddities::ENVELOPE_NAMESPACE) && oddities.has(Oddities::NAMESPACE));
    let unknown = body.replace("GetRPCMethods", "X_Dance");
    post(&mut acs, clock.at(0), unknown.as_bytes());
    assert!(matches!(
        only(events(&mut acs)),
        Event::Ignored(Ignored::Unserved { oddities: told, .. }) if told == oddities
    ));
}

/// SOAP 1.1, 4.2.3: nothing of it may be done.
#[test]
fn a_request_with_a_header_that_must_be_understood_and_is_not_known_is_refused() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    // Of an Inform there comes no session.
    let reply = post(&mut acs, clock.at(0), &insisting(&envelope("1", inform()))).unwrap();
    let fault = fault_of(&reply);
    assert_eq!(reply.status, 200);
    assert_eq!(
        (fault.code, fault.not_understood),
        (FaultCode::ACS_INVALID_ARGUMENTS, true)
    );
    assert!(fault.text.contains("the header x:New"), "{}", fault.text);
    let text = String::from_utf8(reply.body.to_vec()).unwrap();
    assert!(text.contains("<faultcode>soap-env:MustUnderstand</faultcode>"));
    assert!(text.contains(&namespace().to_string()), "{text}");
    assert_eq!(read(&reply.body).header.id, "1");
    assert!(matches!(
        only(events(&mut acs)),
        Event::Ignored(Ignored::Malformed(_))
    ));
    // Nor is a report stored, and the session goes on.
    informed(&mut acs, clock.at(0));
    let report = insisting(&envelope("2", TransferComplete::default()));
    let reply = post(&mut acs, clock.at(0), &report).unwrap();
    assert!(fault_of(&reply).not_understood);
    assert!(matches!(
        only(events(&mut acs)),
        Event::Ignored(Ignored::Malformed(_))
    ));
    // An answer cannot be refused: what it says has happened. It is taken, with a note.
    post(&mut acs, clock.at(0), b"");
    events(&mut acs);
    acs.request(clock.at(0), Reboot::default()).unwrap();
    let asked = acs.poll_transmit().unwrap();
    let answer = insisting(&answering(&asked, Response::from(RebootResponse {})));
    post(&mut acs, clock.at(0), &answer);
    assert!(matches!(
        &events(&mut acs)[0],
        Event::Answered { result: Ok(_), oddities, .. } if oddities.has(Oddities::UNKNOWN_HEADER)
    ));
}

#[test]
fn of_two_requests_in_one_body_none_is_done() {
    let clock = Clock::new();
    let mut acs = acs(&clock);
    let both = |id: &str, first: &str| {
        let body = format!("</cwmp:{first}><cwmp:TransferComplete/>");
        let one = match first {
            "Inform" => envelope(id, inform()),
            _ => envelope(id, TransferComplete::default()),
        };
        let text = String::from_utf8(one).unwrap();
        text.replace(&format!("</cwmp:{first}>"), &body)
            .into_bytes()
    };
    for first in ["Inform", "TransferComplete"] {
        let reply = post(&mut acs, clock.at(0), &both("1", first)).unwrap();
        let fault = fault_of(&reply);
        assert_eq!(
            (fault.code, fault.not_understood),
            (FaultCode::ACS_INVALID_ARGUMENTS, false)
        );
        assert_eq!(
            fault.text,
            format!(
                "{first} and TransferComplete are in one body, which has room for one: nothing was done"
            )
        );
        assert!(matches!(
            only(events(&mut acs)),
            Event::Ignored(Ignored::Malformed(_))
        ));
        if first == "Inform" {
            informed(&mut acs, clock.at(0));
        }
    }
}
