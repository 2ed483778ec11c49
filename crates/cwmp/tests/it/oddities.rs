//! Each thing that real clients do otherwise, as a case: what is read, and what is noted.

use cwmp::Fault;
use cwmp::error::DecodeErrorKind;
use cwmp::event::{Cause, EventCode};
use cwmp::fault::FaultCode;
use cwmp::rpc::{DuOperation, Inform, Request, Response};
use cwmp::soap::{Body, Envelope, Oddities, decode};
use cwmp::value::Timestamp;
use cwmp::version::Version;
use dm::BaseType;

use crate::support::read;

const CWMP: &str = "xmlns:cwmp=\"urn:dslforum-org:cwmp-1-0\"";

/// A body in the plainest envelope.
fn soap(body: &str) -> String {
    format!(
        "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\" {CWMP}><e:Header>\
         <cwmp:ID e:mustUnderstand=\"1\">1</cwmp:ID></e:Header><e:Body>{body}</e:Body></e:Envelope>"
    )
}

fn text(body: &str) -> Envelope {
    read(soap(body).as_bytes())
}

fn informs(envelope: &Envelope) -> &Inform {
    match &envelope.body {
        Body::Request(Request::Inform(inform)) => inform,
        other => panic!("{other:?}"),
    }
}

fn has(envelope: &Envelope, odd: Oddities) -> bool {
    envelope.oddities.has(odd)
}

#[test]
fn a_transfer_of_which_it_is_not_said_how_it_went_did_not_go_well() {
    let said = |inner: &str| {
        let told = format!("<CommandKey>k</CommandKey>{inner}");
        text(&format!(
            "<cwmp:TransferComplete>{told}</cwmp:TransferComplete>"
        ))
    };
    let times = "<StartTime>0001-01-01T00:00:00Z</StartTime><CompleteTime>0001-01-01T00:00:00Z</CompleteTime>";
    for inner in [
        "",
        "<FaultStruct/>",
        "<FaultStruct><FaultString>well</FaultString></FaultStruct>",
        "<FaultStruct><FaultCode></FaultCode></FaultStruct>",
        "<FaultStruct><FaultCode>good</FaultCode></FaultStruct>",
    ] {
        let envelope = said(inner);
        assert!(has(&envelope, Oddities::NO_RESULT), "{inner}");
        assert!(has(&envelope, Oddities::NO_TIMES), "{inner}");
        let Body::Request(Request::TransferComplete(done)) = &envelope.body else {
            panic!("{envelope:?}");
        };
        assert!(!done.says_how(), "{done:?}");
        assert_eq!((&*done.command_key, &done.start_time), ("k", &None));
        // What was not sent is not shown.
        let shown = cwmp::transcript::text(&envelope);
        assert!(
            !shown.contains("FaultCode:") && !shown.contains("0001"),
            "{shown}"
        );
        assert!(
            shown.contains("does not say how the transfer went"),
            "{shown}"
        );
    }
    let well = format!("<FaultStruct><FaultCode>0</FaultCode></FaultStruct>{times}");
    let envelope = said(&well);
    assert!(envelope.oddities.is_empty(), "{:?}", envelope.oddities);
    assert!(cwmp::transcript::text(&envelope).contains("FaultCode: 0"));
}

#[test]
fn every_prefix_of_the_field_is_read() {
    for prefix in [
        "soap-env:",
        "soap_env:",
        "SOAP-ENV:",
        "soapenv:",
        "soap:",
        "s:",
        "",
    ] {
        let bare = prefix.trim_end_matches(':');
        let declared = if bare.is_empty() {
            "xmlns".into()
        } else {
            format!("xmlns:{bare}")
        };
        let xml = format!(
            "<{prefix}Envelope {declared}=\"http://schemas.xmlsoap.org/soap/envelope/\" {CWMP}>\
             <{prefix}Header><cwmp:ID {prefix}mustUnderstand=\"1\">29680.1</cwmp:ID></{prefix}Header>\
             <{prefix}Body><cwmp:RebootResponse/></{prefix}Body></{prefix}Envelope>"
        );
        let envelope = read(xml.as_bytes());
        assert_eq!(envelope.header.id, "29680.1", "{prefix}");
        assert_eq!(envelope.body.name(), "RebootResponse");
        assert!(envelope.oddities.is_empty(), "{prefix}");
    }
}

