//! The times in which a download may run, out of the arguments of a command. They are named as those of
//! TR-181's `Activate()`.

use std::collections::{BTreeMap, BTreeSet};

use cwmp::fault::FaultCode;
use cwmp::rpc::{Retries, TimeWindowStruct};
use fleet::southbound::Fault;

use super::get::fault;
use super::limits::TIME_WINDOWS_MAX;

/// The arguments that a command with time windows has.
pub const INPUTS: [&str; 5] = [
    "TimeWindow.{i}.Start",
    "TimeWindow.{i}.End",
    "TimeWindow.{i}.Mode",
    "TimeWindow.{i}.UserMessage",
    "TimeWindow.{i}.MaxRetries",
];

/// How a download runs in its window: TR-181's word and that of CWMP.
const MODES: [(&str, &str); 4] = [
    ("AnyTime", "1 At Any Time"),
    ("Immediately", "2 Immediately"),
    ("WhenIdle", "3 When Idle"),
    ("ConfirmationNeeded", "4 Confirmation Needed"),
];

/// The windows, in order and apart; none where no argument tells of one.
pub fn windows(args: &BTreeMap<String, String>) -> Result<Vec<TimeWindowStruct>, Fault> {
    let no = |words: String| fault(FaultCode::INVALID_ARGUMENTS, words);
    let row = |name: &str| -> Option<u32> {
        let (row, parameter) = name.strip_prefix("TimeWindow.")?.split_once('.')?;
        let known = INPUTS
            .iter()
            .any(|one| one.ends_with(&format!("}}.{parameter}")));
        row.parse().ok().filter(|_| known)
    };
    let mut rows = BTreeSet::new();
    // One that is not understood is not passed over: the file would be sent at once.
    for name in args.keys().filter(|name| name.starts_with("TimeWindow")) {
        let no_row = || no(format!("{name} is no argument of a time window"));
        rows.insert(row(name).ok_or_else(no_row)?);
    }
    if rows.len() > TIME_WINDOWS_MAX {
        let words = "limit TIME_WINDOWS_MAX: a download has one TimeWindow or two";
        return Err(no(words.to_owned()));
    }
    let mut windows: Vec<TimeWindowStruct> = Vec::new();
    for row in rows {
        let of = |name: &str| {
            let name = format!("TimeWindow.{row}.{name}");
            let text = args.get(&name).map(|text| text.trim()).unwrap_or_default();
            (name, text)
        };
        let seconds = |name: &str| -> Result<u32, Fault> {
            let (name, text) = of(name);
            let wrong = |_| no(format!("{name} is no number of seconds: `{text}`"));
            text.parse().map_err(wrong)
        };
        let (start, end) = (seconds("Start")?, seconds("End")?);
        let after = windows.last().map_or(0, |before| before.end);
        if start < after || end <= start {
            let words = "its End has to come after its Start, and that not before the End of the window before";
            return Err(no(format!("TimeWindow.{row}.: {words}")));
        }
        let (name, told) = of("Mode");
        let mode = mode(told).ok_or_else(|| {
            let known = MODES.map(|(ours, _)| ours).join(", ");
            let words = "none of a vendor, which begins with X";
            no(format!("{name} is none of {known}, and {words}: `{told}`"))
        })?;
        let (name, retries) = of("MaxRetries");
        let wrong = |_| no(format!("{name} is no number: `{retries}`"));
        let retries = match retries {
            "" => -1,
            retries => retries.parse().map_err(wrong)?,
        };
        windows.push(TimeWindowStruct {
            start,
            end,
            mode: mode.to_owned(),
            user_message: of("UserMessage").1.to_owned(),
            max_retries: Retries(retries),
        });
    }
    Ok(windows)
}

/// The word of CWMP for a mode. Those of vendors are the same in both.
fn mode(told: &str) -> Option<&str> {
    let known = MODES
        .iter()
        .find(|(ours, theirs)| *ours == told || *theirs == told);
    match (told, known) {
        ("", _) => Some(MODES[0].1),
        (_, Some((_, theirs))) => Some(theirs),
        _ => told.starts_with(['X', 'x']).then_some(told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(args: &[(&str, &str)]) -> Result<Vec<TimeWindowStruct>, Fault> {
        let named = args.iter();
        let named = named.map(|(name, text)| (format!("TimeWindow.{name}"), (*text).to_owned()));
        windows(&named.collect())
    }

    #[test]
    fn windows_are_read_in_order_with_the_modes_of_cwmp() {
        let found = of(&[
            ("1.Start", "3600"),
            ("1.End", "7200"),
            ("1.Mode", "WhenIdle"),
            ("2.Start", "7200"),
            ("2.End", "9000"),
            ("2.MaxRetries", "3"),
            ("2.UserMessage", "now?"),
        ]);
        let found = found.unwrap();
        let modes: Vec<&str> = found.iter().map(|one| one.mode.as_str()).collect();
        assert_eq!(modes, ["3 When Idle", "1 At Any Time"]);
        assert_eq!((found[0].start, found[0].end), (3600, 7200));
        let retries = found.iter().map(|one| one.max_retries.0);
        assert_eq!(retries.collect::<Vec<_>>(), [-1, 3]);
        assert_eq!(found[1].user_message, "now?");
        assert_eq!(windows(&BTreeMap::new()), Ok(Vec::new()));
        assert_eq!(mode("3 When Idle"), Some("3 When Idle"));
        assert_eq!(mode("X_00256D_AtNight"), Some("X_00256D_AtNight"));
    }

    /// `TIME_WINDOWS_MAX`
    #[test]
    fn windows_that_no_device_takes_are_refused_with_the_reason() {
        const FIRST: [(&str, &str); 2] = [("1.Start", "0"), ("1.End", "60")];
        for (more, words) in [
            (&[("1.End", "x")][..], "TimeWindow.1.End is no number"),
            (
                &[("one.Start", "60")][..],
                "TimeWindow.one.Start is no argument of a time window",
            ),
            (
                &[("1.Begin", "60")][..],
                "TimeWindow.1.Begin is no argument of a time window",
            ),
            (
                &[("1.Mode", "Bogus")][..],
                "TimeWindow.1.Mode is none of AnyTime, Immediately, WhenIdle",
            ),
            (&[("1.End", "0")], "after its Start"),
            (&[("2.Start", "30"), ("2.End", "90")], "window before"),
            (&[("2.Start", "60")], "TimeWindow.2.End is no number"),
            (&[("1.MaxRetries", "many")], "MaxRetries is no number"),
            (&[("2.Start", "60"), ("3.Start", "90")], "TIME_WINDOWS_MAX"),
        ] {
            let args: Vec<_> = FIRST.iter().chain(more).copied().collect();
            let why = of(&args).unwrap_err().message;
            assert!(why.contains(words), "{why}");
        }
    }
}
