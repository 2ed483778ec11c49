//! What is read, what is printed, and which character an error names.

use super::*;
use crate::limits;

fn print(text: &str) -> String {
    match Path::parse(text) {
        Ok(path) => path.to_string(),
        Err(error) => panic!("{text}: {error}"),
    }
}

fn error(text: &str) -> String {
    match Path::parse(text) {
        Ok(path) => panic!("{text} was read as {path}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn kinds_follow_from_the_end_of_the_text() {
    let kind = |text: &str| Path::parse(text).unwrap().kind();
    assert_eq!(kind("Device.WiFi.SSID.1."), PathKind::Object);
    assert_eq!(kind("Device.WiFi.SSID.1.SSID"), PathKind::Parameter);
    assert_eq!(kind("Device.Reboot()"), PathKind::Command);
    assert_eq!(kind("Device.Boot!"), PathKind::Event);
    assert_eq!(kind("Device.WiFi.SSID.*.SSID"), PathKind::Parameter);
    assert_eq!(
        kind("Device.LocalAgent.Request.[Status==\"Active\"].Cancel()"),
        PathKind::Command
    );
}

#[test]
fn what_is_strict_already_is_printed_as_it_was() {
    for text in [
        "Device.",
        "Device.WiFi.SSID.1.",
        "Device.WiFi.SSID.{i}.SSID",
        "Device.DeviceInfo.FirmwareImage.{i}.Activate()",
        "Device.IP.Interface.*.IPv4Address.*.IPAddress",
        "Device.IP.Interface.[Enable==true&&Status!=\"Down\"].Stats.",
        "Device.NAT.PortMapping.1.Interface+.Name",
        "Device.WiFi.AccessPoint.1.SSIDReference+.LowerLayers#2+.Channel",
        "Device.WiFi.AccessPoint.1.SSIDReference#*+.",
        "Device.A.B.[C+.D.E#3+.F~=\"x ] && y\"].G",
        "Device.X_EXAMPLE-COM_Thing.[Alias==\"100%25 %22sure%22\"].",
        "Device.T.[When>=2026-03-01T12:00:00Z&&N<-5&&M<=1.5&&O>0].",
    ] {
        assert_eq!(print(text), text);
    }
}

// R-ARC.9a: blanks are tolerated; R-ARC.9b: they are not sent.
#[test]
fn what_people_write_is_read_leniently_and_printed_strictly() {
    assert_eq!(
        print("Device.T.[ Alias == \"a b\"\t&& Enable==True ].X"),
        "Device.T.[Alias==\"a b\"&&Enable==True].X"
    );
    assert_eq!(
        print("Device.T.[Alias==lan].X"),
        "Device.T.[Alias==\"lan\"].X"
    );
    assert_eq!(
        print("Device.T.[Alias==50%].X"),
        "Device.T.[Alias==\"50%25\"].X"
    );
    assert_eq!(
        print("Device.T.[Alias==\"50%\"].X"),
        "Device.T.[Alias==\"50%25\"].X"
    );
    assert_eq!(
        print("Device.T.[N==08&&M==+5].X"),
        "Device.T.[N==08&&M==+5].X"
    );
    assert_eq!(print("Device"), "Device.");
    assert_eq!(print("Device.WiFi.SSID.1"), "Device.WiFi.SSID.1.");
    assert_eq!(print("Device.WiFi.SSID.*"), "Device.WiFi.SSID.*.");
    assert_eq!(print("Device.WiFi.SSID.{i}"), "Device.WiFi.SSID.{i}.");
    assert_eq!(
        print("Device.WiFi.SSID.[Enable==1]"),
        "Device.WiFi.SSID.[Enable==1]."
    );
    assert_eq!(print("Device.A.1.Ref#2+"), "Device.A.1.Ref#2+.");
}

#[test]
fn errors_name_the_character() {
    for (text, expected) in [
        ("", "character 1: the path is empty"),
        (
            ".Device.",
            "character 1: found '.' where the name of the root object should be",
        ),
        (
            "Device..WiFi.",
            "character 8: found '.' where a name, an instance number, '*' or '[' should be",
        ),
        (
            "Device.Wi Fi.",
            "character 10: found ' ' where a letter, digit, '.', '+', '#', '()' or '!' should be",
        ),
        (
            "Device.Geräte.X",
            "character 11: found 'ä' where a letter, digit, '.', '+', '#', '()' or '!' should be",
        ),
        (
            "Device.1.",
            "character 8: an instance, '*', '{i}' or expression can only follow the name of a table",
        ),
        (
            "Device.A.1.2.",
            "character 12: an instance, '*', '{i}' or expression can only follow the name of a table",
        ),
        (
            "Device.A.Ref+.1.",
            "character 15: an instance, '*', '{i}' or expression can only follow the name of a table",
        ),
        (
            "Device.A.0.",
            "character 10: numbers start at 1 and have no leading zeros",
        ),
        (
            "Device.A.01.",
            "character 10: numbers start at 1 and have no leading zeros",
        ),
        (
            "Device.A.4294967296.",
            "character 10: the number is larger than 4294967295",
        ),
        (
            "Device.A.1x.",
            "character 11: found 'x' where '.' should be",
        ),
        (
            "Device.A.[].",
            "character 11: an expression is missing between the brackets",
        ),
        (
            "Device.A.[lan].",
            "character 14: found ']' where one of == != ~= < > <= >= should be",
        ),
        (
            "Device.A.[B=1].",
            "character 13: found '1' where '=' should be",
        ),
        (
            "Device.A.[B==].",
            "character 14: found ']' where a constant (text in double quotes, a number, true, false or a dateTime) should be",
        ),
        (
            "Device.A.[B==\"x].",
            "character 14: the quoted text that starts here is not closed with '\"'",
        ),
        (
            "Device.A.[B==1",
            "character 15: the path ends here, but '&&' or ']' should follow",
        ),
        (
            "Device.A.[B==1&C==2].",
            "character 16: found 'C' where '&&' should be",
        ),
        (
            "Device.A.[B==1||C==2].X",
            "character 15: found '|' where '&&' or ']' should be",
        ),
        (
            "Device.A.[B==1&&].",
            "character 17: found ']' where the name of a parameter should be",
        ),
        (
            "Device.A.{n}.",
            "character 11: found 'n' where 'i}' should be",
        ),
        (
            "Device.A.{i}.B.1.",
            "character 16: a path with '{i}' names the supported model and cannot also have instances, searches or references",
        ),
        (
            "Device.A.*.B.{i}.",
            "character 14: a path with '{i}' names the supported model and cannot also have instances, searches or references",
        ),
        (
            "Device.A.Ref#0+.",
            "character 14: numbers start at 1 and have no leading zeros",
        ),
        (
            "Device.A.Ref#x+.",
            "character 14: found 'x' where a number or '*' should be",
        ),
        (
            "Device.Reboot().",
            "character 16: found '.' where the end of the path should be",
        ),
        (
            "Device.Reboot(",
            "character 15: the path ends here, but ')' should follow",
        ),
        (
            "Device.Boot!x",
            "character 13: found 'x' where the end of the path should be",
        ),
    ] {
        assert_eq!(error(text), expected, "{text}");
    }
}

#[test]
fn a_template_may_follow_an_instance_but_not_the_other_way_round() {
    // R-GSP: an instantiated prefix with {i} behind it occurs below mount points.
    assert_eq!(print("Device.A.1.B.{i}.C"), "Device.A.1.B.{i}.C");
    assert!(Path::parse("Device.A.{i}.B.1.C").is_err());
}

#[test]
fn segments_are_what_was_written() {
    let path = Path::parse("Device.A.2.R#3+.B.[C==5].D.*.E").unwrap();
    let all: Vec<String> = path.segments().map(|segment| segment.to_string()).collect();
    assert_eq!(
        all,
        ["Device", "A", "2", "R", "#3+", "B", "[C==5]", "D", "*", "E"]
    );
    assert!(path.is_search() && path.follows() && !path.is_plain());
    let command = Path::parse("Device.A.{i}.Do()").unwrap();
    let all: Vec<String> = command
        .segments()
        .map(|segment| segment.to_string())
        .collect();
    assert_eq!(all, ["Device", "A", "{i}", "Do"]);
    assert!(command.is_template());
}

#[test]
fn a_reference_alone_is_not_a_search_unless_it_follows_all() {
    assert!(!Path::parse("Device.A.1.R+.B").unwrap().is_search());
    assert!(!Path::parse("Device.A.1.R#2+.B").unwrap().is_search());
    assert!(Path::parse("Device.A.1.R#*+.B").unwrap().is_search());
}

#[test]
fn names_parents_and_supported_paths() {
    let row = |text: &str| {
        let path = Path::parse(text).unwrap();
        let parent = path
            .parent()
            .map(|parent| parent.to_string())
            .unwrap_or_default();
        format!("{} | {parent} | {}", path.name(), path.supported())
    };
    assert_eq!(row("Device."), "Device |  | Device.");
    assert_eq!(row("Device.WiFi."), "WiFi | Device. | Device.WiFi.");
    assert_eq!(
        row("Device.WiFi.SSID.3."),
        "SSID | Device.WiFi.SSID. | Device.WiFi.SSID.{i}."
    );
    assert_eq!(
        row("Device.WiFi.SSID.3.SSID"),
        "SSID | Device.WiFi.SSID.3. | Device.WiFi.SSID.{i}.SSID"
    );
    assert_eq!(
        row("Device.Reboot()"),
        "Reboot() | Device. | Device.Reboot()"
    );
    assert_eq!(row("Device.A.*.B!"), "B! | Device.A.*. | Device.A.{i}.B!");
    assert_eq!(
        row("Device.A.[B==\"c.d\"].E"),
        "E | Device.A.[B==\"c.d\"]. | Device.A.{i}.E"
    );
    assert_eq!(
        row("Device.A.1.R+.B"),
        "B | Device.A.1.R+. | Device.A.{i}.R+.B"
    );
    assert_eq!(row("Device.A.1.R+."), "R | Device.A.1. | Device.A.{i}.R+.");
}

#[test]
fn containment_is_by_whole_segments() {
    let path = |text: &str| Path::parse(text).unwrap();
    assert!(path("Device.WiFi.SSID.1.SSID").starts_with(&path("Device.WiFi.")));
    assert!(path("Device.WiFi.SSID.1.").starts_with(&path("Device.WiFi.SSID.1.")));
    assert!(!path("Device.WiFi.SSID.10.").starts_with(&path("Device.WiFi.SSID.1.")));
    assert!(!path("Device.A.BC").starts_with(&path("Device.A.B")));
}

#[test]
fn joining_parses_again() {
    let object = Path::parse("Device.WiFi.SSID.").unwrap();
    assert_eq!(
        object.join("1.SSID").unwrap().as_str(),
        "Device.WiFi.SSID.1.SSID"
    );
    assert!(object.join(".x").is_err());
}

#[test]
fn supported_text_does_not_parse() {
    assert_eq!(
        supported_text("Device.WiFi.SSID.12.SSID"),
        "Device.WiFi.SSID.{i}.SSID"
    );
    assert_eq!(
        supported_text("Device.WiFi.SSID.12."),
        "Device.WiFi.SSID.{i}."
    );
    assert_eq!(supported_text("Device.X1.A2"), "Device.X1.A2");
}

#[test]
fn constants_are_quoted_when_they_have_to_be() {
    use crate::BaseType;
    assert_eq!(
        Literal::for_value(BaseType::UnsignedInt, "5").to_string(),
        "5"
    );
    assert_eq!(
        Literal::for_value(BaseType::Boolean, "true").to_string(),
        "true"
    );
    assert_eq!(
        Literal::for_value(BaseType::String, "5").to_string(),
        "\"5\""
    );
    assert_eq!(
        Literal::for_value(BaseType::String, "a\"b%22").to_string(),
        "\"a%22b%2522\""
    );
    assert_eq!(
        Literal::for_value(BaseType::Int, "x]").to_string(),
        "\"x]\""
    );
}

#[test]
fn expressions_can_be_read_on_their_own() {
    let keys = KeyExpr::parse_all("A==1 && B.C~=\"x\"").unwrap();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[1].op, Op::Contains);
    assert_eq!(keys[1].value.text(), "x");
    assert_eq!(KeyExpr::parse_all("A==1]").unwrap_err().at, 4);
}

#[test]
fn a_path_is_as_long_as_the_limit_and_not_longer() {
    let name = "a".repeat(limits::PATH_CHARS_MAX - "Device..".len());
    assert!(Path::parse(&format!("Device.{name}.")).is_ok());
    let long = error(&format!("Device.{name}aa."));
    assert_eq!(
        long,
        "character 4097: paths longer than 4096 characters are not accepted"
    );
    assert!(KeyExpr::parse_all(&format!("{name}aaaaaaaaa==1")).is_err());
}

#[test]
fn what_gets_too_long_by_its_escapes_is_refused_as_well() {
    let signs = "%".repeat(limits::PATH_CHARS_MAX - 100);
    assert!(error(&format!("Device.T.[A==\"{signs}\"].")).contains("longer than 4096"));
    assert!(KeyExpr::parse_all(&format!("A==\"{signs}\"")).is_err());
    let name = "a".repeat(limits::PATH_CHARS_MAX - "Device..1".len());
    assert!(Path::parse(&format!("Device.{name}.1")).is_err());
}

#[test]
fn a_path_is_as_deep_as_the_limit_and_not_deeper() {
    let deep = "Device.".repeat(limits::PATH_SEGMENTS_MAX);
    assert!(Path::parse(&deep).is_ok());
    assert!(error(&format!("{deep}x")).contains("more than 48 segments"));
    assert!(error(&format!("{deep}*")).contains("more than 48 segments"));
}

#[test]
fn comparisons_are_limited_over_all_brackets() {
    let bracket = |n: usize| format!("[{}]", vec!["A==1"; n].join("&&"));
    let half = bracket(limits::PATH_EXPRESSIONS_MAX / 2);
    assert!(Path::parse(&format!("Device.T.{half}.U.{half}.")).is_ok());
    assert!(
        error(&format!("Device.T.{half}.U.{half}.V.[B==1].")).contains("more than 32 comparisons")
    );
}

#[test]
fn an_expressions_path_is_limited() {
    let steps = "A.".repeat(limits::EXPRESSION_STEPS_MAX - 1);
    assert!(Path::parse(&format!("Device.T.[{steps}B==1].")).is_ok());
    assert!(error(&format!("Device.T.[{steps}A.B==1].")).contains("more than 16 steps"));
}

#[test]
fn a_path_is_small() {
    assert!(std::mem::size_of::<Path>() <= 40);
}