#[test]
fn the_namespace_is_found_wherever_it_is_declared_and_whatever_its_digit() {
    for (digit, version) in Version::ALL.into_iter().enumerate() {
        let uri = format!("urn:dslforum-org:cwmp-1-{digit}");
        for xml in [
            format!("<Envelope xmlns:x='{uri}'><Body><x:GetRPCMethods/></Body></Envelope>"),
            format!("<Envelope><Body xmlns:x='{uri}'><x:GetRPCMethods/></Body></Envelope>"),
            format!("<Envelope><Body><GetRPCMethods xmlns='{uri}'/></Body></Envelope>"),
            format!(
                "<Envelope><Header><x:ID xmlns:x='{uri}'>1</x:ID></Header><Body><x:GetRPCMethods/></Body></Envelope>"
            ),
        ] {
            let envelope = read(xml.as_bytes());
            assert_eq!(envelope.namespace.to_string(), uri);
            assert_eq!(envelope.namespace.version(), version);
            assert_eq!(has(&envelope, Oddities::NAMESPACE), digit > 2, "{xml}");
        }
    }
    let none = read(b"<Envelope><Body><GetRPCMethods/></Body></Envelope>");
    assert!(has(&none, Oddities::NAMESPACE) && has(&none, Oddities::NO_ID));
}

/// Client N: 1999 schemas, a type on every element, a leading zero in the array's size.
#[test]
fn an_inform_with_everything_typed_and_pretty_printed_is_read() {
    let xml = r#"<?xml version="1.0" encoding="UTF-8" standalone="no" ?>
<soap_env:Envelope
    xmlns:soap_env="http://schemas.xmlsoap.org/soap/envelope/"
    xmlns:soap_enc="http://schemas.xmlsoap.org/soap/encoding/"
    xmlns:xsd="http://www.w3.org/1999/XMLSchema"
    xmlns:xsi="http://www.w3.org/1999/XMLSchema-instance"
    xmlns:cwmp="urn:dslforum-org:cwmp-1-0">
  <!-- generated --><?pi x?>
  <soap_env:Header>
    <cwmp:ID soap_env:mustUnderstand="1" xsi:type="xsd:string"> 17 </cwmp:ID>
    <cwmp:NoMoreRequests>0</cwmp:NoMoreRequests>
  </soap_env:Header>
  <soap_env:Body soap_env:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">
    <cwmp:Inform>
      <DeviceId xsi:type="cwmp:DeviceIdStruct">
        <Manufacturer xsi:type="xsd:string">
          Example
        </Manufacturer>
        <OUI xsi:type="xsd:string"></OUI>
        <ProductClass xsi:type="xsd:string"/>
        <SerialNumber xsi:type="xsd:string">a/b%c ä</SerialNumber>
      </DeviceId>
      <Event xsi:type="soap_enc:Array" soap_enc:arrayType="cwmp:EventStruct[02]">
        <EventStruct><EventCode>1 Boot</EventCode><CommandKey>
          </CommandKey></EventStruct>
        <EventStruct><CommandKey>
            key 7
        </CommandKey><EventCode>M Reboot</EventCode></EventStruct>
      </Event>
      <MaxEnvelopes xsi:type="xsd:unsignedInt">1</MaxEnvelopes>
      <CurrentTime xsi:type="xsd:dateTime">2026-01-01T00:00:00</CurrentTime>
      <RetryCount xsi:type="xsd:unsignedInt"> 3 </RetryCount>
      <ParameterList soap_enc:arrayType="cwmp:ParameterValueStruct[9]">
        <ParameterValueStruct><Name>InternetGatewayDevice.A</Name><Value xsi:type="xsd:unsignedInt">5</Value></ParameterValueStruct>
        <ParameterValueStruct><Name>InternetGatewayDevice.A</Name><Value> kept
as is </Value></ParameterValueStruct>
        <ParameterValueStruct><Name>InternetGatewayDevice.B</Name><Value xsi:type="xsd:funny">x</Value></ParameterValueStruct>
      </ParameterList>
    </cwmp:Inform>
  </soap_env:Body>
</soap_env:Envelope>
"#;
    let envelope = read(xml.as_bytes());
    let inform = informs(&envelope);
    assert_eq!(envelope.header.id, "17");
    assert_eq!(envelope.header.no_more_requests, Some(false));
    assert_eq!(inform.device_id.manufacturer, "Example");
    assert_eq!(
        (&*inform.device_id.oui, &*inform.device_id.serial_number),
        ("", "a/b%c ä")
    );
    assert_eq!(inform.events[0].code, EventCode::Boot);
    assert_eq!(inform.events[0].command_key, "");
    assert_eq!(inform.events[1].code, EventCode::Method(Cause::Reboot));
    assert_eq!(inform.events[1].command_key, "key 7");
    assert_eq!(
        inform.current_time.time().map(dm::DateTime::unix),
        Some(1_767_225_600)
    );
    assert_eq!(inform.retry_count, 3);
    assert_eq!(inform.root(), Some("InternetGatewayDevice"));
    // Values are as they are, and the same name twice is twice there.
    assert_eq!(inform.parameters.len(), 3);
    assert_eq!(inform.parameters[1].value.text, " kept\nas is ");
    assert_eq!(inform.ending("A"), Some("5"));
    for odd in [
        Oddities::NO_VALUE_TYPE,
        Oddities::VALUE_TYPE,
        Oddities::ARRAY_SIZE,
    ] {
        assert!(has(&envelope, odd), "{odd:?}");
    }
}

