//! `Device.DeviceInfo.ProcessStatus.Process.{i}.`; a row's number is the process id.

use std::path::Path;

use super::text;

/// Clock ticks of `/proc/PID/stat` are hundredths of a second on every Linux there is (USER_HZ).
const MILLISECONDS_PER_TICK: u64 = 10;

pub(super) fn pids(root: &Path) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir(root.join("proc")) else {
        return Vec::new();
    };
    let mut pids: Vec<u32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    pids
}

/// `PID.Name`.
pub(super) fn read(root: &Path, rest: &str) -> Option<String> {
    let (pid, name) = rest.split_once('.')?;
    if name == "PID" {
        return Some(pid.to_owned());
    }
    let directory = root.join("proc").join(pid);
    // A process that has just ended: the row shows its empty values and is gone at the next look.
    let stat = text(directory.join("stat")).unwrap_or_default();
    // The name is in parentheses and may contain anything.
    let (head, tail) = stat.rsplit_once(')').unwrap_or(("", ""));
    let field = |n: usize| tail.split_whitespace().nth(n - 3).unwrap_or_default();
    let number = |n: usize| field(n).parse::<u64>().unwrap_or(0);
    Some(match name {
        // The program alone: arguments hold passwords and tokens often enough.
        "Command" => {
            let line = std::fs::read(directory.join("cmdline")).unwrap_or_default();
            let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
            let program = match String::from_utf8_lossy(program) {
                program if !program.is_empty() => program.into_owned(),
                // Kernel threads have only their name.
                _ => head.split_once('(').map_or("", |(_, name)| name).to_owned(),
            };
            program.chars().take(256).collect()
        }
        "Size" => (number(23) / 1024).min(u64::from(u32::MAX)).to_string(),
        "Priority" => field(18)
            .parse::<i64>()
            .unwrap_or(0)
            .clamp(0, 99)
            .to_string(),
        "CPUTime" => ((number(14) + number(15)) * MILLISECONDS_PER_TICK)
            .min(u64::from(u32::MAX))
            .to_string(),
        "State" => match field(3) {
            "R" => "Running",
            "T" | "t" => "Stopped",
            "I" => "Idle",
            "D" => "Uninterruptible",
            "Z" | "X" => "Zombie",
            _ => "Sleeping",
        }
        .to_owned(),
        _ => return None,
    })
}