#[test]
fn an_inform_without_its_parts_is_read() {
    let envelope =
        text("<cwmp:Inform><DeviceId><SerialNumber>9</SerialNumber></DeviceId></cwmp:Inform>");
    let inform = informs(&envelope);
    assert_eq!(inform.device_id.serial_number, "9");
    assert_eq!(
        (
            inform.events.len(),
            inform.retry_count,
            inform.parameters.len()
        ),
        (0, 0, 0)
    );
    assert_eq!(inform.current_time, Timestamp::unknown());
    assert_eq!((inform.root(), inform.ending("X")), (None, None));
    assert!(text("<cwmp:Inform/>").oddities.is_empty());
}

#[test]
fn a_change_without_a_status_is_in_force() {
    let set = text("<cwmp:SetParameterValuesResponse/>").body;
    assert_eq!(
        set,
        Response::from(cwmp::rpc::SetParameterValuesResponse { status: 0 }).into()
    );
}

#[test]
fn numbers_and_truth_values_that_are_none_count_as_absent() {
    let envelope = text("<cwmp:Inform><RetryCount>-1</RetryCount></cwmp:Inform>");
    assert_eq!(informs(&envelope).retry_count, 0);
    assert!(has(&envelope, Oddities::NUMBER));
    let names = "<cwmp:GetParameterNamesResponse><ParameterList><ParameterInfoStruct><Name>D.</Name>\
                 <Writable>TRUE</Writable></ParameterInfoStruct><ParameterInfoStruct><Name>D.A</Name>\
                 <Writable>yes</Writable></ParameterInfoStruct></ParameterList></cwmp:GetParameterNamesResponse>";
    let envelope = text(names);
    let Body::Response(Response::GetParameterNames(names)) = &envelope.body else {
        panic!("{envelope:?}");
    };
    let writable: Vec<_> = names.parameters.iter().map(|info| info.writable).collect();
    assert_eq!(writable, [true, false]);
    assert!(has(&envelope, Oddities::BOOLEAN));
}

/// Without it there is nothing to go on with, and zero is no instance.
#[test]
fn an_instance_number_that_is_none_is_refused() {
    for number in ["0", "", "-1", "two"] {
        let xml = soap(&format!(
            "<cwmp:AddObjectResponse><InstanceNumber>{number}</InstanceNumber></cwmp:AddObjectResponse>"
        ));
        let error = decode(xml.as_bytes(), None).unwrap_err();
        assert_eq!((&*error.id, &*error.method), ("1", "AddObjectResponse"));
        assert_eq!(
            error.to_string(),
            format!("InstanceNumber cannot be `{number}`")
        );
    }
    // They may exceed 32 bits in bugs.
    let big = text(
        "<cwmp:AddObjectResponse><InstanceNumber> 4294967297 </InstanceNumber><Status>1</Status></cwmp:AddObjectResponse>",
    );
    let Body::Response(Response::AddObject(added)) = big.body else {
        panic!();
    };
    assert_eq!((added.instance_number.0, added.status), (4_294_967_297, 1));
}

#[test]
fn qualified_arguments_and_unknown_elements_are_passed_over_with_a_note() {
    let envelope =
        text("<cwmp:Reboot><cwmp:CommandKey>k</cwmp:CommandKey><X><Y>1</Y></X></cwmp:Reboot>");
    assert_eq!(
        envelope.body,
        Body::from(cwmp::rpc::Reboot {
            command_key: "k".into()
        })
    );
    assert!(
        has(&envelope, Oddities::QUALIFIED_ARGUMENTS) && has(&envelope, Oddities::UNKNOWN_ELEMENT)
    );
}

#[test]
fn cdata_references_and_bare_ampersands_are_text() {
    let value = |text: &str| {
        let xml = format!(
            "<cwmp:GetParameterValuesResponse><ParameterList><ParameterValueStruct><Name>D</Name>\
             <Value xsi:type='xsd:string'>{text}</Value></ParameterValueStruct></ParameterList></cwmp:GetParameterValuesResponse>"
        );
        let envelope = read(soap(&xml).as_bytes());
        match envelope.body {
            Body::Response(Response::GetParameterValues(mut values)) => {
                (values.parameters.remove(0).value.text, envelope.oddities)
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(value("a&amp;b &lt;&#x41;&#66;&gt;").0, "a&b <AB>");
    assert_eq!(value("<![CDATA[<a>&amp;]]>").0, "<a>&amp;");
    assert_eq!(value("a<!-- c -->b").0, "ab");
    for (bare, read) in [
        ("Tom & Jerry", "Tom & Jerry"),
        ("R&D;x", "R&D;x"),
        ("&nbsp;", "&nbsp;"),
        ("&", "&"),
    ] {
        let (text, odd) = value(bare);
        assert_eq!(text, read);
        if bare.contains(';') {
            assert!(odd.has(Oddities::BARE_AMPERSAND));
        }
    }
    let (text, odd) = value("a\u{1}b\u{1f}");
    assert_eq!(text, "a\u{1}b\u{1f}");
    assert!(odd.has(Oddities::CONTROL_CHARACTERS));
    assert_eq!(value("<b>x</b>y").0, "y");
}

#[test]
fn encodings_of_the_field_are_read() {
    let utf8 = soap("<cwmp:Reboot><CommandKey>é</CommandKey></cwmp:Reboot>");
    let expected = read(utf8.as_bytes()).body;
    let latin: Vec<u8> = utf8.chars().map(|c| c as u8).collect();
    let declared = [
        b"<?xml version='1.0' encoding='ISO-8859-1'?>".as_slice(),
        &latin,
    ]
    .concat();
    let utf16: Vec<u8> = utf8.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let marked = [b"\xfe\xff".as_slice(), &utf16].concat();
    for (bytes, content_type) in [
        (&latin, Some("text/xml; charset=iso-8859-1")),
        (&declared, None),
        (&utf16, None),
        (&marked, Some("text/xml")),
    ] {
        let envelope = decode(bytes, content_type).unwrap();
        assert_eq!(envelope.body, expected);
        assert!(has(&envelope, Oddities::ENCODING));
    }
}

#[test]
fn only_the_first_of_several_envelopes_counts() {
    let two = format!(
        "{}{}",
        soap("<cwmp:RebootResponse/>"),
        soap("<cwmp:GetRPCMethods/>")
    );
    let envelope = read(two.as_bytes());
    assert_eq!(envelope.body.name(), "RebootResponse");
    assert!(has(&envelope, Oddities::SECOND_MESSAGE));
    let twins = text("<cwmp:RebootResponse/><cwmp:GetRPCMethods/>");
    assert_eq!(twins.body.name(), "RebootResponse");
    assert!(has(&twins, Oddities::SECOND_MESSAGE));
    // Values beside the method, as some encoders of SOAP write them.
    let beside = text("<cwmp:GetRPCMethods/><multiRef id=\"id0\">1</multiRef>");
    assert_eq!(beside.body.name(), "GetRPCMethods");
    assert!(has(&beside, Oddities::TRAILING) && !has(&beside, Oddities::SECOND_MESSAGE));
    assert!(has(
        &read(format!("{}garbage <", soap("<cwmp:RebootResponse/>")).as_bytes()),
        Oddities::TRAILING
    ));
}

#[test]
fn two_messages_in_one_body_are_refused_where_the_first_asks_for_something() {
    for (first, second) in [
        ("GetRPCMethods", "GetRPCMethods"),
        ("TransferComplete", "RebootResponse"),
        ("X_Dance", "Fault"),
    ] {
        let xml = soap(&format!("<cwmp:{first}/><cwmp:{second}/>"));
        let error = decode(xml.as_bytes(), None).unwrap_err();
        assert_eq!(
            error.kind,
            DecodeErrorKind::SecondMethod {
                first: first.into(),
                second: second.into()
            }
        );
        assert_eq!((&*error.id, &*error.method), ("1", first));
    }
}

#[test]
fn another_envelope_than_that_of_soap_1_1_is_read_with_a_note() {
    for (declared, odd) in [
        ("xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'", false),
        ("xmlns:e='http://www.w3.org/2003/05/soap-envelope'", true),
        ("xmlns='http://schemas.xmlsoap.org/soap/envelope/'", true),
        ("", true),
    ] {
        let xml = format!(
            "<e:Envelope {declared} {CWMP}><e:Body><cwmp:RebootResponse/></e:Body></e:Envelope>"
        );
        let envelope = read(xml.as_bytes());
        assert_eq!(envelope.body.name(), "RebootResponse");
        assert_eq!(has(&envelope, Oddities::ENVELOPE_NAMESPACE), odd, "{xml}");
    }
}

#[test]
fn headers_that_cwmp_does_not_have_are_noted_when_they_insist() {
    let xml = |must| {
        format!(
            "<e:Envelope xmlns:e='e' {CWMP}><e:Header><x:New e:mustUnderstand={must}>1</x:New>\
             <cwmp:SessionTimeout>60</cwmp:SessionTimeout><cwmp:SupportedCWMPVersions>1.0, 1.4</cwmp:SupportedCWMPVersions>\
             </e:Header><e:Body><cwmp:RebootResponse/></e:Body></e:Envelope>"
        )
    };
    let insists = read(xml("'1'").as_bytes());
    assert!(has(&insists, Oddities::UNKNOWN_HEADER) && has(&insists, Oddities::NO_ID));
    // One for another actor is not for us.
    let next = "'true' e:actor='http://schemas.xmlsoap.org/soap/actor/next'";
    for (must, odd) in [
        ("'0'", false),
        ("'1' e:actor='urn:another'", false),
        (next, true),
    ] {
        let envelope = read(xml(must).as_bytes());
        assert_eq!(has(&envelope, Oddities::UNKNOWN_HEADER), odd, "{must}");
    }
    assert_eq!(insists.header.session_timeout, Some(60));
    assert_eq!(
        insists.header.supported_versions.as_deref(),
        Some("1.0, 1.4")
    );
}

#[test]
fn faults_of_every_shape_are_read() {
    let fault = |xml: &str| match text(xml).body {
        Body::Fault(fault) => fault,
        other => panic!("{other:?}"),
    };
    let full = fault(
        "<e:Fault><faultcode>Client</faultcode><faultstring>CWMP fault</faultstring><detail><cwmp:Fault>\
         <FaultCode>9003</FaultCode><FaultString>Invalid arguments</FaultString>\
         <SetParameterValuesFault><ParameterName>D.A</ParameterName><FaultCode>9007</FaultCode><FaultString>too big</FaultString></SetParameterValuesFault>\
         <SetParameterValuesFault><ParameterName>D.B</ParameterName><FaultCode>9008</FaultCode><FaultString/></SetParameterValuesFault>\
         </cwmp:Fault></detail></e:Fault>",
    );
    let expected = Fault::new(FaultCode::INVALID_ARGUMENTS, "Invalid arguments")
        .at("D.A", FaultCode::INVALID_PARAMETER_VALUE, "too big")
        .at("D.B", FaultCode::NOT_WRITABLE, "");
    assert_eq!(full, expected);
    // The detail inside of the faultstring (netcwmp).
    let inside = fault(
        "<e:Fault><faultcode>Client</faultcode><faultstring>\n<detail><cwmp:Fault><FaultCode>9003</FaultCode>\
         <FaultString>Invalid arguments</FaultString><SetParameterValuesFault><ParameterName>D.A</ParameterName>\
         <FaultCode>9008</FaultCode><FaultString>not writable</FaultString></SetParameterValuesFault></cwmp:Fault>\
         </detail>\n</faultstring></e:Fault>",
    );
    let expected = Fault::new(FaultCode::INVALID_ARGUMENTS, "Invalid arguments").at(
        "D.A",
        FaultCode::NOT_WRITABLE,
        "not writable",
    );
    assert_eq!(inside, expected);
    // The code with its name behind it, and without a frame.
    let named =
        fault("<Fault><detail><Fault><FaultCode>9005 Invalid</FaultCode></Fault></detail></Fault>");
    assert_eq!(named.code, FaultCode::INVALID_PARAMETER_NAME);
    for plain in [
        "<e:Fault><faultcode>Server</faultcode><faultstring>busy</faultstring></e:Fault>",
        "<e:Fault><e:Code><e:Value>e:Sender</e:Value></e:Code><e:Reason>busy</e:Reason></e:Fault>",
    ] {
        assert_eq!(fault(plain), Fault::new(FaultCode(0), "busy"));
    }
}

#[test]
fn methods_that_nobody_knows_are_named() {
    for (xml, name) in [
        (
            "<cwmp:X_00256D_Test><A>1</A></cwmp:X_00256D_Test>",
            "X_00256D_Test",
        ),
        ("<cwmp:FancyResponse/>", "FancyResponse"),
    ] {
        assert_eq!(text(xml).body, Body::Unknown { name: name.into() });
    }
}

#[test]
fn operations_are_told_apart_by_type_or_by_name() {
    let xml = "<cwmp:ChangeDUState><Operations enc:arrayType='cwmp:OperationStruct[3]'>\
               <OperationStruct xsi:type='ns1:UpdateOpStruct'><UUID>u</UUID></OperationStruct>\
               <UninstallOpStruct><UUID>v</UUID></UninstallOpStruct>\
               <InstallOpStruct xsi:type='cwmp:InstallOpStruct'><URL>http://h/p</URL></InstallOpStruct>\
               </Operations><CommandKey>k</CommandKey></cwmp:ChangeDUState>";
    let Body::Request(Request::ChangeDuState(change)) = text(xml).body else {
        panic!();
    };
    let kinds: Vec<_> = change
        .operations
        .iter()
        .map(|operation| match operation {
            DuOperation::Install(install) => install.url.0.clone(),
            DuOperation::Update(update) => update.uuid.clone().unwrap_or_default(),
            DuOperation::Uninstall(uninstall) => uninstall.uuid.clone(),
        })
        .collect();
    assert_eq!(kinds, ["u", "v", "http://h/p"]);
}

#[test]
fn value_types_of_the_field_are_read_under_any_prefix() {
    for (name, base) in [
        ("xsd:base64Binary", BaseType::Base64),
        ("xs:dateTime", BaseType::DateTime),
        ("unsignedLong", BaseType::UnsignedLong),
        ("SOAP-ENC:string", BaseType::String),
    ] {
        let xml = format!(
            "<cwmp:SetParameterValues><ParameterList><ParameterValueStruct><Value xsi:type='{name}'>1</Value>\
             <Name> D.A </Name></ParameterValueStruct></ParameterList></cwmp:SetParameterValues>"
        );
        let Body::Request(Request::SetParameterValues(set)) = text(&xml).body else {
            panic!();
        };
        assert_eq!(
            (set.parameters[0].value.base, &*set.parameters[0].name),
            (base, "D.A"),
            "{name}"
        );
    }
}
